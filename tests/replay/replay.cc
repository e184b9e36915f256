// The stand-in: Paddle Lite's symbols, answers from recordings that the linker put into the library. See README.md.
//
// The recordings (replay_runtime.py writes them), little-endian: u32 number of models; of each its u64 identity and u32
// number of runs; of each run the lists that recorder.cc writes (input shape, signature, output shape), then u32
// length and the zlib-compressed output.
#include <cstdio>
#include <cstring>
#include <map>
#include <stdexcept>

#include "plate/lite_api.h"
#include "signature.h"
int replay_inflate(char* out, int room, const char* packed, int bytes);

extern "C" {
extern const unsigned char replay_recordings[];
extern const unsigned char replay_recordings_end[];
}

namespace paddle::lite_api {
namespace {

// Found by edge.runtime in the file, as the release is in the real library.
const char kVersion[] = "\0v2.13-rc-replay";

struct Memory {
    shape_t shape;
    std::vector<float> values;
};

struct Recorded {
    shape_t in;
    std::vector<float> signature;
    shape_t out;
    const unsigned char* packed = nullptr;
    std::uint32_t bytes = 0;
};

std::int64_t count_of(const shape_t& shape) {
    std::int64_t count = 1;
    for (const std::int64_t side : shape) count *= side;
    return count;
}

class Reader {
  public:
    template <typename T>
    T number() {
        T value;
        copy(&value, sizeof(T));
        return value;
    }
    template <typename T>
    std::vector<T> list() {
        std::vector<T> values(number<std::uint32_t>());
        copy(values.data(), values.size() * sizeof(T));
        return values;
    }
    const unsigned char* skip(std::size_t bytes) {
        const unsigned char* from = at_;
        at_ += bytes;
        if (at_ > replay_recordings_end) throw std::runtime_error("replay: the recordings are cut off");
        return from;
    }

  private:
    void copy(void* to, std::size_t bytes) {
        const unsigned char* from = skip(bytes);
        if (bytes != 0) std::memcpy(to, from, bytes);
    }
    const unsigned char* at_ = replay_recordings;
};

// Size in the upper half, CRC-32 (as zlib's) in the lower.
std::uint64_t identity(const std::string& path) {
    std::uint32_t table[256];
    for (std::uint32_t i = 0; i < 256; ++i) {
        table[i] = i;
        for (int bit = 0; bit < 8; ++bit) table[i] = table[i] >> 1U ^ (0xEDB88320U & (0U - (table[i] & 1U)));
    }
    std::FILE* file = std::fopen(path.c_str(), "rb");
    if (file == nullptr) throw std::runtime_error("replay: cannot open " + path);
    std::uint64_t size = 0;
    std::uint32_t crc = 0xFFFFFFFFU;
    std::vector<unsigned char> block(1U << 16U);
    for (std::size_t got = 0; (got = std::fread(block.data(), 1, block.size(), file)) > 0; size += got) {
        for (std::size_t i = 0; i < got; ++i) crc = table[(crc ^ block[i]) & 0xFFU] ^ crc >> 8U;
    }
    std::fclose(file);
    return size << 32U | (crc ^ 0xFFFFFFFFU);
}

std::vector<Recorded> runs_of(const std::string& path) {
    const std::uint64_t wanted = identity(path);
    Reader reader;
    for (auto models = reader.number<std::uint32_t>(); models > 0; --models) {
        const auto known = reader.number<std::uint64_t>();
        std::vector<Recorded> runs(reader.number<std::uint32_t>());
        for (Recorded& run : runs) {
            run.in = reader.list<std::int64_t>();
            run.signature = reader.list<float>();
            run.out = reader.list<std::int64_t>();
            run.bytes = reader.number<std::uint32_t>();
            run.packed = reader.skip(run.bytes);
        }
        if (known == wanted) return runs;
    }
    throw std::runtime_error("replay: nothing was recorded with the model " + path);
}

class Replay : public PaddlePredictor {
  public:
    explicit Replay(const std::string& path) : path_(path), runs_(runs_of(path)) {}

    std::unique_ptr<Tensor> GetInput(int /*index*/) override { return std::make_unique<Tensor>(&input_); }
    std::unique_ptr<const Tensor> GetOutput(int /*index*/) const override {
        return std::make_unique<const Tensor>(static_cast<const void*>(&output_));
    }

    void Run() override {
        const std::vector<float> seen = replay::signature(input_.values.data(), input_.shape);
        const Recorded* nearest = nullptr;
        float least = 0;
        for (const Recorded& run : runs_) {
            if (run.in != input_.shape) continue;
            const float distance = replay::difference(run.signature, seen);
            if (nearest != nullptr && distance >= least) continue;
            nearest = &run;
            least = distance;
        }
        if (nearest == nullptr) throw std::runtime_error("replay: no input of this shape was recorded for " + path_);
        if (!(least <= replay::kTolerance)) {
            throw std::runtime_error("replay: this input was not recorded for " + path_ + "; the nearest differs by " +
                                     std::to_string(least));
        }
        output_.shape = nearest->out;
        const auto count = static_cast<std::size_t>(count_of(output_.shape));
        std::vector<std::uint16_t> values(count);
        const int got =
            replay_inflate(reinterpret_cast<char*>(values.data()), static_cast<int>(count * sizeof(values[0])),
                           reinterpret_cast<const char*>(nearest->packed), static_cast<int>(nearest->bytes));
        if (got != static_cast<int>(count * sizeof(values[0]))) throw std::runtime_error("replay: damaged recording");
        output_.values.assign(values.begin(), values.end());
        for (float& value : output_.values) value /= 65535;
    }

    std::shared_ptr<PaddlePredictor> Clone() override { throw std::runtime_error("replay: no Clone"); }
    std::shared_ptr<PaddlePredictor> Clone(const std::vector<std::string>& /*names*/) override { return Clone(); }
    std::string GetVersion() const override { return kVersion + 1; }
    std::vector<std::string> GetInputNames() override { return {"x"}; }
    std::vector<std::string> GetOutputNames() override { return {"y"}; }
    bool TryShrinkMemory() override { return true; }
    std::unique_ptr<Tensor> GetInputByName(const std::string& /*name*/) override { return GetInput(0); }
    std::unique_ptr<const Tensor> GetTensor(const std::string& /*name*/) const override { return GetOutput(0); }

  private:
    std::string path_;
    std::vector<Recorded> runs_;
    Memory input_;
    Memory output_;
};

Memory& memory(void* raw) {
    return *static_cast<Memory*>(raw);
}

}  // namespace

Tensor::Tensor(void* raw) : raw_(raw) {}
Tensor::Tensor(const void* raw) : raw_(const_cast<void*>(raw)) {}

void Tensor::Resize(const shape_t& shape) {
    memory(raw_).shape = shape;
}

template <>
const float* Tensor::data<float>() const {
    return memory(raw_).values.data();
}

template <>
float* Tensor::mutable_data<float>(TargetType /*target*/) const {
    Memory& tensor = memory(raw_);
    tensor.values.resize(static_cast<std::size_t>(count_of(tensor.shape)));
    return tensor.values.data();
}

shape_t Tensor::shape() const {
    return memory(raw_).shape;
}

PrecisionType Tensor::precision() const {
    return PrecisionType::kFloat;
}

std::vector<std::string> PaddlePredictor::GetParamNames() {
    return {};
}

std::unique_ptr<Tensor> PaddlePredictor::GetMutableTensor(const std::string& /*name*/) {
    return nullptr;
}

void PaddlePredictor::SaveOptimizedModel(const std::string& /*folder*/, LiteModelType /*type*/, bool /*record*/) {}

void PaddlePredictor::SetStream(TargetType /*target*/, void* /*stream*/) {}

ConfigBase::ConfigBase(PowerMode mode, int threads) : threads_(threads), mode_(mode) {}

void ConfigBase::set_threads(int threads) {
    threads_ = threads;
}

void ConfigBase::set_power_mode(PowerMode mode) {
    mode_ = mode;
}

#if defined(__x86_64__)
void ConfigBase::set_x86_math_num_threads(int threads) {
    x86_threads_ = threads;
}
#endif

void MobileConfig::set_model_from_file(const std::string& path) {
    file_ = path;
}

template <>
std::shared_ptr<PaddlePredictor> CreatePaddlePredictor<MobileConfig>(const MobileConfig& config) {
    return std::make_shared<Replay>(config.lite_model_file());
}

}  // namespace paddle::lite_api
