#include "plate/db_post.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace plate {
namespace {

// Points this far outside a rectangle count as on its side, so that rounding does not decide.
constexpr double kOnSide = 0.01;

// The numbers x for which |offset + slope * x| <= limit; all (as far as a map goes) or none where slope is 0.
struct Span {
    double from;
    double to;
};

Span solve(double offset, double slope, double limit) {
    constexpr double kFar = 1e6;
    if (slope == 0) return std::abs(offset) <= limit ? Span{-kFar, kFar} : Span{kFar, -kFar};
    const double a = (-limit - offset) / slope;
    const double b = (limit - offset) / slope;
    return {std::max(-kFar, std::min(a, b)), std::min(kFar, std::max(a, b))};
}

Point minus(Point a, Point b) {
    return {a.x - b.x, a.y - b.y};
}

}  // namespace

double box_score(const float* map, int map_width, int map_height, const Rect& rect) {
    const Quad quad = rect.corners();
    double top = quad[0].y;
    double bottom = quad[0].y;
    for (const Point p : quad) {
        top = std::min(top, p.y);
        bottom = std::max(bottom, p.y);
    }
    const double along = rect.width / 2 + kOnSide;
    const double across = rect.height / 2 + kOnSide;
    const auto inside = [&](double dx, double dy) {
        return std::abs(dx * rect.axis.x + dy * rect.axis.y) <= along &&
               std::abs(dy * rect.axis.x - dx * rect.axis.y) <= across;
    };
    const int from_y = std::max(0, static_cast<int>(std::floor(top)));
    const int to_y = std::min(map_height - 1, static_cast<int>(std::ceil(bottom)));
    double sum = 0;
    std::int64_t count = 0;
    for (int y = from_y; y <= to_y; ++y) {
        const double dy = y - rect.centre.y;
        const Span u = solve(dy * rect.axis.y, rect.axis.x, along);
        const Span v = solve(dy * rect.axis.x, -rect.axis.y, across);
        int from = std::max(0, static_cast<int>(std::floor(rect.centre.x + std::max(u.from, v.from))));
        int to = std::min(map_width - 1, static_cast<int>(std::ceil(rect.centre.x + std::min(u.to, v.to))));
        // The ends are a pixel too far at most; the test itself has the last word.
        while (from <= to && !inside(from - rect.centre.x, dy)) ++from;
        while (from <= to && !inside(to - rect.centre.x, dy)) --to;
        const float* row = map + static_cast<std::size_t>(y) * static_cast<std::size_t>(map_width);
        for (int x = from; x <= to; ++x) sum += static_cast<double>(row[x]);
        count += std::max(0, to - from + 1);
    }
    return count == 0 ? 0 : sum / static_cast<double>(count);
}

Quad order_corners(const Quad& quad, bool flip) {
    if (!flip) {
        const auto by_y = [](Point a, Point b) { return a.y < b.y || (a.y == b.y && a.x < b.x); };
        Quad q = quad;
        std::sort(q.begin(), q.end(), [](Point a, Point b) { return a.x < b.x || (a.x == b.x && a.y < b.y); });
        std::sort(q.begin(), q.begin() + 2, by_y);
        std::sort(q.begin() + 2, q.end(), by_y);
        return {q[0], q[2], q[3], q[1]};
    }
    const std::size_t start = distance(quad[0], quad[1]) >= distance(quad[1], quad[2]) ? 0 : 1;
    Point a = quad[start];
    Point b = quad[start + 1];
    Point c = quad[(start + 2) % 4];
    Point d = quad[(start + 3) % 4];
    const Point along = minus(b, a);
    if (std::abs(along.x) < 1e-6 ? along.y < 0 : along.x < 0) {
        std::swap(a, b);
        std::swap(c, d);
    }
    const Point ab = minus(b, a);
    const Point ad = minus(d, a);
    // a-b points the right way, but may be the lower side.
    if (ab.x * ad.y - ab.y * ad.x < 0) return {d, c, b, a};
    return {a, b, c, d};
}

Quad grow(const Quad& quad, double fraction) {
    const Point along = minus(quad[1], quad[0]);
    const Point down = minus(quad[3], quad[0]);
    const auto moved = [&](Point p, double sx, double sy) {
        return Point{p.x + (sx * along.x + sy * down.x) * fraction, p.y + (sx * along.y + sy * down.y) * fraction};
    };
    return {moved(quad[0], -1, -1), moved(quad[1], 1, -1), moved(quad[2], 1, 1), moved(quad[3], -1, 1)};
}

bool DbPost::run(const float* map, int map_width, int map_height, int image_width, int image_height,
                 const DbOptions& options, std::vector<Quad>& boxes) {
    boxes.clear();
    const std::size_t found =
        components_.find(map, map_width, map_height, static_cast<float>(options.thresh), options.dilation);
    if (components_.not_finite()) return false;
    const double scale_x = static_cast<double>(image_width) / map_width;
    const double scale_y = static_cast<double>(image_height) / map_height;
    const std::size_t looked_at = std::min(found, static_cast<std::size_t>(options.max_candidates));
    for (std::size_t i = 0; i < looked_at; ++i) {
        // The ends of its runs have the same convex hull as all pixels of a component.
        points_.clear();
        for (const Run* run = components_.begin(i); run != components_.end(i); ++run) {
            points_.push_back({run->from, run->y});
            points_.push_back({run->to, run->y});
        }
        convex_hull(points_, hull_);
        Rect rect = min_area_rect(hull_);
        if (rect.short_side() < options.min_size) continue;
        if (box_score(map, map_width, map_height, rect) < options.box_thresh) continue;
        const double margin = rect.width * rect.height * options.unclip_ratio / (2 * (rect.width + rect.height));
        rect.width += 2 * margin;
        rect.height += 2 * margin;
        if (rect.short_side() < options.min_size + 2) continue;

        Quad quad = rect.corners();
        for (Point& p : quad) p = {p.x * scale_x, p.y * scale_y};
        quad = grow(order_corners(quad, options.box_flip), options.box_grow);
        for (Point& p : quad) {
            p = {std::clamp(p.x, 0.0, image_width - 1.0), std::clamp(p.y, 0.0, image_height - 1.0)};
        }
        boxes.push_back(quad);
    }
    // Boxes that reach over the photo's corner all begin there: they keep their order, on every standard library.
    std::stable_sort(boxes.begin(), boxes.end(), [](const Quad& a, const Quad& b) {
        return a[0].y < b[0].y || (a[0].y == b[0].y && a[0].x < b[0].x);
    });
    return true;
}

}  // namespace plate
