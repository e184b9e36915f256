#include "plate/resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace plate {
namespace {

constexpr int kWeightOne = 2048;

// The loops below have no branches and fixed strides, for the compiler to turn into vector code.

void blend_columns(const std::uint8_t* row, const int* index, const std::uint16_t* low, const std::uint16_t* high,
                   int width, std::uint16_t* out) {
    for (int x = 0; x < width; ++x) {
        const std::uint8_t* left = row + static_cast<std::ptrdiff_t>(index[x]) * kPixelBytes;
        const std::uint32_t a = low[x];
        const std::uint32_t b = high[x];
        for (int c = 0; c < kPixelBytes; ++c) {
            out[kPixelBytes * x + c] = static_cast<std::uint16_t>((left[c] * a + left[c + kPixelBytes] * b) >> 4U);
        }
    }
}

void blend_rows(const std::uint16_t* upper, const std::uint16_t* lower, std::uint16_t low, std::uint16_t high,
                int count, std::uint8_t* out) {
    for (int i = 0; i < count; ++i) {
        const std::uint32_t a = static_cast<std::uint32_t>(upper[i]) * low >> 16U;
        const std::uint32_t b = static_cast<std::uint32_t>(lower[i]) * high >> 16U;
        out[i] = static_cast<std::uint8_t>((a + b + 2U) >> 2U);
    }
}

void normalise(const std::uint8_t* pixels, int width, const Normalisation& norm, float* blue, float* green,
               float* red) {
    for (int x = 0; x < width; ++x) {
        red[x] = static_cast<float>(pixels[4 * x]) * norm.scale[2] + norm.offset[2];
        green[x] = static_cast<float>(pixels[4 * x + 1]) * norm.scale[1] + norm.offset[1];
        blue[x] = static_cast<float>(pixels[4 * x + 2]) * norm.scale[0] + norm.offset[0];
    }
}

}  // namespace

Normalisation Normalisation::from(const std::array<float, 3>& mean, const std::array<float, 3>& std_dev) {
    Normalisation norm{};
    for (std::size_t c = 0; c < 3; ++c) {
        norm.scale[c] = static_cast<float>(1 / (255 * static_cast<double>(std_dev[c])));
        norm.offset[c] = static_cast<float>(-static_cast<double>(mean[c]) / static_cast<double>(std_dev[c]));
    }
    return norm;
}

void Resizer::Taps::prepare(int new_from, int new_to) {
    if (new_from == from && new_to == to) return;
    from = new_from;
    to = new_to;
    const auto count = static_cast<std::size_t>(to);
    index.resize(count);
    low.resize(count);
    high.resize(count);
    const double step = static_cast<double>(from) / to;
    for (std::size_t i = 0; i < count; ++i) {
        const auto at = static_cast<float>((static_cast<double>(i) + 0.5) * step - 0.5);
        auto below = static_cast<int>(std::floor(at));
        float weight = at - static_cast<float>(below);
        if (below < 0 || below >= from - 1) {
            below = std::clamp(below, 0, from - 1);
            weight = 0;
        }
        index[i] = below;
        // nearbyint rounds halves to even.
        low[i] = static_cast<std::uint16_t>(std::nearbyint((1 - weight) * kWeightOne));
        high[i] = static_cast<std::uint16_t>(std::nearbyint(weight * kWeightOne));
    }
}

// Input row `y` in output columns; the row that `keep` names stays valid.
const std::uint16_t* Resizer::wide_row(const Image& in, int y, int keep) {
    for (const Row& row : wide_) {
        if (row.y == y) return row.values.data();
    }
    Row& row = wide_[0].y == keep ? wide_[1] : wide_[0];
    std::memcpy(padded_.data(), in.row(y), in.stride());
    std::memcpy(padded_.data() + in.stride(), in.pixel(in.width() - 1, y), kPixelBytes);
    blend_columns(padded_.data(), columns_.index.data(), columns_.low.data(), columns_.high.data(), columns_.to,
                  row.values.data());
    row.y = y;
    return row.values.data();
}

void Resizer::run(const Image& in, int width, int height, int stride, const Normalisation& norm, float* out) {
    columns_.prepare(in.width(), width);
    rows_.prepare(in.height(), height);
    const std::size_t count = static_cast<std::size_t>(width) * kPixelBytes;
    for (Row& row : wide_) {
        row.y = -1;
        row.values.resize(count);
    }
    padded_.resize(in.stride() + kPixelBytes);
    pixels_.resize(count);
    const std::size_t plane = static_cast<std::size_t>(stride) * static_cast<std::size_t>(height);
    for (int y = 0; y < height; ++y) {
        const auto at = static_cast<std::size_t>(y);
        const int first = rows_.index[at];
        const int second = std::min(first + 1, in.height() - 1);
        const std::uint16_t* upper = wide_row(in, first, second);
        const std::uint16_t* lower = wide_row(in, second, first);
        blend_rows(upper, lower, rows_.low[at], rows_.high[at], static_cast<int>(count), pixels_.data());
        float* blue = out + static_cast<std::size_t>(stride) * at;
        normalise(pixels_.data(), width, norm, blue, blue + plane, blue + 2 * plane);
    }
}

}  // namespace plate
