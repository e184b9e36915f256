"""Makes the models that a command needs and that do not exist yet.

`edge` cannot import `train` or `convert` (they import `edge`); what it needs of them it asks for by their command
line, in child processes, and they meet in files: model folders with cards. A child process also gives Paddle's
memory back, and keeps its chatter in a log. Everything is kept in the cache under a key of the code that makes it,
so that the second call costs milliseconds and a changed converter is never hidden by an old result.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import shutil
import signal
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge import __version__
from edge.base.errors import EdgeError, ExitCode, HostError, UsageError
from edge.base.paths import cache_dir, locked
from edge.base.progress import Say
from edge.base.suggest import did_you_mean
from edge.host.ending import ended_here
from edge.host.process import edge_command, run_child, side_by_side
from edge.model.card import CARD_NAME, Model, load_model
from edge.ocr.config import PipelineConfig

PUBLISHED = "ppocrv3"
_reading = threading.Lock()
PRECISIONS = ("fp32", "int8")
SHIPPED = Path(__file__).resolve().parents[1] / "zoo"
# What decides about a model's bytes: these modules of the packages that make it.
MAKERS = {
    "train": ("arch/*.py", "weights/*.py", "export/*.py", "quantize/*.py", "synth/*.py", "augment/*.py"),
    "convert": ("graph/*.py", "rewrite/*.py", "opt/*.py", "size/*.py", "nbfile/*.py", "proof/*.py"),
    "edge": (
        "ocr/*.py", "plate/country.py", "plate/entry.py", "plate/grammar.py", "plate/kind.py", "plate/countries/*/plate.yml"
    ),
}
# The runtime that such a child process itself computes with.
_LIBRARY = {"train": "Paddle", "convert": "Paddle Lite"}


@dataclass(frozen=True)
class ModelPair:
    """A detector and a recogniser of the same set, precision and target, ready for a bundle."""

    set_name: str
    precision: str
    det: Model
    rec: Model

    @property
    def name(self) -> str:
        """The variant's name, such as `ppocrv3-int8`."""
        return f"{self.set_name}-{self.precision}"


def model_sets() -> list[str]:
    """Names of the sets that can be asked for: the shipped ones first, then the published one."""
    shipped = sorted(path.name for path in SHIPPED.glob("*") if path.is_dir() and any(path.glob("*/" + CARD_NAME)))
    return [*shipped, PUBLISHED]


def check_sets(names: Iterable[str]) -> None:
    """Refuses names that no set has.

    Raises:
        UsageError: Names the first of them, the nearest set, and all sets.
    """
    known = model_sets()
    for name in names:
        if name not in known:
            guess = did_you_mean(name, known)
            raise UsageError(f"there is no model set {name!r}.{guess}", f"Sets: {', '.join(known)}.")


def check_precisions(sets: Iterable[str], precisions: Iterable[str]) -> None:
    """Refuses a precision that the kit's sets do not have; a board's release may hold models of your own that do.

    Raises:
        UsageError: Says what there is.
    """
    known = set(model_sets())
    wrong = [name for name in precisions if name not in PRECISIONS]
    if wrong and any(name in known for name in sets):
        raise UsageError(
            f"the kit's models are {' or '.join(PRECISIONS)}, not {wrong[0]}.",
            "fp16 is for your own: `edge convert nb MODEL --fp16`, then `edge flash --det FOLDER --rec FOLDER`.",
        )


def detector_limit(set_name: str) -> tuple[str, int]:
    """Returns `det_limit_type` and `det_limit_side` (pixels) of a set: the card's, or the application note's (glossary)."""
    card = SHIPPED / set_name / "det-fp32" / CARD_NAME
    asked = json.loads(card.read_text(encoding="utf-8")).get("pipeline", {}) if card.is_file() else {}
    defaults = PipelineConfig()
    side = int(asked.get("det_limit_side", defaults.det_limit_side))
    return asked.get("det_limit_type", defaults.det_limit_type), side


def ensure_models(
    set_name: str, precisions: Sequence[str], target: str, report: Say = lambda text: None
) -> dict[str, ModelPair]:
    """Returns the `.nb` models of a set, making what is missing.

    Args:
        set_name: One of `model_sets()`.
        precisions: `fp32` and/or `int8`.
        target: `arm` or `x86`.
        report: Called with one line before each step that takes long.

    Returns:
        Per precision a pair of loaded models, verified against their cards.

    Raises:
        UsageError: Unknown set.
        HostError: A package that makes the models is not installed.
        EdgeError: What the failing step said, with its exit code.
    """
    check_sets([set_name])
    return {precision: _ensure_pair(set_name, precision, target, report) for precision in precisions}


def _ensure_pair(set_name: str, precision: str, target: str, report: Say) -> ModelPair:
    base = cache_dir("models") / f"{set_name}-{_key(set_name)}"
    with locked(base, lambda: report(f"waiting for another process that prepares {set_name}")):
        return _ensure_pair_alone(base, set_name, precision, target, report)


def _ensure_pair_alone(base: Path, set_name: str, precision: str, target: str, report: Say) -> ModelPair:
    det, rec = side_by_side(lambda task: _ensure_model(base, set_name, task, precision, target, report), ("det", "rec"))
    return ModelPair(set_name, precision, det, rec)


def _ensure_model(base: Path, set_name: str, task: str, precision: str, target: str, report: Say) -> Model:
    folder = base / f"{task}-{precision}-{target}"
    if not (folder / CARD_NAME).is_file():
        source = _inference_model(set_name, task, precision, report)
        report(f"converting {set_name} {task} {precision} to .nb for {target}")
        _make(folder, ["convert", "nb", str(source), "--target", target, "--out"])
    model = load_model(folder)
    if precision == "int8" and model.card.verdict == "not verified":
        model = _verified(model, set_name, task, precision, report)
    return model


def _verified(model: Model, set_name: str, task: str, precision: str, report: Say) -> Model:
    """Verifies an int8 model, so that its card holds the verdict; a bundle refuses one that failed."""
    report(f"verifying {set_name} {task} {precision} against fp32")
    source = _inference_model(set_name, task, precision, report)
    float_model = _inference_model(set_name, task, "fp32", report)
    command = ["convert", "verify", str(model.folder), "--source", str(source), "--against", str(float_model)]
    # `make run` waits for this: four photos and two counts of threads tell a broken model from a good one.
    command += ["--threads", "1,2", "--first", "4"]
    try:
        run_edge(command)
    except EdgeError:
        model = load_model(model.folder)
        if model.card.verdict != "failed":
            raise
    return load_model(model.folder)


def _inference_model(set_name: str, task: str, precision: str, report: Say) -> Path:
    if set_name != PUBLISHED:
        return SHIPPED / set_name / f"{task}-{precision}"
    base = cache_dir("models") / f"{set_name}-{_key(set_name)}"
    published = base / "inference"
    with _reading:  # One call makes both tasks' models.
        if not (published / task / CARD_NAME).is_file():
            _need("paddle", "rapidocr_onnxruntime")
            report("reading the published PP-OCRv3 weights")
            _make(published, ["train", "pretrained", "--out"])
    if precision == "fp32":
        return published / task
    quantised = base / f"{task}-{precision}-inference"
    if not (quantised / CARD_NAME).is_file():
        _need("paddle", "paddleslim")
        report(f"quantising {set_name} {task} to {precision} (static post-training quantisation)")
        command = ["train", "quantize", task, "--method", "ptq", "--model", str(published / task), "--out"]
        _make(quantised, command)
    return quantised


def _key(set_name: str) -> str:
    """Names what the models of a set are made by, and for a shipped set of what: its cards hold its files' sums."""
    digest = hashlib.sha256(__version__.encode())
    for card in sorted((SHIPPED / set_name).glob(f"*/{CARD_NAME}")):
        digest.update(card.parent.name.encode() + card.read_bytes())
    for package, patterns in MAKERS.items():
        spec = importlib.util.find_spec(package)
        for location in (spec.submodule_search_locations or []) if spec else []:
            for pattern in patterns:
                for path in sorted(Path(location).glob(pattern)):
                    digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def _need(*modules: str) -> None:
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise HostError(
            f"this step needs {' and '.join(missing)}, which this Python does not have.",
            "Install the extras: pip install 'plate-edge-kit[models,train]'.",
        )


def _make(folder: Path, command: list[str]) -> None:
    """Runs an `edge` command that writes a folder; the folder appears whole or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}-{threading.get_ident()}")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        run_edge([*command, str(temporary)])
        shutil.rmtree(folder, ignore_errors=True)
        try:
            temporary.replace(folder)
        except OSError:
            # Another process made the same folder first: its content is the same, by the key.
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def run_edge(arguments: Sequence[str]) -> str:
    """Runs `edge ARGUMENTS` with this interpreter in a child process.

    Returns:
        What it printed on standard output.

    Raises:
        EdgeError: With the child's own `error:` and `hint:` lines and its exit code.
    """
    child = run_child(edge_command(arguments))
    if child.returncode == 0:
        return child.stdout
    if child.returncode == ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    # Codes beyond 128 are the kit's own.
    number = -child.returncode if child.returncode < 0 else 0
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    if number:
        by_hand = f"Run it by hand: edge {' '.join(arguments)}"
        raise ended_here(f"`edge {' '.join(arguments[:3])}`", number, library=_LIBRARY.get(arguments[0], ""), hint=by_hand)
    message = re.search(r"^error: (.*)$", child.stderr, re.MULTILINE)
    hint = re.search(r"^hint:  (.*)$", child.stderr, re.MULTILINE)
    tail = " ".join(child.stderr.strip().splitlines()[-3:])[-400:]
    error = EdgeError(
        message.group(1) if message else f"`edge {' '.join(arguments[:3])}` failed ({child.returncode}): {tail}",
        hint.group(1) if hint else f"Run it by hand: edge {' '.join(arguments)}",
    )
    known = {int(code) for code in ExitCode}
    error.exit_code = ExitCode(child.returncode) if child.returncode in known else ExitCode.INTERNAL
    raise error
