"""What a set of models asks for, from its recogniser's card; the published set has none and takes the note's settings."""

from __future__ import annotations

from edge.bundle.zoo import SHIPPED
from edge.model.card import Card, load_model
from edge.ocr.config import PipelineConfig

# Of the published recogniser's dictionary: 6,624 characters and the blank of CTC.
PUBLISHED_CLASSES = 6625


def recogniser_size(name: str) -> tuple[int, int]:
    """Input width in pixels and number of classes of a set's recogniser."""
    card = _card(name)
    if card is None or card.charset is None:
        return PipelineConfig().rec_width, PUBLISHED_CLASSES
    return card.input.width, card.charset.classes


def own_decode(name: str) -> str:
    """How a set's recogniser is decoded: `greedy` or `plate`."""
    card = _card(name)
    return str((card.pipeline if card else {}).get("decode", PipelineConfig().decode))


def _card(name: str) -> Card | None:
    folder = SHIPPED / name / "rec-fp32"
    return load_model(folder, verify=False).card if folder.is_dir() else None
