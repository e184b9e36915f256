#include "plate/output.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "plate/error.h"

namespace plate {

void print_line(const Json& json) {
    const std::string& line = json.str();
    errno = 0;
    const bool good = std::fwrite(line.data(), 1, line.size(), stdout) == line.size() &&
                      std::fputc('\n', stdout) != EOF && std::fflush(stdout) == 0;
    if (!good) throw Error(ExitCode::kOutput, std::string("cannot write to standard output: ") + std::strerror(errno));
}

void write_times(const std::array<double, kStages>& ms, Json& json) {
    json.key("ms").open_object();
    for (std::size_t stage = 0; stage < kStages; ++stage) json.key(kStageNames[stage]).number(ms[stage], 6);
    json.close_object();
}

void write_size(const char* key, Size size, Json& json) {
    json.key(key).open_array().integer(size.width).integer(size.height).close_array();
}

void write_plates(const std::vector<PlateText>& plates, Json& json) {
    json.key("plates").open_array();
    for (const PlateText& plate : plates) {
        json.open_object().key("box").open_array();
        for (const Point corner : plate.box) json.open_array().number(corner.x).number(corner.y).close_array();
        json.close_array().item("text", plate.text).key("score").number(plate.score).close_object();
    }
    json.close_array();
}

void write_warnings(const std::vector<std::string>& warnings, Json& json) {
    if (warnings.empty()) return;
    json.key("warnings").open_array();
    for (const std::string& warning : warnings) json.text(warning);
    json.close_array();
}

}  // namespace plate
