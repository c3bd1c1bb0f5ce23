"""FitsCutouts: images that a server cuts out about any position, as FITS.

The sky is divided into cells (:mod:`galmorph.sky.archives.cutout_grid`), and one cutout is asked for about the middle
of each cell that has rows: wide enough that the largest window about any row of the cell lies in it, and never wider
than what the server gives. Each is looked at, kept, and read like a file on disk.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from galmorph.errors import ArchiveError, SurveyError
from galmorph.sky.archives.cutout_file import CutoutFile, check_cutout
from galmorph.sky.archives.cutout_grid import CutoutGrid
from galmorph.sky.archives.partly_fetched import PartlyFetched
from galmorph.sky.archives.tile_archive import covered
from galmorph.sky.archives.zcut_files import zcut_files
from galmorph.sky.catalog import Catalog
from galmorph.sky.images.grid import are_on_sky
from galmorph.sky.images.opening import band_names, open_images
from galmorph.sky.images.source import ImageSource
from galmorph.sky.remote import Cache, Client, default_cache, fetch
from galmorph.sky.survey import CutoutArchive, Survey

__all__ = ["open_cutouts"]

log = logging.getLogger(__name__)

DoubleArray = npt.NDArray[np.float64]
Fetch = Callable[[float, float], Sequence[Path]]
"""Brings the files of a cell, one for each band or one for all, by right ascension and declination of its middle."""


def open_cutouts(
    survey: Survey,
    band: str,
    catalog: Catalog,
    *,
    client: Client | None = None,
    cache: Cache | None = None,
) -> ImageSource:
    """Open the cutouts in which the rows of a catalogue are, of one band or of the three of a colour picture.

    Parameters
    ----------
    survey, band
        Of which.
    catalog
        Rows with sky positions.
    client, cache
        Who asks, and where files are kept; by default a polite one and the user's cache.

    Raises
    ------
    ArchiveError
        If no cutout can be had.
    SurveyError
        If the survey has no such server, or no row has a position.
    """
    archive, names = _archive_of(survey), band_names(survey, band)
    client, cache = client or Client(), cache or default_cache()
    cells = _cells(survey, names[0], archive, catalog)
    kinds: dict[str, Callable[[], Fetch]] = {
        "query": lambda: partial(_queried, archive, names, client, cache),
        "zcut": lambda: zcut_files(survey, archive, names, client, cache),
    }
    fetched = _all_fetched(cells, kinds[archive.kind](), client.manners.connections)
    log.info("%d cutouts from %s", len(fetched.paths), archive.url)
    source = _opened(survey, band, names, archive, fetched)
    lost = np.isin(cells.of_row, list(fetched.failures))
    rows = cells.rows[lost]
    reason = next(iter(fetched.failures.values()), None)
    return PartlyFetched(
        source,
        catalog.ra_deg[rows],
        catalog.dec_deg[rows],
        "" if reason is None else str(reason),
        remarks=(f"cut out by {archive.url}, {archive.remark}",),
    )


@dataclass(frozen=True)
class _Cells:
    """Middles of the cells that have rows, (C,); the rows that are on the sky, (N,), and the cell of each, (N,)."""

    ra_deg: DoubleArray
    dec_deg: DoubleArray
    rows: npt.NDArray[np.intp]
    of_row: npt.NDArray[np.intp]


def _cells(survey: Survey, band: str, archive: CutoutArchive, catalog: Catalog) -> _Cells:
    on_sky = np.flatnonzero(are_on_sky(catalog.ra_deg, catalog.dec_deg))
    rows = on_sky[covered(survey, survey.band(band), catalog.ra_deg[on_sky], catalog.dec_deg[on_sky])]
    if not len(rows):
        raise SurveyError(
            f"no row has a position where survey '{survey.name}' has images: expected ICRS degrees; name the right "
            "columns with --ra and --dec, or give --image"
        )
    grid = CutoutGrid(archive.step_px * archive.scale_arcsec / 3600)
    cells, of_row = np.unique(grid.cells_of(catalog.ra_deg[rows], catalog.dec_deg[rows]), axis=0, return_inverse=True)
    return _Cells(*grid.middles(cells), rows, of_row.reshape(-1))


@dataclass(frozen=True)
class _Fetched:
    """The files of each cell that could be fetched, with titles, and why others could not, by the cells' numbers."""

    paths: dict[int, Sequence[Path]]
    failures: dict[int, ArchiveError]
    titles: list[str]


def _all_fetched(cells: _Cells, fetch_cell: Fetch, connections: int) -> _Fetched:
    def one(number: int) -> Sequence[Path] | ArchiveError:
        try:
            return fetch_cell(float(cells.ra_deg[number]), float(cells.dec_deg[number]))
        except ArchiveError as error:
            return error

    with ThreadPoolExecutor(connections) as pool:
        answers = dict(enumerate(pool.map(one, range(len(cells.ra_deg)))))
    failures = {number: answer for number, answer in answers.items() if isinstance(answer, ArchiveError)}
    paths = {number: answer for number, answer in answers.items() if not isinstance(answer, ArchiveError)}
    if failures and not paths:
        raise next(iter(failures.values()))
    if failures:
        first = next(iter(failures.values()))
        log.warning("%d of %d cutouts could not be fetched: %s", len(failures), len(answers), first)
    titles = [f"cutout {cells.ra_deg[number]:.6f}{cells.dec_deg[number]:+.6f}" for number in paths]
    return _Fetched(paths, failures, titles)


def _opened(survey: Survey, band: str, names: Sequence[str], archive: CutoutArchive, fetched: _Fetched) -> ImageSource:
    cells = list(fetched.paths.values())
    files = {name: [str(paths[n % len(paths)]) for paths in cells] for n, name in enumerate(names)}
    images = files if len(names) > 1 else files[names[0]]
    source = open_images(images, weight=images if archive.has_weights else (), survey=survey, band=band)
    if len(source.tile_names) == len(fetched.titles):  # files of the cache are all called alike
        source.tile_names[:] = fetched.titles
    return source


def _queried(
    archive: CutoutArchive, names: Sequence[str], client: Client, cache: Cache, ra_deg: float, dec_deg: float
) -> Sequence[Path]:
    """Fetch the cutout of all bands about a position."""
    url = archive.address(ra_deg, dec_deg, names)
    asked = CutoutFile(url, ra_deg, dec_deg, archive.tile_px, archive.scale_arcsec)
    usual_bytes = 4 * archive.tile_px**2 * len(names) * (2 if archive.has_weights else 1)
    return [fetch(url, client, cache, check=partial(check_cutout, asked), usual_bytes=usual_bytes)]


def _archive_of(survey: Survey) -> CutoutArchive:
    if survey.cutouts is None:
        raise SurveyError(f"survey '{survey.name}' has no server that cuts out images: give them with --image")
    return survey.cutouts
