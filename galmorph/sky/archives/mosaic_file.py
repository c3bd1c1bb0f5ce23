"""MosaicFile: the file of a mosaic at an archive, brought to the cache whole or with holes."""

from __future__ import annotations

import gzip
import io
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from astropy.io import fits

from galmorph.errors import ArchiveError, ImageError, NotFetchedError, OtherFileError, SurveyError
from galmorph.sky.boundary import boundary
from galmorph.sky.images.fitsplane import open_planes
from galmorph.sky.images.grid import SkyGrid, sky_grid
from galmorph.sky.remote import Cache, Client, PartialFile, PartialReader, fetch
from galmorph.sky.survey import Way

__all__ = ["check_mosaic", "is_compressed", "local_file", "rows_on", "twice", "whole_file"]

T = TypeVar("T")

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
    with _forgotten_if_other(url, cache):
        path = fetch(url, client, cache) if file is None else file.fetch_rest()
        if client.ledger is None:
            (_check_expands if url.endswith(".gz") else _check_sums)(url, path)
    return path


def twice(bring: Callable[[], T]) -> T:
    """Bring a file once more where it was not the one that was asked for: a page that says sorry passes.

    Raises
    ------
    OtherFileError
        If it is not the one again.
    """
    with suppress(OtherFileError):
        return bring()
    return bring()


def check_mosaic(url: str, path: str, check_grid: Callable[[SkyGrid], None], cache: Cache) -> None:
    """Refuse a file, which may have holes, that is no whole image, or lies elsewhere; it does not stay in the cache.

    Raises
    ------
    ArchiveError
        If so.
    """
    with _forgotten_if_other(url, cache):
        try:
            grids = [plane.grid for plane in open_planes(path, drop_sip=True)]
        except ImageError as error:
            raise _unreadable(url, str(error)) from error
        for grid in grids:
            if grid is not None:
                check_grid(grid)


@contextmanager
def _forgotten_if_other(url: str, cache: Cache) -> Iterator[None]:
    """Keep no file that is not the one that was asked for."""
    try:
        yield
    except OtherFileError:
        cache.remove(cache.entry(url))
        raise


def rows_on(
    url: str,
    ra_deg: npt.ArrayLike,
    dec_deg: npt.ArrayLike,
    check_grid: Callable[[SkyGrid], None],
    client: Client,
    cache: Cache,
) -> bool:
    """Tell whether some positions lie on a compressed mosaic, as its first bytes say; True where they do not say it.

    Raises
    ------
    ArchiveError
        If it cannot be had, or lies elsewhere.
    """
    if not url.endswith(".gz") or (file := _with_parts(url, client, cache)) is None:
        return True
    with _forgotten_if_other(url, cache), PartialReader(file) as reader:
        return _lie_on(url, reader.read(_HEAD_BYTES) or b"", ra_deg, dec_deg, check_grid)


def _lie_on(
    url: str, start: bytes, ra_deg: npt.ArrayLike, dec_deg: npt.ArrayLike, check_grid: Callable[[SkyGrid], None]
) -> bool:
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
        check_grid(grid)
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
        raise OtherFileError(f"{url} is damaged: its DATASUM is that of other pixels; try again, or tell the archive")


def _check_expands(url: str, path: Path) -> None:
    """Decompress a file, which compares the sum at its end.

    Raises
    ------
    ArchiveError
        If it is not sound.
    """
    with boundary(partial(_unreadable, url)), gzip.open(path) as file:
        start = file.read(_STEP_BYTES)
        while file.read(_STEP_BYTES):
            pass
    if not start.startswith(b"SIMPLE  ="):
        raise _unreadable(url, f"it begins with '{start[:9]!r:.20}'")


def _unreadable(url: str, reason: str) -> OtherFileError:
    return OtherFileError(f"{url} is no FITS file ({reason}): expected a mosaic; try again later")
