"""ZcutQuery: cutouts of MAST's deep fields as astroquery asks for them, asked politely and kept in the cache."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from astropy.coordinates import SkyCoord
from astroquery.mast.cutouts import ZcutClass
from astroquery.mast.services import ServiceAPI

from galmorph.errors import ArchiveError
from galmorph.sky.boundary import boundary
from galmorph.sky.remote import Cache, Client, fetch
from galmorph.sky.survey import CutoutArchive

__all__ = ["ZcutQuery", "cutouts_about"]


_SERVICES = {"survey": {"path": "survey"}, "astrocut": {"path": "astrocut"}}


@dataclass(frozen=True)
class _ZipAnswer:
    """What astroquery looks at of an answer."""

    path: Path

    @property
    def content(self) -> bytes:
        return self.path.read_bytes()

    def raise_for_status(self) -> None:
        """Raise nothing: answers of another status do not come here."""

    def json(self) -> Any:
        return json.loads(self.content)


class _PoliteService(ServiceAPI):  # type: ignore[misc] # astroquery has no types
    """The service behind astroquery, asked by a client of ours, and where its last answer is."""

    def __init__(self, client: Client, cache: Cache) -> None:
        super().__init__()
        self._client, self._answers = client, cache
        self.last: Path | None = None

    def _request(
        self,
        method: str,  # noqa: ARG002 - the service takes the same by GET, by which astroquery downloads from it
        url: str,
        params: Mapping[str, str] | None = None,  # noqa: ARG002 - it gives none
        data: Sequence[tuple[str, object]] = (),
        **_: object,
    ) -> _ZipAnswer:
        """Ask as astroquery's own method of this name does, which knows neither retries nor Retry-After."""
        address = f"{url}?{urlencode(list(data))}"
        self.last = fetch(address, self._client, self._answers, check=partial(_check_zip, address))
        return _ZipAnswer(self.last)


class ZcutQuery(ZcutClass):  # type: ignore[misc] # astroquery has no types
    """Zcut of astroquery, at an address of one's own.

    Parameters
    ----------
    url
        Of the service.
    client, cache
        Who asks, and where answers are kept.
    """

    def __init__(self, url: str, client: Client, cache: Cache) -> None:
        super().__init__()
        self._polite = _PoliteService(client, cache)
        self._polite.set_service_params(_SERVICES, "zcut")
        self._polite.REQUEST_URL = url
        self._service_api_connection = self._polite

    @property
    def answer(self) -> Path:
        """Where the last answer is kept.

        Raises
        ------
        ArchiveError
            If there is none.
        """
        if self._polite.last is None:
            raise ArchiveError(f"{self._polite.REQUEST_URL} was not asked: expected an answer")
        return self._polite.last


def cutouts_about(
    archive: CutoutArchive, layer: str, ra_deg: float, dec_deg: float, client: Client, cache: Cache
) -> Path:
    """Return the zip of the cutouts about a position.

    Parameters
    ----------
    archive, layer
        Whose, and of which survey as the service calls it; '' for all of them.
    ra_deg, dec_deg
        ICRS degrees.
    client, cache
        Who asks, and where answers are kept.

    Raises
    ------
    ArchiveError
        If there is no answer, or no cutout in it.
    """
    query = ZcutQuery(archive.url, client, cache)
    with boundary(lambda reason: ArchiveError(f"{archive.url} was not understood ({reason}): try again later")):
        for hdus in query.get_cutouts(
            SkyCoord(ra_deg, dec_deg, unit="deg"), size=archive.tile_px, survey=layer or None
        ):
            hdus.close()
    return query.answer


def _check_zip(url: str, path: Path) -> None:
    """Refuse what is no zip of FITS files; where it has no images, the service says so in JSON."""
    if zipfile.is_zipfile(path):
        with (
            boundary(lambda reason: ArchiveError(f"{url} is damaged ({reason}): try again later")),
            zipfile.ZipFile(path) as answer,
        ):
            damaged, names = answer.testzip(), answer.namelist()
        if damaged is None and names:
            return
        raise ArchiveError(f"{url} is {'damaged' if damaged else 'empty'}: expected cutouts; try again later")
    head = path.read_bytes()[:200].decode(errors="replace")
    with boundary(lambda _: ArchiveError(f"{url} answered '{head[:60]}': expected a zip; try again later")):
        message = str(json.loads(path.read_text(encoding="utf-8"))["msg"])
    raise ArchiveError(f"{url} answered '{message[:120]}': expected cutouts; the archive may have none there")
