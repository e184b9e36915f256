// How a camera was held: the EXIF orientation of a JPEG or PNG file.
#pragma once

#include <cstddef>
#include <cstdint>

#include "plate/image.h"

namespace plate {

// Returns 1..8 (TIFF tag 0x0112), and 1 where there is none or it cannot be understood.
int exif_orientation(const std::uint8_t* data, std::size_t size);

// Writes `in` to `out` so that a picture of that orientation stands upright. Orientations 5..8 swap the sides.
void apply_orientation(const Image& in, int orientation, Image& out);

}  // namespace plate
