"""Tables of VizieR: what is asked for, what comes, and one line for everything else."""

from __future__ import annotations

import numpy as np
import pytest
import small_sky
from astropy.table import Table
from loopback import Fault, Loopback, serving
from vizier_server import PATH, VizierServer, document

import galmorph
from galmorph.errors import ArchiveError, CatalogError
from galmorph.limits import VARIABLE as LIMITS
from galmorph.sky.archives import vizier_table
from galmorph.sky.archives.vizier_table import VizierTable
from galmorph.sky.catalog_input import CatalogInput
from galmorph.sky.remote import Cache, Client, Manners

QUICK = Manners(requests_per_s=1000, timeout_s=0.5, attempts=3, longest_wait_s=0.05)
NAME = "J/ApJS/1/1/table2"
ROWS = 6


def ticks() -> Table:
    table = Table({"_RAJ2000": 53.0 + np.arange(ROWS) / 1000, "_DEJ2000": np.full(ROWS, -27.8)})
    table["ID"] = [f"deep2_{n}" for n in range(ROWS)]
    table["Hmag"] = 22.0 + np.arange(ROWS)
    table["B-V"] = np.arange(ROWS)
    return table


@pytest.fixture
def vizier(tmp_path, monkeypatch):
    with serving() as loopback:
        server = VizierServer({NAME: ticks(), "J/ApJS/1/1/table3": ticks()[:2], "V/1/one": ticks()})
        loopback.files[PATH] = server.answer
        monkeypatch.setenv(vizier_table.VARIABLE, f"{loopback.base}{PATH}")
        monkeypatch.setenv("GALMORPH_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(vizier_table, "Client", lambda: Client(QUICK))
        monkeypatch.setattr("galmorph.sky.catalog_input.Client", lambda offline: Client(QUICK, offline=offline))
        yield loopback


def test_a_table_is_a_catalogue_wherever_a_file_is(vizier: Loopback, tmp_path):
    catalog = CatalogInput(f"vizier:{NAME}").open()
    assert (len(catalog), catalog.ra_column, catalog.id_column) == (ROWS, "_RAJ2000", "ID")
    assert catalog.title == f"vizier:{NAME}"
    np.testing.assert_allclose(catalog.ra_deg, ticks()["_RAJ2000"])
    assert catalog.origin.startswith(f"vizier:{NAME} sha256 ")
    matched = galmorph.match(f"vizier:{NAME}", ticks()[:3], radius="1arcsec", output=tmp_path / "both.fits")
    assert len(matched) == 3
    assert len(vizier.requests) == 1
    assert "-out.all" in vizier.requests[0].path


def test_columns_and_constraints_are_asked_for(vizier: Loopback):
    catalog = CatalogInput(f"vizier:{NAME}?-out=ID,B-V&Hmag=<24.5&ID=*_1").open()
    assert catalog.table.colnames == ["_RAJ2000", "_DEJ2000", "ID", "B-V"]
    assert catalog.ids.tolist() == ["deep2_1"]
    assert "galmorph/" in vizier.requests[0].headers["user-agent"]


def test_an_answer_is_kept_and_serves_without_a_network(vizier: Loopback):
    asked = CatalogInput(f"vizier:{NAME}")
    with pytest.raises(ArchiveError, match="is not in the cache"):
        asked.open(offline=True)
    online = asked.open()
    assert len(vizier.requests) == 1
    assert asked.open(offline=True).table.colnames == online.table.colnames
    assert len(vizier.requests) == 1


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=429, headers={"Retry-After": "0"}),
        Fault(status=503),
        Fault(cut_at=700),
        Fault(body=b"<html><body>VizieR is being repaired</body></html>"),
        Fault(body=b"sorry"),
        Fault(body=document("")[:-20]),
        Fault(body=document('<INFO name="QUERY_STATUS" value="ERROR">\n --POSTGRES MSG db=2\n</INFO>')),
    ],
    ids=["429", "503", "cut", "html", "text", "truncated", "error"],
)
def test_what_passes_is_asked_again(vizier: Loopback, fault: Fault):
    vizier.faults[PATH] = [fault]
    assert len(CatalogInput(f"vizier:{NAME}").open()) == ROWS


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(status=503), "does not answer"),
        (Fault(status=404), r"was refused \(404"),
        (Fault(status=302, headers={"Location": "ftp://elsewhere/table"}), "expected http or https"),
        (Fault(body=b"<html><body>sorry<br></body></html>"), "is no whole VOTable"),
        (Fault(body=b"<html><body>sorry</body></html>"), "is no VOTable"),
        (Fault(body=document("")[:-20]), "is no whole VOTable"),
        (Fault(body=document('<INFO name="QUERY_STATUS" value="ERROR">MSG\n db=2</INFO>')), "answered 'MSG db=2'"),
        (Fault(body=document('<INFO ID="Errors" name="Error" value="no such table"/>')), "answered 'no such table'"),
        (Fault(body=document('<INFO name="QUERY_STATUS" value="OVERFLOW"/>')), "has more rows than are taken"),
    ],
    ids=["503", "404", "ftp", "html", "page", "truncated", "status", "error", "overflow"],
)
def test_other_answers_are_one_line_and_not_kept(vizier: Loopback, tmp_path, fault: Fault, words: str):
    vizier.faults[PATH] = [fault] * 4
    with pytest.raises(ArchiveError, match=words) as caught:
        CatalogInput(f"vizier:{NAME}").open()
    assert "\n" not in str(caught.value)
    assert Cache(tmp_path / "cache").entries() == []


def test_more_rows_than_are_taken_are_refused_wherever_they_are_cut(vizier: Loopback, monkeypatch):
    monkeypatch.setenv(LIMITS, f"vizier_rows={ROWS}")
    assert len(CatalogInput(f"vizier:{NAME}").open()) == ROWS
    monkeypatch.setenv(LIMITS, f"vizier_rows={ROWS - 1}")
    with pytest.raises(ArchiveError, match=rf"expected at most {ROWS - 1} \(--limit vizier_rows=N"):
        CatalogInput(f"vizier:{NAME}").open()
    vizier.files[PATH] = VizierServer({NAME: ticks()}, most_rows=2).answer
    with pytest.raises(ArchiveError, match="has more rows than are taken"):
        CatalogInput(f"vizier:{NAME}?Hmag=<30").open()


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("J/ApJS/9/9", "has no row .No catalogue, or no row, was found.: expected some of table J/ApJS/9/9"),
        (f"{NAME}?Hmag=<1", "has no row"),
        ("J/ApJS/1/1", f"has several tables: expected one; name one of vizier:{NAME}, vizier:J/ApJS/1/1/table3"),
        (f"{NAME}?-out=ID,Kmag", f"table {NAME}: unknown column 'Kmag'"),
    ],
)
@pytest.mark.usefixtures("vizier")
def test_what_is_not_there_is_said(asked: str, words: str):
    with pytest.raises(ArchiveError, match=words):
        CatalogInput(f"vizier:{asked}").open()


@pytest.mark.usefixtures("vizier")
def test_a_catalogue_of_one_table_will_do():
    assert len(CatalogInput("vizier:V/1").open()) == ROWS


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("vizier:", "names no table of VizieR"),
        ("vizier:gaia", "names no table of VizieR"),
        ("vizier:II/246/out?-out.max=5", "parameter of VizieR '-out.max'"),
        ("vizier:II/246/out?Kmag", "nothing is said of 'Kmag'"),
        ("vizier:II/246/out?-out=", "nothing is said of '-out'"),
    ],
)
def test_what_names_no_table_is_refused_before_it_is_asked_for(text: str, words: str):
    with pytest.raises(CatalogError, match=words):
        VizierTable.read(text)


def test_a_result_is_written_in_every_format(vizier: Loopback, tmp_path):
    sky = small_sky.write_sky(tmp_path / "sky")
    table = small_sky.table()
    server = VizierServer({NAME: Table({"_RAJ2000": table["ra"].value, "_DEJ2000": table["dec"].value})})
    vizier.files[PATH] = server.answer
    for ending in ("vot", "fits"):
        out = tmp_path / f"out.{ending}"
        galmorph.measure(f"vizier:{NAME}", sky.image, weight=sky.weight, survey="candels", band="H", output=out)
        written = Table.read(out, format="votable" if ending == "vot" else None)
        assert (len(written), "gm_rpet" in written.colnames) == (len(table), True)
