// One model in Paddle Lite. Nothing of the library's interface shows through, and all of its failures are Errors.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace plate {

struct Tensor {
    const float* data = nullptr;
    std::vector<std::int64_t> shape;

    std::int64_t count() const;
};

class Predictor {
  public:
    // Loads an `.nb` file. `power_mode` is high, low, full or none.
    // Throws Error(kModel): no such file, not an `.nb`, cut off, made for another target, refused by the library.
    Predictor(const std::string& path, int threads, const std::string& power_mode);
    ~Predictor();
    Predictor(const Predictor&) = delete;
    Predictor& operator=(const Predictor&) = delete;

    // Sets the shape of the input (NCHW) and returns its memory, for the caller to fill. Valid until the next call.
    float* input(const std::vector<std::int64_t>& shape);

    // Runs the model. The output is the library's memory, valid until the next call.
    const Tensor& run();

    const std::string& path() const { return path_; }
    const std::string& version() const { return version_; }
    // What the library made of the request; see DeviceInfo in its log.
    int threads() const { return threads_; }
    const std::string& power_mode() const { return power_mode_; }

  private:
    struct Library;
    std::unique_ptr<Library> library_;
    std::string path_;
    std::string version_;
    int threads_ = 1;
    std::string power_mode_;
    Tensor output_;
};

}  // namespace plate
