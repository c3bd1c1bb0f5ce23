"""Header: what FITS says of an image that a script holds, made of its WCS and unit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.wcs import WCS

from galmorph.errors import ImageError
from galmorph.sky.images.flux_units import is_flux_unit

__all__ = ["header_of", "unit_card"]


def header_of(wcs: Any) -> fits.Header:
    """Return the header of a WCS with all digits of its numbers; an empty one for None."""
    if wcs is None:
        return fits.Header()
    if isinstance(wcs, fits.Header):
        return wcs.copy()
    flat = getattr(wcs, "low_level_wcs", wcs)
    if not isinstance(flat, WCS):
        raise ImageError(f"WCS of type {type(wcs).__name__}: expected an astropy.wcs.WCS; give one that FITS can hold")
    if flat.cpdis1 is not None or flat.det2im1 is not None:
        raise ImageError("a WCS with tables of distortion was given: expected one that a header holds; give an HDUList")
    header = flat.to_header(relax=True)
    _write_in_full(header, flat.wcs)
    return header


def _write_in_full(header: fits.Header, wcs: Any) -> None:
    """Write with all digits what a header that was made of a WCS has to twelve."""
    for card, value in _numbers(wcs):
        if card in header and np.isclose(header[card], value, rtol=1e-9, atol=0):
            header[card] = float(value)


def _numbers(wcs: Any) -> Iterator[tuple[str, float]]:
    """Yield the cards that place pixels on the sky, and their values."""
    axes = range(1, wcs.naxis + 1)
    for card, values in (("CRPIX", wcs.crpix), ("CRVAL", wcs.crval), ("CDELT", wcs.get_cdelt())):
        yield from ((f"{card}{axis}", value) for axis, value in zip(axes, values, strict=True))
    matrix = wcs.get_pc()
    yield from ((f"PC{i}_{j}", matrix[i - 1, j - 1]) for i in axes for j in axes)


def unit_card(unit: Any) -> str:
    """Spell a unit as headers do: as it is, or as a number of janskys where only that is understood.

    Raises
    ------
    ImageError
        If it is a magnitude.
    """
    if isinstance(unit, u.LogUnit) or unit == u.mag:
        raise ImageError(f"an image has the unit {unit}: expected flux, whose sums mean something; convert it")
    text = str(unit)
    for physical in (u.Jy, u.MJy / u.sr):
        if unit.is_equivalent(physical) and not is_flux_unit(text):
            return f"{unit.to(physical)!r} {'Jy' if physical is u.Jy else 'MJy/sr'}"
    return text
