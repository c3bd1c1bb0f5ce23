"""SkyLinks: addresses at which others show a position on the sky."""

from __future__ import annotations

import math
from dataclasses import dataclass
from urllib.parse import quote

__all__ = ["SERVICES", "SkyLink", "sky_links"]

_NED = (
    "https://ned.ipac.caltech.edu/conesearch?search_type=Near%20Position%20Search&in_csys=Equatorial&in_equinox=J2000"
)
SERVICES = (
    # 36 arcsec across: a galaxy and its neighbours.
    ("Aladin Lite", "https://aladin.cds.unistra.fr/AladinLite/?target={place}&fov=0.01"),
    ("Legacy Surveys", "https://www.legacysurvey.org/viewer?ra={ra}&dec={dec}&layer=ls-dr10&zoom=16"),
    (
        "SIMBAD",
        "https://simbad.cds.unistra.fr/simbad/sim-coo?Coord={place}&CooFrame=ICRS&Radius=10&Radius.unit=arcsec",
    ),
    ("NED", _NED + "&coordinates={ra}d%20{dec}d&radius=0.17"),
)
"""Names and addresses: ``{ra}`` and ``{dec}`` are degrees (ICRS), ``{place}`` both with the sign of the declination."""


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
    ['Aladin Lite', 'Legacy Surveys', 'SIMBAD', 'NED']
    >>> sky_links(None, None)
    []
    """
    if ra_deg is None or dec_deg is None or not math.isfinite(ra_deg + dec_deg):
        return []
    words = {"ra": f"{ra_deg:.6f}", "dec": f"{dec_deg:.6f}", "place": quote(f"{ra_deg:.6f} {dec_deg:+.6f}")}
    return [SkyLink(title, address.format(**words)) for title, address in SERVICES]
