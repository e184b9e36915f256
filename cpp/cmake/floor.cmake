# The least that a board's glibc and libstdc++ must have. Programs of a current compiler ask for a current glibc (GLIBC_2.35
# and GLIBCXX_3.4.29 with Debian 12's); boards run Debian 10, Ubuntu 18.04 and older. src/floor.cc binds the program to
# the oldest versions instead: glibc 2.17 on arm64, 2.7 on armhf, and GLIBCXX_3.4.21 (gcc 5), which std::string needs.
set(PLATE_FLOOR_DEFAULT OFF)
if(CMAKE_SYSTEM_NAME STREQUAL "Linux" AND CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm)" AND NOT PLATE_SANITIZE)
  set(PLATE_FLOOR_DEFAULT ON)
endif()
option(PLATE_FLOOR "Bind to the oldest glibc and libstdc++ available" ${PLATE_FLOOR_DEFAULT})

function(plate_lower_floor TARGET)
  if(NOT PLATE_FLOOR)
    return()
  endif()
  target_sources(${TARGET} PRIVATE src/floor.cc)
  if(PLATE_STATIC_LIBSTDCXX)
    set_source_files_properties(src/floor.cc PROPERTIES COMPILE_DEFINITIONS PLATE_STATIC_LIBSTDCXX)
  endif()
  target_link_options(${TARGET} INTERFACE -Wl,--wrap=pow -Wl,--wrap=hypot -Wl,--wrap=__libc_start_main)
endfunction()
