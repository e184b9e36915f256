#include "plate/args.h"
#include "plate/commands.h"
#include "plate/output.h"
#include "plate/photos.h"
#include "plate/pipeline.h"

namespace plate {

ExitCode command_run(const Words& words) {
    const Args args(words, {"config", "list"}, true);
    const Config config = load_config(args.required("config"), args.overrides());
    const std::vector<std::string> paths = photos(args);
    Pipeline pipeline(config);
    Result result;
    Json json;
    std::size_t unread = 0;
    std::string reason;
    for (const std::string& path : paths) {
        json.clear();
        json.open_object().item("image", path);
        try {
            pipeline.read(path, result);
            write_size("size", result.photo, json);
            write_size("det_input", result.det_input, json);
            json.item("boxes", static_cast<std::int64_t>(result.boxes));
            write_plates(result.plates, json);
            write_warnings(result.warnings, json);
            write_times(result.ms, json);
        } catch (const ImageError& error) {
            ++unread;
            reason = path + ": " + error.what();
            json.item("error", error.what());
        }
        print_line(json.close_object());
    }
    if (unread == 0) return ExitCode::kOk;
    throw Error(ExitCode::kImages, std::to_string(unread) + " of " + std::to_string(paths.size()) +
                                       " images could not be read; the last was " + reason);
}

}  // namespace plate
