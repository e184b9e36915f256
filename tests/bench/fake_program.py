"""Stands in for `plate_ocr bench`: a real process that prints its JSON lines, with invented times and faults on demand.

Faults come from the environment, so that the command line is the one that the kit really builds:
FAKE_SEED (of the noise), FAKE_SCALE (times), FAKE_SLEEP (seconds an iteration really takes), FAKE_FAULT (name),
FAKE_STAGE=name:factor.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time

STAGES = {
    "decode": 5.0, "det_pre": 3.0, "det_infer": 80.0, "det_post": 0.4, "crop": 0.6, "rec_pre": 0.2, "rec_infer": 20.0,
    "rec_post": 0.1,
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("subcommand")
    for key in ("config", "threads", "power_mode", "det_limit_type", "det_limit_side", "decode"):
        parser.add_argument(f"--{key}")
    for key in ("warmup", "repeats"):
        parser.add_argument(f"--{key}", type=int)
    for key in ("warmup-ms", "min-ms", "max-ms"):
        parser.add_argument(f"--{key}", type=float)
    parser.add_argument("images", nargs="+")
    options = parser.parse_args()
    fault = os.environ.get("FAKE_FAULT", "")
    random.seed(os.environ["FAKE_SEED"])
    scale = float(os.environ.get("FAKE_SCALE", "1")) * random.lognormvariate(0, 0.01)
    if "int8" in options.config:
        scale *= 0.8
    stage, _, factor = os.environ.get("FAKE_STAGE", "none:1").partition(":")
    nap = float(os.environ.get("FAKE_SLEEP", "0"))

    def say(**event: object) -> None:
        print(json.dumps(event), flush=True)

    def times(index: int) -> dict[str, float]:
        ms = {key: value * scale * random.lognormvariate(0, 0.02) * (1 + 0.2 * index) for key, value in STAGES.items()}
        if stage in ms:
            ms[stage] *= float(factor)
        ms["total"] = sum(ms.values()) * (1.2 if fault == "sum" else 1.0) + 0.01
        return {key: round(value, 4) for key, value in ms.items()}

    if fault == "crash":
        print("plate_ocr: error: model error: cannot load det.nb", file=sys.stderr)
        return 4
    if fault == "signal":
        os.kill(os.getpid(), 11)
    threads = int(options.threads)
    say(
        event="start", schema="plate-ocr/events/9" if fault == "schema" else "plate-ocr/events/1", program="plate_ocr",
        version="0.1", runtime="v2.13-rc", compiler="gcc 12", abi="x86_64", pid=os.getpid(),
        threads={"requested": threads, "effective": max(1, threads // 2) if fault == "threads" else threads},
        power_mode={"requested": options.power_mode, "effective": "none" if fault == "mode" else options.power_mode},
        affinity=[0, 1], cpu_features=["avx2"], config={"decode": "greedy"}, images=len(options.images),
    )  # fmt: skip
    say(event="load", ms={"det": 30.0, "rec": 40.0}, rss_kb=100_000, hwm_kb=120_000)
    clock = 100.0
    first = {key: value * 2 for key, value in times(0).items()}
    peaks = {"decode": 121_000, "det_pre": 122_000, "det_infer": 180_000, "det_post": 180_000, "rec_infer": 190_000}
    say(event="first", t=clock, image=0, plates=1, boxes=1, ms=first, hwm_kb=peaks)
    for i in range(options.warmup):
        say(event="warmup", i=i, t=clock, image=0, plates=1, boxes=1, ms=times(0))
    count = 0
    while count < options.repeats:
        index = count % len(options.images)
        ms = times(index)
        if fault == "nan" and count == 3:
            ms["det_infer"] = float("nan")
        if fault == "negative" and count == 3:
            ms["crop"] = -1.0
        if fault == "clock" and count == 3:
            clock -= 200
        if fault == "garbage" and count == 2:
            print("[I  1/ 1 12:00:00.000 predictor.cc:42] hello", flush=True)
        if fault == "cut" and count == 3:
            sys.stdout.write('{"event": "iteration", "i": 3, "t": 12')
            sys.stdout.flush()
            return 0
        say(event="iteration", i=count, t=round(clock, 3), image=index, plates=1, boxes=1, ms=ms)
        clock += ms["total"]
        count += 1
        time.sleep(nap)
    answers = [
        {
            "image": path,
            "plates": [{"text": "皖A12345", "score": 0.99, "box": [[10, 10], [90, 10], [90, 40], [10, 40]]}],
        }
        for path in options.images
    ]
    end = {"iterations": count, "warmups": options.warmup, "rss_kb": 150_000, "hwm_kb": 200_000, "answers": answers}
    if fault == "answers":
        say(event="end", ok=False, why="the answer for a.jpg changed", **end)
    else:
        say(event="end", ok=True, **end)
    return 0


if __name__ == "__main__":
    sys.exit(main())
