"""SphericalKMeans: directions around which whitened patches gather, learnt without labels.

Coates & Ng 2012 (Learning Feature Representations with K-means): patches are normalised in contrast and whitened, and
centroids of length 1 are moved to the damped sum of the patches whose projection on them is largest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Whitening", "fit_whitening", "normalised_patches", "objective", "spherical_kmeans"]

FloatArray = npt.NDArray[np.float32]
_TOGETHER = 4096
"""Patches projected in one go: with some thousand centroids they take a few MB."""
_TINY = 1e-12


def normalised_patches(patches: FloatArray, contrast: float) -> FloatArray:  # (N, D) -> (N, D)
    """Subtract the mean of each patch and divide by its standard deviation.

    Parameters
    ----------
    contrast
        Standard deviation that is added in squares, so that patches of nothing but noise stay small.
    """
    centred = patches - patches.mean(axis=1, keepdims=True)
    spread = np.sqrt((centred**2).mean(axis=1, keepdims=True) + contrast**2)
    return np.asarray(centred / spread, np.float32)


@dataclass(frozen=True)
class Whitening:
    """The linear map that makes the components of patches uncorrelated and of equal variance.

    Parameters
    ----------
    mean
        (D,) of the patches.
    matrix
        (D, K) to K components, the principal ones.
    """

    mean: FloatArray
    matrix: FloatArray

    def __call__(self, patches: FloatArray) -> FloatArray:  # (N, D) -> (N, K)
        """Whiten."""
        return np.asarray((patches - self.mean) @ self.matrix, np.float32)


def fit_whitening(patches: FloatArray, *, regulariser: float = 0.0, kept: float = 1.0) -> Whitening:
    """Fit the whitening by principal components.

    Parameters
    ----------
    patches
        (N, D), normalised.
    regulariser
        Added to the variances, as a share of their mean, before components are divided by the root of theirs: without
        it those of nothing but noise count as much as all others.
    kept
        Share of the variance that is kept; components beyond are left out. Those without any variance always are.
    """
    mean = patches.mean(axis=0, dtype=np.float64)
    values, vectors = np.linalg.eigh(np.cov(patches - mean, rowvar=False, bias=True))
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    # Sums of single precision leave some 1e-7 of the largest variance where there is none.
    some = values > 1e-6 * values[0]
    enough = np.concatenate([[0.0], np.cumsum(values)[:-1]]) < kept * values.sum()
    chosen = some & enough
    scale = np.sqrt(values[chosen] + regulariser * values.mean())
    return Whitening(mean.astype(np.float32), (vectors[:, chosen] / scale).astype(np.float32))


def spherical_kmeans(
    patches: FloatArray, centroids: int, *, iterations: int = 20, damping: float = 1.0, seed: int = 0
) -> FloatArray:
    """Learn unit-norm centroids of whitened patches.

    Parameters
    ----------
    patches
        (N, K).
    centroids
        How many.
    iterations
        Of assigning and moving.
    damping
        How much of itself each centroid adds to the sum of its patches' projections, in units of a patch of the usual
        projection: 1 keeps clusters of one patch from jumping, 0 is the plain mean.
    seed
        Of the first centroids, and of the patches from which a centroid without any begins anew.

    Returns
    -------
    (centroids, K), each of length 1.
    """
    rng = np.random.default_rng(seed)
    current = _unit(rng.normal(size=(centroids, patches.shape[1])))
    for _ in range(iterations):
        sums, counts = _sums(patches, current)
        current = _unit(sums + damping * current)
        empty = np.flatnonzero(counts == 0)
        if len(empty):
            current[empty] = _unit(patches[rng.integers(len(patches), size=len(empty))])
    return current


def objective(patches: FloatArray, centroids: FloatArray) -> float:
    """Return the mean square of the largest projection of each patch: what the centroids are to make large."""
    total = sum(float((largest.astype(np.float64) ** 2).sum()) for _, _, largest in _assigned(patches, centroids))
    return total / max(len(patches), 1)


def _sums(patches: FloatArray, centroids: FloatArray) -> tuple[FloatArray, npt.NDArray[np.intp]]:
    """Return for each centroid the sum of its patches, each times its projection, and their number."""
    sums = np.zeros_like(centroids)
    counts = np.zeros(len(centroids), np.intp)
    for part, nearest, largest in _assigned(patches, centroids):
        code = np.zeros((len(part), len(centroids)), np.float32)
        code[np.arange(len(part)), nearest] = largest
        sums += code.T @ part
        counts += np.bincount(nearest, minlength=len(centroids))
    return sums, counts


def _assigned(
    patches: FloatArray, centroids: FloatArray
) -> Iterator[tuple[FloatArray, npt.NDArray[np.intp], FloatArray]]:
    """Yield patches, the centroid on which the projection of each is largest in size, and that projection."""
    for start in range(0, len(patches), _TOGETHER):
        part = patches[start : start + _TOGETHER]
        projections = part @ centroids.T
        nearest = np.abs(projections).argmax(axis=1)
        yield part, nearest, projections[np.arange(len(part)), nearest]


def _unit(vectors: npt.NDArray[np.floating]) -> FloatArray:  # (N, K) -> (N, K)
    """Scale to length 1; what has none becomes the first axis."""
    out = np.array(vectors, np.float64)
    length = np.linalg.norm(out, axis=1, keepdims=True)
    out[length[:, 0] < _TINY] = np.eye(1, out.shape[1])
    unit: FloatArray = (out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), _TINY)).astype(np.float32)
    return unit
