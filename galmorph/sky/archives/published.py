"""Published: which of a survey's archives has the images of a band, opened for the rows of a catalogue."""

from __future__ import annotations

from functools import partial

from galmorph.errors import SurveyError
from galmorph.sky.archives.cutout_service import open_pictures
from galmorph.sky.archives.frame_archive import open_frames
from galmorph.sky.archives.tile_archive import open_mosaics
from galmorph.sky.catalog import Catalog
from galmorph.sky.images.opening import band_names
from galmorph.sky.images.source import ImageSource
from galmorph.sky.remote import Cache, Client
from galmorph.sky.survey import COLOUR, Survey

__all__ = ["open_published"]


def open_published(
    survey: Survey,
    band: str,
    catalog: Catalog,
    *,
    field: str | None = None,
    client: Client | None = None,
    cache: Cache | None = None,
) -> ImageSource:
    """Open the images that a survey publishes of a band where the rows of a catalogue are.

    Parameters
    ----------
    survey, band
        Of which: ``RGB`` for the survey's own colour pictures, else bands of its mosaics or frames.
    catalog
        Rows with sky positions.
    field
        The only field whose mosaics are looked at.
    client, cache
        Who asks, and where files are kept; by default a polite one and the user's cache.

    Raises
    ------
    ArchiveError
        If a file without which no row has an image cannot be had.
    SurveyError
        If nothing of the kind is published.
    """
    names, are_pictures = band_names(survey, band), band.strip().upper() == COLOUR
    if len(names) == 1 and survey.frames is None:
        return open_mosaics(survey, band, catalog.ra_deg, catalog.dec_deg, field=field, client=client, cache=cache)
    if field is not None:
        raise SurveyError(
            f"field '{field}' was given for images of survey '{survey.name}', which are found by the rows alone: leave "
            "it out"
        )
    open_them = partial(open_pictures, survey) if are_pictures else partial(open_frames, survey, band)
    return open_them(catalog, client=client, cache=cache)
