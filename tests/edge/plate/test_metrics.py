"""The metrics against shapely, RapidFuzz and PaddleOCR's own end-to-end tool."""

from __future__ import annotations

import importlib.util
import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from edge.plate.metrics import DetMetric, EndToEndMetric, PhotoCounts, RecMetric
from edge.plate.text import edit_distance, half_width

SQUARE = [[0, 0], [10, 0], [10, 10], [0, 10]]


def quads(rng: np.random.Generator, count: int) -> list[np.ndarray]:
    """Random quadrangles, some of them with crossing sides, some tiny, many of them overlapping."""
    centres = rng.uniform(0, 60, (count, 1, 2))
    return list(centres + rng.uniform(-20, 20, (count, 4, 2)))


def shapely_detection(found: list[np.ndarray], truth: list[np.ndarray], ignored: list[bool]) -> tuple[int, int, int]:
    """ICDAR 2015's rules written down a second time, on shapely: (matched, found, truth) of one photo."""
    from shapely.geometry import Polygon

    dets = [Polygon(p).convex_hull for p in found]
    gts = [Polygon(p).convex_hull for p in truth]
    unclear_dets = {
        j for j, det in enumerate(dets) for gt, skip in zip(gts, ignored, strict=True)
        if skip and det.area and det.intersection(gt).area / det.area > 0.5
    }
    taken: set[int] = set()
    matched = 0
    for i, gt in enumerate(gts):
        for j, det in enumerate(dets):
            if ignored[i] or j in unclear_dets or j in taken:
                continue
            if gt.intersection(det).area / gt.union(det).area > 0.5:
                taken.add(j)
                matched += 1
                break
    return matched, len(dets) - len(unclear_dets), len(gts) - sum(ignored)


def test_detection_equals_icdar_rules_on_shapely() -> None:
    pytest.importorskip("shapely")
    rng = np.random.default_rng(3)
    metric, totals, seen_ignored = DetMetric(), np.zeros(3, int), 0
    for _ in range(150):
        truth = quads(rng, rng.integers(0, 5))
        found = [p + rng.normal(0, 2, (4, 2)) for p in truth if rng.random() < 0.8] + quads(rng, rng.integers(0, 3))
        ignored = [bool(rng.random() < 0.3) for _ in truth]
        metric.add(found, truth, ignored)
        totals += shapely_detection(found, truth, ignored)
        seen_ignored += sum(ignored)
    figures = metric.result()
    assert seen_ignored > 50 and totals[0] > 100
    assert (figures.matched, figures.found, figures.truth) == tuple(totals)
    assert figures.precision == pytest.approx(totals[0] / totals[1], abs=1e-12)
    assert figures.recall == pytest.approx(totals[0] / totals[2], abs=1e-12)
    assert figures.hmean == pytest.approx(2 * totals[0] / (totals[1] + totals[2]), abs=1e-12)


def test_detection_of_nothing() -> None:
    metric = DetMetric()
    assert metric.result().hmean == 0
    metric.add([], [])
    assert (metric.result().precision, metric.result().recall, metric.result().images) == (0, 0, 1)
    metric.add([SQUARE], [])
    assert metric.result().precision == 0
    metric.add([], [SQUARE])
    assert (metric.result().found, metric.result().truth, metric.result().hmean) == (1, 1, 0)


def test_detection_counts_each_true_box_once() -> None:
    metric = DetMetric()
    metric.add([SQUARE, SQUARE], [SQUARE])
    assert (metric.result().matched, metric.result().precision, metric.result().recall) == (1, 0.5, 1.0)


def test_detection_needs_more_than_the_threshold() -> None:
    metric = DetMetric()
    metric.add([[[0, 0], [10, 0], [10, 5], [0, 5]]], [SQUARE])
    assert metric.result().matched == 0


def test_edit_distance_equals_rapidfuzz() -> None:
    levenshtein = pytest.importorskip("rapidfuzz.distance").Levenshtein
    rng = np.random.default_rng(4)
    alphabet = np.array(list("皖AB01·"))
    for _ in range(500):
        a, b = ("".join(rng.choice(alphabet, rng.integers(0, 10))) for _ in range(2))
        assert edit_distance(a, b) == levenshtein.distance(a, b)


def test_recognition_equals_rapidfuzz() -> None:
    levenshtein = pytest.importorskip("rapidfuzz.distance").Levenshtein
    pairs = [("皖A12345", "皖A12345"), ("皖A·12345", "皖A12345"), ("", "皖A12345"), ("皖A 12345", "皖A12345"), ("", "")]
    metric = RecMetric()
    for text, truth in pairs:
        metric.add(text, truth)
    stripped = [(a.replace(" ", ""), b.replace(" ", "")) for a, b in pairs]
    expected = 1 - np.mean([levenshtein.normalized_distance(a, b) for a, b in stripped])
    assert metric.result().norm_edit == pytest.approx(expected, abs=1e-12)
    assert metric.result().accuracy == pytest.approx(3 / 5)
    assert RecMetric().result().accuracy == 0


def test_half_width_forms() -> None:
    assert half_width("皖Ａ１２３４５　！～") == "皖A12345 !~"


@pytest.fixture(scope="module")
def end2end_tool(tmp_path_factory: pytest.TempPathFactory) -> types.ModuleType:
    """PaddleOCR's `tools/end2end/eval_end2end.py`, its undeclared `editdistance` replaced by RapidFuzz."""
    package = importlib.util.find_spec("paddleocr")
    levenshtein = pytest.importorskip("rapidfuzz.distance").Levenshtein
    if package is None or not package.submodule_search_locations:
        pytest.skip("paddleocr is not installed")
    path = Path(package.submodule_search_locations[0]) / "tools" / "end2end" / "eval_end2end.py"
    fake = types.ModuleType("editdistance")
    fake.eval = levenshtein.distance  # type: ignore[attr-defined]
    sys.modules.setdefault("editdistance", fake)
    spec = importlib.util.spec_from_file_location("paddleocr_eval_end2end", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_end_to_end_equals_paddleocrs_tool(
    end2end_tool: types.ModuleType,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    distances: list[int] = []
    measure = end2end_tool.ed
    monkeypatch.setattr(end2end_tool, "ed", lambda a, b: distances.append(measure(a, b)) or distances[-1])
    rng = np.random.default_rng(5)
    metric = EndToEndMetric()
    texts = ["皖A12345", "皖A1234", "皖AD86766", "ＡＢ１", "苏E05EV8"]
    for folder in ("gt", "found"):
        (tmp_path / folder).mkdir()
    for photo in range(120):
        truth = [(p.round(2), "###" if rng.random() < 0.2 else str(rng.choice(texts))) for p in quads(rng, photo % 4)]
        found = [
            ((p + rng.normal(0, 1.5, (4, 2))).round(2), t if rng.random() < 0.6 else str(rng.choice(texts)))
            for p, t in truth if rng.random() < 0.85
        ] + [(p.round(2), str(rng.choice(texts))) for p in quads(rng, rng.integers(0, 3))]
        metric.add(found, truth)
        rows = ["\t".join(map(str, p.flatten().tolist())) for p, _ in truth]
        lines = [f"{row}\t{int(t == '###')}\t{t}" for row, (_, t) in zip(rows, truth, strict=True)]
        (tmp_path / "gt" / f"{photo}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        if found or photo % 2:
            rows = ["\t".join(map(str, p.flatten().tolist())) + f"\t{t}" for p, t in found]
            (tmp_path / "found" / f"{photo}.txt").write_text("\n".join(rows), encoding="utf-8")
    end2end_tool.e2e_eval(str(tmp_path / "gt"), str(tmp_path / "found"))
    printed = capsys.readouterr().out
    figures = metric.result()
    counts = re.search(r"hit, dt_count, gt_count (\d+) (\d+) (\d+)", printed)
    assert counts is not None and figures.hits > 40
    assert (figures.hits, figures.found, figures.truth) == tuple(map(int, counts.groups()))
    # The tool prints two decimals; with the counts and the sum of distances equal, every figure is.
    assert figures.edit_distance_image == sum(distances) / figures.images
    assert figures.edit_distance_field == sum(distances) / figures.truth
    for name, value in (
        ("character_acc", figures.character_accuracy * 100),
        ("avg_edit_dist_field", figures.edit_distance_field),
        ("avg_edit_dist_img", figures.edit_distance_image),
        ("precision", figures.precision * 100),
        ("recall", figures.recall * 100),
        ("fmeasure", figures.fmeasure * 100),
    ):
        shown = re.search(rf"^{name}: (-?[\d.]+)", printed, re.MULTILINE)
        assert shown is not None and float(shown.group(1)) == pytest.approx(value, abs=0.0051), name


def test_end_to_end_of_nothing_and_of_misses() -> None:
    metric = EndToEndMetric()
    assert metric.result().fmeasure == 0
    assert metric.add([], []) == PhotoCounts(0, 0, 0)
    assert metric.add([], [(SQUARE, "皖A12345")]) == PhotoCounts(0, 0, 1)
    figures = metric.result()
    assert (figures.truth, figures.found, figures.character_accuracy, figures.edit_distance_image) == (1, 0, 0.0, 3.5)
    assert metric.add([(SQUARE, "皖A12345")], [(SQUARE, "皖A12345")]).exact
    assert metric.result().precision == 1 and metric.result().recall == 0.5


def test_end_to_end_matches_the_greatest_overlap_first() -> None:
    shifted = [[2, 0], [12, 0], [12, 10], [2, 10]]
    metric = EndToEndMetric()
    assert metric.add([(shifted, "错"), (SQUARE, "皖A12345")], [(SQUARE, "皖A12345")]).hits == 1
    assert metric.result().found == 2
