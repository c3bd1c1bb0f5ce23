"""Survey files: what ships is sound, what is looked up is found, what is wrong is explained."""

from __future__ import annotations

import math

import pytest

from galmorph.errors import SurveyError
from galmorph.sky.survey import Survey, load_survey, survey_names

MINIMAL = """
name = "mine"
title = "My survey"
reference = "me"
[bands.H]
aliases = ["F160W"]
scale_arcsec = 0.06
zero_point_ab = 25.9
unit = "electron/s"
psf_fwhm_arcsec = 0.2
reference = "me"
"""
PICTURES = """
[pictures]
url = "https://survey.example/getjpeg"
scale_arcsec = 0.4
side_px = 256
reference = "me"
"""
FRAMES = """
[frames]
url = "https://frames.example/{rerun}/{run}/{camcol}/frame-{band}-{run:06d}-{field:04d}.fits"
server = "https://survey.example"
release = 17
reference = "me"
"""


def _write(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


def _message(action):
    with pytest.raises(SurveyError) as caught:
        action()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_four_surveys_ship():
    assert {"candels", "legacy", "nircam", "sdss"} <= set(survey_names())


@pytest.mark.parametrize("name", survey_names())
def test_every_shipped_survey_is_sound(name):
    found = load_survey(name)
    assert found.name == name
    assert found.title
    assert found.reference
    assert found.bands
    for band in found.bands:
        assert band.scale_arcsec > 0
        assert band.psf_fwhm_arcsec > band.scale_arcsec
        assert 20 < band.zero_point_ab < 30
        assert band.unit
        assert band.reference
        assert 0 < band.mjysr_per_unit() < 10
    spellings = [s.lower() for b in found.bands for s in {b.name, *b.aliases}]
    assert len(spellings) == len(set(spellings))


@pytest.mark.parametrize("name", survey_names())
def test_every_field_of_a_shipped_survey_is_sound(name):
    found = load_survey(name)
    for field in found.fields:
        assert found.field(field.name.upper()) is field
        assert 0 <= field.ra_deg < 360
        assert -90 <= field.dec_deg <= 90
        assert field.title
        assert field.reference
        for band in (*field.mosaics, *field.weights, *field.zero_points):
            assert found.band(band).name == band


@pytest.mark.parametrize("name", survey_names())
def test_every_colour_recipe_and_stretch_of_a_shipped_survey_is_sound(name):
    found = load_survey(name)
    assert found.jpeg is not None
    assert found.jpeg.reference
    assert (found.jpeg.kind == "lupton") == (found.jpeg.planes == 3)
    if found.jpeg.kind == "lupton":
        assert found.colour is not None
    if found.colour is not None:
        assert len({found.band(band).name for band in found.colour.bands}) == 3
        assert len(found.colour.scales) == 3
        assert min(found.colour.scales) > 0
        assert found.colour.nonlinearity > 0
        assert found.colour.reference


def test_candels_has_five_fields_and_the_infrared_band_names():
    candels = load_survey("CANDELS")
    assert candels.drop_sip
    assert [candels.band(name).name for name in "HJVI"] == ["F160W", "F125W", "F606W", "F814W"]
    assert {field.name for field in candels.fields} == {"goods-s", "goods-n", "uds", "egs", "cosmos"}
    egs = candels.field("egs")
    assert egs.shape == (12600, 40800)
    assert egs.mosaics["F160W"] == "hlsp_candels_hst_wfc3_egs-tot-60mas_f160w_v1.0_drz.fits"
    assert egs.weights["F160W"].endswith("_wht.fits")


def test_bands_are_found_in_upper_and_lower_case():
    assert load_survey("candels").band("h") == load_survey("candels").band("F160W")
    assert load_survey("nircam").band("f200w").name == "F200W"
    assert load_survey("sdss").band(" R ").name == "r"


def test_a_survey_is_found_by_its_alias():
    assert load_survey("JWST").name == "nircam"


def test_an_unknown_survey_lists_what_exists_and_the_nearest():
    message = _message(lambda: load_survey("sdds"))
    assert "candels, legacy, nircam, sdss" in message
    assert "did you mean 'sdss'" in message


def test_an_unknown_band_lists_what_exists_and_the_nearest():
    message = _message(lambda: load_survey("candels").band("F16W"))
    assert "F125W, F160W" in message
    assert "did you mean 'F160W'" in message


def test_an_unknown_field_lists_what_exists_and_the_nearest():
    assert "did you mean 'cosmos'" in _message(lambda: load_survey("candels").field("cosmo"))


def test_surface_brightness_follows_from_zero_point_and_pixel_scale():
    band = load_survey("sdss").band("r")
    nanomaggy_mjy = 3.631e-12
    pixel_sr = math.radians(0.396 / 3600) ** 2
    assert band.mjysr_per_unit() == pytest.approx(nanomaggy_mjy / pixel_sr, rel=1e-12)
    assert band.mjysr_per_unit(0.198) == pytest.approx(4 * band.mjysr_per_unit(), rel=1e-12)


def test_a_unit_of_surface_brightness_does_not_depend_on_the_pixel_scale():
    band = load_survey("nircam").band("F200W")
    assert band.mjysr_per_unit(0.03) == band.mjysr_per_unit(0.06) == 1
    # CEERS Data Release 0.5 states 28.08652 for 0.03 arcsec; the file rounds to 1e-4
    assert band.zero_point_ab == pytest.approx(28.08652, abs=1e-4)


def test_a_survey_names_usual_checkpoints_of_bands_and_of_its_colour_pictures(tmp_path):
    mine = load_survey(_write(tmp_path, MINIMAL + '[checkpoints]\nH = "mine"\n'))
    assert mine.checkpoint(("H",)) == "mine"
    sdss = load_survey("sdss")
    assert sdss.checkpoint(("g", "r", "i")) == sdss.checkpoint(("i", "r", "g")) == "sdss-rgb"
    assert sdss.checkpoint(("r",)) is None
    assert sdss.checkpoint(()) is None


def test_a_survey_is_read_from_a_path(tmp_path):
    found = load_survey(_write(tmp_path, MINIMAL))
    assert isinstance(found, Survey)
    assert found.band("f160w").zero_point_ab == 25.9
    assert found.fields == ()
    assert not found.drop_sip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (MINIMAL.replace("title", "titel"), "did you mean 'title'"),
        (MINIMAL.replace("zero_point_ab", "zero_pont_ab"), "did you mean 'zero_point_ab'"),
        (MINIMAL.replace('title = "My survey"', ""), "lacks 'title': add it"),
        (MINIMAL.replace("scale_arcsec = 0.06", ""), "lacks 'scale_arcsec': add it"),
        (MINIMAL.replace("0.06", "-0.06"), "must be a positive number"),
        (MINIMAL.replace("0.06", "1e-300"), "scale_arcsec = 1e-300 must be a positive number"),
        (MINIMAL.replace("0.06", "1e9"), "scale_arcsec = 1000000000.0 must be a positive number, at most 3600"),
        (MINIMAL.replace("0.06", '"0.06"'), "scale_arcsec = '0.06', expected a number"),
        (MINIMAL.replace("F160W", "H"), "used twice"),
        (MINIMAL.partition("[bands")[0], "expected a table for each name"),
        (MINIMAL.partition("[bands")[0] + "[bands]\nH = 3", "expected a table, got 3"),
        (MINIMAL + "[bands.H.more", "correct the file"),
        (MINIMAL + '[checkpoints]\nG="mine"\n', "checkpoints: unknown band 'G': known are H"),
        (MINIMAL + '[checkpoints]\nRGB="mine"\n', "unknown band 'RGB'"),
        (MINIMAL + "[checkpoints]\nH=3\n", "[checkpoints]: H = 3, expected a text"),
        (MINIMAL + PICTURES.replace("https", "ftp"), "expected one of http or https"),
        (MINIMAL + PICTURES.replace("0.4", "99.0"), "scale_arcsec = 99.0, expected one within scale_range"),
        (MINIMAL + PICTURES.replace("256", "99999"), "side_px = 99999, expected 1 to 4096"),
        (MINIMAL + PICTURES + 'radius_columns = ["r90"]\n', "scale_per_radius = 0.0, expected a fraction"),
        (MINIMAL + FRAMES.replace("{run:06d}", "{night}"), "cannot be filled in ('night')"),
        (MINIMAL + FRAMES.replace('"https://frames', '"frames'), "expected one of http or https"),
        ('checkpoints = "mine"\n' + MINIMAL, "checkpoints = 'mine', expected a table"),
        (
            MINIMAL + '[colour]\nbands=["H","J","K"]\nscales=[1.0,1.0,1.0]\nnonlinearity=1.0\nreference="me"\n',
            "unknown band of survey 'mine' 'J'",
        ),
    ],
)
def test_a_wrong_survey_file_is_explained_in_one_line(tmp_path, text, expected):
    assert expected in _message(lambda: load_survey(_write(tmp_path, text)))


def test_a_missing_survey_file_is_explained_in_one_line(tmp_path):
    assert "cannot be read" in _message(lambda: load_survey(tmp_path / "nothing.toml"))
