"""Ways to a board: this host, ssh, adb; all behind `edge.protocol.base.Transport`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from edge.base.errors import DeviceError, UsageError
from edge.device.board import Device
from edge.protocol.base import Transport


def connect(device: Device) -> Transport:
    """Returns the way to a device. The connection itself is opened by the first call that needs it.

    Raises:
        UsageError: The device has a transport that the kit does not know.
    """
    if device.transport == "local":
        from edge.transport.local import LocalTransport

        return LocalTransport()
    if device.transport == "ssh":
        from edge.transport.ssh import SshTransport

        return SshTransport(device)
    if device.transport == "adb":
        from edge.transport.adb import AdbTransport

        return AdbTransport(device)
    raise UsageError(f"Transport {device.transport!r} of device {device.name!r} is not known.")


def device_root(transport: Transport, device: Device) -> str:
    """Returns the folder of the kit's releases on a board as an absolute path, `~/` resolved there.

    Raises:
        LinkError: The board cannot be reached.
        DeviceError: The board's user has no home folder.
    """
    if not device.root.startswith("~/"):
        return device.root
    home = transport.run_check(["sh", "-c", 'printf %s "$HOME"'], timeout=30).stdout
    if not home.startswith("/"):
        raise DeviceError(
            f"The user on {device.name} has no home folder ({home!r}).",
            f"Give the device an absolute `root` in {device.where or 'your devices.yml'}.",
        )
    return f"{home.rstrip('/')}/{device.root[2:]}"


@contextmanager
def on_board(device: Device, transport: Transport | None = None) -> Iterator[tuple[Transport, str]]:
    """Gives the way to a device, and the folder of its releases, for the time of a `with` block.

    Args:
        device: The board.
        transport: An open way to it, which stays open; None to open one for the block.

    Raises:
        EdgeError: See `connect` and `device_root`.
    """
    link = transport or connect(device)
    try:
        yield link, device_root(link, device)
    finally:
        if transport is None:
            link.close()
