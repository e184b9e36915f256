#include "plate/predictor.h"

#include <exception>
#include <new>
#include <utility>

#include "plate/crash.h"
#include "plate/error.h"
#include "plate/nb_file.h"
#include "plate/text.h"
#ifdef PLATE_OFFICIAL_HEADERS
#include <paddle_api.h>
#else
#include "plate/lite_api.h"
#endif

namespace plate {

namespace lite = paddle::lite_api;

namespace {

struct ModeName {
    const char* name;
    lite::PowerMode mode;
};

constexpr ModeName kModes[] = {{"high", lite::LITE_POWER_HIGH},
                               {"low", lite::LITE_POWER_LOW},
                               {"full", lite::LITE_POWER_FULL},
                               {"none", lite::LITE_POWER_NO_BIND}};

lite::PowerMode mode_of(const std::string& name) {
    for (const ModeName& item : kModes) {
        if (name == item.name) return item.mode;
    }
    throw Error(ExitCode::kConfig, "power_mode " + name + " is none of high, low, full, none");
}

const char* name_of(lite::PowerMode mode) {
    for (const ModeName& item : kModes) {
        if (mode == item.mode) return item.name;
    }
    return "other";
}

// Calls into the library, where exceptions, and for models that it cannot cope with signals, become Errors.
template <typename Call>
auto guarded(const std::string& doing, Call call) -> decltype(call()) {
    const CrashScope scope("Paddle Lite crashed while " + doing);
    try {
        return call();
    } catch (const Error&) {
        throw;
    } catch (const std::bad_alloc&) {
        throw Error(ExitCode::kModel, "out of memory while " + doing);
    } catch (const std::exception& error) {
        throw Error(ExitCode::kModel, "Paddle Lite failed while " + doing + ": " + library_reason(error.what()));
    } catch (...) {
        throw Error(ExitCode::kModel, "Paddle Lite failed while " + doing);
    }
}

}  // namespace

struct Predictor::Library {
    std::shared_ptr<lite::PaddlePredictor> predictor;
    std::unique_ptr<lite::Tensor> input;
    std::unique_ptr<const lite::Tensor> output;
};

std::int64_t Tensor::count() const {
    std::int64_t product = 1;
    for (const std::int64_t side : shape) product *= side;
    return product;
}

Predictor::Predictor(const std::string& path, int threads, const std::string& power_mode)
    : library_(std::make_unique<Library>()), path_(path) {
    const NbFile file = check_nb_file(path);
    check_nb_target(path, file);
    guarded("loading " + path + " (made by opt " + file.opt_version + ")", [&] {
        lite::MobileConfig config;
        config.set_model_from_file(path);
        config.set_power_mode(mode_of(power_mode));
        config.set_threads(threads);
        threads_ = config.threads();
        power_mode_ = name_of(config.power_mode());
#if defined(__x86_64__)
        // On x86 the library leaves the two above alone, and has a setting of its own.
        config.set_x86_math_num_threads(threads);
        threads_ = threads;
#endif
        library_->predictor = lite::CreatePaddlePredictor<lite::MobileConfig>(config);
        if (!library_->predictor) throw Error(ExitCode::kModel, "Paddle Lite gave no predictor for " + path);
        version_ = library_->predictor->GetVersion();
    });
}

Predictor::~Predictor() = default;

float* Predictor::input(const std::vector<std::int64_t>& shape) {
    return guarded("setting the input of " + path_, [&] {
        library_->input = library_->predictor->GetInput(0);
        library_->input->Resize(shape);
        return library_->input->mutable_data<float>();
    });
}

const Tensor& Predictor::run() {
    return guarded("running " + path_, [&]() -> const Tensor& {
        library_->predictor->Run();
        library_->output = library_->predictor->GetOutput(0);
        if (library_->output->precision() != lite::PrecisionType::kFloat) {
            throw Error(ExitCode::kModel, "the output of " + path_ + " is not float32");
        }
        output_.shape = library_->output->shape();
        output_.data = library_->output->data<float>();
        if (output_.data == nullptr || output_.count() <= 0) throw Error(ExitCode::kModel, path_ + " gave no output");
        return output_;
    });
}

}  // namespace plate
