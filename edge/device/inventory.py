"""Changes to the user's `devices.yml`: atomic, and with the comments and the order that a person gave it.

The file is changed as text, one entry at a time, and the new text is read again before it is written: when it does
not say exactly what was meant, nothing is written.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from pathlib import Path

import yaml

from edge.base.errors import InputError, UsageError
from edge.base.paths import locked, write_atomic
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
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        if name in devices and not replace:
            raise UsageError(
                f"{devices[name].where} already has a device {name!r} ({devices[name].address}).",
                "Give another name, or replace it with --force.",
            )
        entry = _entry(name, fields)
        # An entry is checked by itself first, so that the message speaks of what was asked for, not of a line.
        alone = _alone(name, entry)
        new = _insert(_cut(text, name) if name in devices else text, entry)
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
        text = path.read_text(encoding="utf-8")
        _write(path, _cut(text, name), {key: value for key, value in devices.items() if key != name})
    return devices[name]


def _alone(name: str, entry: str) -> Device:
    try:
        return parse_inventory(parse_yaml(HEADER + entry, "the new device"))[name]
    except InputError as error:
        raise InputError(re.sub(r"^the new device:\d+: ", "", error.message), error.hint) from error


def _entry(name: str, fields: Fields) -> str:
    lines = [f"  {_scalar(name)}:\n"]
    for key in FIELDS:
        value = fields.get(key)
        if isinstance(value, str) and value:
            lines.append(f"    {key}: {_scalar(value)}\n")
        elif value:
            lines.append(f"    {key}: [{', '.join(_scalar(item) for item in value)}]\n")
    return "".join(lines)


def _scalar(text: str) -> str:
    """Returns a text as YAML: bare where it reads back as that text, else in double quotes."""
    if re.fullmatch(r"[\w~/][\w./@~+-]*(:[\w./@~+-]+)*", text) and yaml.safe_load(text) == text:
        return text
    return json.dumps(text, ensure_ascii=False)


def _insert(text: str, entry: str) -> str:
    """Returns the text with an entry after the last device."""
    root = _mapping(text)
    if root is None:
        return text + ("\n" if text and not text.endswith("\n") else "") + HEADER + entry
    devices = _value(root, "devices")
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    if devices is None:
        return "".join(lines) + "devices:\n" + entry
    if isinstance(devices, yaml.MappingNode) and devices.value and not devices.flow_style:
        indent = " " * devices.value[0][0].start_mark.column
        at = _last_line(devices) + 1
        lines.insert(at, re.sub(r"^  ", indent, entry, flags=re.MULTILINE))
        return "".join(lines)
    if not (isinstance(devices, yaml.MappingNode) and devices.value):
        key = next(key for key, value in root.value if value is devices)
        line = key.start_mark.line
        lines[line] = re.sub(r"(?<=:)\s*(\{\s*\}|null|~)?", "", lines[line].rstrip("\n"), count=1) + "\n"
        lines.insert(line + 1, entry)
        return "".join(lines)
    raise InputError(
        f"The devices are written in one line from line {devices.start_mark.line + 1} on.",
        "Write one `key: value` a line there, then run the command again.",
    )


def _cut(text: str, name: str) -> str:
    """Returns the text without one device; comments above it stay."""
    root = _mapping(text)
    devices = _value(root, "devices") if root is not None else None
    assert isinstance(devices, yaml.MappingNode)
    if devices.flow_style:
        raise InputError("The devices are written in one line.", f"Remove {name!r} there by hand.")
    lines = text.splitlines(keepends=True)
    for key, value in devices.value:
        if key.value == name:
            del lines[key.start_mark.line : max(_last_line(value), key.start_mark.line) + 1]
    return "".join(lines)


def _mapping(text: str) -> yaml.MappingNode | None:
    node = yaml.compose(text, Loader=yaml.SafeLoader) if text else None
    return node if isinstance(node, yaml.MappingNode) else None


def _value(mapping: yaml.MappingNode, key: str) -> yaml.Node | None:
    return next((value for name, value in mapping.value if name.value == key), None)


def _last_line(node: yaml.Node) -> int:
    """Returns the last line (from 0) with content of a node; a block mapping's own end lies after the comments."""
    if isinstance(node, yaml.MappingNode) and node.value and not node.flow_style:
        return max(_last_line(part) for pair in node.value for part in pair)
    if isinstance(node, yaml.SequenceNode) and node.value and not node.flow_style:
        return max(_last_line(part) for part in node.value)
    return int(node.end_mark.line)


def _write(path: Path, text: str, meant: dict[str, Device]) -> None:
    said = parse_inventory(parse_yaml(text, str(path)))
    plain = [{key: dataclasses.replace(device, where="") for key, device in each.items()} for each in (said, meant)]
    if plain[0] != plain[1]:
        raise InputError(f"{path} is written in a way that the kit cannot change safely.", "Edit it by hand.")
    # A link to a file elsewhere (dotfiles) stays a link.
    write_atomic(path.resolve(), text)
