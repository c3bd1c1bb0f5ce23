"""CutoutService: colour pictures that a survey's server draws about any position, one for each row.

Each is fetched when its row is looked at, looked at itself, and kept. North is up, east left and the pixel scale the
one that was asked for, so that rows are found by their positions and measured in arcsec.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from astropy import units as u
from astropy.coordinates import SkyCoord
from PIL import Image

from galmorph.errors import ArchiveError, SurveyError
from galmorph.sky.archives.tangent_planes import DoubleArray, IntArray, TangentPlanes
from galmorph.sky.boundary import boundary
from galmorph.sky.catalog import Catalog, reals
from galmorph.sky.cutout import Cutout
from galmorph.sky.images.grid import are_on_sky
from galmorph.sky.images.jpeg import JpegSource
from galmorph.sky.images.source import Located, nowhere
from galmorph.sky.remote import Cache, Client, default_cache, fetch
from galmorph.sky.survey import POSITION_DECIMALS, JpegStretch, PictureService, Survey

__all__ = ["CutoutService", "open_pictures"]

log = logging.getLogger(__name__)

_BYTES_PER_PIXEL = 0.17
"""Of a colour JPEG of the sky: 30 kB for 424 x 424."""
_BLANK = 3
"""Grey levels: a picture with no larger differences shows nothing, not even noise."""


class CutoutService(JpegSource):
    """Pictures of a service, a tile each; a cutout is the whole picture.

    Parameters
    ----------
    survey
        Whose they are.
    service
        Who draws them.
    planes
        Where they lie on the sky.
    client, cache
        Who asks, and where files are kept.
    remarks
        What was asked for, for the provenance.
    """

    has_wcs = True
    by_name = False
    is_here = False

    def __init__(
        self,
        survey: Survey,
        service: PictureService,
        planes: TangentPlanes,
        client: Client,
        cache: Cache,
        remarks: Sequence[str] = (),
    ) -> None:
        bands = () if survey.colour is None else survey.colour.bands
        self._pictures = _DrawnPictures(service, planes, client, cache)
        super().__init__(self._pictures, survey, bands)
        self._planes_on_sky = planes
        self.remarks = tuple(remarks)
        self.scale_arcsec = float(np.median(planes.scale_arcsec)) if len(planes) else math.nan

    def locate(self, ra_deg: npt.ArrayLike, dec_deg: npt.ArrayLike) -> Located:
        """Find the picture whose middle is nearest to each position; none where it does not reach it."""
        ra, dec = np.ravel(ra_deg).astype(np.float64), np.ravel(dec_deg).astype(np.float64)
        located, rows = nowhere(len(ra)), np.flatnonzero(are_on_sky(ra, dec))
        if not len(self._planes_on_sky) or not len(rows):
            return located
        picture = self._nearest(ra[rows], dec[rows])
        located.x[rows], located.y[rows] = self._planes_on_sky.to_pixel(picture, ra[rows], dec[rows])
        located.tile[rows] = np.where(np.isfinite(located.x[rows]), picture, -1)
        return located

    def locate_files(self, names: Sequence[object]) -> Located:
        """Find pictures by the names that they have here; the position is the middle."""
        located = nowhere(len(names))
        located.tile[:] = [self._names.number_of(name) for name in names]
        here = located.tile >= 0
        located.x[here] = located.y[here] = (self._planes_on_sky.side_px[located.tile[here]] - 1) / 2
        return located

    def cutout(self, tile: int, x: float, y: float, half_px: int) -> Cutout:
        """Read a whole picture, and fetch it first if it is not here.

        Raises
        ------
        ArchiveError
            If it cannot be had.
        """
        whole = super().cutout(tile, x, y, half_px)
        return replace(whole, scale_arcsec=float(self._planes_on_sky.scale_arcsec[tile]))

    def fetch(self, tile: int, x: float, y: float, half_px: int) -> None:  # noqa: ARG002 - it is the whole picture
        """Bring a picture into the cache.

        Raises
        ------
        ArchiveError
            If it cannot be had.
        """
        self._pictures.fetch(tile)

    def files(self, tile: int, x: float, y: float) -> tuple[Path, ...]:  # noqa: ARG002 - the same for all of it
        """Return the file of a picture in the cache."""
        return (self._pictures.path(tile),)

    def sky(self, tile: npt.ArrayLike, x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[DoubleArray, DoubleArray]:
        """Return right ascension and declination in ICRS degrees of pixel positions."""
        tiles, xs, ys = (np.ravel(a) for a in np.broadcast_arrays(tile, x, y))
        ra, dec = np.full(len(tiles), np.nan), np.full(len(tiles), np.nan)
        here = (tiles >= 0) & np.isfinite(xs) & np.isfinite(ys)
        ra[here], dec[here] = self._planes_on_sky.to_sky(tiles[here], xs[here], ys[here])
        return ra, dec

    @cached_property
    def _middles(self) -> SkyCoord:
        return SkyCoord(self._planes_on_sky.ra_deg, self._planes_on_sky.dec_deg, unit="deg")

    def _nearest(self, ra: DoubleArray, dec: DoubleArray) -> IntArray:
        return np.asarray(SkyCoord(ra, dec, unit="deg").match_to_catalog_sky(self._middles)[0], np.intp)


def open_pictures(
    survey: Survey,
    catalog: Catalog,
    *,
    from_hips: bool = False,
    client: Client | None = None,
    cache: Cache | None = None,
) -> CutoutService:
    """Open the pictures of the rows of a catalogue; none is fetched before its row is looked at.

    The field of a picture follows from the radius of its row, where the catalogue has one that the survey's file names,
    and else is the service's usual one. Rows at the same position share a picture.

    Parameters
    ----------
    survey
        Whose.
    catalog
        Rows with sky positions.
    from_hips
        Whether the pictures are those drawn from a HiPS of the survey, which are for display alone.
    client, cache
        Who asks, and where files are kept; by default a polite one and the user's cache.

    Raises
    ------
    SurveyError
        If the survey has no such service.
    """
    service = survey.hips if from_hips else survey.pictures
    if service is None:
        raise SurveyError(f"survey '{survey.name}' has no colour pictures that can be fetched: give them with --image")
    if from_hips:  # their stretch is that of whoever made the HiPS
        survey = replace(survey, colour=None, jpeg=JpegStretch("lupton", 3, service.reference))
    sizes = _sizes(service, catalog)
    planes = _planes(catalog, sizes)
    log.info("%d pictures of %s; %s", len(planes), service.url, sizes.remark)
    source = f"{service.url}, HiPS {service.hips}: resampled for display" if service.hips else service.url
    remarks = (f"fetched from {source}", sizes.remark)
    return CutoutService(survey, service, planes, client or Client(), cache or default_cache(), remarks)


@dataclass(frozen=True)
class _Sizes:
    """Pixel scales, (N,), and sides, (N,), of pictures, and in words how they were chosen."""

    scale_arcsec: DoubleArray
    side_px: IntArray
    remark: str


def _sizes(service: PictureService, catalog: Catalog) -> _Sizes:
    usual = f"{service.scale_arcsec:g} arcsec per pixel"
    names = {name.lower(): name for name in catalog.colnames}
    column = next((names[each.lower()] for each in service.radius_columns if each.lower() in names), None)
    scale = np.full(len(catalog), np.nan) if column is None else _arcsec(catalog.stored.column(column))
    with np.errstate(invalid="ignore"):
        scale = np.round(scale * service.scale_per_radius, POSITION_DECIMALS)
        of_radius = (scale >= service.scale_range[0]) & (scale <= service.scale_range[1])
    remark = (
        f"{service.scale_per_radius:g} {column} per pixel for {of_radius.sum()} of {len(catalog)} rows, else {usual}"
    )
    return _Sizes(
        np.where(of_radius, scale, service.scale_arcsec),
        np.where(of_radius, service.radius_side_px or service.side_px, service.side_px),
        usual if column is None else remark,
    )


def _arcsec(column: object) -> DoubleArray:
    """Return radii in arcsec, which those without another unit are in."""
    unit = getattr(column, "unit", None)
    is_angle = unit is not None and u.Unit(unit, parse_strict="silent").is_equivalent(u.arcsec)
    return reals(column) * (u.Unit(unit).to(u.arcsec) if is_angle else 1.0)


def _planes(catalog: Catalog, sizes: _Sizes) -> TangentPlanes:
    """Make one plane for each distinct position, in the order of the rows."""
    ra, dec = np.round(catalog.ra_deg % 360.0, POSITION_DECIMALS) % 360.0, np.round(catalog.dec_deg, POSITION_DECIMALS)
    rows = np.flatnonzero(are_on_sky(ra, dec))
    _, first = np.unique(np.stack([ra[rows], dec[rows]], axis=1), axis=0, return_index=True)
    kept = rows[np.sort(first)]
    return TangentPlanes(ra[kept], dec[kept], sizes.scale_arcsec[kept], sizes.side_px[kept])


class _DrawnPictures:
    """Pictures by name: fetched from a service, looked at, and kept in a cache."""

    def __init__(self, service: PictureService, planes: TangentPlanes, client: Client, cache: Cache) -> None:
        self._service, self._planes, self._client, self._cache = service, planes, client, cache
        ra, dec = planes.ra_deg.tolist(), planes.dec_deg.tolist()
        self.names = [_name(*position) for position in zip(ra, dec, strict=True)]
        self._number = {name: number for number, name in enumerate(self.names)}
        self._has_failed = False

    def read(self, name: str) -> bytes:
        return self.fetch(self._number[name]).read_bytes()

    def fetch(self, number: int) -> Path:
        """Return the file of a picture, from the cache or fetched now."""
        url, side = self._address(number), int(self._planes.side_px[number])
        check, usual_bytes = partial(_check_picture, url, side), int(side**2 * _BYTES_PER_PIXEL)
        try:
            return fetch(url, self._client, self._cache, check=check, usual_bytes=usual_bytes)
        except ArchiveError as error:
            self._tell(error)
            raise

    def path(self, number: int) -> Path:
        """Return where a picture is in the cache, or will be."""
        return self._cache.entry(self._address(number)).path

    def close(self) -> None:
        """Nothing is open."""

    def _address(self, number: int) -> str:
        planes = self._planes
        ra, dec, scale = planes.ra_deg[number], planes.dec_deg[number], planes.scale_arcsec[number]
        return self._service.address(float(ra), float(dec), float(scale), int(planes.side_px[number]))

    def _tell(self, error: ArchiveError) -> None:
        """Say the first reason; those of the other rows are most often the same."""
        log.log(logging.DEBUG if self._has_failed else logging.WARNING, "a picture could not be fetched: %s", error)
        self._has_failed = True


def _name(ra_deg: float, dec_deg: float) -> str:
    return f"{ra_deg:.{POSITION_DECIMALS}f}{dec_deg:+.{POSITION_DECIMALS}f}.jpg"


def _check_picture(url: str, side_px: int, path: Path) -> None:
    """Refuse what is no JPEG of the right size, or shows nothing: outside its images, a service draws one colour."""
    with (
        boundary(lambda reason: ArchiveError(f"{url} is no JPEG ({reason}): expected a picture; try again later")),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # what Pillow says of large or odd files is said by us, or of no use
        with Image.open(path, formats=["JPEG"]) as picture:
            size = picture.size
            grey = np.asarray(picture.convert("L")) if size == (side_px, side_px) else None
    if grey is None:
        raise ArchiveError(f"{url} has {size[0]} x {size[1]} pixels: expected {side_px} x {side_px}; tell the archive")
    if np.ptp(grey) < _BLANK:
        raise ArchiveError(f"{url} is blank: expected a picture; the survey may have no images there")
