"""Pixels: windows of one image plane, read from disk without reading the plane.

Uncompressed planes are mapped into memory: a window of 128 x 128 pixels costs 0.02 ms, and pages are given
back, so that memory stays constant. Tile-compressed planes (``.fz``) are decompressed window by window at
first, and once as a whole into a temporary file when many windows are asked for, because row-wise tiles cost
tens of milliseconds each.
"""

from __future__ import annotations

import mmap
import tempfile
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, Protocol

import numpy as np
import numpy.typing as npt
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning

from galmorph.errors import ImageError
from galmorph.sky.cutout import FloatArray

__all__ = ["CompressedPixels", "MappedPixels", "Pixels", "Scaling", "damaged", "no_room", "quiet_headers"]

WINDOWS_BEFORE_DECOMPRESSING = 200
"""Compressed windows read one by one, before the whole plane is decompressed (row tiles: at about 240)."""

BYTES_BEFORE_RELEASE = 1 << 26
"""Bytes of a mapped file in use before they are given back to the system."""

FAULT_BYTES = 1 << 16
"""What the system maps around each byte that is touched."""

ROWS_AT_ONCE = 256
"""Rows decompressed in one step."""


class Pixels(Protocol):
    """An image plane of which windows can be read."""

    shape: tuple[int, int]

    def window(self, y0: int, y1: int, x0: int, x1: int) -> FloatArray:
        """Return ``[y0:y1, x0:x1]`` as native float32, NaN where there is no finite value."""

    def points(self, y: npt.NDArray[np.intp], x: npt.NDArray[np.intp]) -> FloatArray:
        """Return single pixels, (N,)."""

    def close(self) -> None:
        """Let go of the file."""


@dataclass(frozen=True)
class Scaling:
    """How stored numbers become pixel values: ``bzero + bscale * stored``, stored ``blank`` means no data."""

    bscale: float = 1.0
    bzero: float = 0.0
    blank: int | None = None

    def apply(self, stored: npt.NDArray[Any]) -> FloatArray:
        """Return the pixel values as native float32, NaN where there is no finite value; a copy."""
        with np.errstate(over="ignore", invalid="ignore"):
            values = stored.astype(np.float32)
            if (self.bscale, self.bzero) != (1.0, 0.0):
                values = (stored * np.float64(self.bscale) + self.bzero).astype(np.float32)
        if self.blank is not None and stored.dtype.kind in "iu":
            values[stored == self.blank] = np.nan
        values[~np.isfinite(values)] = np.nan
        return values


class MappedPixels:
    """A plane mapped from an uncompressed file.

    Parameters
    ----------
    file
        Open file; it may be closed afterwards.
    offset
        Byte at which the plane begins.
    shape
        Rows and columns.
    dtype
        Type of the stored numbers.
    """

    def __init__(
        self, file: IO[bytes], offset: int, shape: tuple[int, int], dtype: npt.DTypeLike, scaling: Scaling
    ) -> None:
        self.shape = shape
        self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._plane: npt.NDArray[Any] = np.ndarray(shape, dtype, buffer=self._map, offset=offset)
        self._scaling = scaling
        self._in_use = 0

    def window(self, y0: int, y1: int, x0: int, x1: int) -> FloatArray:
        """Return ``[y0:y1, x0:x1]`` as native float32."""
        values = self._scaling.apply(self._plane[y0:y1, x0:x1])
        self._release((y1 - y0) * ((x1 - x0) * self._plane.itemsize + FAULT_BYTES))
        return values

    def points(self, y: npt.NDArray[np.intp], x: npt.NDArray[np.intp]) -> FloatArray:
        """Return single pixels, (N,)."""
        values = self._scaling.apply(self._plane[y, x])
        self._release(len(y) * FAULT_BYTES)
        return values

    def close(self) -> None:
        """Let go of the file; windows already read stay valid."""
        self._plane = np.empty((0, 0))
        self._map.close()

    def _release(self, touched: int) -> None:
        """Give the pages back when many are in use, so that memory does not grow with the image."""
        self._in_use += touched
        if self._in_use > BYTES_BEFORE_RELEASE and hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)
            self._in_use = 0


class CompressedPixels:
    """A tile-compressed plane.

    Parameters
    ----------
    name
        Name of the file, for messages.
    section
        What astropy gives for windows of a compressed HDU: it knows scaling and blanks, which fitsio leaves
        in integer images, and is no slower.
    shape
        Rows and columns.
    leading
        Number of axes of length one before them.
    close
        Called when the plane is closed.
    """

    def __init__(
        self, name: str, section: Any, shape: tuple[int, int], leading: int, close: Callable[[], object]
    ) -> None:
        self.shape = shape
        self._name = name
        self._section = section
        self._first = (0,) * leading
        self._close_file = close
        self._windows = 0
        self._whole: MappedPixels | None = None

    def window(self, y0: int, y1: int, x0: int, x1: int) -> FloatArray:
        """Return ``[y0:y1, x0:x1]`` as native float32."""
        self._windows += 1
        if self._windows > WINDOWS_BEFORE_DECOMPRESSING:
            return self._decompressed().window(y0, y1, x0, x1)
        return self._read(y0, y1, x0, x1)

    def points(self, y: npt.NDArray[np.intp], x: npt.NDArray[np.intp]) -> FloatArray:
        """Return single pixels, (N,)."""
        return self._decompressed().points(y, x)

    def close(self) -> None:
        """Let go of the file and of what was decompressed."""
        self._close_file()
        if self._whole is not None:
            self._whole.close()

    def _read(self, y0: int, y1: int, x0: int, x1: int) -> FloatArray:
        try:
            with quiet_headers():
                window = self._section[(*self._first, slice(y0, y1), slice(x0, x1))]
        except (OSError, KeyError, ValueError, TypeError, fits.VerifyError, zlib.error) as error:
            raise damaged(self._name, error) from error
        return Scaling().apply(np.asarray(window))

    def _decompressed(self) -> MappedPixels:
        if self._whole is None:
            try:
                self._whole = self._decompress()
            except OSError as error:
                raise no_room(self._name, error) from error
        return self._whole

    def _decompress(self) -> MappedPixels:
        rows, columns = self.shape
        with tempfile.TemporaryFile(prefix="galmorph-") as file:
            for y0 in range(0, rows, ROWS_AT_ONCE):
                file.write(self._read(y0, min(y0 + ROWS_AT_ONCE, rows), 0, columns).tobytes())
            file.flush()
            return MappedPixels(file, 0, self.shape, np.float32, Scaling())


@contextmanager
def quiet_headers() -> Iterator[None]:
    """Silence what astropy says about odd header cards, which it mends or which nobody asks for."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=AstropyUserWarning, module=r"astropy\.io\.fits")
        yield


def damaged(name: str, error: Exception) -> ImageError:
    """Say that a file is not what it should be; the reason in one line."""
    reason = " ".join(str(error).split()) or type(error).__name__
    return ImageError(f"image '{name}' is truncated or damaged ({reason}): fetch the file again")


def no_room(name: str, error: OSError) -> ImageError:
    """Say that an image could not be decompressed into the folder for temporary files."""
    return ImageError(
        f"image '{name}' cannot be decompressed ({error.strerror or error}): expected a sound file and room "
        f"in '{tempfile.gettempdir()}'; free some, name another folder in TMPDIR, or decompress it yourself"
    )
