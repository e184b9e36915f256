"""PP-OCR label files and straightened crops from CCPD photos: the application note's `make_label`, in parallel.

`det.txt` and `rec.txt` have the note's format (docs/glossary.md). What differs: photos come in sorted order, vertices in
a wrong order are sorted, bad photos are reported instead of ending the run, and an interrupted run continues where it
stopped.
"""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.base.alone import alone_in
from edge.base.errors import HostError, InputError, UsageError
from edge.base.progress import PhaseProgress
from edge.plate.ccpd import CcpdName
from train.labels.journal import Journal, LabelOutcome
from train.labels.photo import BadPhoto, crop_name, label_photo, read_name
from train.labels.plan import Phase, find_phases

CLUSTERS = ("dask", "ray")
BACKENDS = ("threading", "loky", "multiprocessing", *CLUSTERS)
_BATCH = 16  # Photos a task.
_CHUNK = 32  # Batches between two entries in the journal.


@dataclass(frozen=True)
class LabelOptions:
    """How labels are made.

    Attributes:
        jobs: Photos at a time; 0 takes one for each core that this process may use.
        backend: One of `BACKENDS`. Threads suffice on one machine, since decoding and warping leave Python's lock.
        strict: The first bad photo ends the run.
        force: Replace label files that were made from other photos.
    """

    jobs: int = 0
    backend: str = "threading"
    strict: bool = False
    force: bool = False


def make_labels(
    root: Path, out: Path, options: LabelOptions | None = None, progress: PhaseProgress | None = None
) -> list[dict[str, Any]]:
    """Makes label files, crops, table and report of every phase found.

    Args:
        root: Folder of CCPD photos; see `train.labels.plan.find_phases`.
        out: Output folder: `<phase>/det.txt`, `rec.txt`, `table.csv`, `skipped.csv`, `labels.json`, `crop_imgs/`.
        options: See there.
        progress: Called with phase, photos done and photos in all.

    Returns:
        The summary of each phase.

    Raises:
        InputError: No photos, no good photo, a bad photo under `strict`, or other labels in `out`.
        UsageError: Unknown backend; another process makes labels there.
        HostError: The backend's package is not installed, its cluster does not answer, or a machine of it lacks a folder.
        OSError: The output cannot be written.
    """
    chosen = options or LabelOptions()
    if chosen.backend not in BACKENDS:
        raise UsageError(f"Unknown backend {chosen.backend!r}.", f"Backends: {', '.join(BACKENDS)}.")
    if out.exists() and out.resolve() == root.resolve():
        raise UsageError("--out is the folder of the photos.", "Choose another folder; photos and labels stay apart.")
    phases = find_phases(root, out)
    journals = [Journal(root, out, phase) for phase in phases]
    if chosen.strict:
        for phase in phases:
            for photo in phase.photos:
                read_name(photo)
    # What is finished is only read, and may lie where nothing can be written.
    working = chosen.force or not all(journal.finished() for journal in journals)
    with alone_in(out, "edge train labels") if working else contextlib.nullcontext():
        summaries = _make_phases(journals, chosen, progress)
    if not any(summary["labelled"] for summary in summaries):
        count = sum(summary["photos"] for summary in summaries)
        raise InputError(
            f"None of the {count} photos in {root} could be labelled: {_reasons(summaries)}.",
            f"See {journals[0].folder / 'skipped.csv'}. CCPD photos carry their annotation in the file name.",
        )
    return summaries


def _make_phases(journals: list[Journal], options: LabelOptions, progress: PhaseProgress | None) -> list[dict[str, Any]]:
    for journal in journals:
        if options.force:
            journal.clear()
        elif journal.finished() is None and (obstacle := journal.conflict()):
            raise InputError(
                f"{obstacle} was made from other photos than {journal.root} now holds.",
                "Use --force to make the labels anew, or another --out.",
            )
    return [_make_phase(journal, options, progress) for journal in journals]


def _make_phase(journal: Journal, options: LabelOptions, progress: PhaseProgress | None) -> dict[str, Any]:
    phase = journal.phase
    finished = journal.finished()
    if finished is not None:
        return {**finished, "resumed": len(phase.photos)}
    done = resumed = journal.resume()
    report = progress or (lambda *_: None)
    report(phase.title, done, len(phase.photos))
    jobs = options.jobs or len(os.sched_getaffinity(0))
    good = sum(_name(photo) is not None for photo in phase.photos[:done])
    folders = (journal.root, journal.out)
    if options.backend in CLUSTERS:
        folders = (journal.root.absolute(), journal.out.absolute())  # A worker has another working directory.
    with _backend(options.backend), _one_cv_thread():
        while done < len(phase.photos):
            stop = min(len(phase.photos), done + _BATCH * _CHUNK)
            batches = list(_batches(phase, done, stop, good))
            good += sum(bool(crop) for batch in batches for _, crop in batch)
            tasks = [(*folders, batch, options.strict) for batch in batches]
            for outcomes in _parallel(tasks, jobs, options.backend):
                journal.append(outcomes)
                done += len(outcomes)
                report(phase.title, done, len(phase.photos))
    return {**journal.finish(), "resumed": resumed}


def _batches(phase: Phase, start: int, stop: int, index: int) -> Iterator[list[tuple[str, str]]]:
    """Yields batches of (photo, crop path); `index` is the number of good names before `start`.

    The number in a crop's name counts photos with a good name, as the note's loop does.
    """
    folder = f"{phase.name}/crop_imgs" if phase.name else "crop_imgs"
    batch: list[tuple[str, str]] = []
    for photo in phase.photos[start:stop]:
        name = _name(photo)
        batch.append((photo, f"{folder}/{crop_name(index, name)}" if name else ""))
        index += name is not None
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _name(photo: str) -> CcpdName | None:
    try:
        return read_name(photo)
    except BadPhoto:
        return None


def _parallel(tasks: list[Any], jobs: int, backend: str) -> Iterator[list[LabelOutcome]]:
    """Runs the tasks of a chunk and yields their results in order; as they come where the backend can."""
    from joblib import Parallel, delayed

    way = "generator" if backend in ("threading", "loky") else "list"
    yield from Parallel(n_jobs=jobs, return_as=way)(delayed(label_batch)(*task) for task in tasks)


def label_batch(root: Path, out: Path, batch: list[tuple[str, str]], strict: bool) -> list[LabelOutcome]:
    """Labels a few photos one after the other; the unit of work that a backend is given.

    Args:
        root: Folder of the data set.
        out: Output folder.
        batch: Path of each photo, and of the crop to write.
        strict: Raise instead of reporting.

    Raises:
        BadPhoto: A bad photo under `strict`.
        HostError: A machine of the cluster has no such folder.
    """
    for folder in (root, out):
        if not folder.is_dir():
            hint = "Each machine of a cluster needs the photos and --out at the same paths."
            raise HostError(f"There is no folder {folder} on {platform.node()}.", hint)
    outcomes = []
    for photo, crop in batch:
        try:
            row, name = label_photo(root, photo, out, crop)
            outcomes.append(LabelOutcome(photo, row, name.vertices, (out / crop).stat().st_size))
        except BadPhoto as error:
            if strict:
                raise
            outcomes.append(LabelOutcome(_printable(photo), reason=error.reason, message=_printable(error.message)))
    return outcomes


def _printable(text: str) -> str:
    return os.fsencode(text).decode("utf-8", "backslashreplace")


def _reasons(summaries: list[dict[str, Any]]) -> str:
    total: dict[str, int] = {}
    for summary in summaries:
        for reason, count in summary["reasons"].items():
            total[reason] = total.get(reason, 0) + count
    return ", ".join(f"{reason} ({count})" for reason, count in sorted(total.items()))


@contextlib.contextmanager
def _backend(name: str) -> Iterator[None]:
    from joblib import parallel_config

    try:
        if name == "dask":
            import distributed

            try:  # The cluster at $DASK_SCHEDULER_ADDRESS, or one on this machine.
                client = distributed.Client()
            except OSError as error:
                hint = "Start `dask scheduler`, or unset DASK_SCHEDULER_ADDRESS for a cluster of this machine."
                raise HostError(f"No dask scheduler answers: {error}.", hint) from None
            with client, parallel_config(backend="dask"):
                yield
            return
        if name == "ray":
            from ray.util.joblib import register_ray

            register_ray()
    except ImportError as error:
        raise HostError(
            f"Backend {name} needs a package that is not installed: {error.name}.",
            f"pip install {'dask[distributed]' if name == 'dask' else 'ray'}, or use --backend loky.",
        ) from None
    with parallel_config(backend=name):
        yield


@contextlib.contextmanager
def _one_cv_thread() -> Iterator[None]:
    """Keeps OpenCV from starting threads of its own below ours."""
    import cv2

    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
