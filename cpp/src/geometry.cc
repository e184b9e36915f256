#include "plate/geometry.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace plate {
namespace {

std::int64_t cross(Pixel o, Pixel a, Pixel b) {
    return (a.x - o.x) * (b.y - o.y) - (a.y - o.y) * (b.x - o.x);
}

std::int64_t dot(Pixel axis, Pixel p) {
    return axis.x * p.x + axis.y * p.y;
}

// The furthest point along `axis`, looked for from `at` on round the hull. As the axis turns with the hull's edges, so
// does the furthest point, and the search goes round once for all edges together.
std::size_t climb(const std::vector<Pixel>& hull, std::size_t at, Pixel axis) {
    for (std::size_t steps = 0; steps < hull.size(); ++steps) {
        const std::size_t next = at + 1 == hull.size() ? 0 : at + 1;
        if (dot(axis, hull[next]) < dot(axis, hull[at])) break;
        at = next;
    }
    return at;
}

std::size_t furthest(const std::vector<Pixel>& hull, Pixel axis) {
    const auto best =
        std::max_element(hull.begin(), hull.end(), [axis](Pixel a, Pixel b) { return dot(axis, a) < dot(axis, b); });
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

void convex_hull(std::vector<Pixel>& points, std::vector<Pixel>& hull) {
    std::sort(points.begin(), points.end(), [](Pixel a, Pixel b) { return a.y < b.y || (a.y == b.y && a.x < b.x); });
    points.erase(std::unique(points.begin(), points.end(), [](Pixel a, Pixel b) { return a.x == b.x && a.y == b.y; }),
                 points.end());
    hull.clear();
    if (points.size() < 3) {
        hull = points;
        return;
    }
    // The right side from top to bottom, then the left side back to the top.
    const auto chain = [&hull](Pixel p, std::size_t floor) {
        while (hull.size() >= floor + 2 && cross(hull[hull.size() - 2], hull.back(), p) <= 0) hull.pop_back();
        hull.push_back(p);
    };
    for (const Pixel p : points) chain(p, 0);
    const std::size_t bottom = hull.size() - 1;
    for (std::size_t i = points.size() - 1; i-- > 0;) chain(points[i], bottom);
    hull.pop_back();
}

Rect min_area_rect(const std::vector<Pixel>& hull) {
    if (hull.empty()) return {};
    if (hull.size() == 1) return {{static_cast<double>(hull[0].x), static_cast<double>(hull[0].y)}, {1, 0}, 0, 0};
    Rect best;
    double least = -1;
    std::size_t right = 0;
    std::size_t far = 0;
    std::size_t left = 0;
    for (std::size_t i = 0; i < hull.size(); ++i) {
        const Pixel a = hull[i];
        const Pixel b = hull[i + 1 == hull.size() ? 0 : i + 1];
        const Pixel u{b.x - a.x, b.y - a.y};
        const Pixel v{-u.y, u.x};  // into the hull, which lies to the right hand of its edges
        const Pixel back{-u.x, -u.y};
        right = i == 0 ? furthest(hull, u) : climb(hull, right, u);
        far = i == 0 ? furthest(hull, v) : climb(hull, far, v);
        left = i == 0 ? furthest(hull, back) : climb(hull, left, back);
        const std::int64_t low_u = dot(u, hull[left]);
        const std::int64_t high_u = dot(u, hull[right]);
        const std::int64_t low_v = dot(v, a);
        const std::int64_t high_v = dot(v, hull[far]);
        const auto square = static_cast<double>(dot(u, u));
        const double area = static_cast<double>((high_u - low_u) * (high_v - low_v)) / square;
        if (least >= 0 && area >= least) continue;
        least = area;
        const auto dx = static_cast<double>(u.x);
        const auto dy = static_cast<double>(u.y);
        const double length = std::sqrt(square);
        const double middle_u = static_cast<double>(low_u + high_u) / 2;
        const double middle_v = static_cast<double>(low_v + high_v) / 2;
        best = {{(middle_u * dx - middle_v * dy) / square, (middle_u * dy + middle_v * dx) / square},
                {dx / length, dy / length},
                static_cast<double>(high_u - low_u) / length,
                static_cast<double>(high_v - low_v) / length};
    }
    return best;
}

}  // namespace plate
