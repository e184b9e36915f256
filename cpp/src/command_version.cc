#include "plate/args.h"
#include "plate/commands.h"
#include "plate/decode.h"
#include "plate/host_info.h"
#include "plate/output.h"
#include "plate/predictor.h"

namespace plate {

ExitCode command_version(const Words& words) {
    const Args args(words, {"model"}, false);
    if (!args.rest().empty()) throw Error(ExitCode::kUsage, "version takes no argument `" + args.rest()[0] + "`");
    Json json;
    json.open_object().item("program", "plate_ocr").item("version", program_version());
    json.key("runtime");
    if (args.has("model")) {
        json.text(Predictor(args.required("model"), 1, "none").version());
    } else {
        json.null();
        // A function of a loaded predictor is the only one that tells it.
        json.item("why", "Paddle Lite tells its version when a model is loaded: add --model FILE.nb");
    }
    json.item("compiler", compiler()).item("abi", abi()).item("build_flags", build_flags());
    json.item("jpeg", jpeg_library());
    json.key("cpu_features").open_array();
    for (const std::string& feature : cpu_features()) json.text(feature);
    print_line(json.close_array().close_object());
    return ExitCode::kOk;
}

}  // namespace plate
