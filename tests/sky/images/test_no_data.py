"""Values that stand for no data: found where they are, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from scipy import ndimage
from small_sky import light

from galmorph.errors import ImageError
from galmorph.sky.images import open_images
from galmorph.sky.images.no_data import PixelSample, factor_of, no_data_values, sample_of

SHAPE = (120, 150)


def _noise(seed=1, sigma=1.0, shape=SHAPE):
    return np.random.default_rng(seed).normal(0.0, sigma, shape).astype(np.float32)


def _values(image):
    return no_data_values(PixelSample((np.asarray(image),)))


def _with(image, value, where):
    changed = image.copy()
    changed[where] = value
    return changed


def _quantised_sky():
    """Return a galaxy on a sky of correlated noise and few values, as stamps hold that were pictures before."""
    sky = ndimage.gaussian_filter(_noise(3), 1.2)
    sky /= sky.std()
    return np.where(sky < 1, np.round(sky), sky + 300 * light(SHAPE, 60, 60, 9.0)).astype(np.float32)


STRIP = np.s_[:30]
CORNER = np.add.outer(np.arange(120), np.arange(150)) < 60
SINGLE = (np.random.default_rng(7).integers(0, 120, 40), np.random.default_rng(8).integers(0, 150, 40))


# --- what is no data -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", [STRIP, CORNER, np.s_[40:60, 50:90]], ids=["strip", "corner", "hole"])
@pytest.mark.parametrize("value", [0.0, -999.0, -99.0, -32768.0, 1e30, -1e30, 65535.0, 1.5])
def test_constants_outside_a_footprint_are_no_data(value, where):
    assert _values(_with(_noise(), value, where)) == (np.float32(value),)


@pytest.mark.parametrize("value", [-999.0, -32768.0, 1e30, -1e30])
def test_scattered_sentinels_are_no_data(value):
    assert _values(_with(_noise(), value, SINGLE)) == (np.float32(value),)


def test_zeros_in_a_bright_sky_are_no_data():
    assert _values(_with(_noise() + 500.0, 0.0, CORNER)) == (0.0,)


def test_two_values_may_both_stand_for_no_data():
    assert _values(_with(_with(_noise(), 0.0, STRIP), -999.0, np.s_[60:80])) == (-999.0, 0.0)


def test_sentinels_among_whole_numbers_are_no_data():
    counts = np.random.default_rng(2).poisson(40.0, SHAPE).astype(np.float32)
    assert _values(_with(counts, 0.0, STRIP)) == (0.0,)
    assert _values(_with(counts, -32768.0, SINGLE)) == (-32768.0,)


# --- what is light -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "image",
    [
        _noise(),
        _with(_noise(), 0.0, (np.array([3, 70]), np.array([9, 11]))),  # chance
        np.random.default_rng(2).poisson(0.05, SHAPE).astype(np.float32),  # most pixels are 0
        np.random.default_rng(2).poisson(40.0, SHAPE).astype(np.float32),
        np.zeros(SHAPE, np.float32),
        np.full(SHAPE, np.nan, np.float32),
        np.ones((1, 1), np.float32),
        np.minimum(_noise() + 3000 * light(SHAPE, 60, 60, 3.0), 500.0),  # saturated at 500
        light(SHAPE, 75, 60, 4.0).astype(np.float32),  # a mock without noise
        np.maximum(light(SHAPE, 75, 60, 4.0) - 0.01, 0.0).astype(np.float32),  # with a sky of exactly 0
        np.round(_noise(), 1),  # written to few digits
        _quantised_sky(),
    ],
    ids=[
        "noise",
        "chance",
        "few counts",
        "counts",
        "constant",
        "nothing",
        "one pixel",
        "saturated",
        "mock",
        "sky of 0",
        "digits",
        "quantised sky",
    ],
)
def test_light_is_no_sentinel(image):
    assert _values(image) == ()


# --- where it is looked for ----------------------------------------------------------------------------------------


def test_a_large_plane_is_sampled_from_its_first_row_to_its_last():
    shape = (40_000, 60)
    rows = []

    def read(y0, y1):
        rows.append((y0, y1))
        return np.full((y1 - y0, shape[1]), float(y0))

    sample = sample_of(read, shape)
    assert (rows[0][0], rows[-1][1]) == (0, shape[0])
    assert sum(strip.size for strip in sample.strips) <= 1 << 18
    assert min(y1 - y0 for y0, y1 in rows) == 4


def test_rows_that_cannot_be_read_are_left_out():
    def read(y0, _):
        if y0 == 0:
            raise ImageError("damaged")
        return np.ones((10, 10))

    assert sample_of(read, (200, 10)).values.size == 100


@pytest.mark.parametrize(
    ("size", "expected"), [(1.0, 1.0), (1e-11, 1.0), (1e11, 1.0), (2.0**-70, 2.0**70), (2.0**80, 2.0**-80)]
)
def test_pixels_far_from_one_are_brought_near_it(size, expected):
    assert factor_of(PixelSample((np.full((3, 3), size),))) == expected


# --- what becomes of them ------------------------------------------------------------------------------------------


def _detection(path, **planes):
    source = open_images(path, **planes)
    cutout = source.cutout(0, 75, 60, 200)
    remarks = source.remarks
    source.close()
    return cutout, remarks


def test_pixels_without_data_are_nan_and_said(tmp_path):
    image = _noise()
    fits.writeto(tmp_path / "a.fits", _with(image, -999.0, CORNER))
    cutout, remarks = _detection(tmp_path / "a.fits")
    assert np.array_equal(cutout.detection, _with(image, np.nan, CORNER), equal_nan=True)
    assert remarks == ("pixels of exactly -999 are taken as no data",)


def test_blank_and_scaled_integers_have_no_data_where_they_say(tmp_path):
    stored = np.round(_noise(sigma=100.0)).astype(np.int16)
    stored[CORNER] = -32768
    for card in ({"BLANK": -32768}, {}):
        header = fits.Header({"BSCALE": 0.5, "BZERO": 100.0, **card})
        hdu = fits.PrimaryHDU(header=header)
        hdu.data = stored
        hdu.header.update(header)
        hdu.writeto(tmp_path / "a.fits", overwrite=True)
        cutout, _ = _detection(tmp_path / "a.fits")
        assert np.array_equal(
            cutout.detection, _with((stored * 0.5 + 100).astype(np.float32), np.nan, CORNER), equal_nan=True
        )


@pytest.mark.parametrize("plane", ["image", "weight", "rms", "variance"])
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_infinities_in_any_plane_are_no_data(tmp_path, plane, value):
    planes = {"image": _noise(), "weight": np.ones(SHAPE, np.float32)}
    planes["rms"] = planes["variance"] = planes["weight"]
    other = "weight" if plane == "image" else plane
    for name in {"image", other}:
        fits.writeto(
            tmp_path / f"{name}.fits", _with(planes[name], value, np.s_[60, 75]) if name == plane else planes[name]
        )
    cutout, _ = _detection(tmp_path / "image.fits", **{other: tmp_path / f"{other}.fits"})
    assert cutout.weight[60, 75] == 0
    assert (cutout.weight == 0).sum() == 1
    assert np.isnan(cutout.detection[60, 75]) == (plane == "image")


@pytest.mark.parametrize("role", ["weight", "rms", "variance"])
@pytest.mark.parametrize("unit", [1e-23, 1.0, 1e25])
def test_inverse_variances_stay_in_single_precision_whatever_the_unit(tmp_path, role, unit):
    image = _noise().astype(np.float64) * 2 * unit
    sigma = 2 * unit
    stored = {"weight": sigma**-2.0, "rms": sigma, "variance": sigma**2.0}[role]
    fits.writeto(tmp_path / "image.fits", image)
    fits.writeto(tmp_path / "map.fits", np.full(SHAPE, stored))
    cutout, _ = _detection(tmp_path / "image.fits", **{role: tmp_path / "map.fits"})
    # In units of the noise all are the same image.
    assert cutout.detection * np.sqrt(cutout.weight) == pytest.approx(image / sigma, rel=1e-5, abs=1e-5)
