// Decoding a PNG with stb_image, which leaves out what a PNG guards itself with: that is checked here.
#pragma once

#include <cstddef>
#include <cstdint>

#include "plate/image.h"

namespace plate {

class Png {
  public:
    // Reads the header of a file that begins as a PNG does; the file must outlive it. Throws ImageError.
    Png(const std::uint8_t* data, std::size_t size);

    int width() const { return width_; }
    int height() const { return height_; }

    // Throws ImageError: damaged, or a checksum does not fit.
    void decode(Image& out) const;

  private:
    const std::uint8_t* data_;
    std::size_t size_;
    int width_ = 0;
    int height_ = 0;
};

}  // namespace plate
