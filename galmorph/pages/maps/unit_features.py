"""UnitFeatures: features of rows as unit vectors, and what their principal components are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from astropy.table import Table

from galmorph.errors import CatalogError

__all__ = ["Components", "feature_column", "usable_rows"]

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

_MOST_COMPONENTS = 50  # of more, distances hardly change, and neighbours take longer (Kobak & Berens 2019)
_AT_ONCE = 1 << 16


def feature_column(table: Table, name: str, title: str) -> FloatArray:
    """Return a column of vectors, (N, D); NaN where a cell is masked.

    Parameters
    ----------
    table
        The rows.
    name
        Of the column.
    title
        What to call the table in messages.

    Raises
    ------
    CatalogError
        If there is no such column, or it holds no vectors of numbers.
    """
    vectors = [each for each in table.colnames if _is_vector(table[each])]
    if name not in vectors:
        what = "holds no vectors" if name in table.colnames else "does not exist"
        others = f": {', '.join(vectors[:5])} {'does' if len(vectors) == 1 else 'do'}" if vectors else ""
        raise CatalogError(
            f"Catalog '{title}': column '{name}' {what}: expected features of one length{others}; name another column "
            "with --features, or two columns to lay the rows out by with --axes"
        )
    return np.ma.filled(np.ma.asarray(table[name], dtype=np.float32), np.nan)


def _is_vector(column: object) -> bool:
    return getattr(column, "ndim", 1) == 2 and getattr(column, "shape", (0, 0))[1] > 1 and _is_number(column)


def _is_number(column: object) -> bool:
    return getattr(getattr(column, "dtype", None), "kind", "") in "fiu"


def usable_rows(features: FloatArray) -> BoolArray:
    """Tell which rows have features, (N,): all numbers, and not all zero."""
    usable = np.zeros(len(features), np.bool_)
    for start in range(0, len(features), _AT_ONCE):
        block = features[start : start + _AT_ONCE]
        usable[start : start + _AT_ONCE] = np.isfinite(block).all(axis=1) & (block != 0.0).any(axis=1)
    return usable


@dataclass(frozen=True)
class Components:
    """Principal components of unit vectors, so that distances are those of directions (cosine).

    Parameters
    ----------
    mean
        (D,) of the unit vectors.
    axes
        (D, K) orthonormal, the most variance first.
    """

    mean: FloatArray
    axes: FloatArray

    @classmethod
    def of(cls, features: FloatArray) -> Self:
        """Find the components of features, (N, D), all of them usable."""
        length = features.shape[1]
        total, squares = np.zeros(length), np.zeros((length, length))
        for start in range(0, len(features), _AT_ONCE):
            block = _units(features[start : start + _AT_ONCE]).astype(np.float64)
            total += block.sum(axis=0)
            squares += block.T @ block
        mean = total / len(features)
        _, vectors = np.linalg.eigh(squares / len(features) - np.outer(mean, mean))
        axes = vectors[:, ::-1][:, : min(_MOST_COMPONENTS, length)]
        # The sign of an eigenvector is free: fixed, so that a map is not a mirror image on another machine.
        axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
        return cls(mean.astype(np.float32), np.ascontiguousarray(axes, np.float32))

    def applied(self, features: FloatArray) -> FloatArray:
        """Return the components of features, (N, D), as (N, K)."""
        blocks = [
            (_units(features[start : start + _AT_ONCE]) - self.mean) @ self.axes
            for start in range(0, len(features), _AT_ONCE)
        ]
        return np.concatenate(blocks) if blocks else np.zeros((0, self.axes.shape[1]), np.float32)


def _units(features: FloatArray) -> FloatArray:
    lengths = np.sqrt(np.square(features, dtype=np.float64).sum(axis=1, keepdims=True))
    return np.asarray(features / np.maximum(lengths, 1e-300), np.float32)
