"""Schema notes: what the metadata of a Parquet file say of its columns and its header, to us and to others.

Three readers look in three places: ours into the schema and its fields; astropy into a text of YAML; STILTS, TOPCAT and
astropy's ``parquet.votable`` into a VOTable without rows (VOParquet 1.0, IVOA note of 2025). All are written, and what
only one of them has is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml
from astropy import table as apt
from astropy.table import meta as apt_meta

from galmorph.sky.formats.column import Column, Provenance, column_of, free_keyword, noted, parsed_unit, ucd_of
from galmorph.sky.formats.plain import unit_text
from galmorph.sky.formats.systems import SYSTEM, other_system
from galmorph.sky.formats.votable import described_document, extended_document, header_document
from galmorph.sky.formats.yaml_text import check_yaml

__all__ = ["complete_table", "extended_notes", "schema_notes"]

_YAML = b"table_meta_yaml"
_VERSION = b"IVOA.VOTable-Parquet.version"
_CONTENT = b"IVOA.VOTable-Parquet.content"
_OF_PROGRAMS = (b"ARROW:", b"pandas", b"table::len::", b"IVOA.", _YAML)
# What a header that is none raises: its YAML is parsed, then its nodes are made objects of.
_NO_YAML = (apt_meta.YamlParseError, yaml.YAMLError, AttributeError, LookupError, TypeError, ValueError, RecursionError)
_LINES = ("HISTORY", "COMMENTS")


def schema_notes(table: apt.Table, provenance: Provenance) -> dict[bytes, bytes]:
    """Return the metadata of the schema of a new file, for a plain table."""
    ours = _with_provenance({str(k): _meta_text(k, v) for k, v in table.meta.items()}, provenance)
    told = [_told_of(table[name]) for name in table.colnames]
    header = noted(table[:0], provenance).meta
    return ours | _for_astropy(told, header) | {_VERSION: b"1.0", _CONTENT: header_document(table, provenance)}


def extended_notes(
    metadata: Mapping[bytes, bytes], columns: Sequence[Column], provenance: Provenance
) -> dict[bytes, bytes]:
    """Return the metadata of a file that gets more columns: what is there, and what is to be said of these."""
    before = {} if b"HISTORY" in metadata else complete_table(apt.Table(), metadata).meta
    out = _with_provenance(
        {**metadata, **{k: _meta_text(k, v) for k, v in before.items() if k == "HISTORY"}}, provenance
    )
    if _CONTENT in metadata:
        document = extended_document(metadata[_CONTENT], columns, provenance)
        out |= {} if document is None else {_CONTENT: document}
    return out | (_told_astropy(metadata[_YAML], columns, provenance) if _YAML in metadata else {})


def complete_table(table: apt.Table, metadata: Mapping[bytes, bytes]) -> apt.Table:
    """Give a table the header of a file, and its columns what their own fields do not say of them."""
    header = {k.decode("utf-8", "replace"): v.decode("utf-8", "replace") for k, v in _of_schema(metadata)}
    table.meta = {k: _meta_value(k, v) for k, v in header.items()}
    for columns, cards in (_of_astropy(metadata.get(_YAML)), _of_votable(metadata.get(_CONTENT))):
        taken = {k.upper() for k in table.meta}
        table.meta |= {k: v for k, v in cards.items() if k.upper() not in taken}
        for name in table.colnames:
            _complete(table[name], columns.get(name, {}))
    return table


def _of_schema(metadata: Mapping[bytes, bytes]) -> Iterable[tuple[bytes, bytes]]:
    return ((k, v) for k, v in metadata.items() if not k.startswith(_OF_PROGRAMS))


def _complete(column: apt.Column, told: Mapping[str, str]) -> None:
    """Give a column the unit, description, UCD and system of coordinates that it does not have yet."""
    column.unit = column.unit or parsed_unit(told.get("unit"))
    column.description = column.description or told.get("description") or None
    if told.get("ucd"):
        column.meta.setdefault("ucd", told["ucd"])
    if told.get(SYSTEM):
        column.meta.setdefault(SYSTEM, told[SYSTEM])


def _with_provenance(metadata: Mapping[Any, Any], provenance: Provenance) -> dict[bytes, bytes]:
    """Return metadata with the provenance added."""
    out = {_bytes(k): _bytes(v) for k, v in metadata.items()}
    taken = {k.decode("utf-8", "replace").upper() for k in out}
    for keyword, value, _ in provenance.cards:
        free = free_keyword(keyword, taken)
        taken.add(free)
        out[free.encode()] = value.encode()
    if provenance.history:
        before = out.get(b"HISTORY", b"")
        out[b"HISTORY"] = b"\n".join([*([before] if before else []), *(h.encode() for h in provenance.history)])
    return out


def _meta_text(key: Any, value: Any) -> str:
    """Return a piece of meta as text: lines of history or comments as lines, else JSON."""
    if str(key).upper() in _LINES and isinstance(value, list):
        return "\n".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _meta_value(key: str, text: str) -> Any:
    return text.split("\n") if key.upper() in _LINES else text


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _of_votable(text: bytes | None) -> tuple[dict[str, dict[str, str]], dict[str, Any]]:
    """Return what a VOTable says about columns, by name, and its INFO and PARAM elements."""
    return ({}, {}) if text is None else described_document(text)


def _of_astropy(text: bytes | None) -> tuple[dict[str, dict[str, str]], dict[str, Any]]:
    """Return what astropy noted about the columns, by name, and its header."""
    if text is None:
        return {}, {}
    try:
        header = _header(text)
        told = {str(c["name"]): _texts(c | {"ucd": (c.get("meta") or {}).get("ucd", "")}) for c in header["datatype"]}
        meta = header.get("meta") or {}
        return _with_systems(told, meta), {str(k): v for k, v in meta.items() if _is_card(v)}
    except _NO_YAML:
        return {}, {}


def _with_systems(told: dict[str, dict[str, str]], meta: Mapping[Any, Any]) -> dict[str, dict[str, str]]:
    """Add in which frame the parts of SkyCoord columns are, where that is not ICRS or as good."""
    parts = meta.get("__serialized_columns__")
    for stem, said in (parts if isinstance(parts, Mapping) else {}).items():
        frame = said.get("frame") if isinstance(said, Mapping) else None
        system = other_system(frame, "") if isinstance(frame, str) else ""
        told |= {n: t | {SYSTEM: system} for n, t in told.items() if system and n.rpartition(".")[0] == str(stem)}
    return told


def _is_card(value: Any) -> bool:
    """Say whether a header may hold this: text, a number, or a list of them; YAML may hold anything."""
    return all(isinstance(each, str | int | float) for each in (value if isinstance(value, list) else [value]))


def _header(text: bytes) -> Any:
    lines = text.decode().split("\n")
    check_yaml(lines)
    return apt_meta.get_header_from_yaml(lines)


def _texts(told: dict[str, Any]) -> dict[str, str]:
    return {k: v for k, v in told.items() if isinstance(v, str)}


def _for_astropy(told: Sequence[dict[str, Any]], header: Mapping[Any, Any]) -> dict[bytes, bytes]:
    """Return what astropy's reader of Parquet wants to know of a new file."""
    cards = {str(k): v if _is_card(v) else json.dumps(v, default=str) for k, v in header.items()}
    lines = ["datatype:", *map(_column_line, told), *(["meta: !!omap"] if cards else []), *_card_lines(cards)]
    return _widths(told) | {_YAML: "\n".join(lines).encode()}


def _told_astropy(text: bytes, columns: Sequence[Column], provenance: Provenance) -> dict[bytes, bytes]:
    """Return the same of a file that gets more columns: lines are put in, all else stays as it is."""
    try:
        cards = _header(text).get("meta") or {}
    except _NO_YAML:
        return {_YAML: text}
    told = [_told_of(column_of(column)) for column in columns]
    lines = text.decode().split("\n")
    _insert(lines, "datatype:", [_column_line(each) for each in told])
    _insert(lines, "meta: !!omap", _card_lines(_new_cards({str(k).upper() for k in cards}, provenance)))
    return _widths(told) | {_YAML: "\n".join(lines).encode()}


def _insert(lines: list[str], key: str, more: Sequence[str]) -> None:
    """Put lines at the end of a block of YAML; one that there is none of is begun."""
    if key not in lines and more:
        lines[:] = [*(line for line in lines if line), key]
    begin = lines.index(key) + 1 if key in lines else len(lines)
    end = next((i for i in range(begin, len(lines)) if not lines[i].startswith(("-", " "))), len(lines))
    lines[end:end] = more


def _new_cards(taken: set[str], provenance: Provenance) -> dict[str, Any]:
    cards: dict[str, Any] = {}
    for keyword, value, _ in provenance.cards:
        cards[free_keyword(keyword, taken | set(cards))] = value
    return cards | ({} if "HISTORY" in taken or not provenance.history else {"HISTORY": list(provenance.history)})


def _told_of(column: apt.Column) -> dict[str, Any]:
    """Return what astropy's YAML says of a column, and how wide its text is."""
    is_text = column.dtype.kind in "UO" or column.ndim > 1
    told = {"name": column.name, "datatype": "string" if is_text else column.dtype.newbyteorder("=").name}
    told |= {"width": max(1, column.dtype.itemsize // 4)} if column.dtype.kind == "U" and column.ndim == 1 else {}
    said = {"unit": unit_text(column), "description": column.description, "ucd": ucd_of(column)}
    return told | {k: v for k, v in said.items() if v}


def _column_line(told: Mapping[str, Any]) -> str:
    said = {k: v for k, v in told.items() if k not in ("width", "ucd")}
    return f"- {json.dumps(said | ({'meta': {'ucd': told['ucd']}} if 'ucd' in told else {}))}"


def _card_lines(cards: Mapping[str, Any]) -> list[str]:
    return [f"- {json.dumps({key: value})}" for key, value in cards.items()]


def _widths(told: Iterable[Mapping[str, Any]]) -> dict[bytes, bytes]:
    """Return the widths of columns of text, which astropy would otherwise look for, with a warning."""
    return {f"table::len::{each['name']}".encode(): str(each["width"]).encode() for each in told if "width" in each}
