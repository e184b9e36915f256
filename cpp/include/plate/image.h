// An 8-bit picture in memory. Four bytes a pixel (red, green, blue, unused) keep every pixel aligned, so that the
// loops over it vectorise without shuffling triplets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

namespace plate {

inline constexpr int kPixelBytes = 4;

// Rows of RGBx pixels without padding. Memory only ever grows, so that a picture that is used again and again allocates
// once; it is malloc's, so that a decoder's can be taken over without a copy.
class Image {
  public:
    int width() const { return width_; }
    int height() const { return height_; }
    std::size_t stride() const { return static_cast<std::size_t>(width_) * kPixelBytes; }
    std::size_t bytes() const { return stride() * static_cast<std::size_t>(height_); }
    const std::uint8_t* row(int y) const { return pixels_.get() + static_cast<std::size_t>(y) * stride(); }
    std::uint8_t* row(int y) { return pixels_.get() + static_cast<std::size_t>(y) * stride(); }
    const std::uint8_t* pixel(int x, int y) const { return row(y) + static_cast<std::size_t>(x) * kPixelBytes; }
    std::uint8_t* pixel(int x, int y) { return row(y) + static_cast<std::size_t>(x) * kPixelBytes; }

    // Sets the size; content is undefined afterwards. Throws std::bad_alloc.
    void resize(int width, int height) {
        width_ = width;
        height_ = height;
        if (bytes() <= capacity_) return;
        pixels_.reset();  // before the larger piece is asked for
        capacity_ = 0;
        pixels_.reset(static_cast<std::uint8_t*>(std::malloc(bytes())));
        if (!pixels_) {
            width_ = height_ = 0;
            throw std::bad_alloc();
        }
        capacity_ = bytes();
    }

    // Takes over memory that malloc gave.
    void adopt(std::uint8_t* pixels, int width, int height) {
        pixels_.reset(pixels);
        width_ = width;
        height_ = height;
        capacity_ = bytes();
    }

  private:
    struct Free {
        void operator()(std::uint8_t* p) const { std::free(p); }
    };
    int width_ = 0;
    int height_ = 0;
    std::size_t capacity_ = 0;
    std::unique_ptr<std::uint8_t, Free> pixels_;
};

}  // namespace plate
