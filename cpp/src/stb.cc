// Compiles stb_image (a library of one header) once, with kernels of the kit's own. Its warnings are its authors'.
#define STB_IMAGE_IMPLEMENTATION
#include "stb.h"

#include "jpeg_kernels.h"

namespace plate {

unsigned char* stb_decode(const unsigned char* data, int size, int* width, int* height) {
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
