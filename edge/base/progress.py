"""What a function that takes time tells its caller: in words, and by figures."""

from __future__ import annotations

from collections.abc import Callable

Say = Callable[[str], None]
"""Takes one line of text: what is being done now, or what a person should know."""
Progress = Callable[[int, int], None]
"""Takes what is done and how much there is to do, both in one unit: bytes, photos."""
PhaseProgress = Callable[[str, int, int], None]
"""Takes the name of the phase that work is in, and the two figures of `Progress`."""
