# Warnings are errors; the rest of the flags says what the program is built for.
set(PLATE_WARNINGS -Wall -Wextra -Wshadow -Werror)

# Loops over pixels: vectors are wanted at every level, and no float ever traps or sets errno. 32-bit NEON flushes
# denormals, for which gcc wants to be told that this is fine before it uses NEON for floats at all.
set(PLATE_VECTOR_FLAGS -ftree-vectorize -fno-trapping-math -fno-math-errno)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^arm(v7|hf|$)")
  list(APPEND PLATE_VECTOR_FLAGS -funsafe-math-optimizations)
  # NEON is there on every board that Paddle Lite's armv7 libraries run on.
  if(NOT PLATE_CPU)
    add_compile_options(-march=armv7-a -mfpu=neon)
  else()
    add_compile_options(-mfpu=neon-vfpv4)
  endif()
  # gcc explains an ABI change of gcc 7.1 at every use of some containers.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-Wno-psabi)
  endif()
endif()

if(PLATE_CPU)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64")
    add_compile_options(-march=${PLATE_CPU})
  else()
    add_compile_options(-mcpu=${PLATE_CPU})
  endif()
endif()
if(PLATE_STATIC_LIBSTDCXX)
  add_link_options(-static-libstdc++ -static-libgcc)
endif()
if(PLATE_SANITIZE)
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -g)
  add_link_options(-fsanitize=address,undefined)
endif()

if(PLATE_SLOW_STAGE)
  add_compile_options(-DPLATE_SLOW_STAGE=${PLATE_SLOW_STAGE} -DPLATE_SLOW_PERCENT=${PLATE_SLOW_PERCENT})
endif()

# Paths of the machine that builds must not travel in the program.
add_compile_options(-ffile-prefix-map=${CMAKE_CURRENT_SOURCE_DIR}=cpp)

get_directory_property(PLATE_ALL_OPTIONS COMPILE_OPTIONS)
list(FILTER PLATE_ALL_OPTIONS EXCLUDE REGEX "prefix-map")
string(REGEX REPLACE "[\\;]+" " " PLATE_FLAGS_TEXT "${PLATE_ALL_OPTIONS}")
string(STRIP "${CMAKE_CXX_FLAGS_RELEASE} ${PLATE_FLAGS_TEXT}" PLATE_FLAGS_TEXT)
if(PLATE_STATIC_LIBSTDCXX)
  string(APPEND PLATE_FLAGS_TEXT " -static-libstdc++")
endif()
