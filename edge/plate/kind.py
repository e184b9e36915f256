"""A kind of plates: what may stand on it, where, and in which colours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SHAPES = ("dot", "emblem", "frame")

Colour = tuple[int, int, int]
"""Blue, green, red, each 0..255, as OpenCV has them; `plate.yml` writes "#RRGGBB"."""


@dataclass(frozen=True)
class Box:
    """The place of a character: its left upper corner and size in mm, from the plate's left upper corner."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Head:
    """A plate whose ground changes across it: `colours` left and right of `width_mm` from its left edge."""

    width_mm: int
    colours: tuple[Colour, Colour]


@dataclass(frozen=True)
class Form:
    """One template of a kind, and how texts of it are drawn for rendering.

    Attributes:
        template: A class or a character itself for each character of the text, in reading order.
        chance: Relative to the kind's other forms; 0 for what is read and never rendered.
        letters: Chances that 0, 1, 2, ... of the characters of class `S` are letters; empty: each as likely as others.
        draw: Class to the characters that are drawn for it, each as often as it stands there; other classes draw all.
        head: Of a ground of two parts; else None.
    """

    template: str
    chance: float
    letters: tuple[float, ...]
    draw: Mapping[str, str]
    head: Head | None


@dataclass(frozen=True)
class Ornament:
    """What stands on a plate beside its text: one of `SHAPES`, and its centre in mm (a frame has none)."""

    shape: str
    x: int = 0
    y: int = 0


@dataclass(frozen=True)
class Layout:
    """Where things are on a plate.

    Attributes:
        size_mm: Width and height of the plate.
        boxes: One a character, in reading order; two lines are possible.
        screws_mm: Distance of the screws from the nearest edges, x and y.
    """

    size_mm: tuple[int, int]
    boxes: tuple[Box, ...]
    screws_mm: tuple[int, int]


@dataclass(frozen=True, eq=False)
class PlateKind:
    """A kind of plates, such as `blue`: all of its forms have the same number of characters.

    Attributes:
        name: As options and reports call it.
        share: How often it is rendered, relative to the others.
        forms: What may stand on it.
        layout: Where.
        ground: Colours of the upper and the lower edge.
        ramp: Slope and offset of the way from one to the other: `offset + slope * y`, y and result cut to 0..1.
        ink: Characters and frame.
        red: Characters that are not in `ink`.
        red_ink: Their colour.
        ornaments: What else stands there.
    """

    name: str
    share: float
    forms: tuple[Form, ...]
    layout: Layout
    ground: tuple[Colour, Colour]
    ramp: tuple[float, float]
    ink: Colour
    red: str
    red_ink: Colour
    ornaments: tuple[Ornament, ...]

    @property
    def templates(self) -> tuple[str, ...]:
        """Of its forms."""
        return tuple(form.template for form in self.forms)


@dataclass(frozen=True)
class Font:
    """A font file, and which font of a collection (0 where there is one)."""

    path: Path
    index: int
