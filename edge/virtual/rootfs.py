"""The root file system of a virtual board: a minimal Debian of its architecture, made once and then only read."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

from edge.base.download import DEBIAN_MIRROR, DEBIAN_MIRROR_ENV, DEBIAN_SUITE
from edge.base.errors import HostError
from edge.base.paths import cache_dir, locked
from edge.base.progress import Say

PACKAGES = ("openssh-server", "libstdc++6", "libgomp1", "procps")
# Nothing on a board reads these, and they are a quarter of its files.
LEAVE_OUT = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/info/*")
BINFMT = Path("/proc/sys/fs/binfmt_misc")


@dataclass(frozen=True)
class Arch:
    """One architecture of virtual boards.

    Attributes:
        name: As Debian calls it: `arm64` or `armhf`.
        profile: Board profile.
        qemu: Name of the binfmt entry.
        machine: `uname -m` of a host that needs no emulation.
        cpu: Value of `QEMU_CPU`: a core without extensions that real boards lack.
        cpuinfo: One processor's part of `/proc/cpuinfo`, without its number.
    """

    name: str
    profile: str
    qemu: str
    machine: str
    cpu: str
    cpuinfo: str


ARCHS = {
    "arm64": Arch(
        "arm64",
        "virtual",
        "qemu-aarch64",
        "aarch64",
        "cortex-a72",
        "BogoMIPS\t: 108.00\nFeatures\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid\nCPU implementer\t: 0x41\n"
        "CPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: 0xd08\nCPU revision\t: 3\n",
    ),
    "armhf": Arch(
        "armhf",
        "virtual-armhf",
        "qemu-arm",
        "armv7l",
        "cortex-a15",
        "model name\t: ARMv7 Processor rev 3 (v7l)\nBogoMIPS\t: 38.00\nFeatures\t: half thumb fastmult vfp edsp neon"
        " vfpv3 tls vfpv4 idiva idivt vfpd32 lpae\nCPU implementer\t: 0x41\nCPU architecture: 7\nCPU variant\t: 0x2\n"
        "CPU part\t: 0xc0f\nCPU revision\t: 3\n",
    ),
}


def cpuinfo(arch: Arch, cores: int) -> str:
    """Returns the text of the board's own `/proc/cpuinfo`."""
    text = "".join(f"processor\t: {index}\n{arch.cpuinfo}\n" for index in range(cores))
    return text + "Hardware\t: plate-edge virtual board\n"


def check_host(arch: Arch) -> None:
    """Checks that this host can run programs of an architecture as a board; registers the emulator when it may.

    Raises:
        HostError: Says what is missing and the one command that brings it.
    """
    if os.geteuid() != 0:
        raise HostError(
            "A virtual board needs root on this host: a chroot, a mount namespace and binfmt.",
            "sudo -E edge virtual up. Without root, `--device local` runs the same program natively, and "
            "`edge build --abi arm64` with qemu-aarch64 runs its unit tests.",
        )
    missing = [name for name in ("unshare", "chroot", "mount", "ssh-keygen") if shutil.which(name) is None]
    if missing:
        raise HostError(
            f"{missing[0]} is not installed.", "apt-get install mount util-linux coreutils openssh-client"
        )
    if platform.machine() == arch.machine:
        return
    if not _registered(arch):
        _register()
    if not _registered(arch):
        raise HostError(
            f"This host cannot run {arch.name} programs: {arch.qemu} is not registered with binfmt_misc.",
            "apt-get install qemu-user-static binfmt-support && mount -t binfmt_misc none /proc/sys/fs/binfmt_misc; "
            "update-binfmts --import",
        )


def _registered(arch: Arch) -> bool:
    try:
        text = (BINFMT / arch.qemu).read_text(encoding="ascii")
    except OSError:
        return False
    # F: the kernel opened the emulator when it was registered, so that a chroot needs none of its own.
    return text.startswith("enabled") and re.search(r"^flags:.*F", text, re.MULTILINE) is not None


def _register() -> None:
    """On a fresh machine binfmt_misc may not be mounted yet, nor the packages' entries imported."""
    if not (BINFMT / "register").exists():
        subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", str(BINFMT)], capture_output=True, check=False)
    if shutil.which("update-binfmts"):
        subprocess.run(["update-binfmts", "--import"], capture_output=True, check=False)
        subprocess.run(["update-binfmts", "--enable"], capture_output=True, check=False)


def root_folder(arch: Arch) -> Path:
    """Where the root of an architecture is, or will be."""
    key = hashlib.sha256(f"{DEBIAN_SUITE} {PACKAGES} {LEAVE_OUT}".encode()).hexdigest()[:8]
    return cache_dir("virtual") / "roots" / f"{DEBIAN_SUITE}-{arch.name}-{key}"


def ensure_root(arch: Arch, report: Say = lambda text: None) -> Path:
    """Returns the root file system, making it by mmdebstrap when it is not there (2 to 4 minutes).

    Raises:
        HostError: mmdebstrap is missing or fails; holds its last lines.
    """
    folder = root_folder(arch)
    if folder.is_dir():
        return folder
    if shutil.which("mmdebstrap") is None:
        raise HostError(
            "mmdebstrap, which makes the board's file system, is not installed.",
            "apt-get install mmdebstrap arch-test qemu-user-static binfmt-support",
        )
    with locked(folder, lambda: report("waiting for another process that makes the root")):
        if not folder.is_dir():
            _make_root(arch, folder, report)
    return folder


def _make_root(arch: Arch, folder: Path, report: Say) -> None:
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.{threading.get_ident()}")
    # In mounts of its own, which end with it: killed half-way it would leave this host's /dev/shm, /proc and /sys mounted in
    # the folder that is removed below, and their files would be removed with it.
    command = ["unshare", "--mount", "--propagation", "private", "--"]
    command += ["mmdebstrap", "--mode=root", "--variant=minbase", f"--architectures={arch.name}"]
    command += [f"--include={','.join(PACKAGES)}", *(f"--dpkgopt=path-exclude={path}" for path in LEAVE_OUT)]
    report(f"making a Debian {DEBIAN_SUITE} root for {arch.name}; this takes some minutes, once")
    mirror = os.environ.get(DEBIAN_MIRROR_ENV)
    try:
        try:
            _run([*command, DEBIAN_SUITE, str(temporary), *([mirror] if mirror else [])], report)
        except HostError as error:
            if mirror or "Failed to fetch" not in error.message:
                raise
            # Mirrors of updates change while they are read; a board also boots without the updates.
            report("a mirror is being updated; making the root without the updates")
            shutil.rmtree(temporary, ignore_errors=True)
            _run([*command, DEBIAN_SUITE, str(temporary), f"deb {DEBIAN_MIRROR} {DEBIAN_SUITE} main"], report)
        _prepare(temporary)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _run(command: list[str], report: Say) -> None:
    """Runs mmdebstrap, whose `I:` lines are its progress."""
    lines: list[str] = []
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                lines.append(line.rstrip())
                if line.startswith("I: "):
                    report(line[3:].strip())
        except BaseException:
            process.terminate()
            raise
    if process.returncode != 0:
        tail = "\n".join([line for line in lines if line.startswith(("E:", "W:"))] or lines[-5:])[-800:]
        raise HostError(
            f"mmdebstrap failed:\n{tail}", "Check by `apt-get update` that a mirror answers, then run it again."
        )


def _prepare(root: Path) -> None:
    """Users and folders that every virtual board has."""
    with (root / "etc/passwd").open("a", encoding="utf-8") as out:
        out.write("board:x:1000:1000:virtual board:/home/board:/bin/sh\n")
    with (root / "etc/group").open("a", encoding="utf-8") as out:
        out.write("board:x:1000:\n")
    with (root / "etc/shadow").open("a", encoding="utf-8") as out:
        out.write("board:*:19000:0:99999:7:::\n")
    for path in (root / "etc/ssh").glob("ssh_host_*"):
        path.unlink()
    home = root / "home/board"
    home.mkdir(parents=True)
    os.chown(home, 1000, 1000)
    (root / "etc/resolv.conf").unlink(missing_ok=True)
