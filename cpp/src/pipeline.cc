#include "plate/pipeline.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>

#include "plate/error.h"
#include "plate/host_info.h"
#include "plate/text.h"

namespace plate {
namespace {

using Time = std::chrono::steady_clock::time_point;

Time now() {
    return std::chrono::steady_clock::now();
}

double ms_between(Time from, Time to) {
    return std::chrono::duration<double, std::milli>(to - from).count();
}

// `bench count` counts instructions between these calls, which an emulator's plugin sees; the kernel refuses them as
// the priority of nothing. Without PLATE_MARKERS in the environment there are none. -1: a photo begins.
constexpr long kMarkerWord = 0x504C4154;
void mark(long stage) {
    static const bool wanted = std::getenv("PLATE_MARKERS") != nullptr;
    if (wanted) syscall(SYS_getpriority, kMarkerWord, stage);
}

// 16 million pixels are a 4096x4096 detector input: more is a photo of absurd shape, not a plate.
constexpr std::int64_t kMaxDetectorPixels = std::int64_t{1} << 24;

DbOptions db_options(const Config& c) {
    return {c.det_thresh,   c.det_box_thresh, c.det_unclip_ratio, c.det_max_candidates,
            c.det_min_size, c.det_dilation,   c.box_flip,         c.box_grow};
}

Error not_finite(const std::string& model, const std::string& photo) {
    return {ExitCode::kModel, "the output of " + model + " for " + photo +
                                  " holds values that are not numbers (NaN): the model is broken on this target"};
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
    std::string text;
    for (const std::int64_t side : shape) text += (text.empty() ? "" : "x") + std::to_string(side);
    return text.empty() ? "none" : text;
}

}  // namespace

// Adds the time since the last call to a stage, and where asked to notes the peak memory after it, outside the times.
class Pipeline::Clock {
  public:
    Clock(std::array<double, kStages>& ms, std::array<long, kStages>* peak_kb)
        : ms_(ms), peak_kb_(peak_kb), start_(now()), last_(start_) {
        ms_.fill(0);
        if (peak_kb_ != nullptr) peak_kb_->fill(0);
        mark(-1);
    }
    void add(Stage stage) {
        const Time t = slowed(stage, now());
        ms_[stage] += ms_between(last_, t);
        last_ = t;
        if (peak_kb_ != nullptr) {
            // Of several plates the first: a peak never falls, so a later one would be that of every stage.
            if ((*peak_kb_)[stage] == 0) (*peak_kb_)[stage] = memory().hwm_kb;
            last_ = now();
            start_ += last_ - t;
        }
        mark(static_cast<long>(stage));
    }
    void total() {
        ms_[kTotal] = ms_between(start_, now());
        mark(static_cast<long>(kTotal));
    }

  private:
#ifdef PLATE_SLOW_STAGE
    // Only in builds of scripts/bench_self.py, which must find it: one stage takes PLATE_SLOW_PERCENT longer.
    Time slowed(Stage stage, Time t) const {
        if (stage != PLATE_SLOW_STAGE) return t;
        const Time until = t + (t - last_) * PLATE_SLOW_PERCENT / 100;
        while (t < until) t = now();
        return t;
    }
#else
    static Time slowed(Stage, Time t) {
        return t;
    }
#endif

    std::array<double, kStages>& ms_;
    std::array<long, kStages>* peak_kb_;
    Time start_;
    Time last_;
};

Size detector_size(int height, int width, const std::string& limit_type, int limit_side) {
    const int shorter = std::min(height, width);
    const int longer = std::max(height, width);
    double ratio = 1;
    if (limit_type == "min" && shorter < limit_side) ratio = static_cast<double>(limit_side) / shorter;
    if (limit_type == "max" && longer > limit_side) ratio = static_cast<double>(limit_side) / longer;
    // More than an int holds is what a photo of a single row may ask for.
    static constexpr double kMost = 1 << 30;
    // nearbyint rounds halves to even, as Python's round does.
    const auto side = [ratio](int pixels) {
        return static_cast<int>(std::clamp(std::nearbyint(pixels * ratio / 32) * 32, 32.0, kMost));
    };
    return {side(height), side(width)};
}

int jpeg_scale(int height, int width, const Config& config) {
    if (config.jpeg_scale != "auto") return config.jpeg_scale[0] - '0';
    const Size size = detector_size(height, width, config.det_limit_type, config.det_limit_side);
    const auto large_enough = [&](int scale) { return height >= scale * size.height && width >= scale * size.width; };
    return large_enough(4) ? 4 : large_enough(2) ? 2 : 1;
}

Pipeline::Pipeline(const Config& config)
    : config_(config),
      db_(db_options(config)),
      det_norm_(Normalisation::from(config.det_mean, config.det_std)),
      rec_norm_(Normalisation::from(config.rec_mean, config.rec_std)),
      dictionary_(read_dictionary(config.dict)),
      strip_(characters(config.text_strip)),
      scale_rule_([this](int width, int height) { return jpeg_scale(height, width, config_); }) {
    if (config.decode == "plate") plate_decoder_.emplace(Grammar::read(config.grammar), dictionary_, strip_);
    const Time start = now();
    detector_ = std::make_unique<Predictor>(config.det_model, config.threads, config.power_mode);
    const Time middle = now();
    recogniser_ = std::make_unique<Predictor>(config.rec_model, config.threads, config.power_mode);
    detector_ms_ = ms_between(start, middle);
    recogniser_ms_ = ms_between(middle, now());
}

void Pipeline::detect(const std::string& path, Clock& clock) {
    const int photo_width = decoder_.width();
    const int photo_height = decoder_.height();
    const Size size = detector_size(photo_height, photo_width, config_.det_limit_type, config_.det_limit_side);
    if (static_cast<std::int64_t>(size.height) * size.width > kMaxDetectorPixels) {
        throw ImageError("needs a detector input of " + std::to_string(size.width) + "x" + std::to_string(size.height) +
                         " pixels; crop it, or use det_limit_type max");
    }
    float* input = detector_->input({1, 3, size.height, size.width});
    det_resizer_.run(photo_, size.width, size.height, size.width, det_norm_, input);
    clock.add(kDetPre);

    const Tensor& map = detector_->run();
    clock.add(kDetInfer);

    if (map.shape != std::vector<std::int64_t>{1, 1, size.height, size.width}) {
        throw Error(ExitCode::kModel, detector_->path() + " is not a detector: it answers " + shape_text(map.shape) +
                                          " to an input of 1x3x" + std::to_string(size.height) + "x" +
                                          std::to_string(size.width));
    }
    if (!db_post_.run(map.data, size.width, size.height, photo_width, photo_height, db_, boxes_)) {
        throw not_finite(detector_->path(), path);
    }
    clock.add(kDetPost);
}

void Pipeline::recognise(const std::string& path, const Quad& box, Clock& clock, Reading& reading) {
    // Boxes are in pixels of the photo, and so perhaps finer than what was decoded of it.
    Quad decoded = box;
    for (Point& corner : decoded) corner = {corner.x / decoder_.scale(), corner.y / decoder_.scale()};
    cropper_.run(photo_, decoded, crop_);
    clock.add(kCrop);

    const int height = config_.rec_height;
    int width = config_.rec_width;
    float* input = recogniser_->input({1, 3, height, width});
    if (config_.rec_resize == "pad") {
        const double wanted = std::ceil(static_cast<double>(height) * crop_.width() / crop_.height());
        width = std::max(1, static_cast<int>(std::min<double>(width, wanted)));
        std::fill_n(input, static_cast<std::size_t>(3) * static_cast<std::size_t>(height * config_.rec_width), 0.0F);
    }
    rec_resizer_.run(crop_, width, height, config_.rec_width, rec_norm_, input);
    clock.add(kRecPre);

    const Tensor& out = recogniser_->run();
    clock.add(kRecInfer);

    if (out.shape.size() != 3 || out.shape[0] != 1 || out.shape[1] < 1) {
        throw Error(ExitCode::kModel,
                    recogniser_->path() + " is not a recogniser: it answers " + shape_text(out.shape));
    }
    const auto classes = static_cast<std::size_t>(out.shape[2]);
    if (classes != dictionary_.size() + 1) {
        throw Error(ExitCode::kModel, recogniser_->path() + " has " + std::to_string(classes) + " classes, but " +
                                          config_.dict + " gives " + std::to_string(dictionary_.size() + 1) +
                                          " (blank + " + std::to_string(dictionary_.size()) + " characters)");
    }
    const auto steps = static_cast<std::size_t>(out.shape[1]);
    if (!all_finite(out.data, steps * classes)) throw not_finite(recogniser_->path(), path);
    if (plate_decoder_) {
        plate_decoder_->decode(out.data, steps, classes, reading);
    } else {
        decode_greedy(out.data, steps, classes, dictionary_, reading);
    }
}

bool Pipeline::keep(Reading& reading) const {
    reading.text = strip_characters(reading.text, strip_);
    if (reading.text.empty() || reading.score < config_.score_thresh) return false;
    const std::vector<int>& lengths = config_.text_lengths;
    const auto length = static_cast<int>(count_characters(reading.text));
    return lengths.empty() || std::find(lengths.begin(), lengths.end(), length) != lengths.end();
}

void Pipeline::read(const std::string& path, Result& result) {
    Clock clock(result.ms, memory_wanted_ ? &result.peak_kb : nullptr);
    result.plates.clear();
    decoder_.read(path, photo_, scale_rule_);
    result.warnings = decoder_.warnings();
    clock.add(kDecode);
    result.photo = {decoder_.height(), decoder_.width()};
    result.det_input =
        detector_size(result.photo.height, result.photo.width, config_.det_limit_type, config_.det_limit_side);
    detect(path, clock);
    result.boxes = boxes_.size();
    Reading reading;
    for (const Quad& box : boxes_) {
        recognise(path, box, clock, reading);
        if (keep(reading)) result.plates.push_back({box, reading.text, reading.score});
        clock.add(kRecPost);
    }
    clock.total();
}

}  // namespace plate
