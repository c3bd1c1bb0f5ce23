"""Pixels: windows of one image plane, read from disk without reading the plane.

Of uncompressed planes the rows of a window are read, 128 x 128 pixels in 0.2 ms: a file that was mapped into memory and
then cut short by somebody would end the process. Small ones are read as a whole. Tile-compressed planes (``.fz``) are
decompressed window by window at first, and once as a whole into a temporary file when many windows are asked
for, because row-wise tiles cost tens of milliseconds each; a process of its own does that, since the decoders
trust what they read.
"""

from __future__ import annotations

import math
import os
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
from typing import IO, Any, Protocol

import numpy as np
import numpy.typing as npt
from astropy.utils.exceptions import AstropyUserWarning

from galmorph.errors import ImageError
from galmorph.sky.boundary import reason_of
from galmorph.sky.cutout import FloatArray
from galmorph.sky.scratch import scratch_file
from galmorph.sky.tile_decoder import TileDecoder

__all__ = ["CompressedPixels", "Pixels", "PlainPixels", "Scaling", "damaged", "no_room", "quiet_headers"]

ROWS_BEFORE_DECOMPRESSING = 0.5
"""Rows in windows of a compressed plane that are read one by one, in heights of the plane, before the whole of it is
decompressed: most planes are compressed by rows, so that whoever reads a window decodes all columns of its rows."""

BYTES_READ_WHOLE = 1 << 24
"""Planes of up to this size are read as a whole: windows of them cost no calls, and 16 are open at once."""

MOST_DECOMPRESSED_BYTES = 1 << 36
"""Compressed planes beyond this are always read window by window."""

BYTES_READ_BETWEEN = 1 << 12
"""Rows of a window are read in one piece where no more lies between them: less than another call costs."""

BYTES_READ_AHEAD = 1 << 14
"""Of each row of a window that lies beside the last one so much is read, for those that come after it: blocks are read
from left to right, and a call costs as much as a few kilobytes do."""

# What is read last is kept unless it is so many times smaller than what was read before.
_SMALLER = 8

ROWS_AT_ONCE = 256
"""Rows decompressed in one step."""

_MAG_PER_E = 2.5 / math.log(10)
_SHORTER = "it has become shorter than its headers say"


class Pixels(Protocol):
    """An image plane of which windows can be read."""

    shape: tuple[int, int]
    scaling: Scaling

    def window(self, y0: int, y1: int, x0: int, x1: int) -> FloatArray:
        """Return ``[y0:y1, x0:x1]`` as native float32, NaN where there is no finite value."""

    def stored(self, y0: int, y1: int, x0: int, x1: int) -> npt.NDArray[Any]:
        """Return ``[y0:y1, x0:x1]`` as it is stored."""

    def points(self, y: npt.NDArray[np.intp], x: npt.NDArray[np.intp]) -> FloatArray:
        """Return single pixels, (N,)."""

    def close(self) -> None:
        """Let go of the file."""


@dataclass(frozen=True)
class Scaling:
    """How stored numbers become pixel values.

    That is ``bzero + bscale * stored``, linear in flux where `softening` says that it is not yet, times `factor`. What
    stands for no data becomes NaN.

    Parameters
    ----------
    bscale, bzero
        Of the header.
    blank
        The integer that stands for no data; None for none.
    softening
        ``(BOFFSET, BSOFTEN)`` of images that store an inverse hyperbolic sine: flux is ``BOFFSET + 2 BSOFTEN
        sinh(stored / 1.0857)`` (Pan-STARRS stacks: Waters et al. 2020, ApJS 251, 4); None for all others.
    factor
        A power of two that brings pixels into the range of single precision, which the inverse square of CGS fluxes
        leaves.
    no_data
        Values, as single precision holds them after the factor, that stand for no data.
    """

    bscale: float = 1.0
    bzero: float = 0.0
    blank: int | None = None
    softening: tuple[float, float] | None = None
    factor: float = 1.0
    no_data: tuple[float, ...] = ()

    def apply(self, stored: npt.NDArray[Any]) -> FloatArray:
        """Return the pixel values as native float32, NaN where there is no finite value; a copy."""
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            if self._is_plain:
                values = stored.astype(np.float32)
            else:
                values = (self.linear(stored) * self.factor).astype(np.float32)
        for value in self.no_data:
            values[values == np.float32(value)] = np.nan
        if self.blank is not None and stored.dtype.kind in "iu":
            values[stored == self.blank] = np.nan
        finite = np.isfinite(values)
        if not finite.all():
            values[~finite] = np.nan
        return values

    def linear(self, stored: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Return the flux that numbers store, in double precision and without the factor; blanks as they are."""
        values = stored * np.float64(self.bscale) + self.bzero
        if self.softening is None:
            return values
        offset, softening = self.softening
        return offset + 2.0 * softening * np.sinh(values / _MAG_PER_E)

    @cached_property
    def _is_plain(self) -> bool:
        return (self.bscale, self.bzero, self.factor, self.softening) == (1.0, 0.0, 1.0, None)


@dataclass(frozen=True)
class _Strip:
    """Stored numbers that were read last: those of `pixels`, (H, W), from a row and a column of the plane on."""

    y0: int
    x0: int
    pixels: npt.NDArray[Any]

    def holds(self, y0: int, y1: int, x0: int, x1: int) -> bool:
        """Tell whether a window lies in it."""
        height, width = self.pixels.shape
        return self.y0 <= y0 and y1 <= self.y0 + height and self.x0 <= x0 and x1 <= self.x0 + width

    def is_beside(self, y0: int, y1: int, x0: int) -> bool:
        """Tell whether a window of the same rows begins in it, or where it ends."""
        height, width = self.pixels.shape
        return (y0, y1) == (self.y0, self.y0 + height) and self.x0 < x0 <= self.x0 + width


class PlainPixels:
    """A plane of an uncompressed file: read as a whole where it is small, window by window where it is large.

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
    name
        Of the file, for messages.
    need
        Fetches ranges of bytes of a file that is not all here; None for one that is.

    Raises
    ------
    ImageError
        If the file ends before the plane does.
    """

    def __init__(
        self,
        file: IO[bytes],
        offset: int,
        shape: tuple[int, int],
        dtype: npt.DTypeLike,
        scaling: Scaling,
        name: str,
        need: Callable[[Sequence[tuple[int, int]]], None] | None = None,
    ) -> None:
        self.shape, self.scaling = shape, scaling
        self._name, self._offset, self._dtype, self._need = name, offset, np.dtype(dtype), need
        self._whole: npt.NDArray[Any] | None = None
        self._last: _Strip | None = None
        self._file = os.dup(file.fileno())
        size = shape[0] * shape[1] * self._dtype.itemsize
        try:
            if os.fstat(self._file).st_size < offset + size:
                raise damaged(name, _SHORTER)
            if size <= BYTES_READ_WHOLE:
                self._whole = self.stored(0, shape[0], 0, shape[1])
        except ImageError:
            self.close()
            raise

    def window(self, y0: int, y1: int, x0: int, x1: int) -> FloatArray:
        """Return ``[y0:y1, x0:x1]`` as native float32."""
        return self.scaling.apply(self.stored(y0, y1, x0, x1))

    def stored(self, y0: int, y1: int, x0: int, x1: int) -> npt.NDArray[Any]:
        """Return the numbers that are stored, ``[y0:y1, x0:x1]``.

        They are read row by row, or in one piece where little lies between.

        Raises
        ------
        ImageError
            If somebody has cut the file short.
        """
        if self._whole is not None:
            return self._whole[y0:y1, x0:x1]
        last = self._last  # other threads may read as well: each looks at one strip
        if last is not None and last.holds(y0, y1, x0, x1):
            return last.pixels[y0 - last.y0 : y1 - last.y0, x0 - last.x0 : x1 - last.x0]
        size, row = (x1 - x0) * self._dtype.itemsize, self.shape[1] * self._dtype.itemsize
        start = self._offset + y0 * row + x0 * self._dtype.itemsize
        if row - size <= BYTES_READ_BETWEEN:
            data = np.frombuffer(self._read(start, max((y1 - y0 - 1) * row + size, 0)), self._dtype)
            strides = (row, self._dtype.itemsize)
            return np.lib.stride_tricks.as_strided(data, (y1 - y0, x1 - x0), strides, writeable=False)
        if self._need is None and last is not None and last.is_beside(y0, y1, x0):
            size = min(max(size, BYTES_READ_AHEAD), row - x0 * self._dtype.itemsize)
        pixels = self._pieces(range(start, start + (y1 - y0) * row, row), size)
        if last is None or pixels.nbytes * _SMALLER > last.pixels.nbytes:
            # What is read for a single row does not take the place of what several blocks lie on.
            self._last = _Strip(y0, x0, pixels)
        return pixels[:, : x1 - x0]

    def points(self, y: npt.NDArray[np.intp], x: npt.NDArray[np.intp]) -> FloatArray:
        """Return single pixels, (N,)."""
        if self._whole is not None:
            return self.scaling.apply(self._whole[y, x])
        size = self._dtype.itemsize
        starts = (self._offset + (np.asarray(y, np.int64) * self.shape[1] + x) * size).tolist()
        return self.scaling.apply(self._pieces(starts, size).reshape(-1))

    def close(self) -> None:
        """Let go of the file; windows already read stay valid."""
        self._whole = self._last = None
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _pieces(self, starts: Sequence[int], size: int) -> npt.NDArray[Any]:
        """Read as many bytes from each of some places, (N, size / itemsize)."""
        if self._need is not None:
            self._need([(start, start + size) for start in starts])
        data = np.empty((len(starts), size), np.uint8)
        # Into their place at once: to join pieces takes three to ten times as long.
        places: Iterable[Any] = data
        if sum(map(os.preadv, repeat(self._file), zip(places), starts)) != data.size:
            raise damaged(self._name, _SHORTER)
        data.setflags(write=False)
        return data.view(self._dtype)

    def _read(self, start: int, size: int) -> bytearray:
        if self._need is not None:
            self._need([(start, start + size)])
        data = bytearray(size)
        view = memoryview(data)
        while view:  # one call reads no more than 2 GB
            count = os.preadv(self._file, [view], start)
            if count == 0:
                raise damaged(self._name, _SHORTER)
            view, start = view[count:], start + count
        return data


_DECODER = TileDecoder()


class CompressedPixels:
    """A tile-compressed plane.

    Parameters
    ----------
    name
        Name of the file, for messages.
    file
        Open file, closed with the plane.
    hdu, shape, leading
        Number of the HDU, rows and columns, and which plane of further axes.
    """

    def __init__(
        self,
        name: str,
        file: IO[bytes],
        hdu: int,
        shape: tuple[int, int],
        leading: tuple[int, ...],
        scaling: Scaling,
    ) -> None:
        self.shape, self.scaling = shape, scaling
        self._name, self._file, self._hdu, self._leading = name, file, hdu, leading
        self._number = _DECODER.number()
        self._rows_read = 0
        self._whole: PlainPixels | None = None
        self._is_damaged = shape[0] * shape[1] * 8 > MOST_DECOMPRESSED_BYTES

    def window(self, y0: int, y1: int, x0: int, x1: int) -> FloatArray:
        """Return ``[y0:y1, x0:x1]`` as native float32."""
        self._rows_read += y1 - y0
        return self.scaling.apply(self.stored(y0, y1, x0, x1))

    def stored(self, y0: int, y1: int, x0: int, x1: int) -> npt.NDArray[Any]:
        """Return ``[y0:y1, x0:x1]``, scaled by BSCALE and BZERO already."""
        often = self._rows_read > ROWS_BEFORE_DECOMPRESSING * self.shape[0]
        if often and (whole := self._decompressed()) is not None:
            return whole.stored(y0, y1, x0, x1)
        return self._read(y0, y1, x0, x1)

    def points(self, y: npt.NDArray[np.intp], x: npt.NDArray[np.intp]) -> FloatArray:
        """Return single pixels, (N,); NaN in tiles that are damaged."""
        if (whole := self._decompressed()) is not None:
            whole.scaling = self.scaling
            return whole.points(y, x)
        return np.array([self._point(row, column) for row, column in zip(y, x, strict=True)], np.float32)

    def close(self) -> None:
        """Let go of the file and of what was decompressed."""
        _DECODER.forget(self._number)
        self._file.close()
        if self._whole is not None:
            self._whole.close()

    def _point(self, row: int, column: int) -> float:
        try:
            return float(self.window(int(row), int(row) + 1, int(column), int(column) + 1)[0, 0])
        except ImageError:
            return np.nan

    def _read(self, y0: int, y1: int, x0: int, x1: int) -> npt.NDArray[Any]:
        try:
            return _DECODER.window(self._number, self._file, self._hdu, (*self._leading, (y0, y1), (x0, x1)))
        except ImageError as error:
            raise damaged(self._name, error) from error

    def _decompressed(self) -> PlainPixels | None:
        """Return the whole plane; None where a tile of it is damaged, and the others are read one by one."""
        if self._whole is None and not self._is_damaged:
            try:
                self._whole = self._decompress()
            except ImageError:
                self._is_damaged = True
            except OSError as error:
                raise no_room(self._name, error) from error
        return self._whole

    def _decompress(self) -> PlainPixels:
        rows, columns = self.shape
        with scratch_file() as file:
            for y0 in range(0, rows, ROWS_AT_ONCE):
                pixels = self._read(y0, min(y0 + ROWS_AT_ONCE, rows), 0, columns)
                file.write(pixels.tobytes())
            file.flush()
            return PlainPixels(file, 0, self.shape, pixels.dtype, Scaling(), self._name)


@contextmanager
def quiet_headers() -> Iterator[None]:
    """Silence what astropy says about odd header cards, which it mends or which nobody asks for."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=AstropyUserWarning, module=r"astropy\.io\.fits")
        yield


def damaged(name: str, error: Exception | str) -> ImageError:
    """Say that a file is not what it should be; the reason in one line."""
    reason = error if isinstance(error, str) else reason_of(error)
    return ImageError(f"image '{name}' is truncated or damaged ({reason}): fetch the file again")


def no_room(name: str, error: OSError) -> ImageError:
    """Say that an image could not be decompressed into the folder for temporary files."""
    return ImageError(
        f"image '{name}' cannot be decompressed ({error.strerror or error}): expected a sound file and room "
        f"in '{tempfile.gettempdir()}'; free some, name another folder in TMPDIR, or decompress it yourself"
    )
