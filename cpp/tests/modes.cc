// What the Python tests ask of plate_tests besides running the unit tests.
#include "modes.h"

#include <fstream>
#include <iterator>
#include <stdexcept>

#include "harness.h"
#include "jpeg_stb.h"
#include "plate/config.h"
#include "plate/ctc.h"
#include "plate/db_post.h"
#include "plate/decode.h"
#include "plate/error.h"
#include "plate/grammar.h"
#include "plate/nb_file.h"
#include "plate/resize.h"
#include "plate/text.h"
#include "plate/warp.h"

namespace plate::test {
namespace {

void write_ppm(const std::string& path, const Image& image) {
    std::FILE* file = std::fopen(path.c_str(), "wb");
    if (file == nullptr) throw std::runtime_error("cannot write " + path);
    std::fprintf(file, "P6\n%d %d\n255\n", image.width(), image.height());
    for (int y = 0; y < image.height(); ++y) {
        for (int x = 0; x < image.width(); ++x) std::fwrite(image.pixel(x, y), 1, 3, file);
    }
    std::fclose(file);
}

}  // namespace

int decode_files(const std::string& folder, const std::vector<std::string>& files, int scale) {
    Decoder decoder;
    Image image;
    for (std::size_t i = 0; i < files.size(); ++i) {
        try {
            decoder.read(files[i], image, [scale](int, int) { return scale; });
            if (folder != "-") write_ppm(folder + "/" + std::to_string(i) + ".ppm", image);
            std::printf("%d %d", image.width(), image.height());
            for (const std::string& warning : decoder.warnings()) std::printf(" | %s", warning.c_str());
            std::puts("");
        } catch (const ImageError& error) {
            std::printf("error: %s\n", error.what());
        }
    }
    return 0;
}

int decode_by_stb(const std::string& folder, const std::vector<std::string>& files) {
    Image image;
    std::vector<std::string> warnings;
    for (std::size_t i = 0; i < files.size(); ++i) {
        std::ifstream file(files[i], std::ios::binary);
        std::string data((std::istreambuf_iterator<char>(file)), {});
        try {
            StbJpeg jpeg(reinterpret_cast<std::uint8_t*>(data.data()), data.size());
            jpeg.decode(1, image, warnings);
            if (folder != "-") write_ppm(folder + "/" + std::to_string(i) + ".ppm", image);
            std::printf("%d %d\n", image.width(), image.height());
        } catch (const ImageError& error) {
            std::printf("error: %s\n", error.what());
        }
    }
    return 0;
}

int parse_files(const std::string& kind, const std::vector<std::string>& files) {
    for (const std::string& file : files) {
        try {
            if (kind == "config") {
                load_config(file, {});
            } else if (kind == "dictionary") {
                read_dictionary(file);
            } else if (kind == "grammar") {
                Grammar::read(file);
            } else if (kind == "list") {
                read_list(file);
            } else if (kind == "nb") {
                check_nb_file(file);
            } else {
                return 2;
            }
            std::puts("ok");
        } catch (const Error& error) {
            std::printf("error %d: %s\n", static_cast<int>(error.code()), one_line(error.what()).c_str());
        }
    }
    return 0;
}

int read_probabilities(const std::vector<std::string>& files) {
    const std::vector<std::string> dictionary = read_dictionary(files[1]);
    PlateDecoder decoder(Grammar::read(files[0]), dictionary, {});
    std::ifstream file(files[2], std::ios::binary);
    std::vector<float> row(dictionary.size() + 1);
    std::vector<float> all;
    while (file.read(reinterpret_cast<char*>(row.data()), static_cast<std::streamsize>(row.size() * sizeof(float)))) {
        all.insert(all.end(), row.begin(), row.end());
    }
    const std::size_t steps = std::stoul(files[3]);
    Reading reading;
    for (std::size_t at = 0; at + steps * row.size() <= all.size(); at += steps * row.size()) {
        decoder.decode(all.data() + at, steps, row.size(), reading);
        std::printf("%s %.17g\n", reading.text.c_str(), reading.score);
    }
    return 0;
}

int repeat_stage(const std::string& stage, int repeats, int width, int height) {
    Random random(1);
    Image photo;
    photo.resize(720, 1160);
    for (std::size_t i = 0; i < photo.bytes(); ++i) photo.row(0)[i] = static_cast<std::uint8_t>(random.below(256));
    std::vector<float> map(static_cast<std::size_t>(width * height), 0.001F);
    const int left = width / 3;
    const int top = height / 2;
    for (int y = top; y < top + height / 40; ++y) {
        for (int x = left; x < left + width / 4; ++x) map[static_cast<std::size_t>(y * width + x)] = 0.9F;
    }
    constexpr std::size_t kSteps = 40;
    constexpr std::size_t kClasses = 6625;
    std::vector<float> text(kSteps * kClasses, 1e-5F);
    for (std::size_t t = 0; t < kSteps; ++t) text[t * kClasses + (t % 5 == 0 ? 100 * t + 1 : 0)] = 0.9F;
    const std::vector<std::string> dictionary(kClasses - 1, "x");
    const Normalisation norm = Normalisation::from({0.485F, 0.456F, 0.406F}, {0.229F, 0.224F, 0.225F});

    std::vector<float> det_input(static_cast<std::size_t>(3 * width * height));
    std::vector<float> rec_input(static_cast<std::size_t>(3 * 48 * 320));
    Resizer det_resizer;
    Resizer rec_resizer;
    DbPost post;
    Cropper cropper;
    Image crop;
    Reading reading;
    std::vector<Quad> boxes;
    post.run(map.data(), width, height, photo.width(), photo.height(), {}, boxes);
    if (boxes.size() != 1) return 1;
    cropper.run(photo, boxes[0], crop);
    for (int i = 0; i < repeats; ++i) {
        if (stage == "det_pre") {
            det_resizer.run(photo, width, height, width, norm, det_input.data());
        } else if (stage == "det_post") {
            post.run(map.data(), width, height, photo.width(), photo.height(), {}, boxes);
        } else if (stage == "crop") {
            cropper.run(photo, boxes[0], crop);
        } else if (stage == "rec_pre") {
            rec_resizer.run(crop, 320, 48, 320, norm, rec_input.data());
        } else if (stage == "rec_post") {
            if (!all_finite(text.data(), text.size())) return 1;
            decode_greedy(text.data(), kSteps, kClasses, dictionary, reading);
        } else {
            return 2;
        }
    }
    std::printf("%s %dx%d\n", stage.c_str(), crop.width(), crop.height());
    return 0;
}

}  // namespace plate::test
