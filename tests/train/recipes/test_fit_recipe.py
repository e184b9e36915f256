"""Recipes: what is unknown, mistyped or out of range is refused with its name."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from invented import write_invented

from edge.base.errors import EdgeError, InputError, UsageError
from train.fit.schedule import ema_decay, rate_at
from train.recipes.recipe import OptimPart, load_recipe, parse_recipe, recipe_document, recipe_names
from train.weights.checkpoint import check_settings


def test_every_recipe_of_the_kit_loads_and_survives_a_round_trip() -> None:
    names = recipe_names()
    assert "rec-plate-160" in names and "det-plate" in names and "rec-note" in names and "det-note" in names
    for name in names:
        recipe = load_recipe(name)
        assert parse_recipe(recipe_document(recipe), name) == recipe
        assert recipe.about, f"{name} does not say what it is"


def test_note_recipes_hold_the_notes_settings() -> None:
    for name in ("rec-note", "det-note"):
        optim = load_recipe(name).optim
        assert (optim.kind, optim.schedule, optim.rate, optim.warmup, optim.ema) == ("adam", "constant", 0.0005, 0, 0.0)


def test_override_changes_one_value_and_keeps_the_rest() -> None:
    plain, changed = (
        load_recipe("rec-plate-160"),
        load_recipe("rec-plate-160", ("optim.rate=0.5", "data.crops=[a.txt]")),
    )
    assert changed.optim.rate == 0.5
    assert changed.data.crops == ("a.txt",)
    assert changed.optim.warmup == plain.optim.warmup
    assert changed.steps == plain.steps


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("optim.rat=0.1", "optim.rat"),
        ("epochs=3", "epochs"),
        ("optim.rate=fast", "optim.rate"),
        ("steps=2.5", "steps"),
        ("steps=0", "steps"),
        ("steps=true", "steps"),
        ("data.crops=a.txt", "data.crops"),
        ("model.width=100", "model.width"),
        ("steps.x=1", "steps"),
        ("optim=1", "optim"),
        ("data.scale=[500, 400]", "data.scale"),
        ("optim.clip=-1", "optim.clip"),
        ("optim.final=-0.1", "optim.final"),
        ("optim.rate=.inf", "optim.rate"),
        ("optim.warmup=-1", "optim.warmup"),
        ("data.eval_side=0", "data.eval_side"),
        ("seed=-1", "seed = -1 is out of range"),
        ("seed=10000000000", "seed"),
        ("batch=1000000000", "batch"),
        ("threads=100000", "threads"),
        ("data.photos_share=.inf", "data.photos_share = inf is out of range"),
        ("data.synth_share=.nan", "data.synth_share"),
        ("data.size=3200000", "data.size"),
        ("data.scale=[400, 1000000000]", "data.scale"),
        ("data.shrink_ratio=1.0e-9", "data.shrink_ratio"),
        ("qat.layers=[]", "qat.layers"),
    ],
)
def test_bad_overrides_are_refused_by_name(override: str, named: str) -> None:
    with pytest.raises(InputError) as caught:
        load_recipe("rec-plate-160", (override,))
    assert named in str(caught.value)


def test_unknown_key_in_a_file_names_file_and_key(tmp_path: Path) -> None:
    path = tmp_path / "mine.yml"
    path.write_text("task: rec\noptim: {rate: 0.1, momentum: 0.9}\n")
    with pytest.raises(InputError, match=r"mine\.yml.*optim\.momentum"):
        load_recipe(str(path))


@pytest.mark.parametrize("text", ["", "- 1\n", "task: [", "steps: 3\n"])
def test_files_that_are_no_recipe(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.yml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"mine\.yml"):
        load_recipe(str(path))


def test_unknown_recipe_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match="rec-plate-160"):
        load_recipe("rec-plates")
    with pytest.raises(EdgeError, match="key=value"):
        load_recipe("rec-plate-160", ("steps",))


def test_cosine_rises_linearly_and_falls_to_its_end() -> None:
    optim = OptimPart(rate=0.1, final=0.02, warmup=10)
    rates = [rate_at(step, 110, optim) for step in range(110)]
    assert rates[0] == pytest.approx(0.01) and rates[9] == pytest.approx(0.1)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[60] == pytest.approx((0.1 + 0.002) / 2)
    assert rates[-1] == pytest.approx(0.002 + 0.098 * 0.5 * (1 + math.cos(math.pi * 0.99)))
    assert rate_at(5, 10, OptimPart(schedule="constant", rate=0.3, warmup=0)) == 0.3


def test_moving_average_forgets_its_start() -> None:
    value = 100.0
    for step in range(1, 200):
        value = value * ema_decay(step, 0.998) + 1.0 * (1 - ema_decay(step, 0.998))
    assert value == pytest.approx(1.0, abs=1e-3)


def test_the_old_name_of_a_share_works_with_a_note(tmp_path, capsys):
    (tmp_path / "mine.yml").write_text("task: det\ndata: {green_share: 0.4}\n", encoding="utf-8")
    recipe = load_recipe(str(tmp_path / "mine.yml"))
    assert recipe.data.kind_share == {"green": 0.4}
    assert "data.green_share is now data.kind_share: {'green': 0.4}" in capsys.readouterr().err
    # Of both names the one that is said later counts, as in the first release.
    old_last = load_recipe("rec-plate-160", ("data.green_share=0.0",))
    new_last = load_recipe(str(tmp_path / "mine.yml"), ("data.kind_share={green: 0.1}",))
    assert old_last.data.kind_share["green"] == 0.0 and new_last.data.kind_share == {"green": 0.1}
    assert capsys.readouterr().err.count("data.green_share is now") == 2
    # What a run of the first release wrote is the same run under the new name, and its record stays as it is.
    old = {**recipe_document(recipe), "data": {"root": "x", "green_share": 0.4}}
    check_settings(old, {**old, "data": {"root": "x", "country": "cn", "kind_share": {"green": 0.4}}}, tmp_path)
    assert not capsys.readouterr().err
    with pytest.raises(InputError, match=r"data\.kind_share\.green = 'much' is not float"):
        parse_recipe({"task": "det", "data": {"green_share": "much", "kind_share": 5}}, "both")


def test_a_country_is_a_code_or_a_folder_beside_the_recipe(tmp_path, monkeypatch):
    folder = write_invented(tmp_path)
    (tmp_path / "mine.yml").write_text("task: rec\ndata: {country: invented, kind_share: {van: 0.5}}\n", encoding="utf-8")
    recipe = load_recipe(str(tmp_path / "mine.yml"))
    assert recipe.data.country == str(folder)
    assert parse_recipe(recipe_document(recipe), "again") == recipe
    assert load_recipe("det-plate").data.country == "cn"
    monkeypatch.chdir(tmp_path)
    assert load_recipe("det-plate", ("data.country=invented", "data.kind_share={}")).data.country == str(folder)
    for override, said in (
        ("data.country=cnn", "no plate country 'cnn'. Did you mean 'cn'"),
        ("data.kind_share={lorry: 0.1}", "Unknown kind of plate 'lorry'"),
        ("data.kind_share={car: 0.7, van: 0.6}", "data.kind_share = .* is out of range"),
        ("data.kind_share=0.5", "data.kind_share = 0.5 is not a mapping"),
        ("data.kind_share={car: much}", "data.kind_share.car = 'much' is not float"),
    ):
        with pytest.raises(InputError, match=said):
            load_recipe(str(tmp_path / "mine.yml"), (override,))
