#include <cstring>

#include "harness.h"
#include "jpeg_kernels.h"
#include "jpeg_scans.h"
#include "plate/decode.h"
#include "plate/error.h"
#include "plate/exif.h"

using namespace plate;

namespace {

std::string be(std::uint64_t value, int bytes) {
    std::string out;
    for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i) & 0xFFU);
    return out;
}

// A JPEG's start with an EXIF orientation; TIFF in either byte order.
std::string exif_jpeg(int orientation, bool big) {
    const auto n = [big](std::uint64_t value, int bytes) {
        std::string text = be(value, bytes);
        return big ? text : std::string(text.rbegin(), text.rend());
    };
    const std::string tiff = (big ? std::string("MM") : std::string("II")) + n(42, 2) + n(8, 4) + n(2, 2) +
                             n(0x0100, 2) + n(3, 2) + n(1, 4) + n(9, 2) + n(0, 2) + n(0x0112, 2) + n(3, 2) + n(1, 4) +
                             n(static_cast<std::uint64_t>(orientation), 2) + n(0, 2) + n(0, 4);
    const std::string body = std::string("Exif\0\0", 6) + tiff;
    return "\xFF\xD8\xFF\xE0" + be(4, 2) + "JF" + "\xFF\xE1" + be(body.size() + 2, 2) + body + "\xFF\xDA";
}

int orientation_of(const std::string& file) {
    return exif_orientation(reinterpret_cast<const std::uint8_t*>(file.data()), file.size());
}

std::string refused(std::string file) {
    return test::message_of<ImageError>([&] {
        Decoder decoder;
        Image image;
        decoder.decode(reinterpret_cast<std::uint8_t*>(file.data()), file.size(), image);
    });
}

std::string png_header(std::uint32_t width, std::uint32_t height) {
    return std::string("\x89PNG\r\n\x1a\n") + be(13, 4) + "IHDR" + be(width, 4) + be(height, 4) +
           std::string("\x08\x02\0\0\0", 5) + be(0, 4) + std::string(64, '\0');
}

std::string segment(char code, const std::string& body) {
    return std::string("\xFF") + code + be(body.size() + 2, 2) + body;
}

// Heads of scans, each with pixel data that holds a stuffed byte, a restart marker and fill bytes behind it.
std::string scans(int count) {
    const std::string pixels("a\xFF\x00\xDA\xFF\xD0\xFF\xFF", 8);
    std::string out;
    for (int i = 0; i < count; ++i) out += segment('\xDA', std::string("\x01\x01\0\0\x3F\0", 6)) + pixels;
    return out;
}

int counted(const std::string& file, int most = 1000) {
    return count_scans(reinterpret_cast<const std::uint8_t*>(file.data()), file.size(), most);
}

std::string jpeg_header(int width, int height) {
    const auto w = static_cast<std::uint64_t>(width);
    const auto h = static_cast<std::uint64_t>(height);
    return std::string("\xFF\xD8\xFF\xC0") + be(17, 2) + "\x08" + be(h, 2) + be(w, 2) + "\x03" +
           std::string("\x01\x22\0\x02\x11\x01\x03\x11\x01", 9) + std::string(64, '\0');
}

}  // namespace

TEST("decode: huge headers are refused, not allocated") {
    CHECK_CONTAINS(refused(png_header(20000, 20000)), "20000x20000 pixels");
    CHECK_CONTAINS(refused(jpeg_header(20000, 20000) + scans(1)), "20000x20000 pixels");
    CHECK(refused(png_header(0x7FFFFFFF, 0x7FFFFFFF)) != "(nothing was thrown)");
}

TEST("decode: a PNG's size cannot hide behind another chunk") {
    const std::string start = "\x89PNG\r\n\x1a\n";
    const std::string apple = be(8, 4) + "CgBI" + be(4, 4) + be(4, 4) + be(0, 4);
    CHECK_CONTAINS(refused(start + apple + png_header(20000, 20000).substr(8)), "does not begin with a PNG header");
}

TEST("decode: empty files, text and headers alone are refused") {
    CHECK_CONTAINS(refused(""), "empty");
    CHECK_CONTAINS(refused("this is no picture"), "neither a JPEG nor a PNG");
    CHECK_CONTAINS(refused(png_header(4, 4)), "checksum (CRC)");
    CHECK_CONTAINS(refused("\xFF\xD8\xFF"), "damaged");
    CHECK_CONTAINS(refused("\x89PNG\r\n\x1a\n"), "damaged");
}

TEST("jpeg: scans are counted as a decoder would meet them") {
    const std::string start = "\xFF\xD8";
    const std::string end = "\xFF\xD9";
    CHECK(counted(start + scans(3) + end) == 3);
    // Neither a thumbnail in a segment nor what follows the end is a scan of the picture; padding hides none.
    const std::string thumbnail = segment('\xE1', "Exif" + start + scans(200) + end);
    CHECK(counted(start + thumbnail + "padding" + scans(2) + end + scans(9)) == 2);
    CHECK(counted(start + std::string(50, '\xFF') + scans(2).substr(1)) == 2);
    // It stops where enough is known, and takes a file that ends anywhere.
    CHECK(counted(start + scans(1000), 100) == 101);
    const std::string whole = start + thumbnail + scans(2);
    for (std::size_t length = 0; length <= whole.size(); ++length) CHECK(counted(whole.substr(0, length)) <= 2);
    CHECK(counted("") == 0 && counted("\xFF") == 0 && counted(start + "\xFF\xDA") == 1);
}

TEST("decode: a JPEG of too many scans is refused before it is decoded, and one of many is not") {
    CHECK_CONTAINS(refused(jpeg_header(16, 16) + scans(kMaxScans + 1) + "\xFF\xD9"), "more than 100 scans");
    CHECK_CONTAINS(refused(jpeg_header(16, 16) + scans(kMaxScans) + "\xFF\xD9"), "damaged");
}

TEST("jpeg: kinds that are sound and not read are named") {
    const auto frame = [](char code, char bits) {
        return "\xFF\xD8" + segment(code, bits + be(16, 2) + be(16, 2) + std::string("\x01\x01\x11\0", 4)) + scans(1);
    };
    CHECK_CONTAINS(refused(frame('\xC1', 12)), "12 bits a sample");
    CHECK_CONTAINS(refused(frame('\xC3', 8)), "lossless JPEG");
    CHECK_CONTAINS(refused(frame('\xC5', 8)), "hierarchical JPEG");
    const std::string arithmetic = frame('\xC9', 8);
    const auto* data = reinterpret_cast<const std::uint8_t*>(arithmetic.data());
    CHECK_CONTAINS(test::message_of<ImageError>([&] { check_kind(data, arithmetic.size(), false); }), "arithmetic");
    check_kind(data, arithmetic.size(), true);
    for (std::size_t length = 0; length < arithmetic.size(); ++length) check_kind(data, length, true);
}

TEST("exif: orientation in both byte orders, and nonsense is upright") {
    for (int orientation = 1; orientation <= 8; ++orientation) {
        CHECK(orientation_of(exif_jpeg(orientation, true)) == orientation);
        CHECK(orientation_of(exif_jpeg(orientation, false)) == orientation);
    }
    CHECK(orientation_of(exif_jpeg(0, true)) == 1);
    CHECK(orientation_of(exif_jpeg(9, true)) == 1);
    const std::string whole = exif_jpeg(6, false);
    for (std::size_t length = 0; length < whole.size(); ++length) {
        const int found = orientation_of(whole.substr(0, length));
        CHECK(found == 1 || found == 6);
    }
    // Damage of every single byte is survived.
    for (std::size_t i = 0; i < whole.size(); ++i) {
        std::string damaged = whole;
        damaged[i] = '\xFF';
        const int found = orientation_of(damaged);
        CHECK(found >= 1 && found <= 8);
    }
}

TEST("exif: pictures are turned upright") {
    // Where the corner pixels of a 3x2 picture (1 2 3 / 4 5 6) must go, rows of the upright picture.
    const std::vector<std::vector<std::vector<int>>> expected = {
        {{1, 2, 3}, {4, 5, 6}},   {{3, 2, 1}, {6, 5, 4}},   {{6, 5, 4}, {3, 2, 1}},   {{4, 5, 6}, {1, 2, 3}},
        {{1, 4}, {2, 5}, {3, 6}}, {{4, 1}, {5, 2}, {6, 3}}, {{6, 3}, {5, 2}, {4, 1}}, {{3, 6}, {2, 5}, {1, 4}}};
    Image stored;
    stored.resize(3, 2);
    for (int i = 0; i < 6; ++i) std::memset(stored.pixel(i % 3, i / 3), i + 1, kPixelBytes);
    for (int orientation = 1; orientation <= 8; ++orientation) {
        Image upright;
        apply_orientation(stored, orientation, upright);
        const auto& rows = expected[static_cast<std::size_t>(orientation - 1)];
        CHECK(upright.height() == static_cast<int>(rows.size()));
        for (int y = 0; y < upright.height(); ++y) {
            for (int x = 0; x < upright.width(); ++x) {
                CHECK(*upright.pixel(x, y) == rows[static_cast<std::size_t>(y)][static_cast<std::size_t>(x)]);
            }
        }
    }
}

TEST("jpeg: the inverse transform is the cosine sum, rounded") {
    test::Random random(21);
    for (int round = 0; round < 50; ++round) {
        short c[64] = {};
        for (int i = 0; i < 64; ++i) {
            if (i == 0 || random.below(8) < round % 8) c[i] = static_cast<short>(random.below(400) - 200);
        }
        std::uint8_t out[64];
        short copy[64];
        std::memcpy(copy, c, sizeof(c));
        jpeg_inverse_dct(out, 8, copy);
        for (int y = 0; y < 8; ++y) {
            for (int x = 0; x < 8; ++x) {
                double sum = 0;
                for (int v = 0; v < 8; ++v) {
                    for (int u = 0; u < 8; ++u) {
                        const double pi = 3.14159265358979323846;
                        sum += c[8 * v + u] * (u == 0 ? std::sqrt(0.125) : 0.5) * (v == 0 ? std::sqrt(0.125) : 0.5) *
                               std::cos((2 * x + 1) * u * pi / 16) * std::cos((2 * y + 1) * v * pi / 16);
                    }
                }
                const double expected = std::min(255.0, std::max(0.0, sum + 128));
                CHECK_NEAR(out[8 * y + x], expected, 1.01);
            }
        }
    }
}

TEST("jpeg: colours are those of the standard's formula") {
    std::vector<std::uint8_t> y;
    std::vector<std::uint8_t> cb;
    std::vector<std::uint8_t> cr;
    for (int i = 0; i < 4096; ++i) {
        y.push_back(static_cast<std::uint8_t>(i * 7));
        cb.push_back(static_cast<std::uint8_t>(i / 16));
        cr.push_back(static_cast<std::uint8_t>(i * 5 / 3));
    }
    std::vector<std::uint8_t> out(4096 * 4);
    jpeg_to_rgb(out.data(), y.data(), cb.data(), cr.data(), 4096, 4);
    for (std::size_t i = 0; i < 4096; ++i) {
        const double u = cb[i] - 128.0;
        const double v = cr[i] - 128.0;
        const double rgb[] = {y[i] + 1.402 * v, y[i] - 0.344136 * u - 0.714136 * v, y[i] + 1.772 * u};
        for (std::size_t c = 0; c < 3; ++c) {
            CHECK_NEAR(out[4 * i + c], std::min(255.0, std::max(0.0, rgb[c])), 0.51);
        }
    }
}

TEST("jpeg: Huffman tables of more than 256 codes lose their marker, others and everything else stay") {
    const auto table = [](int codes_of_last_length) {
        std::string counts(16, '\x01');
        counts[15] = static_cast<char>(codes_of_last_length);
        return std::string(1, '\0') + counts + std::string(static_cast<std::size_t>(15 + codes_of_last_length), 'v');
    };
    const auto disarmed = [](std::string file) {
        disarm_huffman_tables(reinterpret_cast<std::uint8_t*>(file.data()), file.size());
        return file;
    };
    const std::string good = segment('\xC4', table(241)) + "data" + segment('\xC4', table(3) + table(9));
    CHECK(disarmed(good) == good);
    const std::string bad = segment('\xC4', table(242));
    CHECK(disarmed(good + bad) == good + "\xFF" + std::string(1, '\0') + bad.substr(2));
    // There are eight tables; a segment that goes on defining them is none of a picture.
    std::string many;
    for (int i = 0; i < 16; ++i) many += table(1);
    CHECK(disarmed(segment('\xC4', many)) == segment('\xC4', many));
    CHECK(disarmed(segment('\xC4', many + table(1)))[1] == '\0');
    // The second table of a segment counts too, and a file may end anywhere.
    CHECK(disarmed(segment('\xC4', table(3) + table(255)))[1] == '\0');
    for (std::size_t length = 0; length < bad.size(); ++length) CHECK(disarmed(bad.substr(0, length)).size() == length);
}
