"""Ways to a board: this host, ssh, adb; all behind `edge.transport.base.Transport`."""

from __future__ import annotations

from edge.base.errors import DeviceError, UsageError
from edge.device.board import Device
from edge.transport.base import Transport

__all__ = ["Transport", "connect", "device_root"]


def connect(device: Device) -> Transport:
    """Returns the way to a device. The connection itself is opened by the first call that needs it.

    Raises:
        UsageError: The device has a transport that the kit does not know.
    """
    if device.transport == "local":
        from edge.link.local import LocalTransport

        return LocalTransport()
    if device.transport == "ssh":
        from edge.link.ssh import SshTransport

        return SshTransport(device)
    if device.transport == "adb":
        from edge.link.adb import AdbTransport

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
