"""A real OpenSSH server on a loopback port, with this host as the board.

Run by root, it gets a mount namespace with its own /etc/passwd, so that its users (`board`, who may do everything,
and `plain`, who may not) have empty homes and a plain shell, whatever the real root's start-up files do. Run by
anybody else, it lets that user in.
"""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from free_port import free_port

from edge.device.board import Device, load_profile

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"
PLAIN_ID = 64123


@dataclass
class SshServer:
    """One server.

    Attributes:
        folder: Keys, homes and configuration; readable by all users of the server.
        port: Loopback port; stays the same over a restart.
    """

    folder: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self.folder.chmod(0o755)
        self.own_users = os.geteuid() == 0
        self.home = self.folder / "home"
        self.home.mkdir()
        (self.folder / "plain").mkdir()
        self.new_host_key()
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key)], check=True)
        self.port = free_port()
        self._write_files()

    @property
    def key(self) -> Path:
        """Private key that every user of the server accepts."""
        return self.folder / "id"

    @property
    def user(self) -> str:
        """The user who may do everything that the user of the tests may."""
        return "board" if self.own_users else getpass.getuser()

    def new_host_key(self) -> None:
        """Gives the server another host key; takes effect with the next connection after `start`."""
        for name in ("host", "host.pub"):
            (self.folder / name).unlink(missing_ok=True)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / "host")], check=True)

    @property
    def host_key(self) -> str:
        """Type and key, as in `known_hosts`."""
        return " ".join((self.folder / "host.pub").read_text().split()[:2])

    @property
    def fingerprint(self) -> str:
        """As `ssh-keygen -l` says it."""
        answer = subprocess.run(["ssh-keygen", "-lf", str(self.folder / "host.pub")], capture_output=True, check=True)
        return answer.stdout.decode().split()[1]

    def _write_files(self) -> None:
        (self.folder / "authorized_keys").write_text(self.key.with_suffix(".pub").read_text())
        noisy = self.folder / "noisy"
        noisy.write_text('#!/bin/sh\necho "Welcome to the board!"\necho "2 updates" >&2\nexec /bin/sh "$@"\n')
        noisy.chmod(0o755)
        menu = self.folder / "menu"
        menu.write_text('#!/bin/sh\necho "1) shell  2) reboot"\nread choice\nexec /bin/sh "$@"\n')
        menu.chmod(0o755)
        users = (
            f"board:x:0:0:board:{self.home}:/bin/sh\n"
            f"plain:x:{PLAIN_ID}:{PLAIN_ID}:plain:{self.folder}/plain:/bin/sh\n"
            f"noisy:x:0:0:noisy:{self.home}:{noisy}\n"
            f"menu:x:0:0:menu:{self.home}:{menu}\n"
            f"locked:x:0:0:locked:{self.home}:/usr/sbin/nologin\n"
        )
        (self.folder / "passwd").write_text(users + Path("/etc/passwd").read_text())
        if self.own_users:
            os.chown(self.folder / "plain", PLAIN_ID, PLAIN_ID)
        (self.folder / "sshd_config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self.folder}/host\n"
            f"AuthorizedKeysFile {self.folder}/authorized_keys\nStrictModes no\nUsePAM no\nPidFile none\n"
            "PermitRootLogin yes\nPasswordAuthentication no\nMaxStartups 100\nMaxSessions 100\nUseDNS no\n"
            "Subsystem sftp internal-sftp\n"
        )

    def start(self) -> SshServer:
        """Starts the server and waits until it answers."""
        command = [SSHD, "-D", "-e", "-f", str(self.folder / "sshd_config")]
        if self.own_users:
            Path("/run/sshd").mkdir(exist_ok=True)
            script = 'mount --bind "$1" /etc/passwd && shift && exec "$@"'
            passwd = str(self.folder / "passwd")
            command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", passwd, *command]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + 600
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise RuntimeError(f"sshd did not start: {(self.folder / 'log').read_text()[-500:]}")

    def mount(self, folder: Path, options: str) -> None:
        """Mounts a RAM disk (`size=1m`, `ro`, `noexec` ...) where only the board sees it; needs `own_users`."""
        assert self.process is not None
        namespace = f"--mount=/proc/{self.process.pid}/ns/mnt"
        folder.mkdir(exist_ok=True)
        command = ["nsenter", namespace, "mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
        subprocess.run(command, check=True)

    def unmount(self, folder: Path) -> None:
        """Takes a RAM disk away."""
        assert self.process is not None
        subprocess.run(["nsenter", f"--mount=/proc/{self.process.pid}/ns/mnt", "umount", str(folder)], check=True)

    def stop(self) -> None:
        """Ends the server and all its connections, as a board that loses power would."""
        if self.process is None:
            return
        listing = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True, check=False)
        self.process.kill()
        self.process.wait()
        self.process = None
        for pid in listing.stdout.split():
            # Its connections are children of its own, each the leader of a process group.
            subprocess.run(["kill", "-9", pid], capture_output=True, check=False)

    def device(self, name: str = "bench", *, profile: str = "local", user: str = "", port: int = 0) -> Device:
        """Returns the server as a device whose releases go to a folder in its user's home."""
        home = self.folder / "plain" if user == "plain" else self.home
        return Device(
            name,
            load_profile(profile),
            "ssh",
            host="127.0.0.1",
            port=port or self.port,
            user=user or self.user,
            key=str(self.key),
            root=str(home / name),
        )

    def entry(self, name: str = "bench", *, profile: str = "local") -> str:
        """Returns the server as an entry of a `devices.yml`."""
        device = self.device(name, profile=profile)
        return (
            f"  {name}:\n    board: {profile}\n    ssh: {device.user}@{device.host}:{device.port}\n"
            f"    key: {device.key}\n    root: {device.root}\n"
        )

    def trust(self, config: Path) -> None:
        """Puts the host key into the kit's `known_hosts` of a configuration folder (`$XDG_CONFIG_HOME`)."""
        folder = config / "plate-edge"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {self.host_key}\n")
