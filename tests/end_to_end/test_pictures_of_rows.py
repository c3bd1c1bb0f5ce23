"""Colour pictures that a survey's server draws: a catalogue, `--survey sdss --band RGB`, and nothing else."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import skyserver
from astropy.table import Table
from loopback import Fault, Loopback

import galmorph
from galmorph.errors import CatalogError, SurveyError
from galmorph.flags import Flag
from galmorph.runs import parts

GALAXIES = skyserver.GALAXIES
PETROSIAN = 3.546
"""Petrosian radius of an exponential disk in scale lengths."""
RADII = {"petroR90_r": [9.0, 12.0, 10.0, 9.0]}


@pytest.fixture
def service(archive: Loopback):
    archive.files[skyserver.PATH] = skyserver.draw
    return archive


def rows(**columns: object) -> Table:
    positions = {name: [getattr(galaxy, name) for galaxy in GALAXIES] for name in ("ra", "dec")}
    return Table(positions | columns)


def flagged(table: Table, flag: Flag) -> list[bool]:
    return ((np.asarray(table["gm_flags"]) & int(flag)) != 0).tolist()


def test_sizes_and_centres_are_those_of_the_sky_at_any_scale(service: Loopback):
    usual, of_radius = (
        galmorph.measure(rows(**columns), survey=skyserver.survey_of(service), band="RGB") for columns in ({}, RADII)
    )
    assert len(service.requests) == 2 * len(GALAXIES)
    lengths = np.array([galaxy.length_arcsec for galaxy in GALAXIES])
    for done in (usual, of_radius):
        assert done["gm_rpet"].unit == "arcsec"
        # Pictures lack their negative noise, so that their sky is too bright.
        np.testing.assert_allclose(done["gm_rpet"], PETROSIAN * lengths, rtol=0.06)
        east = ((done["gm_racen"] - done["ra"] + 180) % 360 - 180) * np.cos(np.radians(done["dec"]))
        np.testing.assert_allclose(np.hypot(east, done["gm_deccen"] - done["dec"]) * 3600, 0, atol=0.1)
    np.testing.assert_allclose(usual["gm_rpet"], of_radius["gm_rpet"], rtol=0.02)


def test_workers_ask_for_the_same_pictures(service: Loopback, monkeypatch):
    """Whose scale follows a column of the catalogue; they lie in the cache by then, where the workers find them."""
    monkeypatch.setattr(parts, "PART_ROWS", 2)
    asked = {"survey": skyserver.survey_of(service), "band": "RGB"}
    alone = galmorph.measure(rows(**RADII), **asked)
    service.requests.clear()
    shared = galmorph.measure(rows(**RADII), **asked, engine="pool", workers=2)
    assert service.requests == []
    np.testing.assert_array_equal(shared["gm_rpet"], alone["gm_rpet"])
    np.testing.assert_array_equal(shared["gm_flags"], alone["gm_flags"])


def test_the_survey_s_checkpoint_answers_and_repeats_without_asking(service: Loopback):
    survey = skyserver.survey_of(service)
    table = galmorph.classify(rows(**RADII), survey=survey, band="RGB")
    assert all(model.startswith("sdss-rgb") for model in table["gm_model"])
    assert np.isfinite(table["gm_conf"]).all()
    assert not any(flagged(table, Flag.SCALE_MISMATCH)), "of pictures whose scale somebody chose"
    assert f"images: fetched from {survey.pictures.url}" in str(table.meta)
    service.requests.clear()
    again = galmorph.classify(rows(**RADII), survey=survey, band="RGB", offline=True)
    np.testing.assert_array_equal(again["gm_conf"], table["gm_conf"])
    assert service.requests == []


def test_a_row_whose_picture_cannot_be_had_is_flagged_and_the_others_go_on(service: Loopback):
    page = Fault(body=b"<html>sorry</html>")
    skyserver.fail(service, 1, page, times=2)
    done = galmorph.measure(rows(), survey=skyserver.survey_of(service), band="RGB")
    assert flagged(done, Flag.FETCH_FAILED) == [False, True, False, False]
    assert np.isfinite(done["gm_rpet"]).tolist() == [True, False, True, True]
    service.requests.clear()
    again = galmorph.measure(rows(), survey=skyserver.survey_of(service), band="RGB")
    assert flagged(again, Flag.FETCH_FAILED) == [False] * 4
    assert len(service.requests) == 1, "of the failed row only"


def test_rows_without_a_position_are_flagged(service: Loopback):
    done = galmorph.measure(
        Table({"ra": [180.0, np.nan], "dec": [20.0, 20.0]}), survey=skyserver.survey_of(service), band="RGB"
    )
    assert flagged(done, Flag.NO_POSITION) == [False, True]
    assert len(service.requests) == 1


def test_the_command_needs_no_images(service: Loopback, galmorph, tmp_path):
    survey = tmp_path / "mine.toml"
    shipped = (skyserver.SURVEY_FILE).read_text(encoding="utf-8")
    survey.write_text(shipped.replace(skyserver.SDSS.pictures.url, service.base + skyserver.PATH), encoding="utf-8")
    rows().write(tmp_path / "catalog.fits")
    done = galmorph(
        *("classify", tmp_path / "catalog.fits", "--survey", survey, "--band", "RGB", "-o", tmp_path / "out.fits")
    )
    assert done.status == 0, done.err
    assert set(Table.read(tmp_path / "out.fits")["gm_flags"] & int(Flag.FETCH_FAILED)) == {0}


def test_what_does_not_apply_is_refused(service: Loopback):
    survey = skyserver.survey_of(service)
    with pytest.raises(SurveyError, match="field 'stripe82' was given for images"):
        galmorph.measure(rows(), survey=survey, band="RGB", field="stripe82")
    with pytest.raises(CatalogError, match="no sky positions"):
        galmorph.measure(Table({"x": [10.0], "y": [80.0]}), survey=survey, band="RGB")
    nothing = dataclasses.replace(galmorph.load_survey("legacy"), cutouts=None)
    with pytest.raises(SurveyError, match="'legacy' has no colour pictures that can be fetched"):
        galmorph.measure(rows(), survey=nothing, band="RGB")
