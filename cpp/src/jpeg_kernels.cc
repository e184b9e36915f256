#include "jpeg_kernels.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>

namespace plate {
namespace {

// Factors of the transform in 13 bits: sqrt(2) times cosines of multiples of pi / 16, and sums of them (Loeffler,
// Ligtenberg and Moschytz, "Practical fast 1-D DCT algorithms with 11 multiplications", 1989). Unsigned, since damaged
// files hold coefficients at which sums overflow, and that must be harmless.
constexpr int kBits = 13;
constexpr std::uint32_t fixed(double value) {
    return (static_cast<std::uint32_t>(value * (1 << (kBits + 1))) + 1) / 2;
}

constexpr std::uint8_t clamp_byte(std::int32_t value) {
    return static_cast<std::uint8_t>(value < 0 ? 0 : value > 255 ? 255 : value);
}

// Eight transforms of eight values side by side: element k of transform i is at k * 8 + i.
template <int Shift>
void transform(const std::int32_t* in, std::int32_t* out) {
    constexpr std::uint32_t kHalf = 1U << static_cast<unsigned>(Shift - 1);
    for (int i = 0; i < 8; ++i) {
        const auto at = [in, i](int k) { return static_cast<std::uint32_t>(in[k * 8 + i]); };
        const std::uint32_t even = (at(2) + at(6)) * fixed(0.541196100);
        const std::uint32_t e2 = even - at(6) * fixed(1.847759065);
        const std::uint32_t e3 = even + at(2) * fixed(0.765366865);
        const std::uint32_t e0 = (at(0) + at(4)) << static_cast<unsigned>(kBits);
        const std::uint32_t e1 = (at(0) - at(4)) << static_cast<unsigned>(kBits);
        const std::array<std::uint32_t, 4> sum = {e0 + e3, e1 + e2, e1 - e2, e0 - e3};

        const std::uint32_t z5 = (at(7) + at(3) + at(5) + at(1)) * fixed(1.175875602);
        const std::uint32_t z1 = 0U - (at(7) + at(1)) * fixed(0.899976223);
        const std::uint32_t z2 = 0U - (at(5) + at(3)) * fixed(2.562915447);
        const std::uint32_t z3 = z5 - (at(7) + at(3)) * fixed(1.961570560);
        const std::uint32_t z4 = z5 - (at(5) + at(1)) * fixed(0.390180644);
        const std::array<std::uint32_t, 4> odd = {
            at(1) * fixed(1.501321110) + z1 + z4, at(3) * fixed(3.072711026) + z2 + z3,
            at(5) * fixed(2.053119869) + z2 + z4, at(7) * fixed(0.298631336) + z1 + z3};

        for (int k = 0; k < 4; ++k) {
            const auto n = static_cast<std::size_t>(k);
            out[k * 8 + i] = static_cast<std::int32_t>(sum[n] + odd[n] + kHalf) >> Shift;
            out[(7 - k) * 8 + i] = static_cast<std::int32_t>(sum[n] - odd[n] + kHalf) >> Shift;
        }
    }
}

void transpose(const std::int32_t* in, std::int32_t* out) {
    for (int i = 0; i < 8; ++i) {
        for (int k = 0; k < 8; ++k) out[k * 8 + i] = in[i * 8 + k];
    }
}

// Tables that a segment may define: there are eight to define, so that one of more is nobody's. Without a limit a file
// that consists of overlapping segments would be read through thousands of times.
constexpr int kMaxTables = 16;

// Whether the segment whose length field is at `at` defines a table of more than 256 codes, or too many tables. Bytes
// beyond the end of the file count as 0, as they do for stb_image.
bool has_oversized_table(const std::uint8_t* data, std::size_t size, std::size_t at) {
    const auto byte = [&](std::size_t i) -> int { return i < size ? data[i] : 0; };
    int left = (byte(at) << 8) + byte(at + 1) - 2;
    at += 2;
    for (int tables = 0; left > 0; ++tables) {
        if (tables == kMaxTables) return true;
        int codes = 0;
        for (std::size_t i = 1; i <= 16; ++i) codes += byte(at + i);
        if (codes > 256) return true;
        at += 17 + static_cast<std::size_t>(codes);
        left -= 17 + codes;
    }
    return false;
}

}  // namespace

void disarm_huffman_tables(std::uint8_t* data, std::size_t size) {
    // Wherever these two bytes stand: what follows a damaged part is anybody's guess.
    for (std::size_t i = 0; i + 1 < size; ++i) {
        if (data[i] == 0xFF && data[i + 1] == 0xC4 && has_oversized_table(data, size, i + 2)) data[i + 1] = 0;
    }
}

void jpeg_inverse_dct(std::uint8_t* out, int stride, short* coefficients) {
    // Smooth areas, and colours nearly everywhere, have a mean and nothing else.
    std::uint64_t rest = static_cast<std::uint16_t>(coefficients[1]) | static_cast<std::uint16_t>(coefficients[2]) |
                         static_cast<std::uint16_t>(coefficients[3]);
    for (int i = 4; i < 64; i += 4) {
        std::uint64_t four = 0;
        std::memcpy(&four, coefficients + i, sizeof(four));
        rest |= four;
    }
    if (rest == 0) {
        const std::uint8_t mean = clamp_byte(((coefficients[0] + 4) >> 3) + 128);
        for (int y = 0; y < 8; ++y) std::memset(out + static_cast<std::ptrdiff_t>(y) * stride, mean, 8);
        return;
    }
    std::array<std::int32_t, 64> a;
    std::array<std::int32_t, 64> b;
    for (std::size_t i = 0; i < 64; ++i) a[i] = coefficients[i];
    // Columns keep two more bits than rows need; the last shift also divides by the 8 of the two transforms.
    transform<kBits - 2>(a.data(), b.data());
    transpose(b.data(), a.data());
    transform<kBits + 2 + 3>(a.data(), b.data());
    transpose(b.data(), a.data());
    for (std::size_t y = 0; y < 8; ++y) {
        for (std::size_t x = 0; x < 8; ++x) {
            out[y * static_cast<std::size_t>(stride) + x] = clamp_byte(a[y * 8 + x] + 128);
        }
    }
}

std::uint8_t* jpeg_double_both(std::uint8_t* out, std::uint8_t* near, std::uint8_t* far, int width, int /*scale*/) {
    const auto column = [near, far](int i) { return 3 * near[i] + far[i]; };
    // Left outputs round to nearest, right ones a little less, so that there is no drift.
    out[0] = static_cast<std::uint8_t>((4 * column(0) + 8) >> 4);
    for (int i = 0; i + 1 < width; ++i) {
        const int left = column(i);
        const int right = column(i + 1);
        out[2 * i + 1] = static_cast<std::uint8_t>((3 * left + right + 7) >> 4);
        out[2 * i + 2] = static_cast<std::uint8_t>((3 * right + left + 8) >> 4);
    }
    out[2 * width - 1] = static_cast<std::uint8_t>((4 * column(width - 1) + 7) >> 4);
    return out;
}

void jpeg_to_rgb(std::uint8_t* out, const std::uint8_t* y, const std::uint8_t* cb, const std::uint8_t* cr, int count,
                 int /*step*/) {
    // Factors less a whole number fit 16 bits, and so do products without their lower half: a quarter of the work.
    // high(2 * d, f) is d * f / 32768 rounded down; adding one and halving rounds d * f / 65536 to nearest.
    const auto high = [](std::int16_t d, std::int16_t f) constexpr {
        return static_cast<std::int16_t>((static_cast<std::int32_t>(d) * f) >> 16);
    };
    constexpr std::int16_t kRed = 26345;      // 0.40200 * 65536
    constexpr std::int16_t kBlue = -14942;    // (1.77200 - 2) * 65536
    constexpr std::int32_t kGreenU = -22554;  // -0.34414 * 65536
    constexpr std::int32_t kGreenV = 18734;   // (1 - 0.71414) * 65536
    for (int i = 0; i < count; ++i) {
        const auto u = static_cast<std::int16_t>(cb[i] - 128);
        const auto v = static_cast<std::int16_t>(cr[i] - 128);
        const auto u2 = static_cast<std::int16_t>(2 * u);
        const auto v2 = static_cast<std::int16_t>(2 * v);
        const std::int16_t light = y[i];
        out[4 * i] = clamp_byte(light + v + ((high(v2, kRed) + 1) >> 1));
        out[4 * i + 1] = clamp_byte(light - v + ((kGreenU * u + kGreenV * v + (1 << 15)) >> 16));
        out[4 * i + 2] = clamp_byte(light + u2 + ((high(u2, kBlue) + 1) >> 1));
        out[4 * i + 3] = 255;
    }
}

}  // namespace plate
