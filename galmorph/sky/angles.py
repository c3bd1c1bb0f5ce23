"""Angles: right ascension and declination in degrees, from whatever a catalogue spells them in."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy import units as u

__all__ = ["dec_degrees", "ra_degrees"]

FloatArray = npt.NDArray[np.float64]

# As catalogues spell them: "h" is an hour of right ascension, where astropy's unit is an hour of time.
_FACTORS = {
    "h": 15.0,
    "hr": 15.0,
    "hour": 15.0,
    "hours": 15.0,
    "hourangle": 15.0,
    "rad": 180.0 / np.pi,
    "radian": 180.0 / np.pi,
    "radians": 180.0 / np.pi,
    "arcsec": 1.0 / 3600.0,
    "mas": 1.0 / 3.6e6,
}
_SEXAGESIMAL = re.compile(
    r"""\s*(?P<sign>[+\-\u2212]?)\s*(?P<first>\d{1,3})
        (?:\s*(?P<mark>[hd°:])\s*|\s+) (?P<minutes>\d{1,2}(?:\.\d*)?)
        (?:(?:\s*[m':\u2032]\s*|\s+) (?P<seconds>\d{1,2}(?:\.\d*)?)? \s*(?:s|"|\u2033|'')?
          | \s*[m'\u2032])? \s*$""",
    re.VERBOSE | re.IGNORECASE,
)


def ra_degrees(values: npt.ArrayLike, unit: str = "") -> FloatArray:
    """Return right ascensions in degrees, [0, 360), (N,); NaN where a value is missing or makes no sense.

    Numbers are degrees unless `unit` says hours or is another unit of angles. Text with two or three parts
    (``10:20:30.1``, ``10h20m30.1s``, ``10 20 30.1``) is hours unless it says ``d`` or `unit` says degrees.
    Values in [-360, 720] are wrapped.
    """
    degrees = _degrees(values, unit, per_hour=15.0)
    with np.errstate(invalid="ignore"):
        inside = (degrees >= -360.0) & (degrees <= 720.0)
        wrapped = np.mod(degrees, 360.0)
    wrapped[wrapped == 360.0] = 0.0
    return np.where(inside, wrapped, np.nan)


def dec_degrees(values: npt.ArrayLike, unit: str = "") -> FloatArray:
    """Return declinations in degrees, [-90, 90], (N,); NaN where a value is missing or makes no sense.

    Numbers are degrees unless `unit` is another unit of angles; text may be sexagesimal degrees.
    """
    degrees = _degrees(values, "" if _is_hours(unit) else unit, per_hour=1.0)
    with np.errstate(invalid="ignore"):
        inside = np.abs(degrees) <= 90.0
    return np.where(inside, degrees, np.nan)


def _is_hours(unit: str) -> bool:
    return _factor(unit) == 15.0


def _factor(unit: str) -> float:
    """Return the degrees in a unit; 1 where it is no angle."""
    word = unit.strip()
    if word.lower() in _FACTORS:
        return _FACTORS[word.lower()]
    # Catalogues name hours of right ascension as if they were hours of time: what is none of these is astropy's.
    parsed = u.Unit(word, parse_strict="silent") if word else u.deg
    return float(parsed.to(u.deg)) if parsed.is_equivalent(u.deg) else 1.0


def _degrees(values: npt.ArrayLike, unit: str, per_hour: float) -> FloatArray:
    """Return `values` in degrees, (N,); a sexagesimal first part without ``d`` counts `per_hour` degrees."""
    filled = values.filled(_null(values)) if isinstance(values, np.ma.MaskedArray) else np.asarray(values)
    factor = _factor(unit)
    if filled.dtype.kind not in "fiub":
        first = 1.0 if unit.strip().lower().startswith("d") else per_hour
        return np.array([_angle(v, factor, first) for v in filled.tolist()], dtype=np.float64).reshape(-1)
    degrees = filled.astype(np.float64) * factor
    if isinstance(values, np.ma.MaskedArray):
        degrees[np.ma.getmaskarray(values)] = np.nan
    degrees[~np.isfinite(degrees)] = np.nan
    return degrees


def _null(values: np.ma.MaskedArray[Any, Any]) -> Any:
    return "" if values.dtype.kind in "SUO" else 0


def _angle(value: object, factor: float, first: float) -> float:
    """Return one cell in degrees."""
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    try:
        number = float(text)
    except ValueError:
        return _sexagesimal(text, first)
    return number * factor if np.isfinite(number) else np.nan


def _sexagesimal(text: str, first: float) -> float:
    """Return a sexagesimal angle in degrees, its first part counting `first` degrees; NaN if it is none."""
    match = _SEXAGESIMAL.match(text)
    if match is None:
        return np.nan
    minutes, seconds = float(match["minutes"]), float(match["seconds"] or 0.0)
    if minutes >= 60.0 or seconds > 60.0:
        return np.nan
    mark = (match["mark"] or "").lower()
    per_first = {"h": 15.0, "d": 1.0, "°": 1.0}.get(mark, first)
    angle = (float(match["first"]) + minutes / 60.0 + seconds / 3600.0) * per_first
    if per_first == 15.0 and angle >= 360.0:
        return np.nan
    return -angle if match["sign"] in ("-", "\u2212") else angle
