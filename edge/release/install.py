"""From a device's name to a release that runs on it: builds, packs and flashes whatever is missing.

This is what `edge flash`, `edge run` and `bench run` share. Every part keeps what it made, so that with nothing
changed all of it costs a second.
"""

from __future__ import annotations

import hashlib
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from edge.base.errors import DeviceError, UsageError
from edge.base.paths import cache_dir, cached_sha256, write_atomic
from edge.base.progress import Say
from edge.bundle.bundle import Bundle, make_bundle, nb_target
from edge.bundle.zoo import ensure_models
from edge.device.board import Board, Device, find_device
from edge.plate.answer import Answer
from edge.protocol.base import Transport
from edge.release.flash import flash
from edge.release.releases import Release, current_release
from edge.release.smoke import MAX_OUTPUT, explain, parse_answer, smoke_sample
from edge.runtime.store import Runtime, runtime_for
from edge.transport.connect import device_root, on_board
from edge.transport.local import LocalTransport

_MAKING = threading.Lock()
WAIT = 120.0
"""Seconds to wait for somebody else who is flashing the board."""


def build_bundle(
    board: Board,
    sets: Sequence[str],
    precisions: Sequence[str],
    report: Say = lambda text: None,
    *,
    runtime: Runtime | None = None,
    settings: Mapping[str, str] | None = None,
    force: bool = False,
) -> Bundle:
    """Builds the program, makes the models, and packs both with the runtime.

    Args:
        board: The kind of board.
        sets: Names of model sets (`edge.bundle.zoo.model_sets`).
        precisions: `fp32` and/or `int8`.
        report: Called with one line before each step that takes long.
        runtime: Paddle Lite's library; None for the one that the profile names.
        settings: Keys of `plate.conf` that differ.
        force: Take models that failed their own checks.

    Raises:
        EdgeError: What the failing part says.
    """
    # Boards of a fleet are flashed in threads; what one of them makes, the others then find.
    with _MAKING:
        program, chosen = build_for(board, report, runtime=runtime)
        pairs = []
        for name in sets:
            pairs += list(ensure_models(name, precisions, nb_target(board), report).values())
    return make_bundle(board, program, chosen, pairs, settings=settings, force=force)


def build_for(
    board: Board, report: Say = lambda text: None, *, runtime: Runtime | None = None
) -> tuple[Path, Runtime]:
    """Builds the program for a board; see `build_bundle`.

    Returns:
        The program, and the runtime that it was linked with.
    """
    from edge.bundle.toolchain import build_program

    chosen = runtime or runtime_for(board)
    folder = None if chosen.source == "wheel" else chosen.folder
    said: list[str] = []

    def building(*_: object) -> None:
        # Said only where something is built: mostly the program exists.
        if not said:
            said.append(f"building plate_ocr for {board.name}")
            report(said[0])

    return build_program(board.abi, runtime_dir=folder, cpu=board.cpu or None, progress=building).program, chosen


def ensure_installed(
    device: Device | str,
    sets: Sequence[str] = ("ppocrv3",),
    precisions: Sequence[str] = ("fp32",),
    report: Say = lambda text: None,
    *,
    settings: Mapping[str, str] | None = None,
    transport: Transport | None = None,
) -> Release:
    """Makes sure that a board runs a release with these models, and returns it.

    Args:
        device: The board, or its name in the inventory.
        sets: Names of model sets.
        precisions: `fp32` and/or `int8`.
        report: Called with one line before each step that takes long.
        settings: Keys of `plate.conf` that differ.
        transport: An open way to the board; None to open one for this call.

    Returns:
        The release; commands to run come from `Release.command`.

    Raises:
        EdgeError: What the failing part says.
    """
    found = find_device(device) if isinstance(device, str) else device
    bundle = build_bundle(found.board, sets, precisions, report, settings=settings)
    with on_board(found, transport) as (link, root):
        if is_installed(link, root, bundle):
            return Release(f"{root}/releases/{bundle.hash}", bundle.manifest)
        expected = host_answers(found, bundle, sets, precisions, report, settings=settings)
        return flash(link, root, bundle, expected=expected, wait=WAIT, report=report).release


_SIZES = """
cd "$1" || exit 1
[ "$(readlink "$2/current")" = "releases/${1##*/}" ] || exit 1
shift 2
wc -c "$@"
"""


def is_installed(transport: Transport, root: str, bundle: Bundle) -> bool:
    """Whether a board runs this release, told by its name and the sizes of its files.

    A flash reads every byte again; before a run, this is enough: it finds what a full disk or a careless `rm` did.
    """
    folder = f"{root}/releases/{bundle.hash}"
    names = [f"./{item.path}" for item in bundle.manifest.files]
    answer = transport.run(["sh", "-c", _SIZES, "plate-edge", folder, root, *names], timeout=60)
    if answer.code != 0:
        return False
    sizes = {}
    for line in answer.stdout.splitlines():
        number, _, name = line.strip().partition(" ")
        if number.isdigit():
            sizes[name] = int(number)
    return all(sizes.get(f"./{item.path}") == item.size for item in bundle.manifest.files)


def host_answers(
    device: Device,
    bundle: Bundle,
    sets: Sequence[str],
    precisions: Sequence[str],
    report: Say = lambda text: None,
    *,
    settings: Mapping[str, str] | None = None,
) -> dict[str, Answer]:
    """Returns what this host reads in the trial photo, per variant, to compare a board's answer with.

    The host runs the same program with the x86 `.nb` files of the same models. Nothing is installed for it, and nothing
    is compared on the local board itself.

    Args:
        device: The board that will be flashed.
        bundle: What it will be flashed with.
        sets: Of the bundle.
        precisions: Of the bundle.
        report: Called with one line before each step that takes long.
        settings: As for the bundle.
    """
    if device.transport == "local" and device.board.abi == "host":
        return {}
    path = smoke_sample([path.lstrip("/") for path in Release("", bundle.manifest).samples])
    if path is None:
        return {}
    photo = bundle.sources[path]
    local = find_device("local") if device.name != "local" else None
    if local is None or local.board.abi != "host":
        return {}
    host_settings = {**(settings or {}), "threads": "1", "power_mode": "none"}
    # Only run from where its files lie: what this host has switched on is another matter.
    trial = build_bundle(local.board, sets, precisions, report, settings=host_settings)
    return {variant: _host_answer(trial, variant, photo, report) for variant in sorted(trial.manifest.variants)}


def _host_answer(bundle: Bundle, variant: str, photo: Path, report: Say) -> Answer:
    """Returns what a bundle of this host reads; kept, since neither changes."""
    key = hashlib.sha256(f"{bundle.hash} {variant} {cached_sha256(photo)}".encode()).hexdigest()[:32]
    note = cache_dir("answers") / f"{key}.json"
    if not note.is_file():
        report(f"reading the trial photo with {variant} on this host")
        with tempfile.TemporaryDirectory(prefix="plate-edge-") as folder:
            for path, source in bundle.sources.items():
                place = Path(folder) / path
                place.parent.mkdir(parents=True, exist_ok=True)
                place.symlink_to(source.resolve())
            argv, env = Release(folder, bundle.manifest).command(variant, "run", str(photo.resolve()))
            result = LocalTransport().run(argv, env=env, timeout=180, max_output=MAX_OUTPUT)
        explain(result, LocalTransport(), variant)
        parse_answer(result.stdout, "this host")
        write_atomic(note, result.stdout)
    return parse_answer(note.read_text(encoding="utf-8"), "this host")


def installed_release(transport: Transport, device: Device) -> Release:
    """Returns the release that a board runs.

    Raises:
        DeviceError: It has none.
    """
    release = current_release(transport, device_root(transport, device))
    if release is None:
        raise DeviceError(
            f"{device.name} has no release yet.", f"Install one: `edge flash --device {device.name}`."
        )
    return release


def parse_settings(pairs: Sequence[str]) -> dict[str, str]:
    """Reads `--set KEY=VALUE` options.

    Raises:
        UsageError: Not of that form.
    """
    settings: dict[str, str] = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator or not key.strip():
            raise UsageError(f"--set {pair!r} is not KEY=VALUE.", "For example --set det_limit_side=640.")
        settings[key.strip().replace("-", "_")] = value.strip()
    return settings
