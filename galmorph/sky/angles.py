"""Angles: right ascension and declination in degrees, from whatever a catalogue spells them in."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy import units as u

from galmorph.errors import CatalogError

__all__ = ["check_unit", "dec_degrees", "position_degrees", "ra_degrees", "sexagesimal_degrees"]

FloatArray = npt.NDArray[np.float64]

# As catalogues spell what astropy's units do not know, or know as a time: "h" is an hour of right ascension.
_SPELT = {
    "h": 15.0,
    "hr": 15.0,
    "hour": 15.0,
    "hours": 15.0,
    "hourangle": 15.0,
    "radians": 180.0 / np.pi,
    "d": 1.0,
    "degs": 1.0,
    "degrees": 1.0,
    "decimal degrees": 1.0,
    "arcsecs": 1.0 / 3600.0,
    "arcseconds": 1.0 / 3600.0,
    "asec": 1.0 / 3600.0,
    "arcminutes": 1.0 / 60.0,
}
# Sexagesimal text: "h:m:s", "hms", "HH:MM:SS.ss", "d:m:s", "DD MM SS", "sexagesimal".
_SEXAGESIMAL_UNIT = re.compile(r"(h{1,2}|d{1,2})[\s:]*m{1,2}[\s:]*s{1,2}(\.s+)?|sexagesimal", re.IGNORECASE)
# Characters of a cell or of a unit: no angle needs more, and what follows reads them more than once.
_LONGEST = 64
_SEXAGESIMAL = re.compile(
    r"""(?P<sign>[+\-\u2212]?)\s*(?P<first>\d{1,3})
        (?:\s*(?P<mark>[hd°:])\s*|\s+) (?P<minutes>\d{1,2}(?:\.\d*)?)
        (?:(?:\s*[m':\u2032]\s*|\s+) (?P<seconds>\d{1,2}(?:\.\d*)?)? \s*(?:s|"|\u2033|'')?
          | \s*[m'\u2032])? \s*$""",
    re.VERBOSE | re.IGNORECASE,
)
# A number with its own unit: "150.1°", "150.1d", "10.5h".
_MARKED = re.compile(
    r"(?P<number>[+\-\u2212]?\s*(?:\d+\.?\d*|\.\d+)(?:e[+\-]?\d+)?)\s*(?P<mark>[°º]|[a-z]+)", re.IGNORECASE
)
_MARKS = {
    "°": 1.0,
    "º": 1.0,
    "deg": 1.0,
    "degree": 1.0,
    "rad": 180.0 / np.pi,
    "arcmin": 1.0 / 60.0,
    "arcsec": 1.0 / 3600.0,
}


def ra_degrees(values: npt.ArrayLike, unit: str = "") -> FloatArray:
    """Return right ascensions in degrees, [0, 360), (N,); NaN where a value is missing or makes no sense.

    Numbers are degrees unless `unit`, or the text itself (``10.5h``), says hours or is another unit of angles. Text
    with two or three parts (``10:20:30.1``, ``10h20m30.1s``, ``10 20 30.1``) is hours unless it says ``d`` or `unit`
    says degrees.
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

    Numbers are degrees unless `unit` is another unit of angles; text may be sexagesimal degrees, or say ``2.2°``.
    """
    degrees = _degrees(values, "" if _is_hours(unit) else unit, per_hour=1.0)
    with np.errstate(invalid="ignore"):
        inside = np.abs(degrees) <= 90.0
    return np.where(inside, degrees, np.nan)


def position_degrees(text: str) -> tuple[float, float]:
    """Return right ascension and declination in degrees of a text with both.

    Each is spelt as in a column of text. A comma parts them, or a sign, or they have as many words each.

    Raises
    ------
    CatalogError
        If it is no position.

    Examples
    --------
    >>> position_degrees("53.1 -27.8"), position_degrees("03 32 24 -27 48 00")
    ((53.1, -27.8), (53.1, -27.8))
    """
    first, second = _position_parts(text)
    ra, dec = float(ra_degrees([first])[0]), float(dec_degrees([second])[0])
    if not (math.isfinite(ra) and math.isfinite(dec)):
        raise CatalogError(
            f"position '{text[:_LONGEST]}': expected right ascension and declination, in degrees or sexagesimal, such "
            "as '53.1 -27.8' or '03:32:38 -27:48:00'; correct it"
        )
    return ra, dec


def check_unit(unit: str, column: str, title: str) -> None:
    """Refuse a unit of a position that is no angle, instead of taking the numbers for degrees.

    Raises
    ------
    CatalogError
        If it is none.
    """
    try:
        _factor(unit)
    except CatalogError as error:
        raise CatalogError(f"Catalog '{title}', column '{column}': {error}") from error


def sexagesimal_degrees(
    first: FloatArray, minutes: FloatArray, seconds: FloatArray, *, per_first: float, negative: npt.NDArray[np.bool_]
) -> FloatArray:
    """Return angles whose parts stand in columns of their own, in degrees, (N,); NaN where one makes no sense.

    Parameters
    ----------
    first, minutes, seconds
        Hours or degrees, and their parts, all (N,).
    per_first
        Degrees in one of the first part: 15 for hours.
    negative
        Whether the sign says so: "-00" is no number.
    """
    degrees = (np.abs(first) + minutes / 60.0 + seconds / 3600.0) * per_first
    with np.errstate(invalid="ignore"):
        sound = (minutes >= 0.0) & (minutes < 60.0) & (seconds >= 0.0) & (seconds <= 60.0)
        sound &= degrees <= (360.0 if per_first == 15.0 else 90.0)
    return np.where(sound, np.where(negative, -degrees, degrees), np.nan)


def _position_parts(text: str) -> tuple[str, str]:
    """Return the texts of right ascension and declination; empty ones where it cannot be said which is which."""
    if "," in text:
        first, _, second = text.partition(",")
        return first, second
    words = text.split()
    signed = [n for n, word in enumerate(words) if n and word[0] in "+-\u2212"]
    middle = signed[0] if signed else len(words) // 2 if len(words) % 2 == 0 else 0
    return " ".join(words[:middle]), " ".join(words[middle:])


def _is_hours(unit: str) -> bool:
    """Say whether a unit is that of right ascension, which tables copy to their declinations."""
    return _SPELT.get(_word(unit), 0.0) == 15.0 or _word(unit).startswith("h")


def _word(unit: str) -> str:
    return unit.strip().strip("\"'").strip().lower()


def _factor(unit: str) -> float:
    """Return the degrees in a unit.

    Raises
    ------
    CatalogError
        If it is no angle.
    """
    word = _word(unit)
    if len(word) > _LONGEST:
        raise CatalogError(f"unit of {len(word)} characters, expected an angle such as deg, hourangle or mas")
    if not word or _SEXAGESIMAL_UNIT.fullmatch(word):
        return 15.0 if word.startswith("h") else 1.0
    return _SPELT[word] if word in _SPELT else _astropy_factor(unit.strip())


def _astropy_factor(unit: str) -> float:
    """Return the degrees in a unit of astropy's; those of time count as right ascension."""
    for spelling in dict.fromkeys((unit, unit.lower())):
        parsed = u.Unit(spelling, parse_strict="silent")
        if parsed.is_equivalent(u.deg) and not parsed.is_equivalent(u.dimensionless_unscaled):
            return float(parsed.to(u.deg))
        if parsed.is_equivalent(u.s):
            return float(parsed.to(u.hour)) * 15.0
    raise CatalogError(
        f"unit '{unit}' was given for a position, expected an angle such as deg, hourangle, arcmin or mas; correct it, "
        "or name another column"
    )


def _degrees(values: npt.ArrayLike, unit: str, per_hour: float) -> FloatArray:
    """Return `values` in degrees, (N,); a sexagesimal first part without ``d`` counts `per_hour` degrees."""
    filled = values.filled(_null(values)) if isinstance(values, np.ma.MaskedArray) else np.asarray(values)
    factor = _factor(unit)
    if filled.dtype.kind not in "fiub":
        first = 1.0 if _word(unit).startswith("d") else per_hour
        return np.array([_angle(v, factor, first) for v in filled.tolist()], dtype=np.float64).reshape(-1)
    with np.errstate(invalid="ignore", over="ignore"):
        degrees = filled.astype(np.float64) * factor
    if isinstance(values, np.ma.MaskedArray):
        degrees[np.ma.getmaskarray(values)] = np.nan
    degrees[~np.isfinite(degrees)] = np.nan
    return degrees


def _null(values: np.ma.MaskedArray[Any, Any]) -> Any:
    return "" if values.dtype.kind in "SUO" else 0


def _angle(value: object, factor: float, first: float) -> float:
    """Return one cell in degrees."""
    text = (value.decode("latin-1") if isinstance(value, bytes) else str(value)).strip()
    if len(text) > _LONGEST:
        return np.nan
    try:
        number = float(text)
    except ValueError:
        return _sexagesimal(text, first)
    return number * factor if np.isfinite(number) else np.nan


def _sexagesimal(text: str, first: float) -> float:
    """Return a sexagesimal angle in degrees, its first part counting `first` degrees; NaN if it is none."""
    match = _SEXAGESIMAL.match(text)
    if match is None:
        return _marked(text)
    minutes, seconds = float(match["minutes"]), float(match["seconds"] or 0.0)
    if minutes >= 60.0 or seconds > 60.0:
        return np.nan
    mark = (match["mark"] or "").lower()
    per_first = {"h": 15.0, "d": 1.0, "°": 1.0}.get(mark, first)
    angle = (float(match["first"]) + minutes / 60.0 + seconds / 3600.0) * per_first
    if per_first == 15.0 and angle >= 360.0:
        return np.nan
    return -angle if match["sign"] in ("-", "\u2212") else angle


def _marked(text: str) -> float:
    """Return a number with its own unit in degrees; NaN if it is none."""
    match = _MARKED.fullmatch(text)
    factor = None if match is None else (_MARKS | _SPELT).get(match["mark"].lower())
    if match is None or factor is None:
        return np.nan
    return float(match["number"].replace("\u2212", "-").replace(" ", "")) * factor
