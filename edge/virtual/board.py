"""Virtual ARM boards on this host: a Debian root of its own, a real sshd, the processor emulated by qemu.

A board is a process namespace whose first process is its sshd: ending that process switches the board off, with
everything that runs on it. Its mounts are in a private namespace and vanish with it; its files stay, in a layer over
the root that all boards of an architecture share.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from edge.base.errors import EdgeError, HostError, InputError, UsageError
from edge.base.paths import cache_dir, write_atomic
from edge.base.progress import Say
from edge.release.lock import process_started
from edge.virtual.rootfs import ARCHS, Arch, check_host, cpuinfo, ensure_root

DEFAULT = "virtual"
USER = "board"
STATE = "state.json"

# $1 lower $2 board folder $3 name $4 port. Runs as the first process of new mount, process, name and IPC namespaces.
_BOOT = """
set -e
lower=$1 board=$2 name=$3 port=$4
root=$board/root
if ! mount -t overlay -o "lowerdir=$lower,upperdir=$board/upper,workdir=$board/work" overlay "$root" 2>/dev/null; then
    # No overlay here (the cache lies on one itself): the board gets a copy of its own, made once.
    if [ ! -e "$board/copy" ]; then
        rm -rf "$board/copy.part"
        cp -a "$lower" "$board/copy.part"
        mv "$board/copy.part" "$board/copy"
    fi
    cp -a "$board/upper/." "$board/copy/"
    mount --bind "$board/copy" "$root"
fi
mount -t proc proc "$root/proc"
mount --bind "$board/cpuinfo" "$root/proc/cpuinfo"
# Paddle Lite counts processors here and dies when /proc/cpuinfo names more of them.
mount -t tmpfs -o mode=755,size=1m sys "$root/sys"
for number in $(sed -n 's/^processor[^0-9]*//p' "$board/cpuinfo"); do
    mkdir -p "$root/sys/devices/system/cpu/cpu$number"
    echo DRIVER=cpu > "$root/sys/devices/system/cpu/cpu$number/uevent"
    last=$number
done
for file in online possible present; do
    echo "0-$last" > "$root/sys/devices/system/cpu/$file"
done
mount -t tmpfs -o mode=755,size=1m dev "$root/dev"
for node in null zero full random urandom tty; do
    : > "$root/dev/$node"
    mount --bind "/dev/$node" "$root/dev/$node"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
mount -t tmpfs -o mode=755 run "$root/run"
mkdir "$root/run/sshd"
hostname "$name"
exec chroot "$root" /usr/sbin/sshd -D -e -f /etc/plate-edge/sshd_config -p "$port"
"""


@dataclass(frozen=True)
class VirtualBoard:
    """One virtual board.

    Attributes:
        name: Its name, in the inventory too.
        arch: `arm64` or `armhf`.
        port: Loopback port of its sshd.
        pid: Its first process as this host sees it; 0 when it is off.
        started: When that process began, in clock ticks after boot.
    """

    name: str
    arch: str
    port: int
    pid: int = 0
    started: str = ""

    @property
    def folder(self) -> Path:
        """Its files on this host."""
        return cache_dir("virtual") / "boards" / self.name

    @property
    def key(self) -> Path:
        """Private key to log in with."""
        return self.folder / "id"

    @property
    def running(self) -> bool:
        """Whether it is on."""
        return self.pid > 0 and self.started != "" and process_started(self.pid) == self.started

    def ssh_command(self, arguments: Sequence[str] = ()) -> list[str]:
        """Returns the command line of the ssh client for this board."""
        options = ["-o", f"UserKnownHostsFile={self.folder}/known_hosts", "-o", "IdentitiesOnly=yes"]
        options += ["-o", "StrictHostKeyChecking=yes", "-o", "LogLevel=ERROR"]
        return ["ssh", "-i", str(self.key), "-p", str(self.port), *options, f"{USER}@127.0.0.1", *arguments]


def list_boards() -> list[VirtualBoard]:
    """Returns all virtual boards of this cache, on or off."""
    folder = cache_dir("virtual") / "boards"
    found = (_read(path.parent.name) for path in sorted(folder.glob(f"*/{STATE}")))
    return [board for board in found if board is not None]


def find_board(name: str) -> VirtualBoard:
    """Returns a virtual board.

    Raises:
        UsageError: There is none of that name.
    """
    board = _read(check_name(name))
    if board is None:
        others = ", ".join(item.name for item in list_boards())
        there = f"Virtual boards: {others}." if others else f"`edge virtual up {name}` makes one."
        raise UsageError(f"There is no virtual board {name!r}.", there)
    return board


def check_name(name: str) -> str:
    """Returns a board's name when it can be a folder and a host name.

    Raises:
        InputError: It cannot.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,40}", name):
        raise InputError(f"{name!r} cannot be a virtual board's name.", "Use lower-case letters, digits and '-'.")
    return name


def up(
    name: str = DEFAULT,
    arch: str = "arm64",
    *,
    inventory: Path | None = None,
    register: bool = True,
    timeout: float = 60.0,
    report: Say = lambda text: None,
) -> VirtualBoard:
    """Switches a virtual board on, making it first when there is none of that name.

    Args:
        name: Its name.
        arch: `arm64` or `armhf`; of a board that exists already, what it is.
        inventory: Where to register it; None for the usual place.
        register: Add it to the inventory, and trust its host key.
        timeout: Seconds until its sshd must answer.
        report: Called with one line before each step that takes long.

    Returns:
        The board, on.

    Raises:
        UsageError: A board of that name is of another architecture.
        HostError: This host cannot run one; says what is missing.
    """
    kind = ARCHS[arch]
    known = _read(check_name(name))
    if known is not None and known.arch != arch:
        raise UsageError(
            f"{name} is an {known.arch} board.", f"Choose another name, or `edge virtual down {name} --remove` first."
        )
    board = known or VirtualBoard(name, arch, _free_port())
    if not board.running:
        check_host(kind)
        lower = ensure_root(kind, report)
        if not _is_free(board.port):
            # Somebody else's server would be taken for the board's.
            board = replace(board, port=_free_port())
        report(f"switching {name} on")
        _furnish(board, kind)
        board = _boot(board, lower, timeout)
        _write(board)
    if register:
        _register(board, kind, inventory)
    return board


def down(
    name: str = DEFAULT, *, remove: bool = False, inventory: Path | None = None, register: bool = True
) -> VirtualBoard:
    """Switches a virtual board off at once, as pulling its plug would; its files stay.

    Args:
        name: Its name.
        remove: Remove its files too.
        inventory: Where it is registered.
        register: Take it out of the inventory.

    Raises:
        UsageError: There is none of that name.
    """
    board = find_board(name)
    if board.running:
        os.kill(board.pid, signal.SIGKILL)
        for _ in range(200):
            # Its server is killed with its first process, but a moment later; until then it has the port.
            if not board.running and _is_free(board.port):
                break
            time.sleep(0.02)
    if register:
        _unregister(board, inventory)
    off = VirtualBoard(board.name, board.arch, board.port)
    if remove:
        shutil.rmtree(board.folder)
    else:
        _write(off)
    return off


def _furnish(board: VirtualBoard, arch: Arch) -> None:
    """Makes what belongs to this board alone: keys, configuration, its /proc/cpuinfo."""
    folder = board.folder
    own = folder / "upper/etc/plate-edge"
    for path in (own, folder / "work", folder / "root"):
        path.mkdir(parents=True, exist_ok=True)
    # Overlay boards see these folders' own modes.
    for path in (folder / "upper", folder / "upper/etc", own):
        path.chmod(0o755)
    for key in (board.key, own / "host_key"):
        if not key.is_file():
            comment = f"plate-edge {board.name}"
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(key)], check=True)
    shutil.copy(board.key.with_suffix(".pub"), own / "authorized_keys")
    host_key = " ".join((own / "host_key.pub").read_text(encoding="utf-8").split()[:2])
    write_atomic(folder / "known_hosts", f"[127.0.0.1]:{board.port} {host_key}\n")
    write_atomic(folder / "cpuinfo", cpuinfo(arch, os.cpu_count() or 1))
    config = {
        "ListenAddress": "127.0.0.1",
        "HostKey": "/etc/plate-edge/host_key",
        "AuthorizedKeysFile": "/etc/plate-edge/authorized_keys",
        "AllowUsers": f"{USER} root",
        "PermitRootLogin": "prohibit-password",
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "UsePAM": "no",
        "UseDNS": "no",
        "PidFile": "none",
        "PrintMotd": "no",
        "MaxSessions": "50",
        "MaxStartups": "50",
        "SetEnv": f"QEMU_CPU={arch.cpu}",
        "Subsystem": "sftp /usr/lib/openssh/sftp-server",
    }
    write_atomic(own / "sshd_config", "".join(f"{key} {value}\n" for key, value in config.items()))


def _boot(board: VirtualBoard, lower: Path, timeout: float) -> VirtualBoard:
    log = board.folder / "sshd.log"
    command = ["unshare", "--mount", "--pid", "--uts", "--ipc", "--fork", "--propagation", "private", "--"]
    command += ["sh", "-c", _BOOT, "boot", str(lower), str(board.folder), board.name, str(board.port)]
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, cwd="/"
        )
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        if _answers(board.port):
            pid = _first_child(process.pid)
            return VirtualBoard(board.name, board.arch, board.port, pid, process_started(pid))
        time.sleep(0.05)
    with suppress(OSError, IndexError):
        os.kill(_first_child(process.pid), signal.SIGKILL)
    process.kill()
    process.wait()
    tail = log.read_text(encoding="utf-8", errors="replace").strip()[-500:]
    raise HostError(
        f"The virtual board {board.name} did not start:\n{tail or 'no message'}",
        f"See {log}; is port {board.port} taken by something else?",
    )


def _first_child(pid: int) -> int:
    """The process that unshare forked: the board's process 1."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return int(text.split()[0])


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(2.0)
        try:
            probe.connect(("127.0.0.1", port))
            return probe.recv(4) == b"SSH-"
        except OSError:
            return False


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As sshd does, which need not wait for what is left of its earlier connections.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _register(board: VirtualBoard, arch: Arch, inventory: Path | None) -> None:
    from paramiko import Ed25519Key
    from paramiko.message import Message

    from edge.device.inventory import add_device
    from edge.transport.host_keys import forget, remember

    fields = {"board": arch.profile, "ssh": f"{USER}@127.0.0.1:{board.port}", "key": str(board.key)}
    add_device(board.name, fields, inventory=inventory, replace=True)
    public = (board.folder / "upper/etc/plate-edge/host_key.pub").read_text(encoding="utf-8").split()[1]
    with suppress(EdgeError):
        forget("127.0.0.1", board.port)
    remember("127.0.0.1", board.port, Ed25519Key(msg=Message(base64.b64decode(public))))


def _unregister(board: VirtualBoard, inventory: Path | None) -> None:
    from edge.device.board import load_inventory
    from edge.device.inventory import remove_device

    with suppress(EdgeError):
        entry = load_inventory(inventory).get(board.name)
        # A board of the user's that happens to have the same name is not ours to remove.
        if entry is not None and entry.host == "127.0.0.1" and entry.port == board.port:
            remove_device(board.name, inventory=inventory)


def _read(name: str) -> VirtualBoard | None:
    path = cache_dir("virtual") / "boards" / name / STATE
    try:
        return VirtualBoard(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _write(board: VirtualBoard) -> None:
    write_atomic(board.folder / STATE, json.dumps(asdict(board), indent=1) + "\n")
