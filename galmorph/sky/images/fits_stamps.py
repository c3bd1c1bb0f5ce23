"""FitsStamps: FITS images of one galaxy each, in memory, which rows find by name."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

from galmorph.errors import ImageError
from galmorph.limits import LIMITS
from galmorph.sky.boundary import boundary
from galmorph.sky.images.file_names import FileNames
from galmorph.sky.images.image_file import ImageFile
from galmorph.sky.images.plain_file import DECOMPRESSORS
from galmorph.sky.images.source import Located, nowhere
from galmorph.sky.images.tiles import Tile, TileSource
from galmorph.sky.survey import Band, Survey

__all__ = ["FitsStamps", "are_contents", "is_fits", "plain_content"]

_PLAIN = b"SIMPLE"


def are_contents(images: object) -> bool:
    """Tell whether these are the bytes of files by name, rather than images by band."""
    return isinstance(images, Mapping) and bool(images) and all(isinstance(each, bytes) for each in images.values())


def is_fits(content: bytes) -> bool:
    """Tell whether a file begins as FITS does, compressed or not.

    Examples
    --------
    >>> is_fits(b"SIMPLE  =                    T"), is_fits(b"GIF89a")
    (True, False)
    """
    return content.startswith((_PLAIN, *DECOMPRESSORS))


def plain_content(name: str, content: bytes) -> bytes:
    """Return the bytes of a FITS file without the compression of the whole.

    Raises
    ------
    ImageError
        If it is damaged, or has more bytes than a stamp may have.
    """
    most = LIMITS["stamp_bytes"]
    opener = next((opener for start, opener in DECOMPRESSORS.items() if content.startswith(start)), None)
    if opener is not None:
        with (
            boundary(lambda reason: ImageError(f"stamp '{name}' cannot be decompressed ({reason}): give a sound one")),
            opener(io.BytesIO(content)) as stream,
        ):
            content = stream.read(most.number + 1)
    if len(content) > most.number:
        raise ImageError(f"stamp '{name}' has more bytes than {most}: give a smaller one")
    return content


class FitsStamps(TileSource):
    """FITS images of one galaxy each, of the same band, a tile each.

    Parameters
    ----------
    tiles
        The images, each called by its name.
    band, survey, files
        As of :class:`~galmorph.sky.images.tiles.TileSource`: pixels of FITS are mapped, so that they lie in files.
    """

    by_name = True

    def __init__(
        self, tiles: Sequence[Tile], band: Band | None, survey: Survey | None, files: Sequence[ImageFile]
    ) -> None:
        super().__init__(tiles, band, survey, files)
        self._names = FileNames(self.tile_names)

    def locate_files(self, names: Sequence[object]) -> Located:
        """Find stamps by file name, with or without folder; the galaxy is in the middle.

        Parameters
        ----------
        names
            (N,) names; what is not a known name has tile -1.
        """
        located = nowhere(len(names))
        for row, name in enumerate(names):
            tile = self._names.number_of(name)
            located.tile[row] = tile
            if tile >= 0:
                height, width = self.tiles[tile].image.shape
                located.x[row], located.y[row] = (width - 1) / 2, (height - 1) / 2
        return located
