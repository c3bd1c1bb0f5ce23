"""Published: which of a survey's archives has the images of a band, opened for the rows of a catalogue."""

from __future__ import annotations

from collections.abc import Sequence

from galmorph.errors import SurveyError
from galmorph.sky.archives.cutout_service import open_pictures
from galmorph.sky.archives.fits_cutouts import open_cutouts
from galmorph.sky.archives.frame_archive import open_frames
from galmorph.sky.archives.tile_archive import open_mosaics
from galmorph.sky.catalog import Catalog
from galmorph.sky.images.opening import band_names
from galmorph.sky.images.source import ImageSource
from galmorph.sky.remote import Cache, Client
from galmorph.sky.survey import COLOUR, Survey, Way

__all__ = ["open_published"]


def open_published(
    survey: Survey,
    band: str,
    catalog: Catalog,
    *,
    field: str | None = None,
    way: Way = "auto",
    client: Client | None = None,
    cache: Cache | None = None,
) -> ImageSource:
    """Open the images that a survey publishes of a band where the rows of a catalogue are.

    Parameters
    ----------
    survey, band
        Of which: ``RGB`` for the survey's own colour pictures, else bands of its mosaics, frames or cutouts.
    catalog
        Rows with sky positions.
    field
        The only field whose mosaics are looked at, or several with commas between.
    way
        How mosaics are read.
    client, cache
        Who asks, and where files are kept; by default a polite one and the user's cache.

    Raises
    ------
    ArchiveError
        If a file without which no row has an image cannot be had.
    SurveyError
        If nothing of the kind is published.
    """
    if way == "pictures":
        return open_pictures(survey, catalog, from_hips=True, client=client, cache=cache)
    names = band_names(survey, band)
    if way != "cutouts" and _has_mosaics(survey, names):
        return open_mosaics(
            survey, band, catalog.ra_deg, catalog.dec_deg, field=field, way=way, client=client, cache=cache
        )
    if field is not None:
        raise SurveyError(
            f"field '{field}' was given for images of survey '{survey.name}', which are found by the rows alone: leave "
            "it out"
        )
    if way == "cutouts" or (survey.cutouts is not None and survey.frames is None):
        return open_cutouts(survey, band, catalog, client=client, cache=cache)
    if way != "auto":
        raise SurveyError(f"--archive {way} is for mosaics, of which survey '{survey.name}' has none: leave it out")
    if band.strip().upper() == COLOUR:
        return open_pictures(survey, catalog, client=client, cache=cache)
    return open_frames(survey, band, catalog, client=client, cache=cache)


def _has_mosaics(survey: Survey, names: Sequence[str]) -> bool:
    """Tell whether mosaics are what is published of one band; a survey with nothing says so when they are opened."""
    nothing_else = survey.frames is None and survey.cutouts is None
    return len(names) == 1 and (nothing_else or any(names[0] in field.mosaics for field in survey.fields))
