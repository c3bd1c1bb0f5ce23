"""Thresholds: each flag that a run sets, just below and just above the number that decides."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
import small_sky
from plans import plan_of

from galmorph.flags import Flag
from galmorph.nets.checkpoint.embedding import Embedding
from galmorph.runs import gather as module
from galmorph.runs.gather import Galaxy, gather
from galmorph.runs.mismatch import mark_mismatches
from galmorph.runs.parts import _mark_off_edge
from galmorph.runs.results import Results
from galmorph.stamps.recipe import half_width_px


def below(value: float) -> float:
    return float(np.nextafter(value, -np.inf))


def above(value: float) -> float:
    return float(np.nextafter(value, np.inf))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    sky = small_sky.write_sky(tmp_path_factory.mktemp("sky"))
    plan = plan_of(sky.catalog, sky.image, survey="candels", band="H", checkpoint=small_sky.checkpoint(), device="cpu")
    with closing(plan):
        yield plan.run


@pytest.fixture(scope="module")
def galaxy(run) -> Galaxy:
    """Measure the galaxy in the middle of the field, whose cutout is clipped nowhere."""
    return next(g for g in gather(run.gathering, np.array([2])))


def marked(run, flag: Flag, *, envelope: dict | None = None, **values: list[float]) -> list[bool]:
    """Tell which rows with these values are flagged as unlike the checkpoint's images."""
    results = Results.empty(len(next(iter(values.values()))), 5)
    results.conditional[:] = 0.2
    results.scale_arcsec[:], results.rpet_px[:], results.snr[:] = 0.06, 10.0, 50.0
    for name, column in values.items():
        getattr(results, name)[:] = column
    checkpoint = replace(run.checkpoint, envelope=replace(run.checkpoint.envelope, **(envelope or {})))
    mark_mismatches(results, checkpoint, run.images)
    return ((results.flags & int(flag)) != 0).tolist()


def test_a_scale_differs_by_more_than_a_tenth(run):
    scales = 0.06 * np.array([0.8999, 0.9001, 1.0999, 1.1001])
    assert marked(run, Flag.SCALE_MISMATCH, scale_arcsec=list(scales)) == [True, False, False, True]


def test_the_limits_of_a_range_lie_inside_and_better_images_too(run):
    limits = [below(10.0), 10.0, 90.0, above(90.0)]
    expected = [True, False, False, False]
    assert marked(run, Flag.OUT_OF_ENVELOPE, snr=limits, envelope={"snr": (10.0, 90.0)}) == expected
    assert marked(run, Flag.OUT_OF_ENVELOPE, rpet_px=limits, envelope={"rpet_px": (10.0, 90.0)}) == expected


def test_widths_are_counted_in_full_widths_of_the_point_spread_function(run):
    """2 and 7 widths of .17 arcsec are 5.667 and 19.833 pixels of .06 arcsec."""
    radii = np.array([2, 2, 7, 7]) * 0.17 / 0.06 * [0.9999, 1.0001, 0.9999, 1.0001]
    assert run.images.band.psf_fwhm_arcsec == 0.17
    expected = [True, False, False, True]
    assert marked(run, Flag.OUT_OF_ENVELOPE, rpet_px=list(radii), envelope={"rpet_psf": (2.0, 7.0)}) == expected


def test_a_stamp_at_the_limit_of_distances_is_usual(run):
    embedding = Embedding(np.zeros(2, np.float32), np.eye(2, dtype=np.float32), np.ones(3, np.float32), 5.0, 0.01)
    distances = [below(5.0), 5.0, above(5.0), np.nan]
    found = marked(run, Flag.OUT_OF_ENVELOPE, distance=distances, envelope={"embedding": embedding})
    assert found == [False, False, True, False]


@pytest.mark.parametrize("side", ["left", "right", "bottom", "top"])
def test_a_stamp_may_reach_to_the_rim_of_the_edge_s_pixels(run, galaxy, side):
    """Pixels reach half a pixel beyond their centres; only a side at which the tile ends counts."""
    edge = ["left", "right", "bottom", "top"].index(side)
    clipped = tuple(n == edge for n in range(4))
    height, width = galaxy.cutout.shape
    reach = half_width_px(galaxy.measured, run.recipe)
    at = {"left": reach - 0.5, "right": width - 0.5 - reach, "bottom": reach - 0.5, "top": height - 0.5 - reach}[side]
    axis, outwards = "xxyy"[edge], -1 if side in {"left", "bottom"} else 1
    for step, expected in ((-1e-9, False), (1e-9, True)):
        measured = replace(galaxy.measured, **{axis: at + outwards * step})
        one = replace(galaxy, measured=measured, cutout=replace(galaxy.cutout, clipped=clipped))
        inner = replace(one, cutout=replace(galaxy.cutout, clipped=(False,) * 4))
        results = run.blank(2)
        _mark_off_edge(results, run, [(0, one), (1, inner)])
        assert results.flags.tolist() == [int(Flag.OFF_EDGE) if expected else 0, 0]


@pytest.mark.parametrize(("pixels", "blank"), [(40, Flag.MASKED_PIXELS), (41, Flag(0))])
def test_a_position_needs_data_in_half_of_the_pixels_about_it(galaxy, pixels, blank):
    """Of the 9 x 9 pixels 40.5."""
    detection = np.full(galaxy.cutout.shape, np.nan, np.float32)
    row, column = round(galaxy.cutout.y) - 4, round(galaxy.cutout.x) - 4
    near = np.full(81, np.nan, np.float32)
    near[:pixels] = 0.0
    detection[row : row + 9, column : column + 9] = near.reshape(9, 9)
    assert module._blank(replace(galaxy.cutout, detection=detection)) == blank


@pytest.mark.parametrize(("pixels", "blank"), [(40, Flag.ZERO_WEIGHT), (41, Flag(0))])
def test_a_position_needs_weight_in_half_of_the_pixels_about_it(galaxy, pixels, blank):
    weight = np.zeros(galaxy.cutout.shape, np.float32)
    row, column = round(galaxy.cutout.y) - 4, round(galaxy.cutout.x) - 4
    weight[row : row + 9, column : column + 9] = (np.arange(81) < pixels).reshape(9, 9)
    assert module._blank(replace(galaxy.cutout, weight=weight)) == blank


def test_a_cutout_is_wide_enough_for_so_many_radii_and_no_fewer(galaxy):
    at = replace(galaxy.measured, rpet_px=64.0 / 3.0)
    assert not module._fits(at, 64, 3.0)
    assert module._fits(replace(at, rpet_px=below(64.0 / 3.0)), 64, 3.0)
    hidden = replace(at, rpet_px=np.nan, extent_px=64.0 / 3.0)
    assert not module._fits(hidden, 64, 3.0)
    assert module._fits(replace(hidden, extent_px=below(64.0 / 3.0)), 64, 3.0)
    assert module._fits(replace(at, flags=Flag.NO_SOURCE), 64, 3.0)
