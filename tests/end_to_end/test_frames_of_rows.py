"""Frames of the SDSS: a catalogue, `--survey sdss --band gri`, and nothing else."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import sdss_frames
from astropy.table import Table
from loopback import Loopback, serving
from sdss_frames import CROSSID, FIELDS

import galmorph
from galmorph.errors import SurveyError
from galmorph.flags import Flag

FIRST, SECOND = FIELDS


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("GALMORPH_CACHE", str(tmp_path / "cache"))
    with serving() as loopback:
        sdss_frames.serve(loopback)
        yield loopback


def rows() -> Table:
    """Return the galaxies of both fields, and a row where there are no images."""
    ra, dec = np.concatenate([field.sky for field in FIELDS], axis=1)
    return Table({"ra": [*ra, 180.0], "dec": [*dec, 60.0]})


def flagged(table: Table, flag: Flag) -> list[bool]:
    return ((np.asarray(table["gm_flags"]) & int(flag)) != 0).tolist()


def test_the_survey_s_checkpoint_answers_for_three_bands(server: Loopback):
    survey = sdss_frames.survey_of(server)
    done = galmorph.classify(rows(), survey=survey, band="gri")
    assert len(server.asked(CROSSID)) == 1
    assert sum("/frames/" in request.path for request in server.requests) == 6
    assert flagged(done, Flag.NO_IMAGE) == [False, False, False, True]
    assert all(model.startswith("sdss-rgb") for model in done["gm_model"][:3])
    assert np.isfinite(done["gm_conf"]).tolist() == [True, True, True, False]
    assert not any(flagged(done, Flag.SCALE_MISMATCH))
    server.requests.clear()
    again = galmorph.classify(rows(), survey=survey, band="gri", offline=True)
    np.testing.assert_array_equal(again["gm_conf"], done["gm_conf"])
    assert server.requests == []


def test_one_band_is_measured_in_arcsec(server: Loopback):
    table = rows()
    done = galmorph.measure(table, survey=sdss_frames.survey_of(server), band="r")
    east = (done["gm_racen"] - table["ra"]) * np.cos(np.radians(table["dec"]))
    np.testing.assert_allclose(np.hypot(east, done["gm_deccen"] - table["dec"])[:3] * 3600, 0, atol=0.1)
    assert done["gm_rpet"].unit == "arcsec"
    np.testing.assert_allclose(done["gm_rpet"][:3], 3.546 * 4.0 * np.sqrt(0.8) * 0.396, rtol=0.1)


def test_rows_of_a_frame_that_cannot_be_had_are_flagged_and_the_others_go_on(server: Loopback):
    frame = server.files.pop(SECOND.path("r"))
    survey = sdss_frames.survey_of(server)
    done = galmorph.measure(rows(), survey=survey, band="r")
    assert flagged(done, Flag.FETCH_FAILED) == [False, False, True, False]
    assert flagged(done, Flag.NO_IMAGE) == [False, False, False, True]
    server.files[SECOND.path("r")] = frame
    server.requests.clear()
    again = galmorph.measure(rows(), survey=survey, band="r")
    assert flagged(again, Flag.FETCH_FAILED) == [False] * 4
    assert [request.path for request in server.requests] == [SECOND.path("r")], "of the failed row only"


def test_what_does_not_apply_is_refused(server: Loopback):
    with pytest.raises(SurveyError, match="field 'stripe82' was given for images of survey 'sdss'"):
        galmorph.measure(rows(), survey=sdss_frames.survey_of(server), band="gri", field="stripe82")
    nothing = dataclasses.replace(galmorph.load_survey("legacy"), cutouts=None)
    with pytest.raises(SurveyError, match="'legacy' has no frames that can be fetched"):
        galmorph.measure(rows(), survey=nothing, band="grz")
