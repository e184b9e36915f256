"""The statistics proven by simulation: coverage, false alarms, power; and the small print of each figure."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_board import run
from scipy import stats

from bench.compare.changes import compare_results
from bench.plan.plan import PRESETS
from bench.record.events import KEYS, STAGES
from bench.record.result import Result
from bench.stats.bootstrap import bootstrap_medians, median_interval, ratio_of_medians
from bench.stats.describe import MIN_SAMPLES, coefficient, percentile, summarise
from bench.stats.sampling import student_t
from bench.stats.trend import drift, two_modes

# The default plan, of which the figures speak.
PROCESSES, ITERATIONS = PRESETS["default"].processes, PRESETS["default"].repeats
# Figures that `compare` looks at together in a default run: nine, for fp32 and for int8.
TOGETHER = 2 * len(KEYS)


def synthetic(
    kind: str, rng: np.random.Generator, processes: int = PROCESSES, level: float = 100.0
) -> list[np.ndarray]:
    """Timings as a board gives them: processes differ by 1.5 %, iterations by 2 %, and what the kind adds."""
    effect = np.exp(rng.normal(0, 0.015, processes))[:, None]
    noise = np.exp(rng.normal(0, 0.02, (processes, ITERATIONS)))
    if kind == "drift":
        noise = noise * (1 + 0.06 * np.arange(ITERATIONS) / ITERATIONS)
    elif kind == "bimodal":
        noise = noise * np.where(rng.random(noise.shape) < 0.3, 1.25, 1.0)
    elif kind == "heavy":
        noise = noise * (1 + (rng.random(noise.shape) < 0.08) * rng.pareto(1.5, noise.shape))
    elif kind == "quiet":
        noise = np.exp(rng.normal(0, 0.002, noise.shape))
    return list(level * effect * noise)


KINDS = ("plain", "drift", "bimodal", "heavy", "quiet")


def test_interval_covers_the_true_median_in_93_to_97_of_100_runs() -> None:
    rng = np.random.default_rng(2026)
    hits = runs = 0
    for kind in KINDS:
        truth = float(np.median(np.concatenate(synthetic(kind, np.random.default_rng(7), processes=20_000))))
        for number in range(200):
            interval = median_interval(synthetic(kind, rng), seed=number, replicates=300)
            assert interval is not None
            hits += not interval.excludes(truth)
            runs += 1
    print(f"coverage {hits / runs:.1%} of {runs} runs")
    assert runs == 1000
    assert 0.93 <= hits / runs <= 0.97


# Milliseconds of seven photos beside the one in the middle, near ones and far ones.
PHOTOS = np.array([0.62, 0.85, 0.97, 1.0, 1.02, 1.4, 2.1])


@pytest.mark.parametrize(("processes", "rounds", "least"), [(PROCESSES, 0, 0.93), (3, 1, 0.85), (3, 3, 0.90)])
def test_interval_covers_the_true_median_of_photos_that_differ(processes: int, rounds: int, least: float) -> None:
    """A median over all photos stands on those in the middle, and moves more than what all of them have in common.

    Three processes of one round are the quick plan's. Its intervals had no width at all in every fourth such run of
    photos timed relative to their own medians, and held the true median in 39 of 100.
    """
    rng = np.random.default_rng(2027)
    iterations = rounds * PHOTOS.size or ITERATIONS
    labels = np.arange(iterations) % PHOTOS.size

    def timed(kind: str, rng: np.random.Generator, count: int) -> list[np.ndarray]:
        return [values[:iterations] * PHOTOS[labels] for values in synthetic(kind, rng, processes=count)]

    hits = runs = 0
    for kind in KINDS:
        truth = float(np.median(np.concatenate(timed(kind, np.random.default_rng(7), 20_000))))
        for number in range(200):
            interval = median_interval(
                timed(kind, rng, processes), groups=[labels] * processes, seed=number, replicates=300
            )
            assert interval is not None and interval.half_width > 1e-4
            hits += not interval.excludes(truth)
            runs += 1
    print(f"coverage {hits / runs:.1%} of {runs} runs")
    assert runs == 1000 and least <= hits / runs <= 0.98


def test_plain_percentile_interval_would_not_cover() -> None:
    # What the calibration is for: five processes and the textbook's percentile interval.
    rng = np.random.default_rng(3)
    hits = 0
    for number in range(300):
        draws = bootstrap_medians(synthetic("plain", rng), seed=number, replicates=200).pooled
        low, high = np.quantile(draws, [0.025, 0.975])
        hits += bool(low <= 100 <= high)
    assert hits / 300 < 0.93


def test_same_data_and_seed_give_the_same_interval() -> None:
    data = synthetic("heavy", np.random.default_rng(1))
    assert median_interval(data, seed=5) == median_interval(data, seed=5)


def test_one_process_has_no_interval_and_no_outlier_is_dropped() -> None:
    values = np.array([1.0] * 99 + [1000.0])
    summary = summarise([values])
    assert summary is not None
    assert summary.interval is None
    assert summary.maximum == 1000.0
    assert summary.mean == pytest.approx(10.99)
    assert summary.n == 100


@pytest.mark.parametrize("percent", [95, 99])
def test_percentile_needs_enough_samples(percent: int) -> None:
    enough = MIN_SAMPLES[percent]
    assert percentile(np.arange(enough - 1.0), percent) is None
    assert percentile(np.arange(float(enough)), percent) == pytest.approx(percent / 100 * (enough - 1))


def test_minimum_samples_are_those_of_loadgen() -> None:
    # n such that, were the true quantile beyond the largest value, that would be seen with 99 %: see the field notes.
    assert MIN_SAMPLES == {50: 1, 90: 64, 95: 130, 99: 662}


def test_student_t_is_scipys() -> None:
    for freedom in (1.0, 2.0, 3.7, 4.0, 9.0, 33.3, 1000.0):
        assert student_t(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-9)


def test_variation_between_photos_is_no_noise() -> None:
    photos = np.tile([0, 1], 50)
    values = np.where(photos == 0, 100.0, 300.0)
    assert coefficient(values) > 0.4
    assert coefficient(values, photos) == 0.0


def test_variation_is_not_hidden_by_timing_each_photo_a_few_times() -> None:
    assert coefficient(np.array([100.0, 180.0, 95.0]), np.arange(3)) is None, "each photo once: nothing is known"
    assert coefficient(np.array([100.0])) is None
    rng = np.random.default_rng(1)
    found = [coefficient(rng.normal(100, 10, 14), np.tile(np.arange(7), 2)) or 0.0 for _ in range(500)]
    assert np.sqrt(np.mean(np.square(found))) == pytest.approx(0.10, rel=0.05)


def test_unequal_processes_are_weighed_by_their_iterations() -> None:
    rng = np.random.default_rng(0)
    data = [rng.normal(100, 1, size) for size in (10, 400, 50)]
    interval = median_interval(data)
    assert interval is not None
    assert interval.low < float(np.median(np.concatenate(data))) < interval.high


def test_ratio_finds_a_ten_percent_slowdown_and_raises_no_false_alarm_in_a_thousand_pairs_each() -> None:
    rng = np.random.default_rng(11)
    alarms: dict[str, int] = dict.fromkeys(KINDS, 0)
    found: dict[str, int] = dict.fromkeys(KINDS, 0)
    pairs = 1000
    for number in range(pairs):
        kind = KINDS[number % len(KINDS)]
        a, same, slower = synthetic(kind, rng), synthetic(kind, rng), synthetic(kind, rng, level=110.0)
        # One figure alone for the alarm, which is the stricter way; as wide as for all together for the power.
        for other, tests, counts in ((same, 1, alarms), (slower, TOGETHER, found)):
            ratio = ratio_of_medians(a, other, tests=tests, seed=number, replicates=150)
            assert ratio.interval is not None
            counts[kind] += ratio.interval.low > 1 and ratio.ratio > 1.05
    print(f"false alarms {sum(alarms.values()) / pairs:.1%} {alarms}")
    print(f"10 % slowdowns found {sum(found.values()) / pairs:.1%} {found}")
    assert sum(alarms.values()) / pairs <= 0.05
    assert sum(found.values()) / pairs >= 0.95


def test_whole_comparisons_raise_no_false_alarm_and_name_the_slower_stage(tmp_path: Path) -> None:
    template = run(tmp_path, precisions=("fp32",), processes=PROCESSES)
    rng = np.random.default_rng(12)
    levels = {"decode": 5.0, "det_pre": 0.6, "det_infer": 65.0, "det_post": 0.1, "crop": 1.3, "rec_pre": 0.1,
              "rec_infer": 11.0, "rec_post": 0.2}  # fmt: skip

    def result(kind: str, slower: str = "") -> Result:
        columns = {
            stage: synthetic(kind, rng, level=level * (1.1 if stage == slower else 1.0))
            for stage, level in levels.items()
        }
        processes = []
        for number, process in enumerate(template.processes):
            ms = {stage: tuple(columns[stage][number]) for stage in STAGES}
            ms["total"] = tuple(np.sum([columns[stage][number] for stage in STAGES], axis=0))
            count = len(ms["total"])
            whole = {"times": tuple(range(count)), "images": (0,) * count, "plates": (1,) * count, "boxes": (1,) * count}
            processes.append(replace(process, ms=ms, **whole))
        return replace(template, processes=tuple(processes))

    pairs, alarms, named = 100, 0, 0
    for number in range(pairs):
        kind = KINDS[number % len(KINDS)]
        a = result(kind)
        alarms += bool(compare_results(a, result(kind), replicates=100).regressions)
        names = {change.what for change in compare_results(a, result(kind, "det_infer"), replicates=100).regressions}
        named += "det_infer" in names and names <= {"det_infer", "total"}
    print(f"whole comparisons: false alarms {alarms} of {pairs}, slower stage named {named} of {pairs}")
    # 5 and 95 of 100 are the rates asked for; a binomial count of those rates goes to 9 and 91 in one of twenty draws.
    assert alarms <= 5 and named >= 91


def test_pairing_takes_out_what_a_pair_shares() -> None:
    rng = np.random.default_rng(5)
    weather = np.exp(rng.normal(0, 0.1, 8))
    a = [100 * w * np.exp(rng.normal(0, 0.01, 30)) for w in weather]
    b = [90 * w * np.exp(rng.normal(0, 0.01, 30)) for w in weather]
    paired, apart = ratio_of_medians(a, b, paired=True), ratio_of_medians(a, b)
    assert paired.interval is not None and apart.interval is not None
    assert paired.interval.half_width < apart.interval.half_width / 4
    assert not paired.interval.excludes(0.9)


def test_drift_is_found_within_and_across_processes() -> None:
    rng = np.random.default_rng(6)
    within = [100 * np.linspace(1, 1.2, 50) * rng.normal(1, 0.01, 50) for _ in range(5)]
    found = drift(within)
    assert found.significant_within and found.within == pytest.approx(1.1, abs=0.02)
    across = [100 * (1 + 0.03 * number) * rng.normal(1, 0.005, 50) for number in range(6)]
    found = drift(across)
    assert found.significant_across and found.across == pytest.approx(1.15, abs=0.02)
    assert not found.significant_within or abs(found.within - 1) < 0.05


def test_drift_of_alternating_photos_is_none() -> None:
    photos = [np.tile([0, 1], 25)] * 5
    values = [np.where(group == 0, 100.0, 300.0) for group in photos]
    assert drift(values, photos).within == 1.0


def test_two_modes_are_told_from_noise_and_from_tails() -> None:
    rng = np.random.default_rng(8)
    one, tail = rng.normal(1, 0.02, 500), np.exp(rng.normal(0, 0.02, 500)) * (1 + (rng.random(500) < 0.05) * 2)
    two = np.where(rng.random(500) < 0.3, 1.25, 1.0) * rng.normal(1, 0.02, 500)
    found = two_modes(two)
    assert found is not None
    assert (
        found.separation > 5
        and found.share == pytest.approx(0.3, abs=0.07)
        and found.ratio == pytest.approx(1.25, abs=0.02)
    )
    plain, tails = two_modes(one), two_modes(tail)
    assert plain is not None and plain.separation < 5
    assert tails is not None and tails.share < 0.1
