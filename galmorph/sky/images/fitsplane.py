"""FitsPlane: one image plane of a FITS file, plain or compressed, with its header and sky grid."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from astropy.io import fits

from galmorph.errors import ImageError
from galmorph.sky.boundary import boundary
from galmorph.sky.images.extension import (
    Extension,
    Place,
    chosen,
    extensions_of,
    plane_named,
    split_extension,
    text_card,
)
from galmorph.sky.images.flux_units import CARDS, softening_of
from galmorph.sky.images.grid import SkyGrid, sky_grid
from galmorph.sky.images.map_roles import Role
from galmorph.sky.images.pixels import BYTES_READ_WHOLE, CompressedPixels, Pixels, PlainPixels, Scaling, quiet_headers
from galmorph.sky.images.plain_file import open_again, plain_file
from galmorph.sky.images.structure import check_structure
from galmorph.sky.remote import partial_at

__all__ = ["FitsPlane", "open_planes", "path_and_place"]

# Of each BITPIX; FITS is big-endian.
_DTYPES = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}


@dataclass(frozen=True)
class Storage:
    """Where the numbers of a plane lie in its file.

    Parameters
    ----------
    offset, dtype
        First byte and type; of a compressed plane they mean nothing.
    scaling
        How they become pixel values; of a compressed plane its reader has applied BSCALE, BZERO and BLANK.
    leading
        Which plane of the further axes, slowest first.
    is_compressed
        Whether it lies in compressed tiles.
    """

    offset: int
    dtype: str
    scaling: Scaling
    leading: tuple[int, ...]
    is_compressed: bool


@dataclass(frozen=True, eq=False)
class FitsPlane:
    """One image plane of a FITS file.

    Parameters
    ----------
    name
        File name, with the HDU in brackets where one was asked for or the file has several.
    path, hdu, version, plane
        Where it is: file, HDU, its EXTVER, and plane of a cube or None.
    shape
        Rows and columns.
    cards
        The cards of the header that calibrate the pixels; those of the primary HDU where the extension lacks
        them.
    grid
        Sky grid, or None without celestial WCS.
    storage
        Where its numbers lie.
    remarks
        What of the header was not taken as it stands.
    """

    name: str
    path: Path
    hdu: int
    version: int
    plane: int | None
    shape: tuple[int, int]
    cards: dict[str, Any]
    grid: SkyGrid | None
    storage: Storage
    remarks: tuple[str, ...] = ()
    _ready: list[Pixels] = dataclasses.field(default_factory=list, repr=False)

    def pixels(self) -> Pixels:
        """Open the plane for reading; the caller closes it.

        Raises
        ------
        ImageError
            If the file is gone or shorter than it was.
        """
        if self._ready:
            return self._ready.pop()
        return self.pixels_of(plain_file(self.path, self.name))

    def pixels_of(self, file: IO[bytes]) -> Pixels:
        """Take the plane from its open file, which is closed here or with the plane."""
        where, partial = self.storage, partial_at(self.path)
        if where.is_compressed:
            if partial is not None:
                partial.fetch_rest()
            return CompressedPixels(self.name, file, self.hdu, self.shape, where.leading, where.scaling)
        with file:
            need = None if partial is None else partial.need_all
            return PlainPixels(file, where.offset, self.shape, where.dtype, where.scaling, self.name, need)

    @property
    def is_here(self) -> bool:
        """Whether all of it is on this machine."""
        return partial_at(self.path) is None

    def fetch(self, windows: Sequence[tuple[int, int, int, int]]) -> None:
        """Fetch what of windows ``(y0, y1, x0, x1)`` is not on this machine.

        Raises
        ------
        ArchiveError
            If it cannot be had.
        """
        file = partial_at(self.path)
        if file is not None and not self.storage.is_compressed:
            file.need_all([span for window in windows for span in self.bytes_of(*window)])

    def bytes_of(self, y0: int, y1: int, x0: int, x1: int) -> list[tuple[int, int]]:
        """Return in which bytes of the file the rows of ``[y0:y1, x0:x1]`` lie; all of a plane that is read whole."""
        item = np.dtype(self.storage.dtype).itemsize
        size, offset = self.shape[0] * self.shape[1] * item, self.storage.offset
        if size <= BYTES_READ_WHOLE:
            return [(offset, offset + size)]
        starts = [offset + (y * self.shape[1] + x0) * item for y in range(y0, y1)]
        return [(start, start + (x1 - x0) * item) for start in starts]

    def keep(self, pixels: Pixels) -> None:
        """Keep an open plane for the next call of :meth:`pixels`."""
        self._ready.append(pixels)

    def discard(self) -> None:
        """Close what was kept and not used."""
        while self._ready:
            self._ready.pop().close()

    def is_same(self, other: FitsPlane) -> bool:
        """Tell whether another has the very same pixels."""
        return (self.hdu, self.plane) == (other.hdu, other.plane) and self.path.samefile(other.path)


def path_and_place(text: str) -> tuple[Path, Place | None]:
    """Split ``image.fits[SCI]`` into the path and the HDU; a path that exists as it stands is left alone."""
    path, place = split_extension(text)
    if place is None or Path(text).exists():
        return Path(text), None
    return Path(path), place


def open_planes(
    image: str | Path,
    role: Role = "image",
    *,
    hdu: Place | None = None,
    band: Sequence[str] = (),
    drop_sip: bool = False,
    keep_open: bool = False,
) -> list[FitsPlane]:
    """Look into a FITS file and check that it has image planes of full length.

    Parameters
    ----------
    image
        Path, with the HDU in brackets or not: ``image.fits[SCI]``, ``image.fits[SCI,2]``.
    role
        What is looked for: an image, or a map that goes with one.
    hdu
        Number or name of the HDU; by default all of the role: of images those called ``SCI`` or another name of
        images, or else those that have no name of a map.
    band
        Spellings of the band, which choose among the planes of a cube.
    drop_sip
        Ignore distortion terms (SIP) of the header.
    keep_open
        Keep the file open, so that a compressed one need not be decompressed again.

    Raises
    ------
    ImageError
        If the file is missing, truncated, not FITS, or has no such image.
    """
    path, place = path_and_place(str(image))
    name = Path(str(image)).name
    file = plain_file(path, name)
    with ExitStack() as closing:
        closing.callback(file.close)
        check_structure(file, name)
        with boundary(partial(_unreadable, name)), quiet_headers():
            hdus = closing.enter_context(fits.open(file, mode="readonly", memmap=False, ignore_missing_simple=False))
            extensions = chosen(extensions_of(hdus), role, hdu if place is None else place, name)
            planes = [_described(hdus, e, path, _title(name, e, extensions), band, drop_sip) for e in extensions]
        if keep_open:
            _keep(planes, file)
    return planes


def _keep(planes: list[FitsPlane], file: IO[bytes]) -> None:
    with ExitStack() as undo:
        for plane in planes:
            stream = open_again(file)
            undo.callback(stream.close)
            plane.keep(plane.pixels_of(stream))
        undo.pop_all()


def _title(name: str, each: Extension, chosen_ones: list[Extension]) -> str:
    """Return the name of a plane, which is that of the file unless it has several."""
    return name if len(chosen_ones) == 1 else f"{name}[{each.place}]"


def _unreadable(name: str, reason: str) -> ImageError:
    return ImageError(f"image '{name}' is not readable as FITS ({reason}): give a FITS image")


def _described(
    hdus: fits.HDUList, each: Extension, path: Path, name: str, band: Sequence[str], drop_sip: bool
) -> FitsPlane:
    headers = (hdus[0].header, each.header)
    cards = {card: text_card(header, card) for card in CARDS for header in headers if card in header}
    inherits = hdus[0].header.get("NAXIS", 0) == 0 and text_card(each.header, "INHERIT") is not False
    plane = plane_named(each, band, name)
    grid, remarks = sky_grid(
        each.header,
        each.shape,
        hdus,
        primary=hdus[0].header if inherits and each.number > 0 else None,
        drop_sip=drop_sip,
        name=name,
    )
    storage = _storage(hdus[each.number], plane, softening_of(cards))
    return FitsPlane(name, path, each.number, each.version, plane, each.shape, cards, grid, storage, remarks)


def _storage(hdu: Any, plane: int | None, softening: tuple[float, float] | None) -> Storage:
    header = hdu.header
    further = [header[f"NAXIS{n}"] for n in range(header["NAXIS"], 2, -1)]
    leading = tuple(int(n) for n in np.unravel_index(plane or 0, further)) if further else ()
    if isinstance(hdu, fits.CompImageHDU):
        return Storage(0, "", Scaling(softening=softening), leading, is_compressed=True)
    dtype = _DTYPES[header["BITPIX"]]
    skipped = (plane or 0) * header["NAXIS1"] * header["NAXIS2"] * abs(header["BITPIX"]) // 8
    scaling = Scaling(
        float(header.get("BSCALE", 1.0)),
        float(header.get("BZERO", 0.0)),
        None if header.get("BLANK") is None else int(header["BLANK"]),
        softening,
    )
    return Storage(hdu.fileinfo()["datLoc"] + skipped, dtype, scaling, leading, is_compressed=False)
