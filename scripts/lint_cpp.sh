#!/bin/sh
# Checks the C++ code: clang-format, then clang-tidy on what was compiled (a minute and a half on two cores; not again
# until something of it changes). Without the tools it says so and passes: `make test` installs them where it can.
set -eu
cd "$(dirname "$0")/.."
build=build/lint

command -v clang-format >/dev/null && command -v run-clang-tidy >/dev/null && command -v cmake >/dev/null || {
    echo "clang-format and clang-tidy are missing: C++ was not checked (apt-get install clang-format clang-tidy)" >&2
    exit 0
}
version=$(clang-tidy --version | sed -n 's/.*version \([0-9]*\).*/\1/p')
stamp=$(cat cpp/CMakeLists.txt .clang-tidy .clang-format scripts/lint_cpp.sh \
    $(find cpp \( -name '*.cc' -o -name '*.h' -o -name '*.cmake' \) | LC_ALL=C sort) | cksum | tr ' ' '-')
[ ! -e "$build/clean-$version-$stamp" ] || exit 0

# What version 14 formats, others format a little differently.
if [ "$(clang-format --version | sed -n 's/.*version \([0-9]*\).*/\1/p')" = 14 ]; then
    find cpp \( -name '*.cc' -o -name '*.h' \) -exec clang-format --dry-run --Werror {} +
fi
mkdir -p "$build"
cmake -S cpp -B "$build" -G Ninja >"$build/cmake.log" || { cat "$build/cmake.log" >&2; exit 1; }
# stb.cc is another project's code.
if run-clang-tidy -quiet -p "$build" 'cpp/(apps|src|tests)/(?!stb\.cc)' >"$build/tidy.log" 2>&1; then
    rm -f "$build"/clean-*
    touch "$build/clean-$version-$stamp"
else
    grep -E '(warning|error):' "$build/tidy.log" | sort -u >&2 || tail -n 5 "$build/tidy.log" >&2
    # Newer versions have rules that nobody has tried here: they are shown.
    [ "$version" -gt 19 ] || exit 1
fi
