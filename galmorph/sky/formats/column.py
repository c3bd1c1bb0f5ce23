"""Column: what is appended to a catalogue, and the provenance that goes with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy import table as apt
from astropy import units as u

__all__ = [
    "Column",
    "Positions",
    "Provenance",
    "column_of",
    "escaped",
    "free_keyword",
    "noted",
    "parsed_unit",
    "table_with",
    "ucd_of",
]


@dataclass(frozen=True)
class Column:
    """One appended column.

    Parameters
    ----------
    name
        Name, prefix included.
    values
        One value per row, (N,) float32, float64, int32, int64 or str; null is NaN or the empty string. Or so many
        numbers in each, (N, K).
    unit
        A VOUnit, or the empty string.
    description
        One line in plain English.
    ucd
        Unified content descriptor (IVOA UCD1+).
    """

    name: str
    values: npt.NDArray[Any]
    unit: str = ""
    description: str = ""
    ucd: str = ""


@dataclass(frozen=True)
class Provenance:
    """What made the appended columns.

    Parameters
    ----------
    cards
        ``(keyword, value, comment)``; keywords are FITS keywords of at most eight characters: ``GMMODEL``.
    history
        Lines of any length.
    """

    cards: tuple[tuple[str, str, str], ...] = ()
    history: tuple[str, ...] = ()


@dataclass(frozen=True)
class Positions:
    """Where the rows of a table are on the sky, for a format that orders them by that.

    Parameters
    ----------
    ra, dec
        Names of the columns they are of.
    ra_deg, dec_deg
        ICRS degrees, (N,); NaN where missing.
    """

    ra: str
    dec: str
    ra_deg: npt.NDArray[np.float64]
    dec_deg: npt.NDArray[np.float64]


def parsed_unit(text: str | None) -> u.UnitBase | None:
    """Return the unit that `text` spells; an unknown one keeps its spelling; None for none."""
    if not text or not text.strip():
        return None
    return u.Unit(text, parse_strict="silent")


def escaped(text: str) -> str:
    r"""Return text in ASCII, other letters as escapes, so that two names stay two.

    Examples
    --------
    >>> escaped("\u03b1Cen")
    '\\u03b1Cen'
    """
    return text.encode("ascii", "backslashreplace").decode("ascii")


def ucd_of(column: Any) -> str:
    """Return the UCD of a table column, or the empty string."""
    return str((column.info.meta or {}).get("ucd", "") or "")


def table_with(table: apt.Table, columns: Sequence[Column]) -> apt.Table:
    """Return `table` with `columns` after its own; the old columns are shared, the table is new."""
    out = table.copy(copy_data=False)
    out.meta = dict(table.meta)
    for column in columns:
        out.add_column(column_of(column), copy=False)
    return out


def column_of(column: Column) -> apt.Column:
    """Return an appended column as one of a table, with what is said of it."""
    return apt.Column(
        np.asarray(column.values),
        name=column.name,
        unit=parsed_unit(column.unit),
        description=column.description or None,
        meta={"ucd": column.ucd} if column.ucd else {},
    )


def noted(table: apt.Table, provenance: Provenance) -> apt.Table:
    """Return `table` with the provenance in its `meta`; keywords that are taken get a number."""
    out = table.copy(copy_data=False)
    out.meta = dict(table.meta)
    taken = {str(key).upper() for key in out.meta}
    for keyword, value, _ in provenance.cards:
        free = free_keyword(keyword, taken)
        taken.add(free)
        out.meta[free] = value
    if provenance.history:
        old = next((k for k in out.meta if str(k).upper() == "HISTORY"), "HISTORY")
        before = out.meta.get(old, [])
        out.meta[old] = [*(before if isinstance(before, list) else [before]), *provenance.history]
    return out


def free_keyword(keyword: str, taken: set[str]) -> str:
    """Return `keyword`, or with a number in place of its end where that is taken; at most eight characters.

    Examples
    --------
    >>> free_keyword("GMVERSIO", {"GMVERSIO"})
    'GMVERSI2'
    """
    number, free = 1, keyword
    while free in taken:
        number += 1
        free = f"{keyword[: 8 - len(str(number))]}{number}"
    return free
