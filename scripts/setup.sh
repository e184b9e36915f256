#!/bin/sh
# Sets up everything that `make run` (argument: run), boards (boards) or `make test` (test) need, and asks nothing:
#   1. Debian packages, when this user may install them; otherwise it prints the one command to run,
#   2. CPython 3.10 (on PATH, in pyenv, or through uv) and .venv made from it,
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

missing_packages() {
    command -v dpkg-query >/dev/null || return 0
    for name in $packages; do
        dpkg-query -W -f '${Status}\n' "$name" 2>/dev/null | grep -q '^install ok installed$' || printf ' %s' "$name"
    done
}

install_debian() {
    missing=$(missing_packages)
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" = 0 ]; then
        as_root=""
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        as_root="sudo"
    else
        message="sudo apt-get install -y --no-install-recommends$missing"
        for name in $needed; do
            case " $missing " in *" $name "*) fail "Debian packages are missing:$missing" "$message" ;; esac
        done
        say "some tests will be skipped; for all of them: $message"
        return 0
    fi
    say "installing Debian packages:$missing"
    # A policy script keeps a freshly installed sshd or PostgreSQL from being started as a service.
    $as_root apt-get update -q >/dev/null 2>&1 || true
    # shellcheck disable=SC2086
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -q --no-install-recommends $missing \
        >.setup-apt.log 2>&1 || { tail -n 5 .setup-apt.log >&2; fail "apt-get failed (.setup-apt.log)" "mend it and run make again"; }
    rm -f .setup-apt.log
}

works() { "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != (3, 10))' >/dev/null 2>&1; }

find_python() {
    for candidate in ${PYTHON:-} python3.10 python3 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.10*/bin/python3.10; do
        if works "$candidate"; then echo "$candidate"; return 0; fi
    done
    if ! command -v uv >/dev/null; then
        python3 -m venv .uv >/dev/null 2>&1 && .uv/bin/pip install -q uv >/dev/null 2>&1 || true
    fi
    uv=$(command -v uv || echo .uv/bin/uv)
    if [ -x "$uv" ] && "$uv" python install -q 3.10 2>/dev/null; then
        "$uv" python find 3.10
        return 0
    fi
    return 1
}

stamp() { cat setup.cfg pyproject.toml scripts/setup.sh scripts/overrides.txt | cksum | tr ' ' '-'; }

stamp=$(stamp)
if [ -e ".venv/.ready-$what-$stamp" ] && [ -x .venv/bin/edge ] && [ -z "$(missing_packages)" ]; then
    exit 0
fi

install_debian
if ! [ -x .venv/bin/python ] || ! works .venv/bin/python; then
    python=$(find_python) || fail \
        "CPython 3.10 was not found (Paddle Lite has no wheel for newer ones)" \
        "install it with pyenv (pyenv install 3.10) or uv (uv python install 3.10) and run make again"
    say "making .venv with $("$python" --version)"
    rm -rf .venv
    "$python" -m venv .venv
fi
say "installing Python packages (extras: $extras; 1.5 GB, some minutes the first time)"
# An older kit installed the wheel that needs libGL.
if ls .venv/lib/python3.10/site-packages 2>/dev/null | grep -q '^opencv_python-'; then
    .venv/bin/python -m pip uninstall -q -y opencv-python opencv-contrib-python opencv-python-headless >/dev/null 2>&1 || true
fi
.venv/bin/python -m pip install -q --disable-pip-version-check uv 2>&1 | grep -v '^WARNING' >&2 || true
if [ -x .venv/bin/uv ] && VIRTUAL_ENV=.venv .venv/bin/uv pip install -q --override scripts/overrides.txt -e ".[$extras]" \
    opencv-python-headless; then
    :
else
    say "uv could not; trying pip"
    .venv/bin/python -m pip install -q --disable-pip-version-check -e ".[$extras]"
    # What scripts/overrides.txt keeps out for uv: wheels that overwrite the files of the headless one.
    .venv/bin/python -m pip uninstall -q -y opencv-contrib-python opencv-python
    .venv/bin/python -m pip install -q --disable-pip-version-check --force-reinstall --no-deps \
        opencv-python-headless==4.6.0.66
fi
.venv/bin/python -m compileall -q edge convert train bench >/dev/null 2>&1 || true
touch ".venv/.ready-$what-$stamp"
[ "$what" != test ] || touch ".venv/.ready-run-$stamp" ".venv/.ready-boards-$stamp"
[ "$what" != boards ] || touch ".venv/.ready-run-$stamp"
say "ready"
