// Bilinear resizing fused with normalisation: picture in, network input out, nothing in between.
#pragma once

#include <array>
#include <vector>

#include "plate/image.h"

namespace plate {

// Factors of `(pixel / 255 - mean) / std`, per channel in the network's order (blue, green, red).
struct Normalisation {
    std::array<float, 3> scale;
    std::array<float, 3> offset;

    static Normalisation from(const std::array<float, 3>& mean, const std::array<float, 3>& std_dev);
};

// Keeps its tables and row buffers, so that photos of one size cost no allocation after the first.
class Resizer {
  public:
    // Writes three planes (blue, green, red) of `height` rows of `stride` floats to `out`; the picture fills the first
    // `width` columns. Sampling is with half-pixel centres and replicated borders, as cv2.resize(INTER_LINEAR).
    void run(const Image& in, int width, int height, int stride, const Normalisation& norm, float* out);

  private:
    struct Taps {
        int from = -1;
        int to = -1;
        std::vector<int> index;     // lower neighbour
        std::vector<float> weight;  // of the upper neighbour
        void prepare(int new_from, int new_to);
    };

    void blend_rows(const Image& in, int y);
    void blend_columns(int width);

    Taps columns_;
    Taps rows_;
    std::vector<float> tall_;  // one output row in input columns, four channels, one pixel of padding
    std::vector<float> row_;   // one output row, four channels
};

}  // namespace plate
