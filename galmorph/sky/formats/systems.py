"""System: the coordinates of positions, as COOSYS elements of a VOTable and cards of a FITS header name them."""

from __future__ import annotations

import re

__all__ = ["SYSTEM", "other_system"]

SYSTEM = "system"
"""Key of a column's meta: in which coordinates it is, such as ``eq_FK4 B1950``, where they are not ICRS or J2000."""

# FK5 of J2000 is ICRS to some hundredths of an arcsecond; B1950 is two thirds of a degree from it.
_OURS = ("icrs", "icrf", "fk5", "eq_fk5", "")
_YEAR = re.compile(r"[JB]?\s*(\d+(?:\.\d*)?)", re.IGNORECASE)


def other_system(system: str, equinox: str) -> str:
    """Return a system and its equinox where they are not ICRS, or of J2000, which is as good; else ''.

    Examples
    --------
    >>> other_system("eq_FK5", "J2000"), other_system("FK4", "1950.0")
    ('', 'FK4 1950.0')
    """
    year = _YEAR.fullmatch(equinox.strip())
    is_old = year is not None and abs(float(year[1]) - 2000.0) > 0.01 and not system.lower().startswith("icr")
    return f"{system} {equinox}".strip() if is_old or system.strip().lower() not in _OURS else ""
