// Compiles stb_image (a library of one header) once. Its warnings are its authors'.
#define STB_IMAGE_IMPLEMENTATION
#include "stb.h"
