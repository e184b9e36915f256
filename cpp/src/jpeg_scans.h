// What a JPEG's markers tell before it is decoded: of which kind it is, and how often it makes a decoder go over the
// whole picture.
#pragma once

#include <cstddef>
#include <cstdint>

namespace plate {

// A scan of a few bytes costs a pass over every block of the picture, so that a small progressive file of thousands of
// them keeps a decoder busy for minutes ("Two Issues with the JPEG Standard", libjpeg-turbo.org). libjpeg-turbo writes
// 10 scans; Skia, with which Android and Chrome decode, gives up at 100, libjpeg-turbo's own fuzzers at 500.
inline constexpr int kMaxScans = 100;

// Counts the scans of a JPEG file up to its end-of-image marker, as a decoder would meet them: pictures inside
// segments, such as the thumbnail that EXIF data holds, do not count. Damaged files have at least as many scans for
// this function as for a decoder. Stops counting when there are more than `most`.
int count_scans(const std::uint8_t* data, std::size_t size, int most);

// Throws ImageError, which names it, for a kind of JPEG that is sound and yet not read: more than 8 bits a sample,
// without loss, hierarchical, and where `arithmetic` is false with arithmetic coding.
void check_kind(const std::uint8_t* data, std::size_t size, bool arithmetic);

}  // namespace plate
