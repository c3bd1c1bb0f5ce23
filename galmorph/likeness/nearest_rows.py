"""NearestRows: the rows whose directions are nearest to one that is looked for.

Exact up to a million rows: one product of a matrix and a vector, of which memory is the limit (512 MB of 128 numbers
each). Beyond, a graph of neighbours (HNSW; Malkov & Yashunin 2020, IEEE TPAMI 42, 824) by usearch, which is made once
and kept in the user's cache under the hash of what it was made of; what it proposes is compared exactly.
"""

from __future__ import annotations

import hashlib
import importlib
import logging
from importlib.metadata import version
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from galmorph.errors import PipelineError
from galmorph.sky.boundary import boundary
from galmorph.sky.formats.atomic import replacing
from galmorph.sky.remote import default_cache

__all__ = ["EXACT_ROWS", "ExactNeighbours", "GraphNeighbours", "Neighbours", "neighbours_of"]

Single = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.intp]

log = logging.getLogger(__name__)

EXACT_ROWS = 1_000_000
"""Rows up to which all are compared."""
_PROPOSED = 10
"""Rows that a graph proposes for each that is wanted, which are then compared exactly."""
_FEWEST = 200
_MADE_OF = "galmorph-1"
"""Changes when graphs are made in another way."""


class Neighbours(Protocol):
    """Finds rows by direction."""

    def nearest(self, direction: Single, number: int) -> tuple[IntArray, Single]:
        """Return the places, (K,), of at most so many rows, and their products with a direction, falling."""


class ExactNeighbours:
    """Compares all.

    Parameters
    ----------
    units
        (M, D) directions.
    """

    def __init__(self, units: Single) -> None:
        self._units = units

    def nearest(self, direction: Single, number: int) -> tuple[IntArray, Single]:
        """Return the places of at most so many rows, and their products with a direction, falling."""
        products = self._units @ direction
        count = min(number, len(products))
        best = np.argpartition(products, -count)[-count:] if count < len(products) else np.arange(count)
        return _falling(best, products[best])


class GraphNeighbours:
    """Walks a graph of neighbours, made by usearch or taken from the cache.

    Parameters
    ----------
    units
        (M, D) directions.

    Raises
    ------
    PipelineError
        If usearch is missing.
    """

    def __init__(self, units: Single) -> None:
        self._units = units
        self._graph = _graph_of(units)

    def nearest(self, direction: Single, number: int) -> tuple[IntArray, Single]:
        """Return the places of at most so many rows, and their products with a direction, falling."""
        proposed = min(max(_PROPOSED * number, _FEWEST), len(self._units))
        places = np.asarray(self._graph.search(direction, proposed).keys, np.intp)
        nearest, products = _falling(places, self._units[places] @ direction)
        return nearest[:number], products[:number]


def neighbours_of(units: Single, *, exact: bool | None = None) -> Neighbours:
    """Choose how rows are found: exactly where asked, or where there are at most a million.

    Raises
    ------
    PipelineError
        If usearch is needed and missing.
    """
    if exact if exact is not None else len(units) <= EXACT_ROWS:
        return ExactNeighbours(units)
    return GraphNeighbours(units)


def _falling(places: IntArray, products: Single) -> tuple[IntArray, Single]:
    """Sort by product, and where that is the same by place."""
    order = np.lexsort((places, -products))
    return places[order], products[order]


def _graph_of(units: Single) -> Any:
    """Take the graph of some directions from the cache, or make it and keep it there."""
    cache = default_cache()
    entry = cache.entry(f"likeness://graphs/{_digest(units)}/features.usearch")
    index = _usearch().Index(ndim=units.shape[1], metric="ip", dtype="f16")
    if entry.path.is_file():
        with boundary(lambda why: PipelineError(f"'{entry.path}' is no graph of usearch ({why}): remove it")):
            index.load(str(entry.path))
        if len(index) == len(units):
            return index
        index.clear()
    log.info("making a graph of %d rows, which is kept in the cache", len(units))
    index.add(np.arange(len(units)), units)
    entry.path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(entry.path) as temporary:
        index.save(str(temporary))
    cache.note(entry)
    return index


def _digest(units: Single) -> str:
    digest = hashlib.sha256(f"{_MADE_OF} {units.shape} {version('usearch')}".encode())
    digest.update(np.ascontiguousarray(units).data)
    return digest.hexdigest()


def _usearch() -> Any:
    """Load usearch, which nothing else needs.

    Raises
    ------
    PipelineError
        If it is missing.
    """
    try:
        return importlib.import_module("usearch.index")
    except ImportError as error:
        raise PipelineError(
            f"a table of more than {EXACT_ROWS} rows needs usearch: pip install 'galmorph[likeness]', or ask for all "
            "rows to be compared (--exact)"
        ) from error
