"""Contact sheet: which galaxies of a run are worth a look, and a card for each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
import numpy.typing as npt

from galmorph.flags import MEANINGS, UNCLASSIFIABLE, Flag
from galmorph.pages.figures import count_text
from galmorph.pages.marks import colour_of
from galmorph.pages.pictures import Picture
from galmorph.runs.results import Results
from galmorph.sky.catalog import Catalog
from galmorph.sky.images import ImageSource
from galmorph.sky.scheme import Scheme

__all__ = [
    "Badge",
    "Card",
    "Findings",
    "Selection",
    "ShareBar",
    "Spots",
    "badges",
    "cards",
    "names_of",
    "select",
    "short_names",
]

IntArray = npt.NDArray[np.intp]
FloatArray = npt.NDArray[np.float64]

_LONGEST_NAME = 80
_PER_SECTION = 24
_PER_FLAG = 3 * _PER_SECTION
# Rows without an image have nothing to look at: a few tell the story.
_EMPTY_PER_FLAG = 2
_SAME_PX = 3.0


@dataclass(frozen=True)
class ShareBar:
    """A share to draw as a bar: `number` is the class's, which says its colour and mark, -1 for none."""

    title: str
    share: float
    number: int = -1
    count: int = 0

    @property
    def colour(self) -> int:
        """Number of the colour in the style sheet, -1 for none."""
        return colour_of(self.number)


@dataclass(frozen=True)
class Badge:
    """A flag on a card."""

    name: str
    meaning: str


@dataclass(frozen=True)
class Spots:
    """Where galaxies are, each (N,): number of the tile, pixels, NaN where nothing was detected.

    Catalogues that split galaxies into pieces lead several rows to the same centroid: a contact sheet shows it once.
    """

    tile: npt.NDArray[np.int32]
    x: FloatArray
    y: FloatArray

    def same(self, row: int, others: list[int]) -> bool:
        """Tell whether one of `others` has the centroid of `row`."""
        if not others:
            return False
        near = np.hypot(self.x[others] - self.x[row], self.y[others] - self.y[row]) < _SAME_PX
        return bool((near & (self.tile[others] == self.tile[row])).any())


@dataclass(frozen=True)
class Selection:
    """Rows of the three sections, each (K,), no row twice."""

    certain: IntArray
    uncertain: IntArray
    flagged: IntArray

    @property
    def rows(self) -> IntArray:
        """All of them."""
        return np.concatenate([self.certain, self.uncertain, self.flagged])


@dataclass(frozen=True)
class Findings:
    """What a page says of each row.

    Parameters
    ----------
    scheme
        The labels; None where nothing was classified.
    classes
        (N,) number of the answer to the first question, -1 for none.
    confidence
        (N,) its probability; NaN for none.
    marginals
        (N, A) probabilities of all answers.
    hidden
        Flags that concern the run as a whole, so that they are not repeated for each row.
    """

    scheme: Scheme | None
    classes: IntArray
    confidence: FloatArray
    marginals: FloatArray
    hidden: Flag


@dataclass(frozen=True)
class Card:
    """One galaxy of the contact sheet; `reason` says why there is no picture."""

    row: int
    name: str
    place: str
    answer: ShareBar | None
    chances: Sequence[ShareBar]
    radius: str
    snr: str
    flags: int
    badges: Sequence[Badge]
    picture: Picture | None
    reason: str


def badges(value: int, hidden: Flag) -> list[Badge]:
    """List the flags set in `value` without those that are `hidden`."""
    return [Badge(f.name or "", text) for f, text in MEANINGS.items() if value & int(f) & ~int(hidden)]


def select(findings: Findings, flags: npt.NDArray[np.int32], spots: Spots) -> Selection:
    """Choose the most certain galaxies of all classes, the least certain, and some for each flag.

    Parameters
    ----------
    findings
        Classes, and the flags that do not make a row worth a look.
    flags
        (N,) bits.
    spots
        Where the galaxies are: of rows with the same centroid one is chosen.
    """
    classes, confidence = findings.classes, findings.confidence
    classified = np.flatnonzero(classes >= 0)
    # With few galaxies each is shown once: half as certain, half as uncertain.
    n_certain = min(_PER_SECTION, -(-len(classified) // 2))
    best = _best_of_each_class(classified, classes[classified], confidence[classified])
    certain = _first_different(best.tolist(), n_certain, spots, [])
    least = classified[np.argsort(confidence[classified], kind="stable")]
    uncertain = _first_different(least.tolist(), _PER_SECTION, spots, certain)
    doubtful = np.flatnonzero(flags & ~np.int32(int(findings.hidden)))
    flagged = _some_of_each_flag(doubtful, flags[doubtful], spots, certain + uncertain)
    # Class by class, each with the most certain first.
    certain.sort(key=lambda row: (classes[row], -confidence[row]))
    return Selection(*(np.array(rows, dtype=np.intp) for rows in (certain, uncertain, flagged)))


def _best_of_each_class(rows: IntArray, classes: IntArray, confidence: FloatArray) -> IntArray:
    """Order rows: the most certain of each class, then the second of each, and so on."""
    order = np.lexsort((-confidence, classes))
    rank = np.arange(len(rows)) - np.searchsorted(classes[order], classes[order])
    return rows[order[np.lexsort((-confidence[order], rank))]]


def _first_different(rows: Iterable[int], n: int, spots: Spots, shown: list[int]) -> list[int]:
    """Take the first n rows of which no two, and none that is shown, have the same centroid."""
    chosen: list[int] = []
    for row in rows:
        if len(chosen) == n:
            break
        if row not in shown and not spots.same(row, shown + chosen):
            chosen.append(row)
    return chosen


def _some_of_each_flag(rows: IntArray, flags: npt.NDArray[np.int32], spots: Spots, shown: list[int]) -> list[int]:
    """Take one row of each flag in turn, the rarest flag first; of rows without an image only a few."""
    piles = [rows[(flags & int(flag)) != 0] for flag in MEANINGS]
    piles = [_thinned(p, flag) for p, flag in zip(piles, MEANINGS, strict=True)]
    without_image = set(rows[(flags & int(UNCLASSIFIABLE)) != 0].tolist())
    allowed = {row for p, flag in zip(piles, MEANINGS, strict=True) if flag & UNCLASSIFIABLE for row in p}
    turns = (row for turn in zip_longest(*sorted(filter(None, piles), key=len)) for row in turn if row is not None)
    wanted = dict.fromkeys(row for row in turns if row not in without_image or row in allowed)
    return _first_different(wanted, _PER_SECTION, spots, shown)


def _thinned(pile: IntArray, flag: Flag) -> list[int]:
    """Draw some rows of a flag, the same each time, from all over the catalogue."""
    most = _EMPTY_PER_FLAG if flag & UNCLASSIFIABLE else _PER_FLAG
    some: list[int] = np.random.default_rng(0).permutation(pile)[:most].tolist()
    return some


def short_names(scheme: Scheme | None) -> list[str]:
    """Name the answers of the first question as the column of classes does, with spaces."""
    if scheme is None:
        return []
    return [key.rpartition("__")[2].replace("_", " ") for key in scheme.keys[scheme.slices[0]]]


def cards(
    catalog: Catalog,
    images: ImageSource,
    results: Results,
    findings: Findings,
    rows: IntArray,
    pictures: Mapping[int, Picture],
) -> list[Card]:
    """Make a card of each of some galaxies.

    Parameters
    ----------
    catalog, images
        What they are from.
    results, findings
        Of all rows.
    rows
        (K,) those that get a card, in this order.
    pictures
        Of those rows that have an image.
    """
    names = names_of(catalog, rows)
    ra, dec = images.sky(results.tile[rows], results.x[rows], results.y[rows])
    places = [_place(float(r), float(d)) for r, d in zip(ra, dec, strict=True)]
    return [
        _card(results, findings, row, names[i], places[i], pictures.get(row)) for i, row in enumerate(rows.tolist())
    ]


def names_of(catalog: Catalog, rows: IntArray) -> list[str]:
    """Return what to call rows: their ids, else their files, else their numbers."""
    if len(rows) == 0:
        return []
    if catalog.id_column is None and (files := catalog.files) is not None:
        names = [files[row] for row in rows.tolist()]
    else:
        names = catalog.ids[rows].tolist()
    return [n if len(n) <= _LONGEST_NAME else n[: _LONGEST_NAME - 1] + "…" for n in names]


def _place(ra_deg: float, dec_deg: float) -> str:
    return f"{ra_deg:.5f} {dec_deg:+.5f}".replace("-", "−") if np.isfinite(ra_deg + dec_deg) else ""


def _card(results: Results, findings: Findings, row: int, name: str, place: str, picture: Picture | None) -> Card:
    value, number = int(results.flags[row]), int(findings.classes[row])
    answers = short_names(findings.scheme)
    chances = [ShareBar(a, float(findings.marginals[row, i]), i) for i, a in enumerate(answers)]
    answer = ShareBar(answers[number], float(findings.confidence[row]), number) if number >= 0 else None
    reasons = [MEANINGS[f] for f in MEANINGS if value & int(f & UNCLASSIFIABLE)] or [
        "the image could not be read again"
    ]
    return Card(
        row=row,
        name=name,
        place=place,
        answer=answer,
        chances=chances if answer else [],
        radius=_radius_text(results, row),
        snr=_snr_text(float(results.snr[row])),
        flags=value,
        badges=badges(value, findings.hidden),
        picture=picture,
        reason="" if picture else reasons[0],
    )


def _radius_text(results: Results, row: int) -> str:
    radius, error, scale = results.rpet_px[row], results.rpet_err_px[row], results.scale_arcsec[row]
    if not np.isfinite(radius):
        return ""
    unit = "″" if np.isfinite(scale) else "\u202fpx"
    factor = scale if np.isfinite(scale) else 1.0
    # Two digits of the error: 0.440 ± 0.004, 12.3 ± 1.2.
    digits = int(np.clip(np.ceil(-np.log10(max(factor * error, 1e-9))), 1, 4)) if np.isfinite(error) else 2
    spread = f" ± {factor * error:.{digits}f}" if np.isfinite(error) else ""
    return f"{factor * radius:.{digits}f}{spread}{unit}"


def _snr_text(snr: float) -> str:
    if not np.isfinite(snr):
        return ""
    return count_text(round(snr)) if snr >= 100 else f"{snr:.1f}"
