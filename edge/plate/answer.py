"""What was read in a photo, on this host or on a board: the plates, and what else the program says about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class ReadPlate:
    """A plate that was read.

    Attributes:
        box: float64 [4, 2], pixels of the photo: top left, top right, bottom right, bottom left.
        text: After stripping.
        score: 0..1.
    """

    box: npt.NDArray[np.float64]
    text: str
    score: float

    @classmethod
    def from_json(cls, item: Any) -> ReadPlate:
        """Reads a plate as the C++ program prints it.

        Raises:
            ValueError, KeyError, TypeError, OverflowError: It is something else.
        """
        box = np.array(item["box"], np.float64)
        score = float(item["score"])
        if box.shape != (4, 2) or not isinstance(item["text"], str):
            raise ValueError("a plate without four corners or without text")
        if not (np.isfinite(box).all() and np.isfinite(score)):
            raise ValueError("a plate whose corners or score are not numbers")
        return cls(box, item["text"], score)

    def as_json(self) -> dict[str, Any]:
        """The plate as the C++ program prints it."""
        return {"box": self.box.tolist(), "text": self.text, "score": self.score}


@dataclass(frozen=True)
class Answer:
    """What was read in one photo; the keys of its JSON are in docs/formats/events.md.

    Attributes:
        image: The photo's path.
        plates: In the order of their boxes; none where there is an error.
        error: Why the photo could not be read.
        size: Width and height of the upright photo; None when not told, as by older programs.
        det_input: Width and height of the detector's input, likewise.
        boxes: Boxes that the detector found, whether their text was kept or not.
        ms: Milliseconds of each stage, and `total`.
        warnings: What is wrong with a file that was read nevertheless.
        converted: The photo's format, when this host decoded it for the program.
        detector: See `edge.ocr.hints.with_scale`.
    """

    image: str = ""
    plates: tuple[ReadPlate, ...] = ()
    error: str | None = None
    size: tuple[int, int] | None = None
    det_input: tuple[int, int] | None = None
    boxes: int | None = None
    ms: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    converted: str | None = None
    detector: Mapping[str, float] | None = None

    @classmethod
    def from_json(cls, document: Any) -> Answer:
        """Reads a line of `plate_ocr run`; keys that it does not know are left out.

        Raises:
            ValueError, KeyError, TypeError, OverflowError: It is something else.
        """
        if document.get("error") is None and not isinstance(document["plates"], list):
            raise ValueError("plates are not a list")
        known = {item.name: document[item.name] for item in fields(cls) if document.get(item.name) is not None}
        for name in known.keys() & {"size", "det_input"}:
            if not _is_size(known[name]):
                raise ValueError(f"{name} is {str(known[name])[:40]} and not a width and a height")
        return cls(**{**known, "plates": tuple(map(ReadPlate.from_json, known.get("plates", ())))})

    def as_json(self) -> dict[str, Any]:
        """The answer as the C++ program prints it, with what this host adds."""
        given = {name: value for name, value in vars(self).items() if name != "plates" and value not in (None, (), {})}
        plates = {} if self.error is not None else {"plates": [plate.as_json() for plate in self.plates]}
        return given | plates

    @property
    def texts(self) -> list[str]:
        """The texts, sorted."""
        return sorted(plate.text for plate in self.plates)


def _is_size(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2 and all(type(side) is int and side > 0 for side in value)
