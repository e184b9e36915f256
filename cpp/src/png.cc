// Compiles the PNG part of stb_image (a library of one header). Its warnings are its authors'.
#include "png.h"

#include <algorithm>
#include <array>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <string>

#include "plate/error.h"

namespace {

// Bytes that a piece of memory may grow to. stb_image grows one for a PNG's compressed parts by the lengths that the
// file claims, and one for what comes out of them without an end: a megabyte of a hostile file unpacks to a gigabyte.
thread_local std::size_t most_bytes = 0;

void* grow_memory(void* old, std::size_t bytes) {
    return bytes > most_bytes ? nullptr : std::realloc(old, bytes);
}

}  // namespace

#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#define STBI_ONLY_PNG
#define STBI_MAX_DIMENSIONS (1 << 24)
#define STBI_MALLOC(bytes) std::malloc(bytes)
#define STBI_REALLOC(old, bytes) grow_memory(old, bytes)
#define STBI_FREE(old) std::free(old)
#include <stb/stb_image.h>

namespace plate {
namespace {

constexpr std::size_t kSignature = 8;
constexpr std::size_t kHeader = 24;  // signature, length, name, width and height

std::uint32_t big_endian(const std::uint8_t* p) {
    return static_cast<std::uint32_t>(p[0]) << 24U | static_cast<std::uint32_t>(p[1]) << 16U |
           static_cast<std::uint32_t>(p[2]) << 8U | p[3];
}

constexpr std::array<std::uint32_t, 256> crc_table() {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < table.size(); ++i) {
        std::uint32_t value = i;
        for (int bit = 0; bit < 8; ++bit) value = (value & 1U) != 0 ? 0xEDB88320U ^ value >> 1U : value >> 1U;
        table[i] = value;
    }
    return table;
}

std::uint32_t crc_of(const std::uint8_t* data, std::size_t size) {
    static constexpr std::array<std::uint32_t, 256> kTable = crc_table();
    std::uint32_t crc = 0xFFFFFFFFU;
    for (std::size_t i = 0; i < size; ++i) crc = kTable[(crc ^ data[i]) & 0xFFU] ^ crc >> 8U;
    return ~crc;
}

// Of the chunks that a picture is made of; their names begin with a capital. libpng passes over others that are bad.
void check_sums(const std::uint8_t* data, std::size_t size) {
    for (std::size_t at = kSignature; at < size && size - at >= 12;) {
        const std::size_t length = big_endian(data + at);
        if (length > size - at - 12) return;  // cut off: the decoder says so
        const std::uint8_t* name = data + at + 4;
        const bool needed = (name[0] & 0x20U) == 0;
        if (needed && crc_of(name, length + 4) != big_endian(name + 4 + length)) {
            throw ImageError("damaged: a checksum (CRC) of the PNG does not fit");
        }
        if (std::memcmp(name, "IEND", 4) == 0) return;
        at += length + 12;
    }
}

// Why stb_image failed. It quotes the names of unknown PNG chunks, which may be any bytes.
std::string reason() {
    const char* told = stbi_failure_reason();
    std::string text = told == nullptr ? "out of memory" : told;
    for (char& c : text) c = c >= ' ' && c <= '~' ? c : '?';
    // A name that begins with a zero ends there.
    return text.empty() ? "an unknown PNG chunk" : text;
}

}  // namespace

Png::Png(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {
    if (size < kHeader) throw ImageError("damaged: its header cannot be read");
    // Apple's own variant, which stb_image reads too, has another chunk before the header: the size would be looked for
    // in the wrong place, and a picture of any size be taken for a small one.
    if (std::memcmp(data + kSignature + 4, "IHDR", 4) != 0) {
        throw ImageError("damaged: it does not begin with a PNG header");
    }
    // Negative where a size does not fit, which it may not.
    width_ = static_cast<int>(big_endian(data + 16));
    height_ = static_cast<int>(big_endian(data + 20));
}

void Png::decode(Image& out) const {
    check_sums(data_, size_);
    // A row has at most eight bytes a pixel and one of its own; pieces grow by doubling.
    const std::size_t rows = (8 * static_cast<std::size_t>(width_) + 1) * static_cast<std::size_t>(height_);
    most_bytes = 2 * std::max(rows, size_) + (1U << 16U);
    int width = 0;
    int height = 0;
    int channels = 0;
    const int length = size_ > INT_MAX ? INT_MAX : static_cast<int>(size_);
    std::uint8_t* pixels = stbi_load_from_memory(data_, length, &width, &height, &channels, kPixelBytes);
    if (pixels == nullptr) throw ImageError("damaged: it cannot be decoded (" + reason() + ")");
    out.adopt(pixels, width, height);
}

}  // namespace plate
