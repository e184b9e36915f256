// Photo file -> Image.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "plate/image.h"

namespace plate {

// Larger pictures are refused by their header alone, before memory is asked for.
inline constexpr std::int64_t kMaxPixels = 100'000'000;

// Reads files into a buffer that is reused from photo to photo.
class Decoder {
  public:
    // Reads and decodes a JPEG or PNG file, and turns it upright as its EXIF orientation says.
    // Throws ImageError with a reason; `out` is undefined then.
    void read(const std::string& path, Image& out);

    // The same for a file that is already in memory, where damaged parts of a JPEG are made harmless.
    void decode(std::uint8_t* data, std::size_t size, Image& out);

  private:
    std::vector<std::uint8_t> file_;
    Image turned_;
};

}  // namespace plate
