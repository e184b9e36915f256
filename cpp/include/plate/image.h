// An 8-bit picture in memory. Four bytes a pixel (red, green, blue, unused) keep every pixel aligned, so that the
// loops over it vectorise without shuffling triplets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace plate {

inline constexpr int kPixelBytes = 4;

struct Image {
    int width = 0;
    int height = 0;
    std::vector<std::uint8_t> pixels;  // RGBx, rows without padding

    // Sets the size. Content is undefined afterwards; memory only ever grows, so that a reused image allocates once.
    void resize(int new_width, int new_height) {
        width = new_width;
        height = new_height;
        pixels.resize(static_cast<std::size_t>(new_width) * static_cast<std::size_t>(new_height) * kPixelBytes);
    }
    std::size_t stride() const { return static_cast<std::size_t>(width) * kPixelBytes; }
    const std::uint8_t* row(int y) const { return pixels.data() + static_cast<std::size_t>(y) * stride(); }
    std::uint8_t* row(int y) { return pixels.data() + static_cast<std::size_t>(y) * stride(); }
};

}  // namespace plate
