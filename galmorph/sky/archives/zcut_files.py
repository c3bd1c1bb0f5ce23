"""ZcutFiles: the images of some bands out of the zips that MAST's Zcut answers with."""

from __future__ import annotations

import io
import os
import warnings
import zipfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from astropy.io import fits

from galmorph.errors import ArchiveError, OtherFileError
from galmorph.limits import LIMITS
from galmorph.sky.archives.astroquery_services import check_astroquery, zcut_answer
from galmorph.sky.archives.cutout_file import CutoutFile, check_image
from galmorph.sky.archives.mosaic_file import twice
from galmorph.sky.archives.tile_archive import fields_at
from galmorph.sky.boundary import boundary
from galmorph.sky.images.flux_units import filter_of
from galmorph.sky.remote import Cache, CacheEntry, Client
from galmorph.sky.survey import CutoutArchive, Survey

__all__ = ["zcut_files"]


def zcut_files(
    survey: Survey, archive: CutoutArchive, names: Sequence[str], client: Client, cache: Cache
) -> Callable[[float, float], Sequence[Path]]:
    """Return what brings the files of some bands, one each, about a position.

    Raises
    ------
    SurveyError
        If astroquery is not installed.
    """
    check_astroquery("asks MAST for cutouts")
    return partial(_of_bands, survey, archive, names, client, cache)


def _of_bands(
    survey: Survey,
    archive: CutoutArchive,
    names: Sequence[str],
    client: Client,
    cache: Cache,
    ra_deg: float,
    dec_deg: float,
) -> Sequence[Path]:
    fields = fields_at(survey, survey.band(names[0]), ra_deg, dec_deg)
    layer = next((archive.layers[field.name] for field in fields if field.name in archive.layers), archive.layer)
    asked = CutoutFile(archive.url, ra_deg, dec_deg, archive.tile_px, archive.scale_arcsec)

    def of_answer() -> Sequence[Path]:
        answer = zcut_answer(archive, layer, ra_deg, dec_deg, client, cache)
        try:
            return [_of_band(answer, name, asked) for name in names]
        except OtherFileError:
            if not client.offline:
                cache.remove(CacheEntry(archive.url, answer))
            raise

    return twice(of_answer)


def _of_band(answer: Path, band: str, asked: CutoutFile) -> Path:
    """Return the image of a band beside the zip that it is in."""
    path = answer.with_name(f"{band}.fits")
    if not path.exists():
        image = _image_in(answer, band, asked)
        temporary = path.with_name(f"{path.name}.{os.getpid()}")
        image.writeto(temporary, overwrite=True)
        temporary.replace(path)
    return path


def _image_in(answer: Path, band: str, asked: CutoutFile) -> fits.PrimaryHDU:
    """Find the image of a band: the first that names the band and is what was asked for."""
    reason: OtherFileError | None = None
    with boundary(lambda why: OtherFileError(f"{asked.url}: a cutout is damaged ({why}); try again later")):
        for header, pixels in _images(answer):
            if not _is_of_band(header, band):
                continue
            try:
                check_image(asked, header, pixels)
            except ArchiveError as error:  # another survey's, of other pixels, or a cutout of nothing
                reason = OtherFileError(str(error))
                continue
            return fits.PrimaryHDU(pixels, header)
    raise reason or ArchiveError(f"{asked.url} has no cutout of band {band} there: expected one; leave these rows out")


def _images(answer: Path) -> list[tuple[fits.Header, np.ndarray]]:
    """Return headers and pixels of all images of all files of a zip."""
    images = []
    with zipfile.ZipFile(answer) as files, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what astropy says of odd files is said by us, or of no use
        if sum(each.file_size for each in files.infolist()) > (most := LIMITS["fetched_bytes"]).number:
            raise ArchiveError(f"'{answer}' expands to more bytes than {most}: expected cutouts; tell the archive")
        for name in sorted(files.namelist()):
            with fits.open(io.BytesIO(files.read(name)), memmap=False) as hdus:
                images += [(each.header, np.asarray(each.data)) for each in hdus if each.is_image and each.size]
    return images


def _is_of_band(header: fits.Header, band: str) -> bool:
    """Tell whether an image is of a band: by the file that it was cut from, or else by its filter."""
    origin = str(header.get("ORIG_FLE", "")).lower()
    if origin:
        return f"_{band.lower()}_" in origin and "_wht" not in origin
    return (filter_of(header) or "").upper() == band.upper()
