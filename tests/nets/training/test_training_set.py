"""Training sets: canvases that hold what stamps need."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
import torch
from galaxies import sersic

from galmorph.nets.training.settings import Augmentation
from galmorph.nets.training.training_set import REACH, CanvasStack, TrainingSet, canvas, canvas_side, star_canvases
from galmorph.stamps.affine import stamp_matrix
from galmorph.stamps.petrosian import petrosian_radius
from galmorph.stamps.profile import radial_profile
from galmorph.stamps.recipe import Recipe, stretch
from galmorph.stamps.warp import warp

RECIPE = Recipe(size=32, gain=2.0)


def upright(canvases: list, recipe: Recipe = RECIPE) -> np.ndarray:
    n = len(canvases)
    part = TrainingSet.build(canvases, tiny.labels(n), recipe)
    return part.stamps(torch.arange(n), None, torch.Generator()).numpy()


@pytest.mark.parametrize("half", [17.0, 24.0, 31.0, 33.0, 60.0, 130.0])
def test_an_upright_training_stamp_is_the_stamp_of_classifying(half):
    image = sersic((401, 401), 200, 200, re=half / 4, q=0.5, theta=0.5, flux=1e4)[None]
    brightness = 3.0
    trained = upright([canvas(image, 200.0, 200.0, half, brightness, RECIPE)])[0]
    pixels = warp(image, stamp_matrix(200.0, 200.0, half), 32)
    classified = stretch(pixels[None], np.full((1, 1, 1, 1), brightness), RECIPE)[0]
    # Half-precision coefficients, two points per stamp pixel whatever the scale, centre to half a raw pixel, which is
    # most just above a scale of two (33): a quarter of a stamp pixel, 0.5 % of the peak on average.
    assert np.abs(trained - classified).max() < 0.05 * classified.max()
    assert np.abs(trained - classified).mean() < 0.008 * classified.max()


def test_training_stamps_of_a_display_image_keep_its_brightness():
    """The network sees the same values in training and in classifying, however bright the brightest pixel is."""
    recipe = Recipe(size=32, planes=3, stretch="display")
    image = np.repeat(sersic((121, 121), 60, 60, re=9, n=0.5)[None], 3, axis=0)
    image *= np.float32(0.6 / image.max())
    trained = upright([canvas(image, 60.0, 60.0, 24.0, 1.0, recipe)], recipe)[0]
    classified = warp(image, stamp_matrix(60.0, 60.0, 24.0), 32)
    assert np.abs(trained - classified).max() < 0.02
    assert trained.max() == pytest.approx(0.6, abs=0.02)


def test_a_canvas_is_large_enough_for_every_random_view():
    recipe = Recipe(size=16)
    corner = np.sqrt(2.0) * 1.25 + 0.1
    assert corner <= REACH
    # Stamp pixels cover one to two canvas pixels: at one, the corner lies size / 2 · corner from the middle.
    assert canvas_side(recipe) / 2 >= recipe.size / 2 * corner


def test_a_canvas_past_the_edge_is_zero_there():
    image = np.ones((1, 40, 40), np.float32)
    made = canvas(image, 0.0, 20.0, 16.0, 1.0, Recipe(size=32))
    assert made.coefficients.shape == (1, canvas_side(Recipe(size=32)), canvas_side(Recipe(size=32)))
    stamp = upright([canvas(image, 0.0, 20.0, 16.0, 1.0, RECIPE)])[0, 0]
    assert np.abs(stamp[:, :12]).max() < 1e-2
    assert np.allclose(stamp[:, 20:], np.arcsinh(2.0) / 3, atol=0.05)


def test_very_bright_and_very_faint_images_fit_into_half_precision():
    image = sersic((161, 161), 80, 80, re=6)[None]
    bright, faint = (upright([canvas(image * np.float32(f), 80, 80, 16.0, 1e-3 * f, RECIPE)]) for f in (1e12, 1e-12))
    assert np.isfinite(bright).all()
    assert np.allclose(bright, faint, atol=1e-3)


def test_random_stamps_repeat_for_a_seed_and_differ_between_seeds():
    part, rows = tiny.training_set(4), torch.arange(4)
    ranges = Augmentation(colour=0.1, noise=0.1)
    one, again, other = (part.stamps(rows, ranges, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert one.shape == (4, 1, 16, 16)
    assert torch.isfinite(one).all()


def test_random_views_show_the_same_galaxy():
    # A round galaxy looks the same from all sides.
    part = TrainingSet.build(tiny.canvases(1), tiny.labels(1), tiny.RECIPE)
    rows = torch.zeros(1, dtype=torch.long)
    ranges = Augmentation(zoom=1.0, shift=0.0, brightness=0.0)
    plain = part.stamps(rows, None, torch.Generator())
    turned = part.stamps(rows, ranges, torch.Generator().manual_seed(2))
    assert not torch.equal(turned, plain)
    assert float((turned - plain).abs().mean()) < 0.1
    assert float(turned.mean()) == pytest.approx(float(plain.mean()), abs=0.02)


def test_a_brighter_view_is_brighter_everywhere():
    part, rows = tiny.training_set(2), torch.arange(2)
    ranges = Augmentation(zoom=1.0, shift=0.0, brightness=0.5)
    dim = Augmentation(zoom=1.0, shift=0.0, brightness=0.0)
    changed = part.stamps(rows, ranges, torch.Generator().manual_seed(2))
    same = part.stamps(rows, dim, torch.Generator().manual_seed(2))
    ratio = torch.sinh(3 * changed) / torch.sinh(3 * same)
    core = same > 0.3
    for i in range(2):
        assert float(ratio[i][core[i]].std()) < 1e-3 * float(ratio[i][core[i]].mean())


def test_a_tint_moves_all_planes_along_one_axis():
    """Krizhevsky's colour noise: one number a galaxy, times the plane's own value, the same in every pixel."""
    recipe = Recipe(size=16, planes=3, stretch="display")
    planes = np.repeat(sersic((81, 81), 40, 40, re=5)[None] * np.float32(0.02), 3, axis=0)
    part = TrainingSet.build([canvas(planes, 40.0, 40.0, 16.0, 1.0, recipe)] * 400, tiny.labels(400), recipe)
    still = Augmentation(zoom=1.0, shift=0.0, brightness=0.0)
    tinted = Augmentation(zoom=1.0, shift=0.0, brightness=0.0, tint=(-0.03, -0.02, -0.01))
    rows = torch.arange(400)
    one, other = (part.stamps(rows, r, torch.Generator().manual_seed(1)) for r in (still, tinted))
    added = (other - one).flatten(2)
    assert float(added.std(dim=2).max()) < 1e-6
    assert added.mean(dim=2).std(dim=0).tolist() == pytest.approx([0.03, 0.02, 0.01], rel=0.1)
    assert torch.allclose(added[:, 0, 0] / 3, added[:, 2, 0], atol=1e-6)


def test_a_random_blur_lowers_the_peak_and_keeps_the_light():
    """Of each galaxy by another width."""
    part = TrainingSet.build(tiny.canvases(1) * 40, tiny.labels(40), Recipe(size=16, stretch="display"))
    still, blurred = (Augmentation(zoom=1.0, shift=0.0, brightness=0.0, blur=b) for b in (0.0, 1.5))
    rows = torch.arange(40)
    one, other = (part.stamps(rows, r, torch.Generator().manual_seed(1)) for r in (still, blurred))
    ratio = other.amax(dim=(1, 2, 3)) / one.amax(dim=(1, 2, 3))
    assert float(ratio.max()) <= 1.001
    assert float(ratio.min()) < 0.75
    assert torch.allclose(other.sum(dim=(1, 2, 3)), one.sum(dim=(1, 2, 3)), rtol=0.1)


def test_a_stack_of_canvases_is_the_canvases():
    """It takes memory as it fills, and gives what was added without a copy."""
    made = tiny.canvases(3)
    stack = CanvasStack(10, tiny.RECIPE)
    for one in made:
        stack.add(one)
    assert len(stack) == 3
    assert np.shares_memory(stack.coefficients, stack._all)
    one, other = (TrainingSet.build(c, tiny.labels(3), tiny.RECIPE) for c in (made, stack))
    assert torch.equal(one.coefficients, other.coefficients)
    assert torch.equal(one.half_px, other.half_px)


def test_rows_without_a_label_are_told_apart():
    """By totals of 0."""
    labels = tiny.labels(4)
    labels.counts[2], labels.totals[2] = 0.0, 0.0
    part = TrainingSet.build(tiny.canvases(4), labels, tiny.RECIPE)
    assert part.labelled.tolist() == [0, 1, 3]
    assert part.unlabelled.tolist() == [2]


@pytest.mark.gpu
def test_stamps_made_on_a_gpu_are_the_processors():
    """The same views to single precision, canvases on the device or beside it."""
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    part, rows = tiny.training_set(4), torch.arange(4)
    ranges = Augmentation(tint=(0.1,), blur=0.5)
    here, there = (p.stamps(rows, ranges, torch.Generator().manual_seed(1)) for p in (part, part.on("cuda")))
    assert there.device.type == "cuda"
    assert torch.allclose(here, there.cpu(), atol=1e-5)


def test_a_set_takes_its_labels_along():
    part = tiny.training_set(6)
    assert len(part) == 6
    assert part.counts.shape == part.totals.shape == (6, 5)
    assert part.counts.dtype == torch.float32


def test_synthetic_stars_have_the_asked_petrosian_radius_and_repeat():
    recipe = Recipe(size=64)
    one, again, other = (star_canvases(6, recipe, rpet_px=12.0, seed=s) for s in (1, 1, 2))
    assert all(np.array_equal(a.coefficients, b.coefficients) for a, b in zip(one, again, strict=True))
    assert not np.array_equal(one[0].coefficients, other[0].coefficients)
    side = canvas_side(recipe)
    middle = (side - 1) / 2
    for star in one:
        assert star.half_px == pytest.approx(24.0)
        image = star.coefficients[0].astype(np.float32)  # a spline's coefficients are almost its pixels
        profile = radial_profile(image, np.ones(image.shape, np.bool_), middle, middle)
        assert petrosian_radius(profile, 0.0)[0] == pytest.approx(12.0, rel=0.15)
