"""Measures plate-v1 on the test photos; writes the figures to `train/results/plate-v1` and into the cards of the zoo.

    python scripts/plate_v1_measure.py DATA

DATA holds `full/test` (CCPD photos) and `crops/test.txt`. Weather is not in CCPD's labels: `weather.tsv` names the photos
on which a person saw snow or rain.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from edge.bundle.zoo import SHIPPED
from edge.model.card import load_model, save_model

RESULTS = Path(__file__).resolve().parents[1] / "train" / "results" / "plate-v1"
ZOO = SHIPPED / "plate-v1"
SETS = {"det": "full/test", "rec": "crops/test.txt", "e2e": "full/test"}
SAID = {"full/test": "full/test (50 photos)", "crops/test.txt": "crops/test (300 crops)"}


def main(data: Path) -> None:
    """Runs `edge train eval` for every task and precision."""
    found = {}
    for precision in ("fp32", "int8"):
        for task, labels in SETS.items():
            models = [
                item for part in ("det", "rec") if task in (part, "e2e") for item in ("--model", ZOO / f"{part}-{precision}")
            ]
            kinds = () if task == "rec" else ("--by-kind", "--kinds", RESULTS / "weather.tsv")
            command = [
                "-m",
                "edge",
                "train",
                "eval",
                task,
                *models,
                "--labels",
                data / labels,
                *kinds,
                "--mistakes",
                "--json",
            ]
            answer = json.loads(subprocess.check_output([sys.executable, *map(str, command)]))
            entry = {"data": SAID[labels], "figures": answer["figures"]}
            if task == "rec":
                entry["greedy"] = answer["decodings"]["separators"]
            entry["mistakes"] = [
                {**item, **({"image": Path(item["image"]).name} if "image" in item else {})} for item in answer["mistakes"]
            ]
            found[f"{task}-{precision}"] = entry
    for precision in ("fp32", "int8"):
        for task in ("det", "rec"):
            model = load_model(ZOO / f"{task}-{precision}")
            metrics = {name: found[f"{name}-{precision}"] for name in (task, "e2e")}
            card = {name: {key: entry[key] for key in ("data", "figures")} for name, entry in metrics.items()}
            kept = {name: entry for name, entry in model.card.metrics.items() if name not in card}
            save_model(model.folder, replace(model.card, metrics={**kept, **card}), [item.path for item in model.card.files])
            found[f"{task}-{precision}"]["bytes"] = model.card.bytes
    (RESULTS / "metrics.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
