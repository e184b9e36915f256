#include "harness.h"
#include "plate/geometry.h"

using namespace plate;

namespace {

std::vector<Pixel> hull_of(std::vector<Pixel> points) {
    std::vector<Pixel> hull;
    convex_hull(points, hull);
    return hull;
}

// The least area by trying directions in steps of a thousandth of a right angle.
double searched_area(const std::vector<Pixel>& points) {
    double least = 1e30;
    for (int step = 0; step < 1000; ++step) {
        const double angle = step * 1.5707963267948966 / 1000;
        double low_u = 1e30;
        double high_u = -1e30;
        double low_v = 1e30;
        double high_v = -1e30;
        for (const Pixel p : points) {
            const auto x = static_cast<double>(p.x);
            const auto y = static_cast<double>(p.y);
            const double u = std::cos(angle) * x + std::sin(angle) * y;
            const double v = -std::sin(angle) * x + std::cos(angle) * y;
            low_u = std::min(low_u, u);
            high_u = std::max(high_u, u);
            low_v = std::min(low_v, v);
            high_v = std::max(high_v, v);
        }
        least = std::min(least, (high_u - low_u) * (high_v - low_v));
    }
    return least;
}

bool inside(const Rect& rect, Pixel p) {
    const double dx = static_cast<double>(p.x) - rect.centre.x;
    const double dy = static_cast<double>(p.y) - rect.centre.y;
    return std::abs(dx * rect.axis.x + dy * rect.axis.y) <= rect.width / 2 + 1e-9 &&
           std::abs(dy * rect.axis.x - dx * rect.axis.y) <= rect.height / 2 + 1e-9;
}

}  // namespace

TEST("geometry: the hull starts at the top, goes clockwise and leaves out points on its edges") {
    const std::vector<Pixel> hull = hull_of({{0, 4}, {4, 0}, {0, 0}, {4, 4}, {2, 0}, {2, 2}, {0, 2}, {0, 0}});
    CHECK(hull.size() == 4);
    CHECK(hull[0].x == 0 && hull[0].y == 0);
    CHECK(hull[1].x == 4 && hull[1].y == 0);
    CHECK(hull[2].x == 4 && hull[2].y == 4);
}

TEST("geometry: points and lines have rectangles without area") {
    CHECK(min_area_rect(hull_of({})).short_side() == 0);
    const Rect point = min_area_rect(hull_of({{3, 5}}));
    CHECK(point.centre.x == 3 && point.centre.y == 5 && point.width == 0 && point.height == 0);
    const Rect line = min_area_rect(hull_of({{0, 0}, {3, 4}, {6, 8}}));
    CHECK(line.short_side() == 0);
    CHECK_NEAR(std::max(line.width, line.height), 10, 1e-12);
    CHECK_NEAR(line.centre.x, 3, 1e-12);
}

TEST("geometry: a turned rectangle is found as it is") {
    const Rect rect = min_area_rect(hull_of({{10, 0}, {50, 30}, {44, 38}, {4, 8}}));
    CHECK_NEAR(std::max(rect.width, rect.height), 50, 1e-9);
    CHECK_NEAR(rect.short_side(), 10, 1e-9);
    CHECK_NEAR(rect.centre.x, 27, 1e-9);
    CHECK_NEAR(rect.centre.y, 19, 1e-9);
}

TEST("geometry: rotating calipers find what trying every direction finds, and hold all points") {
    test::Random random(1);
    for (int round = 0; round < 200; ++round) {
        std::vector<Pixel> points;
        const int count = 1 + random.below(40);
        for (int i = 0; i < count; ++i) points.push_back({random.below(60), random.below(25)});
        const Rect rect = min_area_rect(hull_of(points));
        const double area = rect.width * rect.height;
        CHECK(area <= searched_area(points) + 1e-9);
        for (const Pixel p : points) CHECK(inside(rect, p));
        const Quad corners = rect.corners();
        CHECK_NEAR(distance(corners[0], corners[1]), rect.width, 1e-9);
        CHECK_NEAR(distance(corners[1], corners[2]), rect.height, 1e-9);
    }
}
