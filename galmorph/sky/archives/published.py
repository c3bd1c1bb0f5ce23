"""Published: which of a survey's archives has the images of a band, opened for the rows of a catalogue."""

from __future__ import annotations

from galmorph.errors import SurveyError
from galmorph.sky.archives.cutout_service import open_pictures
from galmorph.sky.archives.tile_archive import open_mosaics
from galmorph.sky.catalog import Catalog
from galmorph.sky.images.opening import band_names
from galmorph.sky.images.source import ImageSource
from galmorph.sky.remote import Client
from galmorph.sky.survey import COLOUR, Survey

__all__ = ["open_published"]


def open_published(
    survey: Survey, band: str, catalog: Catalog, *, field: str | None = None, client: Client | None = None
) -> ImageSource:
    """Open the images that a survey publishes of a band where the rows of a catalogue are.

    Parameters
    ----------
    survey, band
        Of which: ``RGB`` for the survey's own colour pictures, else a band of its mosaics.
    catalog
        Rows with sky positions.
    field
        The only field whose mosaics are looked at.
    client
        Who asks; by default a polite one.

    Raises
    ------
    ArchiveError
        If a file without which no row has an image cannot be had.
    SurveyError
        If nothing of the kind is published.
    """
    if len(band_names(survey, band)) == 1:
        return open_mosaics(survey, band, catalog.ra_deg, catalog.dec_deg, field=field, client=client)
    if band.strip().upper() != COLOUR:
        raise SurveyError(
            f"band '{band}' without images: of survey '{survey.name}' only colour pictures can be fetched; ask for "
            f"{COLOUR}, or give the images of the bands with --image"
        )
    if field is not None:
        raise SurveyError(f"field '{field}' was given for pictures, which are drawn about every row: leave it out")
    return open_pictures(survey, catalog, client=client)
