#!/bin/sh
# Builds Paddle Lite's library for a board from its source, for hosts that cannot reach the official archives.
#
#   sh scripts/build_paddle_lite.sh SOURCE OUT [arm64|armhf]
#
# SOURCE: a git clone of Paddle Lite (a bare one works), or its address, with the tag v2.13-rc; it is not changed.
# OUT:    a folder to make, laid out as the official archives; give it to `edge runtime add OUT`.
#
# Needs:  git, cmake, make, python3, 1.5 GB of disk, 2 GB of memory for each job, and a cross compiler (Debian:
#         g++-aarch64-linux-gnu or g++-arm-linux-gnueabihf). No submodule of Paddle Lite and no network is needed.
# Time:   about 1,000 files and one long link (80 minutes with one job on a busy machine); PLATE_JOBS=N (default: all cores) compiles N at
#         a time.
# Flags:  Paddle Lite's own for a tiny publish (-Os -ffast-math -flto, OpenMP), with_extra (the operators of the
#         recogniser), with its log and exceptions (so that it says what is wrong), without its cv functions.
#         Another compiler changes instruction counts by a per cent or two.
# The library needs the glibc and libstdc++ of the cross compiler's system (Debian 12: GLIBC 2.34, GLIBCXX 3.4.29).
set -eu

RELEASE=${PADDLE_LITE_RELEASE:-v2.13-rc}
usage() { echo "usage: sh scripts/build_paddle_lite.sh SOURCE OUT [arm64|armhf]" >&2; exit 2; }
fail() { echo "error: $1" >&2; exit "${2:-5}"; }

[ $# -ge 2 ] && [ $# -le 3 ] || usage
source=$1 out=$2 abi=${3:-arm64}
case $abi in
    arm64) arch=armv8 triple=aarch64-linux-gnu ;;
    armhf) arch=armv7hf triple=arm-linux-gnueabihf ;;
    *) usage ;;
esac
[ ! -e "$out" ] || fail "$out exists. Name a folder that does not." 3
for tool in git cmake make python3 "$triple-g++"; do
    command -v "$tool" >/dev/null 2>&1 || fail "$tool is not installed. Debian: apt install git cmake make python3 g++-$triple"
done

work=${PLATE_WORK:-$out.build}
mkdir -p "$work"
work=$(cd "$work" && pwd)
if [ ! -d "$work/source" ]; then
    echo "cloning $source at $RELEASE"
    git clone -q -c advice.detachedHead=false --depth 1 --branch "$RELEASE" \
        "$([ -d "$source" ] && echo "file://$(cd "$source" && pwd)" || echo "$source")" "$work/source.part" ||
        fail "$source has no tag $RELEASE, or cannot be cloned." 3
    # -flto is already in the flags of all files (cmake/os/common.cmake); here it makes a static library, which the
    # kit does not use, compile every file a second time.
    sed -i 's/-fdata-sections -flto/-fdata-sections/' "$work/source.part/lite/api/CMakeLists.txt"
    mv "$work/source.part" "$work/source"
fi

build=$work/$abi
mkdir -p "$build/lite/gen_code" "$build/lite/tools/debug"
# Paddle Lite's own build script makes these two before CMake asks for them.
: > "$build/lite/gen_code/__generated_code__.cc"
cp "$work/source/lite/tools/debug/analysis_tool.py" "$build/lite/tools/debug/"
echo "configuring for $abi"
cmake -S "$work/source" -B "$build" -DCMAKE_BUILD_TYPE=Release -DCMAKE_POLICY_VERSION_MINIMUM=3.5 -DWITH_TESTING=OFF \
    -DWITH_AVX=OFF \
    -DLITE_WITH_ARM=ON -DLITE_WITH_X86=OFF -DARM_TARGET_OS=armlinux -DARM_TARGET_ARCH_ABI=$arch -DARM_TARGET_LANG=gcc \
    -DLITE_BUILD_EXTRA=ON -DLITE_ON_TINY_PUBLISH=ON -DLITE_WITH_LOG=ON -DLITE_WITH_EXCEPTION=ON \
    -DLITE_WITH_CV=OFF -DLITE_WITH_PYTHON=OFF -DLITE_WITH_OPENCL=OFF -DWITH_ARM_DOTPROD=ON \
    > "$work/configure.log" 2>&1 || { tail -20 "$work/configure.log" >&2; fail "CMake failed: $work/configure.log" 6; }
echo "building ($(grep -c '"file"' "$build/compile_commands.json") files at most; log: $work/build.log)"
make -C "$build" -j"${PLATE_JOBS:-$(nproc)}" publish_inference > "$work/build.log" 2>&1 ||
    { grep -m5 'error' "$work/build.log" >&2; fail "make failed: $work/build.log" 6; }

made=$(echo "$build"/inference_lite_lib.armlinux.*)
[ -f "$made/cxx/lib/libpaddle_light_api_shared.so" ] || fail "no library came out; see $work/build.log" 6
cp -R "$made" "$out"
echo "done. Next: edge runtime add $out"
echo "$work can be removed."
