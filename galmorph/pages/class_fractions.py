"""ClassFractions: shares of classes in bins of a catalogue, corrected for misclassification, with errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.table import Table

import galmorph
from galmorph.errors import CatalogError, SchemeError, unknown_name
from galmorph.flags import Flag, flag_names
from galmorph.nets.checkpoint.track_record import TrackRecord
from galmorph.pages.answered_rows import AnsweredRows, Bins
from galmorph.pages.estimates import METHODS, Asked, Judge, ShareEstimate, estimates
from galmorph.sky.catalog import Catalog, Column, Provenance
from galmorph.sky.formats.column import column_of, ucd_of
from galmorph.sky.scheme import Scheme

__all__ = ["ClassFractions", "CountSettings", "count_provenance", "fractions_of"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

_TITLES = {
    "raw": "Share of galaxies whose likeliest answer this is, not corrected, with binomial intervals (Wilson)",
    "prob": "Mean probability",
    "pacc": "Mean probability adjusted by what is said of galaxies of each class (Bella et al. 2010)",
}
_PARTS = {
    "share": ("", "", ""),
    "low": ("_low", "16th percentile of ", ";stat.min"),
    "high": ("_high", "84th percentile of ", ";stat.max"),
    "low95": ("_low95", "2.5th percentile of ", ";stat.min"),
    "high95": ("_high95", "97.5th percentile of ", ";stat.max"),
    "err": ("_err", "Standard deviation of ", "stat.error;"),
    "err_galaxies": ("_err_galaxies", "Part from the sample's galaxies of the standard deviation of ", "stat.error;"),
    "err_classifier": (
        "_err_classifier",
        "Part from the classifier's errors of the standard deviation of ",
        "stat.error;",
    ),
}
_DOUBTFUL = 3.0
"""Errors by which two estimates may differ."""
_FEWEST_DRAWS, _MOST_DRAWS = 50, 100_000
_UCD = "stat.probability;src.morph.type"


@dataclass(frozen=True)
class CountSettings:
    """How galaxies are counted.

    Parameters
    ----------
    question
        The only one that is counted; '' for all.
    method
        Which of the estimates is drawn and printed first: `raw`, `prob` or `pacc`.
    draws, seed
        Draws for the errors, and what they begin with.
    normalised
        Whether independent fractions were scaled to sum to 1.
    """

    question: str = ""
    method: str = "prob"
    draws: int = 1000
    seed: int = 0
    normalised: bool = False

    def __post_init__(self) -> None:
        if not _FEWEST_DRAWS <= self.draws <= _MOST_DRAWS:
            raise CatalogError(f"{self.draws} draws: expected {_FEWEST_DRAWS} to {_MOST_DRAWS}; give another --draws")
        if self.seed < 0:
            raise CatalogError(f"seed {self.seed}: expected a whole number from 0; give another --seed")


@dataclass(frozen=True)
class ClassFractions:
    """Class fractions in bins.

    Parameters
    ----------
    table
        A row for each bin, question and answer.
    bins
        In which.
    scheme
        Whose answers they are.
    method
        Which of the estimates is meant where one is shown.
    rows, counted
        Rows of the catalogue, and those of them in a bin.
    left_out
        Why others are not counted, each once.
    cut_by
        Rows with each flag of the cut.
    """

    table: Table
    bins: Bins
    scheme: Scheme
    method: str
    rows: int
    counted: int
    left_out: Mapping[str, int]
    cut_by: Mapping[Flag, int]

    def remarks(self) -> list[str]:
        """Say in lines how many rows were counted, and why others were not."""
        lines = [f"{self.counted} of {self.rows} rows counted"]
        for reason, count in self.left_out.items():
            flags = ", ".join(f"{flag.name} {n}" for flag, n in self.cut_by.items())
            lines.append(f"{count} left out: {reason}" + (f" ({flags})" if reason == "cut by flags" else ""))
        return lines + self._doubts()

    def _doubts(self) -> list[str]:
        """Say where mean probabilities and adjusted ones contradict each other."""
        stated = np.isfinite(self.table["pacc"]) & np.isfinite(self.table["prob"])
        apart = np.where(stated, np.abs(self.table["prob"] - self.table["pacc"]), 0.0)
        is_off = stated & (apart > _DOUBTFUL * np.nan_to_num(self.table["pacc_err"]))
        if not stated.any() and len(self.table):
            return ["pacc is empty: " + self._why_empty()]
        if not is_off.any():
            return []
        worst = int(np.argmax(np.where(is_off, apart, 0.0)))
        doubt = (
            f"{is_off.sum()} of {stated.sum()} shares by prob and by pacc differ by more than {_DOUBTFUL:g} errors, "
            f"{self.table['answer'][worst]} most, by {apart[worst]:.3f}: the mix of classes is another than that of "
            "the labelled galaxies, for which pacc allows, or galaxies of a class look otherwise than they"
        )
        return [doubt]

    def _why_empty(self) -> str:
        first = self.scheme.questions[0].name
        if self.counted and first not in self.table["question"]:
            return f"a card tells of the question that everybody is asked, '{first}'"
        return "no card tells what is said of labelled galaxies of each class; galmorph evaluate --card enters it"

    def about(self) -> dict[str, Any]:
        """Return all but the table: the scheme, the method, and which rows were counted."""
        return {
            "scheme": self.scheme.name,
            "method": self.method,
            "rows": self.rows,
            "counted": self.counted,
            "left_out": dict(self.left_out),
            "cut_by": {str(flag.name): count for flag, count in self.cut_by.items()},
        }


def fractions_of(
    rows: AnsweredRows, bins: Bins, scheme: Scheme, record: TrackRecord, settings: CountSettings, source: Catalog
) -> ClassFractions:
    """Count the answers to a scheme's questions in bins.

    Parameters
    ----------
    rows
        What is counted.
    bins
        In which.
    record
        What is known of the classifier.
    source
        Where the rows are from: units and UCDs of the columns of the bins are its.

    Raises
    ------
    SchemeError
        If there is no such question.
    """
    names = [question.name for question in scheme.questions]
    if settings.question and settings.question not in names:
        raise SchemeError(unknown_name(f"question of scheme '{scheme.name}'", settings.question, names))
    number = bins.number(rows.values)
    inside = number >= 0
    parts = list(
        _counted(rows.marginals[inside], rows.weight[inside], number[inside], len(bins), scheme, record, settings)
    )
    left_out = dict(rows.left_out)
    if outside := int((~inside).sum()):
        left_out["outside the bins"] = outside
    table = _table(parts, bins, rows.values[inside], rows.weight[inside], number[inside], source)
    return ClassFractions(table, bins, scheme, settings.method, rows.rows, int(inside.sum()), left_out, rows.cut_by)


@dataclass(frozen=True)
class _Counted:
    """The answers to one question, or one of several that need not exclude each other, in one bin."""

    bin: int
    question: str
    answers: Sequence[str]
    n: int
    asked: float
    reached: int
    count: Sequence[int]
    estimates: Mapping[str, ShareEstimate]


def _counted(
    marginals: FloatArray,
    weight: FloatArray,
    number: npt.NDArray[np.int64],
    bins: int,
    scheme: Scheme,
    record: TrackRecord,
    settings: CountSettings,
) -> Iterator[_Counted]:
    """Count each question in each bin: first what is known of the classifier, from all bins, then the bins."""
    rng = np.random.default_rng(settings.seed)
    for question, answers, asked in _questions(marginals, weight, scheme, settings):
        judge = _judge(asked, question, answers, record, settings, rng)
        for each in range(bins) if settings.question in ("", question) else ():
            some = asked.of(number == each)
            count = np.bincount(some.said[some.said >= 0], minlength=asked.p.shape[1])
            shares = estimates(some, judge, rng)
            total, reached = float((some.weight * some.prob).sum()), int((some.said >= 0).sum())
            shown = [key.rpartition("__")[2] for key in answers]
            yield _Counted(each, question, shown, len(some.p), total, reached, count.tolist(), shares)


def _questions(
    marginals: FloatArray, weight: FloatArray, scheme: Scheme, settings: CountSettings
) -> Iterator[tuple[str, tuple[str, ...], Asked]]:
    """Yield each question with its answers and the galaxies of whom it is asked; independent answers one by one."""
    if scheme.kind == "independent" and not settings.normalised:
        everybody = np.ones(len(marginals))
        for i, key in enumerate(scheme.keys):
            p = np.clip(np.stack([marginals[:, i], 1.0 - marginals[:, i]], axis=1), 0.0, 1.0)
            said = (p[:, 1] > p[:, 0]).astype(np.int64)
            yield scheme.questions[0].name, (key,), Asked(p, weight, everybody, said)
        return
    said_so = np.zeros(marginals.shape, np.bool_)  # whether the likeliest answers lead to an answer
    for question, where, parents in zip(scheme.questions, scheme.slices, scheme.parents, strict=True):
        asked = _asked(marginals, said_so, weight, where, list(parents))
        keys = scheme.keys[where]
        said_so[:, where] = asked.said[:, None] == np.arange(len(keys))
        yield question.name, keys, asked


def _asked(marginals: FloatArray, said_so: BoolArray, weight: FloatArray, where: slice, parents: list[int]) -> Asked:
    """Find of whom a question is asked: of all, or those of its parent answers."""
    values = marginals[:, where]
    total = values.sum(axis=1, keepdims=True)
    p = np.divide(values, total, out=np.full(values.shape, 1.0 / values.shape[1]), where=total > 0)
    everybody = np.ones(len(values))
    prob = marginals[:, parents].sum(axis=1) if parents else everybody
    reached = said_so[:, parents].any(axis=1) if parents else np.ones(len(values), np.bool_)
    return Asked(p, weight, prob, np.where(reached, p.argmax(axis=1), -1))


def _judge(
    asked: Asked,
    question: str,
    keys: tuple[str, ...],
    record: TrackRecord,
    settings: CountSettings,
    rng: np.random.Generator,
) -> Judge:
    source = record.shares(keys) if len(keys) > 1 else _share_or_not(record, keys[0])
    galaxies, rmse = (record.galaxies or {}).get(question, 0), (record.rmse or {}).get(question, np.nan)
    confusion = (record.confusion or {}).get(question if len(keys) > 1 else keys[0])
    return Judge.of(asked, source, galaxies, rmse, confusion, settings.draws, rng)


def _share_or_not(record: TrackRecord, key: str) -> FloatArray | None:
    """Return the mean fraction of an answer that stands for itself, and the rest; None where it is not known."""
    if record.means is None or not 0.0 < record.means[key] < 1.0:
        return None
    return np.array([record.means[key], 1.0 - record.means[key]])


def _table(
    parts: Sequence[_Counted],
    bins: Bins,
    values: FloatArray,
    weight: FloatArray,
    number: npt.NDArray[np.int64],
    source: Catalog,
) -> Table:
    """Lay what was counted out: a row for each bin, question and answer."""
    ordered = sorted(parts, key=lambda part: part.bin)
    flat = [(part, i) for part in ordered for i in range(len(part.answers))]
    place = np.array([part.bin for part, _ in flat], np.int64)
    columns = [*_bin_columns(bins, values, weight, number, place, source), *_texts_and_counts(flat)]
    for method in METHODS:
        columns += [
            Column(
                f"{method}{_PARTS[field.name][0]}",
                np.array([getattr(part.estimates[method], field.name)[i] for part, i in flat], np.float64),
                "",
                _described(field.name, method),
                _ucd(field.name),
            )
            for field in fields(ShareEstimate)
        ]
    return Table([column_of(column) for column in columns])


def _texts_and_counts(flat: Sequence[tuple[_Counted, int]]) -> list[Column]:
    asked = (
        "Galaxies of whom the question is asked: the sum of the probabilities of its parent answers, times the weights"
    )
    reached = "Rows whose likeliest answers lead to the question, of which raw is a share"
    return [
        Column("question", np.array([p.question for p, _ in flat], np.str_), "", "Question of the scheme", "meta.id"),
        Column("answer", np.array([p.answers[i] for p, i in flat], np.str_), "", "Answer to it", "src.morph.type"),
        Column("n", np.array([p.n for p, _ in flat], np.int64), "", "Rows in the bin", "meta.number"),
        Column("asked", np.array([p.asked for p, _ in flat], np.float64), "", asked, "meta.number"),
        Column("reached", np.array([p.reached for p, _ in flat], np.int64), "", reached, "meta.number"),
        Column(
            "count",
            np.array([p.count[i] for p, i in flat], np.int64),
            "",
            "Rows whose likeliest answer it is",
            "meta.number",
        ),
    ]


def _bin_columns(
    bins: Bins,
    values: FloatArray,
    weight: FloatArray,
    number: npt.NDArray[np.int64],
    place: npt.NDArray[np.int64],
    source: Catalog,
) -> list[Column]:
    """Return the ends of the bins, and the mean of their galaxies, in the unit of the catalogue's column."""
    columns = []
    for i, name in enumerate(bins.names):
        unit, ucd = str(source.table[name].unit or ""), ucd_of(source.table[name])
        low, high = bins.ends(i)
        total = np.bincount(number, weight, len(bins))
        mean = np.bincount(number, weight * values[:, i], len(bins)) / np.where(total > 0, total, np.nan)
        for ending, ends, what in (
            ("low", low, "Lower end"),
            ("high", high, "Upper end"),
            ("mean", mean, "Mean of rows"),
        ):
            rest = {"low": ";stat.min", "high": ";stat.max", "mean": ";stat.mean"}[ending] if ucd else ""
            columns.append(Column(f"{name}_{ending}", ends[place], unit, f"{what} of the bin of {name}", ucd + rest))
    return columns


def _described(part: str, method: str) -> str:
    title = _TITLES[method]
    words = _PARTS[part][1]
    return title if not words else f"{words}{method}"


def _ucd(part: str) -> str:
    ending = _PARTS[part][2]
    return f"stat.error;{_UCD}" if ending == "stat.error;" else f"{_UCD}{ending}"


def count_provenance(
    fractions: ClassFractions, record: TrackRecord, source: Catalog, cut: Flag, seed: int, command: str
) -> Provenance:
    """Say what was counted, and how."""
    cards = [
        ("GMVERS", galmorph.__version__, "version of galmorph"),
        ("GMDATE", datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), "when it ran"),
        ("GMSCHEME", fractions.scheme.name, "label scheme"),
        ("GMMODEL", record.name, "checkpoint whose errors are corrected for"),
        ("GMMODVER", record.version, "version of it"),
        ("GMROWS", str(fractions.rows), "rows of the catalogue"),
        ("GMCOUNT", str(fractions.counted), "rows counted"),
        ("GMCUT", str(int(cut)), "flags by which rows were left out"),
        ("GMSEED", str(seed), "of the draws"),
    ]
    history = [
        f"galmorph {galmorph.__version__}: {command}",
        f"catalog: {source.origin}",
        f"rows left out by: {', '.join(flag_names(cut)) or 'no flag'}",
        *fractions.remarks(),
        *([f"checkpoint {record.name} {record.version} sha256 {record.sha256}"] if record.name else []),
    ]
    return Provenance(tuple(cards), tuple(history))
