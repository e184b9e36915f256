#!/bin/sh
# Checks the C++ code: clang-format, then clang-tidy on what was compiled (ten seconds; not again until something of it
# changes). Without the tools it says so and passes: `make test` installs them where it can.
set -eu
cd "$(dirname "$0")/.."
build=build/lint

command -v clang-format >/dev/null && command -v clang-tidy >/dev/null && command -v cmake >/dev/null || {
    echo "clang-format and clang-tidy are missing: C++ was not checked (apt-get install clang-format clang-tidy)" >&2
    exit 0
}
version=$(clang-tidy --version | sed -n 's/.*version \([0-9]*\).*/\1/p')
stamp=$(cat cpp/CMakeLists.txt .clang-tidy .clang-format scripts/lint_cpp.sh \
    $(find cpp \( -name '*.cc' -o -name '*.h' -o -name '*.cmake' \) | LC_ALL=C sort) | cksum | tr ' ' '-')
[ ! -e "$build/clean-$version-$stamp" ] || exit 0

# Other versions than 14 format a little differently.
if [ "$(clang-format --version | sed -n 's/.*version \([0-9]*\).*/\1/p')" = 14 ]; then
    find cpp \( -name '*.cc' -o -name '*.h' \) -exec clang-format --dry-run --Werror {} +
fi
mkdir -p "$build"
jpeg=$(ls /usr/lib/*/libjpeg.a 2>/dev/null | head -n 1)
cmake -S cpp -B "$build" -G Ninja -DPLATE_JPEG_LIBRARY="$jpeg" >"$build/cmake.log" || { cat "$build/cmake.log" >&2; exit 1; }

# All files of a folder are checked as one; otherwise nine tenths of the time would go into the standard library's headers,
# again for each file. What concerns a file by itself (its includes), the compiler checks.
rm -rf "$build/one"
for folder in src apps tests; do
    mkdir -p "$build/one/$folder"
    [ ! -e "cpp/$folder/.clang-tidy" ] || cp "cpp/$folder/.clang-tidy" "$build/one/$folder/"
    # png.cc and jpeg_stb.cc hold another project's code.
    grep -o "\"file\": \"[^\"]*/cpp/$folder/[^\"]*\"" "$build/compile_commands.json" | cut -d '"' -f 4 | grep -v -e '/png\.cc$' -e '/jpeg_stb\.cc$' |
        LC_ALL=C sort -u | sed 's|.*|#include "&"  // NOLINT|' >"$build/one/$folder/all.cc"
done
flags="-std=c++17 -Wall -Wextra -Wshadow -Icpp/include -Icpp/src -Icpp/tests -I$build/generated -isystem $build/stb_include"
tidy() {
    # shellcheck disable=SC2086
    clang-tidy -quiet "$build/one/$1/all.cc" -- $flags >"$build/one/$1/tidy.log" 2>&1
}
tidy tests & tests=$!
tidy apps && apps=0 || apps=1
tidy src && src=0 || src=1
if wait "$tests" && [ "$apps$src" = 00 ]; then
    rm -f "$build"/clean-*
    touch "$build/clean-$version-$stamp"
else
    cat "$build"/one/*/tidy.log >"$build/tidy.log"
    grep -E '(warning|error):' "$build/tidy.log" | sort -u >&2 || tail -n 5 "$build/tidy.log" >&2
    # Newer versions have rules that nobody has tried here: only show what they find.
    [ "$version" -gt 19 ] || exit 1
fi
