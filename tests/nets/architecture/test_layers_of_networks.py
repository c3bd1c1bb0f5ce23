"""The modules of networks: each does what its reference says, by hand or by another library."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
import torch
from scipy import ndimage

from galmorph.nets.architecture.layers import (
    ORDER,
    PARTS,
    Blur,
    ConvNextBlock,
    Convolution,
    GlobalPool,
    InvertedBlock,
    Join,
    LayerNorm2d,
    LocalResponseNorm,
    Mask,
    Maxout,
    Parts,
    Rectify,
    ResidualBlock,
    SquareConv,
    SquareNorm,
    conditional_log_probabilities,
    turned,
    weighted,
)
from galmorph.sky.scheme import load_scheme, scheme_names


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(2)


# Symmetry


@pytest.mark.parametrize("stride", [1, 2])
def test_a_block_keeps_or_halves_the_resolution(stride):
    """Its shortcut follows."""
    assert ResidualBlock(4, 6, stride)(torch.randn(1, 4, 8, 8)).shape == (1, 6, 8 // stride, 8 // stride)


@pytest.mark.parametrize("element", range(ORDER))
@pytest.mark.parametrize(("width", "stride", "padding"), [(3, 1, 1), (4, 2, 1), (1, 1, 0), (6, 2, 2)])
def test_a_square_convolution_turns_and_permutes_its_fields_with_the_image(element, width, stride, padding):
    """Each orientation of the turned image's answer is one of the upright image's, turned; all are used once."""
    lift, convolve = SquareConv(2, 8, 3, 1, 1, image=True), SquareConv(8, 16, width, stride, padding)
    image = torch.randn(1, 2, 12, 12)
    straight = convolve(lift(image)).unflatten(1, (2, ORDER))
    other = convolve(lift(turned(image, element))).unflatten(1, (2, ORDER))
    matches = [
        [h for h in range(ORDER) if torch.allclose(turned(straight[:, :, h], element), other[:, :, g], atol=1e-5)]
        for g in range(ORDER)
    ]
    assert sorted(m[0] for m in matches if len(m) == 1) == list(range(ORDER))


def test_square_normalisation_agrees_with_torch_on_equal_orientations():
    """Eight equal channels have the statistics of one."""
    fields = torch.randn(64, 3, 5, 5).repeat_interleave(ORDER, dim=1)
    ours, theirs = SquareNorm(24), torch.nn.BatchNorm2d(24)
    assert torch.allclose(ours.train()(fields), theirs.train()(fields), atol=1e-5)
    assert torch.allclose(ours.eval()(fields), theirs.eval()(fields), atol=1e-5)


@pytest.mark.parametrize("element", range(ORDER))
@pytest.mark.parametrize("module", [Blur(), Mask(12)], ids=["blur", "mask"])
def test_blurs_and_masks_turn_with_the_image(module, element):
    """They commute with flips and quarter turns."""
    image = torch.randn(2, 3, 12, 12)
    assert torch.allclose(module(turned(image, element)), turned(module(image), element), atol=1e-6)


def test_a_blur_keeps_a_constant_and_removes_the_finest_pattern():
    """A chessboard has the highest frequency that pixels carry."""
    board = torch.tensor([1.0, -1.0]).repeat(6)
    assert torch.allclose(Blur()(torch.ones(1, 2, 12, 12)), torch.ones(1, 2, 6, 6))
    assert Blur()(board[:, None] * board[None, :] * torch.ones(1, 1, 12, 12))[..., 1:-1, 1:-1].abs().max() < 1e-6


def test_a_mask_blanks_what_lies_outside_the_circle_only():
    """The corners go, the middle stays, and the edge is soft."""
    window = Mask(20)(torch.ones(1, 1, 20, 20))[0, 0]
    axis = np.arange(20) - 9.5
    distance = np.hypot(axis[:, None], axis[None, :])
    assert (window.numpy()[distance >= 10] == 0).all()
    assert (window.numpy()[distance <= 7] == 1).all()
    assert ((window > 0) & (window < 1)).any()


# Convolutions and norms


def test_a_tied_convolution_is_torch_s_and_an_untied_one_adds_a_bias_at_each_position():
    """Biases of all positions alike would be the tied ones."""
    ours = Convolution(3, 4, 3, side=9, padding=1, untied=True)
    image = torch.randn(2, 3, 9, 9)
    plain = torch.nn.functional.conv2d(image, ours.weight, padding=1)
    assert ours.bias.shape == (4, 9, 9)
    assert torch.allclose(ours(image), plain + ours.bias, atol=1e-6)
    tied = Convolution(4, 4, 3, side=9, stride=2, groups=2)
    theirs = torch.nn.Conv2d(4, 4, 3, stride=2, groups=2)
    theirs.load_state_dict(tied.state_dict())
    assert torch.allclose(tied(torch.ones(1, 4, 9, 9)), theirs(torch.ones(1, 4, 9, 9)), atol=1e-6)


def test_a_convolution_that_fits_its_last_kernel_sees_every_pixel():
    """Zeros follow at the bottom and at the right, as in the maximum pools of the same option."""
    image = torch.randn(1, 1, 12, 12)
    ours = Convolution(1, 1, 5, side=12, stride=2, fit=True)
    padded = torch.nn.functional.pad(image, (0, 1, 0, 1))
    assert ours(image).shape[-1] == 5
    assert torch.allclose(ours(image), torch.nn.functional.conv2d(padded, ours.weight, ours.bias, 2), atol=1e-6)
    assert Convolution(1, 1, 5, side=12, stride=2)(image).shape[-1] == 4


def test_response_normalisation_divides_by_the_power_in_the_window():
    """Every position by hand, with zeros outside."""
    x = torch.randn(1, 2, 6, 6)
    made = LocalResponseNorm(3, 1, 1, 0.5, 0.75)(x)
    power = torch.stack([torch.from_numpy(ndimage.uniform_filter(p.numpy() ** 2, 3, mode="constant")) for p in x[0]])
    assert torch.allclose(made[0], x[0] / (1 + 0.5 * power) ** 0.75, atol=1e-6)


def test_response_normalisation_with_a_stride_keeps_every_second_position():
    """A window of 4 is centred half a pixel after the position that is kept."""
    x = torch.randn(1, 1, 24, 24)
    made = LocalResponseNorm(4, 2, 0, 1.0, 1.0)(x)
    assert made.shape == (1, 1, 11, 11)
    by_hand = x[0, 0, 5, 7] / (1 + (x[0, 0, 4:8, 6:10] ** 2).mean())
    assert made[0, 0, 2, 3] == pytest.approx(float(by_hand), abs=1e-6)


def test_maxout_keeps_the_larger_of_neighbours():
    """Two pieces each."""
    assert Maxout(2)(torch.tensor([[1.0, 3.0, -2.0, -5.0]])).tolist() == [[3.0, -2.0]]


def test_layer_normalisation_acts_on_the_maps_at_each_position():
    """Mean 0 and variance 1 over the maps, everywhere; the same for plain numbers."""
    made = LayerNorm2d(32)(5 + 3 * torch.randn(2, 32, 4, 4))
    assert made.mean(dim=1).abs().max() < 1e-5
    assert torch.allclose(made.var(dim=1, correction=0), torch.ones(2, 4, 4), atol=1e-3)
    numbers = torch.randn(3, 8)
    assert torch.allclose(LayerNorm2d(8)(numbers), LayerNorm2d(8)(numbers[..., None, None])[..., 0, 0], atol=1e-6)


def test_a_convnext_block_adds_to_its_input():
    """With a scale of nothing it changes nothing."""
    block, x = ConvNextBlock(6), torch.randn(2, 6, 8, 8)
    assert not torch.equal(block(x), x)
    torch.nn.init.zeros_(block.scale)
    assert torch.equal(block(x), x)


@pytest.mark.parametrize(("side", "width", "stride"), [(8, 3, 2), (7, 3, 2), (8, 5, 2), (8, 5, 1), (9, 5, 1)])
def test_an_inverted_block_gives_as_many_positions_as_tensorflow(side, width, stride):
    """Side / stride, rounded up; odd zeros at the end."""
    block = InvertedBlock(4, 6, width, side=side, stride=stride).eval()
    assert block(torch.randn(2, 4, side, side)).shape == (2, 6, -(-side // stride), -(-side // stride))
    spread = next(m for m in block.path if isinstance(m, Convolution))
    assert spread.padding[1] - spread.padding[0] in (0, 1)


def test_a_dropped_inverted_block_changes_nothing():
    """In training; in use it always counts, and without a shortcut nothing is dropped."""
    block, x = InvertedBlock(4, 4, 3, side=6, drop=0.5), torch.randn(64, 4, 6, 6)
    torch.manual_seed(1)
    same = (block(x) == x).flatten(1).all(dim=1)
    assert 10 < int(same.sum()) < 54
    assert not (block.eval()(x) == x).flatten(1).all(dim=1).any()
    assert not InvertedBlock(4, 4, 3, side=6, stride=2, drop=0.5).is_residual


@pytest.mark.parametrize("per_field", [1, 8])
def test_a_global_pool_takes_mean_and_maximum_of_maps_or_fields(per_field):
    """Of fields over all eight orientations too."""
    x = torch.randn(2, 16, 3, 3)
    made = GlobalPool(mean=True, maximum=True, per_field=per_field)(x)
    grouped = x.reshape(2, 16 // per_field, -1)
    assert torch.allclose(made, torch.cat([grouped.mean(2), grouped.amax(2)], 1), atol=1e-6)
    assert torch.equal(GlobalPool(mean=False, maximum=True, per_field=per_field)(x), grouped.amax(2))


# Parts


def ramp(side: int) -> torch.Tensor:
    """Two planes: the distance from the centre, and a smooth picture without any symmetry."""
    axis = torch.arange(side) - (side - 1) / 2
    distance = torch.hypot(axis[:, None], axis[None, :])
    picture = torch.exp(-((axis[:, None] - 5) ** 2 + (axis[None, :] + 9) ** 2) / 90) + axis[:, None] / 99
    return torch.stack([distance, picture])[None]


def test_all_parts_have_the_centre_at_the_same_place_at_the_bottom_right():
    """The galaxy's centre is 10 pixels from two sides in parts of 45 from views of 69."""
    parts = Parts(99, 69, 45)(ramp(99))[:, 0]
    assert parts.shape == (PARTS, 45, 45)
    assert {int(p.argmin()) for p in parts} == {34 * 45 + 34}


def test_the_upright_parts_are_the_four_corners_of_the_view_turned():
    """Corners are cut and turned by hand; then those of the mirror image."""
    image = ramp(99)
    view = image[0, 1, 15:84, 15:84].numpy()
    parts = Parts(99, 69, 45)(image)[:, 1].numpy()
    for mirror, side in enumerate((view, view[:, ::-1])):
        corners = side[:45, :45], side[:45, -45:], side[-45:, -45:], side[-45:, :45]
        for k, corner in enumerate(corners):
            assert np.array_equal(parts[4 * mirror + k], np.rot90(corner, k)), (mirror, k)


def test_the_other_half_of_the_parts_sees_the_stamp_at_45_degrees():
    """Against scipy's spline rotation, which differs by interpolation."""
    image = ramp(99)
    parts = Parts(99, 69, 45)(image)[8:, 1].numpy()
    turned_by = [ndimage.rotate(image[0, 1].numpy(), angle, reshape=False)[15:84, 15:84] for angle in (45, -45)]
    off = [np.abs(parts[0] - view[:45, :45]).max() for view in turned_by]
    assert min(off) < 0.01
    assert max(off) > 0.1


@pytest.mark.parametrize("element", range(ORDER))
def test_turning_the_stamp_permutes_the_parts(element):
    """No part is lost or new, so that the features are the same in another order."""
    cut = Parts(99, 69, 45)
    one, other = cut(ramp(99)), cut(turned(ramp(99), element))
    nearest = torch.cdist(other.flatten(1), one.flatten(1))
    assert sorted(nearest.argmin(1).tolist()) == list(range(PARTS))
    assert nearest.amin(1).max() < 1e-3


def test_a_view_that_leaves_an_odd_margin_is_sampled_half_a_pixel_in():
    """84 - 59 is odd: the view's centre is the stamp's all the same."""
    parts = Parts(84, 59, 40)(ramp(84))[:, 0]
    assert {int(p.argmin()) for p in parts} == {29 * 40 + 29}


def test_features_of_parts_are_joined_stamp_by_stamp():
    """Parts of a stamp follow each other in a batch and side by side when joined."""
    features = torch.arange(2 * PARTS * 3.0).reshape(2 * PARTS, 3)
    assert torch.equal(Join()(features), features.reshape(2, PARTS * 3))


# Answers


def test_conditional_probabilities_of_a_question_sum_to_one():
    """Each question has a softmax of its own."""
    logits = torch.randn(4, 5)
    p = conditional_log_probabilities(logits, tiny.TREE.slices, independent=False).exp()
    assert torch.allclose(p[:, :2].sum(1), torch.ones(4))
    assert torch.allclose(p[:, 2:].sum(1), torch.ones(4))


def test_independent_fractions_are_logistic():
    """They need not sum to one."""
    logits = torch.randn(4, 5)
    p = conditional_log_probabilities(logits, tiny.scheme_of("independent", 5).slices, independent=True).exp()
    assert torch.allclose(p, torch.sigmoid(logits))


@pytest.mark.parametrize("name", scheme_names())
def test_weights_down_the_tree_are_the_scheme_s(name):
    """Torch's columns are numpy's marginals."""
    scheme = load_scheme(name)
    p = torch.rand(6, len(scheme.keys), dtype=torch.float64)
    assert np.allclose(weighted(p, scheme.slices, scheme.parents).numpy(), scheme.marginals(p.numpy()))


def test_rectified_answers_obey_the_constraints_of_the_challenge_in_order():
    """Written out for the 37 columns; weights are those of weighted answers, so that they multiply."""
    scheme = load_scheme("gz2")
    z = torch.randn(8, 37)
    made = dict(
        zip((a.source for a in scheme.answers), Rectify(scheme.slices, scheme.parents).columns(z).T, strict=True)
    )
    column = {a.source: i for i, a in enumerate(scheme.answers)}
    sizes = {1: 3, 2: 2, 3: 2, 4: 2, 5: 4, 6: 2, 7: 3, 8: 7, 9: 3, 10: 3, 11: 6}
    p = {}
    for question, size in sizes.items():
        positive = torch.relu(torch.stack([z[:, column[f"Class{question}.{k}"]] for k in range(1, size + 1)]))
        p[question] = positive / (positive.sum(dim=0) + 1e-12)
    p[2] = p[2] * p[1][1]
    for question in (3, 4, 5):
        p[question] = p[question] * p[2][1]
    p[7] = p[7] * p[1][0]
    p[8] = p[8] * p[6][0]
    p[9] = p[9] * p[2][0]
    for question in (10, 11):
        p[question] = p[question] * p[4][0]
    for question, size in sizes.items():
        for k in range(size):
            assert torch.allclose(made[f"Class{question}.{k + 1}"], p[question][k], atol=1e-6), (question, k)


def test_the_first_batches_of_training_are_clipped_and_neither_normalised_nor_weighted():
    """Afterwards, and whenever not training, the constraints hold."""
    scheme = tiny.TREE
    made, z = Rectify(scheme.slices, scheme.parents, clip_steps=2), torch.randn(3, 5) * 2
    constrained = made.eval().columns(z)
    assert not torch.allclose(constrained, z.clamp(0, 1))
    for _ in range(2):
        assert torch.equal(made.train().columns(z), z.clamp(0, 1))
    assert torch.equal(made.columns(z), constrained)
    assert int(made.steps) == 3


def test_rectified_answers_are_logits_of_themselves():
    """Their softmax in each question is relu(z) over its sum; without anything positive all are alike."""
    scheme = tiny.TREE
    made, z = Rectify(scheme.slices, scheme.parents), torch.tensor([[1.0, 3.0, -1.0, 2.0, 2.0], [-1.0, -2.0, 1, 0, 0]])
    p = conditional_log_probabilities(made(z), scheme.slices, independent=False).exp()
    assert torch.allclose(p[0], torch.tensor([0.25, 0.75, 0.0, 0.5, 0.5]), atol=1e-5)
    assert torch.allclose(p[1], torch.tensor([0.5, 0.5, 1.0, 0.0, 0.0]), atol=1e-5)


@pytest.mark.parametrize("layer", [GlobalPool(mean=False, maximum=True, per_field=8), Maxout(128)])
def test_the_gradient_of_a_maximum_goes_to_one_of_equal_numbers(layer):
    """None is divided by how many are equal, which a compiled backward pass may find to be 0."""
    x = torch.zeros(2, 8, 4, 4, requires_grad=True)
    layer(x if isinstance(layer, GlobalPool) else x.flatten(1)).sum().backward()
    assert x.grad.flatten(1).sum(dim=1).tolist() == [1.0, 1.0]
    assert (x.grad.flatten(1) != 0).sum(dim=1).tolist() == [1, 1]
