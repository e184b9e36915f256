#include "plate/text.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "plate/error.h"

namespace plate {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

std::size_t character_bytes(unsigned char first) {
    if (first >= 0xF0 && first < 0xF8) return 4;
    if (first >= 0xE0) return first < 0xF0 ? 3 : 1;
    return first >= 0xC0 ? 2 : 1;
}

bool is_utf8(std::string_view text) {
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t bytes = utf8_length(text, at);
        if (bytes == 0) return false;
        at += bytes;
    }
    return true;
}

template <typename Each>
void for_each_line(const std::string& text, Each each) {
    std::size_t at = 0;
    for (std::size_t number = 1; at < text.size(); ++number) {
        std::size_t end = text.find('\n', at);
        if (end == std::string::npos) end = text.size();
        std::string line = text.substr(at, end - at);
        while (!line.empty() && line.back() == '\r') line.pop_back();
        each(number, std::move(line));
        at = end + 1;
    }
}

}  // namespace

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

std::string library_reason(std::string_view what) {
    constexpr std::string_view kHeading = "Paddle-Lite C++ Exception:";
    constexpr std::size_t kMost = 600;
    std::string out;
    for (std::size_t at = 0; at < what.size();) {
        const std::size_t end = std::min(what.find('\n', at), what.size());
        std::string_view line = trim(what.substr(at, end - at));
        at = end + 1;
        if (line.substr(0, kHeading.size()) == kHeading) line = trim(line.substr(kHeading.size()));
        // "[F 11/29 12:00:00.000 ...lite/core/program.cc:316 RuntimeProgram] "
        const std::size_t place = line.find("] ");
        if (line.substr(0, 2) == "[F" && place != std::string_view::npos) line = trim(line.substr(place + 2));
        if (line.empty()) continue;
        if (!out.empty()) out += ' ';
        out += line;
    }
    if (out.size() > kMost) {
        // Not in the middle of a character.
        std::size_t cut = kMost;
        while (cut > 0 && (static_cast<unsigned char>(out[cut]) & 0xC0U) == 0x80U) --cut;
        out.resize(cut);
        out += "...";
    }
    return out.empty() ? "no reason given" : out;
}

std::vector<std::string> characters(std::string_view text) {
    std::vector<std::string> out;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t bytes = std::min(character_bytes(static_cast<unsigned char>(text[at])), text.size() - at);
        out.emplace_back(text.substr(at, bytes));
        at += bytes;
    }
    return out;
}

std::size_t count_characters(std::string_view text) {
    return static_cast<std::size_t>(std::count_if(
        text.begin(), text.end(), [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U; }));
}

std::string strip_characters(const std::string& text, const std::vector<std::string>& unwanted) {
    std::string out;
    for (const std::string& character : characters(text)) {
        if (std::find(unwanted.begin(), unwanted.end(), character) == unwanted.end()) out += character;
    }
    return out;
}

std::string_view trim(std::string_view text) {
    constexpr std::string_view kSpace = " \t\r\n\f\v";
    const std::size_t from = text.find_first_not_of(kSpace);
    if (from == std::string_view::npos) return {};
    return text.substr(from, text.find_last_not_of(kSpace) - from + 1);
}

std::string one_line(std::string_view text) {
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t bytes = utf8_length(text, at);
        const auto first = static_cast<unsigned char>(text[at]);
        // U+0080 to U+009F are control characters too, and two bytes in UTF-8.
        const bool control = first < 0x20 || first == 0x7F ||
                             (bytes == 2 && first == 0xC2 && static_cast<unsigned char>(text[at + 1]) < 0xA0);
        if (bytes == 0) {
            out += "\xEF\xBF\xBD";
        } else if (control) {
            out += '?';
        } else {
            out += text.substr(at, bytes);
        }
        at += std::max<std::size_t>(bytes, 1);
    }
    return out;
}

std::string read_text(const std::string& path, const char* what) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
    if (!file) {
        throw Error(ExitCode::kConfig, std::string("cannot open ") + what + " " + path + ": " + std::strerror(errno));
    }
    // Enough for a list of a million photos, and an end for a device that never ends.
    constexpr std::size_t kMaxText = 64U << 20U;
    std::string text;
    char block[1U << 14U];
    while (std::feof(file.get()) == 0 && std::ferror(file.get()) == 0) {
        text.append(block, std::fread(block, 1, sizeof(block), file.get()));
        if (text.size() > kMaxText) {
            throw Error(ExitCode::kConfig, std::string(what) + " " + path + " is larger than 64 MiB");
        }
    }
    if (std::ferror(file.get()) != 0) {
        throw Error(ExitCode::kConfig, std::string("cannot read ") + what + " " + path + ": " + std::strerror(errno));
    }
    if (text.find('\0') != std::string::npos) {
        // Half of UTF-16's bytes are zeros, and numbers would be read up to the first one.
        throw Error(ExitCode::kConfig, std::string(what) + " " + path + " is not UTF-8 text");
    }
    if (text.compare(0, kByteOrderMark.size(), kByteOrderMark) == 0) text.erase(0, kByteOrderMark.size());
    return text;
}

std::vector<std::string> utf8_lines(const std::string& path, const char* what) {
    std::vector<std::string> out;
    for_each_line(read_text(path, what), [&](std::size_t number, std::string line) {
        if (!is_utf8(line)) throw Error(ExitCode::kConfig, path + ", line " + std::to_string(number) + ": not UTF-8");
        out.push_back(std::move(line));
    });
    return out;
}

std::vector<std::string> read_dictionary(const std::string& path) {
    std::vector<std::string> out = utf8_lines(path, "dictionary");
    for (std::size_t i = 0; i < out.size(); ++i) {
        const std::string& line = out[i];
        const std::string where = path + ", line " + std::to_string(i + 1);
        if (line.empty() || count_characters(line) > 8) throw Error(ExitCode::kConfig, where + ": not one character");
    }
    if (out.empty()) throw Error(ExitCode::kConfig, "dictionary " + path + " is empty");
    return out;
}

std::vector<std::string> read_list(const std::string& path) {
    std::vector<std::string> out;
    for_each_line(read_text(path, "list"), [&](std::size_t /*number*/, std::string line) {
        if (!line.empty()) out.push_back(std::move(line));
    });
    return out;
}

}  // namespace plate
