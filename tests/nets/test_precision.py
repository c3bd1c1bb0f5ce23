"""Precision: half around convolutions where it is asked for, single elsewhere, and torch's switches as they were."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tiny
import torch
from torch import nn

from galmorph.nets.architecture.layers import (
    BatchNorm,
    ConvNextBlock,
    Convolution,
    InvertedBlock,
    LayerNorm2d,
    LocalResponseNorm,
    ResidualBlock,
    SquareConv,
    SquareNorm,
)
from galmorph.nets.architecture.network import NetworkConfig
from galmorph.nets.precision import half_convolutions, single, single_precision, uncast
from galmorph.nets.training.observation import blur, observe
from galmorph.nets.training.settings import Observation

HALF = torch.bfloat16
NORMS = {
    "batch": lambda: BatchNorm(8),
    "square": lambda: SquareNorm(8),
    "layer": lambda: LayerNorm2d(8),
    "local response": lambda: LocalResponseNorm(3, 1, 1, 0.1, 0.75),
}
BLOCKS = {
    "plain": lambda: Convolution(8, 8, 3, side=6, padding=1),
    "square": lambda: SquareConv(8, 8, 3, 1, 1),
    "residual": lambda: ResidualBlock(8, 8),
    "square residual": lambda: ResidualBlock(8, 8, square=True),
    "inverted": lambda: InvertedBlock(8, 8, 3, side=6),
    "convnext": lambda: ConvNextBlock(8, 3),
}


def halves() -> torch.autocast:
    return half_convolutions("cpu", wanted=True)


def maps(seed: int = 1) -> torch.Tensor:
    return torch.randn(4, 8, 6, 6, generator=torch.Generator().manual_seed(seed))


def tf32() -> bool:
    return torch.backends.cudnn.allow_tf32


@pytest.fixture(autouse=True)
def _switches():
    """A failing test leaves none of them off."""
    before = tf32()
    yield
    torch.backends.cudnn.allow_tf32 = before


# Single precision


@pytest.mark.parametrize("before", [True, False])
def test_tf32_is_off_inside_and_as_it_was_afterwards(before):
    torch.backends.cudnn.allow_tf32 = before
    with single_precision("cpu"):
        assert not tf32()
        with single_precision("cpu"):
            assert not tf32()
        assert not tf32()
    assert tf32() == before


def test_tf32_comes_back_after_an_error():
    with pytest.raises(ValueError, match="inside"), single_precision("cpu"):
        raise ValueError("inside")
    assert tf32()


def test_several_threads_at_once_leave_tf32_off_until_the_last_of_them_ends():
    """The first to come is the first to go."""
    came, may_go = threading.Event(), threading.Event()

    def first() -> None:
        with single_precision("cpu"):
            came.set()
            assert may_go.wait(10)

    with ThreadPoolExecutor(1) as other:
        job = other.submit(first)
        assert came.wait(10)
        with single_precision("cpu"):
            may_go.set()
            job.result()
            assert not tf32()
    assert tf32()


@pytest.mark.skipif(not hasattr(torch.backends.cudnn, "conv"), reason="torch before 2.9 has one switch only")
def test_whoever_has_set_convolutions_apart_by_the_newer_switches_keeps_them():
    switch = torch.backends.cudnn.conv
    before, switch.fp32_precision = switch.fp32_precision, "ieee"
    try:
        with single_precision("cpu"):
            assert switch.fp32_precision == "ieee"
        assert switch.fp32_precision == "ieee"
    finally:
        switch.fp32_precision = before


def test_half_precision_around_it_does_not_reach_it():
    x, layer = maps(), nn.Conv2d(8, 8, 3)
    with halves():
        assert layer(x).dtype == HALF
        with single_precision("cpu"):
            assert torch.equal(layer(x), nn.functional.conv2d(x, layer.weight, layer.bias))
        with uncast("cpu"):
            assert layer(x).dtype == torch.float32
        assert layer(x).dtype == HALF


def test_half_precision_that_is_not_wanted_is_none():
    with half_convolutions("cpu", wanted=False):
        assert nn.Conv2d(8, 8, 3)(maps()).dtype == torch.float32


def test_double_precision_stays():
    assert [single(torch.zeros(1, dtype=d)).dtype for d in (HALF, torch.float16, torch.float32, torch.float64)] == [
        *[torch.float32] * 3,
        torch.float64,
    ]


# What a network computes in which


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", NORMS)
def test_a_normalisation_is_single_inside_half_precision(name, training):
    """Also of numbers that come in half: bit for bit as if there were no half precision."""
    x = maps().to(HALF)
    alone, within = NORMS[name]().train(training), NORMS[name]().train(training)
    expected = alone(x.float())
    with halves():
        result = within(x)
    assert result.dtype == torch.float32
    assert torch.equal(result, expected)
    for one, other in zip(alone.buffers(), within.buffers(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("name", BLOCKS)
def test_convolutions_are_half_where_it_is_asked_for(name):
    """Every block differs a little from what it gives in single precision, and never much."""
    block, x = BLOCKS[name]().train(), maps()
    with halves():
        result = block(x).float()
    expected = block(x)
    assert not torch.equal(result, expected)
    assert float((result - expected).detach().abs().max()) < 0.05 * float(expected.detach().abs().max())


def test_a_variance_survives_a_large_mean():
    """Of 1 ± .02 bfloat16 keeps two decimals, but its mean square and its squared mean would be equal."""
    x = (1.0 + 0.02 * maps()).to(HALF)
    with halves():
        result = BatchNorm(8).train()(x)
    assert result.std(dim=(0, 2, 3)).tolist() == pytest.approx([1.0] * 8, abs=0.05)


@pytest.mark.parametrize("last", ["dense answers", "dense 10 maxout 2", "dense answers bias 0.4 std 0.3\nrectify"])
def test_answers_are_single_inside_half_precision(last):
    network = tiny.network(config=NetworkConfig(f"conv 4 3x3 relu\nglobalpool mean maximum\n{last}"))
    features = torch.randn(3, 8)
    expected = network.answers(features)
    with halves():
        assert torch.equal(network.answers(features), expected)
        stamps = torch.from_numpy(tiny.stamps(2))
        assert network(stamps).dtype == network.columns(stamps).dtype == torch.float32


def test_a_compiled_network_is_half_and_single_in_the_same_places():
    """The switches do not break its graph."""
    network = tiny.network(config=NetworkConfig("conv 4 3x3 batchnorm relu\nglobalpool mean\ndense answers")).train()
    stamps = torch.from_numpy(tiny.stamps(4))
    explained = torch._dynamo.explain(network)  # type: ignore[attr-defined]
    with halves():
        assert explained(stamps).graph_break_count == 0


# Stamps


def test_blurs_and_observations_are_single_inside_half_precision():
    stamps, how = torch.from_numpy(tiny.stamps(4)), Observation(0.18, 0.06, 0.06, (0.3, 0.9), (20.0, 50.0))

    def seeded() -> torch.Generator:
        return torch.Generator().manual_seed(1)

    blurred, seen = blur(stamps, torch.ones(4)), observe(stamps, how, 2.0, seeded())
    with halves():
        assert torch.equal(blur(stamps, torch.ones(4)), blurred)
        assert torch.equal(observe(stamps, how, 2.0, seeded()), seen)


def test_predictions_are_single_inside_half_precision():
    """Whoever calls us within autocast gets the same catalogue."""
    checkpoint, stamps = tiny.checkpoint(), tiny.stamps(3)
    expected = checkpoint.predict(stamps)
    with halves():
        assert np.array_equal(tiny.checkpoint().predict(stamps), expected)


needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.mark.gpu
@needs_gpu
def test_a_gpu_blurs_to_single_precision():
    """TF32 keeps three decimals."""
    stamps = torch.rand(16, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    sigmas = torch.linspace(0.3, 6.0, 16)
    here, there = blur(stamps, sigmas), blur(stamps.cuda(), sigmas.cuda()).cpu()
    assert float((here - there).abs().max()) < 1e-5
    assert tf32()


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("name", ["candels-h", "sdss-rgb"])
def test_a_gpu_predicts_what_the_processor_predicts_to_single_precision(name):
    """A checkpoint that ships; other orders of summing move probabilities by some 1e-6, TF32 the third decimal."""
    from galmorph.nets.checkpoint.file import load_checkpoint  # noqa: PLC0415 - only here

    checkpoint = load_checkpoint(name)
    shape = (64, checkpoint.recipe.planes, checkpoint.recipe.size, checkpoint.recipe.size)
    stamps = np.random.default_rng(1).uniform(0, 1, shape).astype(np.float32)
    here, there = checkpoint.predict(stamps), load_checkpoint(name).predict(stamps, device="cuda")
    assert np.abs(here - there).max() < 5e-5


# Answers


@pytest.mark.parametrize("views", [1, 3])
def test_answers_in_bfloat16_are_near_those_in_single_precision_and_always_the_same(views):
    stamps = np.stack([tiny.stamps(6, seed) for seed in range(views)], axis=1)
    checkpoint = tiny.checkpoint()
    single_ones, halved = (checkpoint.answer(stamps, half=half) for half in (False, True))
    assert 0 < np.abs(halved.conditional - single_ones.conditional).max() < 0.01
    again = checkpoint.answer(stamps, half=True)
    assert np.array_equal(again.conditional, halved.conditional)
    assert np.array_equal(again.features, halved.features)
    assert np.array_equal(checkpoint.answer(stamps).conditional, single_ones.conditional)


def test_answers_take_nothing_from_a_cast_around_them():
    stamps, checkpoint = tiny.stamps(6)[:, None], tiny.checkpoint()
    alone = checkpoint.answer(stamps).conditional
    with halves():
        assert np.array_equal(checkpoint.answer(stamps).conditional, alone)
