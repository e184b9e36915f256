// The inner loops of resizing. Each has a plain form that says what it computes, and forms for SSE2 and NEON where
// compilers do not find the instruction that fits (products of 16 bits, summed or halved); all give the same bits.
#pragma once

#include <cstdint>

namespace plate {

// For each output pixel: byte offset of its left neighbour in the input row, and two weights of 11 bits that add up to
// 2048, the left one in the lower half.
struct ColumnTap {
    std::uint32_t offset;
    std::uint32_t weights;
};

// out[x] = (left * a + right * b) >> 4 for the four bytes of each pixel: 15 bits.
void blend_columns(const std::uint8_t* row, const ColumnTap* taps, int width, std::uint16_t* out);
void blend_columns_plain(const std::uint8_t* row, const ColumnTap* taps, int from, int width, std::uint16_t* out);

// out[i] = ((upper[i] * a >> 16) + (lower[i] * b >> 16) + 2) >> 2, for weights `a` and `b` of 11 bits.
void blend_rows(const std::uint16_t* upper, const std::uint16_t* lower, int a, int b, int count, std::uint8_t* out);
void blend_rows_plain(const std::uint16_t* upper, const std::uint16_t* lower, int a, int b, int from, int count,
                      std::uint8_t* out);

}  // namespace plate
