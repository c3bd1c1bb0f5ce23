"""Overlays: regions, coverage, links and messages hold what a result says, and other programs read them."""

from __future__ import annotations

import importlib.util
import re
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from astropy.io import fits
from astropy.io.votable import parse_single_table
from astropy.table import Table
from hypothesis import given
from hypothesis import strategies as st

import galmorph
from galmorph.cli import main
from galmorph.errors import CatalogError, OutputError, SurveyError
from galmorph.sky.healpix import cells_of
from galmorph.sky.overlays.coverage import MOC_ORDER, merged


def result(**columns: object) -> Table:
    """Return four rows: a round disk, a flat one that is flagged, one without a radius, and one that is nowhere."""
    table = Table(
        {
            "id": ["a", "b{}", "c", "d"],
            "ra": [10.0, 10.01, 359.9999, np.nan],
            "dec": [-5.0, -5.02, 89.0, np.nan],
            "gm_class": ["disk", "spheroid", "disk", ""],
            "gm_racen": [10.00001, 10.01, np.nan, np.nan],
            "gm_deccen": [-5.0, -5.02, np.nan, np.nan],
            "gm_rpet": np.array([2.0, 3.0, np.nan, np.nan], np.float32),
            "gm_flags": np.array([0, 512, 0, 1], np.int32),
        },
        units={"gm_rpet": "arcsec"},
        meta={"GMSURVEY": "sdss"},
    )
    for name, values in columns.items():
        table[name] = values
    return table


SHAPES = {"gm_ell": [0.0, 0.75, np.nan, np.nan], "gm_pa": [0.0, 30.0, np.nan, np.nan]}


def test_regions_are_circles_ellipses_and_points_with_their_classes(tmp_path):
    overlays = galmorph.overlay(result(**SHAPES), regions=tmp_path / "out.reg")
    assert overlays.files == {tmp_path / "out.reg": "3 regions"}
    lines = (tmp_path / "out.reg").read_text().splitlines()
    assert lines[0] == "# Region file format: DS9 version 4.1"
    assert lines[3] == "icrs"
    assert lines[4].startswith('circle(10.0000100,-5.0000000,2.000") # color=red text={disk} tag={disk}')
    assert lines[5].startswith('ellipse(10.0100000,-5.0200000,6.000",1.500",120.00) # color=cyan text={spheroid}')
    assert "dash=1" in lines[5]
    assert "tag={id b__}" in lines[5]
    assert lines[6].startswith("point(359.9999000,89.0000000) # color=red")
    assert "point=x" in lines[6]
    assert len(lines) == 7


@pytest.mark.skipif(importlib.util.find_spec("regions") is None, reason="regions is not installed")
def test_regions_are_read_by_astropy_s(tmp_path):
    from regions import Regions  # noqa: PLC0415

    galmorph.overlay(result(**SHAPES), regions=tmp_path / "out.reg")
    circle, ellipse, point = Regions.read(tmp_path / "out.reg", format="ds9")
    assert circle.radius.to_value("arcsec") == pytest.approx(2.0)
    assert circle.meta["text"] == "disk"
    assert (ellipse.width.to_value("arcsec"), ellipse.height.to_value("arcsec")) == pytest.approx((12.0, 3.0))
    assert point.center.dec.deg == pytest.approx(89.0)


def cells_in(path) -> tuple[fits.Header, np.ndarray]:
    with fits.open(path) as hdus:
        return hdus[1].header, np.asarray(hdus[1].data["UNIQ"])


def test_the_coverage_is_that_of_the_rows_with_a_class(tmp_path):
    galmorph.overlay(result(gm_class=["disk", "", "disk", ""]), moc=tmp_path / "moc.fits")
    header, numbers = cells_in(tmp_path / "moc.fits")
    assert (header["ORDERING"], header["MOCVERS"], header["MOCDIM"]) == ("NUNIQ", "2.0", "SPACE")
    assert (header["MOCORD_S"], header["TFORM1"], header["COORDSYS"]) == (MOC_ORDER, "K", "C")
    expected = cells_of([10.00001, 359.9999], [-5.0, 89.0], MOC_ORDER) + 4 * 4**MOC_ORDER
    assert numbers.tolist() == sorted(expected.tolist())


@pytest.mark.skipif(importlib.util.find_spec("mocpy") is None, reason="mocpy is not installed")
def test_the_coverage_is_read_by_mocpy(tmp_path):
    from astropy import units as u  # noqa: PLC0415
    from mocpy import MOC  # noqa: PLC0415

    galmorph.overlay(result(), moc=tmp_path / "moc.fits")
    moc = MOC.load(tmp_path / "moc.fits", format="fits")
    inside = moc.contains_lonlat([10.0, 10.01, 359.9999, 10.1] * u.deg, [-5.0, -5.02, 89.0, -5.0] * u.deg)
    assert inside.tolist() == [True, True, True, False]
    assert moc.max_order == MOC_ORDER


@given(st.sets(st.integers(0, 12 * 4**3 - 1), min_size=1))
def test_merged_cells_cover_the_same_and_no_four_are_left(cells):
    covered = set()
    numbers = merged(np.array(sorted(cells)), 3)
    orders = (np.floor(np.log2(numbers / 4) / 2)).astype(int)
    for number, order in zip((numbers - 4 * 4**orders).tolist(), orders.tolist(), strict=True):
        first = number << 2 * (3 - order)
        covered |= set(range(first, first + 4 ** (3 - order)))
    assert covered == cells
    assert (np.diff(numbers) > 0).all()
    for order in set(orders.tolist()) - {0}:
        parents = (numbers[orders == order] - 4 * 4**order) >> 2
        assert np.unique(parents, return_counts=True)[1].max() < 4


@pytest.mark.parametrize(
    ("survey", "host", "query"),
    [
        (None, "skyserver.sdss.org", {"ra": "10.000010", "dec": "-5.000000", "scale": "0.046875", "width": "256"}),
        ("candels", "alasky.cds.unistra.fr", {"hips": "CDS/P/HST/color", "fov": "0.003333333", "width": "256"}),
    ],
)
def test_links_are_to_pictures_of_each_row(tmp_path, survey, host, query):
    galmorph.overlay(result(), links=tmp_path / "links.vot", survey=survey)
    table = parse_single_table(tmp_path / "links.vot")
    assert table.get_field_by_id_or_name("gm_link").ucd == "meta.ref.url"
    links = table.to_table()["gm_link"].tolist()
    assert urlsplit(links[0]).netloc == host
    asked = {name: values[0] for name, values in parse_qs(urlsplit(links[0]).query).items()}
    assert query.items() <= asked.items()
    assert links[3] == ""
    assert len(links) == 4


def test_what_does_not_apply_is_refused(tmp_path):
    with pytest.raises(OutputError, match="nothing was asked for"):
        galmorph.overlay(result())
    with pytest.raises(CatalogError, match="has no column my_flags"):
        galmorph.overlay(result(), regions=tmp_path / "out.reg", prefix="my_")
    with pytest.raises(CatalogError, match="no row has a class and a place"):
        galmorph.overlay(result()[3:], moc=tmp_path / "moc.fits")
    nameless = result()
    nameless.meta.clear()
    with pytest.raises(SurveyError, match="the result names no survey"):
        galmorph.overlay(nameless, links=tmp_path / "links.fits")
    (tmp_path / "out.reg").write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        galmorph.overlay(result(), regions=tmp_path / "out.reg")
    with pytest.raises(OutputError, match="neither FITS nor a VOTable"):
        galmorph.overlay(result(), samp=True)
    assert (tmp_path / "out.reg").read_text() == "mine"


@pytest.fixture
def samp():
    """Return the SAMP of another package, against which ours is tested."""
    return pytest.importorskip("pyvo.samp")


@pytest.fixture
def hub(samp, tmp_path, monkeypatch):
    """Run a hub on this machine, whom only we know."""
    monkeypatch.setenv("SAMP_HUB", f"std-lockurl:{(tmp_path / 'lock').as_uri()}")
    with samp.conf.set_temp("use_internet", False):
        hub = samp.SAMPHubServer(web_profile=False, mode="multiple", lockfile=str(tmp_path / "lock"), addr="127.0.0.1")
        hub.start()
        yield hub
        if hub.is_running:
            hub.stop()


@pytest.mark.parametrize(("ending", "kind"), [("fits", "table.load.fits"), ("vot", "table.load.votable")])
def test_a_result_is_sent_to_whom_it_concerns(samp, hub, tmp_path, ending, kind, capsys):
    del hub
    path = tmp_path / f"out.{ending}"
    result().write(path, **({"format": "votable"} if ending == "vot" else {}))
    with reader(samp, kind, {"samp.status": "samp.ok", "samp.result": {}}) as received:
        assert main(["overlay", str(path), "--samp"]) == 0
    assert "sent to TOPCAT" in capsys.readouterr().err
    (parameters,) = received  # before the command ended
    assert (parameters["url"], parameters["name"]) == (path.as_uri(), path.name)


@pytest.mark.parametrize(
    ("answer", "patience_s", "told"),
    [
        (
            {"samp.status": "samp.error", "samp.error": {"samp.errortxt": "no memory"}},
            60,
            r"did not read it \(no memory",
        ),
        (None, 1, "TOPCAT did not answer"),
    ],
)
def test_a_program_that_did_not_read_it_is_named(samp, hub, tmp_path, answer, patience_s, told, monkeypatch):
    del hub
    monkeypatch.setattr("galmorph.sky.overlays.samp_message._PATIENCE_S", patience_s)
    result().write(tmp_path / "out.fits")
    with reader(samp, "table.load.fits", answer), pytest.raises(OutputError, match=told):
        galmorph.overlay(tmp_path / "out.fits", samp=True)


@contextmanager
def reader(samp, kind, answer):
    """Register a program at the hub that answers thus; give what it received."""
    received = []
    topcat = samp.SAMPIntegratedClient(name="TOPCAT")

    def load(private_key, sender, message_number, message_kind, parameters, extra):
        del private_key, sender, message_kind, extra
        received.append(parameters)
        if answer is not None:
            topcat.reply(message_number, answer)

    topcat.connect()
    topcat.bind_receive_call(kind, load)
    try:
        yield received
    finally:
        topcat.disconnect()


def test_nobody_to_send_to_is_said(hub, tmp_path, monkeypatch):
    result().write(tmp_path / "out.fits")
    with pytest.raises(OutputError, match="no program that reads tables"):
        galmorph.overlay(tmp_path / "out.fits", samp=True)
    hub.stop()
    monkeypatch.setenv("SAMP_HUB", f"std-lockurl:{(tmp_path / 'none').as_uri()}")
    with pytest.raises(OutputError, match="no SAMP hub runs"):
        galmorph.overlay(tmp_path / "out.fits", samp=True)


def test_the_command_names_what_it_wrote(tmp_path, capsys):
    result(**SHAPES).write(tmp_path / "out.fits")
    words = ["--regions", tmp_path / "out.reg", "--moc", tmp_path / "moc.fits", "--links", tmp_path / "links.fits"]
    assert main(["overlay", str(tmp_path / "out.fits"), *map(str, words)]) == 0
    printed = capsys.readouterr()
    assert set(printed.out.split()) == {str(word) for word in words[1::2]}
    assert re.search(r"out\.reg: 3 regions", printed.err)
