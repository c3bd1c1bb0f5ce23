"""SkyLinks: addresses at which others show a position on the sky."""

from __future__ import annotations

import math
from dataclasses import dataclass
from urllib.parse import urlencode

__all__ = ["SkyLink", "sky_links"]

_FIELD_DEG = 0.01
"""Width of what Aladin shows: 36 arcsec, a galaxy and its neighbours."""


@dataclass(frozen=True)
class SkyLink:
    """A service's name and the address of a position there."""

    title: str
    address: str


def sky_links(ra_deg: float | None, dec_deg: float | None) -> list[SkyLink]:
    """List where a position can be looked at; nothing for rows without one.

    Examples
    --------
    >>> [link.title for link in sky_links(34.4, -5.2)]
    ['Aladin Lite', 'Legacy Surveys', 'SIMBAD']
    >>> sky_links(None, None)
    []
    """
    if ra_deg is None or dec_deg is None or not math.isfinite(ra_deg + dec_deg):
        return []
    place = f"{ra_deg:.6f} {dec_deg:+.6f}"
    aladin = urlencode({"target": place, "fov": f"{_FIELD_DEG:g}"})
    legacy = urlencode({"ra": f"{ra_deg:.6f}", "dec": f"{dec_deg:.6f}", "layer": "ls-dr10", "zoom": 16})
    simbad = urlencode({"Coord": place, "CooFrame": "ICRS", "Radius": 10, "Radius.unit": "arcsec"})
    return [
        SkyLink("Aladin Lite", f"https://aladin.cds.unistra.fr/AladinLite/?{aladin}"),
        SkyLink("Legacy Surveys", f"https://www.legacysurvey.org/viewer?{legacy}"),
        SkyLink("SIMBAD", f"https://simbad.cds.unistra.fr/simbad/sim-coo?{simbad}"),
    ]
