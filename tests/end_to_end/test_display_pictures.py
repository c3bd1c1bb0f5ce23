"""Pictures for display alone: drawn by hips2fits for surveys whose archives have none, and refused for measuring."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest
import skyserver
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from loopback import Loopback, serving

import galmorph
from galmorph.errors import ImageError, SurveyError
from galmorph.shipped import shipped
from galmorph.sky.survey import Survey, load_survey, survey_names

PATH = "/hips2fits"


@pytest.fixture
def server(tmp_path, monkeypatch) -> Iterator[Loopback]:
    monkeypatch.setenv("GALMORPH_CACHE", str(tmp_path / "cache"))
    with serving() as loopback:
        loopback.files[PATH] = skyserver.draw_hips
        yield loopback


def rows() -> Table:
    return Table({name: [getattr(galaxy, name) for galaxy in skyserver.GALAXIES[:2]] for name in ("ra", "dec")})


def survey_at(server: Loopback, name: str = "candels") -> Survey:
    survey = load_survey(name)
    assert survey.hips is not None
    hips = dataclasses.replace(survey.hips, url=server.base + PATH, scale_arcsec=0.3)
    return dataclasses.replace(survey, hips=hips)


@pytest.mark.parametrize("name", ["candels", "legacy", "nircam", "sdss"])
def test_stamps_are_pictures_about_the_rows(server: Loopback, tmp_path, name):
    survey = survey_at(server, name)
    galmorph.fetch(rows(), survey=survey, band=survey.bands[0].name, archive="pictures", stamps=tmp_path / "stamps")
    assert len(server.requests) == 2
    assert all(f"hips={survey.hips.hips}".replace("/", "%2F") in request.path for request in server.requests)
    index = galmorph.read_catalog(tmp_path / "stamps" / "index.ecsv").table
    assert index["is_picture"].tolist() == [True, True]
    assert index["reason"].tolist() == ["", ""]
    for entry in index:
        header, planes = (
            fits.getheader(tmp_path / "stamps" / entry["file"]),
            fits.getdata(tmp_path / "stamps" / entry["file"]),
        )
        assert header["GMPICT"] is True
        assert planes.shape == (3, 256, 256)
        place = WCS(header, naxis=2).all_world2pix(entry["ra"], entry["dec"], 0)
        brightest = np.unravel_index(np.argmax(planes.sum(axis=0)), planes.shape[1:])
        np.testing.assert_allclose(brightest[::-1], place, atol=3)


@pytest.mark.parametrize("verb", [galmorph.measure, galmorph.classify])
def test_nothing_is_measured_on_them(server: Loopback, verb):
    with pytest.raises(ImageError, match="resampled and stretched for display"):
        verb(rows(), survey=survey_at(server), band="H", archive="pictures")
    assert server.requests == []


def test_a_dry_run_lists_them(server: Loopback):
    needs = galmorph.dry_run(rows(), survey=survey_at(server), band="H", archive="pictures")
    assert len(needs) == 2
    assert needs["estimate"].all()
    assert server.requests == []


def test_a_survey_without_any_is_said(server: Loopback, tmp_path):
    survey = dataclasses.replace(survey_at(server), hips=None)
    with pytest.raises(SurveyError, match="no colour pictures"):
        galmorph.fetch(rows(), survey=survey, band="H", archive="pictures", stamps=tmp_path / "stamps")


def test_every_survey_that_ships_has_some():
    assert all(load_survey(name).hips is not None for name in survey_names())
    assert "[hips]" in (shipped("catalogs") / "surveys" / "candels.toml").read_text(encoding="utf-8")
