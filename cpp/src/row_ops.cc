#include "plate/row_ops.h"

#include <cstddef>

#if defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

namespace plate {

void blend_columns_plain(const std::uint8_t* row, const ColumnTap* taps, int from, int width, std::uint16_t* out) {
    for (int x = from; x < width; ++x) {
        const std::uint8_t* left = row + taps[x].offset;
        const std::uint32_t a = taps[x].weights & 0xFFFFU;
        const std::uint32_t b = taps[x].weights >> 16U;
        for (int c = 0; c < 4; ++c) {
            out[4 * x + c] = static_cast<std::uint16_t>((left[c] * a + left[c + 4] * b) >> 4U);
        }
    }
}

void blend_rows_plain(const std::uint16_t* upper, const std::uint16_t* lower, int a, int b, int from, int count,
                      std::uint8_t* out) {
    for (int i = from; i < count; ++i) {
        out[i] = static_cast<std::uint8_t>(((upper[i] * a >> 16) + (lower[i] * b >> 16) + 2) >> 2);
    }
}

#if defined(__SSE2__)

namespace {

__m128i blend_pixel(const std::uint8_t* row, ColumnTap tap) {
    const __m128i both = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(row + tap.offset));
    const __m128i pairs = _mm_unpacklo_epi8(both, _mm_srli_si128(both, 4));
    const __m128i wide = _mm_unpacklo_epi8(pairs, _mm_setzero_si128());
    return _mm_srli_epi32(_mm_madd_epi16(wide, _mm_set1_epi32(static_cast<int>(tap.weights))), 4);
}

}  // namespace

void blend_columns(const std::uint8_t* row, const ColumnTap* taps, int width, std::uint16_t* out) {
    int x = 0;
    for (; x + 2 <= width; x += 2) {
        const __m128i two = _mm_packs_epi32(blend_pixel(row, taps[x]), blend_pixel(row, taps[x + 1]));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(out + static_cast<std::ptrdiff_t>(x) * 4), two);
    }
    blend_columns_plain(row, taps, x, width, out);
}

void blend_rows(const std::uint16_t* upper, const std::uint16_t* lower, int a, int b, int count, std::uint8_t* out) {
    const __m128i above = _mm_set1_epi16(static_cast<std::int16_t>(a));
    const __m128i below = _mm_set1_epi16(static_cast<std::int16_t>(b));
    const __m128i half = _mm_set1_epi16(2);
    const auto eight = [&](int at) {
        const __m128i u = _mm_loadu_si128(reinterpret_cast<const __m128i*>(upper + at));
        const __m128i l = _mm_loadu_si128(reinterpret_cast<const __m128i*>(lower + at));
        const __m128i sum = _mm_add_epi16(_mm_mulhi_epu16(u, above), _mm_mulhi_epu16(l, below));
        return _mm_srli_epi16(_mm_add_epi16(sum, half), 2);
    };
    int i = 0;
    for (; i + 16 <= count; i += 16) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i), _mm_packus_epi16(eight(i), eight(i + 8)));
    }
    blend_rows_plain(upper, lower, a, b, i, count, out);
}

#elif defined(__ARM_NEON)

void blend_columns(const std::uint8_t* row, const ColumnTap* taps, int width, std::uint16_t* out) {
    for (int x = 0; x < width; ++x) {
        const uint16x8_t both = vmovl_u8(vld1_u8(row + taps[x].offset));
        const uint16x4_t weights = vreinterpret_u16_u32(vld1_dup_u32(&taps[x].weights));
        const uint32x4_t left = vmull_lane_u16(vget_low_u16(both), weights, 0);
        vst1_u16(out + static_cast<std::ptrdiff_t>(x) * 4,
                 vshrn_n_u32(vmlal_lane_u16(left, vget_high_u16(both), weights, 1), 4));
    }
}

void blend_rows(const std::uint16_t* upper, const std::uint16_t* lower, int a, int b, int count, std::uint8_t* out) {
    // The doubling multiplication gives 2 * u * a >> 16; halving that again is u * a >> 16, rounded down all the same.
    const int16x8_t above = vdupq_n_s16(static_cast<std::int16_t>(a));
    const int16x8_t below = vdupq_n_s16(static_cast<std::int16_t>(b));
    const auto eight = [&](int at) {
        const int16x8_t u = vqdmulhq_s16(vreinterpretq_s16_u16(vld1q_u16(upper + at)), above);
        const int16x8_t l = vqdmulhq_s16(vreinterpretq_s16_u16(vld1q_u16(lower + at)), below);
        return vrshrn_n_u16(vreinterpretq_u16_s16(vsraq_n_s16(vshrq_n_s16(u, 1), l, 1)), 2);
    };
    int i = 0;
    for (; i + 16 <= count; i += 16) vst1q_u8(out + i, vcombine_u8(eight(i), eight(i + 8)));
    blend_rows_plain(upper, lower, a, b, i, count, out);
}

#else

void blend_columns(const std::uint8_t* row, const ColumnTap* taps, int width, std::uint16_t* out) {
    blend_columns_plain(row, taps, 0, width, out);
}

void blend_rows(const std::uint16_t* upper, const std::uint16_t* lower, int a, int b, int count, std::uint8_t* out) {
    blend_rows_plain(upper, lower, a, b, 0, count, out);
}

#endif

}  // namespace plate
