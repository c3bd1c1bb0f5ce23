"""CoordinateFrame: in which coordinates a catalogue says that its positions are, where that is not ICRS."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from astropy.table import Table

from galmorph.errors import CatalogError
from galmorph.sky.formats.column import ucd_of
from galmorph.sky.formats.systems import SYSTEM, other_system

__all__ = ["check_frame", "dotted_pair"]

_OLD_NAME = re.compile(r"(?<!\d)b?1950(?!\d)", re.IGNORECASE)
_NEW_NAME = re.compile(r"2000|icrs|2015|2016", re.IGNORECASE)
_OTHER_UCDS = ("pos.galactic", "pos.ecliptic", "pos.supergalactic")
_OTHER_NAMES = {"glon": "galactic", "glat": "galactic", "elon": "ecliptic", "elat": "ecliptic"}


def check_frame(table: Table, ra: str, dec: str, title: str) -> None:
    """Refuse positions that a catalogue says are no equatorial ones of J2000, instead of taking them for such.

    Names (``RAB1950``, ``GLON``), UCDs, the COOSYS elements of a VOTable, the cards RADESYS and EQUINOX of a FITS
    table, and the frames that astropy notes beside the parts of a SkyCoord are believed, in that order.

    Raises
    ------
    CatalogError
        If so.
    """
    for name in (ra, dec):
        if not hasattr(table[name], "icrs") and (frame := _other_frame(table, name)):
            raise CatalogError(
                f"Catalog '{title}', column '{name}': positions are in {frame}, expected ICRS, or J2000; name other "
                "columns, or convert them, such as by astropy's SkyCoord(…).icrs"
            )


def dotted_pair(names: Sequence[str]) -> tuple[str | None, str | None]:
    """Return the columns that astropy makes of a SkyCoord column where formats have none: ``pos.ra``, ``pos.dec``."""
    pairs = ((name, f"{name[:-3]}.dec") for name in names if name.endswith(".ra"))
    return next(((first, second) for first, second in pairs if second in names), (None, None))


def _other_frame(table: Table, name: str) -> str:
    """Return the frame of a column if it is none of ours; '' where it is, or nobody says."""
    if _OLD_NAME.search(name):
        return "the frame of B1950"
    ucd = ucd_of(table[name]).lower()
    if name.lower() in _OTHER_NAMES or ucd.startswith(_OTHER_UCDS):
        kind = _OTHER_NAMES.get(name.lower()) or ucd.split(".")[1]
        return f"{kind} coordinates"
    told = table[name].info.meta or {}
    if SYSTEM in told:
        return f"the system {told[SYSTEM]}"
    if _NEW_NAME.search(name):
        return ""
    cards = {str(key).upper(): str(value).strip() for key, value in table.meta.items()}
    system = cards.get("RADESYS") or cards.get("RADECSYS") or "FK5"
    other = other_system(system, cards.get("EQUINOX", "")) or other_system(_noted_frame(table.meta, name), "")
    return f"the system {other}" if other else ""


def _noted_frame(meta: Any, name: str) -> str:
    """Return the frame that astropy notes in the comments of a FITS table for the parts of a SkyCoord."""
    stem, dot, _ = name.rpartition(".")
    comments = meta.get("comments", [])
    lines = [str(line) for line in comments] if isinstance(comments, list) else []
    if not dot or f"    {stem}:" not in lines:
        return ""
    for line in lines[lines.index(f"    {stem}:") + 1 :]:  # of which long ones go on without a margin
        if line.startswith("    ") and line[4:5] != " ":
            return ""
        if line.startswith("      frame: "):
            return line.partition(": ")[2].strip()
    return ""
