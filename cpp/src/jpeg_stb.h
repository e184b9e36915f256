// Decoding a JPEG with stb_image, where libjpeg-turbo is not available: baseline and progressive files without a fault.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "plate/image.h"

namespace plate {

// One JPEG file in memory, which must outlive it; as TurboJpeg.
class StbJpeg {
  public:
    static constexpr bool kArithmetic = false;

    // Reads the header, and makes damaged parts of the file harmless. Throws ImageError.
    StbJpeg(std::uint8_t* data, std::size_t size);

    int width() const { return width_; }
    int height() const { return height_; }

    // Decodes it whole, and shrinks it by the mean of `scale` x `scale` pixels, which is near to what libjpeg-turbo
    // does. There are no warnings: what is not perfect is refused. Throws ImageError.
    void decode(int scale, Image& out, std::vector<std::string>& warnings);

    static const char* library();

  private:
    std::uint8_t* data_;
    int size_;
    int width_ = 0;
    int height_ = 0;
};

}  // namespace plate
