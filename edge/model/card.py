"""The model card: the file in which `train`, `convert`, `edge` and `bench` meet.

A model is a folder with `card.json` and the files that the card lists: `inference.pdmodel` and
`inference.pdiparams` for Paddle, one `.nb` for Paddle Lite, and for a recogniser its dictionary. The card says
everything that a program needs to use the model correctly (normalisation, shapes, classes) and that a person needs
to trust it (source, sha256, what was checked). A loader refuses what it does not know, and what was changed.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from edge.base.errors import InputError, ModelError, VerifyError
from edge.base.paths import sha256_file, write_atomic
from edge.model.dictionary import read_dictionary as read_dictionary
from edge.model.json_types import Bounds, Count, build, mistyped
from edge.plate.grammar import parse_grammar

SCHEMA = "plate-edge/model-card/2"
SCHEMAS = (SCHEMA, "plate-edge/model-card/1")
"""What is read; a card of the first (the kit's 0.1) lacks `country`, `grammar` and `limits`."""
CARD_NAME = "card.json"
TASKS = ("det", "rec")
FORMATS = ("inference", "nb")
PRECISIONS = ("fp32", "fp16", "int8")
TARGETS = ("arm", "x86", "opencl")
VERIFY_PREFIX = "verify-"
"""Names of the checks that `edge convert verify` writes start so."""
TRIAL = "trial-run"
"""Name of the check that `edge convert nb` writes: shapes of the input that was tried and of its output."""


@dataclass(frozen=True)
class Input:
    """The network's input: NCHW float32, `(pixel * scale - mean) / std` on BGR pixels.

    Attributes:
        name: Name of the input tensor.
        height: Fixed height in pixels, or 0 where any multiple of `multiple_of` fits.
        width: Fixed width in pixels, or 0.
        multiple_of: Sides must be a multiple of this many pixels.
        scale: Factor from 0..255 to the range in which `mean` and `std` are given.
        mean: Per channel, in the order of the tensor (BGR).
        std: Per channel.
    """

    name: str
    height: int
    width: int
    multiple_of: int
    scale: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


PPOCR_INPUTS = {
    "det": Input("x", 0, 0, 32, 1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "rec": Input("x", 48, 0, 8, 1 / 255, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
}
"""What PP-OCR's networks take, by PaddleOCR's configs (NormalizeImage, RecResizeImg); a bare model is taken for one."""


@dataclass(frozen=True)
class Charset:
    """A recogniser's classes: class 0 is the CTC blank, class i is line i of the dictionary file.

    Attributes:
        file: Dictionary beside the card, UTF-8, one character a line (the published one ends with a space).
        sha256: Of that file.
        classes: Lines + 1.
    """

    file: str
    sha256: str
    classes: int


@dataclass(frozen=True)
class ModelFile:
    """One file of a model: name beside the card, size in bytes, SHA-256."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Limits:
    """What a model is known not to do.

    Attributes:
        least_width: Of a detector: pixels of its input from which it sees a plate; 0 where nobody measured it.
        not_covered: Of a recogniser: the plates that it was not trained to read, in words; may be empty.
    """

    least_width: Count = 0
    not_covered: str = ""


@dataclass(frozen=True)
class Card:
    """A model card; see the module's text.

    Attributes:
        name: For example `ppocrv3-det-fp32`.
        task: `det` or `rec`.
        architecture: One line for people.
        format: `inference` (Paddle) or `nb` (Paddle Lite).
        precision: `fp32`, `fp16` or `int8`.
        input: See `Input`.
        charset: Of a recogniser; None for a detector.
        files: Every file of the model, the dictionary included.
        target: Of an `.nb`: `arm`, `x86` or `opencl`; None for `inference`.
        source: Where the weights come from (free form: package, version, file, sha256, parent card).
        opt: Of an `.nb`: opt version, its command, bytes before and after.
        quantization: Of an int8 model: method, calibration data, layers.
        checks: Results of checks that the model passed or failed: name, ok, figures, thresholds.
        metrics: Accuracy figures with the data they were measured on.
        pipeline: Settings of `plate.conf` (key to its text) with which the model was chosen and measured, such as
            `det_limit_side`; a user's own override them.
        country: Of a recogniser: code of the country whose plates it reads; empty: `cn`.
        grammar: The lines of that country's `grammar.txt`, so that a bundle needs no more than the model; empty: `cn`'s.
        limits: What it is known not to do; None where nobody looked.
        arch: `model.arch` of its recipe; empty in cards before 0.2 (of PP-OCRv3) and where `train` did not make it.
    """

    name: str
    task: str
    architecture: str
    format: str
    precision: str
    input: Input
    charset: Charset | None = None
    files: tuple[ModelFile, ...] = ()
    target: str | None = None
    source: dict[str, Any] = field(default_factory=dict)
    opt: dict[str, Any] | None = None
    quantization: dict[str, Any] | None = None
    checks: tuple[dict[str, Any], ...] = ()
    metrics: dict[str, Any] = field(default_factory=dict)
    pipeline: dict[str, str] = field(default_factory=dict)
    country: Annotated[str, Bounds(pattern="[A-Za-z0-9_-]*")] = ""
    grammar: tuple[str, ...] = ()
    limits: Limits | None = None
    arch: str = ""

    @property
    def bytes(self) -> int:
        """Size in bytes of all files but the dictionary."""
        dictionary = self.charset.file if self.charset else None
        return sum(item.bytes for item in self.files if item.path != dictionary)

    @property
    def failed_checks(self) -> tuple[str, ...]:
        """Names of the checks that did not pass; a bundle refuses such a model unless it is forced."""
        return tuple(str(check.get("name", "?")) for check in self.checks if not check.get("ok", False))

    @property
    def verdict(self) -> str:
        """What `edge convert verify` said of an `.nb`: `passed`, `failed` or `not verified`."""
        checks = [check for check in self.checks if str(check.get("name", "")).startswith(VERIFY_PREFIX)]
        if not checks:
            return "not verified"
        return "passed" if all(check.get("ok", False) for check in checks) else "failed"


@dataclass(frozen=True)
class Model:
    """A card together with the folder that it was loaded from or written to."""

    folder: Path
    card: Card

    def file(self, suffix: str) -> Path:
        """Returns the one file of the model whose name ends with `suffix`, such as `.nb`.

        Raises:
            ModelError: There is none.
        """
        for item in self.card.files:
            if item.path.endswith(suffix):
                return self.folder / item.path
        raise ModelError(f"{self.folder / CARD_NAME} lists no {suffix} file.")

    @property
    def dictionary(self) -> Path | None:
        """The dictionary file of a recogniser, None for a detector."""
        return self.folder / self.card.charset.file if self.card.charset else None


def save_model(folder: Path, card: Card, files: list[str]) -> Model:
    """Writes `card.json` for files that already lie in `folder`, filling in their sizes and hashes.

    Args:
        folder: Holds `files`.
        card: Its `files` are replaced.
        files: Names of the model's files in `folder`; a recogniser's dictionary is added when missing.

    Returns:
        The model as a later `load_model` would give it.

    Raises:
        ModelError: The card is inconsistent (see `validate`).
    """
    names = list(files)
    if card.charset and card.charset.file not in names:
        names.append(card.charset.file)
    listed = tuple(ModelFile(name, (folder / name).stat().st_size, sha256_file(folder / name)) for name in names)
    complete = replace(card, files=listed)
    validate(complete, str(folder))
    document = {"schema": SCHEMA, **asdict(complete)}
    write_atomic(folder / CARD_NAME, json.dumps(document, ensure_ascii=False, indent=2) + "\n")
    return Model(folder, complete)


def load_model(folder: Path, *, verify: bool = True) -> Model:
    """Loads a model folder.

    Args:
        folder: Folder with `card.json`, or the card itself.
        verify: Compare every file's size and SHA-256 with the card.

    Returns:
        The model.

    Raises:
        InputError: No such folder, no card in it, or the card is not valid JSON.
        ModelError: A card of another schema, with unknown or missing keys, or inconsistent.
        VerifyError: A file is missing or is not the one that the card describes.
    """
    path = folder if folder.name == CARD_NAME else folder / CARD_NAME
    if not path.is_file():
        raise InputError(
            f"{folder} is not a model folder: {CARD_NAME} is missing.",
            "Make one with `edge train pretrained --out DIR` or `edge convert nb MODEL`.",
        )
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # A number of 5000 digits is a plain ValueError.
        raise InputError(f"{path} is not valid JSON: {error}.") from error
    model = Model(path.parent, card_from_json(document, str(path)))
    if verify:
        verify_files(model)
    return model


def card_from_json(document: Any, where: str) -> Card:
    """Builds a card from parsed JSON, refusing other schemas and unknown, missing or mistyped keys.

    Raises:
        ModelError: With `where` and the key.
    """
    if not isinstance(document, dict) or document.get("schema") not in SCHEMAS:
        found = document.get("schema") if isinstance(document, dict) else type(document).__name__
        raise ModelError(f"{where}: schema {found!r} is not {SCHEMA!r}.", "Another version of the kit wrote it.")
    try:
        card = build(Card, {key: value for key, value in document.items() if key != "schema"})
    except ValueError as error:
        raise ModelError(f"{where}: {error}.", "The card has a missing, unknown or mistyped key.") from error
    validate(card, where)
    return card


def validate(card: Card, where: str) -> None:
    """Checks a card against itself.

    Raises:
        ModelError: A value of another type or outside its set, a recogniser without charset, a path that leaves the
            folder, lines that are no grammar.
    """
    problems = list(mistyped(card, Card))
    if problems:
        raise ModelError(f"{where}: {'; '.join(problems)}.", "The card has a mistyped key.")
    for value, allowed, key in (
        (card.task, TASKS, "task"),
        (card.format, FORMATS, "format"),
        (card.precision, PRECISIONS, "precision"),
    ):
        if value not in allowed:
            problems.append(f"{key} {value!r} is none of {', '.join(allowed)}")
    if (card.format == "nb") != (card.target in TARGETS):
        problems.append(f"format {card.format!r} with target {card.target!r}")
    if (card.task == "rec") != (card.charset is not None):
        problems.append("a recogniser has a charset and a detector has none")
    if 0 in card.input.std:
        problems.append("a std of 0 cannot divide")
    for name in (*(item.path for item in card.files), *((card.charset.file,) if card.charset else ())):
        if Path(name).name != name:
            problems.append(f"file {name!r} is not a plain name")
    if problems:
        raise ModelError(f"{where}: {'; '.join(problems)}.")
    if card.grammar:
        try:
            parse_grammar("\n".join(card.grammar), f"{where}: grammar")
        except InputError as error:
            raise ModelError(error.message, error.hint) from error


def check_feed(card: Card, where: str) -> None:
    """Checks that the program feeds a model what it was tried with (`edge convert nb` runs each new `.nb` once).

    Args:
        card: Of the model. One that was never tried passes.
        where: Its name, for the message.

    Raises:
        ModelError: It takes other channels, or another height, width or number of classes than its card says.
    """
    figures: dict[str, Any] = next((check.get("figures", {}) for check in card.checks if check.get("name") == TRIAL), {})
    shape, output = figures.get("input"), figures.get("output")
    problems = []
    if isinstance(shape, list) and len(shape) == 4:
        if shape[1] != len(card.input.mean):
            problems.append(f"{shape[1]} channels, but the program feeds {len(card.input.mean)}")
        if card.task == "rec" and shape[2] != card.input.height:
            problems.append(f"height {shape[2]}, but its card says {card.input.height}")
        if card.task == "rec" and card.input.width not in (0, shape[3]):
            problems.append(f"width {shape[3]}, but its card says {card.input.width}")
    if problems:
        raise ModelError(f"{where} was tried with {'; '.join(problems)}.", "Convert it again from its inference model.")
    if card.charset and isinstance(output, list) and output and output[-1] != card.charset.classes:
        raise ModelError(
            f"{where} answers {output[-1]} classes, but its card says {card.charset.classes}.",
            "Convert it again, with the dictionary that it was trained with.",
        )


def verify_files(model: Model) -> None:
    """Compares every file with the card.

    Raises:
        VerifyError: A file is missing, or its size or SHA-256 differs.
        ModelError: The dictionary's number of lines does not fit the classes.
    """
    for item in model.card.files:
        path = model.folder / item.path
        if not path.is_file():
            raise VerifyError(f"{path} is missing, but {CARD_NAME} lists it.", _remake(model))
        size = path.stat().st_size
        if size != item.bytes or sha256_file(path) != item.sha256:
            why = f"{size} bytes, not {item.bytes}" if size != item.bytes else "another SHA-256"
            raise VerifyError(f"{path} is not the file that {CARD_NAME} describes ({why}).", _remake(model))
    if model.card.charset and model.dictionary:
        characters = read_dictionary(model.dictionary)
        if len(characters) + 1 != model.card.charset.classes:
            raise ModelError(
                f"{model.dictionary} has {len(characters)} characters, but the model has "
                f"{model.card.charset.classes} classes (blank + characters)."
            )


def _remake(model: Model) -> str:
    if model.card.format != "nb":
        return "Make the model again, with --force and the command that made it."
    folder = shlex.quote(str(model.folder))
    return f"Make it again: `edge convert nb MODEL --target {model.card.target} --out {folder} --force`."
