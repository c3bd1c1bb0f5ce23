"""XMatch: rows of the catalogues of VizieR near given positions, by the cross-match service of the CDS (Strasbourg).

Nothing is uploaded but numbers and positions, a series of requests one after the other: whoever asks in parallel is
banned. Positions go to the service's own address and nowhere that it might redirect to.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from astropy.table import Table, vstack

from galmorph.errors import ArchiveError, CatalogError, unknown_name
from galmorph.sky.archives.vizier_table import is_of_vizier
from galmorph.sky.boundary import boundary
from galmorph.sky.catalog import read_catalog
from galmorph.sky.formats.plain import as_text
from galmorph.sky.matching.separations import IntArray, SkyPositions
from galmorph.sky.remote import Cache, Client, Manners, default_cache, fetch

__all__ = ["TABLE", "is_remote", "rows_near"]

_SIMBAD = "simbad"
TABLE = "GMXMATCH"
"""The card that names a remote table."""
SERVICE = "http://cdsxmatch.u-strasbg.fr/xmatch/api/v1/sync"
_LARGEST_ARCSEC = 180.0
_AT_ONCE = 20_000
"""Positions of a request: half a megabyte, which the service joins within its time limit."""
_MANNERS = Manners(requests_per_s=1.0, connections=1, timeout_s=300.0)
_ROW, _RA, _DEC, _SEPARATION = "gm_row", "gm_ra", "gm_dec", "angDist"


def is_remote(catalog: object) -> bool:
    """Tell whether a name is that of a whole catalogue at the service: not one of which VizieR is asked for a part.

    Examples
    --------
    >>> is_remote("vizier:II/246"), is_remote("simbad"), is_remote("vizier:II/246?Kmag=<9"), is_remote("simbad.fits")
    (True, True, False, False)
    """
    return isinstance(catalog, str) and (catalog == _SIMBAD or (is_of_vizier(catalog) and "?" not in catalog))


def rows_near(
    name: str,
    positions: SkyPositions,
    radius_arcsec: float,
    *,
    client: Client | None = None,
    cache: Cache | None = None,
) -> Table:
    """Return the rows of a remote catalogue that are near any of some positions, each once.

    Parameters
    ----------
    name
        ``vizier:II/246``, ``vizier:II/246/out`` or ``simbad``.
    positions
        Where; rows without a position are not sent.
    radius_arcsec
        How near, at most 180.
    client, cache
        Who asks, and where answers are kept.

    Raises
    ------
    CatalogError
        If the radius is too large.
    ArchiveError
        If there is no such catalogue, or no answer that can be understood.
    """
    if radius_arcsec > _LARGEST_ARCSEC:
        raise CatalogError(
            f"radius of {radius_arcsec:g} arcsec for '{name}': the cross-match service looks at most "
            f"{_LARGEST_ARCSEC:g} arcsec far; give a smaller --radius"
        )
    if not len(positions.finite_rows):
        raise CatalogError(
            f"no row has a position: expected some to send to the service for '{name}'; check the columns"
        )
    client, cache = client or Client(_MANNERS), cache or default_cache()
    table = _table_named(name, client, cache)
    answers = [_asked(table, positions, rows, radius_arcsec, client, cache) for rows in _parts(positions.finite_rows)]
    with boundary(lambda reason: ArchiveError(f"answers about '{name}' do not fit one another ({reason}): try again")):
        joined = vstack(answers, metadata_conflicts="silent")
    joined.remove_columns([_SEPARATION, _ROW, _RA, _DEC])
    joined.meta = {TABLE: table}
    return joined[_different(joined)]


def _parts(rows: IntArray) -> Iterator[IntArray]:
    """Yield rows that are sent together."""
    for start in range(0, len(rows), _AT_ONCE):
        yield rows[start : start + _AT_ONCE]


def _asked(
    table: str, positions: SkyPositions, rows: IntArray, radius_arcsec: float, client: Client, cache: Cache
) -> Table:
    """Ask for the rows near some of the positions."""
    upload = io.StringIO()
    upload.write(f"{_ROW},{_RA},{_DEC}\n")
    numbers = zip(rows.tolist(), positions.ra_deg[rows].tolist(), positions.dec_deg[rows].tolist(), strict=True)
    upload.writelines(f"{row},{ra!r},{dec!r}\n" for row, ra, dec in numbers)
    form: dict[str, str | tuple[str, str]] = {
        "request": "xmatch",
        "distMaxArcsec": repr(radius_arcsec),
        "RESPONSEFORMAT": "votable",
        "cat1": ("cat1.csv", upload.getvalue()),
        "colRA1": _RA,
        "colDec1": _DEC,
        "cat2": table,
        "area": "allsky",
    }
    path = fetch(SERVICE, client, cache, check=partial(_check_answer, rows), form=form, is_question=True)
    return _read(path)


def _check_answer(rows: IntArray, path: Path) -> None:
    """Refuse what is no whole table of rows near what was sent."""
    try:
        answer = _read(path)
    except CatalogError as error:
        raise ArchiveError(f"{SERVICE} answered no table ({error}): try again later") from error
    if missing := {_SEPARATION, _ROW} - set(answer.colnames):
        raise ArchiveError(f"{SERVICE} answered a table without {', '.join(sorted(missing))}: try again later")
    if b'"OVERFLOW"' in path.read_bytes():
        raise ArchiveError(f"{SERVICE} left rows out, there being too many: expected all; give a smaller --radius")
    if not np.isin(np.asarray(answer[_ROW], dtype=np.int64), rows).all():
        raise ArchiveError(f"{SERVICE} answered about rows that were not sent: try again later")


def _read(path: Path) -> Table:
    # The cache's files have no ending that would tell what they are; their first bytes do.
    return read_catalog(path, positions=False).table


def _different(table: Table) -> IntArray:
    """Return the first of each of the rows that are alike: one that is near several positions comes several times."""
    cells = [as_text(table[name]).tolist() for name in table.colnames]
    first: dict[tuple[str, ...], int] = {}
    for number, row in enumerate(zip(*cells, strict=True)):
        first.setdefault(row, number)
    return np.fromiter(first.values(), dtype=np.int64, count=len(first))


def _table_named(name: str, client: Client, cache: Cache) -> str:
    """Return the name of a table as the service calls it: of a catalogue of VizieR with one table, that one."""
    if name == _SIMBAD:
        return name
    asked = name.partition(":")[2].strip("/")
    address = f"{SERVICE}/tables?action=getVizieRTableNames&RESPONSEFORMAT=txt"
    path = fetch(address, client, cache, check=_check_names, is_question=True)
    names = path.read_text(encoding="utf-8").split()
    matching = [asked] if asked in names else [n for n in names if n.lower().startswith(f"{asked.lower()}/")]
    if len(matching) == 1:
        return f"vizier:{matching[0]}"
    if matching:
        raise ArchiveError(f"'{name}' has several tables: {_listed(matching)}; name one of them")
    near = [n for n in names if n.lower().startswith(asked.split("/")[0].lower() + "/")]
    raise ArchiveError(f"{unknown_name('table of VizieR with positions', asked, near[:50])}; see vizier.cds.unistra.fr")


def _check_names(path: Path) -> None:
    names = path.read_text(encoding="utf-8", errors="replace").split()
    if not names or any("<" in name for name in names[:20]):
        raise ArchiveError(f"{SERVICE}/tables did not list its tables: try again later")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
