"""Frames: the images of the SDSS, of which each is a field in one band.

In which fields the rows of a catalogue are is asked for once; then each frame is fetched once, however many rows lie in
it, and read like a file on disk.
"""

from __future__ import annotations

import bz2
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from astropy.table import Table

from galmorph.errors import ArchiveError, SurveyError
from galmorph.sky.archives.astroquery_services import check_astroquery, objects_of_frames
from galmorph.sky.archives.partly_fetched import PartlyFetched
from galmorph.sky.boundary import boundary
from galmorph.sky.catalog import Catalog
from galmorph.sky.images.grid import are_on_sky
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
    frames = _fetched(archive, names, _fields(objects), client, cache)
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


def _fields(objects: Table) -> list[Field]:
    return sorted({(run, rerun, camcol, field) for run, rerun, camcol, field in _rows(objects).tolist()})


@dataclass(frozen=True)
class _Frames:
    """Files of each field in the order of the bands; and which fields lack one, and why the first does."""

    paths: list[list[Path]]
    missing: set[Field]
    reason: str


def _fetched(
    archive: FrameArchive, bands: Sequence[str], fields: Sequence[Field], client: Client, cache: Cache
) -> _Frames:
    paths, failures = [], dict[Field, ArchiveError]()
    for field in fields:
        answers = [_frame(archive.address(band, *field), client, cache) for band in bands]
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


def _frame(url: str, client: Client, cache: Cache) -> Path | ArchiveError:
    try:
        return fetch(url, client, cache, check=partial(_check_frame, url))
    except ArchiveError as error:
        return error


def _check_frame(url: str, path: Path) -> None:
    """Refuse what is no whole FITS file, as far as that shows without looking into it."""
    first, size = b"", 0
    with (
        boundary(lambda reason: ArchiveError(f"{url} is no frame ({reason}): expected FITS; try again later")),
        bz2.open(path) if url.endswith(".bz2") else path.open("rb") as file,
    ):
        while piece := file.read(1 << 20):
            first, size = first or piece[:9], size + len(piece)
    if first != b"SIMPLE  =" or size % _BLOCK:
        raise ArchiveError(f"{url} is no frame ({size} bytes, '{first!r:.20}'): expected FITS; try again later")
