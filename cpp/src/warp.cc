#include "plate/warp.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace plate {
namespace {

// The four channels of a pixel as one vector; gcc and clang have this for every target.
using Vec4 = float __attribute__((vector_size(16)));
using Bytes4 = std::uint8_t __attribute__((vector_size(4)));

Vec4 load_pixel(const std::uint8_t* p) {
    Bytes4 bytes;
    std::memcpy(&bytes, p, sizeof(bytes));
    return __builtin_convertvector(bytes, Vec4);
}

// Weights of the pixels at -1, 0, 1 and 2 for a position `t` between 0 and 1 (Keys' kernel with a = -0.75).
std::array<float, 4> cubic(float t) {
    constexpr float a = -0.75F;
    const float u = 1 - t;
    const float w0 = ((a * (t + 1) - 5 * a) * (t + 1) + 8 * a) * (t + 1) - 4 * a;
    const float w1 = ((a + 2) * t - (a + 3)) * t * t + 1;
    const float w2 = ((a + 2) * u - (a + 3)) * u * u + 1;
    return {w0, w1, w2, 1 - w0 - w1 - w2};
}

void store_pixel(Vec4 value, std::uint8_t* to) {
    for (int c = 0; c < kPixelBytes; ++c) {
        to[c] = static_cast<std::uint8_t>(std::min(std::max(value[c], 0.0F), 255.0F) + 0.5F);
    }
}

void sample(const Image& in, float x, float y, std::uint8_t* to) {
    const auto left = static_cast<int>(std::floor(x));
    const auto top = static_cast<int>(std::floor(y));
    const std::array<float, 4> wx = cubic(x - static_cast<float>(left));
    const std::array<float, 4> wy = cubic(y - static_cast<float>(top));
    std::array<std::ptrdiff_t, 4> columns{};
    for (int i = 0; i < 4; ++i) {
        columns[static_cast<std::size_t>(i)] =
            static_cast<std::ptrdiff_t>(std::clamp(left - 1 + i, 0, in.width - 1)) * kPixelBytes;
    }
    Vec4 sum{};
    for (int j = 0; j < 4; ++j) {
        const std::uint8_t* row = in.row(std::clamp(top - 1 + j, 0, in.height - 1));
        const Vec4 across = load_pixel(row + columns[0]) * wx[0] + load_pixel(row + columns[1]) * wx[1] +
                            load_pixel(row + columns[2]) * wx[2] + load_pixel(row + columns[3]) * wx[3];
        sum += across * wy[static_cast<std::size_t>(j)];
    }
    store_pixel(sum, to);
}

void turn_left(const Image& in, Image& out) {
    out.resize(in.height, in.width);
    for (int y = 0; y < out.height; ++y) {
        for (int x = 0; x < out.width; ++x) {
            std::memcpy(out.row(y) + static_cast<std::size_t>(x) * kPixelBytes,
                        in.row(x) + static_cast<std::size_t>(in.width - 1 - y) * kPixelBytes, kPixelBytes);
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
    const std::array<double, 9> m = rectangle_to_quad(width, height, quad);
    // A degenerate transform may point anywhere, not-a-number included; the border is all there is to see there.
    const double limit_x = in.width + 8.0;
    const double limit_y = in.height + 8.0;
    for (int y = 0; y < height; ++y) {
        std::uint8_t* to = target.row(y);
        for (int x = 0; x < width; ++x) {
            const double scale = 1 / (m[6] * x + m[7] * y + m[8]);
            const double at_x = std::max(-8.0, std::min(limit_x, (m[0] * x + m[1] * y + m[2]) * scale));
            const double at_y = std::max(-8.0, std::min(limit_y, (m[3] * x + m[4] * y + m[5]) * scale));
            sample(in, static_cast<float>(at_x), static_cast<float>(at_y),
                   to + static_cast<std::size_t>(x) * kPixelBytes);
        }
    }
    if (turn) turn_left(upright_, out);
}

}  // namespace plate
