// Compiles the JPEG part of stb_image (a library of one header) with kernels of the kit's own. Its warnings are its
// authors'.
#include "jpeg_stb.h"

#include <algorithm>
#include <array>
#include <climits>
#include <cstdlib>
#include <new>

#include "jpeg_kernels.h"
#include "plate/error.h"

#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#define STBI_ONLY_JPEG
#define STBI_MAX_DIMENSIONS (1 << 24)
#define STBI_MALLOC(bytes) std::malloc(bytes)
#define STBI_REALLOC(old, bytes) std::realloc(old, bytes)
#define STBI_FREE(old) std::free(old)
#if defined(__ARM_NEON) || defined(__ARM_NEON__)
#define STBI_NEON
#endif
#include <stb/stb_image.h>

namespace plate {
namespace {

[[noreturn]] void fail(const char* doing) {
    const char* told = stbi_failure_reason();
    throw ImageError(std::string("damaged: ") + doing + " (" + (told == nullptr ? "out of memory" : told) + ")");
}

void shrink(const Image& in, int scale, Image& out) {
    out.resize((in.width() + scale - 1) / scale, (in.height() + scale - 1) / scale);
    for (int y = 0; y < out.height(); ++y) {
        const int rows = std::min(scale, in.height() - y * scale);
        for (int x = 0; x < out.width(); ++x) {
            const int columns = std::min(scale, in.width() - x * scale);
            std::array<int, 3> sum{};
            for (int i = 0; i < rows * columns; ++i) {
                const std::uint8_t* p = in.pixel(x * scale + i % columns, y * scale + i / columns);
                for (std::size_t c = 0; c < sum.size(); ++c) sum[c] += p[c];
            }
            for (std::size_t c = 0; c < sum.size(); ++c) {
                const int count = rows * columns;
                out.pixel(x, y)[c] = static_cast<std::uint8_t>((sum[c] + count / 2) / count);
            }
        }
    }
}

}  // namespace

StbJpeg::StbJpeg(std::uint8_t* data, std::size_t size)
    : data_(data), size_(size > INT_MAX ? INT_MAX : static_cast<int>(size)) {
    disarm_huffman_tables(data, size);
    int channels = 0;
    if (stbi_info_from_memory(data_, size_, &width_, &height_, &channels) == 0) fail("its header cannot be read");
}

void StbJpeg::decode(int scale, Image& out, std::vector<std::string>& /*warnings*/) {
    int channels = 0;
    stbi__context context;
    stbi__start_mem(&context, data_, size_);
    auto* jpeg = static_cast<stbi__jpeg*>(stbi__malloc(sizeof(stbi__jpeg)));
    if (jpeg == nullptr) throw std::bad_alloc();
    jpeg->s = &context;
    stbi__setup_jpeg(jpeg);
    jpeg->idct_block_kernel = jpeg_inverse_dct;
    jpeg->resample_row_hv_2_kernel = jpeg_double_both;
    jpeg->YCbCr_to_RGB_kernel = jpeg_to_rgb;
    std::uint8_t* pixels = load_jpeg_image(jpeg, &width_, &height_, &channels, kPixelBytes);
    STBI_FREE(jpeg);
    if (pixels == nullptr) fail("it cannot be decoded");
    Image whole;
    Image& target = scale == 1 ? out : whole;
    target.adopt(pixels, width_, height_);
    if (scale != 1) shrink(whole, scale, out);
}

const char* StbJpeg::library() {
    return "stb_image";
}

}  // namespace plate
