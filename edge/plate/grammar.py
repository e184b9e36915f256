"""The grammar of Chinese plates (GA 36), and a CTC prefix beam search that can only read valid plates.

This text is the specification; `cpp/` follows it and gives the same text and score on the same probabilities.

**Grammar.** A plate is one of `TEMPLATES`, a string of classes and literal characters: `P` province, `L` letter of
the issuing office, `S` serial letter or digit, `D` digit, `N` letter of a new-energy plate. I and O are in none of
them (they would be taken for 1 and 0). The letters of new-energy plates are D and F, and the ones in reserve that are
issued by now: A B C D E for battery, F G H J K for other drives. At most `SERIAL_LETTERS` of a plate's `S` are
letters.

**Symbols.** `SYMBOLS` numbers the characters of the grammar 0, 1, ... A class i >= 1 of the recogniser, with
character c, belongs to
  1. the blank, when c is in the strip set (`text_strip`: removing a separator afterwards and taking it for a blank
     gives the same texts),
  2. else the symbol `fold(c)`: `a..z` count as `A..Z`, then `O` as `0` and `I` as `1`; nothing, when that is no
     symbol.
With p the recogniser's float32 probabilities converted to float64, q[t][s] is the sum of p[t][i] over the classes of
symbol s, and b[t] is p[t][0] plus that over the classes of the blank; sums run in ascending order of i. What belongs
to nothing is left out; q is not normalised again.

**Search.** All arithmetic is IEEE float64, one multiplication or addition at a time (no fused multiply-add:
`-ffp-contract=off`). A prefix is a sequence of symbols with two numbers: e, the probability of its paths that end
with a blank, and n, of the others. The beam starts with the empty prefix, e = 1, n = 0. For each step t, for every
prefix of the beam, with sum = e + n:
  - the prefix itself: e' = sum * b[t], and n' gets n * q[t][last] (nothing for the empty one);
  - of the symbols s with q[t][s] >= `FLOOR` that the grammar allows after the prefix, the `BRANCHES` likeliest (equal
    ones: the lower number first): the prefix + s has e' = 0 unless it is in the beam itself, and n' gets sum *
    q[t][s], or e * q[t][s] when s = last.
A prefix gets at most two shares of n', so their order does not matter. Then the `BEAM` prefixes with the greatest e'
+ n' > 0 go on (equal ones: the one whose sequence of symbol numbers is lexicographically less, a shorter one before
its continuations). After the last step, the first complete plate in that order is the text. Its score is (e + n) **
(1 / characters): the geometric mean of what a character had, small for anything that is no plate. Without a complete
plate: empty text, score 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

PROVINCES = "京津冀晋蒙辽吉黑沪苏浙皖闽赣鲁豫鄂湘粤桂琼渝川贵云藏陕甘青宁新"
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
DIGITS = "0123456789"
CLASSES = {"P": PROVINCES, "L": LETTERS, "S": LETTERS + DIGITS, "D": DIGITS, "N": "ABCDEFGHJK"}
ENDINGS = "警学挂试超领港澳使"
SYMBOLS = LETTERS + DIGITS + PROVINCES + ENDINGS

TEMPLATES: dict[str, str] = {
    "ordinary": "PLSSSSS",
    "green-small": "PLNSDDDD",
    "green-large": "PLDDDDDN",
    "police": "PLSSSS警",
    "learner": "PLSSSS学",
    "trailer": "PLSSSS挂",
    "trial": "PLSSSS试",
    "oversize": "PLSSSS超",
    "consulate": "PLSSSS领",
    "hong-kong": "粤ZSSSS港",
    "macau": "粤ZSSSS澳",
    "embassy": "DDDDDD使",
    "embassy-2007": "使DDDDDD",
}

SERIAL_LETTERS = 2
BEAM = 16
BRANCHES = 6
FLOOR = 1e-6

Prefix = tuple[int, ...]


def plate_kind(text: str) -> str | None:
    """Returns the name of the template that a text follows (the first of several), None when it is no plate."""
    for name, template in TEMPLATES.items():
        if len(text) != len(template):
            continue
        pairs = list(zip(text, template, strict=True))
        letters = sum(mark == "S" and c in LETTERS for c, mark in pairs)
        if letters <= SERIAL_LETTERS and all(c in _allowed(mark) for c, mark in pairs):
            return name
    return None


def fold(character: str) -> str:
    """Returns the character of the grammar for which a recogniser's character counts; may be none of `SYMBOLS`."""
    if "a" <= character <= "z":
        character = character.upper()
    return {"O": "0", "I": "1"}.get(character, character)


def _allowed(mark: str) -> str:
    return CLASSES.get(mark, mark)


@dataclass(frozen=True)
class State:
    """What the grammar knows of a prefix.

    Attributes:
        following: Symbol to the index of the state after it.
        complete: The prefix is a whole plate.
    """

    following: dict[int, int]
    complete: bool


@lru_cache(maxsize=1)
def automaton() -> tuple[State, ...]:
    """Builds the deterministic automaton of `TEMPLATES`; state 0 is the empty prefix."""
    templates = tuple(TEMPLATES.values())
    # A state is a length and the templates that still fit, each with the letters its serial has so far.
    keys: list[tuple[int, tuple[tuple[int, int], ...]]] = [(0, tuple((i, 0) for i in range(len(templates))))]
    states: list[State] = []
    while len(states) < len(keys):
        length, alive = keys[len(states)]
        following: dict[int, int] = {}
        for symbol, character in enumerate(SYMBOLS):
            left = tuple(
                (i, letters + more)
                for i, letters in alive
                if len(templates[i]) > length and character in _allowed(mark := templates[i][length])
                if (more := int(mark == "S" and character in LETTERS)) + letters <= SERIAL_LETTERS
            )
            if left:
                key = (length + 1, left)
                if key not in keys:
                    keys.append(key)
                following[symbol] = keys.index(key)
        states.append(State(following, any(len(templates[i]) == length for i, _ in alive)))
    return tuple(states)


class PlateDecoder:
    """Decodes a recogniser's output to the likeliest valid plate; see the module's text.

    Args:
        characters: Of classes 1, 2, ...
        strip: Characters that count as blanks.
    """

    def __init__(self, characters: tuple[str, ...], strip: str) -> None:
        self._blanks = [0]
        self._classes: list[list[int]] = [[] for _ in SYMBOLS]
        for number, character in enumerate(characters, 1):
            if character in strip:
                self._blanks.append(number)
            elif len(character) == 1 and fold(character) in SYMBOLS:
                self._classes[SYMBOLS.index(fold(character))].append(number)

    @staticmethod
    @lru_cache(maxsize=8)
    def of(characters: tuple[str, ...], strip: str) -> PlateDecoder:
        """Returns a decoder, made once for each dictionary and strip set."""
        return PlateDecoder(characters, strip)

    def decode(self, probabilities: npt.NDArray[np.float32]) -> tuple[str, float]:
        """Finds the likeliest valid plate.

        Args:
            probabilities: float32 [T, classes], softmax applied.

        Returns:
            The text, and its score 0..1; ("", 0.0) when no plate is possible.
        """
        blank = _sum_columns(probabilities, self._blanks)
        symbols = np.stack([_sum_columns(probabilities, classes) for classes in self._classes], axis=1)
        beam = _search(blank.tolist(), symbols)
        states = automaton()
        for prefix, (state, ended, open_) in beam:
            if states[state].complete:
                return "".join(SYMBOLS[s] for s in prefix), float((ended + open_) ** (1 / len(prefix)))
        return "", 0.0


def _sum_columns(matrix: npt.NDArray[np.float32], columns: list[int]) -> npt.NDArray[np.float64]:
    total = np.zeros(len(matrix), np.float64)
    for column in columns:
        total += matrix[:, column]
    return total


def _search(
    blank: list[float], symbols: npt.NDArray[np.float64]
) -> list[tuple[Prefix, tuple[int, float, float]]]:
    states = automaton()
    order = np.argsort(-symbols, axis=1, kind="stable")
    likely = [row[symbols[t, row] >= FLOOR].tolist() for t, row in enumerate(order)]
    # Prefix to (state, probability ending with a blank, probability ending with its last symbol).
    beam: list[tuple[Prefix, tuple[int, float, float]]] = [((), (0, 1.0, 0.0))]
    for t, row in enumerate(symbols.tolist()):
        extended: dict[Prefix, list[float]] = {}
        for prefix, (state, ended, open_) in beam:
            total = ended + open_
            last = prefix[-1] if prefix else -1
            own = extended.setdefault(prefix, [state, 0.0, 0.0])
            own[1] = total * blank[t]
            if prefix:
                own[2] += open_ * row[last]
            following = states[state].following
            branches = 0
            for symbol in likely[t]:
                if symbol not in following:
                    continue
                share = (ended if symbol == last else total) * row[symbol]
                extended.setdefault((*prefix, symbol), [following[symbol], 0.0, 0.0])[2] += share
                branches += 1
                if branches == BRANCHES:
                    break
        ranked = sorted((-(e + n), prefix, s, e, n) for prefix, (s, e, n) in extended.items() if e + n > 0)
        beam = [(prefix, (int(s), e, n)) for _, prefix, s, e, n in ranked[:BEAM]]
    return beam
