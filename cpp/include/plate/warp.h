// Cutting a plate out of a photo and straightening it.
#pragma once

#include <vector>

#include "plate/geometry.h"
#include "plate/image.h"

namespace plate {

class Cropper {
  public:
    // Maps `quad` onto an upright picture whose sides are the quad's longer ones in whole pixels: perspective
    // transform, bicubic (a = -0.75), replicated border. A picture at least 1.5 times as high as wide is turned a
    // quarter counter-clockwise, since plates are wide.
    void run(const Image& in, const Quad& quad, Image& out);

  private:
    Image upright_;
};

// Row-major 3x3 matrix, last element 1, that takes (0,0), (w,0), (w,h), (0,h) to the corners of `quad`.
std::array<double, 9> rectangle_to_quad(double width, double height, const Quad& quad);

}  // namespace plate
