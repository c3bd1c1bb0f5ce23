"""Setting: how a survey's field is simulated, from ``catalogs/mocks/*.toml`` and the survey's own file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from galmorph.errors import SurveyError, unknown_name
from galmorph.shipped import named_files, shipped
from galmorph.sky.survey import Band, Survey, load_survey
from galmorph.toml import build, others, read_file

__all__ = ["Conditions", "Population", "Setting", "read_setting"]


@dataclass(frozen=True)
class Population:
    """How bright, large and frequent the sources are.

    Parameters
    ----------
    mag_range
        Brightest and faintest AB magnitude of the catalogue, in the reference band.
    count_slope
        d log10(N) / d mag of the number counts.
    neighbours_per_row, neighbour_mags
        Uncatalogued faint sources per row, and by how many magnitudes they are fainter than the limit.
    r_e_arcsec, at_mag, r_e_slope, r_e_scatter_dex
        Median half-light semi-major axis of a disc at `at_mag`, its slope d log10(r_e) / d mag, its scatter.
    kinds
        Share of each kind among the rows.
    """

    mag_range: tuple[float, float]
    count_slope: float
    neighbours_per_row: float
    neighbour_mags: tuple[float, float]
    r_e_arcsec: float
    at_mag: float
    r_e_slope: float
    r_e_scatter_dex: float
    kinds: Mapping[str, float]

    def __post_init__(self) -> None:
        if not self.kinds or not all(share >= 0 for share in self.kinds.values()) or not self.r_e_arcsec > 0:
            raise SurveyError(
                f"kinds = {dict(self.kinds)}, r_e_arcsec = {self.r_e_arcsec}: expected positive shares and a radius"
            )


@dataclass(frozen=True)
class Conditions:
    """How one band is observed.

    Parameters
    ----------
    band
        The survey's band.
    sigma
        Noise of one pixel (1 sigma), in image units.
    electrons_per_unit
        For the photon noise of the sources.
    zero_point_ab
        AB magnitude of one image unit.
    """

    band: Band
    sigma: float
    electrons_per_unit: float
    zero_point_ab: float

    def flux(self, mag: float) -> float:
        """Return the flux of `mag` (AB) in image units."""
        return float(10 ** (0.4 * (self.zero_point_ab - mag)))


@dataclass(frozen=True)
class Setting:
    """Everything that fixes a simulated field but its rows and its seed.

    Parameters
    ----------
    survey
        Its name.
    bands
        One or three bands, from blue to red; the reference band is the middle one.
    psf
        ``space`` (diffraction by a mirror with a shadow and struts) or ``ground`` (Kolmogorov).
    correlation
        Weight of the adjacent pixel in drizzled noise; 0 for white noise.
    blue, red
        Colours in mag of the youngest and the oldest stars: bluer minus middle band, then middle
        minus redder band.
    """

    survey: str
    bands: tuple[Conditions, ...]
    ra_deg: float
    dec_deg: float
    rotation_deg: float
    rows_per_arcmin2: float
    psf: Literal["space", "ground"]
    correlation: float
    population: Population
    blue: tuple[float, float]
    red: tuple[float, float]

    @property
    def reference(self) -> Conditions:
        """The band whose magnitudes the catalogue gives."""
        return self.bands[len(self.bands) // 2]

    @property
    def scale_arcsec(self) -> float:
        """Pixel scale, the same in all bands."""
        return self.reference.band.scale_arcsec

    def colour_offset(self, band_index: int, tint: float) -> float:
        """Magnitude in a band minus that in the reference band, for light of `tint` (0 blue, 1 red)."""
        step = band_index - len(self.bands) // 2
        side = 0 if step < 0 else 1
        return -step * (self.blue[side] + tint * (self.red[side] - self.blue[side]))


@dataclass(frozen=True)
class _Sky:
    """The section ``[field]``: where the field lies, and what its images are like."""

    ra_deg: float
    dec_deg: float
    rotation_deg: float
    rows_per_arcmin2: float
    psf: Literal["space", "ground"]
    correlation: float

    def __post_init__(self) -> None:
        if not (self.rows_per_arcmin2 > 0 and abs(self.dec_deg) <= 90 and 0 <= self.correlation < 1):
            raise SurveyError(
                f"rows_per_arcmin2 = {self.rows_per_arcmin2}, dec_deg = {self.dec_deg}, correlation = "
                f"{self.correlation}: expected some rows, a declination, and a weight from 0 to less than 1"
            )


@dataclass(frozen=True)
class _Depth:
    """The section ``[depth]``: magnitude of the noise of a square arcsecond, in some bands and in all others."""

    default: float
    bands: Mapping[str, float] = others()


@dataclass(frozen=True)
class _ExposureTable:
    """The section ``[exposure]``."""

    electrons_at_mag20: float

    def __post_init__(self) -> None:
        if not self.electrons_at_mag20 > 0:
            raise SurveyError(f"electrons_at_mag20 = {self.electrons_at_mag20}, expected a positive number")


@dataclass(frozen=True)
class _Colour:
    """The section ``[colour]``."""

    blue: tuple[float, float]
    red: tuple[float, float]


@dataclass(frozen=True)
class _MockTable:
    """What a file of ``catalogs/mocks`` says."""

    field: _Sky
    depth: _Depth
    exposure: _ExposureTable
    population: Population
    colour: _Colour


def read_setting(survey_name: str, band: str) -> Setting:
    """Read how a field of a survey is simulated in a band, or in three.

    Parameters
    ----------
    survey_name
        Name or alias of a survey with a file in ``catalogs/mocks``.
    band
        A band; three one-letter bands from blue to red such as ``gri``; or ``RGB``, the survey's usual three.

    Raises
    ------
    SurveyError
        If the survey or a band does not exist or has no simulation; the message lists what exists.
    """
    observed = load_survey(survey_name)
    files = named_files(shipped("catalogs") / "mocks", ".toml")
    if observed.name not in files:
        raise SurveyError(unknown_name("simulated survey", observed.name, files))
    what = "file of a simulated survey"
    table = read_file(files[observed.name], what, SurveyError)
    file = build(_MockTable, table, f"{what} '{files[observed.name]}'", error=SurveyError)
    return _setting(observed, _bands(observed, band), file)


def _bands(observed: Survey, name: str) -> tuple[Band, ...]:
    if name.lower() == "rgb" and observed.colour is not None:
        return tuple(observed.band(each) for each in reversed(observed.colour.bands))
    spellings = {s.lower() for b in observed.bands for s in (b.name, *b.aliases)}
    if len(name) == 3 and name.lower() not in spellings and set(name.lower()) <= spellings:
        return tuple(observed.band(letter) for letter in name)
    return (observed.band(name),)


def _setting(observed: Survey, bands: tuple[Band, ...], file: _MockTable) -> Setting:
    depth = {observed.band(name).name: mag for name, mag in file.depth.bands.items()}
    rows = [_conditions(b, depth.get(b.name, file.depth.default), file.exposure.electrons_at_mag20) for b in bands]
    return Setting(
        survey=observed.name,
        bands=tuple(dataclasses.replace(c, band=_on_grid_of(bands[0], c.band)) for c in rows),
        ra_deg=file.field.ra_deg,
        dec_deg=file.field.dec_deg,
        rotation_deg=file.field.rotation_deg,
        rows_per_arcmin2=file.field.rows_per_arcmin2,
        psf=file.field.psf,
        correlation=file.field.correlation,
        population=file.population,
        blue=file.colour.blue,
        red=file.colour.red,
    )


def _conditions(band: Band, depth_mag_arcsec2: float, electrons_at_mag20: float) -> Conditions:
    noise_per_arcsec2 = 10 ** (0.4 * (band.zero_point_ab - depth_mag_arcsec2))
    return Conditions(
        band=band,
        sigma=float(noise_per_arcsec2 * band.scale_arcsec),  # noise grows as the side of an area
        electrons_per_unit=electrons_at_mag20 / 10 ** (0.4 * (band.zero_point_ab - 20)),
        zero_point_ab=band.zero_point_ab,
    )


def _on_grid_of(first: Band, band: Band) -> Band:
    return dataclasses.replace(band, scale_arcsec=first.scale_arcsec)
