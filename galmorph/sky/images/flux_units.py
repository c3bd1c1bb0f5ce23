"""Calibration: what one unit of an image is, as its header says it or, failing that, as the survey does."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from galmorph.sky.survey import Band, surface_brightness_mjysr

__all__ = ["CARDS", "filter_of", "is_flux_unit", "zero_point_of"]

CARDS = (
    *("BUNIT", "EXPTIME", "PHOTFNU", "PHOTFLAM", "PHOTPLAM", "PHOTMJSR"),
    *("ABMAGZP", "ABZP", "MAGZERO", "ZEROPNT", "MAGZPT", "PHOTZP"),
    *("FILTER", "FILTER1", "FILTER2", "FILTNAM", "FILTNAM1", "BAND"),
)
"""Header cards that say what the pixels are."""

_ZERO_POINT_CARDS = ("ABMAGZP", "ABZP", "MAGZERO", "ZEROPNT", "MAGZPT", "PHOTZP")
_FILTER_CARDS = ("FILTER", "FILTER1", "FILTER2", "FILTNAM", "FILTNAM1", "BAND")
# A maggy is the flux of AB magnitude 0.
_JY_PER_UNIT = {"Jy": 1.0, "mJy": 1e-3, "uJy": 1e-6, "nJy": 1e-9, "nanomaggy": 3.631e-6, "maggy": 3631.0}
_SPELLINGS = (
    (r"(?i:jansky|janskys)\b", "Jy"),
    (r"(?i:micro|µ)(?=Jy)", "u"),
    (r"(?i:nano)(?=Jy)", "n"),
    (r"(?i:milli)(?=Jy)", "m"),
    (r"(?i:mega)(?=Jy)", "M"),
    (r"(?i:nmgy|nanomaggie)s?\b", "nanomaggy"),
    (r"(?i:nanomaggies|nanomaggys)\b", "nanomaggy"),
    (r"(?i:maggies|mgy)\b", "maggy"),
    (r"\s*[./]?\s*sr(-1|\^-1|\*\*-1)?$", "/sr"),
    (r"\s*/\s*(pixel|pix)$", ""),
)
_UNIT = re.compile(r"(?P<factor>\d[\d.]*(?:[eE][+-]?\d+)?)?\s*\*?\s*(?P<unit>[A-Za-z]+(?:/sr)?)")
_COUNTS = re.compile(r"(?i)^(electrons?|e-?|counts?|adu|dn)$")


def zero_point_of(header: Mapping[str, Any], band: Band | None, scale_arcsec: float) -> float:
    """Return the AB magnitude of one unit of an image in one pixel; NaN where nothing says it.

    In this order: the unit (BUNIT) where it is a flux or a surface brightness; PHOTFNU (jansky per unit);
    PHOTFLAM with PHOTPLAM (HST: ``-2.5 log10 PHOTFLAM - 5 log10 PHOTPLAM - 2.408``); PHOTMJSR (JWST count
    rates); a card with the zero point itself; the band's nominal value. Images in total counts are divided by
    EXPTIME where the calibration is one of count rates.

    Parameters
    ----------
    header
        The header, or a dictionary of its cards.
    band
        The band of the survey, or None.
    scale_arcsec
        Pixel scale of this image in arcsec.

    Examples
    --------
    >>> round(zero_point_of({"BUNIT": "nanomaggy"}, None, 0.396), 2)
    22.5
    >>> round(zero_point_of({"PHOTFNU": 1e-8}, None, 0.04), 1)
    28.9
    """
    for zero_point in (
        _from_unit(str(header.get("BUNIT", "")), scale_arcsec),
        _from_rates(header, scale_arcsec) + _exposure_mag(header),
        _from_cards(header),
    ):
        if math.isfinite(zero_point):
            return zero_point
    if band is None:
        return math.nan
    return _mag_of_mjysr(1.0, scale_arcsec) if band.unit == "MJy/sr" else band.zero_point_ab


def filter_of(header: Mapping[str, Any]) -> str | None:
    """Return the filter that a header names, in upper case if its name is longer than one letter; or None."""
    for card in _FILTER_CARDS:
        name = str(header.get(card, "")).strip()
        if name and not name.upper().startswith(("CLEAR", "N/A")):
            return name.upper() if len(name) > 1 else name
    return None


def is_flux_unit(text: str) -> bool:
    """Tell whether a spelling is understood as the unit of a flux or a surface brightness.

    Examples
    --------
    >>> [is_flux_unit(text) for text in ("10 nJy", "MJy / sr", "erg / (s cm2 Hz)", "electron / s")]
    [True, True, False, False]
    """
    return math.isfinite(_from_unit(text, 1.0))


def _from_unit(text: str, scale_arcsec: float) -> float:
    for pattern, spelling in _SPELLINGS:
        text = re.sub(pattern, spelling, text.strip())
    match = _UNIT.fullmatch(text)
    if match is None:
        return math.nan
    factor = float(match["factor"] or 1)
    if match["unit"] == "MJy/sr":
        return _mag_of_mjysr(factor, scale_arcsec)
    return _mag_of_jy(factor * _JY_PER_UNIT.get(match["unit"], math.nan))


def _from_rates(header: Mapping[str, Any], scale_arcsec: float) -> float:
    photfnu, photflam, photplam, photmjsr = (
        _number(header, card) for card in ("PHOTFNU", "PHOTFLAM", "PHOTPLAM", "PHOTMJSR")
    )
    if photfnu > 0:
        return _mag_of_jy(photfnu)
    if photflam > 0 and photplam > 0:
        return -2.5 * math.log10(photflam) - 5 * math.log10(photplam) - 2.408
    return _mag_of_mjysr(photmjsr, scale_arcsec)


def _exposure_mag(header: Mapping[str, Any]) -> float:
    """Magnitudes to add where the pixels are total counts: 2.5 log10 of the exposure time in seconds."""
    seconds = _number(header, "EXPTIME")
    if _COUNTS.match(str(header.get("BUNIT", "")).strip()) and seconds > 0:
        return 2.5 * math.log10(seconds)
    return 0.0


def _from_cards(header: Mapping[str, Any]) -> float:
    values = [_number(header, card) for card in _ZERO_POINT_CARDS]
    return next((value for value in values if 0 < value < 60), math.nan)


def _mag_of_jy(flux_jy: float) -> float:
    return -2.5 * math.log10(flux_jy / 3631) if flux_jy > 0 else math.nan


def _mag_of_mjysr(brightness_mjysr: float, scale_arcsec: float) -> float:
    if not brightness_mjysr > 0 or not scale_arcsec > 0:
        return math.nan
    return 2.5 * math.log10(surface_brightness_mjysr(0.0, scale_arcsec) / brightness_mjysr)


def _number(header: Mapping[str, Any], card: str) -> float:
    value = header.get(card)
    return float(value) if isinstance(value, (int, float)) else math.nan
