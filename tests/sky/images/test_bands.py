"""Three bands as one colour source: same grid, other grids, other units, weights."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from galmorph.sky.colour import compose, scaled_sum
from galmorph.sky.images import open_images
from galmorph.sky.survey import load_survey

SDSS = load_survey("sdss")
SCALE_DEG = 0.396 / 3600
SHAPE = (120, 130)


def _header(crpix=(65.5, 60.5), scale=1.0, **cards):
    header = fits.Header({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 150.0, "CRVAL2": 2.0})
    header["CRPIX1"], header["CRPIX2"] = crpix
    header["CDELT1"], header["CDELT2"] = -SCALE_DEG * scale, SCALE_DEG * scale
    header.update(cards)
    return header


def _galaxy(shape, x, y, sigma=6.0, flux=1.0):
    yy, xx = np.mgrid[: shape[0], : shape[1]]
    return (flux * np.exp(-((xx - x) ** 2 + (yy - y) ** 2) / (2 * sigma**2))).astype(np.float32)


def _write(folder, band, image, header):
    path = folder / f"{band}.fits"
    fits.PrimaryHDU(image, header).writeto(path, overwrite=True)
    return path


def _three(folder, **changed):
    """Write the same galaxy in three bands; `changed` replaces (image, header) of a band."""
    usual = {
        band: (_galaxy(SHAPE, 64.5, 59.5, flux=f), _header()) for band, f in zip("gri", (0.5, 1, 1.5), strict=True)
    }
    return {band: _write(folder, band, *pair) for band, pair in (usual | changed).items()}


def _cutout(paths, x=64.5, y=59.5, half=40, **settings):
    source = open_images(paths, survey=SDSS, band="gri", **settings)
    cutout = source.cutout(0, x, y, half)
    source.close()
    return cutout


def test_bands_on_one_grid_are_stacked_and_composed(tmp_path):
    paths = _three(tmp_path)
    cutout = _cutout(paths, x=50.2, y=61.9, half=45)
    window = np.s_[17:108, 5:96]
    bands = np.stack([fits.getdata(paths[b])[window] for b in "irg"]).astype(np.float32)
    assert cutout.origin == (5, 17)
    assert (cutout.x, cutout.y) == pytest.approx((45.2, 44.9))
    assert np.allclose(cutout.planes, compose(bands, SDSS.colour), atol=1e-4)
    assert np.allclose(cutout.detection, scaled_sum(bands, SDSS.colour), atol=1e-3)
    assert cutout.planes.shape == (3, 91, 91)
    assert cutout.weight is None


def test_the_sky_of_each_band_is_subtracted(tmp_path):
    plain = _cutout(_three(tmp_path))
    raised = _three(
        tmp_path,
        g=(_galaxy(SHAPE, 64.5, 59.5, flux=0.5) + 3, _header()),
        i=(_galaxy(SHAPE, 64.5, 59.5, flux=1.5) - 2, _header()),
    )
    assert np.allclose(_cutout(raised).planes, plain.planes, atol=1e-4)


def test_shifted_and_rotated_grids_are_brought_together(tmp_path):
    shifted = (_galaxy(SHAPE, 71.8, 52.1, flux=0.5), _header(crpix=(72.8, 53.1)))
    turned = _header(PC1_1=0.8, PC1_2=0.6, PC2_1=-0.6, PC2_2=0.8)
    expected = _cutout(_three(tmp_path))
    found = _cutout(_three(tmp_path, g=shifted, i=(_galaxy(SHAPE, 64.5, 59.5, flux=1.5), turned)), half=25)
    inner = np.s_[:, 15:-15, 15:-15]
    assert found.planes.shape == (3, 51, 51)
    # interpolation of a Gaussian of sigma 6 px, and a sky measured in a smaller window
    assert np.allclose(found.planes, expected.planes[inner], atol=0.02)


def test_surface_brightness_is_kept_between_pixel_scales_and_units(tmp_path):
    coarse = _galaxy((60, 65), 32.0, 29.5, sigma=3, flux=0.5) * 4
    microjansky = _galaxy(SHAPE, 64.5, 59.5, flux=1.5) * np.float32(3.631)
    plain = _cutout(_three(tmp_path))
    changed = _three(
        tmp_path,
        g=(coarse, _header(crpix=(33, 30.5), scale=2, BUNIT="nanomaggy")),
        i=(microjansky, _header(BUNIT="uJy")),
    )
    assert np.allclose(_cutout(changed).planes, plain.planes, atol=0.03)


def test_pixels_that_one_band_lacks_are_nan_and_have_no_weight(tmp_path):
    half_frame = (_galaxy((120, 60), 64.5, 59.5), _header())
    hole = _galaxy(SHAPE, 64.5, 59.5)
    hole[60, 64] = np.nan
    paths = _three(tmp_path, g=half_frame, i=(hole, _header()))
    weights = {}
    for band in "gri":
        shape = fits.getdata(paths[band]).shape
        weights[band] = _write(tmp_path, f"{band}_wht", np.ones(shape, np.float32), _header())
    cutout = _cutout(paths, weight=weights)
    lacks = np.isnan(cutout.planes).any(axis=0)
    columns = np.arange(81) + cutout.origin[0]
    assert lacks[:, columns > 60].all()
    assert not lacks[:, columns < 59].any()
    assert np.array_equal(np.isnan(cutout.detection), lacks)
    assert np.all(cutout.weight[lacks] == 0)
    assert np.all(cutout.weight[:, columns < 59] > 0)


def test_a_band_that_is_elsewhere_on_the_sky_is_nan(tmp_path):
    far = _header(CRVAL2=12.0)
    cutout = _cutout(_three(tmp_path, g=(_galaxy(SHAPE, 64.5, 59.5), far)))
    assert np.isnan(cutout.planes).all()


def test_weights_add_up_as_variances_of_the_scaled_sum(tmp_path):
    paths = _three(tmp_path)
    rms = {
        b: _write(tmp_path, f"{b}_rms", np.full(SHAPE, s, np.float32), _header())
        for b, s in zip("irg", (1, 2, 3), strict=True)
    }
    i, r, g = SDSS.colour.scales
    expected = 1 / (i**2 + 4 * r**2 + 9 * g**2)
    assert np.allclose(_cutout(paths, rms=rms).weight, expected, rtol=1e-5)


def test_three_bands_of_several_tiles_find_each_other(tmp_path):
    for number, crval in enumerate((150.0, 150.5)):
        for band, flux in zip("gri", (0.5, 1, 1.5), strict=True):
            folder = tmp_path / band
            folder.mkdir(exist_ok=True)
            order = number if band == "r" else 1 - number
            _write(folder, f"{order}", _galaxy(SHAPE, 64.5, 59.5, flux=flux + number), _header(CRVAL1=crval))
    source = open_images({band: tmp_path / band for band in "gri"}, survey=SDSS, band="RGB")
    assert source._same_grid == [[1, 0], [0, 1], [1, 0]]
    located = source.locate([150.0, 150.5, 151.0], [2.0, 2.0, 2.0])
    assert located.tile.tolist() == [0, 1, -1]
    first, second = (source.cutout(t, 64.5, 59.5, 40).detection.max() for t in (0, 1))
    assert second - first == pytest.approx(sum(SDSS.colour.scales), rel=0.02)
    source.close()


def test_the_filter_is_told_only_where_it_is_not_what_was_asked(tmp_path):
    def named(**filters):
        pairs = {b: (_galaxy(SHAPE, 60, 60), _header(FILTER=f)) for b, f in filters.items()}
        source = open_images(_three(tmp_path, **pairs), survey=SDSS, band="RGB")
        source.close()
        return source.filter_name()

    assert named() is None
    assert named(g="g", r="r", i="i") is None
    assert named(g="r", r="g", i="i") == "i,g,r"


def test_real_sdss_frames_make_a_picture_of_a_yellow_galaxy(shared_data, tmp_path):
    """The frames are cut out alike, but their headers still place the uncut frames: so without WCS."""
    for band in "gri":
        image = fits.getdata(shared_data / "sdss_griz" / f"sdss_{band}.fits")
        fits.PrimaryHDU(image).writeto(tmp_path / f"{band}.fits")
    cutout = _cutout({band: tmp_path / f"{band}.fits" for band in "gri"}, x=122, y=120, half=100)
    assert cutout.planes.min() == 0
    assert 0.7 < cutout.planes.max() <= 1
    red, green, blue = np.median(cutout.planes[:, 90:112, 90:112], axis=(1, 2))
    assert red > green > blue > 0.05
    assert np.median(cutout.planes[:, :30]) < 0.05
    assert cutout.detection[90:112, 90:112].mean() > 10 * cutout.detection[:30].std()


def test_real_sdss_frames_with_their_own_wcs_are_read(shared_data):
    paths = {band: shared_data / "sdss_griz" / f"sdss_{band}.fits" for band in "gri"}
    source = open_images(paths, survey=SDSS, band="RGB")
    assert source.scale_arcsec == pytest.approx(0.396, rel=1e-3)
    assert source.filter_name() is None
    assert np.isfinite(source.cutout(0, 120, 120, 60).planes).all()
    source.close()
