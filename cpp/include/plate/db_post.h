// Differentiable binarisation, the second half: probability map in, text boxes out.
#pragma once

#include <vector>

#include "plate/components.h"
#include "plate/geometry.h"

namespace plate {

struct DbOptions {
    double thresh = 0.3;
    double box_thresh = 0.6;
    double unclip_ratio = 1.5;
    int max_candidates = 1000;
    int min_size = 3;
    bool dilation = true;
    bool box_flip = true;
    double box_grow = 0.02;
};

class DbPost {
  public:
    // Finds boxes in `map` (`map_height` rows of `map_width` probabilities) and writes them to `boxes` in pixels of the
    // photo, from top to bottom. A box is a minimum-area rectangle, so that unclipping it is growing it by
    // area * ratio / perimeter on every side: no polygon clipper is needed.
    // Returns false when the map holds values that are not finite numbers; `boxes` is then empty.
    bool run(const float* map, int map_width, int map_height, int image_width, int image_height,
             const DbOptions& options, std::vector<Quad>& boxes);

  private:
    Components components_;
    std::vector<Pixel> points_;
    std::vector<Pixel> hull_;
};

// Mean of the map over the integer points inside a rectangle or at most 0.01 pixels outside, 0 when there is none on
// the map.
double box_score(const float* map, int map_width, int map_height, const Rect& rect);

// Puts corners in order. Without `flip`: of the two leftmost corners the upper is the top left one, of the two
// rightmost the upper is the top right one. With `flip` the longer side is the direction of the text, and it points
// right (down when it is vertical), whatever order the corners came in.
Quad order_corners(const Quad& quad, bool flip);

// Moves each side outwards by `fraction` of the box's own width (left, right) or height (top, bottom).
Quad grow(const Quad& quad, double fraction);

}  // namespace plate
