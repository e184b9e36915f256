"""How an ssh connection to a device is made: through Fabric, over jump hosts, to known host keys only."""

from __future__ import annotations

import logging
import re
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

import fabric
import paramiko

from edge.base.errors import InputError, LinkError
from edge.device.board import Device, parse_ssh_address
from edge.protocol.base import AccessError
from edge.transport import host_keys as hostkeys

# Paramiko logs the tracebacks of its thread; what they mean is said by `explain`.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

CONNECT_TIMEOUT = 10
# A board that answers nothing for this long, keep-alives included, is gone (seconds).
DEAD_AFTER = 30
# GCM encrypts and authenticates in one pass: a third faster than Paramiko's default on the same link.
CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")


def make_connection(device: Device) -> fabric.Connection:
    """Returns a Fabric connection to a device, not opened yet, that trusts only known host keys, on every hop.

    Raises:
        InputError: The key file does not exist or holds no private key, or a jump host is malformed.
    """
    config = fabric.Config()
    options: dict[str, Any] = {"transport_factory": _transport, "banner_timeout": 15, "auth_timeout": 20}
    if device.key:
        options["key_filename"] = [str(check_key(device))]
    target = fabric.Connection(
        device.host,
        user=device.user or None,
        port=device.port or None,
        config=config,
        connect_timeout=CONNECT_TIMEOUT,
        connect_kwargs=options,
        gateway=False,
    )
    jumps = device.jump or str(target.ssh_config.get("proxyjump", ""))
    if jumps and jumps != "none":
        target.gateway = _gateway(device, jumps, config)
    elif "proxycommand" in target.ssh_config:
        target.gateway = target.ssh_config["proxycommand"]
    _secure(device, target)
    return target


def check_key(device: Device) -> Path:
    """Checks that a device's key file is a private key, before Paramiko reports it in its own words.

    Returns:
        The file.

    Raises:
        InputError: It does not exist, or is something else.
    """
    path = Path(device.key).expanduser()
    if not path.is_file():
        raise InputError(f"The key file {path} of device {device.name} does not exist.", f"See {device.where}.")
    try:
        with path.open("rb") as stream:
            begin = stream.read(200).lstrip()
    except OSError as error:
        raise InputError(f"The key file {path} of {device.name} cannot be read: {error.strerror}.") from error
    first = begin.split(b"\n")[0]
    named = f"The key file {path} of {device.name}" + (f" ({device.where})" if device.where else "")
    if re.match(rb"(ssh|ecdsa|sk-ssh|sk-ecdsa)-[a-z0-9@.-]+ AAAA|---- BEGIN SSH2 PUBLIC|-----BEGIN [A-Z ]*PUBLIC", begin):
        private = path.with_suffix("") if path.suffix == ".pub" else None
        there = f"Name the private half: key: {private}" if private and private.is_file() else "Name the private half."
        raise InputError(f"{named} is the public half of a key.", there)
    if re.match(rb"-----BEGIN (ENCRYPTED )?PRIVATE KEY", begin):
        raise InputError(
            f"{named} is in PKCS#8 form, which the kit's ssh library does not read.",
            f"Let ssh-keygen write it in its own form (it asks for a passphrase): ssh-keygen -p -f {path}",
        )
    if first.startswith(b"-----BEGIN ") and b"PRIVATE KEY" in first:
        return path
    if begin.startswith(b"PuTTY-User-Key-File"):
        raise InputError(
            f"{named} is a key of PuTTY's format.",
            f"Convert it: puttygen {path} -O private-openssh -o {path.with_suffix('')}",
        )
    raise InputError(f"{named} holds no private key.", "`ssh-keygen -t ed25519` makes one.")


def _gateway(device: Device, jumps: str, config: fabric.Config) -> fabric.Connection:
    """Returns the last hop; each goes through the one before it, in the order in which ssh's -J takes them."""
    hop: fabric.Connection | None = None
    for text in jumps.split(","):
        user, host, port = parse_ssh_address(text.strip())
        hop = fabric.Connection(
            host,
            user=user or None,
            port=port or None,
            config=config,
            connect_timeout=CONNECT_TIMEOUT,
            connect_kwargs={"transport_factory": _transport, "banner_timeout": 15, "auth_timeout": 20},
            gateway=hop if hop is not None else False,
        )
        if device.key:
            # The board's key is a good guess for the jump host too; agent and ~/.ssh/config come after it.
            names = hop.connect_kwargs.get("key_filename", [])
            hop.connect_kwargs["key_filename"] = [str(Path(device.key).expanduser()), *names]
        _secure(device, hop)
    assert hop is not None
    return hop


def _secure(device: Device, connection: fabric.Connection) -> None:
    host, port = connection.host, int(connection.port)
    files = str(connection.ssh_config.get("userknownhostsfile", "")).split()
    files += hostkeys.USER_FILES
    revoked = hostkeys.load_known(connection.client.get_host_keys(), host, port, files, device.where)
    # Fabric accepts every new host by default.
    connection.client.set_missing_host_key_policy(hostkeys.Refuse(device.name, host, port, revoked))
    names = connection.connect_kwargs.get("key_filename")
    if names:
        # Files of ~/.ssh/config that do not exist are skipped, as ssh does; Paramiko would stop there.
        connection.connect_kwargs["key_filename"] = [name for name in names if Path(name).expanduser().is_file()]


def _transport(sock: Any, **options: Any) -> paramiko.Transport:
    """Makes Paramiko's transport with faster ciphers first and a socket that notices a dead link."""
    if isinstance(sock, socket.socket):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_AFTER * 1000)
    transport = paramiko.Transport(sock, **options)
    security = transport.get_security_options()
    security.ciphers = (*CIPHERS, *(name for name in security.ciphers if name not in CIPHERS))
    return transport


def explain(device: Device, connection: fabric.Connection | None, error: BaseException) -> LinkError:
    """Returns the sentence for what went wrong on the way to a device."""
    host = connection.host if connection is not None else device.host
    port = int(connection.port) if connection is not None else device.port or 22
    user = connection.user if connection is not None else device.user
    where = f"{device.name} ({hostkeys.label(host, port)})"
    again = "Is it switched on and on the network? Then run the same command again."
    if isinstance(error, LinkError):
        return error
    if isinstance(error, paramiko.BadHostKeyException):
        at = connection
        while isinstance(at, fabric.Connection) and at.host != error.hostname:
            at = at.gateway
        port = int(at.port) if isinstance(at, fabric.Connection) else port
        return hostkeys.changed(device.name, error.hostname, port, error.key, error.expected_key)
    if isinstance(error, paramiko.PasswordRequiredException):
        return AccessError(f"The ssh key for {where} has a passphrase.", "Load it into the agent first: ssh-add FILE")
    broke = "transport shut down" in str(error) or "timeout" in str(error).lower()
    # Paramiko tries a key file as every kind of key, and of a key that was refused keeps the last kind's complaint.
    refused = isinstance(error, paramiko.AuthenticationException) or re.search(
        "encountered .* key, expected|^Invalid key$", str(error)
    )
    if refused and not broke:
        option = f" -p {port}" if port != 22 else ""
        return AccessError(
            f"{where} does not let {user!r} in with the keys at hand.",
            f"Put your key there: ssh-copy-id{option} {user}@{host} - or name another with "
            f"`key:` for {device.name} in {device.where or 'devices.yml'}.",
        )
    if isinstance(error, socket.gaierror):
        # Not an AccessError, which says that the board was reached; but asking again at once does not help either.
        lost = LinkError(f"The name {host!r} of {device.name} does not resolve.", f"See {device.where}.".strip())
        lost.transient = False
        return lost
    if isinstance(error, TimeoutError):
        return LinkError(f"{where} does not answer.", again)
    if isinstance(error, paramiko.ssh_exception.NoValidConnectionsError | ConnectionRefusedError):
        return LinkError(f"{where} refuses the connection.", "Is sshd running there, on that port? Then run it again.")
    text = str(error) or type(error).__name__
    if re.search("not a valid .* private key file", text):
        return AccessError(f"A key for {where} cannot be read: {text}.", "Check the file: `ssh-keygen -yf FILE`.")
    if re.search("protocol banner|protocol version", text) and not (connection is not None and connection.gateway):
        return _no_ssh(where, host, port)
    return LinkError(f"The link to {where} broke: {text}.", "Run the same command again; it goes on where it stopped.")


def _no_ssh(where: str, host: str, port: int) -> LinkError:
    """Returns the error for a port where no ssh server greets; asks it who it is."""
    said = b""
    with suppress(OSError), socket.create_connection((host, port), timeout=CONNECT_TIMEOUT) as link:
        link.settimeout(3)
        link.sendall(b"SSH-2.0-plate-edge\r\n\r\n")
        while len(said) < 2000 and (block := link.recv(1000)):
            said += block
    low = said.lower()
    hint = "Give the port of its ssh server: ssh: USER@HOST:PORT (22 where nothing else was set)."
    if low.startswith(b"ssh-"):
        text = "greets as an ssh server, but broke off before the keys were exchanged"
        return LinkError(f"{where} {text}.", "Is it overloaded (MaxStartups)? Run the same command again.")
    if b"http/" in low[:200] or b"<html" in low or b"<!doctype" in low:
        what = "is a web server, not an ssh server"
    elif said:
        printable = said.decode("utf-8", "replace").split("\n")[0].strip()[:60]
        what = f"is not an ssh server; it says {printable!r}"
    else:
        what = "accepts the connection, but no ssh server answers there"
    return AccessError(f"{where} {what}.", hint)
