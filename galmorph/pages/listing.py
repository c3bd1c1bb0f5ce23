"""Listing: all rows of a run, as a report holds them to be sorted, filtered, looked at and downloaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from galmorph.flags import MEANINGS, RECOMMENDED_CUT, REMEDIES, UNCLASSIFIABLE, Flag
from galmorph.pages.contact import Findings, Selection, short_names
from galmorph.pages.embedded import embedded_column, packed
from galmorph.pages.marks import colour_of, letter_of, mark_path
from galmorph.pages.pictures import SIDE_PX
from galmorph.pages.sky_links import SERVICES
from galmorph.runs.columns import new_columns
from galmorph.runs.plan import Run
from galmorph.runs.results import Results
from galmorph.sky.catalog import Catalog, Column, reals
from galmorph.sky.scheme import Scheme

__all__ = ["MOST_ROWS", "PICTURES", "Listing", "pictured_rows"]

IntArray = npt.NDArray[np.intp]
FloatArray = npt.NDArray[np.float64]

MOST_ROWS = 200_000
"""Rows in a page, of some 150 bytes each: more would take browsers seconds to open."""
PICTURES = 2_000
"""Pictures in a page unless another number is asked for, of some 6 kB each: 12 MB."""


def pictured_rows(results: Results, selection: Selection, most: int) -> IntArray:
    """Choose the rows whose pictures a page keeps: those on its contact sheet, then others by lot.

    Parameters
    ----------
    results
        Of all rows; those without an image are left out.
    selection
        Rows on the contact sheet.
    most
        How many.

    Returns
    -------
    (K,) in the order of the catalogue; the same for the same results.
    """
    has_image = (results.flags & int(UNCLASSIFIABLE)) == 0
    first = selection.rows[has_image[selection.rows]]
    has_image[first] = False
    others = np.random.default_rng(0).permutation(np.flatnonzero(has_image))
    return np.sort(np.concatenate([first, others])[:most])


@dataclass(frozen=True)
class Listing:
    """All rows, or of very many some drawn by lot.

    Parameters
    ----------
    run, results, findings
        What they are from.
    pictured
        (K,) rows with a picture, which are always listed.
    most
        How many rows a page holds.
    """

    run: Run
    results: Results
    findings: Findings
    pictured: IntArray
    most: int = MOST_ROWS

    @property
    def rows(self) -> IntArray:
        """Which are listed, (N,), in the order of the catalogue."""
        n = len(self.results)
        if n <= self.most:
            return np.arange(n)
        others = np.setdiff1d(np.random.default_rng(0).permutation(n)[: self.most], self.pictured)
        return np.sort(np.concatenate([self.pictured, others])[: self.most])

    def contents(self) -> dict[str, Any]:
        """Return what the page's script works on."""
        rows, run = self.rows, self.run
        own = _own_columns(run.catalog)
        appended = new_columns(self.results, run.images, run.settings, run.checkpoint)
        return {
            "rows": len(rows),
            "numbers": None if len(rows) == len(self.results) else packed(rows, "i4"),
            "prefix": run.settings.prefix,
            "columns": [embedded_column(_some(column, rows)) for column in [*own, *appended]],
            "classes": packed(np.where(self.findings.classes < 0, 255, self.findings.classes)[rows], "u1"),
            "places": [packed(axis[rows], "f8") for axis in _places(run, self.results)],
            "answers": _answers(self.findings.scheme),
            "questions": _questions(self.findings.scheme, run.settings.prefix),
            "flags": _flags(self.results.flags[rows], self.findings.hidden),
            "services": SERVICES,
            "arcsec": bool(run.images.has_wcs),
            "side": SIDE_PX,
        }


def _some(column: Column, rows: IntArray) -> Column:
    return Column(column.name, np.asarray(column.values)[rows], column.unit, column.description)


def _own_columns(catalog: Catalog) -> list[Column]:
    """Return what says which source a row is, and where: columns of the catalogue as it has them, or in degrees."""
    name = catalog.id_column or ("row" if catalog.file_column is None else "")
    columns = [Column(name, catalog.ids, "", "Name of the row" if catalog.id_column else "Number of the row, from 0")]
    columns = columns if name else []
    if (files := catalog.files) is not None and catalog.file_column is not None:
        columns.append(Column(catalog.file_column, np.array(files, np.str_), "", "File of the stamp"))
    if catalog.ra_column is not None and catalog.dec_column is not None:
        columns.append(_degrees(catalog, catalog.ra_column, "ra_deg", "Right ascension in the catalogue"))
        columns.append(_degrees(catalog, catalog.dec_column, "dec_deg", "Declination in the catalogue"))
    return columns + [
        Column(each, reals(catalog.table[each]), "pixel", "Position in the catalogue")
        for each in (catalog.x_column, catalog.y_column)
        if each is not None
    ]


def _degrees(catalog: Catalog, name: str, otherwise: str, about: str) -> Column:
    """Return a position in degrees; under the catalogue's own name only if that holds the same numbers."""
    values: FloatArray = getattr(catalog, otherwise)
    own = catalog.table[name] if name in catalog.table.colnames else None
    cells = getattr(own, "value", own)
    is_same = getattr(cells, "dtype", np.dtype(str)).kind in "fiu" and np.array_equal(
        np.ma.filled(np.ma.asarray(cells, np.float64), np.nan), values, equal_nan=True
    )
    return Column(name if is_same else otherwise, values, "deg", about)


def _places(run: Run, results: Results) -> tuple[FloatArray, FloatArray]:
    """Return where rows are on the sky, in degrees: as measured, else as the catalogue says."""
    ra, dec = run.images.sky(results.tile, results.x, results.y)
    is_measured = np.isfinite(ra + dec)
    return np.where(is_measured, ra, run.catalog.ra_deg), np.where(is_measured, dec, run.catalog.dec_deg)


def _answers(scheme: Scheme | None) -> list[dict[str, Any]]:
    """Describe the answers to the first question, which are the classes."""
    if scheme is None:
        return []
    return [
        {"title": answer.title, "short": short, "colour": colour_of(i), "mark": _mark(i), "letter": letter_of(i)}
        for i, (answer, short) in enumerate(zip(scheme.questions[0].answers, short_names(scheme), strict=True))
    ]


def _mark(number: int) -> str:
    return mark_path(number, radius=4.6) if colour_of(number) >= 0 else ""


def _questions(scheme: Scheme | None, prefix: str) -> list[dict[str, Any]]:
    """Name the columns of all questions' answers."""
    if scheme is None:
        return []
    names = scheme.column_names(prefix)
    return [
        {
            "title": question.title,
            "answers": [answer.title for answer in question.answers],
            "columns": names[where],
        }
        for question, where in zip(scheme.questions, scheme.slices, strict=True)
    ]


def _flags(flags: npt.NDArray[np.int32], hidden: Flag) -> Sequence[dict[str, Any]]:
    """List the flags that rows have; those that concern the whole run are hidden, so that they hide no others."""
    return [
        {
            "bit": int(flag),
            "name": flag.name,
            "meaning": text,
            "remedy": REMEDIES[flag],
            "hidden": bool(flag & hidden),
            "cut": bool(flag & RECOMMENDED_CUT),
        }
        for flag, text in MEANINGS.items()
        if ((flags & int(flag)) != 0).any()
    ]
