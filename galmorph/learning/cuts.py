"""Cuts: which rows of a table a condition chooses; read by the few lines below, never run as code.

A condition is one or several comparisons joined by ``and``: a column, one of ``> >= < <= == !=``, and a number; with
``==`` and ``!=`` also a word::

    Hmag < 24.5 and Depth == 2epoch
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.table import Table

from galmorph.errors import PipelineError, unknown_name
from galmorph.sky.catalog import reals
from galmorph.sky.formats.plain import as_text
from galmorph.sky.rules import SIGNS

__all__ = ["read_cuts", "rows_where"]

BoolArray = npt.NDArray[np.bool_]

_COMPARISON = re.compile(r"([^\s<>=!]+)\s*(>=|<=|==|!=|>|<)\s*([^\s<>=!]+)")
_SIGNS: Mapping[str, Callable[[Any, Any], Any]] = {**SIGNS, "==": operator.eq, "!=": operator.ne}


@dataclass(frozen=True)
class _Cut:
    """One column against a number or a word."""

    column: str
    sign: str
    value: str

    def holds(self, table: Table) -> BoolArray:
        """Tell for which rows it is true, (N,); for none whose cell is empty."""
        if self.column not in table.colnames:
            raise PipelineError(f"where = '... {self.column}': {unknown_name('column', self.column, table.colnames)}")
        if (number := _number(self.value)) is not None:
            values = reals(table[self.column])
            held: BoolArray = np.isfinite(values) & _SIGNS[self.sign](values, number)
            return held
        words = np.char.strip(as_text(table[self.column]))
        return np.asarray((words != "") & _SIGNS[self.sign](words, self.value))


def read_cuts(condition: str) -> tuple[_Cut, ...]:
    """Read a condition; () for an empty one.

    Raises
    ------
    PipelineError
        If it cannot be read.

    Examples
    --------
    >>> len(read_cuts("Hmag < 24.5 and Depth == 2epoch"))
    2
    """
    return tuple(_cut(words.strip()) for words in re.split(r"\s+and\s+", condition.strip())) if condition else ()


def rows_where(condition: str, table: Table) -> BoolArray:
    """Mark the rows for which a condition holds, (N,): all where there is none.

    Raises
    ------
    PipelineError
        If it cannot be read, or a column is missing.
    """
    chosen = np.ones(len(table), dtype=bool)
    for cut in read_cuts(condition):
        chosen &= cut.holds(table)
    return chosen


def _cut(words: str) -> _Cut:
    match = _COMPARISON.fullmatch(words)
    if match is None or (_number(match[3]) is None and match[2] not in ("==", "!=")):
        raise PipelineError(
            f"where: '{words}' cannot be read, expected a column, one of {' '.join(_SIGNS)} and a number, as in "
            "'Hmag < 24.5 and Depth == 2epoch'; correct it"
        )
    return _Cut(*match.groups())


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if np.isfinite(number) else None
