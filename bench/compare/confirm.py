"""Measures a result's release once more, to see whether what it says shows again."""

from __future__ import annotations

from pathlib import Path

from bench.judge.summary import summarise_result
from bench.measure.opening import close_target, kit_facts, open_target
from bench.measure.progress import Watch
from bench.measure.session import Session
from bench.plan.plan import plan_from_mapping
from bench.record.result import Result
from bench.report.write import write_outputs
from edge.base.errors import DeviceError
from edge.device.board import find_device


def measure_again(result: Result, folder: Path) -> Result:
    """Runs a result's plan again on its device, into `folder/confirm-N`.

    Args:
        result: What is doubted.
        folder: Of that result.

    Returns:
        The new result.

    Raises:
        DeviceError: The device runs another release by now, has other photos, or was measured with knobs set or under
            another chip's name.
    """
    special = "--tune-board" if result.tuning else "--soc-alias" if result.device.get("soc_alias") else ""
    if special:
        raise DeviceError(
            f"the result was measured with {special}, which --confirm does not repeat.",
            "Run `bench run` again as before, and compare with that.",
        )
    plan = plan_from_mapping(dict(result.plan), "the result's plan")
    number = 1
    while (folder / f"confirm-{number}" / "result.json").exists():
        number += 1
    out = folder / f"confirm-{number}"
    watch = Watch()
    target = open_target(find_device(result.device["name"]), plan, installed=True, report=watch.step)
    try:
        if target.release != result.release:
            raise DeviceError(
                f"{result.device['name']} runs release {target.release}, the result is of {result.release}.",
                "Flash that release again, or compare without --confirm.",
            )
        if [photo.sha256 for photo in target.photos] != [photo.sha256 for photo in result.photos]:
            raise DeviceError(
                "the result was measured on --photos, which --confirm does not have.",
                "Run `bench run` again with the same --photos, and compare with that.",
            )
        again = Session(target, plan, out, kit=kit_facts(), command=("bench", "compare"), reporter=watch).run()
    finally:
        watch.close()
        close_target(target)
    write_outputs(again, summarise_result(again), out, report=False)
    return again
