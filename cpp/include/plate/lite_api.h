// Declarations of the part of Paddle Lite's C++ interface that the program calls.
//
// pip's wheel holds the runtime but no headers, so the kit declares what it uses itself: the names and signatures that
// the library exports, and classes whose size and member order are the library's (2.13-rc), since both sides touch
// their memory. Members that only the library uses are named after their purpose and never read here. When the headers
// of an official archive are given (PADDLE_LITE_DIR), those are used instead of this file.
// tests/cpp/test_cpp_run.py runs both models through it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace paddle::lite_api {

using shape_t = std::vector<std::int64_t>;
using lod_t = std::vector<std::vector<std::uint64_t>>;

enum class TargetType : int { kUnk = 0, kHost = 1 };
enum class PrecisionType : int { kUnk = 0, kFloat = 1 };
enum class LiteModelType { kProtobuf = 0, kNaiveBuffer = 1 };
enum PowerMode { LITE_POWER_HIGH = 0, LITE_POWER_LOW = 1, LITE_POWER_FULL = 2, LITE_POWER_NO_BIND = 3 };

struct Tensor {
    explicit Tensor(void* raw);
    explicit Tensor(const void* raw);
    void Resize(const shape_t& shape);
    template <typename T>
    const T* data() const;
    template <typename T>
    T* mutable_data(TargetType target = TargetType::kHost) const;
    shape_t shape() const;
    PrecisionType precision() const;

  private:
    void* raw_;
};

// Only the order of the virtual functions matters: it is the order of the library's table.
class PaddlePredictor {
  public:
    PaddlePredictor() = default;
    virtual std::unique_ptr<Tensor> GetInput(int index) = 0;
    virtual std::unique_ptr<const Tensor> GetOutput(int index) const = 0;
    virtual void Run() = 0;
    virtual std::shared_ptr<PaddlePredictor> Clone() = 0;
    virtual std::shared_ptr<PaddlePredictor> Clone(const std::vector<std::string>& names) = 0;
    virtual std::string GetVersion() const = 0;
    virtual std::vector<std::string> GetInputNames() = 0;
    virtual std::vector<std::string> GetOutputNames() = 0;
    virtual std::vector<std::string> GetParamNames();
    virtual bool TryShrinkMemory() = 0;
    virtual std::unique_ptr<Tensor> GetInputByName(const std::string& name) = 0;
    virtual std::unique_ptr<const Tensor> GetTensor(const std::string& name) const = 0;
    virtual std::unique_ptr<Tensor> GetMutableTensor(const std::string& name);
    virtual void SaveOptimizedModel(const std::string& folder, LiteModelType type = LiteModelType::kProtobuf,
                                    bool record = false);
    virtual void SetStream(TargetType target, void* stream);
    virtual ~PaddlePredictor() = default;

  protected:
    int threads_{1};
    PowerMode mode_{LITE_POWER_NO_BIND};
};

class ConfigBase {
  public:
    explicit ConfigBase(PowerMode mode = LITE_POWER_NO_BIND, int threads = 1);
    void set_threads(int threads);
    void set_power_mode(PowerMode mode);
    // What the library made of the request: it lowers threads to the cores of a mode, and changes modes that it lacks.
    int threads() const { return threads_; }
    PowerMode power_mode() const { return mode_; }
#if defined(__x86_64__)
    void set_x86_math_num_threads(int threads);
#endif

  private:
    using Bytes = std::vector<char>;

    std::string model_folder_;
    int threads_{1};
    PowerMode mode_{LITE_POWER_NO_BIND};
    int opencl_tuning_{0};
    std::string opencl_binary_path_;
    std::string opencl_binary_name_;
    int opencl_precision_{0};
    std::string subgraph_cache_folder_;
    std::map<std::string, std::pair<Bytes, Bytes>> subgraph_cache_;
    std::vector<std::string> adapter_devices_;
    std::string adapter_properties_;
    int (*adapter_callback_)(int, void*){nullptr};
    std::string adapter_cache_folder_;
    std::map<std::string, std::vector<shape_t>> adapter_shapes_;
    std::map<std::string, Bytes> adapter_cache_;
    int device_{0};
    int x86_threads_{1};
    std::string metal_path_;
    bool metal_performance_shaders_{false};
    bool metal_aggressive_{false};
    void* metal_device_{nullptr};
    bool metal_reuse_{false};
    std::vector<std::string> discarded_passes_;
    std::map<TargetType, std::shared_ptr<void>> target_options_;
};

class MobileConfig : public ConfigBase {
  public:
    void set_model_from_file(const std::string& path);
    const std::string& lite_model_file() const { return file_; }

  private:
    bool from_memory_{false};
    int precision_mode_{0};
    std::string file_;
    const char* buffer_{nullptr};
    std::size_t buffer_size_{0};
    std::string old_model_;
    std::string old_params_;
};

template <typename ConfigT>
std::shared_ptr<PaddlePredictor> CreatePaddlePredictor(const ConfigT& config);

}  // namespace paddle::lite_api
