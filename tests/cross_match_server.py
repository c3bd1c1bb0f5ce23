"""CrossMatchServer: the cross-match service of the CDS on this machine: it joins what is uploaded to a small 2MASS."""

from __future__ import annotations

import csv
import io
import re
import warnings
from email import message_from_bytes

import numpy as np
from astropy.io.votable import from_table
from astropy.io.votable.tree import Info
from astropy.table import Table
from loopback import Loopback, Request

from galmorph.sky.matching.pairs import Reach, pairs_within
from galmorph.sky.matching.separations import SkyPositions

__all__ = ["PATH", "TABLES", "form_of", "serve", "two_mass"]

PATH = "/xmatch/api/v1/sync"
TABLES = "I/355/gaiadr3\nII/246/out\nIX/10/1rxs\nJ/ApJ/1/table1\nJ/ApJ/1/table2\n"


def two_mass() -> Table:
    """Return sources with units, descriptions and UCDs as VizieR has them; two rows of one position."""
    table = Table({"RAJ2000": [10.0, 10.0, 20.0, 30.0], "DEJ2000": [0.0001, 0.0002, 5.0, -5.0]})
    table["2MASS"] = ["00400000+0000003", "00400000+0000007", "01200000+0500000", "02000000-0500000"]
    table["Kmag"] = np.ma.array([14.1, 15.2, 13.3, 12.4], mask=[False, True, False, False], dtype="f4")
    for name, unit, ucd in (("RAJ2000", "deg", "pos.eq.ra;meta.main"), ("DEJ2000", "deg", "pos.eq.dec;meta.main")):
        table[name].unit, table[name].meta["ucd"] = unit, ucd
    table["Kmag"].unit, table["Kmag"].description, table["Kmag"].meta["ucd"] = "mag", "K band", "phot.mag;em.IR.K"
    return table


def form_of(request: Request) -> dict[str, str]:
    """Return the fields of a request, files as their text."""
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    parts = message_from_bytes(head + request.body).get_payload()
    names = [re.search(r'name="(\w+)"', part["Content-Disposition"])[1] for part in parts]
    return {name: part.get_payload(decode=True).decode() for name, part in zip(names, parts, strict=True)}


def serve(loopback: Loopback, *, overflow: bool = False) -> None:
    """Answer as the service does."""

    def answer(request: Request) -> bytes:
        form = form_of(request)
        rows = list(csv.DictReader(io.StringIO(form["cat1"])))
        uploaded = [np.array([float(row[form[key]]) for row in rows]) for key in ("colRA1", "colDec1")]
        other = two_mass()
        positions = SkyPositions(np.asarray(other["RAJ2000"]), np.asarray(other["DEJ2000"]))
        pairs = pairs_within(SkyPositions(*uploaded), positions, Reach(float(form["distMaxArcsec"])))
        joined = Table({"angDist": pairs.separation_arcsec})
        for name in rows[0]:
            joined[name] = [int(rows[i][name]) if name == "gm_row" else float(rows[i][name]) for i in pairs.first]
        if not len(pairs):
            joined["gm_row"] = joined["gm_row"].astype("i8")
        for name in other.colnames:
            joined[name] = other[name][pairs.second]
        return document(joined, overflow=overflow)

    loopback.files[PATH] = answer
    loopback.files[f"{PATH}/tables"] = TABLES.encode()


def document(table: Table, *, overflow: bool = False) -> bytes:
    """Return a VOTable with UCDs, as the service sends it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of 2MASS, whose name is no identifier
        votable = from_table(table)
    votable.resources[0].infos.append(Info(name="QUERY_STATUS", value="OVERFLOW" if overflow else "OK"))
    for field in votable.get_first_table().fields:
        field.ucd = table[field.name].meta.get("ucd")
    out = io.BytesIO()
    votable.to_xml(out)
    return out.getvalue()
