"""Rule: cuts on the answers of a scheme that give a galaxy its class.

A rule is text in a scheme's file. The first class whose condition holds is the galaxy's; where none holds it is
`otherwise`::

    [[rules]]
    name = "two-thirds"
    title = "..."
    reference = "..."
    of = "all"              # fractions among all people, or "asked": among those who were asked the question
    otherwise = "unclassified"
    classes = [
        { name = "disk", when = "disk > 2/3 and spheroid < 2/3" },
    ]

A condition is one or several comparisons joined by ``and``, each an answer's key, one of ``> >= < <=``, and a number or
a fraction. It is read by the few lines below, never run as code.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from galmorph.errors import SchemeError, unknown_name
from galmorph.toml import build

__all__ = ["LIKELIEST", "SIGNS", "Comparison", "Rule", "RuleClass", "read_rule"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

LIKELIEST = "likeliest"
"""No rule: the likeliest answer of the first question."""
SIGNS: Mapping[str, Callable[[Any, Any], Any]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_COMPARISON = re.compile(r"(\w+)\s*(>=|<=|>|<)\s*(\d*\.?\d+)(?:\s*/\s*(\d*\.?\d+))?")


@dataclass(frozen=True)
class Comparison:
    """One answer against a threshold."""

    key: str
    sign: str
    threshold: float

    def holds(self, fractions: FloatArray, keys: Sequence[str]) -> BoolArray:
        """Tell where it is true of fractions, (N, A); false where they are NaN."""
        held: BoolArray = SIGNS[self.sign](fractions[:, keys.index(self.key)], self.threshold)
        return held


@dataclass(frozen=True)
class RuleClass:
    """A class and the comparisons that must all hold; `when` is their text."""

    name: str
    when: str
    comparisons: tuple[Comparison, ...]


@dataclass(frozen=True)
class Rule:
    """Cuts that give classes.

    Parameters
    ----------
    name, title, reference
        What it is called, what it is, and where its numbers come from.
    classes
        In the order in which they are tried.
    of
        ``'all'``: the comparisons are of fractions among all people; ``'asked'``: among those who were asked.
    otherwise
        The class of galaxies that no condition fits.
    """

    name: str
    title: str
    reference: str
    classes: tuple[RuleClass, ...]
    of: str = "all"
    otherwise: str = "unclassified"

    def apply(self, conditional: FloatArray, marginals: FloatArray, keys: Sequence[str]) -> npt.NDArray[np.str_]:
        """Name the class of each galaxy, (N,); '' where there are no probabilities.

        Parameters
        ----------
        conditional, marginals
            (N, A) probabilities given that the question is asked, and among all.
        keys
            Of the answers.
        """
        fractions = conditional if self.of == "asked" else marginals
        held = [np.logical_and.reduce([c.holds(fractions, keys) for c in kind.comparisons]) for kind in self.classes]
        named = np.select(held, [kind.name for kind in self.classes], self.otherwise)
        return np.where(np.isfinite(fractions).all(axis=1), named, "")

    def to_dict(self) -> dict[str, Any]:
        """Return the table that it was read from."""
        return {
            "name": self.name,
            "title": self.title,
            "reference": self.reference,
            "of": self.of,
            "otherwise": self.otherwise,
            "classes": [{"name": kind.name, "when": kind.when} for kind in self.classes],
        }


@dataclass(frozen=True)
class _RuleTable:
    """What a file says of a rule."""

    name: str
    classes: tuple[Mapping[str, Any], ...]
    title: str = ""
    reference: str = ""
    of: Literal["all", "asked"] = "all"
    otherwise: str = "unclassified"

    def __post_init__(self) -> None:
        if self.name == LIKELIEST or not self.classes:
            raise SchemeError(
                f"rule '{self.name}': expected another name than '{LIKELIEST}', and at least one class; change it"
            )


@dataclass(frozen=True)
class _ClassTable:
    """What it says of a class."""

    name: str
    when: str


def read_rule(table: Mapping[str, Any], keys: Sequence[str], place: str = "scheme") -> Rule:
    """Read a rule from its table.

    Parameters
    ----------
    keys
        The answers that it may name.
    place
        What it is part of, for messages.

    Raises
    ------
    SchemeError
        If something is missing, unknown, of another type or cannot be read.
    """
    section = f"rules.{table.get('name', '?')}"
    rule = build(_RuleTable, table, place, section, error=SchemeError)
    classes = []
    for each in rule.classes:
        kind = build(_ClassTable, each, place, f"{section}.classes", error=SchemeError)
        comparisons = tuple(
            _comparison(words, kind, rule.name, keys) for words in re.split(r"\s+and\s+", kind.when.strip())
        )
        classes.append(RuleClass(kind.name, kind.when, comparisons))
    return Rule(rule.name, rule.title or rule.name, rule.reference, tuple(classes), rule.of, rule.otherwise)


def _comparison(words: str, kind: _ClassTable, rule: str, keys: Sequence[str]) -> Comparison:
    match = _COMPARISON.fullmatch(words.strip())
    if match is None:
        raise SchemeError(
            f"rule '{rule}', class '{kind.name}': '{words}' cannot be read, expected an answer, one of > >= < <= "
            "and a number or fraction, as in 'disk > 2/3 and irregular < 0.1'; correct it"
        )
    key, sign, top, bottom = match.groups()
    if key not in keys:
        raise SchemeError(f"rule '{rule}', class '{kind.name}': {unknown_name('answer', key, keys)}")
    if bottom is not None and float(bottom) == 0.0:
        raise SchemeError(
            f"rule '{rule}', class '{kind.name}': '{words}' divides by 0, expected a fraction; correct it"
        )
    return Comparison(key, sign, float(top) / float(bottom or 1.0))
