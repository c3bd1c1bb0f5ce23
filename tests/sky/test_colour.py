"""Colour: the stretch of Lupton et al. (2004) and its inverse."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from galmorph.sky.colour import compose, linear_intensity, scaled_sum
from galmorph.sky.survey import load_survey

SDSS = load_survey("sdss").colour
LEGACY = load_survey("legacy").colour

faint = arrays(np.float32, (3, 4, 5), elements=st.floats(0, 0.125, width=32))
any_flux = arrays(np.float32, (3, 4, 5), elements=st.floats(-1024, 1024, width=32))


@given(faint)
@pytest.mark.parametrize("params", [SDSS, LEGACY], ids=["sdss", "legacy"])
def test_composing_and_undoing_is_the_identity_where_nothing_is_cut(params, bands):
    picture = compose(bands, params)
    uncut = picture.max(axis=0) < 1
    assert np.allclose(linear_intensity(picture, params)[uncut], scaled_sum(bands, params)[uncut], rtol=1e-4, atol=1e-5)
    if bands.max() < 0.02:
        assert uncut.all()


@given(any_flux)
@pytest.mark.parametrize("params", [SDSS, LEGACY], ids=["sdss", "legacy"])
def test_a_picture_lies_between_0_and_1(params, bands):
    picture = compose(bands, params)
    assert picture.dtype == np.float32
    assert picture.shape == bands.shape
    assert picture.min() >= 0
    assert picture.max() <= 1


@given(arrays(np.float32, (3, 2, 2), elements=st.floats(0.125, 1024, width=32)))
def test_bright_pixels_keep_their_colour(bands):
    picture = compose(bands, SDSS)
    scaled = bands * np.array(SDSS.scales, np.float32)[:, None, None]
    assert np.allclose(picture[0] * scaled[1], picture[1] * scaled[0], rtol=1e-4)


def test_cutting_each_channel_whitens_bright_pixels():
    bands = np.array([1000, 1000, 500], np.float32).reshape(3, 1, 1)
    cut = compose(bands, replace(SDSS, clip="channel"))
    kept = compose(bands, SDSS)
    assert np.all(cut == 1)
    assert kept.max() == 1
    assert kept.min() == pytest.approx(1.25 / 1.82, rel=1e-5)


def test_an_empty_sky_is_shown_at_the_origin():
    sky = np.zeros((3, 2, 2), np.float32)
    assert np.all(compose(sky, SDSS) == 0)
    # m = 0.03 of the viewer, times asinh(Q m) / (sqrt(Q) m) with Q = 20
    assert np.allclose(compose(sky, LEGACY), np.arcsinh(0.6) / np.sqrt(20), rtol=1e-3)


def test_legacy_pictures_follow_the_formula_of_the_viewer():
    z, r, g = bands = np.array([0.03, 0.02, 0.01], np.float32).reshape(3, 1, 1)
    level, q = 0.03, 20
    channels = np.array([2.2 * z + level, 3.4 * r + level, 6.0 * g + level])
    mean = channels.mean(axis=0)
    assert np.allclose(compose(bands, LEGACY), channels * np.arcsinh(q * mean) / (np.sqrt(q) * mean), rtol=1e-3)


def test_nan_in_one_band_is_nan_in_all_channels_of_that_pixel_alone():
    bands = np.full((3, 2, 2), 0.02, np.float32)
    bands[1, 0, 1] = np.nan
    picture = compose(bands, SDSS)
    assert np.isnan(picture[:, 0, 1]).all()
    assert np.isfinite(picture[:, [0, 1, 1], [0, 0, 1]]).all()


def test_the_sky_of_composed_frames_is_as_noisy_as_that_of_skyserver_stamps(shared_data):
    """Mean of the green channel, which registration does not smooth: negative noise is cut at 0.

    30 %: the frames are of one run, the stamps of all, and the seeing of the sky differs by that much.
    """
    stamps = shared_data / "sdss_gz2" / "images.zip"
    composed = compose(np.stack([_corner(shared_data, band) for band in "irg"]), SDSS)[1].mean()
    composed *= 0.028 / 0.0327  # typical noise of r frames over that of this one, nanomaggies
    assert composed == pytest.approx(np.median(list(_border_means(stamps, 120))), rel=0.3)


def _corner(folder, band):
    image = fits.getdata(folder / "sdss_griz" / f"sdss_{band}.fits")[:40].astype(np.float32)
    return image - np.median(image)


def _border_means(path, count):
    pil = pytest.importorskip("PIL.Image")
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist()[:: len(archive.namelist()) // count]:
            with pil.open(io.BytesIO(archive.read(name))) as picture:
                green = np.asarray(picture)[..., 1] / 255
            border = np.concatenate([green[:8].ravel(), green[-8:].ravel()])
            yield border[border < np.median(border) + 3 * border.std()].mean()
