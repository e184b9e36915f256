"""Writes the reference of the Python interface from docstrings, while MkDocs builds (`hooks:`).

The sources are read, not imported: the reference of `train` needs no Paddle.
"""

from __future__ import annotations

import ast
import html
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
# What your own programs may rely on: files in and out, boards, the reference pipeline, statistics.
MODULES = (
    "edge.base.errors", "edge.model.card", "edge.ocr.config", "edge.ocr.reader", "edge.runtime.engines",
    "edge.runtime.paddle_inference", "edge.runtime.paddle_lite",
    "edge.ocr.detect", "edge.ocr.crop", "edge.ocr.recognise", "edge.plate.grammar", "edge.device.board",
    "edge.device.inventory", "edge.protocol.base", "edge.runtime.store", "edge.bundle.bundle", "edge.release.flash",
    "edge.release.releases", "edge.device.probe", "edge.bundle.zoo", "convert.nbfile.reader", "convert.nbfile.contents",
    "bench.record.result", "bench.record.events", "bench.stats.describe", "bench.stats.bootstrap",
    "bench.judge.verdict", "bench.judge.summary", "bench.plan.plan",
)  # fmt: skip
PAGE = "reference/python.md"
SECTION = re.compile(r"^(Args|Attributes|Returns|Yields|Raises):$")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the page."""
    files.append(File.generated(config, PAGE, content=page()))
    return files


def page() -> str:
    """Returns the reference of all modules as Markdown."""
    head = (
        "# Python\n\nWhat the commands are made of, for your own programs. Functions and classes whose name begins"
        " with `_`, and modules not listed, may change with any release.\n"
    )
    return head + "".join(_module(name) for name in MODULES)


def _file(name: str) -> Path:
    return ROOT.joinpath(*name.split(".")).with_suffix(".py")


def _module(name: str) -> str:
    tree = ast.parse(_file(name).read_text(encoding="utf-8"))
    parts = [f"\n## `{name}`\n\n{_text(tree)}\n"]
    for node in _public(tree.body):
        if isinstance(node, ast.ClassDef):
            bases = ", ".join(ast.unparse(base) for base in node.bases)
            parts.append(_entry("###", f"class {node.name}" + (f"({bases})" if bases else ""), node))
            parts += [_entry("####", _signature(method, node.name), method) for method in _public(node.body)]
        else:
            parts.append(_entry("###", _signature(node), node))
    return "".join(parts)


def _public(body: list[ast.stmt]) -> Iterator[ast.ClassDef | ast.FunctionDef]:
    for node in body:
        named = isinstance(node, (ast.ClassDef, ast.FunctionDef)) and not node.name.startswith("_")
        if named and ast.get_docstring(node):
            yield node


def _signature(node: ast.stmt, owner: str = "") -> str:
    assert isinstance(node, ast.FunctionDef)
    arguments = ast.unparse(node.args)
    arguments = re.sub(r"^(self|cls)(, )?", "", arguments) if owner else arguments
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    if any(isinstance(item, ast.Name) and item.id == "property" for item in node.decorator_list):
        return f"{owner}.{node.name}{returns.replace(' ->', ':')}"
    return f"{owner}.{node.name}({arguments}){returns}" if owner else f"{node.name}({arguments}){returns}"


def _entry(level: str, title: str, node: ast.ClassDef | ast.FunctionDef) -> str:
    short = re.split(r"[(:]", title)[0]
    return f"\n{level} `{short}`\n\n```python\n{title}\n```\n\n{_text(node)}\n"


def _text(node: ast.Module | ast.ClassDef | ast.FunctionDef) -> str:
    """A Google docstring as Markdown: sections become bold words over lists."""
    lines: list[str] = []
    inside = False
    for line in (ast.get_docstring(node) or "").splitlines():
        if match := SECTION.match(line):
            lines += ["", f"**{match[1]}**", ""]
            inside = True
        elif inside and line.strip():
            lines.append(_item(line))
        else:
            inside = inside and not line
            lines.append(html.escape(line, quote=False))
    return "\n".join(lines)


def _item(line: str) -> str:
    """A line of a section: a new item, or the rest of one, which stands further in."""
    text = html.escape(textwrap.dedent(line), quote=False)
    if len(line) - len(line.lstrip()) > 4:
        return f"  {text}"
    named = re.match(r"(\*{0,2}[\w.]+)( \([^)]*\))?: (.*)", text)
    return f"- `{named[1]}`: {named[3]}" if named else f"- {text}"
