"""The picture of a search: accuracy over time, with the Pareto front."""

from __future__ import annotations

from html import escape
from itertools import pairwise

from bench.report.frame import frame, precision_legend
from bench.report.svg import Scale, axis, chart, line, text, ticks
from bench.text.figures import figure
from bench.tune.search import Search, Trial
from edge.base.plural import counted

_HEIGHT = 300.0
_TOP = 24.0


def few_photos(count: int) -> str:
    """What accuracy on `count` photos is worth; "" from 300 on, where no error means less than 1 % of errors.

    Without an error in n photos the share that is read is above 0.05^(1/n) with 95 % (Clopper and Pearson, 1934).
    """
    if not 0 < count < 300:
        return ""
    least = 0.05 ** (1 / count)
    return f"Accuracy on {counted(count, 'photo')}: even without an error, only {least:.0%} is certain (at 95%)"


def front_page(search: Search, title: str, photos: int = 0) -> str:
    """Returns a self-contained HTML page with the plot and its table.

    Args:
        search: The outcome.
        title: Of the page.
        photos: With ground truth; 0 says nothing about them.
    """
    drawing, words = _plot(search)
    heads = "".join(f'<th scope="col">{name}</th>' for name in ("ms a photo", "F", "photos timed"))
    heads += '<th scope="col" class="words">outcome</th>'
    rows = "".join(_row(search, trial) for trial in search.trials)
    legend = precision_legend(trial.candidate.cell.precision for trial in search.trials if trial.n)
    body = (
        f'<header class="top"><h1>{escape(title)}</h1>'
        f'<p class="lead">{escape(". ".join(filter(None, (words, few_photos(photos)))))}.</p></header>'
        f'<main><section><h2>Accuracy over time</h2><p class="lead">Left is faster, up reads more; the line joins '
        "the settings that no other beats in both, the large dot is the chosen one.</p>"
        f"{legend}<figure>{drawing}</figure></section>"
        '<section><h2>Settings</h2><div class="scroll" tabindex="0" role="region" aria-label="Settings">'
        f"<table><thead><tr><td></td>{heads}</tr></thead><tbody>{rows}</tbody></table></div></section>"
        "</main>"
    )
    return frame(title, body)


def _plot(search: Search) -> tuple[str, str]:
    measured = [trial for trial in search.trials if trial.n]
    scale = Scale(0.0, max(trial.median_ms for trial in measured) * 1.06)
    low = min(0.9, search.min_f, *(trial.f_measure for trial in measured))

    def y(value: float) -> float:
        return _TOP + _HEIGHT * (1 - (value - low) / (1.005 - low))

    content = axis(scale, _TOP + _HEIGHT, _TOP, "ms")
    for mark in ticks(low, 1.0):
        content += [line(0, y(mark), 100, y(mark), "grid"), text(100, y(mark) - 4, f"F {mark:.0%}", "tick", "end")]
    content += [line(0, y(search.min_f), 100, y(search.min_f), "overall")]
    content.append(text(0, y(search.min_f) - 5, f"F {search.min_f:.0%} is asked for", "tick"))
    places = [(scale.at(item.median_ms), y(item.f_measure)) for item in map(search.trial, search.front)]
    for (x1, y1), (x2, y2) in pairwise(places):
        content += [line(x1, y1, x2, y1, "curve"), line(x2, y1, x2, y2, "curve")]
    for trial in measured:
        radius = 7 if trial.candidate.key == search.chosen else 4
        tip = f"{trial.candidate.key}: {figure(trial.median_ms)} ms, F {trial.f_measure:.1%}"
        content.append(
            f'<circle cx="{scale.at(trial.median_ms):.2f}%" cy="{y(trial.f_measure):.1f}" r="{radius}" '
            f'class="dot {escape(trial.candidate.cell.precision)}"><title>{escape(tip)}</title></circle>'
        )
    chosen = figure(search.trial(search.chosen).median_ms)
    words = f"{len(measured)} settings; the chosen one, {search.chosen}, takes {chosen} ms"
    drawing = chart(_TOP + _HEIGHT + 24, content, name="Accuracy over time", text=words, identity="front")
    return drawing, words


def _row(search: Search, trial: Trial) -> str:
    key = trial.candidate.key
    style = ' class="strong"' if key == search.chosen else ""
    shown = figure(trial.median_ms) if trial.n else "-"
    word = "chosen" if key == search.chosen else "front" if key in search.front else trial.why
    return (
        f'<tr{style}><th scope="row">{escape(key)}</th><td>{shown}</td><td>{trial.f_measure:.1%}</td>'
        f'<td>{trial.n}</td><td class="words">{escape(word)}</td></tr>'
    )
