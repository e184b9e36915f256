// Photo in, plates out: the whole way, with the time of each stage.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plate/config.h"
#include "plate/ctc.h"
#include "plate/db_post.h"
#include "plate/decode.h"
#include "plate/geometry.h"
#include "plate/grammar.h"
#include "plate/image.h"
#include "plate/predictor.h"
#include "plate/resize.h"
#include "plate/warp.h"

namespace plate {

enum Stage : std::size_t {
    kDecode,
    kDetPre,
    kDetInfer,
    kDetPost,
    kCrop,
    kRecPre,
    kRecInfer,
    kRecPost,
    kTotal,
    kStages
};

inline constexpr std::array<std::string_view, kStages> kStageNames = {
    "decode", "det_pre", "det_infer", "det_post", "crop", "rec_pre", "rec_infer", "rec_post", "total"};

struct PlateText {
    Quad box;
    std::string text;
    double score = 0;
};

struct Size {
    int height;
    int width;
};

struct Result {
    std::vector<PlateText> plates;
    Size photo{};                         // upright
    Size det_input{};                     // of the detector's network
    std::vector<std::string> warnings;    // of the photo's file, see Decoder
    std::size_t boxes = 0;                // found by the detector, before the recogniser and its filters
    std::array<double, kStages> ms{};     // of the recogniser: sums over the boxes
    std::array<long, kStages> peak_kb{};  // VmHWM when a stage had ended; only while the pipeline watches memory
};

// Sides scaled by the limit, rounded to multiples of 32: the detector's input for a photo.
Size detector_size(int height, int width, const std::string& limit_type, int limit_side);

// The fraction of its sides at which a JPEG is decoded: as `jpeg_scale` says, or by itself the smallest picture that is
// no smaller than the detector's input. Measured on 320 real photos, that loses no plate on balance
// (docs/measuring.md).
int jpeg_scale(int height, int width, const Config& config);

class Pipeline {
  public:
    // Loads both models, the dictionary and the grammar. Throws Error.
    explicit Pipeline(const Config& config);

    // Reads one photo. Throws ImageError when the photo is at fault, Error when a model or the runtime is.
    // All buffers are kept from photo to photo.
    void read(const std::string& path, Result& result);

    // Whether `read` notes the peak memory after every stage. That is not in the times, yet it cools caches.
    void watch_memory(bool wanted) { memory_wanted_ = wanted; }

    const Predictor& detector() const { return *detector_; }
    const Predictor& recogniser() const { return *recogniser_; }
    double detector_load_ms() const { return detector_ms_; }
    double recogniser_load_ms() const { return recogniser_ms_; }

  private:
    class Clock;

    void detect(const std::string& path, Clock& clock);
    void recognise(const std::string& path, const Quad& box, Clock& clock, Reading& reading);
    bool keep(Reading& reading) const;

    Config config_;
    DbOptions db_;
    Normalisation det_norm_;
    Normalisation rec_norm_;
    std::vector<std::string> dictionary_;
    std::vector<std::string> strip_;
    std::optional<PlateDecoder> plate_decoder_;  // only for `decode = plate`
    ScaleRule scale_rule_;

    bool memory_wanted_ = false;
    double detector_ms_ = 0;
    double recogniser_ms_ = 0;
    std::unique_ptr<Predictor> detector_;
    std::unique_ptr<Predictor> recogniser_;

    Decoder decoder_;
    Resizer det_resizer_;
    Resizer rec_resizer_;
    DbPost db_post_;
    Cropper cropper_;
    Image photo_;
    Image crop_;
    std::vector<Quad> boxes_;
};

}  // namespace plate
