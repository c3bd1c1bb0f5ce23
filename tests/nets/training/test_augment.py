"""Random views stay within their ranges, and repeat."""

from __future__ import annotations

import torch

from galmorph.nets.training.augment import misread, random_turns
from galmorph.nets.training.settings import Augmentation


def seeded(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_random_views_repeat_for_a_seed_and_differ_between_seeds():
    ranges = Augmentation()
    one, again, other = (random_turns(6, ranges, seeded(s)) for s in (3, 3, 4))
    assert one.shape == (6, 2, 3)
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_random_views_stay_within_their_ranges():
    views = random_turns(4000, Augmentation(zoom=1.3, shift=0.1), seeded()).double()
    area = torch.linalg.det(views[:, :, :2])
    zoom = area.abs() ** -0.5
    assert 1 / 1.3001 < zoom.min() < 0.8
    assert 1.25 < zoom.max() < 1.3001
    assert views[:, :, 2].abs().max() <= 0.1 + 1e-6
    assert 0.45 < (area < 0).double().mean() < 0.55  # mirrored
    angles = torch.atan2(views[:, 1, 0], views[:, 0, 0])
    assert torch.histc(angles, 8).min() > 400  # all directions alike


def test_no_ranges_leave_only_rotations():
    views = random_turns(50, Augmentation(zoom=1.0, shift=0.0), seeded()).double()
    square = views[:, :, :2] @ views[:, :, :2].transpose(1, 2)
    assert torch.allclose(square, torch.eye(2).double().expand(50, 2, 2), atol=1e-6)


def test_views_are_turned_by_the_angles_that_are_named_and_mirrored_only_where_that_is_wanted():
    ranges = Augmentation(angles=(0.0, 45.0, 90.0), mirror=False, zoom=1.0, shift=0.0)
    views = random_turns(600, ranges, seeded()).double()
    assert (torch.linalg.det(views[:, :, :2]) > 0).all()
    angles = torch.rad2deg(torch.atan2(views[:, 1, 0], views[:, 0, 0])).round()
    assert sorted(set(angles.tolist())) == [0.0, 45.0, 90.0]
    assert torch.bincount((angles / 45).long()).min() > 150


def test_misread_values_are_jittered_by_their_errors_alone():
    ranges = Augmentation(absent=0.0, wrong=0.0)
    values, errors = torch.ones(2000, 2), torch.tensor([0.1, torch.nan]).expand(2000, 2)
    read = misread(values, errors, ranges, seeded())
    assert abs(float(read[:, 0].std()) - 0.1) < 0.01
    assert torch.equal(read[:, 1], values[:, 1])


def test_misread_values_are_left_out_and_swapped_as_often_as_is_said():
    """A galaxy has none with the share `absent`, and each value of the others is missing with the same share."""
    values, errors = torch.arange(4000.0)[:, None].repeat(1, 3), torch.zeros(4000, 3)
    read = misread(values, errors, Augmentation(absent=0.2, wrong=0.1), seeded())
    assert abs(float(read.isnan().all(dim=1).float().mean()) - (0.2 + 0.8 * 0.2**3)) < 0.03
    assert abs(float(read.isnan().float().mean()) - (1 - 0.8 * 0.8)) < 0.03
    swapped = (read != values) & ~read.isnan()
    assert abs(float(swapped.sum() / (~read.isnan()).sum()) - 0.1) < 0.02
    assert torch.equal(read.nan_to_num(), misread(values, errors, Augmentation(wrong=0.1), seeded()).nan_to_num())
