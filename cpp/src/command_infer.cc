#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>

#include "plate/args.h"
#include "plate/commands.h"
#include "plate/output.h"
#include "plate/predictor.h"

namespace plate {
namespace {

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

std::vector<std::int64_t> parse_shape(const std::string& text) {
    constexpr std::int64_t kMostValues = std::int64_t{1} << 30;
    std::vector<std::int64_t> shape;
    std::int64_t values = 1;
    const char* at = text.c_str();
    while (true) {
        char* end = nullptr;
        const long side = std::strtol(at, &end, 10);
        if (end == at || side < 1 || side > 65536) break;
        shape.push_back(side);
        values *= side;
        if (values > kMostValues) throw Error(ExitCode::kUsage, "--shape " + text + " has more than 2^30 values");
        if (*end == '\0') {
            if (shape.size() == 4) return shape;
            break;
        }
        if (*end != ',') break;
        at = end + 1;
    }
    throw Error(ExitCode::kUsage, "--shape " + text + " is not four numbers such as 1,3,48,320");
}

void read_floats(const std::string& path, float* to, std::size_t count) {
    const File file(std::fopen(path.c_str(), "rb"), &std::fclose);
    if (!file) throw Error(ExitCode::kConfig, "cannot open " + path + ": " + std::strerror(errno));
    char extra = 0;
    if (std::fread(to, sizeof(float), count, file.get()) != count || std::fread(&extra, 1, 1, file.get()) != 0) {
        throw Error(ExitCode::kConfig, path + " does not hold exactly " + std::to_string(count) + " float32 values");
    }
}

void write_floats(const std::string& path, const Tensor& tensor) {
    File file(std::fopen(path.c_str(), "wb"), &std::fclose);
    const auto count = static_cast<std::size_t>(tensor.count());
    const bool written = file && std::fwrite(tensor.data, sizeof(float), count, file.get()) == count;
    const bool closed = file && std::fclose(file.release()) == 0;
    if (!written || !closed) throw Error(ExitCode::kOutput, "cannot write " + path + ": " + std::strerror(errno));
}

void write_statistics(const Tensor& tensor, Json& json) {
    double least = std::numeric_limits<double>::infinity();
    double most = -least;
    double sum = 0;
    std::int64_t nan = 0;
    for (std::int64_t i = 0; i < tensor.count(); ++i) {
        const auto value = static_cast<double>(tensor.data[i]);
        if (std::isnan(value)) {
            ++nan;
            continue;
        }
        least = std::fmin(least, value);
        most = std::fmax(most, value);
        sum += value;
    }
    const std::int64_t good = tensor.count() - nan;
    json.key("min").number(least, 9).key("max").number(most, 9);
    json.key("mean").number(good > 0 ? sum / static_cast<double>(good) : std::nan(""), 9).item("nan", nan);
}

}  // namespace

ExitCode command_infer(const Words& words) {
    const Args args(words, {"model", "shape", "input", "output", "threads", "power_mode", "repeats"}, false);
    if (!args.rest().empty()) throw Error(ExitCode::kUsage, "infer takes no argument `" + args.rest()[0] + "`");
    const std::vector<std::int64_t> shape = parse_shape(args.required("shape"));
    const std::string& input = args.required("input");
    Predictor predictor(args.required("model"), args.number("threads", 1, 1, kMaxThreads),
                        args.value("power_mode", "none"));
    const int repeats = args.number("repeats", 1, 1);

    Json json;
    json.open_object().item("model", predictor.path()).item("runtime", predictor.version());
    json.key("ms").open_array();
    Tensor output;
    for (int i = 0; i < repeats; ++i) {
        // Filled anew every time, since a model may use its input as working memory.
        const Tensor wanted{nullptr, shape};
        read_floats(input, predictor.input(shape), static_cast<std::size_t>(wanted.count()));
        const auto start = std::chrono::steady_clock::now();
        output = predictor.run();
        json.number(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count(), 6);
    }
    json.close_array().key("shape").open_array();
    for (const std::int64_t side : output.shape) json.integer(side);
    json.close_array();
    write_statistics(output, json);
    if (args.has("output")) write_floats(args.required("output"), output);
    print_line(json.close_object());
    return ExitCode::kOk;
}

}  // namespace plate
