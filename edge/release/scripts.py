"""The shell scripts that installing runs on a board: POSIX sh as dash, busybox, mksh and toybox understand it.

Everything comes in as arguments and nothing is pasted into a script. A script prints lines of `key value`; what it
prints is judged on the host. `$1` is always the kit's folder on the board. Old Androids have neither grep nor sed,
and under emulation every process costs, so that the shell's own `read` does what it can.
"""

from __future__ import annotations

from collections.abc import Sequence

from edge.base.errors import DeviceError
from edge.protocol.base import CompletedCommand, Transport, check
from edge.protocol.digest import FUNCTION, parse_digest
from edge.protocol.transfer import SCRIPT_TIMEOUT, disk_error

LOCK_LOST = 75  # EX_TEMPFAIL
LARGE = 50_000_000
CANNOT_CREATE = 73  # EX_CANTCREAT

_CLOCK = """
boot=$(cat /proc/sys/kernel/random/boot_id 2>/dev/null || echo unknown)
read -r up rest < /proc/uptime 2>/dev/null || up=0
"""

# Every step of a holder proves that it still holds the lock, and says how long it may stay silent.
_HOLD = (
    """
root=$1 token=$2 lease=$3 step=$4; shift 4
[ "$(cat "$root/lock/token" 2>/dev/null)" = "$token" ] || { echo "the lock is gone" >&2; exit 75; }
"""
    + _CLOCK
    + """
echo "$boot ${up%%.*} $lease $step" > "$root/lock/beat"
"""
)

_LOOK = """
look() {
echo "current $(readlink "$root/current" 2>/dev/null)"
for folder in "$root"/releases/*/; do
    [ -f "$folder/manifest.json" ] && folder=${folder%/} && echo "release ${folder##*/}"
done
[ -f "$root/history" ] && while read -r name; do echo "history $name"; done < "$root/history"
[ -d "$root/lock" ] && echo "locked $(cat "$root/lock/owner" 2>/dev/null)"
where=$root
while [ ! -d "$where" ]; do where=${where%/*}; [ -n "$where" ] || where=/; done
{ df -Pk "$where" 2>/dev/null || df -k "$where"; } | while read -r line; do echo "df $line"; done
}
"""

LOOK = (
    """
root=$1
"""
    + _LOOK
    + """
look
exit 0
"""
)

ACQUIRE = (
    """
root=$1 token=$2 owner=$3
"""
    + _LOOK
    + """
mkdir -p "$root/releases" "$root/staging" || exit 73
"""
    + _CLOCK
    + """
if mkdir "$root/lock" 2>/dev/null; then
    printf '%s\\n' "$owner" > "$root/lock/owner" && echo "$boot ${up%%.*} 60 start" > "$root/lock/beat" &&
        printf '%s' "$token" > "$root/lock/token" || { rm -rf "$root/lock"; exit 73; }
    echo "acquired"
    look
elif [ ! -d "$root/lock" ]; then
    exit 73
else
    echo "token $(cat "$root/lock/token" 2>/dev/null)"
    echo "owner $(cat "$root/lock/owner" 2>/dev/null)"
    echo "beat $(cat "$root/lock/beat" 2>/dev/null)"
    echo "clock $boot ${up%%.*}"
    ls -laR "$root/staging" 2>/dev/null | while read -r line; do echo "file $line"; done
fi
"""
)

# Renaming is atomic, so that of two who want to break a lock one does; the token tells whose lock was taken away.
BREAK = """
root=$1 token=$2 mine=$3
[ "$(cat "$root/lock/token" 2>/dev/null)" = "$token" ] || exit 0
mv "$root/lock" "$root/lock.$mine" 2>/dev/null || exit 0
if [ "$(cat "$root/lock.$mine/token" 2>/dev/null)" != "$token" ] && [ ! -e "$root/lock" ]; then
    mv "$root/lock.$mine" "$root/lock"
else
    rm -rf "$root/lock.$mine"
fi
"""

# Renamed first: a script that froze after its look at the token must not remove the lock of somebody else.
_GIVE_BACK = """
if [ "$(cat "$root/lock/token" 2>/dev/null)" = "$token" ] && mv "$root/lock" "$root/lock.$token" 2>/dev/null; then
    if [ "$(cat "$root/lock.$token/token" 2>/dev/null)" = "$token" ] || [ -e "$root/lock" ]; then
        rm -rf "$root/lock.$token"
    else
        mv "$root/lock.$token" "$root/lock"
    fi
fi
"""

RELEASE = (
    """
root=$1 token=$2
"""
    + _GIVE_BACK
    + """
exit 0
"""
)

BEAT = _HOLD

# Every attempt has a staging folder of its own name, and takes over what an earlier one of the same release left by
# renaming it. What an earlier attempt, on a link that froze, still has to do there it can then not find any more.
# Files of earlier releases and of broken-off attempts are linked (or copied) instead of sent again. They are found by
# their SHA-256 in SHA256SUMS; whether they still have it is seen when everything is verified.
REUSE = (
    _HOLD
    + """
name=$1 stage=$2; shift 2
for old in "$root/staging/$name".*; do
    [ -d "$old" ] && [ ! -e "$stage" ] && mv "$old" "$stage"
done
while [ $# -gt 2 ]; do
    sum=$1 mode=$2 path=$3; shift 3
    to=$stage/$path
    copy=${to%/*}/.copy.$token.part
    [ -f "$to" ] && continue
    mkdir -p "${to%/*}" || exit 73
    found=
    for list in "$root"/releases/*/SHA256SUMS "$root"/staging/*/SHA256SUMS; do
        [ -f "$list" ] || continue
        while read -r other name; do
            from=${list%/SHA256SUMS}/$name
            [ "$other" = "$sum" ] && [ -f "$from" ] && [ "$from" != "$to" ] || continue
            if ln "$from" "$to" 2>/dev/null || { cp "$from" "$copy" && mv "$copy" "$to"; }; then
                chmod "$mode" "$to" && found=1 && break 2
            fi
        done < "$list"
    done
    [ -n "$found" ] && echo "reused $path" || echo "missing $path"
done
exit 0
"""
)

# Unpacked aside, since a `tar` that froze goes on where it was; what comes out is verified with everything else.
UNPACK = (
    _HOLD
    + """
stage=$1 pack=$2; shift 2
aside=$stage/.unpack.$token
mkdir -p "$aside" && ( cd "$aside" && tar xf "$stage/$pack" ) || exit 1
for path in "$@"; do
    to=$stage/$path
    mkdir -p "${to%/*}" && mv -f "$aside/$path" "$to" || exit 1
done
rm -rf "$aside" "$stage/$pack"
"""
)

DIGEST = (
    """
cd "$1" || exit 73
large=$2; shift 2
# openssl uses the processor's own instructions, which coreutils often does not: 4 times as fast on much data.
if [ "$large" = yes ] && command -v openssl >/dev/null 2>&1; then openssl dgst -sha256 -r "$@" && exit 0; fi
if command -v sha256sum >/dev/null 2>&1; then exec sha256sum "$@"; fi
"""
    + FUNCTION
    + """
for file in "$@"; do
    [ -f "$file" ] && printf '%s\\t%s\\n' "$(digest < "$file")" "$file"
done
exit 0
"""
)

# What is not on the disk when the power goes must not be what `current` points to afterwards.
PUBLISH = (
    _HOLD
    + """
name=$1 stage=$2
if [ "$stage" != "$root/releases/$name" ]; then
    rm -rf "$stage"/.unpack.*
    find "$stage" -name '.*.part*' -exec rm -f {} + 2>/dev/null
    find "$stage" -type f -exec sync {} + >/dev/null 2>&1 || sync
    # One without a manifest is not a release, but would be in the way.
    if [ -e "$root/releases/$name" ] && [ ! -f "$root/releases/$name/manifest.json" ]; then
        mv "$root/releases/$name" "$root/staging/.old.$token" || exit 73
    fi
    [ ! -e "$root/releases/$name" ] && mv "$stage" "$root/releases/$name" || exit 73
else
    find "$root/releases/$name" -type f -exec sync {} + >/dev/null 2>&1 || sync
fi
sync "$root/releases" >/dev/null 2>&1
exit 0
"""
)

# `mv -T` is rename(2). The new link lies in the lock's folder: whoever lost the lock has nothing left to rename, even when
# it froze after its look at the token. Toyboxes before 0.8.3 lack `mv -T`: there, `ln -sfn` leaves a moment without
# `current`, and `history` still names the release that was running.
SWITCH = (
    _HOLD
    + """
name=$1
[ -f "$root/releases/$name/manifest.json" ] || exit 73
next=$root/lock/current.$token
rm -f "$next"
ln -s "releases/$name" "$next" || exit 73
if ! mv -T "$next" "$root/current" 2>/dev/null; then
    [ "$(cat "$root/lock/token" 2>/dev/null)" = "$token" ] || { echo "the lock is gone" >&2; exit 75; }
    rm -f "$next" "$root/current/current.$token"
    ln -sfn "releases/$name" "$root/current" || exit 73
fi
sync "$root" >/dev/null 2>&1
[ "$(readlink "$root/current")" = "releases/$name" ] || exit 73
echo "$name" >> "$root/history"
exit 0
"""
)

REMOVE = (
    _HOLD
    + """
for name in "$@"; do
    [ "$(readlink "$root/current")" = "releases/$name" ] && continue
    mv "$root/releases/$name" "$root/staging/.old.$name" 2>/dev/null
    # Switched on since the look above, by whoever took the lock while this froze.
    [ "$(readlink "$root/current")" = "releases/$name" ] && mv "$root/staging/.old.$name" "$root/releases/$name" && continue
    rm -rf "$root/staging/.old.$name"
done
exit 0
"""
)

# Photos of runs that broke off: a run in progress keeps its own, which it has just brought.
FORGET = (
    _HOLD
    + """
find "$root/inbox" -mindepth 1 -maxdepth 1 -mmin +720 -exec rm -rf {} + 2>/dev/null
exit 0
"""
)

# The last of a holder's scripts: it gives the lock back. Removing takes long, renaming does not: one that froze while
# it removed does not go on in a folder which a later attempt took over.
SWEEP = (
    _HOLD
    + """
for old in "$root"/staging/*; do
    [ -e "$old" ] && mv "$old" "$root/staging/.old.${old##*/}" 2>/dev/null
done
rm -rf "$root"/staging/.old.* "$root"/lock.* "$root"/current.*
"""
    + _GIVE_BACK
    + """
exit 0
"""
)


def run_script(
    transport: Transport, script: str, *arguments: str, timeout: float = 60.0, checked: bool = True
) -> CompletedCommand:
    """Runs one of the scripts of this module.

    Raises:
        LinkError: The link broke.
        DeviceError: The script failed; a full disk, a read-only disk and a lost lock are named.
    """
    result = transport.run(["sh", "-c", script, "plate-edge", *arguments], timeout=timeout)
    if not checked or result.code == 0:
        return result
    said = result.stderr.strip()
    if result.code == LOCK_LOST:
        raise DeviceError(
            f"Another flash took over on {transport.name} while this one was silent.", "See `edge status`."
        )
    if error := disk_error(transport.name, said[-300:]):
        raise error
    if result.code == CANNOT_CREATE:
        raise DeviceError(f"{transport.name}: cannot write below {arguments[0]}: {said[-300:]}", "Check its `root`.")
    check(result)
    return result


def digests(transport: Transport, folder: str, paths: Sequence[str], size: int) -> dict[str, str]:
    """Hashes files on the board, in one command.

    Args:
        transport: The board.
        folder: Absolute.
        paths: Below `folder`.
        size: Bytes of all of them.

    Returns:
        Path to SHA-256, or to `cksum:CRC:SIZE` on boards with no better tool (see `edge.protocol.digest`); a file
        that is not there or cannot be read is missing.
    """
    found: dict[str, str] = {}
    large = "yes" if size > LARGE else "no"
    for chunk in _chunks(paths):
        arguments = [f"./{path}" for path in chunk]
        result = transport.run(["sh", "-c", DIGEST, "plate-edge", folder, large, *arguments], timeout=SCRIPT_TIMEOUT)
        for line in result.stdout.splitlines():
            said, _, name = line.partition("\t") if "\t" in line else line.partition(" ")
            # Text mode marks the name by a second blank, binary mode by a star.
            name = name[1:] if name[:1] in (" ", "*") else name
            if name.startswith("./"):
                found[name[2:]] = parse_digest(said)
    return found


def _chunks(paths: Sequence[str], limit: int = 32_000) -> list[list[str]]:
    """Splits a list of arguments so that no command line gets too long for adb or the kernel."""
    chunks: list[list[str]] = [[]]
    length = 0
    for path in paths:
        length += len(path.encode()) + 8
        if length > limit and chunks[-1]:
            chunks.append([])
            length = len(path.encode()) + 8
        chunks[-1].append(path)
    return chunks
