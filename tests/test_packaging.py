"""The sdist and the wheel: reproducible, complete, and at work outside a checkout."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
import types
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parent.parent
EPOCH = "1700000000"
needs_build = pytest.mark.skipif(importlib.util.find_spec("build") is None, reason="needs the package `build`")


def copy_checkout(target: Path, source: Path = REPO) -> Path:
    """Copies what git would carry (and what is not yet committed) to another folder."""
    unwanted = (
        ".git", ".venv", ".uv", "build", "dist", "out", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis",
    )  # fmt: skip
    return Path(shutil.copytree(source, target, ignore=shutil.ignore_patterns(*unwanted)))


def build(source: Path, out: Path, umask: int) -> dict[str, bytes]:
    """Builds an sdist, and from that the wheel, as `python -m build` does; returns name to content."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, umask=umask, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return {path.name: path.read_bytes() for path in out.iterdir()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and the wheel."""
    folder = tmp_path_factory.mktemp("dist")
    build(copy_checkout(folder / "one"), folder / "dist", 0o022)
    return folder / "dist"


@needs_build
def test_the_same_checkout_gives_the_same_bytes(built: Path, tmp_path: Path) -> None:
    """Another folder, another umask and other file times change nothing."""
    first = {path.name: path.read_bytes() for path in built.iterdir()}
    source = copy_checkout(tmp_path / "a longer name", built.parent / "one")
    now = time.time()
    for path in source.rglob("*"):
        os.utime(path, (now, now))
    again = build(source, tmp_path / "dist", 0o077)
    assert sorted(first) == sorted(again) and len(first) == 2
    for name, content in first.items():
        assert again[name] == content, f"{name} differs"


@needs_build
def test_wheel_holds_everything_that_runs(built: Path) -> None:
    """Every data file of the packages, the C++ sources and the licences are in the wheel; tests and results are not."""
    wheel, checkout = next(built.glob("*.whl")), built.parent / "one"
    names = set(zipfile.ZipFile(wheel).namelist())
    for package in ("bench", "convert", "edge", "train"):
        for path in (checkout / package).rglob("*"):
            relative = path.relative_to(checkout)
            if path.is_dir() or "__pycache__" in relative.parts or relative.parts[1] == "results":
                continue
            assert relative.as_posix() in names, relative
    for path in (checkout / "cpp").rglob("*"):
        if path.is_file():
            assert f"edge/_kit/{path.relative_to(checkout).as_posix()}" in names
    assert {"edge/_kit/LICENSE", "edge/_kit/NOTICE"} <= names
    strangers = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert strangers == {"bench", "convert", "edge", "train"}
    assert not [name for name in names if name.split("/")[1] == "results" or name.endswith(".pyc")]


@needs_build
def test_sdist_can_run_test_and_document_itself(built: Path) -> None:
    """What `make run`, `make test` and `make docs` need is in the sdist, with no owner and one time."""
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        members = archive.getmembers()
    names = {member.name.partition("/")[2] for member in members}
    wanted = {"Makefile", "setup.py", "setup.cfg", "scripts/setup.sh", "tests/conftest.py", "mkdocs.yml"}
    assert wanted <= names, wanted - names
    # Whatever a checkout holds at its top is needed by some make target, but for what only the forge and git read.
    tracked = subprocess.run(["git", "ls-files"], cwd=REPO, capture_output=True, text=True, check=False).stdout.split("\n")
    tops = {name.partition("/")[0] for name in tracked} - {"", ".github", ".gitignore"}
    assert tops <= {name.partition("/")[0] for name in names}
    assert {(member.mtime, member.uid, member.uname) for member in members} == {(int(EPOCH), 0, "")}


@needs_build
def test_wheel_works_outside_a_checkout(built: Path, tmp_path: Path) -> None:
    """Installed elsewhere, the kit finds its sources, profiles, samples and recipes there and nothing in a checkout."""
    target = tmp_path / "site"
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", str(target)]
    subprocess.run([*command, str(next(built.glob("*.whl")))], check=True, capture_output=True)
    program = """
import json, edge, edge.device.board, edge.bundle.toolchain, edge.base.paths, edge.photo.listing
import bench.cli, convert.cli, train.cli
import train.recipes.recipe
found = {
    "edge": edge.__file__, "cpp": str(edge.bundle.toolchain.SOURCE), "licence": str(edge.base.paths.kit_source("LICENSE")),
    "boards": str(edge.device.board.BOARDS_DIR), "samples": str(edge.photo.listing.SAMPLES),
    "recipes": str(train.recipes.recipe.RECIPES),
}
print(json.dumps(found))
"""
    environment = {**os.environ, "PYTHONPATH": str(target), "PLATE_EDGE_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for what, place in json.loads(done.stdout).items():
        assert Path(place).is_relative_to(target), (what, place)
        assert Path(place).exists(), (what, place)
    # CMakeLists.txt reads the version from here.
    assert (target / "edge" / "_kit" / "cpp" / ".." / "edge" / "__init__.py").is_file()
    listed = subprocess.run(
        [sys.executable, "-m", "edge", "device", "list", "--profiles", "--json"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert listed.returncode == 0, listed.stderr
    assert "rk3399" in listed.stdout


@needs_build
def test_wheel_measures_outside_a_checkout(built: Path, tmp_path: Path) -> None:
    """What the page on wheels shows: version, doctor, and a measurement of this host with its report."""
    target = tmp_path / "site"
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", str(target)]
    subprocess.run([*command, str(next(built.glob("*.whl")))], check=True, capture_output=True)
    environment = {**os.environ, "PYTHONPATH": str(target), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    work = tmp_path / "work"
    work.mkdir()

    def call(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "edge", *words],
            cwd=work, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    assert call("--version").startswith("edge, version ")
    call("doctor", "--no-devices")
    (work / "once.yml").write_text(
        "base: quick\nmodels: [plate-v1]\nprecisions: [fp32]\nprocesses: 1\nrepeats: 2\nmax_ms: 500\n", encoding="utf-8"
    )
    answer = json.loads(call("bench", "run", "--device", "local", "--plan", "once.yml", "--out", "out", "--json"))
    assert answer["complete"]
    assert (work / "out" / "report.html").is_file()


def test_version_names_kit_runtime_and_models() -> None:
    """`edge --version` says everything that a bug report needs."""
    command = [sys.executable, "-m", "edge", "--version"]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=True)
    kit, runtime, *models = done.stdout.splitlines()
    assert kit.startswith("edge, version ")
    assert runtime == "Paddle Lite 2.13rc0"
    assert any("ppocrv3" in line for line in models)


def test_bill_of_materials_names_what_is_needed() -> None:
    """The direct needs of setup.cfg and theirs, each with version and licence; twice the same bytes."""
    try:
        metadata.version("plate-edge-kit")
    except metadata.PackageNotFoundError:
        pytest.skip("the kit runs from a folder, it is not installed")
    command = [sys.executable, str(REPO / "scripts" / "sbom.py"), "models"]
    first = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == first
    document = json.loads(first)
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.5")
    components = {item["name"]: item for item in document["components"]}
    # paramiko is needed by fabric only, the weights' wheel by the extra.
    assert {"click", "fabric", "numpy", "paddlelite", "pyyaml", "paramiko", "rapidocr-onnxruntime"} <= set(components)
    assert components["paddlelite"]["version"] == "2.13rc0"
    assert components["click"]["licenses"] and components["paddlelite"]["licenses"]


def test_bill_of_materials_has_the_sums_of_files_that_get_into_bundles() -> None:
    """The runtime's libraries, the weights, stb_image and every file of the shipped models, by their SHA-256."""
    sys.path.insert(0, str(REPO / "scripts"))
    try:
        sbom = importlib.import_module("sbom")
    finally:
        sys.path.pop(0)
    kit = types.SimpleNamespace(version=lambda name: "0.0")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sbom, "metadata", kit)  # The kit may run from a folder, without being installed.
        models = sbom._models()
    sums = {item["name"]: item["hashes"][0]["content"] for item in [*sbom._inside(), *models, *sbom._stb()]}
    assert {"Paddle Lite runtime library (x86-64)", "Intel OpenMP runtime", "stb_image"} <= set(sums)
    zoo = sorted((REPO / "edge" / "zoo").glob("*/*/*"))
    files = [path for path in zoo if path.name != "card.json"]
    assert len(models) == len(files) >= 10
    assert {hashlib.sha256(path.read_bytes()).hexdigest() for path in files} <= set(sums.values())
