"""The HTML report: one file, no script, nothing fetched from anywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from bench.judge.summary import ROWS, ResultSummary
from bench.record.result import Result
from bench.report.charts import distribution, legend, size_map, stage_bars, stage_share, timeline
from bench.report.frame import frame, precision_legend
from bench.report.photos import Picture, photo_cards
from bench.stats.describe import MIN_SAMPLES
from bench.text.facts import (
    COMPARISON_TITLES,
    KIND_TEXT,
    NOTE_FOOTNOTE,
    OWN_FOOTNOTE,
    STAGE_FOOTNOTE,
    VERDICT_TEXT,
    comparison_rows,
    conditions,
    hashes,
    note_rows,
    own_settings,
    settings,
    shared_settings,
    size_text,
    title,
)
from bench.text.figures import (
    STAGE_TITLES,
    count,
    few_timed,
    figure,
    interval,
    pair,
    pair_sentence,
    peak_memory,
    plates_right,
    shared_reasons,
    variation,
)
from bench.text.memory import CAPTION, memory_rows
from edge.base.plural import counted


def page(result: Result, summary: ResultSummary, pictures: Mapping[int, Picture]) -> str:
    """Returns the text of `report.html`.

    Args:
        result: What was measured.
        summary: Its figures.
        pictures: Photo index to its small copy.
    """
    sections = [
        ("conditions", "Conditions", _conditions(result)),
        ("times", "Times", _times(summary)),
        ("stages", "Where the time goes", _stages(summary)),
        ("note", "Beside the application note", _note(result, summary)),
        ("sizes", "Sizes", _sizes(summary)),
        ("memory", "Memory", _memory(summary)),
        ("spread", "How far the times spread", _spread(result, summary)),
        ("session", "The session", _session(result, summary)),
        ("photos", "Photos", _photos(result, summary, pictures)),
        ("hashes", "Hashes", _hashes(result)),
    ]
    shown = [(key, name, body) for key, name, body in sections if body]
    links = "".join(f'<li><a href="#{key}">{name}</a></li>' for key, name, _ in shown)
    bodies = "".join(
        f'<section id="{key}" aria-labelledby="h-{key}"><h2 id="h-{key}">{name}</h2>{body}</section>'
        for key, name, body in shown
    )
    body = (
        '<a class="skip" href="#content">Skip to the content</a>'
        f'<header class="top">{_head(result, summary)}<nav aria-label="Sections"><ul>{links}</ul></nav></header>'
        f'<main id="content">{_verdict(result, summary)}{_tiles(summary)}{bodies}</main>'
        f"<footer><p>Made by the plate edge kit {escape(str(result.kit.get('version', '')))} from "
        f"<code>result.json</code>, which holds every single value. p90 needs {MIN_SAMPLES[90]} iterations, p95 "
        f"{MIN_SAMPLES[95]}, p99 {MIN_SAMPLES[99]}; intervals are 95% by a hierarchical bootstrap over processes and "
        "iterations; no outlier was dropped.</p></footer>"
    )
    return frame(title(result), body)


def _head(result: Result, summary: ResultSummary) -> str:
    kind = KIND_TEXT[str(result.device.get("kind"))]
    where = kind or str(result.facts.get("model") or result.device.get("soc") or "")
    count = sum(item.total.n for item in summary.cells if item.total)
    return (
        '<span class="plate" aria-hidden="true"><i>端</i>·EDGE KIT</span>'
        f"<h1>{escape(str(result.device.get('title')))}</h1>"
        f'<p class="lead">Licence plates read on <strong>{escape(str(result.device.get("name")))}</strong>'
        f"{f' ({escape(where)})' if where else ''}, {escape(result.created[:16].replace('T', ' '))} UTC, "
        f"plan <strong>{escape(str(result.plan.get('name')))}</strong>, {counted(count, 'photo')} timed.</p>"
    )


def _verdict(result: Result, summary: ResultSummary) -> str:
    entries = []
    shared = shared_reasons(summary)
    if shared:
        inner = "".join(f"<li>{escape(reason)}</li>" for reason in shared)
        entries.append(f"<li>All combinations<ul>{inner}</ul></li>")
    for item in summary.cells:
        name = escape(f"{item.cell.label}, {settings(item)}")
        inner = "".join(f"<li>{escape(reason)}</li>" for reason in item.verdict.reasons if reason not in shared)
        reasons = f"<ul>{inner}</ul>" if inner else ""
        badge = f'<span class="badge {item.verdict.level}">{item.verdict.level}</span>'
        entries.append(f"<li>{badge} {name}{reasons}</li>")
    broken = f'<p class="bad">Incomplete: {escape(result.why)}</p>' if not result.complete else ""
    notes = "".join(f'<p class="callout">{escape(note)}</p>' for note in result.notes)
    return (
        f'<section class="verdict {summary.level}" aria-labelledby="h-verdict"><h2 id="h-verdict">Verdict: '
        f'<span class="badge">{summary.level}</span></h2>'
        f'<p class="say">{VERDICT_TEXT[summary.level]}</p>{broken}{notes}'
        f"<ul>{''.join(entries)}</ul></section>"
    )


def _tiles(summary: ResultSummary) -> str:
    tiles = []
    for item in summary.cells:
        if item.total is None:
            continue
        spread = f"95% interval: {interval(item.total)} ms" if item.total.interval else "no interval: one process"
        counts = item.accuracy.kinds if item.accuracy else ()
        kinds = ", ".join(f"{escape(name)} {right} of {truth}" for name, right, truth in counts)
        more = f" ({kinds})" if kinds else ""
        plates = f"<p>{plates_right(item)} plates read right{more}</p>" if item.accuracy else ""
        idle = item.millijoules_above_idle
        above = f", {idle:.0f} of them above idling" if idle is not None else ""
        energy = f"<p>{item.millijoules:.0f} mJ a photo{above}</p>" if item.millijoules else ""
        tiles.append(
            f'<div class="tile-box {escape(item.cell.precision)}"><p><strong>{escape(item.cell.label)}</strong></p>'
            f'<p class="big">{figure(item.total.median)} <small>ms a photo</small></p><p class="muted">{spread}</p>'
            f"<p>{(item.cell.det_bytes + item.cell.rec_bytes) / 1e6:.2f} MB of models</p>{plates}{energy}"
            f'<p class="muted">{escape(settings(item))}</p></div>'
        )
    return f'<div class="tiles">{"".join(tiles)}</div>' if tiles else ""


def _conditions(result: Result) -> str:
    rows = []
    for row in conditions(result):
        value = escape(row.value) if row.value else f'<span class="muted">not recorded: {escape(row.reason)}</span>'
        rows.append(f"<div><dt>{escape(row.name)}</dt><dd>{value}</dd></div>")
    return f'<dl class="record">{"".join(rows)}</dl>'


def _times(summary: ResultSummary) -> str:
    body = []
    for row in ROWS:
        values = [pair(item.stages.get(row)) for item in summary.cells]
        body.append(_row(STAGE_TITLES[row], values, "strong" if row == "total" else ""))
    extra: list[tuple[str, list[str]]] = [
        ("95% interval of the median", [interval(item.total) for item in summary.cells]),
        ("p95", [figure(item.total.p95 if item.total else None) for item in summary.cells]),
        ("p99", [figure(item.total.p99 if item.total else None) for item in summary.cells]),
        ("variation of a photo (cv)", [variation(item.total) for item in summary.cells]),
        ("median absolute deviation", [figure(item.total.mad if item.total else None) for item in summary.cells]),
        ("rec infer, one plate", [pair(item.rec_per_plate) for item in summary.cells]),
        ("load, both models", [figure(item.load_ms) for item in summary.cells]),
        ("first photo, cold", [figure(item.first_ms) for item in summary.cells]),
        ("photos timed (processes)", [count(item.total) for item in summary.cells]),
        ("peak memory", [peak_memory(item) for item in summary.cells]),
    ]
    body += [_row(name, values) for name, values in extra]
    lacks = any(item.total is not None and item.total.p99 is None for item in summary.cells)
    dash = (
        f"- not given: a p95 needs {MIN_SAMPLES[95]} timed photos and a p99 {MIN_SAMPLES[99]}; an interval needs two "
        "processes, and the variation a photo that was timed twice."
    )
    star = "".join(f'<p class="muted">{said}</p>' for said in (few_timed(summary), dash if lacks else "") if said)
    sentences = "".join(f"<p>{escape(pair_sentence(twins))}</p>" for twins in summary.pairs)
    caption = _with_settings("Milliseconds, median / p90 over all photos", summary)
    return _table(caption, _heads(summary), body, "times") + star + sentences


def _stages(summary: ResultSummary) -> str:
    bars = stage_bars(summary)
    if not bars:
        return ""
    words = "; ".join(f"{item.cell.label}: {stage_share(item)}" for item in summary.cells if item.total)
    lead = f'<p class="lead">Medians of each stage on one scale. Largest: {escape(words)}.</p>'
    return f'{lead}<figure>{bars}</figure>{legend()}<p class="muted">{escape(STAGE_FOOTNOTE)}</p>'


def _note(result: Result, summary: ResultSummary) -> str:
    kind = KIND_TEXT[str(result.device.get("kind"))]
    where = f"{result.device.get('name')} ({kind})" if kind else str(result.device.get("title"))
    body = [_row(row[0], row[1:], "note") for row in note_rows()]
    body += [_row(row[0], row[1:]) for row in comparison_rows(summary)]
    used = f": {', '.join(shared_settings(summary))}" if shared_settings(summary) else ""
    lead = f'<p class="lead">The note\'s figures, and below them those of {escape(where + used)}.</p>'
    table = _table("Sizes, milliseconds and plates.", list(COMPARISON_TITLES), body, "note")
    return f'{lead}{table}<p class="muted">{escape(NOTE_FOOTNOTE)}</p><p class="muted">{escape(OWN_FOOTNOTE)}</p>'


def _sizes(summary: ResultSummary) -> str:
    seen = {item.cell.label: item.cell for item in summary.cells}
    body = [
        _row(label, [size_text(cell.det_bytes), size_text(cell.rec_bytes), size_text(cell.det_bytes + cell.rec_bytes)])
        for label, cell in seen.items()
    ]
    table = _table("Bytes of the .nb files.", ["", "detector", "recogniser", "both"], body, "sizes")
    return f'<p class="lead">Areas are bytes, all on one scale.</p><figure>{size_map(summary)}</figure>{table}'


def _memory(summary: ResultSummary) -> str:
    rows = memory_rows(summary)
    body = [_row(row[0], row[1:]) for row in rows]
    return _table(_with_settings(CAPTION, summary), _heads(summary), body, "memory") if rows else ""


def _spread(result: Result, summary: ResultSummary) -> str:
    figures = [distribution(result, item, f"dist{number}") for number, item in enumerate(summary.cells)]
    if not any(figures):
        return ""
    lead = (
        '<p class="lead">Bars: how often each time occurred. Dots: one for each photo, in one row for each start of the '
        "program, whose median is the short black or white line. The dashed line is the median of all, the tinted band "
        "its 95% interval. Each drawing has a scale of its own.</p>"
    )
    return lead + "".join(figures)


def _session(result: Result, summary: ResultSummary) -> str:
    drawing = timeline(result, summary)
    if not drawing:
        return ""
    keys = precision_legend(cell.precision for cell in result.cells)
    lacking = [row.name.lower() for row in conditions(result) if row.name in ("Clock", "Temperature") and not row.value]
    lack = f" {' and '.join(lacking).capitalize()} could not be recorded on this device." if lacking else ""
    order = "Every photo in the order in which it was read; processes of all combinations take turns."
    lead = f'<p class="lead">{order}{lack}</p>'
    return f'{lead}{keys}<figure>{drawing}</figure>'


def _photos(result: Result, summary: ResultSummary, pictures: Mapping[int, Picture]) -> str:
    cards = photo_cards(result, summary, pictures)
    lead = (
        '<p class="lead">What was read, failures first. White dashes: where the plate is; coloured outline: where it '
        "was found.</p>"
    )
    return lead + cards if cards else ""


def _hashes(result: Result) -> str:
    rows = "".join(
        f"<div><dt>{escape(name)}</dt><dd><code>{escape(value)}</code></dd></div>" for name, value in hashes(result)
    )
    summary = "<summary>SHA-256 of everything the times depend on</summary>"
    return f'<details>{summary}<dl class="record hashes">{rows}</dl></details>'


def _heads(summary: ResultSummary) -> list[str]:
    """Heads of a table with a column a combination, as HTML: one line the models, then one a setting that differs."""
    return ["", *("<br>".join(map(escape, (item.cell.label, *own_settings(item, summary)))) for item in summary.cells)]


def _with_settings(caption: str, summary: ResultSummary) -> str:
    """The caption, and what all columns below it have in common."""
    return ". ".join((caption, ", ".join(shared_settings(summary)).capitalize())).removesuffix(". ") + "."


def _row(name: str, values: Sequence[str], style: str = "") -> str:
    cells = "".join(f"<td>{escape(value)}</td>" for value in values)
    attribute = f' class="{style}"' if style else ""
    return f'<tr{attribute}><th scope="row">{escape(name)}</th>{cells}</tr>'


def _table(caption: str, heads: Sequence[str], body: Sequence[str], identity: str) -> str:
    cells = "".join(f'<th scope="col">{head}</th>' if head else "<td></td>" for head in heads)
    return (
        # Outside the part that scrolls: a caption of the table would be as wide as the table, and cut off on a phone.
        f'<p class="caption" id="c-{identity}">{escape(caption)}</p>'
        f'<div class="scroll" tabindex="0" role="region" aria-labelledby="c-{identity}">'
        f'<table aria-labelledby="c-{identity}"><thead><tr>{cells}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )
