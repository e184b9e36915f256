#include "plate/decode.h"

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>

#include "jpeg_kernels.h"
#include "jpeg_scans.h"
#include "plate/error.h"
#include "plate/exif.h"
#include "stb.h"

namespace plate {
namespace {

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

void read_file(const std::string& path, std::vector<std::uint8_t>& out) {
    constexpr std::size_t kMaxFile = 256U << 20U;
    constexpr std::size_t kBlock = 1U << 18U;
    const File file(std::fopen(path.c_str(), "rb"), &std::fclose);
    if (!file) throw ImageError(std::string("cannot open: ") + std::strerror(errno));
    out.clear();
    while (true) {
        const std::size_t had = out.size();
        out.resize(had + kBlock);
        const std::size_t got = std::fread(out.data() + had, 1, kBlock, file.get());
        out.resize(had + got);
        if (got < kBlock) break;
        if (out.size() > kMaxFile) throw ImageError("larger than 256 MiB");
    }
    if (std::ferror(file.get()) != 0) throw ImageError(std::string("cannot read: ") + std::strerror(errno));
}

enum class Kind { kJpeg, kPng, kOther };

constexpr std::size_t kPngHeader = 24;

// Whether the header is the first chunk, as it must be. Apple's own variant, which stb_image reads too, has another one
// before it: the size would be looked for in the wrong place, and a picture of any size be taken for a small one.
bool begins_with_header(const std::uint8_t* data) {
    return std::memcmp(data + 12, "IHDR", 4) == 0;
}

Kind kind_of(const std::uint8_t* data, std::size_t size) {
    if (size >= 3 && std::memcmp(data, "\xFF\xD8\xFF", 3) == 0) return Kind::kJpeg;
    return size >= 8 && std::memcmp(data, "\x89PNG\r\n\x1a\n", 8) == 0 ? Kind::kPng : Kind::kOther;
}

// Negative where a PNG's size does not fit, which it may not.
int big_endian(const std::uint8_t* p) {
    return static_cast<int>(static_cast<std::uint32_t>(p[0]) << 24U | static_cast<std::uint32_t>(p[1]) << 16U |
                            static_cast<std::uint32_t>(p[2]) << 8U | p[3]);
}

// Why stb_image failed. It quotes the names of unknown PNG chunks, which may be any bytes.
std::string reason() {
    const char* told = stbi_failure_reason();
    std::string text = told == nullptr ? "out of memory" : told;
    for (char& c : text) c = c >= ' ' && c <= '~' ? c : '?';
    // A name that begins with a zero ends there.
    return text.empty() ? "a PNG chunk not known" : text;
}

}  // namespace

void Decoder::read(const std::string& path, Image& out) {
    try {
        read_file(path, file_);
        decode(file_.data(), file_.size(), out);
    } catch (const std::bad_alloc&) {
        throw ImageError("not enough memory to decode it");
    }
}

void Decoder::decode(std::uint8_t* data, std::size_t size, Image& out) {
    if (size == 0) throw ImageError("the file is empty");
    const int length = size > INT_MAX ? INT_MAX : static_cast<int>(size);
    const Kind kind = kind_of(data, size);
    if (kind == Kind::kJpeg) disarm_huffman_tables(data, size);
    if (kind == Kind::kOther) throw ImageError("neither a JPEG nor a PNG file");
    int width = 0;
    int height = 0;
    int channels = 0;
    if (kind == Kind::kPng && size >= kPngHeader) {
        if (!begins_with_header(data)) throw ImageError("damaged: it does not begin with a PNG header");
        // stb_image's own limit is about bytes, and its message names no size.
        width = big_endian(data + 16);
        height = big_endian(data + 20);
    } else if (stbi_info_from_memory(data, length, &width, &height, &channels) == 0) {
        throw ImageError("damaged: its header cannot be read");
    }
    if (width <= 0 || height <= 0) throw ImageError("damaged: it has no size");
    if (static_cast<std::int64_t>(width) * height > kMaxPixels) {
        throw ImageError(std::to_string(width) + "x" + std::to_string(height) + " pixels; at most " +
                         std::to_string(kMaxPixels) + " are read");
    }
    if (kind == Kind::kJpeg && count_scans(data, size, kMaxScans) > kMaxScans) {
        throw ImageError("more than " + std::to_string(kMaxScans) +
                         " scans, which would take very long: save it again as an ordinary JPEG");
    }
    std::uint8_t* pixels = stb_decode(data, length, &width, &height);
    if (pixels == nullptr) throw ImageError(std::string("damaged: it cannot be decoded (") + reason() + ")");

    const int orientation = exif_orientation(data, size);
    Image& target = orientation == 1 ? out : turned_;
    target.adopt(pixels, width, height);
    if (orientation != 1) apply_orientation(turned_, orientation, out);
}

}  // namespace plate
