"""XMatch: what is sent, one request after the other; what comes back; and what goes wrong with it."""

from __future__ import annotations

from collections.abc import Iterator

import cross_match_server as server
import numpy as np
import pytest
from astropy.table import Table
from loopback import Fault, Loopback, keeping_rate, serving

from galmorph import match
from galmorph.errors import ArchiveError, CatalogError
from galmorph.sky.archives import vizier_table, xmatch
from galmorph.sky.archives.xmatch import rows_near
from galmorph.sky.catalog import read_catalog
from galmorph.sky.matching.separations import SkyPositions
from galmorph.sky.remote import Cache, Client, Manners

QUICK = Manners(requests_per_s=1000, connections=1, timeout_s=1.0, attempts=3, longest_wait_s=0.05, rest_s=0.0)
MINE = SkyPositions(np.array([10.0, 20.0, np.nan, 50.0]), np.array([0.0, 5.0, 1.0, 60.0]))


@pytest.fixture
def cds(monkeypatch, tmp_path) -> Iterator[Loopback]:
    with serving() as loopback:
        server.serve(loopback)
        monkeypatch.setattr(xmatch, "SERVICE", loopback.base + server.PATH)
        monkeypatch.setattr(xmatch, "_MANNERS", QUICK)
        monkeypatch.setenv("GALMORPH_CACHE", str(tmp_path / "cache"))
        yield loopback


def uploads(cds: Loopback) -> list[dict[str, str]]:
    return [server.form_of(request) for request in cds.asked(server.PATH)]


def mine() -> Table:
    table = Table({"name": ["a", "b", "c", "d"], "secret": [1.0, 2.0, 3.0, 4.0]})
    table["ra"], table["dec"] = MINE.ra_deg, MINE.dec_deg
    return table


def test_only_numbers_and_positions_are_sent(cds):
    rows_near("vizier:II/246", MINE, 1.0)
    (form,) = uploads(cds)
    assert form["cat1"].splitlines() == ["gm_row,gm_ra,gm_dec", "0,10.0,0.0", "1,20.0,5.0", "3,50.0,60.0"]
    asked = {name: form[name] for name in ("request", "distMaxArcsec", "cat2", "colRA1", "colDec1", "RESPONSEFORMAT")}
    assert asked == {
        "request": "xmatch", "distMaxArcsec": "1.0", "cat2": "vizier:II/246/out", "colRA1": "gm_ra",
        "colDec1": "gm_dec", "RESPONSEFORMAT": "votable",
    }  # fmt: skip
    assert "galmorph" in cds.requests[0].headers["user-agent"]


@pytest.mark.usefixtures("cds")
def test_its_rows_come_back_each_once_with_all_that_is_said_of_them():
    twice = SkyPositions(np.array([10.0, 10.0, 20.0]), np.array([0.0, 0.0001, 5.0]))
    table = rows_near("vizier:II/246/out", twice, 1.0)
    assert table["2MASS"].tolist() == ["00400000+0000003", "00400000+0000007", "01200000+0500000"]
    assert (str(table["Kmag"].unit), table["Kmag"].description) == ("mag", "K band")
    assert table["RAJ2000"].meta["ucd"] == "pos.eq.ra;meta.main"


def test_many_positions_are_sent_in_series_and_give_the_same(cds, monkeypatch, tmp_path):
    whole = rows_near("vizier:II/246", MINE, 1.0)
    cds.requests.clear()
    monkeypatch.setattr(xmatch, "_AT_ONCE", 1)
    monkeypatch.setenv("GALMORPH_CACHE", str(tmp_path / "another"))
    parts = rows_near("vizier:II/246", MINE, 1.0)
    assert len(uploads(cds)) == 3
    assert parts["2MASS"].tolist() == whole["2MASS"].tolist()


def test_requests_wait_for_one_another_and_keep_the_rate(cds, monkeypatch):
    manners = Manners(requests_per_s=5.0, connections=1, timeout_s=5.0)
    monkeypatch.setattr(xmatch, "_AT_ONCE", 1)
    monkeypatch.setattr(xmatch, "_MANNERS", manners)
    with keeping_rate(cds, 5):
        rows_near("simbad", MINE, 1.0)
    assert len(cds.requests) > 2


def test_an_answer_is_kept_and_not_asked_for_again(cds):
    first = rows_near("vizier:II/246", MINE, 1.0)
    cds.requests.clear()
    assert rows_near("vizier:II/246", MINE, 1.0)["2MASS"].tolist() == first["2MASS"].tolist()
    offline = Client(QUICK, offline=True)
    assert len(rows_near("vizier:II/246", MINE, 1.0, client=offline)) == len(first)
    assert cds.requests == []


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=503),
        Fault(status=429, headers={"Retry-After": "0"}),
        Fault(body=b"<html><body>Down for maintenance</body></html>"),
        Fault(cut_at=700),
        Fault(body=server.document(Table({"angDist": [0.1], "other": [1]}))),
        Fault(body=server.document(Table({"angDist": [0.1], "gm_row": [2], "gm_ra": [1.0], "gm_dec": [1.0]}))),
    ],
    ids=["503", "429", "a page", "cut short", "another table", "rows that were not sent"],
)
def test_a_fault_that_passes_costs_nothing(cds, fault):
    cds.faults[server.PATH] = [fault]
    assert len(rows_near("vizier:II/246", MINE, 1.0)) == 3
    assert len(uploads(cds)) == 2


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault(status=503), "does not answer"),
        (Fault(status=403), "was refused"),
        (Fault(body=b"<html><body>Down for maintenance</body></html>"), "answered no table"),
        (Fault(body=server.document(Table({"angDist": [0.1]}))), "without gm_row"),
        (Fault(status=307, headers={"Location": "http://127.0.0.1:1/elsewhere"}), "sent to no other"),
    ],
    ids=["503", "403", "a page", "another table", "another address"],
)
def test_a_fault_that_stays_is_one_line_and_nothing_is_kept(cds, fault, reason):
    cds.faults[server.PATH] = [fault] * 10
    with pytest.raises(ArchiveError, match=reason):
        rows_near("vizier:II/246", MINE, 1.0)
    cds.faults.clear()
    assert len(rows_near("vizier:II/246", MINE, 1.0)) == 3


def test_silence_is_given_up(cds, tmp_path):
    cds.faults[server.PATH] = [Fault(drip_s=0.7)] * 10
    impatient = Client(Manners(requests_per_s=1000, timeout_s=0.3, attempts=2, longest_wait_s=0.05, rest_s=0.0))
    with pytest.raises(ArchiveError):
        rows_near("simbad", MINE, 1.0, client=impatient, cache=Cache(tmp_path / "cache"))


def test_an_answer_that_leaves_rows_out_is_refused(cds):
    server.serve(cds, overflow=True)
    with pytest.raises(ArchiveError, match="left rows out"):
        rows_near("simbad", MINE, 1.0)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("vizier:J/ApJ/1", "several tables: J/ApJ/1/table1, J/ApJ/1/table2"),
        ("vizier:II/245", "unknown table of VizieR .*did you mean 'II/246/out'"),
    ],
)
def test_a_name_of_no_table_is_said_with_those_there_are(cds, name, reason):
    with pytest.raises(ArchiveError, match=reason):
        rows_near(name, MINE, 1.0)
    assert uploads(cds) == []


def test_a_radius_beyond_that_of_the_service_and_a_table_without_positions_are_refused(cds):
    with pytest.raises(CatalogError, match="at most 180 arcsec"):
        rows_near("simbad", MINE, 181.0)
    with pytest.raises(CatalogError, match="no row has a position"):
        rows_near("simbad", MINE[np.array([2])], 1.0)
    assert cds.requests == []


def test_a_catalogue_is_matched_with_a_remote_one_as_with_a_file(cds, tmp_path):
    table = match(mine(), "vizier:II/246", radius="1arcsec", find="all", join="all1", output=tmp_path / "out.fits")
    local = match(mine(), server.two_mass(), radius="1arcsec", find="all", join="all1")
    assert table["name"].tolist() == local["name"].tolist() == ["a", "a", "b", "c", "d"]
    assert table["2MASS"].tolist() == local["2MASS"].tolist()
    assert np.allclose(table["Separation"], local["Separation"], equal_nan=True)
    assert all("secret" not in form["cat1"] for form in uploads(cds))
    history = " ".join(read_catalog(tmp_path / "out.fits", ra="ra", dec="dec").table.meta["HISTORY"])
    assert "catalog 2: vizier:II/246/out" in history


@pytest.mark.parametrize(
    "asked", [{"join": "1or2"}, {"probability": True}, {"motion": ["-", "pmRA,pmDE"], "epoch": ["2000", "2016"]}]
)
def test_what_needs_the_whole_catalogue_asks_vizier_for_it(cds, monkeypatch, asked):
    monkeypatch.setenv(vizier_table.VARIABLE, f"{cds.base}/votable")
    with pytest.raises(ArchiveError, match="/votable"):
        match(mine(), "vizier:II/246/out", radius="1arcsec", **asked)
    assert uploads(cds) == []
    with pytest.raises(CatalogError, match="'simbad' cannot be had as a whole"):
        match(mine(), "simbad", radius="1arcsec", **asked)
