"""Shows what each `score_thresh` keeps: plates read right, plates read wrong, and texts where there is no plate.

    python scripts/plate_v1_threshold.py DATA [NOT_PLATES]

DATA holds `ccpd/full/train` and `test` (CCPD names), and `field` and `more` (`truth.jsonl`, `photos`). NOT_PLATES is a
folder of photos without a mainland plate.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from edge.plate.ccpd import parse_name

PARTS = ("ccpd/full/train", "ccpd/full/test", "field/photos", "more/photos")
THRESHOLDS = (0.0, 0.1, 0.2, 0.26, 0.3, 0.4, 0.41, 0.5, 0.6, 0.7, 0.8, 0.9)


def main(data: Path, not_plates: Path | None) -> None:
    """Reads all photos once in each precision, and prints a line for each threshold."""
    truth = known_texts(data)
    for precision in ("fp32", "int8"):
        found = read(precision, [data / part for part in PARTS])
        texts = [(plate["score"], alike(plate["text"]) in truth[name], plate["text"]) for name, plate in found]
        none = [plate["score"] for _, plate in read(precision, [not_plates])] if not_plates else []
        print(f"{precision}: threshold, right, wrong, where there is no plate")
        for least in THRESHOLDS:
            kept = [right for score, right, _ in texts if score >= least]
            print(f"{least:.2f}  {sum(kept)}  {len(kept) - sum(kept)}  {sum(score >= least for score in none)}")
        lowest = sorted((score, text) for score, right, text in texts if right)[:4]
        print("lowest that are right:", ", ".join(f"{text} {score:.4f}" for score, text in lowest))


def known_texts(data: Path) -> dict[str, set[str]]:
    """Returns a photo's name to what may be read in it."""
    found = {path.name: {alike(parse_name(path).text)} for path in (data / "ccpd/full").rglob("*.jpg")}
    for part in ("field", "more"):
        for line in (data / part / "truth.jsonl").read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            texts = {alike(plate["plate"] or "###") for plate in entry["plates"]}
            # In `field` the file is named after the main plate.
            found[Path(entry["photo"]).name] = texts | ({alike(Path(entry["photo"]).stem)} if part == "field" else set())
    return found


def alike(text: str) -> str:
    """A text without separators, with 0 for O: police plates do not tell them apart."""
    return text.replace("·", "").replace("O", "0")


def read(precision: str, folders: list[Path]) -> list[tuple[str, dict[str, Any]]]:
    """Returns each plate that is read without a threshold, with its photo's name."""
    words = ["run", "--json", "--models", "plate-v1", "--precision", precision, "--set", "score_thresh=0"]
    done = subprocess.run([sys.executable, "-m", "edge", *words, *map(str, folders)], stdout=subprocess.PIPE, check=False)
    photos = json.loads(done.stdout)["photos"]
    return [(Path(photo["image"]).name, plate) for photo in photos for plate in photo.get("plates", ())]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
