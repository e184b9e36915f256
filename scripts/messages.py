"""Collects what the kit says when something goes wrong into one page, so that it can be read as a whole.

The sources are read, not imported: every error that is made, with its exit code and hint; what functions that make
errors are given to say; findings of `edge doctor` and before a flash; notes on standard error; tables of texts. MkDocs
builds the page (`hooks:`), `python scripts/messages.py` prints it. A test refuses what docs/writing.md tells to avoid.
"""

from __future__ import annotations

import ast
import html
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("edge", "convert", "train", "bench")
PAGE = "messages.md"
HEAD = """# Messages

What the kit says when something goes wrong, room by room, as the sources have it: `{name}` stands for what is filled
in, ` / ` is between alternatives. The number is the exit code; [Troubleshooting](troubleshooting.md) explains each.
"""
# What docs/writing.md ("Words") tells to avoid, and how to find it in a message; only a reader finds what has no pattern.
AVOID = {
    "Leave it away.": r"\bleave (\S+ ){1,2}away\b",
    "X is no model.": r"(?<!there )\b(is|are) no (?!longer\b|more\b|other\b)",
    "the both, all the three": r"\bthe both\b|\ball the (two|three|four)\b",
    "It has to be made again.": r"\b(has|have) to be (\w+ed|made|\w+en)\b",
    "makes a verification of, does the conversion of": r"\b(makes?|does|do) (a|the) \w+(ation|sion) of\b",
    "there is given, it holds that": r"\bthere (is|are) (given|made|said)\b|\bit holds that\b",
    "that are there, which is here": r"\b(that|which) (is|are) (there|here)\b",
    "will do as well": r"\b(will do|does) as well\b",
    "in case that, so long as that": r"\b(in case|so long as) that\b",
    "X is there twice": r"\b(is|are|or) there twice\b",
    "outside of the photo": r"\boutside of\b",
    "It does not answer any more.": r"\b(not|nothing) .*\bany more\b",
    "such as with `CMD`": r"\bsuch as (with|by)\b",
    "obviously, simply, just, of course": r"\b(obviously|simply|just|of course)\b",
    'a cause that was not checked ("the disk is full")': "",
}
_NAMES_DEEP = 3
_NO_TEXT = re.compile(r"[\\$]|\(\?|\.\*|<\w")
_FILLED_IN = re.compile(r"\{.*?\}")


@dataclass(frozen=True)
class Message:
    """One thing that the kit says, and where.

    Attributes:
        module: Path of the source.
        line: In it.
        kind: Error class and exit code, level of a finding, `note` or `text`.
        text: What is wrong, and the hint after it; what is filled in stands in braces.
    """

    module: str
    line: int
    kind: str
    text: str


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the page."""
    from mkdocs.structure.files import File

    files.append(File.generated(config, PAGE, content=page()))
    return files


def page() -> str:
    """Returns all messages as Markdown, a table for each room."""
    parts, room = [HEAD], ""
    for message in messages():
        here = str(Path(message.module).parent)
        if here != room:
            parts.append(f"\n## `{here}`\n\n| where | kind | message |\n| --- | --- | --- |\n")
            room = here
        text = html.escape(message.text, quote=False).replace("|", "&#124;").replace("\n", " ")
        parts.append(f"| {Path(message.module).name}:{message.line} | {message.kind} | <code>{text}</code> |\n")
    return "".join(parts)


def messages() -> list[Message]:
    """Returns every message of the four packages, in the order of rooms and lines."""
    sources = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    trees = {str(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8")) for path in sources}
    shared = {key: value for tree in trees.values() for node in tree.body for key, value in _assigned(node)}
    classes = _kinds(trees.values())
    makers = {name: kind for tree in trees.values() for name, kind in _makers(tree, classes)}
    found = [item for name, tree in trees.items() for item in _messages(name, tree, makers | classes, shared)]
    return sorted(set(found), key=lambda item: (str(Path(item.module).parent), item.module, item.line, item.text))


def _kinds(trees: Iterable[ast.Module]) -> dict[str, str]:
    """Returns each error class with its exit code, as the page writes it."""
    names, bases, codes = {}, {}, {"UsageError": "2", "BadParameter": "2"}
    classes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    for node in classes:
        fields = dict(pair for item in node.body for pair in _assigned(item))
        if node.name == "ExitCode":
            names = {key: ast.unparse(value) for key, value in fields.items()}
        bases[node.name] = next(map(_called, node.bases), "")
        if "exit_code" in fields:
            codes[node.name] = _called(fields["exit_code"])
    for _ in range(4):  # from a class to those derived from it
        codes |= {name: codes[base] for name, base in bases.items() if base in codes and name not in codes}
    return {name: f"{name} {names.get(code, code)}" for name, code in codes.items()}


def _makers(tree: ast.Module, kinds: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yields functions whose own arguments become part of an error."""
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef) or function.name == "__init__":
            continue
        given = {item.arg for item in [*function.args.args, *function.args.kwonlyargs]} - {"self", "path"}
        for call in ast.walk(function):
            if isinstance(call, ast.Call) and _called(call.func) in kinds:
                used = {node.id for part in call.args for node in ast.walk(part) if isinstance(node, ast.Name)}
                if used & given:
                    yield function.name, kinds[_called(call.func)]


def _messages(module: str, tree: ast.Module, kinds: dict[str, str], shared: dict[str, ast.expr]) -> Iterator[Message]:
    own = {key: value for node in tree.body for key, value in _assigned(node)}
    found = 0
    for call, names in _calls(tree, shared | own):
        name = _called(call.func)
        aloud = any(word.arg == "err" and ast.unparse(word.value) == "True" for word in call.keywords)
        kind = "note" if name == "echo" and aloud else kinds.get(name, "")
        texts = [*call.args, *(word.value for word in call.keywords if word.arg in ("message", "hint"))]
        if name == "Finding" and len(texts) > 2:
            kind, texts = _said(texts[0], names), texts[2:]
        said = [_said(item, names) for item in texts if kind]
        # What an error is made of is text from its first word; of what others are given, only sentences are.
        least = 1 if kind.startswith(f"{name} ") else 3
        said = [text for text in said if _is_text(text, least)]
        if said:
            found += 1
            yield Message(module, call.lineno, kind, " ".join(said).strip())
    for value in own.values() if found else ():
        if isinstance(value, (ast.Tuple, ast.Dict, ast.List)):
            for part in ast.walk(value):
                if isinstance(part, ast.Constant) and isinstance(part.value, str) and _is_text(part.value):
                    yield Message(module, part.lineno, "text", part.value)


def _calls(tree: ast.AST, names: dict[str, ast.expr]) -> Iterator[tuple[ast.Call, dict[str, ast.expr]]]:
    """Yields calls with what the names there stand for."""
    for node in ast.iter_child_nodes(tree):
        inner = names
        if isinstance(node, ast.FunctionDef):
            own = [item.arg for item in [*node.args.args, *node.args.kwonlyargs]]
            inner = {key: value for key, value in names.items() if key not in own}
            inner |= dict(pair for part in ast.walk(node) for pair in _assigned(part))
        if isinstance(node, ast.Call):
            yield node, names
        yield from _calls(node, inner)


def _assigned(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Yields names and values of an assignment; a tuple's one by one."""
    if not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.value is None:
        return
    for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
        pairs = [(target, node.value)]
        if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            pairs = list(zip(target.elts, node.value.elts, strict=False))
        yield from ((name.id, item) for name, item in pairs if isinstance(name, ast.Name))


def _is_text(value: str, words: int = 3) -> bool:
    return len(re.findall(r"[A-Za-z]+", _FILLED_IN.sub("", value))) >= words and not _NO_TEXT.search(value)


def _called(node: ast.AST) -> str:
    return str(getattr(node, "id", "") or getattr(node, "attr", ""))


def _said(node: ast.AST, names: dict[str, ast.expr], deep: int = 0) -> str:
    """Returns what an expression says."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_said(part, names, deep) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return _said(node.value, names, deep)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _said(node.left, names, deep) + _said(node.right, names, deep)
    if isinstance(node, (ast.IfExp, ast.BoolOp)):
        either = [node.body, node.orelse] if isinstance(node, ast.IfExp) else node.values
        return " / ".join(filter(None, (_said(part, names, deep) for part in either)))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("format", "strip"):
        return _said(node.func.value, names, deep)
    if isinstance(node, ast.Name) and node.id in names and deep < _NAMES_DEEP:
        said = _said(names[node.id], names, deep + 1)
        return said if _is_text(said, 2) else f"{{{node.id}}}"
    short = _called(node) or _called(getattr(node, "func", node)) or "..."
    return f"{{{short}}}"


if __name__ == "__main__":
    print(page(), end="")
