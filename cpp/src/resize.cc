#include "plate/resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace plate {
namespace {

constexpr int kWeightOne = 2048;

// No branches and fixed strides, for the compiler to turn into vector code.
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

bool Resizer::Taps::prepare(int new_from, int new_to) {
    if (new_from == from && new_to == to) return false;
    from = new_from;
    to = new_to;
    taps.resize(static_cast<std::size_t>(to));
    const double step = 1 / (static_cast<double>(to) / from);
    for (int i = 0; i < to; ++i) {
        const auto at = static_cast<float>((i + 0.5) * step - 0.5);
        const auto below = static_cast<int>(std::floor(at));
        const float weight = at - static_cast<float>(below);
        // Beyond the border both neighbours are the border itself. nearbyint rounds halves to even.
        taps[static_cast<std::size_t>(i)] = {std::clamp(below, 0, from - 1), std::clamp(below + 1, 0, from - 1),
                                             static_cast<std::uint16_t>(std::nearbyint((1 - weight) * kWeightOne)),
                                             static_cast<std::uint16_t>(std::nearbyint(weight * kWeightOne))};
    }
    return true;
}

// Input row `y` in output columns; the row that `keep` names stays valid.
const std::uint16_t* Resizer::wide_row(const Image& in, int y, int keep) {
    for (const Row& row : wide_) {
        if (row.y == y) return row.values.data();
    }
    Row& row = wide_[0].y == keep ? wide_[1] : wide_[0];
    std::memcpy(padded_.data(), in.row(y), in.stride());
    std::memcpy(padded_.data() + in.stride(), in.pixel(in.width() - 1, y), kPixelBytes);
    blend_columns(padded_.data(), column_taps_.data(), columns_.to, row.values.data());
    row.y = y;
    return row.values.data();
}

void Resizer::run(const Image& in, int width, int height, int stride, const Normalisation& norm, float* out) {
    rows_.prepare(in.height(), height);
    if (columns_.prepare(in.width(), width)) {
        column_taps_.clear();
        for (const Tap& tap : columns_.taps) {
            // The inner loop reads the next pixel as the other neighbour: at the border it must not count.
            const bool border = tap.next == tap.index;
            column_taps_.push_back({static_cast<std::uint32_t>(tap.index * kPixelBytes),
                                    border ? kWeightOne : tap.low | static_cast<std::uint32_t>(tap.high) << 16U});
        }
    }
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
        const Tap& tap = rows_.taps[at];
        const std::uint16_t* upper = wide_row(in, tap.index, tap.next);
        const std::uint16_t* lower = wide_row(in, tap.next, tap.index);
        blend_rows(upper, lower, tap.low, tap.high, static_cast<int>(count), pixels_.data());
        float* blue = out + static_cast<std::size_t>(stride) * at;
        normalise(pixels_.data(), width, norm, blue, blue + plane, blue + 2 * plane);
    }
}

}  // namespace plate
