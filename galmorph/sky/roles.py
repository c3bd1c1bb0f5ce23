"""Roles: which column of a table is the id, the position, the pixel position, the file."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from astropy.table import Table

from galmorph.errors import CatalogError, unknown_name
from galmorph.sky.coordinate_frame import dotted_pair
from galmorph.sky.formats.column import ucd_of

__all__ = ["USUAL_NAMES", "ColumnNames", "Roles", "find_roles", "missing_position", "split_position"]

log = logging.getLogger(__name__)

_PAIRS_SKY = (
    ("ra", "dec"),
    ("ra", "de"),
    ("ra", "decl"),
    ("raj2000", "dej2000"),
    ("raj2000", "decj2000"),
    ("_raj2000", "_dej2000"),
    ("ra_j2000", "dec_j2000"),
    ("ra2000", "dec2000"),
    ("ra_icrs", "de_icrs"),
    ("ra_icrs", "dec_icrs"),
    ("_ra_icrs", "_de_icrs"),
    ("_ra", "_de"),
    ("_ra", "_dec"),
    ("ra_deg", "dec_deg"),
    ("radeg", "dedeg"),
    ("radeg", "decdeg"),
    ("alpha_j2000", "delta_j2000"),
    ("alphawin_j2000", "deltawin_j2000"),
    ("alphawin_sky", "deltawin_sky"),
    ("alpha_sky", "delta_sky"),
    ("alphapeak_j2000", "deltapeak_j2000"),
    ("right_ascension", "declination"),
    ("rightascension", "declination"),
    ("ramean", "decmean"),
    ("rastack", "decstack"),
    ("coord_ra", "coord_dec"),
    ("target_ra", "target_dec"),
    ("plug_ra", "plug_dec"),
    ("ra_targ", "dec_targ"),
    ("x_world", "y_world"),
    ("xwin_world", "ywin_world"),
    ("alpha", "delta"),
    ("ra_1", "dec_1"),
    ("rah", "ded"),  # with RAm, RAs, DE-, DEm and DEs, as CDS and AAS tables have them
)
# Sign, first part, minutes and seconds of positions in columns of their own; the seconds may be missing.
_SPLIT = {"rah": (None, "rah", "ram", "ras"), "ded": ("de-", "ded", "dem", "des")}
_PAIRS_PIXEL = (
    ("x", "y"),
    ("xwin_image", "ywin_image"),
    ("x_image", "y_image"),
    ("xwin_image_dbl", "ywin_image_dbl"),
    ("x_image_dbl", "y_image_dbl"),
    ("xpsf_image", "ypsf_image"),
    ("xmodel_image", "ymodel_image"),
    ("xpeak_image", "ypeak_image"),
    ("xwin_image_1", "ywin_image_1"),
    ("x_image_1", "y_image_1"),
    ("xcentroid", "ycentroid"),
    ("x_centroid", "y_centroid"),
    ("xpix", "ypix"),
    ("x_pix", "y_pix"),
    ("x_px", "y_px"),
    ("xcen", "ycen"),
)
_IDS = (
    "id", "source_id", "sourceid", "objid", "obj_id", "objectid", "object_id", "galaxyid", "galaxy_id",
    "dr7objid", "dr8objid", "targetid", "number", "seq", "name", "objname", "iauname", "designation",
    "main_id", "recno", "galid",
)  # fmt: skip
_FILES = ("file", "filename", "file_name", "file_loc", "filepath", "image", "image_file", "path", "stamp")
# Names of galaxies after which their pictures are called: the Galaxy Challenge, and tables of SDSS spectra.
_NAMES_OF_PICTURES = ("galaxyid", "specobjid")
_NOT_A_POSITION = ("arith.", "stat.")


@dataclass(frozen=True)
class ColumnNames:
    """Names of columns that are asked for; those that are None are found by their UCDs and usual names.

    Parameters
    ----------
    ra, dec
        Of right ascension and declination.
    x, y
        Of positions in pixels.
    id
        Of the names of rows.
    file
        Of the names of display stamps.
    """

    ra: str | None = None
    dec: str | None = None
    x: str | None = None
    y: str | None = None
    id: str | None = None
    file: str | None = None


USUAL_NAMES = ColumnNames()
"""No column is named: all are found."""


@dataclass(frozen=True)
class Roles:
    """Names of the columns that have a role; None where there is none."""

    id: str | None = None
    ra: str | None = None
    dec: str | None = None
    x: str | None = None
    y: str | None = None
    file: str | None = None
    lone: tuple[str, str] | None = field(default=None, compare=False)
    """``(column, role)``: a coordinate whose partner is missing."""

    @property
    def position(self) -> bool:
        """Whether a row can be found on an image."""
        return bool((self.ra and self.dec) or (self.x and self.y) or self.file)


def find_roles(table: Table, names: ColumnNames, title: str) -> Roles:
    """Find the columns with a role: those that are named in `names`, then by UCD, then by usual names.

    Main positions (``pos.eq.ra;meta.main``) come first, then usual names, then any column whose first UCD
    word is a position: our own ``gm_racen`` is one, and must not win over the ``ra`` of the catalogue it was
    added to. Among names, one that is spelt exactly as usual wins over one that differs in case. UCDs count for
    nothing where one of them contradicts a name that leaves no doubt. Where a table says nothing of positions or files,
    pictures are taken to be called after their galaxies (``GalaxyID``).

    Parameters
    ----------
    table
        The catalogue.
    names
        Those that are asked for by name.
    title
        What to call the catalogue in messages.

    Raises
    ------
    CatalogError
        If a named column does not exist.
    """
    named = {role: _named(table.colnames, name, title) for role, name in asdict(names).items() if name}
    moved = _are_ucds_moved(table)
    if moved:
        log.warning("Catalog '%s': its UCDs are left out, since one contradicts the name of a position", title)
    sky = _pair(table, named, ("ra", "dec"), _PAIRS_SKY, _no_ucds if moved else _sky_ucds)
    pixel = _pair(table, named, ("x", "y"), _PAIRS_PIXEL, _no_ucds if moved else _pixel_ucds)
    lone = next(((n, r) for n, r in zip((*sky, *pixel), ("ra", "dec", "x", "y"), strict=True) if n), None)
    whole_sky, whole_pixel = all(sky), all(pixel)
    return Roles(
        id=named.get("id") or (None if moved else _id_ucds(table)) or _usual(table, _IDS),
        ra=sky[0] if whole_sky else None,
        dec=sky[1] if whole_sky else None,
        x=pixel[0] if whole_pixel else None,
        y=pixel[1] if whole_pixel else None,
        file=named.get("file")
        or _file(table)
        or (None if whole_sky or whole_pixel else _usual(table, _NAMES_OF_PICTURES)),
        lone=None if whole_sky or whole_pixel else lone,
    )


def split_position(names: Sequence[str], name: str) -> tuple[str | None, str, str, str | None] | None:
    """Return the columns of sign, first part, minutes and seconds of a position that begins in column `name`.

    None where it is whole, as it is without minutes or, in declination, without the sign: "-00" is no number.
    """
    if name.lower() not in _SPLIT:
        return None
    sign, first, minutes, seconds = (None if part is None else _spelt(names, part) for part in _SPLIT[name.lower()])
    if first is None or minutes is None or (sign is None and name.lower() == "ded"):
        return None
    return sign, first, minutes, seconds


def missing_position(roles: Roles, title: str) -> str:
    """Say which position column a catalogue lacks and how to name it."""
    if roles.lone is None:
        return (
            f"Catalog '{title}' has no columns for positions: looked for ra and dec, RAJ2000 and DEJ2000, "
            "x and y, file. Name them with --ra and --dec, or --x and --y."
        )
    column, role = roles.lone
    other = {"ra": "dec", "dec": "ra", "x": "y", "y": "x"}[role]
    noun, tried = {
        "ra": ("right ascension", "ra, RA, RAJ2000"),
        "dec": ("declination", "dec, DEC, DEJ2000"),
        "x": ("x pixels", "x, X_IMAGE"),
        "y": ("y pixels", "y, Y_IMAGE"),
    }[other]
    return f"Catalog '{title}' has no column for {noun} beside '{column}': looked for {tried}. Name it with --{other}."


def _named(names: Sequence[str], name: str, title: str) -> str:
    """Return the column called `name`, whatever its case if that is unique."""
    if name in names:
        return name
    same = [n for n in names if n.lower() == name.lower()]
    if len(same) == 1:
        return same[0]
    raise CatalogError(f"Catalog '{title}': {unknown_name('column', name, names)}")


def _pair(
    table: Table,
    named: dict[str, str],
    roles: tuple[str, str],
    usual: Iterable[tuple[str, str]],
    ucds: Callable[[Table, bool], tuple[str | None, str | None]],
) -> tuple[str | None, str | None]:
    """Return the two columns of a position: named ones, else the best pair, else what there is of one."""
    first, second = (named.get(role) for role in roles)
    if first and second:
        return first, second
    if first or second:
        return _partner(table, first, second, usual, ucds)
    for pair in (
        ucds(table, True),
        _usual_pair(table, usual),
        _coordinates(table, roles),
        ucds(table, False),
    ):
        if all(pair):
            return pair
    return _lone(table, usual)


def _coordinates(table: Table, roles: tuple[str, str]) -> tuple[str | None, str | None]:
    """Return a SkyCoord column twice, or the parts of one."""
    if roles != ("ra", "dec"):
        return None, None
    name = next((n for n in table.colnames if hasattr(table[n], "icrs")), None)
    return (name, name) if name is not None else dotted_pair(table.colnames)


def _partner(
    table: Table,
    first: str | None,
    second: str | None,
    usual: Iterable[tuple[str, str]],
    ucds: Callable[[Table, bool], tuple[str | None, str | None]],
) -> tuple[str | None, str | None]:
    """Complete a pair of which one was named: by usual names, then by UCD."""
    side = 0 if first else 1
    name = str(first or second)
    partners = [pair[1 - side] for pair in usual if pair[side] == name.lower()]
    other = next((c for p in partners if (c := _spelt(table.colnames, p))), None)
    other = other or _usual_pair(table, usual)[1 - side] or ucds(table, False)[1 - side]
    return (first or other, second or other)


def _usual_pair(table: Table, usual: Iterable[tuple[str, str]]) -> tuple[str | None, str | None]:
    pairs = ((_spelt(table.colnames, a), _spelt(table.colnames, b)) for a, b in usual)
    return next((pair for pair in pairs if all(pair) and not _lacks_parts(table, pair)), (None, None))


def _lacks_parts(table: Table, pair: tuple[str | None, ...]) -> bool:
    """Say whether these are the hours and degrees of positions whose other parts are nowhere."""
    return any(str(n).lower() in _SPLIT and split_position(table.colnames, str(n)) is None for n in pair)


def _lone(table: Table, usual: Iterable[tuple[str, str]]) -> tuple[str | None, str | None]:
    """Return the first column that would be half of a usual pair."""
    for first, second in usual:
        if column := _spelt(table.colnames, first):
            return column, None
        if column := _spelt(table.colnames, second):
            return None, column
    return None, None


def _spelt(names: Sequence[str], usual: str) -> str | None:
    """Return the column called `usual`: exactly, else in upper case, else in any case."""
    for candidate in (usual, usual.upper()):
        if candidate in names:
            return candidate
    return next((n for n in names if n.lower() == usual), None)


def _sky_ucds(table: Table, main: bool) -> tuple[str | None, str | None]:
    return (
        _by_ucd(table, "pos.eq.ra", "pos_eq_ra", main=main),
        _by_ucd(table, "pos.eq.dec", "pos_eq_dec", main=main),
    )


def _pixel_ucds(table: Table, main: bool) -> tuple[str | None, str | None]:
    return (
        _by_ucd(table, "pos.cartesian.x", "pos_cartesian_x", main=main),
        _by_ucd(table, "pos.cartesian.y", "pos_cartesian_y", main=main),
    )


def _id_ucds(table: Table) -> str | None:
    return _by_ucd(table, "meta.id", "id", main=True)


def _no_ucds(table: Table, main: bool) -> tuple[None, None]:  # noqa: ARG001 - as the others
    return None, None


def _are_ucds_moved(table: Table) -> bool:
    """Whether UCDs are about other columns than they were: programs that do not know them leave them by number."""
    for name in table.colnames:
        role, ucd = name.lower(), ucd_of(table[name]).lower()
        if role in ("ra", "dec") and ucd and not ucd.replace("_", ".").startswith(f"pos.eq.{role}"):
            return True
    return False


def _by_ucd(table: Table, word: str, old: str, *, main: bool) -> str | None:
    """Return the first column whose UCD1+ begins with `word` or whose UCD1 is `old`; perhaps a main one."""
    for name in table.colnames:
        if _ucd_says(table[name], word, old, main=main):
            return str(name)
    return None


def _ucd_says(column: Any, word: str, old: str, *, main: bool) -> bool:
    ucd = ucd_of(column).strip().lower()
    if main and ucd == f"{old}_main":
        return True
    first, *rest = [part.strip() for part in ucd.split(";")]
    if first == old and not rest:
        return not main
    if first != word or any(part.startswith(_NOT_A_POSITION) for part in rest):
        return False
    return "meta.main" in rest or not main


def _usual(table: Table, usual: Iterable[str]) -> str | None:
    return next((c for name in usual if (c := _spelt(table.colnames, name))), None)


def _file(table: Table) -> str | None:
    """Return the column of file names: usually called so, and text."""
    columns = (c for name in _FILES if (c := _spelt(table.colnames, name)))
    return next((c for c in columns if _is_text(table[c])), None)


def _is_text(column: Any) -> bool:
    kind = getattr(getattr(column, "dtype", None), "kind", "")
    return kind in "SU" or (kind == "O" and all(isinstance(v, str) for v in list(column[:10])))
