"""Profile: mean brightness of a galaxy in circular rings about its centre, and the growth of its light."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from galmorph.stamps.compiled import compiled, inner
from galmorph.stamps.frame import WHOLE, Frame, frame_about
from galmorph.stamps.rings import FINE_PX, add_divided, ring_sums

__all__ = ["Profile", "profile_of", "radial_profile"]

Array = npt.NDArray[np.float64]
FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

# A ring with less of a pixel has no mean: the quotient of two numbers that are all rounding.
_LEAST_USED = 1e-3


@dataclass(frozen=True)
class Profile:
    """Circular profile in n rings: `mean` flux per pixel, geometric `area`, area `used`, (n,); `edges`, (n + 1,).

    All in pixels. A ring without a good pixel has a mean of NaN.
    """

    edges: Array
    mean: Array
    area: Array
    used: Array

    @property
    def edge(self) -> Array:
        """Where each ring ends, (n,)."""
        return self.edges[1:]


def profile_of(frame: Frame) -> Profile:
    """Average a frame in the rings about its centre, in image pixels."""
    circles, scale = frame.rings, float(frame.scale_px)
    mean, used = ring_means(frame)
    # Nothing writes into a profile: it may share the arrays of the rings.
    if frame.scale_px == 1:
        return Profile(circles.edges, mean, circles.area, used)
    return Profile(circles.edges * scale, mean, circles.area * scale**2, used * scale**2)


@compiled
def ring_means(frame: Frame) -> tuple[Array, Array]:
    """Mean flux per image pixel of each ring, NaN where none is seen, and how many frame pixels of it are, (n,)."""
    circles, n = frame.rings, len(frame.rings.area)
    flux, good = frame.flux.ravel(), frame.good.ravel()
    # Half-good binned pixels count by their share.
    total, area = ring_sums(flux, good, circles.number, n)
    used, divided = circles.full, circles.sharp
    if good.size:
        add_divided(area, good, np.zeros(0, np.float32), circles.near)
        used = area
        if not _core_is_whole(frame):
            divided = circles.near
    add_divided(total, flux, good, divided)
    for i in range(n):
        total[i] = total[i] / used[i] if used[i] > _LEAST_USED else math.nan
    return total, used


@inner
def _core_is_whole(frame: Frame) -> bool:
    for i in range(frame.rings.half - FINE_PX, frame.rings.half + FINE_PX + 1):
        for j in range(frame.rings.half - FINE_PX, frame.rings.half + FINE_PX + 1):
            if frame.good[i, j] <= WHOLE:
                return False
    return True


def radial_profile(clean: FloatArray, good: BoolArray, x: float, y: float) -> Profile:
    """Mean flux per pixel in circular rings, a quarter of a pixel wide at the centre and one far out.

    Pixels within 8 px of the centre are divided into 10 × 10 parts so that small circles are exact to about 0.1 %.

    Parameters
    ----------
    clean
        Sky-subtracted flux, (H, W).
    good
        True on pixels that count, (H, W).
    x, y
        Centre in pixels.

    Returns
    -------
    Profile
        Out past the farthest corner of the image.
    """
    height, width = clean.shape
    half = int(np.ceil(max(x, y, width - 1 - x, height - 1 - y, 12))) + 1
    return profile_of(frame_about(clean, ~good, x, y, half))
