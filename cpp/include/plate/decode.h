// Photo file -> Image.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "plate/image.h"

namespace plate {

// Larger pictures are refused by their header alone, before memory is asked for.
inline constexpr std::int64_t kMaxPixels = 100'000'000;

// Which fraction of its sides a JPEG of a width and height is decoded at: 1, 2 or 4 for whole, half or quarter sides.
using ScaleRule = std::function<int(int width, int height)>;

// The library that decodes JPEGs and its version, such as `libjpeg-turbo 2.1.5`.
const char* jpeg_library();

// Reads files into a buffer that is reused from photo to photo.
class Decoder {
  public:
    // Reads and decodes a JPEG or PNG file, and turns it upright as its EXIF orientation says. A JPEG's picture has the
    // sides that `rule` asks for (rounded up), everything else its own. Throws ImageError with a reason; `out` is
    // undefined then.
    void read(const std::string& path, Image& out, const ScaleRule& rule = {});

    // The same for a file that is already in memory, where damaged parts of a JPEG may be made harmless.
    void decode(std::uint8_t* data, std::size_t size, Image& out, const ScaleRule& rule = {});

    // Of the photo that was read last: its sides as the file has them, upright, and the fraction that was decoded.
    int width() const { return width_; }
    int height() const { return height_; }
    int scale() const { return scale_; }

    // What was wrong with its file, though its picture is there.
    const std::vector<std::string>& warnings() const { return warnings_; }

  private:
    void decode_jpeg(std::uint8_t* data, std::size_t size, const ScaleRule& rule, Image& out);
    void decode_png(const std::uint8_t* data, std::size_t size, Image& out);
    void set_size(int width, int height);

    std::vector<std::uint8_t> file_;
    std::vector<std::string> warnings_;
    Image turned_;
    int width_ = 0;
    int height_ = 0;
    int scale_ = 1;
};

}  // namespace plate
