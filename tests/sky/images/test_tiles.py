"""Images of one band: windows, positions, tiles, weights, bad files."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from galmorph.errors import GalmorphError, ImageError, SurveyError
from galmorph.sky.images import open_images
from galmorph.sky.survey import load_survey

SCALE_DEG = 0.06 / 3600
CORNER = st.floats(-0.49, 0.49)


def _header(shape, ra=150.0, dec=2.0, **cards):
    header = fits.Header()
    for axis, (kind, value, step) in enumerate((("RA---TAN", ra, -SCALE_DEG), ("DEC--TAN", dec, SCALE_DEG)), start=1):
        header[f"CTYPE{axis}"] = kind
        header[f"CRVAL{axis}"] = value
        header[f"CRPIX{axis}"] = (shape[2 - axis] + 1) / 2
        header[f"CDELT{axis}"] = step
        header[f"CUNIT{axis}"] = "deg"
    header.update(cards)
    return header


def _write(path, data, header=None, **cards):
    header = _header(data.shape[-2:], **cards) if header is None else header
    fits.PrimaryHDU(data, header).writeto(path, overwrite=True)
    return path


def _ramp(shape=(40, 60), dtype=np.float32):
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def _message(*args, **kwargs):
    with pytest.raises(GalmorphError) as caught:
        open_images(*args, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(scope="module")
def ramp_source(tmp_path_factory):
    source = open_images(_write(tmp_path_factory.mktemp("ramp") / "ramp.fits", _ramp()))
    yield source
    source.close()


@given(x=st.floats(-0.49, 59.49), y=st.floats(-0.49, 39.49), half=st.integers(0, 70))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_cutout_equals_a_slice(ramp_source, x, y, half):
    cutout = ramp_source.cutout(0, x, y, half)
    column, row = int(np.floor(x + 0.5)), int(np.floor(y + 0.5))
    x0, y0 = max(column - half, 0), max(row - half, 0)
    assert np.array_equal(cutout.detection, _ramp()[y0 : row + half + 1, x0 : column + half + 1])
    assert cutout.planes.shape == (1, *cutout.shape)
    assert cutout.origin == (x0, y0)
    assert (cutout.x + x0, cutout.y + y0) == pytest.approx((x, y), abs=1e-9)
    assert cutout.clipped == (column < half, column + half > 59, row < half, row + half > 39)
    assert cutout.scale_arcsec == pytest.approx(0.06, rel=1e-6)
    assert cutout.weight is None


@given(x=st.floats(-0.49, 59.49), y=st.floats(-0.49, 39.49))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_locating_undoes_the_way_to_the_sky(ramp_source, x, y):
    ra, dec = ramp_source.sky(0, x, y)
    located = ramp_source.locate(ra, dec)
    assert located.tile[0] == 0
    assert located.x[0] == pytest.approx(x, abs=1e-6)
    assert located.y[0] == pytest.approx(y, abs=1e-6)


def test_positions_agree_with_astropy(ramp_source):
    wcs = WCS(_header((40, 60)))
    ra, dec = wcs.pixel_to_world_values([0, 59, 30.5], [0, 39, 7])
    located = ramp_source.locate(ra, dec)
    assert np.allclose(located.x, [0, 59, 30.5], atol=1e-6)
    assert np.allclose(located.y, [0, 39, 7], atol=1e-6)


def test_positions_outside_unknown_and_impossible_are_on_no_tile(ramp_source):
    ra, dec = ramp_source.sky(0, [-0.6, 30, 30, 59.6], [20, -0.6, 20, 20])
    ra = np.append(ra, [np.nan, 150.0, 150.0, 330.0])
    dec = np.append(dec, [2.0, np.nan, 95.0, -2.0])
    located = ramp_source.locate(ra, dec)
    assert located.tile.tolist() == [-1, -1, 0, -1, -1, -1, -1, -1]
    assert np.isnan(located.x[located.tile < 0]).all()
    assert located.tile.dtype == np.int32


def test_right_ascension_may_be_given_beyond_360_degrees(ramp_source):
    ra, dec = ramp_source.sky(0, [10.0], [10.0])
    assert ramp_source.locate(ra + 360, dec).x[0] == pytest.approx(10, abs=1e-6)
    assert ramp_source.locate(ra - 360, dec).x[0] == pytest.approx(10, abs=1e-6)


def test_an_image_across_the_pole_and_right_ascension_zero_is_located(tmp_path):
    source = open_images(_write(tmp_path / "pole.fits", _ramp(), header=_header((40, 60), ra=0, dec=89.9999)))
    x, y = np.array([0.0, 59, 0, 59, 30]), np.array([0.0, 0, 39, 39, 20])
    located = source.locate(*source.sky(np.zeros(5, int), x, y))
    assert np.allclose(located.x, x, atol=1e-5)
    assert np.allclose(located.y, y, atol=1e-5)
    source.close()


def test_an_image_in_galactic_coordinates_is_located_in_icrs(tmp_path):
    header = _header((40, 60), ra=121.17, dec=-21.57)
    header["CTYPE1"], header["CTYPE2"] = "GLON-TAN", "GLAT-TAN"
    source = open_images(_write(tmp_path / "m31.fits", _ramp(), header=header))
    ra, dec = source.sky(0, 29.5, 19.5)
    assert (ra[0], dec[0]) == pytest.approx((10.68, 41.27), abs=0.02)
    located = source.locate(ra, dec)
    assert (located.x[0], located.y[0]) == pytest.approx((29.5, 19.5), abs=1e-5)
    source.close()


def test_an_image_with_declination_as_first_axis_is_located(tmp_path):
    header = _header((40, 60))
    for card in ("CTYPE", "CRVAL"):
        header[f"{card}1"], header[f"{card}2"] = header[f"{card}2"], header[f"{card}1"]
    source = open_images(_write(tmp_path / "swapped.fits", _ramp(), header=header))
    ra, dec = source.sky(0, 50.0, 3.0)
    assert dec[0] == pytest.approx(2 - 20.5 * SCALE_DEG, abs=1e-7)
    assert source.locate(ra, dec).x[0] == pytest.approx(50, abs=1e-6)
    source.close()


def test_the_tile_whose_edge_is_farthest_is_chosen(tmp_path):
    left = _write(tmp_path / "a.fits", _ramp(), header=_header((40, 60)))
    right = _write(tmp_path / "b.fits", _ramp(), header=_header((40, 60), CRPIX1=0.5))
    source = open_images([left, right])
    assert source.tile_names == ["a.fits", "b.fits"]
    ra, dec = source.sky(np.zeros(3, int), [20, 40, 50], [20, 20, 20])
    located = source.locate(ra, dec)
    assert located.tile.tolist() == [0, 0, 1]
    assert np.allclose(located.x, [20, 40, 20], atol=1e-6)
    source.close()


@pytest.mark.parametrize("empty", ["weight", "nan"])
def test_a_tile_without_data_at_the_position_loses(tmp_path, empty):
    image, weight = _ramp(), np.ones((40, 60), np.float32)
    if empty == "weight":
        weight[18:23, 38:43] = 0
    else:
        image[18:23, 38:43] = np.nan
    images = [
        _write(tmp_path / "a_sci.fits", image),
        _write(tmp_path / "b_sci.fits", _ramp(), header=_header((40, 60), CRPIX1=0.5)),
    ]
    weights = [
        _write(tmp_path / "a_wht.fits", weight),
        _write(tmp_path / "b_wht.fits", np.ones((40, 60), np.float32), header=_header((40, 60), CRPIX1=0.5)),
    ]
    source = open_images(images, weight=weights if empty == "weight" else ())
    located = source.locate(*source.sky([0, 0], [40.0, 35.0], [20.0, 20.0]))
    assert located.tile.tolist() == [1, 0]
    assert source.cutout(0, 40, 20, 1).weight is None or not source.cutout(0, 40, 20, 1).weight.any()
    source.close()


def test_more_tiles_than_stay_open_are_read_right(tmp_path):
    for number in range(20):
        _write(tmp_path / f"t{number:02}.fits", _ramp() + 10000 * number, ra=150.0 + number)
    source = open_images(tmp_path)
    for number in (*range(20), 0, 7):
        assert source.cutout(number, 0, 0, 0).detection[0, 0] == 10000 * number
    source.close()


@pytest.mark.parametrize(
    ("dtype", "cards"),
    [
        ("f4", {}),
        ("f8", {}),
        ("i2", {}),
        ("i4", {}),
        ("u2", {}),
        ("u1", {}),
        ("i2", {"BSCALE": 0.5, "BZERO": 3.0}),
    ],
)
def test_every_kind_of_number_becomes_native_float32(tmp_path, dtype, cards):
    stored = _ramp((8, 9), dtype)
    hdu = fits.PrimaryHDU(stored, _header((8, 9)))
    hdu.header.update(cards)
    path = tmp_path / "image.fits"
    hdu.writeto(path)
    source = open_images(path)
    pixels = source.cutout(0, 4, 4, 20).detection
    assert pixels.dtype == np.float32
    assert pixels.dtype.isnative
    assert pixels.flags.c_contiguous
    assert pixels.flags.writeable
    assert np.array_equal(pixels, fits.getdata(path).astype(np.float32))
    source.close()


def test_infinite_blank_and_overflowing_pixels_are_nan(tmp_path):
    image = _ramp((5, 5), "f8")
    image[0, :3] = np.inf, np.nan, 1e300
    source = open_images(_write(tmp_path / "inf.fits", image))
    assert np.isnan(source.cutout(0, 2, 2, 5).detection).sum() == 3
    source.close()
    hdu = fits.PrimaryHDU(_ramp((5, 5), "i2"))
    hdu.header["BLANK"] = 7
    hdu.writeto(tmp_path / "blank.fits")
    source = open_images(tmp_path / "blank.fits")
    assert np.flatnonzero(np.isnan(source.cutout(0, 2, 2, 5).detection)).tolist() == [7]
    source.close()


def test_a_cube_of_one_plane_is_an_image(tmp_path):
    source = open_images(_write(tmp_path / "cube.fits", _ramp()[np.newaxis]))
    assert np.array_equal(source.cutout(0, 30, 20, 100).detection, _ramp())
    assert source.has_wcs
    source.close()


def test_the_sci_extension_goes_before_others_unless_another_is_named(tmp_path):
    path = tmp_path / "multi.fits"
    hdus = [fits.ImageHDU(_ramp() + n, name=name) for n, name in enumerate(("ERR", "SCI", "WHT"))]
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path)
    for (image, hdu), first in (
        ((path, None), 1),
        ((path, "ERR"), 0),
        ((path, 3), 2),
        ((f"{path}[wht]", None), 2),
        ((f"{path}[1]", None), 0),
    ):
        source = open_images(image, hdu=hdu)
        assert source.cutout(0, 0, 0, 0).detection[0, 0] == first
        source.close()
    source = open_images(path, weight=path)
    assert source.cutout(0, 0, 0, 0).weight[0, 0] == 2
    source.close()
    source = open_images(path, rms=f"{path}[WHT]")
    assert source.cutout(0, 0, 0, 0).weight[0, 0] == 0.25
    source.close()


def test_cards_of_the_primary_header_count_for_the_extension(tmp_path):
    primary = fits.PrimaryHDU()
    primary.header["FILTER"], primary.header["PHOTFNU"] = "F160W", 1e-7
    fits.HDUList([primary, fits.ImageHDU(_ramp(), _header((40, 60)))]).writeto(tmp_path / "drz.fits")
    source = open_images(tmp_path / "drz.fits")
    assert source.filter_name() == "F160W"
    assert source.mjysr_per_unit(0) == pytest.approx(1e-13 / np.radians(SCALE_DEG) ** 2)
    source.close()


def test_weights_are_zero_where_they_or_the_image_have_no_data(tmp_path):
    image, weight = _ramp((3, 3)), np.full((3, 3), 4, np.float32)
    image[0, 0] = np.nan
    weight[1] = 0, np.nan, -1
    sci, wht = _write(tmp_path / "sci.fits", image), _write(tmp_path / "wht.fits", weight)
    expected = np.array([[0, 4, 4], [0, 0, 0], [4, 4, 4]])
    source = open_images(sci, weight=[wht])
    assert np.array_equal(source.cutout(0, 1, 1, 1).weight, expected)
    source.close()
    source = open_images(sci, rms=[wht])
    assert np.array_equal(source.cutout(0, 1, 1, 1).weight, expected / 64)
    source.close()


def test_leftover_distortion_is_ignored_where_the_survey_or_ctype_says_so(tmp_path):
    sip = {"A_ORDER": 2, "B_ORDER": 2, "A_2_0": 1e-3, "B_0_2": 1e-3}
    unannounced = _write(tmp_path / "drz.fits", _ramp(), header=_header((40, 60), **sip))
    announced = _header((40, 60), **sip, CTYPE1="RA---TAN-SIP", CTYPE2="DEC--TAN-SIP")
    flt = _write(tmp_path / "flt.fits", _ramp(), header=announced)
    expected, _ = WCS(_header((40, 60))).pixel_to_world_values(0, 0)
    for path, name, distorted in (
        (unannounced, None, False),
        (flt, None, True),
        (flt, "sdss", True),
        (flt, "candels", False),
    ):
        source = open_images(path, survey=load_survey(name) if name else None)
        offset = abs(source.sky(0, 0, 0)[0][0] - expected) / SCALE_DEG
        assert (offset > 0.5) == distorted
        located = source.locate(*source.sky(0, 10.0, 10.0))
        assert located.x[0] == pytest.approx(10, abs=1e-3)
        source.close()


def test_an_image_without_wcs_serves_pixel_positions_only(tmp_path):
    source = open_images(_write(tmp_path / "bare.fits", _ramp(), header=fits.Header()))
    assert not source.has_wcs
    assert np.isnan(source.scale_arcsec)
    assert np.isnan(source.sky(0, 1, 1)[0]).all()
    with pytest.raises(ImageError, match=r"'bare\.fits' has no celestial WCS.*--x and --y"):
        source.locate([150.0], [2.0])
    located = source.locate_pixels([[3, 4], [-0.5, 39.5], [60, 4], [np.nan, 1]])
    assert located.tile.tolist() == [0, 0, -1, -1]
    assert source.cutout(0, 3, 4, 0).detection[0, 0] == 4 * 60 + 3
    source.close()


def test_pixel_positions_on_several_images_and_file_names_are_refused(tmp_path):
    source = open_images([_write(tmp_path / f"{n}.fits", _ramp(), ra=150.0 + n) for n in range(2)])
    with pytest.raises(ImageError, match="2 images"):
        source.locate_pixels([[1, 1]])
    with pytest.raises(ImageError, match="expected JPEG or PNG"):
        source.locate_files(["a.jpg"])
    source.close()


@pytest.mark.parametrize("position", [(-100, 5), (5, 1000), (np.nan, 5), (np.inf, np.inf)])
def test_a_cutout_wholly_outside_is_an_error(ramp_source, position):
    with pytest.raises(ImageError, match="lies outside"):
        ramp_source.cutout(0, *position, 10)


def test_bad_files_are_explained_in_one_line(tmp_path):
    good = _write(tmp_path / "good.fits", _ramp())
    (tmp_path / "short.fits").write_bytes(good.read_bytes()[:-4000])
    (tmp_path / "header.fits").write_bytes(good.read_bytes()[:1000])
    (tmp_path / "empty.fits").write_bytes(b"")
    (tmp_path / "text.fits").write_text("hello " * 1000)
    fits.BinTableHDU.from_columns([fits.Column("a", "J", array=[1, 2])]).writeto(tmp_path / "table.fits")
    fits.PrimaryHDU(np.zeros((2, 3, 4), np.float32)).writeto(tmp_path / "cube.fits")
    broken = _header((40, 60), CTYPE2="RA---TAN")
    _write(tmp_path / "twice.fits", _ramp(), header=broken)
    assert "is truncated" in _message(tmp_path / "short.fits")
    assert "is truncated" in _message(tmp_path / "header.fits")
    assert "not readable as FITS" in _message(tmp_path / "empty.fits")
    assert "not readable as FITS" in _message(tmp_path / "text.fits")
    assert "no image of two dimensions" in _message(tmp_path / "table.fits")
    assert "no image of two dimensions" in _message(tmp_path / "cube.fits")
    assert "WCS that cannot be understood" in _message(tmp_path / "twice.fits")
    assert "does not exist" in _message(tmp_path / "missing.fits")
    assert "such are 0 PRIMARY" in _message(good, hdu="SCI")
    assert "such are 0 PRIMARY" in _message(good, hdu=5)
    assert "no image was given" in _message([])


@pytest.mark.parametrize(
    ("card", "damage"),
    [
        (b"NAXIS2  =                   60", b"NAXIS2  =                  -60"),
        (b"XTENSION= 'IMAGE   '", b"XTENSION= IMAGE     "),
        (b"NAXIS1  =                   40", b"NAXIS1  =                   4x"),
        (b"BITPIX  =                  -32", b"BITPIX  =                  -31"),
        (b"PCOUNT  =                    0", b"PCOUNT  =           4000000000"),
    ],
)
def test_a_damaged_header_neither_hangs_nor_raises_anything_else(tmp_path, card, damage):
    path = tmp_path / "damaged.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(_ramp((60, 40)), name="SCI")]).writeto(path)
    raw = path.read_bytes()
    assert raw.count(card) == 1
    path.write_bytes(raw.replace(card, damage))
    assert "'damaged.fits'" in _message(path)


@pytest.mark.parametrize(
    ("card", "unquoted"),
    [
        (b"EXTNAME = 'SCI     '", b"EXTNAME = SCI'      "),
        (b"FILTER  = 'F160W   '", b"FILTER  = F160W     "),
        (b"BUNIT   = 'nJy     '", b"BUNIT   = nJy       "),
    ],
)
def test_the_text_of_a_card_without_its_quotes_is_taken(tmp_path, card, unquoted):
    path = tmp_path / "unquoted.fits"
    header = _header((60, 40), FILTER="F160W", BUNIT="nJy")
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(_ramp((60, 40)), header, name="SCI")]).writeto(path)
    raw = path.read_bytes()
    assert raw.count(card) == 1
    path.write_bytes(raw.replace(card, unquoted))
    source = open_images(f"{path}[SCI]" if b"EXTNAME" not in card else path)
    assert source.filter_name() == "F160W"
    assert source.tiles[0].image.cards["BUNIT"] == "nJy"
    source.close()


def test_odd_cards_that_do_not_matter_are_read_without_a_warning(tmp_path):
    path = _write(tmp_path / "odd.fits", _ramp(), header=_header((40, 60), OBSERVER="Jo"))
    path.write_bytes(path.read_bytes().replace(b"OBSERVER= 'Jo      '", b"OBSERVER= 'J\xf6      '"))
    source = open_images(path)
    assert source.cutout(0, 1, 0, 0).detection[0, 0] == 1
    source.close()


def test_a_file_that_lacks_only_its_padding_is_read(tmp_path):
    good = _write(tmp_path / "good.fits", _ramp())
    padding = -(40 * 60 * 4) % 2880
    (tmp_path / "unpadded.fits").write_bytes(good.read_bytes()[:-padding])
    source = open_images(tmp_path / "unpadded.fits")
    assert source.cutout(0, 59, 39, 0).detection[0, 0] == 2399
    source.close()


def test_a_band_that_the_survey_lacks_is_an_error(tmp_path):
    path = _write(tmp_path / "good.fits", _ramp())
    with pytest.raises(SurveyError, match="did you mean 'F160W'"):
        open_images(path, survey=load_survey("candels"), band="F16W")


def test_memory_does_not_grow_with_the_image(tmp_path):
    """Peak resident memory of 2000 windows from a mosaic of 400 MB that is mostly a hole in the file."""
    resource = pytest.importorskip("resource")
    header = _header((10000, 10000))
    header.update(SIMPLE=True, BITPIX=-32, NAXIS=2, NAXIS1=10000, NAXIS2=10000)
    ordered = fits.PrimaryHDU(np.zeros((1, 1), np.float32), header).header
    ordered["NAXIS1"] = ordered["NAXIS2"] = 10000
    path = tmp_path / "big.fits"
    with path.open("wb") as file:
        file.write(ordered.tostring().encode())
        file.truncate(file.tell() + 4 * 10000**2)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    source = open_images(path)
    rng = np.random.default_rng(0)
    total = sum(source.cutout(0, *rng.uniform(0, 9999, 2), 64).detection.sum() for _ in range(2000))
    source.close()
    assert total == 0
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150_000  # kilobytes


def test_the_real_uds_image_covers_its_catalogue(shared_data):
    folder = shared_data / "uds_f115w"
    source = open_images(
        folder / "uds_f115w_sci.fits",
        weight=folder / "uds_f115w_wht.fits",
        survey=load_survey("nircam"),
        band="F115W",
    )
    assert source.is_linear
    assert source.has_edges
    assert source.filter_name() == "F115W"
    assert source.scale_arcsec == pytest.approx(0.04, rel=1e-4)
    # 10 nJy in pixels of 0.04 arcsec
    assert source.mjysr_per_unit(0) == pytest.approx(1e-14 / np.radians(0.04 / 3600) ** 2, rel=1e-4)
    table = Table.read(folder / "uds_photometry.ecsv", format="ascii.commented_header")
    names = {name.lower(): name for name in table.colnames}
    ra, dec = (np.ma.filled(np.ma.asarray(table[names[n]], float), np.nan) for n in ("ra", "dec"))
    located = source.locate(ra, dec)
    assert len(located.tile) == 384
    assert (located.tile[~np.isfinite(ra)] == -1).all()
    assert (located.tile == 0).mean() > 0.95
    row = int(np.flatnonzero(located.tile == 0)[100])
    cutout = source.cutout(0, located.x[row], located.y[row], 20)
    x0, y0 = cutout.origin
    whole = fits.getdata(folder / "uds_f115w_sci.fits")
    assert np.array_equal(cutout.detection, whole[y0 : y0 + cutout.shape[0], x0 : x0 + cutout.shape[1]].astype("f4"))
    assert (cutout.weight > 0).all()
    source.close()


def test_a_folder_gives_science_images_with_their_weights(shared_data):
    source = open_images(shared_data / "uds_f115w", weight=shared_data / "uds_f115w")
    assert source.tile_names == ["uds_f115w_sci.fits"]
    assert source.tiles[0].weight.name == "uds_f115w_wht.fits"
    source.close()


def test_the_real_xdf_image_takes_its_zero_point_from_the_survey(shared_data):
    folder = shared_data / "xdf_f160w"
    source = open_images(
        folder / "xdf_f160w_sci.fits", rms=folder / "xdf_f160w_rms.fits", survey=load_survey("candels"), band="H"
    )
    assert source.filter_name() == "F160W"
    assert source.mjysr_per_unit(0) == pytest.approx(load_survey("candels").band("H").mjysr_per_unit(), rel=1e-4)
    cutout = source.cutout(0, 100, 100, 50)
    rms = fits.getdata(folder / "xdf_f160w_rms.fits")[50:151, 50:151].astype(float)
    assert np.allclose(cutout.weight[rms > 0], 1 / rms[rms > 0] ** 2, rtol=1e-5)
    source.close()


def test_the_simulated_ceers_image_is_in_its_sci_extension(shared_data):
    path = shared_data / "ceers_sim_f150w" / "ceers5_f150w_simulated.fits"
    source = open_images(path, survey=load_survey("nircam"), band="f150w")
    assert source.scale_arcsec == pytest.approx(0.03, rel=1e-4)
    assert source.mjysr_per_unit(0) == pytest.approx(1, rel=1e-6)
    assert source.cutout(0, 500, 500, 10).shape == (21, 21)
    source.close()
