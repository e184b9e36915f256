// The one way in which stb_image is configured: from memory only, the formats that cameras write, vector code.
#pragma once

#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_MAX_DIMENSIONS (1 << 24)
#if defined(__ARM_NEON) || defined(__ARM_NEON__)
#define STBI_NEON
#endif
#include <stb/stb_image.h>

namespace plate {

// Decodes a file in memory to four bytes a pixel, in memory that malloc gave; null when it cannot. `width` and `height`
// hold what the file's header says, and then the picture's size.
unsigned char* stb_decode(const unsigned char* data, int size, int* width, int* height);

}  // namespace plate
