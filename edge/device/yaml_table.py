"""YAML files written by people: read with the line of every value, so that an error can point at it.

A plain loader forgets where a value stood and makes numbers of texts: the serial number 0123 would lose its zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ruamel.yaml import YAML, nodes
from ruamel.yaml.composer import MaxDepthExceededError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from edge.base.errors import InputError
from edge.base.suggest import did_you_mean
from edge.base.utf8 import read_utf8

DEEPEST = 20
"""Levels at most; the scanner's time grows with their square, so that a file of brackets would take minutes."""


@dataclass
class Table:
    """One mapping of a YAML file. Reading a key marks it as known; `finish` refuses the keys nobody read.

    Attributes:
        where: The file as the user knows it.
        line: Line of the mapping's first key, counted from 1.
        entries: Key to the node of its value.
        lines: Key to the line of the key.
    """

    where: str
    line: int
    entries: dict[str, nodes.Node]
    lines: dict[str, int]
    known: list[str] = field(default_factory=list)

    def error(self, key: str | None, message: str, hint: str = "") -> InputError:
        """Returns an error that names the file and the line of `key` (of the table when None)."""
        line = self.lines.get(key, self.line) if key is not None else self.line
        return InputError(f"{self.where}:{line}: {message}", hint)

    def __contains__(self, key: str) -> bool:
        self._know(key)
        return key in self.entries and not _is_null(self.entries[key])

    def _know(self, key: str) -> None:
        if key not in self.known:
            self.known.append(key)

    def _node(self, key: str) -> nodes.Node:
        self._know(key)
        if key not in self.entries:
            raise self.error(None, f"{key!r} is missing.")
        return self.entries[key]

    def text(self, key: str, default: str | None = None) -> str:
        """Returns a scalar as it was written.

        Raises:
            InputError: Missing without default, empty, or not a scalar; with file and line.
        """
        if default is not None and key not in self:
            return default
        node = self._node(key)
        if not isinstance(node, nodes.ScalarNode) or _is_null(node) or not str(node.value).strip():
            raise self.error(key, f"{key!r} must be a text.")
        return str(node.value)

    def number(self, key: str, default: int | None = None, *, low: int = 0, high: int = 1 << 31) -> int:
        """Returns a whole number within `low..high`; raises as `text`."""
        if default is not None and key not in self:
            return default
        value = self.text(key)
        try:
            number = int(value)
        except ValueError:
            raise self.error(key, f"{key!r} must be a whole number, not {value!r}.") from None
        if not low <= number <= high:
            raise self.error(key, f"{key!r} must be within {low}..{high}, not {number}.")
        return number

    def choice(self, key: str, options: Iterable[str]) -> str:
        """Returns one of `options`; raises with the options and the nearest of them."""
        value = self.text(key)
        names = list(options)
        if value not in names:
            raise self.error(
                key, f"{key!r} is {value!r}.{did_you_mean(value, names)}", f"One of: {', '.join(names)}."
            )
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """Returns a list of scalars; missing is empty."""
        if key not in self:
            return ()
        node = self._node(key)
        if not isinstance(node, nodes.SequenceNode):
            raise self.error(key, f"{key!r} must be a list such as [a, b].")
        values = []
        for item in node.value:
            if not isinstance(item, nodes.ScalarNode):
                raise InputError(f"{self.where}:{item.start_mark.line + 1}: {key!r} must hold plain texts.")
            values.append(str(item.value))
        return tuple(values)

    def table(self, key: str) -> Table:
        """Returns a mapping within this one."""
        return _table(self._node(key), self.where, f"{key!r}")

    def tables(self, key: str) -> list[Table]:
        """Returns a list of mappings."""
        node = self._node(key)
        if not isinstance(node, nodes.SequenceNode):
            raise self.error(key, f"{key!r} must be a list.")
        return [_table(item, self.where, f"every item of {key!r}") for item in node.value]

    def items(self) -> Iterator[tuple[str, Table]]:
        """Yields key and mapping where every value is a mapping."""
        for key in self.entries:
            yield key, self.table(key)

    def finish(self) -> None:
        """Refuses keys that nobody asked for.

        Raises:
            InputError: With file, line, the unknown key and the nearest known one.
        """
        for key in self.entries:
            if key not in self.known:
                raise self.error(
                    key, f"unknown key {key!r}.{did_you_mean(key, self.known)}", f"Known keys: {', '.join(self.known)}."
                )


def read_yaml(path: Path) -> Table:
    """Reads a file whose top level is a mapping; see `parse_yaml`."""
    return parse_yaml(read_utf8(path), str(path))


def parse_yaml(text: str, where: str) -> Table:
    """Parses YAML text whose top level is a mapping.

    Raises:
        InputError: With file and line: malformed YAML, a key given twice, not a mapping.
    """
    reader = YAML()
    reader.max_depth = DEEPEST
    try:
        node = reader.compose(text)
    except MaxDepthExceededError as error:
        raise InputError(f"{where}:{error.problem_mark.line + 1}: malformed YAML: it is nested too deeply.") from error
    except MarkedYAMLError as error:
        # A bracket that is never closed is noticed at the end of the file; where it was opened is what helps.
        opened = error.context is not None and error.context.startswith("while parsing a flow")
        mark = error.context_mark if opened else error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise InputError(f"{where}:{line}: malformed YAML: {error.problem or error.context}.") from error
    except YAMLError as error:
        raise InputError(f"{where}: malformed YAML: {error}.") from error
    if node is None:
        return Table(where, 1, {}, {})
    return _table(node, where, "the file")


def _table(node: nodes.Node, where: str, what: str) -> Table:
    line = node.start_mark.line + 1
    if _is_null(node):
        return Table(where, line, {}, {})
    if not isinstance(node, nodes.MappingNode):
        raise InputError(f"{where}:{line}: {what} must be a list of `key: value` lines.")
    table = Table(where, line, {}, {})
    for key_node, value in node.value:
        key_line = key_node.start_mark.line + 1
        if not isinstance(key_node, nodes.ScalarNode):
            raise InputError(f"{where}:{key_line}: a key must be a plain text.")
        key = str(key_node.value)
        if key in table.entries:
            raise InputError(f"{where}:{key_line}: {key!r} is given twice (first on line {table.lines[key]}).")
        table.entries[key] = value
        table.lines[key] = key_line
    return table


def _is_null(node: nodes.Node) -> bool:
    return isinstance(node, nodes.ScalarNode) and node.tag == "tag:yaml.org,2002:null"
