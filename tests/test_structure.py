"""The shape of the sources: files that can be read in one sitting, and no drawers for what found no place."""

from __future__ import annotations

import ast
import importlib.util
import re
import runpy
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
import yaml

REPO = Path(__file__).resolve().parent.parent
FOLDERS = ("edge", "convert", "train", "bench", "cpp", "scripts", "tests")
LONGEST = 500
LONGEST_PRODUCT = 400
MOST_FILES = 11
PACKAGES = ("edge", "convert", "train", "bench")
# A name that says nothing gathers what belongs elsewhere.
DRAWERS = re.compile(r"(^|_)(utils?|helpers?|common|misc|managers?)(_|\.|$)")


def sources() -> Iterator[Path]:
    """All files that people write and read: Python, C++, CMake, shell."""
    for folder in FOLDERS:
        for path in sorted((REPO / folder).rglob("*")):
            if path.suffix in (".py", ".cc", ".h", ".cmake", ".sh") and "build" not in path.parts:
                yield path


def test_no_file_is_longer_than_can_be_read() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in sources()}
    assert len(lengths) > 300
    assert {str(path.relative_to(REPO)): count for path, count in lengths.items() if count > LONGEST} == {}


def test_product_files_and_rooms_are_small() -> None:
    """A file can be read in one sitting, a room known by heart."""
    long, crowded = {}, {}
    for package in PACKAGES:
        rooms: dict[str, int] = {}
        for path in (REPO / package).rglob("*.py"):
            count = len(path.read_text(encoding="utf-8").splitlines())
            if count > LONGEST_PRODUCT:
                long[str(path.relative_to(REPO))] = count
            if path.name != "__init__.py" and "results" not in path.parts:
                room = str(path.parent.relative_to(REPO))
                rooms[room] = rooms.get(room, 0) + 1
        crowded |= {room: count for room, count in rooms.items() if count > MOST_FILES}
    assert (long, crowded) == ({}, {})


def test_rooms_begin_with_a_sentence_and_import_nothing() -> None:
    """Only one room holds a function there: the door to Paddle's layers."""
    busy = set()
    for package in PACKAGES:
        for path in (REPO / package).rglob("__init__.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            assert ast.get_docstring(tree), path
            if any(isinstance(node, (ast.Import, ast.ImportFrom, ast.FunctionDef)) for node in tree.body):
                busy.add(str(path.parent.relative_to(REPO)))
    assert busy == {"train/arch"}


def test_contributing_shows_the_rooms_of_today() -> None:
    """`python scripts/rooms.py` writes the map from the import contracts."""
    spec = importlib.util.spec_from_file_location("rooms", REPO / "scripts" / "rooms.py")
    assert spec is not None and spec.loader is not None
    rooms = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(rooms)
    page = (REPO / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert rooms.written(page) == page
    contracts = (REPO / ".importlinter").read_text(encoding="utf-8")
    named = set(re.findall(r"[a-z_]+", contracts))
    for package in PACKAGES:
        folders = {path.name for path in (REPO / package).iterdir() if (path / "__init__.py").is_file()}
        assert folders <= named, f"{package}: a room without a place in .importlinter"


def test_no_file_or_folder_is_a_drawer() -> None:
    found = {part for path in sources() for part in path.relative_to(REPO).parts if DRAWERS.search(part.lower())}
    assert found == set()


@pytest.mark.parametrize("name", ["utils.py", "test_helpers.py", "common", "file_manager.py", "misc.cc"])
def test_drawers_are_recognised(name: str) -> None:
    assert DRAWERS.search(name)


def imports_of(path: Path, known: set[str]) -> set[str]:
    """The kit's own modules that a file names in an import, also in a function or for types only."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            # `from edge.transport.connect import x` may name a module, `from edge.base.paths import locked` what is in one.
            names = {f"{node.module}.{alias.name}" for alias in node.names} & known
            found |= names or {node.module} & known
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} & known
    return found


def test_no_files_import_each_other() -> None:
    files = {
        ".".join(path.relative_to(REPO).with_suffix("").parts): path
        for folder in PACKAGES
        for path in (REPO / folder).rglob("*.py")
        if path.name != "__init__.py"
    }
    needs = {name: imports_of(path, set(files)) for name, path in files.items()}
    assert "edge.transport.host_keys" in needs["edge.transport.ssh_connection"]
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_hooks_run_what_lint_runs() -> None:
    """`pre-commit` checks before a commit what `make lint` checks after it, by the same command lines."""
    hooks = yaml.safe_load((REPO / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
    entries = {hook["id"]: hook["entry"].replace(" --force-exclude", " .") for hook in hooks}
    assert set(entries) == {"ruff", "mypy", "docstrings", "import-directions", "clang-format"}
    lint = re.findall(r"\$\(VENV\)/(.+)", (REPO / "Makefile").read_text(encoding="utf-8").partition("\nlint:")[2])
    assert set(entries.values()) - {entries["clang-format"]} <= set(lint)


@pytest.mark.parametrize("script", sorted((REPO / "scripts").glob("*.py")), ids=lambda script: script.name)
def test_folders_that_a_script_names_are_there(script: Path) -> None:
    """A script that was moved and still counts its parents works on nothing."""
    for name, value in runpy.run_path(str(script), run_name="looked at").items():
        if isinstance(value, Path) and value.is_relative_to(REPO.parent) and name.isupper():
            assert value.exists() and value.is_relative_to(REPO), (name, value)
