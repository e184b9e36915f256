"""Every command line of the documentation exists with the options that it shows; the cheap ones are run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from command_lines import KINDS, REPO, check_line, documents, find_lines, make_targets

LINES = [line for file in documents() if file.is_file() for line in find_lines(file, file.read_text(encoding="utf-8"))]


def test_documents_show_commands() -> None:
    """The search finds the lines that are there: a test that checks nothing would always pass."""
    text = "\n".join(" ".join(line.words) for line in LINES)
    for wanted in ("make run", "edge flash --device", "bench run --device", "edge convert nb", "edge train fit"):
        assert wanted in text
    assert len(LINES) >= 60
    assert sum(line.kind == "run" for line in LINES) >= 5


@pytest.mark.parametrize("line", LINES, ids=str)
def test_command_line_exists(line) -> None:  # type: ignore[no-untyped-def]
    """Command, options, choices and required values are as documented."""
    assert check_line(line.words, make_targets()) == "", " ".join(line.words)


@pytest.mark.parametrize(
    "words",
    [
        "edge flash --devize rk3399", "edge fly", "edge virtual up --arch mips",
        "edge train fit car --recipe x --out y", "make coffee",
        "edge convert nb MODEL --target mips", "edge status --device a b", "edge",
    ],
)  # fmt: skip
def test_wrong_lines_are_noticed(words: str) -> None:
    """Each kind of mistake that a document could make."""
    assert check_line(tuple(words.split()), make_targets())


@pytest.mark.parametrize("line", LINES, ids=str)
def test_command_line_is_executed_somewhere(line) -> None:  # type: ignore[no-untyped-def]
    """Each block says who runs it, or that a board is needed; a file that is named to run it does call it."""
    assert line.kind in KINDS, f"{line}: put `<!-- commands: KIND -->` above the block; docs/writing.md has the kinds"
    assert (line.kind == "tested") == bool(line.named), f"{line}: only `tested` names files, and it must"
    texts = [(REPO / name).read_text(encoding="utf-8") for name in line.named]
    assert not texts or any(calls(text, line.words) for text in texts), f"{line}: {line.named} do not run it"


def calls(text: str, words: tuple[str, ...]) -> bool:
    """Says whether a script has the line as it stands, or a Python file names its commands and options."""
    if " ".join(words) in text:
        return True
    needed = [word for word in words[1:] if word.startswith("--") or re.fullmatch(r"[a-z]+", word)]
    return all(f'"{word}"' in text for word in needed)


@pytest.mark.parametrize("line", [line for line in LINES if line.kind == "run"], ids=str)
def test_runnable_line_runs(line, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """Lines marked `run` end with 0, away from the user's own settings."""
    environment = {
        **os.environ,
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "PLATE_EDGE_INVENTORY": str(tmp_path / "config" / "devices.yml"),
    }
    module = {"edge": ["-m", "edge"], "bench": ["-m", "edge", "bench"]}[line.words[0]]
    command = [sys.executable, *module, *line.words[1:]]
    done = subprocess.run(command, cwd=REPO, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr


def test_links_of_the_readme_lead_somewhere() -> None:
    """MkDocs checks the links within docs/; these are the ones from outside."""
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", (REPO / name).read_text(encoding="utf-8")):
            if "://" not in target:
                assert (REPO / target).exists(), f"{name}: {target}"


def test_documents_name_no_private_place() -> None:
    """No path of somebody's machine and no registry other than the public ones."""
    pattern = re.compile(r"/tmp/w\b|/work/|/root/|127\.0\.0\.1:\d+/simple|index-url")
    for file in documents():
        if file.is_file():
            assert not pattern.search(file.read_text(encoding="utf-8")), file


def test_a_page_is_built_without_a_warning(tmp_path: Path) -> None:
    """`mkdocs build --strict`: links, anchors, navigation and the reference of every command."""
    pytest.importorskip("material", reason="needs the [dev] extra")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=REPO, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    page = (tmp_path / "site" / "reference" / "edge.html").read_text(encoding="utf-8")
    assert "edge flash" in page and "--break-lock" in page
    python = (tmp_path / "site" / "reference" / "python.html").read_text(encoding="utf-8")
    assert "ensure_models" in python and "One of <code>model_sets()</code>." in python
    fetched = re.findall(r'<(?:script|link)[^>]+(?:src|href)="(https?://[^"]+)"', page)
    assert not [url for url in fetched if "plate" not in url], "a page fetches from elsewhere"


def _example(page: str) -> str:
    """The YAML block of a page."""
    return (REPO / "docs" / page).read_text(encoding="utf-8").partition("```yaml\n")[2].partition("```")[0]


def test_the_documented_profile_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The board of the tutorial is loaded as the kit's own are."""
    import edge.device.board

    (tmp_path / "myboard.yml").write_text(_example("tutorials/board-profile.md"), encoding="utf-8")
    monkeypatch.setattr(edge.device.board, "BOARDS_DIR", tmp_path)
    board = edge.device.board.load_profile("myboard")
    assert (board.abi, board.clusters[0].core, board.threads) == ("arm64", "cortex-a53", 4)


def test_the_documented_plan_is_one(tmp_path: Path) -> None:
    """The plan of "How we measure" has 2 x 2 x 2 combinations."""
    from bench.plan.plan import load_plan

    file = tmp_path / "mine.yml"
    file.write_text(_example("measuring.md"), encoding="utf-8")
    plan = load_plan(str(file))
    assert len(plan.cells) == 8
    assert dict(plan.options) == {"decode": "plate"}


def test_a_plan_that_names_no_models_measures_what_the_preset_does(tmp_path: Path) -> None:
    """`base: quick` alone is the kit's best set at its own size, and not the published one at the note's."""
    from bench.plan.plan import load_plan
    from edge.bundle.zoo import detector_limit, model_sets

    file = tmp_path / "mine.yml"
    file.write_text("base: quick\n", encoding="utf-8")
    plan = load_plan(str(file))
    assert plan.models == tuple(model_sets()[:1])
    assert {(cell.side.kind, cell.side.pixels) for cell in plan.cells} == {detector_limit(model_sets()[0])}


def test_every_exit_code_is_documented() -> None:
    """The table of the troubleshooting page is that of the code."""
    from edge.base.errors import ExitCode

    text = (REPO / "docs" / "troubleshooting.md").read_text(encoding="utf-8").partition("## Exit codes")[2]
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", text, re.M)] == sorted(int(code) for code in ExitCode)
