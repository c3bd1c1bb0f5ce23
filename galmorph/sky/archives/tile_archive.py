"""Tile archive: the images that a survey publishes as one large file for each field and band.

Of each file only what is asked for is fetched, block by block, and kept; the rest stays where it is (see
:mod:`galmorph.sky.remote.partial_file`), unless so much is asked for that all of it takes less time
(:mod:`galmorph.sky.archives.mosaic_transfer`), or it is compressed. What is read is read through the same code as a
file on disk, so that a row's answer does not depend on whether its mosaic was downloaded before.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from urllib.parse import urljoin

import numpy as np
import numpy.typing as npt

from galmorph.errors import ArchiveError, OtherFileError, SurveyError
from galmorph.sky.archives.mosaic_file import check_mosaic, is_compressed, local_file, rows_on, twice
from galmorph.sky.archives.mosaic_transfer import download_if_quicker
from galmorph.sky.archives.partly_fetched import PartlyFetched
from galmorph.sky.images.grid import SkyGrid
from galmorph.sky.images.opening import open_images
from galmorph.sky.images.source import ImageSource
from galmorph.sky.matching.separations import SkyPositions, separations_arcsec
from galmorph.sky.remote import Cache, Client, default_cache
from galmorph.sky.survey import Band, Field, Survey, Way, load_survey, survey_names

__all__ = ["covered", "fields_at", "fields_of", "open_mosaics", "survey_at"]

log = logging.getLogger(__name__)

_FALLBACK_DEG = 0.5
"""Reach of a field whose mosaics have no stated shape."""
_SAME_SCALE = 0.05
"""Relative: 0.06 and 0.03 arcsec are other mosaics, the last digits of a header are not."""


def survey_at(band: str, ra_deg: npt.ArrayLike, dec_deg: npt.ArrayLike) -> Survey:
    """Return the shipped survey with mosaics of a band where most of some positions are.

    Parameters
    ----------
    band
        Name or alias of a band.
    ra_deg, dec_deg
        Positions, (N,), ICRS degrees.

    Raises
    ------
    SurveyError
        If there is none, or several have as many of the positions.
    """
    counts: dict[str, int] = {}
    for survey in map(load_survey, survey_names()):
        if (of_band := _band(survey, band)) is not None:
            inside = _inside(_with_mosaic(survey.fields, of_band), of_band, ra_deg, dec_deg)
            counts[survey.name] = int(inside.any(axis=0).sum())
    best = [name for name, n in counts.items() if n == max(counts.values()) and n > 0]
    if len(best) == 1:
        return load_survey(best[0])
    if best:
        raise SurveyError(f"band '{band}': both {' and '.join(best)} have images there: name one with --survey")
    raise SurveyError(
        f"band '{band}' without images: no survey has mosaics of it where the rows are; give --image, or name the "
        f"--survey that has them, one of {', '.join(survey_names())}"
    )


def fields_at(survey: Survey, band: Band, ra_deg: float, dec_deg: float) -> list[Field]:
    """Return the fields of a survey that have a mosaic of a band and may cover a position."""
    fields = _with_mosaic(survey.fields, band)
    inside = _inside(fields, band, ra_deg, dec_deg)
    return [field for field, covers in zip(fields, inside[:, 0], strict=True) if covers]


def covered(survey: Survey, band: Band, ra_deg: npt.ArrayLike, dec_deg: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Tell which positions, (N,), may lie in a mosaic; all of them in a survey without fields."""
    fields = _with_mosaic(survey.fields, band)
    if not survey.fields:
        return np.ones(len(np.atleast_1d(np.asarray(ra_deg))), bool)
    return np.asarray(_inside(fields, band, ra_deg, dec_deg).any(axis=0))


def fields_of(
    survey: Survey, band: Band, ra_deg: npt.ArrayLike, dec_deg: npt.ArrayLike, name: str | None = None
) -> list[Field]:
    """Return the fields of a survey that have a mosaic of a band and may cover some of the positions.

    Parameters
    ----------
    name
        Of the only one to look at, or of several with commas between; None for all.

    Raises
    ------
    SurveyError
        If the survey publishes no such mosaics, or none of them is anywhere near.
    """
    named = survey.fields if name is None else tuple(survey.field(each.strip()) for each in name.split(","))
    fields = [each for each in _with_mosaic(named, band) if name is not None or not each.only_by_name]
    if not fields:
        what = f"survey '{survey.name}'" if name is None else f"field '{name}' of survey '{survey.name}'"
        raise SurveyError(f"{what} has no mosaics of {band.name} that can be fetched: give the images with --image")
    inside = _inside(fields, band, ra_deg, dec_deg)
    near = [field for field, rows in zip(fields, inside, strict=True) if rows.any()]
    if not near:
        names = ", ".join(field.name for field in fields)
        raise SurveyError(
            f"none of the positions lies in the mosaics of survey '{survey.name}' ({names}): expected ICRS degrees; "
            "name the right columns with --ra and --dec, or give --image"
        )
    return near


def open_mosaics(
    survey: Survey,
    band: str,
    ra_deg: npt.ArrayLike,
    dec_deg: npt.ArrayLike,
    *,
    field: str | None = None,
    way: Way = "auto",
    client: Client | None = None,
    cache: Cache | None = None,
) -> ImageSource:
    """Open the mosaics of a band that may cover some positions, and their weights where they are published.

    Parameters
    ----------
    survey, band
        Of which.
    ra_deg, dec_deg
        Positions, (N,), ICRS degrees.
    field
        The only field to look at, or several with commas between.
    way
        Whether they are downloaded as a whole, or read in parts.
    client, cache
        Who asks, and where files are kept; by default a polite one and the user's cache.

    Raises
    ------
    ArchiveError
        If a file cannot be had.
    ImageError
        If one is no image.
    SurveyError
        If there are no such mosaics.
    """
    client, cache = client or Client(), cache or default_cache()
    of_band = survey.band(band)
    fields = fields_of(survey, of_band, ra_deg, dec_deg, field)
    fetched = _fetched(fields, of_band, way, ra_deg, dec_deg, client, cache)
    log.info("images of %s from %s", ", ".join(fetched.names), fields[0].base_url)
    weights = fetched.weights if all(fetched.weights) else []
    if any(fetched.weights) and not weights:
        log.warning("weights are published for some of the fields only: none is used")
    source = open_images(fetched.images, weight=[each for each in weights if each], survey=survey, band=of_band.name)
    if way == "auto" and not client.offline:
        download_if_quicker(source, source.locate(ra_deg, dec_deg))
    if not fetched.failures:
        return source
    lost = _inside([each for each in fields if each.name in fetched.failures], of_band, ra_deg, dec_deg).any(axis=0)
    reason = str(next(iter(fetched.failures.values())))
    return PartlyFetched(source, np.ravel(ra_deg)[lost], np.ravel(dec_deg)[lost], reason)


@dataclass(frozen=True)
class _Mosaics:
    """Files of the fields that could be had, with weights or None, and why others could not, by their names."""

    names: list[str]
    images: list[str]
    weights: list[str | None]
    failures: dict[str, ArchiveError]


def _fetched(
    fields: Sequence[Field],
    band: Band,
    way: Way,
    ra_deg: npt.ArrayLike,
    dec_deg: npt.ArrayLike,
    client: Client,
    cache: Cache,
) -> _Mosaics:
    mosaics = _Mosaics([], [], [], {})
    for field in fields:
        url, check = _address(field, field.mosaics[band.name]), partial(_check_grid, field, band)
        weight = field.weights.get(band.name)
        try:
            if is_compressed(url) and not twice(partial(rows_on, url, ra_deg, dec_deg, check, client, cache)):
                continue
            image = _checked_file(url, check, way, client, cache)
            mosaics.weights.append(
                None if weight is None else _checked_file(_address(field, weight), check, way, client, cache)
            )
        except ArchiveError as error:
            mosaics.failures[field.name] = error
        else:
            mosaics.names.append(field.name)
            mosaics.images.append(image)
    _check_some(mosaics, fields)
    return mosaics


def _checked_file(url: str, check_grid: Callable[[SkyGrid], None], way: Way, client: Client, cache: Cache) -> str:
    """Return the file of a mosaic; one that is none is asked for once more."""
    if is_compressed(url):  # its first header was looked at
        return twice(partial(local_file, url, way, client, cache))

    def checked() -> str:
        check_mosaic(url, local_file(url, "parts", client, cache), check_grid, cache)
        return local_file(url, way, client, cache)

    return twice(checked)


def _check_grid(field: Field, band: Band, grid: SkyGrid) -> None:
    """Refuse a mosaic that does not lie where its field does, or has other pixels."""
    height, width = grid.shape
    ra, dec = grid.to_sky((width - 1) / 2, (height - 1) / 2)
    scale = field.scale_arcsec or band.scale_arcsec
    apart = float(_apart_deg(field, ra, dec)[0])
    reach = _reach_deg(field, band) + math.hypot(height, width) / 2 * scale / 3600
    if not apart <= reach:
        raise OtherFileError(
            f"the mosaic of field '{field.name}' lies {apart:.2f} degrees from it: expected {reach:.2f} at most; tell "
            "the archive"
        )
    if not math.isclose(grid.scale_arcsec, scale, rel_tol=_SAME_SCALE):
        raise OtherFileError(
            f"the mosaic of field '{field.name}' has pixels of {grid.scale_arcsec:.4g} arcsec: expected {scale:g}; "
            "tell the archive"
        )


def _check_some(mosaics: _Mosaics, fields: Sequence[Field]) -> None:
    """Go on without some of the fields, but not without all."""
    if mosaics.images:
        for name, error in mosaics.failures.items():
            log.warning("field %s could not be fetched: %s", name, error)
        return
    if mosaics.failures:
        raise next(iter(mosaics.failures.values()))
    names = ", ".join(field.name for field in fields)
    raise SurveyError(
        f"none of the positions lies on the mosaics of {names}: expected ICRS degrees; name the right columns with "
        "--ra and --dec, or give --image"
    )


def _address(field: Field, name: str) -> str:
    if not field.base_url:
        raise ArchiveError(f"field '{field.name}' has no base_url: expected the address of its mosaics; add it")
    return urljoin(field.base_url, name)


def _band(survey: Survey, name: str) -> Band | None:
    try:
        return survey.band(name)
    except SurveyError:
        return None


def _with_mosaic(fields: Sequence[Field], band: Band) -> list[Field]:
    return [field for field in fields if band.name in field.mosaics]


def _inside(
    fields: Sequence[Field], band: Band, ra_deg: npt.ArrayLike, dec_deg: npt.ArrayLike
) -> npt.NDArray[np.bool_]:
    """Tell which positions may lie in each field, (F, N): within its corners, whichever way it is turned."""
    inside = np.zeros((len(fields), np.size(ra_deg)), np.bool_)
    for n, field in enumerate(fields):
        inside[n] = _apart_deg(field, ra_deg, dec_deg) <= _reach_deg(field, band)
    return inside


def _apart_deg(field: Field, ra_deg: npt.ArrayLike, dec_deg: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return how far positions are from the middle of a field, (N,); NaN for those that are nowhere."""
    ra, dec = (np.atleast_1d(np.asarray(values, np.float64)) for values in (ra_deg, dec_deg))
    middle = SkyPositions(np.full(1, field.ra_deg), np.full(1, field.dec_deg))
    return separations_arcsec(SkyPositions(ra, dec), middle) / 3600


def _reach_deg(field: Field, band: Band) -> float:
    if field.shape is None:
        return _FALLBACK_DEG
    return math.hypot(*field.shape) / 2 * (field.scale_arcsec or band.scale_arcsec) / 3600
