// Connected components of a thresholded map, found from runs of pixels, row by row.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace plate {

// Pixels `from` .. `to` (both included) of row `y`.
struct Run {
    int y;
    int from;
    int to;
    int label;
};

// Finds the 8-connected components of `map > threshold`. Text covers a few percent of a map, so that the work after
// one vectorised pass over the map is on runs, not on pixels. All memory is kept from call to call.
class Components {
  public:
    // `map` has `height` rows of `width` floats. With `dilate`, a pixel also belongs to the mask when one of its left,
    // upper or upper left neighbours does (cv2.dilate with a 2x2 kernel).
    // Returns the number of components; they are numbered from 0 in the scan order of their first pixels.
    std::size_t find(const float* map, int width, int height, float threshold, bool dilate);

    // The runs of one component, in scan order.
    const Run* begin(std::size_t component) const { return sorted_.data() + starts_[component]; }
    const Run* end(std::size_t component) const { return sorted_.data() + starts_[component + 1]; }

    // True when the map of the last call held a value that is not a finite number.
    bool not_finite() const { return not_finite_; }

  private:
    bool threshold_row(const float* map, int width, float threshold, std::uint8_t* mask);
    void dilate_row(int width);
    void add_runs(const std::uint8_t* mask, int width, int y);
    void join(std::size_t above_from, std::size_t above_to, std::size_t row_from);
    int root(int label);
    std::size_t group();

    std::vector<std::uint8_t> rows_[2];  // mask of the row above and of this one, before dilation
    std::vector<std::uint8_t> grown_;
    std::vector<Run> runs_;
    std::vector<Run> sorted_;
    std::vector<int> parent_;
    std::vector<int> number_;
    std::vector<std::size_t> starts_;
    bool not_finite_ = false;
};

}  // namespace plate
