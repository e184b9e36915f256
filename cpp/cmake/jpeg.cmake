# How JPEGs are decoded: by libjpeg-turbo, linked statically, where it is given; else by stb_image, which refuses what is
# not perfect and decodes at full scale only. edge/bundle/jpeg_library.py finds the library for Debian's architectures; for
# others (Android, say) one built from its sources can be given by hand.
set(PLATE_JPEG_LIBRARY "" CACHE FILEPATH "libjpeg.a of libjpeg-turbo; empty for stb_image")
set(PLATE_JPEG_INCLUDE "" CACHE STRING "Folders of jpeglib.h and jconfig.h, where the compiler does not look for them")

add_library(plate_jpeg INTERFACE)
if(PLATE_JPEG_LIBRARY)
  target_compile_definitions(plate_jpeg INTERFACE PLATE_LIBJPEG)
  target_include_directories(plate_jpeg SYSTEM INTERFACE ${PLATE_JPEG_INCLUDE})
  target_link_libraries(plate_jpeg INTERFACE ${PLATE_JPEG_LIBRARY})
  set(PLATE_JPEG_SOURCES src/jpeg_turbo.cc)
else()
  message(STATUS "JPEG by stb_image: libjpeg-turbo is not given")
  set(PLATE_JPEG_SOURCES "")
endif()
