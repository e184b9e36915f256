"""Photos in the report: small copies kept beside the result, with the plates drawn over them, failures first."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from bench.judge.accuracy import accuracy, answers_of
from bench.judge.summary import ResultSummary
from bench.record.parts import Box, RecordedPlate
from bench.record.result import Result, ResultPhoto
from edge.base.errors import EdgeError
from edge.base.paths import sha256_file, write_atomic
from edge.photo.listing import SAMPLES

FOLDER = "photos"
INDEX = "index.json"
LONGEST = 960
QUALITY = 78
MOST = 12


@dataclass(frozen=True)
class Picture:
    """A small copy of a photo.

    Attributes:
        jpeg: The copy.
        width: Of the photo itself, pixels; boxes are in these.
        height: Likewise.
    """

    jpeg: bytes
    width: int
    height: int


def keep_photos(result: Result, out: Path, originals: Mapping[str, Path]) -> None:
    """Writes small copies of the photos that a report will show to `out/photos`.

    Args:
        result: Its photos and answers.
        out: Folder of the session.
        originals: SHA-256 to the photo on this host.
    """
    import cv2

    from edge.ocr.image import load_image

    folder = out / FOLDER
    index: dict[str, Any] = {}
    for number in order(result)[:MOST]:
        digest = result.photos[number].sha256
        path = originals.get(digest)
        if path is None or not path.is_file():
            continue
        try:
            image = load_image(path)
        except EdgeError:
            continue
        height, width = image.shape[:2]
        factor = min(1.0, LONGEST / max(height, width))
        small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA) if factor < 1 else image
        good, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        if good:
            write_atomic(folder / f"{digest[:20]}.jpg", data.tobytes())
            index[digest] = {"file": f"{digest[:20]}.jpg", "width": width, "height": height}
    if index:
        write_atomic(folder / INDEX, json.dumps(index, indent=1) + "\n")


def load_pictures(result: Result, out: Path) -> dict[int, Picture]:
    """Reads the small copies; where there are none and the photos are the kit's samples, makes them.

    Returns:
        Photo index to its copy.
    """
    if not (out / FOLDER / INDEX).is_file():
        samples = {sha256_file(path): path for path in SAMPLES.glob("*.jpg")}
        if any(photo.sha256 in samples for photo in result.photos):
            try:
                keep_photos(result, out, samples)
            except OSError:
                return {}
    try:
        index = json.loads((out / FOLDER / INDEX).read_text(encoding="utf-8"))
        pictures = {}
        for number, photo in enumerate(result.photos):
            entry = index.get(photo.sha256)
            if entry is not None and Path(entry["file"]).name == entry["file"]:
                data = (out / FOLDER / entry["file"]).read_bytes()
                pictures[number] = Picture(data, int(entry["width"]), int(entry["height"]))
        return pictures
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def order(result: Result) -> list[int]:
    """Photo indices: misread ones first, then those on which combinations disagree, then the rest."""
    answers = [answers_of(result, cell.key) for cell in result.cells]
    wrong: set[int] = set()
    for answer in answers:
        found = accuracy(result.photos, answer)
        wrong |= set(found.wrong) if found else set()

    def rank(number: int) -> int:
        texts = {tuple(sorted(plate["text"] for plate in answer[number])) for answer in answers if number in answer}
        return 0 if number in wrong else 1 if len(texts) > 1 else 2

    answered = [number for number in range(len(result.photos)) if any(number in answer for answer in answers)]
    return sorted(answered, key=lambda number: (rank(number), number))


def photo_cards(result: Result, summary: ResultSummary, pictures: Mapping[int, Picture]) -> str:
    """Cards of the photos, or "" when no photo was answered."""
    answers = {cell.key: answers_of(result, cell.key) for cell in result.cells}
    cards = []
    numbers = order(result)
    for number in numbers[:MOST]:
        said = [
            (item.cell.precision, item.cell.label, answers[item.cell.key][number])
            for item in summary.cells
            if number in answers[item.cell.key]
        ]
        cards.append(_card(number, result.photos[number], said, pictures.get(number)))
    if not cards:
        return ""
    more = len(numbers) - len(cards)
    rest = (
        f'<p class="muted">{more} more photos were read; misread ones are shown first.</p>'
        if more
        else ""
    )
    return f'<div class="photos">{"".join(cards)}</div>{rest}'


def _card(
    number: int, photo: ResultPhoto, said: Sequence[tuple[str, str, list[RecordedPlate]]], picture: Picture | None
) -> str:
    truth = [plate["text"] for plate in photo.truth] if photo.truth is not None else None
    lines = []
    good = True
    for precision, label, plates in said:
        texts = [plate["text"] for plate in plates]
        right = accuracy([photo], {0: plates})
        passed = right is None or not right.wrong
        good &= passed
        mark = "" if right is None else "read right" if passed else "wrong"
        lines.append(
            f'<li><span class="key {escape(precision)}" aria-hidden="true"></span>{escape(label)}: '
            f'<strong lang="zh">{escape(", ".join(texts) or "nothing")}</strong>'
            f'<span class="{"ok" if passed else "bad"}"> {mark}</span></li>'
        )
    words = f"Photo {photo.name}. " + "; ".join(
        f"{label} read {', '.join(plate['text'] for plate in plates) or 'nothing'}"
        for _, label, plates in said
    )
    known = (
        f'<p class="muted">on the plate: <span lang="zh">{escape(", ".join(truth) or "none")}</span></p>'
        if truth is not None
        else ""
    )
    drawing = (
        _drawing(number, photo, said, picture, words) if picture else '<p class="muted">The photo is not available.</p>'
    )
    state = "" if good else " failed"
    return (
        f'<figure class="card{state}">{drawing}<figcaption><p class="name">{escape(photo.name)}</p>'
        f"<ul>{''.join(lines)}</ul>{known}</figcaption></figure>"
    )


def _drawing(
    number: int, photo: ResultPhoto, said: Sequence[tuple[str, str, list[RecordedPlate]]], picture: Picture, words: str
) -> str:
    data = base64.b64encode(picture.jpeg).decode("ascii")
    width, height = picture.width, picture.height
    styled = [(plate["box"], "truth") for plate in photo.truth or ()]
    for precision, _, plates in said:
        styled += [(plate["box"], f"box {escape(precision)}") for plate in plates if "box" in plate]
    boxes = [box for box, _ in styled]
    outlines = [f'<polygon points="{_points(box)}" class="{style}"/>' for box, style in styled]
    identity = f"photo{number}"
    scene = (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-labelledby="{identity}-t" class="scene">'
        f'<title id="{identity}-t">{escape(words)}</title>'
        f'<g id="{identity}"><image href="data:image/jpeg;base64,{data}" width="{width}" height="{height}"/>'
        f"{''.join(outlines)}</g></svg>"
    )
    if not boxes:
        return scene
    xs, ys = zip(*boxes[0], strict=True)
    pad = 0.25 * (max(xs) - min(xs)) + 8
    view = (
        f"{min(xs) - pad:.0f} {min(ys) - pad:.0f} {max(xs) - min(xs) + 2 * pad:.0f} {max(ys) - min(ys) + 2 * pad:.0f}"
    )
    zoom = f'<svg viewBox="{view}" class="zoom" aria-hidden="true"><use href="#{identity}"/></svg>'
    return scene + zoom


def _points(box: Box) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in box)
