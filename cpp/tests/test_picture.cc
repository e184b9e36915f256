#include <cstring>

#include "harness.h"
#include "plate/resize.h"
#include "plate/warp.h"

using namespace plate;

namespace {

Image noise(int width, int height, std::uint32_t seed) {
    test::Random random(seed);
    Image image;
    image.resize(width, height);
    for (std::size_t i = 0; i < image.bytes(); ++i) image.row(0)[i] = static_cast<std::uint8_t>(random.below(256));
    return image;
}

const Normalisation kPlain = Normalisation::from({0, 0, 0}, {1.0F / 255, 1.0F / 255, 1.0F / 255});

}  // namespace

TEST("resize: vector code and plain code agree for every width") {
    test::Random random(3);
    for (int width = 1; width < 70; ++width) {
        std::vector<std::uint8_t> row(static_cast<std::size_t>(4 * (width + 1)));
        for (std::uint8_t& value : row) value = static_cast<std::uint8_t>(random.below(256));
        std::vector<ColumnTap> taps;
        for (int x = 0; x < width; ++x) {
            const auto high = static_cast<std::uint32_t>(random.below(2049));
            taps.push_back({static_cast<std::uint32_t>(4 * random.below(width)), (2048U - high) | high << 16U});
        }
        const auto count = static_cast<std::size_t>(4 * width);
        std::vector<std::uint16_t> a(count);
        std::vector<std::uint16_t> b(count);
        blend_columns(row.data(), taps.data(), width, a.data());
        blend_columns_plain(row.data(), taps.data(), 0, width, b.data());
        CHECK(a == b);
        std::vector<std::uint8_t> c(count);
        std::vector<std::uint8_t> d(count);
        const int high = random.below(2049);
        blend_rows(a.data(), b.data(), 2048 - high, high, static_cast<int>(count), c.data());
        blend_rows_plain(a.data(), b.data(), 2048 - high, high, 0, static_cast<int>(count), d.data());
        CHECK(c == d);
    }
}

TEST("resize: the same size copies, planes are blue, green, red, and padding is left alone") {
    const Image image = noise(9, 5, 4);
    std::vector<float> out(3 * 5 * 12, -1.0F);
    Resizer resizer;
    resizer.run(image, 9, 5, 12, kPlain, out.data());
    for (int y = 0; y < 5; ++y) {
        for (int x = 0; x < 12; ++x) {
            const auto at = static_cast<std::size_t>(y * 12 + x);
            for (std::size_t plane = 0; plane < 3; ++plane) {
                const double expected = x < 9 ? image.pixel(x, y)[2 - plane] : -1.0;
                CHECK_NEAR(out[plane * 60 + at], expected, 1e-4);
            }
        }
    }
}

TEST("resize: doubling mixes three to one, and the border is repeated") {
    Image image;
    image.resize(2, 1);
    std::memset(image.row(0), 0, image.bytes());
    image.pixel(1, 0)[0] = 200;
    std::vector<float> out(3 * 4 * 2);
    Resizer resizer;
    resizer.run(image, 4, 2, 4, kPlain, out.data());
    const float* red = out.data() + 2 * 8;
    CHECK_NEAR(red[0], 0, 1e-4);
    CHECK_NEAR(red[1], 50, 1e-4);
    CHECK_NEAR(red[2], 150, 1e-4);
    CHECK_NEAR(red[3], 200, 1e-4);
    CHECK_NEAR(red[7], 200, 1e-4);
}

TEST("resize: one pixel fills everything; a resizer can change sizes") {
    Resizer resizer;
    std::vector<float> out(3 * 32 * 64);
    for (const int side : {1, 7, 1}) {
        Image image = noise(side, side, 5);
        std::memset(image.row(0), 77, image.bytes());
        resizer.run(image, 64, 32, 64, kPlain, out.data());
        for (const float value : out) CHECK_NEAR(value, 77, 1e-4);
    }
}

TEST("normalisation: (pixel / 255 - mean) / std") {
    const Normalisation norm = Normalisation::from({0.485F, 0.456F, 0.406F}, {0.229F, 0.224F, 0.225F});
    CHECK_NEAR(128 * norm.scale[0] + norm.offset[0], (128 / 255.0 - 0.485) / 0.229, 1e-5);
    CHECK_NEAR(norm.offset[2], -0.406 / 0.225, 1e-6);
}

TEST("warp: a box on whole pixels is cut out as it is") {
    const Image image = noise(40, 30, 6);
    Cropper cropper;
    Image crop;
    cropper.run(image, {Point{5, 7}, Point{29, 7}, Point{29, 17}, Point{5, 17}}, crop);
    CHECK(crop.width() == 24 && crop.height() == 10);
    for (int y = 0; y < 10; ++y) CHECK(std::memcmp(crop.row(y), image.pixel(5, y + 7), crop.stride()) == 0);
}

TEST("warp: a tall box is turned a quarter to the left") {
    const Image image = noise(40, 40, 8);
    Cropper cropper;
    Image crop;
    cropper.run(image, {Point{5, 5}, Point{15, 5}, Point{15, 30}, Point{5, 30}}, crop);
    CHECK(crop.width() == 25 && crop.height() == 10);
    CHECK(std::memcmp(crop.pixel(3, 0), image.pixel(14, 8), 3) == 0);
    CHECK(std::memcmp(crop.pixel(0, 9), image.pixel(5, 5), 3) == 0);
}

TEST("warp: the transform takes the rectangle's corners to the box's, perspective included") {
    const Quad quad = {Point{10, 12}, Point{90, 20}, Point{85, 60}, Point{6, 44}};
    const std::array<double, 9> m = rectangle_to_quad(50, 20, quad);
    const Quad corners = {Point{0, 0}, Point{50, 0}, Point{50, 20}, Point{0, 20}};
    for (std::size_t i = 0; i < 4; ++i) {
        const auto [x, y] = corners[i];
        const double w = m[6] * x + m[7] * y + m[8];
        CHECK_NEAR((m[0] * x + m[1] * y + m[2]) / w, quad[i].x, 1e-9);
        CHECK_NEAR((m[3] * x + m[4] * y + m[5]) / w, quad[i].y, 1e-9);
    }
}

TEST("warp: boxes without area, off the picture or of one pixel give a picture and no fault") {
    const Image image = noise(16, 16, 9);
    Cropper cropper;
    Image crop;
    const std::vector<Quad> odd = {{Point{3, 3}, Point{3, 3}, Point{3, 3}, Point{3, 3}},
                                   {Point{0, 0}, Point{15, 0}, Point{15, 0}, Point{0, 0}},
                                   {Point{0, 0}, Point{15, 15}, Point{0, 0}, Point{15, 15}},
                                   {Point{-500, -500}, Point{900, -500}, Point{900, 900}, Point{-500, 900}},
                                   {Point{0, 0}, Point{15, 0}, Point{1e-9, 1e-9}, Point{0, 15}}};
    for (const Quad& quad : odd) {
        cropper.run(image, quad, crop);
        CHECK(crop.width() >= 1 && crop.height() >= 1);
    }
}
