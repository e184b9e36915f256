#include "plate/decode.h"

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>

#include "plate/error.h"
#include "plate/exif.h"
#include "stb.h"

namespace plate {
namespace {

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

}  // namespace

void Decoder::read(const std::string& path, Image& out) {
    try {
        read_file(path, file_);
        decode(file_.data(), file_.size(), out);
    } catch (const std::bad_alloc&) {
        throw ImageError("not enough memory to decode it");
    }
}

void Decoder::decode(const std::uint8_t* data, std::size_t size, Image& out) {
    if (size == 0) throw ImageError("the file is empty");
    const int length = size > INT_MAX ? INT_MAX : static_cast<int>(size);
    int width = 0;
    int height = 0;
    int channels = 0;
    if (stbi_info_from_memory(data, length, &width, &height, &channels) == 0) {
        throw ImageError(std::string("neither a JPEG nor a PNG file (") + stbi_failure_reason() + ")");
    }
    if (width <= 0 || height <= 0 || static_cast<std::int64_t>(width) * height > kMaxPixels) {
        throw ImageError(std::to_string(width) + "x" + std::to_string(height) + " pixels; at most " +
                         std::to_string(kMaxPixels) + " are read");
    }
    std::uint8_t* pixels = stb_decode(data, length, &width, &height);
    if (pixels == nullptr)
        throw ImageError(std::string("damaged: it cannot be decoded (") + stbi_failure_reason() + ")");

    const int orientation = exif_orientation(data, size);
    Image& target = orientation == 1 ? out : turned_;
    target.adopt(pixels, width, height);
    if (orientation != 1) apply_orientation(turned_, orientation, out);
}

}  // namespace plate
