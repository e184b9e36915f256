"""Drawing with SVG elements whose horizontal places are percentages.

A chart without a view box is as wide as its place and keeps its text at the size of the page: readable on a phone,
where a scaled drawing would not be. Vertical places are pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class Scale:
    """Values to percent of the width.

    Attributes:
        low: Value at the left edge.
        high: Value at the right edge.
    """

    low: float
    high: float

    def at(self, value: float) -> float:
        """Percent of the width, kept within 0 to 100."""
        span = self.high - self.low
        return min(100.0, max(0.0, 100 * (value - self.low) / span)) if span > 0 else 50.0


def pct(value: float) -> str:
    """`12.34%`."""
    return f"{value:.2f}%"


def chart(height: float, content: Sequence[str], *, name: str, text: str, identity: str) -> str:
    """Wraps a drawing.

    Args:
        height: Pixels.
        content: Elements.
        name: Short name, for screen readers.
        text: What the picture shows, in words; the figures themselves are in a table nearby.
        identity: Prefix of ids, unique on the page.
    """
    return (
        f'<svg class="chart" width="100%" height="{height:g}" role="img" '
        f'aria-labelledby="{identity}-t {identity}-d">'
        f'<title id="{identity}-t">{escape(name)}</title><desc id="{identity}-d">{escape(text)}</desc>'
        f"{''.join(content)}</svg>"
    )


def rect(x: float, y: float, width: float, height: float, style: str, tip: str = "") -> str:
    """A rectangle; `x` and `width` in percent, `tip` shown under the mouse."""
    inner = f"<title>{escape(tip)}</title>" if tip else ""
    place = f'x="{pct(x)}" y="{y:.1f}" width="{pct(max(width, 0.0))}" height="{height:.1f}"'
    return f'<rect {place} class="{style}">{inner}</rect>'


def line(x1: float, y1: float, x2: float, y2: float, style: str) -> str:
    """A line; `x` in percent."""
    return f'<line x1="{pct(x1)}" y1="{y1:.1f}" x2="{pct(x2)}" y2="{y2:.1f}" class="{style}"/>'


def dot(x: float, y: float, radius: float, style: str) -> str:
    """A circle; `x` in percent."""
    return f'<circle cx="{pct(x)}" cy="{y:.1f}" r="{radius:g}" class="{style}"/>'


def text(x: float, y: float, words: str, style: str = "", anchor: str = "start", shift: float = 0) -> str:
    """Words at `x` percent, moved by `shift` pixels."""
    moved = f' dx="{shift:g}"' if shift else ""
    place = f'x="{pct(x)}" y="{y:.1f}" text-anchor="{anchor}"{moved}'
    return f'<text {place} class="{style}">{escape(words)}</text>'


def clipped(
    x: float, y: float, width: float, height: float, lines: Sequence[str], style: str, indent: float = 6
) -> str:
    """Lines of text inside a rectangle, `indent` pixels from its left, cut off at its edge."""
    inner = "".join(
        f'<text x="{indent:g}" y="{16 + 15 * number}" class="{style}">{escape(words)}</text>'
        for number, words in enumerate(lines)
    )
    place = f'x="{pct(x)}" y="{y:.1f}" width="{pct(width)}" height="{height:.1f}"'
    return f'<svg {place} aria-hidden="true">{inner}</svg>'


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round values between `low` and `high`, at most `most` + 1 of them, steps of 1, 2 or 5 times a power of ten."""
    span = high - low
    if span <= 0 or not math.isfinite(span):
        return [low]
    step: float = 10 ** math.floor(math.log10(span / most))
    step = next(step * factor for factor in (1, 2, 5, 10, 20) if span / (step * factor) <= most)
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


def axis(scale: Scale, y: float, top: float, unit: str) -> list[str]:
    """Grid lines from `top` to `y` with their values below."""
    content = []
    marks = ticks(scale.low, scale.high)
    for number, value in enumerate(marks):
        x = scale.at(value)
        anchor = "start" if x < 4 else "end" if x > 94 else "middle"
        words = f"{value:g} {unit}" if number == len(marks) - 1 else f"{value:g}"
        content += [line(x, top, x, y, "grid"), text(x, y + 15, words, "tick", anchor)]
    return content
