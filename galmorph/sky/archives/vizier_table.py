"""VizierTable: a table of VizieR (CDS), asked for by its name in place of a catalogue's file.

Where a catalogue is named, so may one be there: its name, then perhaps parameters as VizieR itself has them::

    vizier:J/ApJS/221/11/table2
    vizier:J/ApJS/221/11/table2?-out=ID,Hmag&Hmag=<24.5

``-out`` lists columns (without it all come), ``-c``, ``-c.rm`` and their like a place, any other name constrains a
column. Positions in degrees, which VizieR computes, are always added. The project's own client asks: astroquery's would
follow neither its cache nor its manners, and takes some refusals for empty tables (astroquery#3626).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import parse_qsl, urlencode
from xml.parsers.expat import ParserCreate

from galmorph.errors import ArchiveError, CatalogError, unknown_name
from galmorph.limits import LIMITS
from galmorph.sky.boundary import boundary
from galmorph.sky.remote import Cache, Client, default_cache, fetch

__all__ = ["SERVICE", "VARIABLE", "VizierTable", "is_of_vizier"]

VARIABLE = "GALMORPH_VIZIER"
"""Names another address in the environment, such as that of a mirror."""
SERVICE = "https://vizier.cds.unistra.fr/viz-bin/votable"
_PREFIX = "vizier:"
_NAME = re.compile(r"[\w+&.-]+(?:/[\w+&.-]+)+")
_PLACES = ("-c", "-c.eq", "-c.u", "-c.r", "-c.rd", "-c.rm", "-c.rs", "-c.b", "-c.bd", "-c.bm", "-c.bs")
_POSITION = ("_RAJ2000", "_DEJ2000")


def is_of_vizier(catalog: object) -> bool:
    """Tell whether what stands for a catalogue is a table of VizieR.

    Examples
    --------
    >>> is_of_vizier("vizier:II/246/out"), is_of_vizier("vizier.fits")
    (True, False)
    """
    return isinstance(catalog, str) and catalog.startswith(_PREFIX)


@dataclass(frozen=True)
class VizierTable:
    """What is asked for.

    Parameters
    ----------
    name
        Of the table, or of a catalogue of one table: ``J/ApJS/221/11/table2``.
    columns
        Their names; none for all.
    constraints
        Names of columns, or of parameters of a place, and what VizieR makes of them: ``("Hmag", "<24.5")``.
    """

    name: str
    columns: tuple[str, ...] = ()
    constraints: tuple[tuple[str, str], ...] = ()

    @classmethod
    def read(cls, text: str) -> VizierTable:
        """Read what users write.

        Raises
        ------
        CatalogError
            If it cannot be read.

        Examples
        --------
        >>> VizierTable.read("vizier:II/246/out?-out=2MASS,Kmag&Kmag=<9")
        VizierTable(name='II/246/out', columns=('2MASS', 'Kmag'), constraints=(('Kmag', '<9'),))
        """
        name, _, query = text.removeprefix(_PREFIX).partition("?")
        if not _NAME.fullmatch(name):
            raise CatalogError(
                f"'{text}' names no table of VizieR: expected vizier:II/246/out, perhaps with ?-out=Kmag&Kmag=<9; "
                "correct it"
            )
        pairs = parse_qsl(query, keep_blank_values=True)
        for key, value in pairs:
            if key.startswith("-") and key != "-out" and key not in _PLACES:
                raise CatalogError(f"'{text}': {unknown_name('parameter of VizieR', key, ('-out', *_PLACES))}")
            if not value:
                raise CatalogError(f"'{text}': nothing is said of '{key}', expected {key}=VALUE; correct it")
        listed = [name.strip() for key, value in pairs if key == "-out" for name in value.split(",")]
        return cls(name, tuple(dict.fromkeys(listed)), tuple(pair for pair in pairs if pair[0] != "-out"))

    @property
    def url(self) -> str:
        """The address of the answer; a row more than is allowed is asked for, by which one that is cut is known."""
        added = dict.fromkeys([*_POSITION, *(name for name in self.columns if name.startswith("_"))])
        columns = [name for name in self.columns if not name.startswith("_")]
        asked = [("-source", self.name), ("-out.max", str(LIMITS["vizier_rows"].number + 1)), ("-oc.form", "d")]
        asked += [("-out.meta", "huUD"), ("-out.add", ",".join(added)), *self.constraints]
        asked += [("-out", ",".join(columns))] if columns else []
        everything = "" if self.columns else "&-out.all"
        return f"{os.environ.get(VARIABLE) or SERVICE}?{urlencode(asked)}{everything}"

    def fetched(self, client: Client | None = None, cache: Cache | None = None) -> Path:
        """Return the file of the answer, a VOTable with one table that has rows.

        Parameters
        ----------
        client, cache
            Who asks, and where answers are kept; by default a polite one and the user's cache.

        Raises
        ------
        ArchiveError
            If there is no answer, or it is an error, cut, or not what was asked for.
        """
        check = partial(self._check, self.url)
        return fetch(self.url, client or Client(), cache or default_cache(), check=check, is_question=True)

    def _check(self, url: str, path: Path) -> None:
        with boundary(lambda reason: ArchiveError(f"{url} is no whole VOTable ({reason}): try again later")):
            answer = _Document.read(path)
        if answer.root != "VOTABLE":
            raise ArchiveError(f"{url} is no VOTable (it is of kind '{answer.root}'): try again later")
        if answer.error:
            raise ArchiveError(f"{url} answered '{answer.error}': expected table {self.name}; correct it, or try later")
        if answer.is_cut or answer.most_rows > LIMITS["vizier_rows"].number:
            raise ArchiveError(
                f"{url} has more rows than are taken: expected at most {LIMITS['vizier_rows']}; ask for fewer, as with "
                "?Kmag=<9"
            )
        if len(answer.filled) != 1:
            raise ArchiveError(f"{url} {self._not_one(answer)}")
        if missing := [name for name in self.columns if name not in answer.fields]:
            raise ArchiveError(f"table {self.name}: {unknown_name('column', missing[0], answer.fields)}")

    def _not_one(self, answer: _Document) -> str:
        if answer.filled:
            return f"has several tables: expected one; name one of vizier:{', vizier:'.join(answer.filled)}"
        told = f" ({answer.warning})" if answer.warning else ""
        return f"has no row{told}: expected some of table {self.name}; look at its name and what it is constrained by"


@dataclass
class _Document:
    """What is looked at of a document.

    Parameters
    ----------
    root
        Name of the element that holds all others.
    error, warning
        What the service says; '' for nothing.
    is_cut
        Whether it says that there are more rows.
    filled
        Names of the tables that have rows.
    fields
        Names of the columns.
    most_rows
        Of any table.
    """

    root: str = ""
    error: str = ""
    warning: str = ""
    is_cut: bool = False
    filled: list[str] = field(default_factory=list)
    fields: list[str] = field(default_factory=list)
    most_rows: int = 0
    _table: str = ""
    _rows: int = 0
    _info: tuple[str, str] = ("", "")
    _text: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> _Document:
        """Read it from its first byte to its last, which must be there."""
        answer, parser = cls(), ParserCreate()
        parser.StartElementHandler, parser.EndElementHandler = answer._begin, answer._end
        parser.CharacterDataHandler = answer._text.append
        with path.open("rb") as stream:
            parser.ParseFile(stream)
        return answer

    def _begin(self, name: str, attributes: dict[str, str]) -> None:
        self._text.clear()
        local, title = name.rpartition(":")[2], attributes.get("name", "")
        self.root = self.root or local
        self._rows += local == "TR"
        if local == "TABLE":
            self._table, self._rows = title or attributes.get("ID", ""), 0
        elif local == "FIELD":
            self.fields.append(title)
        elif local == "INFO":
            self._info = title, attributes.get("value", "")

    def _end(self, name: str) -> None:
        local = name.rpartition(":")[2]
        if local == "TABLE" and self._rows:
            self.filled.append(self._table)
            self.most_rows = max(self.most_rows, self._rows)
        elif local == "INFO":
            self._note(*self._info, " ".join("".join(self._text).split()))
        self._text.clear()

    def _note(self, name: str, value: str, text: str) -> None:
        """Take note of what the service says, in the ways that it has for that."""
        if (name, value) == ("QUERY_STATUS", "ERROR") or name.lower().startswith("error"):
            self.error = self.error or text or value
        elif (name, value) == ("QUERY_STATUS", "OVERFLOW") or "truncated" in value.lower():
            self.is_cut = True
        elif name == "Warning":
            self.warning = self.warning or text or value
