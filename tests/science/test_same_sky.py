"""One sky as the releases of many surveys would store it: what is measured must not depend on that."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from galaxies import noise, sersic

import galmorph
from galmorph.errors import ImageError
from galmorph.flags import Flag

SIDE = 300
XY = np.array([(70.0, 80.0), (220.3, 90.6), (80.2, 220.9), (215.0, 214.0)])
SIGMA = 0.02
COLUMNS = ("gm_rpet", "gm_r50", "gm_snr", "gm_ell", "gm_racen", "gm_deccen")


def _sky():
    """Return four galaxies in noise, in nanojansky, (SIDE, SIDE) float64."""
    image = noise((SIDE, SIDE), SIGMA).astype(np.float64)
    for number, (x, y) in enumerate(XY):
        image += sersic((SIDE, SIDE), x, y, re=4.0 + number, q=1.0 - 0.15 * number, theta=0.5, flux=150.0)
    return image


def _header(**cards):
    header = fits.Header({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 150.0, "CRVAL2": 2.0})
    header.update(CRPIX1=150.5, CRPIX2=150.5, CDELT1=-0.1 / 3600, CDELT2=0.1 / 3600)
    header.update(cards)
    return header


SKY = _sky()


@pytest.fixture(scope="module")
def catalog():
    ra = 150.0 - (XY[:, 0] - 149.5) * 0.1 / 3600 / np.cos(np.radians(2.0))
    return Table({"ra": ra, "dec": 2.0 + (XY[:, 1] - 149.5) * 0.1 / 3600})


@pytest.fixture(scope="module")
def plain(catalog):
    return galmorph.measure(catalog, (SKY.astype(np.float32), _header(BUNIT="nJy")))


@pytest.fixture(scope="module")
def weighted(catalog):
    return galmorph.measure(catalog, (SKY, _header()), rms=(np.full((SIDE, SIDE), SIGMA), _header()))


@pytest.fixture(scope="module")
def holed(catalog):
    return galmorph.measure(catalog, (_holed(np.nan), _header()))


def _same(result, expected, rows=slice(None), rel=2e-4):
    for name in COLUMNS:
        assert np.asarray(result[name][rows]) == pytest.approx(np.asarray(expected[name][rows]), rel=rel, abs=2e-4)
    assert result["gm_flags"][rows].tolist() == expected["gm_flags"][rows].tolist()


@pytest.fixture
def write(tmp_path):
    def written(data, name="image.fits", **cards):
        fits.writeto(tmp_path / name, data, _header(**cards))
        return tmp_path / name

    return written


# --- units ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("factor", "cards"),
    [
        (1e-9, {"BUNIT": "Jy"}),
        (1e-3 / 0.01, {"BUNIT": "uJy/arcsec2"}),
        (1e-32, {"BUNIT": "erg/s/cm2/Hz"}),
        (1e-23, {"BUNIT": "erg/s/cm2/A"}),
        (1e30, {}),
    ],
    ids=str,
)
@pytest.mark.parametrize("role", [None, "rms", "weight", "variance"])
def test_any_unit_gives_the_same_measurements(catalog, plain, weighted, write, factor, cards, role):
    maps = {"rms": SIGMA * factor, "weight": (SIGMA * factor) ** -2.0, "variance": (SIGMA * factor) ** 2}
    full = np.ones((SIDE, SIDE))
    given = {} if role is None else {role: write(full * maps[role], "map.fits")}
    _same(galmorph.measure(catalog, write(SKY * factor, **cards), **given), plain if role is None else weighted)


def test_asinh_pixels_of_ps1_are_measured_in_flux(catalog, plain, write):
    offset, softening = 0.01, 0.05
    stored = 2.5 / np.log(10) * np.arcsinh((SKY - offset) / (2 * softening))
    _same(galmorph.measure(catalog, write(stored, BSOFTEN=softening, BOFFSET=offset)), plain, rel=1e-3)


# --- no data -------------------------------------------------------------------------------------------------------


def _holed(value):
    """Put a value where the first galaxy has its wing, and outside a footprint that cuts the second galaxy."""
    image = SKY.copy()
    image[60:75, 72:80] = value
    image[:, 226:] = value
    return image


@pytest.mark.parametrize("value", [0.0, -999.0, -32768.0, 1e30, -1e30, np.inf, -np.inf])
def test_any_value_for_no_data_is_measured_as_nan_is(catalog, holed, write, value):
    result = galmorph.measure(catalog, write(_holed(value)))
    assert [bool(flags & Flag.MASKED_PIXELS) for flags in holed["gm_flags"]] == [True, True, False, True]
    _same(result, holed)


def test_blank_integers_are_measured_as_nan_is(catalog, tmp_path):
    hole = np.isnan(_holed(np.nan))
    stored = np.where(hole, -32768, np.round(SKY / 1e-3)).astype(np.int16)
    expected = galmorph.measure(catalog, (np.where(hole, np.nan, stored * 1e-3), _header()))
    hdu = fits.PrimaryHDU(stored, _header())
    hdu.header.update(BSCALE=1e-3, BZERO=0.0, BLANK=-32768)
    hdu.writeto(tmp_path / "a.fits")
    _same(galmorph.measure(catalog, tmp_path / "a.fits"), expected)


# --- files ---------------------------------------------------------------------------------------------------------


def test_chips_of_one_file_give_every_row_its_values(catalog, plain, tmp_path):
    hdus = [fits.PrimaryHDU()]
    for version, (y0, y1) in enumerate(((0, 160), (150, SIDE)), start=1):
        hdu = fits.ImageHDU(SKY[y0:y1].astype(np.float32), _header(CRPIX2=150.5 - y0), name="SCI")
        hdu.header["EXTVER"] = version
        hdus.append(hdu)
    fits.HDUList(hdus).writeto(tmp_path / "x_flc.fits")
    result = galmorph.measure(catalog, tmp_path / "x_flc.fits")
    # Other blocks and edges give another sky, to its error.
    for name, rel in (("gm_rpet", 0.05), ("gm_r50", 0.03)):
        assert np.asarray(result[name]) == pytest.approx(np.asarray(plain[name]), rel=rel)
    alone = galmorph.measure(catalog[2:], f"{tmp_path / 'x_flc.fits'}[SCI,2]")
    _same(alone, result[2:])


@pytest.mark.parametrize(
    "cards",
    [
        {"RADESYS": "GAIADR2"},
        {"RADESYS": "fk5"},
        {"CUNIT1": "degree", "CUNIT2": "degree"},
        {"PC001001": 1.0, "PC002002": 1.0},
    ],
    ids=str,
)
def test_odd_headers_give_the_same_values(catalog, plain, write, cards):
    _same(galmorph.measure(catalog, write(SKY.astype(np.float32), **cards)), plain)


def test_planes_of_a_cube_give_their_values(catalog, plain, tmp_path):
    cube = np.stack([np.zeros_like(SKY), SKY, -SKY]).astype(np.float32)
    fits.writeto(tmp_path / "cube.fits", cube, _header(BANDS="grz"))
    result = galmorph.measure(catalog, tmp_path / "cube.fits", survey="sdss", band="r")
    assert np.asarray(result["gm_r50"]) == pytest.approx(np.asarray(plain["gm_r50"]), rel=0.05)


@pytest.mark.parametrize("dtype", [np.int64, np.uint64, np.int32, np.float64])
def test_labels_of_any_width_give_the_same_values(catalog, tmp_path, dtype):
    """Labels that are identifiers of a catalogue do not fit in 32 bits."""
    labels = np.zeros((SIDE, SIDE), np.int64)
    rows, columns = np.indices(labels.shape)
    for number, (x, y) in enumerate(XY):
        labels[np.hypot(columns - x, rows - y) < 20] = number + 1
    fits.writeto(tmp_path / "small.fits", labels.astype(np.int16), _header())
    identifiers = np.where(labels > 0, labels + (0 if dtype == np.int32 else 2**40), 0).astype(dtype)
    fits.writeto(tmp_path / "wide.fits", identifiers, _header())
    image = (SKY.astype(np.float32), _header())
    expected = galmorph.measure(catalog, image, segmentation=tmp_path / "small.fits")
    _same(galmorph.measure(catalog, image, segmentation=tmp_path / "wide.fits"), expected)


@pytest.mark.parametrize("where", [(0, 0), (150, 150), (299, 299)])
def test_a_map_that_holds_fractions_is_refused_before_work(catalog, tmp_path, where):
    labels = np.zeros((SIDE, SIDE), np.float32)
    labels[where] = 0.5
    fits.writeto(tmp_path / "seg.fits", labels, _header())
    with pytest.raises(ImageError, match="holds values that are no labels: expected whole numbers"):
        galmorph.measure(catalog, (SKY, _header()), segmentation=tmp_path / "seg.fits")
