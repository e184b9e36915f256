"""Packs program, runtime, models, dictionaries, configs and sample photos into one release, and refuses a wrong one.

What does not fit together is found here, on the host, where it can be explained, and not on the board, where it is a
crash or garbled text: files of another architecture, libraries that nothing provides, an `.nb` for another target or
newer than the runtime, a dictionary of another length, a model that failed its own checks.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge import __version__
from edge.base.archive import extract
from edge.base.errors import InputError, ModelError, UsageError, VerifyError
from edge.base.paths import cache_dir, cached_sha256, kit_source, replacing, sha256_file, write_atomic
from edge.bundle.jpeg_library import program_decoder
from edge.bundle.manifest import MANIFEST_NAME, BundleFile, Manifest, parse_manifest
from edge.bundle.zoo import ModelPair
from edge.device.board import Board
from edge.model.card import Model, check_feed
from edge.model.dictionary import read_dictionary
from edge.model.nb_header import read_nb_header
from edge.ocr.config import PipelineConfig, dump_config
from edge.ocr.settings import fit_cards, override
from edge.photo.labels import LABELS_NAME
from edge.plate.country import DEFAULT, card_grammar, samples_of
from edge.runtime.elf import ElfFacts, check_abi, merge_versions, missing_needed, read_elf
from edge.runtime.store import Runtime

# What every GNU userland that runs C++ programs has; preflight checks it on the board.
USERLAND = ("libstdc++.so.6", "libgcc_s.so.1", "libgomp.so.1")
_TEXTS = {"dict": "dict.txt", "grammar": "grammar.txt", "config": "plate.conf"}
MODES = {"program": 0o755, "library": 0o755}


@dataclass(frozen=True)
class Bundle:
    """A release before it is on a board.

    Attributes:
        manifest: What it consists of.
        sources: Path in the release to the file on this host.
    """

    manifest: Manifest
    sources: Mapping[str, Path]

    @property
    def hash(self) -> str:
        """The release's name."""
        return self.manifest.hash

    def source(self, item: BundleFile, *, verify: bool = False) -> Path:
        """Returns a file's place on this host.

        Args:
            item: One of the manifest's files.
            verify: Compare the content, not only the size.

        Raises:
            VerifyError: It is no longer the file from which the bundle was made.
        """
        path = self.sources[item.path]
        same = path.is_file() and path.stat().st_size == item.size
        if not same or (verify and sha256_file(path) != item.sha256):
            raise VerifyError(f"{path} changed on this host after the bundle was made.", "Run the same command again.")
        return path


def elf_abi(board: Board) -> str:
    """Returns a board's ABI as `edge.runtime.elf` names it; `host` is what this Python itself runs on."""
    if board.abi != "host":
        return board.abi
    machine = os.uname().machine
    return {"aarch64": "arm64", "armv7l": "armhf"}.get(machine, machine)


def nb_target(board: Board) -> str:
    """Returns the `.nb` target of a board: `x86` or `arm`."""
    return "x86" if elf_abi(board) in ("x86_64", "i386") else "arm"


def make_bundle(
    board: Board,
    program: Path,
    runtime: Runtime,
    pairs: Sequence[ModelPair],
    *,
    samples: Sequence[Path] | None = None,
    settings: Mapping[str, str] | None = None,
    force: bool = False,
) -> Bundle:
    """Makes the bundle for one kind of board.

    Args:
        board: Its profile.
        program: `plate_ocr`, built for it.
        runtime: Paddle Lite's library for it.
        pairs: Models of the board's target; the name of each is its variant.
        samples: Photos to take along; None for those of the models' country.
        settings: Keys of `plate.conf` that differ from what cards and profile say.
        force: Take models that failed their own checks.

    Returns:
        The bundle; same input, same hash.

    Raises:
        VerifyError: A file is for another kind of board, or a library is missing.
        ModelError: A model does not fit the target, the runtime or its dictionary, or failed its checks.
        UsageError: No models, two of the same variant or of different countries, or an unknown setting.
    """
    if not pairs:
        raise UsageError("A bundle needs at least one pair of models.", "Name a model set, such as ppocrv3.")
    if len({pair.name for pair in pairs}) != len(pairs):
        raise UsageError("Two pairs of models have the same name.", "Give each set and precision once.")
    sources: dict[str, tuple[Path, str]] = {"bin/plate_ocr": (program, "program")}
    for place, path in runtime.libraries:
        sources[f"lib/{place}"] = (path, "library")
    elf = {name: read_elf(path) for name, (path, _) in sources.items()}
    _check_elf(board, elf)
    variants: dict[str, dict[str, Any]] = {}
    for pair in pairs:
        variants[pair.name] = _add_variant(board, runtime, pair, settings or {}, sources, force)
    for photo in samples if samples is not None else _samples(pairs):
        sources[f"samples/{photo.name}"] = (photo, "sample")
    decoder = program_decoder(program)
    licences = _add_licences(sources, decoder)
    files = tuple(_file(path, source, kind) for path, (source, kind) in sorted(sources.items()))
    program_facts = elf.pop("bin/plate_ocr")
    everything = [program_facts, *elf.values()]
    own = {Path(name).name for name in elf}
    manifest = Manifest(
        abi=elf_abi(board),
        kit=__version__,
        files=files,
        program={**program_facts.to_json(), "jpeg": decoder},
        libraries={name: facts.to_json() for name, facts in sorted(elf.items())},
        requires={
            "libraries": sorted({need for facts in everything for need in facts.needed if need in USERLAND} - own),
            "versions": dict(sorted(merge_versions(everything).items())),
        },
        runtime={
            "build": runtime.build,
            "version": runtime.version,
            "sha256": runtime.sha256,
            "replay": runtime.replay,
        },
        variants=variants,
        licences=licences,
    )
    return Bundle(manifest, {path: source for path, (source, _) in sources.items()})


def _samples(pairs: Sequence[ModelPair]) -> list[Path]:
    """The sample photos of the models' country, with their labels; none where the kit has none of it."""
    first, *others = dict.fromkeys(pair.rec.card.country or DEFAULT for pair in pairs)
    if others:
        raise UsageError(
            f"these models read plates of {first} and of {others[0]}; a bundle is for one country.",
            "Make a bundle of each.",
        )
    folder = samples_of(first)
    return sorted([*folder.glob("*.jpg"), *folder.glob(LABELS_NAME)])


def _check_elf(board: Board, elf: Mapping[str, ElfFacts]) -> None:
    for facts in elf.values():
        check_abi(facts, elf_abi(board), board.name)
    missing = missing_needed(elf.values(), [Path(name).name for name in elf], USERLAND)
    if missing:
        name, users = next(iter(missing.items()))
        raise VerifyError(
            f"{name}, which {' and '.join(users)} need{'s' if len(users) == 1 else ''}, is neither in the bundle nor a "
            f"part of the board's system.",
            "Put it beside Paddle Lite's library and take both with `edge runtime add FOLDER`.",
        )


def _add_variant(
    board: Board,
    runtime: Runtime,
    pair: ModelPair,
    settings: Mapping[str, str],
    sources: dict[str, tuple[Path, str]],
    force: bool,
) -> dict[str, Any]:
    folder = f"models/{pair.name}"
    facts: dict[str, Any] = {"set": pair.set_name, "precision": pair.precision}
    for task, model in (("det", pair.det), ("rec", pair.rec)):
        facts[f"{task}_nb"] = check_bundle_model(board, runtime, model, task, force=force)
        facts[f"{task}_card"] = asdict(model.card)
        facts[f"{task}_verdict"] = model.card.verdict
        facts[task] = f"{folder}/{task}.nb"
        sources[f"{folder}/{task}.nb"] = (model.file(".nb"), "model")
    if pair.rec.dictionary is None:
        raise ModelError(f"{pair.rec.card.name} has no dictionary.")
    sources[f"{folder}/dict.txt"] = (pair.rec.dictionary, "dictionary")
    grammar = card_grammar(pair.rec.card.grammar, pair.rec.card.name)
    config = variant_config(board, pair, settings)
    if pair.rec.card.grammar and config.decode == "plate":
        grammar.check_dictionary(read_dictionary(pair.rec.dictionary), pair.rec.card.name)
    sources[f"{folder}/grammar.txt"] = (_kept("\n".join(grammar.lines()) + "\n"), "grammar")
    sources[f"{folder}/plate.conf"] = (_kept(dump_config(config)), "config")
    return {**facts, **{part: f"{folder}/{name}" for part, name in _TEXTS.items()}}


def _kept(text: str) -> Path:
    """Writes a text of a bundle where it stays."""
    path = cache_dir("bundle") / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.txt"
    if not path.is_file():
        write_atomic(path, text)
    return path


def check_bundle_model(board: Board, runtime: Runtime, model: Model, task: str, *, force: bool = False) -> dict[str, Any]:
    """Checks that one `.nb` model fits a board and its runtime.

    Returns:
        Facts read from the `.nb` itself: `opt_version`, `meta_version`.

    Raises:
        ModelError: Says what does not fit and what to do.
    """
    card = model.card
    if card.task != task or card.format != "nb":
        raise ModelError(
            f"{card.name} is a {card.task} model in format {card.format}, not an .nb {task} model.",
            "Convert it: `edge convert nb MODEL`.",
        )
    if card.target != nb_target(board):
        raise ModelError(
            f"{card.name} was converted for {card.target}, {board.name} needs {nb_target(board)}.",
            f"Convert it again: `edge convert nb MODEL --target {nb_target(board)}`.",
        )
    if card.failed_checks and not force:
        raise ModelError(
            f"{card.name} failed its own checks: {', '.join(card.failed_checks)}.",
            "Make it again, or take it as it is with --accept-failed; --force only replaces files.",
        )
    if card.precision == "int8" and card.verdict == "not verified" and not force:
        raise ModelError(
            f"{card.name} is an int8 model that was not verified.",
            "Run `edge convert verify MODEL --source INFERENCE_MODEL --against FP32_MODEL`; --accept-failed takes it as "
            "it is, --force only replaces files.",
        )
    if card.charset and model.dictionary:
        characters = len(read_dictionary(model.dictionary))
        if characters + 1 != card.charset.classes:
            raise ModelError(
                f"{card.name} has {card.charset.classes} classes, its dictionary {characters} characters (+ 1 blank).",
                "Take the dictionary with which the model was trained.",
            )
    check_feed(card, card.name)
    header = read_nb_header(model.file(".nb"))
    if header.newer_than(runtime.version):
        raise ModelError(
            f"{card.name} was made by opt {header.opt_version}, the runtime of {board.name} is {runtime.version}.",
            "An older runtime reads a newer .nb wrongly: use the opt of the runtime's release, or a newer runtime.",
        )
    return {"opt_version": header.opt_version, "meta_version": header.meta_version}


def variant_config(board: Board, pair: ModelPair, settings: Mapping[str, str]) -> PipelineConfig:
    """Returns the settings for a pair of models on a board: cards and profile first, then the user's own.

    Raises:
        UsageError: Unknown or malformed setting.
    """
    base = PipelineConfig(threads=board.threads, power_mode=board.power_mode)
    return override(fit_cards(base, pair.det.card, pair.rec.card), settings)


def _add_licences(sources: dict[str, tuple[Path, str]], decoder: str) -> list[dict[str, str]]:
    places = {}
    for name in ("LICENSE", "NOTICE"):
        file = kit_source(name)
        if file.is_file():
            sources[name] = (file, "licence")
            places[name] = name
    place, notice = places.get("LICENSE", ""), places.get("NOTICE", "")
    turbo = {"component": decoder, "licence": "IJG AND BSD-3-Clause", "file": notice}
    return [
        {"component": "plate-edge-kit", "licence": "Apache-2.0", "file": place},
        {"component": "Paddle Lite", "licence": "Apache-2.0", "file": place},
        {"component": "PP-OCRv3 weights (PaddleOCR)", "licence": "Apache-2.0", "file": place},
        {"component": "stb_image", "licence": "MIT OR Unlicense", "file": notice},
        *([turbo] if decoder.startswith("libjpeg-turbo") else []),
    ]


def _file(path: str, source: Path, kind: str) -> BundleFile:
    return BundleFile(path, cached_sha256(source), source.stat().st_size, MODES.get(kind, 0o644), kind)


def save_bundle(bundle: Bundle, out: Path) -> Path:
    """Writes a bundle as a `.tar`, byte for byte the same for the same bundle.

    Raises:
        VerifyError: A source changed while it was packed.
    """
    with replacing(out) as temporary, tarfile.open(temporary, "w", format=tarfile.GNU_FORMAT) as tar:
        text = bundle.manifest.dump().encode()
        tar.addfile(tar_entry(MANIFEST_NAME, len(text), 0o644), io.BytesIO(text))
        for item in bundle.manifest.files:
            with bundle.source(item, verify=True).open("rb") as stream:
                tar.addfile(tar_entry(item.path, item.size, item.mode), stream)
    return out


def tar_entry(name: str, size: int, mode: int) -> tarfile.TarInfo:
    """Returns the header of a file in an archive: no owner and no time, so that the same content is the same bytes."""
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, mode, 0
    return info


def load_bundle(path: Path) -> Bundle:
    """Loads a bundle from a `.tar` or an unpacked folder, every file verified.

    Raises:
        InputError: Not a bundle.
        VerifyError: A file is missing, too many or changed.
    """
    if not path.is_file():
        return _verified(path, path)
    folder = cache_dir("bundle") / sha256_file(path)[:32]
    if folder.is_dir():
        try:
            return _verified(path, folder)
        except (InputError, VerifyError):
            # What was unpacked earlier may have been damaged since; the archive tells.
            shutil.rmtree(folder, ignore_errors=True)
    try:
        extract(path, folder)
    except (InputError, OSError):
        if not folder.is_dir():  # else another thread or process was faster with the same content
            raise
    return _verified(path, folder)


def _verified(path: Path, folder: Path) -> Bundle:
    manifest_path = folder / MANIFEST_NAME
    if not manifest_path.is_file():
        raise InputError(f"{path} is not a bundle: {MANIFEST_NAME} is missing.", "`edge bundle` makes one.")
    manifest = parse_manifest(manifest_path.read_text(encoding="utf-8", errors="replace"), str(manifest_path))
    found = {str(item.relative_to(folder)) for item in folder.rglob("*") if item.is_file()} - {MANIFEST_NAME}
    listed = {item.path for item in manifest.files}
    if found != listed:
        odd = sorted(found ^ listed)
        if path.is_file():
            shutil.rmtree(folder, ignore_errors=True)
        raise VerifyError(f"{path}: {odd[0]} is {'missing' if odd[0] in listed else 'not in the manifest'}.")
    for item in manifest.files:
        if sha256_file(folder / item.path) != item.sha256:
            raise VerifyError(f"{path}: {item.path} is not the file that the manifest describes.")
    return Bundle(manifest, {item.path: folder / item.path for item in manifest.files})
