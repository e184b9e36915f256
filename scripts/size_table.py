"""Measures what each way of storing weights costs and saves, and writes convert/results/sizes.md and sizes.json.

    python scripts/size_table.py --data DIR --work DIR

DIR of --data holds `full/test` (CCPD photos) and `crops/test.txt`. Bytes are of the files for arm; accuracy is
that of the x86 form of the same models on this host (x86 computes int8 models in float, with the same weights).
Finished parts in --work are not made again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from edge.base.paths import sha256_file, write_atomic

ROOT = Path(__file__).resolve().parent.parent
# Label, precision, options of `edge convert nb`. Packing changes no output (tests/convert/size/test_shrink.py), so the form
# that opt writes is as accurate as the packed one that follows it.
VARIANTS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("fp32, as opt writes it", "fp32", ("--no-pack",)),
    ("fp32, packed (default)", "fp32", ()),
    ("fp32, weights int16", "fp32", ("--weights", "int16")),
    ("fp32, weights int8", "fp32", ("--weights", "int8")),
    ("int8, as opt writes it", "int8", ("--weights", "keep", "--no-pack")),
    ("int8, packed", "int8", ("--weights", "keep")),
    ("int8, packed, float weights int8 (default)", "int8", ()),
)
SETS = {"plate-v1": "QAT", "ppocrv3": "static PTQ"}


def edge(*arguments: str) -> Any:
    """Runs an `edge` command with `--json` and returns its document."""
    command = [sys.executable, "-m", "edge", *arguments, "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 9) or not done.stdout.strip():
        raise SystemExit(f"{' '.join(arguments)}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def sources(name: str, work: Path) -> dict[str, Path]:
    """Returns a set's inference models by name (`det-fp32`, `rec-int8`, ...); makes the published ones."""
    if name != "ppocrv3":
        return {path.name: path for path in (ROOT / "edge" / "zoo" / name).iterdir() if (path / "card.json").is_file()}
    published = work / "published"
    if not (published / "rec" / "card.json").is_file():
        edge("train", "pretrained", "--out", str(published))
    found = {f"{task}-fp32": published / task for task in ("det", "rec")}
    for task in ("det", "rec"):
        found[f"{task}-int8"] = published / f"{task}-int8"
        if not (found[f"{task}-int8"] / "card.json").is_file():
            edge("train", "quantize", task, "--method", "ptq", "--model", str(published / task), "--out",
                 str(found[f"{task}-int8"]))  # fmt: skip
    return found


def measure(name: str, models: dict[str, Path], index: int, data: Path, work: Path) -> dict[str, Any]:
    """Converts one variant for arm and x86, verifies and evaluates it."""
    label, precision, options = VARIANTS[index]
    note = work / name / f"{index}.json"
    # A finished part says nothing about other models.
    cards = {key: sha256_file(folder / "card.json") for key, folder in models.items()}
    if note.is_file() and (kept := json.loads(note.read_text(encoding="utf-8"))).get("cards") == cards:
        finished: dict[str, Any] = kept["row"]
        return finished
    row: dict[str, Any] = {"set": name, "variant": label, "options": " ".join(options)}
    folders = []
    for task in ("det", "rec"):
        source = str(models[f"{task}-{precision}"])
        for target in ("arm", "x86"):
            folder = work / name / f"{index}-{task}-{target}"
            if target == "x86" and "--no-pack" in options:
                continue
            made = edge("convert", "nb", source, "--target", target, "--out", str(folder), "--force", *options)
            if target == "arm":
                row[f"{task}_bytes"] = made["bytes"]
            else:
                folders.append(str(folder))
                against = str(models[f"{task}-fp32"])
                few = ("--first", "4", "--threads", "1")
                verdict = edge("convert", "verify", str(folder), "--source", source, "--against", against, *few)
                row[f"{task}_verified"] = verdict["ok"]
    if not folders:
        twin = measure(name, models, index + 1, data, work)
        row |= {key: twin[key] for key in ("det_verified", "rec_verified", "e2e", "rec")}
        write_atomic(note, json.dumps({"cards": cards, "row": row}, ensure_ascii=False, indent=1))
        return row
    chosen = [part for folder in folders for part in ("--model", folder)]
    e2e = edge("train", "eval", "e2e", *chosen, "--labels", str(data / "full" / "test"))
    crops = edge("train", "eval", "rec", "--model", folders[1], "--labels", str(data / "crops" / "test.txt"))
    row["e2e"], row["rec"] = e2e["figures"]["all"], crops["figures"]["all"]
    write_atomic(note, json.dumps({"cards": cards, "row": row}, ensure_ascii=False, indent=1))
    return row


def table(rows: list[dict[str, Any]]) -> str:
    """Returns the Markdown page."""
    lines = [
        "# Bytes and accuracy",
        "",
        "What each way of storing the weights costs and saves. Made by",
        "",
        "    python scripts/size_table.py --data CCPD --work WORK",
        "",
        "Bytes: the `.nb` files for arm, opt 2.13rc0. F: end to end on `full/test` (50 photos, box IoU of 0.5 and",
        "exact text), accuracy: the plates of `crops/test`; both of the x86 form of the same models, on Paddle Lite.",
        "There an int8 model computes in float with its int8 weights; int8 kernels run on boards only. The int8 models",
        "of plate-v1 come of quantisation-aware training, those of ppocrv3 (published weights) of static quantisation.",
        "One photo is two points of F: differences of one or two photos between forms are chance.",
        "",
        "| set | form | detector | recogniser | both | F | accuracy | verified |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for row in rows:
        both = row["det_bytes"] + row["rec_bytes"]
        good = "yes" if row["det_verified"] and row["rec_verified"] else "no"
        lines.append(
            f"| {row['set']} | {row['variant']} | {row['det_bytes']:,} | {row['rec_bytes']:,} | {both:,} "
            f"| {100 * row['e2e']['fmeasure']:.2f} % | {100 * row['rec']['accuracy']:.2f} % | {good} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measures every variant of every set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    chosen = parser.parse_args()
    rows = []
    for name in SETS:
        (chosen.work / name).mkdir(parents=True, exist_ok=True)
        models = sources(name, chosen.work)
        for index in range(len(VARIANTS)):
            rows.append(measure(name, models, index, chosen.data.resolve(), chosen.work.resolve()))
            print(json.dumps(rows[-1], ensure_ascii=False), flush=True)
    results = ROOT / "convert" / "results"
    results.mkdir(exist_ok=True)
    (results / "sizes.json").write_text(json.dumps(rows, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    (results / "sizes.md").write_text(table(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
