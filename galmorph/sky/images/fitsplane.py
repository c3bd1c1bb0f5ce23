"""FitsPlane: one image plane of a FITS file, plain or compressed, with its header and sky grid."""

from __future__ import annotations

import bz2
import dataclasses
import gzip
import itertools
import lzma
import os
import re
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from astropy.io import fits

from galmorph.errors import ImageError
from galmorph.sky.images.flux_units import CARDS
from galmorph.sky.images.grid import SkyGrid, sky_grid
from galmorph.sky.images.pixels import (
    CompressedPixels,
    MappedPixels,
    Pixels,
    Scaling,
    damaged,
    no_room,
    quiet_headers,
)

__all__ = ["FitsPlane", "open_plane", "split_extension"]

_DECOMPRESSORS: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
# Of each BITPIX; FITS is big-endian.
_DTYPES = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}


@dataclass(frozen=True, eq=False)
class FitsPlane:
    """One image plane of a FITS file.

    Parameters
    ----------
    name
        File name, with the HDU in brackets where one was asked for.
    path, hdu
        Where it is.
    shape
        Rows and columns.
    cards
        The cards of the header that calibrate the pixels; those of the primary HDU where the extension lacks
        them.
    grid
        Sky grid, or None without celestial WCS.
    """

    name: str
    path: Path
    hdu: int
    shape: tuple[int, int]
    cards: dict[str, Any]
    grid: SkyGrid | None
    _ready: list[Pixels] = dataclasses.field(default_factory=list, repr=False)

    def pixels(self) -> Pixels:
        """Open the plane for reading; the caller closes it."""
        if self._ready:
            return self._ready.pop()
        return self.pixels_of(*_opened(self.path, self.name))

    def pixels_of(self, hdus: fits.HDUList, file: IO[bytes]) -> Pixels:
        """Take the plane from its open file, which is closed here or with the plane."""
        hdu = hdus[self.hdu]
        if isinstance(hdu, fits.CompImageHDU):
            leading = hdu.header["NAXIS"] - 2
            close = partial(_close, hdus, file)
            return CompressedPixels(self.name, hdu.section, self.shape, leading, close=close)
        with file, hdus:
            header = hdu.header
            scaling = Scaling(header.get("BSCALE", 1.0), header.get("BZERO", 0.0), header.get("BLANK"))
            return MappedPixels(file, hdu.fileinfo()["datLoc"], self.shape, _DTYPES[header["BITPIX"]], scaling)

    def keep(self, pixels: Pixels) -> None:
        """Keep an open plane for the next call of :meth:`pixels`."""
        self._ready.append(pixels)

    def discard(self) -> None:
        """Close what was kept and not used."""
        while self._ready:
            self._ready.pop().close()


def split_extension(text: str) -> tuple[Path, int | str | None]:
    """Split ``image.fits[SCI]`` into the path and the HDU; a path that exists as it stands is left alone."""
    match = re.fullmatch(r"(.+)\[(\w+)\]", text)
    if match is None or Path(text).exists():
        return Path(text), None
    return Path(match[1]), int(match[2]) if match[2].isdigit() else match[2]


def open_plane(
    image: str | Path,
    *,
    hdu: int | str | None = None,
    prefer: Sequence[str] = ("SCI",),
    drop_sip: bool = False,
    keep_open: bool = False,
) -> FitsPlane:
    """Look into a FITS file and check that it has an image plane of full length.

    Parameters
    ----------
    image
        Path, with the HDU in brackets or not: ``image.fits[SCI]``.
    hdu
        Number or name of the HDU; by default the first image of two dimensions, if possible with one of the
        names in `prefer`. Further axes may have length one.
    drop_sip
        Ignore distortion terms (SIP) of the header.
    keep_open
        Keep the file open, so that a compressed one need not be decompressed again.

    Raises
    ------
    ImageError
        If the file is missing, truncated, not FITS, or has no such image.
    """
    path, extension = split_extension(str(image))
    name = Path(str(image)).name
    hdus, file = _opened(path, name)
    with ExitStack() as closing:
        closing.callback(_close, hdus, file)
        with _explained(name), quiet_headers():
            number = _choose(hdus, hdu if extension is None else extension, prefer, name)
        plane = _described(hdus, number, path, name, drop_sip=drop_sip)
        if keep_open:
            closing.pop_all()
            plane.keep(plane.pixels_of(hdus, file))
    return plane


def _close(hdus: fits.HDUList, file: IO[bytes]) -> None:
    hdus.close()
    file.close()


def _described(hdus: fits.HDUList, number: int, path: Path, name: str, *, drop_sip: bool) -> FitsPlane:
    header = hdus[number].header
    with _explained(name), quiet_headers():
        cards = {card: h[card] for card in CARDS for h in (hdus[0].header, header) if card in h}
        grid = sky_grid(header, _plane_shape(header), hdus, drop_sip=drop_sip, name=name)
    return FitsPlane(name, path, number, _plane_shape(header), cards, grid)


def _opened(path: Path, name: str) -> tuple[fits.HDUList, IO[bytes]]:
    """Open a FITS file of full length and read its headers; explain what is wrong with any other."""
    file = _plain_file(path, name)
    with ExitStack() as closing:
        closing.callback(file.close)
        with _explained(name), quiet_headers():
            hdus = fits.open(file, mode="readonly")
            _check_length(hdus, os.fstat(file.fileno()).st_size, name)
        closing.pop_all()
    return hdus, file


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turn what astropy raises for unreadable headers into an ImageError."""
    try:
        yield
    except ImageError:
        raise
    except (OSError, KeyError, ValueError, TypeError, fits.VerifyError) as error:
        reason = " ".join(str(error).split())
        raise ImageError(f"image '{name}' is not readable as FITS ({reason}): give a FITS image") from error


def _plain_file(path: Path, name: str) -> IO[bytes]:
    """Open a file; one compressed as a whole is decompressed into a temporary one, gone when closed."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise ImageError(f"image '{path}' cannot be opened ({error.strerror}): give an existing FITS file") from error
    start = file.read(6)
    file.seek(0)
    for magic, decompressor in _DECOMPRESSORS.items():
        if start.startswith(magic):
            with file:
                return _decompressed(decompressor(file), name)
    return file


def _decompressed(stream: IO[bytes], name: str) -> IO[bytes]:
    try:
        with tempfile.TemporaryFile(prefix="galmorph-") as plain:
            shutil.copyfileobj(stream, plain, 1 << 20)
            plain.seek(0)
            return os.fdopen(os.dup(plain.fileno()), "rb")  # astropy wants a file that cannot be written
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise no_room(name, error) from error
        raise damaged(name, error) from error


def _check_length(hdus: fits.HDUList, size: int, name: str) -> None:
    """Read all headers, one by one: a negative length in one would send astropy round in circles."""
    for hdu in _one_by_one(hdus):
        place = hdu.fileinfo() if hasattr(hdu, "fileinfo") else {"datLoc": 0, "datSpan": -1}
        if place["datSpan"] < 0:
            raise ImageError(f"image '{name}' has an HDU with a damaged header: fetch the file again")
        end = place["datLoc"] + _bytes_of(hdu, place["datSpan"])
        if end > size:
            raise ImageError(
                f"image '{name}' is truncated: expected {end} bytes by its headers, it has {size}; fetch the file again"
            )


def _one_by_one(hdus: fits.HDUList) -> Iterator[Any]:
    for number in itertools.count():
        try:
            hdu = hdus[number]
        except IndexError:
            return
        yield hdu


def _bytes_of(hdu: Any, padded: int) -> int:
    """Bytes of data in an HDU, without the padding that careless writers leave out."""
    if padded and hdu.is_image and not isinstance(hdu, fits.CompImageHDU):
        return int(hdu.size)
    return max(padded - 2879, 0)


def _choose(hdus: fits.HDUList, hdu: int | str | None, prefer: Sequence[str], name: str) -> int:
    planes = [n for n, h in enumerate(hdus) if h.is_image and _plane_shape(h.header) != (0, 0)]
    if hdu is not None:
        return _asked(hdus, hdu, planes, name)
    if not planes:
        raise ImageError(f"image '{name}' has no image of two dimensions in its {len(hdus)} HDUs: give another file")
    named = [n for wanted in prefer for n in planes if hdus[n].name == wanted]
    return (named or planes)[0]


def _asked(hdus: fits.HDUList, hdu: int | str, planes: list[int], name: str) -> int:
    try:
        number = hdus.index_of(hdu) if isinstance(hdu, str) else range(len(hdus))[hdu]
    except (KeyError, IndexError):
        number = -1
    if number not in planes:
        choices = ", ".join(f"{n} {hdus[n].name}".strip() for n in planes) or "none"
        raise ImageError(f"image '{name}' has no image of two dimensions in HDU '{hdu}': such are {choices}; name one")
    return number


def _plane_shape(header: fits.Header) -> tuple[int, int]:
    """Rows and columns; (0, 0) if this is not one plane."""
    axes = [header[f"NAXIS{n + 1}"] for n in range(header.get("NAXIS", 0))]
    if len(axes) < 2 or min(axes) < 1 or max(axes[2:], default=1) > 1:
        return 0, 0
    return axes[1], axes[0]
