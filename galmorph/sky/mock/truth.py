"""Truth: what is known of every simulated source, and the catalogue that an astronomer would have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import sep
from astropy.table import Table
from astropy.wcs import WCS
from scipy.special import expit

from galmorph.sky.mock.light import Shape, half_light_arcsec
from galmorph.sky.mock.population import MockSource
from galmorph.sky.mock.render import NoiselessImage
from galmorph.sky.mock.setting import Setting
from galmorph.sky.mock.tables import described

__all__ = ["PetrosianRadii", "candels_fractions", "catalog_table", "petrosian_radii", "truth_table"]

FloatArray = npt.NDArray[np.float64]
_STEPS = 8
"""Steps of the radius per factor 1.25."""
_ETA = 0.2
"""Petrosian ratio at the radius, as SDSS defines it (Blanton et al. 2001)."""
# Errors of a usual catalogue: a detection at S/N 20 or so.
_POSITION_ERROR_ARCSEC = 0.05
_MAG_ERROR = 0.05


@dataclass(frozen=True)
class PetrosianRadii:
    """Petrosian and half-light radius in pixels, flux within 2 r_P; NaN if not reached in the stamp."""

    rpet_px: float
    r50_px: float
    petro_flux: float


def petrosian_radii(pixels: npt.NDArray[np.float32], x: float, y: float) -> PetrosianRadii:
    """Measure a noiseless source with circles about a known centre.

    The Petrosian radius r_P is the smallest radius at which the mean surface brightness between 0.8 r and
    1.25 r is 0.2 of that within r (Petrosian 1976; Blanton et al. 2001, AJ 121, 2358: the SDSS definition).
    r50 holds half of the flux within 2 r_P.

    Parameters
    ----------
    pixels
        The source alone, (H, W) float32, without noise or sky.
    x, y
        Its centre: 0-based pixels.
    """
    edge = min(x, y, pixels.shape[1] - 1 - x, pixels.shape[0] - 1 - y)
    count = int(np.log(max(edge, 1.0) / 0.5) / np.log(1.25) * _STEPS) + 1
    radius = 0.5 * 1.25 ** (np.arange(count) / _STEPS)
    flux, _, _ = sep.sum_circle(np.ascontiguousarray(pixels), np.full(count, x), np.full(count, y), radius, subpix=0)
    if count <= 2 * _STEPS:
        return PetrosianRadii(np.nan, np.nan, np.nan)
    middle = slice(_STEPS, -_STEPS)
    ring = (flux[2 * _STEPS :] - flux[: -2 * _STEPS]) / (1.25**2 - 0.8**2)
    eta = ring / flux[middle]
    rpet = _first_crossing(radius[middle], eta)
    total = float(np.interp(2 * rpet, radius, flux)) if 2 * rpet <= radius[-1] else float(flux[-1])
    r50 = float(np.interp(0.5 * total, flux, radius)) if np.isfinite(rpet) else np.nan
    return PetrosianRadii(rpet, r50, total if np.isfinite(rpet) else np.nan)


def _first_crossing(radius: FloatArray, eta: FloatArray) -> float:
    """Radius at which η first falls to 0.2, linear in log radius between two samples."""
    below = np.flatnonzero((eta[1:] <= _ETA) & (eta[:-1] > _ETA))
    if not len(below):
        return float("nan")
    i = int(below[0])
    part = (eta[i] - _ETA) / (eta[i] - eta[i + 1])
    return float(radius[i] * (radius[i + 1] / radius[i]) ** part)


def candels_fractions(shape: Shape, snr: float) -> dict[str, float]:
    """Return the fractions of careful votes in the scheme ``candels-visual`` (Kartaltepe et al. 2015).

    Each is in [0, 1]; they need not sum to 1. A bulge is seen in proportion to its share of the light, and a
    source of low S/N becomes unclassifiable.
    """
    lost = float(expit((12 - snr) / 4)) if np.isfinite(snr) else 1.0
    votes = _VOTES[shape.kind]
    bulge = min(1.0, 1.3 * shape.bulge_share)
    spheroid = 1.0 if shape.kind == "spheroid" else max(votes[0], bulge)
    fractions = dict(zip(_ANSWERS, (spheroid, *votes[1:]), strict=True))
    return {k: v * (1 - lost) for k, v in fractions.items()} | {"unclassifiable": lost}


_ANSWERS = ("spheroid", "disk", "irregular", "point_source")
# Fractions of careful people who would tick each answer, by kind; what the bulge adds is left out.
_VOTES: dict[str, tuple[float, float, float, float]] = {
    "spheroid": (1.0, 0.05, 0.0, 0.03),
    "disk": (0.1, 1.0, 0.05, 0.0),
    "spiral": (0.1, 1.0, 0.10, 0.0),
    "edge_on": (0.05, 1.0, 0.05, 0.0),
    "bulge_disk": (0.3, 0.9, 0.0, 0.0),
    "irregular": (0.0, 0.3, 1.0, 0.0),
    "merger": (0.2, 0.4, 0.9, 0.0),
    "star": (0.05, 0.0, 0.0, 1.0),
}


def truth_table(setting: Setting, sources: list[MockSource], stamps: list[NoiselessImage], wcs: WCS) -> Table:
    """Make the table of truth, one row per catalogued source, with units, descriptions and UCDs."""
    x, y = np.array([(s.x_px, s.y_px) for s in sources]).T
    ra, dec = wcs.all_pix2world(x, y, 0)
    radii = [petrosian_radii(p.pixels, s.x_px - p.x0, s.y_px - p.y0) for s, p in zip(sources, stamps, strict=True)]
    snr = [_snr(setting, each) for each in radii]
    shapes = [s.shape for s in sources]
    votes = [candels_fractions(shape, n) for shape, n in zip(shapes, snr, strict=True)]
    angles = [np.nan if s.kind == "star" else s.angle for s in shapes]
    return described(
        {
            "id": np.arange(1, len(sources) + 1),
            "ra": ra,
            "dec": dec,
            "x": x,
            "y": y,
            "type": [s.kind for s in shapes],
            **{f"f_{answer}": [v[answer] for v in votes] for answer in votes[0]},
            **_magnitudes(setting, sources),
            "r_e_arcsec": [half_light_arcsec(s) for s in shapes],
            "r50_arcsec": [setting.scale_arcsec * r.r50_px for r in radii],
            "rpet_arcsec": [setting.scale_arcsec * r.rpet_px for r in radii],
            "axis_ratio": [s.q for s in shapes],
            "pa_deg": _position_angles(wcs, angles),
            "n": [s.n for s in shapes],
            "bulge_share": [s.bulge_share for s in shapes],
            "snr": snr,
        }
    )


def _magnitudes(setting: Setting, sources: list[MockSource]) -> dict[str, list[float]]:
    """Column `mag` of the reference band and, where there are several, one for each band."""
    columns = {"mag": [s.mag for s in sources]}
    if len(setting.bands) > 1:
        for i, each in enumerate(setting.bands):
            columns[f"mag_{each.band.name}"] = [_band_mag(setting, s, i) for s in sources]
    return columns


def _band_mag(setting: Setting, source: MockSource, band_index: int) -> float:
    offsets = [(light.share, setting.colour_offset(band_index, light.tint)) for light in source.shape.lights]
    return float(source.mag - 2.5 * np.log10(sum(share * 10 ** (-0.4 * mag) for share, mag in offsets)))


def _snr(setting: Setting, radii: PetrosianRadii) -> float:
    """S/N of the flux within the Petrosian radius: noise of the sky (white) and of the photons."""
    conditions = setting.reference
    sky = conditions.sigma**2 * np.pi * radii.rpet_px**2
    return float(radii.petro_flux / np.sqrt(sky + radii.petro_flux / conditions.electrons_per_unit))


def _position_angles(wcs: WCS, angles_deg: list[float]) -> FloatArray:
    """Turn directions in the image (x towards y) into position angles (north to east), in [0, 180)."""
    turn = np.radians(np.asarray(angles_deg, dtype=float))
    east, north = wcs.wcs.cd @ np.array([np.cos(turn), np.sin(turn)])
    return np.asarray(np.degrees(np.arctan2(east, north)) % 180)


def catalog_table(rng: np.random.Generator, truth: Table) -> Table:
    """Make the catalogue of the field: positions and magnitudes with errors, and nothing of the truth."""
    east, north = rng.normal(0, _POSITION_ERROR_ARCSEC / 2**0.5, (2, len(truth))) / 3600
    dec = np.asarray(truth["dec"], dtype=float)
    return described(
        {
            "id": np.asarray(truth["id"]),
            "ra": np.asarray(truth["ra"], dtype=float) + east / np.cos(np.radians(dec)),
            "dec": dec + north,
            "mag": np.asarray(truth["mag"], dtype=float) + rng.normal(0, _MAG_ERROR, len(truth)),
        }
    )
