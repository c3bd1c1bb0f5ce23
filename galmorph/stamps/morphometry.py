"""Morphometry: the few numbers of a galaxy's size and shape that a network may take beside its stamp.

They are independent of the pixel scale and the unit of an image: sizes in widths of the point-spread function, and all
that is positive as logarithms, so that their errors are about alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from galmorph.stamps.measure import Measurement

__all__ = ["MORPHOMETRY", "NO_MORPHOMETRY", "morphometries", "morphometry", "stacked"]

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]

MORPHOMETRY = ("half_light", "petrosian", "axis_ratio", "concentration", "asymmetry", "snr")
"""Logarithms of the half-light and the Petrosian radius in widths of the point-spread function, axis ratio,
concentration, asymmetry, logarithm of S/N."""
NO_MORPHOMETRY = np.full((2, len(MORPHOMETRY)), np.nan, np.float32)
"""Of a galaxy of which nothing is measured."""


def morphometry(measured: Measurement, psf_fwhm_px: float | None) -> FloatArray:
    """Take the values and their errors, (2, K), from a measurement; NaN where one is missing.

    Parameters
    ----------
    psf_fwhm_px
        Width of the point-spread function, without which there are no sizes.
    """
    return np.array(list(zip(*_measured(measured, psf_fwhm_px or math.nan), strict=True)), np.float32)


def morphometries(values: Mapping[str, DoubleArray], psf_fwhm_px: float | None) -> FloatArray:
    """Take the values of N galaxies, (N, K), as :func:`morphometry` does of one.

    Parameters
    ----------
    values
        What is measured of each, (N,), by its name in :class:`~galmorph.stamps.measure.Measurement`.
    """
    unit = psf_fwhm_px or math.nan
    columns = (
        _logarithms(values["r50_px"] / unit),
        _logarithms(values["rpet_px"] / unit),
        1.0 - values["ellipticity"],
        values["concentration"],
        values["asymmetry"],
        _logarithms(values["snr"]),
    )
    return np.stack(columns, axis=1).astype(np.float32)


def _logarithms(values: DoubleArray) -> DoubleArray:
    """Return the logarithms of what is positive; NaN for all else. To the bit as of one: numpy's differ by one."""
    is_positive = (values > 0) & np.isfinite(values)
    logarithms = np.full(len(values), np.nan)
    logarithms[is_positive] = [math.log(value) for value in values[is_positive].tolist()]
    return logarithms


def stacked(morphometries: Sequence[FloatArray | None]) -> FloatArray:
    """Stack the values of galaxies, (N, K); NaN for those of which nothing was measured."""
    return np.array([NO_MORPHOMETRY[0] if each is None else each for each in morphometries], np.float32).reshape(
        len(morphometries), len(MORPHOMETRY)
    )


def _measured(measured: Measurement, psf_fwhm_px: float) -> Iterator[tuple[float, float]]:
    yield _logarithm(measured.r50_px, measured.r50_err_px, psf_fwhm_px)
    yield _logarithm(measured.rpet_px, measured.rpet_err_px, psf_fwhm_px)
    yield 1.0 - measured.ellipticity, measured.ellipticity_err
    yield measured.concentration, measured.concentration_err
    yield measured.asymmetry, measured.asymmetry_err
    yield _logarithm(measured.snr, 1.0)


def _logarithm(value: float, error: float, unit: float = 1.0) -> tuple[float, float]:
    """Return the logarithm of a positive value and its error; NaN for any other."""
    if not value > 0.0 or not math.isfinite(value / unit):
        return math.nan, math.nan
    return math.log(value / unit), error / value
