"""The pictures of the report; each says in words what it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import Any

import numpy as np

from bench.judge.summary import OTHER, ROWS, CellSummary, ResultSummary
from bench.record.result import Process, Result, ResultCell
from bench.report.svg import Scale, axis, chart, clipped, dot, line, rect, text, ticks
from bench.text.facts import settings, span_text
from bench.text.figures import STAGE_TITLES, figure, megabytes
from edge.base.plural import counted
from edge.base.treemap import squarify

MOST_DOTS = 1200
# Of the stacked bars, in pixels: height of one, and from one to the next with the two lines of text above it.
_BAR, _STEP = 34, 85.0
_HISTOGRAM = 66.0
# Of the treemap: the band of the largest set in pixels, and the width for which its tiles are laid out (a phone's).
_TALLEST, _WIDE = 152.0, 350.0
# Percent of the width from which a label fits into a bar on a desk, and on a phone.
_FITS, _FITS_PHONE = 14, 34


def stage_bars(summary: ResultSummary) -> str:
    """Stacked bars: where the time of one photo goes, all combinations on one scale."""
    items = [item for item in summary.cells if item.total is not None]
    if not items:
        return ""
    widest = max(max(_parts_sum(item), item.total.median) for item in items if item.total)
    scale = Scale(0.0, widest)
    content: list[str] = []
    said = []
    for number, item in enumerate(items):
        assert item.total is not None
        top = number * _STEP
        words = f"{item.cell.label}, {settings(item)}"
        content += [
            text(0, top + 14, item.cell.label, "label strong"),
            text(100, top + 14, f"{figure(item.total.median)} ms", "label strong", "end"),
            text(0, top + 30, settings(item), "tick"),
        ]
        x = 0.0
        parts = []
        for row in ROWS[:-1]:
            if row not in item.stages:
                continue
            value = max(0.0, item.stages[row].median)
            width = scale.at(value)
            tip = f"{STAGE_TITLES[row]}: {figure(value)} ms ({value / item.total.median:.1%})"
            content.append(rect(x, top + 37, width, _BAR, f"stage {row}", tip))
            if width >= _FITS:
                style = "inside" if width >= _FITS_PHONE else "inside desk"
                content.append(clipped(x, top + 42, width, 24, [f"{STAGE_TITLES[row]} {figure(value)}"], style))
            parts.append(f"{STAGE_TITLES[row]} {figure(value)}")
            x += width
        said.append(f"{words}: total {figure(item.total.median)} ms; {', '.join(parts)}")
    bottom = len(items) * _STEP - 8
    content = [*axis(scale, bottom, 37, "ms"), *content]
    return chart(bottom + 22, content, name="Time of one photo by stage", text=". ".join(said) + ".", identity="bars")


def legend() -> str:
    """Colours of the stages."""
    shown = [row for row in ROWS if row != "total"]
    keys = "".join(
        f'<li><svg width="14" height="14" aria-hidden="true"><rect width="14" height="14" rx="3" class="stage {row}"/>'
        f"</svg>{STAGE_TITLES[row]}</li>"
        for row in shown
    )
    return f'<ul class="legend">{keys}</ul>'


def distribution(result: Result, item: CellSummary, identity: str) -> str:
    """Histogram of the totals, and every process as a row of dots with its median."""
    processes = result.of(item.cell.key)
    if not processes or item.total is None:
        return ""
    pooled = np.concatenate([np.asarray(process.ms["total"]) for process in processes])
    # The axis ends where nearly all values are; what lies beyond is counted in words and never dropped from figures.
    high = float(np.quantile(pooled, 0.99)) if pooled.size >= 200 else float(pooled.max())
    low = float(pooled.min())
    margin = max((high - low) * 0.04, high * 0.002)
    scale = Scale(max(0.0, low - margin), high + margin)
    beyond = int((pooled > scale.high).sum())
    style = item.cell.precision
    content = _histogram(pooled, scale, style)
    top = _HISTOGRAM + 20.0
    step = 14.0 if len(processes) <= 12 else 8.0
    every = max(1, -(-pooled.size // MOST_DOTS))
    generator = np.random.default_rng(0)
    for number, process in enumerate(processes):
        y = top + number * step + step / 2
        values = np.sort(np.asarray(process.ms["total"]))
        shown = values[::every]
        shift = generator.uniform(-step / 3.2, step / 3.2, shown.size)
        content += [
            dot(scale.at(float(v)), y + float(s), 2.2, f"dot {style}") for v, s in zip(shown, shift, strict=True)
        ]
        middle = scale.at(float(np.median(values)))
        content.append(line(middle, y - step / 2 + 1, middle, y + step / 2 - 1, "median"))
    bottom = top + len(processes) * step + 4
    interval = item.total.interval
    if interval is not None:
        left, right = scale.at(interval.low), scale.at(interval.high)
        content.insert(0, rect(left, 20, right - left, bottom - 20, "band", "95% interval of the median"))
    middle = scale.at(item.total.median)
    content.append(line(middle, 20, middle, bottom, "overall"))
    content = [*axis(scale, bottom, 20, "ms"), *content]
    words = (
        f"{counted(item.total.n, 'photo')} in {counted(len(processes), 'process')}: "
        f"median {figure(item.total.median)} ms, "
        f"from {figure(item.total.minimum)} to {figure(item.total.maximum)} ms"
        + (f", 95% interval of the median {figure(interval.low)} to {figure(interval.high)} ms" if interval else "")
        + (f"; {beyond} slower than the axis shows" if beyond else "")
    )
    caption = f"<figcaption><strong>{escape(item.cell.label)}</strong>, {escape(settings(item))}. {words}.</figcaption>"
    name = f"Distribution of photo times, {item.cell.label}"
    drawing = chart(bottom + 22, content, name=name, text=words, identity=identity)
    return f"<figure>{caption}{drawing}</figure>"


def timeline(result: Result, summary: ResultSummary) -> str:
    """Every photo's time over the session, with temperature, clock, power and load below where they were recorded."""
    processes = [process for process in result.processes if process.times]
    if not processes:
        return ""
    end = max(process.offset_s + max(process.seconds, process.times[-1] / 1000) for process in processes)
    scale = Scale(0.0, max(end, 1.0))
    content: list[str] = []
    top = _points(result, summary, processes, scale, content)
    said = [f"{sum(len(process.times) for process in processes)} photos over {end:.0f} s"]
    for title, unit, key, factor in (
        ("temperature", "°C", "temperatures", 1.0),
        ("clock", "MHz", "frequencies", 1e-3),
        ("power", "W", "power_w", 1.0),
        ("load average", "", "load", 1.0),
    ):
        series = _series(result, key, factor)
        if len(series) >= 2:
            values = [value for _, value in series]
            said.append(f"{title} {span_text(values)} {unit}".strip())
            top = _curve(series, title, unit, scale, content, top)
    grid = axis(scale, top, 18, "s")
    return chart(top + 22, [*grid, *content], name="Session over time", text="; ".join(said) + ".", identity="time")


def size_map(summary: ResultSummary) -> str:
    """Treemap of the model files: a band a set of models, areas are bytes, all on one scale."""
    bands: dict[str, list[ResultCell]] = {}
    for cell in {item.cell.label: item.cell for item in summary.cells}.values():
        bands.setdefault(cell.model, []).append(cell)
    largest = max((_bytes(cells) for cells in bands.values()), default=0)
    if not largest:
        return ""
    content: list[str] = []
    said = []
    top = 0.0
    for model, cells in bands.items():
        content.append(text(0, top + 14, model, "label strong"))
        height = _TALLEST * _bytes(cells) / largest
        content += _band(cells, top + 58, height)
        top += 58 + height + 14
        said += [f"{cell.label}: detector {cell.det_bytes:,} bytes, recogniser {cell.rec_bytes:,} bytes" for cell in cells]
    return chart(top - 12, content, name="Sizes of the models", text="; ".join(said) + ".", identity="sizes")


def _band(cells: Sequence[ResultCell], top: float, height: float) -> list[str]:
    """The precisions of one set side by side, over the whole width; their labels above."""
    content = []
    x = 0.0
    for cell in cells:
        share = 100 * _bytes([cell]) / max(1, _bytes(cells))
        label = [cell.precision, megabytes(_bytes([cell]))]
        content.append(clipped(x, top - 38, share, 36, label, "label", 0))
        for tile in squarify([cell.rec_bytes, cell.det_bytes], _WIDE * share / 100, height):
            name, count = (("recogniser", cell.rec_bytes), ("detector", cell.det_bytes))[tile.index]
            left, width = x + 100 * tile.x / _WIDE, 100 * tile.width / _WIDE
            style, tip = f"tile {cell.precision} {name}", f"{cell.label} {name}: {count:,} bytes"
            content.append(rect(left, top + tile.y, width, tile.height, style, tip))
            content.append(clipped(left, top + tile.y, width, tile.height, [name, megabytes(count)], "inside"))
        x += share
    return content


def _bytes(cells: Sequence[ResultCell]) -> int:
    return sum(cell.det_bytes + cell.rec_bytes for cell in cells)


def _parts_sum(item: CellSummary) -> float:
    return sum(max(0.0, item.stages[row].median) for row in ROWS if row != "total" and row in item.stages)


def _histogram(pooled: np.ndarray[Any, np.dtype[np.float64]], scale: Scale, style: str) -> list[str]:
    bins = int(min(60, max(8, np.sqrt(pooled.size) * 1.5)))
    counts, edges = np.histogram(pooled, bins=bins, range=(scale.low, scale.high))
    tallest = max(1, int(counts.max()))
    content = [text(0, 11, f"tallest bar: {counted(tallest, 'photo')}", "tick")]
    for count, left, right in zip(counts, edges[:-1], edges[1:], strict=True):
        if count:
            size = _HISTOGRAM * count / tallest
            tip = f"{figure(float(left))} to {figure(float(right))} ms: {counted(count, 'photo')}"
            width = scale.at(float(right)) - scale.at(float(left))
            content.append(rect(scale.at(float(left)), 14 + _HISTOGRAM - size, width * 0.94, size, f"bar {style}", tip))
    return content


def _points(
    result: Result, summary: ResultSummary, processes: Sequence[Process], scale: Scale, content: list[str]
) -> float:
    every = max(1, -(-sum(len(process.times) for process in processes) // MOST_DOTS))
    highest = max(float(np.quantile(process.ms["total"], 0.99)) for process in processes) * 1.08
    height = 150.0
    content.append(text(0, 14, "ms a photo", "label"))
    beyond = sum(total > highest for process in processes for total in process.ms["total"])
    if beyond:
        content.append(text(100, 14, f"drawn at the top: {beyond} slower than {figure(highest)} ms", "tick", "end"))
    for mark in ticks(0.0, highest, 4)[1:]:
        y = 18 + height * (1 - mark / highest)
        content += [line(0, y, 100, y, "grid"), text(100, y - 4, f"{mark:g} ms", "tick", "end")]
    for process in processes:
        style = result.cell(process.cell).precision
        for at, total in list(zip(process.times, process.ms["total"], strict=True))[::every]:
            y = 18 + height * (1 - min(1.0, total / highest))
            content.append(dot(scale.at(process.offset_s + at / 1000), y, 2.0, f"dot {style}"))
    content.append(line(0, 18 + height, 100, 18 + height, "base"))
    return 18 + height


def _series(result: Result, key: str, factor: float) -> list[tuple[float, float]]:
    looks: list[tuple[float, Mapping[str, Any]]] = [(sample["t"], sample) for sample in result.samples]
    for process in result.processes:
        looks += [(process.offset_s, process.before or {}), (process.offset_s + process.seconds, process.after or {})]
    return sorted((at, _highest(look[key]) * factor) for at, look in looks if look.get(key))


def _highest(value: Any) -> float:
    return float(max(value.values()) if isinstance(value, dict) else value)


def _curve(
    series: Sequence[tuple[float, float]], title: str, unit: str, scale: Scale, content: list[str], top: float
) -> float:
    height, head = 46.0, 24.0
    values = [value for _, value in series]
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    content.append(text(0, top + 18, title, "label"))
    content.append(text(100, top + 18, f"{span_text(values)} {unit}".strip(), "tick", "end"))
    step = max(1, len(series) // 400)
    places = [(scale.at(at), top + head + height * (1 - (value - low) / span)) for at, value in series[::step]]
    for (x1, y1), (x2, y2) in pairwise(places):
        content.append(line(x1, y1, x2, y2, "curve"))
    bottom = top + head + height + 4
    content.append(line(0, bottom, 100, bottom, "base"))
    return bottom


def stage_share(item: CellSummary) -> str:
    """The two largest stages in words, for people who do not see the bars."""
    if item.total is None:
        return ""
    rows = [(item.stages[row].median, row) for row in ROWS[:-1] if row in item.stages and row != OTHER]
    largest = sorted(rows, reverse=True)[:2]
    return " and ".join(f"{STAGE_TITLES[row]} {value / item.total.median:.0%}" for value, row in largest)
