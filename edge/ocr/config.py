"""Settings of the pipeline, and `plate.conf`, the file in which the C++ program and the reference share them.

The format is one `key = value` a line, `#` starts a comment, order does not matter. Every key of `PipelineConfig`
is required, and no other is allowed: a missing key that silently becomes 0 has cost users of other demos days.
Relative paths are relative to the file's folder.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path

from edge.base.errors import InputError
from edge.host.cpuinfo import POWER_MODES
from edge.plate.country import load_country

JPEG_SCALES = ("auto", "1", "2", "4")
DET_POSTS = ("db",)


@dataclass(frozen=True)
class PipelineConfig:
    """All settings of one detector-recogniser pipeline. Defaults: the application note's best (A+B+C, docs/glossary.md).

    Attributes:
        det_model: Detector, `.nb`.
        rec_model: Recogniser, `.nb`.
        dict: Dictionary, one character a line; class i is line i, class 0 the CTC blank.
        grammar: What may stand on plates, for `decode = plate`; see docs/formats/bundle.md.
        threads: Threads of the runtime, >= 1.
        power_mode: Paddle Lite's: `high` (big cores), `low`, `full` (all cores), `none` (no binding).
        jpeg_scale: A JPEG is decoded at 1/1, 1/2 or 1/4 of its sides; `auto` takes the smallest picture that is no smaller
            than the detector's input. Boxes are in the photo's own pixels all the same.
        det_mean: Per channel BGR, on pixels / 255.
        det_std: Per channel BGR.
        det_limit_type: `min` (shorter side at least `det_limit_side`) or `max` (longer side at most).
        det_limit_side: Pixels.
        det_post: How the detector's output becomes boxes: `db`, one map of probabilities by differentiable binarisation.
        det_thresh: DB: probability from which a pixel belongs to text.
        det_box_thresh: DB: mean probability from which a box is kept.
        det_unclip_ratio: DB: growth by area * ratio / perimeter.
        det_max_candidates: DB: at most this many components are looked at, in scan order.
        det_min_size: Boxes with a shorter side below this many map pixels are dropped.
        det_dilation: The note's improvement B: dilate the mask by a 2x2 kernel.
        box_flip: The note's improvement C: correct boxes that came out vertically flipped (order the corners).
        box_grow: The note's improvement C: grow a box by this fraction of its own width and height on each side.
        rec_mean: Per channel, on pixels / 255.
        rec_std: Per channel.
        rec_height: Input height of the recogniser in pixels.
        rec_width: Input width of the recogniser in pixels.
        rec_resize: `pad` (keep the ratio, pad right with zeros) or `stretch` (fill the width).
        decode: `greedy` (best path), or `plate` (CTC prefix beam search over valid plates).
        text_strip: Characters removed from every text; the note's '·', and separators. By default the country's.
        text_lengths: The note's improvement A: lengths kept, by default those of the country's plates; empty keeps all.
        score_thresh: Plates whose score is lower are dropped.
    """

    det_model: str = "det.nb"
    rec_model: str = "rec.nb"
    dict: str = "dict.txt"
    grammar: str = "grammar.txt"
    threads: int = 1
    power_mode: str = "high"
    jpeg_scale: str = "auto"
    det_mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    det_std: tuple[float, ...] = (0.229, 0.224, 0.225)
    det_limit_type: str = "min"
    det_limit_side: int = 736
    det_post: str = "db"
    det_thresh: float = 0.3
    det_box_thresh: float = 0.6
    det_unclip_ratio: float = 1.5
    det_max_candidates: int = 1000
    det_min_size: int = 3
    det_dilation: bool = True
    box_flip: bool = True
    box_grow: float = 0.02
    rec_mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    rec_std: tuple[float, ...] = (0.5, 0.5, 0.5)
    rec_height: int = 48
    rec_width: int = 320
    rec_resize: str = "pad"
    decode: str = "greedy"
    text_strip: str = field(default_factory=lambda: load_country().strip)
    text_lengths: tuple[int, ...] = field(default_factory=lambda: load_country().lengths)
    score_thresh: float = 0.0

    def __post_init__(self) -> None:
        """Refuses values outside their range.

        Raises:
            InputError: Names the key and its value.
        """
        rules = {
            "threads": 1 <= self.threads <= 64,
            "power_mode": self.power_mode in POWER_MODES,
            "jpeg_scale": self.jpeg_scale in JPEG_SCALES,
            "det_mean": len(self.det_mean) == 3,
            "det_std": len(self.det_std) == 3 and 0 not in self.det_std,
            "det_limit_type": self.det_limit_type in ("min", "max"),
            "det_limit_side": 32 <= self.det_limit_side <= 4096,
            "det_post": self.det_post in DET_POSTS,
            "det_thresh": 0 < self.det_thresh < 1,
            "det_box_thresh": 0 <= self.det_box_thresh < 1,
            "det_unclip_ratio": 0 <= self.det_unclip_ratio <= 10,
            "det_max_candidates": 1 <= self.det_max_candidates <= 100_000,
            "det_min_size": 1 <= self.det_min_size <= 1000,
            "box_grow": 0 <= self.box_grow <= 1,
            "rec_mean": len(self.rec_mean) == 3,
            "rec_std": len(self.rec_std) == 3 and 0 not in self.rec_std,
            "rec_height": 8 <= self.rec_height <= 512,
            "rec_width": 8 <= self.rec_width <= 4096,
            "rec_resize": self.rec_resize in ("pad", "stretch"),
            "decode": self.decode in ("greedy", "plate"),
            "text_lengths": all(1 <= length <= 64 for length in self.text_lengths),
            "score_thresh": 0 <= self.score_thresh <= 1,
        }
        for key, good in rules.items():
            if not good:
                raise InputError(f"{key} = {getattr(self, key)!r} is out of range.", "See docs/formats/config.md.")


_MISSING = (
    "Every key must be there; none has a silent default. A file of an older kit lacks keys that came since: "
    "`edge bundle` and `edge flash` write a new one."
)


def dump_config(config: PipelineConfig) -> str:
    r"""Returns the text of a `plate.conf`.

    Strings that could be mistaken (spaces at an end, `#`, quotes, an empty one) are written in double quotes with
    backslash escapes for `"` and `\`; everything else is written bare.
    """
    return "".join(f"{item.name} = {_to_text(getattr(config, item.name))}\n" for item in fields(config))


def load_config(path: Path) -> PipelineConfig:
    """Reads a `plate.conf`.

    Raises:
        InputError: With file, line and key: not a file, unknown, missing or repeated key, malformed value.
    """
    if not path.is_file():
        raise InputError(f"{path} is not a file.", "A config is a text file of `key = value` lines.")
    try:
        # Without the byte order mark that some editors put before a text.
        return parse_config(path.read_text(encoding="utf-8-sig"), str(path))
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8: {error}.", "Save it as UTF-8.") from error


def parse_config(text: str, where: str = "config") -> PipelineConfig:
    """Parses the text of a `plate.conf`; see `load_config`."""
    defaults = PipelineConfig()
    known = {item.name for item in fields(PipelineConfig)}
    values: dict[str, object] = {}
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        key, separator, value = (part.strip() for part in line.partition("="))
        if not separator:
            raise InputError(f"{where}, line {number}: {line[:60]!r} is not `key = value`.")
        if key not in known:
            names = ", ".join(sorted(known))
            raise InputError(f"{where}, line {number}: unknown key {key!r}.", f"Known keys: {names}.")
        if key in values:
            raise InputError(f"{where}, line {number}: {key} is given twice.")
        try:
            values[key] = _from_text(_unquote(value), getattr(defaults, key))
        except ValueError as error:
            said = f"{where}, line {number}: {key} = {value!r}: {error}."
            raise InputError(said, "See docs/formats/config.md.") from error
    missing = sorted(known - set(values))
    if missing:
        names = ", ".join(missing)
        raise InputError(f"{where}: missing keys: {names}.", _MISSING)
    try:
        return PipelineConfig(**values)  # type: ignore[arg-type]
    except InputError as error:
        raise InputError(f"{where}: {error.message}", error.hint) from error


def _to_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ",".join(repr(item) for item in value) or '""'
    if isinstance(value, str):
        if value == "" or value != value.strip() or any(mark in value for mark in '#"\\\n'):
            escaped = value.replace("\\", "\\\\").replace('"', '\\"')
            return f'"{escaped}"'
        return value
    return repr(value)


def _unquote(value: str) -> str:
    if not value.startswith('"'):
        return value.split(" #")[0].rstrip()
    out: list[str] = []
    position = 1
    while position < len(value):
        mark = value[position]
        if mark == "\\" and position + 1 < len(value):
            out.append(value[position + 1])
            position += 2
            continue
        if mark == '"':
            rest = value[position + 1 :].strip()
            if rest and not rest.startswith("#"):
                raise ValueError("text after the closing quote")
            return "".join(out)
        out.append(mark)
        position += 1
    raise ValueError("no closing quote")


def _from_text(value: str, like: object) -> object:
    if isinstance(like, bool):
        if value not in ("true", "false"):
            raise ValueError("neither true nor false")
        return value == "true"
    if isinstance(like, int | float):
        return _number(value, type(like))
    if isinstance(like, tuple):
        kind = type(like[0]) if like else float
        return tuple(_number(part, kind) for part in value.split(",") if part.strip())
    return value


def _number(text: str, kind: type[int] | type[float]) -> int | float:
    try:
        return kind(text)
    except ValueError:
        raise ValueError("not a whole number" if kind is int else "not a number") from None
