"""A comparison for people, for a pull request and for a CI server."""

from __future__ import annotations

import re
from xml.sax.saxutils import escape, quoteattr

from rich.console import Console
from rich.markup import escape as markup

from bench.compare.changes import IMPROVEMENT, REGRESSION, Comparison, FigureChange
from bench.text.figures import STAGE_TITLES, figure, megabytes
from bench.text.markdown import escape as plain
from bench.text.table import columns
from edge.base.plural import counted

_COLOURS = {REGRESSION: "red", IMPROVEMENT: "green"}


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Prints one table a combination."""
    for text in comparison.obstacles:
        console.print(f"[yellow]cannot be compared[/yellow]: {markup(text)}")
    for text in comparison.notes:
        console.print(markup(text), style="dim")
    for cell in dict.fromkeys(change.cell for change in comparison.changes):
        table = columns("", "A", "B", "B / A", "interval", "", left=(0, 5), title=markup(cell), style="bold")
        for change in (item for item in comparison.changes if item.cell == cell):
            colour = _COLOURS.get(change.verdict, "")
            word = f"[{colour}]{change.verdict}[/{colour}]" if colour else ""
            table.add_row(
                STAGE_TITLES.get(change.what, change.what), value(change, change.before), value(change, change.after),
                f"{change.ratio:.3f}", interval(change), word,
            )  # fmt: skip
        console.print(table)
    console.print(markup(sentence(comparison)))


def sentence(comparison: Comparison) -> str:
    """The outcome in one line."""
    if comparison.obstacles and not comparison.changes:
        return "The two results cannot be compared."
    found = comparison.regressions
    limit = f"more than {comparison.threshold:.0%} and beyond noise"
    if not found and comparison.undecided:
        return f"No regression seen ({limit}), but nothing can be said about {', '.join(comparison.undecided)}: one process."
    if not found:
        return f"No regression ({limit})."
    named = "; ".join(f"{c.cell} {STAGE_TITLES.get(c.what, c.what)} x{c.ratio:.2f}" for c in found)
    return f"{counted(len(found), 'regression')} ({limit}): {named}."


def markdown(comparison: Comparison) -> str:
    """The comparison as Markdown."""
    lines = [f"**{plain(sentence(comparison))}**", ""]
    lines += [f"- cannot be compared: {plain(text)}" for text in comparison.obstacles]
    lines += [f"- {plain(text)}" for text in comparison.notes]
    for cell in dict.fromkeys(change.cell for change in comparison.changes):
        lines += ["", f"### {plain(cell)}", "", "| | A | B | B / A | interval | |", "| --- | --: | --: | --: | --: | --- |"]
        for change in (item for item in comparison.changes if item.cell == cell):
            word = f"**{change.verdict}**" if change.verdict in _COLOURS else ""
            lines.append(
                f"| {STAGE_TITLES.get(change.what, change.what)} | {value(change, change.before)} | "
                f"{value(change, change.after)} | {change.ratio:.3f} | {interval(change)} | {word} |"
            )
    return "\n".join(lines) + "\n"


def junit(comparison: Comparison) -> str:
    """The comparison as JUnit XML: a suite a combination, a case a figure, a failure a regression."""
    suites = []
    failures = total = 0
    if comparison.obstacles and not comparison.changes:
        text = _xml("; ".join(comparison.obstacles))
        case = f'<testcase classname="compare" name="comparable"><error message={quoteattr(text)}/></testcase>'
        suites.append(f'<testsuite name="compare" tests="1" failures="0" errors="1">{case}</testsuite>')
        total = 1
    for cell in dict.fromkeys(change.cell for change in comparison.changes):
        cases = []
        bad = 0
        for change in (item for item in comparison.changes if item.cell == cell):
            said = (
                f"{value(change, change.before)} -> {value(change, change.after)}, x{change.ratio:.3f} "
                f"({interval(change)})"
            )
            inner = f"<system-out>{escape(said)}</system-out>"
            if change.unit == "ms" and change.low is None:
                inner = '<skipped message="a single process: nothing can be said"/>' + inner
            if change.verdict == REGRESSION:
                bad += 1
                inner = f'<failure message={quoteattr(f"{change.what}: {said}")} type="regression"/>' + inner
            cases.append(f"<testcase classname={quoteattr(_xml(cell))} name={quoteattr(change.what)}>{inner}</testcase>")
        suites.append(
            f'<testsuite name={quoteattr(_xml(cell))} tests="{len(cases)}" failures="{bad}" errors="0">'
            f"{''.join(cases)}</testsuite>"
        )
        failures, total = failures + bad, total + len(cases)
    errors = 1 if comparison.obstacles and not comparison.changes else 0
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="bench compare" tests="{total}" '
        f'failures="{failures}" errors="{errors}">{"".join(suites)}</testsuites>\n'
    )


def _xml(text: str) -> str:
    """Without the control characters that no XML may hold, not even escaped."""
    return re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", "\ufffd", text)


def value(change: FigureChange, number: float) -> str:
    """A figure with its unit."""
    if change.unit == "ms":
        return f"{figure(number)} ms"
    return megabytes(int(number)) if change.unit == "B" else f"{change.unit} {number:.1%}"


def interval(change: FigureChange) -> str:
    """`0.98 to 1.03`; "" for figures without noise."""
    if change.unit != "ms":
        return ""
    return f"{change.low:.3f} to {change.high:.3f}" if change.low is not None and change.high is not None else "none"
