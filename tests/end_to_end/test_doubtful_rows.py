"""Rows that something is wrong with: each comes back, in its place, with a flag that says why."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import small_sky
from astropy.io import fits
from astropy.table import Table

from galmorph import classify
from galmorph.flags import Flag, flag_names
from galmorph.sky.catalog import read_catalog

H = {"survey": "candels", "band": "H"}


def flags_of(table, row: int) -> set[str]:
    return set(flag_names(table["gm_flags"][row]))


def is_blank(table, row: int) -> bool:
    chances = [n for n in table.colnames if n.startswith("gm_p_")]
    empty = all(np.isnan(table[n][row]) for n in [*chances, "gm_conf"])
    return empty and table["gm_class"][row] == "" and table["gm_model"][row] == ""


def test_a_sound_catalogue_is_classified_without_doubt(classified, tmp_path):
    done = classified(tmp_path / "out.fits")
    assert (done.status, done.out) == (0, f"{tmp_path / 'out.fits'}\n")
    table = read_catalog(tmp_path / "out.fits").table
    assert len(table) == len(small_sky.XY)
    assert (table["gm_flags"] == 0).all()
    assert np.isfinite(table["gm_conf"]).all()
    assert f"{len(table)} rows" in done.err
    assert "flags: none" in done.err
    assert list(tmp_path.iterdir()) == [tmp_path / "out.fits"]


def test_impossible_positions_are_flagged_and_blank(classified, tmp_path):
    made = small_sky.table()
    made["ra"][1], made["dec"][2], made["dec"][4] = np.nan, 95.0, np.inf
    small_sky.write_table(made, tmp_path / "cat.fits")
    done = classified(tmp_path / "out.fits", catalog=tmp_path / "cat.fits")
    assert done.status == 0
    table = read_catalog(tmp_path / "out.fits").table
    for row in (1, 2, 4):
        assert flags_of(table, row) == {"NO_POSITION"}
        assert is_blank(table, row)
        assert np.isnan(table["gm_racen"][row])
    assert (table["gm_flags"][[0, 3, 5, 6]] == 0).all()
    assert not any(is_blank(table, row) for row in (0, 3, 5, 6))
    assert "3 of 7 rows: the catalogue gives no valid position" in done.err


def test_rows_off_the_image_are_flagged_and_those_on_its_edge_are_classified(classified, tmp_path):
    xy = np.array([(-30.0, 50.0), (120.0, 120.0), (-0.4, 100.0), (239.4, 239.4), (120.0, 400.0), (-0.6, 100.0)])
    small_sky.write_table(small_sky.table(xy), tmp_path / "cat.fits")
    assert classified(tmp_path / "out.fits", catalog=tmp_path / "cat.fits").status == 0
    table = read_catalog(tmp_path / "out.fits").table
    for row in (0, 4, 5):
        assert flags_of(table, row) == {"NO_IMAGE"}
        assert is_blank(table, row)
    for row in (2, 3):
        assert "OFF_EDGE" in flags_of(table, row)
        assert not is_blank(table, row)
    assert table["gm_flags"][1] == 0


def test_the_far_side_of_the_sky_is_off_the_image(classified, tmp_path):
    made = small_sky.table()
    made["ra"][0], made["dec"][0] = 35.0, -52.9
    small_sky.write_table(made, tmp_path / "cat.fits")
    assert classified(tmp_path / "out.fits", catalog=tmp_path / "cat.fits").status == 0
    assert flags_of(read_catalog(tmp_path / "out.fits").table, 0) == {"NO_IMAGE"}


@pytest.fixture
def damaged(tmp_path, h_checkpoint):
    """Classify the small sky after its pixels or weights were changed."""

    def classify_damaged(change) -> Table:
        image, weight = small_sky.field(), np.full((small_sky.SIDE,) * 2, small_sky.SIGMA**-2, np.float32)
        change(image, weight)
        fits.writeto(tmp_path / "image.fits", image, small_sky.header())
        fits.writeto(tmp_path / "weight.fits", weight, small_sky.header())
        return classify(
            small_sky.table(),
            tmp_path / "image.fits",
            weight=tmp_path / "weight.fits",
            checkpoint=h_checkpoint,
            **H,
        )

    return classify_damaged


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_bad_pixel_in_a_galaxy_is_flagged_and_the_galaxy_still_classified(damaged, value):
    def change(image, _):
        image[121:123, 122] = value

    table = damaged(change)
    assert flags_of(table, 2) - {"ZERO_WEIGHT"} == {"MASKED_PIXELS"}  # what is not there has no weight either
    assert not is_blank(table, 2)
    assert (np.delete(table["gm_flags"], 2) == 0).all()


def test_a_galaxy_without_any_pixels_has_no_image(damaged):
    def change(image, _):
        image[90:150, 90:150] = np.nan

    table = damaged(change)
    assert flags_of(table, 2) == {"NO_IMAGE", "MASKED_PIXELS"}
    assert is_blank(table, 2)


def test_zero_weight_is_flagged_in_part_and_no_image_as_a_whole(damaged):
    def change(_, weight):
        weight[119:121, 124:126] = 0.0
        weight[30:80, 20:60] = 0.0

    table = damaged(change)
    assert flags_of(table, 2) == {"ZERO_WEIGHT"}
    assert not is_blank(table, 2)
    assert flags_of(table, 0) == {"NO_IMAGE", "ZERO_WEIGHT"}
    assert is_blank(table, 0)


def test_a_saturated_plateau_is_flagged(damaged):
    def change(image, _):
        image[100:140, 100:140] = np.minimum(image[100:140, 100:140], 0.25)

    table = damaged(change)
    assert flags_of(table, 2) == {"SATURATED"}
    assert not is_blank(table, 2)
    assert (np.delete(table["gm_flags"], 2) == 0).all()


def test_an_image_of_nothing_but_nan_leaves_every_row_without_image(damaged):
    table = damaged(lambda image, _: image.fill(np.nan))
    assert all("NO_IMAGE" in flags_of(table, row) for row in range(len(table)))


def test_an_image_of_one_constant_gives_rows_without_source(damaged):
    table = damaged(lambda image, _: image.fill(1.0))
    assert all("NO_SOURCE" in flags_of(table, row) for row in range(len(table)))
    assert np.isnan(table["gm_rpet"]).all()


def test_another_pixel_scale_than_the_checkpoint_s_is_flagged(galmorph, tmp_path, h_checkpoint):
    fits.writeto(tmp_path / "image.fits", small_sky.field(), small_sky.header(0.03))
    small_sky.write_table(small_sky.table(scale_arcsec=0.03), tmp_path / "cat.fits")
    done = galmorph(
        *("classify", tmp_path / "cat.fits", "--image", tmp_path / "image.fits", "--survey", "candels", "--band", "H"),
        *("--checkpoint", h_checkpoint, "-o", tmp_path / "out.fits"),
    )
    assert done.status == 0
    table = read_catalog(tmp_path / "out.fits").table
    assert (table["gm_flags"] & int(Flag.SCALE_MISMATCH)).all()
    assert "7 of 7 rows: pixel scale 0.03 arcsec, checkpoint 'untaught' was trained at 0.06" in done.err


def test_another_band_than_the_checkpoint_s_is_flagged(galmorph, sky, tmp_path, h_checkpoint):
    asked = [*sky.inputs, "--checkpoint", h_checkpoint, "-o", tmp_path / "out.fits", "--overwrite"]
    done = galmorph("classify", *asked, "--survey", "candels", "--band", "J")
    assert done.status == 0
    assert (read_catalog(tmp_path / "out.fits").table["gm_flags"] == int(Flag.BAND_MISMATCH)).all()
    assert "band candels F125W, checkpoint 'untaught' was trained on candels F160W" in done.err


@pytest.mark.parametrize("named", [True, False])
def test_a_header_that_names_another_filter_is_flagged(galmorph, sky, tmp_path, h_checkpoint, named):
    fits.writeto(tmp_path / "image.fits", small_sky.field(), small_sky.header(filter_name="F125W"))
    done = galmorph(
        *("classify", sky.catalog, "--image", tmp_path / "image.fits", "--checkpoint", h_checkpoint),
        *("-o", tmp_path / "out.fits", *(("--survey", "candels", "--band", "H") if named else ())),
    )
    assert done.status == 0
    table = read_catalog(tmp_path / "out.fits").table
    assert all("BAND_MISMATCH" in flags_of(table, row) for row in range(len(table)))
    assert "header says F125W" in done.err


def test_signal_to_noise_below_the_training_range_is_flagged(sky):
    """Galaxies that are seen better than those of the training are not."""
    made = small_sky.checkpoint(snr=(200.0, 250.0))
    table = classify(sky.catalog, sky.image, checkpoint=made, **H)
    outside = (table["gm_flags"] & int(Flag.OUT_OF_ENVELOPE)) != 0
    assert outside.any()
    np.testing.assert_array_equal(outside, np.asarray(table["gm_snr"]) < 200.0)


@pytest.mark.parametrize("ending", [".fits", ".vot", ".ecsv", ".csv", ".parquet"])
@pytest.mark.parametrize("rows", [0, 1])
def test_no_row_and_one_row_are_catalogues_too(classified, tmp_path, ending, rows):
    path = small_sky.write_table(small_sky.table()[:rows], tmp_path / f"cat{ending}")
    done = classified(tmp_path / f"out{ending}", catalog=path)
    assert done.status == 0, done.err
    table = read_catalog(tmp_path / f"out{ending}").table
    assert len(table) == rows
    assert "gm_p_spheroid" in table.colnames
    assert ("the catalogue has no rows" in done.err) == (rows == 0)


def test_columns_have_the_same_types_whatever_the_values(classified, tmp_path):
    lost = small_sky.table()
    lost["ra"] = np.nan
    kinds = []
    for name, made in (("whole", small_sky.table()), ("none", small_sky.table()[:0]), ("lost", lost)):
        path = small_sky.write_table(made, tmp_path / f"{name}.fits")
        assert classified(tmp_path / f"{name}_out.fits", catalog=path).status == 0
        columns = fits.getdata(tmp_path / f"{name}_out.fits", 1).columns
        kinds.append({c.name: c.format.lstrip("0123456789") for c in columns if c.name.startswith("gm_")})
    assert kinds[0] == kinds[1] == kinds[2]
    assert len(kinds[0]) == 17
    assert {kinds[0][n] for n in ("gm_class", "gm_conf", "gm_racen", "gm_flags")} == {"A", "E", "D", "J"}


def test_pixel_positions_serve_where_the_image_has_no_wcs(galmorph, tmp_path, h_checkpoint):
    fits.writeto(tmp_path / "image.fits", small_sky.field())
    made = small_sky.table()
    made["col"], made["row"] = small_sky.XY[:, 0] + 0.2, small_sky.XY[:, 1]
    small_sky.write_table(made, tmp_path / "cat.fits")
    done = galmorph(
        *("classify", tmp_path / "cat.fits", "--image", tmp_path / "image.fits", "--survey", "candels", "--band", "H"),
        *("--checkpoint", h_checkpoint, "-o", tmp_path / "out.fits", "--x", "col", "--y", "row"),
    )
    assert done.status == 0, done.err
    table = read_catalog(tmp_path / "out.fits").table
    assert "gm_racen" not in table.colnames
    assert str(table["gm_x"].unit) == str(table["gm_rpet"].unit) == "pix"
    offset = np.hypot(table["gm_x"] - small_sky.XY[:, 0], table["gm_y"] - small_sky.XY[:, 1])
    assert offset.max() < 0.1
    assert np.isfinite(table["gm_conf"]).all()


def test_pixel_positions_also_serve_where_it_has_one(galmorph, sky, tmp_path, h_checkpoint):
    made = Table({"x": small_sky.XY[:, 0], "y": small_sky.XY[:, 1]})
    made.write(tmp_path / "cat.csv", format="ascii.csv")
    done = galmorph(
        *("classify", tmp_path / "cat.csv", "--image", sky.image, "--survey", "candels", "--band", "H"),
        *("--checkpoint", h_checkpoint, "-o", tmp_path / "out.csv"),
    )
    assert done.status == 0, done.err
    table = read_catalog(tmp_path / "out.csv").table
    ra, dec = small_sky.sky_of(small_sky.XY)
    assert np.hypot((table["gm_racen"] - ra) * np.cos(np.radians(dec)), table["gm_deccen"] - dec).max() * 3600 < 0.006


def test_every_flag_that_a_row_may_carry_is_counted_once_in_the_log(sky, h_checkpoint, caplog):
    made = small_sky.table()
    made["ra"][:2] = np.nan
    made["dec"][3] = 0.0
    with caplog.at_level(logging.WARNING, logger="galmorph"):
        classify(made, sky.image, checkpoint=h_checkpoint, **H)
    assert [r.getMessage() for r in caplog.records] == [
        "2 of 7 rows: the catalogue gives no valid position",
        "1 of 7 rows: no image covers the position",
    ]
