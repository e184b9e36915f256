"""Installing on a real sshd with the host as board: what is sent, what is kept, what can be undone."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from flashkit import Make, commands_of, make_release, reads
from sshd_server import SshServer

from edge.base.errors import DeviceError, UsageError, VerifyError
from edge.plate.answer import Answer, ReadPlate
from edge.protocol.base import Transport
from edge.release.flash import flash
from edge.release.releases import clean, look, rollback
from edge.transport.connect import connect

BOX = ((0.0, 0.0), (100.0, 0.0), (100.0, 30.0), (0.0, 30.0))


@pytest.fixture
def board(ssh_board: SshServer, tmp_path: Path) -> tuple[Transport, str]:
    device = ssh_board.device()
    return connect(device), str(tmp_path / "on the board/plate $(touch evil) 'edge' 车牌")


def test_install_again_change_and_go_back(board: tuple[Transport, str], make: Make) -> None:
    transport, root = board
    first, second = make("皖A12345"), make("京B00000")
    done = flash(transport, root, first)
    assert (done.previous, done.already, done.reused_files) == ("", False, 0)
    assert done.sent_bytes == first.manifest.size
    assert reads(root, transport) == "皖A12345"

    asked, again = commands_of(transport, lambda: flash(transport, root, first))
    assert again.already and asked <= 3
    assert (again.sent_files, again.sent_bytes) == (0, 0)

    model = next(item for item in second.manifest.files if item.path.endswith("rec.nb"))
    changed = flash(transport, root, second)
    assert (changed.sent_files, changed.sent_bytes) == (1, model.size)
    assert changed.previous == first.hash
    assert reads(root, transport) == "京B00000"

    assert rollback(transport, root) == (second.hash, first.hash)
    assert reads(root, transport) == "皖A12345"
    # Back and forth: each is the other's previous release.
    assert rollback(transport, root) == (first.hash, second.hash)

    third = make("沪C11111")
    assert flash(transport, root, third).sent_files == 1
    assert clean(transport, root, 2) == [first.hash]
    assert set(look(transport, root).releases) == {second.hash, third.hash}
    assert reads(root, transport) == "沪C11111"
    assert not Path("evil").exists()


def test_clean_forgets_the_photos_of_runs_that_broke_off(board: tuple[Transport, str], make: Make) -> None:
    transport, root = board
    flash(transport, root, make("皖A12345"))
    for name, age in (("old", 86400), ("now", 0)):
        photo = Path(root) / "inbox" / name / "photo.jpg"
        photo.parent.mkdir(parents=True)
        photo.write_bytes(b"photo")
        then = time.time() - age
        os.utime(photo.parent, (then, then))
    assert clean(transport, root, 1) == []
    assert [path.name for path in (Path(root) / "inbox").iterdir()] == ["now"]


def test_nothing_but_releases_is_left_behind(board: tuple[Transport, str], make: Make) -> None:
    transport, root = board
    flash(transport, root, make("皖A12345"))
    assert sorted(path.name for path in Path(root).iterdir()) == ["current", "history", "releases", "staging"]
    assert list((Path(root) / "staging").iterdir()) == []
    release = Path(root) / "current"
    listed = {line.split("  ", 1)[1] for line in (release / "SHA256SUMS").read_text(encoding="utf-8").splitlines()}
    found = {str(path.relative_to(release)) for path in release.rglob("*") if path.is_file()}
    assert found == listed | {"SHA256SUMS", "manifest.json"}


def test_a_damaged_release_is_repaired(board: tuple[Transport, str], make: Make) -> None:
    transport, root = board
    bundle = make("皖A12345")
    flash(transport, root, bundle)
    library = Path(root) / "current/lib/libpaddle_light_api_shared.so"
    library.write_bytes(library.read_bytes()[:-1] + b"?")
    (Path(root) / "current/models/test-fp32/dict.txt").unlink()
    done = flash(transport, root, bundle)
    assert not done.already
    assert done.sent_files == 2
    assert "2 damaged or missing files were sent again" in done.notes[-1]
    assert flash(transport, root, bundle).already


def test_damage_does_not_spread_by_reuse(board: tuple[Transport, str], make: Make) -> None:
    transport, root = board
    flash(transport, root, make("皖A12345"))
    det = Path(root) / "current/models/test-fp32/det.nb"
    det.write_bytes(b"x" + det.read_bytes()[1:])
    done = flash(transport, root, make("京B00000"))
    # The recogniser is new, the detector was found damaged and sent again.
    assert done.sent_files == 2
    assert flash(transport, root, make("京B00000")).already


def test_photos_with_odd_names_and_twins_arrive(ssh_board: SshServer, tmp_path: Path) -> None:
    from flashkit import compile_program, local_board, make_pair, make_runtime

    from edge.bundle.bundle import make_bundle

    photos = tmp_path / "photos"
    photos.mkdir()
    # Large ones go by themselves, small ones together; the two twins have the same content.
    contents = {"a 车牌 'x' \"y\" $(touch evil);&.jpg": 300_000, "-rf.jpg": 10, "twin one.jpg": 270_000}
    for number, (name, size) in enumerate(contents.items()):
        (photos / name).write_bytes(bytes([number]) * size)
    (photos / "twin two.jpg").write_bytes((photos / "twin one.jpg").read_bytes())
    program, library = compile_program(tmp_path / "program")
    bundle = make_bundle(
        local_board(), program, make_runtime(library), [make_pair(tmp_path / "m")], samples=sorted(photos.iterdir())
    )
    root = tmp_path / "board"
    transport = connect(ssh_board.device())
    done = flash(transport, str(root), bundle)
    assert done.sent_files == len(bundle.manifest.files) - 1
    for name in (*contents, "twin two.jpg"):
        assert (root / "current/samples" / name).read_bytes() == (photos / name).read_bytes()
    assert flash(transport, str(root), bundle).already
    assert not list(tmp_path.rglob("evil")) and not Path("evil").exists()


def test_a_file_that_changes_under_our_hands(board: tuple[Transport, str], tmp_path: Path) -> None:
    transport, root = board
    bundle = make_release(tmp_path)

    def change(text: str) -> None:
        if text.startswith("push"):
            bundle.sources["models/test-fp32/rec.nb"].write_bytes(b"another model")

    with pytest.raises(VerifyError, match="changed on this host"):
        flash(transport, root, bundle, report=change)
    assert not (Path(root) / "current").exists()


def test_rollback_refuses_a_damaged_release(board: tuple[Transport, str], make: Make) -> None:
    transport, root = board
    with pytest.raises(UsageError, match="no earlier release"):
        rollback(transport, root)
    first, second = make("皖A12345"), make("京B00000")
    flash(transport, root, first)
    flash(transport, root, second)
    model = Path(root) / f"releases/{first.hash}/models/test-fp32/rec.nb"
    model.write_bytes(b"")
    with pytest.raises(VerifyError, match="damaged"):
        rollback(transport, root)
    assert reads(root, transport) == "京B00000"
    with pytest.raises(UsageError, match="names no release"):
        rollback(transport, root, to="ffff")


def reading(box: Sequence[tuple[float, float]], text: str) -> Answer:
    return Answer(plates=(ReadPlate(np.array(box, float), text, 0.9),))


def test_the_boards_answer_is_compared_with_the_hosts(board: tuple[Transport, str], make: Make) -> None:
    transport, root = board
    bundle = make("皖A12345")
    flash(transport, root, make("京B00000"))
    other = {"test-fp32": reading(BOX, "皖A12346")}
    with pytest.raises(VerifyError, match=r"reads 皖A12345 on .*, on the host 皖A12346"):
        flash(transport, root, bundle, expected=other)
    moved = {"test-fp32": reading([(x + 20, y) for x, y in BOX], "皖A12345")}
    with pytest.raises(VerifyError, match="elsewhere"):
        flash(transport, root, bundle, expected=moved)
    assert reads(root, transport) == "京B00000"
    near = {"test-fp32": reading([(x + 1, y) for x, y in BOX], "皖A12345")}
    done = flash(transport, root, bundle, expected=near)
    assert done.smoke["test-fp32"].compared
    assert 0.95 < done.smoke["test-fp32"].iou < 1
    flash(transport, root, make("京B00000"))
    assert not flash(transport, root, bundle, expected=other, force=True).smoke["test-fp32"].agrees


def test_a_board_of_another_kind_is_refused_before_anything_is_sent(
    ssh_board: SshServer, tmp_path: Path
) -> None:
    from edge.device.board import load_profile

    bundle = make_release(tmp_path, board=load_profile("rk3399"), abi="arm64")
    root = tmp_path / "board"
    with pytest.raises(DeviceError, match=r"The board runs x86_64 programs.* the bundle is arm64"):
        flash(connect(ssh_board.device()), str(root), bundle)
    assert not (root / "current").exists()
    assert [path for path in root.rglob("*") if path.is_file()] == []


def test_without_sha256_on_the_board(
    ssh_board: SshServer, tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A board whose only checksum tool is cksum, and which has no tar either: its PATH is a folder of ours.
    import shutil

    from edge.release import scripts as onboard

    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("cat", "cksum", "chmod", "cp", "df", "ln", "ls", "mkdir", "mv", "readlink", "rm", "sh", "sync", "wc"):
        (tools / name).symlink_to(shutil.which(name) or name)
    for name in ("ACQUIRE", "REUSE", "DIGEST", "UNPACK", "PUBLISH", "SWITCH", "SWEEP", "LOOK", "BEAT"):
        monkeypatch.setattr(onboard, name, f"PATH={tools}\n" + getattr(onboard, name))
        for module in ("flash", "releases", "lock"):
            import importlib

            loaded = importlib.import_module(f"edge.release.{module}")
            if hasattr(loaded, name):
                monkeypatch.setattr(loaded, name, getattr(onboard, name))
    transport, root = connect(ssh_board.device()), str(tmp_path / "board")
    bundle = make("皖A12345")
    assert flash(transport, root, bundle).sent_files == len(bundle.manifest.files)
    assert flash(transport, root, bundle).already
    # What nobody there could unpack is not kept either.
    there = {path.name for path in (Path(root) / "current").iterdir()}
    assert there == {item.path.split("/")[0] for item in bundle.manifest.files} | {"SHA256SUMS", "manifest.json"}
    library = Path(root) / "current/lib/libpaddle_light_api_shared.so"
    library.write_bytes(library.read_bytes()[:-1] + b"?")
    assert flash(transport, root, bundle).sent_files == 1


def test_status_rollback_and_clean_by_command(
    ssh_board: SshServer, tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    from click.testing import CliRunner

    from edge.bundle.bundle import save_bundle
    from edge.commands.flash import clean as clean_command
    from edge.commands.flash import flash as flash_command
    from edge.commands.flash import rollback as rollback_command
    from edge.commands.flash import status as status_command

    inventory = tmp_path / "devices.yml"
    inventory.write_text("schema: plate-edge/devices/1\ndevices:\n" + ssh_board.entry("pi") + ssh_board.entry("nano"))
    monkeypatch.setenv("PLATE_EDGE_INVENTORY", str(inventory))
    monkeypatch.setenv("PLATE_EDGE_CACHE", str(tmp_path / "cache"))

    def call(command: object, *arguments: str) -> object:
        answer = CliRunner().invoke(command, [*arguments, "--json"], catch_exceptions=False)  # type: ignore[arg-type]
        assert answer.exit_code == 0, answer.output
        return json.loads(answer.stdout)

    files = [save_bundle(make(text), tmp_path / f"{text}.tar") for text in ("皖A12345", "京B00000")]
    both = call(flash_command, "--device", "pi,nano", "--bundle", str(files[0]))
    assert [entry["device"] for entry in both] == ["pi", "nano"]  # type: ignore[attr-defined,index]
    done = call(flash_command, "--device", "pi", "--bundle", str(files[1]))
    assert done["sent_files"] == 1  # type: ignore[index]
    state = call(status_command, "--device", "pi")
    assert (state["current"], state["previous"]) == (make("京B00000").hash, make("皖A12345").hash)  # type: ignore[index]
    assert state["variants"] == ["test-fp32"]  # type: ignore[index]
    back = call(rollback_command, "--device", "pi")
    assert back["to"] == make("皖A12345").hash  # type: ignore[index]
    gone = call(clean_command, "--device", "pi", "--keep", "1")
    assert gone["removed"] == [make("京B00000").hash]  # type: ignore[index]
    text = CliRunner().invoke(status_command, ["--device", "pi,nano"], catch_exceptions=False).stdout
    assert text.count(make("皖A12345").hash) == 2


def test_a_failing_board_does_not_stop_the_others(
    ssh_board: SshServer, tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    from click.testing import CliRunner

    from edge.bundle.bundle import save_bundle
    from edge.commands.flash import flash as flash_command

    inventory = tmp_path / "devices.yml"
    entry = ssh_board.entry("dead").replace(f":{ssh_board.port}\n", ":1\n")
    inventory.write_text("schema: plate-edge/devices/1\ndevices:\n" + ssh_board.entry("pi") + entry)
    monkeypatch.setenv("PLATE_EDGE_CACHE", str(tmp_path / "cache"))
    file = save_bundle(make("皖A12345"), tmp_path / "a.tar")
    answer = CliRunner().invoke(
        flash_command, ["--device", "dead,pi", "--bundle", str(file), "--json", "--inventory", str(inventory)]
    )
    assert answer.exit_code == 11
    documents = {item["device"]: item for item in json.loads(answer.stdout)}
    assert documents["pi"]["release"] == make("皖A12345").hash
    assert documents["dead"]["code"] == 7
