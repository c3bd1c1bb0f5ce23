"""TileDecoder: a second process that decodes compressed tiles of FITS files, so that a crash there costs one window.

The decoders of astropy are compiled and take much of a file on trust: bytes that are damaged in the wrong place end the
process that decodes them. Here that is a process of its own, which gets open files and ranges, and answers with pixels;
if it dies, the window fails and the next request starts another.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import itertools
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import warnings
from collections.abc import Sequence
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from astropy.io import fits

from galmorph.errors import ImageError
from galmorph.sky.boundary import boundary

__all__ = ["TileDecoder", "decoded", "serve"]

_LENGTH = struct.Struct("<Q")
_MOST_TEXT = 1 << 24  # bytes of a request or the head of an answer
_SECONDS = 600.0
"""Longest wait for a window: whole mosaics of one tile take a minute."""


class TileDecoder:
    """The process, started on first use and again after a crash; used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._inherited: list[tuple[subprocess.Popen[bytes] | None, socket.socket | None]] = []
        self._socket: socket.socket | None = None
        self._owner = 0
        self._sent: set[int] = set()
        self._numbers = itertools.count()
        atexit.register(self._stop)

    def number(self) -> int:
        """Return a number for a file, by which :meth:`window` knows it again."""
        return next(self._numbers)

    def window(
        self, number: int, file: IO[bytes], hdu: int, index: tuple[int | tuple[int, int], ...]
    ) -> npt.NDArray[Any]:
        """Decode a window of an image HDU.

        Parameters
        ----------
        number, file
            The file, and its number.
        hdu
            Number of the HDU.
        index
            For each axis a number, or a range ``(from, to)``.

        Raises
        ------
        ImageError
            If the bytes are damaged.
        """
        with self._lock:
            try:
                self._start()
                return self._ask(number, file, hdu, index)
            except (OSError, EOFError, struct.error) as error:
                self._stop()
                raise ImageError("its compressed tiles crash their decoder") from error

    def forget(self, number: int) -> None:
        """Close a file in the process."""
        with self._lock:
            if number in self._sent and self._owner == os.getpid() and self._socket is not None:
                self._sent.discard(number)
                with contextlib.suppress(OSError):
                    _send(self._socket, json.dumps({"close": number}).encode())

    def _start(self) -> None:
        if self._owner == os.getpid() and self._process is not None:
            return
        # A forked process must not talk to its parent's decoder, nor let go of it: Python would say that it still runs.
        self._inherited.append((self._process, self._socket))
        ours, theirs = socket.socketpair()
        ours.settimeout(_SECONDS)
        code = f"import sys; sys.path[:] = {sys.path!r}; from galmorph.sky.tile_decoder import serve; serve({{}})"
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - ourselves
                [sys.executable, "-c", code.format(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        self._socket, self._owner, self._sent = ours, os.getpid(), set()

    def _stop(self) -> None:
        """End the process; a forked process leaves that of its parent alone."""
        if self._owner != os.getpid():
            return
        if self._socket is not None:
            self._socket.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = self._socket = None

    def _ask(
        self, number: int, file: IO[bytes], hdu: int, index: tuple[int | tuple[int, int], ...]
    ) -> npt.NDArray[Any]:
        if self._socket is None:
            raise EOFError("not running")
        if number not in self._sent:
            _send(self._socket, json.dumps({"open": number}).encode())
            socket.send_fds(self._socket, [b"f"], [file.fileno()])
            self._sent.add(number)
        _send(self._socket, json.dumps({"window": number, "hdu": hdu, "index": index}).encode())
        answer = json.loads(_received(self._socket, _MOST_TEXT))
        if "error" in answer:
            raise ImageError(str(answer["error"]))
        shape = tuple(int(n) for n in answer["shape"])
        return np.frombuffer(_received(self._socket), np.dtype(str(answer["dtype"]))).reshape(shape)


def _send(channel: socket.socket, message: bytes | memoryview) -> None:
    channel.sendall(_LENGTH.pack(len(message)))
    channel.sendall(message)


def _received(channel: socket.socket, most: int = 1 << 40) -> bytearray:
    (length,) = _LENGTH.unpack(_exactly(channel, _LENGTH.size))
    if length > most:
        raise EOFError("a message of impossible length")
    return _exactly(channel, length)


def _exactly(channel: socket.socket, length: int) -> bytearray:
    data = bytearray(length)
    view = memoryview(data)
    while view:
        count = channel.recv_into(view)
        if count == 0:
            raise EOFError("the other side is gone")
        view = view[count:]
    return data


class _Handed(io.RawIOBase):
    """A file of which another process has a handle too: read without the position that both would share."""

    def __init__(self, handle: int) -> None:
        self._handle, self._position = handle, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = 0) -> int:
        start = (0, self._position, os.fstat(self._handle).st_size)[whence]
        self._position = start + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        count = os.preadv(self._handle, [buffer], self._position)
        self._position += count
        return count

    def close(self) -> None:
        if not self.closed:
            os.close(self._handle)
        super().close()


def serve(handle: int) -> None:
    """Answer requests until the other side is gone; the main function of the process."""
    channel = socket.socket(fileno=handle)
    files: dict[int, fits.HDUList] = {}
    warnings.simplefilter("ignore")
    with contextlib.suppress(EOFError, OSError, struct.error):
        while True:
            _answer(channel, files, json.loads(_received(channel, _MOST_TEXT)))


def _answer(channel: socket.socket, files: dict[int, fits.HDUList], request: dict[str, Any]) -> None:
    if "open" in request:
        _, handles, _, _ = socket.recv_fds(channel, 1, 1)
        stream = io.BufferedReader(_Handed(handles[0]))
        files[request["open"]] = fits.open(stream, mode="readonly", memmap=False)
    elif "close" in request:
        files.pop(request["close"]).close()
    else:
        _answer_window(channel, files[request["window"]], request)


def _answer_window(channel: socket.socket, hdus: fits.HDUList, request: dict[str, Any]) -> None:
    try:
        with boundary(ImageError):
            pixels = decoded(hdus, request["hdu"], request["index"])
    except ImageError as error:
        _send(channel, json.dumps({"error": str(error)}).encode())
        return
    _send(channel, json.dumps({"dtype": pixels.dtype.str, "shape": pixels.shape}).encode())
    _send(channel, pixels.tobytes())


def decoded(hdus: fits.HDUList, hdu: int, index: Sequence[int | Sequence[int]]) -> npt.NDArray[Any]:
    """Decode a window of an image HDU in this process."""
    place = tuple(part if isinstance(part, int) else slice(*part) for part in index)
    return np.ascontiguousarray(hdus[hdu].section[place])
