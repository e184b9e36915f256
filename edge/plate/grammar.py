"""The grammar of a country's plates, and a CTC prefix beam search that can only read valid plates.

This text is the specification; `cpp/` follows it and gives the same text and score on the same probabilities.

**Grammar.** A plate is one of the templates of its country: a string of classes and literal characters, one for each
character of the plate. A class is a letter for which any of several characters may stand; at most `serial_letters` of
a plate's characters of class `S` are not digits. `edge.plate.country` reads a grammar from a country's `plate.yml`,
a model's card and a bundle hold it as the lines of a `grammar.txt` (docs/formats/bundle.md).

**Symbols.** The characters of the grammar are numbered 0, 1, ... in the order of `symbols`. A class i >= 1 of the
recogniser, with character c, belongs to
  1. the blank, when c is in the strip set (`text_strip`: removing a separator afterwards and taking it for a blank
     gives the same texts),
  2. else the symbol `folded(c)`: `a..z` count as `A..Z`, then what `fold` maps as what it is mapped to (`O` as `0` on
     Chinese plates); nothing, when that is not a symbol.
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
(1 / characters): the geometric mean of what a character had, small for anything that is not a plate. Without a complete
plate: empty text, score 0.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from reprlib import repr as shown

import numpy as np
import numpy.typing as npt

from edge.base.errors import InputError, ModelError

BEAM = 16
BRANCHES = 6
FLOOR = 1e-6
LONGEST = 16
"""Characters of a template; the program on a board holds a prefix in as many bytes."""
MOST_SYMBOLS = 254
MOST_TEMPLATES = 64
MOST_STATES = 4096
FORMAT = "plate-edge/grammar/1"
"""First line of a `grammar.txt`."""
SERIAL = "S"
DIGITS = "0123456789"

_SINGLE = ("country", "symbols", "serial_letters")
_PAGE = "docs/formats/bundle.md describes a grammar."

Prefix = tuple[int, ...]


@dataclass(frozen=True)
class State:
    """What the grammar knows of a prefix.

    Attributes:
        following: Symbol to the index of the state after it.
        complete: The prefix is a whole plate.
    """

    following: dict[int, int]
    complete: bool


@dataclass(frozen=True, eq=False)
class Grammar:
    """What may stand on a country's plates; see the module's text.

    Attributes:
        country: Its code.
        symbols: All characters.
        classes: Letter of a template to the characters that it stands for.
        templates: Each once.
        serial_letters: At most this many characters of class `S` are not digits.
        fold: Character to the symbol for which it counts.
        kinds: Template to the kind of plates that it is of; the program on a board passes over it.
    """

    country: str
    symbols: str
    classes: Mapping[str, str]
    templates: tuple[str, ...]
    serial_letters: int
    fold: Mapping[str, str]
    kinds: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def lengths(self) -> tuple[int, ...]:
        """Numbers of characters that plates have, ascending."""
        return tuple(sorted({len(template) for template in self.templates}))

    def allowed(self, mark: str) -> str:
        """Returns the characters that a template's character stands for."""
        return self.classes.get(mark, mark)

    def follows(self, text: str, template: str) -> bool:
        """Says whether a text is a plate of that template."""
        if len(text) != len(template) or not all(c in self.allowed(mark) for c, mark in zip(text, template, strict=True)):
            return False
        letters = sum(mark == SERIAL and c not in DIGITS for c, mark in zip(text, template, strict=True))
        return letters <= self.serial_letters

    def is_plate(self, text: str) -> bool:
        """Says whether a text is a plate."""
        return any(self.follows(text, template) for template in self.templates)

    def kind_of(self, text: str) -> str:
        """Returns the kind of plates that a text is of: of the first template that it follows, else of its length.

        Empty when no template has its length, or nobody named the kinds.
        """
        alike = [template for template in self.templates if len(template) == len(text)]
        found = next((template for template in alike if self.follows(text, template)), alike[0] if alike else "")
        return self.kinds.get(found, "")

    def folded(self, character: str) -> str:
        """Returns the character for which a recogniser's character counts, which need not be a symbol."""
        if "a" <= character <= "z":
            character = character.upper()
        return self.fold.get(character, character)

    def check(self) -> None:
        """Checks the grammar against itself.

        Raises:
            InputError: Says which part contradicts which.
        """
        if problem := self._problem():
            raise InputError(f"{problem}.", _PAGE)

    def _problem(self) -> str:
        odd = [c for c in self.symbols if c.isspace() or "a" <= c <= "z" or self.symbols.count(c) > 1]
        if odd or not 1 <= len(self.symbols) <= MOST_SYMBOLS:
            named = f"; {odd[0]!r} is not one, or is given twice" if odd else ""
            return f"symbols must be 1 to {MOST_SYMBOLS} characters, each once, no blanks and no a to z{named}"
        for name, characters in self.classes.items():
            lost = [c for c in characters if c not in self.symbols]
            if lost or not characters or name.isspace():
                return f"class {name!r} must stand for some of the symbols" + (f", not {lost[0]!r}" if lost else "")
        for character, symbol in self.fold.items():
            if len(symbol) != 1 or symbol not in self.symbols or character in self.symbols or character.isspace():
                return f"fold {character!r} to {symbol!r} must lead from a character that is not a symbol to one that is"
        if not 1 <= len(set(self.templates)) == len(self.templates) <= MOST_TEMPLATES:
            return f"there must be 1 to {MOST_TEMPLATES} templates, each once"
        for template in self.templates:
            if not 1 <= len(template) <= LONGEST:
                return f"template {shown(template)} must have 1 to {LONGEST} characters"
            lost = [mark for mark in template if mark not in self.classes and mark not in self.symbols]
            if lost:
                known = " ".join(self.classes)
                return f"template {template!r}: {lost[0]!r} is neither a class ({known}) nor one of the symbols"
            if template.count(SERIAL) > self.serial_letters and not set(DIGITS) & set(self.allowed(SERIAL)):
                return f"template {template!r} has more letters than serial_letters = {self.serial_letters} allows"
        return "serial_letters must not be negative" if self.serial_letters < 0 else ""

    def check_dictionary(self, characters: Sequence[str], where: str) -> None:
        """Checks that a recogniser can read every template.

        Args:
            characters: Of its classes 1, 2, ...
            where: Its name.

        Raises:
            ModelError: Names the first template of which it lacks a character.
        """
        known = {self.folded(character) for character in characters}
        for template in self.templates:
            for mark in template:
                if known.isdisjoint(self.allowed(mark)):
                    lacks = f"all characters of class {mark}" if mark in self.classes else repr(mark)
                    raise ModelError(
                        f"the dictionary of {where} lacks {lacks}, so that plates {template!r} can never be read.",
                        f"Train it with all symbols of {self.country}, or remove the kind from the country's plate.yml.",
                    )

    def lines(self) -> tuple[str, ...]:
        """Returns the lines of its `grammar.txt`."""
        return (
            FORMAT,
            f"country {self.country}",
            f"symbols {self.symbols}",
            *(f"class {name} {characters}" for name, characters in self.classes.items()),
            f"serial_letters {self.serial_letters}",
            *(f"fold {character} {symbol}" for character, symbol in self.fold.items()),
            *(f"template {template} {self.kinds.get(template, '')}".rstrip() for template in self.templates),
        )

    @cached_property
    def automaton(self) -> tuple[State, ...]:
        """The deterministic automaton of the templates; state 0 is the empty prefix.

        Raises:
            InputError: It would have more than `MOST_STATES` states.
        """
        templates = self.templates
        # A state is a length and the templates that still fit, each with the letters its serial has so far.
        keys: list[tuple[int, tuple[tuple[int, int], ...]]] = [(0, tuple((i, 0) for i in range(len(templates))))]
        numbers = {keys[0]: 0}
        states: list[State] = []
        while len(states) < len(keys):
            length, alive = keys[len(states)]
            following: dict[int, int] = {}
            for symbol, character in enumerate(self.symbols):
                left = tuple(
                    (i, letters + more)
                    for i, letters in alive
                    if len(templates[i]) > length and character in self.allowed(mark := templates[i][length])
                    if (more := int(mark == SERIAL and character not in DIGITS)) + letters <= self.serial_letters
                )
                if left:
                    key = (length + 1, left)
                    following[symbol] = numbers.setdefault(key, len(keys))
                    if len(numbers) > len(keys):
                        keys.append(key)
                    if len(keys) > MOST_STATES:
                        raise InputError(f"{self.country} has too many templates, or they differ too much.", _PAGE)
            states.append(State(following, any(len(templates[i]) == length for i, _ in alive)))
        return tuple(states)


@lru_cache(maxsize=32)
def parse_grammar(text: str, where: str) -> Grammar:
    """Reads the text of a `grammar.txt`.

    Raises:
        InputError: With `where` and the line: another format, an unknown or repeated key, a missing value; or a grammar
            that contradicts itself.
    """
    lines = text.split("\n")
    if lines[0].strip() != FORMAT:
        raise InputError(f"{where}: its first line is {lines[0][:40]!r}, not {FORMAT!r}.", _PAGE)
    single: dict[str, str] = {}
    pairs: dict[str, dict[str, str]] = {"class": {}, "fold": {}}
    templates: list[str] = []
    kinds: dict[str, str] = {}
    for number, line in enumerate(lines[1:], 2):
        key, *values = line.rstrip("\r").split(" ")
        if key in pairs and len(values) == 2 and len(values[0]) == 1 and values[0] not in pairs[key]:
            pairs[key][values[0]] = values[1]
        elif key == "template" and len(values) in (1, 2):
            templates.append(values[0])
            kinds[values[0]] = "".join(values[1:])
        elif key in _SINGLE and key not in single and len(values) == 1:
            single[key] = values[0]
        elif key or values:
            raise InputError(f"{where}, line {number}: {line[:40]!r} is unknown, or given twice.", _PAGE)
    missing = [key for key in _SINGLE if not single.get(key)]
    if missing or not re.fullmatch("[0-9]{1,3}", single["serial_letters"]):
        raise InputError(f"{where}: {missing[0] if missing else 'serial_letters'} is missing, or not a number.", _PAGE)
    letters = int(single["serial_letters"])
    named = (single["country"], single["symbols"], pairs["class"], tuple(templates), letters, pairs["fold"])
    grammar = Grammar(*named, kinds)
    try:
        grammar.check()
    except InputError as error:
        raise InputError(f"{where}: {error.message}", error.hint) from error
    return grammar


class PlateDecoder:
    """Decodes a recogniser's output to the likeliest valid plate; see the module's text.

    Args:
        grammar: Of its country.
        characters: Of classes 1, 2, ...
        strip: Characters that count as blanks.
    """

    def __init__(self, grammar: Grammar, characters: tuple[str, ...], strip: str) -> None:
        self._grammar = grammar
        self._blanks = [0]
        self._classes: list[list[int]] = [[] for _ in grammar.symbols]
        for number, character in enumerate(characters, 1):
            if character in strip:
                self._blanks.append(number)
            elif len(character) == 1 and (symbol := grammar.symbols.find(grammar.folded(character))) >= 0:
                self._classes[symbol].append(number)

    @staticmethod
    @lru_cache(maxsize=8)
    def of(grammar: Grammar, characters: tuple[str, ...], strip: str) -> PlateDecoder:
        """Returns a decoder, made once for each grammar, dictionary and strip set."""
        return PlateDecoder(grammar, characters, strip)

    def decode(self, probabilities: npt.NDArray[np.float32]) -> tuple[str, float]:
        """Finds the likeliest valid plate.

        Args:
            probabilities: float32 [T, classes], softmax applied.

        Returns:
            The text, and its score 0..1; ("", 0.0) when no plate is possible.
        """
        blank = _sum_columns(probabilities, self._blanks)
        symbols = np.stack([_sum_columns(probabilities, classes) for classes in self._classes], axis=1)
        states = self._grammar.automaton
        for prefix, (state, ended, open_) in _search(states, blank.tolist(), symbols):
            if states[state].complete:
                return "".join(self._grammar.symbols[s] for s in prefix), float((ended + open_) ** (1 / len(prefix)))
        return "", 0.0


def _sum_columns(matrix: npt.NDArray[np.float32], columns: list[int]) -> npt.NDArray[np.float64]:
    total = np.zeros(len(matrix), np.float64)
    for column in columns:
        total += matrix[:, column]
    return total


def _search(
    states: Sequence[State], blank: list[float], symbols: npt.NDArray[np.float64]
) -> list[tuple[Prefix, tuple[int, float, float]]]:
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
