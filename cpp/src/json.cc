#include "plate/json.h"

#include <cmath>
#include <cstddef>
#include <cstdio>

namespace plate {
namespace {

// Bytes of the well-formed UTF-8 character at `at` (Unicode standard, table 3-7), 0 when there is none.
std::size_t utf8_length(std::string_view text, std::size_t at) {
    const auto byte = [&](std::size_t i) -> unsigned {
        return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0U;
    };
    const auto tail = [&](std::size_t i) { return (byte(i) & 0xC0U) == 0x80U; };
    const unsigned first = byte(0);
    if (first < 0x80) return 1;
    if (first >= 0xC2 && first <= 0xDF) return tail(1) ? 2 : 0;
    if (first >= 0xE0 && first <= 0xEF) {
        const bool overlong = first == 0xE0 && byte(1) < 0xA0;
        const bool surrogate = first == 0xED && byte(1) > 0x9F;
        return tail(1) && tail(2) && !overlong && !surrogate ? 3 : 0;
    }
    if (first >= 0xF0 && first <= 0xF4) {
        const bool overlong = first == 0xF0 && byte(1) < 0x90;
        const bool beyond = first == 0xF4 && byte(1) > 0x8F;
        return tail(1) && tail(2) && tail(3) && !overlong && !beyond ? 4 : 0;
    }
    return 0;
}

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
