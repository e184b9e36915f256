// What a recorded input is known by: the means of a grid of cells, and what is written of it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace replay {

// Cells further apart than this belong to different inputs. Inputs are normalised pixels: the same photo differs by
// rounding, another one by tenths.
constexpr float kTolerance = 0.05F;

// Means of at most 24x40 cells of each channel of an NCHW tensor.
inline std::vector<float> signature(const float* data, const std::vector<std::int64_t>& shape) {
    std::vector<float> means;
    if (shape.size() != 4) return means;
    const std::int64_t height = shape[2];
    const std::int64_t width = shape[3];
    const std::int64_t down = std::min<std::int64_t>(24, height);
    const std::int64_t across = std::min<std::int64_t>(40, width);
    for (std::int64_t channel = 0; channel < shape[0] * shape[1]; ++channel) {
        const float* plane = data + channel * height * width;
        for (std::int64_t i = 0; i < down; ++i) {
            for (std::int64_t j = 0; j < across; ++j) {
                double sum = 0;
                std::int64_t count = 0;
                for (std::int64_t y = i * height / down; y < (i + 1) * height / down; ++y) {
                    for (std::int64_t x = j * width / across; x < (j + 1) * width / across; ++x) {
                        sum += static_cast<double>(plane[y * width + x]);
                        ++count;
                    }
                }
                means.push_back(static_cast<float>(sum / static_cast<double>(count)));
            }
        }
    }
    return means;
}

inline float difference(const std::vector<float>& a, const std::vector<float>& b) {
    float most = 0;
    for (std::size_t i = 0; i < a.size(); ++i) most = std::max(most, std::abs(a[i] - b[i]));
    return most;
}

}  // namespace replay
