"""Texts of plates to render, drawn as the forms of their country's kinds say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import groupby

import numpy as np

from edge.plate.ccpd import can_write
from edge.plate.country import Country
from edge.plate.grammar import DIGITS, SERIAL
from edge.plate.kind import Form, PlateKind


def random_kind(rng: np.random.Generator, country: Country) -> PlateKind:
    """Returns a kind of plate, by the shares of the country."""
    return _by_share(rng, country, {kind.name: kind.share for kind in country.kinds})


def swapped_kind(rng: np.random.Generator, country: Country) -> PlateKind:
    """Returns a kind of plate to put in the place of a photographed one, by the country's shares for that."""
    return _by_share(rng, country, country.swap)


def _by_share(rng: np.random.Generator, country: Country, shares: Mapping[str, float]) -> PlateKind:
    chances = np.array(list(shares.values()))
    return country.kind(list(shares)[int(rng.choice(len(chances), p=chances / chances.sum()))])


def drawn_forms(country: Country, kind: PlateKind, plain: bool) -> list[Form]:
    """Returns the forms of a kind that are rendered.

    Args:
        country: Of the kind.
        kind: One of the country's.
        plain: Those alone that hold classes and no characters of their own, when there are any.
    """
    drawn = [form for form in kind.forms if form.chance]
    return [form for form in drawn if plain and set(form.template) <= set(country.classes)] or drawn


@lru_cache(maxsize=8)
def in_ccpd(country: Country) -> bool:
    """Whether CCPD's tables, and so its file names, can write the plain forms of a country."""
    return all(
        can_write([{**country.classes, **form.draw}.get(mark, mark) for mark in form.template])
        for kind in country.kinds
        for form in drawn_forms(country, kind, plain=True)
    )


def random_text(rng: np.random.Generator, country: Country, kind: PlateKind, plain: bool = False) -> str:
    """Returns a text as the forms of its kind allow.

    The kind's first form is drawn; another one takes its place by chance and keeps what it can of the characters. This
    way, and the order in which `rng` is asked, let a seed give the plates that it gave since the kit's first release.

    Args:
        rng: Source of chance.
        country: Of the plate.
        kind: One of the country's.
        plain: See `drawn_forms`.
    """
    first, *others = drawn_forms(country, kind, plain)
    text = "".join(_draw(rng, country, first))
    left = first.chance + sum(form.chance for form in others)
    for chance, alike in groupby(others, lambda form: form.chance):
        forms = list(alike)
        if rng.random() < chance * len(forms) / left:
            return "".join(_draw(rng, country, forms[int(rng.integers(len(forms)))], (first, text)))
        left -= chance * len(forms)
    return text


def _draw(
    rng: np.random.Generator, country: Country, form: Form, before: tuple[Form, str] | None = None
) -> Iterator[str]:
    """Yields the characters of a form; those of another text that was drawn `before` are kept as far as they fit."""
    kept = _kept(form, *before) if before else {}
    serial: Iterator[str] | None = None
    left = country.serial_letters - sum(
        form.template[place] == SERIAL and mark not in DIGITS for place, mark in kept.items()
    )
    for place, mark in enumerate(form.template):
        pool = form.draw.get(mark, country.classes.get(mark, mark))
        if place in kept:
            yield kept[place]
        elif mark == SERIAL and form.letters:
            serial = serial or _serial(rng, form.template.count(SERIAL), pool, form.letters)
            yield next(serial)
        elif mark == SERIAL:
            drawn = _pick(rng, pool if left else "".join(mark for mark in pool if mark in DIGITS) or pool)
            left -= drawn not in DIGITS
            yield drawn
        else:
            yield _pick(rng, pool)


def _kept(form: Form, first: Form, text: str) -> dict[int, str]:
    """Returns place and character of what a form takes over from a text of the kind's first form."""
    kept = {}
    for mark in set(form.template):
        places = [place for place, other in enumerate(form.template) if other == mark]
        old = [place for place, other in enumerate(first.template) if other == mark]
        anew = form.draw.get(mark) != first.draw.get(mark)
        if mark == SERIAL:
            anew |= form.letters != first.letters or len(places) > len(old)
        if not anew:
            sources = places if set(places) <= set(old) else old
            kept.update({place: text[source] for place, source in zip(places, sources, strict=False)})
    return kept


def _serial(rng: np.random.Generator, length: int, pool: str, letters: tuple[float, ...]) -> Iterator[str]:
    """Yields the characters of class `S` of a text: digits, and as many letters as are drawn by their chances."""
    digits = "".join(mark for mark in pool if mark in DIGITS) or pool
    others = "".join(mark for mark in pool if mark not in DIGITS) or pool
    chances = np.array(letters)
    count = int(rng.choice(len(letters), p=chances / chances.sum()))
    serial = [_pick(rng, digits) for _ in range(length)]
    for place in rng.permutation(length)[:count]:
        serial[place] = _pick(rng, others)
    return iter(serial)


def _pick(rng: np.random.Generator, pool: str) -> str:
    return pool[int(rng.integers(len(pool)))]
