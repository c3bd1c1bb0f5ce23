"""SoftConfusion: what a classifier says, on average, of galaxies of each class, whose labels may be shares of votes.

A classifier's mean probabilities, m, are linear in the mean labels of a population, t, where galaxies of a class look
alike in each: m = Bᵀ t, with a row of B for what it says of galaxies that are wholly of a class (label shift; for
classes the *probabilistic adjusted count* of Bella et al. 2010, ICDM, 737, and the soft form of black-box shift
estimation, Lipton, Wang & Smola 2018, arXiv:1802.03916). Labelled galaxies tell B by the regression of their
probabilities on their labels, B = (Yᵀ Y)⁻¹ Yᵀ P, which for classes is the mean of each. For shares of votes the same
holds exactly where a population is another by weights that are linear in the shares: each vote is a drawn galaxy.

Sums over galaxies are kept, so that parts may be added up: of y yᵀ, of y pᵀ, and how uncertain the latter are. This is
a covariance of K² numbers by as many (a sandwich, White 1980, Econometrica 48, 817), with residuals as if each galaxy
had been left out (MacKinnon & White 1985); of it are kept the modes that are largest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["SoftConfusion"]

FloatArray = npt.NDArray[np.float64]

_MOST_MODES = 16
_FIRST = 0.1
"""Galaxies of each class that count before any is seen; half of each is right, half is said what all are said to be."""
_TINY = 1e-9
_DIGITS = 4


@dataclass(frozen=True)
class SoftConfusion:
    """Sums over labelled galaxies.

    Parameters
    ----------
    labels
        (K, K) of the products of the labels, y yᵀ; for classes, numbers of galaxies on the diagonal.
    said
        (K, K) of the products of labels (rows) and probabilities.
    modes
        (D, K, K) by which `said` is uncertain: each times a normal variate.
    """

    labels: FloatArray
    said: FloatArray
    modes: FloatArray

    @classmethod
    def of(cls, p: FloatArray, y: FloatArray) -> SoftConfusion:
        """Sum up over galaxies.

        Parameters
        ----------
        p, y
            (N, K) probabilities and labels, each with a sum of 1.
        """
        sums = cls(y.T @ y, y.T @ p, np.zeros((0, y.shape[1], y.shape[1])))
        gram, _ = sums._with_first()
        leverage = np.einsum("nk,kl,nl->n", y, np.linalg.inv(gram), y)
        residual = (p - y @ sums.matrix) / np.maximum(1.0 - leverage, _TINY)[:, None]
        return cls(sums.labels, sums.said, _modes(np.einsum("nk,nj->nkj", y, residual)))

    def __add__(self, other: SoftConfusion) -> SoftConfusion:
        """Add other galaxies."""
        modes = np.concatenate([self.modes, other.modes])
        return SoftConfusion(self.labels + other.labels, self.said + other.said, modes)

    @property
    def galaxies(self) -> float:
        """How many there are."""
        return float(self.labels.sum())

    @property
    def shares(self) -> FloatArray:
        """Mean labels, (K,); of a class that nobody saw, that of half a galaxy."""
        shares = np.maximum(self.labels.sum(axis=1), 0.5)
        return np.asarray(shares / shares.sum())

    @property
    def matrix(self) -> FloatArray:
        """What is said of galaxies that are wholly of each class, (K, K) with rows that sum to 1."""
        gram, said = self._with_first()
        return np.asarray(np.linalg.solve(gram, said))

    def _first(self) -> FloatArray:
        """Return what is expected to be said of each class before any galaxy of it is seen, (K, K)."""
        usual = self.said.sum(axis=0) / max(self.galaxies, _TINY)
        return np.asarray(0.5 * np.eye(len(usual)) + 0.5 * usual / max(usual.sum(), _TINY))

    def _with_first(self) -> tuple[FloatArray, FloatArray]:
        return self.labels + _FIRST * np.eye(len(self.labels)), self.said + _FIRST * self._first()

    def drawn(self, draws: int, rng: np.random.Generator) -> FloatArray:
        """Draw matrices, (B, K, K), as far as these galaxies tell."""
        expected = np.maximum(self._first(), _TINY)
        first = rng.standard_gamma(np.broadcast_to(expected, (draws, *expected.shape)))
        first = _FIRST * first / first.sum(axis=2, keepdims=True)
        noise = np.einsum("bd,dkj->bkj", rng.normal(size=(draws, len(self.modes))), self.modes)
        return np.asarray(np.linalg.solve(self._with_first()[0], self.said + first + noise))

    def covariance(self, shares: FloatArray) -> FloatArray:
        """Return that of the mean of what is said of galaxies of some shares, (K,), as the drawn matrices have it."""
        leverage = np.linalg.solve(self._with_first()[0], shares)
        modes = np.einsum("k,dkj->dj", leverage, self.modes)
        expected = np.maximum(self._first(), _TINY)
        first = 0.5 * (_FIRST * leverage) ** 2  # a Dirichlet distribution of one galaxy
        return np.asarray(modes.T @ modes + np.diag(first @ expected) - (expected.T * first) @ expected)

    def to_dict(self) -> dict[str, Any]:
        """Return it as a card has it."""
        return {name: np.round(getattr(self, name), _DIGITS).tolist() for name in ("labels", "said", "modes")}

    @classmethod
    def from_dict(cls, contents: Mapping[str, Any], answers: int) -> SoftConfusion:
        """Read what a card has.

        Raises
        ------
        ValueError
            If it is no such thing, or of another number of answers.
        """
        square = (answers, answers)
        labels, said, modes = (np.array(contents.get(name), np.float64) for name in ("labels", "said", "modes"))
        modes = modes.reshape(-1, *square) if modes.size == 0 else modes
        if labels.shape != square or said.shape != square or modes.shape[1:] != square:
            raise ValueError(f"it is not of {answers} answers")
        if not all(np.isfinite(each).all() for each in (labels, said, modes)) or labels.sum() <= 0.0:
            raise ValueError("it holds numbers that are not finite, or no galaxies")
        return cls(labels, said, modes)


def _modes(products: FloatArray) -> FloatArray:
    """Return the largest modes, (D, K, K), of a sum of (N, K, K), scaled so that they hold all of its variance."""
    flat = products.reshape(len(products), -1)
    value, vector = np.linalg.eigh(flat.T @ flat)
    kept = np.flatnonzero(value > _TINY * max(value[-1], _TINY))[-_MOST_MODES:]
    scale = np.sqrt(value[kept] * np.maximum(value, 0.0).sum() / max(value[kept].sum(), _TINY))
    return np.asarray((vector[:, kept] * scale).T.reshape(-1, *products.shape[1:]))
