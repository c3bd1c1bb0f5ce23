"""PictureLinks: a column of addresses, each of a picture of its row that a server of the survey draws."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from galmorph.errors import SurveyError
from galmorph.sky.catalog import Catalog, Column, Provenance, write_catalog
from galmorph.sky.overlays.placed_rows import PlacedRows
from galmorph.sky.survey import PictureService, Survey, load_survey

__all__ = ["links_column", "write_links"]

_FIELD_RPET = 6.0
"""Width of a picture in Petrosian radii: the galaxy, and sky beside it."""
_SIDE_PX = 256


def write_links(
    result: Catalog, rows: PlacedRows, survey: str | Survey | None, path: Path, *, prefix: str, overwrite: bool
) -> int:
    """Write a result once more, with a column of links; return how many.

    Parameters
    ----------
    survey
        Whose pictures are linked; None for the one that the result names.

    Raises
    ------
    OutputError
        If the file cannot be written.
    SurveyError
        If no survey is named, or nobody draws pictures of it.
    """
    named = survey or result.table.meta.get("GMSURVEY")
    if not named:
        raise SurveyError("links to pictures were asked for, and the result names no survey: name it with --survey")
    column = links_column(rows, named if isinstance(named, Survey) else load_survey(named), f"{prefix}link")
    write_catalog(result, [column], path, provenance=Provenance(), overwrite=overwrite)
    return sum(map(bool, column.values.tolist()))


def links_column(rows: PlacedRows, survey: Survey, name: str) -> Column:
    """Return the column of addresses; '' for rows that are nowhere.

    Raises
    ------
    SurveyError
        If nobody draws pictures of the survey.
    """
    service = survey.pictures or survey.hips
    if service is None:
        raise SurveyError(f"survey '{survey.name}' has no server that draws pictures: leave out the links to them")
    return Column(
        name,
        np.array([_address(service, rows, row) if placed else "" for row, placed in enumerate(rows.are_placed)], str),
        description=f"Address of a JPEG picture of the galaxy, {survey.title}; for looking, not for measuring",
        ucd="meta.ref.url",
    )


def _address(service: PictureService, rows: PlacedRows, row: int) -> str:
    """Return where the picture of a row is drawn: as wide as so many radii, within what the server draws."""
    low, high = service.scale_range
    scale, side = _FIELD_RPET * rows.rpet_arcsec[row] / _SIDE_PX, _SIDE_PX
    if not np.isfinite(scale):
        scale, side = service.scale_arcsec, service.side_px
    return service.address(float(rows.ra_deg[row]), float(rows.dec_deg[row]), float(np.clip(scale, low, high)), side)
