"""Fixtures live where pytest finds them once: a fixture that two modules import is made, and torn down, twice."""

from __future__ import annotations

import ast
from pathlib import Path

TESTS = Path(__file__).resolve().parent


def fixtures_of(tree: ast.Module) -> set[str]:
    found = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            marks = [mark.func if isinstance(mark, ast.Call) else mark for mark in node.decorator_list]
            if any(isinstance(mark, ast.Attribute) and mark.attr == "fixture" for mark in marks):
                found.add(node.name)
    return found


def test_no_module_imports_a_fixture() -> None:
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in TESTS.rglob("*.py")}
    homes = {path.stem: fixtures_of(tree) for path, tree in trees.items()}
    assert "virtual_board" in fixtures_of(trees[TESTS / "boards/conftest.py"])
    imported = [
        f"{path.relative_to(TESTS)}: {alias.name} of {node.module}"
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
        if alias.name in homes.get(node.module.rpartition(".")[2], set())
    ]
    assert not imported, "put it into the folder's conftest.py"
