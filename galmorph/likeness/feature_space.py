"""FeatureSpace: vectors laid out so that the cosine of the angle between two says how alike their rows are.

All features of a network grow together with the light that it sees, so that raw vectors point much the same way: the
mean is taken off first. A few directions carry most of the variance; whitening gives all of them the same say (as for
the features of Coates & Ng 2012, section 3.2), which helps where what is looked for is rare, and the noise too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from galmorph.errors import CatalogError

__all__ = ["FeatureSpace", "directions", "fit_space"]

Single = npt.NDArray[np.float32]
FloatArray = npt.NDArray[np.float64]

_AT_ONCE = 65_536
"""Rows that are worked on together: some 30 MB of 128 numbers."""
_FITTED = 100_000
"""Rows from which a covariance is estimated; of more, as many at equal steps, so that it is the same each time."""
_SHRINKAGE = 0.1
"""Unless it is said: small variances are mostly noise."""


@dataclass(frozen=True)
class FeatureSpace:
    """Where vectors are looked at from.

    Parameters
    ----------
    mean
        (F,) which is taken off.
    axes
        (F, D) by which they are multiplied then; None for nothing.
    """

    mean: Single
    axes: Single | None = None

    @property
    def dimensions(self) -> int:
        """How many numbers a vector has here."""
        return len(self.mean) if self.axes is None else self.axes.shape[1]

    def placed(self, values: Single) -> Single:
        """Return vectors, (M, F), as they lie here, (M, D)."""
        away = values - self.mean
        return away if self.axes is None else np.asarray(away @ self.axes, np.float32)

    def units(self, values: Single) -> Single:
        """Return their directions, (M, D), of length 1; 0 for those that lie on the mean."""
        out = np.empty((len(values), self.dimensions), np.float32)
        for first in range(0, len(values), _AT_ONCE):
            placed = self.placed(values[first : first + _AT_ONCE])
            lengths = np.sqrt(np.einsum("md,md->m", placed, placed, dtype=np.float64))[:, None]
            out[first : first + _AT_ONCE] = placed / np.where(lengths > 0, lengths, 1)
        return out


def directions(values: Single) -> Single:
    """Return vectors, (M, F), as they are but of length 1; 0 for those that are 0."""
    return FeatureSpace(np.zeros(values.shape[1], np.float32)).units(values)


def fit_space(
    values: Single, *, whiten: bool = False, dimensions: int | None = None, shrinkage: float = _SHRINKAGE
) -> FeatureSpace:
    """Fit the mean, and where asked the principal axes, most variance first, of vectors, (M, F).

    Parameters
    ----------
    whiten
        Whether all directions are scaled to about the same variance.
    dimensions
        How many principal axes are kept; None for all directions, turned only where they are scaled.
    shrinkage
        Of each variance towards the mean of all, 0 to 1, before directions are scaled.

    Raises
    ------
    CatalogError
        If more dimensions are asked for than there are.
    """
    size = values.shape[1]
    if dimensions is not None and not 1 <= dimensions <= size:
        raise CatalogError(f"{dimensions} dimensions of vectors with {size} numbers: expected 1 to {size}")
    sample = values[:: -(-len(values) // _FITTED)]
    mean = sample.mean(axis=0, dtype=np.float64)
    if not whiten and dimensions is None:
        return FeatureSpace(mean.astype(np.float32))
    variances, axes = _principal(sample, mean)
    kept = slice(dimensions)
    if whiten:
        axes = axes / np.sqrt((1.0 - shrinkage) * variances + shrinkage * float(variances.mean()))
    return FeatureSpace(mean.astype(np.float32), axes[:, kept].astype(np.float32))


def _principal(values: Single, mean: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return variances, (F,), falling, and principal axes, (F, F), of one sign each time."""
    size = values.shape[1]
    products = np.zeros((size, size))
    for first in range(0, len(values), _AT_ONCE):
        away = values[first : first + _AT_ONCE] - mean
        products += away.T @ away
    variances, axes = np.linalg.eigh(products / max(len(values) - 1, 1))
    # Where all rows are the same there is no direction to scale.
    usual = max(float(variances.mean()), float(np.finfo(np.float32).tiny))
    largest = np.abs(axes).argmax(axis=0)
    signs = np.sign(axes[largest, np.arange(size)])
    return np.maximum(variances, 1e-6 * usual)[::-1], (axes * signs)[:, ::-1]
