#!/bin/sh
# The newcomer's path in a fresh Debian, timed: clone, `make run`, then a virtual ARM board from nothing to its report.
# Needs root (mmdebstrap, a mount namespace, chroot) and some 15 GB; takes the better part of an hour. Not part of `make test`.
#
#     scripts/fieldtest.sh FOLDER
#
# FOLDER gets root/ (removed at the end unless FIELDTEST_KEEP=1), times.tsv, a log of each step and the reports.
# FIELDTEST_RESUME=1 continues in a root that was kept. From the environment:
#   FIELDTEST_MIRROR    Debian mirror
#   FIELDTEST_SUITE     Debian's release (bookworm, which is 12; trixie is 13)
#   FIELDTEST_PACKAGES  further Debian packages of the root, comma separated; besides the required ones, git, make and ca-certificates
#   FIELDTEST_COPY      files of this machine that the root gets at the same place (how its network is reached)
#   FIELDTEST_BIND      folders of this machine that the root sees, read-only (a local CPython 3.10, local wheels)
#   FIELDTEST_PASS      names of variables that the steps keep (proxies)
#   FIELDTEST_PYTHON    the CPython 3.10 that the wheel is tried with, when it is not on PATH as python3.10
#   FIELDTEST_RUNTIME   Paddle Lite's library for ARM, folder or archive; without it `edge runtime get` fetches it
set -eu

if [ "${1:-}" = --inside ]; then
    # In a mount namespace of its own: what is mounted here ends with it.
    work=$2 root=$2/root repo=$3
    bind() { mkdir -p "$root$2"; mount --bind "$1" "$root$2"; mount -o remount,bind,ro "$root$2"; }
    # A root that is not a mount point cannot make namespaces of its own, which a virtual board does.
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    mount -t sysfs -o ro sysfs "$root/sys"
    mount --rbind /dev "$root/dev"
    # Programs of other architectures run as on the machine outside; the root must not change how.
    if [ -e /proc/sys/fs/binfmt_misc/register ]; then
        mount --bind /proc/sys/fs/binfmt_misc "$root/proc/sys/fs/binfmt_misc"
        mount -o remount,bind,ro "$root/proc/sys/fs/binfmt_misc"
    fi
    bind "$repo" /mnt/repo
    [ -z "${FIELDTEST_RUNTIME:-}" ] || bind "$FIELDTEST_RUNTIME" /mnt/runtime
    for folder in ${FIELDTEST_BIND:-}; do bind "$folder" "$folder"; done
    kept="HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb LANG=C.UTF-8"
    for name in ${FIELDTEST_PASS:-}; do eval "kept=\"\$kept \$name=\${$name:-}\""; done

    # step NAME COMMAND: what a newcomer types. Standard input is closed: whatever asks a question fails here.
    step() {
        ! grep -q "^$1	[0-9.]*	0	" "$work/times.tsv" || return 0
        name=$1 load=$(cut -d' ' -f1 /proc/loadavg) began=$(date +%s%N) code=0
        # shellcheck disable=SC2086
        chroot "$root" env -i $kept sh -c "cd /root; $2" </dev/null >"$work/$name.log" 2>&1 || code=$?
        seconds=$(( ($(date +%s%N) - began) / 100000000 ))
        printf '%s\t%s.%s\t%s\t%s\t%s\n' "$name" $((seconds / 10)) $((seconds % 10)) "$code" "$load" "$2" >>"$work/times.tsv"
        printf '%-12s %6s.%s s  exit %s\n' "$name" $((seconds / 10)) $((seconds % 10)) "$code"
        [ "$code" = 0 ] || { tail -n 20 "$work/$name.log" >&2; [ -n "${FIELDTEST_GO_ON:-}" ] || exit 1; }
    }
    here="cd plate-edge-kit && . .venv/bin/activate"
    get_runtime="edge runtime get generic-arm64"
    [ -z "${FIELDTEST_RUNTIME:-}" ] || get_runtime="edge runtime add /mnt/runtime"
    [ -e "$work/times.tsv" ] || printf 'step\tseconds\texit\tload before\tcommand\n' >"$work/times.tsv"
    step clone "git clone -q file:///mnt/repo plate-edge-kit"
    step run "cd plate-edge-kit && make run"
    step run-again "cd plate-edge-kit && make run"
    step doctor "$here && edge doctor"
    step setup-boards "cd plate-edge-kit && make setup-boards"
    step virtual-up "$here && edge virtual up"
    step runtime "$here && $get_runtime"
    step probe "$here && edge probe --device virtual"
    step flash "$here && edge flash --device virtual"
    step read "$here && edge run --device virtual edge/plate/countries/cn/samples/blue-day.jpg"
    step bench "$here && bench run --device virtual --plan quick --precision int8 --out out/virtual"
    step ssh "$here && edge virtual ssh virtual -- uname -m"
    step down "$here && edge virtual down"
    # The wheel in environments of its own, away from the checkout: without extras, and with each.
    step wheel "$here && uv pip install -q build && python -m build -q --outdir /root/dist ."
    outside="cd /root && ${FIELDTEST_PYTHON:-python3.10} -m venv bare && . bare/bin/activate && pip install -q dist/*.whl"
    # As docs/howto/install.md says: OpenCV's usual wheel needs libGL, which this root does not have.
    outside="$outside && pip uninstall -q -y opencv-python opencv-contrib-python \
        && pip install -q --force-reinstall --no-deps opencv-python-headless==4.6.0.66"
    step bare "$outside && edge --version && edge doctor --no-devices --brief && bench run --device local --plan quick"
    for extra in models train dev; do
        step "extra-$extra" "cd /root && uv=plate-edge-kit/.venv/bin/uv && \$uv venv -q --clear --python plate-edge-kit/.venv/bin/python $extra \
            && VIRTUAL_ENV=$extra \$uv pip install -q --override plate-edge-kit/scripts/overrides.txt \"\$(ls dist/*.whl)[$extra]\" opencv-python-headless \
            && $extra/bin/edge --version && $extra/bin/edge doctor --no-devices --brief"
    done
    cp -r "$root/root/plate-edge-kit/out" "$work/"
    exit 0
fi

work=${1:?usage: scripts/fieldtest.sh FOLDER}
repo=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$work"
work=$(cd "$work" && pwd)
if [ -e "$work/root" ] && [ -z "${FIELDTEST_RESUME:-}" ]; then
    echo "error: $work/root exists; FIELDTEST_RESUME=1 runs the steps that have not succeeded in it" >&2
    exit 2
fi
packages="git,make,ca-certificates${FIELDTEST_PACKAGES:+,$FIELDTEST_PACKAGES}"
# shellcheck disable=SC2086
[ -e "$work/root" ] || mmdebstrap --quiet --mode=root --variant=minbase --include="$packages" "${FIELDTEST_SUITE:-bookworm}" "$work/root" ${FIELDTEST_MIRROR:-}
for file in ${FIELDTEST_COPY:-}; do
    mkdir -p "$work/root$(dirname "$file")"
    cp -L "$file" "$work/root$file"
done
# The root sees a board's ports and nothing else of this machine's processes.
git -C "$repo" rev-parse HEAD >"$work/commit"
code=0
unshare --mount --propagation private --pid --fork --kill-child sh "$0" --inside "$work" "$repo" || code=$?
[ "${FIELDTEST_KEEP:-}" = 1 ] || rm -rf --one-file-system "$work/root"
cat "$work/times.tsv"
exit "$code"
