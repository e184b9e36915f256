// zlib's decompression as stb_image has it, compiled for the stand-in alone.
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#define STBI_ONLY_PNG
#define STBI_NO_STDIO
#include <stb/stb_image.h>

int replay_inflate(char* out, int room, const char* packed, int bytes) {
    return stbi_zlib_decode_buffer(out, room, packed, bytes);
}
