// How often a JPEG makes a decoder go over the whole picture.
#pragma once

#include <cstddef>
#include <cstdint>

namespace plate {

// A scan of a few bytes costs a pass over every block of the picture, so that a small progressive file of thousands of
// them keeps a decoder busy for minutes ("Two Issues with the JPEG Standard", libjpeg-turbo.org). libjpeg-turbo writes
// 10 scans; Skia, with which Android and Chrome decode, gives up at 100, libjpeg-turbo's own fuzzers at 500.
inline constexpr int kMaxScans = 100;

// Counts the scans of a JPEG file up to its end-of-image marker, as a decoder would meet them: pictures inside of
// segments, such as the thumbnail that EXIF data holds, do not count. Damaged files have at least as many scans for
// this function as for stb_image. Stops counting when there are more than `most`.
int count_scans(const std::uint8_t* data, std::size_t size, int most);

}  // namespace plate
