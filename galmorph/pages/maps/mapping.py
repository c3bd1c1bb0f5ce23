"""Mapping: from a table with features to places on a map, as columns, as a file to go on from, and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from astropy.table import Table

import galmorph
from galmorph.errors import CatalogError
from galmorph.likeness.vectors import check_same_model, read_vectors
from galmorph.pages.figures import count_text
from galmorph.pages.maps.layout import METHODS, MapLayout, laid_out, load_layout
from galmorph.progress import Progress
from galmorph.sky.catalog import Catalog, Column, Provenance, append, reals, write_catalog

__all__ = ["MapSettings", "Mapped", "mapped", "written"]

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class MapSettings:
    """How rows are laid out.

    Parameters
    ----------
    features
        Name of the column of vectors; '' for that of the older map, or the one whose name ends in ``features``.
    method
        One of :data:`galmorph.pages.maps.layout.METHODS`.
    onto
        File of an older map, on which the rows are placed.
    axes
        Two columns to lay rows out by instead.
    seed
        Of what is drawn by lot.
    prefix
        Of new columns.
    """

    features: str = ""
    method: str = "tsne"
    onto: str | Path | None = None
    axes: Sequence[str] = ()
    seed: int = 0
    prefix: str = "gm_"


@dataclass(frozen=True)
class Mapped:
    """Rows on a map.

    Parameters
    ----------
    catalog
        The rows.
    places
        (N, 2); NaN for rows without features.
    layout
        The map that they are on; None where columns of the table say where they lie.
    settings
        How it was made.
    """

    catalog: Catalog
    places: FloatArray
    layout: MapLayout | None
    settings: MapSettings

    @property
    def ground(self) -> FloatArray:
        """The galaxies of an older map, (M, 2)."""
        is_older = self.layout is not None and self.settings.onto is not None
        return self.layout.places if self.layout is not None and is_older else np.zeros((0, 2), np.float32)

    @property
    def how(self) -> str:
        """What the map is, in words."""
        if self.layout is None:
            return " against ".join(reversed(self.settings.axes))
        words = f"{METHODS[self.layout.method]}, of {self.layout.features}"
        if self.settings.onto is None:
            return words
        return f"{words}, placed among the {count_text(len(self.ground))} of {Path(self.settings.onto).name}"

    @property
    def columns(self) -> list[Column]:
        """Where rows lie, as columns; none where those of the table say so."""
        if self.layout is None:
            return []
        about = f"Place on a map of {self.layout.features}, {METHODS[self.layout.method]}"
        return [
            Column(f"{self.settings.prefix}map_{axis}", self.places[:, number], description=about, ucd="stat.param")
            for number, axis in enumerate("xy")
        ]

    def provenance(self, command: str) -> Provenance:
        """Say what made the columns."""
        layout = self.layout
        cards = (
            ()
            if layout is None
            else (("GMMAP", layout.method, "how the map was made"), ("GMMAPFEA", layout.features, "of which column"))
        )
        older = [f"onto the map {Path(self.settings.onto).name}"] if self.settings.onto is not None else []
        return Provenance(
            cards, (f"galmorph {galmorph.__version__}: {command}", f"catalog: {self.catalog.origin}", *older)
        )


def mapped(catalog: Catalog, settings: MapSettings, progress: Progress) -> Mapped:
    """Find where the rows of a table lie.

    Raises
    ------
    CatalogError
        If it has no such columns, too few rows with features, or features of another length than an older map.
    PipelineError
        If there is no such method, or its library is missing.
    """
    if settings.axes:
        return Mapped(catalog, _along(catalog, settings.axes), None, settings)
    older = None if settings.onto is None else load_layout(settings.onto)
    vectors = read_vectors(catalog, settings.features or (None if older is None else older.features))
    places = np.full((len(catalog), 2), np.nan, np.float32)
    if older is None:
        layout = laid_out(
            vectors.values, method=settings.method, name=vectors.name, seed=settings.seed, progress=progress
        )
        layout = replace(layout, model=vectors.model)
        places[vectors.rows] = layout.places
    else:
        layout = older
        check_same_model(f"map '{settings.onto}'", older.model, vectors)
        places[vectors.rows] = older.placed(vectors.values)
    return Mapped(catalog, places, layout, settings)


def written(
    rows: Mapped, output: str | Path | None, save: str | Path | None, command: str, *, overwrite: bool
) -> Table:
    """Write the table and the map, those that are asked for; return the table.

    Raises
    ------
    CatalogError
        If it has such columns already.
    OutputError
        If a file cannot be written.
    """
    provenance = rows.provenance(command)
    table = append(rows.catalog, rows.columns, provenance)
    if output is not None:
        write_catalog(rows.catalog, rows.columns, output, provenance=provenance, overwrite=overwrite)
    if save is not None and rows.layout is not None:
        rows.layout.save(Path(save), overwrite=overwrite)
    return table


def _along(catalog: Catalog, axes: Sequence[str]) -> FloatArray:
    """Lay rows out by two columns, each stretched to the same range, since their units differ; not those of a map."""
    missing = [name for name in axes if name not in catalog.table.colnames or np.ndim(catalog.table[name]) != 1]
    if len(axes) != 2 or missing:
        raise CatalogError(
            f"Catalog '{catalog.title}': axes {', '.join(axes)}: expected two columns of numbers"
            f"{': ' + ', '.join(missing) + ' is none' if missing else ''}; name two"
        )
    values = [reals(catalog.table[name]) for name in axes]
    if not np.isfinite(values).all(axis=0).any():
        raise CatalogError(
            f"Catalog '{catalog.title}': no row has numbers in both {' and '.join(axes)}: expected some; name others"
        )
    is_map = [name.endswith(f"map_{axis}") for name, axis in zip(axes, "xy", strict=True)] == [True, True]
    return np.stack([np.asarray(v, np.float32) if is_map else _stretched(v) for v in values], axis=1)


def _stretched(values: npt.NDArray[np.float64]) -> FloatArray:
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, [0.5, 99.5]).tolist() if finite.size else (0.0, 1.0)
    shares = (values - low) / max(high - low, 1e-300)
    # What is far out would make a dot of all the others: it lies at the edge.
    return np.asarray(np.clip(shares, -0.1, 1.1) * 2.0 - 1.0, np.float32)
