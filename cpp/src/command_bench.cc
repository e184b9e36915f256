#include <unistd.h>

#include <chrono>
#include <cmath>
#include <optional>

#include "plate/args.h"
#include "plate/commands.h"
#include "plate/decode.h"
#include "plate/host_info.h"
#include "plate/output.h"
#include "plate/photos.h"
#include "plate/pipeline.h"

namespace plate {
namespace {

struct Limits {
    int warmup;
    double warmup_ms;
    int repeats;
    double min_ms;
    double max_ms;  // 0: none
};

// Runs photos round robin, prints an event for each, and watches that the answers stay the same.
class Bench {
  public:
    Bench(const Config& config, std::vector<std::string> paths)
        : paths_(std::move(paths)),
          answers_(paths_.size()),
          warnings_(paths_.size()),
          usable_(paths_.size(), true),
          pipeline_(config) {}

    ExitCode run(const Config& config, const Limits& limits) {
        print_start(config);
        print_load();
        // Every buffer is made by the first photo, so the first tells which stage the memory is for.
        pipeline_.watch_memory(true);
        const bool readable = step("first", -1);
        pipeline_.watch_memory(false);
        if (readable) {
            const double warm_from = elapsed();
            for (int i = 0; i < limits.warmup || elapsed() - warm_from < limits.warmup_ms; ++i) {
                if (!step("warmup", i)) break;
                ++warmups_;
            }
            const double from = elapsed();
            next_ = 0;
            for (int i = 0; i < limits.repeats || elapsed() - from < limits.min_ms; ++i) {
                if (limits.max_ms > 0 && elapsed() - from >= limits.max_ms) break;
                if (!step("iteration", i)) break;
                ++iterations_;
            }
        }
        print_end();
        if (unread_.empty()) return ExitCode::kOk;
        throw Error(ExitCode::kImages, unread_);
    }

  private:
    double elapsed() const {
        return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start_).count();
    }

    void print_start(const Config& config) {
        const Predictor& model = pipeline_.recogniser();
        const std::vector<int> cpus = affinity();
        json_.clear();
        json_.open_object().item("event", "start").item("schema", "plate-ocr/events/1").item("program", "plate_ocr");
        json_.item("version", program_version()).item("runtime", model.version()).item("compiler", compiler());
        json_.item("abi", abi()).item("pid", std::int64_t{getpid()});
        json_.key("threads").open_object().item("requested", std::int64_t{config.threads});
        json_.item("effective", std::int64_t{model.threads()}).close_object();
        json_.key("power_mode").open_object().item("requested", config.power_mode);
        json_.item("effective", model.power_mode()).close_object();
        json_.key("affinity").open_array();
        for (const int cpu : cpus) json_.integer(cpu);
        json_.close_array().key("cpu_features").open_array();
        for (const std::string& feature : cpu_features()) json_.text(feature);
        json_.close_array().key("config").open_object();
        write_config(config, json_);
        json_.close_object().item("images", static_cast<std::int64_t>(paths_.size()));
        print_line(json_.close_object());
    }

    void print_load() {
        json_.clear();
        json_.open_object().item("event", "load").key("ms").open_object();
        json_.key("det").number(pipeline_.detector_load_ms(), 6);
        json_.key("rec").number(pipeline_.recogniser_load_ms(), 6).close_object().item("jpeg", jpeg_library());
        write_memory();
        print_line(json_.close_object());
    }

    void write_memory() {
        const Memory now = memory();
        json_.item("rss_kb", std::int64_t{now.rss_kb}).item("hwm_kb", std::int64_t{now.hwm_kb});
    }

    // Peak memory after each stage that ran.
    void write_peaks() {
        json_.key("hwm_kb").open_object();
        for (std::size_t stage = 0; stage < kTotal; ++stage) {
            if (result_.peak_kb[stage] > 0) {
                json_.item(std::string(kStageNames[stage]), std::int64_t{result_.peak_kb[stage]});
            }
        }
        json_.close_object();
    }

    // The next photo that can be read; none when all are bad.
    std::optional<std::size_t> choose() {
        for (std::size_t tried = 0; tried < paths_.size(); ++tried) {
            const std::size_t index = next_;
            next_ = next_ + 1 == paths_.size() ? 0 : next_ + 1;
            if (usable_[index]) return index;
        }
        return std::nullopt;
    }

    // Reads one photo and prints its event; a photo that cannot be read is left out from then on. False: none is left.
    bool step(const char* event, int number) {
        while (const std::optional<std::size_t> index = choose()) {
            const double at = elapsed();
            json_.clear();
            try {
                pipeline_.read(paths_[*index], result_);
            } catch (const ImageError& error) {
                drop(*index, error.what());
                continue;
            }
            json_.open_object().item("event", event);
            if (number >= 0) json_.item("i", std::int64_t{number});
            json_.key("t").number(at, 10).item("image", static_cast<std::int64_t>(*index));
            json_.item("plates", static_cast<std::int64_t>(result_.plates.size()));
            json_.item("boxes", static_cast<std::int64_t>(result_.boxes));
            write_times(result_.ms, json_);
            if (number < 0) write_peaks();
            print_line(json_.close_object());
            compare(*index);
            return true;
        }
        return false;
    }

    void drop(std::size_t index, const char* reason) {
        usable_[index] = false;
        unread_ = paths_[index] + ": " + reason;
        json_.open_object().item("event", "error").item("image", static_cast<std::int64_t>(index));
        print_line(json_.item("path", paths_[index]).item("error", reason).close_object());
    }

    void compare(std::size_t index) {
        std::optional<std::vector<PlateText>>& first = answers_[index];
        if (!first) {
            first = result_.plates;
            warnings_[index] = result_.warnings;
        } else if (why_.empty() && !same(*first, result_.plates)) {
            why_ = "the answer for " + paths_[index] + " changed between iterations";
        }
    }

    // Sums in another order may differ in the last digits when threads share them; more is another answer.
    static bool same(const std::vector<PlateText>& a, const std::vector<PlateText>& b) {
        if (a.size() != b.size()) return false;
        for (std::size_t i = 0; i < a.size(); ++i) {
            if (a[i].text != b[i].text || std::abs(a[i].score - b[i].score) > 1e-3) return false;
            for (std::size_t c = 0; c < 4; ++c) {
                if (distance(a[i].box[c], b[i].box[c]) > 0.1) return false;
            }
        }
        return true;
    }

    void print_end() {
        json_.clear();
        json_.open_object().item("event", "end").item("iterations", std::int64_t{iterations_});
        json_.item("warmups", std::int64_t{warmups_}).item("process_threads", std::int64_t{thread_count()});
        write_memory();
        json_.key("answers").open_array();
        for (std::size_t i = 0; i < paths_.size(); ++i) {
            const auto& answer = answers_[i];
            if (!answer) continue;
            json_.open_object().item("image", paths_[i]);
            write_plates(*answer, json_);
            write_warnings(warnings_[i], json_);
            json_.close_object();
        }
        json_.close_array().item("ok", why_.empty() && unread_.empty());
        if (!why_.empty()) json_.item("why", why_);
        if (why_.empty() && !unread_.empty()) json_.item("why", unread_);
        print_line(json_.close_object());
    }

    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
    std::vector<std::string> paths_;
    std::vector<std::optional<std::vector<PlateText>>> answers_;
    std::vector<std::vector<std::string>> warnings_;
    std::vector<bool> usable_;
    Pipeline pipeline_;
    Result result_;
    Json json_;
    std::size_t next_ = 0;
    int warmups_ = 0;
    int iterations_ = 0;
    std::string why_;     // an answer changed
    std::string unread_;  // a photo could not be read
};

}  // namespace

ExitCode command_bench(const Words& words) {
    const Args args(words, {"config", "list", "warmup", "warmup_ms", "repeats", "min_ms", "max_ms"}, true);
    const Limits limits{args.number("warmup", 2, 0), args.real("warmup_ms", 0, 0), args.number("repeats", 10, 1),
                        args.real("min_ms", 0, 0), args.real("max_ms", 0, 0)};
    const Config config = load_config(args.required("config"), args.overrides());
    return Bench(config, photos(args)).run(config, limits);
}

}  // namespace plate
