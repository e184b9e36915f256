#include "plate/decode.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>
#include <utility>

#include "jpeg_scans.h"
#include "plate/error.h"
#include "plate/exif.h"
#include "png.h"
#ifdef PLATE_LIBJPEG
#include "jpeg_turbo.h"
#else
#include "jpeg_stb.h"
#endif

namespace plate {
namespace {

#ifdef PLATE_LIBJPEG
using Jpeg = TurboJpeg;
#else
using Jpeg = StbJpeg;
#endif

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

void read_file(const std::string& path, std::vector<std::uint8_t>& out) {
    constexpr std::size_t kMaxFile = 256U << 20U;
    constexpr std::size_t kBlock = 1U << 18U;
    const File file(std::fopen(path.c_str(), "rb"), &std::fclose);
    if (!file) throw ImageError(std::string("cannot open: ") + std::strerror(errno));
    out.clear();
    while (true) {
        const std::size_t had = out.size();
        out.resize(had + kBlock);
        const std::size_t got = std::fread(out.data() + had, 1, kBlock, file.get());
        out.resize(had + got);
        if (got < kBlock) break;
        if (out.size() > kMaxFile) throw ImageError("larger than 256 MiB");
    }
    if (std::ferror(file.get()) != 0) throw ImageError(std::string("cannot read: ") + std::strerror(errno));
}

enum class Kind { kJpeg, kPng, kOther };

Kind kind_of(const std::uint8_t* data, std::size_t size) {
    if (size >= 3 && std::memcmp(data, "\xFF\xD8\xFF", 3) == 0) return Kind::kJpeg;
    return size >= 8 && std::memcmp(data, "\x89PNG\r\n\x1a\n", 8) == 0 ? Kind::kPng : Kind::kOther;
}

}  // namespace

void Decoder::read(const std::string& path, Image& out, const ScaleRule& rule) {
    try {
        read_file(path, file_);
        decode(file_.data(), file_.size(), out, rule);
    } catch (const std::bad_alloc&) {
        throw ImageError("not enough memory to decode it");
    }
}

void Decoder::decode(std::uint8_t* data, std::size_t size, Image& out, const ScaleRule& rule) {
    warnings_.clear();
    scale_ = 1;
    if (size == 0) throw ImageError("the file is empty");
    const int orientation = exif_orientation(data, size);
    Image& stored = orientation == 1 ? out : turned_;
    switch (kind_of(data, size)) {
        case Kind::kJpeg:
            decode_jpeg(data, size, rule, stored);
            break;
        case Kind::kPng:
            decode_png(data, size, stored);
            break;
        case Kind::kOther:
            throw ImageError("neither a JPEG nor a PNG file");
    }
    if (orientation != 1) apply_orientation(stored, orientation, out);
    if (orientation >= 5) std::swap(width_, height_);
}

void Decoder::set_size(int width, int height) {
    if (width <= 0 || height <= 0) throw ImageError("damaged: it has no size");
    if (static_cast<std::int64_t>(width) * height > kMaxPixels) {
        throw ImageError(std::to_string(width) + "x" + std::to_string(height) + " pixels; at most " +
                         std::to_string(kMaxPixels) + " are read");
    }
    width_ = width;
    height_ = height;
}

void Decoder::decode_jpeg(std::uint8_t* data, std::size_t size, const ScaleRule& rule, Image& out) {
    check_kind(data, size, Jpeg::kArithmetic);
    Jpeg jpeg(data, size);
    set_size(jpeg.width(), jpeg.height());
    if (count_scans(data, size, kMaxScans) > kMaxScans) {
        throw ImageError("more than " + std::to_string(kMaxScans) +
                         " scans, which would take very long: save it again as an ordinary JPEG");
    }
    if (rule) scale_ = rule(width_, height_);
    jpeg.decode(scale_, out, warnings_);
}

void Decoder::decode_png(const std::uint8_t* data, std::size_t size, Image& out) {
    const Png png(data, size);
    set_size(png.width(), png.height());
    png.decode(out);
}

const char* jpeg_library() {
    return Jpeg::library();
}

}  // namespace plate
