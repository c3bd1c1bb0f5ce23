"""The warp of many stamps at once is that of one, wherever it is computed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from galaxies import noise, sersic
from scipy import ndimage

from galmorph.nets.batch_warp import batch_warp
from galmorph.nets.training.augment import random_turns
from galmorph.nets.training.settings import Augmentation
from galmorph.stamps.affine import compose, stamp_matrix, turn
from galmorph.stamps.warp import sample, warp


def seeded(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def galaxies(n: int, size: int = 245) -> np.ndarray:
    """Galaxies through a PSF of FWHM 2.9 px, (n, 1, size, size)."""
    middle = (size - 1) / 2
    images = [sersic((size, size), middle, middle, re=6.0 + 2.0 * i, n=1.0 + i, q=0.5, theta=0.4 * i) for i in range(n)]
    return np.stack([ndimage.gaussian_filter(image, 1.23)[None] for image in images])


def coefficients_of(images: np.ndarray) -> torch.Tensor:
    """B-spline coefficients, single precision as in training."""
    planes = [ndimage.spline_filter(image[0], order=3, mode="mirror", output=np.float32)[None] for image in images]
    return torch.from_numpy(np.stack(planes))


def views_of(n: int, half: float, middle: float = 122.0) -> np.ndarray:
    """Random views as in training, (n, 2, 3)."""
    views = random_turns(n, Augmentation(zoom=1.25), seeded()).double().numpy()
    return np.stack([compose(stamp_matrix(middle + 0.2, middle - 0.3, half), view) for view in views])


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("points", [1, 2, 3])
@pytest.mark.parametrize("half", [33.0, 48.0, 63.0])
def test_single_precision_is_the_numpy_warp_to_a_hundred_thousandth(half, points, device):
    """Random views of galaxies: with the same points no pixel differs by 1e-5 of the peak, wherever torch computes."""
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    images = galaxies(3)
    matrices = views_of(12, half)
    some = images[np.arange(12) % 3]
    batch = batch_warp(
        coefficients_of(some).to(device), torch.from_numpy(matrices).float().to(device), 64, points
    ).cpu()
    for stamp, image, matrix in zip(batch.numpy(), some, matrices, strict=True):
        expected = sample(image, matrix, 64, points)
        assert np.abs(stamp - expected).max() < 1e-5 * expected.max()


@pytest.mark.parametrize("half", [33.0, 48.0, 63.0])
def test_two_points_are_enough_for_training(half):
    """Canvases have at most 2.5 pixels per stamp pixel: the classifier's warp is within 2e-3 of the peak."""
    images = galaxies(2)
    matrices = views_of(8, half)
    some = images[np.arange(8) % 2]
    batch = batch_warp(coefficients_of(some), torch.from_numpy(matrices).float(), 64, 2).numpy()
    for stamp, image, matrix in zip(batch, some, matrices, strict=True):
        expected = warp(image, matrix, 64)
        assert np.abs(stamp - expected).max() < 2e-3 * expected.max()


def test_a_view_in_training_is_the_view_in_classifying():
    """In double precision even noise agrees, where the view has one point per stamp pixel as in classifying."""
    image = ndimage.gaussian_filter(noise((1, 70, 70)), (0, 1, 1)) * np.float32(5)
    coefficients = torch.from_numpy(ndimage.spline_filter(image[0], order=3, mode="mirror", output=np.float64))
    views = [turn(0.4), turn(2.0, flip=True, zoom=1.2), turn(-1.0, shift=(0.1, 0.2))]
    matrices = np.stack([compose(stamp_matrix(35.2, 34.7, 10.0), v) for v in views])
    batch = batch_warp(coefficients.expand(3, 1, 70, 70), torch.from_numpy(matrices), 20, 1)
    one_by_one = np.stack([warp(image, m, 20) for m in matrices])
    assert np.allclose(batch.numpy(), one_by_one, atol=1e-5)


def test_a_batch_of_any_length_is_its_stamps_one_by_one():
    """Stamps computed together do not see each other; no stamps are no error."""
    coefficients = torch.randn(21, 2, 40, 50, generator=seeded())
    matrices = torch.from_numpy(views_of(21, 20.0, 22.0)).float()
    together = batch_warp(coefficients, matrices, 16, 2)
    alone = torch.cat([batch_warp(coefficients[i : i + 1], matrices[i : i + 1], 16, 2) for i in range(21)])
    assert together.shape == (21, 2, 16, 16)
    assert torch.allclose(together, alone, atol=1e-6)
    assert batch_warp(coefficients[:0], matrices[:0], 16, 2).shape == (0, 2, 16, 16)


def test_half_precision_around_the_warp_does_not_reach_it():
    """Where convolutions run in bfloat16 the stamps stay as they are."""
    coefficients = coefficients_of(galaxies(2, 97))
    matrices = torch.from_numpy(views_of(2, 40.0, 48.0)).float()
    plain = batch_warp(coefficients, matrices, 32, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(batch_warp(coefficients, matrices, 32, 2), plain)


def test_the_coefficients_are_left_as_they_are():
    """Canvases are warped again in the next epoch."""
    coefficients = coefficients_of(galaxies(1, 65))
    before = coefficients.clone()
    matrices = torch.from_numpy(views_of(1, 20.0, 32.0)).float()
    kept = matrices.clone()
    batch_warp(coefficients, matrices, 16, 2)
    assert torch.equal(coefficients, before)
    assert torch.equal(matrices, kept)


def test_outside_the_canvas_the_stamp_is_zero():
    flat = torch.ones(1, 1, 20, 20)
    stamp = batch_warp(flat, torch.from_numpy(stamp_matrix(0.0, 10.0, 8.0))[None].float(), 16, 2)
    assert (stamp[..., :7] == 0).all()
    assert torch.allclose(stamp[..., 7], torch.full((1, 1, 16), 0.5))  # half of the edge pixel lies on the canvas
    assert torch.allclose(stamp[..., 8:], torch.ones(1, 1, 16, 8))
