"""Frames: the images of the SDSS, of which each is a field in one band.

In which fields the rows of a catalogue are is asked for once; then each frame is fetched once, however many rows lie in
it, and read like a file on disk.
"""

from __future__ import annotations

import bz2
import io
import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.io import fits
from astropy.table import Table

from galmorph.errors import ArchiveError, SurveyError
from galmorph.sky.archives.astroquery_services import check_astroquery, objects_of_frames
from galmorph.sky.archives.partly_fetched import PartlyFetched
from galmorph.sky.boundary import boundary
from galmorph.sky.catalog import Catalog
from galmorph.sky.images.grid import are_on_sky, sky_grid
from galmorph.sky.images.opening import band_names, open_images
from galmorph.sky.images.source import ImageSource
from galmorph.sky.remote import Cache, Client, default_cache, fetch
from galmorph.sky.survey import FrameArchive, Survey

__all__ = ["open_frames"]

log = logging.getLogger(__name__)

Field = tuple[int, int, int, int]
"""Run, rerun, camera column, number."""
_CELL_DEG = 0.005
"""Rows nearer to each other are asked for together: frames overlap by more."""
_BLOCK = 2880
_MOST_BYTES = 1 << 28
"""Of a frame, uncompressed: real ones have 12 MB."""
_NEAR_PX = 20
"""How far beyond its frame the middle of an object may lie: frames of a field differ by some pixels."""


def open_frames(
    survey: Survey, band: str, catalog: Catalog, *, client: Client | None = None, cache: Cache | None = None
) -> ImageSource:
    """Open the frames in which the rows of a catalogue are, of one band or of the three of a colour picture.

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
        If the fields are not told, or no frame can be had.
    SurveyError
        If the survey has no frames, or none where the rows are, or astroquery is not installed.
    """
    archive = _archive_of(survey)
    names = band_names(survey, band)
    client, cache = client or Client(), cache or default_cache()
    objects = _objects(archive, catalog, client, cache)
    if not len(objects):
        raise SurveyError(
            f"survey '{survey.name}' has no images where the rows are: expected ICRS degrees; name the right columns "
            "with --ra and --dec, or give --image"
        )
    frames = _fetched(archive, names, _places(objects), client, cache)
    images = {name: [str(paths[n]) for paths in frames.paths] for n, name in enumerate(names)}
    source = open_images(images if len(names) > 1 else images[names[0]], survey=survey, band=band)
    log.info("%d fields, each with %d frames, from %s", len(frames.paths), len(names), archive.url)
    if not frames.missing:
        return source
    lost = [tuple(row) in frames.missing for row in _rows(objects)]
    return PartlyFetched(source, objects["ra"][lost], objects["dec"][lost], frames.reason)


def _archive_of(survey: Survey) -> FrameArchive:
    if survey.frames is None:
        raise SurveyError(f"survey '{survey.name}' has no frames that can be fetched: give the images with --image")
    check_astroquery("finds the frames in which rows are")
    return survey.frames


def _objects(archive: FrameArchive, catalog: Catalog, client: Client, cache: Cache) -> Table:
    """Ask for the objects nearest to the rows, one for each small cell of the sky that has rows."""
    ra, dec = catalog.ra_deg % 360.0, catalog.dec_deg
    rows = np.flatnonzero(are_on_sky(ra, dec))
    if not len(rows):
        return Table({"ra": []})
    cells = np.stack([ra[rows] * np.cos(np.radians(dec[rows])), dec[rows]], axis=1) // _CELL_DEG
    _, first = np.unique(cells, axis=0, return_index=True)
    kept = rows[np.sort(first)]
    return objects_of_frames(archive, ra[kept], dec[kept], client, cache)


def _rows(objects: Table) -> npt.NDArray[np.int64]:
    columns = [np.asarray(objects[name], np.int64) for name in ("run", "rerun", "camcol", "field")]
    return np.stack(columns, axis=1)


def _places(objects: Table) -> dict[Field, tuple[float, float]]:
    """Return the fields, with the position of an object in each."""
    positions = zip(objects["ra"].tolist(), objects["dec"].tolist(), strict=True)
    places = {
        (run, rerun, camcol, field): place
        for (run, rerun, camcol, field), place in zip(_rows(objects).tolist(), positions, strict=True)
    }
    return dict(sorted(places.items()))


@dataclass(frozen=True)
class _Frames:
    """Files of each field in the order of the bands; and which fields lack one, and why the first does."""

    paths: list[list[Path]]
    missing: set[Field]
    reason: str


def _fetched(
    archive: FrameArchive,
    bands: Sequence[str],
    fields: Mapping[Field, tuple[float, float]],
    client: Client,
    cache: Cache,
) -> _Frames:
    paths, failures = [], dict[Field, ArchiveError]()
    for field, place in fields.items():
        answers = [_frame(archive.address(band, *field), place, client, cache) for band in bands]
        reasons = [answer for answer in answers if isinstance(answer, ArchiveError)]
        if reasons:
            failures[field] = reasons[0]
        else:
            paths.append([answer for answer in answers if isinstance(answer, Path)])
    reason = next(iter(failures.values()), None)
    if reason is not None and not paths:
        raise reason
    if reason is not None:
        log.warning("frames of %d of %d fields could not be fetched: %s", len(failures), len(fields), reason)
    return _Frames(paths, set(failures), str(reason))


def _frame(url: str, place: tuple[float, float], client: Client, cache: Cache) -> Path | ArchiveError:
    try:
        return fetch(url, client, cache, check=partial(_check_frame, url, place))
    except ArchiveError as error:
        return error


def _check_frame(url: str, place: tuple[float, float], path: Path) -> None:
    """Refuse what is no whole FITS file, shows nothing, or lies elsewhere than an object of its field."""
    header, pixels = _first_image(url, path)
    if np.ptp(pixels) == 0:
        raise ArchiveError(f"{url} is blank: expected an image; tell the archive")
    shape = pixels.shape[0], pixels.shape[1]
    with boundary(lambda reason: ArchiveError(f"{url} has no celestial WCS ({reason}): tell the archive")):
        grid, _ = sky_grid(header, shape, fits.HDUList(), drop_sip=True, name=url)
        x, y = (np.nan, np.nan) if grid is None else (float(axis[0]) for axis in grid.to_pixel(*place))
    if not (-_NEAR_PX <= x < shape[1] + _NEAR_PX and -_NEAR_PX <= y < shape[0] + _NEAR_PX):
        raise ArchiveError(
            f"{url} lies elsewhere: expected {place[0]:.6f} {place[1]:+.6f}, where its field has an object; tell the "
            "archive"
        )


def _first_image(url: str, path: Path) -> tuple[fits.Header, npt.NDArray[Any]]:
    """Return header and pixels of the first image of a frame, all of which is read."""
    content = bytearray()
    with (
        boundary(lambda reason: ArchiveError(f"{url} is no frame ({reason}): expected FITS; try again later")),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # of odd cards is spoken when the image is opened
        with bz2.open(path) if url.endswith(".bz2") else path.open("rb") as file:
            while (piece := file.read(1 << 20)) and len(content) <= _MOST_BYTES:
                content += piece
        if content[:9] == b"SIMPLE  =" and len(content) % _BLOCK == 0:
            with fits.open(io.BytesIO(content), memmap=False) as hdus:
                return hdus[0].header, np.atleast_2d(hdus[0].data)
    raise ArchiveError(
        f"{url} is no frame ({len(content)} bytes, '{bytes(content[:9])!r:.20}'): expected FITS; try again later"
    )
