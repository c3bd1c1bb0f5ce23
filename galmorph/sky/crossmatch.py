"""Crossmatch: catalogues joined by the positions of their rows, and groups of rows of one catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from astropy import units as u
from astropy.table import Column, MaskedColumn, Table

from galmorph.errors import CatalogError
from galmorph.sky.catalog import Column as NewColumn
from galmorph.sky.matching.chance import probabilities
from galmorph.sky.matching.finding import check_find, find_pairs, kept
from galmorph.sky.matching.joined_table import joined_meta, joined_table
from galmorph.sky.matching.joining import JoinedRows, check_join, groups_of, groups_of_rows, join_rows
from galmorph.sky.matching.pairs import Pairs, Reach, pairs_within
from galmorph.sky.matching.separations import FloatArray, IntArray, SkyPositions
from galmorph.sky.matching.side import Side, positions_of, years_of

__all__ = ["MatchSettings", "groups_within", "match_all", "match_two", "positions_together"]

_MOST_DEG = 1.0


@dataclass(frozen=True)
class MatchSettings:
    """How catalogues are matched.

    Parameters
    ----------
    reach
        How far apart the rows of a pair may be.
    find, join
        Which pairs are kept, and which rows the table has: the words of STILTS.
    probability
        Whether each pair gets the probability that it is real.
    suffixes
        What is put after names that several catalogues have; by default _1, _2, ….

    Raises
    ------
    CatalogError
        If there is no such way, or the radius is none that makes sense.
    """

    reach: Reach
    find: str = "best"
    join: str = "1and2"
    probability: bool = False
    suffixes: Sequence[str] = ()

    def __post_init__(self) -> None:
        check_find(self.find)
        check_join(self.join)
        radius = self.reach.radius_arcsec
        if not 0.0 < radius <= _MOST_DEG * 3600.0:
            raise CatalogError(
                f"radius of {radius:g} arcsec: expected one of more than 0 and at most {_MOST_DEG:g} degree; name its "
                "unit, such as 1arcsec"
            )
        if not self.reach.sigmas > 0.0:
            raise CatalogError(f"{self.reach.sigmas:g} sigmas: expected a number above 0, such as 3")

    def suffix(self, number: int) -> str:
        """Return what is put after names of the catalogue of this number, from 0."""
        return self.suffixes[number] if self.suffixes else f"_{number + 1}"


def match_two(first: Side, second: Side, settings: MatchSettings) -> Table:
    """Join two catalogues.

    Returns
    -------
    Table
        Columns of both; ``Separation`` in arcsec; ``NormSeparation`` in units of the errors, where there are some;
        ``GroupID`` and ``GroupSize`` of pairs that share rows, unless ``find`` is ``best``; ``MatchProbability``.

    Raises
    ------
    CatalogError
        If a catalogue lacks positions or a column, or there are too many pairs.
    """
    near, far = positions_together((first, second))
    pairs, real = _pairs(near, far, settings)
    rows = join_rows(pairs, len(near), len(far), settings.join)
    sides = [(first, rows.first, settings.suffix(0))] * rows.has_first
    table = _side_by_side(sides + [(second, rows.second, settings.suffix(1))] * rows.has_second)
    if rows.has_pairs:
        _add_pairs(table, pairs, rows, real)
        if settings.find != "best":
            _add_groups(table, rows.pair, *groups_of(pairs, len(near), len(far)))
    return table


def match_all(sides: Sequence[Side], settings: MatchSettings) -> Table:
    """Join several catalogues to the first: each of its rows with the best row of each of the others.

    Returns
    -------
    Table
        Columns of all; ``Separation_2``, ``Separation_3``, … from the row of the first.

    Raises
    ------
    CatalogError
        If a catalogue lacks positions or a column, or what is asked for is for two.
    """
    if settings.find not in ("best", "best1") or settings.join not in ("1and2", "all1"):
        raise CatalogError(
            f"--find {settings.find} --join {settings.join} was asked for {len(sides)} catalogues: expected best or "
            "best1, and 1and2 (rows in all of them) or all1 (all rows of the first); or match two at a time"
        )
    near, *others = positions_together(sides)
    several = [_pairs(near, far, settings) for far in others]
    partners = [_partners(pairs, len(near)) for pairs, _ in several]
    rows = np.arange(len(near))
    if settings.join == "1and2":
        rows = np.flatnonzero(np.all([p >= 0 for p in partners], axis=0))
    chosen = [rows, *(p[rows] for p in partners)]
    table = _side_by_side([(side, chosen[n], settings.suffix(n)) for n, side in enumerate(sides)])
    for number, (pairs, real) in enumerate(several, start=1):
        at = np.full(len(near), -1)
        at[pairs.first] = np.arange(len(pairs))
        as_joined = JoinedRows(rows, rows, at[rows], has_first=True, has_second=True, has_pairs=True)
        _add_pairs(table, pairs, as_joined, real, settings.suffix(number))
    return table


def groups_within(side: Side, settings: MatchSettings) -> list[NewColumn]:
    """Find rows of one catalogue that are near one another, and those near these, and so on.

    Returns
    -------
    list of Column
        ``GroupID``, from 1, 0 for rows that are alone, and ``GroupSize``, the number of rows.

    Raises
    ------
    CatalogError
        If the catalogue lacks positions or a column, or there are too many pairs.
    """
    (positions,) = positions_together((side,))
    pairs = pairs_within(positions, positions, settings.reach)
    numbers, sizes = groups_of_rows(pairs, len(positions))
    return [
        NewColumn(
            "GroupID", numbers.astype(np.int32), "", "Group of rows within the radius, 0: alone", "meta.id.assoc"
        ),
        NewColumn("GroupSize", sizes.astype(np.int32), "", "Number of rows of the group", "meta.number"),
    ]


def _pairs(near: SkyPositions, far: SkyPositions, settings: MatchSettings) -> tuple[Pairs, FloatArray | None]:
    """Return the pairs that are asked for, each with its probability where that is."""
    if not settings.probability:
        return find_pairs(near, far, settings.reach, settings.find), None
    # All candidates have a share in a probability, those beyond the errors' reach too.
    everything = pairs_within(near, far, replace(settings.reach, sigmas=np.inf))
    real = probabilities(everything, near, far, settings.reach.radius_arcsec)
    chosen = kept(everything[everything.score <= settings.reach.sigmas], settings.find)
    keys = everything.first * np.int64(len(far)) + everything.second
    return chosen, real[np.searchsorted(keys, chosen.first * np.int64(len(far)) + chosen.second)]


def positions_together(sides: Sequence[Side]) -> list[SkyPositions]:
    """Return the positions of all catalogues at one epoch: that of the first whose rows do not move, or of the last.

    Raises
    ------
    CatalogError
        If one has none, or a column is missing.
    """
    for side in sides:
        if side.catalog.ra_column is None or side.catalog.dec_column is None:
            raise CatalogError(
                f"Catalog '{side.catalog.title}' has no columns for positions on the sky: looked for ra and dec, "
                "RAJ2000 and DEJ2000; name them with --ra and --dec"
            )
    fixed = next((side for side in sides if not side.moves), sides[-1])
    epoch = None
    if any(side.moves for side in sides) and fixed.epoch is not None:
        years = years_of(fixed)
        epoch = float(np.nanmean(years)) if len(years) else None
    return [positions_of(side, epoch) for side in sides]


def _side_by_side(sides: Sequence[tuple[Side, IntArray, str]]) -> Table:
    """Join the columns of catalogues: of each, which rows, and what is put after names that others have, too."""
    tables = [side.catalog.table for side, _, _ in sides]
    table = joined_table(tables, [rows for _, rows, _ in sides], [suffix for _, _, suffix in sides])
    table.meta = joined_meta([t.meta for t in tables], [side.catalog.title for side, _, _ in sides])
    return table


def _partners(pairs: Pairs, count: int) -> IntArray:
    partner = np.full(count, -1)
    partner[pairs.first] = pairs.second
    return partner


def _add_pairs(table: Table, pairs: Pairs, rows: JoinedRows, real: FloatArray | None, suffix: str = "") -> None:
    """Put what is known of pairs after the columns of the catalogues."""
    _add(table, "Separation" + suffix, rows.of_pairs(pairs.separation_arcsec), "Angle between both positions",
         "pos.angDistance", u.arcsec)  # fmt: skip
    if pairs.sigmas is not None:
        about = "Separation in units of the combined error in its direction"
        _add(table, "NormSeparation" + suffix, rows.of_pairs(pairs.sigmas), about, "stat.value;pos.angDistance")
    if real is not None:
        _add(table, "MatchProbability" + suffix, rows.of_pairs(real), "Probability that the pair is one object",
             "stat.probability")  # fmt: skip


def _add_groups(table: Table, pair: IntArray, numbers: IntArray, sizes: IntArray) -> None:
    for name, values, about, ucd in (
        ("GroupID", numbers, "Group of pairs that share rows", "meta.id.assoc"),
        ("GroupSize", sizes, "Number of pairs of the group", "meta.number"),
    ):
        is_grouped = np.append(sizes > 1, False)[pair]
        cells = MaskedColumn(np.append(values, 0)[pair].astype(np.int32), mask=~is_grouped)
        _add(table, name, cells, about, ucd)


def _add(
    table: Table, name: str, values: FloatArray | MaskedColumn, about: str, ucd: str, unit: u.UnitBase | None = None
) -> None:
    taken = {n.lower() for n in table.colnames}
    while name.lower() in taken:
        name += "_new"
    kind = MaskedColumn if isinstance(values, MaskedColumn) else Column
    table[name] = kind(values, unit=unit, description=about, meta={"ucd": ucd})
