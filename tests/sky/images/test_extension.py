"""Which HDU of a file is meant, which of its planes, and which map goes with which chip."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from galmorph.errors import ImageError
from galmorph.sky.images import open_images
from galmorph.sky.images.extension import split_extension
from galmorph.sky.images.map_roles import titles
from galmorph.sky.survey import load_survey

SHAPE = (30, 40)


def _header(**cards):
    """Return a header with a tangential WCS of 0.1 arcsec pixels at right ascension 150, declination 2."""
    header = fits.Header({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 150.0, "CRVAL2": 2.0})
    header.update(CRPIX1=20.5, CRPIX2=15.5, CDELT1=-0.1 / 3600, CDELT2=0.1 / 3600)
    header.update(cards)
    return header


def _hdu(name, value, shape=SHAPE, **cards):
    return fits.ImageHDU(np.full(shape, value, np.float32), _header(**cards), name=name)


def _write(path, *hdus):
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path)
    return str(path)


def _value(source, tile=0):
    return float(source.cutout(tile, 5, 5, 0).detection[0, 0])


def _weight(source, tile=0):
    return float(source.cutout(tile, 5, 5, 0).weight[0, 0])


def _message(*args, **settings):
    with pytest.raises(ImageError) as caught:
        open_images(*args, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- maps ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def release(tmp_path):
    """Return a file with the HDUs of every release: image 5, weight 4, noise 0.5, variance 0.25; others 1000."""
    others = [_hdu(name, 1000.0) for name in ("MSK", "CON", "DQ", "VAR_POISSON")]
    maps = (_hdu("WGT", 4.0), _hdu("ERR", 0.5), _hdu("VARIANCE", 0.25))
    return _write(tmp_path / "tile.fits", others[0], _hdu("SCI", 5.0), *others[1:], *maps)


@pytest.mark.parametrize("role", ["weight", "rms", "variance"])
def test_the_hdu_of_a_role_is_found_by_its_name_and_gives_inverse_variances(release, role):
    source = open_images(release, **{role: release})
    assert (_value(source), _weight(source)) == (5.0, 4.0)
    source.close()


@pytest.mark.parametrize(
    "cards",
    [{"HDUCLAS2": "ERROR", "HDUCLAS3": "MSE"}, {"EXTTYPE": "VARIANCE"}, {"UTYPE": "VarianceUncertainty"}],
    ids=str,
)
def test_the_hdu_of_a_role_is_found_by_its_cards(tmp_path, cards):
    path = _write(tmp_path / "chip.fits", _hdu("CHIP1", 5.0), _hdu("CHIP1_B", 0.25, **cards))
    source = open_images(path, variance=path)
    assert (_value(source), _weight(source), len(source.tiles)) == (5.0, 4.0, 1)
    source.close()


@pytest.mark.parametrize(
    ("role", "names"),
    [
        ("weight", ["SCI", "ERR"]),  # noise is no weight
        ("rms", ["SCI", "CON", "WHT"]),
        ("variance", ["SCI", "ERR"]),
        ("variance", ["SCI", "VAR_POISSON", "VAR_RNOISE"]),  # parts of it
        ("weight", ["SCI", "XYZ"]),  # an unknown name beside known ones
        ("segmentation", ["SCI", "MASK"]),
    ],
)
def test_the_image_never_stands_for_a_map_that_is_missing(tmp_path, role, names):
    path = _write(tmp_path / "tile.fits", *(_hdu(name, 5.0) for name in names))
    message = _message(path, **{role: path})
    assert f"'tile.fits' has no HDU that is a {titles[role]}: it has" in message
    assert all(name in message for name in names)
    assert "name one in brackets" in message


def test_a_plain_file_given_as_its_own_noise_is_refused(tmp_path):
    fits.PrimaryHDU(np.ones(SHAPE, np.float32), _header()).writeto(tmp_path / "a.fits")
    path = str(tmp_path / "a.fits")
    for role in ("weight", "rms", "variance", "segmentation"):
        assert "is the image itself" in _message(path, **{role: path})
        assert "is the image itself" in _message(path, **{role: str(tmp_path / ".." / tmp_path.name / "a.fits")})


def test_an_hdu_that_is_named_is_taken_with_a_word_about_it(release, caplog):
    source = open_images(release, rms=release + "[WGT]")
    assert _weight(source) == 1 / 16
    assert "HDU 6 WGT is taken as a noise image, as was asked" in caplog.text
    source.close()


def test_a_map_of_another_tile_is_refused_though_its_shape_is_the_same(tmp_path):
    image = _write(tmp_path / "sci.fits", _hdu("SCI", 5.0))
    for shift, fits_here in ((0.05, True), (0.3, False), (40.0, False)):
        rms = _write(tmp_path / f"rms{shift}.fits", _hdu("ERR", 0.5, CRPIX1=20.5 + shift))
        if fits_here:
            open_images(image, rms=rms).close()
        else:
            assert "lies elsewhere on the sky than image 'sci.fits': expected the same pixels to 0.1" in _message(
                image, rms=rms
            )


def test_a_map_without_wcs_goes_by_its_shape(tmp_path):
    image = _write(tmp_path / "sci.fits", _hdu("SCI", 5.0))
    fits.writeto(tmp_path / "rms.fits", np.full(SHAPE, 0.5, np.float32))
    fits.writeto(tmp_path / "small.fits", np.full((3, 3), 0.5, np.float32))
    source = open_images(image, rms=tmp_path / "rms.fits")
    assert _weight(source) == 4.0
    source.close()
    assert "has 3 x 3 pixels: expected the 40 x 30 of image 'sci.fits'" in _message(image, rms=tmp_path / "small.fits")


# --- chips ---------------------------------------------------------------------------------------------------------


def _chips(names=("SCI", "SCI"), versions=(1, 2)):
    """Return chips side by side, with values 1, 2, ..."""
    hdus = []
    for number, (name, version) in enumerate(zip(names, versions, strict=True)):
        hdu = _hdu(name, number + 1.0, CRPIX1=20.5 - 50 * number)
        hdu.header["EXTVER"] = version
        hdus.append(hdu)
    return hdus


@pytest.mark.parametrize(("names", "versions"), [(("SCI", "SCI"), (1, 2)), (("S29", "N4"), (1, 1)), (("", ""), (1, 1))])
def test_every_chip_of_a_file_is_a_tile(tmp_path, names, versions):
    source = open_images(_write(tmp_path / "x_flc.fits", *_chips(names, versions)))
    ra, dec = source.sky([0, 1], [5.0, 5.0], [5.0, 5.0])
    located = source.locate(ra, dec)
    assert located.tile.tolist() == [0, 1]
    assert [_value(source, n) for n in (0, 1)] == [1.0, 2.0]
    source.close()


def test_a_chip_is_named_by_name_and_version_or_number(tmp_path):
    path = _write(tmp_path / "x_flc.fits", *_chips())
    for text, value in (("[SCI,2]", 2.0), ("[sci, 1]", 1.0), ("[2]", 2.0), ("[SCI]", 1.0)):
        source = open_images(path + text)
        assert (_value(source), len(source.tiles)) == (value, 1)
        source.close()
    source = open_images(path, hdu="SCI,2")
    assert _value(source) == 2.0
    source.close()
    assert "no image of two dimensions in HDU 'SCI,3': such are 1 SCI, 2 SCI" in _message(path + "[SCI,3]")


def test_every_chip_has_the_map_of_its_version(tmp_path):
    chips = _chips()
    errors = [_hdu("ERR", 10.0**-n, EXTVER=n, CRPIX1=chips[n - 1].header["CRPIX1"]) for n in (2, 1)]
    path = _write(tmp_path / "x_flc.fits", *chips, *errors)
    source = open_images(path, rms=path)
    assert [_weight(source, n) for n in (0, 1)] == pytest.approx([100.0, 10000.0])
    source.close()


def test_two_images_on_one_grid_are_a_question(tmp_path):
    path = _write(tmp_path / "two.fits", _hdu("A", 1.0), _hdu("B", 2.0))
    assert "lie on the same pixels of the sky: expected one of them; name the one to measure" in _message(path)
    source = open_images(path + "[B]")
    assert _value(source) == 2.0
    source.close()


def test_of_images_on_one_grid_the_one_of_the_band_is_meant(tmp_path):
    path = _write(tmp_path / "bands.fits", _hdu("A", 1.0, FILTER="F125W"), _hdu("B", 2.0, FILTER="F160W"))
    source = open_images(path, survey=load_survey("candels"), band="H")
    assert (_value(source), len(source.tiles)) == (2.0, 1)
    source.close()


def test_the_wcs_of_the_primary_hdu_counts_for_its_extensions(tmp_path):
    primary = fits.PrimaryHDU(None, _header())
    hdus = fits.HDUList([primary, fits.ImageHDU(np.full(SHAPE, 5.0, np.float32), name="SCI")])
    hdus.writeto(tmp_path / "a.fits")
    source = open_images(tmp_path / "a.fits")
    located = source.locate([150.0], [2.0])
    assert (located.x[0], located.y[0]) == pytest.approx((19.5, 14.5), abs=1e-6)
    source.close()
    hdus["SCI"].header["INHERIT"] = False
    hdus.writeto(tmp_path / "b.fits")
    source = open_images(tmp_path / "b.fits")
    assert not source.has_wcs
    source.close()


# --- cubes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cards",
    [
        {"BANDS": "grz"},
        {"BANDS": "g,r,z"},
        {"BAND0": "g", "BAND1": "r", "BAND2": "z"},
        {"BAND1": "g", "BAND2": "r", "BAND3": "z"},
    ],
    ids=str,
)
def test_the_planes_of_a_cube_are_bands(tmp_path, cards):
    cube = np.arange(3, dtype=np.float32)[:, None, None] * np.ones(SHAPE, np.float32)
    fits.PrimaryHDU(cube, _header(**cards)).writeto(tmp_path / "cube.fits")
    legacy = load_survey("sdss")
    for value, band in ((0.0, "g"), (1.0, "r"), (2.0, "z")):
        source = open_images(tmp_path / "cube.fits", survey=legacy, band=band)
        assert _value(source) == value
        source.close()


def test_a_cube_without_a_band_or_without_names_is_a_question(tmp_path):
    cube = np.zeros((3, *SHAPE), np.float32)
    fits.PrimaryHDU(cube, _header(BANDS="grz")).writeto(tmp_path / "cube.fits")
    fits.PrimaryHDU(cube, _header()).writeto(tmp_path / "nameless.fits")
    assert "has 3 planes of the bands g, r, z" in _message(tmp_path / "cube.fits")
    assert "name one with --survey and --band" in _message(tmp_path / "cube.fits")
    assert "name their bands in a card BANDS" in _message(tmp_path / "nameless.fits")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.fits[SCI,2]", ("a.fits", ("SCI", 2))),
        ("a.fits[3]", ("a.fits", 3)),
        ("a.fits[SCI]", ("a.fits", "SCI")),
        ("a.fits", ("a.fits", None)),
        ("[a].fits", ("[a].fits", None)),
        ("a.fits[]", ("a.fits[]", None)),
    ],
)
def test_brackets_at_the_end_name_an_hdu(text, expected):
    assert split_extension(text) == expected
