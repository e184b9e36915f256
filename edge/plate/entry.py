"""A mapping of `plate.yml`, whose values come out checked."""

from __future__ import annotations

from pathlib import Path
from reprlib import Repr
from typing import Any
from unicodedata import category

import yaml

from edge.base.errors import InputError
from edge.base.utf8 import read_utf8
from edge.plate.kind import Box

PAGE = "docs/formats/country.md describes the file."
MOST = 1e9
"""No number of the file is greater."""


class _Short(Repr):
    def repr_int(self, x: int, level: int) -> str:
        try:
            return super().repr_int(x, level)
        except ValueError:  # Python writes out no more than 4300 digits.
            return f"a number of {x.bit_length()} bits"


_SHORT = _Short()
_SHORT.maxlevel = 1
shown = _SHORT.repr
"""A value for an error, short whatever stands in the file."""


class Entry:
    """A mapping of the file: its values come out checked, and `finish` refuses keys that nobody asked for.

    Args:
        document: As YAML gives it.
        where: The file and the keys down to here, for messages.
        name: What the mapping is called in them.

    Raises:
        InputError: Here and in every method: it is not a mapping, or a value is missing or of another form.
    """

    def __init__(self, document: object, where: str, name: str) -> None:
        if not isinstance(document, dict):
            raise InputError(f"{where}{name} must be a mapping of keys to values.", PAGE)
        self._values: dict[object, object] = document
        self._where = where
        self._asked: set[object] = set()

    def __contains__(self, key: str) -> bool:
        self._asked.add(key)
        return key in self._values

    def error(self, key: str, said: str) -> InputError:
        """Returns an error that names the file and the key."""
        return InputError(f"{self._where}{key}: {said}.", PAGE)

    def _get(self, key: str, default: object = None) -> object:
        if key not in self and default is None:
            raise self.error(key, "it is missing")
        return self._values.get(key, default)

    def text(self, key: str, default: str | None = None) -> str:
        """A text."""
        value = self._get(key, default)
        if not isinstance(value, str):
            raise self.error(key, f"{shown(value)} must be a text (write it in quotes)")
        return self._written(key, value)

    def _written(self, key: str, text: str) -> str:
        for mark in text:
            if category(mark) in ("Cc", "Cs"):  # It would end up in a terminal, in a file's line, or in neither.
                raise self.error(key, f"{mark!r} is not a character of a text")
        return text

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts; missing is empty."""
        return tuple(Entry({key: item}, self._where, key).text(key) for item in self._list(key, ()))

    def mapping(self, key: str) -> dict[str, str]:
        """A mapping of single characters to texts; missing is empty."""
        entry = self.table(key, {})
        for name in entry._values:
            if not isinstance(name, str) or len(name) != 1:
                raise self.error(key, f"{shown(name)} must be one character (a digit in quotes)")
        return {self._written(key, str(name)): entry.text(str(name)) for name in entry._values}

    def number(self, key: str, default: float | None = None) -> float:
        """A number from 0 on."""
        return self.numbers(key, None if default is None else (default,), 1, one=True)[0]

    def whole(self, key: str, default: int | None = None) -> int:
        """A whole number from 0 on."""
        value = self.number(key, default)
        if value != int(value):
            raise self.error(key, f"{value!r} must be a whole number")
        return int(value)

    def numbers(
        self,
        key: str,
        default: tuple[float, ...] | None = None,
        count: int = 0,
        low: float = 0,
        high: float = MOST,
        *,
        one: bool = False,
    ) -> tuple[float, ...]:
        """`count` numbers, as many as there are for 0, each from `low` to `high`."""
        values = [self._get(key, default[0] if default else None)] if one else self._list(key, default)
        good = all(isinstance(value, int | float) and type(value) is not bool and low <= value <= high for value in values)
        if not good or (count and len(values) != count):
            wanted = "a number" if one else f"a list of {count or 'some'} numbers"
            limits = f"{low:g} or more" if high == MOST else f"{low:g} to {high:g}"
            raise self.error(key, f"{shown(self._values.get(key))} must be {wanted}, {limits}")
        return tuple(float(value) for value in values)  # type: ignore[arg-type]

    def table(self, key: str, default: dict[object, object] | None = None) -> Entry:
        """A mapping."""
        return Entry(self._get(key, default), f"{self._where}{key}: ", "it")

    def tables(self, key: str) -> list[Entry]:
        """A list of mappings, told apart in errors by their names or numbers."""
        return [
            Entry(item, f"{self._where}{key}, {_name(item, number)}: ", "it")
            for number, item in enumerate(self._list(key), 1)
        ]

    def named_tables(self, key: str) -> dict[str, Entry]:
        """A mapping of names to mappings."""
        outer = self.table(key)
        return {name: outer.table(name) for name in outer._names()}

    def numbers_by_key(self) -> dict[str, float]:
        """The whole mapping, each value a number from 0 on."""
        return {name: self.number(name) for name in self._names()}

    def _names(self) -> list[str]:
        for name in self._values:
            if not isinstance(name, str):
                raise InputError(f"{self._where}the key {shown(name)} must be a text (write it in quotes).", PAGE)
        return [str(name) for name in self._values]

    def boxes(self, key: str) -> tuple[Box, ...]:
        """A list of boxes, four numbers each."""
        rows = [Entry({key: row}, self._where, key) for row in self._list(key)]
        return tuple(Box(*row.numbers(key, count=4)) for row in rows)

    def _list(self, key: str, default: tuple[object, ...] | None = None) -> list[object]:
        value = self._get(key, default)
        if not isinstance(value, list | tuple):
            raise self.error(key, f"{shown(value)} must be a list such as [a, b]")
        return list(value)

    def finish(self) -> None:
        """Ends the reading: what nobody asked for is unknown."""
        for key in self._values:
            if key not in self._asked:
                known = ", ".join(sorted(map(str, self._asked)))
                raise InputError(f"{self._where}unknown key {shown(key)}.", f"Known keys: {known}.")


def read_entry(path: Path) -> Entry:
    """Reads a YAML file whose document is a mapping.

    Raises:
        InputError: It cannot be read, is not YAML or no mapping, or has a key twice in one mapping; YAML's loader would
            take the last one and say nothing.
    """
    try:
        loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(read_utf8(path))
        node = loader.get_single_node()
        _refuse_twins(node, path)
        document = loader.construct_document(node) if node else None
    except (yaml.YAMLError, RecursionError, ValueError) as error:  # ValueError: 2020-99-99 is a date for YAML.
        said = " ".join(str(error).split()) or "it is nested too deeply"
        raise InputError(f"{path} is malformed YAML: {said}.", PAGE) from error
    return Entry(document, f"{path}: ", "the file")


def _refuse_twins(root: Any, path: Path) -> None:
    rest, known = [root], set()
    while rest:
        node = rest.pop()
        if id(node) in known or not isinstance(node, yaml.CollectionNode):
            continue
        known.add(id(node))  # An alias is the node itself, even within it.
        if not isinstance(node, yaml.MappingNode):
            rest += node.value
            continue
        lines: dict[tuple[str, str], int] = {}
        for key, value in node.value:
            rest.append(value)
            if not isinstance(key, yaml.ScalarNode):
                continue
            line, name = key.start_mark.line + 1, (key.tag, key.value)
            if name in lines:
                said = f"the key {shown(key.value)} is given twice, first in line {lines[name]}"
                raise InputError(f"{path}, line {line}: {said}.", PAGE)
            lines[name] = line


def _name(item: object, number: int) -> object:
    name = item.get("name", item.get("template")) if isinstance(item, dict) else None
    return name if isinstance(name, str) and name.isprintable() and 0 < len(name) <= 40 else f"number {number}"
