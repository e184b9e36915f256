"""Watts and where they come from: power monitors under hwmon, and what the battery's driver says."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

# A few monitors give power; the INA3221 of many boards gives voltage and current of each rail only.
PATTERNS = (
    "/sys/class/power_supply/*/online", "/sys/class/power_supply/*/status", "/sys/class/power_supply/*/capacity",
    "/sys/class/power_supply/*/voltage_now", "/sys/class/power_supply/*/current_now",
    "/sys/class/power_supply/*/power_now", "/sys/class/power_supply/*/type",
    "/sys/class/hwmon/hwmon*/power*_input", "/sys/class/hwmon/hwmon*/power*_label",
    "/sys/class/hwmon/hwmon*/in*_input", "/sys/class/hwmon/hwmon*/in*_label", "/sys/class/hwmon/hwmon*/curr*_input",
)  # fmt: skip


def watts_of(values: Mapping[str, list[str]]) -> dict[str, float]:
    """Sensor to watts.

    Args:
        values: Path to its lines, from `bench.conditions.environment.parse`.
    """
    found = {}
    for path in values:
        power = re.fullmatch(r"/sys/class/hwmon/(hwmon\d+)/power(\d+)_input", path)
        current = re.fullmatch(r"/sys/class/hwmon/(hwmon\d+)/curr(\d+)_input", path)
        supply = re.fullmatch(r"/sys/class/power_supply/([^/]+)/(?:current|power)_now", path)
        if power:
            value = _number(values, path)
            if value is not None:
                found[_label(values, power[1], "power", power[2])] = value / 1e6
        elif current:
            stem = f"/sys/class/hwmon/{current[1]}"
            amperes, volts = _number(values, path), _number(values, f"{stem}/in{current[2]}_input")
            if amperes is not None and volts is not None and f"{stem}/power{current[2]}_input" not in values:
                # Milliampere x millivolt.
                found[_label(values, current[1], "in", current[2])] = abs(amperes) * volts / 1e6
        elif supply:
            stem = f"/sys/class/power_supply/{supply[1]}"
            amperes, volts = _number(values, f"{stem}/current_now"), _number(values, f"{stem}/voltage_now")
            given = _number(values, f"{stem}/power_now")
            if given is not None:
                found[supply[1]] = abs(given) / 1e6
            elif amperes is not None and volts is not None:
                # Microampere x microvolt; the sign of a discharging current differs from driver to driver.
                found[supply[1]] = abs(amperes) * volts / 1e12
    return found


def source_of(values: Mapping[str, list[str]]) -> str | None:
    """What feeds the board: `mains`, `usb`, `battery 83 % discharging`; None when the kernel does not say."""
    said = []
    for path, lines in values.items():
        match = re.fullmatch(r"/sys/class/power_supply/([^/]+)/type", path)
        if not match:
            continue
        stem = f"/sys/class/power_supply/{match[1]}"
        if lines[0] == "Battery":
            level, status = first(values, f"{stem}/capacity"), first(values, f"{stem}/status")
            said.append(f"battery {level or '?'} % {(status or '').lower()}".strip())
        elif first(values, f"{stem}/online") == "1":
            said.append(lines[0].lower())
    return ", ".join(said) or None


def _label(values: Mapping[str, list[str]], monitor: str, kind: str, number: str) -> str:
    stem = f"/sys/class/hwmon/{monitor}"
    label = first(values, f"{stem}/{kind}{number}_label") or f"{kind}{number}"
    return f"{first(values, f'{stem}/name') or monitor} {label}"


def first(values: Mapping[str, list[str]], path: str) -> str | None:
    """First line of a file; None where there is none."""
    lines = values.get(path)
    return lines[0] if lines and lines[0] else None


def number(text: str | None) -> float | None:
    """A figure of a sensor; `nan` and `inf` are floats to Python, but not figures."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _number(values: Mapping[str, list[str]], path: str) -> float | None:
    return number(first(values, path))
