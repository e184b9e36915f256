#include "plate/warp.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#if defined(__ARM_NEON)
#include <arm_neon.h>
#endif

namespace plate {
namespace {

// The four channels of a pixel as one vector; gcc and clang have this for every target.
using Ints4 = std::int32_t __attribute__((vector_size(16)));
using Bytes4 = std::uint8_t __attribute__((vector_size(4)));

Ints4 load_pixel(const std::uint8_t* p) {
    Bytes4 bytes;
    std::memcpy(&bytes, p, sizeof(bytes));
    return __builtin_convertvector(bytes, Ints4);
}

// Positions between pixels are taken to 1/32, which is finer than a camera's pixels deserve: the weights come from a
// table, and rounding errors of the transform do not show.
constexpr int kPhases = 32;
constexpr int kWeightBits = 15;
constexpr int kWarpOne = 1 << kWeightBits;

// For each pair of phases the weights of the 4x4 pixels around, in units of 1/32768, adding up to exactly one.
class CubicTable {
  public:
    CubicTable() {
        for (int y = 0; y < kPhases; ++y) {
            for (int x = 0; x < kPhases; ++x) fill(kernel(y), kernel(x), weights_[index(x, y)]);
        }
    }
    const std::int16_t* at(int x, int y) const { return weights_[index(x, y)].data(); }

  private:
    using Weights = std::array<std::int16_t, 16>;

    static std::size_t index(int x, int y) { return static_cast<std::size_t>(y * kPhases + x); }

    // Weights of the pixels at -1, 0, 1 and 2 (Keys' kernel with a = -0.75).
    static std::array<float, 4> kernel(int phase) {
        constexpr float a = -0.75F;
        const float t = static_cast<float>(phase) / kPhases;
        const float u = 1 - t;
        const float w0 = ((a * (t + 1) - 5 * a) * (t + 1) + 8 * a) * (t + 1) - 4 * a;
        const float w1 = ((a + 2) * t - (a + 3)) * t * t + 1;
        const float w2 = ((a + 2) * u - (a + 3)) * u * u + 1;
        return {w0, w1, w2, 1 - w0 - w1 - w2};
    }

    static void fill(const std::array<float, 4>& down, const std::array<float, 4>& across, Weights& out) {
        int sum = 0;
        for (std::size_t i = 0; i < 16; ++i) {
            const long weight = std::lrint(down[i / 4] * across[i % 4] * kWarpOne);
            out[i] = static_cast<std::int16_t>(std::min(weight, 32767L));
            sum += out[i];
        }
        // What rounding left over goes to the largest of the four lower right weights when there is too little, and
        // comes off the smallest when there is too much. (Which four is OpenCV's choice; any would do.)
        constexpr std::array<std::size_t, 4> kCorner = {10, 11, 14, 15};
        const auto less = [&out](std::size_t a, std::size_t b) { return out[a] < out[b]; };
        const std::size_t changed = sum < kWarpOne ? *std::max_element(kCorner.begin(), kCorner.end(), less)
                                                   : *std::min_element(kCorner.begin(), kCorner.end(), less);
        out[changed] = static_cast<std::int16_t>(out[changed] + kWarpOne - sum);
    }

    std::array<Weights, static_cast<std::size_t>(kPhases* kPhases)> weights_{};
};

#if defined(__ARM_NEON)

// The weighted sum of 4x4 pixels that all lie inside: a row of them is one load. The same integers as below.
void blend(const Image& in, int left, int top, const std::int16_t* weights, std::uint8_t* to) {
    int32x4_t sum = vdupq_n_s32(kWarpOne / 2);
    for (int j = 0; j < 4; ++j, weights += 4) {
        const uint8x16_t row = vld1q_u8(in.pixel(left, top + j));
        const int16x8_t first = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(row)));
        const int16x8_t last = vreinterpretq_s16_u16(vmovl_u8(vget_high_u8(row)));
        const int16x4_t weight = vld1_s16(weights);
        sum = vmlal_lane_s16(sum, vget_low_s16(first), weight, 0);
        sum = vmlal_lane_s16(sum, vget_high_s16(first), weight, 1);
        sum = vmlal_lane_s16(sum, vget_low_s16(last), weight, 2);
        sum = vmlal_lane_s16(sum, vget_high_s16(last), weight, 3);
    }
    const uint16x4_t wide = vqshrun_n_s32(sum, kWeightBits);
    const uint8x8_t bytes = vqmovn_u16(vcombine_u16(wide, wide));
    const std::uint32_t pixel = vget_lane_u32(vreinterpret_u32_u8(bytes), 0);
    std::memcpy(to, &pixel, sizeof(pixel));
}

#else

void blend(const Image& in, int left, int top, const std::int16_t* weights, std::uint8_t* to) {
    Ints4 sum = Ints4{} + kWarpOne / 2;
    for (int j = 0; j < 4; ++j) {
        const std::uint8_t* row = in.pixel(left, top + j);
        for (int i = 0; i < 4; ++i) sum += load_pixel(row + static_cast<std::ptrdiff_t>(i) * kPixelBytes) * *weights++;
    }
    for (int c = 0; c < kPixelBytes; ++c) {
        to[c] = static_cast<std::uint8_t>(std::clamp(sum[c] >> kWeightBits, 0, 255));
    }
}

#endif

// `x` and `y` in units of 1/32 pixel.
void sample(const Image& in, const CubicTable& table, int x, int y, std::uint8_t* to) {
    const int left = (x >> 5) - 1;
    const int top = (y >> 5) - 1;
    const std::int16_t* weights = table.at(x & (kPhases - 1), y & (kPhases - 1));
    if (left >= 0 && top >= 0 && left + 4 <= in.width() && top + 4 <= in.height()) {
        blend(in, left, top, weights, to);
        return;
    }
    std::array<std::size_t, 4> columns{};
    for (int i = 0; i < 4; ++i) {
        columns[static_cast<std::size_t>(i)] =
            static_cast<std::size_t>(std::clamp(left + i, 0, in.width() - 1)) * kPixelBytes;
    }
    Ints4 sum = Ints4{} + kWarpOne / 2;
    for (int j = 0; j < 4; ++j) {
        const std::uint8_t* row = in.row(std::clamp(top + j, 0, in.height() - 1));
        for (std::size_t i = 0; i < 4; ++i) sum += load_pixel(row + columns[i]) * *weights++;
    }
    for (int c = 0; c < kPixelBytes; ++c) {
        to[c] = static_cast<std::uint8_t>(std::clamp(sum[c] >> kWeightBits, 0, 255));
    }
}

// The reference computes the transform from corners in single precision.
Quad in_single_precision(const Quad& quad) {
    Quad out = quad;
    for (Point& p : out)
        p = {static_cast<double>(static_cast<float>(p.x)), static_cast<double>(static_cast<float>(p.y))};
    return out;
}

void turn_left(const Image& in, Image& out) {
    out.resize(in.height(), in.width());
    for (int y = 0; y < out.height(); ++y) {
        for (int x = 0; x < out.width(); ++x) {
            std::memcpy(out.pixel(x, y), in.pixel(in.width() - 1 - y, x), kPixelBytes);
        }
    }
}

}  // namespace

std::array<double, 9> rectangle_to_quad(double width, double height, const Quad& quad) {
    // Heckbert, "Fundamentals of Texture Mapping and Image Warping" (1989), 2.2.3: unit square to quadrilateral.
    const auto& [p0, p1, p2, p3] = quad;
    const double sx = p0.x - p1.x + p2.x - p3.x;
    const double sy = p0.y - p1.y + p2.y - p3.y;
    const double dx1 = p1.x - p2.x;
    const double dx2 = p3.x - p2.x;
    const double dy1 = p1.y - p2.y;
    const double dy2 = p3.y - p2.y;
    const double det = dx1 * dy2 - dx2 * dy1;
    // Corners on one line (a box clipped away at the photo's edge) have no perspective; leave it out.
    const double g = det == 0 ? 0 : (sx * dy2 - dx2 * sy) / det;
    const double h = det == 0 ? 0 : (dx1 * sy - sx * dy1) / det;
    return {(p1.x - p0.x + g * p1.x) / width,
            (p3.x - p0.x + h * p3.x) / height,
            p0.x,
            (p1.y - p0.y + g * p1.y) / width,
            (p3.y - p0.y + h * p3.y) / height,
            p0.y,
            g / width,
            h / height,
            1};
}

void Cropper::run(const Image& in, const Quad& quad, Image& out) {
    const double wide = std::max(distance(quad[0], quad[1]), distance(quad[3], quad[2]));
    const double high = std::max(distance(quad[0], quad[3]), distance(quad[1], quad[2]));
    const int width = std::max(1, static_cast<int>(wide));
    const int height = std::max(1, static_cast<int>(high));
    const bool turn = height >= 1.5 * width;
    Image& target = turn ? upright_ : out;
    target.resize(width, height);
    static const CubicTable table;
    const std::array<double, 9> m = rectangle_to_quad(width, height, in_single_precision(quad));
    // A degenerate transform may point anywhere, not-a-number included; the border is all there is to see there.
    const auto phases = [](double at, int side) {
        const double near = std::max(-8.0, std::min(side + 8.0, at));
        return static_cast<int>(std::lrint(near * kPhases));
    };
    for (int y = 0; y < height; ++y) {
        for (int x = 0; x < width; ++x) {
            const double scale = 1 / (m[6] * x + m[7] * y + m[8]);
            const int at_x = phases((m[0] * x + m[1] * y + m[2]) * scale, in.width());
            const int at_y = phases((m[3] * x + m[4] * y + m[5]) * scale, in.height());
            sample(in, table, at_x, at_y, target.pixel(x, y));
        }
    }
    if (turn) turn_left(upright_, out);
}

}  // namespace plate
