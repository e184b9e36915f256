"""What a set of models asks for, from its recogniser's card.

The published set has none and takes the settings of the application note (docs/glossary.md).
"""

from __future__ import annotations

from edge.bundle.zoo import SHIPPED
from edge.model.card import TASKS, Card, load_model
from edge.ocr.config import PipelineConfig

# Of the published recogniser's dictionary: 6,624 characters and the blank of CTC.
PUBLISHED_CLASSES = 6625


def recogniser_size(name: str) -> tuple[int, int]:
    """Input width in pixels and number of classes of a set's recogniser."""
    card = _card(name)
    if card is None or card.charset is None:
        return PipelineConfig().rec_width, PUBLISHED_CLASSES
    return card.input.width, card.charset.classes


def other_architecture(name: str) -> str:
    """Names the first architecture of a set that is not PP-OCRv3's; empty where all are."""
    cards = [_card(name, task) for task in TASKS]
    return next((card.arch for card in cards if card and card.arch not in ("", f"ppocrv3_{card.task}")), "")


def own_decode(name: str) -> str:
    """How a set's recogniser is decoded: `greedy` or `plate`."""
    card = _card(name)
    return str((card.pipeline if card else {}).get("decode", PipelineConfig().decode))


def _card(name: str, task: str = "rec") -> Card | None:
    folder = SHIPPED / name / f"{task}-fp32"
    return load_model(folder, verify=False).card if folder.is_dir() else None
