"""PlainFile: the bytes of a FITS file, decompressed into a temporary one where it is compressed as a whole."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import zlib
from pathlib import Path
from typing import IO, Any

from galmorph.errors import ImageError
from galmorph.limits import LIMITS
from galmorph.sky.images.pixels import damaged, no_room
from galmorph.sky.remote import PartialReader, partial_at
from galmorph.sky.scratch import scratch_file

__all__ = ["DECOMPRESSORS", "check_regular", "open_again", "plain_file"]

DECOMPRESSORS: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
"""What opens a file that is compressed as a whole, by its first bytes."""
_LZW = b"\x1f\x9d"
_ZIP = b"PK\x03\x04"
_PIECE = 1 << 20


def check_regular(path: Path) -> None:
    """Refuse what is no file with an end: a pipe, a device, a socket.

    Raises
    ------
    ImageError
        If the path is missing, or none.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"image '{path}' cannot be opened ({reason}): give an existing FITS file") from error
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe, a device or a socket"
        raise ImageError(f"image '{path}' is {kind}: expected a file; write it to one first")


def plain_file(path: Path, name: str) -> IO[bytes]:
    """Open a file; one compressed as a whole is decompressed into a temporary one, gone when closed.

    Raises
    ------
    ImageError
        If it is missing, no regular file, damaged, or expands beyond a limit.
    """
    check_regular(path)
    try:
        file = _opened(path)
    except OSError as error:
        raise ImageError(f"image '{path}' cannot be opened ({error.strerror}): give an existing FITS file") from error
    start = file.read(6)
    file.seek(0)
    if start.startswith((_LZW, _ZIP)):
        file.close()
        raise ImageError(
            f"image '{path}' is compressed by {'compress (.Z)' if start.startswith(_LZW) else 'zip'}: expected FITS, "
            "plain, .gz, .bz2, .xz or .fz; uncompress it"
        )
    for magic, decompressor in DECOMPRESSORS.items():
        if start.startswith(magic):
            with file:
                return _decompressed(decompressor(file), name)
    return file


def _opened(path: Path) -> IO[bytes]:
    """Open a file; one of another machine that is not all here fetches what is read."""
    partial = partial_at(path)
    return path.open("rb") if partial is None else io.BufferedReader(PartialReader(partial))


def open_again(file: IO[bytes]) -> IO[bytes]:
    """Return another handle of an open file, which may have no name any more."""
    return os.fdopen(os.dup(file.fileno()), "rb")


def _decompressed(stream: IO[bytes], name: str) -> IO[bytes]:
    try:
        with scratch_file() as plain:
            _expand(stream, plain, name)
            plain.seek(0)
            return open_again(plain)  # astropy wants a file that cannot be written
    except (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError) as error:
        if isinstance(error, ImageError):
            raise
        if isinstance(error, OSError) and error.errno is not None:
            raise no_room(name, error) from error
        raise damaged(name, error) from error


def _expand(stream: IO[bytes], plain: IO[bytes], name: str) -> None:
    """Decompress a file as far as it goes, or as a limit allows."""
    total, most = 0, LIMITS["image_bytes"]
    while piece := stream.read(_PIECE):
        total += len(piece)
        if total > most.number:
            raise ImageError(
                f"image '{name}' expands to more bytes than {most}: expected fewer; uncompress it yourself"
            )
        plain.write(piece)
    plain.flush()
