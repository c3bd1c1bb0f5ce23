"""ImageFile: the file of an image that was in memory, which goes away with its handle."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from pathlib import Path

from astropy.io import fits

from galmorph.errors import ImageError
from galmorph.sky.images.pixels import quiet_headers
from galmorph.sky.scratch import new_scratch_folder

__all__ = ["ImageFile"]


class ImageFile(os.PathLike[str]):
    """The file of an image that was in memory: a path, and whoever holds it keeps the file.

    Pickled, it is a plain path: another process reads the file and does not remove it.

    Parameters
    ----------
    content
        What is written: HDUs, or the bytes of a file.
    name
        Name of the file, in a folder of its own.

    Raises
    ------
    ImageError
        If it cannot be written.
    """

    def __init__(self, content: fits.HDUList | bytes, name: str) -> None:
        folder = new_scratch_folder()
        self._finalizer = weakref.finalize(self, _remove, folder, os.getpid())
        self.path = folder / name
        try:
            # Through a stream, since astropy would compress a file whose name ends in .gz.
            with self.path.open("wb") as stream, quiet_headers():
                if isinstance(content, bytes):
                    stream.write(content)
                else:
                    content.writeto(stream, output_verify="silentfix+ignore")
        except OSError as error:
            self._finalizer()
            raise ImageError(
                f"{name}, from memory, cannot be put into a file ({error.strerror or error}): expected room for it in "
                f"'{tempfile.gettempdir()}'; free some, or name another folder in TMPDIR"
            ) from error

    def __fspath__(self) -> str:
        """Return the path."""
        return str(self.path)

    def __str__(self) -> str:
        """Return the path."""
        return str(self.path)

    def __reduce__(self) -> tuple[type[Path], tuple[str]]:
        """Pickle the path alone."""
        return Path, (str(self.path),)


def _remove(folder: Path, owner: int) -> None:
    # A forked process inherits the handle, and must leave the file to its owner.
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
