"""Scheme: a tree of questions and answers, its column names, and labels made from votes.

One class reads them all: a decision tree (Galaxy Zoo), a list of exclusive classes, and independent fractions
(CANDELS). Everything a network predicts or learns is an array whose last axis runs over `Scheme.keys`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from galmorph.arguments import checked
from galmorph.errors import SchemeError, unknown_name
from galmorph.notebook import html_table
from galmorph.shipped import named_files, shipped
from galmorph.sky.rules import LIKELIEST, Rule, read_rule
from galmorph.sky.vote_column import ONE, read_votes
from galmorph.toml import build, read_file

__all__ = ["Answer", "Labels", "Question", "Scheme", "load_scheme", "scheme_names"]

log = logging.getLogger(__name__)
FloatArray = npt.NDArray[np.float64]
Kind = Literal["tree", "exclusive", "independent"]
_LABEL = "label"  # the column of names of classes in a table of one's own


@dataclass(frozen=True)
class Answer:
    """One answer: `key` names its columns, `source` its column in published tables of votes."""

    key: str
    title: str
    source: str


@dataclass(frozen=True)
class Question:
    """A node of the tree; asked of those who gave one of the answers `parents` (empty: of everybody)."""

    name: str
    title: str
    answers: tuple[Answer, ...]
    parents: tuple[str, ...] = ()


@dataclass(frozen=True)
class Labels:
    """Truth for N rows: of `totals` people who were asked, `counts` gave each answer.

    Parameters
    ----------
    counts
        Votes per answer, (N, A). Fractions are counts with a total of 1 (or the fraction that was asked).
    totals
        Number asked, (N, A); 0 where nobody was, which means that the answer has no label.
    """

    counts: FloatArray
    totals: FloatArray

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.counts)

    @property
    def fractions(self) -> FloatArray:
        """Vote fractions given that the question was asked, (N, A); NaN where it was not."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.totals > 0, self.counts / self.totals, np.nan)

    @property
    def are_there(self) -> npt.NDArray[np.bool_]:
        """Which rows have a label, (N,)."""
        there: npt.NDArray[np.bool_] = self.totals.max(axis=1) > 0
        return there

    def take(self, rows: npt.NDArray[Any]) -> Labels:
        """Return the labels of some rows."""
        return Labels(self.counts[rows], self.totals[rows])


@dataclass(frozen=True)
class Scheme:
    """A tree of labels.

    Parameters
    ----------
    name, title, reference
        What it is and where it is defined.
    kind
        ``'tree'``: the answers of a question exclude each other and may lead to other questions; ``'exclusive'``:
        one question, one class each; ``'independent'``: one question whose fractions need not sum to 1.
    questions
        In an order in which parents come first (the order of the constraints).
    rules
        Cuts that give classes.
    default_rule
        The one that is used unless another is asked for; '' for the likeliest answer.
    noise
        RMSE of labels about what very many people would say, where the labels do not tell how many voted; 0 if unknown.
    column
        Of a published table, with names of classes; ``'label'`` always is another.
    otherwise
        The answer that stands for every name of a class that is not an answer; '' where that is an error.
    """

    name: str
    title: str
    reference: str
    kind: Kind
    questions: tuple[Question, ...]
    rules: tuple[Rule, ...] = ()
    default_rule: str = ""
    noise: float = 0.0
    column: str = _LABEL
    otherwise: str = ""

    def __post_init__(self) -> None:
        earlier: set[str] = set()
        for question in self.questions:
            unknown = [p for p in question.parents if p not in earlier]
            if unknown:
                raise SchemeError(
                    f"scheme '{self.name}', question '{question.name}': parent '{unknown[0]}' is no answer of an "
                    "earlier question; list the parent's question first"
                )
            keys = [a.key for a in question.answers]
            if len(set(keys)) < len(keys) or earlier & set(keys):
                raise SchemeError(f"scheme '{self.name}', question '{question.name}': an answer is there twice")
            earlier |= set(keys)
        if self.default_rule:
            self.rule(self.default_rule)
        if self.otherwise and self.otherwise not in self.keys:
            raise SchemeError(f"scheme '{self.name}': {unknown_name('answer of otherwise', self.otherwise, self.keys)}")

    def _repr_html_(self) -> str:
        questions = {q.name: ", ".join(a.key for a in q.answers) for q in self.questions}
        return html_table(f"Scheme {self.name}: {self.title}", {"kind": self.kind, **questions})

    def rule(self, name: str = "") -> Rule | None:
        """Find a rule by its name, or the default one; None for the likeliest answer.

        A scheme without any has those and the default of the one of its name that ships, if its answers are the same: a
        checkpoint may be older than they are.

        Raises
        ------
        SchemeError
            If there is none of this name; the message lists those that exist.
        """
        source = self if self.rules else self._shipped()
        wanted = name or self.default_rule or source.default_rule or LIKELIEST
        if wanted == LIKELIEST:
            return None
        rules = {rule.name: rule for rule in source.rules}
        if wanted not in rules:
            raise SchemeError(unknown_name(f"rule of scheme '{self.name}'", wanted, [*rules, LIKELIEST]))
        return rules[wanted]

    def _shipped(self) -> Scheme:
        """Return the scheme of this name and these answers that ships; itself where there is none."""
        if self.name not in scheme_names():
            return self
        ship = load_scheme(self.name)
        return ship if ship.keys == self.keys else self

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """Names of all answers in order; the last axis of every array of probabilities."""
        return tuple(a.key for q in self.questions for a in q.answers)

    @cached_property
    def answers(self) -> tuple[Answer, ...]:
        """All answers in the order of `keys`."""
        return tuple(a for q in self.questions for a in q.answers)

    @cached_property
    def slices(self) -> tuple[slice, ...]:
        """Where each question's answers lie on the last axis."""
        ends = np.cumsum([len(q.answers) for q in self.questions])
        return tuple(slice(int(e) - len(q.answers), int(e)) for q, e in zip(self.questions, ends, strict=True))

    @cached_property
    def most_exclusive(self) -> int:
        """How many answers exclude each other, at most: those to the longest question, or 1 if each stands alone."""
        return 1 if self.kind == "independent" else max(len(question.answers) for question in self.questions)

    @cached_property
    def parents(self) -> tuple[tuple[int, ...], ...]:
        """For each question the positions of its parent answers on the last axis."""
        return tuple(tuple(self.keys.index(p) for p in q.parents) for q in self.questions)

    def marginals(self, conditional: FloatArray) -> FloatArray:
        """Multiply conditional probabilities down the tree.

        The answers of a question then sum to the probability that it is asked (the sum over its parent answers).

        Parameters
        ----------
        conditional
            Probabilities given that the question is asked, (..., A).

        Returns
        -------
        (..., A) probabilities among all.
        """
        out = np.array(conditional, dtype=np.float64)
        for where, parents in zip(self.slices, self.parents, strict=True):
            if parents:
                out[..., where] *= out[..., list(parents)].sum(axis=-1, keepdims=True)
        return out

    def normalised(self, probabilities: FloatArray) -> FloatArray:
        """Scale independent fractions, (..., A), so that they sum to 1; other kinds are returned as they are."""
        if self.kind != "independent":
            return probabilities
        total = probabilities.sum(axis=-1, keepdims=True)
        scaled: FloatArray = np.divide(probabilities, total, out=np.full_like(probabilities, np.nan), where=total > 0)
        return scaled

    def best_class(self, marginals: FloatArray) -> tuple[npt.NDArray[np.str_], FloatArray]:
        """Name the likeliest answer of the first question and its (normalised) probability.

        Parameters
        ----------
        marginals
            (N, A); rows with NaN have no class.

        Returns
        -------
        Names (N,), '' where there is none, without the question's name; probabilities (N,).
        """
        first = (
            self.normalised(marginals)[:, self.slices[0]]
            if self.kind == "independent"
            else marginals[:, self.slices[0]]
        )
        classified = np.isfinite(first).all(axis=1)
        best = np.where(classified, np.nan_to_num(first, nan=-1.0).argmax(axis=1), 0)
        names = np.array([k.rpartition("__")[2] for k in self.keys[self.slices[0]]])
        chosen = np.where(classified, names[best], "")
        return chosen, np.where(classified, first[np.arange(len(first)), best], np.nan)

    def column_names(self, prefix: str = "gm_") -> list[str]:
        """Names of the probability columns in the order of `keys`: the question is left out where there is only one."""
        only = f"{self.questions[0].name}__" if len(self.questions) == 1 else ""
        return [f"{prefix}p_{key.removeprefix(only)}" for key in self.keys]

    def labels(self, table: Mapping[str, Any] | Any, *, column: str = "") -> Labels:
        """Turn a table of votes, fractions or class names into labels.

        Parameters
        ----------
        table
            Anything whose columns are found by ``table[name]`` and listed by ``table.columns`` or iteration: vote
            counts or fractions in columns named by key, by `Answer.source` or, as `galmorph simulate` does, with ``f_``
            before the key; or class names in `column`. A question has a label where all of its answers have a number;
            an independent answer where it has one itself.
        column
            Column of class names, by default the scheme's or ``'label'``; empty cells mean no label. Used when no
            column of votes exists.

        Raises
        ------
        SchemeError
            If some answers have columns and others not, if values are no numbers or negative, or fractions exceed 1,
            or if a class is not one of the scheme's.
        """
        names = [str(n) for n in getattr(table, "columns", table)]
        columns = self._columns(names)
        if all(f is None for f in columns):
            return self._labels_of_classes(table, names, column or (self.column if self.column in names else _LABEL))
        if missing := [a.key for a, f in zip(self.answers, columns, strict=True) if f is None]:
            raise SchemeError(
                f"labels for scheme '{self.name}' have no column '{missing[0]}' ({len(missing)} of "
                f"{len(self.keys)} answers are missing): expected one column of votes or fractions for each"
            )
        return self._labels_of_votes(np.stack([read_votes(table[f], f) for f in columns if f], axis=1))

    def has_columns(self, table: Mapping[str, Any] | Any) -> bool:
        """Whether a table has a column of votes or fractions for every answer."""
        return all(self._columns([str(n) for n in getattr(table, "columns", table)]))

    def _columns(self, names: list[str]) -> list[str | None]:
        """Find each answer's column: its key, the name in its catalogue of origin, or that of a simulated truth."""
        return [next((s for s in (a.key, a.source, f"f_{a.key}") if s in names), None) for a in self.answers]

    def _labels_of_votes(self, votes: FloatArray) -> Labels:
        asked = np.isfinite(votes)
        votes = np.where(asked, votes, 0.0)
        if self.kind == "independent":
            if votes.max(initial=0.0) > ONE:
                raise SchemeError(
                    f"labels for scheme '{self.name}' exceed 1: its fractions are independent, so counts alone do "
                    "not say how many were asked; divide them by the number of votes"
                )
            return Labels(np.minimum(votes, 1.0), asked.astype(np.float64))
        for question, where in zip(self.questions, self.slices, strict=True):
            whole = asked[:, where].all(axis=1)
            if in_part := int((asked[:, where].any(axis=1) & ~whole).sum()):
                log.warning(
                    "%d of %d rows lack some answers of question '%s', and have no label there: write 0 for an answer "
                    "that nobody gave",
                    in_part,
                    len(votes),
                    question.name,
                )
            votes[~whole, where] = 0.0
        return Labels(votes, self.totals(votes))

    def totals(self, counts: FloatArray) -> FloatArray:
        """Add up the votes, (N, A), on the answers of each question, which exclude each other, (N, A)."""
        totals = np.zeros_like(counts)
        for where in self.slices:
            totals[:, where] = counts[:, where].sum(axis=1, keepdims=True)
        return totals

    def _labels_of_classes(self, table: Any, names: list[str], column: str) -> Labels:
        if column not in names or len(self.questions) != 1:
            raise SchemeError(
                f"labels for scheme '{self.name}' have neither columns of votes ({', '.join(self.keys[:3])}, …) nor "
                f"a column '{column}' with names of classes: found {', '.join(names[:8])}"
            )
        cells = ["" if v is None or v is np.ma.masked or v != v else str(v).strip() for v in table[column]]  # noqa: PLR0124 - NaN
        named = {"": "", **{key: key for key in self.keys}, **{a.source: a.key for a in self.answers}}
        keys = [named.get(c, self.otherwise or c) for c in cells]
        if unknown := sorted(set(keys) - set(self.keys) - {""}):
            place = f"labels for scheme '{self.name}', column '{column}'"
            raise SchemeError(f"{place}: {unknown_name('class', unknown[0], self.keys)}")
        counts = np.array([[g == k for k in self.keys] for g in keys], dtype=np.float64).reshape(-1, len(self.keys))
        labelled = np.array([g != "" for g in keys], dtype=np.float64)[:, None]
        return Labels(counts, np.repeat(labelled, len(self.keys), axis=1))

    def to_dict(self) -> dict[str, Any]:
        """Return the contents of a scheme file: what a checkpoint carries along."""
        return {
            "name": self.name,
            "title": self.title,
            "reference": self.reference,
            "kind": self.kind,
            "questions": [
                {
                    "name": q.name,
                    "title": q.title,
                    "parents": list(q.parents),
                    "answers": [{"key": a.key, "title": a.title, "source": a.source} for a in q.answers],
                }
                for q in self.questions
            ],
            **({"rules": [rule.to_dict() for rule in self.rules]} if self.rules else {}),
            **({"default_rule": self.default_rule} if self.default_rule else {}),
            **({"noise": self.noise} if self.noise else {}),
            **({"column": self.column} if self.column != _LABEL else {}),
            **({"otherwise": self.otherwise} if self.otherwise else {}),
        }

    @classmethod
    def from_dict(cls, contents: Mapping[str, Any], what: str = "") -> Scheme:
        """Build a scheme from the contents of its file.

        Parameters
        ----------
        what
            Where they stand, for messages; by default the scheme's name says so.

        Raises
        ------
        SchemeError
            If a key is missing, unknown or of another type, or the tree contradicts itself.
        """
        place = what or f"scheme '{contents.get('name', '?')}'"
        file = build(_SchemeTable, contents, place, error=SchemeError)
        questions = tuple(_question(q, n, file, place) for n, q in enumerate(file.questions, 1))
        keys = [answer.key for question in questions for answer in question.answers]
        rules = tuple(read_rule(rule, keys, place) for rule in file.rules)
        rest = {name: getattr(file, name) for name in ("default_rule", "noise", "column", "otherwise")}
        return cls(file.name, file.title, file.reference, file.kind, questions, rules, **rest)


@dataclass(frozen=True)
class _SchemeTable:
    """What the file of a scheme says."""

    name: str
    title: str
    reference: str
    kind: Kind
    questions: tuple[Mapping[str, Any], ...]
    rules: tuple[Mapping[str, Any], ...] = ()
    default_rule: str = ""
    noise: float = 0.0
    column: str = _LABEL
    otherwise: str = ""

    def __post_init__(self) -> None:
        if not self.questions:
            raise SchemeError(f"scheme '{self.name}' has no questions: write one as [[questions]]")
        if not 0.0 <= self.noise < 1.0:
            raise SchemeError(f"noise = {self.noise}, expected a number from 0 to less than 1")


@dataclass(frozen=True)
class _QuestionTable:
    """What it says of a question."""

    name: str
    answers: tuple[str | Mapping[str, Any], ...]
    title: str = ""
    parents: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.answers:
            raise SchemeError(f"question '{self.name}' has no answers: name two or more")


@dataclass(frozen=True)
class _AnswerTable:
    """What it says of an answer that is more than a name."""

    name: str = ""
    key: str = ""
    title: str = ""
    source: str = ""


def _question(contents: Mapping[str, Any], number: int, file: _SchemeTable, place: str) -> Question:
    table = build(_QuestionTable, contents, place, f"questions.{number}", error=SchemeError)
    answers = []
    for entry in table.answers:
        of = {"name": entry} if isinstance(entry, str) else entry
        answer = build(_AnswerTable, of, place, f"questions.{number}.answers", error=SchemeError)
        key = answer.key or (answer.name if file.kind != "tree" else f"{table.name}__{answer.name}")
        answers.append(Answer(key, answer.title or answer.name.replace("_", " "), answer.source or key))
    return Question(table.name, table.title or table.name, tuple(answers), table.parents)


def scheme_names() -> list[str]:
    """List the schemes that ship with galmorph."""
    return list(named_files(shipped("catalogs") / "schemes", ".toml"))


@checked
def load_scheme(name: str | Path) -> Scheme:
    """Read a scheme by its name or from a TOML file.

    Raises
    ------
    SchemeError
        If there is no such scheme (the message lists what exists) or its file is wrong.
    """
    files = named_files(shipped("catalogs") / "schemes", ".toml")
    path = files.get(str(name)) or (Path(name) if str(name).endswith(".toml") else None)
    if path is None:
        raise SchemeError(unknown_name("scheme", str(name), files))
    contents = {"name": path.name.removesuffix(".toml"), **read_file(path, "scheme file", SchemeError)}
    return Scheme.from_dict(contents, f"scheme file '{path}'")
