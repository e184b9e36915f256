"""Tables and text for a terminal, which may hold names that others chose."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from edge.host.streams import printable


class PlainConsole(Console):
    """A console that shows text as it is: what looks like markup stays, and nothing in it can steer the terminal.

    Args:
        options: As for rich's `Console`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """What rich asks for each text, in a table or not; see the class."""
        return super().render_str(printable(text), **options)
