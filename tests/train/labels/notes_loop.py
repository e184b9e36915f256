"""The labelling loop of the application note, which the kit's is held to, and photos with CCPD names for both."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from edge.photo.listing import SAMPLES
from edge.plate.ccpd import LETTERS, PROVINCES, SYMBOLS, CcpdName, format_name


def note_labels(photos: Path, out: Path, phase: str) -> None:
    """The application note's loop as it is described there: one process, photo by photo, sorted here."""
    (out / phase / "crop_imgs").mkdir(parents=True)
    det = (out / phase / "det.txt").open("w", encoding="utf-8")
    rec = (out / phase / "rec.txt").open("w", encoding="utf-8")
    with det, rec:
        for number, file in enumerate(sorted(path.name for path in (photos / phase).iterdir())):
            fields = file.split("-")
            indices = [int(index) for index in fields[4].split("_")]
            text = PROVINCES[indices[0]] + LETTERS[indices[1]] + "".join(SYMBOLS[index] for index in indices[2:])
            ring = [[int(value) for value in point.split("&")] for point in fields[3].split("_")]
            points = [ring[2], ring[3], ring[0], ring[1]]
            label = json.dumps([{"points": points, "transcription": text}], ensure_ascii=False)
            det.write(f"{phase}/{file}\t{label}\n")
            quad = np.float32(points)
            photo = cv2.imread(str(photos / phase / file))
            width = int(max(np.linalg.norm(quad[0] - quad[1]), np.linalg.norm(quad[2] - quad[3])))
            height = int(max(np.linalg.norm(quad[0] - quad[3]), np.linalg.norm(quad[1] - quad[2])))
            flat = np.float32([[0, 0], [width, 0], [width, height], [0, height]])
            matrix = cv2.getPerspectiveTransform(quad, flat)
            crop = cv2.warpPerspective(
                photo, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
            )
            if height / width >= 1.5:
                crop = np.rot90(crop)
            name = f"{number}_{fields[4]}.jpg"
            cv2.imwrite(str(out / phase / "crop_imgs" / name), crop)
            rec.write(f"{phase}/crop_imgs/{name}\t{text}\n")


def sample_names() -> dict[str, Path]:
    """CCPD names for the kit's sample photos."""
    names = {}
    for photo, plates in json.loads((SAMPLES / "labels.json").read_text(encoding="utf-8")).items():
        (plate,) = plates
        corners = tuple((x, y) for x, y in plate["box"])
        xs, ys = [x for x, _ in corners], [y for _, y in corners]
        box = ((min(xs), min(ys)), (max(xs), max(ys)))
        name = format_name(CcpdName("0200", (90, 90), box, corners, plate["text"], 100, 20))
        names[name] = SAMPLES / photo
    return names


def many(folder: Path, count: int) -> Path:
    """A folder with one phase, `all`, of links to the samples."""
    names = list(sample_names().items())
    (folder / "all").mkdir(parents=True)
    for number in range(count):
        name, photo = names[number % len(names)]
        (folder / "all" / name.replace("-100-20", f"-{number}-20")).symlink_to(photo)
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if (path.is_file() and path.name in ("det.txt", "rec.txt")) or path.parent.name == "crop_imgs"
    }
