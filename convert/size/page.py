"""One self-contained HTML page of a `.nb` file: a treemap of its weights and the tables behind it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from convert.size.anatomy import Anatomy
from edge.base.errors import InputError
from edge.base.paths import write_atomic
from edge.base.treemap import squarify

_WIDTH, _HEIGHT = 960.0, 480.0
_COLOURS = {"int8": "#2a9d8f", "float32": "#e76f51", "float16": "#e9c46a"}
_STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--paper:#fff;--line:#d0d7de}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--paper:#0d1117;--line:#30363d}}
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);margin:2rem auto;max-width:62rem;
padding:0 1rem}
table{border-collapse:collapse;width:100%;margin:1rem 0;display:block;overflow-x:auto}
td,th{border-bottom:1px solid var(--line);padding:.25rem .6rem;text-align:left}td.n,th.n{text-align:right;
font-variant-numeric:tabular-nums}svg{width:100%;height:auto}text{font:12px system-ui,sans-serif;fill:#111}
"""


def write_page(anatomy: Anatomy, out: Path, *, force: bool) -> None:
    """Writes the page.

    Raises:
        InputError: The file exists, and `force` is not set.
    """
    if out.exists() and not force:
        raise InputError(f"{out} exists.", "Give another file, or --force to replace it.")
    write_atomic(out, render(anatomy))


def render(anatomy: Anatomy) -> str:
    """Returns the page."""
    file = anatomy.file
    title = f"{file.path.name}: {file.size:,} bytes"
    facts = [
        ("opt version", file.opt_version), ("meta version", file.meta_version), ("target", file.target),
        ("inputs", ", ".join(file.inputs)), ("outputs", ", ".join(file.outputs)),
        ("operators", len(file.operators)), ("parameters", f"{anatomy.elements:,}"),
    ]  # fmt: skip
    weights = [
        (use.tensor.name, use.tensor.dtype, "x".join(map(str, use.tensor.shape)), f"{use.tensor.record:,}",
         use.operator, use.reason)
        for use in anatomy.uses
    ]  # fmt: skip
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width,initial-scale=1">',
            f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main>",
            f"<h1>{escape(title)}</h1>",
            _table(["fact", "value"], [(name, str(value)) for name, value in facts]),
            "<h2>Where the bytes are</h2>",
            treemap(anatomy),
            _table(["section", "bytes"], [(r.name, f"{r.bytes:,}") for r in file.regions], {1}),
            "<h2>Operators</h2>",
            _table(["operator (target, precision)", "number"],
                   [(name, str(count)) for name, count in anatomy.operator_counts.items()], {1}),
            "<h2>Weights</h2>",
            _table(["name", "dtype", "shape", "bytes", "read by", "why fp32"], weights, {3}),
            "</main></body></html>\n",
        ]
    )  # fmt: skip


def treemap(anatomy: Anatomy) -> str:
    """Returns an SVG treemap of the weights, coloured by dtype, with a text alternative."""
    cells = squarify([float(use.tensor.record) for use in anatomy.uses], _WIDTH, _HEIGHT)
    largest = ", ".join(f"{use.tensor.name} {use.tensor.record:,}" for use in anatomy.uses[:5])
    parts = [
        f'<svg viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" role="img" aria-label="Treemap of the weights by bytes; '
        f'the largest: {escape(largest, quote=True)}">'
    ]
    for cell in cells:
        use = anatomy.uses[cell.index]
        label = f"{use.tensor.name} {use.tensor.dtype}{list(use.tensor.shape)} {use.tensor.record:,} B"
        colour = _COLOURS.get(use.tensor.dtype, "#8d99ae")
        parts.append(
            f'<g><title>{escape(label)}</title><rect x="{cell.x:.1f}" y="{cell.y:.1f}" width="{cell.width:.1f}" '
            f'height="{cell.height:.1f}" fill="{colour}" stroke="#fff" stroke-width="1"/>'
        )
        if cell.width > 7 * len(use.tensor.name) and cell.height > 16:
            parts.append(f'<text x="{cell.x + 4:.1f}" y="{cell.y + 14:.1f}">{escape(use.tensor.name)}</text>')
        parts.append("</g>")
    parts.append("</svg>")
    legend = ", ".join(f"{name} {size:,} B" for name, size in anatomy.bytes_by_dtype.items())
    return "".join(parts) + f"<p>{escape(legend)}; framing {anatomy.framing:,} B.</p>"


def _table(head: list[str], rows: Sequence[tuple[str, ...]], numbers: set[int] | None = None) -> str:
    numbers = numbers or set()

    def cell(tag: str, index: int, text: str) -> str:
        kind = ' class="n"' if index in numbers else ""
        return f"<{tag}{kind}>{escape(text)}</{tag}>"

    header = "".join(cell("th", index, text) for index, text in enumerate(head))
    body = "".join("<tr>" + "".join(cell("td", i, text) for i, text in enumerate(row)) + "</tr>" for row in rows)
    return f"<table><thead><tr>{header}</tr></thead><tbody>{body}</tbody></table>"
