"""Bundles: the same bytes for the same input, another name for another byte, and no wrong one."""

from __future__ import annotations

import io
import json
import shutil
import sys
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from invented import write_invented

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "boards"))

from flashkit import compile_program, local_board, make_model, make_pair, make_release, make_runtime

from edge.base.errors import EdgeError, InputError, ModelError, UsageError, VerifyError
from edge.bundle.bundle import Bundle, load_bundle, make_bundle, save_bundle
from edge.bundle.manifest import parse_manifest
from edge.bundle.zoo import ModelPair
from edge.device.board import Board, load_profile
from edge.model.card import load_model, save_model
from edge.ocr.config import parse_config
from edge.photo.listing import SAMPLES
from edge.plate.country import load_country


@pytest.fixture(autouse=True)
def _cache(own_cache: Path) -> None:
    """Every test has its own cache."""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return compile_program(tmp_path_factory.mktemp("program"))


def bundle_of(compiled: tuple[Path, Path], pair: ModelPair, board: Board | None = None, **options: object) -> Bundle:
    program, library = compiled
    version = str(options.pop("version", "v2.13-rc"))
    return make_bundle(board or local_board(), program, make_runtime(library, version), [pair], samples=[], **options)  # type: ignore[arg-type]


def test_the_same_input_gives_the_same_bytes(compiled: tuple[Path, Path], tmp_path: Path) -> None:
    first = bundle_of(compiled, make_pair(tmp_path / "one"))
    # Another folder, other times: the same release.
    copied = tmp_path / "elsewhere"
    copied.mkdir()
    program, library = (Path(shutil.copy(path, copied)) for path in compiled)
    second = bundle_of((program, library), make_pair(tmp_path / "two"))
    assert first.hash == second.hash
    a, b = save_bundle(first, tmp_path / "a.tar"), save_bundle(second, tmp_path / "b.tar")
    assert a.read_bytes() == b.read_bytes()


def test_any_other_byte_gives_another_name(compiled: tuple[Path, Path], tmp_path: Path) -> None:
    base = bundle_of(compiled, make_pair(tmp_path / "one"))
    other_model = bundle_of(compiled, make_pair(tmp_path / "two", "京B00000"))
    other_setting = bundle_of(compiled, make_pair(tmp_path / "one"), settings={"det_limit_side": "640"})
    assert len({base.hash, other_model.hash, other_setting.hash}) == 3


def test_the_manifest_says_everything(compiled: tuple[Path, Path], tmp_path: Path) -> None:
    bundle = bundle_of(compiled, make_pair(tmp_path / "m"))
    document = json.loads(bundle.manifest.dump())
    assert document["schema"] == "plate-edge/bundle/2"
    assert document["abi"] == "x86_64"
    assert document["program"]["interpreter"].startswith("/lib64/ld-linux")
    variant = document["variants"]["test-fp32"]
    assert variant["rec_nb"] == {"opt_version": "v2.13-rc", "meta_version": 2}
    assert variant["rec_card"]["charset"]["classes"] == 3
    assert document["requires"]["versions"]["GLIBC"]
    assert {item["component"] for item in document["licences"]} >= {"Paddle Lite", "plate-edge-kit"}
    named = {item["path"] for item in document["files"] if item["kind"] == "licence"}
    assert named == {"LICENSE", "NOTICE"}
    assert {item["file"] for item in document["licences"]} == named
    modes = {item["path"]: item["mode"] for item in document["files"]}
    assert modes["bin/plate_ocr"] == 0o755
    assert modes["models/test-fp32/rec.nb"] == 0o644
    assert parse_manifest(bundle.manifest.dump()).hash == bundle.hash


def test_the_config_follows_cards_profile_and_settings(compiled: tuple[Path, Path], tmp_path: Path) -> None:
    pair = make_pair(tmp_path / "m")
    board = replace(local_board(), threads=2, power_mode="high")
    bundle = bundle_of(compiled, pair, board, settings={"det_limit_side": "640", "text_lengths": "8"})
    config = parse_config(bundle.sources["models/test-fp32/plate.conf"].read_text(encoding="utf-8"))
    assert (config.threads, config.power_mode) == (2, "high")
    assert (config.det_model, config.rec_model, config.dict) == ("det.nb", "rec.nb", "dict.txt")
    assert config.det_mean == (0.485, 0.456, 0.406)
    assert (config.rec_height, config.rec_width) == (48, 320)
    assert (config.det_limit_side, config.text_lengths) == (640, (8,))


def test_a_bundle_holds_the_grammar_of_its_recogniser(compiled: tuple[Path, Path], tmp_path: Path) -> None:
    """Of a card of 0.1, which names no country, the kit's own; of another the one that it carries, kind by kind checked."""
    pair = make_pair(tmp_path / "m")
    bundle = bundle_of(compiled, pair)
    variant = bundle.manifest.variants["test-fp32"]
    kept = bundle.sources[variant["grammar"]].read_text(encoding="utf-8")
    assert kept.splitlines() == list(load_country("cn").grammar.lines())
    invented = load_country(write_invented(tmp_path))
    card = replace(pair.rec.card, country=invented.code, grammar=invented.grammar.lines(), pipeline=invented.pipeline)
    pair = replace(pair, rec=replace(pair.rec, card=card))
    bundle = bundle_of(compiled, pair)
    assert "country invented" in bundle.sources["models/test-fp32/grammar.txt"].read_text(encoding="utf-8")
    config = parse_config(bundle.sources["models/test-fp32/plate.conf"].read_text(encoding="utf-8"))
    assert (config.text_lengths, config.text_strip, config.grammar) == ((6, 7, 10), "-", "grammar.txt")
    with pytest.raises(ModelError, match="test-rec lacks all characters of class D, so that plates 'RRADDD'"):
        bundle_of(compiled, pair, settings={"decode": "plate"})
    damaged = replace(card, grammar=card.grammar[1:])
    with pytest.raises(InputError, match="test-rec: its first line is"):
        bundle_of(compiled, replace(pair, rec=replace(pair.rec, card=damaged)))


def test_samples_are_those_of_the_models_country(compiled: tuple[Path, Path], tmp_path: Path) -> None:
    """None for a country of which the kit has none; a bundle of two countries is refused."""
    program, library = compiled
    pair, runtime = make_pair(tmp_path / "m"), make_runtime(library)
    taken = make_bundle(local_board(), program, runtime, [pair])
    assert {path.name for path in SAMPLES.glob("*.jpg")} <= {Path(item.path).name for item in taken.manifest.files}
    invented = load_country(write_invented(tmp_path))
    card = replace(pair.rec.card, country=invented.code, grammar=invented.grammar.lines())
    foreign = replace(pair, set_name="other", rec=replace(pair.rec, card=card))
    without = make_bundle(local_board(), program, runtime, [foreign])
    assert not any(item.kind == "sample" for item in without.manifest.files)
    with pytest.raises(UsageError, match="read plates of cn and of invented; a bundle is for one country"):
        make_bundle(local_board(), program, runtime, [pair, foreign])


def test_mean_and_std_are_brought_to_unit_pixels(compiled: tuple[Path, Path], tmp_path: Path) -> None:
    pair = make_pair(tmp_path / "m")
    # The same normalisation written on pixels 0..255, as some exporters do.
    shape = replace(pair.det.card.input, scale=1.0, mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375))
    pair = replace(pair, det=replace(pair.det, card=replace(pair.det.card, input=shape)))
    bundle = bundle_of(compiled, pair)
    config = parse_config(bundle.sources["models/test-fp32/plate.conf"].read_text(encoding="utf-8"))
    assert config.det_mean == pytest.approx((0.485, 0.456, 0.406))
    assert config.det_std == pytest.approx((0.229, 0.224, 0.225))


@pytest.mark.parametrize("setting", [{"nonsense": "1"}, {"det_thresh": "2"}, {"rec_model": "/etc/passwd"}])
def test_wrong_settings_are_refused(setting: dict[str, str], compiled: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        bundle_of(compiled, make_pair(tmp_path / "m"), settings=setting)


def test_a_model_for_another_target_is_refused(compiled: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="was converted for arm, bench needs x86") as caught:
        bundle_of(compiled, make_pair(tmp_path / "m", target="arm"))
    assert "--target x86" in caught.value.hint


@pytest.mark.parametrize(
    ("opt", "runtime", "newer"),
    [
        ("v2.14-rc", "v2.13-rc", True),
        ("v2.13", "v2.13-rc", True),
        ("v2.13-rc", "v2.13-rc", False),
        ("v2.12", "v2.13-rc", False),
        ("v2.9.1", "v2.10", False),
        # Source builds name a commit: nothing can be said, the trial run decides.
        ("3d329c9", "v2.10", False),
        ("v2.13", "", False),
    ],
)
def test_a_newer_nb_is_refused(
    opt: str, runtime: str, newer: bool, compiled: tuple[Path, Path], tmp_path: Path
) -> None:
    pair = make_pair(tmp_path / "m", opt=opt.encode())
    if newer:
        with pytest.raises(ModelError, match=f"opt {opt}, the runtime of bench is {runtime}"):
            bundle_of(compiled, pair, version=runtime)
    else:
        bundle_of(compiled, pair, version=runtime)


def test_a_wrong_dictionary_is_refused(compiled: tuple[Path, Path], tmp_path: Path) -> None:
    pair = make_pair(tmp_path / "m")
    assert pair.rec.dictionary is not None
    pair.rec.dictionary.write_text("A\nB\nC\n", encoding="utf-8")
    with pytest.raises(ModelError, match="3 classes, its dictionary 3 characters"):
        bundle_of(compiled, pair)


def test_a_model_that_failed_its_checks_needs_force(compiled: tuple[Path, Path], tmp_path: Path) -> None:
    pair = make_pair(tmp_path / "m")
    card = replace(pair.det.card, checks=({"name": "int8-against-fp32", "ok": False},))
    pair = replace(pair, det=save_model(pair.det.folder, card, ["det.nb"]))
    with pytest.raises(ModelError, match="int8-against-fp32"):
        bundle_of(compiled, pair)
    bundle_of(compiled, pair, force=True)


def test_detector_and_recogniser_are_not_mixed_up(compiled: tuple[Path, Path], tmp_path: Path) -> None:
    det, rec = make_model(tmp_path / "d", "det"), make_model(tmp_path / "r", "rec")
    with pytest.raises(ModelError, match="is a rec model"):
        bundle_of(compiled, ModelPair("x", "fp32", rec, det))


def test_another_architecture_is_refused(compiled: tuple[Path, Path], tmp_path: Path) -> None:
    if shutil.which("aarch64-linux-gnu-gcc") is None:
        pytest.skip("no aarch64-linux-gnu-gcc")
    _, arm_library = compile_program(tmp_path / "arm", "arm64")
    with pytest.raises(VerifyError, match="is an arm64 library, bench is x86_64"):
        make_bundle(
            local_board(), compiled[0], make_runtime(arm_library), [make_pair(tmp_path / "m")], samples=[]
        )
    with pytest.raises(VerifyError, match="plate_ocr is an x86_64 program, rk3399 is arm64"):
        bundle_of(compiled, make_pair(tmp_path / "m2", target="arm"), load_profile("rk3399"))


def test_a_missing_library_is_named(compiled: tuple[Path, Path], tmp_path: Path) -> None:
    program, library = compiled
    other = tmp_path / "libother.so"
    shutil.copy(library, other)
    runtime = replace(make_runtime(library), library=other, libraries=(("libother.so", other),))
    # The copy keeps the SONAME that the program asks for; only without it is something missing.
    make_bundle(local_board(), program, runtime, [make_pair(tmp_path / "m")], samples=[])
    runtime = replace(runtime, libraries=())
    with pytest.raises(VerifyError, match=r"libpaddle_light_api_shared\.so, which plate_ocr needs"):
        make_bundle(local_board(), program, runtime, [make_pair(tmp_path / "m2")], samples=[])


def test_no_models_and_twice_the_same_are_refused(compiled: tuple[Path, Path], tmp_path: Path) -> None:
    program, library = compiled
    with pytest.raises(UsageError):
        make_bundle(local_board(), program, make_runtime(library), [])
    pair = make_pair(tmp_path / "m")
    with pytest.raises(UsageError, match="same name"):
        make_bundle(local_board(), program, make_runtime(library), [pair, pair])


def test_a_file_is_loaded_again_and_distrusted(tmp_path: Path) -> None:
    made = make_release(tmp_path)
    path = save_bundle(made, tmp_path / "a.tar")
    loaded = load_bundle(path)
    assert loaded.hash == made.hash
    assert loaded.sources["bin/plate_ocr"].stat().st_mode & 0o111
    raw = bytearray(path.read_bytes())
    raw[-20_000] ^= 1
    broken = tmp_path / "broken.tar"
    broken.write_bytes(raw)
    with pytest.raises(VerifyError, match="is not the file that the manifest describes"):
        load_bundle(broken)
    extra = tmp_path / "extra.tar"
    shutil.copy(path, extra)
    with tarfile.open(extra, "a") as tar:
        info = tarfile.TarInfo("lib/evil.so")
        info.size = 4
        tar.addfile(info, io.BytesIO(b"evil"))
    with pytest.raises(VerifyError, match=r"evil\.so is not in the manifest"):
        load_bundle(extra)


def test_a_manifest_with_a_wrong_path_is_refused(tmp_path: Path) -> None:
    manifest = make_release(tmp_path).manifest
    for path in ("/etc/passwd", "../x", "a/../../x", "a\\b", "a\nb", "manifest.json", "", "./a", "a//b"):
        files = (replace(manifest.files[0], path=path), *manifest.files[1:])
        with pytest.raises(InputError, match="cannot be a file"):
            parse_manifest(replace(manifest, files=files).dump())


@pytest.mark.parametrize(
    "change",
    [{"mode": 0o4755}, {"mode": "755"}, {"size": -1}, {"size": 1.5}, {"sha256": "$(reboot)"}, {"path": 7}, {"kind": None}],
)
def test_a_manifest_with_an_odd_file_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    """What a board is told is not taken from somebody else's file unseen, a set-user-ID bit least of all."""
    manifest = make_release(tmp_path).manifest
    files = (replace(manifest.files[0], **change), *manifest.files[1:])
    with pytest.raises(InputError, match="is not a manifest"):
        parse_manifest(replace(manifest, files=files).dump())


def test_nonsense_in_the_place_of_a_manifest_is_refused(tmp_path: Path) -> None:
    manifest = make_release(tmp_path).manifest
    for change in ({"runtime": []}, {"variants": {"a": 1}}, {"abi": None}, {"licences": {}}):
        with pytest.raises(InputError, match="is not a manifest"):
            parse_manifest(replace(manifest, **change).dump())
    with pytest.raises(InputError, match="is not a manifest"):
        parse_manifest("[" * 100_000)
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "manifest.json").write_bytes(b"\xff\xfe{")
    with pytest.raises(InputError, match="is not a manifest"):
        load_bundle(tmp_path / "odd")


def test_an_edited_manifest_is_refused(tmp_path: Path) -> None:
    text = make_release(tmp_path).manifest.dump()
    with pytest.raises(VerifyError, match="not its content's"):
        parse_manifest(text.replace('"opt_version": "v2.13-rc"', '"opt_version": "v2.10"'))
    for bad in ("", "[]", "{}", '{"schema": "plate-edge/bundle/9"}', text[:500]):
        with pytest.raises(EdgeError):
            parse_manifest(bad)


def test_manifest_of_a_release_of_0_1_is_read_and_keeps_its_name(tmp_path: Path) -> None:
    now = make_release(tmp_path).manifest
    variants = {name: {key: paths[key] for key in paths if key != "grammar"} for name, paths in now.variants.items()}
    old = replace(now, schema="plate-edge/bundle/1", variants=variants)
    again = parse_manifest(old.dump())
    assert again.dump() == old.dump() and again.hash == old.hash != now.hash


def test_cards_survive_the_manifest(tmp_path: Path) -> None:
    bundle = make_release(tmp_path)
    again = parse_manifest(bundle.manifest.dump())
    folder = bundle.sources["models/test-fp32/rec.nb"].parent
    card = load_model(folder).card
    assert again.variants["test-fp32"]["rec_card"]["name"] == card.name
    assert again.variants["test-fp32"]["rec_card"]["files"][0]["sha256"] == card.files[0].sha256


def test_damage_to_what_was_unpacked_earlier_is_not_blamed_on_the_archive(tmp_path: Path) -> None:
    path = save_bundle(make_release(tmp_path), tmp_path / "a.tar")
    for damage in (lambda file: file.write_bytes(b"cut"), lambda file: file.unlink()):
        model = load_bundle(path).sources["models/test-fp32/rec.nb"]
        whole = model.read_bytes()
        damage(model)
        assert load_bundle(path).sources["models/test-fp32/rec.nb"].read_bytes() == whole
