#include "plate/resize.h"

#include <algorithm>
#include <cmath>

namespace plate {

Normalisation Normalisation::from(const std::array<float, 3>& mean, const std::array<float, 3>& std_dev) {
    Normalisation norm{};
    for (std::size_t c = 0; c < 3; ++c) {
        norm.scale[c] = 1.0F / (255.0F * std_dev[c]);
        norm.offset[c] = -mean[c] / std_dev[c];
    }
    return norm;
}

void Resizer::Taps::prepare(int new_from, int new_to) {
    if (new_from == from && new_to == to) return;
    from = new_from;
    to = new_to;
    index.resize(static_cast<std::size_t>(to));
    weight.resize(static_cast<std::size_t>(to));
    const double step = static_cast<double>(from) / to;
    for (int i = 0; i < to; ++i) {
        const double at = std::clamp((i + 0.5) * step - 0.5, 0.0, from - 1.0);
        const int low = std::min(static_cast<int>(at), std::max(0, from - 2));
        index[static_cast<std::size_t>(i)] = low;
        weight[static_cast<std::size_t>(i)] = static_cast<float>(at - low);
    }
}

void Resizer::blend_rows(const Image& in, int y) {
    const int low = rows_.index[static_cast<std::size_t>(y)];
    const float weight = rows_.weight[static_cast<std::size_t>(y)];
    const std::size_t count = in.stride();
    const std::uint8_t* upper = in.row(low);
    const std::uint8_t* lower = in.row(std::min(low + 1, in.height - 1));
    float* out = tall_.data();
    const float rest = 1.0F - weight;
    for (std::size_t i = 0; i < count; ++i) {
        out[i] = static_cast<float>(upper[i]) * rest + static_cast<float>(lower[i]) * weight;
    }
    std::copy_n(out + count - kPixelBytes, kPixelBytes, out + count);
}

void Resizer::blend_columns(int width) {
    const float* tall = tall_.data();
    const int* index = columns_.index.data();
    const float* weights = columns_.weight.data();
    float* out = row_.data();
    for (int x = 0; x < width; ++x) {
        const float* left = tall + static_cast<std::ptrdiff_t>(index[x]) * kPixelBytes;
        const float weight = weights[x];
        // Four channels, of which one is unused: a whole vector register a pixel.
        for (int c = 0; c < kPixelBytes; ++c) {
            out[kPixelBytes * x + c] = left[c] + (left[c + kPixelBytes] - left[c]) * weight;
        }
    }
}

void Resizer::run(const Image& in, int width, int height, int stride, const Normalisation& norm, float* out) {
    columns_.prepare(in.width, width);
    rows_.prepare(in.height, height);
    tall_.resize(in.stride() + kPixelBytes);
    row_.resize(static_cast<std::size_t>(width) * kPixelBytes);
    const std::size_t plane = static_cast<std::size_t>(stride) * static_cast<std::size_t>(height);
    for (int y = 0; y < height; ++y) {
        blend_rows(in, y);
        blend_columns(width);
        float* blue = out + static_cast<std::size_t>(stride) * static_cast<std::size_t>(y);
        float* green = blue + plane;
        float* red = green + plane;
        const float* row = row_.data();
        for (int x = 0; x < width; ++x) {
            red[x] = row[4 * x] * norm.scale[2] + norm.offset[2];
            green[x] = row[4 * x + 1] * norm.scale[1] + norm.offset[1];
            blue[x] = row[4 * x + 2] * norm.scale[0] + norm.offset[0];
        }
    }
}

}  // namespace plate
