"""What every HTML page of the bench stands in: one file, no script, nothing fetched from anywhere."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path

STYLE = Path(__file__).with_name("style.css").read_text(encoding="utf-8")
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def frame(title: str, body: str) -> str:
    """Returns a page.

    Args:
        title: As text.
        body: As HTML.
    """
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<link rel="icon" href="data:,">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>{body}</body></html>\n"
    )


def precision_legend(names: Iterable[str]) -> str:
    """The colours of precisions."""
    keys = (
        f'<li class="{escape(name)}"><span class="key" aria-hidden="true"></span>{escape(name)}</li>'
        for name in dict.fromkeys(names)
    )
    return f'<ul class="legend">{"".join(keys)}</ul>'
