"""Calibration: what one unit of an image is, as its header says it or, failing that, as the survey does."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Mapping
from functools import cache
from typing import Any

from astropy import units as u

from galmorph.sky.survey import Band, surface_brightness_mjysr

__all__ = ["CARDS", "filter_of", "is_flux_unit", "is_magnitude", "softening_of", "unit_remark", "zero_point_of"]

_ZERO_POINT_CARDS = (
    *("ABMAGZP", "ABZP", "MAGZERO", "ZEROPNT", "PHOTZP", "MAGZP", "ZEROPOINT", "MAGZEROP", "ZEROPT"),
    *("MAGZPAB", "ZPAB", "AB_ZP", "ZP_AB", "ZPT", "ZP"),
)
_FILTER_CARDS = ("FILTER", "FILTER1", "FILTER2", "FILTNAM", "FILTNAM1", "BAND")
_UNUSED_CARD = "ABMAGFAC"
"""Some headers have it; no publication was found that says whether it is a flux, its inverse, or of which unit."""
CARDS = (
    *("BUNIT", "EXPTIME", "PHOTFNU", "PHOTFLAM", "PHOTPLAM", "PHOTMJSR", "FLUXMAG0", "BSOFTEN", "BOFFSET", "MAGZPT"),
    _UNUSED_CARD,
    *_ZERO_POINT_CARDS,
    *_FILTER_CARDS,
)
"""Header cards that say what the pixels are."""

# A maggy is the flux of AB magnitude 0.
_JY_PER_UNIT = {"Jy": 1.0, "mJy": 1e-3, "uJy": 1e-6, "nJy": 1e-9, "nanomaggy": 3.631e-6, "maggy": 3631.0}
_SPELLINGS = (
    (r"(?i:jansky|janskys)\b", "Jy"),
    (r"(?i:micro|µ|μ)(?=Jy)", "u"),
    (r"(?i:nano)(?=Jy)", "n"),
    (r"(?i:milli)(?=Jy)", "m"),
    (r"(?i:mega)(?=Jy)", "M"),
    (r"(?<![A-Za-z])([munMUNk]?)J[Yy](?![a-z])", lambda match: match[1].replace("U", "u").replace("N", "n") + "Jy"),
    (r"(?i:nmgy|nanomaggie)s?\b", "nanomaggy"),
    (r"(?i:nanomaggies|nanomaggys)\b", "nanomaggy"),
    (r"(?i:maggies|mgy)\b", "maggy"),
    (r"\s*[./]?\s*(?i:sr)(-1|\^-1|\*\*-1)?$", "/sr"),
    (r"\s*/\s*(pixel|pix)$", ""),
)
_UNIT = re.compile(r"(?P<factor>\d[\d.]*(?:[eE][+-]?\d+)?)?\s*\*?\s*(?P<unit>[A-Za-z]+(?:/sr)?)")
_COUNTS = re.compile(r"(?i)^(electrons?|e-?|counts?|cts?|adu|dn|photons?)$")
_RATES = re.compile(
    r"(?i)^(electrons?|e-?|counts?|cts?|adu|dn|photons?)\s*(/|\.|\*)?\s*(s|sec|second)(-1|\^-1|\*\*-1)?$"
)
# What astropy would read as another unit, or not at all.
_WORDS = (
    (r"(?<![A-Za-z])(ANGSTROMS?|angstroms?|ANG|Ang|ang|A)(?![A-Za-z])", "Angstrom"),
    (r"(?i)\bsqarcsec\b|\barcsec\s*sq\b|\bsq\.?\s*arcsec\b", "arcsec2"),
    (r"(?i)\bergs?\b", "erg"),
    (r"(?<![A-Za-z])CM(?![A-Za-z])", "cm"),
    (r"(?<![A-Za-z])(S|SEC|sec)(?![A-Za-z])", "s"),
    (r"(?<![A-Za-z])HZ(?![A-Za-z])", "Hz"),
    (r"(?<=[\d.])(?=[munk]?Jy)", " "),
    (r"\s*(/|\.)?\s*(?i:pixel|pix)(-1|\^-1|\*\*-1)?\b", ""),
)
_LONGEST_UNIT = 68  # characters that a card holds


def zero_point_of(header: Mapping[str, Any], band: Band | None, scale_arcsec: float) -> float:
    """Return the AB magnitude of one unit of an image in one pixel; NaN where nothing says it.

    In this order: the unit (BUNIT) where it is a flux or a surface brightness; PHOTFNU (jansky per unit);
    PHOTFLAM with PHOTPLAM (HST: ``-2.5 log10 PHOTFLAM - 5 log10 PHOTPLAM - 2.408``); PHOTMJSR (JWST count
    rates); a card with the zero point itself; the flux of magnitude 0 (FLUXMAG0); the zero point of Pan-STARRS stacks;
    MAGZPT, which is one of counts per second (Irwin et al. 2004, SPIE 5493, 411); the band's nominal value. Images in
    total counts are divided by EXPTIME where the calibration is one of count rates. Fluxes per wavelength need
    PHOTPLAM, in angstrom.

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
        _from_unit(_bunit(header), scale_arcsec, _number(header, "PHOTPLAM")),
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
    >>> [is_flux_unit(text) for text in ("10 nJy", "uJy/arcsec2", "erg / (s cm2 Hz)", "electron / s", "nonsense")]
    [True, True, True, False, False]
    """
    return math.isfinite(_from_unit(text, 1.0))


def unit_remark(header: Mapping[str, Any]) -> str | None:
    """Say that a unit is not understood, if it is neither a flux nor counts; None where there is nothing to say.

    Examples
    --------
    >>> unit_remark({"BUNIT": "Jy/beam"})
    "BUNIT 'Jy/beam' is not understood: other cards or the survey say what a unit is"
    >>> unit_remark({"BUNIT": "electron/s"})
    """
    if _UNUSED_CARD in header and not math.isfinite(zero_point_of(header, None, 1.0)):
        return f"card {_UNUSED_CARD} has no published meaning and is not used: give the zero point in MAGZERO"
    text = _bunit(header)
    is_known = (
        _COUNTS.match(text) or _RATES.match(text) or text.lower() in ("", "none", "unknown", "1", "dimensionless")
    )
    if is_known or math.isfinite(_from_unit(text, 1.0, _number(header, "PHOTPLAM"))):
        return None
    return f"BUNIT '{text}' is not understood: other cards or the survey say what a unit is"


def is_magnitude(header: Mapping[str, Any]) -> bool:
    """Tell whether pixels are logarithms of a flux, whose sums mean nothing.

    Examples
    --------
    >>> [is_magnitude({"BUNIT": text}) for text in ("mag/arcsec2", "MAG", "dex(mJy)", "mJy", "")]
    [True, True, True, False, False]
    """
    return re.match(r"(?i)(mag|magnitudes?|(mag|dex|dB)\(.*\))\s*([/.*]|$)", _bunit(header)) is not None


def softening_of(header: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return BOFFSET and BSOFTEN of pixels that are inverse hyperbolic sines of a flux; None of linear ones."""
    softening, offset = _number(header, "BSOFTEN"), _number(header, "BOFFSET")
    if not (math.isfinite(softening) and softening > 0):
        return None
    return (offset if math.isfinite(offset) else 0.0), softening


def _bunit(header: Mapping[str, Any]) -> str:
    return str(header.get("BUNIT", "")).strip()[:_LONGEST_UNIT]


def _from_unit(text: str, scale_arcsec: float, pivot_angstrom: float = math.nan) -> float:
    spelled = text.strip()
    for pattern, spelling in _SPELLINGS:
        spelled = re.sub(pattern, spelling, spelled.strip())
    match = _UNIT.fullmatch(spelled)
    if match is None or (match["unit"] not in _JY_PER_UNIT and match["unit"] != "MJy/sr"):
        return _mag_of_flux(*_parsed(spelled), scale_arcsec, pivot_angstrom)
    factor = float(match["factor"] or 1)
    if match["unit"] == "MJy/sr":
        return _mag_of_mjysr(factor, scale_arcsec)
    return _mag_of_jy(factor * _JY_PER_UNIT[match["unit"]])


@cache
def _parsed(text: str) -> tuple[float, str]:
    """Return a unit as a number of Jy, MJy/sr, or erg/s/cm2/A, by itself or per sr; and which: '' for none of them."""
    for pattern, spelling in _WORDS:
        text = re.sub(pattern, spelling, text)
    maggies = re.findall(r"\b(?:nano)?maggy\b", text)
    plain = re.sub(r"\b(?:nano)?maggy\b", "Jy", text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", u.UnitsWarning)
        try:
            unit = u.Unit(plain)
        except (ValueError, TypeError, OverflowError, ZeroDivisionError, RecursionError):
            return math.nan, ""
    factor = _JY_PER_UNIT[maggies[0]] if len(maggies) == 1 else 1.0
    for name, physical in _PHYSICAL.items():
        if isinstance(unit, u.UnitBase) and unit.is_equivalent(physical):
            return factor * float(unit.to(physical)), name
    return math.nan, ""


_PER_WAVELENGTH = u.erg / (u.s * u.cm**2 * u.AA)
_PHYSICAL = {"nu": u.Jy, "nu/sr": u.MJy / u.sr, "lambda": _PER_WAVELENGTH, "lambda/sr": _PER_WAVELENGTH / u.sr}
_JY_PER_LAMBDA2 = 1e23 / 2.99792458e18
"""Jansky of one erg/s/cm2/A at a pivot wavelength of one angstrom: the wavelength squared over the speed of light."""


def _mag_of_flux(value: float, kind: str, scale_arcsec: float, pivot_angstrom: float) -> float:
    if kind.startswith("lambda"):
        value *= _JY_PER_LAMBDA2 * pivot_angstrom**2 * (1e-6 if kind.endswith("/sr") else 1.0)
    return _mag_of_mjysr(value, scale_arcsec) if kind.endswith("/sr") else _mag_of_jy(value)


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
    return _mag_of_seconds(_number(header, "EXPTIME")) if _COUNTS.match(_bunit(header)) else 0.0


def _mag_of_seconds(seconds: float) -> float:
    return 2.5 * math.log10(seconds) if seconds > 0 else 0.0


_PS1_ZERO_POINT = 25.0
"""AB magnitude of one count per second in Pan-STARRS stacks (Waters et al. 2020, ApJS 251, 4)."""


def _from_cards(header: Mapping[str, Any]) -> float:
    values = [_number(header, card) for card in _ZERO_POINT_CARDS]
    if (flux := _number(header, "FLUXMAG0")) > 0:  # HSC and LSST
        values.append(2.5 * math.log10(flux))
    seconds = _number(header, "EXPTIME")
    if softening_of(header) is not None and seconds > 0:
        values.append(_PS1_ZERO_POINT + 2.5 * math.log10(seconds))
    values.append(_number(header, "MAGZPT") + (0.0 if _RATES.match(_bunit(header)) else _mag_of_seconds(seconds)))
    return next((value for value in values if 0 < value < 60), math.nan)


def _mag_of_jy(flux_jy: float) -> float:
    return -2.5 * math.log10(flux_jy / 3631) if flux_jy > 0 else math.nan


def _mag_of_mjysr(brightness_mjysr: float, scale_arcsec: float) -> float:
    if not brightness_mjysr > 0 or not scale_arcsec > 0:
        return math.nan
    return 2.5 * math.log10(surface_brightness_mjysr(0.0, scale_arcsec) / brightness_mjysr)


def _number(header: Mapping[str, Any], card: str) -> float:
    """Return the number of a card, also of one that is written as text; NaN where there is none."""
    value = header.get(card)
    if isinstance(value, bool):
        return math.nan
    try:
        return float(value) if isinstance(value, (int, float, str)) else math.nan
    except (ValueError, OverflowError):
        return math.nan
