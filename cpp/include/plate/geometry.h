// Points, rectangles at any angle, and quadrilaterals. x points right, y down, pixel centres lie on integers.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace plate {

struct Point {
    double x = 0;
    double y = 0;
};

struct Pixel {
    std::int64_t x;
    std::int64_t y;
};

// Corners clockwise as seen on the picture: top left, top right, bottom right, bottom left.
using Quad = std::array<Point, 4>;

double distance(Point a, Point b);

// A rectangle at any angle. `axis` is a unit vector along the width; the height runs along (-axis.y, axis.x).
struct Rect {
    Point centre;
    Point axis{1, 0};
    double width = 0;
    double height = 0;

    double short_side() const { return width < height ? width : height; }
    Quad corners() const;
};

// Convex hull without points on its edges, clockwise as seen on the picture, from the topmost (of these the leftmost)
// point on (Andrew's monotone chain). `points` is sorted in place.
void convex_hull(std::vector<Pixel>& points, std::vector<Pixel>& hull);

// The rectangle of least area around a convex hull as `convex_hull` gives it. One of its sides lies on an edge of the
// hull, so that rotating calipers look at every edge once; of equal ones the first is taken. Computed in integers up to
// one division, so that every machine finds the same.
Rect min_area_rect(const std::vector<Pixel>& hull);

}  // namespace plate
