"""Plate countries: what stands on a country's plates and how they look, read from one folder.

`edge/plate/countries/CODE/plate.yml` is a country of the kit; a folder with a `plate.yml` anywhere else is one of a
user's. docs/formats/country.md describes the file. Grammar, rendering, evaluation and reports take all of it from here;
the program on a board takes it from the bundle's `grammar.txt`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from edge.base.errors import InputError, UsageError
from edge.base.suggest import did_you_mean
from edge.plate.entry import PAGE, Entry, read_entry, shown
from edge.plate.grammar import LONGEST, SERIAL, Grammar, parse_grammar
from edge.plate.kind import SHAPES, Colour, Font, Form, Head, Layout, Ornament, PlateKind

COUNTRIES = Path(__file__).resolve().parent / "countries"
_CODE = "[A-Za-z0-9_-]+"
DEFAULT = "cn"
"""The country of models whose cards name none (the kit's before 0.2) and wherever none is named."""
FILE_NAME = "plate.yml"
SAMPLES_NAME = "samples"
FONT_ROOT = Path("/usr/share/fonts")
MOST_MM = 2000
"""Sides of a plate; one is rendered with a pixel a mm."""
WORDS = {
    "signs": ("OPEN", "EXIT", "P", "24 h"),
    "makers": ("NORDA", "AVIS MOTOR"),
    "stickers": ("SOS", "24 h"),
    "dealers": ("0800 6578", "WWW.MOTOR"),
}
"""Places of words in rendered scenes - signs of houses, badges and stickers on cars, dealers' frames of plates - and
what stands there when a country says nothing."""


@dataclass(frozen=True, eq=False)
class Country:
    """A country of plates.

    Attributes:
        code: Name of its folder.
        title: For people.
        symbols: All characters, in the order of the classes of a recogniser that is trained for it.
        classes: Letter of a template to the characters that it stands for.
        kinds: In the order in which a text is looked up, and drawn at random.
        swap: Name of a kind to its share among the plates that are put in the place of photographed ones.
        words: What stands in rendered streets, by place (`WORDS`).
        serial_letters: At most this many characters of class `S` are not digits.
        fold: Character to the symbol for which it counts, after `a..z` counted as `A..Z`.
        strip: Separators, which are removed from every text.
        fonts: Wanted, the first that is installed first.
        font_package: Debian's package of them.
        folder: Where its `plate.yml` lies.
    """

    code: str
    title: str
    symbols: str
    classes: Mapping[str, str]
    kinds: tuple[PlateKind, ...]
    swap: Mapping[str, float]
    words: Mapping[str, tuple[str, ...]]
    serial_letters: int
    fold: Mapping[str, str]
    strip: str
    fonts: tuple[Font, ...]
    font_package: str
    folder: Path

    @property
    def samples(self) -> Path:
        """Folder of its sample photos and their `labels.json`; it need not exist."""
        return self.folder / SAMPLES_NAME

    @cached_property
    def grammar(self) -> Grammar:
        """What the decoder needs of it."""
        templates = tuple(dict.fromkeys(template for kind in self.kinds for template in kind.templates))
        kinds = {template: kind.name for kind in reversed(self.kinds) for template in kind.templates}
        return Grammar(self.code, self.symbols, self.classes, templates, self.serial_letters, self.fold, kinds)

    @property
    def lengths(self) -> tuple[int, ...]:
        """Numbers of characters that its plates have, ascending."""
        return self.grammar.lengths

    @property
    def pipeline(self) -> dict[str, str]:
        """Its settings of `plate.conf`, for the `pipeline` part of a recogniser's card."""
        return {"text_strip": self.strip, "text_lengths": ",".join(map(str, self.lengths))}

    def form_of(self, text: str) -> tuple[PlateKind, Form] | None:
        """Returns the first kind and its form that a text follows, None when it is not a plate of the country."""
        for kind in self.kinds:
            for form in kind.forms:
                if self.grammar.follows(text, form.template):
                    return kind, form
        return None

    def kind_of(self, text: str) -> PlateKind | None:
        """Returns the first kind that a text follows, else the first one of its length, None when there is none."""
        return next((kind for kind in self.kinds if kind.name == self.grammar.kind_of(text)), None)

    def kind(self, name: str) -> PlateKind:
        """Returns the kind of that name.

        Raises:
            UsageError: There is none; names the kinds.
        """
        for kind in self.kinds:
            if kind.name == name:
                return kind
        names = ", ".join(kind.name for kind in self.kinds)
        raise UsageError(f"Unknown kind of plate {name!r}.", f"Kinds: {names}.")

    @cached_property
    def installed_fonts(self) -> tuple[Font, ...]:
        """Those of its fonts that this machine has."""
        return tuple(font for font in self.fonts if font.path.is_file())


def country_codes() -> list[str]:
    """Returns the codes of the kit's own countries."""
    return sorted(path.parent.name for path in COUNTRIES.glob(f"*/{FILE_NAME}"))


def load_country(name: str | Path = DEFAULT) -> Country:
    """Returns a country.

    Args:
        name: Code of one of the kit's, or a folder with a `plate.yml`, whose name is then its code.

    Raises:
        UsageError: Neither.
        InputError: Its file is malformed, or contradicts itself; with the file, the key, and what is wrong.
    """
    if own := _own(str(name)):
        return own
    folder = Path(name)
    if not os.path.isfile(folder / FILE_NAME):  # noqa: PTH113 - pathlib raises for what is too long for a path
        known = country_codes()
        raise UsageError(
            f"there is no plate country {str(name)!r}.{did_you_mean(str(name), known)}",
            f"Countries: {', '.join(known)}; or give a folder with a {FILE_NAME} (docs/formats/country.md).",
        )
    return _load(folder.resolve(), (folder / FILE_NAME).stat().st_mtime_ns)


@lru_cache(maxsize=32)
def _own(code: str) -> Country | None:
    """One of the kit's countries; kept, since it is asked for with every label."""
    return _load(COUNTRIES / code, 0) if code in country_codes() else None


def kit_country(code: str) -> Country:
    """Returns the country of a card, and `DEFAULT` where the card names none or one that lies on another machine."""
    return load_country(code if code in country_codes() else DEFAULT)


def samples_of(code: str) -> Path:
    """Returns the folder of the kit's sample photos for the `country` of a card ("" for `DEFAULT`); it need not exist.

    Raises:
        InputError: It is not a code. Cards come from anywhere, and photos of another folder must not go on a board.
    """
    if not re.fullmatch(_CODE, code or DEFAULT):
        raise InputError(f"{shown(code)} is not the code of a country.", "Correct `country` in the recogniser's card.json.")
    return COUNTRIES / (code or DEFAULT) / SAMPLES_NAME


def card_grammar(lines: tuple[str, ...], where: str = "the card") -> Grammar:
    """Returns the grammar that a model's card holds, that of `DEFAULT` where it holds none.

    Args:
        lines: `grammar` of the card: the lines of a `grammar.txt`.
        where: Named in errors.

    Raises:
        InputError: They are not a grammar.
    """
    return parse_grammar("\n".join(lines), where) if lines else load_country().grammar


@lru_cache(maxsize=32)
def _load(folder: Path, _changed: int) -> Country:
    path = folder / FILE_NAME
    entry = read_entry(path)
    country = _country(entry, folder)
    try:
        country.grammar.check()
    except InputError as error:
        raise InputError(f"{path}: {error.message}", PAGE) from error
    return country


def _country(entry: Entry, folder: Path) -> Country:
    if not re.fullmatch(_CODE, folder.name):
        raise InputError(f"{folder}: a country's code, the name of its folder, is letters, digits, '-' and '_'.", PAGE)
    layouts = {name: _layout(layout) for name, layout in entry.named_tables("layouts").items()}
    letters = entry.numbers("letters", ())
    country = Country(
        code=folder.name,
        title=entry.text("title", folder.name),
        symbols=entry.text("symbols"),
        classes=entry.mapping("classes"),
        kinds=(kinds := tuple(_kind(kind, layouts, letters) for kind in entry.tables("kinds"))),
        swap=_swap(entry, kinds),
        words=_words(entry),
        serial_letters=entry.whole("serial_letters", LONGEST),
        fold=entry.mapping("fold"),
        strip=entry.text("strip", ""),
        fonts=tuple(_font(entry, text) for text in entry.texts("fonts")),
        font_package=entry.text("font_package", ""),
        folder=folder,
    )
    entry.finish()
    for kind in country.kinds:
        if not re.fullmatch(r"[^\s,]{1,40}", kind.name):
            raise entry.error("kinds", f"the name {shown(kind.name)} must be one word of 1 to 40 characters, without commas")
        for form in kind.forms:
            if said := _undrawable(country, form):
                raise entry.error("kinds", f"{kind.name}, {shown(form.template)}: {said}")
    if lost := set(country.strip) & set(country.symbols):
        raise entry.error("strip", f"{min(lost)!r} is one of the symbols, and would be removed from every plate")
    if len({kind.name for kind in country.kinds}) < len(country.kinds):
        raise entry.error("kinds", "two have the same name")
    if not any(kind.share for kind in country.kinds):
        raise entry.error("kinds", "none has a share above 0")
    return country


def _undrawable(country: Country, form: Form) -> str:
    """Says why texts that are drawn for rendering would not follow a form; empty when they would."""
    for mark, pool in form.draw.items():
        lost = sorted(set(pool) - set(country.classes.get(mark, mark)))
        if lost or not pool:
            return f"draw {mark!r}: {f'{lost[0]!r} is not in the class' if lost else 'there is nothing to draw'}"
    if form.letters and not any(form.letters):
        return "letters: none has a chance above 0"
    most = max((count for count, chance in enumerate(form.letters) if chance), default=0)
    if min(most, form.template.count(SERIAL)) > country.serial_letters:
        return f"letters: a chance for {most} letters, and serial_letters is {country.serial_letters}"
    return ""


def _swap(entry: Entry, kinds: tuple[PlateKind, ...]) -> dict[str, float]:
    shares = {kind.name: kind.share for kind in kinds}
    if "swap" not in entry:
        return shares
    swap = entry.table("swap").numbers_by_key()
    lost = [name for name in swap if name not in shares]
    if lost or not any(swap.values()):
        raise entry.error("swap", f"{lost[0]!r} is not one of the kinds" if lost else "none has a share above 0")
    return swap


def _words(entry: Entry) -> dict[str, tuple[str, ...]]:
    given = entry.table("words", {})
    words = {place: given.texts(place) or default for place, default in WORDS.items()}
    given.finish()
    return words


def _layout(entry: Entry) -> Layout:
    width, height = (int(side) for side in entry.numbers("size_mm", count=2, low=1, high=MOST_MM))
    boxes = entry.boxes("boxes")
    for box in boxes:
        if min(box.width, box.height) < 1 or box.x + box.width > width or box.y + box.height > height:
            raise entry.error("boxes", f"{box} does not lie on the plate of {width} x {height} mm")
    x, y = (int(side) for side in entry.numbers("screws_mm", (0.25 * width, 15), count=2, high=MOST_MM))
    entry.finish()
    return Layout((width, height), boxes, (x, y))


def _kind(entry: Entry, layouts: Mapping[str, Layout], letters: tuple[float, ...]) -> PlateKind:
    layout = layouts.get(name := entry.text("layout"))
    if layout is None:
        raise entry.error("layout", f"{shown(name)} is none of {', '.join(layouts)}")
    slope, offset = entry.numbers("ramp", (1.0, 0.0), count=2, low=-100, high=100)
    kind = PlateKind(
        name=entry.text("name"),
        share=entry.number("share"),
        forms=tuple(_form(form, letters) for form in entry.tables("forms")),
        layout=layout,
        ground=_two_colours(entry, "ground"),
        ramp=(slope, offset),
        ink=_colour(entry, "ink"),
        red=entry.text("red", ""),
        red_ink=_colour(entry, "red_ink", "#C81E28"),
        ornaments=tuple(_ornament(entry, text) for text in entry.texts("ornaments")),
    )
    entry.finish()
    for template in kind.templates:
        if len(template) != len(layout.boxes):
            said = f"{shown(template)} has {len(template)} characters, the layout {name!r} {len(layout.boxes)} boxes"
            raise entry.error("forms", said)
    if not any(form.chance for form in kind.forms):
        raise entry.error("forms", "none has a chance above 0")
    width, height = layout.size_mm
    if any(item.x > width or item.y > height for item in kind.ornaments):
        raise entry.error("ornaments", f"one does not lie on the plate of {width} x {height} mm")
    if any(form.head and not 0 < form.head.width_mm < width for form in kind.forms):
        raise entry.error("forms", f"a head must be narrower than the plate of {width} mm, and not empty")
    return kind


def _form(entry: Entry, letters: tuple[float, ...]) -> Form:
    head = None
    if "head" in entry:
        part = entry.table("head")
        head = Head(part.whole("width_mm"), _two_colours(part, "colours"))
        part.finish()
    form = Form(
        template=entry.text("template"),
        chance=entry.number("chance", 1.0),
        letters=entry.numbers("letters", letters),
        draw=entry.mapping("draw"),
        head=head,
    )
    entry.finish()
    return form


def _two_colours(entry: Entry, key: str) -> tuple[Colour, Colour]:
    texts = entry.texts(key)
    if len(texts) != 2:
        raise entry.error(key, f"it has {len(texts)} colours, not two")
    return _bgr(entry, key, texts[0]), _bgr(entry, key, texts[1])


def _colour(entry: Entry, key: str, default: str | None = None) -> Colour:
    return _bgr(entry, key, entry.text(key, default))


def _bgr(entry: Entry, key: str, text: str) -> Colour:
    if not re.fullmatch("#[0-9A-Fa-f]{6}", text):
        raise entry.error(key, f"{shown(text)} is not a colour such as \"#C81E28\"")
    return int(text[5:7], 16), int(text[3:5], 16), int(text[1:3], 16)


def _ornament(entry: Entry, text: str) -> Ornament:
    shape, *place = text.split() or [""]
    wanted = 0 if shape == "frame" else 2
    if shape not in SHAPES or len(place) != wanted or not all(re.fullmatch("[0-9]{1,4}", number) for number in place):
        raise entry.error("ornaments", f"{shown(text)} is neither 'frame' nor 'dot X Y' nor 'emblem X Y', in mm")
    return Ornament(shape, *map(int, place))


def _font(entry: Entry, text: str) -> Font:
    path, _, index = text.partition("#")
    if not re.fullmatch("[0-9]{0,3}", index) or Path(path).is_absolute() or ".." in Path(path).parts:
        raise entry.error("fonts", f"{shown(text)} is not a path below {FONT_ROOT}, with #1, #2, ... in a collection")
    return Font(FONT_ROOT / path, int(index or 0))
