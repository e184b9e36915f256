"""From a device's name to a `SystemUnderTest`: everything built, installed and in place."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from bench.conditions.board_tuner import BoardTuner, SystemTuning
from bench.measure.host_reader import HostReader, agreement_with_host
from bench.measure.target import GivenPhotos, SystemUnderTest, TargetPhoto, Truth, push_photos, with_kinds
from bench.plan.plan import Plan
from bench.record.parts import DeviceFacts, HostCheck, Kind, KitFacts, RuntimeFacts, VariantFacts
from bench.record.result import Result
from edge import __version__
from edge.base.errors import InputError
from edge.base.paths import KIT_ROOT
from edge.base.progress import Say
from edge.bundle.manifest import Manifest
from edge.device.board import Device, find_device
from edge.photo.labels import LABELS_NAME, read_labels
from edge.plate.country import card_grammar, samples_of
from edge.release.install import ensure_installed, installed_release
from edge.release.releases import Release
from edge.transport.connect import connect, device_root

HOST_NOTE = (
    "Measured on the host computer, not on a board: these times say nothing about an ARM board. The x86 runtime has no "
    "fast int8 path; int8 against fp32 here says nothing about what a board would gain or lose."
)


def resolve_plan(plan: Plan, device: Device) -> Plan:
    """Returns the plan with the board's own threads and power mode where nobody asked for others."""
    board = device.board
    return replace(plan, threads=plan.threads or (board.threads,), power_modes=plan.power_modes or (board.power_mode,))


def open_target(
    device: Device,
    plan: Plan,
    *,
    photos: GivenPhotos | None = None,
    installed: bool = False,
    report: Say = lambda text: None,
) -> SystemUnderTest:
    """Makes a board ready.

    Args:
        device: The board.
        plan: What will be measured.
        photos: From `find_photos`; None for the samples of the release.
        installed: Take the release that is on the board as it is, and build and send nothing.
        report: Called with a line before each step that takes long.

    Returns:
        The target; call `close_target` at the end.

    Raises:
        EdgeError: What the failing part says.
    """
    transport = connect(device)
    if installed:
        release = installed_release(transport, device)
    else:
        release = ensure_installed(device, plan.models, plan.precisions, report, transport=transport)
    for variant in plan.variants:
        release.variant(variant)
    scratch = None
    if photos is not None:
        scratch = tempfile.TemporaryDirectory(prefix="plate-edge-")
        placed = push_photos(transport, f"{device_root(transport, device)}/photos", photos.photos, Path(scratch.name))
    else:
        placed = sample_photos(release)
    runtime = cast(RuntimeFacts, release.manifest.runtime)
    program = next((item.sha256 for item in release.manifest.files if item.path == "bin/plate_ocr"), "")
    kind = device_kind(device, runtime)
    return SystemUnderTest(
        device=device_facts(device, kind),
        transport=transport,
        sampler=connect(device),
        command=release.command,
        photos=with_kinds(placed, card_grammar(tuple(_rec_card(release).get("grammar", ())))),
        variants={name: variant_facts(release.manifest, name) for name in release.variants},
        release=release.hash,
        runtime=runtime,
        program=program,
        notes=tuple(filter(None, (HOST_NOTE if kind == "host" else "", photos.converted if photos else ""))),
        scratch=scratch,
    )


def host_reader(target: SystemUnderTest, plan: Plan, report: Say) -> HostReader:
    """Makes this host ready to read the photos of a target with its models.

    Raises:
        EdgeError: What the failing part says; `InputError` when no photo has ground truth.
    """
    photos = [(photo.local, photo.truth) for photo in target.photos]
    if target.device["transport"] == "local":
        return HostReader(target.command, target.transport, photos)
    host = find_device("local")
    release = ensure_installed(host, plan.models, plan.precisions, report)
    return HostReader(release.command, connect(host), photos)


def compare_with_host(result: Result, target: SystemUnderTest, plan: Plan, report: Say) -> dict[str, HostCheck]:
    """Reads a result's photos on this host too; see `agreement_with_host`.

    Raises:
        EdgeError: This host cannot run the models.
    """
    report("reading the photos on this host, to compare what the board read")
    host = find_device("local")
    link = connect(host)
    release = ensure_installed(host, plan.models, plan.precisions, report, transport=link)
    return agreement_with_host(result, release.command, link, [photo.local for photo in target.photos])


@contextmanager
def tuned_board(
    device: Device, target: SystemUnderTest, knobs: dict[str, str] | None, report: Say
) -> Iterator[SystemTuning | None]:
    """Sets the knobs of a board for the duration of a `with` block; without any it only tidies up after a killed run.

    Args:
        device: The board.
        target: The same, opened.
        knobs: From `bench.conditions.knobs.parse_knobs`; None to leave the board as it is.
        report: Called with what was found or could not be done.
    """
    beat = connect(device)
    try:
        tuner = BoardTuner(target.transport, f"{device_root(target.transport, device)}/tune-board", beat=beat)
        said = tuner.recover()
        if said:
            report(said)
        if knobs is None:
            yield None
            return
        with tuner.tuned(knobs) as tuning:
            for problem in tuning.problems:
                report(f"--tune-board: {problem}")
            yield tuning
    finally:
        with suppress(Exception):
            beat.close()


def close_target(target: SystemUnderTest) -> None:
    """Ends both connections and removes converted photos; a board that is gone is not an error here."""
    for link in (target.transport, target.sampler):
        if link is not None:
            with suppress(Exception):
                link.close()
    if target.scratch is not None:
        target.scratch.cleanup()


def device_kind(device: Device, runtime: RuntimeFacts) -> Kind:
    """`replay`, `emulated`, `host` or `board`: what a time taken there means."""
    if runtime.get("replay"):
        return "replay"
    if device.board.soc == "emulated":
        return "emulated"
    return "host" if device.board.abi == "host" else "board"


def device_facts(device: Device, kind: Kind) -> DeviceFacts:
    """What the result says about the device; no address, for results are handed on."""
    return {
        "name": device.name,
        "board": device.board.name,
        "title": device.board.title,
        "soc": device.board.soc,
        "kind": kind,
        "transport": device.transport,
        "abi": device.board.abi,
    }


def variant_facts(manifest: Manifest, variant: str) -> VariantFacts:
    """Sizes and hashes of one pair of models, as `ResultCell` wants them."""
    entry = manifest.variants[variant]
    files = {item.path: item for item in manifest.files}
    # Releases of 0.1 have no grammar: it was a part of their program.
    parts = {part: files[entry[part]] for part in ("det", "rec", "dict", "grammar", "config") if part in entry}
    return {
        "det_bytes": parts["det"].size,
        "rec_bytes": parts["rec"].size,
        "hashes": {part: item.sha256 for part, item in parts.items()},
        "opt": {task: str(entry.get(f"{task}_nb", {}).get("opt_version", "")) for task in ("det", "rec")},
    }


def _rec_card(release: Release) -> dict[str, Any]:
    """The card of a recogniser of a release: all of its models are of one country."""
    card: dict[str, Any] = next(iter(release.manifest.variants.values()), {}).get("rec_card", {})
    return card


def sample_photos(release: Release) -> tuple[TargetPhoto, ...]:
    """The photos inside a release, with their truth where they are the kit's own."""
    if not release.samples:
        raise InputError(f"release {release.hash} has no sample photos: the kit has none for its country.", "Give --photos.")
    samples = samples_of(_rec_card(release).get("country", ""))
    labels = cast("dict[str, Truth]", read_labels(samples / LABELS_NAME))
    placed = []
    files = {f"{release.path}/{item.path}": item for item in release.manifest.files}
    for remote in release.samples:
        item = files[remote]
        local = samples / Path(remote).name
        placed.append(TargetPhoto(local.name, local, remote, item.sha256, item.size, labels.get(local.name)))
    return tuple(placed)


def kit_facts() -> KitFacts:
    """Version of the kit, and commit and state of its work tree where it is one."""
    facts: KitFacts = {"version": __version__, "git": None, "dirty": None}
    if not (KIT_ROOT / ".git").exists():
        return facts
    try:
        commit = _git("rev-parse", "HEAD")
        facts["dirty"] = bool(_git("status", "--porcelain", "--untracked-files=no"))
        facts["git"] = commit
    except (OSError, subprocess.SubprocessError):
        pass
    return facts


def _git(*words: str) -> str:
    command = ["git", "-C", str(KIT_ROOT), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
