"""Mocks: noisy galaxies whose Petrosian radius, light radii and centre are known.

The light is rendered by GalSim, convolved with a Moffat point-spread function (FWHM 2.9 px, beta 4.765: its wings are
those of Kolmogorov seeing) and with the pixel; the noise is white with a standard deviation of one, on a sky of 0 to
20. The truth is that of the noiseless convolved image of the galaxy alone, about its true centre: a circular profile on
samples half a pixel apart, joined by a cubic spline. `psf="gaussian"` takes a Gaussian instead.

Mock A is :func:`single_sersic`, mock B :func:`clumpy`, mock C :func:`crowded`. A mock depends on its seed and number
alone, so that the first ten of three hundred are the same as ten.

References
----------
Petrosian 1976, ApJ 210, L53; Blanton et al. 2001, AJ 121, 2358 (definition); Rowe et al. 2015, A&C 10, 121 (GalSim).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import galsim
import numpy as np
import numpy.typing as npt
from scipy import ndimage

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]
Generator = np.random.Generator

ETA = 0.2
INNER, OUTER = 0.8, 1.25
PSF_FWHM_PX = 2.9
SKY_SIGMA = 1.0
SKY_OFFSETS = (-0.05, 0.0, 0.05)
_MOFFAT_BETA = 4.765
# Light beyond ten half-light radii is cut (it lies outside of every mock): FFTs of n = 6 would not fit in memory.
_TRUNCATED_AT = 10.0
_FINE = 2
_STEP_PX = 0.05
_ANGLES = 128
# The defaults leave ripples of 0.3 % in the local radius of steep profiles.
_ACCURATE = galsim.GSParams(folding_threshold=1e-3, maxk_threshold=5e-4, kvalue_accuracy=1e-6, maximum_fft_size=16384)
# r_P / r_e of Sérsic profiles, to choose a canvas; the truth is measured.
_INDEX = (0.5, 1.0, 2.0, 4.0, 6.0)
_EXPECTED = (1.942, 2.113, 2.117, 1.714, 1.253)


@dataclass(frozen=True)
class Truth:
    """Circular growth of a noiseless galaxy about its centre, in the SDSS and the local definition.

    Parameters
    ----------
    radius_px, flux
        Growth curve: radii from zero in steps of 0.05 px and the flux inside.
    rpet_px, rpet_local_px
        Where the mean from 0.8 to 1.25 r, or the brightness at r, falls to 0.2 of the mean inside r; the first such
        radius, NaN without one.
    crossings
        How often the ratio of the SDSS definition falls through 0.2.
    """

    radius_px: DoubleArray
    flux: DoubleArray
    rpet_px: float
    rpet_local_px: float
    crossings: int

    def flux_inside(self, radius_px: float) -> float:
        """Return the flux inside a circle."""
        return float(np.interp(radius_px, self.radius_px, self.flux))

    def light_radius(self, share: float, within_rpet: float = 1.0) -> float:
        """Return the radius of the circle with a share of the flux inside `within_rpet` Petrosian radii (SDSS)."""
        total = self.flux_inside(within_rpet * self.rpet_px)
        grown = np.maximum.accumulate(self.flux)
        return float(np.interp(share * total, grown, self.radius_px))


@dataclass(frozen=True)
class Mock:
    """One galaxy in noise, and the truth about it.

    Parameters
    ----------
    pixels
        (H, W) float32 with noise, sky and neighbours; NaN where there is no data.
    x, y
        Requested position: where a catalogue says that the galaxy is.
    true_x, true_y
        Centre of the galaxy.
    truth
        Growth curve; the `true_` properties are taken from it.
    noiseless
        (H, W) float64, the convolved galaxy alone without sky.
    q, position_angle_deg
        Intrinsic axis ratio and angle of the major axis from the x axis towards y, 0 to 180.
    snr
        Flux inside the true Petrosian radius over the noise of the sky there.
    psf_fwhm_px, sky_sigma, sky_level
        Width of the point-spread function; noise and mean of the sky per pixel.
    has_neighbours
        Whether other objects were added.
    saturation
        Level of saturated pixels.
    weight
        (H, W) inverse variance, zero without data.
    parameters
        What it was drawn from.
    """

    pixels: FloatArray
    x: float
    y: float
    true_x: float
    true_y: float
    truth: Truth
    noiseless: DoubleArray
    q: float
    position_angle_deg: float
    snr: float
    psf_fwhm_px: float = PSF_FWHM_PX
    sky_sigma: float = SKY_SIGMA
    sky_level: float = 0.0
    has_neighbours: bool = False
    saturation: float | None = None
    weight: FloatArray | None = None
    parameters: dict[str, Any] = field(default_factory=dict)

    @property
    def true_rpet_px(self) -> float:
        """SDSS definition, circular."""
        return self.truth.rpet_px

    @property
    def true_rpet_local_px(self) -> float:
        """Brightness at r over the mean inside r (statmorph, petrofit), circular."""
        return self.truth.rpet_local_px

    @cached_property
    def true_flux(self) -> float:
        """Flux inside the Petrosian radius."""
        return self.truth.flux_inside(self.truth.rpet_px)

    @cached_property
    def true_r20_px(self) -> float:
        """Circle with 20 % of the flux inside the Petrosian radius."""
        return self.truth.light_radius(0.2)

    @cached_property
    def true_r50_px(self) -> float:
        """Circle with half of the flux inside the Petrosian radius."""
        return self.truth.light_radius(0.5)

    @cached_property
    def true_r80_px(self) -> float:
        """Circle with 80 % of the flux inside the Petrosian radius."""
        return self.truth.light_radius(0.8)

    @property
    def true_concentration(self) -> float:
        """5 log10(r80 / r20)."""
        return 5.0 * float(np.log10(self.true_r80_px / self.true_r20_px))


@dataclass(frozen=True)
class Tile:
    """A crowded image and its galaxies; each mock's pixels are a window of it, `parameters` says where from."""

    pixels: FloatArray
    weight: FloatArray
    saturation: float
    sky_offset: float
    mocks: tuple[Mock, ...]


def point_spread(psf: str = "moffat") -> galsim.GSObject:
    """Return the point-spread function by name."""
    if psf == "gaussian":
        return galsim.Gaussian(fwhm=PSF_FWHM_PX, gsparams=_ACCURATE)
    return galsim.Moffat(beta=_MOFFAT_BETA, fwhm=PSF_FWHM_PX, gsparams=_ACCURATE)


def sersic(n: float, re_px: float, q: float, angle_deg: float, flux: float = 1.0) -> galsim.GSObject:
    """Return a Sérsic profile of circularised half-light radius `re_px`; the index is rounded to 0.1 for speed."""
    cut = _TRUNCATED_AT * re_px
    round_one = galsim.Sersic(
        round(n, 1), half_light_radius=re_px, flux=flux, trunc=cut, flux_untruncated=True, gsparams=_ACCURATE
    )
    return round_one.shear(q=q, beta=angle_deg * galsim.degrees)


def smeared(profile: galsim.GSObject, psf: galsim.GSObject) -> galsim.GSObject:
    """Convolve with the point-spread function and the pixel."""
    return galsim.Convolve([profile, psf, galsim.Pixel(1.0)], gsparams=_ACCURATE)


def drawn(light: galsim.GSObject, shape: tuple[int, int], x: float, y: float, fine: int = 1) -> DoubleArray:
    """Sample smeared light in flux per pixel at pixel centres, and at `fine - 1` points between them."""
    height, width = (fine * (side - 1) + 1 for side in shape)
    image = galsim.ImageD(width, height)
    centre = galsim.PositionD(fine * x + 1.0, fine * y + 1.0)
    light.drawImage(image=image, scale=1.0 / fine, center=centre, method="no_pixel")
    return np.asarray(image.array) * fine**2


def truth_of(samples: DoubleArray, x: float, y: float) -> Truth:
    """Measure the truth on samples half a pixel apart, about a centre in pixels."""
    side = min(samples.shape) - 1
    farthest = min(x, y, side / _FINE - x, side / _FINE - y)
    radius = np.arange(0.0, farthest, _STEP_PX)
    brightness = _circular_profile(samples, x, y, radius)
    ring = 2.0 * np.pi * radius * brightness
    flux = np.concatenate([[0.0], np.cumsum(0.5 * (ring[1:] + ring[:-1]) * _STEP_PX)])
    rpet, crossings = _crossing(*_sdss_ratio(radius, flux))
    mean_inside = flux[1:] / (np.pi * radius[1:] ** 2)
    local, _ = _crossing(radius[1:], brightness[1:] / mean_inside)
    return Truth(radius, flux, rpet, local, crossings)


def _circular_profile(samples: DoubleArray, x: float, y: float, radius: DoubleArray) -> DoubleArray:
    angle = 2.0 * np.pi * (np.arange(_ANGLES) + 0.5) / _ANGLES
    rows = _FINE * (y + radius[:, None] * np.sin(angle))
    columns = _FINE * (x + radius[:, None] * np.cos(angle))
    return np.asarray(ndimage.map_coordinates(samples, [rows, columns], order=3, mode="nearest").mean(axis=1))


def _sdss_ratio(radius: DoubleArray, flux: DoubleArray) -> tuple[DoubleArray, DoubleArray]:
    at = radius[(radius > 0.5) & (radius * OUTER <= radius[-1])]
    ring = np.interp(OUTER * at, radius, flux) - np.interp(INNER * at, radius, flux)
    mean_ring = ring / (np.pi * at**2 * (OUTER**2 - INNER**2))
    return at, mean_ring / (np.interp(at, radius, flux) / (np.pi * at**2))


def _crossing(radius: DoubleArray, ratio: DoubleArray) -> tuple[float, int]:
    """Return the first radius where the ratio falls through ETA, and how often it does."""
    falls = np.flatnonzero((ratio[:-1] >= ETA) & (ratio[1:] < ETA))
    if len(falls) == 0:
        return float("nan"), 0
    i = int(falls[0])
    part = (ratio[i] - ETA) / (ratio[i] - ratio[i + 1])
    return float(radius[i] + part * (radius[i + 1] - radius[i])), len(falls)


def single_sersic(n: int = 300, seed: int = 1, *, psf: str = "moffat") -> list[Mock]:
    """Draw mock A: single Sérsic galaxies, every third with one to three neighbours.

    Index 0.5 to 6, circularised r_e 2 to 15 px (log-uniform), axis ratio 0.3 to 1, S/N 10 to 200 (log-uniform), up to
    3 px away from the requested position, on 128² px or eight Petrosian radii. Those whose ratio falls through 0.2 more
    or less often than once are drawn again.
    """
    return [_single(np.random.default_rng([seed, 1, i]), point_spread(psf), crowded=i % 3 == 2) for i in range(n)]


def clumpy(
    n: int = 200, seed: int = 1, *, psf: str = "moffat", least_snr: float = 20.0, most_clumps: float = 0.18
) -> list[Mock]:
    """Draw mock B: bulge, disc, ring and clumps; every third with neighbours.

    Half-light radius of the disc 4 to 15 px (log-uniform), axis ratio 0.3 to 1; up to half of the light in the bulge,
    30 % in the ring, `most_clumps` in three to fifteen clumps of unequal light; S/N `least_snr` to 200 (log-uniform).
    The default ranges were chosen so that the best other codes scatter by about 7 %; with clumps of up to 30 % and S/N
    from 10 they scatter by 10 to 11 %. The centre is that of bulge and disc; the clumps are not symmetric about it.
    """
    drawers = [np.random.default_rng([seed, 2, i]) for i in range(n)]
    ranges = {"least_snr": least_snr, "most_clumps": most_clumps}
    return [_clumpy(rng, point_spread(psf), crowded=i % 3 == 2, **ranges) for i, rng in enumerate(drawers)]


def _single(rng: Generator, psf: galsim.GSObject, *, crowded: bool) -> Mock:
    while True:
        made = {
            "n": round(rng.uniform(0.5, 6.0), 1),
            "re_px": _log_uniform(rng, 2.0, 15.0),
            "q": rng.uniform(0.3, 1.0),
            "angle_deg": rng.uniform(0.0, 180.0),
        }
        expected = float(np.interp(made["n"], _INDEX, _EXPECTED)) * np.hypot(made["re_px"], 0.5 * PSF_FWHM_PX)
        mock = _observed(rng, sersic(**made), expected, made, psf, crowded=crowded)
        if mock is not None:
            return mock


def _clumpy(rng: Generator, psf: galsim.GSObject, *, crowded: bool, least_snr: float, most_clumps: float) -> Mock:
    while True:
        re = _log_uniform(rng, 4.0, 15.0)
        made = {"re_px": re, "q": rng.uniform(0.3, 1.0), "angle_deg": rng.uniform(0.0, 180.0)}
        light = bulge_disc_ring_clumps(rng, re, made, most_clumps)
        expected = 2.2 * np.hypot(re, 0.5 * PSF_FWHM_PX)
        mock = _observed(rng, light, expected, made, psf, crowded=crowded, least_snr=least_snr)
        if mock is not None:
            return mock


def bulge_disc_ring_clumps(rng: Generator, re: float, made: dict[str, float], most_clumps: float) -> galsim.GSObject:
    """Return a disc with a bulge, a ring and clumps in its plane; what was drawn goes into `made`."""
    q, angle = made["q"], made["angle_deg"]
    made |= {"bulge": rng.uniform(0.0, 0.5), "ring": rng.uniform(0.0, 0.3), "clumps": rng.uniform(0.03, most_clumps)}
    made |= {"n_clumps": int(rng.integers(3, 16)), "ring_px": re * rng.uniform(0.7, 1.5)}
    disc = sersic(1.0, re, q, angle, 1.0 - made["bulge"] - 0.5 * (made["ring"] + made["clumps"]))
    bulge = sersic(rng.choice([2.0, 3.0, 4.0]), re * rng.uniform(0.15, 0.4), 0.5 * (1 + q), angle, made["bulge"])
    turns = 2.0 * np.pi * (np.arange(48) + rng.uniform()) / 48
    ring = _knots(made["ring_px"], turns, made["ring_px"] * rng.uniform(0.06, 0.15), np.full(48, made["ring"] / 48))
    count = made["n_clumps"]
    share = rng.pareto(1.5, count) + 0.3
    places = re * np.sqrt(rng.uniform(0.05, 3.0, count))
    around = rng.uniform(0.0, 2.0 * np.pi, count)
    clumps = _knots(places, around, 0.08 * re, made["clumps"] * share / share.sum())
    lens = {"q": q, "beta": angle * galsim.degrees}
    return galsim.Add([disc, bulge, ring.shear(**lens), clumps.shear(**lens)], gsparams=_ACCURATE)


def _knots(radius: float | DoubleArray, angle: DoubleArray, sigma: float, flux: DoubleArray) -> galsim.GSObject:
    blob = galsim.Gaussian(sigma=sigma, gsparams=_ACCURATE)
    places = zip(radius * np.cos(angle), radius * np.sin(angle), flux, strict=True)
    return galsim.Add([(blob * f).shift(x, y) for x, y, f in places], gsparams=_ACCURATE)


def _observed(
    rng: Generator,
    light: galsim.GSObject,
    expected_px: float,
    made: dict[str, float],
    psf: galsim.GSObject,
    *,
    crowded: bool,
    least_snr: float = 10.0,
) -> Mock | None:
    """Put a galaxy of expected Petrosian radius on a canvas; None if its Petrosian radius is not unique."""
    side = 2 * int(np.ceil(max(128.0, 9.0 * expected_px) / 2))
    middle = 0.5 * (side - 1)
    x, y = middle + rng.uniform(-0.5, 0.5, 2)
    true_x, true_y = _near(rng, x, y, 3.0)
    fine = drawn(smeared(light, psf), (side, side), true_x, true_y, _FINE)
    truth = truth_of(fine, true_x, true_y)
    if truth.crossings != 1 or not np.isfinite(truth.rpet_local_px):
        return None
    snr = _log_uniform(rng, least_snr, 200.0)
    bright = snr * SKY_SIGMA * np.sqrt(np.pi) * truth.rpet_px / truth.flux_inside(truth.rpet_px)
    noiseless = bright * fine[::_FINE, ::_FINE]
    truth = replace(truth, flux=bright * truth.flux)
    sky = rng.uniform(0.0, 20.0) * SKY_SIGMA
    others = np.zeros_like(noiseless)
    if crowded:
        others, made["neighbours"] = _neighbours(rng, psf, truth, noiseless.shape, true_x, true_y)
    pixels = noiseless + others + sky + SKY_SIGMA * rng.standard_normal(noiseless.shape)
    return Mock(
        pixels=pixels.astype(np.float32),
        x=x,
        y=y,
        true_x=true_x,
        true_y=true_y,
        truth=truth,
        noiseless=noiseless,
        q=made["q"],
        position_angle_deg=made["angle_deg"],
        snr=snr,
        sky_level=sky,
        has_neighbours=crowded,
        parameters=made,
    )


def _neighbours(
    rng: Generator, psf: galsim.GSObject, truth: Truth, shape: tuple[int, ...], x: float, y: float
) -> tuple[DoubleArray, list[dict[str, float]]]:
    """Draw one to three neighbours: a third stars, 1.2 to 4 Petrosian radii away, up to 3 mag fainter or 1 brighter."""
    light = np.zeros(shape)
    listed = []
    for _ in range(int(rng.integers(1, 4))):
        away = np.sqrt(rng.uniform(1.2**2, 4.0**2)) * max(truth.rpet_px, 6.0)
        turn = rng.uniform(0.0, 2.0 * np.pi)
        flux = truth.flux_inside(truth.rpet_px) * 10.0 ** (-0.4 * rng.uniform(-1.0, 3.0))
        re = truth.light_radius(0.5) * _log_uniform(rng, 0.3, 1.0)
        shape_of = (rng.uniform(0.5, 4.0), re, rng.uniform(0.3, 1.0), rng.uniform(0.0, 180.0))
        star = rng.uniform() < 1.0 / 3.0
        at = x + away * np.cos(turn), y + away * np.sin(turn)
        source = galsim.DeltaFunction(flux=flux) if star else sersic(*shape_of, flux=flux)
        light += drawn(smeared(source, psf), (shape[0], shape[1]), *at)
        listed.append({"x": at[0], "y": at[1], "flux": flux, "re_px": 0.0 if star else re})
    return light, listed


def crowded(seed: int = 1, *, side: int = 512, galaxies: int = 48) -> tuple[Tile, ...]:
    """Draw mock C: a crowded tile with edges, masked columns, saturated stars and a sky gradient, at three skies.

    Between the tiles the sky differs by -0.05, 0 and +0.05 of its noise; everything else, noise included, is the same.
    """
    rng = np.random.default_rng([seed, 3])
    psf = point_spread()
    placed = _placed(rng, psf, side, galaxies)
    light = sum((mock.noiseless for mock in placed), np.zeros((side, side))) + _stars(rng, psf, side)
    saturation = 600.0 * SKY_SIGMA
    light = light + _gradient(rng, side) + SKY_SIGMA * rng.standard_normal((side, side))
    masked = np.zeros((side, side), np.bool_)
    for column in rng.integers(8, side - 12, 3):
        masked[:, column : column + int(rng.integers(1, 4))] = True
    return tuple(_tile(light, masked, saturation, offset, placed) for offset in SKY_OFFSETS)


def _tile(
    light: DoubleArray, masked: npt.NDArray[np.bool_], saturation: float, offset: float, placed: list[Mock]
) -> Tile:
    pixels = np.minimum(light + offset * SKY_SIGMA, saturation).astype(np.float32)
    pixels[masked] = np.nan
    weight = np.where(masked, 0.0, SKY_SIGMA**-2).astype(np.float32)
    mocks = tuple(_window(mock, pixels, weight, saturation) for mock in placed)
    return Tile(pixels, weight, saturation, offset, mocks)


def _window(mock: Mock, pixels: FloatArray, weight: FloatArray, saturation: float) -> Mock:
    """Cut eight Petrosian radii, at least 128 px, out of the tile; less at its edges."""
    half = int(max(64.0, 4.0 * mock.true_rpet_px))
    top, left = (max(round(c) - half, 0) for c in (mock.y, mock.x))
    cut = np.s_[top : round(mock.y) + half, left : round(mock.x) + half]
    return replace(
        mock,
        pixels=pixels[cut].copy(),
        weight=weight[cut].copy(),
        noiseless=mock.noiseless[cut].copy(),
        saturation=saturation,
        x=mock.x - left,
        y=mock.y - top,
        true_x=mock.true_x - left,
        true_y=mock.true_y - top,
        parameters={**mock.parameters, "left": left, "top": top},
    )


def _placed(rng: Generator, psf: galsim.GSObject, side: int, galaxies: int) -> list[Mock]:
    """Place galaxies at least 0.8 of the sum of their Petrosian radii apart, up to the very edge."""
    placed: list[Mock] = []
    for _ in range(40 * galaxies):
        made = {"n": rng.uniform(0.5, 4.0), "re_px": _log_uniform(rng, 2.0, 8.0)}
        made |= {"q": rng.uniform(0.3, 1.0), "angle_deg": rng.uniform(0.0, 180.0)}
        x, y = rng.uniform(0.0, side - 1.0, 2)
        reach = 2.2 * np.hypot(made["re_px"], 0.5 * PSF_FWHM_PX)
        apart = (np.hypot(x - m.true_x, y - m.true_y) / (m.true_rpet_px + reach) for m in placed)
        if min(apart, default=9.0) > 0.8:
            placed.append(_placed_at(rng, psf, made, x, y, side))
        if len(placed) == galaxies:
            break
    return placed


def _placed_at(
    rng: Generator, psf: galsim.GSObject, made: dict[str, float], true_x: float, true_y: float, side: int
) -> Mock:
    light = smeared(sersic(**made), psf)
    half = int(4.0 * np.hypot(made["re_px"], PSF_FWHM_PX)) + 2
    truth = truth_of(drawn(light, (2 * half + 1, 2 * half + 1), half, half, _FINE), half, half)
    snr = _log_uniform(rng, 15.0, 200.0)
    bright = snr * SKY_SIGMA * np.sqrt(np.pi) * truth.rpet_px / truth.flux_inside(truth.rpet_px)
    x, y = _near(rng, true_x, true_y, 1.0)
    shape = made["q"], made["angle_deg"], snr
    noiseless = bright * drawn(light, (side, side), true_x, true_y)
    truth = replace(truth, flux=bright * truth.flux)
    whole = np.empty((0, 0), np.float32)
    return Mock(whole, x, y, true_x, true_y, truth, noiseless, *shape, has_neighbours=True, parameters=made)


def _stars(rng: Generator, psf: galsim.GSObject, side: int) -> DoubleArray:
    light = np.zeros((side, side))
    for flux in 10.0 ** rng.uniform(3.0, 5.0, 8):
        light += drawn(smeared(galsim.DeltaFunction(flux=flux), psf), (side, side), *rng.uniform(0.0, side - 1.0, 2))
    return light


def _gradient(rng: Generator, side: int) -> DoubleArray:
    """Return a sky that rises by two standard deviations of the noise across the tile, with a bend."""
    turn = rng.uniform(0.0, 2.0 * np.pi)
    at = np.linspace(-1.0, 1.0, side)
    along = np.cos(turn) * at[None, :] + np.sin(turn) * at[:, None]
    return np.asarray(SKY_SIGMA * (10.0 + along + 0.3 * along**2))


def _near(rng: Generator, x: float, y: float, farthest: float) -> tuple[float, float]:
    away, turn = farthest * np.sqrt(rng.uniform()), rng.uniform(0.0, 2.0 * np.pi)
    return x + away * np.cos(turn), y + away * np.sin(turn)


def _log_uniform(rng: Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
