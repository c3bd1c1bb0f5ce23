"""Galaxies of a block, whose values and stamps are made together, beside the same ones made one by one."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest
import small_sky
from plans import plan_of

from galmorph.flags import Flag
from galmorph.runs.block_stamps import block_stamps
from galmorph.runs.gather import pieces, pixel_scale_of, views_of
from galmorph.runs.parts import _mark_off_edge, _off_edge
from galmorph.runs.predictor import ShownStamps
from galmorph.stamps.recipe import Recipe, half_width_px, half_widths_px
from galmorph.stamps.views import read_views

RECIPES = {
    "filled": Recipe(),
    "kept": Recipe(neighbours="keep"),
    "sky outside": Recipe(outside="sky", half_width_rpet=6.0, reference="noise"),
    "fixed": Recipe(half_width_arcsec=2.0),
    "softened": Recipe(softening_mjysr=0.1),
}
VIEWS = (
    "one",
    "angles = [0, 90], flip = true",
    "angles = [0, 180], zooms = [1, 1.3], shifts = [[0.1, -0.2]]",
    "turns2",
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    sky = small_sky.write_sky(tmp_path_factory.mktemp("sky"))
    with closing(plan_of(sky.catalog, sky.image, survey="candels", band="H", network=False)) as plan:
        yield plan.run


@pytest.fixture(scope="module")
def groups(run):
    groups = [group for piece in pieces(run.gathering, np.arange(len(run.catalog))) for group in piece.together]
    assert sum(map(len, groups)) >= 5
    return groups


@pytest.mark.parametrize("views", VIEWS)
@pytest.mark.parametrize("name", RECIPES)
def test_stamps_cut_together_are_those_cut_one_by_one(run, groups, name, views):
    recipe, matrices = RECIPES[name], read_views(views).matrices
    for group in groups:
        together = block_stamps(group, np.arange(len(group)), run.images, recipe, matrices)
        alone = [(k, views_of(group.galaxy(k), run.images, recipe, matrices)) for k in range(len(group))]
        expected = ShownStamps.of(alone, recipe)
        assert together.pixels.tobytes() == expected.pixels.tobytes()
        assert together.morphometry.tobytes() == expected.morphometry.tobytes()
        assert together.rows.tolist() == expected.rows.tolist()


@pytest.mark.parametrize("name", RECIPES)
def test_widths_of_many_are_those_of_each(run, groups, name):
    for group in groups:
        many = half_widths_px(group.values["rpet_px"], group.values["extent_px"], RECIPES[name], group.scales_arcsec)
        each = [half_width_px(g.measured, RECIPES[name], pixel_scale_of(g.cutout, run.images)) for g in group]
        assert many.tolist() == each


def test_places_and_edges_of_many_are_those_of_each(run, groups):
    for group in groups:
        galaxies = list(group)
        assert group.places.tolist() == [[g.cutout.x, g.cutout.y] for g in galaxies]
        assert group.origins.tolist() == [list(g.cutout.origin) for g in galaxies]
        assert group.clipped.tolist() == [list(g.cutout.clipped) for g in galaxies]
        results = run.blank(len(galaxies))
        _mark_off_edge(results, run, list(enumerate(galaxies)))
        assert _off_edge(group, run).tolist() == (results.flags == int(Flag.OFF_EDGE)).tolist()
