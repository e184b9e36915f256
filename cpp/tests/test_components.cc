#include <algorithm>
#include <limits>

#include "harness.h"
#include "plate/components.h"

using namespace plate;

namespace {

// Components by flood fill, pixel by pixel: slow and plainly right.
std::vector<std::vector<std::pair<int, int>>> flooded(std::vector<std::uint8_t> mask, int width, int height) {
    std::vector<std::vector<std::pair<int, int>>> found;
    const auto at = [&](int x, int y) -> std::uint8_t& { return mask[static_cast<std::size_t>(y * width + x)]; };
    for (int y = 0; y < height; ++y) {
        for (int x = 0; x < width; ++x) {
            if (at(x, y) == 0) continue;
            std::vector<std::pair<int, int>> pixels = {{y, x}};
            at(x, y) = 0;
            for (std::size_t i = 0; i < pixels.size(); ++i) {
                const auto [py, px] = pixels[i];
                for (int ny = std::max(0, py - 1); ny <= std::min(height - 1, py + 1); ++ny) {
                    for (int nx = std::max(0, px - 1); nx <= std::min(width - 1, px + 1); ++nx) {
                        if (at(nx, ny) == 0) continue;
                        at(nx, ny) = 0;
                        pixels.emplace_back(ny, nx);
                    }
                }
            }
            std::sort(pixels.begin(), pixels.end());
            found.push_back(pixels);
        }
    }
    return found;
}

std::vector<std::uint8_t> mask_of(const std::vector<float>& map, int width, int height, float threshold, bool dilate) {
    std::vector<std::uint8_t> mask(map.size());
    for (int y = 0; y < height; ++y) {
        for (int x = 0; x < width; ++x) {
            bool set = false;
            for (int dy = 0; dy <= (dilate ? 1 : 0); ++dy) {
                for (int dx = 0; dx <= (dilate ? 1 : 0); ++dx) {
                    if (x >= dx && y >= dy)
                        set = set || map[static_cast<std::size_t>((y - dy) * width + x - dx)] > threshold;
                }
            }
            mask[static_cast<std::size_t>(y * width + x)] = set ? 1 : 0;
        }
    }
    return mask;
}

}  // namespace

TEST("components: runs give what flood fill gives, in scan order") {
    test::Random random(7);
    Components components;
    for (int round = 0; round < 150; ++round) {
        const int width = 1 + random.below(70);
        const int height = 1 + random.below(30);
        const float density = random.unit() * 0.7F;
        std::vector<float> map(static_cast<std::size_t>(width * height));
        for (float& value : map) value = random.unit() < density ? 0.9F : 0.1F;
        const bool dilate = round % 2 == 0;
        const auto expected = flooded(mask_of(map, width, height, 0.3F, dilate), width, height);
        const std::size_t found = components.find(map.data(), width, height, 0.3F, dilate);
        CHECK(found == expected.size());
        for (std::size_t i = 0; i < std::min(found, expected.size()); ++i) {
            std::vector<std::pair<int, int>> pixels;
            for (const Run* run = components.begin(i); run != components.end(i); ++run) {
                for (int x = run->from; x <= run->to; ++x) pixels.emplace_back(run->y, x);
            }
            CHECK(pixels == expected[i]);
        }
        CHECK(!components.not_finite());
    }
}

TEST("components: a spiral is one, diagonal neighbours touch") {
    // Arms that join only after many rows: labels must be merged late.
    const std::vector<std::string> rows = {"#.#.#.#.#", "#.#.#.#.#", "#.#.#.#.#", "#########", ".........",
                                           "#.......#", ".#.....#.", "..#...#..", "...#.#...", "....#...."};
    std::vector<float> map;
    for (const std::string& row : rows) {
        for (const char c : row) map.push_back(c == '#' ? 1.0F : 0.0F);
    }
    Components components;
    CHECK(components.find(map.data(), 9, 10, 0.5F, false) == 2);
    CHECK(components.begin(0)->y == 0);
    CHECK(components.begin(1)->y == 5);
}

TEST("components: infinite and undefined values are noticed wherever they are") {
    Components components;
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
        for (const std::size_t at : {std::size_t{0}, std::size_t{77}, std::size_t{33 * 9 - 1}}) {
            std::vector<float> map(33 * 9, 0.0F);
            map[at] = bad;
            components.find(map.data(), 33, 9, 0.3F, true);
            CHECK(components.not_finite());
        }
    }
}
