"""The plate grammar, and the beam search against exact CTC sums and an unpruned search."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

from edge.plate import grammar
from edge.plate.country import load_country
from edge.plate.grammar import PlateDecoder

CHINA = load_country("cn")
GRAMMAR = CHINA.grammar
CHARACTERS = ("皖", "沪", "A", "D", "F", "O", "0", "1", "2", "B", "8", "警", "·", "x", "中")
STRIP = "·.- "


def example(template: str, rng: random.Random) -> str:
    """A random plate of a template, with at most two letters in its serial."""
    while True:
        text = "".join(rng.choice(GRAMMAR.allowed(mark)) for mark in template)
        if GRAMMAR.is_plate(text):
            return text


def spell(text: str, characters: tuple[str, ...], certainty: float = 0.9, steps: int = 40) -> np.ndarray:
    """float32 [steps, classes]: each character on one step, a blank before each, blanks to the end."""
    count = len(characters) + 1
    matrix = np.full((steps, count), (1 - certainty) / (count - 1), np.float32)
    path = [0] * steps
    for i, character in enumerate(text):
        path[2 * i + 1] = characters.index(character) + 1
    matrix[np.arange(steps), path] = certainty
    return matrix


def likelihood(matrix: np.ndarray, text: str, characters: tuple[str, ...]) -> float:
    """CTC probability of a text by the textbook's forward recursion, folding and stripping as the grammar does."""
    columns: dict[str, np.ndarray] = {s: np.zeros(len(matrix)) for s in GRAMMAR.symbols}
    blank = matrix[:, 0].astype(np.float64)
    for number, character in enumerate(characters, 1):
        if character in STRIP:
            blank = blank + matrix[:, number]
        elif GRAMMAR.folded(character) in columns:
            columns[GRAMMAR.folded(character)] = columns[GRAMMAR.folded(character)] + matrix[:, number]
    labels: list[str | None] = [None]
    for character in text:
        labels += [character, None]
    emit = [blank if label is None else columns[label] for label in labels]
    alpha = np.zeros(len(labels))
    alpha[0], alpha[1] = emit[0][0], emit[1][0]
    for t in range(1, len(matrix)):
        before = alpha.copy()
        for s in range(len(labels)):
            total = before[s] + (before[s - 1] if s else 0.0)
            if s > 1 and labels[s] is not None and labels[s] != labels[s - 2]:
                total += before[s - 2]
            alpha[s] = total * emit[s][t]
    return float(alpha[-1] + alpha[-2])


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("皖AD86766", "green"), ("京AA12345", "green"), ("沪A12345D", "green"),
        ("皖A12345", "blue"), ("皖A006D1", "blue"), ("苏E05EV8", "blue"),
        ("京A1234警", "white"), ("京A1234学", "yellow"), ("京A1234挂", "yellow"), ("沪A1234领", "black"),
        ("粤Z1A23港", "black"), ("粤ZF023澳", "black"), ("224578使", "black"), ("使014578", "black"),
        ("皖O12345", None), ("皖I12345", None), ("皖A1O345", None), ("皖A1I345", None), ("皖AABC12", None),
        ("皖AL12345", None), ("皖ADAA123", None), ("粤A1234港", None), ("A皖12345", None), ("皖A1234", None),
        ("", None), ("皖A·12345", None), ("警A12345", None),
    ],
)
def test_kinds(text: str, kind: str | None) -> None:
    found = CHINA.form_of(text)
    assert (found and found[0].name) == kind
    # What follows no form, such as a misread plate, counts for the first kind of its length.
    ordinary = CHINA.kind_of(text)
    assert (ordinary and ordinary.name) == (kind or {7: "blue", 8: "green"}.get(len(text)))


def test_the_automaton_accepts_what_the_templates_do() -> None:
    states = GRAMMAR.automaton
    rng = random.Random(1)
    texts = [example(template, rng) for template in GRAMMAR.templates for _ in range(100)]
    for text in list(texts):
        wrong = list(text)
        wrong[rng.randrange(len(wrong))] = rng.choice(GRAMMAR.symbols)
        texts += ["".join(wrong), text[:-1], text + rng.choice(GRAMMAR.symbols)]
    accepted = 0
    for text in texts:
        state = 0
        for character in text:
            state = states[state].following.get(GRAMMAR.symbols.index(character), -1)
            if state < 0:
                break
        complete = state >= 0 and states[state].complete
        assert complete == GRAMMAR.is_plate(text), text
        accepted += complete
    assert len(GRAMMAR.templates) * 100 <= accepted < len(texts)


@pytest.mark.parametrize("template", GRAMMAR.templates)
def test_every_template_is_read(template: str) -> None:
    characters = tuple(GRAMMAR.symbols)
    rng = random.Random(template)
    for _ in range(10):
        text = example(template, rng)
        read, score = PlateDecoder.of(GRAMMAR, characters, STRIP).decode(spell(text, characters))
        assert read == text
        assert score > 0.5


def test_separators_count_as_blanks_and_look_alikes_as_digits() -> None:
    decoder = PlateDecoder.of(GRAMMAR, CHARACTERS, STRIP)
    matrix = spell("皖A·1O208", CHARACTERS)
    assert decoder.decode(matrix)[0] == "皖A10208"
    # Without stripping the '·' fits nothing: the plate is read around it at a lower score.
    assert PlateDecoder(GRAMMAR, CHARACTERS, "").decode(matrix)[1] < decoder.decode(matrix)[1]
    # A separator keeps equal neighbours apart, as a blank does.
    assert decoder.decode(spell("皖A1·1·208", CHARACTERS))[0] == "皖A11208"


def test_an_impossible_character_gives_way_to_the_next_likely() -> None:
    matrix = spell("皖AD1B012", CHARACTERS)  # the fifth of a small green plate must be a digit
    step, eight, b = 9, CHARACTERS.index("8") + 1, CHARACTERS.index("B") + 1
    matrix[step, b], matrix[step, eight] = 0.6, 0.3
    # 皖AD1B012 has 8 characters, so it must be green: B is impossible there.
    assert PlateDecoder.of(GRAMMAR, CHARACTERS, STRIP).decode(matrix)[0] == "皖AD18012"


def test_what_is_no_plate_scores_low() -> None:
    decoder = PlateDecoder.of(GRAMMAR, CHARACTERS, STRIP)
    good = decoder.decode(spell("皖A12018", CHARACTERS))[1]
    text, score = decoder.decode(spell("中中x中x", CHARACTERS))
    assert score < 0.3 < good
    assert text == "" or GRAMMAR.is_plate(text)


@pytest.mark.parametrize("steps", [0, 1, 6])
def test_too_few_steps_give_nothing(steps: int) -> None:
    matrix = spell("", CHARACTERS, steps=steps)
    assert PlateDecoder.of(GRAMMAR, CHARACTERS, STRIP).decode(matrix) == ("", 0.0)


def test_a_dictionary_without_plates_gives_nothing() -> None:
    assert PlateDecoder(GRAMMAR, ("x", "y"), "").decode(np.full((20, 3), 1 / 3, np.float32)) == ("", 0.0)


def noisy(text: str, rng: np.random.Generator, certainty: float, steps: int) -> np.ndarray:
    matrix = spell(text, CHARACTERS, certainty, steps)
    matrix *= rng.uniform(0.3, 1.7, matrix.shape).astype(np.float32)
    return matrix / matrix.sum(axis=1, keepdims=True)


def test_the_score_is_the_exact_ctc_probability(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    decoder = PlateDecoder.of(GRAMMAR, CHARACTERS, STRIP)
    matrices = [noisy("皖A12018", rng, 0.7, 20) for _ in range(10)]
    for matrix in matrices:
        text, score = decoder.decode(matrix)
        # The beam can only lose paths: never above, and not far below, as uncertain as these steps are.
        exact = likelihood(matrix, text, CHARACTERS)
        assert exact * 0.5 < score ** len(text) <= exact
    for name, value in (("BEAM", 1500), ("BRANCHES", 100), ("FLOOR", 0.0)):
        monkeypatch.setattr(grammar, name, value)
    for matrix in matrices[:1]:
        text, score = decoder.decode(matrix)
        assert score ** len(text) == pytest.approx(likelihood(matrix, text, CHARACTERS), rel=1e-4)


def test_no_other_plate_is_likelier() -> None:
    rng = np.random.default_rng(6)
    characters = ("皖", "A", "D", "0", "8", "·")
    decoder = PlateDecoder(GRAMMAR, characters, STRIP)
    plates = ["皖" + "".join(rest) for n in (6, 7) for rest in itertools.product("AD08", repeat=n)]
    plates = [text for text in plates if GRAMMAR.is_plate(text)]
    assert len(plates) > 500
    for _ in range(3):
        matrix = spell("皖AD80880", characters, 0.5, 18) * rng.uniform(0.2, 1.8, (18, 7)).astype(np.float32)
        matrix /= matrix.sum(axis=1, keepdims=True)
        best = max(plates, key=lambda text: likelihood(matrix, text, characters))
        assert decoder.decode(matrix)[0] == best


def test_pruning_loses_nothing_that_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(7)
    decoder = PlateDecoder.of(GRAMMAR, CHARACTERS, STRIP)
    matrices = [noisy(text, rng, 0.6, 24) for text in ("皖A12018", "沪AD01208", "皖B0218警")]
    pruned = [decoder.decode(matrix)[0] for matrix in matrices]
    for name, value in (("BEAM", 200), ("BRANCHES", 100), ("FLOOR", 0.0)):
        monkeypatch.setattr(grammar, name, value)
    assert [decoder.decode(matrix)[0] for matrix in matrices] == pruned


def test_ties_are_broken_by_the_symbols_order() -> None:
    matrix = spell("皖A12018", CHARACTERS)
    one, two = CHARACTERS.index("1") + 1, CHARACTERS.index("2") + 1
    matrix[5, one] = matrix[5, two] = 0.45
    assert PlateDecoder.of(GRAMMAR, CHARACTERS, STRIP).decode(matrix)[0] == "皖A12018"
    # The classes' order in the dictionary does not matter, only that of the symbols.
    swapped = matrix.copy()
    swapped[:, [one, two]] = swapped[:, [two, one]]
    order = list(CHARACTERS)
    order[one - 1], order[two - 1] = order[two - 1], order[one - 1]
    assert PlateDecoder(GRAMMAR, tuple(order), STRIP).decode(swapped)[0] == "皖A12018"
