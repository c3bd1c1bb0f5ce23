"""Two skies: positions that are hard to match: at the poles, at right ascension 0, twice, close together."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from galmorph.sky.matching.separations import SkyPositions

__all__ = ["brute_pairs", "crowded", "two_skies"]

FloatArray = npt.NDArray[np.float64]


def crowded(count: int, seed: int, width_deg: float = 0.05) -> SkyPositions:
    """Return positions about both poles, across right ascension 0, and in a field; one in ten of them twice."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 4, count)
    height = width_deg * np.sqrt(rng.uniform(size=count))
    dec = np.choose(kind, [90.0 - height, height - 90.0, height - 0.3 * width_deg, 37.0 + height])
    ra = np.choose(kind, [rng.uniform(0, 360, count)] * 2 + [rng.uniform(-0.5, 0.5, count) * width_deg] * 2)
    twice, of = rng.permutation(count)[: count // 10], rng.integers(0, max(count, 1), count // 10)
    ra[twice], dec[twice] = ra[of], dec[of]
    return SkyPositions(ra % 360.0, dec)


def two_skies(count: int, seed: int, shift_arcsec: float = 0.3) -> tuple[SkyPositions, SkyPositions]:
    """Return two catalogues of one sky: half of the second are rows of the first, moved, a tenth of them not at all."""
    first, second = crowded(count, seed), crowded(count, seed + 1)
    rng = np.random.default_rng(seed)
    rows, of = rng.permutation(count)[: count // 2], rng.permutation(count)[: count // 2]
    shift = np.where(rng.uniform(size=len(rows)) < 0.1, 0.0, shift_arcsec / 3600.0)
    dec = np.clip(first.dec_deg[of] + shift * rng.normal(size=len(rows)), -90.0, 90.0)
    across = np.maximum(np.cos(np.radians(dec)), 1e-6)
    second.ra_deg[rows] = (first.ra_deg[of] + shift * rng.normal(size=len(rows)) / across) % 360.0
    second.dec_deg[rows] = dec
    return first, second


def brute_pairs(first: SkyPositions, second: SkyPositions, radius_arcsec: float) -> dict[tuple[int, int], float]:
    """Return the separations of all pairs within a radius in arcsec, by Vincenty's formula, each row with each."""
    sine1, cosine1 = np.sin(np.radians(first.dec_deg)), np.cos(np.radians(first.dec_deg))
    sine2, cosine2 = np.sin(np.radians(second.dec_deg)), np.cos(np.radians(second.dec_deg))
    pairs: dict[tuple[int, int], float] = {}
    for row in range(len(first)):
        turn = np.radians(second.ra_deg - first.ra_deg[row])
        x = sine1[row] * sine2 + cosine1[row] * cosine2 * np.cos(turn)
        y = np.hypot(cosine2 * np.sin(turn), cosine1[row] * sine2 - sine1[row] * cosine2 * np.cos(turn))
        separation = np.degrees(np.arctan2(y, x)) * 3600.0
        pairs |= {(row, int(other)): float(separation[other]) for other in np.flatnonzero(separation <= radius_arcsec)}
    return pairs
