"""VoTable: the XML tables of the Virtual Observatory (VOTable 1.4)."""

from __future__ import annotations

import io
import itertools
import logging
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy import table as apt
from astropy.io import votable

from galmorph.errors import CatalogError, unknown_name
from galmorph.sky.formats.column import Column, Positions, Provenance, free_keyword, ucd_of
from galmorph.sky.formats.compressed import opened
from galmorph.sky.formats.document import (
    TablePlaces,
    cells_xml,
    fields_xml,
    infos_xml,
    legal,
    places_in,
    places_of,
    spliced,
)
from galmorph.sky.formats.parsing import parsing
from galmorph.sky.formats.plain import cell_text, plain, ragged_arrays, settled, unit_text
from galmorph.sky.formats.readback import Reread, whole_reread
from galmorph.sky.formats.stored import HeldFormat
from galmorph.sky.formats.systems import SYSTEM, other_system

__all__ = ["VoTable", "described_document", "extended_document", "header_document"]

log = logging.getLogger(__name__)

_SKY = ("pos.eq.ra", "pos.eq.dec")
# Rows whose objects are looked at for the type that they have in common.
ROWS_OF_OBJECTS = 1000


class _QuickTable(votable.tree.TableElement):  # type: ignore[misc]  # astropy has no types
    """A table whose fields are added one by one in a time that grows with their number, not with its cube."""

    def add_field(self, field: Any) -> None:
        """Add it where astropy's list of all fields is brought up to date from, when somebody asks for that."""
        self.fields.append(field)


class VoTable(HeldFormat):
    """VOTable; rows are written as TABLEDATA, which every reader understands.

    The other serialisations crash STILTS where they hold null booleans.
    """

    name = "votable"
    endings: tuple[str, ...] = (".vot", ".votable", ".xml")
    read_only: tuple[str, ...] = ()
    is_folder = False

    def knows(self, head: bytes) -> bool:
        """Recognise the root element."""
        xml = head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<")
        return xml and (b"<VOTABLE" in head or b":VOTABLE" in head)

    def read(self, path: Path, hdu: int | str | None) -> tuple[apt.Table, int | None]:
        """Read the table number, ID or name `hdu`, or the first one that has rows, best a service's result."""
        with parsing(path, "VOTable", "repair it"):
            # As writing will: two parsers of one document must agree before the work, not after it.
            places = places_of(path)
            tree = _parsed(path)
            tables = list(tree.iter_tables())
            index = _chosen(tables, hdu, path, [kind for each in tree.resources for kind in _kinds(each)])
            _heed_service(tree, tables[index], path)
            _rename(tables[index].fields)
            table = _described(tables[index].to_table(use_names_over_ids=True))
            table.meta = _told(tree, tables[index])
            for name, system in _systems(tree, tables[index]).items():
                table[name].meta[SYSTEM] = system
            told = places[index].nrows if index < len(places) else None
            if told is not None and told != len(table):
                log.warning("'%s' says that its table has %d rows (nrows), and holds %d", path, told, len(table))
            return table, index

    def tables(self, path: Path) -> list[tuple[int, str]]:
        """Return number and name of each table."""
        with parsing(path, "VOTable", "repair it"):
            return [(i, t.name or t.ID or "") for i, t in enumerate(_parsed(path).iter_tables())]

    def write(self, table: apt.Table, provenance: Provenance, path: Path, positions: Positions | None = None) -> None:
        """Make a document with one table; meta and provenance become INFO elements."""
        del positions
        bare = path.with_name(f"{path.name}.tree")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                _tree(_writable(table)).to_xml(str(bare), tabledata_format="tabledata")
            places = places_of(bare)[0]
            _copy(bare, path, [(places.infos, infos_xml(_all_infos(table.meta, provenance)))])
        finally:
            bare.unlink(missing_ok=True)

    def append(
        self, source: Path, hdu: int | None, columns: Sequence[Column], provenance: Provenance, path: Path
    ) -> bool:
        """Copy the document with new FIELD, TD and INFO elements put in; binary rows become TABLEDATA."""
        tables = places_of(source)
        if hdu is None or hdu >= len(tables) or not columns or tables[hdu].fields < 0:
            return False
        if tables[hdu].serialisation not in ("TABLEDATA", ""):
            return _append_unpacked(source, hdu, columns, provenance, path)
        places = tables[hdu]
        if len(places.row_ends) != len(columns[0].values):
            return False
        _copy(source, path, itertools.chain(_head(columns, provenance, places), _cells(columns, places)))
        return True

    def reread(self, path: Path, hdu: int | None, rows: npt.NDArray[np.int64], columns: Sequence[Column]) -> Reread:
        """Read it whole."""
        return whole_reread(self.read(path, hdu)[0], rows, columns)

    def spelt(self, text: str) -> str:
        """Return it without what XML forbids."""
        return legal(text).strip()

    def spelt_name(self, name: str) -> str:
        """Return it as it is."""
        return name


def header_document(table: apt.Table, provenance: Provenance) -> bytes:
    """Return a VOTable document that describes a table but holds no rows."""
    with warnings.catch_warnings(), io.BytesIO() as stream:
        warnings.simplefilter("ignore")
        _tree(_writable(_some_rows(table))[:1], any_length=False).to_xml(stream, tabledata_format="tabledata")
        text = stream.getvalue()
    places = places_in(io.BytesIO(text))[0]
    infos = infos_xml(_all_infos(table.meta, provenance))
    after = text[text.rindex(b"</DATA>") + len(b"</DATA>") :] if b"</DATA>" in text else text[places.fields :]
    return text[: places.infos] + infos + text[places.infos : places.fields] + after


def _some_rows(table: apt.Table) -> apt.Table:
    """Return rows that show what types VOTable has for the columns: the first ones of objects, text outside ASCII."""
    has_objects = any(table[name].dtype.kind == "O" for name in table.colnames)
    rows = set(range(min(len(table), ROWS_OF_OBJECTS if has_objects else 1)))
    for name in table.colnames:
        if table[name].dtype.kind == "U" and table[name].ndim == 1:
            rows |= set(
                itertools.islice((i for i, text in enumerate(table[name].tolist()) if not (text or "").isascii()), 1)
            )
    return table[sorted(rows)]


def extended_document(text: bytes, columns: Sequence[Column], provenance: Provenance) -> bytes | None:
    """Return such a document with FIELD and INFO elements put in; None where it has no table."""
    try:
        with parsing(Path("description"), "VOTable", "repair it"):
            tables = places_in(io.BytesIO(text))
    except CatalogError:
        return None
    if not tables:
        return None
    inserts = _head(columns, provenance, tables[0], any_length=False)
    return b"".join(spliced(io.BytesIO(text), inserts))


def described_document(text: bytes) -> tuple[dict[str, dict[str, str]], dict[str, Any]]:
    """Return unit, UCD and description of the fields of a document, by name, and its INFO and PARAM elements."""
    try:
        with parsing(Path("description"), "VOTable", "repair it"):
            places_in(io.BytesIO(text))
            tree = votable.parse(io.BytesIO(text), verify="ignore")
            tables = list(tree.iter_tables())[:1]
            return {f.name: _said_of(f) for t in tables for f in t.fields}, _told(tree, tables[0]) if tables else {}
    except CatalogError:
        return {}, {}


def _said_of(field: Any) -> dict[str, str]:
    return {
        "unit": "" if field.unit is None else str(field.unit),
        "ucd": field.ucd or "",
        "description": " ".join(str(field.description or "").split()),
    }


def _tree(table: apt.Table, *, any_length: bool = True) -> Any:
    """Return a writable table as astropy's tree of a document; text of any length, sky positions in ICRS."""
    tree, resource = votable.tree.VOTableFile(), votable.tree.Resource()
    element = _QuickTable.from_table(tree, table)
    resource.tables.append(element)
    tree.resources.append(resource)
    for field in element.fields:
        if field.datatype in ("char", "unicodeChar") and any_length:
            field.arraysize = "*"
        elif "x" in (field.arraysize or ""):  # astropy 8.0 writes the slowest axis first
            field.arraysize = "x".join(reversed(field.arraysize.split("x")))
        if field.datatype == "bit":  # which cannot be null
            field.datatype, field.arraysize = "boolean", None if field.arraysize == "1" else field.arraysize
            field.converter = votable.converters.get_converter(field)
    _set_system(tree)
    return tree


def _parsed(path: Path) -> Any:
    with opened(path) as stream:
        return votable.parse(stream, verify="ignore")


def _kinds(resource: Any) -> Iterator[str]:
    """Yield the type of the RESOURCE of each table, in the order in which tables are numbered."""
    yield from [resource.type] * len(resource.tables)
    for each in resource.resources:
        yield from _kinds(each)


def _heed_service(tree: Any, table: Any, path: Path) -> None:
    """Say what the service that made a document says of its query (DALI 1.1, section 4.4): it failed, or was cut."""
    infos = list(tree.iter_info())
    said = {info.value.upper(): info.content or "" for info in infos if info.name.upper() == "QUERY_STATUS"}
    # Cone searches say it in an INFO of its own (Simple Cone Search 1.03, section 2.3).
    said |= {info.name.upper(): info.content or info.value for info in infos if info.name.upper() == "ERROR"}
    if "ERROR" in said and not len(table.array):
        reason = " ".join(said["ERROR"].split())[:200] or "without a reason"
        raise CatalogError(
            f"Catalog '{path}' is what a service says of a query that failed ({reason}): expected rows; ask it again"
        )
    if "ERROR" in said:
        log.warning("'%s' says that its query failed: rows may be missing (QUERY_STATUS is ERROR)", path)
    if "OVERFLOW" in said:
        log.warning(
            "'%s' says that its query had more rows than the service gives (QUERY_STATUS is OVERFLOW): the others are "
            "missing",
            path,
        )


def _chosen(tables: Sequence[Any], hdu: int | str | None, path: Path, kinds: Sequence[str]) -> int:
    """Return the number of the table that is meant; `kinds` are the types of their RESOURCE elements."""
    if not tables:
        raise CatalogError(f"Catalog '{path}' has no TABLE element: check what the file is")
    if hdu is None:
        filled = [i for i, t in enumerate(tables) if len(t.array)]
        results = [i for i in filled if kinds[i] == "results"]
        plain = [i for i in filled if kinds[i] != "meta"]
        return (results or plain or filled or [0])[0]
    if str(hdu).isdecimal() and int(hdu) < len(tables):
        return int(hdu)
    named = [i for i, t in enumerate(tables) if str(hdu) in (t.ID, t.name)]
    named = named or [i for i, t in enumerate(tables) if str(hdu).lower() in {str(t.ID).lower(), str(t.name).lower()}]
    if named:
        return named[0]
    choices = [f"{i} ({t.name or t.ID})" if t.name or t.ID else str(i) for i, t in enumerate(tables)]
    raise CatalogError(f"Catalog '{path}': {unknown_name('table', str(hdu), choices)}")


def _rename(fields: Sequence[Any]) -> None:
    """Give fields of one name numbers as astropy would, whose time grows with the cube of how many there are."""
    taken: set[str | None] = set()
    following: dict[str | None, int] = {}
    for field in fields:
        name, number = field.name, following.get(field.name, 2)
        while field.name in taken:
            field.name = f"{name}{number}"
            number += 1
        following[name] = number
        taken.add(field.name)


def _described(table: apt.Table) -> apt.Table:
    """Return a table whose text is text, with what the fields say about its columns."""
    out = settled(plain(table))
    for name in out.colnames:
        meta = out[name].meta
        out[name].meta = {k: v for k, v in meta.items() if k in ("ucd", "utype", "xtype", "links", "values")}
    return out


def _systems(tree: Any, table: Any) -> dict[str, str]:
    """Return what COOSYS elements say of the fields that refer to them, by name, where that is not ICRS or J2000."""
    systems = {each.ID: other_system(each.system or "", each.equinox or "") for each in tree.iter_coosys()}
    of_fields = {field.name: systems.get(field.ref, "") for field in table.fields}
    return {name: system for name, system in of_fields.items() if system}


def _told(tree: Any, table: Any) -> dict[str, Any]:
    """Return the INFO and PARAM elements and descriptions that are about a table, by name."""
    told: dict[str, Any] = {}
    elements = [*tree.infos, *tree.params]
    for resource in tree.resources:
        elements += [*resource.infos, *resource.params]
    elements += [*table.params, *table.infos]
    for element in elements:
        value = element.value if isinstance(element.value, str | int | float | bool) else cell_text(element.value)
        if element.name.upper() in ("HISTORY", "COMMENT"):
            told.setdefault("comments" if element.name.upper() == "COMMENT" else "HISTORY", []).append(str(value))
        elif element.name in told and told[element.name] != value:
            before = told[element.name]
            told[element.name] = [*(before if isinstance(before, list) else [before]), value]
        else:
            told[element.name] = value
    described = [d for d in (tree.description, table.description) if d]
    return ({"description": " ".join(" ".join(map(str, described)).split())} if described else {}) | told


def _writable(table: apt.Table) -> apt.Table:
    """Return a plain table in types that VOTable has, without display formats that would cut digits."""
    out = plain(table)
    columns = [_writable_column(out[name]) for name in out.colnames]
    return apt.Table(columns, names=out.colnames, copy=False)


def _writable_column(column: apt.Column) -> apt.Column:
    values = _in_votable_type(column)
    meta = {"ucd": ucd_of(column)} if ucd_of(column) else {}
    meta |= {k: v for k, v in (column.meta or {}).items() if k in ("utype", "xtype", "links")}
    if values.dtype.kind == "U" and values.ndim == 1:
        values = _legal_text(values)
        ascii_only = all(v.isascii() for v in np.ma.getdata(values).tolist())
        meta |= {"_votable_string_dtype": "char" if ascii_only else "unicodeChar"}
    mask = getattr(values, "mask", None)
    extra = {} if mask is None else {"mask": mask}
    kind_of = apt.Column if mask is None or values.dtype.kind == "O" else apt.MaskedColumn
    writable = kind_of(np.ma.getdata(values), meta=meta, **(extra if kind_of is apt.MaskedColumn else {}))
    writable.description, writable.unit = column.description, unit_text(column) or None
    return writable


def _in_votable_type(column: apt.Column) -> apt.Column:
    """Return a column in a type that VOTable has: wider integers, text for the largest and for what has no type."""
    kind = column.dtype
    wider = {"u2": np.int32, "u4": np.int64, "i1": np.int16}.get(f"{kind.kind}{kind.itemsize}")
    if wider is not None:
        return column.astype(wider)
    if kind.kind == "u" and kind.itemsize == 8:
        return type(column)(column.astype(np.str_), name=column.name)
    if kind.kind == "O":
        return _ragged(column)
    if 0 in column.shape[1:]:
        return apt.Column(["[]"] * len(column), name=column.name, dtype="U2")
    if kind.kind == "U" and column.ndim > 1:
        return apt.Column([cell_text(v) for v in column], name=column.name)
    return column


def _legal_text(column: apt.Column) -> apt.Column:
    """Return a column of text without the characters that XML forbids."""
    cells = np.ma.getdata(column).tolist()
    clean = [legal(v) for v in cells]
    return column if clean == cells else apt.Column(np.array(clean, dtype=np.str_), name=column.name)


def _ragged(column: apt.Column) -> apt.Column:
    """Return arrays of different lengths as VOTable can hold them, or as JSON text."""
    arrays, common = ragged_arrays(column)
    if common is None or common.kind == "u" or not len(column):
        return apt.Column(np.array([cell_text(v) for v in column], dtype=np.str_), name=column.name)
    boxed = np.empty(len(arrays), dtype=object)
    for i, array in enumerate(arrays):
        boxed[i] = array.astype(common)
    return apt.Column(boxed, name=column.name)


def _set_system(tree: Any) -> None:
    """Say that sky positions are ICRS."""
    resource = tree.resources[0]
    on_sky = [f for f in resource.tables[0].fields if (f.ucd or "").split(";")[0].lower() in _SKY]
    if not on_sky:
        return
    resource.coordinate_systems.append(votable.tree.CooSys(ID="icrs", system="ICRS"))
    for field in on_sky:
        field.ref = "icrs"


def _all_infos(meta: dict[str, Any], provenance: Provenance) -> Provenance:
    """Return a table's meta and then the provenance, as cards and lines."""
    cards: list[tuple[str, str, str]] = []
    history: list[str] = []
    for key, value in meta.items():
        if str(key).upper() == "HISTORY":
            history += map(str, value) if isinstance(value, list) else [str(value)]
        elif isinstance(value, list):
            cards += [("COMMENT" if key == "comments" else str(key), cell_text(v), "") for v in value]
        else:
            cards.append((str(key), cell_text(value), ""))
    taken = {name.upper() for name, _, _ in cards}
    ours = tuple((free_keyword(k, taken), v, c) for k, v, c in provenance.cards)
    return Provenance((*cards, *ours), (*history, *provenance.history))


def _head(
    columns: Sequence[Column], provenance: Provenance, places: TablePlaces, *, any_length: bool = True
) -> Iterator[tuple[int, bytes]]:
    if places.infos >= 0:
        yield places.infos, infos_xml(provenance, places.prefix)
    yield places.fields, fields_xml(columns, places, any_length=any_length)


def _cells(columns: Sequence[Column], places: TablePlaces) -> Iterator[tuple[int, bytes]]:
    return zip(places.row_ends, cells_xml(columns, places.prefix), strict=True)


def _copy(source: Path, path: Path, inserts: Iterable[tuple[int, bytes]]) -> None:
    with opened(source) as stream, path.open("wb") as target:
        for piece in spliced(stream, inserts):
            target.write(piece)


def _append_unpacked(source: Path, hdu: int, columns: Sequence[Column], provenance: Provenance, path: Path) -> bool:
    """Copy a document whose rows are binary: they are written out as TABLEDATA, the rest is copied."""
    unpacked = path.with_name(f"{path.name}.rows")
    try:
        _unpack(source, hdu, unpacked)
        theirs, rows = places_of(source)[hdu], places_of(unpacked)[hdu]
        if theirs.data is None or rows.data is None or theirs.prefix:
            return False
        if len(rows.row_ends) != len(columns[0].values):
            return False
        with opened(source) as stream, opened(unpacked) as table, path.open("wb") as target:
            for piece in spliced(stream, _head(columns, provenance, theirs), theirs.data[0]):
                target.write(piece)
            table.seek(rows.data[0])
            for piece in spliced(table, _cells(columns, rows), rows.data[1]):
                target.write(piece)
            stream.seek(theirs.data[1])
            for piece in spliced(stream, ()):
                target.write(piece)
    finally:
        unpacked.unlink(missing_ok=True)
    return True


def _unpack(source: Path, hdu: int, path: Path) -> None:
    """Write the document with all rows as TABLEDATA and every digit of its numbers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = _parsed(source)
        for field in list(tree.iter_tables())[hdu].fields:
            field.precision = field.width = None
            field.converter = votable.converters.get_converter(field)
        tree.to_xml(str(path), tabledata_format="tabledata")
