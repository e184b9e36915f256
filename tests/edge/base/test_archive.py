"""Unpacking: honest archives come out whole, hostile and damaged ones leave nothing behind."""

from __future__ import annotations

import io
import os
import random
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.base.archive import ArchiveLimits, extract, is_archive
from edge.base.errors import EdgeError, InputError, VerifyError

Change = Callable[[tarfile.TarInfo], None]


def entry(name: str, data: bytes = b"x", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    info.mode = 0o644
    for key, value in fields.items():
        setattr(info, key, value)
    if info.type != tarfile.REGTYPE:
        info.size = 0
    return info, data


def make_tar(path: Path, *entries: tuple[tarfile.TarInfo, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode, format=tarfile.GNU_FORMAT) as tar:  # type: ignore[call-overload]
        for info, data in entries:
            tar.addfile(info, io.BytesIO(data) if info.isreg() else None)
    return path


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, type=kind, linkname=target)


GOOD = entry("lib/good.so", b"good")

HOSTILE: dict[str, list[tuple[tarfile.TarInfo, bytes]]] = {
    "absolute path": [entry("/tmp/plate-edge-evil")],
    "dot dot": [entry("lib/../../evil")],
    "symlink to an absolute path": [link("lib/evil", "/etc/passwd")],
    "symlink out of the folder": [link("lib/evil", "../../evil")],
    "chain of symlinks out": [link("a", "."), link("b/c", "../a/../.."), GOOD],
    "write through a symlink": [link("lib", "/tmp"), entry("lib/plate-edge-evil")],
    "hard link out of the folder": [link("evil", "../../../etc/passwd", tarfile.LNKTYPE)],
    "hard link to an absolute path": [link("evil", "/etc/passwd", tarfile.LNKTYPE)],
    "hard link to a symlink": [link("s", "good"), link("h", "s", tarfile.LNKTYPE)],
    "character device": [entry("null", type=tarfile.CHRTYPE, devmajor=1, devminor=3)],
    "block device": [entry("disk", type=tarfile.BLKTYPE, devmajor=8, devminor=0)],
    "pipe": [entry("pipe", type=tarfile.FIFOTYPE)],
    "set-user-ID": [entry("su", mode=0o4755)],
    "twice": [entry("a/b", b"1"), entry("a/b", b"2")],
    "case trick": [entry("lib/A.so"), entry("lib/a.so")],
    "normal form trick": [entry("lib/\u00e9.so"), entry("lib/e\u0301.so")],
    "file as folder": [entry("a"), entry("a/b")],
    "control characters": [entry("lib/\x1b[2Jevil")],
    "newline": [entry("lib/a\nb")],
    "right-to-left override": [entry("lib/\u202egpj.so")],
    "long name": [entry("d/" + "n" * 300)],
    "Windows path": [entry("C:\\evil")],
}


def leftovers(folder: Path, *expected: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*") if path not in expected)


@pytest.mark.parametrize("form", HOSTILE)
def test_a_hostile_tar_is_refused_and_leaves_nothing(form: str, tmp_path: Path) -> None:
    archive = make_tar(tmp_path / "evil.tar.gz", GOOD, *[item for item in HOSTILE[form] if item is not GOOD])
    with pytest.raises(VerifyError) as caught:
        extract(archive, tmp_path / "out")
    assert "evil.tar.gz: member" in caught.value.message
    assert "\x1b" not in caught.value.message and "\n" not in caught.value.message
    assert leftovers(tmp_path, archive) == []
    assert not Path("/tmp/plate-edge-evil").exists()


def make_zip(path: Path, *entries: tuple[str, bytes, int]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, data, mode in entries:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            bundle.writestr(info, data)
    return path


@pytest.mark.parametrize(
    ("name", "data", "mode"),
    [
        ("../evil", b"x", 0o644),
        ("/evil", b"x", 0o644),
        ("..\\evil", b"x", 0o644),
        ("evil", b"/etc/passwd", stat.S_IFLNK | 0o777),
        ("evil", b"../../etc", stat.S_IFLNK | 0o777),
        ("evil", b"", stat.S_IFIFO | 0o644),
        ("evil", b"x", stat.S_IFREG | 0o4755),
        ("LIB/good.so", b"x", 0o644),
        ("zeros", bytes(100 << 20), 0o644),
    ],
)
def test_a_hostile_zip_is_refused_and_leaves_nothing(name: str, data: bytes, mode: int, tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "evil.zip", ("lib/good.so", b"good", 0o644), (name, data, mode))
    with pytest.raises(VerifyError):
        extract(archive, tmp_path / "out")
    assert leftovers(tmp_path, archive) == []


class Zeros(io.RawIOBase):
    """An endless file of zeros: tarfile copies it block by block, so that a bomb costs the test no memory."""

    def read(self, size: int = -1) -> bytes:
        return bytes(size)


def test_a_gzip_bomb_stops_early(tmp_path: Path) -> None:
    archive = tmp_path / "bomb.tar.gz"
    info = tarfile.TarInfo("zeros")
    info.size = 150 << 20
    with tarfile.open(archive, "w:gz", compresslevel=9) as tar:
        tar.addfile(info, Zeros())
    with pytest.raises(VerifyError, match="decompression bomb"):
        extract(archive, tmp_path / "out")
    assert leftovers(tmp_path, archive) == []


def test_sizes_and_counts_have_limits(tmp_path: Path) -> None:
    archive = make_tar(tmp_path / "many.tar", *(entry(f"f{number}") for number in range(30)), mode="w")
    with pytest.raises(VerifyError, match="more than 20 members"):
        extract(archive, tmp_path / "out", limits=ArchiveLimits(files=20))
    with pytest.raises(VerifyError, match="more than 10 bytes"):
        extract(archive, tmp_path / "out", limits=ArchiveLimits(total=10))
    assert leftovers(tmp_path, archive) == []


def test_a_header_that_claims_gigabytes_costs_no_memory(tmp_path: Path) -> None:
    archive = tmp_path / "pax.tar"
    head = tarfile.TarInfo("././@PaxHeader")
    head.type, head.size = tarfile.XHDTYPE, 3 << 30
    with archive.open("wb") as out:
        out.write(head.tobuf(tarfile.USTAR_FORMAT))
        out.truncate(3 << 30)  # sparse: takes no room on the disk
    with pytest.raises(VerifyError, match="has a header of"):
        extract(archive, tmp_path / "out")


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz", "w"])
def test_an_honest_tar_comes_out_whole(mode: str, tmp_path: Path) -> None:
    archive = make_tar(
        tmp_path / "lib.tar",
        entry("./inference/", type=tarfile.DIRTYPE, mode=0o755),
        entry("./inference/lib/liba.so.1", b"library" * 999, mode=0o755),
        link("./inference/lib/liba.so", "liba.so.1"),
        link("./inference/lib/same.so", "inference/lib/liba.so.1", tarfile.LNKTYPE),
        entry("./inference/include/车牌.h", b"header"),
        link("./inference/up", "lib/../include"),
        mode=mode,
    )
    seen: list[tuple[int, int]] = []
    out = extract(archive, tmp_path / "out", progress=lambda done, total: seen.append((done, total)))
    lib = out / "inference" / "lib"
    assert (lib / "liba.so").read_bytes() == (lib / "same.so").read_bytes() == b"library" * 999
    assert os.access(lib / "liba.so.1", os.X_OK)
    assert (out / "inference" / "up" / "车牌.h").read_bytes() == b"header"
    assert seen[-1] == (7 * 999 + 6, 7 * 999 + 6)
    assert leftovers(tmp_path, archive, out, *out.rglob("*")) == []


def test_an_honest_zip_comes_out_whole(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", ("a/b", b"1", stat.S_IFREG | 0o755), ("a/c", b"b", stat.S_IFLNK | 0o777))
    out = extract(archive, tmp_path / "out")
    assert (out / "a" / "c").read_bytes() == b"1"
    assert os.access(out / "a" / "b", os.X_OK)


def test_damage_anywhere_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    # Incompressible content, so that a cut or a flipped byte really hits it.
    whole = make_tar(tmp_path / "whole.tar.gz", *(entry(f"f{n}", os.urandom(3000)) for n in range(4))).read_bytes()
    broken = tmp_path / "broken.tar.gz"
    for cut in (1, 5, 20, 100, 5000, len(whole) - 9):
        broken.write_bytes(whole[:cut])
        with pytest.raises(EdgeError):
            extract(broken, tmp_path / "out")
    for position in (1, 700, 6000, len(whole) - 6):
        broken.write_bytes(whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :])
        with pytest.raises(EdgeError):
            extract(broken, tmp_path / "out")
    assert leftovers(tmp_path, broken, tmp_path / "whole.tar.gz") == []


@pytest.mark.parametrize("form", ["tar.gz", "zip", "zip-bzip2"])
def test_damage_of_what_compresses_well_is_an_error_too(form: str, tmp_path: Path) -> None:
    """Damage then hits the packing itself, which every decompressor reports in a way of its own."""
    dice = random.Random(7)
    files = [(f"f{n}", bytes(dice.choices(b"abcdefgh", k=3000))) for n in range(3)]
    if form == "tar.gz":
        archive = make_tar(tmp_path / "a", *(entry(name, data) for name, data in files))
    else:
        archive = tmp_path / "a"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_BZIP2 if "bzip2" in form else zipfile.ZIP_DEFLATED) as bundle:
            for name, data in files:
                bundle.writestr(name, data)
    whole, refused = archive.read_bytes(), 0
    for _ in range(300):
        raw = bytearray(whole)
        raw[dice.randrange(10, len(raw))] = dice.randrange(256)
        archive.write_bytes(raw)
        try:
            extract(archive, tmp_path / "out")
            shutil.rmtree(tmp_path / "out")
        except EdgeError:
            refused += 1
    assert refused > 200


def test_a_zip_that_python_cannot_unpack_says_so(tmp_path: Path) -> None:
    """Windows packs what is larger than 2 GB by Deflate64."""
    archive = make_zip(tmp_path / "a.zip", ("a", b"1" * 99, 0o644))
    raw = bytearray(archive.read_bytes())
    raw[8] = raw[raw.index(b"PK\1\2") + 10] = 9
    archive.write_bytes(raw)
    with pytest.raises(InputError, match=r"cannot be unpacked here.*compression method"):
        extract(archive, tmp_path / "out")


def test_a_damaged_header_is_not_taken_for_the_end(tmp_path: Path) -> None:
    archive = make_tar(tmp_path / "a.tar", entry("a"), entry("b"), mode="w")
    raw = bytearray(archive.read_bytes())
    raw[1024 + 5] ^= 1
    archive.write_bytes(raw)
    with pytest.raises(InputError, match="ends in the middle"):
        extract(archive, tmp_path / "out")


def test_no_archive_and_an_existing_folder_are_refused(tmp_path: Path) -> None:
    page = tmp_path / "lib.tar.gz"
    page.write_text("<html>404</html>" * 40)
    assert not is_archive(page)
    with pytest.raises(InputError, match="not an archive"):
        extract(page, tmp_path / "out")
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match="exists already"):
        extract(make_tar(tmp_path / "a.tar.gz", GOOD), tmp_path / "out")
