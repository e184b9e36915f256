#!/bin/sh
# Sets up everything that `make run` (argument: run), boards (boards) or `make test` (test) need, and asks nothing:
#   1. Debian packages, when this user may install them; otherwise it prints the one command to run,
#   2. CPython 3.10 (PYTHON=..., on PATH, in pyenv, or fetched by uv) and .venv made from it,
#   3. the Python packages of setup.cfg.
# The second call finds a stamp of its inputs and ends at once.
set -eu
cd "$(dirname "$0")/.."
what=${1:-run}
case $what in run | boards | test) ;; *) echo "usage: scripts/setup.sh run|boards|test" >&2; exit 2 ;; esac

say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }
fail() { printf 'error: %s\nhint:  %s\n' "$1" "$2" >&2; exit 5; }

# Packages whose absence stops the work (the font renders the plates that int8 is calibrated on); of the last line, only some tests are skipped with their reason.
packages_run="g++ cmake ninja-build make libstb-dev libjpeg-dev fonts-noto-cjk"
packages_boards="g++-aarch64-linux-gnu g++-arm-linux-gnueabihf qemu-user-static binfmt-support arch-test mmdebstrap \
openssh-client adb"
packages_test="openssh-server chromium clang-tidy clang-format qemu-user iproute2 postgresql"
packages=$packages_run
needed=$packages_run
extras=models,train
case $what in
    boards) packages="$packages_run $packages_boards" needed=$packages ;;
    test) packages="$packages_run $packages_boards $packages_test" extras=models,train,dev ;;
esac

case $(uname -s)-$(uname -m) in
    Linux-x86_64 | Linux-amd64) ;;
    *) fail "this computer is $(uname -s) on $(uname -m); the kit's own computer must be Linux on x86-64, for which Paddle Lite's Python package is made" \
        "use an x86-64 computer; nothing has to be set up on an ARM board, \`edge flash\` reaches it from there" ;;
esac

missing_packages() {
    if ! command -v dpkg-query >/dev/null; then
        # Not Debian: other names, but the same programs.
        for name in c++ cmake make; do command -v $name >/dev/null || printf ' %s' $name; done
        [ -e /usr/include/stb/stb_image.h ] || [ -e /usr/local/include/stb/stb_image.h ] || printf ' stb_image.h'
        return 0
    fi
    for name in $packages; do
        # A package that another one took over is installed under that one's name.
        dpkg-query -W -f '${Status}\n' "$name" 2>/dev/null | grep -q '^install ok installed$' || provided "$name" || printf ' %s' "$name"
    done
}

provided() { dpkg-query -W -f '${Status};${Provides},\n' 2>/dev/null | grep '^install ok installed' | tr ' ' ';' | grep -q ";$1[,;]"; }

install_debian() {
    missing=$(missing_packages)
    [ -n "$missing" ] || return 0
    command -v dpkg-query >/dev/null || fail "this computer lacks:$missing" "install them with your system's package manager (packages on Debian: $packages) and run make again"
    if [ "$(id -u)" = 0 ]; then
        as_root=""
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        as_root="sudo"
    else
        message="as root: apt-get install -y --no-install-recommends$missing"
        command -v sudo >/dev/null && message="sudo apt-get install -y --no-install-recommends$missing"
        for name in $needed; do
            case " $missing " in *" $name "*) fail "Debian packages are missing:$missing" "$message" ;; esac
        done
        say "some tests will be skipped; for all of them: $message"
        return 0
    fi
    say "installing Debian packages:$missing"
    # A policy script keeps a freshly installed sshd or PostgreSQL from being started as a service.
    $as_root apt-get update -q >"$log" 2>&1 || true
    # shellcheck disable=SC2086
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -q --no-install-recommends $missing >>"$log" 2>&1 || {
        why=$(grep -m1 '^E: ' "$log" || tail -n 1 "$log")
        cp "$log" .setup-apt.log 2>/dev/null || true
        fail "apt-get could not install$missing: $why" "the whole log: .setup-apt.log; when apt-get works again, run make again"
    }
    rm -f .setup-apt.log
}

works() {
    "$1" -c 'import sys, venv, ensurepip, platform as p
sys.exit((sys.version_info[:2], p.python_implementation(), p.machine()) != ((3, 10), "CPython", "x86_64"))' >/dev/null 2>&1
}

# Prints the CPython 3.10 that is here; ends with 1 when there is none.
find_python() {
    [ -z "${PYTHON:-}" ] || works "$PYTHON" || say "PYTHON=$PYTHON is not a CPython 3.10 (x86-64, with venv) that runs here; looking for another"
    for candidate in ${PYTHON:+"$PYTHON"} python3.10 python3 "${PYENV_ROOT:-${HOME:-/}/.pyenv}"/versions/3.10*/bin/python3.10; do
        if works "$candidate"; then command -v "$candidate"; return 0; fi
    done
    own=$(command -v uv) || return 1
    found=$("$own" python find -q --no-python-downloads 3.10 2>/dev/null) && works "$found" && echo "$found"
}

# Fetches a CPython 3.10 and prints it.
fetch_python() {
    uv=$(command -v uv || echo .uv/bin/uv)
    if ! [ -x "$uv" ]; then
        say "fetching uv, which fetches CPython 3.10"
        rm -rf .uv
        python3 -m venv .uv >"$log" 2>&1 && .uv/bin/python -m pip install -q --disable-pip-version-check uv >>"$log" 2>&1 \
            || fail "CPython 3.10 is not on this computer, and uv could not be fetched: $(last_error)" "$by_hand"
    fi
    say "fetching CPython 3.10 with uv (30 MB, from the releases of python-build-standalone on GitHub, or UV_PYTHON_INSTALL_MIRROR)"
    "$uv" python install 3.10 >"$log" 2>&1 && found=$("$uv" python find 3.10 2>>"$log") && works "$found" \
        || fail "CPython 3.10 is not on this computer, and uv could not fetch it: $(last_error)" "$by_hand"
    echo "$found"
}

by_hand="where another server has it: UV_PYTHON_INSTALL_MIRROR=URL make run; where one lies: PYTHON=/path/to/python3.10 make run (\`pyenv install 3.10\` builds one; Debian has none)"

# The reason in the log of a failed step: what the last line of pip or uv says.
last_error() { grep -vE '^ *(hint:|\[notice\]|WARNING)|^ *$' "$log" | tail -n 1 | sed 's/^ *//; s/^error: //; s/^ERROR: //; s/^Caused by: //' | cut -c1-300; }

# The folder is part of it: programs in .venv name their interpreter by its whole path.
stamp() { { cat setup.cfg pyproject.toml scripts/setup.sh scripts/overrides.txt; pwd -P; } | cksum | tr ' ' '-'; }

stamp=$(stamp)
if [ -e ".venv/.ready-$what-$stamp" ] && [ -x .venv/bin/edge ] && works .venv/bin/python && [ -z "$(missing_packages)" ]; then
    exit 0
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
good=no
if works .venv/bin/python && .venv/bin/python -m pip --version >/dev/null 2>&1 && [ "$(cat .venv/.made-in 2>/dev/null)" = "$(pwd -P)" ]; then
    good=yes
elif ! python=$(find_python); then
    python=""
    # uv comes through pip, which Debian has apart.
    command -v uv >/dev/null || python3 -c 'import venv, ensurepip' 2>/dev/null || { packages="$packages python3 python3-venv" needed="$needed python3 python3-venv"; }
fi
install_debian
# A home that cannot be written is no reason to fail: pip does without its cache, uv gets another one.
cache=${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}
if ! { mkdir -p "$cache" && [ -w "$cache" ]; } 2>/dev/null; then
    say "$cache cannot be written: uv keeps what it fetches in .uv/"
    export UV_CACHE_DIR="$PWD/.uv/cache" UV_PYTHON_INSTALL_DIR="$PWD/.uv/python"
fi
if [ $good = no ]; then
    [ -n "$python" ] || python=$(fetch_python)
    say "making .venv with $("$python" --version) ($python)"
    rm -rf .venv
    # pip comes with uv below: to unpack the one that every Python carries takes seconds.
    "$python" -m pip --version >/dev/null 2>&1 && bare=--without-pip || bare=""
    "$python" -m venv $bare .venv >"$log" 2>&1 || fail ".venv could not be made: $(last_error)" "is the disk full, or the folder read-only?"
    if [ -n "$bare" ] && ! "$python" -m pip -q --python .venv/bin/python install --disable-pip-version-check uv pip >"$log" 2>&1; then
        .venv/bin/python -m ensurepip >"$log" 2>&1 || fail "pip could not be put into .venv: $(last_error)" "is the disk full?"
    fi
    pwd -P >.venv/.made-in
fi
say "installing Python packages (extras: $extras; 1.5 GB, some minutes the first time)"
# An older kit installed the wheel that needs libGL.
if ls .venv/lib/python3.10/site-packages 2>/dev/null | grep -q '^opencv_python-'; then
    .venv/bin/python -m pip uninstall -q -y opencv-python opencv-contrib-python opencv-python-headless >/dev/null 2>&1 || true
fi
[ -x .venv/bin/uv ] || .venv/bin/python -m pip install -q --disable-pip-version-check uv >"$log" 2>&1 || true
# uv does not read pip's settings; who has a mirror there means it.
if [ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}" ]; then
    index=${PIP_INDEX_URL:-$(.venv/bin/python -m pip config get global.index-url 2>/dev/null || true)}
    [ -z "$index" ] || export UV_DEFAULT_INDEX="$index"
fi
if ! { [ -x .venv/bin/uv ] && VIRTUAL_ENV="$PWD/.venv" .venv/bin/uv pip install -q --override scripts/overrides.txt -e ".[$extras]" \
    opencv-python-headless >"$log" 2>&1; }; then
    [ ! -x .venv/bin/uv ] || say "uv could not ($(last_error)); trying pip"
    .venv/bin/python -m pip install -q --disable-pip-version-check -e ".[$extras]" >"$log" 2>&1 || fail \
        "the Python packages could not be installed: $(last_error)" \
        "is the network reachable? A mirror: PIP_INDEX_URL=https://MIRROR/simple make run. What has arrived is kept"
    # What scripts/overrides.txt keeps out for uv: wheels that overwrite the files of the headless one.
    .venv/bin/python -m pip uninstall -q -y opencv-contrib-python opencv-python >"$log" 2>&1 || true
    .venv/bin/python -m pip install -q --disable-pip-version-check --force-reinstall --no-deps \
        opencv-python-headless==4.6.0.66 >"$log" 2>&1 || fail "opencv-python-headless could not be installed: $(last_error)" "run make again"
fi
.venv/bin/python -m compileall -q edge convert train bench >/dev/null 2>&1 || true
rm -f .venv/.ready-*
touch ".venv/.ready-$what-$stamp"
[ "$what" != test ] || touch ".venv/.ready-run-$stamp" ".venv/.ready-boards-$stamp"
[ "$what" != boards ] || touch ".venv/.ready-run-$stamp"
say "ready"
