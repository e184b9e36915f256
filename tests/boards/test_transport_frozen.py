"""A link that froze wakes up: what still runs over it on the board must not change what was verified since."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from flashkit import Make
from sleepers import FreezingAdb, FreezingSsh, Sleepers

from edge.base.errors import EdgeError, LinkError
from edge.protocol import transfer
from edge.protocol.base import CompletedCommand
from edge.release.flash import flash
from edge.release.releases import damaged_files, look
from edge.transport.local import LocalTransport

PIECE = 20_000


@pytest.mark.parametrize(
    ("way", "seeds"), [(FreezingSsh, range(50)), (FreezingAdb, range(50, 65))], ids=["ssh", "adb"]
)
def test_file_stays_as_it_was_verified(
    way: type[FreezingSsh | FreezingAdb], seeds: range, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One call freezes anywhere, and goes on before, within or after a later one; a second file may follow."""
    monkeypatch.setattr("edge.transport.adb.PIECE", PIECE)
    froze = 0
    for seed in seeds:
        dice = random.Random(seed)
        sleepers = Sleepers(dice, freeze=dice.randint(1, 4), wake=dice.randint(0, 7))
        board = way(sleepers)
        target = tmp_path / f"board-{seed}" / "model.nb"
        for turn in range(1 + seed % 2):
            source = tmp_path / "source"
            source.write_bytes(dice.randbytes(dice.choice((3_000, 30_000))))
            try:
                transfer.put(board, source, str(target), 0o644, None)
            except LinkError:  # the first look is the caller's to repeat
                transfer.put(board, source, str(target), 0o644, None)
            assert target.read_bytes() == source.read_bytes(), (seed, turn)
        sleepers.wake()
        assert target.read_bytes() == source.read_bytes(), (seed, "woke up after the last rename")
        froze += sleepers.froze
        # What an earlier attempt left is seen, and goes with the next look.
        assert transfer.put(board, source, str(target), 0o644, None) is False
        assert [path.name for path in target.parent.iterdir()] == ["model.nb"]
    assert froze == len(seeds)


class FreezingAt(LocalTransport):
    """A board whose link freezes once, before the line of a script that has some words."""

    def __init__(self, words: str) -> None:
        self.words, self.sleepers = words, Sleepers(random.Random(0), 0, 0)

    def run(self, argv: Sequence[str], **options: Any) -> CompletedCommand:
        words = self.words
        if words and len(argv) > 2 and words in argv[2] and 'echo "the lock is gone"' in argv[2]:
            self.words = ""
            self.sleepers.stop_script(argv, words)
        return super().run(argv, **options)


# Every step of a flash that moves something: taking over, unpacking, publishing, switching, sweeping.
@pytest.mark.parametrize(
    "words",
    ["while [ $# -gt 2 ]", 'mv -f "$aside', 'mv "$stage" "$root/releases', "mv -T", 'rm -rf "$root"/staging/.old.*'],
    ids=["reuse", "unpack", "publish", "switch", "sweep"],
)
@pytest.mark.parametrize("same", [True, False], ids=["same", "other"])
def test_flash_that_woke_up_changes_nothing(words: str, same: bool, make: Make, tmp_path: Path) -> None:
    root, first, second = str(tmp_path / "board"), make("京B22222"), make("沪C33333")
    frozen = FreezingAt(words)
    with pytest.raises(LinkError):
        flash(frozen, root, first)
    chosen = first if same else second
    board = LocalTransport()
    done = flash(board, root, chosen)
    frozen.sleepers.wake()
    state = look(board, root)
    assert (state.current, state.lock) == (chosen.hash, "")
    assert damaged_files(board, done.release.path, chosen.manifest) == []
    try:
        assert flash(board, root, chosen).already
    except EdgeError as error:
        pytest.fail(str(error))
