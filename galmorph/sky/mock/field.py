"""MockField: a simulated field with its catalogue and its truth."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

from galmorph.errors import PipelineError
from galmorph.sky.formats.atomic import alone_in, check_target, make_folder, replacing
from galmorph.sky.mock.headers import image_header, tangent_wcs
from galmorph.sky.mock.population import MockSource, draw_neighbours, draw_rows
from galmorph.sky.mock.render import (
    NoiselessImage,
    add_noise,
    draw_noiseless,
    load_galsim,
    make_psf,
    paint,
    weight_map,
)
from galmorph.sky.mock.setting import Setting, read_setting
from galmorph.sky.mock.tables import table_hdus
from galmorph.sky.mock.truth import catalog_table, truth_table

__all__ = ["MockField", "check_field", "field_files", "simulate"]

Pixels = npt.NDArray[np.float32]

# Below, a stamp does not fit; above, a field does not fit into the memory of a usual machine.
_SMALLEST_SIDE_PX, _LARGEST_SIDE_PX = 32, 20_000
_MOST_ROWS = 1_000_000  # one on every 400 pixels of the largest field


@dataclass(frozen=True)
class MockField:
    """A simulated field.

    Parameters
    ----------
    images
        Band name as it was asked for to pixels, (H, W) float32, sky subtracted, in the survey's units.
    weights
        Inverse variance of the sky noise, (H, W) float32, for each band.
    headers
        FITS header for each band: WCS, zero point, PSF, and how the field was made.
    truth
        One row per catalogued source with everything known about it.
    catalog
        What an astronomer would have: ``id``, ``ra``, ``dec`` and ``mag`` with errors. Rows as in `truth`.
    """

    images: Mapping[str, Pixels]
    weights: Mapping[str, Pixels]
    headers: Mapping[str, fits.Header]
    truth: Table
    catalog: Table

    @property
    def wcs(self) -> WCS:
        """World coordinates, the same in all bands."""
        return WCS(next(iter(self.headers.values())))

    def write(self, folder: str | Path, *, overwrite: bool = False) -> list[Path]:
        """Write the field as FITS files.

        ``image.fits`` and ``weight.fits`` for one band, ``g.fits`` and ``g_weight.fits`` and so on for
        several; ``catalog.fits`` and ``truth.fits``. The same field always gives the same bytes.

        Parameters
        ----------
        folder
            Made if it does not exist.
        overwrite
            Replace files that exist.

        Returns
        -------
        list of Path
            What was written.

        Raises
        ------
        OutputError
            If a file exists and `overwrite` is false, or the folder cannot be written.
        """
        paths = self.files(folder)
        for path in paths:
            check_target(path, overwrite=overwrite, is_made=True)
        make_folder(Path(folder))
        with alone_in(Path(folder)):
            self._write(paths, overwrite=overwrite)
        return paths

    def files(self, folder: str | Path) -> list[Path]:
        """Name the files that :meth:`write` writes."""
        return field_files(folder, list(self.images))

    def _write(self, paths: list[Path], *, overwrite: bool) -> None:
        for path, hdus in zip(paths, self._files(), strict=True):
            with replacing(path, overwrite=overwrite) as temporary, temporary.open("wb") as stream:
                hdus.writeto(stream)

    def _files(self) -> Iterator[fits.HDUList]:
        """Make what goes into the files, in the order of :func:`field_files`."""
        for band, header in self.headers.items():
            kept = header.copy()
            yield _image_hdus(self.images[band], kept)
            kept["BUNIT"] = (f"({header['BUNIT']})**-2", "inverse variance of the sky noise")
            yield _image_hdus(self.weights[band], kept)
        yield table_hdus(self.catalog, "CATALOG")
        yield table_hdus(self.truth, "TRUTH")


def field_files(folder: str | Path, bands: Sequence[str]) -> list[Path]:
    """Name the files of a field: image and weight of each band, catalogue and truth."""
    alone = len(bands) == 1
    images = [("image", "weight") if alone else (band, f"{band}_weight") for band in bands]
    return [Path(folder) / f"{name}.fits" for name in (*(n for pair in images for n in pair), "catalog", "truth")]


def check_field(folder: str | Path, survey: str, band: str, *, overwrite: bool) -> None:
    """Refuse a folder into which the files of a field cannot be written, before it is simulated.

    Raises
    ------
    OutputError
        If one of them is there and may not be replaced, or the folder cannot be written.
    SurveyError
        If the survey or the band is not known.
    """
    for path in field_files(folder, field_bands(read_setting(survey, band), band)):
        check_target(path, overwrite=overwrite, is_made=True)


def field_bands(setting: Setting, band: str) -> list[str]:
    """Name the bands of a field as its files are called."""
    return [band] if len(setting.bands) == 1 else [each.band.name for each in setting.bands]


def simulate(
    survey: str,
    band: str,
    *,
    rows: int = 300,
    seed: int = 1,
    side_px: int | None = None,
    mag_range: tuple[float, float] | None = None,
) -> MockField:
    """Simulate a field of a survey with a catalogue and known truth.

    Bulges, discs, bulges with discs, spirals with arms and bars, edge-on discs, clumpy irregulars, mergers
    with tails and stars are drawn with the survey's number counts, sizes, pixel scale, PSF and depth, among
    faint neighbours that the catalogue does not list. The sources stand closer together than on the sky, so
    that the field is small.

    Parameters
    ----------
    survey
        Name of a survey with a file in ``catalogs/mocks``.
    band
        A band or alias such as ``H``; three bands from blue to red such as ``gri``; or ``RGB`` for the
        survey's usual three.
    rows
        Sources in the catalogue.
    seed
        The same seed gives the same field, to the last bit on one kind of machine.
    side_px
        Side of the square field in pixels; by default as large as the survey's density of sources asks for.
    mag_range
        Brightest and faintest AB magnitude of the catalogue in the (middle) band; the survey's by default.

    Raises
    ------
    SurveyError
        If the survey or the band is not known.
    PipelineError
        If GalSim is not installed or a setting is impossible.

    Examples
    --------
    >>> field = simulate("candels", "H", rows=3, side_px=100)
    >>> field.images["H"].shape, field.catalog.colnames
    ((100, 100), ['id', 'ra', 'dec', 'mag'])
    """
    setting = _with_mags(read_setting(survey, band), mag_range)
    _check(rows, seed, side_px)
    galsim = load_galsim()
    side = side_px or _side_px(setting, rows)
    names = field_bands(setting, band)
    field = _simulate(galsim, setting, names, rows=rows, seed=seed, side_px=side)
    command = f"galmorph simulate --survey {setting.survey} --band {band} --rows {rows} --seed {seed} --side {side}"
    _say_how(field, command if mag_range is None else f"{command} (AB magnitudes {mag_range})", seed)
    return field


def _with_mags(setting: Setting, mag_range: tuple[float, float] | None) -> Setting:
    if mag_range is None:
        return setting
    bright, faint = mag_range
    if not (math.isfinite(bright) and math.isfinite(faint) and bright < faint):
        raise PipelineError(
            f"magnitudes from {bright} to {faint}: expected a bright and a faint limit; give, say, 19 and 24"
        )
    population = dataclasses.replace(setting.population, mag_range=(float(bright), float(faint)))
    return dataclasses.replace(setting, population=population)


def _check(rows: int, seed: int, side_px: int | None) -> None:
    if not 1 <= rows <= _MOST_ROWS:
        raise PipelineError(f"{rows} rows: expected 1 to {_MOST_ROWS}; give --rows, or simulate several fields")
    if seed < 0:
        raise PipelineError(f"seed {seed}: expected 0 or more; give --seed")
    if side_px is not None and not _SMALLEST_SIDE_PX <= side_px <= _LARGEST_SIDE_PX:
        limits = f"{_SMALLEST_SIDE_PX} to {_LARGEST_SIDE_PX}"
        raise PipelineError(f"a side of {side_px} pixels: expected {limits}; give --side")


def _side_px(setting: Setting, rows: int) -> int:
    """Side that gives the setting's density of rows, rounded up to tens of pixels."""
    side = 60 * math.sqrt(rows / setting.rows_per_arcmin2) / setting.scale_arcsec
    return min(max(10 * math.ceil(side / 10), 100), _LARGEST_SIDE_PX)


@dataclass(frozen=True)
class _Exposure:
    """What one band gives; `alone` are the catalogued sources without noise."""

    pixels: Pixels
    weight: Pixels
    header: fits.Header
    alone: list[NoiselessImage]


def _simulate(galsim: Any, setting: Setting, names: list[str], *, rows: int, seed: int, side_px: int) -> MockField:
    streams = np.random.SeedSequence(seed).spawn(3 + len(names))
    of_rows, of_neighbours, of_catalog, *of_noise = (np.random.default_rng(s) for s in streams)
    people, scale = setting.population, setting.scale_arcsec
    sources = draw_rows(of_rows, people, rows=rows, side_px=side_px, scale_arcsec=scale)
    others = draw_neighbours(of_neighbours, people, rows=rows, side_px=side_px)
    wcs = tangent_wcs(setting, side_px)
    exposures = [
        _expose(galsim, setting, i, sources, others, wcs=wcs, side_px=side_px, rng=rng)
        for i, rng in enumerate(of_noise)
    ]
    truth = truth_table(setting, sources, exposures[len(names) // 2].alone, wcs)
    return MockField(
        images={name: each.pixels for name, each in zip(names, exposures, strict=True)},
        weights={name: each.weight for name, each in zip(names, exposures, strict=True)},
        headers={name: each.header for name, each in zip(names, exposures, strict=True)},
        truth=truth,
        catalog=catalog_table(of_catalog, truth),
    )


def _expose(
    galsim: Any,
    setting: Setting,
    band_index: int,
    sources: list[MockSource],
    others: list[MockSource],
    *,
    wcs: WCS,
    side_px: int,
    rng: np.random.Generator,
) -> _Exposure:
    """Draw all sources in one band and add the noise."""
    conditions = setting.bands[band_index]
    psf = make_psf(galsim, conditions, setting.psf)
    stamps = [draw_noiseless(galsim, each, setting, band_index, psf) for each in (*sources, *others)]
    sky = np.zeros((side_px, side_px))
    for stamp in stamps:
        paint(sky, stamp)
    weight = weight_map(setting, conditions, side_px)
    pixels = add_noise(rng, sky, weight, conditions, setting.correlation)
    return _Exposure(pixels, weight, image_header(wcs, conditions, psf, setting), stamps[: len(sources)])


def _say_how(field: MockField, command: str, seed: int) -> None:
    """Write into every header that the sky is simulated, and the command that repeats it."""
    for cards in (*field.headers.values(), field.truth.meta, field.catalog.meta):
        cards["SEED"] = seed
        cards["HISTORY"] = f"Simulated, not observed: {command}"


def _image_hdus(pixels: Pixels, header: fits.Header) -> fits.HDUList:
    return fits.HDUList([fits.PrimaryHDU(pixels, header)])
