"""The columns of shapes: units, angles on the sky, errors."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import small_sky
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

from galmorph import classify, measure
from galmorph.errors import CatalogError
from galmorph.runs.columns import SHAPES
from galmorph.sky.scheme import load_scheme
from galmorph.stamps.measure import Measurement


def turned_header(degrees: float) -> fits.Header:
    """Return a header of an image whose rows are turned on the sky."""
    wcs = WCS(small_sky.header())
    turn = np.radians(degrees)
    scale = np.diag(wcs.wcs.cdelt)
    wcs.wcs.cdelt = [1, 1]
    wcs.wcs.cd = scale @ np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    made = wcs.to_header()
    made["FILTER"] = "F160W"
    return made


@pytest.mark.parametrize("degrees", [0.0, 37.0, 140.0])
def test_position_angles_are_counted_on_the_sky(tmp_path, degrees):
    """The disks lie along x, which turns from west to north: position angle 90 plus that turn, to 5 degrees."""
    header = turned_header(degrees)
    fits.writeto(tmp_path / "image.fits", small_sky.field(), header)
    table = small_sky.table()
    table["ra"], table["dec"] = WCS(header).all_pix2world(*small_sky.XY.T, 0)
    found = measure(table, tmp_path / "image.fits", survey="candels", band="H")
    # Half of each disk's ellipticity is lost to pixels and PSF at most.
    off = (np.asarray(found["gm_pa"]) - (90.0 + degrees) + 90.0) % 180.0 - 90.0
    assert np.abs(off).max() < 5.0
    assert (np.abs(off) / np.asarray(found["gm_pa_err"])).max() < 6.0
    assert np.all((np.asarray(found["gm_ell"]) > 0.15) & (np.asarray(found["gm_ell"]) < 0.4))


@pytest.mark.parametrize("dec_deg", [0.0, 89.0, 90.0, -90.0])
def test_shapes_are_those_of_the_pixels_also_beside_a_pole(tmp_path, dec_deg):
    """Square pixels leave ellipticities as they are, and major axes point where the WCS says; also across a pole."""
    header = small_sky.header()
    header["CRVAL2"] = dec_deg
    xy = small_sky.XY
    header["CRPIX1"], header["CRPIX2"] = xy.mean(axis=0) + 1.0
    fits.writeto(tmp_path / "image.fits", small_sky.field(), header)
    table, wcs = small_sky.table(), WCS(header)
    table["ra"], table["dec"] = wcs.all_pix2world(*xy.T, 0)
    on_sky = measure(table, tmp_path / "image.fits", survey="candels", band="H")
    plain = Table({"x": xy[:, 0], "y": xy[:, 1]})
    in_pixels = measure(plain, small_sky.field(), survey="candels", band="H")
    np.testing.assert_allclose(on_sky["gm_ell"], in_pixels["gm_ell"], rtol=1e-5)
    x, y, turn = (np.asarray(in_pixels[name]) for name in ("gm_x", "gm_y", "gm_pa"))
    turn = np.radians(turn)
    ends = [
        SkyCoord(*wcs.all_pix2world(x + step * np.cos(turn), y + step * np.sin(turn), 0), unit="deg")
        for step in (0.0, 0.5)
    ]
    off = (np.asarray(on_sky["gm_pa"]) - ends[0].position_angle(ends[1]).deg + 90.0) % 180.0 - 90.0
    assert np.abs(off).max() < 0.5


def test_light_radii_are_in_arcsec_and_in_order(tmp_path):
    """r20 < r50 < r80 < r_P; concentration follows from them."""
    sky = small_sky.write_sky(tmp_path / "sky")
    found = measure(sky.catalog, sky.image, survey="candels", band="H")
    r20, r50, r80, rpet = (np.asarray(found[f"gm_{n}"], float) for n in ("r20", "r50", "r80", "rpet"))
    assert np.all((r20 < r50) & (r50 < r80) & (r80 < rpet))
    assert str(found["gm_r20"].unit) == "arcsec"
    assert np.allclose(found["gm_conc"], 5 * np.log10(r80 / r20), atol=1e-5)
    assert np.all(np.asarray(found["gm_rpet_in"]) <= rpet * 1.02)


def test_every_shape_is_measured_and_has_a_column():
    """The table of shapes names fields of a Measurement, each once, and all of their errors."""
    known = {f.name for f in fields(Measurement)}
    named = [shape.field for shape in SHAPES]
    assert set(named) <= known
    assert len(set(named)) == len(named)
    for shape in SHAPES:
        if "err" not in shape.field and shape.kind != "spread":
            assert f"{shape.name}_err" in {s.name for s in SHAPES}


@pytest.mark.parametrize(("word", "name"), [("windowed", "windowed centroid"), ("isophotal", "isophotal barycentre")])
def test_the_kind_of_centroid_is_described_and_recorded(tmp_path, word, name):
    """The word that was asked for is in the columns' descriptions and in the header."""
    sky = small_sky.write_sky(tmp_path / "sky")
    found = measure(sky.catalog, sky.image, survey="candels", band="H", centroid=word, output=tmp_path / "out.fits")
    assert found["gm_racen"].description == f"Right ascension of the {name}, ICRS"
    assert found["gm_deccen"].description == f"Declination of the {name}, ICRS"
    assert fits.getheader(tmp_path / "out.fits", 1)["GMCENTRD"] == word


def test_both_centroids_of_symmetric_galaxies_agree(tmp_path):
    """On discs of S/N about 100 they differ, by less than half a pixel."""
    sky = small_sky.write_sky(tmp_path / "sky")
    one, other = (
        measure(sky.catalog, sky.image, survey="candels", band="H", centroid=word) for word in ("windowed", "isophotal")
    )
    offset = np.hypot(
        (one["gm_racen"] - other["gm_racen"]) * np.cos(np.radians(52.9)), one["gm_deccen"] - other["gm_deccen"]
    )
    assert 0.0 < np.max(offset) * 3600 / 0.06 < 0.5


def test_an_unknown_centroid_is_explained(tmp_path):
    """A misspelt word names the nearest one."""
    sky = small_sky.write_sky(tmp_path / "sky")
    with pytest.raises(CatalogError, match="did you mean 'isophotal'"):
        measure(sky.catalog, sky.image, survey="candels", band="H", centroid="isofotal")


def test_astropy_finds_the_catalogue_s_positions_in_the_output(tmp_path):
    """Those that it finds in the input, whatever else is appended."""
    sky = small_sky.write_sky(tmp_path / "sky")
    before = Table.read(sky.catalog)
    after = classify(
        sky.catalog, sky.image, survey="candels", band="H", checkpoint=small_sky.checkpoint(), errors=True, device="cpu"
    )
    expected = SkyCoord.guess_from_table(before, unit="deg")
    assert SkyCoord.guess_from_table(after, unit="deg").separation(expected).arcsec.max() == 0.0
    centres = SkyCoord(after["gm_racen"], after["gm_deccen"])
    assert centres.separation(expected).arcsec.max() < 0.1


def test_the_question_is_named_where_a_scheme_has_several():
    several = load_scheme("gz2")
    assert several.column_names()[0] == "gm_p_smooth_or_features__smooth"
    one = replace(several, questions=several.questions[:1])
    assert one.column_names() == ["gm_p_smooth", "gm_p_features_or_disk", "gm_p_star_or_artifact"]
    assert load_scheme("candels-visual").column_names()[:2] == ["gm_p_spheroid", "gm_p_disk"]
