"""Split: how the rows of a labelled table are divided into those that train, validate and test."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from galmorph.errors import PipelineError, unknown_name
from galmorph.interval import COUNT, check_numbers
from galmorph.sky.catalog import degrees_in, names_in
from galmorph.toml import build, expecting

__all__ = [
    "ALL",
    "SPLITS",
    "BlockSplit",
    "HashSplit",
    "NamedBy",
    "SkySplit",
    "Split",
    "named_by",
    "read_split",
    "rows_with",
    "settled",
]

SPLITS = ("train", "validation", "test")
"""What a row may be for."""
ALL = "all"
"""Stands for the rows of every kind."""

_WORD = "<U10"
_COLUMNS = expecting('values of columns, such as { block = "a" }')
NamedBy = Literal["", "file", "id", "row"]
"""What names the rows that are divided: a column of files or ids, or their numbers; '' for the first that there is."""
Values = Mapping[str, str | int | float | bool]
"""Columns and the values that some rows have in them."""
Share = float | tuple[float, float]
"""Of the rows: so many of them, or those between two hashes."""


@dataclass(frozen=True)
class HashSplit:
    """Shares of the rows by the hashes of their names, or of a column: the same always fall into the same part.

    Parameters
    ----------
    test, validation
        A number, or a pair of numbers between which the hash of a row's name must lie. Numbers follow each other
        from 0, the test part first.
    method
        Tells this way of dividing from others.
    salt
        Put before each name.
    by
        Column whose values take the place of the names, so that rows with one value stay together; rows without one
        stand for themselves. Empty for none.
    named_by
        What the names are, so that a table that has others is not divided otherwise: see :func:`settled`.
    only
        Values of columns: other rows always train.
    balance
        Values of columns: the training rows are weighted so that their classes have the shares that they have among
        the rows with these values.
    """

    test: Share
    validation: Share
    method: Literal["hash"] = "hash"
    salt: str = ""
    by: str = ""
    named_by: NamedBy = ""
    only: Values = field(default_factory=dict, metadata=_COLUMNS)
    balance: Values = field(default_factory=dict, metadata=_COLUMNS)

    def __post_init__(self) -> None:
        self.ranges()

    def ranges(self) -> dict[str, tuple[float, float]]:
        """Return the ranges of hashes of the test and validation parts.

        Raises
        ------
        PipelineError
            If a share is not between 0 and 1, or they overlap.
        """
        test = _range(self.test, 0.0)
        validation = _range(self.validation, test[1])
        first, second = sorted([test, validation])
        if first[1] > second[0]:
            raise PipelineError(f"test = {self.test} and validation = {self.validation} overlap: keep them apart")
        return {"test": test, "validation": validation}

    def applies_to(self, columns: Mapping[str, Any]) -> bool:
        """Tell whether a table has the columns that rows are divided by."""
        return {*self.only, *([self.by] if self.by else [])} <= {*_names(columns)}

    def divide(self, names: Sequence[str], columns: Mapping[str, Any]) -> npt.NDArray[np.str_]:
        """Divide rows.

        Parameters
        ----------
        names
            Of the rows.
        columns
            Table with the columns that `by` and `only` mention.

        Returns
        -------
        (N,) of :data:`SPLITS`.

        Raises
        ------
        PipelineError
            If `by` or `only` names a column that is not there.
        """
        values = _groups(names, _column(columns, self.by)) if self.by else names
        hashes = np.array([_hash(f"{self.salt}{value}") for value in values])
        eligible = rows_with(self.only, len(names), columns)
        words = np.full(len(names), "train", dtype=_WORD)
        for word, (low, high) in self.ranges().items():
            words[eligible & (hashes >= low) & (hashes < high)] = word
        return words


@dataclass(frozen=True)
class BlockSplit:
    """Blocks of rows in the order of the numbers in their names, so that neighbours on the sky stay together.

    Parameters
    ----------
    blocks
        Their number; all are as large as each other.
    test, validation
        Numbers of the blocks of these parts, from 0.
    method
        Tells this way of dividing from others.
    starts
        The number at which each block begins; by default blocks are as large as each other among the rows that are
        divided. With it some of these rows, or further ones, fall into the same blocks: see :func:`settled`.
    named_by, balance
        As of :class:`HashSplit`.
    """

    blocks: int
    test: tuple[int, ...]
    validation: tuple[int, ...]
    method: Literal["contiguous"] = "contiguous"
    starts: tuple[float, ...] = ()
    named_by: NamedBy = ""
    balance: Values = field(default_factory=dict, metadata=_COLUMNS)

    def __post_init__(self) -> None:
        check_numbers(self, {"blocks": COUNT})
        if both := sorted({*self.test} & {*self.validation}):
            raise PipelineError(f"block {both[0]} is for test and for validation: leave it out of one of them")
        if beyond := sorted(n for n in (*self.test, *self.validation) if not 0 <= n < self.blocks):
            raise PipelineError(f"there is no block {beyond[0]}: expected numbers from 0 to {self.blocks - 1}")
        if self.starts and (len(self.starts) != self.blocks or not _rises(self.starts)):
            raise PipelineError(f"starts of {len(self.starts)} blocks: expected {self.blocks} rising numbers")

    def applies_to(self, columns: Mapping[str, Any]) -> bool:
        """Tell whether a table has the columns that rows are divided by: there are none."""
        del columns
        return True

    def divide(self, names: Sequence[str], columns: Mapping[str, Any]) -> npt.NDArray[np.str_]:
        """Divide rows by the digits after the last underscore of their names; see :meth:`HashSplit.divide`."""
        del columns  # the names alone decide
        number = np.array([_number(name) for name in names], dtype=np.float64)
        if self.starts:
            block = np.maximum(np.searchsorted(self.starts, number, side="right") - 1, 0)
        else:
            block = self._even(number)
        words = np.full(len(names), "train", dtype=_WORD)
        words[np.isin(block, self.validation)] = "validation"
        words[np.isin(block, self.test)] = "test"
        return words

    def settled(self, names: Sequence[str]) -> BlockSplit:
        """Return it with the numbers at which its blocks begin among rows of these names, if each has its own."""
        number = np.array([_number(name) for name in names], dtype=np.float64)
        block = self._even(number)
        if self.starts or len(np.unique(block)) < self.blocks:
            return self
        starts = tuple(float(number[block == k].min()) for k in range(self.blocks))
        return replace(self, starts=starts) if _rises(starts) else self

    def _even(self, number: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
        """Put rows into blocks as large as each other."""
        rank = np.empty(len(number), dtype=np.intp)
        rank[np.argsort(number, kind="stable")] = np.arange(len(number))
        return rank * self.blocks // max(len(number), 1)


@dataclass(frozen=True)
class SkySplit:
    """Cells of the sky by the hashes of their places: what stands at one position falls into one part.

    Parameters
    ----------
    test, validation, salt, balance
        As of :class:`HashSplit`; the name of a cell takes the place of the row's.
    method
        Tells this way of dividing from others.
    cell_arcmin
        Side of a cell; all have the same area.
    ra, dec
        Columns of positions: degrees, or what their unit or spelling says. Rows without one share a part.
    """

    test: Share
    validation: Share
    method: Literal["sky"] = "sky"
    cell_arcmin: float = 2.0
    salt: str = ""
    ra: str = "ra"
    dec: str = "dec"
    balance: Values = field(default_factory=dict, metadata=_COLUMNS)

    def __post_init__(self) -> None:
        if not self.cell_arcmin > 0.0:
            raise PipelineError(f"cell_arcmin = {self.cell_arcmin}: expected a side above 0")
        self._by_cell()

    def _by_cell(self) -> HashSplit:
        return HashSplit(self.test, self.validation, salt=self.salt)

    def applies_to(self, columns: Mapping[str, Any]) -> bool:
        """Tell whether a table has the columns that rows are divided by."""
        return {self.ra, self.dec} <= {*_names(columns)}

    def divide(self, names: Sequence[str], columns: Mapping[str, Any]) -> npt.NDArray[np.str_]:
        """Divide rows by their positions; see :meth:`HashSplit.divide`."""
        del names  # the places alone decide
        ra, dec = degrees_in(_column(columns, self.ra), "ra"), degrees_in(_column(columns, self.dec), "dec")
        ra = np.where(np.isfinite(dec), ra, np.nan)
        dec = np.where(np.isfinite(ra), dec, np.nan)
        side = self.cell_arcmin / 60.0
        row = np.floor(dec / side)
        column = np.floor(ra * np.cos(np.radians((row + 0.5) * side)) / side)
        return self._by_cell().divide([f"{i:.0f} {j:.0f}" for i, j in zip(row, column, strict=True)], columns)


Split = HashSplit | BlockSplit | SkySplit
"""The section ``[split]`` of a pipeline; its ``method`` tells which."""


@dataclass(frozen=True)
class _Holder:
    split: Split


def read_split(table: Mapping[str, Any], what: str) -> Split:
    """Read the split that a checkpoint or another file holds.

    Raises
    ------
    PipelineError
        If it is none.
    """
    return build(_Holder, {"split": table}, what).split


def settled(split: Split, names: Sequence[str], named: NamedBy) -> Split:
    """Return a split that divides a part of the rows of these names, or more than these, as it divides them.

    Parts of the hash of a name do so as long as rows have the same names, which `named` says what they are, those of
    places anyway; blocks as large as each other would begin elsewhere.
    """
    if isinstance(split, SkySplit):
        return split
    of_names: Split = split if split.named_by else replace(split, named_by=named)
    return of_names.settled(names) if isinstance(of_names, BlockSplit) else of_names


def named_by(split: Split) -> NamedBy:
    """Return what names the rows that are divided; '' if that is left to the table, or names play no role."""
    return "" if isinstance(split, SkySplit) else split.named_by


def rows_with(values: Values, n: int, columns: Mapping[str, Any]) -> npt.NDArray[np.bool_]:
    """Mark the rows that have these values in these columns, (n,); without any, all rows.

    A number is the same however it is written, 1 or 1.0, and so are true and "True"; a missing cell has no value.
    """
    eligible = np.ones(n, dtype=bool)
    for name, value in values.items():
        cells = np.char.strip(names_in(_column(columns, name)))
        wanted = str(names_in([value])[0]).strip()
        if isinstance(value, bool):
            cells, wanted = np.char.lower(cells), wanted.lower()
        eligible &= cells == wanted
    return eligible


def _names(columns: Mapping[str, Any]) -> list[str]:
    return [str(name) for name in getattr(columns, "colnames", columns)]


def _groups(names: Sequence[str], column: Any) -> list[str]:
    """Return the values of a column, or of rows that have none their names."""
    values = np.char.strip(names_in(column)).tolist()
    return [value or name for value, name in zip(values, names, strict=True)]


def _column(columns: Mapping[str, Any], name: str) -> Any:
    names = _names(columns)
    if name not in names:
        raise PipelineError(f"the split is by column '{name}' of the labels: {unknown_name('column', name, names)}")
    if np.ndim(columns[name]) != 1:
        raise PipelineError(
            f"the split is by column '{name}' of the labels, which has several values in each row: expected one; name "
            "another"
        )
    return columns[name]


def _range(share: Share, start: float) -> tuple[float, float]:
    low, high = share if isinstance(share, tuple) else (start, start + share)
    if not 0 <= low <= high <= 1:
        shown = list(share) if isinstance(share, tuple) else share
        raise PipelineError(f"share {shown}: expected a number, or a pair of rising numbers, from 0 to 1")
    return float(low), float(high)


def _rises(numbers: Sequence[float]) -> bool:
    return all(one < other for one, other in pairwise(numbers))


def _hash(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6]) / 2.0**48


def _number(name: str) -> int:
    return int("".join(c for c in name.rpartition("_")[2] if c in "0123456789") or 0)
