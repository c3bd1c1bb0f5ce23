"""PointColumns: what the points of a map can be coloured by, as arrays that a page reads."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.table import Table
from markupsafe import Markup

from galmorph.errors import CatalogError, unknown_name
from galmorph.sky.catalog import Catalog, reals
from galmorph.sky.formats.plain import as_text

__all__ = ["MOST_CLASSES", "PointColumn", "packed", "point_columns"]

MOST_CLASSES = 56
"""Classes that differ by colour or shape; all others are one: there are 8 colours and 7 shapes."""
_MOST_BYTES = 10_500_000  # of columns that nobody asked for: 26 of 100 000 rows, 14 MB in the page
_FEW = 12  # whole numbers are classes where there are at most so many different ones
_LOG_RANGE = 300.0
_FIRST = ("class", "conf", "flags", "rule", "set", "rpet", "snr")
"""What galmorph adds comes first, and of that these."""


@dataclass(frozen=True)
class PointColumn:
    """A column.

    Parameters
    ----------
    name
        Of the column.
    kind
        ``'number'``, ``'class'`` or ``'flags'``, whose values are bits.
    values
        (N,) float32; the numbers of classes, uint8, from 1, 0 for none; or int32.
    classes
        Names of the classes, the commonest first; galmorph's in the order of the scheme.
    low, high
        Ends of the scale of colours: 1 and 99 % of the values.
    is_log
        Whether the scale is logarithmic.
    unit, about
        As in the table.
    """

    name: str
    kind: str
    values: npt.NDArray[Any]
    classes: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 1.0
    is_log: bool = False
    unit: str = ""
    about: str = ""

    def described(self) -> dict[str, Any]:
        """Return all but the values, for a page."""
        return {
            "name": self.name,
            "kind": self.kind,
            "classes": list(self.classes),
            "low": self.low,
            "high": self.high,
            "log": self.is_log,
            "unit": self.unit,
            "about": self.about,
        }


def packed(values: npt.NDArray[Any]) -> Markup:
    """Write an array as base64, little-endian, as typed arrays of a page's script read it."""
    plain = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    return Markup(base64.b64encode(plain.tobytes()).decode("ascii"))  # noqa: S704 - base64 has no letter of HTML


def point_columns(
    catalog: Catalog, rows: npt.NDArray[np.intp], chosen: Sequence[str], prefix: str, left_out: Sequence[str] = ()
) -> list[PointColumn]:
    """Choose columns, those that are asked for first, then galmorph's own, then others, until a page is full.

    Parameters
    ----------
    catalog
        All rows.
    rows
        (N,) those on the map.
    chosen
        Names of columns that are asked for.
    prefix
        Of galmorph's columns.
    left_out
        Columns that are shown otherwise.

    Raises
    ------
    CatalogError
        If one that is asked for does not exist, or holds several values in a row.
    """
    table = catalog.table
    for name in chosen:
        if name not in table.colnames:
            raise CatalogError(f"Catalog '{catalog.title}': {unknown_name('column', name, table.colnames)}")
        if np.ndim(table[name]) != 1:
            raise CatalogError(
                f"Catalog '{catalog.title}': column '{name}' has several values in each row: expected one; "
                "choose another"
            )
    roles = (catalog.id_column, catalog.ra_column, catalog.dec_column, catalog.file_column)
    return list(_filling(table, rows, chosen, _ordered(table, chosen, prefix, {*roles, *left_out}), prefix))


def _filling(
    table: Table, rows: npt.NDArray[np.intp], chosen: Sequence[str], others: Sequence[str], prefix: str
) -> Iterator[PointColumn]:
    """Yield the columns that are asked for, and others while there is room."""
    room = _MOST_BYTES
    for name in (*dict.fromkeys(chosen), *others):
        column = _column(table[name][rows], name, prefix, is_chosen=name in chosen)
        if column is None or (name not in chosen and column.values.nbytes > room):
            continue
        room -= column.values.nbytes
        yield _as_in_scheme(column, table, prefix) if name == f"{prefix}class" and column.kind == "class" else column


def _as_in_scheme(column: PointColumn, table: Table, prefix: str) -> PointColumn:
    """Order classes as their probabilities are in the table, so that a report has the same colours."""
    answers = [name.rpartition("__")[2].removeprefix(f"{prefix}p_") for name in table.colnames]
    places = {answer: number for number, answer in reversed(list(enumerate(answers)))}
    order = sorted(range(len(column.classes)), key=lambda i: (places.get(column.classes[i], len(answers)), i))
    numbers = np.zeros(len(order) + 1, np.uint8)
    numbers[np.array(order, np.intp) + 1] = np.arange(1, len(order) + 1)
    return replace(column, values=numbers[column.values], classes=tuple(column.classes[i] for i in order))


def _ordered(table: Table, chosen: Sequence[str], prefix: str, left_out: set[str | None]) -> list[str]:
    """List the columns of one value a row that nobody asked for, the most telling first."""
    first = {prefix + name: number for number, name in enumerate(_FIRST)}

    def place(name: str) -> tuple[int, bool, bool]:
        is_error = name.endswith("_err")
        return first.get(name, len(first)), is_error, not name.startswith(prefix)

    names = [name for name in table.colnames if np.ndim(table[name]) == 1 and name not in left_out]
    return sorted((name for name in names if name not in chosen), key=place)


def _column(column: Any, name: str, prefix: str, *, is_chosen: bool) -> PointColumn | None:
    """Return a column for the page; None where it tells nothing: one value alone, or a name for each row."""
    plain = _values(column, name, prefix, is_chosen=is_chosen)
    if plain is None:
        return None
    unit, about = getattr(column, "unit", None) or "", column.info.description or ""
    return replace(plain, unit=str(unit), about=str(about))


def _values(column: Any, name: str, prefix: str, *, is_chosen: bool) -> PointColumn | None:
    kind = getattr(getattr(column, "dtype", None), "kind", "")
    if kind in "iu" and name == f"{prefix}flags":
        return PointColumn(name, "flags", np.ma.filled(np.ma.asarray(column), 0).astype(np.int32))
    if kind in "SUOb" or (kind in "iu" and len(np.unique(np.ma.compressed(np.ma.asarray(column)))) <= _FEW):
        return _classes(as_text(column), name, is_chosen=is_chosen)
    return _numbers(reals(column), name, is_chosen=is_chosen) if kind in "fiu" else None


def _classes(texts: npt.NDArray[np.str_], name: str, *, is_chosen: bool) -> PointColumn | None:
    spelt, numbers, counts = np.unique(np.char.strip(texts), return_inverse=True, return_counts=True)
    is_empty = spelt == ""
    order = np.argsort(np.where(is_empty, 0, -counts), kind="stable")
    classes = [i for i in order.tolist() if not is_empty[i]]
    if not is_chosen and (len(spelt) < 2 or len(classes) > min(MOST_CLASSES, len(texts) / 2)):
        return None
    kept = classes if len(classes) <= MOST_CLASSES else classes[: MOST_CLASSES - 1]
    names = [str(spelt[i]) for i in kept] + (["(others)"] if len(kept) < len(classes) else [])
    code = np.full(len(spelt), len(names), np.uint8)
    code[is_empty] = 0
    code[kept] = np.arange(1, len(kept) + 1)
    return PointColumn(name, "class", code[numbers], tuple(names))


def _numbers(values: npt.NDArray[np.float64], name: str, *, is_chosen: bool) -> PointColumn | None:
    finite = values[np.isfinite(values)]
    if not is_chosen and (not finite.size or finite.min() == finite.max()):
        return None
    with np.errstate(over="ignore"):
        single = values.astype(np.float32)
    single[~np.isfinite(single)] = np.nan
    shown = single[np.isfinite(single)]
    low, high = np.percentile(shown, [1.0, 99.0]).tolist() if shown.size else (0.0, 1.0)
    is_log = low > 0.0 and high / low > _LOG_RANGE
    return PointColumn(name, "number", single, (), low, high if high > low else low + 1.0, is_log)
