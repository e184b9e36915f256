"""Words that a reader meets before they are explained."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
PAGES = sorted({TOP / "README.md", *(TOP / "docs").rglob("*.md")} - {TOP / "docs/glossary.md", TOP / "docs/writing.md"})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TOP)))
def test_the_note_is_linked_where_a_page_first_names_it(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    first = re.search(r"\b(the|application) note\b", text, re.IGNORECASE)
    if first is not None:
        linked = re.match(r"application note\]\([\w/.]*glossary\.md\)", text[first.start() :])
        assert linked, text[first.start() - 60 :][:120]
