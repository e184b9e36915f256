#include "plate/json.h"

#include <cmath>
#include <cstddef>
#include <cstdio>

#include "plate/text.h"

namespace plate {
namespace {

void append_quoted(std::string& out, std::string_view text) {
    out += '"';
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t length = utf8_length(text, at);
        if (length == 0) {
            out += "\xEF\xBF\xBD";
            ++at;
            continue;
        }
        const auto byte = static_cast<unsigned char>(text[at]);
        if (byte == '"' || byte == '\\') {
            out += '\\';
            out += text[at];
        } else if (byte < 0x20 || byte == 0x7F) {
            char escape[8];
            std::snprintf(escape, sizeof(escape), "\\u%04x", static_cast<unsigned>(byte));
            out += escape;
        } else {
            out += text.substr(at, length);
        }
        at += length;
    }
    out += '"';
}

}  // namespace

void Json::clear() {
    out_.clear();
    comma_ = false;
}

void Json::separate() {
    if (comma_) out_ += ", ";
    comma_ = true;
}

Json& Json::open(char bracket) {
    separate();
    out_ += bracket;
    comma_ = false;
    return *this;
}

Json& Json::close(char bracket) {
    out_ += bracket;
    comma_ = true;
    return *this;
}

Json& Json::key(std::string_view name) {
    separate();
    append_quoted(out_, name);
    out_ += ": ";
    comma_ = false;
    return *this;
}

Json& Json::text(std::string_view value) {
    separate();
    append_quoted(out_, value);
    return *this;
}

Json& Json::integer(std::int64_t value) {
    separate();
    out_ += std::to_string(value);
    return *this;
}

Json& Json::boolean(bool value) {
    separate();
    out_ += value ? "true" : "false";
    return *this;
}

Json& Json::null() {
    separate();
    out_ += "null";
    return *this;
}

Json& Json::number(double value, int digits) {
    if (!std::isfinite(value)) return null();
    separate();
    char text[40];
    std::snprintf(text, sizeof(text), "%.*g", digits, value);
    out_ += text;
    return *this;
}

}  // namespace plate
