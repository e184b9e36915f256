"""Installing through the real adb client on the test adbd: a modern phone, and one of Android 6."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from adbd_services import TestDevice
from flashkit import make_release, reads

from edge.base.errors import LinkError
from edge.device.board import Device, load_profile
from edge.protocol.base import Transport
from edge.release.flash import flash
from edge.release.releases import clean, look, rollback
from edge.transport.connect import connect

ROOT = "/data/local/tmp/plate-edge"


def phone_link(phone: TestDevice) -> Transport:
    return connect(Device("phone", load_profile("android-arm64"), "adb", serial=phone.serial, root=ROOT))


@pytest.mark.parametrize("old", [False, True])
def test_flash_change_and_go_back(old: bool, adb_phone: TestDevice, tmp_path: Path) -> None:
    if old:
        # Android 6: one stream, no exit codes, a handful of tools, no SHA-256. `ln` it had.
        adb_phone.settings.features = ("cmd",)
        (adb_phone.folder / "old/bin/ln").symlink_to(shutil.which("ln") or "/bin/ln")
    first, second = make_release(tmp_path, "皖A12345"), make_release(tmp_path, "京B00000")
    transport = phone_link(adb_phone)
    assert flash(transport, ROOT, first).sent_bytes == first.manifest.size
    assert reads(ROOT, transport) == "皖A12345"
    again = flash(transport, ROOT, first)
    assert again.already and again.sent_files == 0
    model = next(item for item in second.manifest.files if item.path.endswith("rec.nb"))
    assert flash(transport, ROOT, second).sent_bytes == model.size
    assert reads(ROOT, transport) == "京B00000"
    assert rollback(transport, ROOT)[1] == first.hash
    assert reads(ROOT, transport) == "皖A12345"
    assert clean(transport, ROOT, 1) == [second.hash]
    assert look(transport, ROOT).releases == (first.hash,)


def test_reboot_in_the_middle(adb_phone: TestDevice, tmp_path: Path) -> None:
    transport = phone_link(adb_phone)
    flash(transport, ROOT, make_release(tmp_path, "皖A12345"))

    def reboot(text: str) -> None:
        if text.startswith("publish"):
            adb_phone.reboot()

    bundle = make_release(tmp_path, "京B00000")
    try:
        flash(transport, ROOT, bundle, report=reboot)
    except LinkError:
        assert reads(ROOT, transport) == "皖A12345"
    flash(transport, ROOT, bundle)
    assert reads(ROOT, transport) == "京B00000"
