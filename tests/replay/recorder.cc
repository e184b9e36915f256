// Preloaded into plate_ocr: passes every call on to the real runtime, and appends each run to a file.
//
// $PLATE_RECORD is a folder; runs of `det.nb` go to `det.run` in it. A record is, little-endian: u32 number of sides
// and i64 sides of the input, u32 number and f32 values of its signature, u32 number of sides and i64 sides of the
// output, then the output as u16 in units of 1/65535.
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "plate/lite_api.h"
#include "signature.h"

namespace paddle::lite_api {
namespace {

class Recorder : public PaddlePredictor {
  public:
    Recorder(std::shared_ptr<PaddlePredictor> real, const std::string& path) : real_(std::move(real)) {
        const std::string name = path.substr(path.rfind('/') + 1);
        path_ = std::string(std::getenv("PLATE_RECORD")) + "/" + name.substr(0, name.rfind('.')) + ".run";
    }

    void Run() override {
        const auto input = real_->GetInput(0);
        const shape_t shape = input->shape();
        const std::vector<float> known = replay::signature(input->data<float>(), shape);
        real_->Run();
        const auto output = real_->GetOutput(0);
        std::FILE* file = std::fopen(path_.c_str(), "ab");
        if (file == nullptr) throw std::runtime_error("cannot write " + path_);
        write_list(file, shape);
        write_list(file, known);
        write_list(file, output->shape());
        std::int64_t count = 1;
        for (const std::int64_t side : output->shape()) count *= side;
        std::vector<std::uint16_t> values;
        const float* data = output->data<float>();
        for (std::int64_t i = 0; i < count; ++i) {
            values.push_back(static_cast<std::uint16_t>(std::lround(std::min(1.0F, std::max(0.0F, data[i])) * 65535)));
        }
        std::fwrite(values.data(), sizeof(values[0]), values.size(), file);
        std::fclose(file);
    }

    std::unique_ptr<Tensor> GetInput(int i) override { return real_->GetInput(i); }
    std::unique_ptr<const Tensor> GetOutput(int i) const override { return real_->GetOutput(i); }
    std::shared_ptr<PaddlePredictor> Clone() override { return real_->Clone(); }
    std::shared_ptr<PaddlePredictor> Clone(const std::vector<std::string>& names) override {
        return real_->Clone(names);
    }
    std::string GetVersion() const override { return real_->GetVersion(); }
    std::vector<std::string> GetInputNames() override { return real_->GetInputNames(); }
    std::vector<std::string> GetOutputNames() override { return real_->GetOutputNames(); }
    bool TryShrinkMemory() override { return real_->TryShrinkMemory(); }
    std::unique_ptr<Tensor> GetInputByName(const std::string& name) override { return real_->GetInputByName(name); }
    std::unique_ptr<const Tensor> GetTensor(const std::string& name) const override { return real_->GetTensor(name); }

  private:
    template <typename T>
    static void write_list(std::FILE* file, const std::vector<T>& list) {
        const auto count = static_cast<std::uint32_t>(list.size());
        std::fwrite(&count, sizeof(count), 1, file);
        std::fwrite(list.data(), sizeof(T), list.size(), file);
    }

    std::shared_ptr<PaddlePredictor> real_;
    std::string path_;
};

}  // namespace

template <>
std::shared_ptr<PaddlePredictor> CreatePaddlePredictor<MobileConfig>(const MobileConfig& config) {
    using Create = std::shared_ptr<PaddlePredictor> (*)(const MobileConfig&);
    constexpr const char* kName =
        "_ZN6paddle8lite_api21CreatePaddlePredictorINS0_12MobileConfigEEESt10shared_ptrINS0_15PaddlePredictorEERKT_";
    const auto real = reinterpret_cast<Create>(dlsym(RTLD_NEXT, kName));
    if (real == nullptr) throw std::runtime_error("the recorder finds no runtime behind it");
    return std::make_shared<Recorder>(real(config), config.lite_model_file());
}

}  // namespace paddle::lite_api
