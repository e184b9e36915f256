"""Plate countries as data: the kit's own, one of a user's, and files that contradict themselves."""

from __future__ import annotations

from pathlib import Path

import pytest
from invented import PLATE_YML, PLATES, write_invented

from edge.base.errors import InputError, ModelError, UsageError
from edge.bundle.zoo import SHIPPED
from edge.model.dictionary import read_dictionary
from edge.plate.country import country_codes, load_country, samples_of
from edge.plate.grammar import parse_grammar


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_symbols_are_the_classes_of_the_shipped_recognisers(precision: str) -> None:
    dictionary = read_dictionary(SHIPPED / "plate-v1" / f"rec-{precision}" / "dict.txt")
    assert list(load_country("cn").symbols) == dictionary


@pytest.mark.parametrize("code", country_codes())
def test_countries_of_the_kit_say_all_that_a_recogniser_needs(code: str) -> None:
    country = load_country(code)
    country.grammar.check_dictionary(country.symbols, code)
    assert all(country.grammar.lengths) and country.title and country.fonts


def test_a_country_is_one_folder_anywhere(tmp_path: Path) -> None:
    country = load_country(write_invented(tmp_path))
    assert country.code == "invented" and country.lengths == (6, 7, 10) and not country.samples.exists()
    for name, text in PLATES.items():
        found = country.form_of(text)
        assert found is not None and found[0].name == name == country.kind(name).name
        assert len(found[0].layout.boxes) == len(text) == len(found[1].template)
    assert country.form_of("皖A12345") is country.kind_of("皖A123456") is None
    assert {box.y for box in country.kind("car").layout.boxes} == {12, 108}
    assert country.kind("state").red_ink == (0x10, 0x10, 0xE0)
    with pytest.raises(UsageError, match="Unknown kind of plate 'lorry'"):
        country.kind("lorry")


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    folder = write_invented(tmp_path)
    assert load_country(folder).serial_letters == 3
    (folder / "plate.yml").write_text(PLATE_YML.replace("serial_letters: 3", "serial_letters: 12"), encoding="utf-8")
    assert load_country(folder).serial_letters == 12


def test_a_grammar_survives_its_text(tmp_path: Path) -> None:
    for country in (load_country("cn"), load_country(write_invented(tmp_path))):
        text = "\n".join(country.grammar.lines()) + "\n"
        assert parse_grammar(text, "grammar.txt").lines() == country.grammar.lines()


def test_unknown_countries_name_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no plate country 'cnn'. Did you mean 'cn'\?"):
        load_country("cnn")
    for lost in (tmp_path, "x" * 5000, tmp_path / ("x" * 300), "c\0n"):
        with pytest.raises(UsageError, match="no plate country"):
            load_country(lost)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("template: QDDDDD", "template: QDDDXD", None),
        ("template: QDDDDD", "template: QDDD*D", r"template 'QDDD\*D': '\*' is neither a class"),
        ("template: QDDDDD", "template: QDDDD", "'QDDDD' has 5 characters, the layout 'two-lines' 6 boxes"),
        ("template: QDDDDD", "templates: QDDDDD", "kinds, state: forms, number 1: template: it is missing"),
        ("template: QDDDDD", "template: 777777", r"777777 must be a text \(write it in quotes\)"),
        ("serial_letters: 3", "serial_letters: many", "serial_letters: 'many' must be a number, 0 or more"),
        ("serial_letters: 3", "serial_letters: 3\nsize: 7", "unknown key 'size'"),
        ('D: "0123456789"', 'D: "0123456789Ä"', "class 'D' must stand for some of the symbols, not 'Ä'"),
        ('symbols: "0', 'symbols: "00', "'0' is not one, or is given twice"),
        ('strip: "-"', 'strip: "-"\nfold: {A: "B"}', "fold 'A' to 'B' must lead from a character that is not a symbol"),
        ("layout: long", "layout: short", "kinds, van: layout: 'short' is none of two-lines, three-and-four, long"),
        ("[465, 18, 40, 74]", "[485, 18, 40, 74]", "does not lie on the plate of 520 x 110 mm"),
        ("[465, 18, 40, 74]", "[465, 18, 40]", r"boxes: \[465, 18, 40\] must be a list of 4 numbers"),
        ('ink: "#101010"', "ink: black", 'ink: \'black\' is not a colour such as "#C81E28"'),
        ("dot 260 10", "star 260 10", "'star 260 10' is neither 'frame' nor 'dot X Y'"),
        ("name: van", "name: car", "kinds: two have the same name"),
        ("share: 0.5", "share: -1", "kinds, car: share: -1 must be a number, 0 or more"),
        ("serial_letters: 3", "serial_letters: .inf", "serial_letters: inf must be a number, 0 or more"),
        ("serial_letters: 3", f"serial_letters: {'9' * 400}", r"serial_letters: 9+\.\.\.9+ must be a number, 0 or more"),
        ("serial_letters: 3", "serial_letters: 0", "a chance for 2 letters, and serial_letters is 0"),
        ("letters: [0, 0, 1]", "letters: [0, 0]", "kinds: van, 'ASSDDDDAAA': letters: none has a chance above 0"),
        ("[520, 110]", "[.inf, 110]", r"size_mm: \[inf, 110\] must be a list of 2 numbers, 1 to 2000"),
        ("[520, 110]", "[-520, 110]", r"size_mm: \[-520, 110\] must be a list of 2 numbers, 1 to 2000"),
        ("share: 0.5", "share: .nan", "kinds, car: share: nan must be a number, 0 or more"),
        ("share: 0.", "share: 0 # ", "kinds: none has a share above 0"),
        ("template: QDDDDD", f"template: {'Q' * 100_000}", r"kinds, state: forms: 'Q+\.\.\.Q+' has 100000 characters"),
        ("name: van", f"name: {'van' * 50}", "must be one word of 1 to 40 characters, without commas"),
        ("name: van", 'name: "v\\e[31man"', r"name: '\\x1b' is not a character of a text"),
        ("draw: {R: IOAB}", 'draw: {R: ""}', "car, 'RRADDD': draw 'R': there is nothing to draw"),
        ("draw: {R: IOAB}", "draw: {R: IQ}", "car, 'RRADDD': draw 'R': 'Q' is not in the class"),
        ("dot 260 10", "dot 2600 10", "ornaments: one does not lie on the plate of 520 x 110 mm"),
        ('strip: "-"', 'strip: "-A"', "strip: 'A' is one of the symbols"),
        ('strip: "-"', 'strip: "-\\nthreads = 9"', r"strip: '\\n' is not a character of a text"),
        ("title: a country for tests", "title: 2020-99-99", "is malformed YAML: month must be in 1..12"),
        ("kinds:\n", "kinds: none\nothers:\n", "kinds: 'none' must be a list"),
        ("kinds:\n", "kinds: [\n", "is malformed YAML"),
        ("strip:", "serial_letters: 12\nstrip:", "line 9: the key 'serial_letters' is given twice, first in line 8"),
        ("  - name: van", "  - layout: long\n    name: van", "the key 'layout' is given twice"),
        ("draw: {R: IOAB}", "draw: {R: IO, \"R\": AB}", "the key 'R' is given twice"),
        ("title: a country for tests", f"title: 0x{'f' * 9000}", "title: a number of 36000 bits must be a text"),
        ("  long:\n", "  77:\n", "layouts: the key 77 must be a text"),
        ("fonts: [", "fonts: [../../../etc/passwd, ", "fonts: '../../../etc/passwd' is not a path below"),
        (PLATE_YML, "- a list\n", "the file must be a mapping"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, said: str | None) -> None:
    folder = write_invented(tmp_path)
    assert old in PLATE_YML
    (folder / "plate.yml").write_text(PLATE_YML.replace(old, new), encoding="utf-8")
    if said is None:  # a literal character in the middle of a template
        assert load_country(folder).kind_of("Q123X4")
        return
    with pytest.raises(InputError, match=said) as caught:
        load_country(folder)
    assert str(folder / "plate.yml") in caught.value.message and caught.value.hint
    assert len(caught.value.message) < 400 + len(str(folder))


def test_a_template_that_a_dictionary_lacks_is_named() -> None:
    grammar = load_country("cn").grammar
    without = [mark for mark in grammar.symbols if mark != "使"]
    with pytest.raises(ModelError, match="the dictionary of mine lacks '使', so that plates 'DDDDDD使' can never be read"):
        grammar.check_dictionary(without, "mine")
    with pytest.raises(ModelError, match="lacks all characters of class P"):
        grammar.check_dictionary("ABCDEF0123456789", "mine")
    # What counts for a symbol is as good as the symbol.
    grammar.check_dictionary([{"0": "O"}.get(mark, mark.lower()) for mark in grammar.symbols], "mine")


def test_photos_come_only_from_a_country() -> None:
    for code in ("..", "/home", "a/b", "cn\n"):
        with pytest.raises(InputError, match="is not the code of a country"):
            samples_of(code)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("plate-edge/grammar/1", "plate-edge/grammar/9", "its first line is 'plate-edge/grammar/9'"),
        ("serial_letters 2", "serial_letters two", "serial_letters is missing, or not a number"),
        ("country cn\n", "", "country is missing"),
        ("country cn\n", "country \n", "country is missing"),
        ("country cn\n", "country cn\ncountry de\n", "line 3: 'country de' is unknown, or given twice"),
        ("class D 0123456789", "class D 01 23", "'class D 01 23' is unknown"),
        ("template PLSSSSS blue\n", "template PLSSSS* blue\n", r"template 'PLSSSS\*': '\*' is neither a class"),
    ],
)
def test_a_malformed_grammar_is_refused(old: str, new: str, said: str) -> None:
    text = "\n".join(load_country("cn").grammar.lines())
    assert old in text
    with pytest.raises(InputError, match=f"^grammar.txt.*{said}"):
        parse_grammar(text.replace(old, new), "grammar.txt")


def test_a_part_that_stands_in_two_places_is_no_key_given_twice(tmp_path: Path) -> None:
    folder = write_invented(tmp_path)
    merged = PLATE_YML.replace("kinds:\n", "words: {<<: &said {signs: [EXIT]}, makers: [NORDA]}\nkinds:\n")
    (folder / "plate.yml").write_text(merged, encoding="utf-8")
    assert load_country(folder).words["signs"] == ("EXIT",)
