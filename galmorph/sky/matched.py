"""Matched: catalogues that are asked for by name, opened, matched and written."""

from __future__ import annotations

import logging
import numbers
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u
from astropy.table import Table

import galmorph
from galmorph.errors import CatalogError
from galmorph.sky.archives.vizier_table import is_of_vizier
from galmorph.sky.archives.xmatch import TABLE, is_remote, rows_near
from galmorph.sky.catalog import Catalog, Column, Provenance, append, write_catalog
from galmorph.sky.catalog_input import CatalogInput, ColumnNames
from galmorph.sky.crossmatch import MatchSettings, groups_within, match_all, match_two
from galmorph.sky.formats.column import noted
from galmorph.sky.formats.stored import HeldTable
from galmorph.sky.matching.pairs import Reach
from galmorph.sky.matching.separations import SkyPositions
from galmorph.sky.matching.side import ABSENT, Side, angle_arcsec

__all__ = ["Each", "EachHdu", "EachNumber", "SideNames", "match_provenance", "match_reach", "matched", "open_sides"]

log = logging.getLogger(__name__)
Each = str | Sequence[str | None] | None
"""One for all catalogues, or one for each."""
EachNumber = str | float | Sequence[str | float | None] | None
"""The same of numbers, and columns of them."""
EachHdu = int | str | Sequence[int | str | None] | None

_JOINS_OF_NEAR = ("1and2", "all1", "1not2")
_SIGMAS = 3.0
"""Of positions with errors in both directions, 99 % of the real pairs are nearer."""


@dataclass(frozen=True)
class SideNames:
    """What is said of the catalogues of a match: one for all of them, or a list with one for each."""

    ra: Each = None
    dec: Each = None
    hdu: EachHdu = None
    error: EachNumber = None
    motion: Each = None
    epoch: EachNumber = None

    def of(self, number: int, count: int) -> dict[str, Any]:
        """Return what is said of one of the catalogues.

        Raises
        ------
        CatalogError
            If there are more or fewer than catalogues.
        """
        of_one = {role: _one_of(role, asked, number, count) for role, asked in asdict(self).items()}
        # Sides take text, as the command line has it: a number of years or arcsec is spelt in full.
        spelt = {role: str(of_one[role]) for role in ("error", "epoch") if isinstance(of_one[role], numbers.Real)}
        return of_one | spelt


def open_sides(catalog: Any, others: Any, names: SideNames, settings: MatchSettings) -> list[Side]:
    """Read all catalogues of a match; of remote ones, what is near the rows of the first.

    Parameters
    ----------
    catalog, others
        The first, and another or a list of others.
    names
        What is said of each.
    settings
        How they will be matched.

    Raises
    ------
    CatalogError
        If one cannot be read or lacks positions or a named column.
    ArchiveError
        If a remote one cannot be had.
    """
    catalogs = [catalog, *_listed(others)]
    _check_asked(len(catalogs), names, settings)
    each = [names.of(number, len(catalogs)) for number in range(len(catalogs))]
    first = _opened(catalog, each[0])
    return [first, *(_beside(first, c, n, settings) for c, n in zip(catalogs[1:], each[1:], strict=True))]


def match_reach(radius: float | str | u.Quantity, sigmas: float | None, error: EachNumber) -> Reach:
    """Return how far apart the rows of a pair may be.

    Raises
    ------
    CatalogError
        If the radius is no angle, or sigmas are asked for of positions without errors.
    """
    radius_arcsec = angle_arcsec(radius, "Radius")
    if error is None:
        if sigmas is not None:
            raise CatalogError(f"sigmas = {sigmas:g} was given without errors of positions: name them with --error")
        return Reach(radius_arcsec)
    return Reach(radius_arcsec, _SIGMAS if sigmas is None else sigmas)


def matched(
    sides: Sequence[Side], settings: MatchSettings, output: str | Path | None, *, overwrite: bool, command: str
) -> Table:
    """Match catalogues, write the result where it is wanted, and return it.

    Raises
    ------
    CatalogError
        If something does not fit.
    OutputError
        If the result cannot be written.
    """
    provenance = match_provenance(sides, settings, command)
    if len(sides) == 1:
        columns = groups_within(sides[0], settings)
        result = _written(sides[0].catalog, columns, provenance, output, overwrite=overwrite)
    else:
        table = match_two(sides[0], sides[1], settings) if len(sides) == 2 else match_all(sides, settings)
        result = _written(Catalog(HeldTable(table)), (), provenance, output, overwrite=overwrite)
    _warn_of_lost(sides)
    return result


def _warn_of_lost(sides: Sequence[Side]) -> None:
    """Say how many rows of each catalogue have no position, and so no match."""
    for catalog in (side.catalog for side in sides):
        if lacking := int(np.count_nonzero(~np.isfinite(catalog.ra_deg + catalog.dec_deg))):
            log.warning("Catalog '%s': %d of %d rows have no position", catalog.title, lacking, len(catalog))


def _written(
    catalog: Catalog,
    columns: Sequence[Column],
    provenance: Provenance,
    output: str | Path | None,
    *,
    overwrite: bool,
) -> Table:
    if output is not None:
        write_catalog(catalog, columns, output, provenance=provenance, overwrite=overwrite)
    return append(catalog, columns, provenance) if columns else noted(catalog.table, provenance)


def match_provenance(sides: Sequence[Side], settings: MatchSettings, command: str) -> Provenance:
    """Say what was matched, and how."""
    reach = settings.reach
    cards = [
        ("GMVERS", galmorph.__version__, "version of galmorph"),
        ("GMDATE", datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), "when it ran"),
        ("GMRADIUS", f"{reach.radius_arcsec:g} arcsec", "largest separation of a match"),
    ]
    if len(sides) > 1:
        cards += [("GMFIND", settings.find, "pairs of the match"), ("GMJOIN", settings.join, "rows of the match")]
    if np.isfinite(reach.sigmas):
        cards.append(("GMSIGMAS", f"{reach.sigmas:g}", "largest separation in units of the errors"))
    history = [
        f"galmorph {galmorph.__version__}: {command}",
        *(f"catalog {number}: {_described(side)}" for number, side in enumerate(sides, start=1)),
    ]
    return Provenance(tuple(cards), tuple(history))


def _described(side: Side) -> str:
    """Say which catalogue it is, and which of its columns counted."""
    catalog = side.catalog
    roles = {"ra": catalog.ra_column, "dec": catalog.dec_column}
    roles |= {"error": side.error, "motion": side.motion, "epoch": side.epoch}
    origin = catalog.table.meta.get(TABLE, catalog.origin)
    return ", ".join([origin, *(f"{role} {name}" for role, name in roles.items() if name is not None)])


def _listed(others: Any) -> list[Any]:
    """Return one catalogue, several or none as a list."""
    if others is None:
        return []
    return list(others) if isinstance(others, list | tuple) else [others]


def _check_asked(count: int, names: SideNames, settings: MatchSettings) -> None:
    """Refuse what would change nothing."""
    if settings.suffixes and len(settings.suffixes) != count:
        raise CatalogError(
            f"{len(settings.suffixes)} suffixes for {count} catalogues: expected one for each, such as _1 _2"
        )
    if names.epoch is not None and names.motion is None:
        raise CatalogError(
            "epochs were given without proper motions: name their columns with --motion, or leave them out"
        )
    asked = {"find": settings.find != "best", "join": settings.join != "1and2", "probability": settings.probability}
    if count == 1 and (idle := next((name for name, is_asked in asked.items() if is_asked), None)):
        raise CatalogError(
            f"{idle} was given for one catalogue, whose rows become groups: name another, or leave it out"
        )


def _beside(first: Side, catalog: Any, names: dict[str, Any], settings: MatchSettings) -> Side:
    """Open a catalogue, or ask for the rows of a remote one that are near those of the first."""
    if not is_remote(catalog):
        return _opened(catalog, names)
    if reason := _why_whole(first, names, settings):
        if not is_of_vizier(catalog):
            raise CatalogError(f"'{catalog}' cannot be had as a whole, which {reason} needs; leave that out")
        return _opened(catalog, names)
    positions = SkyPositions(first.catalog.ra_deg, first.catalog.dec_deg)
    return _opened(rows_near(catalog, positions, settings.reach.radius_arcsec), names)


def _why_whole(first: Side, names: dict[str, Any], settings: MatchSettings) -> str:
    """Say what needs more of a remote catalogue than its rows near ours, if anything."""
    reasons = {
        f"--join {settings.join}": settings.join not in _JOINS_OF_NEAR,
        "--probability": settings.probability,
        "--motion": first.moves or names["motion"] is not None,
    }
    return next((name for name, is_so in reasons.items() if is_so), "")


def _opened(catalog: Any, names: dict[str, Any]) -> Side:
    columns = ColumnNames(ra=names.pop("ra"), dec=names.pop("dec"))
    return Side(CatalogInput(catalog, names.pop("hdu"), columns).open(), **names)


def _one_of(role: str, asked: Any, number: int, count: int) -> Any:
    """Return what is asked of one of several catalogues."""
    if asked is None or isinstance(asked, str | numbers.Real | os.PathLike):
        return None if asked == ABSENT else asked
    several = list(asked)
    if len(several) not in (1, count):
        raise CatalogError(
            f"{role} was named for {len(several)} catalogues, of which there are {count}: expected one for each, or "
            f"one for all; '{ABSENT}' stands for none"
        )
    chosen = several[number if len(several) > 1 else 0]
    return None if chosen == ABSENT else chosen
