#include "plate/exif.h"

#include <cstring>

namespace plate {
namespace {

// A TIFF structure: byte order mark, then directories of 12-byte entries. Everything is bounds-checked, since a
// photo may come from anywhere.
class Tiff {
  public:
    Tiff(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}

    int orientation() const {
        if (size_ < 8) return 1;
        const bool big = data_[0] == 'M' && data_[1] == 'M';
        const bool little = data_[0] == 'I' && data_[1] == 'I';
        if ((!big && !little) || read(2, 2, big) != 42) return 1;
        const std::size_t directory = read(4, 4, big);
        if (directory > size_ || size_ - directory < 2) return 1;
        const std::size_t count = read(directory, 2, big);
        for (std::size_t i = 0; i < count; ++i) {
            const std::size_t entry = directory + 2 + i * 12;
            if (entry + 12 > size_) return 1;
            if (read(entry, 2, big) != 0x0112) continue;
            const auto value = static_cast<int>(read(entry + 8, 2, big));
            return value >= 1 && value <= 8 ? value : 1;
        }
        return 1;
    }

  private:
    std::uint32_t read(std::size_t at, int bytes, bool big) const {
        std::uint32_t value = 0;
        for (int i = 0; i < bytes; ++i) {
            const int shift = 8 * (big ? bytes - 1 - i : i);
            value |= static_cast<std::uint32_t>(data_[at + static_cast<std::size_t>(i)]) << shift;
        }
        return value;
    }

    const std::uint8_t* data_;
    std::size_t size_;
};

std::size_t be16(const std::uint8_t* p) {
    return static_cast<std::size_t>(p[0]) << 8 | p[1];
}

std::size_t be32(const std::uint8_t* p) {
    return be16(p) << 16 | be16(p + 2);
}

int jpeg_orientation(const std::uint8_t* data, std::size_t size) {
    std::size_t at = 2;
    while (at + 4 <= size && data[at] == 0xFF) {
        const std::uint8_t marker = data[at + 1];
        if (marker == 0xFF) {  // fill byte
            ++at;
            continue;
        }
        if (marker == 0xDA || marker == 0xD9) break;  // pixels follow, or the end
        const std::size_t length = be16(data + at + 2);
        if (length < 2 || at + 2 + length > size) break;
        const std::uint8_t* body = data + at + 4;
        if (marker == 0xE1 && length >= 8 && std::memcmp(body, "Exif\0\0", 6) == 0) {
            return Tiff(body + 6, length - 8).orientation();
        }
        at += 2 + length;
    }
    return 1;
}

int png_orientation(const std::uint8_t* data, std::size_t size) {
    std::size_t at = 8;
    while (at + 12 <= size) {
        const std::size_t length = be32(data + at);
        if (length > size - at - 12) break;
        const std::uint8_t* kind = data + at + 4;
        if (std::memcmp(kind, "eXIf", 4) == 0) return Tiff(kind + 4, length).orientation();
        if (std::memcmp(kind, "IDAT", 4) == 0) break;
        at += length + 12;
    }
    return 1;
}

}  // namespace

int exif_orientation(const std::uint8_t* data, std::size_t size) {
    if (size >= 4 && data[0] == 0xFF && data[1] == 0xD8) return jpeg_orientation(data, size);
    if (size >= 8 && std::memcmp(data, "\x89PNG\r\n\x1a\n", 8) == 0) return png_orientation(data, size);
    return 1;
}

void apply_orientation(const Image& in, int orientation, Image& out) {
    const bool swap = orientation >= 5;
    out.resize(swap ? in.height() : in.width(), swap ? in.width() : in.height());
    // Where the stored picture starts and which way it runs, seen from the upright one.
    const bool from_right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    const bool from_bottom = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    for (int y = 0; y < out.height(); ++y) {
        for (int x = 0; x < out.width(); ++x) {
            const int along = swap ? y : x;
            const int across = swap ? x : y;
            const int from_x = from_right ? in.width() - 1 - along : along;
            const int from_y = from_bottom ? in.height() - 1 - across : across;
            std::memcpy(out.pixel(x, y), in.pixel(from_x, from_y), kPixelBytes);
        }
    }
}

}  // namespace plate
