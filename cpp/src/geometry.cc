#include "plate/geometry.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace plate {
namespace {

double cross(Point o, Point a, Point b) {
    return (a.x - o.x) * (b.y - o.y) - (a.y - o.y) * (b.x - o.x);
}

double dot(Point axis, Point p) {
    return axis.x * p.x + axis.y * p.y;
}

// Moves `at` forward round the hull while the next point lies further along `axis`.
std::size_t climb(const std::vector<Point>& hull, std::size_t at, Point axis) {
    const std::size_t n = hull.size();
    for (std::size_t steps = 0; steps < n; ++steps) {
        const std::size_t next = at + 1 == n ? 0 : at + 1;
        if (dot(axis, hull[next]) < dot(axis, hull[at])) break;
        at = next;
    }
    return at;
}

std::size_t furthest(const std::vector<Point>& hull, Point axis) {
    const auto best =
        std::max_element(hull.begin(), hull.end(), [axis](Point a, Point b) { return dot(axis, a) < dot(axis, b); });
    return static_cast<std::size_t>(best - hull.begin());
}

}  // namespace

double distance(Point a, Point b) {
    return std::hypot(a.x - b.x, a.y - b.y);
}

Quad Rect::corners() const {
    const Point along{axis.x * width / 2, axis.y * width / 2};
    const Point across{-axis.y * height / 2, axis.x * height / 2};
    return {Point{centre.x - along.x - across.x, centre.y - along.y - across.y},
            Point{centre.x + along.x - across.x, centre.y + along.y - across.y},
            Point{centre.x + along.x + across.x, centre.y + along.y + across.y},
            Point{centre.x - along.x + across.x, centre.y - along.y + across.y}};
}

void convex_hull(std::vector<Point>& points, std::vector<Point>& hull) {
    std::sort(points.begin(), points.end(), [](Point a, Point b) { return a.x < b.x || (a.x == b.x && a.y < b.y); });
    points.erase(std::unique(points.begin(), points.end(), [](Point a, Point b) { return a.x == b.x && a.y == b.y; }),
                 points.end());
    hull.clear();
    if (points.size() < 3) {
        hull = points;
        return;
    }
    const auto chain = [&hull](Point p, std::size_t floor) {
        while (hull.size() >= floor + 2 && cross(hull[hull.size() - 2], hull.back(), p) <= 0) hull.pop_back();
        hull.push_back(p);
    };
    for (const Point p : points) chain(p, 0);
    const std::size_t upper = hull.size() - 1;
    for (std::size_t i = points.size() - 1; i-- > 0;) chain(points[i], upper);
    hull.pop_back();
}

Rect min_area_rect(const std::vector<Point>& hull) {
    if (hull.empty()) return {};
    if (hull.size() == 1) return {hull[0], {1, 0}, 0, 0};
    if (hull.size() == 2) {
        const double length = distance(hull[0], hull[1]);
        return {{(hull[0].x + hull[1].x) / 2, (hull[0].y + hull[1].y) / 2},
                {(hull[1].x - hull[0].x) / length, (hull[1].y - hull[0].y) / length},
                length,
                0};
    }
    Rect best;
    double least = -1;
    std::size_t right = 0;
    std::size_t top = 0;
    std::size_t left = 0;
    for (std::size_t i = 0; i < hull.size(); ++i) {
        const Point a = hull[i];
        const Point b = hull[i + 1 == hull.size() ? 0 : i + 1];
        const double length = distance(a, b);
        const Point u{(b.x - a.x) / length, (b.y - a.y) / length};
        const Point v{-u.y, u.x};  // into the hull, which lies left of its edges
        if (i == 0) {
            right = furthest(hull, u);
            top = furthest(hull, v);
            left = furthest(hull, {-u.x, -u.y});
        } else {
            right = climb(hull, right, u);
            top = climb(hull, top, v);
            left = climb(hull, left, {-u.x, -u.y});
        }
        const double from = dot(u, hull[left]);
        const double to = dot(u, hull[right]);
        const double base = dot(v, a);
        const double height = dot(v, hull[top]) - base;
        const double area = (to - from) * height;
        if (least < 0 || area < least) {
            least = area;
            const double along = (from + to) / 2;
            const double across = base + height / 2;
            best = {{u.x * along + v.x * across, u.y * along + v.y * across}, u, to - from, height};
        }
    }
    return best;
}

}  // namespace plate
