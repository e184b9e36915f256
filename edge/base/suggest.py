"""What somebody who misspelt a name may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Returns ` Did you mean 'NAME'?`, to be put behind a sentence, or nothing when no name is near.

    Args:
        word: What was given.
        known: The names that there are.
    """
    close = difflib.get_close_matches(word, list(known), n=2)
    return f" Did you mean {' or '.join(repr(name) for name in close)}?" if close else ""
