"""Writes the map of rooms into CONTRIBUTING.md, from the import contracts and the rooms' own docstrings.

`python scripts/rooms.py` writes it; a test holds the two together.
"""

from __future__ import annotations

import ast
import configparser
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "CONTRIBUTING.md"
START, END = "<!-- rooms: made by scripts/rooms.py -->\n", "<!-- end of rooms -->\n"


def table() -> str:
    """Returns the map as Markdown: a table for each package, its highest rooms first."""
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter", encoding="utf-8")
    parts = []
    for section in contracts.sections():
        package = contracts.get(section, "containers", fallback="").strip()
        if not package:
            continue
        rows = ["", f"| `{package}/` | holds |", "| --- | --- |"]
        for line in contracts.get(section, "layers").split("\n"):
            rooms = [name.strip() for name in line.split("|") if name.strip()]
            rows += [f"| {_name(package, room)} | {_about(package, room)} |" for room in rooms]
        parts.append("\n".join(rows) + "\n")
    return "".join(parts) + "\n"


def _name(package: str, room: str) -> str:
    return f"`{room}/`" if (ROOT / package / room).is_dir() else f"`{room}.py`"


def _about(package: str, room: str) -> str:
    folder = ROOT / package / room
    file = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return text.splitlines()[0].replace("|", "&#124;")


def written(page: str) -> str:
    """Returns a page with the map of today between its two marks."""
    head, _, rest = page.partition(START)
    _, _, tail = rest.partition(END)
    return head + START + table() + END + tail


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
