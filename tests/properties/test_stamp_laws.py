"""Laws of measuring and warping: what may change a measurement, and what must not."""

from __future__ import annotations

import numpy as np
import torch
from galaxies import galaxy, noise, sersic
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from galmorph.flags import Flag
from galmorph.nets.batch_warp import batch_warp
from galmorph.stamps.affine import compose, stamp_matrix, turn
from galmorph.stamps.cutting import make_views
from galmorph.stamps.filling import fill
from galmorph.stamps.measure import measure
from galmorph.stamps.recipe import Recipe
from galmorph.stamps.views import ONE
from galmorph.stamps.warp import sample, subsamples, warp

few = settings(max_examples=25, deadline=None)
SIZE = 97

profiles = st.fixed_dictionaries(
    {
        "re": st.floats(3.0, 6.0),
        "n": st.floats(0.5, 2.5),
        "q": st.floats(0.3, 1.0),
        "theta": st.floats(0.0, np.pi),
        "flux": st.floats(3000.0, 30000.0),
        "seed": st.integers(0, 1000),
    }
)
shifts = st.integers(-6, 6)
subpixel = st.floats(-0.5, 0.5)
turns = st.builds(
    turn,
    st.floats(-4.0, 4.0),
    flip=st.booleans(),
    zoom=st.floats(0.7, 1.4),
    shift=st.tuples(st.floats(-0.3, 0.3), st.floats(-0.3, 0.3)),
)


@few
@given(profiles, shifts, shifts)
def test_the_measurement_follows_a_whole_pixel_shift(profile, dx, dy):
    image = galaxy(SIZE + 16, **profile)
    one = measure(image[8:-8, 8:-8], 48, 48)
    window = image[8 - dy : 8 - dy + SIZE, 8 - dx : 8 - dx + SIZE]
    other = measure(window, 48 + dx, 48 + dy)
    # The sky is that of a slightly different frame: the radius may move by a part of its error.
    assert np.hypot(other.x - one.x - dx, other.y - one.y - dy) < 0.3 * one.position_err_px + 1e-3
    assert abs(other.rpet_px - one.rpet_px) < one.rpet_err_px + 0.02 * one.rpet_px


@few
@given(profiles, subpixel, subpixel)
def test_the_centroid_follows_a_subpixel_shift(profile, dx, dy):
    smooth = {k: v for k, v in profile.items() if k != "seed"}
    smooth["q"] = max(smooth["q"], 0.5)  # thinner ones are not resolved without a point-spread function
    sky = noise((SIZE, SIZE), 0.1, profile["seed"])
    one = measure(sersic((SIZE, SIZE), 48, 48, **smooth) + sky, 48, 48)
    other = measure(sersic((SIZE, SIZE), 48 + dx, 48 + dy, **smooth) + sky, 48, 48)
    # Windows of whole pixels follow a cusp only one pixel thin to 0.03 px, a resolved one to a thousandth.
    assert np.hypot(other.x - one.x - dx, other.y - one.y - dy) < 0.06


@few
@given(profiles, st.integers(-8, 8))
def test_neither_the_radius_nor_the_centroid_depends_on_the_flux_scale(profile, power):
    image = galaxy(SIZE, **profile)
    one, other = measure(image, 48, 48), measure(image * np.float32(3.0**power), 48, 48)
    assert np.isclose(other.rpet_px, one.rpet_px, rtol=1e-4)
    assert np.isclose(other.rpet_err_px, one.rpet_err_px, rtol=1e-3)
    assert np.isclose(other.snr, one.snr, rtol=1e-4)
    assert np.allclose((other.x, other.y), (one.x, one.y), atol=1e-3)
    assert np.isclose(other.flux, one.flux * 3.0**power, rtol=1e-4)


@few
@given(profiles, st.floats(-2000.0, 2000.0))
def test_a_constant_sky_changes_nothing(profile, sky):
    image = galaxy(SIZE, **profile)
    one, other = measure(image, 48, 48), measure(image + np.float32(sky), 48, 48)
    # Single precision keeps 1e-3 of a sigma at a level of 2000.
    assert np.isclose(other.rpet_px, one.rpet_px, rtol=2e-3)
    assert np.allclose((other.x, other.y), (one.x, one.y), atol=5e-3)
    # A pixel more or less in a false peak of the noise changes its estimate by half a per cent.
    assert np.isclose(other.snr, one.snr, rtol=1e-2)
    assert np.isclose(other.sky_level - one.sky_level, sky, atol=2e-3)


@few
@given(profiles, st.integers(1, 3), st.booleans())
def test_quarter_turns_and_flips_turn_the_centroid_and_keep_the_radius(profile, quarters, flip):
    image = galaxy(SIZE, 49.0, 47.2, **profile)
    turned = np.rot90(image[:, ::-1] if flip else image, quarters).copy()
    one, other = measure(image, 48, 48), measure(turned, 48, 48)
    x, y = (SIZE - 1 - one.x if flip else one.x), one.y
    for _ in range(quarters):
        x, y = y, SIZE - 1 - x
    # Detection scans row by row, so the start of the centroid may differ in its last digits.
    assert np.hypot(other.x - x, other.y - y) < 0.02
    assert np.isclose(other.rpet_px, one.rpet_px, rtol=0.01)


@few
@given(
    hnp.arrays(np.float32, st.tuples(st.integers(1, 40), st.integers(1, 40)), elements=st.floats(width=32)),
    st.floats(-10, 50),
    st.floats(-10, 50),
    st.sampled_from(["fill", "keep"]),
    st.sampled_from(["asinh", "display"]),
)
def test_stamps_are_finite_and_of_fixed_size_whatever_the_pixels(image, x, y, neighbours, stretch):
    # Beyond 1e30 sums of squares of single-precision numbers are infinite; no unit needs them.
    image = np.where(np.abs(image) > 1e30, np.float32(np.nan), image)
    recipe = Recipe(size=16, neighbours=neighbours, stretch=stretch)
    stamp = make_views(image[None], measure(image, x, y), recipe, ONE.matrices, x=x, y=y)
    assert stamp.pixels.shape == (1, 1, 16, 16)
    assert np.isfinite(stamp.pixels).all()
    assert np.isfinite(stamp.brightness)
    assert stamp.brightness > 0


@few
@given(profiles, st.integers(0, 2**31))
def test_the_same_seed_gives_the_same_stamp(profile, seed):
    image = galaxy(SIZE, **profile) + sersic((SIZE, SIZE), 75, 70, re=3, flux=3000.0)
    recipe = Recipe(size=24)
    one, again = (
        make_views(image[None], measure(image, 48, 48), recipe, ONE.matrices, x=48, y=48, seed=seed) for _ in range(2)
    )
    assert np.array_equal(one.pixels, again.pixels)
    assert one.brightness == again.brightness


@few
@given(profiles, st.integers(0, 2**31), st.integers(0, 100))
def test_filling_leaves_good_pixels_alone_and_replaces_the_others(profile, seed, pattern):
    image = galaxy(SIZE, **profile)
    found = measure(image, 48, 48)
    bad = np.random.default_rng(pattern).random((SIZE, SIZE)) < 0.2
    spoilt = np.where(bad, np.float32(1e6), image)
    filled, centre = spoilt.copy(), (np.nan_to_num(found.x, nan=48.0), np.nan_to_num(found.y, nan=48.0))
    fill(filled[None], bad, found.segmentation.labels, centre, found.segmentation.correlation_px, seed)
    assert np.array_equal(filled[~bad], image[~bad])
    assert np.abs(filled[bad]).max() < 2.0 * np.abs(image).max() + 10
    assert np.isfinite(filled).all()


@few
@given(profiles)
def test_the_object_itself_is_never_its_own_neighbour(profile):
    image = galaxy(SIZE, **profile) + sersic((SIZE, SIZE), 66, 60, re=3, flux=4000.0)
    found = measure(image, 48, 48)
    if Flag.NO_SOURCE not in found.flags:
        labels = found.segmentation.labels
        assert not found.neighbours[labels == labels[round(found.y), round(found.x)]].any()


# Warps


@few
@given(turns, turns, turns)
def test_composition_is_associative_and_has_an_identity(a, b, c):
    assert np.allclose(compose(compose(a, b), c), compose(a, compose(b, c)))
    assert np.allclose(compose(a, turn()), a)
    assert np.allclose(compose(turn(), a), a)


@few
@given(turns)
def test_every_view_can_be_undone(view):
    square = np.vstack([view, [0, 0, 1]])
    assert np.allclose(compose(view, np.linalg.inv(square)[:2]), turn(), atol=1e-9)


@few
@given(turns)
def test_one_warp_of_composed_views_is_close_to_two_warps(view):
    image = sersic((129, 129), 66, 62, re=12.0, n=0.7, q=0.6, theta=0.4)[None]
    whole = stamp_matrix(64, 64, 64.5)
    once = warp(image, compose(whole, view), 129)[0]
    twice = warp(warp(image, whole, 129), compose(whole, view), 129)[0]
    assert np.abs(once - twice).max() < 1e-4 * image.max()


@few
@given(st.integers(0, 1000), st.floats(-3, 3), st.floats(-3, 3))
def test_a_warp_is_linear_in_the_pixels(seed, a, b):
    one, other = noise((1, 40, 40), seed=seed), noise((1, 40, 40), seed=seed + 1)
    matrix = compose(stamp_matrix(20.3, 18.9, 11.0), turn(0.6, zoom=1.1))
    together = warp((a * one + b * other).astype(np.float32), matrix, 20)
    assert np.allclose(together, a * warp(one, matrix, 20) + b * warp(other, matrix, 20), atol=1e-4)


@few
@given(turns, st.integers(0, 1000), st.floats(9.0, 16.0))
def test_the_batched_warp_of_training_is_the_warp_of_classifying(view, seed, half):
    image = ndimage.gaussian_filter(noise((1, 80, 72), seed=seed), (0, 1, 1)) * np.float32(4)
    size = 24
    matrix = compose(stamp_matrix(36.0, 40.0, half), view)
    points = subsamples(matrix, size)
    one = sample(image, matrix, size, points)
    coefficients = ndimage.spline_filter(image[0], order=3, mode="mirror", output=np.float64)
    other = batch_warp(torch.from_numpy(coefficients)[None, None], torch.from_numpy(matrix)[None], size, points)
    assert np.allclose(one, other[0].numpy(), atol=1e-5)
    # An upright view is classified by the exact means instead; this noise is sharper than galaxies are (0.4 % at worst
    # of 1 500 random views).
    assert np.abs(warp(image, matrix, size) - one).max() < 6e-3 * np.abs(image).max()
