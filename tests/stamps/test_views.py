"""Sets of views: what is written is what is seen, and pixels are resampled once."""

from __future__ import annotations

import math

import numpy as np
import pytest
from galaxies import galaxy
from hypothesis import given
from hypothesis import strategies as st

from galmorph.errors import PipelineError
from galmorph.stamps.affine import turn
from galmorph.stamps.cutting import make_views
from galmorph.stamps.measure import measure
from galmorph.stamps.recipe import Recipe
from galmorph.stamps.views import ONE, Views, reach_of, read_views


@pytest.mark.parametrize(
    ("name", "count", "distinct"), [("one", 1, 1), ("turns2", 2, 2), ("turns4", 4, 4), ("turns8", 8, 8)]
)
def test_named_sets_are_what_they_say(name, count, distinct):
    """Oblique angles all differ, by more than quarter turns."""
    views = read_views(name)
    assert (len(views), len(views.matrices)) == (count, count)
    assert len(views.distinct[0]) == distinct


def test_dieleman_averages_over_sixty_views():
    """10 rotations, zooms of 1/1.2, 1 and 1.2, mirrored or not; five of the ten angles are new."""
    views = read_views("dieleman60")
    assert len(views) == 60
    assert sorted({round(np.sqrt(abs(np.linalg.det(m[:, :2]))), 6) for m in views.matrices}) == [0.833333, 1.0, 1.2]
    assert {np.sign(np.linalg.det(m[:, :2])) for m in views.matrices} == {-1.0, 1.0}
    seen, shares = views.distinct
    assert len(seen) == 15
    np.testing.assert_allclose(shares, 1 / 15)


def test_a_written_set_has_every_combination():
    """Angles, zooms, shifts, mirror images and further maps multiply."""
    text = "angles = [10, 20], zooms = [1, 1.1], shifts = [[0, 0], [0.1, -0.1], [0, 0.2]], flip = true"
    views = read_views(text)
    assert len(views.matrices) == len(views) == 24
    np.testing.assert_allclose(views.matrices[0], turn(math.radians(10.0)))
    sheared = read_views("matrices = [[1, 0.2, 0, 1]]").matrices
    np.testing.assert_allclose(sheared, [[[1, 0.2, 0], [0, 1, 0]]])


def test_one_view_is_the_stamp_itself():
    """The default set changes nothing."""
    np.testing.assert_array_equal(ONE.matrices, [[[1, 0, 0], [0, 1, 0]]])
    assert reach_of(ONE.matrices) == 1.0
    assert Recipe().views == "one"
    assert read_views("one") == ONE


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("turn8", "did you mean 'turns8'"),
        ("angle = 8", "did you mean 'angles'"),
        ("angles = 0", "a number from 1"),
        ("angles = true", "a number from 1"),
        ("angles = [", "cannot be read"),
        ("zooms = [0]", "zooms"),
        ("zooms = []", "zooms"),
        ("shifts = [0, 1]", "pairs"),
        ("flip = 1", "true or false"),
        ("matrices = [[1, 1, 1, 1]]", "matrices"),
        ("angles = 4000000000", "at most 1024"),
        ("angles = [nan]", "a list of degrees"),
    ],
)
def test_a_wrong_text_is_refused_in_one_line(text, words):
    """The message says what was given and what is expected; a recipe refuses it too."""
    for read in (read_views, lambda t: Recipe(views=t)):
        with pytest.raises(PipelineError, match=words) as caught:
            read(text)
        assert "\n" not in str(caught.value)


@given(st.floats(0, 360), st.floats(0.5, 2.0), st.integers(0, 3), st.booleans())
def test_quarter_turns_and_flips_make_no_new_view(angle, zoom, quarter, flip):
    """A view and its turned or mirrored stamp count as one, with the share of both."""
    views = Views((angle, angle + 90.0 * quarter), (zoom,), flip=flip)
    seen, shares = views.distinct
    mirrored = flip and len(seen) == 2  # the mirror image of an oblique angle is another angle
    assert len(seen) == 1 + mirrored
    assert shares.sum() == pytest.approx(1.0)


def test_views_are_made_from_the_pixels_and_agree_with_single_stamps():
    """The upright view is the plain stamp to what its wider field changes; a quarter turn is the turned stamp."""
    image = galaxy(97, flux=4000.0)
    found = measure(image, 48, 48)
    recipe = Recipe(size=32, neighbours="keep")
    plain = make_views(image[None], found, recipe, ONE.matrices, x=48, y=48)
    matrices = read_views("angles = [0, 90, 30]").matrices
    made = make_views(image[None], found, recipe, matrices, x=48, y=48)
    peak = plain.pixels.max()
    assert made.pixels.shape == (3, 1, 32, 32)
    assert made.brightness == plain.brightness
    np.testing.assert_allclose(made.pixels[0], plain.pixels[0], atol=1e-5 * peak)
    np.testing.assert_allclose(np.rot90(made.pixels[1], -1, (-2, -1)), plain.pixels[0], atol=1e-5 * peak)
    assert np.abs(made.pixels[2] - plain.pixels).max() > 0.01 * peak
