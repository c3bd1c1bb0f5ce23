"""Colour: three FITS images composed as the survey's own pictures are."""

from __future__ import annotations

import numpy as np
import pytest
import small_sky
from astropy.io import fits

from galmorph.flags import Flag
from galmorph.sky.catalog import read_catalog

SCALE = 0.396


@pytest.fixture
def colour(galmorph, tmp_path, rgb_checkpoint):
    """Write g, r and i of the small sky, the i band's grid shifted, and classify its rows."""

    def command(shift_px: float = 0.0, *more: object, bands: str = "gri", unweighted: str = ""):
        for band, gain in (("g", 0.6), ("r", 1.0), ("i", 1.3)):
            moved = shift_px if band == "i" else 0.0
            header = small_sky.header(SCALE, band, moved)
            header["BUNIT"] = "nanomaggy"
            pixels = np.roll(small_sky.field(seed=ord(band), gain=gain), (int(moved), int(moved)), (0, 1))
            fits.writeto(tmp_path / f"{band}.fits", pixels, header, overwrite=True)
            weight = np.full(pixels.shape, small_sky.SIGMA**-2, np.float32)
            if band == unweighted:
                weight[118:121, 122:126] = 0.0  # beside the middle of the third galaxy, at (120, 120)
            fits.writeto(tmp_path / f"{band}_w.fits", weight, header, overwrite=True)
        path = tmp_path / "cat.fits"
        if not path.exists():
            small_sky.write_table(small_sky.table(scale_arcsec=SCALE), path)
        images = [f"{b}={tmp_path / b}.fits" for b in "gri"]
        done = galmorph(
            *("classify", path, "--image", *images, "--survey", "sdss", "--band", bands),
            *("--checkpoint", rgb_checkpoint, "-o", tmp_path / "out.fits", "--overwrite", *more),
        )
        assert done.status == 0, done.err
        return read_catalog(tmp_path / "out.fits").table

    return command


def chances(table) -> np.ndarray:
    return np.stack([table[n] for n in table.colnames if n.startswith("gm_p_")], axis=1)


def test_three_bands_on_one_grid_are_classified(colour):
    table = colour()
    assert np.isfinite(chances(table)).all()
    ra, dec = small_sky.sky_of(small_sky.XY, SCALE)
    offset = np.hypot((table["gm_racen"] - ra) * np.cos(np.radians(dec)), table["gm_deccen"] - dec) * 3600
    assert offset.max() < 0.1 * SCALE
    assert not (table["gm_flags"] & int(Flag.BAND_MISMATCH | Flag.SCALE_MISMATCH)).any()


def test_rgb_means_the_survey_s_own_three_bands(colour):
    np.testing.assert_array_equal(chances(colour(bands="RGB")), chances(colour(bands="gri")))


def weights(folder) -> list[str]:
    return ["--weight", *(f"{b}={folder / b}_w.fits" for b in "gri")]


def test_weights_of_three_bands_that_are_the_same_everywhere_change_next_to_nothing(colour, tmp_path):
    np.testing.assert_allclose(chances(colour(0.0, *weights(tmp_path))), chances(colour()), atol=0.02)


@pytest.mark.parametrize("band", ["g", "r", "i"])
def test_weights_of_three_bands_are_used(colour, tmp_path, band):
    """Pixels without weight in any of the bands are missed in the galaxy that they belong to, and in no other."""
    table, plain = (colour(0.0, *weights(tmp_path), unweighted=b) for b in (band, ""))
    missed = (np.asarray(table["gm_flags"]) & int(Flag.ZERO_WEIGHT)) > 0
    assert missed.tolist() == [number == 2 for number in range(len(small_sky.XY))]
    assert not (plain["gm_flags"] & int(Flag.ZERO_WEIGHT)).any()
    assert np.hypot(*(np.subtract(table[n][2], plain[n][2]) * 3600 for n in ("gm_racen", "gm_deccen"))) > 0
    np.testing.assert_allclose(chances(table)[~missed], chances(plain)[~missed], atol=0.02)
    assert not np.array_equal(chances(table)[missed], chances(plain)[missed])


def test_a_band_on_another_grid_is_brought_to_the_first(colour):
    moved, plain = colour(shift_px=7), colour()
    assert np.isfinite(chances(moved)).all()
    # A shift by whole pixels is undone to the last digits, except where the other image ends.
    inside = (small_sky.XY < 190).all(axis=1)
    assert inside.sum() == 5
    np.testing.assert_allclose(chances(moved)[inside], chances(plain)[inside], atol=0.01)


def test_a_band_shifted_by_half_a_pixel_is_interpolated(colour):
    table = colour(shift_px=0.5)
    assert np.isfinite(chances(table)).all()
    assert not (table["gm_flags"] & int(Flag.NO_IMAGE | Flag.FETCH_FAILED)).any()
