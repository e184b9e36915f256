// What the stages compute from fixed pseudo-random inputs, as digests: equal on every machine.
#include <cinttypes>

#include "grammar_text.h"
#include "harness.h"
#include "jpeg_kernels.h"
#include "plate/db_post.h"
#include "plate/resize.h"
#include "plate/text.h"
#include "plate/warp.h"

namespace plate::test {
namespace {

void line(const char* name, const Digest& digest) {
    std::printf("%s %016" PRIx64 "\n", name, digest.value());
}

Image blobs(int width, int height, Random& random) {
    Image image;
    image.resize(width, height);
    for (int y = 0; y < height; ++y) {
        for (int x = 0; x < width; ++x) {
            for (int c = 0; c < kPixelBytes; ++c) {
                image.pixel(x, y)[c] = static_cast<std::uint8_t>((x * (3 + c) + y * 5 + random.below(40)) & 0xFF);
            }
        }
    }
    return image;
}

void resizing(const Image& image) {
    const Normalisation norm = Normalisation::from({0.485F, 0.456F, 0.406F}, {0.229F, 0.224F, 0.225F});
    Resizer resizer;
    Digest digest;
    for (const auto& [width, height] : {std::pair{352, 192}, std::pair{96, 64}, std::pair{321, 47}}) {
        std::vector<float> out(static_cast<std::size_t>(3 * width * height));
        resizer.run(image, width, height, width, norm, out.data());
        for (const float value : out) digest.add_rounded(static_cast<double>(value), 1e-3);
    }
    line("resize", digest);
}

void cropping(const Image& image, Random& random) {
    Cropper cropper;
    Image crop;
    Digest digest;
    for (int i = 0; i < 12; ++i) {
        const double x = random.below(150);
        const double y = random.below(80);
        const double w = 40 + random.below(120);
        const double h = 15 + random.below(60);
        const double lean = random.below(30) - 15.0;
        cropper.run(image, {Point{x, y + lean}, Point{x + w, y}, Point{x + w + 3, y + h}, Point{x + 1, y + h + lean}},
                    crop);
        for (std::size_t k = 0; k < crop.bytes(); ++k) digest.add(crop.row(0)[k]);
    }
    line("crop", digest);
}

void boxes(Random& random) {
    constexpr int kWidth = 320;
    constexpr int kHeight = 192;
    std::vector<float> map(static_cast<std::size_t>(kWidth) * kHeight);
    for (float& value : map) value = random.unit() * 0.25F;
    for (int i = 0; i < 20; ++i) {
        const int cx = random.below(kWidth);
        const int cy = random.below(kHeight);
        const int w = 5 + random.below(30);
        const int slope = random.below(7) - 3;
        for (int dx = -w; dx <= w; ++dx) {
            for (int dy = -6; dy <= 6; ++dy) {
                const int x = cx + dx;
                const int y = cy + dy + dx * slope / 8;
                if (x < 0 || y < 0 || x >= kWidth || y >= kHeight) continue;
                map[static_cast<std::size_t>(y * kWidth + x)] = 0.5F + random.unit() * 0.5F;
            }
        }
    }
    DbPost post;
    std::vector<Quad> found;
    Digest digest;
    for (const bool dilation : {false, true}) {
        DbOptions options;
        options.dilation = dilation;
        post.run(map.data(), kWidth, kHeight, 720, 1160, options, found);
        digest.add(static_cast<std::int64_t>(found.size()));
        for (const Quad& quad : found) {
            for (const Point p : quad) {
                digest.add_rounded(p.x, 1e-3);
                digest.add_rounded(p.y, 1e-3);
            }
        }
    }
    line("boxes", digest);
}

void reading(Random& random) {
    const std::vector<std::string> dictionary = characters("皖京沪ABCDEFGHJKLMNPQRSTUVWXYZ0123456789·港学OI");
    const std::size_t classes = dictionary.size() + 1;
    PlateDecoder decoder(grammar_of(kGrammarText), dictionary, {"·"});
    Digest digest;
    for (int round = 0; round < 20; ++round) {
        std::vector<float> p(40 * classes);
        for (std::size_t t = 0; t < 40; ++t) {
            float sum = 0;
            for (std::size_t c = 0; c < classes; ++c)
                sum += p[t * classes + c] = random.below(4) == 0 ? random.unit() : 0.001F;
            for (std::size_t c = 0; c < classes; ++c) p[t * classes + c] /= sum;
        }
        Reading greedy;
        Reading plate;
        decode_greedy(p.data(), 40, classes, dictionary, greedy);
        decoder.decode(p.data(), 40, classes, plate);
        for (const Reading& r : {greedy, plate}) {
            for (const char c : r.text) digest.add(c & 0xFF);
            digest.add_rounded(r.score, 1e-6);
        }
    }
    line("read", digest);
}

void decoding(Random& random) {
    Digest digest;
    for (int round = 0; round < 500; ++round) {
        short block[64] = {};
        const int filled = random.below(64);
        for (int i = 0; i <= filled; ++i) block[i] = static_cast<short>(random.below(600) - 300);
        std::uint8_t out[64];
        jpeg_inverse_dct(out, 8, block);
        for (const std::uint8_t value : out) digest.add(value);
    }
    line("jpeg", digest);
}

}  // namespace

void print_fingerprint() {
    Random random(2024);
    const Image image = blobs(330, 170, random);
    resizing(image);
    cropping(image, random);
    boxes(random);
    reading(random);
    decoding(random);
}

}  // namespace plate::test
