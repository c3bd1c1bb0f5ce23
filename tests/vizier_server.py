"""VizierServer: what VizieR answers, with the words and the faults of its documents.

The layout is that of answers kept in the tests of astroquery and quoted in its issues (#1691, #2481, #3626).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from urllib.parse import parse_qs, urlsplit

import numpy as np
from astropy.table import Table
from loopback import Request

__all__ = ["PATH", "VizierServer", "document"]

PATH = "/viz-bin/votable"
_DATATYPES = {"f": "double", "i": "int", "U": "char"}


@dataclass
class VizierServer:
    """Tables by name; columns ``_RAJ2000`` and ``_DEJ2000`` are what VizieR computes.

    Parameters
    ----------
    tables
        What it has.
    most_rows
        That it ever sends.
    """

    tables: Mapping[str, Table]
    most_rows: int = 10**9
    asked: list[dict[str, list[str]]] = field(default_factory=list)

    def answer(self, request: Request) -> bytes:
        """Answer as viz-bin/votable does."""
        asked = parse_qs(urlsplit(request.path).query, keep_blank_values=True)
        self.asked.append(asked)
        (source,) = asked["-source"]
        parts = [
            self._resource(name, table, asked)
            for name, table in self.tables.items()
            if name == source or name.startswith(f"{source}/")
        ]
        if not any(parts):
            return document('<INFO name="Warning" value="No catalogue, or no row, was found"/>')
        return document("\n".join(parts))

    def _resource(self, name: str, table: Table, asked: Mapping[str, list[str]]) -> str:
        listed = asked["-out"][0].split(",") if "-out" in asked else table.colnames
        added = asked.get("-out.add", [""])[0].split(",")
        columns = list(dict.fromkeys(c for c in (*added, *listed) if c in table.colnames))
        warnings = "".join(
            f"<INFO name=\"Warning\" value=\"Column '{c}' unknown in '{name}'\"/>\n"
            for c in listed
            if c not in table.colnames
        )
        rows = table[self._chosen(table, asked)]
        most = min(int(asked["-out.max"][0]), self.most_rows)
        cut = f'<INFO name="Warning" value="truncated result (maxtup={most})"/>' if len(rows) > most else ""
        if not len(rows):
            return ""
        fields = "\n".join(_field(c, rows[c]) for c in columns)
        body = "\n".join(f"<TR>{''.join(_cell(row[c]) for c in columns)}</TR>" for row in rows[:most])
        return (
            f'<RESOURCE name="{name.rpartition("/")[0]}">\n'
            '<COOSYS ID="J2000" system="eq_FK5" equinox="J2000"/>\n'
            f'<TABLE name="{name}">\n{fields}\n<DATA><TABLEDATA>\n{body}\n</TABLEDATA></DATA>\n'
            f"{warnings}{cut}</TABLE>\n</RESOURCE>"
        )

    @staticmethod
    def _chosen(table: Table, asked: Mapping[str, list[str]]) -> np.ndarray:
        chosen = np.ones(len(table), bool)
        for name in set(asked) & set(table.colnames):
            sign, value = re.fullmatch(r"([<>=]?)(.*)", asked[name][0]).groups()
            if value.startswith("*"):
                chosen &= [str(cell).endswith(value[1:]) for cell in table[name]]
            elif sign in ("", "="):
                chosen &= np.array([str(cell) == value for cell in table[name]])
            else:
                chosen &= table[name] < float(value) if sign == "<" else table[name] > float(value)
        return chosen


def document(content: str) -> bytes:
    """Put something into a VOTable as VizieR begins and ends one."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">\n'
        "<DESCRIPTION>VizieR Astronomical Server vizier.cds.unistra.fr</DESCRIPTION>\n"
        '<INFO ID="VERSION" name="votable-version" value="1.99+ (14-Oct-2013)"/>\n'
        f"{content}\n</VOTABLE>\n"
    ).encode()


def _field(name: str, column: object) -> str:
    kind = _DATATYPES[np.asarray(column).dtype.kind]
    size = ' arraysize="*"' if kind == "char" else ""
    ucd = {
        "_RAJ2000": ' ucd="pos.eq.ra" ref="J2000" unit="deg"',
        "_DEJ2000": ' ucd="pos.eq.dec" ref="J2000" unit="deg"',
    }
    return f'<FIELD name="{escape(name)}" datatype="{kind}"{size}{ucd.get(name, "")}/>'


def _cell(value: object) -> str:
    return f"<TD>{'' if value is np.ma.masked else escape(str(value))}</TD>"
