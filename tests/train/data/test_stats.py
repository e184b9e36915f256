"""`edge train stats`: the figures of a data set, whatever it is given as."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import cv2
import numpy as np
import pytest

from edge.base.errors import InputError
from edge.plate.country import load_country
from edge.terminal.bars import bars
from train.data.stats import collect, quantiles, summarise
from train.data.stats_picture import draw_stats
from train.labels.make import make_labels
from train.synth.folder import SynthOptions, make_synth


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """Six rendered photos and their labels."""
    root = tmp_path_factory.mktemp("stats")
    make_synth(root / "photos", SynthOptions(6, seed=3, jobs=1))
    make_labels(root / "photos", root / "labels")
    return root


def counted(source):
    return summarise(collect(source))


def test_every_way_to_name_a_data_set_gives_the_same_counts(rendered):
    sources = ("photos", "labels", "labels/det.txt", "labels/rec.txt")
    summaries = [counted(rendered / source) for source in sources]
    for summary in summaries:
        assert summary["plates"] == 6 and summary["skipped"] == {}
        for key in ("provinces", "characters", "letters", "lengths", "missing_provinces"):
            assert summary[key] == summaries[0][key]
    widths = [summary["measures"]["width"] for summary in summaries]
    assert widths[0] == widths[1] == widths[2] == widths[3]
    assert summaries[0]["measures"]["blur"] == summaries[1]["measures"]["blur"]
    assert "sharpness" in summaries[1]["measures"] and "sharpness" not in summaries[2]["measures"]


def test_characters_are_counted_and_absent_provinces_named(rendered):
    texts = [line.split("\t")[1] for line in (rendered / "labels" / "rec.txt").read_text("utf-8").splitlines()]
    summary = counted(rendered / "labels")
    assert sum(summary["characters"].values()) == sum(map(len, texts))
    assert summary["characters"]["7"] == "".join(texts).count("7")
    assert {text[0] for text in texts}.isdisjoint(summary["missing_provinces"])
    assert len(summary["missing_provinces"]) == 31 - len({text[0] for text in texts})


def test_quantiles_are_numpys():
    values = np.random.default_rng(0).normal(0, 9, 101).tolist()
    found = quantiles(values)
    assert found["p95"] == pytest.approx(np.percentile(values, 95), abs=1e-3)
    assert found["p50"] == pytest.approx(np.median(values), abs=1e-3)
    assert (found["min"], found["count"]) == (pytest.approx(min(values), abs=1e-3), 101)
    assert quantiles([4.0])["p5"] == 4.0


def test_the_picture_shows_the_counts(rendered):
    collection = collect(rendered / "labels")
    picture = draw_stats(collection, summarise(collection), load_country())
    assert picture.shape[1:] == (1240, 3) and picture.shape[0] > 1000
    blue = ((picture[:, :, 0] > 150) & (picture[:, :, 2] < 80)).mean()
    assert 0.005 < blue < 0.4


def test_unreadable_files_are_counted_and_malformed_ones_named(tmp_path):
    crop = cv2.imencode(".jpg", np.zeros((24, 94, 3), np.uint8))[1].tobytes()
    (tmp_path / "a.jpg").write_bytes(crop)
    labels = tmp_path / "rec.txt"
    labels.write_text("a.jpg\t皖A12345\nb.jpg\t皖A12346\n\n", encoding="utf-8")
    assert counted(labels)["skipped"] == {"image missing or unreadable": 1}
    labels.write_text("a.jpg 皖A12345\n", encoding="utf-8")
    with pytest.raises(InputError, match="line 1: not `path<TAB>label`"):
        collect(labels)
    labels.write_text('a.jpg\t[{"points": [[1, 2], [3]], "transcription": "x"}]\n', encoding="utf-8")
    with pytest.raises(InputError, match="line 1: not a list of points"):
        collect(labels)
    box = [[1, 2], [9, 2], [9, 5], [1, 5]]
    labels.write_text("a.jpg\t" + json.dumps([{"points": box, "transcription": "###"}]), encoding="utf-8")
    with pytest.raises(InputError, match=r"to be ignored \(### or difficult\)"):
        collect(labels)
    for source in (tmp_path / "none", tmp_path / "a.jpg"):
        with pytest.raises(InputError):
            collect(source)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="No plates"):
        collect(tmp_path / "empty")


def test_the_command_line(rendered, tmp_path):
    command = [sys.executable, "-m", "edge", "train", "stats", str(rendered / "labels")]
    plain = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (
        "6 plates" in plain.stdout
        and "sharpness" in plain.stdout
        and max(map(len, plain.stdout.splitlines()[-12:])) <= 80
    )
    png = tmp_path / "stats.png"
    both = subprocess.run([*command, "--json", "--png", str(png)], capture_output=True, text=True, check=True)
    assert json.loads(both.stdout)["plates"] == 6
    assert cv2.imread(str(png)).shape[1] == 1240
    again = subprocess.run([*command, "--png", str(png)], capture_output=True, text=True, check=False)
    assert again.returncode == 2 and "--force" in again.stderr


def test_texts_and_folders_cannot_steer_the_terminal(tmp_path, monkeypatch, edge_here):
    evil = "\x1b]0;owned\x07\x9b2J[/b]"
    (tmp_path / "det.txt").write_text(
        "a.jpg\t" + json.dumps([{"points": [[0, 0], [9, 0], [9, 3], [0, 3]], "transcription": f"皖{evil}"}]),
        encoding="utf-8",
    )
    shown = edge_here("train", "stats", tmp_path / "det.txt")
    assert "皖" in shown and not {letter for letter in shown if not letter.isprintable()} - {"\n"}

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    with bars() as show:  # A phase's title is its folder's name.
        show(f"photos{evil}", 1, 2)
    drawn = sys.stderr.getvalue()
    assert "[/b]" in drawn and "\x1b]0" not in drawn and "\x9b" not in drawn


def test_real_crops(real_data):
    summary = counted(real_data / "crops" / "test.txt")
    assert summary["plates"] == 300 and summary["skipped"] == {}
    assert summary["provinces"]["皖"] == 50 and "藏" in summary["missing_provinces"]
