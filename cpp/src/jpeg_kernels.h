// What the kit does itself of decoding a JPEG: the three steps in which decoders differ (inverse transform, chroma
// upsampling, colour), and a check that stb_image lacks.
//
// The models were trained on, and the reference reads, pixels that libjpeg decoded. These give the same ones to the
// last bit (its "slow integer" transform, its triangle filter, its 16-bit colour factors), where stb_image's own differ
// by up to 3 of 255, enough to change what a weak detector or recogniser says of a bad photo.
#pragma once

#include <cstddef>
#include <cstdint>

namespace plate {

// Takes the marker from every definition of Huffman tables that has more than the 256 codes a table can hold:
// stb_image (before 2.29) would write beyond the table. Such a file then cannot be decoded; no good one is changed.
// The work is in proportion to `size`, whatever the file holds.
void disarm_huffman_tables(std::uint8_t* data, std::size_t size);

// Inverse DCT of 64 dequantised coefficients, rows of eight; writes 8x8 samples.
void jpeg_inverse_dct(std::uint8_t* out, int stride, short* coefficients);

// Doubles a row of `width` chroma samples; `near` is the row nearest to the output row, `far` the next nearest.
// Writes and returns 2 * width samples.
std::uint8_t* jpeg_double_both(std::uint8_t* out, std::uint8_t* near, std::uint8_t* far, int width, int scale);

// Turns `count` pixels from YCbCr to RGB with `step` (4) bytes a pixel.
void jpeg_to_rgb(std::uint8_t* out, const std::uint8_t* y, const std::uint8_t* cb, const std::uint8_t* cr, int count,
                 int step);

}  // namespace plate
