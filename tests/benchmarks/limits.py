"""Limits: how well a centre and a Petrosian radius can be known in noise, from Fisher matrices of noiseless images."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from mocks import Mock, drawn, point_spread, sersic, smeared, truth_of
from scipy import interpolate, ndimage

DoubleArray = npt.NDArray[np.float64]

# Weights of the first derivative that are exact to the eighth order: these images are nearly as sharp as pixels allow.
_DERIVATIVE = np.array([1 / 280, -4 / 105, 1 / 5, -4 / 5, 0.0, 4 / 5, -1 / 5, 4 / 105, -1 / 280])
_RE_PX = np.geomspace(2.0, 15.0, 6)
_INDEX = np.array([0.7, 1.5, 2.5, 4.0, 5.8])
_FACTOR, _STEP = 1.03, 0.2
# Inverse variances of what mock A is drawn from: ln r_e and n, both uniform.
_PRIOR = np.diag([0.0, 12.0 / np.log(15.0 / 2.0) ** 2, 12.0 / 5.5**2, 0.0])


def centroid_information(mock: Mock) -> DoubleArray:
    """Return the Fisher matrix of the centre, (2, 2) in 1 / px², of the galaxy alone with all else known."""
    across = ndimage.correlate1d(mock.noiseless, _DERIVATIVE, axis=1, mode="nearest")
    along = ndimage.correlate1d(mock.noiseless, _DERIVATIVE, axis=0, mode="nearest")
    slopes = np.stack([across.ravel(), along.ravel()])
    return np.asarray(slopes @ slopes.T / mock.sky_sigma**2)


def centroid_limit(mock: Mock) -> float:
    """Return the Cramér-Rao limit of the distance from the true centre: the root of the sum of both variances."""
    return float(np.sqrt(np.trace(np.linalg.inv(centroid_information(mock)))))


def ideal_centroid_ratio(mocks: list[Mock], draws: int = 400) -> float:
    """Return the median of distance over limit that an estimator at the limit has (0.83 if all were round)."""
    rng = np.random.default_rng(0)
    ratios = []
    for mock in mocks:
        covariance = np.linalg.inv(centroid_information(mock))
        offsets = rng.multivariate_normal([0.0, 0.0], covariance, draws)
        ratios.append(np.hypot(*offsets.T) / np.sqrt(np.trace(covariance)))
    return float(np.median(ratios))


def radius_limit(mock: Mock) -> float:
    """Return the least standard deviation of ln r_P of a single Sérsic galaxy.

    For who knows that it is a round Sérsic galaxy without neighbours, the point-spread function, the noise and from
    what r_e and n are drawn, but neither flux, r_e, n nor the level of the sky.
    """
    found = np.ravel(_table()((np.log(mock.parameters["re_px"]), mock.parameters["n"])))
    information, gradient = found[:16].reshape(4, 4), found[16:]
    # The sky does not grow with S/N as the light does, but a free parameter may be in any unit.
    return float(np.sqrt(gradient @ np.linalg.solve(information * mock.snr**2 + _PRIOR, gradient)))


@lru_cache(maxsize=1)
def _table() -> interpolate.RegularGridInterpolator:
    cells = np.array([[_information(re, n) for n in _INDEX] for re in _RE_PX])
    return interpolate.RegularGridInterpolator((np.log(_RE_PX), _INDEX), cells, bounds_error=False, fill_value=None)


def _information(re: float, n: float) -> DoubleArray:
    """Return the Fisher matrix of (ln flux, ln r_e, n, sky) at S/N = 1 and the gradient of ln r_P, in one row."""
    side = 2 * int(max(64.0, 9.0 * re)) + 1
    middle, rpet, flux = _image(re, n, side)
    bigger, smaller = _image(re * _FACTOR, n, side), _image(re / _FACTOR, n, side)
    steeper, flatter = _image(re, n + _STEP, side), _image(re, n - _STEP, side)
    by_re, by_n = 2.0 * np.log(_FACTOR), 2.0 * _STEP
    slopes = [middle, (bigger[0] - smaller[0]) / by_re, (steeper[0] - flatter[0]) / by_n]
    unit = np.sqrt(np.pi) * rpet / flux
    rows = np.stack([unit * slope.ravel() for slope in slopes] + [np.ones(middle.size)])
    gradient = [0.0, np.log(bigger[1] / smaller[1]) / by_re, np.log(steeper[1] / flatter[1]) / by_n, 0.0]
    return np.concatenate([(rows @ rows.T).ravel(), gradient])


def _image(re: float, n: float, side: int) -> tuple[DoubleArray, float, float]:
    """Return a round galaxy of unit flux, its Petrosian radius and the flux inside."""
    middle = 0.5 * (side - 1)
    fine = drawn(smeared(sersic(n, re, 1.0, 0.0), point_spread()), (side, side), middle, middle, 2)
    truth = truth_of(fine, middle, middle)
    return fine[::2, ::2], truth.rpet_px, truth.flux_inside(truth.rpet_px)
