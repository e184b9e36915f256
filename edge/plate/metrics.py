"""Accuracy figures of detection, recognition and both end to end, as the tools of the application note count them.

The application note: docs/glossary.md.

Each metric is fed photo by photo (or crop by crop) with `add` and asked for its figures with `result`; counts are kept
rather than averages, so that parts of a data set can be added up. Polygons are compared as in `edge.plate.polygon`.
Training, conversion, the trial run on a board and bench all count with these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge.plate.polygon import Polygon, intersection_areas, overlap
from edge.plate.text import edit_distance, half_width, is_unread


@dataclass(frozen=True)
class DetFigures:
    """Detection figures; see `DetMetric`.

    Attributes:
        precision: matched / found, 0 when nothing was found.
        recall: matched / truth, 0 when there is nothing to find.
        hmean: Harmonic mean of both, 0 when both are 0.
        matched: True boxes that were found.
        found: Boxes found that do not lie on illegible text.
        truth: Legible true boxes.
        images: Photos.
    """

    precision: float
    recall: float
    hmean: float
    matched: int
    found: int
    truth: int
    images: int


@dataclass(frozen=True)
class RecFigures:
    """Recognition figures; see `RecMetric`.

    Attributes:
        accuracy: right / count, 0 without crops.
        norm_edit: 1 - NED: one minus the mean of edit distance / longer length.
        right: Crops read without a mistake.
        count: Crops.
    """

    accuracy: float
    norm_edit: float
    right: int
    count: int


@dataclass(frozen=True)
class EndToEndFigures:
    """End-to-end figures; see `EndToEndMetric`.

    Attributes:
        fmeasure: Harmonic mean of precision and recall.
        precision: hits / found.
        recall: hits / truth.
        character_accuracy: 1 - edit distance / characters of the truth; negative when much was invented.
        edit_distance_field: Edit distance per true text.
        edit_distance_image: Edit distance per photo.
        hits: Found at IoU >= 0.5 with exactly the true text.
        found: Boxes with text, those on illegible text left out.
        truth: Legible true texts.
        images: Photos.
    """

    fmeasure: float
    precision: float
    recall: float
    character_accuracy: float
    edit_distance_field: float
    edit_distance_image: float
    hits: int
    found: int
    truth: int
    images: int


Figures = DetFigures | RecFigures | EndToEndFigures


@dataclass(frozen=True)
class PhotoCounts:
    """What `EndToEndMetric` counted in one photo: hits, texts found, legible true texts."""

    hits: int
    found: int
    truth: int

    @property
    def exact(self) -> bool:
        """Whether every plate is read right and none is invented."""
        return self.hits == self.found == self.truth


def f_measure(hits: int, found: int, truth: int) -> float:
    """Returns the harmonic mean of precision (hits / found) and recall (hits / truth); 0 when there is nothing."""
    return _ratio(2 * hits, found + truth)


def match_boxes(first: Sequence[Polygon], second: Sequence[Polygon], least: float) -> list[tuple[int, int, float]]:
    """Pairs boxes one to one, the greatest overlap first; of equal overlaps the earlier boxes.

    Args:
        first: Polygons [n, 2].
        second: Likewise.
        least: Intersection over union from which two boxes may be a pair.

    Returns:
        For each pair its index in `first` and in `second`, and its overlap.
    """
    pairs = [(i, j, value) for i, a in enumerate(first) for j, b in enumerate(second) if (value := overlap(a, b)) >= least]
    open_first, open_second = set(range(len(first))), set(range(len(second)))
    matched = []
    for i, j, value in sorted(pairs, key=lambda pair: -pair[2]):
        if i in open_first and j in open_second:
            open_first.remove(i)
            open_second.remove(j)
            matched.append((i, j, value))
    return matched


class DetMetric:
    """Precision, recall and hmean as the ICDAR 2015 evaluation counts them (intersection over union > 0.5).

    A found box of which more than half lies on one illegible text is left out. Then every legible true box takes the
    first found box (both in the order given) that overlaps enough and is not taken yet.

    Args:
        threshold: An overlap must be greater than this.
    """

    def __init__(self, threshold: float = 0.5) -> None:
        self.threshold = threshold
        self.matched = self.found = self.truth = self.images = 0

    def add(self, found: Sequence[Polygon], truth: Sequence[Polygon], ignored: Sequence[bool] | None = None) -> None:
        """Counts one photo.

        Args:
            found: Polygons [n, 2].
            truth: Polygons [n, 2].
            ignored: For each true polygon, whether its text is illegible; None for none.
        """
        skip = list(ignored) if ignored is not None else [False] * len(truth)
        unclear = [polygon for polygon, mark in zip(truth, skip, strict=True) if mark]
        clear = [polygon for polygon, mark in zip(truth, skip, strict=True) if not mark]
        kept = [box for box in found if not any(_covered(box, polygon) > 0.5 for polygon in unclear)]
        free = list(range(len(kept)))
        for polygon in clear:
            hit = next((i for i in free if overlap(polygon, kept[i]) > self.threshold), None)
            if hit is not None:
                free.remove(hit)
        self.matched += len(kept) - len(free)
        self.found += len(kept)
        self.truth += len(clear)
        self.images += 1

    def result(self) -> DetFigures:
        """Returns the figures of everything added so far."""
        precision, recall = _ratio(self.matched, self.found), _ratio(self.matched, self.truth)
        hmean = f_measure(self.matched, self.found, self.truth)
        return DetFigures(precision, recall, hmean, self.matched, self.found, self.truth, self.images)


class RecMetric:
    """Accuracy and 1 - NED as PaddleOCR's `RecMetric` counts them: spaces do not count."""

    def __init__(self) -> None:
        self.right = self.count = 0
        self.distance = 0.0

    def add(self, text: str, truth: str) -> None:
        """Counts one crop."""
        text, truth = text.replace(" ", ""), truth.replace(" ", "")
        self.right += text == truth
        self.count += 1
        longer = max(len(text), len(truth))
        self.distance += edit_distance(text, truth) / longer if longer else 0.0

    def result(self) -> RecFigures:
        """Returns the figures of everything added so far."""
        norm_edit = 1 - self.distance / self.count if self.count else 0.0
        return RecFigures(_ratio(self.right, self.count), norm_edit, self.right, self.count)


class EndToEndMetric:
    """Hits, precision, recall, F, character accuracy and edit distances as PaddleOCR's `tools/end2end` counts them.

    Boxes are paired before texts are looked at (`match_boxes`, intersection over union of at least 0.5), so that of two
    answers for one plate the better box counts, and the other as invented, whatever they say. A pair is a hit when its
    texts are equal; full-width forms count as their half-width ones. Nothing else is forgiven: labels come in normal form
    (`edge.plate.text`), and a separator or a lower-case letter that a device answers is what its user gets. A text
    without a partner costs its whole length in edit distance. What is paired with illegible text does not count at all.

    Args:
        threshold: Least overlap.
    """

    def __init__(self, threshold: float = 0.5) -> None:
        self.threshold = threshold
        self.hits = self.found = self.truth = self.images = self.characters = self.distance = 0

    def add(self, found: Sequence[tuple[Polygon, str]], truth: Sequence[tuple[Polygon, str]]) -> PhotoCounts:
        """Counts one photo.

        Args:
            found: Polygons [n, 2] with their texts.
            truth: Likewise; a text that `is_unread` counts neither as right nor as wrong.

        Returns:
            The photo's own counts.
        """
        pairs = match_boxes([box for box, _ in truth], [box for box, _ in found], self.threshold)
        partner = {i: j for i, j, _ in pairs}
        hits = aside = legible = 0
        for i, (_, text) in enumerate(truth):
            if is_unread(text):
                aside += i in partner
                continue
            wanted = half_width(text)
            got = half_width(found[partner[i]][1]) if i in partner else ""
            legible += 1
            hits += i in partner and wanted == got
            self.distance += edit_distance(wanted, got)
            self.characters += len(wanted)
        paired = set(partner.values())
        self.distance += sum(len(text) for j, (_, text) in enumerate(found) if j not in paired)
        counts = PhotoCounts(hits, len(found) - aside, legible)
        self.hits += counts.hits
        self.found += counts.found
        self.truth += counts.truth
        self.images += 1
        return counts

    def result(self) -> EndToEndFigures:
        """Returns the figures of everything added so far."""
        precision, recall = _ratio(self.hits, self.found), _ratio(self.hits, self.truth)
        return EndToEndFigures(
            fmeasure=f_measure(self.hits, self.found, self.truth),
            precision=precision,
            recall=recall,
            character_accuracy=1 - self.distance / self.characters if self.characters else 0.0,
            edit_distance_field=_ratio(self.distance, self.truth),
            edit_distance_image=_ratio(self.distance, self.images),
            hits=self.hits,
            found=self.found,
            truth=self.truth,
            images=self.images,
        )


def _covered(box: Polygon, polygon: Polygon) -> float:
    """Fraction of a box's area that lies on a polygon."""
    common, area, _ = intersection_areas(box, polygon)
    return common / area if area > 0 else 0.0


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
