"""AdjustedCounts: the shares that mean probabilities tell of, by what is said of galaxies of each class.

Mean probabilities m of a population with shares t are Bᵀ t (see :mod:`galmorph.nets.soft_confusion`). Its inverse
would leave the range from 0 to 1 and, where classes are hardly told apart, say anything; so the shares are those that
fit best, with their odds known beforehand to a factor of e about the shares of the labelled galaxies. Where these odds,
the means and the matrix are drawn within their errors and each draw is fitted, the shares scatter as their posterior
does (randomize-then-optimize: Bardsley et al. 2014, SIAM J. Sci. Comput. 36, A1895).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["KNOWN_ODDS", "AdjustedCounts"]

FloatArray = npt.NDArray[np.float64]

KNOWN_ODDS = 1.0
"""Before a population is seen, the odds of its classes are known to a factor of e."""
_MOST_STEPS = 40
_LONGEST = 2.0
_SETTLED = 1e-4
"""A gain in chi squared by which no share moves visibly against its error."""
_DAMPING = (1e-9, 1e-3, 1e6)


@dataclass(frozen=True)
class AdjustedCounts:
    """A fit of shares to mean probabilities, in each of B draws.

    Parameters
    ----------
    means
        (B, K) mean probabilities.
    precision
        (K, K) inverse of their covariance.
    said
        (B, K, K) what is said of galaxies that are wholly of each class, in rows.
    source
        (K,) shares about which odds are known beforehand; positive.
    centres
        (B, K) logarithms of odds, against these, that are likeliest beforehand.
    """

    means: FloatArray
    precision: FloatArray
    said: FloatArray
    source: FloatArray
    centres: FloatArray

    def shares(self) -> FloatArray:
        """Fit by damped steps (Levenberg & Marquardt) until no draw gains: (B, K) with sums of 1."""
        odds = np.zeros_like(self.centres)
        damping = np.full(len(odds), _DAMPING[1])
        cost = self._cost(odds)
        for _ in range(_MOST_STEPS):
            tried = odds + self._step(odds, damping)
            gain = cost - self._cost(tried)
            is_better = gain > 0.0
            odds = np.where(is_better[:, None], tried, odds)
            cost = np.where(is_better, cost - gain, cost)
            damping = np.clip(np.where(is_better, damping / 5.0, damping * 10.0), _DAMPING[0], _DAMPING[2])
            if np.abs(gain).max() < _SETTLED:
                break
        return self._shares_of(odds)

    def _shares_of(self, odds: FloatArray) -> FloatArray:
        logs = np.log(self.source) + odds
        shares = np.exp(logs - logs.max(axis=1, keepdims=True))
        return np.asarray(shares / shares.sum(axis=1, keepdims=True))

    def _off(self, shares: FloatArray) -> FloatArray:
        return np.asarray(self.means - np.einsum("bk,bkj->bj", shares, self.said))

    def _cost(self, odds: FloatArray) -> FloatArray:
        off = self._off(self._shares_of(odds))
        misfit = ((off @ self.precision) * off).sum(axis=1)
        return np.asarray(misfit + ((odds - self.centres) ** 2).sum(axis=1) / KNOWN_ODDS**2)

    def _step(self, odds: FloatArray, damping: FloatArray) -> FloatArray:
        shares = self._shares_of(odds)
        expected = np.einsum("bk,bkj->bj", shares, self.said)
        slopes = shares[:, :, None] * (self.said - expected[:, None])
        pulls = slopes @ self.precision
        every = np.eye(odds.shape[1])
        curve = pulls @ slopes.transpose(0, 2, 1) + every / KNOWN_ODDS**2
        held = (damping * np.einsum("bkk->b", curve) / len(every))[:, None, None] * every
        down = np.einsum("bkj,bj->bk", pulls, self._off(shares)) - (odds - self.centres) / KNOWN_ODDS**2
        return np.clip(np.linalg.solve(curve + held, down[..., None])[..., 0], -_LONGEST, _LONGEST)
