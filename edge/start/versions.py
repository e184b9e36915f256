"""What `edge --version` says: the kit, Paddle Lite's wheel and the model sets that are at hand."""

from __future__ import annotations

import json
from importlib import metadata

from edge import __version__
from edge.bundle.zoo import PUBLISHED, SHIPPED
from edge.model.card import CARD_NAME

# The wheel that the published weights are in.
PACKAGE = "rapidocr-onnxruntime"


def version_lines() -> list[str]:
    """Returns one line for the kit, one for Paddle Lite and one for each model set, the best set first."""
    lines = [f"edge, version {__version__}", f"Paddle Lite {_installed('paddlelite')}"]
    for folder in sorted(SHIPPED.glob("*")):
        cards = sorted(folder.glob(f"*/{CARD_NAME}"))
        if cards:
            names = [json.loads(card.read_text(encoding="utf-8"))["name"] for card in cards]
            lines.append(f"models {folder.name} (shipped): {', '.join(names)}")
    lines.append(f"models {PUBLISHED} (published PP-OCRv3, from rapidocr-onnxruntime {_installed(PACKAGE)})")
    return lines


def _installed(distribution: str) -> str:
    """The version of an installed package, or how to get it."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "not installed"
