// What the linker needs to know of Paddle Lite's library: its name and the symbols that the program takes from it.
// Only for building where the real library is not at hand; it is never shipped, and every call ends the program.
#include <cstdlib>

#include "plate/lite_api.h"

namespace paddle::lite_api {

Tensor::Tensor(void* raw) : raw_(raw) {}
Tensor::Tensor(const void* raw) : raw_(const_cast<void*>(raw)) {}

void Tensor::Resize(const shape_t& /*shape*/) {
    std::abort();
}

template <>
const float* Tensor::data<float>() const {
    std::abort();
}

template <>
float* Tensor::mutable_data<float>(TargetType /*target*/) const {
    std::abort();
}

shape_t Tensor::shape() const {
    std::abort();
}

PrecisionType Tensor::precision() const {
    std::abort();
}

ConfigBase::ConfigBase(PowerMode /*mode*/, int /*threads*/) {
    std::abort();
}

void ConfigBase::set_threads(int /*threads*/) {
    std::abort();
}

void ConfigBase::set_power_mode(PowerMode /*mode*/) {
    std::abort();
}

#if defined(__x86_64__)
void ConfigBase::set_x86_math_num_threads(int /*threads*/) {
    std::abort();
}
#endif

void MobileConfig::set_model_from_file(const std::string& /*path*/) {
    std::abort();
}

template <>
std::shared_ptr<PaddlePredictor> CreatePaddlePredictor<MobileConfig>(const MobileConfig& /*config*/) {
    std::abort();
}

}  // namespace paddle::lite_api
