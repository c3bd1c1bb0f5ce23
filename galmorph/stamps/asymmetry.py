"""Asymmetry: how much of a galaxy's light a half turn about its centre does not bring back."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from galmorph.stamps.frame import Frame

__all__ = ["APERTURE", "asymmetry"]

FloatArray = npt.NDArray[np.float32]

APERTURE = 1.5
"""Radius of the aperture in Petrosian radii (Conselice 2003; Lotz et al. 2004)."""
_MARGIN = 2
_AROUND = 1.15
_ENOUGH = 100
_MEAN_ABSOLUTE = float(np.sqrt(2.0 / np.pi))


def asymmetry(frame: Frame, radius_px: float, noise: float, n_sky: int) -> tuple[float, float]:
    """Measure the asymmetry about the centre of a frame.

    A = (sum of |I - I180| - the same of the sky's noise) / sum of I, in a circle of 1.5 Petrosian radii. The half turn
    is about the centroid itself, a quadratic through three pixels along each axis; the sky's share is that of noise of
    the sky's own standard deviation, or of the frame's corners where that is significantly different.

    Parameters
    ----------
    frame
        About the centroid.
    radius_px
        Petrosian radius in pixels.
    noise
        Standard deviation of the sky per image pixel, effective where it is correlated.
    n_sky
        How many pixels that rests on.

    Returns
    -------
    Asymmetry and its error; NaN where there is no light.

    References
    ----------
    Conselice, Bershady & Jangren 2000, ApJ 529, 886; Lotz, Primack & Madau 2004, AJ 128, 163.
    """
    half = frame.rings.half
    radius = APERTURE * radius_px / frame.scale_px
    if not np.isfinite(radius):
        return float("nan"), float("nan")
    reach = min(int(np.ceil(_AROUND * radius)) + 1, half - _MARGIN)
    wide = slice(half - reach - _MARGIN, half + reach + _MARGIN + 1)
    turned, gain = _turned(frame.flux[wide, wide], frame.offset)
    light = frame.flux[wide, wide][_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
    inside = _circle(reach, radius, frame.offset)
    outside = ~inside
    if frame.good is not None:
        seen, _ = _turned(frame.good[wide, wide], frame.offset)
        known = (frame.good[wide, wide][_MARGIN:-_MARGIN, _MARGIN:-_MARGIN] > 0.99) & (seen > 0.99)
        inside &= known
        outside &= known
    count = int(np.count_nonzero(inside))
    weight = inside.astype(np.float32).ravel()
    flux = float(weight @ light.ravel())
    if count == 0 or not flux > 0:
        return float("nan"), float("nan")
    sigma = noise / frame.scale_px * float(np.sqrt(1.0 + gain))
    differences = np.abs(light - turned).ravel()
    difference = float(weight @ differences)
    sigma *= _correlated(differences, outside, sigma)
    excess = difference - count * sigma * _MEAN_ABSOLUTE
    # Opposite pixels have the same difference: half as many are independent. Where the light itself differs, its
    # difference carries the whole noise.
    spread = 1.0 - _MEAN_ABSOLUTE**2 * min(max(1.0 - excess / max(difference, 1e-30), 0.0), 1.0)
    variance = 2.0 * count * sigma**2 * spread + (count * sigma * _MEAN_ABSOLUTE) ** 2 / (2.0 * max(n_sky, 1))
    return excess / flux, float(np.sqrt(variance)) / flux


def _correlated(differences: FloatArray, outside: npt.NDArray[np.bool_], sigma: float) -> float:
    """By how much the differences outside the aperture exceed those of white noise; 1 if not significantly.

    Correlated noise, averaged or interpolated, is larger than white noise would be.
    """
    count = int(np.count_nonzero(outside))
    if count < _ENOUGH or not sigma > 0:
        return 1.0
    ratio = float(outside.astype(np.float32).ravel() @ differences) / (count * sigma * _MEAN_ABSOLUTE)
    return ratio if abs(ratio - 1.0) > 5.0 / np.sqrt(count) else 1.0


def _circle(reach: int, radius: float, offset: tuple[float, float]) -> npt.NDArray[np.bool_]:
    along = np.arange(-reach, reach + 1.0, dtype=np.float32)
    square: npt.NDArray[np.bool_] = (along - np.float32(offset[0])) ** 2 + ((along - np.float32(offset[1])) ** 2)[
        :, None
    ] <= radius**2
    return square


def _turned(values: FloatArray, offset: tuple[float, float]) -> tuple[FloatArray, float]:
    """Turn by half a circle about the offset, two pixels less on each side, and tell the gain of its noise variance."""
    across, gain_x = _slid(values, -2.0 * offset[0], axis=1)
    both, gain_y = _slid(across, -2.0 * offset[1], axis=0)
    return both[::-1, ::-1], gain_x * gain_y


def _slid(values: FloatArray, shift: float, axis: int) -> tuple[FloatArray, float]:
    """Move by -1 to 0 pixels along an axis: the quadratic through the three nearest pixels."""
    whole = round(shift)
    part = whole - shift
    before, middle, after = 0.5 * part * (part - 1.0), 1.0 - part * part, 0.5 * part * (part + 1.0)
    n = values.shape[axis] - 2 * _MARGIN

    def piece(step: int) -> FloatArray:
        start = _MARGIN + step - whole
        index = slice(start, start + n)
        return values[:, index] if axis == 1 else values[index]

    moved = np.float32(middle) * piece(0)
    if abs(part) > 1e-6:
        part_of = np.multiply(piece(-1), np.float32(before))
        moved += part_of
        moved += np.multiply(piece(1), np.float32(after), out=part_of)
    return moved, before**2 + middle**2 + after**2
