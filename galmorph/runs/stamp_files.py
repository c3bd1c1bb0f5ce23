"""StampFiles: a FITS file with a WCS about each row of a catalogue, and a table that says where each came from.

A stamp has the pixels of the survey as they are, on a tangential projection of its own. Its header names the row and
how it was asked for, by which a run that was stopped knows what it need not fetch again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from astropy.io import fits
from astropy.table import Table

import galmorph
from galmorph.errors import ArchiveError, CatalogError, ImageError, OutputError
from galmorph.progress import Progress
from galmorph.runs.ahead import NOTHING, in_turn, windows_of
from galmorph.runs.blocks import reading_order
from galmorph.sky.catalog import Catalog, Provenance, catalog_from, read_catalog, write_catalog
from galmorph.sky.cutout import Cutout
from galmorph.sky.formats.atomic import alone_in, make_folder, replacing
from galmorph.sky.images import ImageSource, Located
from galmorph.sky.images.grid import unit_vectors

__all__ = ["INDEX", "SIDE_PX", "StampFiles", "stamp_names"]

log = logging.getLogger(__name__)

DoubleArray = npt.NDArray[np.float64]
FloatArray = npt.NDArray[np.float32]

INDEX = "index.ecsv"
"""Says of each row which stamp it has, or why none; no FITS file, so that ``*.fits`` are the stamps."""
SIDE_PX = 257
"""Usual side of a stamp: what is detected about a galaxy at the edge of a block has the same reach."""
_SIDES_PX = (9, 513)  # the largest is what archives are asked for about a row
_ASKED, _SOURCE, _SCALE, _PICTURE = "GMASKED", "GMSOURCE", "GMSCALE", "GMPICT"
_PROGRESS_ROWS = 16
_LONGEST_NAME = 80


@dataclass(frozen=True)
class StampFiles:
    """A folder of stamps.

    Parameters
    ----------
    folder
        Where they are written.
    side_px
        Their width and height, an odd number; pictures are as large as their server draws them.
    overwrite
        Whether other files of the same names may be replaced.
    """

    folder: Path
    side_px: int = SIDE_PX
    overwrite: bool = False

    def check(self, catalog: Catalog, asked: Mapping[str, str]) -> None:
        """Refuse, before anything is fetched, what cannot be written or would replace other files.

        Raises
        ------
        ArchiveError
            If stamps cannot have that side.
        OutputError
            If files are in the way.
        """
        least, most = _SIDES_PX
        if not least <= self.side_px <= most or self.side_px % 2 == 0:
            raise ArchiveError(f"side of stamps is {self.side_px}: expected an odd number from {least} to {most}")
        make_folder(self.folder)
        if self.overwrite:
            return
        index, keys = self.folder / INDEX, self._keys(catalog, asked)
        if index.exists() and _key_of_index(index) != _joined(keys):
            raise _in_the_way(index, "was written for other rows or images")
        for name, key in zip(stamp_names(catalog.ids), keys, strict=True):
            if (self.folder / name).exists() and self._header(name, key) is None:
                raise _in_the_way(self.folder / name, "is no stamp of this row and of these images")

    def write(
        self, images: ImageSource, catalog: Catalog, asked: Mapping[str, str], progress: Progress
    ) -> dict[int, str]:
        """Write the stamps that are not there, and the table; return why rows have none.

        Raises
        ------
        OutputError
            If that cannot be, or another run writes there.
        """
        names, keys = stamp_names(catalog.ids), self._keys(catalog, asked)
        where = images.locate(catalog.ra_deg, catalog.dec_deg)
        reasons, headers = _reasons_of(catalog, where), dict[int, fits.Header]()
        rows = reading_order(where)
        windows = [
            NOTHING if self._is_written(names[row], keys[row]) else window
            for row, window in zip(rows.tolist(), windows_of(where, rows, self.side_px // 2), strict=True)
        ]
        with alone_in(self.folder):
            for done, (row, wait) in enumerate(in_turn(rows.tolist(), images, lambda: windows)):
                try:
                    wait()
                    cards = {_ASKED: keys[row], "OBJECT": _plain(str(catalog.ids[row]))}
                    headers[row] = self._stamp(names[row], images, where, row, cards)
                except OutputError:
                    raise
                except (ImageError, OSError) as error:
                    reasons[row] = str(error)
                if done % _PROGRESS_ROWS == 0:
                    progress("stamps", done, len(rows))
            progress("stamps", len(rows), len(rows))
            self._write_index(catalog, names, headers, reasons, _joined(keys))
        return reasons

    def _keys(self, catalog: Catalog, asked: Mapping[str, str]) -> list[str]:
        """Return what tells each row's stamp from that of another row, place, survey or side."""
        rows = zip(catalog.ids.tolist(), catalog.ra_deg.tolist(), catalog.dec_deg.tolist(), strict=True)
        return [_digest([dict(asked), self.side_px, *row]) for row in rows]

    def _header(self, name: str, key: str) -> fits.Header | None:
        """Return the header of a stamp that is there; None where it is another one's."""
        try:
            header = fits.getheader(self.folder / name)
        except OSError:
            return None
        return header if header.get(_ASKED) == key else None

    def _is_written(self, name: str, key: str) -> bool:
        return not self.overwrite and self._header(name, key) is not None

    def _stamp(self, name: str, images: ImageSource, where: Located, row: int, cards: Mapping[str, str]) -> fits.Header:
        """Return the header of a row's stamp, which is written unless it is there."""
        path = self.folder / name
        if not self.overwrite and path.exists() and (header := self._header(name, cards[_ASKED])) is not None:
            return header
        x, y = float(where.x[row]), float(where.y[row])
        cutout = images.cutout(int(where.tile[row]), x, y, self.side_px // 2)
        if not _has_data(cutout):
            raise ImageError("there are no data at this position")
        hdus = stamp_hdus(images, cutout, self.side_px if images.has_edges else 0)
        hdus[0].header.update(cards)
        with replacing(path, overwrite=self.overwrite) as temporary:
            hdus.writeto(temporary, overwrite=True, checksum=True)
        return hdus[0].header

    def _write_index(
        self,
        catalog: Catalog,
        names: Sequence[str],
        headers: Mapping[int, fits.Header],
        reasons: Mapping[int, str],
        key: str,
    ) -> None:
        rows = range(len(catalog))
        table = Table(
            {
                "id": catalog.ids,
                "row": np.arange(len(catalog)),
                "file": [names[row] if row in headers else "" for row in rows],
                "ra": catalog.ra_deg,
                "dec": catalog.dec_deg,
                "pixel_scale": [float(headers[row][_SCALE]) if row in headers else math.nan for row in rows],
                "source": [str(headers[row][_SOURCE]) if row in headers else "" for row in rows],
                "is_picture": [bool(row in headers and headers[row][_PICTURE]) for row in rows],
                "reason": [reasons.get(row, "") for row in rows],
            },
            units={"ra": "deg", "dec": "deg", "pixel_scale": "arcsec"},
            descriptions={
                "row": "of the catalogue, from 0",
                "is_picture": "made to be looked at: not for measuring",
                "reason": "why there is no stamp",
            },
            meta={_ASKED: key},
        )
        index = catalog_from(table, positions=False)
        write_catalog(index, [], self.folder / INDEX, provenance=Provenance(), overwrite=True)


def stamp_names(ids: Sequence[str] | npt.NDArray[np.str_]) -> list[str]:
    """Name the files of rows: safe on every system, and no two alike, capital letters or not.

    Examples
    --------
    >>> stamp_names(["GS 1/2", "gs_1_2", "../etc", ""])
    ['stamp_GS_1_2.fits', 'stamp_gs_1_2-row1.fits', 'stamp_etc.fits', 'stamp_row3.fits']
    """
    taken: set[str] = set()
    names = []
    for row, text in enumerate(ids):
        plain = re.sub(r"[^A-Za-z0-9_+-]+", "_", str(text).replace(".", "_")).strip("_")[:_LONGEST_NAME]
        name = plain or f"row{row}"
        while name.lower() in taken:
            name = f"{name}-row{row}"
        taken.add(name.lower())
        names.append(f"stamp_{name}.fits")
    return names


def stamp_hdus(images: ImageSource, cutout: Cutout, side_px: int) -> fits.HDUList:
    """Make the HDUs of a stamp: pixels, and inverse variances where there are some.

    Parameters
    ----------
    side_px
        Of the stamp, about the position; what lies beyond the tile has no data. 0 for all of the cutout.
    """
    x0, y0, height, width = _window(cutout, side_px)
    is_picture = not images.is_linear or images.n_planes > 1
    header = _tangent_header(images, cutout, x0, y0)
    header.update(_cards(images, cutout, _scale_arcsec(header), is_picture=is_picture))
    inset = cutout.origin[1] - y0, cutout.origin[0] - x0
    planes = np.full((len(cutout.planes), height, width), np.nan, np.float32)
    planes[(slice(None), *_place(cutout, inset))] = cutout.planes
    hdus = fits.HDUList([fits.PrimaryHDU(planes if is_picture else planes[0], header)])
    if cutout.weight is not None and not is_picture:
        weight = np.zeros((height, width), np.float32)
        weight[_place(cutout, inset)] = cutout.weight
        hdus.append(fits.ImageHDU(weight, _tangent_header(images, cutout, x0, y0), name="WHT"))
    return hdus


def _window(cutout: Cutout, side_px: int) -> tuple[int, int, int, int]:
    """Return first column, first row, height and width of a stamp, in pixels of its tile."""
    if side_px == 0:
        return (*cutout.origin, *cutout.shape)
    x0, y0 = (
        math.floor(place + start + 0.5) - side_px // 2
        for place, start in zip((cutout.x, cutout.y), cutout.origin, strict=True)
    )
    return x0, y0, side_px, side_px


def _place(cutout: Cutout, inset: tuple[int, int]) -> tuple[slice, slice]:
    height, width = cutout.shape
    return slice(inset[0], inset[0] + height), slice(inset[1], inset[1] + width)


def _has_data(cutout: Cutout) -> bool:
    if cutout.weight is not None:
        return bool(np.any(cutout.weight > 0))
    return bool(np.isfinite(cutout.planes).any())


def _tangent_header(images: ImageSource, cutout: Cutout, x0: int, y0: int) -> fits.Header:
    """Make a tangential projection about the position, fitted to what the images say of a grid of pixels."""
    height, width = cutout.shape
    x, y = (cutout.origin[0] + cutout.x, cutout.origin[1] + cutout.y)
    columns, rows = np.meshgrid(
        cutout.origin[0] + np.linspace(0, width - 1, 5), cutout.origin[1] + np.linspace(0, height - 1, 5)
    )
    ra, dec = (float(angle[0]) for angle in images.sky(cutout.tile, x, y))
    plane = _on_tangent_plane(ra, dec, *images.sky(cutout.tile, columns.ravel(), rows.ravel()))
    steps = np.column_stack([columns.ravel() - x, rows.ravel() - y])
    matrix = np.linalg.lstsq(steps, plane, rcond=None)[0].T
    header = fits.Header()
    header["WCSAXES"] = 2
    header.update({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CUNIT1": "deg", "CUNIT2": "deg"})
    header.update({"CRVAL1": ra, "CRVAL2": dec, "CRPIX1": x - x0 + 1, "CRPIX2": y - y0 + 1, "RADESYS": "ICRS"})
    header.update({f"CD{i + 1}_{j + 1}": float(value) for (i, j), value in np.ndenumerate(matrix)})
    return header


def _on_tangent_plane(ra: float, dec: float, ra_deg: DoubleArray, dec_deg: DoubleArray) -> DoubleArray:
    """Return degrees towards (east, north) of positions in the tangential projection about one, (N, 2)."""
    a, d = math.radians(ra), math.radians(dec)
    east = np.array([-math.sin(a), math.cos(a), 0.0])
    north = np.array([-math.sin(d) * math.cos(a), -math.sin(d) * math.sin(a), math.cos(d)])
    directions = unit_vectors(ra_deg, dec_deg)
    depth = directions @ unit_vectors(ra, dec)[0]
    return np.asarray(np.degrees(np.column_stack([directions @ east, directions @ north]) / depth[:, None]))


def _scale_arcsec(header: fits.Header) -> float:
    """Return the square root of the area of a pixel."""
    return 3600 * math.sqrt(abs(header["CD1_1"] * header["CD2_2"] - header["CD1_2"] * header["CD2_1"]))


def _cards(images: ImageSource, cutout: Cutout, scale_arcsec: float, *, is_picture: bool) -> dict[str, object]:
    """Say what the pixels are and where they come from."""
    cards: dict[str, object] = {
        "ORIGIN": f"galmorph {galmorph.__version__}",
        "SURVEY": "" if images.survey is None else _plain(images.survey.name),
        "FILTER": _plain((None if is_picture else images.filter_name()) or "+".join(images.bands)),
        _SOURCE: (_plain(images.tile_names[cutout.tile]), "image that it was cut from"),
        _SCALE: (scale_arcsec, "[arcsec] pixel scale"),
        _PICTURE: (is_picture, "made to be looked at: not for measuring"),
    }
    unit_mjysr = math.nan if is_picture else images.mjysr_per_unit(cutout.tile)
    if unit_mjysr > 0:
        jansky = unit_mjysr * 1e6 * math.radians(scale_arcsec / 3600) ** 2
        cards["MAGZERO"] = (-2.5 * math.log10(jansky / 3631), "AB magnitude of one unit")
    return cards


def _reasons_of(catalog: Catalog, where: Located) -> dict[int, str]:
    """Say why rows are on no image."""
    is_position = np.isfinite(catalog.ra_deg) & np.isfinite(catalog.dec_deg)
    return {
        row: "no image of the survey lies there" if is_position[row] else "the row has no position"
        for row in np.flatnonzero(where.tile < 0).tolist()
    }


def _key_of_index(path: Path) -> str:
    try:
        return str(read_catalog(path, positions=False).table.meta.get(_ASKED, ""))
    except CatalogError:
        return ""


def _joined(keys: Sequence[str]) -> str:
    return _digest(list(keys))


def _digest(content: Sequence[object]) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]


def _plain(text: str) -> str:
    """Return text as a card of a header holds it."""
    return "".join(each if " " <= each <= "~" else "?" for each in text)


def _in_the_way(path: Path, why: str) -> OutputError:
    return OutputError(f"Output '{path}' exists already and {why}: choose another folder or --overwrite")
