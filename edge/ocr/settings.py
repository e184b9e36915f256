"""Settings for given models: what their cards say, and what a user says otherwise."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace

from edge.base.errors import InputError, UsageError
from edge.base.suggest import did_you_mean
from edge.model.card import Card, Input
from edge.ocr.config import PipelineConfig, dump_config, parse_config

MODEL_FILES = ("det_model", "rec_model", "dict", "grammar")
"""Keys that name files, which no user setting may change."""


def fit_inputs(config: PipelineConfig, det: Input | None = None, rec: Input | None = None) -> PipelineConfig:
    """Returns settings with normalisation and input sizes as the models' cards say.

    Args:
        config: Everything else.
        det: Input of the detector, None to leave its keys.
        rec: Input of the recogniser, likewise; sizes that it leaves open (0) stay as they are.
    """
    if det is not None:
        config = replace(
            config, det_mean=on_unit_pixels(det.mean, det.scale), det_std=on_unit_pixels(det.std, det.scale)
        )
    if rec is not None:
        config = replace(
            config,
            rec_mean=on_unit_pixels(rec.mean, rec.scale),
            rec_std=on_unit_pixels(rec.std, rec.scale),
            rec_height=rec.height or config.rec_height,
            rec_width=rec.width or config.rec_width,
        )
    return config


def fit_cards(config: PipelineConfig, det: Card | None = None, rec: Card | None = None) -> PipelineConfig:
    """Returns settings as the models' cards want them: their inputs, then the `pipeline` part of each.

    Raises:
        UsageError: A card names an unknown setting or a malformed value.
    """
    fitted = fit_inputs(config, det.input if det else None, rec.input if rec else None)
    return override(fitted, {**(det.pipeline if det else {}), **(rec.pipeline if rec else {})})


def on_unit_pixels(values: Sequence[float], scale: float) -> tuple[float, ...]:
    """Turns a card's mean or std, of pixels * scale, into `plate.conf`'s, of pixels / 255."""
    return tuple(round(value / (255 * scale), 9) for value in values)


def override(config: PipelineConfig, settings: Mapping[str, str]) -> PipelineConfig:
    """Returns settings with some keys given as text, as they would stand in a `plate.conf`.

    Raises:
        UsageError: Unknown key or malformed value.
    """
    if not settings:
        return config
    known = [item.name for item in fields(PipelineConfig) if item.name not in MODEL_FILES]
    lines = dict(line.split(" = ", 1) for line in dump_config(config).splitlines())
    for key, value in settings.items():
        if key not in known:
            guess = did_you_mean(key, known)
            raise UsageError(f"{key!r} is not a setting.{guess}", f"Settings: {', '.join(sorted(known))}.")
        text = isinstance(getattr(config, key), str) and not value.startswith('"')
        lines[key] = _quoted(value) if text or not value else value
    try:
        return parse_config("".join(f"{key} = {value}\n" for key, value in lines.items()), "settings")
    except InputError as error:
        # They did not stand in lines of a file.
        raise UsageError(re.sub(r"^settings(, line \d+)?: ", "", error.message), error.hint) from error


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
