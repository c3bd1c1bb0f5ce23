"""ArchiveImages: the images that a survey publishes where the rows of a catalogue are, from archives or a folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from galmorph.errors import ArchiveError, CatalogError, ImageError
from galmorph.sky.archives import open_published, survey_at
from galmorph.sky.catalog import Catalog
from galmorph.sky.images import ImageInput, ImageSource
from galmorph.sky.remote import Cache, Client, default_cache, read_manifest, trusted_cache

__all__ = ["archive_survey", "open_archive", "positions_of"]

FloatArray = npt.NDArray[np.float64]


def archive_survey(asked: ImageInput, catalog: Catalog) -> ImageInput:
    """Return which images are asked for, with what was left out: as they were fetched, or where the rows are.

    Raises
    ------
    ArchiveError
        If other images were fetched than are asked for.
    SurveyError
        If no survey is named, and none is the one that has images there.
    """
    if asked.are_named:
        return asked
    if asked.fetched is not None:
        return _as_fetched(asked, Path(asked.fetched))
    if asked.survey is not None:
        return asked
    return replace(asked, survey=survey_at(asked.band or "", *positions_of(catalog)))


def _as_fetched(asked: ImageInput, folder: Path) -> ImageInput:
    manifest = read_manifest(folder)
    survey = asked.known_survey()
    for what, name, listed in (
        ("survey", None if survey is None else survey.name, manifest.survey),
        ("band", asked.band, manifest.band),
        # A folder for all fields serves any of them.
        ("field", asked.field if manifest.settings.get("field") else None, manifest.settings.get("field", "")),
    ):
        if name is not None and name != listed:
            raise ArchiveError(
                f"{what} '{name}' was asked for, and '{folder}' was fetched for {listed or 'all'}: leave it out, or "
                "fetch another folder"
            )
    named = manifest.survey if asked.survey is None else asked.survey
    way: Any = manifest.settings.get("archive", "auto")
    field = manifest.settings.get("field") or asked.field
    return replace(asked, survey=named, band=manifest.band, field=field, archive=way)


def open_archive(
    asked: ImageInput, catalog: Catalog, *, client: Client | None = None, cache: Cache | None = None
) -> ImageSource:
    """Open the images that the survey publishes where the rows are.

    Parameters
    ----------
    client, cache
        Who asks, and where files are kept; by default a polite one, and the user's cache or the folder that was
        fetched.

    Raises
    ------
    ArchiveError, ImageError, SurveyError, CatalogError
        If there are none to be had.
    """
    survey = asked.known_survey()
    if survey is None:
        raise ImageError("there are no images and no survey: expected one of them; give --image or --survey")
    positions_of(catalog)  # says that there are none
    cache = cache or (default_cache() if asked.fetched is None else trusted_cache(Path(asked.fetched)))
    client = client or Client(offline=asked.offline or asked.fetched is not None)
    return open_published(
        survey, asked.band or "", catalog, field=asked.field, way=asked.archive, client=client, cache=cache
    )


def positions_of(catalog: Catalog) -> tuple[FloatArray, FloatArray]:
    """Return right ascensions and declinations, (N,) each.

    Raises
    ------
    CatalogError
        If the catalogue has none.
    """
    if catalog.ra_column is None:
        raise CatalogError(
            "there are no images, and the catalogue has no sky positions: expected ra and dec, by which an archive "
            "finds them; name them with --ra and --dec, or give --image"
        )
    return catalog.ra_deg, catalog.dec_deg
