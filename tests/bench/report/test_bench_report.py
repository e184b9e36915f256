"""Reports: the figures are in them, nothing is fetched, and a real Chromium and axe-core find nothing to object to."""

from __future__ import annotations

import csv
import html
import io
import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest
from fake_board import shown_result

from bench.judge.summary import ROWS, summarise_result
from bench.record.result import Result
from bench.report.charts import size_map
from bench.report.svg import ticks
from bench.report.write import write_outputs, write_reports
from bench.stats.bootstrap import median_interval
from bench.text.facts import conditions

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium (apt-get install chromium)")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("report")
    result = shown_result(place)
    write_outputs(result, summarise_result(result), place / "out", report=True)
    return place / "out"


def browse(page: Path, *options: str) -> subprocess.CompletedProcess[str]:
    assert CHROMIUM is not None
    fixed = [
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars",
        "--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr", "--virtual-time-budget=20000",
        f"--user-data-dir={page.parent / 'profile'}",
    ]  # fmt: skip
    return subprocess.run([CHROMIUM, *fixed, *options, page.as_uri()], capture_output=True, text=True, timeout=600)


def test_all_files_are_written_and_hold_the_figures(folder: Path) -> None:
    document = json.loads((folder / "result.json").read_text())
    median = document["summary"]["cells"]["ppocrv3-fp32_t1_none_min736"]["stages"]["total"]["median"]
    page = (folder / "report.html").read_text()
    text = (folder / "report.md").read_text()
    assert f"{median:.1f}" in page and f"{median:.1f}" in text
    assert "223 or 233" in page and "names no device" in page and "names no device" in text
    rows = list(csv.DictReader(io.StringIO((folder / "report.csv").read_text())))
    assert len(rows) == 2 * (len(ROWS) + 1)
    total = next(row for row in rows if row["stage"] == "total" and row["precision"] == "fp32")
    assert float(total["median_ms"]) == pytest.approx(median, rel=1e-5) and total["n"] == "100"
    assert total["p99_ms"] == "", "100 iterations are too few for a p99"


def test_how_intervals_are_made_is_recorded_and_makes_them_again(folder: Path) -> None:
    document = json.loads((folder / "result.json").read_text())
    how = document["summary"]["statistics"]
    assert how["level"] == 0.95 and how["replicates"] == 1000
    shown = document["summary"]["cells"]["ppocrv3-int8_t1_none_min736"]["stages"]["total"]["interval"]
    runs = [run for run in document["processes"] if run["cell"] == "ppocrv3-int8_t1_none_min736"]
    again = median_interval(
        [np.array(run["ms"]["total"]) for run in runs], groups=[np.array(run["images"]) for run in runs],
        seed=how["seed"], replicates=how["replicates"],
    )  # fmt: skip
    assert again is not None and [again.low, again.high] == [shown["low"], shown["high"]]
    said = f"95% intervals by {how['interval']}; 1000 replicates, seed {how['seed']}"
    assert said in (folder / "report.html").read_text() and said in (folder / "report.md").read_text()


def test_cores_are_told_by_name_and_clock(tmp_path: Path) -> None:
    facts = {"cpu_parts": {"0xd03": 4, "0xd08": 2, "0xabc": 1}, "cores": 7, "max_khz": {"0": 1416000, "4": 1800000}}
    rows = {row.name: row.value for row in conditions(replace(shown_result(tmp_path), facts=facts))}
    cores = "4 x cortex-a53 (0xd03), 2 x cortex-a72 (0xd08), 1 x part 0xabc"
    assert rows["CPU"] == f"{cores}, 7 cores, at most 1416 and 1800 MHz"


def test_sizes_are_areas_on_one_scale(tmp_path: Path) -> None:
    result = shown_result(tmp_path)
    other = tuple(
        replace(cell, key=f"x{number}", model="plate-v1", rec_bytes=700_000 * (number + 1))
        for number, cell in enumerate(result.cells)
    )
    drawing = size_map(summarise_result(replace(result, cells=(*result.cells, *other))))
    shapes = re.findall(
        r'width="([\d.]+)%" height="([\d.]+)" class="tile (?:fp32|int8) \w+"><title>[^:]*: ([\d,]+) bytes', drawing
    )
    assert len(shapes) == 8
    density = [float(width) * float(height) / int(size.replace(",", "")) for width, height, size in shapes]
    assert max(density) == pytest.approx(min(density), rel=0.03)


def test_page_is_one_file_that_fetches_nothing(folder: Path) -> None:
    page = (folder / "report.html").read_text()
    places = re.findall(r'\s(?:src|href|srcset|action)="([^"]*)"', page)
    places += re.findall(r"url\(([^)]*)\)|@import (.*)", page)
    assert len(places) > 10
    assert all(isinstance(place, str) and place.startswith(("#", "data:")) for place in places), places
    assert "<script" not in page.lower()
    assert "default-src 'none'" in page
    assert (folder / "report.html").stat().st_size < 2_000_000


def test_hostile_text_stays_text(folder: Path) -> None:
    page, text = (folder / "report.html").read_text(), (folder / "report.md").read_text()
    assert html.escape("京<script>1") in page and "<script" not in page and "<script" not in text


def test_settings_stand_in_a_column_only_where_they_differ(folder: Path, tmp_path: Path) -> None:
    def heads(page: str) -> str:
        return page.split('id="c-times"', 1)[1].split("</thead>", 1)[0]

    same = heads((folder / "report.html").read_text())
    assert "1 thread, power mode none, shorter side 736." in same.split("</p>", 1)[0]
    assert "thread" not in same.split("<thead>", 1)[1]
    result = shown_result(tmp_path)
    twice = replace(result, cells=(result.cells[0], replace(result.cells[1], threads=2)))
    differ = heads(page_of(twice, tmp_path)).split("<thead>", 1)[1]
    assert "<br>1 thread<" in differ and "<br>2 threads<" in differ and "shorter side" not in differ


def page_of(result: Result, folder: Path) -> str:
    write_reports(result, summarise_result(result), folder)
    return (folder / "report.html").read_text()


def test_every_stage_in_the_legend_is_explained(folder: Path) -> None:
    for name in ("report.html", "report.md"):
        text = (folder / name).read_text()
        assert "det is the detector, which finds plates" in text and "straightening each plate" in text


def test_times_of_a_session_have_a_scale(folder: Path) -> None:
    drawing = (folder / "report.html").read_text().split('aria-labelledby="time-t', 1)[1].split("</svg>", 1)[0]
    assert len(re.findall(r'class="tick">[\d.]+ ms<', drawing)) >= 2
    page = (folder / "report.html").read_text()
    assert page.count("tallest bar: ") == 2


class Outline(HTMLParser):
    """Collects what a screen reader lives on."""

    def __init__(self) -> None:
        super().__init__()
        self.headings: list[int] = []
        self.pictures: list[dict[str, str | None]] = []
        self.ids: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if values.get("role") == "img":
            self.pictures.append(values)
        if values.get("id"):
            self.ids.append(str(values["id"]))


def test_structure_for_screen_readers(folder: Path) -> None:
    page = (folder / "report.html").read_text()
    outline = Outline()
    outline.feed(page)
    assert outline.headings[0] == 1 and outline.headings.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in zip(outline.headings, outline.headings[1:], strict=False))
    assert len(set(outline.ids)) == len(outline.ids), "ids are unique"
    assert len(outline.pictures) >= 6
    for picture in outline.pictures:
        for label in str(picture["aria-labelledby"]).split():
            assert label in outline.ids
    assert re.search(r"<desc[^>]*>[^<]*det infer \d", page), "the bars are also told in words"


def test_failures_come_first(folder: Path) -> None:
    page = (folder / "report.html").read_text()
    names = re.findall(r'<p class="name">([^<]+)</p>', page)
    assert len(names) == 2
    assert page.index('class="card failed"') < page.index(f">{names[1]}<")
    assert names == ["blue-night.jpg", "blue-day.jpg"]


def test_incomplete_result_says_so_everywhere(folder: Path, tmp_path: Path) -> None:
    result = replace(shown_result(tmp_path), complete=False, why="interrupted", finished="")
    write_reports(result, summarise_result(result), tmp_path)
    for name in ("report.html", "report.md"):
        text = (tmp_path / name).read_text()
        assert "INVALID" in text and "ncomplete" in text and "interrupted" in text


def test_result_without_any_measurement_still_makes_a_report(tmp_path: Path) -> None:
    result = replace(shown_result(tmp_path), processes=(), complete=False, why="the board was gone")
    files = write_reports(result, summarise_result(result), tmp_path)
    assert all(path.stat().st_size > 0 for path in files)


@needs_browser
@pytest.mark.parametrize(("scheme", "width"), [("light", 1180), ("dark", 1180), ("light", 360)])
def test_chromium_draws_it_without_complaint(folder: Path, tmp_path: Path, scheme: str, width: int) -> None:
    page = tmp_path / "report.html"
    shutil.copy(folder / "report.html", page)
    shot = tmp_path / "shot.png"
    dark = ["--blink-settings=preferredColorScheme=0", "--force-dark-mode"] if scheme == "dark" else []
    answer = browse(page, *dark, f"--window-size={width},1400", f"--screenshot={shot}")
    assert "CONSOLE" not in answer.stderr, answer.stderr
    picture = cv2.imread(str(shot))
    assert picture is not None and picture.shape[1] == width
    corner = picture[:20, -20:].mean()
    assert corner < 60 if scheme == "dark" else corner > 200
    assert picture.std() > 15, "something is drawn"


PROBE = """
<script>{axe}</script><script>
window.onload = () => axe.run(document, {{resultTypes: ['violations', 'incomplete']}}).then(found => {{
  const said = found.violations.map(v => v.id + ': ' + v.nodes.map(n => n.target + ' ' + n.failureSummary).join(' | '));
  const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  const page = document.documentElement.clientWidth;
  const cut = [...document.querySelectorAll('p,h1,h2,caption,figcaption,.scroll')]
    .filter(e => e.getBoundingClientRect().right > page + 1).map(e => e.outerHTML.slice(0, 80));
  const tabs = [...document.querySelectorAll('a,summary,[tabindex]')].filter(e => e.tabIndex >= 0).length;
  const mark = document.createElement('pre');
  mark.id = 'axe-said';
  mark.textContent = JSON.stringify({{said, wide, cut, tabs, passes: found.passes.length}});
  document.body.append(mark);
}});
</script></body>"""


@needs_browser
@pytest.mark.parametrize(("scheme", "width"), [("light", 1180), ("dark", 400)])
def test_axe_core_finds_no_violation(folder: Path, tmp_path: Path, scheme: str, width: int) -> None:
    spec = find_spec("axe_core_python")
    if spec is None or spec.origin is None:
        pytest.skip("no axe_core_python")
    axe = (Path(spec.origin).parent / "axe.min.js").read_text(encoding="utf-8")
    text = (folder / "report.html").read_text(encoding="utf-8")
    # The page forbids scripts; only this copy for the examination does without that rule.
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text).replace("<details", "<details open")
    page = tmp_path / "probe.html"
    page.write_text(text.replace("</body>", PROBE.format(axe=axe)), encoding="utf-8")
    dark = ["--blink-settings=preferredColorScheme=0", "--force-dark-mode"] if scheme == "dark" else []
    answer = browse(page, *dark, f"--window-size={width},1000", "--dump-dom")
    match = re.search(r'<pre id="axe-said">(.*?)</pre>', answer.stdout, re.DOTALL)
    assert match, answer.stderr[-2000:]
    found = json.loads(html.unescape(match[1]))
    assert found["said"] == []
    assert found["passes"] > 20
    assert found["wide"] <= 0, "nothing sticks out sideways"
    assert found["cut"] == [], "captions and text stay on the screen while a wide table scrolls below them"
    assert found["tabs"] >= 10, "links, tables and details can be reached by keyboard"


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 0.003), (95.2, 101.7), (0, 123456), (5, 5)])
def test_axis_marks_are_round_and_inside(low: float, high: float) -> None:
    marks = ticks(low, high)
    assert 1 <= len(marks) <= 6
    assert all(low - 1e-9 <= mark <= high + 1e-9 for mark in marks)
    assert all(len(f"{mark:g}") <= 6 for mark in marks)
