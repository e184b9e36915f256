#include "plate/db_post.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace plate {
namespace {

// Integer points within this distance of a side are on it; floating point alone must not decide.
constexpr double kOnSide = 1e-6;

struct Span {
    double from;
    double to;
};

// The part of the line y = `y` inside a convex quadrilateral; from > to when there is none.
Span scan(const Quad& quad, double y) {
    Span span{1e30, -1e30};
    for (std::size_t i = 0; i < 4; ++i) {
        const Point a = quad[i];
        const Point b = quad[(i + 1) % 4];
        if (std::min(a.y, b.y) > y + kOnSide || std::max(a.y, b.y) < y - kOnSide) continue;
        const double rise = b.y - a.y;
        if (std::abs(rise) < kOnSide) {
            span.from = std::min({span.from, a.x, b.x});
            span.to = std::max({span.to, a.x, b.x});
            continue;
        }
        const double x = a.x + (b.x - a.x) * std::clamp((y - a.y) / rise, 0.0, 1.0);
        span.from = std::min(span.from, x);
        span.to = std::max(span.to, x);
    }
    return span;
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
    const int from_y = std::max(0, static_cast<int>(std::ceil(top - kOnSide)));
    const int to_y = std::min(map_height - 1, static_cast<int>(std::floor(bottom + kOnSide)));
    double sum = 0;
    std::int64_t count = 0;
    for (int y = from_y; y <= to_y; ++y) {
        const Span span = scan(quad, y);
        if (span.from > span.to) continue;
        const int from = std::max(0, static_cast<int>(std::ceil(span.from - kOnSide)));
        const int to = std::min(map_width - 1, static_cast<int>(std::floor(span.to + kOnSide)));
        const float* row = map + static_cast<std::size_t>(y) * static_cast<std::size_t>(map_width);
        for (int x = from; x <= to; ++x) sum += static_cast<double>(row[x]);
        count += std::max(0, to - from + 1);
    }
    return count == 0 ? 0 : sum / static_cast<double>(count);
}

Quad order_corners(const Quad& quad, bool flip) {
    if (!flip) {
        Quad by_x = quad;
        std::stable_sort(by_x.begin(), by_x.end(), [](Point a, Point b) { return a.x < b.x; });
        if (by_x[0].y > by_x[1].y) std::swap(by_x[0], by_x[1]);
        if (by_x[2].y > by_x[3].y) std::swap(by_x[2], by_x[3]);
        return {by_x[0], by_x[2], by_x[3], by_x[1]};
    }
    // Clockwise in image coordinates: a positive area by the shoelace formula with y down.
    Quad ring = quad;
    double area = 0;
    for (std::size_t i = 0; i < 4; ++i) {
        const Point a = ring[i];
        const Point b = ring[(i + 1) % 4];
        area += a.x * b.y - b.x * a.y;
    }
    if (area < 0) std::swap(ring[1], ring[3]);
    const double first = distance(ring[0], ring[1]) + distance(ring[2], ring[3]);
    const double second = distance(ring[1], ring[2]) + distance(ring[3], ring[0]);
    std::size_t start = first >= second ? 0 : 1;
    const Point along = minus(ring[(start + 1) % 4], ring[start]);
    const bool vertical = std::abs(along.x) < kOnSide;
    if (vertical ? along.y < 0 : along.x < 0) start += 2;
    return {ring[start % 4], ring[(start + 1) % 4], ring[(start + 2) % 4], ring[(start + 3) % 4]};
}

Quad grow(const Quad& quad, double fraction) {
    const auto& [tl, tr, br, bl] = quad;
    const Point top = minus(tr, tl);
    const Point bottom = minus(br, bl);
    const Point left = minus(bl, tl);
    const Point right = minus(br, tr);
    const auto moved = [fraction](Point p, Point along, double sx, Point down, double sy) {
        return Point{p.x + fraction * (sx * along.x + sy * down.x), p.y + fraction * (sx * along.y + sy * down.y)};
    };
    return {moved(tl, top, -1, left, -1), moved(tr, top, 1, right, -1), moved(br, bottom, 1, right, 1),
            moved(bl, bottom, -1, left, 1)};
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
            points_.push_back({static_cast<double>(run->from), static_cast<double>(run->y)});
            points_.push_back({static_cast<double>(run->to), static_cast<double>(run->y)});
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
    std::sort(boxes.begin(), boxes.end(),
              [](const Quad& a, const Quad& b) { return a[0].y < b[0].y || (a[0].y == b[0].y && a[0].x < b[0].x); });
    return true;
}

}  // namespace plate
