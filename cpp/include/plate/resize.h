// Bilinear resizing fused with normalisation: picture in, network input out, nothing in between.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "plate/image.h"
#include "plate/row_ops.h"

namespace plate {

// Factors of `(pixel / 255 - mean) / std`, per channel in the network's order (blue, green, red).
struct Normalisation {
    std::array<float, 3> scale;
    std::array<float, 3> offset;

    static Normalisation from(const std::array<float, 3>& mean, const std::array<float, 3>& std_dev);
};

// Keeps its tables and row buffers, so that photos of one size cost no allocation after the first.
//
// The arithmetic is that of cv2.resize(INTER_LINEAR) on 8-bit pictures, which the models were trained behind: weights
// of 11 bits, columns before rows, results rounded to 8 bits. Integers give the same pixels on every machine.
class Resizer {
  public:
    // Writes three planes (blue, green, red) of `height` rows of `stride` floats to `out`; the picture fills the first
    // `width` columns. Sampling is with half-pixel centres and replicated borders.
    void run(const Image& in, int width, int height, int stride, const Normalisation& norm, float* out);

  private:
    // For each output row or column its two neighbours in the input and their weights of 11 bits.
    struct Tap {
        int index;
        int next;
        std::uint16_t low;
        std::uint16_t high;
    };
    struct Taps {
        int from = -1;
        int to = -1;
        std::vector<Tap> taps;
        bool prepare(int new_from, int new_to);  // true when anything changed
    };
    // One input row in output columns, four channels, 15 bits.
    struct Row {
        int y = -1;
        std::vector<std::uint16_t> values;
    };

    const std::uint16_t* wide_row(const Image& in, int y, int keep);

    Taps columns_;
    Taps rows_;
    std::vector<ColumnTap> column_taps_;  // `columns_` in the form that the inner loop reads
    std::array<Row, 2> wide_;
    std::vector<std::uint8_t> padded_;  // an input row and its last pixel once more
    std::vector<std::uint8_t> pixels_;  // an output row, four channels
};

}  // namespace plate
