"""Accuracy over a data set: the reference pipeline over every photo or crop, in several processes when that helps.

Several settings can be evaluated at once: whatever they have in common (the detector's map, the boxes, a crop's
probabilities) is computed once a photo, so that a ladder of twenty settings costs little more than its slowest.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edge.base.errors import EdgeError, ModelError
from edge.base.progress import Progress
from edge.host.ending import ended_here
from edge.ocr.config import PipelineConfig
from edge.ocr.crop import crop_plate
from edge.ocr.detect import det_post, det_pre, jpeg_scale
from edge.ocr.geometry import Points
from edge.ocr.image import Photo, load_image, load_photo
from edge.ocr.reader import Network
from edge.ocr.recognise import keep_text, rec_post, rec_pre
from edge.plate.answer import ReadPlate
from edge.plate.grammar import Grammar
from edge.plate.metrics import DetFigures, DetMetric, EndToEndFigures, EndToEndMetric, RecFigures, RecMetric
from train.arch.border import Array
from train.data.dataset import Sample
from train.evaluate.kinds import plate_kinds, text_kinds
from train.evaluate.sources import Source, open_evaluated

Kinds = Callable[[Sample], Sequence[str]]
DECODINGS: dict[str, dict[str, Any]] = {
    "raw": {"decode": "greedy", "text_strip": ""},
    "dot": {"decode": "greedy", "text_strip": "·"},
    "separators": {"decode": "greedy", "text_strip": "·.- "},
    "plate": {"decode": "plate", "text_strip": "·.- "},
}
"""How a recogniser's output is read: raw, '·' removed (the application note), all separators removed, by the grammar."""


@dataclass(frozen=True)
class PhotoOutput:
    """What one setting gives on one photo: all boxes that were found, and the plates that were kept."""

    boxes: tuple[Points, ...]
    plates: tuple[ReadPlate, ...]


class SharedReader:
    """Reads a photo under several settings and computes what they share only once.

    Args:
        det: Detector.
        rec: Recogniser, None for boxes only.
        characters: Of the recogniser.
        grammar: Of the plates; None for that of the kit's own country.
    """

    def __init__(
        self,
        det: Network,
        rec: Network | None = None,
        characters: Sequence[str] = (),
        grammar: Grammar | None = None,
    ) -> None:
        self.det, self.rec, self.characters, self.grammar = det, rec, characters, grammar

    def read(self, bgr: Array, configs: Sequence[PipelineConfig]) -> list[PhotoOutput]:
        """Returns one output for each setting.

        Args:
            bgr: uint8 [height, width, 3].
            configs: Settings.
        """
        return self._read(Photo(bgr, (bgr.shape[0], bgr.shape[1])), configs)

    def read_file(self, path: Path, configs: Sequence[PipelineConfig]) -> list[PhotoOutput]:
        """Returns one output for each setting, a JPEG decoded as each asks for (`jpeg_scale`).

        Args:
            path: Of the photo.
            configs: Settings.
        """
        alike: dict[object, list[int]] = {}
        for index, config in enumerate(configs):
            alike.setdefault(_values(config, "jpeg_scale", "det_limit"), []).append(index)
        outputs: dict[int, PhotoOutput] = {}
        for members in alike.values():
            photo = load_photo(path, partial(jpeg_scale, config=configs[members[0]]))
            outputs.update(zip(members, self._read(photo, [configs[index] for index in members]), strict=True))
        return [outputs[index] for index in range(len(configs))]

    def _read(self, photo: Photo, configs: Sequence[PipelineConfig]) -> list[PhotoOutput]:
        height, width = photo.size
        maps: dict[object, Array] = {}
        boxes: dict[object, list[Points]] = {}
        matrices: dict[object, Array] = {}
        outputs = []
        for config in configs:
            map_key = _values(config, "det_limit", "det_mean", "det_std")
            if map_key not in maps:
                maps[map_key] = self.det.run(det_pre(photo.bgr, config, photo.size))
            box_key = (map_key, _values(config, "det_", "box_"))
            if box_key not in boxes:
                boxes[box_key] = det_post(maps[map_key], width, height, config)
            plates = []
            for box in boxes[box_key] if self.rec else []:
                rec_key = (box.tobytes(), _values(config, "rec_"))
                if rec_key not in matrices:
                    assert self.rec is not None
                    matrices[rec_key] = self.rec.run(rec_pre(crop_plate(photo.bgr, box / photo.scale), config))
                text, score = rec_post(matrices[rec_key], self.characters, config, self.grammar)
                if keep_text(text, score, config):
                    plates.append(ReadPlate(box, text, score))
            outputs.append(PhotoOutput(tuple(boxes[box_key]), tuple(plates)))
        return outputs

    def read_crop(self, crop: Array, configs: Sequence[PipelineConfig]) -> list[tuple[str, float]]:
        """Returns text and score of a crop for each setting, filters not applied."""
        assert self.rec is not None
        matrices: dict[object, Array] = {}
        answers = []
        for config in configs:
            key = _values(config, "rec_")
            if key not in matrices:
                matrices[key] = self.rec.run(rec_pre(crop, config))
            answers.append(rec_post(matrices[key], self.characters, config, self.grammar))
        return answers


def _values(config: PipelineConfig, *prefixes: str) -> tuple[object, ...]:
    return tuple(value for key, value in vars(config).items() if key.startswith(prefixes))


def photo_outputs(
    sources: Mapping[str, Source],
    samples: Sequence[Sample],
    configs: Sequence[PipelineConfig],
    *,
    jobs: int = 1,
    progress: Progress = lambda done, total: None,
) -> list[list[PhotoOutput]]:
    """Reads photos under each setting.

    Args:
        sources: `det`, and `rec` where texts are wanted.
        samples: Photos.
        configs: Settings.
        jobs: Processes.
        progress: Called with photos done and photos in all.

    Returns:
        For each sample one output for each setting.

    Raises:
        ModelError: A process was ended by a runtime.
        EdgeError: What a photo or a model says.
    """
    return list(_spread(sources, [(sample.path, None) for sample in samples], configs, jobs, progress))


def crop_outputs(
    sources: Mapping[str, Source],
    samples: Sequence[Sample],
    configs: Sequence[PipelineConfig],
    *,
    jobs: int = 1,
    progress: Progress = lambda done, total: None,
) -> tuple[list[str], list[list[tuple[str, float]]]]:
    """Reads crops: files that are crops, and of photos every labelled plate, cut out by its corners.

    Args:
        sources: `rec`.
        samples: Crops or photos; plates without a text that counts are left out.
        configs: Settings.
        jobs: Processes.
        progress: Called with crops done and crops in all.

    Returns:
        The true texts, and for each of them text and score for each setting.
    """
    items: list[tuple[Path, Array | None]] = []
    texts = []
    for sample in samples:
        if sample.plate_text and not sample.plates:
            items.append((sample.path, np.zeros(0)))
            texts.append(sample.text)
        for plate in sample.plates:
            if not plate.unread:
                items.append((sample.path, plate.quad))
                texts.append(plate.text)
    return texts, list(_spread(sources, items, configs, jobs, progress))


def _spread(
    sources: Mapping[str, Source],
    items: Sequence[tuple[Path, Array | None]],
    configs: Sequence[PipelineConfig],
    jobs: int,
    progress: Progress,
) -> Iterator[Any]:
    jobs = min(jobs, len(items))
    if jobs <= 1:
        reader = open_reader(sources)
        answers: Iterable[Any] = (_work(reader, item, configs) for item in items)
        yield from _counted(answers, len(items), progress)
        return
    # Fresh processes: a runtime's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, _start, (dict(sources), tuple(configs))) as pool:
        try:
            answers = pool.map(_work_here, items, chunksize=2)
            children = multiprocessing.active_children()
            yield from _counted(answers, len(items), progress)
        except BrokenProcessPool as error:
            names = ", ".join(source.name for source in sources.values())
            # The pool ends the other processes by SIGTERM, and does not record how the first one ended.
            pool.shutdown(wait=True)
            codes = [code for child in children if (code := child.exitcode) not in (0, None, -signal.SIGTERM)]
            what = f"A process that read photos with {names}"
            if codes and codes[0] < 0:
                library = "Paddle Lite" if all(source.kind == "nb" for source in sources.values()) else "Paddle Inference"
                raise ended_here(what, -codes[0], library=library, hint="Try --jobs 1.") from error
            raise ModelError(f"{what} was ended.", "With --jobs 1 the runtime may say why.") from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _counted(answers: Iterable[Any], total: int, progress: Progress) -> Iterator[Any]:
    for done, answer in enumerate(answers, 1):
        progress(done, total)
        yield answer


def open_reader(sources: Mapping[str, Source]) -> SharedReader:
    """Opens the models of a reader; without a detector it reads crops only."""
    opened = {task: open_evaluated(source) for task, source in sources.items()}
    rec = opened.get("rec")
    det = opened["det"].network if "det" in opened else _NoDetector()
    return SharedReader(det, rec.network, rec.characters or (), rec.source.grammar) if rec else SharedReader(det)


class _NoDetector:
    def run(self, tensor: Array) -> Array:
        raise AssertionError("this reader reads crops only")


def _work(reader: SharedReader, item: tuple[Path, Array | None], configs: Sequence[PipelineConfig]) -> Any:
    path, quad = item
    if quad is None:
        return reader.read_file(path, configs)
    bgr = load_image(path)
    return reader.read_crop(crop_plate(bgr, quad) if quad.size else bgr, configs)


_state: dict[str, Any] = {}


def _start(sources: dict[str, Source], configs: tuple[PipelineConfig, ...]) -> None:
    # Ctrl-C is for the parent, which ends its children.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # As many processes as cores: their own threads would only get in each other's way.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        _state.update(reader=open_reader(sources), configs=configs)
    except EdgeError as error:
        _state.update(error=error)  # Raised here it would break the pool, and its message would be lost.


def _work_here(item: tuple[Path, Array | None]) -> Any:
    if "error" in _state:
        raise _state["error"]
    return _work(_state["reader"], item, _state["configs"])


def det_figures(
    samples: Sequence[Sample], outputs: Sequence[PhotoOutput], kinds: Kinds = plate_kinds
) -> dict[str, DetFigures]:
    """Returns detection figures: of `all`, and of photos of each kind; see `train.evaluate.kinds`."""
    metrics: dict[str, DetMetric] = {"all": DetMetric()}
    for sample, output in zip(samples, outputs, strict=True):
        truth = [plate.quad for plate in sample.plates]
        ignored = [plate.ignored for plate in sample.plates]
        for kind in ("all", *kinds(sample)):
            metrics.setdefault(kind, DetMetric()).add(output.boxes, truth, ignored)
    return {kind: metric.result() for kind, metric in metrics.items()}


def e2e_figures(
    samples: Sequence[Sample],
    outputs: Sequence[PhotoOutput],
    mistakes: list[dict[str, Any]] | None = None,
    kinds: Kinds = plate_kinds,
) -> dict[str, EndToEndFigures]:
    """Returns end-to-end figures: of `all`, and of photos of each kind; see `train.evaluate.kinds`.

    Args:
        samples: Photos with their truth.
        outputs: One each.
        mistakes: When given, receives the photos that were not read exactly.
        kinds: What kinds a photo is of.
    """
    metrics: dict[str, EndToEndMetric] = {"all": EndToEndMetric()}
    for sample, output in zip(samples, outputs, strict=True):
        truth = [(plate.quad, plate.text) for plate in sample.plates]
        found = [(plate.box, plate.text) for plate in output.plates]
        for kind in kinds(sample):
            metrics.setdefault(kind, EndToEndMetric()).add(found, truth)
        exact = metrics["all"].add(found, truth).exact
        if mistakes is not None and not exact:
            wanted = [plate.text for plate in sample.plates if not plate.unread]
            read = [{"text": plate.text, "score": round(plate.score, 4)} for plate in output.plates]
            mistakes.append({"image": str(sample.path), "truth": wanted, "read": read})
    return {kind: metric.result() for kind, metric in metrics.items()}


def rec_figures(
    texts: Sequence[str], read: Sequence[str], kinds: Sequence[Sequence[str]] | None = None
) -> dict[str, RecFigures]:
    """Returns recognition figures: of `all`, and of each kind.

    Args:
        texts: True ones.
        read: What was read.
        kinds: Of each; None for the kinds of plates.
    """
    metrics: dict[str, RecMetric] = {"all": RecMetric()}
    found = kinds or list(map(text_kinds, texts))
    for text, answer, named in zip(texts, read, found, strict=True):
        for kind in ("all", *named):
            metrics.setdefault(kind, RecMetric()).add(answer, text)
    return {kind: metric.result() for kind, metric in metrics.items()}


def crop_kinds(samples: Sequence[Sample], kinds: Kinds) -> list[list[str]]:
    """Returns the kinds of every text that `crop_outputs` gives for samples."""
    found: list[list[str]] = []
    for sample in samples:
        if sample.plate_text and not sample.plates:
            found.append(list(kinds(sample)))
        found += [list(kinds(sample)) for plate in sample.plates if not plate.unread]
    return found
