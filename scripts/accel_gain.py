"""Measures what the kit's depthwise kernel (`train/accel`) gains in a step of training, and prints it as JSON.

    python scripts/accel_gain.py [--rounds 7] [--threads 1] > train/results/accel-gain.json

Both networks train on the same rendered batch in one process, step by step in turn, so that other load affects both. A
ratio is the time without the kernel over the time with it; the median of the rounds, with the least and the greatest.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
from pathlib import Path

from train.accel.native import prepare_fit

RECIPES = {"rec": "rec-plate-160", "det": "det-plate"}
RENDERED = ("model.init=random", "data.photos=[]", "data.holdout=0.0", "data.synth_share=1.0")


def main() -> None:
    """Measures both tasks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    prepare_fit(chosen.threads)
    result = {
        "schema": "plate-edge/accel-gain/1",
        "command": f"python scripts/accel_gain.py --rounds {chosen.rounds} --threads {chosen.threads}",
        "processor": processor(),
        "threads": chosen.threads,
        **{task: measure(task, chosen.rounds) for task in RECIPES},
    }
    print(json.dumps(result, indent=1))


def measure(task: str, rounds: int) -> dict[str, object]:
    """Returns seconds a step and ratios of one recipe, the first round left out."""
    from train.accel.depthwise import accelerate
    from train.fit.loop import Fit
    from train.fit.start import start_fit
    from train.recipes.recipe import load_recipe

    recipe = load_recipe(RECIPES[task], (*RENDERED, "data.crops=[]") if task == "rec" else RENDERED)
    runs: list[Fit] = []
    for fast in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            run = start_fit(recipe, Path(folder), note=lambda text: None)
        if not fast:
            for layer in run.net.sublayers():
                vars(layer).pop("forward", None)  # What `accelerate` put there.
        runs.append(run)
    layers = accelerate(runs[1].net)
    if not layers:
        raise SystemExit("there is no kernel to measure: no C++ compiler, a GPU, or PLATE_EDGE_ACCEL=0")
    batch = runs[0].task.batch(0)
    times: list[list[tuple[float, float]]] = [[], []]
    for number in range(rounds + 1):
        for index in (0, 1) if number % 2 else (1, 0):
            wall, cpu = time.perf_counter(), time.process_time()
            runs[index]._one_step(iter([batch]))
            spent = (time.perf_counter() - wall, time.process_time() - cpu)
            runs[index].step += 1
            if number:
                times[index].append(spent)
    result: dict[str, object] = {"recipe": RECIPES[task], "batch": recipe.batch, "layers": layers, "rounds": rounds}
    for place, name in enumerate(("wall", "cpu")):
        plain, fast_times = ([spent[place] for spent in side] for side in times)
        ratios = sorted(one / other for one, other in zip(plain, fast_times, strict=True))
        result[name] = {
            "seconds_without": round(statistics.median(plain), 3),
            "seconds_with": round(statistics.median(fast_times), 3),
            "ratio": [round(value, 2) for value in (ratios[0], statistics.median(ratios), ratios[-1])],
        }
    return result


def processor() -> str:
    """Returns the processor's name."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n")
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    main()
