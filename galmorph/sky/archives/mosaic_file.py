"""MosaicFile: the file of a mosaic at an archive, brought to the cache whole or with holes."""

from __future__ import annotations

import gzip
import io
import warnings
import zlib
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from astropy.io import fits

from galmorph.errors import ArchiveError, NotFetchedError, SurveyError
from galmorph.sky.boundary import boundary
from galmorph.sky.images.grid import sky_grid
from galmorph.sky.remote import Cache, Client, PartialFile, PartialReader, fetch
from galmorph.sky.survey import Way

__all__ = ["is_compressed", "local_file", "rows_on", "whole_file"]

_WHOLE_ONLY = (".gz", ".bz2", ".xz", ".fz")
"""Files that cannot be read in parts."""
_STEP_BYTES = 1 << 20
_HEAD_BYTES = 1 << 16
"""Of a compressed file, in which its first headers lie."""


def is_compressed(url: str) -> bool:
    """Tell whether a file cannot be read in parts."""
    return url.endswith(_WHOLE_ONLY)


def local_file(url: str, way: Way, client: Client, cache: Cache) -> str:
    """Return the file of a mosaic in the cache, whole or still with holes.

    Raises
    ------
    ArchiveError
        If it cannot be had.
    SurveyError
        If it cannot be read in parts, and nothing else is asked for.
    """
    if is_compressed(url):
        if way == "parts":
            raise SurveyError(f"{url} is compressed as a whole: it cannot be read in parts; leave --archive parts out")
        return str(whole_file(url, client, cache))
    file = PartialFile.open(url, client, cache)
    return str(whole_file(url, client, cache) if way == "whole" else file.path)


def whole_file(url: str, client: Client, cache: Cache) -> Path:
    """Download a mosaic, going on where another run stopped, and compare the checksums that stand in it.

    Raises
    ------
    ArchiveError
        If it cannot be had, or is damaged.
    """
    entry = cache.entry(url)
    if entry.is_whole:
        return entry.path
    file = _with_parts(url, client, cache)
    if client.ledger is not None and file is not None and is_compressed(url):
        file.fetch_rest()
        raise NotFetchedError(f"{url} is not fetched by a dry run: leave out --dry-run to have it")
    path = fetch(url, client, cache) if file is None else file.fetch_rest()
    if client.ledger is not None:
        return path
    try:
        (_check_expands if url.endswith(".gz") else _check_sums)(url, path)
    except ArchiveError:
        cache.remove(entry)
        raise
    return path


def rows_on(url: str, ra_deg: npt.ArrayLike, dec_deg: npt.ArrayLike, client: Client, cache: Cache) -> bool:
    """Tell whether some positions lie on a compressed mosaic, as its first bytes say; True where they do not say it.

    Raises
    ------
    ArchiveError
        If it cannot be had.
    """
    if not url.endswith(".gz") or (file := _with_parts(url, client, cache)) is None:
        return True
    with PartialReader(file) as reader:
        start = reader.read(_HEAD_BYTES) or b""
    try:
        return _lie_on(url, start, ra_deg, dec_deg)
    except ArchiveError:
        cache.remove(cache.entry(url))
        raise


def _lie_on(url: str, start: bytes, ra_deg: npt.ArrayLike, dec_deg: npt.ArrayLike) -> bool:
    """Tell whether some positions lie on the first image of a compressed file, of which the first bytes are here."""
    with boundary(partial(_unreadable, url)), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd cards is spoken when the image is opened
        stream = io.BytesIO(zlib.decompressobj(31).decompress(start))
        header = fits.Header.fromfile(stream)
        if header["NAXIS"] == 0:
            header = fits.Header.fromfile(stream)
        shape = int(header["NAXIS2"]), int(header["NAXIS1"])
        grid, _ = sky_grid(header, shape, fits.HDUList(), drop_sip=True, name=url)
        if grid is None:
            return True
        x, y = grid.to_pixel(np.atleast_1d(ra_deg), np.atleast_1d(dec_deg))
    with np.errstate(invalid="ignore"):
        return bool(((x >= -0.5) & (x < shape[1] - 0.5) & (y >= -0.5) & (y < shape[0] - 0.5)).any())


def _with_parts(url: str, client: Client, cache: Cache) -> PartialFile | None:
    """Return a file of a host that gives parts; None of one that does not, or has no such file, which others say."""
    try:
        return PartialFile.open(url, client, cache)
    except ArchiveError:
        return None


def _check_sums(url: str, path: Path) -> None:
    """Compare the sums of the data (DATASUM) that the headers of a file state.

    Raises
    ------
    ArchiveError
        If one differs.
    """
    with boundary(partial(_unreadable, url)), fits.open(path, memmap=True) as hdus:
        damaged = any("DATASUM" in hdu.header and hdu.verify_datasum() == 0 for hdu in hdus)
    if damaged:
        raise ArchiveError(f"{url} is damaged: its DATASUM is that of other pixels; try again, or tell the archive")


def _check_expands(url: str, path: Path) -> None:
    """Decompress a file, which compares the sum at its end.

    Raises
    ------
    ArchiveError
        If it is not sound.
    """
    with boundary(partial(_unreadable, url)), gzip.open(path) as file:
        while file.read(_STEP_BYTES):
            pass


def _unreadable(url: str, reason: str) -> ArchiveError:
    return ArchiveError(f"{url} is no FITS file ({reason}): expected a mosaic; try again later")
