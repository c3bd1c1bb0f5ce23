"""Retry: an earlier result whose rows that could not be fetched are done again, and whose others stay as they are."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from astropy.table import Table

from galmorph.errors import CatalogError
from galmorph.flags import Flag
from galmorph.progress import Progress
from galmorph.runs.classify import classify
from galmorph.runs.plan import Plan
from galmorph.runs.provenance import provenance_of
from galmorph.sky.catalog import Catalog, Column, Provenance, append, check_output, write_catalog
from galmorph.sky.catalog_input import CatalogInput
from galmorph.sky.formats.plain import as_text
from galmorph.sky.formats.stored import HeldTable
from galmorph.sky.outputs import check_apart

__all__ = ["retry"]

_MAY_DIFFER = {"GMVERS", "GMDATE"}


def retry(
    plan: Plan, *, output: str | Path | None = None, overwrite: bool = False, progress: Progress, command: str
) -> Table:
    """Do the rows of an earlier result again that could not be fetched; return it with their new values.

    Parameters
    ----------
    plan
        As that of the earlier result, which is its catalogue.
    output, overwrite
        File for the result; whether an existing one may be replaced.
    progress, command
        As of :func:`galmorph.runs.classify.classify`.

    Raises
    ------
    CatalogError
        If the catalogue is no result of the same checkpoint, survey, band and settings.
    GalmorphError
        One of its kinds for each other thing that does not fit.
    """
    if output is not None:
        check_output(output, overwrite=overwrite)
        check_apart([Path(output)], *plan.inputs)
    earlier, prefix = plan.catalog.open(), plan.settings.prefix
    rows = _failed_rows(earlier, f"{prefix}flags")
    names = [name for name in earlier.table.colnames if name.startswith(prefix)]
    whole, columns, provenance = _without(earlier, []), list[Column](), Provenance()
    if len(rows):
        some = CatalogInput(_without(earlier, names, rows))
        with closing(replace(plan, catalog=some)) as again:
            provenance = provenance_of(again.run, command)
            _check_repeats(earlier, provenance)
            outcome = classify(again, progress=progress, command=command)
        _check_columns(earlier, names, outcome.columns)
        whole, columns = _without(earlier, names), _merged_columns(earlier, rows, outcome.columns)
        for keyword, _, _ in provenance.cards:
            whole.table.meta.pop(keyword, None)
    if output is not None:
        write_catalog(whole, columns, output, provenance=provenance, overwrite=overwrite)
    return append(whole, columns, provenance)


def _without(result: Catalog, names: Sequence[str], rows: npt.NDArray[np.intp] | None = None) -> Catalog:
    """Return an earlier result, or some rows of it, as the catalogue that it was made of."""
    table = result.table.copy() if rows is None else result.table[rows]
    table.remove_columns(list(names))
    table.meta = dict(table.meta)
    return replace(result, stored=HeldTable(table), path=None, hdu=None, format="memory", stamp=None)


def _check_columns(result: Catalog, names: Sequence[str], columns: Sequence[Column]) -> None:
    if differing := sorted(set(names) ^ {column.name for column in columns}):
        raise CatalogError(
            f"Catalog '{result.title}' and this run differ in column {differing[0]}: expected a result of the same "
            "command with the same options; repeat them, or leave out --retry"
        )


def _failed_rows(result: Catalog, flags: str) -> npt.NDArray[np.intp]:
    """Return the numbers of the rows that could not be fetched.

    Parameters
    ----------
    flags
        Name of the column of flags.

    Raises
    ------
    CatalogError
        If there is no such column.
    """
    if flags not in result.table.colnames:
        raise CatalogError(
            f"Catalog '{result.title}' has no column {flags}: expected an earlier result, whose failed rows are done "
            "again; give one, or leave out --retry"
        )
    return np.flatnonzero(np.asarray(result.table[flags]).astype(np.int64) & int(Flag.FETCH_FAILED))


def _check_repeats(result: Catalog, provenance: Provenance) -> None:
    """Refuse to complete a result of another checkpoint, survey, band or settings, as far as its header says.

    Raises
    ------
    CatalogError
        If it is one, or says nothing.
    """
    meta = {str(key).upper(): value for key, value in result.table.meta.items()}
    if "GMVERS" not in meta:
        raise CatalogError(
            f"Catalog '{result.title}' does not say what made it: expected a result in FITS, VOTable, ECSV or Parquet; "
            "give one, or leave out --retry"
        )
    for keyword, value, what in provenance.cards:
        former = str(meta.get(keyword, "")).strip()
        if keyword not in _MAY_DIFFER and former != str(value).strip():
            raise CatalogError(
                f"Catalog '{result.title}' was made with {keyword} = '{former}' ({what}), and this run has '{value}': "
                "expected the same; repeat its options, or classify all rows anew"
            )


def _merged_columns(result: Catalog, rows: npt.NDArray[np.intp], columns: Sequence[Column]) -> list[Column]:
    """Return the appended columns of an earlier result, (N,), with those of some rows, (M,), in place of theirs."""
    return [replace(column, values=_merged(result.table, rows, column)) for column in columns]


def _merged(table: Table, rows: npt.NDArray[np.intp], column: Column) -> npt.NDArray[np.generic]:
    new = np.asarray(column.values)
    if new.dtype.kind == "U":
        former = as_text(table[column.name])
        values = former.astype(np.result_type(former.dtype, new.dtype))
    else:
        cells = table[column.name]
        null = np.nan if new.dtype.kind == "f" else 0
        values = np.array(np.ma.filled(np.ma.asarray(cells), null), dtype=new.dtype)
    values[rows] = new
    return values
