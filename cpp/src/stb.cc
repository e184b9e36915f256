// Compiles stb_image (a library of one header) once, with kernels of the kit's own. Its warnings are its authors'.
#include <cstddef>
#include <cstdlib>

namespace {

// Bytes that a piece of memory may grow to. stb_image grows one for a PNG's compressed parts by the lengths that the
// file claims, and one for what comes out of them without an end: a megabyte of a hostile file unpacks to a gigabyte.
thread_local std::size_t most_bytes = 0;

void* grow_memory(void* old, std::size_t bytes) {
    return bytes > most_bytes ? nullptr : std::realloc(old, bytes);
}

}  // namespace

#define STBI_MALLOC(bytes) std::malloc(bytes)
#define STBI_REALLOC(old, bytes) grow_memory(old, bytes)
#define STBI_FREE(old) std::free(old)
#define STB_IMAGE_IMPLEMENTATION
#include <algorithm>

#include "jpeg_kernels.h"
#include "stb.h"

namespace plate {

unsigned char* stb_decode(const unsigned char* data, int size, int* width, int* height) {
    // A row has at most eight bytes a pixel and one of its own; pieces grow by doubling.
    const std::size_t rows = (8 * static_cast<std::size_t>(*width) + 1) * static_cast<std::size_t>(*height);
    most_bytes = 2 * std::max(rows, static_cast<std::size_t>(size)) + (1U << 16U);
    int channels = 0;
    stbi__context context;
    stbi__start_mem(&context, data, size);
    if (stbi__jpeg_test(&context) == 0) return stbi_load_from_memory(data, size, width, height, &channels, 4);
    auto* jpeg = static_cast<stbi__jpeg*>(stbi__malloc(sizeof(stbi__jpeg)));
    if (jpeg == nullptr) return nullptr;
    jpeg->s = &context;
    stbi__setup_jpeg(jpeg);
    jpeg->idct_block_kernel = jpeg_inverse_dct;
    jpeg->resample_row_hv_2_kernel = jpeg_double_both;
    jpeg->YCbCr_to_RGB_kernel = jpeg_to_rgb;
    unsigned char* pixels = load_jpeg_image(jpeg, width, height, &channels, 4);
    STBI_FREE(jpeg);
    return pixels;
}

}  // namespace plate
