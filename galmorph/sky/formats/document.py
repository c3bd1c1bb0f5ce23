"""Document: the places in a VOTable where fields, cells and INFO elements can be put in, to the byte.

The XML around them is copied as it was written: parameters, groups, links, coordinate systems, comments, the
digits of every number.
"""

from __future__ import annotations

import base64
import math
import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from xml.parsers.expat import ParserCreate
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from galmorph.errors import CatalogError
from galmorph.limits import LIMITS
from galmorph.sky.formats.binary_rows import BinaryField, bytes_left_over
from galmorph.sky.formats.column import Column, Provenance
from galmorph.sky.formats.compressed import opened
from galmorph.sky.formats.plain import cells_text

__all__ = [
    "TablePlaces",
    "cells_xml",
    "fields_xml",
    "infos_xml",
    "legal",
    "places_in",
    "places_of",
    "spliced",
]

# Bytes copied at once: few enough for any memory, many enough that Python's loop costs nothing.
_PIECE = 1 << 20
_DATATYPES = {"f4": "float", "f8": "double", "i4": "int", "i8": "long"}
# Elements of one another: standards nest RESOURCE two or three deep, and readers recurse.
# Numbers in the cells of fixed arrays that readers make room for: these many, or so many for each byte of the document.
_LEAST_ROOM = 1 << 18
_FIXED = re.compile(r"\d{1,18}(?:x\d{1,18})*")
_BINARY = ("BINARY", "BINARY2", "FITS")
_ILLEGAL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_NUMBERS = {"inf": "+Inf", "-inf": "-Inf", "nan": "NaN"}
_BEFORE_INFO = ("DESCRIPTION", "INFO")


@dataclass
class TablePlaces:
    """Byte offsets of one TABLE element.

    Parameters
    ----------
    infos
        Where INFO elements of its RESOURCE may stand.
    fields
        Where FIELD elements may be added.
    row_ends
        The beginning of the end tag of each row of a TABLEDATA.
    data
        Begin and end of the element that holds the rows; None for a table without data.
    serialisation
        Name of that element: TABLEDATA, BINARY, BINARY2 or FITS.
    prefix
        Namespace prefix of the elements, colon included.
    systems
        Coordinate system (``ref``) by UCD of the fields.
    ids
        All IDs in the document.
    nrows
        How many rows it says it has; None where it does not.
    width
        Numbers in the cells of a row, where arrays are of fixed size.
    """

    infos: int = -1
    fields: int = -1
    row_ends: array[int] = field(default_factory=lambda: array("q"))
    data: tuple[int, int] | None = None
    serialisation: str = ""
    prefix: str = ""
    systems: dict[str, str] = field(default_factory=dict)
    ids: set[str] = field(default_factory=set)
    nrows: int | None = None
    width: int = 0


@dataclass
class _Resource:
    infos: int = -1
    tables: list[TablePlaces] = field(default_factory=list)
    inner: list[_Resource] = field(default_factory=list)

    def flat(self) -> Iterator[TablePlaces]:
        """Yield tables in the order of astropy: own ones before those of inner resources."""
        for table in self.tables:
            table.infos = self.infos
            yield table
        for resource in self.inner:
            yield from resource.flat()


class _Scanner:
    """Follows the elements of a document and notes where they are."""

    def __init__(self) -> None:
        self._parser = ParserCreate()
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.XmlDeclHandler = self._declared
        self._open: list[str] = []
        self._most_depth = LIMITS["votable_depth"]
        self._root = _Resource()
        self._resources = [self._root]
        self._table: TablePlaces | None = None
        self._ids: set[str] = set()
        self._cells: list[BinaryField] = []
        self._stream: list[str] = []
        self._begin = 0
        self.wide = False

    def scan(self, stream: IO[bytes]) -> list[TablePlaces]:
        """Return all tables of a document."""
        self._parser.ParseFile(stream)
        tables = list(self._root.flat())
        for table in tables:
            table.ids = self._ids
            _check_room(table, stream.tell())
        return tables

    def _declared(self, version: str, encoding: str | None, standalone: int) -> None:
        del version, standalone
        self.wide = (encoding or "utf-8").lower().startswith(("utf-16", "utf-32", "ucs"))

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        prefix, _, local = name.rpartition(":")
        if len(self._open) > self._most_depth.number:
            raise CatalogError(
                f"its elements are nested deeper than {self._most_depth}, expected a VOTable; flatten it"
            )
        if "href" in attributes and local == "STREAM":
            raise CatalogError(
                f"its rows are in another place (STREAM href='{attributes['href'][:80]}'), expected them in the file; "
                "put them there, as stilts does: tpipe ofmt=votable"
            )
        parent = self._open[-1] if self._open else ""
        self._open.append(local)
        if "ID" in attributes:
            self._ids.add(attributes["ID"])
        self._note_info(parent, local)
        if local == "RESOURCE":
            self._resources.append(_Resource())
            self._resources[-2].inner.append(self._resources[-1])
        elif local == "TABLE":
            self._table = TablePlaces(prefix=f"{prefix}:" if prefix else "")
            self._cells, nrows = [], attributes.get("nrows", "").strip()
            self._table.nrows = int(nrows) if nrows.isdecimal() and len(nrows) < 19 else None
            self._resources[-1].tables.append(self._table)
        elif self._table is not None:
            self._inside(self._table, parent, local, attributes)

    def _note_info(self, parent: str, local: str) -> None:
        resource = self._resources[-1]
        if parent == "RESOURCE" and local not in _BEFORE_INFO and resource.infos < 0:
            resource.infos = self._parser.CurrentByteIndex

    def _inside(self, table: TablePlaces, parent: str, local: str, attributes: dict[str, str]) -> None:
        if parent == "TABLE" and local in ("LINK", "DATA") and table.fields < 0:
            table.fields = self._parser.CurrentByteIndex
        if parent == "TABLE" and local == "FIELD":
            self._cells.append(BinaryField(attributes.get("datatype", ""), attributes.get("arraysize", "").strip()))
            table.width += _elements(attributes.get("arraysize", ""))
            self._note_system(table, attributes)
        if local == "STREAM" and parent in ("BINARY", "BINARY2"):
            self._stream = []
            self._parser.CharacterDataHandler = self._stream.append
        if parent == "DATA" and (local in _BINARY or local == "TABLEDATA"):
            table.serialisation = local
            self._begin = self._parser.CurrentByteIndex

    def _note_system(self, table: TablePlaces, attributes: dict[str, str]) -> None:
        if attributes.get("ref"):
            table.systems.setdefault(attributes.get("ucd", "").lower().split(";")[0], attributes["ref"])

    def _end(self, name: str) -> None:
        local = name.rpartition(":")[2]
        self._open.pop()
        if local == "STREAM":
            self._parser.CharacterDataHandler = None
            self._check_stream()
        if local == "RESOURCE":
            self._resources.pop()
        elif self._table is not None:
            self._end_inside(self._table, local, len(f"</{name}>"))

    def _end_inside(self, table: TablePlaces, local: str, width: int) -> None:
        here = self._parser.CurrentByteIndex
        if local == "TR":
            table.row_ends.append(here)
        elif local == table.serialisation:
            table.data = (self._begin, here + width)
        elif local == "TABLE":
            table.fields = here if table.fields < 0 else table.fields
            self._table = None

    def _check_stream(self) -> None:
        """Refuse binary rows the last of which is cut."""
        text, self._stream = "".join(self._stream), []
        if not text or self._table is None:
            return
        if odd := next((each.arraysize for each in self._cells if each.is_doubtful), ""):
            raise CatalogError(
                f"its binary rows have cells of arraysize '{odd}', whose length readers take for different things; "
                "expected TABLEDATA: write it so, as stilts does: tpipe ofmt=votable"
            )
        data = base64.b64decode(text)
        rows, left = bytes_left_over(data, self._cells, null_bits=self._table.serialisation == "BINARY2")
        if left:
            raise CatalogError(
                f"its binary rows end inside row {rows}, {left} bytes after the last whole one: copy the file again"
            )


def _elements(arraysize: str) -> int:
    """Return how many numbers a cell has room for; 1 where that differs from row to row."""
    return math.prod(map(int, arraysize.split("x"))) if _FIXED.fullmatch(arraysize) else 1


def _check_room(table: TablePlaces, size: int) -> None:
    """Refuse arrays that need far more memory than the document has bytes, as damaged sizes do."""
    rows, most = len(table.row_ends), max(_LEAST_ROOM, LIMITS["votable_numbers"].number * size)
    if rows * table.width > most:
        raise CatalogError(
            f"its {rows} rows have {table.width} numbers each by their arraysize, expected at most {most} in all, "
            f"for each byte {LIMITS['votable_numbers']}; correct the arraysize of its FIELD elements, or make it *"
        )


def places_of(path: Path) -> list[TablePlaces]:
    """Return the places of all tables of a file; see `places_in`."""
    with opened(path) as stream:
        try:
            return places_in(stream)
        except CatalogError as error:
            raise CatalogError(f"Catalog '{path}' is no readable VOTable: {error}") from error


def places_in(stream: IO[bytes]) -> list[TablePlaces]:
    """Return the places of all tables; none for a document in a wide encoding, which cannot be spliced.

    Raises
    ------
    xml.parsers.expat.ExpatError
        If it is not well formed.
    """
    scanner = _Scanner()
    tables = scanner.scan(stream)
    return [] if scanner.wide else tables


def spliced(stream: IO[bytes], inserts: Iterable[tuple[int, bytes]], stop: int | None = None) -> Iterator[bytes]:
    """Yield a stream with bytes put in at rising offsets, up to offset `stop` or its end."""
    at = stream.tell()
    for place, text in inserts:
        while at < place:
            piece = stream.read(min(_PIECE, place - at))
            if not piece:
                raise EOFError("the document has become shorter")
            at += len(piece)
            yield piece
        yield text
    while piece := stream.read(_PIECE if stop is None else min(_PIECE, stop - at)):
        at += len(piece)
        yield piece


def fields_xml(columns: Sequence[Column], places: TablePlaces, *, any_length: bool = True) -> bytes:
    """Return FIELD elements; sky positions refer to the coordinate system that the table's own refer to.

    Text has any length, or that of the longest (astropy's reader of VOParquet knows no other).
    """
    parts = []
    for column in columns:
        kind = np.asarray(column.values).dtype
        attributes = {"name": column.name, "ID": _free_id(column.name, places.ids)}
        if kind.kind in "US":
            longest = max((len(str(v)) for v in np.asarray(column.values).tolist()), default=1)
            attributes |= {"datatype": "char", "arraysize": "*" if any_length else str(max(1, longest))}
        else:
            attributes |= {"datatype": _DATATYPES[f"{kind.kind}{kind.itemsize}"]}
            attributes |= {"arraysize": "x".join(map(str, np.shape(column.values)[:0:-1]))}
        system = places.systems.get(column.ucd.lower().split(";")[0], "") if column.ucd else ""
        attributes |= {"unit": column.unit, "ucd": column.ucd, "ref": system}
        parts.append(_element("FIELD", attributes, column.description, places.prefix))
    return "".join(parts).encode("ascii", "xmlcharrefreplace")


def _free_id(name: str, taken: set[str]) -> str:
    """Return an XML name like `name` that no element has."""
    word = "".join(c if c.isascii() and (c.isalnum() or c in "_-.") else "_" for c in name)
    word = word if word[:1].isalpha() or word[:1] == "_" else f"_{word}"
    number, free = 1, word
    while free in taken:
        number += 1
        free = f"{word}_{number}"
    taken.add(free)
    return free


def _element(tag: str, attributes: dict[str, str], description: str, prefix: str) -> str:
    told = " ".join(f"{k}={quoteattr(v)}" for k, v in attributes.items() if v)
    if not description:
        return f"<{prefix}{tag} {told}/>\n"
    inner = f"<{prefix}DESCRIPTION>{escape(description)}</{prefix}DESCRIPTION>"
    return f"<{prefix}{tag} {told}>{inner}</{prefix}{tag}>\n"


def infos_xml(provenance: Provenance, prefix: str = "") -> bytes:
    """Return INFO elements: a card's comment is their content; one per line of history."""
    tag = f"{prefix}INFO"
    lines = [
        f"<{tag} name={quoteattr(name)} value={quoteattr(legal(value))}>{escape(legal(comment))}</{tag}>\n"
        for name, value, comment in provenance.cards
    ]
    lines += [f'<{tag} name="HISTORY" value={quoteattr(legal(line))}/>\n' for line in provenance.history]
    return "".join(lines).encode("ascii", "xmlcharrefreplace")


def legal(text: str) -> str:
    """Return text without the control characters that XML forbids."""
    return _ILLEGAL.sub("", text)


def cells_xml(columns: Sequence[Column], prefix: str) -> Iterator[bytes]:
    """Yield the TD elements of each row; null is an empty one, which reads as NaN or no text."""
    tag = f"{prefix}TD"
    rows = len(columns[0].values) if columns else 0
    arrays = [np.asarray(c.values) for c in columns]
    for start in range(0, rows, 4096):
        block = [[_td(v, tag) for v in _cells(a[start : start + 4096])] for a in arrays]
        for cells in zip(*block, strict=True):
            yield "".join(cells).encode("ascii", "xmlcharrefreplace")


def _cells(values: np.ndarray[Any, Any]) -> list[str]:
    """Return cells as text; the numbers of an array with blanks between."""
    if values.ndim == 1:
        return cells_text(values)
    texts = values.reshape(len(values), -1).astype(np.str_)
    return [" ".join(_NUMBERS.get(text, text) for text in row) for row in texts.tolist()]


def _td(text: str, tag: str) -> str:
    text = legal(text)
    text = {"inf": "+Inf", "-inf": "-Inf"}.get(text, text)
    return f"<{tag}>{escape(text)}</{tag}>" if text else f"<{tag}/>"
