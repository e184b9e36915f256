"""The trial before the switch: a release that reads nothing is no better than the one that runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from flashkit import Make, make_release

from edge.base.errors import VerifyError
from edge.device.board import Device, load_profile
from edge.release.flash import NO_SAMPLES, flash
from edge.release.install import host_answers
from edge.release.releases import look
from edge.transport.local import LocalTransport

OLD = "皖A00001"


@pytest.mark.parametrize(
    ("text", "labels", "says"),
    [
        ("NOTHING", None, r"reads none of the 1 sample photos right on local: nothing in photo\.jpg\."),
        ("NOTHING", {"a.jpg": "京B22222", "b.jpg": "沪C33333"}, r"none of the 2 .*: nothing in a\.jpg, which shows 京B"),
        ("皖D00000D", {"a.jpg": "京B22222"}, r"皖D00000D in a\.jpg, which shows 京B22222"),
        ("NOTHING", {"a.bmp": "京B22222", "b.jpg": "沪C33333"}, r"none of the 1 .*: nothing in b\.jpg, which shows 沪C"),
    ],
    ids=["no labels", "labels", "another text", "a photo that only the host reads"],
)
def test_a_release_that_reads_no_sample_is_not_switched_on(
    text: str, labels: Mapping[str, str] | None, says: str, make: Make, tmp_path: Path
) -> None:
    board, root = LocalTransport(), str(tmp_path / "board")
    flash(board, root, make(OLD))
    bundle = make_release(tmp_path, text, labels=labels)
    with pytest.raises(VerifyError, match=says) as refusal:
        flash(board, root, bundle)
    assert "--accept-failed" in refusal.value.hint
    state = look(board, root)
    assert (state.current, state.releases) == (make(OLD).hash, (make(OLD).hash,))
    assert not flash(board, root, bundle, force=True).smoke["test-fp32"].reads
    assert look(board, root).current == bundle.hash


def test_one_sample_that_is_read_is_enough(tmp_path: Path) -> None:
    bundle = make_release(tmp_path, "沪C33333", labels={"a.jpg": "京B22222", "b.jpg": "沪C·33333"})
    done = flash(LocalTransport(), str(tmp_path / "board"), bundle)
    assert done.smoke["test-fp32"].reads and done.smoke["test-fp32"].truth == ("京B22222",)


def test_the_hosts_answer_leaves_its_own_release_alone(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`edge flash` of another board ran, and so switched on, the release of this computer."""
    monkeypatch.setenv("PLATE_EDGE_CACHE", str(tmp_path / "cache"))
    bundle = make("京B22222")
    monkeypatch.setattr("edge.release.install.build_bundle", lambda *args, **options: bundle)
    device = Device("gate", load_profile("rk3399"), "ssh", host="gate")
    said: list[str] = []
    answers = host_answers(device, bundle, ["test"], ["fp32"], said.append)
    assert answers["test-fp32"].texts == ["京B22222"]
    assert not (tmp_path / "cache/boards/local").exists()
    # Asked again, it says nothing, since it does nothing.
    assert len(said) == 1 and host_answers(device, bundle, ["test"], ["fp32"], said.append) and len(said) == 1


def test_a_release_without_samples_is_switched_on_and_says_so(tmp_path: Path) -> None:
    """As one for a country of which the kit has no photos."""
    bundle = make_release(tmp_path, "NOTHING", labels={})
    samples = [item for item in bundle.manifest.files if item.kind == "sample"]
    assert [Path(item.path).name for item in samples] == ["labels.json", "photo.jpg"]
    without = replace(bundle, manifest=replace(bundle.manifest, files=tuple(set(bundle.manifest.files) - set(samples))))
    board, root = LocalTransport(), str(tmp_path / "board")
    done = flash(board, root, without)
    assert done.smoke == {} and NO_SAMPLES in done.notes
    assert look(board, root).current == without.hash
