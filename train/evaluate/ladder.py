"""The ladder of the application note (docs/glossary.md): what each improvement brings end to end, ours beside the note's.

The note's figures are those of its section 4.3, F in percent on its 5,006 green plates of CCPD2020's test part, at min
side 736. They were measured on a host and name no device.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from edge.base.progress import PhaseProgress
from edge.ocr.config import PipelineConfig
from edge.plate.country import load_country
from edge.plate.metrics import EndToEndFigures
from train.data.dataset import Sample
from train.evaluate.pipeline import PhotoOutput, e2e_figures, photo_outputs
from train.evaluate.sources import Source, source_settings

_STRIP = load_country().strip
_PLAIN = {"text_lengths": (), "det_dilation": False, "box_flip": False, "box_grow": 0.0}
_A = {"text_lengths": load_country().lengths}
_B = {"det_dilation": True}
_C = {"box_flip": True, "box_grow": 0.02}
COLUMNS: dict[str, dict[str, Any]] = {
    "base": _PLAIN,
    "A": {**_PLAIN, **_A},
    "B": {**_PLAIN, **_B},
    "C": {**_PLAIN, **_C},
    "A+B+C": {**_PLAIN, **_A, **_B, **_C},
}
"""A keeps texts of 7 or 8 characters (the note, with only green plates: 8), B dilates, C flips and grows boxes."""


@dataclass(frozen=True)
class Rung:
    """A row of the ladder.

    Attributes:
        name: For people.
        models: `published`, `fine-tuned` or `quantised`.
        settings: Beside those of the column.
        note: The note's F in percent by column; empty for rungs that the note does not have.
    """

    name: str
    models: str
    settings: dict[str, Any] = field(default_factory=dict)
    note: tuple[float, ...] = ()


RUNGS = (
    Rung("published, raw", "published", {"text_strip": ""}, (0.04, 0.08, 0.02, 0.05, 0.00)),
    Rung("'·' removed", "published", {"text_strip": "·"}, (78.27, 90.84, 78.61, 79.43, 91.66)),
    Rung("separators removed", "published", {"text_strip": _STRIP}),
    Rung("plate grammar", "published", {"text_strip": _STRIP, "decode": "plate", "score_thresh": 0.5}),
    Rung("fine-tuned", "fine-tuned", {"text_strip": _STRIP}, (87.14, 90.40, 87.66, 89.98, 92.5)),
    Rung("fine-tuned, plate grammar", "fine-tuned", {"decode": "plate", "score_thresh": 0.5}),
    Rung("quantised", "quantised", {"text_strip": _STRIP}, (88.0, 90.54, 88.5, 89.46, 92.02)),
)


@dataclass(frozen=True)
class Row:
    """A rung with its figures: one for each of `COLUMNS`."""

    rung: Rung
    figures: dict[str, EndToEndFigures]

    def as_json(self) -> dict[str, Any]:
        """The row as JSON; `note` is the note's F in percent, where it has one."""
        note = dict(zip(COLUMNS, self.rung.note, strict=False))
        return {
            "name": self.rung.name,
            "models": self.rung.models,
            "settings": self.rung.settings,
            "columns": {name: {**asdict(value), "note": note.get(name)} for name, value in self.figures.items()},
        }


def climb(
    models: Mapping[str, Mapping[str, Source]],
    samples: Sequence[Sample],
    limit: tuple[str, int],
    *,
    jobs: int = 1,
    progress: PhaseProgress = lambda title, done, total: None,
) -> list[Row]:
    """Measures every row for which there are models.

    Args:
        models: By `Rung.models`: detector and recogniser.
        samples: Photos.
        limit: `det_limit_type` and `det_limit_side`.
        jobs: Processes.
        progress: Called with the models' name, photos done and photos in all.

    Returns:
        Rows in the order of `RUNGS`.
    """
    rows = []
    for name, sources in models.items():

        def shown(done: int, total: int, name: str = name) -> None:
            progress(name, done, total)

        outputs = photo_outputs(sources, samples, rung_configs(name, sources, limit), jobs=jobs, progress=shown)
        rows += make_rows(name, samples, outputs)
    return sorted(rows, key=lambda row: RUNGS.index(row.rung))


def rung_configs(name: str, sources: Mapping[str, Source], limit: tuple[str, int]) -> list[PipelineConfig]:
    """Returns the settings of every rung of some models, column by column.

    Args:
        name: As in `Rung.models`.
        sources: Detector and recogniser.
        limit: `det_limit_type` and `det_limit_side`, for models whose cards ask for none.
    """
    start = PipelineConfig(det_limit_type=limit[0], det_limit_side=limit[1])
    base = replace(source_settings(start, sources), decode="greedy", score_thresh=0.0)
    rungs = [rung for rung in RUNGS if rung.models == name]
    return [replace(base, **column, **rung.settings) for rung in rungs for column in COLUMNS.values()]


def make_rows(name: str, samples: Sequence[Sample], outputs: Sequence[Sequence[PhotoOutput]]) -> list[Row]:
    """Counts what the settings of `rung_configs` gave.

    Args:
        name: As in `Rung.models`.
        samples: Photos.
        outputs: For each photo one output for each setting.
    """
    rows = []
    for i, rung in enumerate(rung for rung in RUNGS if rung.models == name):
        figures = {}
        for j, column in enumerate(COLUMNS):
            chosen = [output[i * len(COLUMNS) + j] for output in outputs]
            figures[column] = e2e_figures(samples, chosen)["all"]
        rows.append(Row(rung, figures))
    return rows
