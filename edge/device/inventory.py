"""Changes to the user's `devices.yml`: atomic, and with the comments and the order that a person gave it.

The new text is read again before it is written: when it does not say exactly what was meant, nothing is written.
"""

from __future__ import annotations

import dataclasses
import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.resolver import Resolver, VersionedResolver
from ruamel.yaml.scalarstring import DoubleQuotedScalarString
from ruamel.yaml.util import load_yaml_guess_indent

from edge.base.errors import InputError, UsageError
from edge.base.paths import locked, write_atomic
from edge.base.utf8 import read_utf8
from edge.device.board import INVENTORY_SCHEMA, Device, check_device_name, inventory_path, load_inventory, parse_inventory
from edge.device.yaml_table import parse_yaml

HEADER = f"""# Boards that the plate edge kit knows. `edge device add` writes here; you may too.
schema: {INVENTORY_SCHEMA}
devices:
"""
# Order in which the fields of a device are written.
FIELDS = ("board", "ssh", "adb", "key", "jump", "root", "groups")
Fields = Mapping[str, str | list[str]]


def add_device(name: str, fields: Fields, *, inventory: Path | None = None, replace: bool = False) -> Device:
    """Adds a device to the inventory, which is made when there is none.

    Args:
        name: Name of the device.
        fields: `board`, and `ssh` or `adb`, and what else an entry may hold; empty values are left out.
        inventory: The file; None for the usual one.
        replace: Put it in place of a device of that name.

    Returns:
        The device as the file now defines it.

    Raises:
        UsageError: A device of that name exists and `replace` is not set.
        InputError: A value is not valid, or the file is malformed.
    """
    check_device_name(name)
    path = inventory_path(inventory)
    with locked(path):
        devices = load_inventory(path) if path.exists() else {}
        text = read_utf8(path) if path.exists() else ""
        if name in devices and not replace:
            raise UsageError(
                f"{devices[name].where} already has a device {name!r} ({devices[name].address}).",
                "Give another name, or replace it with --force.",
            )
        entry = _entry(fields)
        # An entry is checked by itself first, so that the message speaks of what was asked for, not of a line.
        alone = _alone(name, entry)
        with _changing(path):
            new = _insert(_cut(text, name) if name in devices else text, name, entry)
        _write(path, new, {**devices, name: alone})
    return load_inventory(path)[name]


def remove_device(name: str, *, inventory: Path | None = None) -> Device:
    """Removes a device from the inventory and returns what it was.

    Raises:
        UsageError: There is no such device.
    """
    path = inventory_path(inventory)
    with locked(path):
        devices = load_inventory(path) if path.exists() else {}
        if name not in devices:
            raise UsageError(f"There is no device {name!r} in {path}.", "`edge device list` shows them.")
        text = read_utf8(path)
        with _changing(path):
            new = _cut(text, name)
        _write(path, new, {key: value for key, value in devices.items() if key != name})
    return devices[name]


def _alone(name: str, entry: CommentedMap) -> Device:
    try:
        return parse_inventory(parse_yaml(_insert("", name, entry), "the new device"))[name]
    except InputError as error:
        raise InputError(re.sub(r"^the new device:\d+: ", "", error.message), error.hint) from error


def _entry(fields: Fields) -> CommentedMap:
    entry = CommentedMap()
    for key in FIELDS:
        value = fields.get(key)
        if isinstance(value, str) and value:
            entry[key] = _scalar(value)
        elif value:
            entry[key] = CommentedSeq(_scalar(item) for item in value)
            entry[key].fa.set_flow_style()
    return entry


def _scalar(text: str) -> str:
    """Returns a text so that whoever reads the file takes it for one: `"0123"`, `"null"`."""
    plain = VersionedResolver().resolve(ScalarNode, text, (True, False)) == Resolver.DEFAULT_SCALAR_TAG
    return text if plain else DoubleQuotedScalarString(text)


class _Texts(VersionedResolver):
    """Takes every scalar for a text, so that each is written again as it was read: 0123, 1_000, yes."""

    @property
    def versioned_resolver(self) -> dict[str, Any]:
        return {}


def _insert(text: str, name: str, entry: CommentedMap) -> str:
    """Returns the text with an entry after the last device."""
    writer = YAML()
    writer.Resolver, writer.preserve_quotes, writer.width = _Texts, True, 1 << 16
    document, sequence, offset = load_yaml_guess_indent(text, yaml=writer)
    if document is None:  # Nothing, or comments only.
        document = writer.load(f"{text}\n{HEADER}".lstrip("\n"))
    devices = document.get("devices")
    if not (isinstance(devices, CommentedMap) and devices):
        devices = document["devices"] = CommentedMap()
    writer.indent(devices.lc.col - document.lc.col if devices else 2, sequence or 2, offset or 0)
    devices[_scalar(name)] = entry
    stream = io.StringIO()
    writer.dump(document, stream)
    return stream.getvalue()


def _cut(text: str, name: str) -> str:
    """Returns the text without one device; comments above and below it stay."""
    # Nodes hold every name as it was written; a loader makes one key of 0x10 and 16.
    devices = next(value for key, value in YAML().compose(text).value if key.value == "devices")
    mark = next(key.start_mark for key, _ in devices.value if key.value == name)
    first, column = mark.line, mark.column
    lines = text.splitlines(keepends=True)
    end = first + 1
    for number in range(end, len(lines)):
        begin = lines[number].lstrip()
        if begin and not begin.startswith("#"):
            if len(lines[number]) - len(begin) <= column:
                break
            end = number + 1
    return "".join(lines[:first] + lines[end:])


@contextmanager
def _changing(path: Path) -> Iterator[None]:
    """Refuses a file that is read well, but that cannot be changed: with a tag such as `!!int x`, say."""
    try:
        yield
    except (InputError, YAMLError, ValueError, LookupError) as error:
        raise _unsafe(path) from error


def _unsafe(path: Path) -> InputError:
    return InputError(f"{path} is written in a way that the kit cannot change safely.", "Edit it by hand.")


def _write(path: Path, text: str, meant: dict[str, Device]) -> None:
    with _changing(path):
        said = parse_inventory(parse_yaml(text, str(path)))
    plain = [{key: dataclasses.replace(device, where="") for key, device in each.items()} for each in (said, meant)]
    if plain[0] != plain[1]:
        raise _unsafe(path)
    # A link to a file elsewhere (dotfiles) stays a link.
    write_atomic(path.resolve(), text)
