// Points, rectangles at any angle, and quadrilaterals.
#pragma once

#include <array>
#include <vector>

namespace plate {

struct Point {
    double x = 0;
    double y = 0;
};

// Corners clockwise in image coordinates (y down): top left, top right, bottom right, bottom left.
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

// Convex hull, counter-clockwise with y up, without points on its edges (Andrew's monotone chain).
// `points` is sorted in place; the hull is written to `hull`.
void convex_hull(std::vector<Point>& points, std::vector<Point>& hull);

// The rectangle of least area around a convex hull: one of its sides lies on an edge of the hull, so that rotating
// calipers need look at every edge once.
Rect min_area_rect(const std::vector<Point>& hull);

}  // namespace plate
