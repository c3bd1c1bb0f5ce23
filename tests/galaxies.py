"""Galaxies: analytic images that tests measure, at any position, size and shape."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]


def b_n(n: float) -> float:
    """Return the constant that makes r_e the half-light radius (Ciotti & Bertin 1999, A&A 352, 447, eq. 18)."""
    return 2.0 * n - 1.0 / 3.0 + 4.0 / (405.0 * n) + 46.0 / (25515.0 * n**2)


def sersic(
    shape: tuple[int, int],
    x: float,
    y: float,
    *,
    re: float = 5.0,
    n: float = 1.0,
    flux: float = 1.0,
    q: float = 1.0,
    theta: float = 0.0,
    fine: int = 5,
) -> FloatArray:
    """Render a Sérsic profile, (H, W) float32: each pixel is the mean of fine × fine points.

    Parameters
    ----------
    shape
        (H, W).
    x, y
        Centre in 0-based pixels.
    re, n, q, theta
        Half-light radius along the major axis in pixels, index, axis ratio, position angle from the x axis in radians.
    flux
        Sum of the pixels.
    """
    return _drawn(shape, x, y, re, n, flux, q, theta, fine).copy()


@functools.lru_cache(64)  # Many tests begin with the same galaxy, and drawing it takes longer than most of them.
def _drawn(
    shape: tuple[int, int],
    x: float,
    y: float,
    re: float,
    n: float,
    flux: float,
    q: float,
    theta: float,
    fine: int,
) -> FloatArray:
    height, width = shape
    step = (np.arange(fine) + 0.5) / fine - 0.5
    yy = (np.arange(height)[:, None] + step).reshape(-1, 1) - y
    xx = (np.arange(width)[:, None] + step).reshape(1, -1) - x
    along = xx * np.cos(theta) + yy * np.sin(theta)
    across = (-xx * np.sin(theta) + yy * np.cos(theta)) / q
    light = np.exp(-b_n(n) * (np.hypot(along, across) / re) ** (1.0 / n))
    image = light.reshape(height, fine, width, fine).mean(axis=(1, 3))
    return (image * (flux / image.sum())).astype(np.float32)


def noise(shape: tuple[int, int], sigma: float = 1.0, seed: int = 1) -> FloatArray:
    """Draw white noise, (H, W) float32."""
    return (np.random.default_rng(seed).standard_normal(shape) * sigma).astype(np.float32)


def crowded(count: int, *, edge: float, largest: float) -> FloatArray:
    """Render so many galaxies of all sizes, many of which touch, on a noisy field of 400 pixels, off its edge."""
    rng = np.random.default_rng(5)
    image = noise((400, 400), seed=6)
    for x, y, size, light in zip(
        *rng.uniform(edge, 400 - edge, (2, count)),
        rng.uniform(1.5, largest, count),
        10 ** rng.uniform(2.5, 5, count),
        strict=True,
    ):
        image += sersic(image.shape, x, y, re=size, flux=light)
    return image


def galaxy(
    size: int = 97,
    x: float | None = None,
    y: float | None = None,
    *,
    sigma: float = 1.0,
    seed: int = 1,
    **profile: float,
) -> FloatArray:
    """Render one noisy galaxy, by default in the middle of a square image and of S/N about 100."""
    middle = (size - 1) / 2
    settings = {"flux": 2000.0, **profile}
    image = sersic((size, size), middle if x is None else x, middle if y is None else y, **settings)
    return image + noise((size, size), sigma, seed)
