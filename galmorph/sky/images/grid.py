"""SkyGrid: where the pixels of one image lie on the sky."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning
from astropy.wcs import WCS, FITSFixedWarning
from astropy.wcs.utils import wcs_to_celestial_frame

from galmorph.errors import ImageError

__all__ = ["SkyGrid", "sky_grid", "unit_vectors"]

DoubleArray = npt.NDArray[np.float64]

_SIP_CARD = re.compile(r"(A|B|AP|BP)_(ORDER|DMAX|\d+_\d+)")
_MARGIN_DEG = 1e-3
"""Added to the radius within which positions are projected: more than rounding, less than an image."""


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
        """Pixel scale in arcsec: the square root of the area of the reference pixel."""
        return float(np.sqrt(self.wcs.proj_plane_pixel_area().to_value("arcsec2")))

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
        if self.shape != other.shape:
            return False
        x, y = self._border()
        x2, y2 = other.to_pixel(*self.to_sky(x, y))
        return bool(np.all(np.hypot(x2 - x, y2 - y) < tolerance_px))

    def cut(self, y0: int, y1: int, x0: int, x1: int) -> SkyGrid:
        """Return the grid of the pixels ``[y0:y1, x0:x1]``."""
        return SkyGrid(self.wcs[y0:y1, x0:x1], (y1 - y0, x1 - x0))

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
    header: fits.Header, shape: tuple[int, int], hdus: fits.HDUList, *, drop_sip: bool, name: str
) -> SkyGrid | None:
    """Read the celestial WCS of a header; None if it has none.

    Distortion terms (SIP) are left out where `drop_sip` says so, and where CTYPE does not announce them:
    drizzled images often carry those of an exposure.

    Raises
    ------
    ImageError
        If the header has a WCS that cannot be understood.
    """
    announced = all(str(header.get(f"CTYPE{n}", "")).strip().endswith("-SIP") for n in (1, 2))
    cleaned = header if announced and not drop_sip else _without_sip(header)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FITSFixedWarning)
            warnings.filterwarnings("ignore", "The WCS transformation has more axes", AstropyUserWarning)
            wcs = WCS(cleaned, fobj=hdus, naxis=2)
    except (ValueError, KeyError, AssertionError) as error:
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        raise ImageError(
            f"image '{name}' has a WCS that cannot be understood ({reason}): correct its header"
        ) from error
    return SkyGrid(wcs, shape) if wcs.has_celestial else None


def _without_sip(header: fits.Header) -> fits.Header:
    terms = [card for card in header if _SIP_CARD.fullmatch(card)]
    ctypes = [c for c in ("CTYPE1", "CTYPE2") if str(header.get(c, "")).strip().endswith("-SIP")]
    if not terms and not ctypes:
        return header
    cleaned = header.copy()
    for card in terms:
        del cleaned[card]
    for card in ctypes:
        cleaned[card] = str(header[card]).strip().removesuffix("-SIP")
    return cleaned


def unit_vectors(ra_deg: npt.ArrayLike, dec_deg: npt.ArrayLike) -> DoubleArray:
    """Return directions, (N, 3), of sky positions in degrees; NaN for NaN and beyond the poles."""
    dec_deg = np.where(np.abs(dec_deg) <= 90, dec_deg, np.nan)
    ra, dec = np.radians(np.ravel(ra_deg)), np.radians(np.ravel(dec_deg))
    return np.column_stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
