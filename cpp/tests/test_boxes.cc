#include <limits>

#include "harness.h"
#include "plate/db_post.h"

using namespace plate;

namespace {

DbOptions options() {
    DbOptions db;
    db.dilation = false;
    db.box_grow = 0;
    return db;
}

void fill(std::vector<float>& map, int width, int x0, int y0, int x1, int y1, float value) {
    for (int y = y0; y <= y1; ++y) {
        for (int x = x0; x <= x1; ++x) map[static_cast<std::size_t>(y * width + x)] = value;
    }
}

}  // namespace

TEST("boxes: a bright rectangle becomes a box grown by area * ratio / perimeter, in pixels of the photo") {
    std::vector<float> map(64 * 32, 0.0F);
    fill(map, 64, 10, 8, 40, 18, 0.9F);
    std::vector<Quad> boxes;
    DbPost post;
    CHECK(post.run(map.data(), 64, 32, 128, 96, options(), boxes));
    CHECK(boxes.size() == 1);
    // Pixel centres span 30 x 10; margin 300 * 1.5 / 80.
    const double margin = 5.625;
    CHECK_NEAR(boxes[0][0].x, (10 - margin) * 2, 1e-9);
    CHECK_NEAR(boxes[0][0].y, (8 - margin) * 3, 1e-9);
    CHECK_NEAR(boxes[0][2].x, (40 + margin) * 2, 1e-9);
    CHECK_NEAR(boxes[0][2].y, (18 + margin) * 3, 1e-9);
}

TEST("boxes: pale, thin and far too small ones are dropped; the rest come from top to bottom") {
    std::vector<float> map(96 * 64, 0.0F);
    fill(map, 96, 50, 40, 80, 50, 0.9F);
    fill(map, 96, 5, 5, 35, 15, 0.5F);   // pale
    fill(map, 96, 5, 25, 60, 26, 0.9F);  // thin
    fill(map, 96, 60, 5, 90, 15, 0.9F);
    std::vector<Quad> boxes;
    DbPost post;
    CHECK(post.run(map.data(), 96, 64, 96, 64, options(), boxes));
    CHECK(boxes.size() == 2);
    CHECK(boxes[0][0].y < boxes[1][0].y);
    DbOptions one = options();
    one.max_candidates = 1;
    CHECK(post.run(map.data(), 96, 64, 96, 64, one, boxes));
    CHECK(boxes.empty() || boxes.size() == 1);
}

TEST("boxes: they end at the photo's last pixels, and a map with NaN gives none") {
    std::vector<float> map(64 * 32, 0.0F);
    fill(map, 64, 0, 0, 63, 31, 0.9F);
    std::vector<Quad> boxes;
    DbPost post;
    DbOptions db = options();
    db.box_grow = 0.5;
    CHECK(post.run(map.data(), 64, 32, 64, 32, db, boxes));
    CHECK(boxes.size() == 1 && boxes[0][0].x == 0 && boxes[0][0].y == 0);
    CHECK(boxes[0][2].x == 63 && boxes[0][2].y == 31);
    map[5] = std::numeric_limits<float>::quiet_NaN();
    CHECK(!post.run(map.data(), 64, 32, 64, 32, db, boxes));
    CHECK(boxes.empty());
}

TEST("boxes: of boxes that begin at the same corner the one that was found first comes first") {
    std::vector<float> map(64 * 64);
    for (std::size_t y = 0; y < 64; ++y) {
        for (std::size_t x = 0; x < 64; ++x) map[y * 64 + x] = y % 8 < 6 && x % 8 < 6 ? 0.9F : 0.0F;
    }
    DbPost post;
    DbOptions db = options();
    db.box_thresh = 0;
    db.unclip_ratio = 10;
    db.box_grow = 0.4;
    db.dilation = false;
    std::vector<Quad> boxes;
    CHECK(post.run(map.data(), 64, 64, 640, 640, db, boxes));
    CHECK(boxes.size() == 64);
    int ties = 0;
    for (std::size_t i = 1; i < boxes.size(); ++i) {
        const Quad& a = boxes[i - 1];
        const Quad& b = boxes[i];
        if (a[0].x != b[0].x || a[0].y != b[0].y) continue;
        ++ties;
        // In scan order: a row of boxes after the other.
        const double lower = b[2].y - a[2].y;
        CHECK(lower > 0.5 || (std::abs(lower) < 1e-6 && a[2].x <= b[2].x));
    }
    CHECK(ties > 12);
}

TEST("boxes: the score is the mean over points inside, sides included") {
    std::vector<float> map(20 * 20);
    for (std::size_t i = 0; i < map.size(); ++i) map[i] = static_cast<float>(i % 20);
    // Columns 4 to 8, rows 3 to 5.
    CHECK_NEAR(box_score(map.data(), 20, 20, {{6, 4}, {1, 0}, 4, 2}), 6, 1e-12);
    CHECK_NEAR(box_score(map.data(), 20, 20, {{6, 4}, {0, 1}, 2, 4}), 6, 1e-12);
    // A diamond around (10, 10) is symmetric; one half off the map counts what is on it.
    const double r = std::sqrt(0.5);
    CHECK_NEAR(box_score(map.data(), 20, 20, {{10, 10}, {r, r}, 6, 6}), 10, 1e-9);
    CHECK_NEAR(box_score(map.data(), 20, 20, {{0, 10}, {1, 0}, 4, 4}), 1, 1e-12);
    CHECK_NEAR(box_score(map.data(), 20, 20, {{-50, 10}, {1, 0}, 4, 4}), 0, 0);
}

TEST("boxes: corners in any order come out with the text running right along the longer side") {
    for (int degrees = -85; degrees <= 85; degrees += 10) {
        const double a = degrees * 3.14159265358979 / 180;
        const Rect rect{{100, 100}, {std::cos(a), std::sin(a)}, 60, 20};
        const Quad corners = rect.corners();
        for (std::size_t start = 0; start < 4; ++start) {
            for (const bool reversed : {false, true}) {
                Quad mixed;
                for (std::size_t i = 0; i < 4; ++i) mixed[i] = corners[(start + (reversed ? 4 - i : i)) % 4];
                const Quad ordered = order_corners(mixed, true);
                for (std::size_t i = 0; i < 4; ++i) CHECK_NEAR(distance(ordered[i], corners[i]), 0, 1e-9);
            }
        }
    }
    const Quad upright = order_corners({Point{0, 60}, Point{0, 0}, Point{20, 0}, Point{20, 60}}, true);
    CHECK(upright[0].x == 20 && upright[0].y == 0 && upright[1].y == 60);
    // The old order goes wrong on a steep plate; it is kept for comparison.
    const Quad old = order_corners({Point{0, 60}, Point{0, 0}, Point{20, 0}, Point{20, 60}}, false);
    CHECK(old[0].x == 0 && old[0].y == 0 && old[1].x == 20 && old[1].y == 0);
}

TEST("boxes: growing moves each side by a fraction of the box's own size") {
    const Quad grown = grow({Point{10, 10}, Point{110, 10}, Point{110, 60}, Point{10, 60}}, 0.1);
    CHECK_NEAR(grown[0].x, 0, 1e-12);
    CHECK_NEAR(grown[0].y, 5, 1e-12);
    CHECK_NEAR(grown[2].x, 120, 1e-12);
    CHECK_NEAR(grown[2].y, 65, 1e-12);
}
