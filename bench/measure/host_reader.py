"""What this host reads in labelled photos with the settings of a candidate: accuracy without a minute of board time.

The host runs the same program on the same models (converted for its CPU where the board's is another) with the same
`plate.conf`, so what it reads is what the board reads, up to rounding; the board's own answers are compared with it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.judge.accuracy import Accuracy, accuracy, answers_of, texts_read
from bench.plan.candidate import Candidate
from bench.record.parts import HostCheck, RecordedPlate, TruePlate
from bench.record.result import Result, ResultPhoto
from edge.base.errors import DeviceError, InputError
from edge.base.paths import sha256_file
from edge.plate.polygon import overlap
from edge.plate.text import edit_distance
from edge.protocol.base import Transport, check

if TYPE_CHECKING:
    from bench.measure.target import Command

Plates = list[RecordedPlate]


class HostReader:
    """Reads photos on this host.

    Args:
        command: Of a release on this host, see `edge.release.releases.Release.command`.
        transport: To this host.
        photos: Photos with their ground truth; those without are left out.

    Raises:
        InputError: No photo has ground truth.
    """

    def __init__(
        self, command: Command, transport: Transport, photos: Sequence[tuple[Path, tuple[TruePlate, ...] | None]]
    ) -> None:
        self._command, self._transport = command, transport
        self.paths = [path for path, truth in photos if truth is not None]
        if not self.paths:
            raise InputError(
                "no photo has ground truth, so accuracy cannot be measured.", "Put a labels.json beside the photos."
            )
        self._photos = [
            ResultPhoto(path.name, sha256_file(path), path.stat().st_size, truth)
            for path, truth in photos
            if truth is not None
        ]
        self._known: dict[tuple[str, ...], dict[int, Plates]] = {}

    def answers(self, candidate: Candidate) -> dict[int, Plates]:
        """Photo index to what is read there; threads and power mode change nothing, so they are not asked again.

        Raises:
            DeviceError: The program failed.
        """
        cell = candidate.cell
        words = (cell.variant, "--det_limit_type", cell.side.kind, "--det_limit_side", str(cell.side.pixels),
                 "--decode", candidate.decode)  # fmt: skip
        if words not in self._known:
            argv, env = self._command(cell.variant, "run", *words[1:], *(str(path) for path in self.paths))
            lines = check(self._transport.run(argv, env=env, timeout=3600)).stdout.splitlines()
            try:
                events = [json.loads(line) for line in lines]
                self._known[words] = {index: event["plates"] for index, event in enumerate(events)}
            except (ValueError, KeyError, TypeError) as error:
                raise DeviceError(f"this host's plate_ocr printed something other than plates: {error}.") from error
        return self._known[words]

    def accuracy(self, candidate: Candidate) -> Accuracy:
        """Plates read right with the settings of a candidate."""
        found = accuracy(self._photos, self.answers(candidate))
        assert found is not None
        return found

    def differing(self, candidate: Candidate, answers: dict[str, Plates]) -> int:
        """Photos in which a board reads other texts than this host.

        Args:
            candidate: The settings.
            answers: SHA-256 of a photo to what the board read there.
        """
        mine = {self._photos[index].sha256: texts_read(plates) for index, plates in self.answers(candidate).items()}
        return sum(digest in mine and mine[digest] != texts_read(plates) for digest, plates in answers.items())


def agreement_with_host(
    result: Result, command: Command, transport: Transport, paths: Sequence[Path]
) -> dict[str, HostCheck]:
    """Compares what a board read with what this host reads in the same photos with the same settings.

    Args:
        result: Of the board.
        command: Of a release on this host with the same models.
        transport: To this host.
        paths: The photos of the result, in its order.

    Returns:
        Cell key to `photos` compared, `same` texts, `edits` (edit distance of the texts, added up) and `least_iou` of
        the boxes of plates with the same text (None without any).

    Raises:
        DeviceError: The program failed on this host.
    """
    found = {}
    options = [word for key, value in result.plan.get("options", {}).items() for word in (f"--{key}", str(value))]
    for cell in result.cells:
        board = answers_of(result, cell.key)
        if not board:
            continue
        kind, pixels = cell.side[:3], cell.side[3:]
        side = ["--det_limit_type", kind, "--det_limit_side", pixels]
        variant = f"{cell.model}-{cell.precision}"
        argv, env = command(variant, "run", *side, *options, *(str(paths[index]) for index in sorted(board)))
        lines = check(transport.run(argv, env=env, timeout=3600)).stdout.splitlines()
        host = {index: json.loads(line)["plates"] for index, line in zip(sorted(board), lines, strict=True)}
        found[cell.key] = _compared(board, host)
    return found


def _compared(board: dict[int, Plates], host: dict[int, Plates]) -> HostCheck:
    edits, overlaps = 0, []
    for index, plates in board.items():
        edits += edit_distance(" ".join(texts_read(plates)), " ".join(texts_read(host[index])))
        for plate in plates:
            twins = [overlap(plate["box"], other["box"]) for other in host[index] if other["text"] == plate["text"]]
            overlaps += [max(twins)] if twins else []
    same = sum(texts_read(plates) == texts_read(host[index]) for index, plates in board.items())
    least = round(min(overlaps), 4) if overlaps else None
    return {"photos": len(board), "same": same, "edits": edits, "least_iou": least}
