"""`bench compare`: compare two results, gate regressions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.base.errors import InputError, NotValidError, UsageError
from edge.terminal.commandline import command, print_json
from edge.terminal.options import examples, force_option, json_option

if TYPE_CHECKING:
    from bench.compare.changes import Comparison
    from bench.record.result import Result


@command(epilog=examples(
    "bench compare before/result.json after/result.json",
    "bench compare before after --fail-if 5% --junit bench.xml",
))
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option("--fail-if", metavar="5%", help="Exit with 10 on a regression larger than this.")
@click.option("--confirm", is_flag=True, help="Measure B's release again on its device; only what shows twice counts.")
@click.option("--across-kinds", is_flag=True, help="Compare results of different kinds too.")
@click.option("--junit", "junit_file", type=click.Path(path_type=Path, dir_okay=False),
              help="Also write JUnit XML to this file.")  # fmt: skip
@click.option("--markdown", "markdown_file", type=click.Path(path_type=Path, dir_okay=False),
              help="Also write Markdown to this file.")  # fmt: skip
@force_option("Replace existing files of --junit and --markdown.")
@json_option
def compare(
    a: Path,
    b: Path,
    fail_if: str | None,
    confirm: bool,
    across_kinds: bool,
    junit_file: Path | None,
    markdown_file: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Compare result B with the baseline A (result.json files or their folders).

    A regression is larger than the limit and beyond noise. Exit codes: 0 no regression or no --fail-if, 3 the results
    cannot be compared (or, with --fail-if, have a single process), 10 regression.
    """
    from bench.compare.changes import DEFAULT_THRESHOLD, compare_results
    from bench.compare.show import junit, markdown, print_comparison, sentence
    from bench.record.result import load_result
    from bench.text.table import output
    from edge.base.paths import write_atomic

    threshold = parse_limit(fail_if) if fail_if else DEFAULT_THRESHOLD
    for path in (junit_file, markdown_file):
        if path is not None and path.exists() and not force:
            raise UsageError(f"{path} exists.", "Give another file, or --force to replace it.")
    baseline, candidate = load_result(a), load_result(b)
    found = compare_results(baseline, candidate, threshold=threshold, across_kinds=across_kinds)
    if confirm and found.regressions:
        found = _confirmed(found, baseline, candidate, b if b.is_dir() else b.parent, threshold)
    if junit_file:
        write_atomic(junit_file, junit(found))
    if markdown_file:
        write_atomic(markdown_file, markdown(found))
    if as_json:
        print_json(found.document())
    else:
        print_comparison(found, output())
    if found.obstacles and not found.changes:
        raise InputError(
            f"{a} and {b} cannot be compared: {found.obstacles[0]}.",
            "Measure both on the same board with the same photos and settings"
            + ("." if across_kinds else "; --across-kinds compares them anyway."),
        )
    if fail_if and found.regressions:
        raise NotValidError(sentence(found), "The table shows every stage.")
    if fail_if and found.undecided:
        raise InputError(sentence(found), "Measure with more processes: `bench run --plan default`.")


def parse_limit(text: str) -> float:
    """Reads `5%`, `5 %` or `0.05`.

    Raises:
        UsageError: Anything else, or a limit outside 0 to 100 %.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(%?)\s*", text)
    limit = float(match[1]) / (100 if match[2] else 1) if match else -1.0
    if not 0 <= limit <= 1:
        raise UsageError(f"--fail-if {text!r} is not a limit.", "Write 5% or 0.05.")
    return limit


def _confirmed(found: Comparison, a: Result, b: Result, folder: Path, threshold: float) -> Comparison:
    """Measures B once more; keeps as regressions only what shows both times."""
    from dataclasses import replace

    from bench.compare.changes import SAME, compare_results
    from bench.compare.confirm import measure_again

    second = compare_results(a, measure_again(b, folder), threshold=threshold)
    if second.obstacles:
        # A second measurement that cannot be compared clears nothing.
        note = "measured again, but the two cannot be compared; nothing is confirmed or withdrawn"
        return replace(found, notes=(*found.notes, note, *second.obstacles))
    again = {(change.cell, change.what) for change in second.regressions}
    changes = tuple(
        replace(change, verdict=SAME)
        if change.verdict == "regression" and change.unit == "ms" and (change.cell, change.what) not in again
        else change
        for change in found.changes
    )
    dropped = len(found.regressions) - sum(change.verdict == "regression" for change in changes)
    note = f"measured again: {len(found.regressions) - dropped} of {len(found.regressions)} regressions are confirmed"
    return replace(found, changes=changes, notes=(*found.notes, note))
