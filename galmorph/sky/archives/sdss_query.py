"""SdssQuery: what astroquery asks the SkyServer, asked as politely as everything else and kept in the cache."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import numpy.typing as npt
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table
from astroquery.sdss import SDSSClass, conf

from galmorph.errors import ArchiveError
from galmorph.sky.boundary import boundary
from galmorph.sky.remote import Cache, Client, fetch
from galmorph.sky.survey import FrameArchive

__all__ = ["SdssQuery", "objects_near"]

FIELDS = ("run", "rerun", "camcol", "field")
_COLUMNS = ("ra", "dec", *FIELDS)
_RADIUS = 30 * u.arcsec
"""Within which there is some object wherever the survey has images."""


@dataclass(frozen=True)
class _Answer:
    """What astroquery looks at of an answer."""

    text: str

    def json(self) -> Any:
        return json.loads(self.text)


class SdssQuery(SDSSClass):  # type: ignore[misc] # astroquery has no types
    """The queries of astroquery, sent by a client of ours.

    Parameters
    ----------
    client, cache
        Who asks, and where answers are kept.
    """

    def __init__(self, client: Client, cache: Cache) -> None:
        super().__init__()
        self._client, self._answers = client, cache

    def _request(
        self,
        method: str,  # noqa: ARG002 - it follows from the others
        url: str,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, object] | None = None,
        files: Mapping[str, tuple[str, str]] | None = None,
        **_: object,
    ) -> _Answer:
        """Ask as astroquery's own method of this name does, which knows neither retries nor Retry-After."""
        if data is None:
            address, form = f"{url}?{urlencode(params or {})}", None
        else:
            address, form = url, {name: str(value) for name, value in data.items()} | dict(files or {})
        check = partial(_check_schema if form is None else _check_objects, url)
        path = fetch(address, self._client, self._answers, check=check, form=form, is_question=True)
        return _Answer(path.read_text(encoding="utf-8"))


def objects_near(
    archive: FrameArchive, ra_deg: npt.ArrayLike, dec_deg: npt.ArrayLike, client: Client, cache: Cache
) -> Table:
    """Return the object of the survey that is nearest to each of some positions, with the field that it is in.

    All are asked for at once; positions without one have no row.

    Parameters
    ----------
    archive
        Whose.
    ra_deg, dec_deg
        ICRS degrees, (N,).
    client, cache
        Who asks, and where answers are kept.

    Returns
    -------
    Table with ra, dec, run, rerun, camcol and field.

    Raises
    ------
    ArchiveError
        If there is no answer, or not to this question.
    """
    positions = SkyCoord(ra_deg, dec_deg, unit="deg")
    query = SdssQuery(client, cache)
    with (
        boundary(lambda reason: ArchiveError(f"{archive.server} was not understood ({reason}): try again later")),
        conf.set_temp("skyserver_baseurl", archive.server.rstrip("/")),
    ):
        objects = query.query_crossid(
            positions, radius=_RADIUS, photoobj_fields=list(_COLUMNS), data_release=archive.release
        )
        if objects is None:
            return Table({name: np.empty(0) for name in _COLUMNS})
        return Table({name: np.asarray(objects[name]) for name in _COLUMNS})


def _check_objects(url: str, path: Path) -> None:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    header = next((line for line in lines if line.strip() and not line.startswith("#")), "")
    if not set(FIELDS) <= {word.strip().strip('"') for word in header.split(",")}:
        raise ArchiveError(f"{url} answered '{header[:80]}': expected a table of objects; try again later")


def _check_schema(url: str, path: Path) -> None:
    with boundary(lambda reason: ArchiveError(f"{url} did not describe its tables ({reason}): try again later")):
        json.loads(path.read_text(encoding="utf-8"))[0]["Rows"][0]["name"]
