"""SkyGrid: where the pixels of one image lie on the sky."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning
from astropy.wcs import WCS
from astropy.wcs.utils import wcs_to_celestial_frame

from galmorph.errors import ImageError
from galmorph.sky.boundary import boundary
from galmorph.sky.images.extension import text_card
from galmorph.sky.matching.separations import tangents

__all__ = ["SkyGrid", "are_on_sky", "sky_grid", "unit_vectors"]

DoubleArray = npt.NDArray[np.float64]

_SIP_CARD = re.compile(r"(A|B|AP|BP)_(ORDER|DMAX|\d+_\d+)")
_SQUARE, _LEAST_SQUARE = 0.99, 0.9
"""Below the first ratio of sides, images are measured with a warning, below the second not at all."""
_UNEVEN = (
    "pixels are not square on the sky, by more than 1 %: ellipticities and angles are corrected, radii are off by up "
    "to 3 %, stamps are not corrected"
)
_SAME_SCALE = 5e-3
"""Relative difference up to which the scale of the reference pixel stands for the middle of the image."""
_APART_PX = 100.0
"""Between the middles of images: more than any tolerance, much less than a field."""
_MARGIN_DEG = 1e-3
"""Added to the radius within which positions are projected: more than rounding, less than an image."""


def _scales(jacobians: DoubleArray) -> DoubleArray:
    """Return the square root of the area of pixels."""
    return np.asarray(np.sqrt(np.abs(np.linalg.det(jacobians))))


@dataclass(frozen=True, eq=False)
class SkyGrid:
    """The celestial WCS of one image.

    Parameters
    ----------
    wcs
        Its first two axes; one of them longitude, the other latitude.
    shape
        Rows and columns of the image.
    """

    wcs: WCS = field(repr=False)
    shape: tuple[int, int]

    @cached_property
    def scale_arcsec(self) -> float:
        """Pixel scale in arcsec: the square root of the area of the middle pixel.

        That of the reference pixel is taken where both agree, as they do but for projections whose reference is far
        from the image.
        """
        nominal = float(np.sqrt(self.wcs.proj_plane_pixel_area().to_value("arcsec2")))
        middle = float(_scales(self._jacobians[-1:])[0])
        return nominal if abs(middle - nominal) < _SAME_SCALE * nominal else middle

    @cached_property
    def squareness(self) -> float:
        """Ratio of the shorter to the longer axis of a circle on the sky, in pixels, where the image is worst.

        It is 1 for square pixels, however they are turned.
        """
        sides = np.linalg.svd(self._jacobians, compute_uv=False)
        with np.errstate(all="ignore"):  # of absurd scales, which are no number here and refused as such
            return float((sides[:, 1] / sides[:, 0]).min())

    @cached_property
    def is_even(self) -> bool:
        """Whether the pixel scale is the same all over the image."""
        return bool(np.all(np.abs(_scales(self._jacobians) / self.scale_arcsec - 1) < _SAME_SCALE))

    def scales_at(self, x: npt.ArrayLike, y: npt.ArrayLike) -> DoubleArray:
        """Return the pixel scale in arcsec at 0-based pixel positions, (N,)."""
        return np.full(np.size(x), self.scale_arcsec) if self.is_even else _scales(self.jacobians(x, y))

    def jacobians(self, x: npt.ArrayLike, y: npt.ArrayLike) -> DoubleArray:
        """Return arcsec towards (east, north) per pixel along (x, y) at 0-based pixel positions, (N, 2, 2)."""
        columns, rows = np.ravel(x).astype(np.float64), np.ravel(y).astype(np.float64)
        step = np.array([[-0.5, 0.5, 0.0, 0.0], [0.0, 0.0, -0.5, 0.5]])
        directions = unit_vectors(*self.to_sky(columns[:, None] + step[0], rows[:, None] + step[1]))
        ends = directions.reshape(-1, 4, 3)
        along = np.stack([ends[:, 1] - ends[:, 0], ends[:, 3] - ends[:, 2]], axis=2)  # (N, 3, 2)
        return np.degrees(np.stack(tangents(*self.to_sky(columns, rows)), axis=1) @ along) * 3600

    @cached_property
    def _jacobians(self) -> DoubleArray:
        """Those of the corner pixels and, last, of the middle."""
        height, width = self.shape
        x = np.array([0.0, width - 1.0, 0.0, width - 1.0, (width - 1) / 2])
        y = np.array([0.0, 0.0, height - 1.0, height - 1.0, (height - 1) / 2])
        return self.jacobians(x, y)

    def to_sky(self, x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[DoubleArray, DoubleArray]:
        """Return ICRS degrees of 0-based pixel positions; NaN outside the projection."""
        pixel = np.column_stack([np.ravel(x), np.ravel(y)]).astype(np.float64)
        world = self.wcs.all_pix2world(pixel, 0)
        return self._to_icrs(world[:, self.wcs.wcs.lng], world[:, self.wcs.wcs.lat])

    def to_pixel(self, ra_deg: npt.ArrayLike, dec_deg: npt.ArrayLike) -> tuple[DoubleArray, DoubleArray]:
        """Return 0-based pixel positions of ICRS degrees; NaN farther off than the image reaches.

        Without that limit a tangential projection would also put the opposite side of the sky inside the
        image.
        """
        ra, dec = np.ravel(ra_deg).astype(np.float64), np.ravel(dec_deg).astype(np.float64)
        x, y = np.full(ra.shape, np.nan), np.full(ra.shape, np.nan)
        near = self.is_near(unit_vectors(ra, dec))
        if near.any():
            world = np.empty((int(near.sum()), 2))
            world[:, self.wcs.wcs.lng], world[:, self.wcs.wcs.lat] = self._from_icrs(ra[near], dec[near])
            x[near], y[near] = self.wcs.all_world2pix(world, 0, quiet=True).T
        return x, y

    def is_near(self, directions: DoubleArray) -> npt.NDArray[np.bool_]:
        """Tell which directions, (N, 3), lie within the circle on the sky that holds the image."""
        middle, cosine = self._reach
        return np.asarray(directions @ middle > cosine)

    def matches(self, other: SkyGrid, tolerance_px: float = 0.01) -> bool:
        """Tell whether another image has the same pixels on the sky, to `tolerance_px` at its corners."""
        if self.shape != other.shape or self._is_apart(other):
            return False
        x, y = self._border()
        x2, y2 = other.to_pixel(*self.to_sky(x, y))
        return bool(np.all(np.hypot(x2 - x, y2 - y) < tolerance_px))

    def cut(self, y0: int, y1: int, x0: int, x1: int) -> SkyGrid:
        """Return the grid of the pixels ``[y0:y1, x0:x1]``."""
        return SkyGrid(self.wcs[y0:y1, x0:x1], (y1 - y0, x1 - x0))

    def _is_apart(self, other: SkyGrid) -> bool:
        """Tell at once of most images of other fields that they have other pixels: their middles are elsewhere."""
        turn = float(np.linalg.norm(self._reach[0] - other._reach[0]))
        return math.degrees(turn) * 3600 > _APART_PX * max(self.scale_arcsec, other.scale_arcsec)

    @cached_property
    def _reach(self) -> tuple[DoubleArray, float]:
        """Direction of the middle, and cosine of the angle to the farthest point of the border."""
        height, width = self.shape
        middle = unit_vectors(*self.to_sky((width - 1) / 2, (height - 1) / 2))[0]
        cosines = unit_vectors(*self.to_sky(*self._border())) @ middle
        if not np.all(np.isfinite(cosines)) or cosines.min() < 0:
            return middle, 0.0
        return middle, float(np.cos(np.arccos(min(cosines.min(), 1.0)) + np.radians(_MARGIN_DEG)))

    def _border(self) -> tuple[DoubleArray, DoubleArray]:
        """Corners of the image and middles of its edges."""
        height, width = self.shape
        x, y = np.meshgrid(np.linspace(-0.5, width - 0.5, 3), np.linspace(-0.5, height - 0.5, 3))
        return np.delete(x.ravel(), 4), np.delete(y.ravel(), 4)

    @cached_property
    def _frame(self) -> Any:
        """Frame of the header; None for ICRS, and for FK5 J2000, which differs by less than 0.03 arcsec."""
        frame = wcs_to_celestial_frame(self.wcs)
        equatorial = frame.name == "icrs" or (frame.name == "fk5" and frame.equinox.jyear == 2000)
        return None if equatorial else frame

    def _to_icrs(self, longitude: DoubleArray, latitude: DoubleArray) -> tuple[DoubleArray, DoubleArray]:
        if self._frame is None:
            return longitude, latitude
        sky = SkyCoord(longitude, latitude, unit="deg", frame=self._frame).icrs
        return sky.ra.deg, sky.dec.deg

    def _from_icrs(self, ra: DoubleArray, dec: DoubleArray) -> tuple[DoubleArray, DoubleArray]:
        if self._frame is None:
            return ra, dec
        sky = SkyCoord(ra, dec, unit="deg", frame="icrs").transform_to(self._frame).spherical
        return sky.lon.deg, sky.lat.deg


def sky_grid(
    header: fits.Header,
    shape: tuple[int, int],
    hdus: fits.HDUList,
    *,
    primary: fits.Header | None = None,
    drop_sip: bool,
    name: str,
) -> tuple[SkyGrid | None, tuple[str, ...]]:
    """Read the celestial WCS of a header, None if it has none; and say what was not taken as it stands.

    Distortion terms (SIP) are left out where `drop_sip` says so, and where CTYPE does not announce them:
    drizzled images often carry those of an exposure.

    Parameters
    ----------
    primary
        Header of the primary HDU, where it holds for an extension that has no WCS itself.

    Raises
    ------
    ImageError
        If the header has a WCS that cannot be understood.
    """
    own = header if primary is None or "CTYPE1" in header else _inherited(header, primary)
    announced = all(str(text_card(own, f"CTYPE{n}")).strip().endswith("-SIP") for n in (1, 2))
    cleaned = own if announced and not drop_sip else _without_sip(own)
    cleaned, remarks = _with_known_frame(cleaned)
    _check_cards(cleaned, name)
    with boundary(partial(_not_understood, name)), warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        wcs = _celestial(cleaned, hdus)
        if wcs is None:
            return None, remarks
        grid = SkyGrid(wcs, shape)
        sound = bool(np.isfinite(grid.scale_arcsec) and grid.scale_arcsec > 0)
    remarks = (*remarks, *_not_applied(said))
    if sound and not grid.squareness > _LEAST_SQUARE:
        raise ImageError(
            f"image '{name}' has pixels that are not square on the sky, {grid.squareness:.2f} times as wide as long: "
            "expected square ones, or galaxies change their shape and size; resample it, with reproject or SWarp"
        )
    if sound and grid.squareness < _SQUARE:
        remarks = (*remarks, _UNEVEN)
    return (grid, remarks) if sound else (None, (*remarks, "the WCS has pixels without an area: taken as none"))


def _not_applied(said: Sequence[warnings.WarningMessage]) -> list[str]:
    """Return what astropy says that it leaves out of a WCS, as polynomials of record-valued cards."""
    texts = [" ".join(str(each.message).split()) for each in said if each.category is AstropyUserWarning]
    # Planes of a cube are chosen elsewhere.
    return [f"the WCS is read in part: {text}" for text in dict.fromkeys(texts) if "has more axes" not in text]


_NUMBER_CARD = re.compile(r"(CRPIX|CRVAL|CDELT|CROTA)[12]|(CD|PC)[12]_[12]|PC00[12]00[12]|EQUINOX|LONPOLE|LATPOLE")

_AXES_CARD = re.compile(r"WCSAXES[A-Z]?")
_MOST_AXES = 99  # two digits are what cards of axes have room for
_TEXT_CARD = re.compile(r"(CTYPE|CUNIT|CPDIS|CQDIS|CPERR)\d")


def _check_cards(header: fits.Header, name: str) -> None:
    """Refuse cards of the WCS without the number that they should have, which its reader would take for their default.

    Cards of text that hold a number are refused likewise: the reader would end in the words of Python.

    Raises
    ------
    ImageError
        If there is one.
    """
    for card in (card for card in header if _NUMBER_CARD.fullmatch(card)):
        value = text_card(header, card)
        if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
            raise _not_understood(name, f"{card} = {value!r} is no number")
    for card in (card for card in header if _AXES_CARD.fullmatch(card)):
        value = text_card(header, card)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST_AXES:
            raise _not_understood(name, f"{card} = {value!r}, where {_MOST_AXES} axes at most make sense")
    for card in (card for card in header if _TEXT_CARD.fullmatch(card)):
        if not isinstance(value := text_card(header, card), str):
            raise _not_understood(name, f"{card} = {value!r} is no text")


def _not_understood(name: str, reason: str) -> ImageError:
    reason = reason.replace("ERROR ", "").rpartition(": ")[2] if reason.startswith("ERROR") else reason
    return ImageError(f"image '{name}' has a WCS that cannot be understood ({reason}): correct its header")


def _celestial(header: fits.Header, hdus: fits.HDUList) -> WCS | None:
    """Read a whole WCS, which mends spellings, and keep its axes on the sky; None where the pixels have none."""
    wcs = WCS(header, fobj=hdus)
    if not wcs.has_celestial or {wcs.wcs.lng, wcs.wcs.lat} != {0, 1}:
        return None
    return wcs if wcs.naxis == 2 else wcs.celestial


_WCS_CARD = re.compile(
    r"(CTYPE|CRVAL|CRPIX|CDELT|CUNIT|CROTA|PC|CD|PV|PS|LONPOLE|LATPOLE|RADESYS|EQUINOX|A_|B_|AP_|BP_)"
)


def _inherited(header: fits.Header, primary: fits.Header) -> fits.Header:
    """Add the WCS of the primary HDU to the header of an extension that has none."""
    merged = header.copy()
    for card in primary:
        if _WCS_CARD.match(card) and card not in merged:
            merged[card] = text_card(primary, card)
    return merged


# Of the FITS standard 4.0, table 24.
_FRAMES = ("ICRS", "FK5", "FK4", "FK4-NO-E", "GAPPT")


def _with_known_frame(header: fits.Header) -> tuple[fits.Header, tuple[str, ...]]:
    """Spell the frame as the standard does; what is no frame counts as ICRS, and is told."""
    card = next((card for card in ("RADESYS", "RADECSYS") if card in header), None)
    if card is None:
        return header, ()
    text = str(text_card(header, card)).strip()
    if text in _FRAMES or not text:
        return header, ()
    mended = header.copy()
    mended[card] = text.upper() if text.upper() in _FRAMES else "ICRS"
    if text.upper() in _FRAMES:
        return mended, ()
    return mended, (f"{card} '{text}' is no frame of the FITS standard: taken as ICRS",)


def _without_sip(header: fits.Header) -> fits.Header:
    terms = [card for card in header if _SIP_CARD.fullmatch(card)]
    ctypes = [c for c in ("CTYPE1", "CTYPE2") if str(text_card(header, c)).strip().endswith("-SIP")]
    if not terms and not ctypes:
        return header
    cleaned = header.copy()
    for card in terms:
        del cleaned[card]
    for card in ctypes:
        cleaned[card] = str(text_card(header, card)).strip().removesuffix("-SIP")
    return cleaned


def are_on_sky(ra_deg: DoubleArray, dec_deg: DoubleArray) -> npt.NDArray[np.bool_]:
    """Tell which are positions, (N,): finite, and not beyond the poles."""
    with np.errstate(invalid="ignore"):
        return np.isfinite(ra_deg) & (np.abs(dec_deg) <= 90.0)


def unit_vectors(ra_deg: npt.ArrayLike, dec_deg: npt.ArrayLike) -> DoubleArray:
    """Return directions, (N, 3), of sky positions in degrees; NaN for NaN and beyond the poles."""
    dec_deg = np.where(np.abs(dec_deg) <= 90, dec_deg, np.nan)
    ra, dec = np.radians(np.ravel(ra_deg)), np.radians(np.ravel(dec_deg))
    return np.column_stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
