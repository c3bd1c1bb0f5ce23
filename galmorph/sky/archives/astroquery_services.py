"""AstroqueryServices: what is asked through astroquery, which takes a second to load and is an extra."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy.typing as npt
from astropy.table import Table

from galmorph.errors import SurveyError
from galmorph.sky.remote import Cache, Client
from galmorph.sky.survey import CutoutArchive, FrameArchive

__all__ = ["check_astroquery", "objects_of_frames", "zcut_answer"]


def check_astroquery(purpose: str) -> None:
    """Refuse to go on without astroquery.

    Raises
    ------
    SurveyError
        If it is not installed.
    """
    if importlib.util.find_spec("astroquery") is None:
        raise SurveyError(
            f"astroquery, which {purpose}, is not installed: pip install 'galmorph[sdss]', or give the images with "
            "--image"
        )


def objects_of_frames(
    archive: FrameArchive, ra_deg: npt.ArrayLike, dec_deg: npt.ArrayLike, client: Client, cache: Cache
) -> Table:
    """Return what :func:`galmorph.sky.archives.sdss_query.objects_near` does."""
    sdss_query, _ = _queries()
    return sdss_query.objects_near(archive, ra_deg, dec_deg, client, cache)


def zcut_answer(
    archive: CutoutArchive, layer: str, ra_deg: float, dec_deg: float, client: Client, cache: Cache
) -> Path:
    """Return what :func:`galmorph.sky.archives.zcut_query.cutouts_about` does."""
    _, zcut_query = _queries()
    answer: Path = zcut_query.cutouts_about(archive, layer, ra_deg, dec_deg, client, cache)
    return answer


def _queries() -> tuple[Any, Any]:
    from galmorph.sky.archives import sdss_query, zcut_query  # noqa: PLC0415 - astroquery

    return sdss_query, zcut_query
