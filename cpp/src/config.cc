#include "plate/config.h"

#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <set>
#include <string_view>
#include <type_traits>

#include "plate/error.h"
#include "plate/text.h"

namespace plate {
namespace {

// What is wrong with a value; the caller knows where it stands.
class BadValue : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

// Names every key once: reading, checking for missing ones and writing all go through this list.
template <typename ConfigT, typename Visit>
void visit_keys(ConfigT& c, Visit visit) {
    visit("det_model", c.det_model);
    visit("rec_model", c.rec_model);
    visit("dict", c.dict);
    visit("grammar", c.grammar);
    visit("threads", c.threads);
    visit("power_mode", c.power_mode);
    visit("jpeg_scale", c.jpeg_scale);
    visit("det_mean", c.det_mean);
    visit("det_std", c.det_std);
    visit("det_limit_type", c.det_limit_type);
    visit("det_limit_side", c.det_limit_side);
    visit("det_post", c.det_post);
    visit("det_thresh", c.det_thresh);
    visit("det_box_thresh", c.det_box_thresh);
    visit("det_unclip_ratio", c.det_unclip_ratio);
    visit("det_max_candidates", c.det_max_candidates);
    visit("det_min_size", c.det_min_size);
    visit("det_dilation", c.det_dilation);
    visit("box_flip", c.box_flip);
    visit("box_grow", c.box_grow);
    visit("rec_mean", c.rec_mean);
    visit("rec_std", c.rec_std);
    visit("rec_height", c.rec_height);
    visit("rec_width", c.rec_width);
    visit("rec_resize", c.rec_resize);
    visit("decode", c.decode);
    visit("text_strip", c.text_strip);
    visit("text_lengths", c.text_lengths);
    visit("score_thresh", c.score_thresh);
}

std::vector<std::string> split(const std::string& text) {
    std::vector<std::string> parts;
    std::size_t at = 0;
    while (at <= text.size()) {
        const std::size_t end = std::min(text.find(',', at), text.size());
        const std::string_view part = trim(std::string_view(text).substr(at, end - at));
        if (!part.empty()) parts.emplace_back(part);
        at = end + 1;
    }
    return parts;
}

void parse(const std::string& text, std::string& out) {
    out = text;
}

void parse(const std::string& text, bool& out) {
    if (text != "true" && text != "false") throw BadValue("neither true nor false");
    out = text == "true";
}

void parse(const std::string& text, int& out) {
    char* end = nullptr;
    errno = 0;
    const long value = std::strtol(text.c_str(), &end, 10);
    if (text.empty() || *end != '\0') throw BadValue("not a whole number");
    if (errno != 0 || value < -1'000'000'000 || value > 1'000'000'000) throw BadValue("out of range");
    out = static_cast<int>(value);
}

void parse(const std::string& text, double& out) {
    char* end = nullptr;
    out = std::strtod(text.c_str(), &end);
    if (text.empty() || *end != '\0' || !std::isfinite(out)) throw BadValue("not a number");
}

void parse(const std::string& text, std::array<float, 3>& out) {
    const std::vector<std::string> parts = split(text);
    if (parts.size() != out.size()) throw BadValue("not three numbers");
    for (std::size_t i = 0; i < out.size(); ++i) {
        double value = 0;
        parse(parts[i], value);
        out[i] = static_cast<float>(value);
    }
}

void parse(const std::string& text, std::vector<int>& out) {
    out.clear();
    for (const std::string& part : split(text)) {
        int value = 0;
        parse(part, value);
        out.push_back(value);
    }
}

// A bare value ends at ` #`; a value in double quotes has backslash escapes and only a comment after it.
std::string unquote(std::string_view value) {
    if (value.empty() || value[0] != '"') return std::string(trim(value.substr(0, value.find(" #"))));
    std::string out;
    for (std::size_t at = 1; at < value.size(); ++at) {
        if (value[at] == '\\' && at + 1 < value.size()) {
            out += value[++at];
        } else if (value[at] == '"') {
            const std::string_view rest = trim(value.substr(at + 1));
            if (!rest.empty() && rest[0] != '#') throw BadValue("text after the closing quote");
            return out;
        } else {
            out += value[at];
        }
    }
    throw BadValue("no closing quote");
}

void set_key(Config& config, const std::string& key, const std::string& value) {
    visit_keys(config, [&](const char* name, auto& field) {
        if (key == name) parse(value, field);
    });
}

void require(bool good, const char* key, const char* range, const std::string& where) {
    if (!good) throw Error(ExitCode::kConfig, where + ": " + key + " is out of range (" + range + ")");
}

bool no_zero(const std::array<float, 3>& values) {
    return values[0] != 0 && values[1] != 0 && values[2] != 0;
}

bool one_of(const std::string& value, std::initializer_list<const char*> names) {
    for (const char* name : names) {
        if (value == name) return true;
    }
    return false;
}

void check_ranges(const Config& c, const std::string& where) {
    require(c.threads >= 1 && c.threads <= kMaxThreads, "threads", "1 to 64", where);
    require(one_of(c.power_mode, {"high", "low", "full", "none"}), "power_mode", "high, low, full or none", where);
    require(one_of(c.jpeg_scale, {"auto", "1", "2", "4"}), "jpeg_scale", "auto, 1, 2 or 4", where);
    require(no_zero(c.det_std), "det_std", "no zeros", where);
    require(one_of(c.det_limit_type, {"min", "max"}), "det_limit_type", "min or max", where);
    require(c.det_limit_side >= 32 && c.det_limit_side <= 4096, "det_limit_side", "32 to 4096", where);
    require(c.det_post == "db", "det_post", "db", where);
    require(c.det_thresh > 0 && c.det_thresh < 1, "det_thresh", "above 0 and below 1", where);
    require(c.det_box_thresh >= 0 && c.det_box_thresh < 1, "det_box_thresh", "0 to below 1", where);
    require(c.det_unclip_ratio >= 0 && c.det_unclip_ratio <= 10, "det_unclip_ratio", "0 to 10", where);
    require(c.det_max_candidates >= 1 && c.det_max_candidates <= 100'000, "det_max_candidates", "1 to 100000", where);
    require(c.det_min_size >= 1 && c.det_min_size <= 1000, "det_min_size", "1 to 1000", where);
    require(c.box_grow >= 0 && c.box_grow <= 1, "box_grow", "0 to 1", where);
    require(no_zero(c.rec_std), "rec_std", "no zeros", where);
    require(c.rec_height >= 8 && c.rec_height <= 512, "rec_height", "8 to 512", where);
    require(c.rec_width >= 8 && c.rec_width <= 4096, "rec_width", "8 to 4096", where);
    require(one_of(c.rec_resize, {"pad", "stretch"}), "rec_resize", "pad or stretch", where);
    require(one_of(c.decode, {"greedy", "plate"}), "decode", "greedy or plate", where);
    for (const int length : c.text_lengths) require(length >= 1 && length <= 64, "text_lengths", "each 1 to 64", where);
    require(c.score_thresh >= 0 && c.score_thresh <= 1, "score_thresh", "0 to 1", where);
}

std::string beside(const std::string& config_path, const std::string& path) {
    const std::size_t slash = config_path.rfind('/');
    if (path.empty() || path[0] == '/' || slash == std::string::npos) return path;
    return config_path.substr(0, slash + 1) + path;
}

void parse_file(const std::string& path, Config& config) {
    std::set<std::string> seen;
    const std::string text = read_text(path, "config");
    std::size_t at = 0;
    for (std::size_t number = 1; at < text.size(); ++number) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        const std::string_view line = trim(std::string_view(text).substr(at, end - at));
        at = end + 1;
        if (line.empty() || line[0] == '#') continue;
        const std::string where = path + ", line " + std::to_string(number) + ": ";
        const std::size_t equals = line.find('=');
        if (equals == std::string_view::npos) {
            throw Error(ExitCode::kConfig, where + "`" + std::string(line.substr(0, 60)) + "` is not `key = value`");
        }
        const std::string key(trim(line.substr(0, equals)));
        if (!is_config_key(key)) throw Error(ExitCode::kConfig, where + "unknown key `" + key + "`");
        if (!seen.insert(key).second) throw Error(ExitCode::kConfig, where + key + " is given twice");
        try {
            set_key(config, key, unquote(trim(line.substr(equals + 1))));
        } catch (const BadValue& error) {
            throw Error(ExitCode::kConfig, where + key + ": " + error.what());
        }
    }
    std::string missing;
    visit_keys(config, [&](const char* name, auto& /*field*/) {
        if (seen.count(name) == 0) missing += (missing.empty() ? "" : ", ") + std::string(name);
    });
    if (!missing.empty()) {
        throw Error(ExitCode::kConfig, path + ": missing keys: " + missing + " (is the file of an older kit?)");
    }
}

void write_value(Json& json, const std::string& value) {
    json.text(value);
}
void write_value(Json& json, bool value) {
    json.boolean(value);
}
void write_value(Json& json, int value) {
    json.integer(value);
}
void write_value(Json& json, double value) {
    json.number(value);
}
template <typename List>
void write_value(Json& json, const List& values) {
    json.open_array();
    for (const auto value : values) json.number(static_cast<double>(value));
    json.close_array();
}

}  // namespace

bool is_config_key(const std::string& key) {
    bool found = false;
    Config config;
    visit_keys(config, [&](const char* name, auto& /*field*/) { found = found || key == name; });
    return found;
}

Config load_config(const std::string& path, const std::vector<Override>& overrides) {
    Config config;
    parse_file(path, config);
    for (std::string* file : {&config.det_model, &config.rec_model, &config.dict, &config.grammar})
        *file = beside(path, *file);
    check_ranges(config, path);
    for (const auto& [key, value] : overrides) {
        try {
            set_key(config, key, value);
        } catch (const BadValue& error) {
            throw Error(ExitCode::kUsage, "--" + key + " " + value + ": " + error.what());
        }
    }
    try {
        check_ranges(config, "options");
    } catch (const Error& error) {
        throw Error(ExitCode::kUsage, error.what());
    }
    return config;
}

void write_config(const Config& config, Json& json) {
    visit_keys(config, [&](const char* name, const auto& value) {
        json.key(name);
        write_value(json, value);
    });
}

}  // namespace plate
