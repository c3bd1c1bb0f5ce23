"""Networks as text: what is written is built, what does not fit is named with its line and shapes."""

from __future__ import annotations

import dataclasses
import re
import tomllib

import numpy as np
import pytest
import tiny
import torch

from galmorph.errors import PipelineError
from galmorph.nets.architecture.kinds import KINDS, FeatureShape, parse_line
from galmorph.nets.architecture.layers import ORDER, turned
from galmorph.nets.architecture.network import (
    DEFAULT,
    Network,
    NetworkConfig,
    load_network,
    n_weights,
    network_names,
    outline,
    views,
)
from galmorph.nets.training.loss.likelihood import Likelihood
from galmorph.shipped import shipped
from galmorph.sky.scheme import load_scheme
from galmorph.stamps.recipe import Recipe


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(4)


def recipe(size: int = 16, planes: int = 1) -> Recipe:
    return Recipe(size=size, planes=planes, stretch="display")


def built(layers: str, size: int = 16, planes: int = 1, answers: int = 5, **keys: object) -> Network:
    """Build a network from its lines."""
    config = NetworkConfig(layers, **keys)  # type: ignore[arg-type]
    return Network(config, recipe(size, planes), tiny.scheme_of("exclusive", answers))


def natural(name: str) -> tuple[NetworkConfig, Recipe]:
    """A shipped network and stamps that it was made for."""
    config = load_network(name)
    return config, recipe(config.size or 64, config.planes)


# Those that ship


WEIGHTS = {
    "dieleman": 42_377_125,
    "candels": 42_309_253,
    "netsharp": 176_077,
    "netsharp-printed": 1_401_357,
    "galmorph": 423_677,
    "plain": 888_741,
    "convnext": 988_949,
    "lite0": 4_652_008 - 1_281_000 + 1_281 * 5,  # of the published network, its 1 000 classes replaced by five
    "measured": 13 * 32 + 33 * 32 + 33 * 5,  # of six values and whether each is there
}


def test_every_shipped_network_is_counted():
    """The table above has them all."""
    assert set(network_names()) == set(WEIGHTS)
    assert DEFAULT in WEIGHTS
    assert WEIGHTS[DEFAULT] <= 1_500_000


@pytest.mark.parametrize("name", WEIGHTS)
def test_a_shipped_network_has_the_weights_of_its_recipe(name):
    """Those of the published networks are published or follow from their layers by hand (see below)."""
    config, stamps = natural(name)
    assert outline(config, stamps, load_scheme(config.scheme))[1] == WEIGHTS[name]
    assert config.title
    assert config.reference


def dieleman_by_hand(planes: int, answers: int) -> int:
    """Kernels, biases at every position, and dense layers of Dieleman et al. (2015), figure 4."""
    convolutions = ((planes, 32, 6, 40), (32, 64, 5, 16), (64, 128, 3, 6), (128, 128, 3, 4))
    total = sum(i * o * k * k + o * side * side for i, o, k, side in convolutions)
    total += 16 * 128 * 2 * 2 * 4096 + 4096  # 16 parts side by side
    return total + 2048 * 4096 + 4096 + 2048 * answers + answers


def plain_by_hand(channels: tuple[int, ...], planes: int, answers: int, width: int) -> int:
    """One residual block in each stage."""
    total, before = planes * channels[0] * width**2 + 2 * channels[0], channels[0]
    for stage, maps in enumerate(channels):
        total += 9 * before * maps + 9 * maps * maps + 4 * maps + (before * maps if stage else 0)
        before = maps
    return total + 2 * before * answers + answers


def test_the_counts_follow_from_the_published_layers():
    """Counted by hand: convolutions, biases, dense layers."""
    assert WEIGHTS["dieleman"] == dieleman_by_hand(3, 37)
    assert WEIGHTS["candels"] == dieleman_by_hand(1, 5)
    first = 64 * (3 * 36 + 1) + 128 * (25 + 1)
    assert WEIGHTS["netsharp"] == first + (128 * 9 + 1) * 128 + 129 * 128 + 129 * 13
    assert WEIGHTS["netsharp-printed"] == 64 * (3 * 25 + 1) + (64 * 81 + 1) * 256 + 257 * 256 + 257 * 13
    assert WEIGHTS["plain"] == plain_by_hand((32, 64, 128, 192), 3, 5, 5)


SHAPES = {
    "dieleman": (45, 40, 20, 16, 8, 6, 4, 2),
    "netsharp": (23, 23, 12, 5, 5, 3),
    "netsharp-printed": (24, 11, 9),
    "galmorph": (64, 32, 32, 16, 8, 4),
}


@pytest.mark.parametrize("name", SHAPES)
def test_maps_shrink_as_in_the_recipe(name):
    """Sides of the maps from layer to layer, until there are plain numbers."""
    config, stamps = natural(name)
    with torch.device("meta"):
        network = Network(config, stamps, load_scheme(config.scheme))
    assert tuple(shape.side for _, shape in network.outline if shape.side) == SHAPES[name]


def small(name: str) -> NetworkConfig:
    """A shipped network without dropout, and narrow where it is dense."""
    config = load_network(name)
    narrow = {"dropout": 0.0, "dense": 64}
    return config.with_settings({k: v for k, v in narrow.items() if k in config.settings})


@pytest.mark.parametrize("name", WEIGHTS)
def test_a_shipped_network_learns(name):
    """The loss of a few random stamps falls within a few steps of Adam."""
    config, scheme = small(name), load_scheme(load_network(name).scheme)
    network = Network(config, recipe(config.size or 32, config.planes), scheme)
    stamps = torch.rand(6, config.planes, config.size or 32, config.size or 32)
    counts, totals = torch.zeros(6, len(scheme.keys)), torch.ones(6, len(scheme.keys))
    for where in scheme.slices:
        counts[:, where.start] = 1.0
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-3)
    losses = []
    for _ in range(6):
        loss = Likelihood(scheme)(network(stamps), counts, totals)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.95 * losses[0], losses
    assert all(p.grad is not None for p in network.parameters())


def test_the_network_of_the_challenge_learns_fractions_from_its_clipped_start():
    """Mean squared error over the weighted columns, before and after the change of normalisation."""
    config, scheme = small("dieleman"), load_scheme("gz2")
    text = config.layers.replace("clip 625", "clip 4")
    network = Network(NetworkConfig(text, size=99, settings=config.settings), recipe(99, 3), scheme)
    stamps = torch.rand(4, 3, 99, 99)
    wanted = torch.from_numpy(scheme.marginals(np.tile([0.5], (4, 37)))).float()
    optimiser = torch.optim.SGD(network.parameters(), lr=0.04, momentum=0.9, nesterov=True)
    losses = []
    for _ in range(8):
        loss = ((network.columns(stamps) - wanted) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[3] < losses[0]
    assert losses[7] < losses[4]


# Symmetry


def seen(name: str = DEFAULT) -> Network:
    """A network whose normalisation has seen some stamps."""
    network = Network(load_network(name), recipe(64, 3), load_scheme("gz2-simple"))
    network.train()(torch.randn(8, 3, 64, 64))
    return network.eval()


@pytest.fixture(scope="module")
def default() -> Network:
    torch.manual_seed(1)
    return seen()


@pytest.mark.parametrize("element", range(ORDER))
def test_the_default_network_is_invariant_to_flips_and_quarter_turns(default, element):
    """Probabilities change by less than 1e-5."""
    stamps = torch.randn(5, 3, 64, 64)
    with torch.inference_mode():
        p, q = (default(s).softmax(1) for s in (stamps, turned(stamps, element)))
    assert (p - q).abs().max() < 1e-5
    assert p.std(dim=0).min() > 1e-4  # the stamps do differ


def test_the_default_network_does_not_see_the_corners(default):
    """What lies outside the inscribed circle depends on the angle."""
    stamps, other = torch.randn(2, 3, 64, 64), torch.randn(2, 3, 64, 64)
    axis = torch.arange(64) - 31.5
    outside = torch.hypot(axis[:, None], axis[None, :]) > 32
    with torch.inference_mode():
        assert torch.equal(default(stamps), default(torch.where(outside, other, stamps)))


def test_a_plain_network_is_not_invariant_by_itself():
    """That is why its answers are averaged over eight views."""
    network, stamps = seen("plain"), torch.randn(3, 3, 64, 64)
    assert (network(stamps) - network(turned(stamps, 1))).abs().max() > 1e-3


def test_the_eight_views_are_the_symmetries_of_the_square():
    """Each once."""
    stamp = torch.arange(9.0).reshape(1, 1, 3, 3)
    shown = {tuple(v.ravel().tolist()) for v in views(tiny.network(), stamp)}
    by_hand = {
        tuple(np.rot90(side, k).ravel().tolist())
        for side in (stamp[0, 0].numpy(), stamp[0, 0].numpy().T)
        for k in range(4)
    }
    assert shown == by_hand
    assert len(shown) == 8


def test_an_invariant_network_needs_one_view(default):
    """The stamp as it is."""
    stamp = torch.randn(1, 3, 64, 64)
    assert [torch.equal(v, stamp) for v in views(default, stamp)] == [True]


# What a network gives


@pytest.mark.parametrize(("planes", "answers", "size"), [(1, 5, 16), (3, 2, 24), (1, 39, 33)])
def test_stamps_become_one_logit_per_answer(planes, answers, size):
    """Of any number of planes, pixels and answers."""
    network = built("conv 4 3x3 stride 2 relu\nglobalpool mean\ndense answers", size, planes, answers)
    assert network(torch.randn(2, planes, size, size)).shape == (2, answers)


def test_features_are_what_the_last_dense_layer_sees():
    """The last dense layer turns them into logits."""
    network = built("conv 6 3x3 relu\nglobalpool mean\ndense 7 relu\ndropout 0.5\ndense answers").eval()
    stamps = torch.randn(3, 1, 16, 16)
    assert network.features(stamps).shape == (3, 7)
    assert torch.equal(network.layers[-1](network.features(stamps)), network(stamps))


@pytest.mark.parametrize("kind", ["tree", "independent"])
def test_columns_are_weighted_probabilities(kind):
    """As the scheme weights them."""
    scheme = tiny.TREE if kind == "tree" else tiny.scheme_of("independent")
    network, stamps = tiny.network(scheme=scheme), torch.from_numpy(tiny.stamps(3))
    logits = network(stamps)
    p = torch.cat([logits[:, w].softmax(1) for w in scheme.slices], 1) if kind == "tree" else logits.sigmoid()
    assert np.allclose(network.columns(stamps).detach(), scheme.marginals(p.detach().numpy()), atol=1e-6)


def test_only_the_weights_travel_with_a_network():
    """Grids, windows and kernels that follow from the text are not stored."""
    names = set(built("mask 0.9\nblur\nparts 6x6\nconv 2 3x3\njoin\ndense answers").state_dict())
    assert names == {"layers.3.0.weight", "layers.3.0.bias", "layers.5.weight", "layers.5.bias"}


# Reading


def test_settings_stand_for_words():
    """A name alone for a number, with a place for one of several."""
    config = NetworkConfig(
        "conv $maps.2 $wide\ndropout $d  # a comment with $nothing", settings={"maps": [4, 8], "d": 0.25, "wide": 3}
    )
    assert [line.text for line in config.lines()] == ["conv 8 3", "dropout 0.25"]
    other = config.with_settings({"maps": [4, 16], "d": 0})
    assert [line.text for line in other.lines()] == ["conv 16 3", "dropout 0"]
    assert config.settings["maps"] == (4, 8)


def test_a_network_survives_its_dictionary():
    """All of it but where its file lay."""
    for name in network_names():
        config = load_network(name).with_settings({})
        assert NetworkConfig.from_dict(config.to_dict()) == config


def test_a_name_alone_or_none_is_what_ships():
    """With other values of settings, if any are given."""
    assert NetworkConfig.from_dict({}) == load_network(DEFAULT)
    made = NetworkConfig.from_dict({"name": "plain", "dropout": 0.5, "channels": [8, 8, 8, 8]})
    assert made.settings == {"dropout": 0.5, "channels": (8, 8, 8, 8)}
    assert made.layers == load_network("plain").layers


def test_options_may_come_in_any_order():
    """Words first, then options."""
    assert parse_line("conv 8 3x3 relu stride 2 pad 1") == parse_line("conv  8 3x3  pad 1 stride 2 relu")
    assert parse_line("dense answers") != parse_line("dense 5")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("cnov 8 3x3", "unknown layer 'cnov': known are .*; did you mean 'conv'"),
        ("conv 8 3x3 strid 2", "unknown option 'strid'.*did you mean 'stride'"),
        ("conv 8", "'conv' lacks its width: expected 'conv MAPS WIDTH .options.'"),
        ("conv", "lacks its maps"),
        ("conv 8 3", "width '3': expected a width such as 3x3"),
        ("conv 8 3x5", "width '3x5'"),
        ("conv 8 0x0", "width '0x0'"),
        ("conv eight 3x3", "maps 'eight': expected a whole number"),
        ("conv 8 3x3 stride", "'stride' has no value: expected a whole number"),
        ("conv 8 3x3 relu relu", "'relu' is given twice"),
        ("dense many", "expected a whole number or 'answers'"),
        ("dropout half", "share 'half': expected a number"),
    ],
)
def test_a_wrong_line_is_explained(line, words):
    """What is wrong, what was expected, and the nearest spelling."""
    with pytest.raises(PipelineError, match=words):
        parse_line(line)


START = "conv 8 3x3 stride 2 pad 1 relu\n"  # 16 to 8


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("conv 8 9x9", "a window of 9 x 9 meets maps of 8 x 8"),
        ("conv 8 11x11 pad 1", "8 x 8 with 1 added on each side"),
        ("conv 8 3x3 stride 0", "stride 0"),
        ("conv 8 3x3 groups 3", "8 maps from 8 in 3 groups"),
        ("conv 0 3x3", "0 maps"),
        ("conv 12 3x3 pad 1 square", "multiples of 8"),
        ("conv 16 3x3 pad 1 stride 2 square", r"leave 1 pixel\(s\) at one edge"),
        ("conv 16 3x3 square untied", "leave out the other options"),
        ("residual 16 square", "begin with a 'conv ... square'"),
        ("residual 16 stride 3", "expected at least 1 map, stride 1"),
        ("convnext width 4x4", "expected an odd side"),
        ("pool 9x9", "a window of 9 x 9 meets maps of 8 x 8"),
        ("lrn 3x3 pad 2", "less than half"),
        ("globalpool", "a global pool of nothing"),
        ("mask 0", "a radius of 0.0"),
        ("parts 9x9", "parts of 9 x 9 of views of 8 x 8 from 8 maps of 8 x 8"),
        ("join", "nothing to join: what comes in is 8 maps of 8 x 8"),
        ("parts 4x4\ndense 8", "8 maps of 4 x 4 from each of 16 parts: .*join them first"),
        ("dropout 1", "a share of 1.0"),
        ("dense 9 maxout 2", "9 numbers with maxout 2"),
        ("rectify", "8 maps of 8 x 8 for 5 answers"),
        ("dense 8\nconv 8 3x3", "a convolution meets 8 numbers: expected maps with positions"),
        ("dense 8\nresidual 8", "meets 8 numbers"),
        ("dense 8\nblur", "meets 8 numbers"),
        ("pool 2x2\npool 4x4\nblur", "a blur meets 8 maps of 1 x 1"),
        ("conv 16 3x3 pad 1 square\nconv 16 3x3", "16 maps of 8 x 8 in fields of orientations"),
        ("conv 16 3x3 pad 1 square\nlayernorm", "in fields of orientations"),
        ("conv 16 3x3 pad 1 square\npool 3x3 stride 2", r"leave 1 pixel\(s\)"),
        ("conv 16 3x3 pad 1 square\ndense answers", "in fields of orientations: .*pool them first"),
        ("dense 4", "the last layer gives 4 numbers, scheme 'exclusive' has 5 answers: end with 'dense answers'"),
        ("dense $wdith", "unknown setting 'wdith': known are width; did you mean 'width'"),
        ("dense $width.3", "'width' has 2 values"),
        ("dense $width", "'width' has 2 values"),
    ],
)
def test_what_does_not_fit_is_named_with_its_line_and_the_shapes(line, words):
    """The last line of each is the one that does not fit."""
    with pytest.raises(PipelineError, match=words) as caught:
        built(START + line, name="mine", settings={"width": [4, 8]})
    number = 1 + len(line.splitlines())
    assert re.match(rf"network 'mine', line {number} \('", str(caught.value))
    assert "\n" not in str(caught.value)


def test_the_line_is_that_of_the_file(tmp_path):
    """Wherever in the file the layers begin."""
    path = tmp_path / "own.toml"
    for before, opening in (
        ('title = "layers"\n\n', '"""\n'),
        ("# layers = 5\n\n", '""" # first\n'),
        ("\n\n", "'''\n"),
    ):
        path.write_text(f"{before}layers = {opening}# a comment\nglobalpool mean\n\ndense 3\n{opening[:3]}\n")
        line = 1 + path.read_text().splitlines().index("dense 3")
        with pytest.raises(PipelineError, match=rf"network 'own' \(own.toml\), line {line} \('dense 3'\)"):
            Network(load_network(path), recipe(), tiny.TREE)


def test_stamps_of_another_size_are_refused():
    """The message says what to set."""
    with pytest.raises(PipelineError, match=r"needs stamps of 99 x 99 pixels.*set size = 99 in"):
        Network(load_network("dieleman"), recipe(64, 3), load_scheme("gz2"))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"name": "galmorf"}, "unknown network 'galmorf'.*did you mean 'galmorph'"),
        ({"name": "plain", "chanels": [1]}, "did you mean 'channels'"),
        ({"name": "plain", "channels": 8}, "expected a list of 4 numbers"),
        ({"name": "plain", "channels": [8, 8]}, "expected a list of 4 numbers"),
        ({"name": "plain", "dropout": [0.1]}, "expected one number"),
        ({"name": "plain", "dropout": "a"}, "expected a number or a list of numbers"),
        ({"name": "plain", "dropout": True}, "expected a number"),
        ({"layers": "dense answers", "view": "one"}, "did you mean 'views'"),
        ({"layers": "dense answers", "views": "nine"}, "unknown views 'nine'"),
        ({"layers": ["dense answers"]}, "expected a text"),
        ({"layers": "dense answers", "size": "x"}, "expected a whole number"),
        ({"layers": "dense answers", "settings": 3}, "expected a table"),
        ({"layers": "dense answers", "settings": {"a": {}}}, r"\[settings\]: a = {}, expected a number or a list"),
    ],
)
def test_a_wrong_table_is_explained(given, words):
    """Unknown keys with the nearest, values with what was expected."""
    with pytest.raises(PipelineError, match=words):
        NetworkConfig.from_dict(given)


@pytest.mark.parametrize(
    ("text", "words"),
    [("layers = [", "cannot be read"), ("title = 'x'", "lacks 'layers'"), ("\0", "cannot be read")],
)
def test_a_broken_file_is_said_so(tmp_path, text, words):
    """In one line."""
    path = tmp_path / "own.toml"
    path.write_text(text)
    with pytest.raises(PipelineError, match=words):
        load_network(path)


def test_a_network_without_layers_is_refused():
    """Comments are no layers."""
    with pytest.raises(PipelineError, match="has no layers"):
        built("# nothing\n\n")


def test_every_kind_of_layer_says_what_it_is():
    """Names are words, and each class has a sentence."""
    for name, kind in KINDS.items():
        assert name.isalpha()
        assert kind.__doc__
    assert str(FeatureShape(3, 4)) == "3 maps of 4 x 4"


def test_weights_are_counted():
    """Kernels and biases."""
    assert n_weights(built("conv 2 3x3\nglobalpool mean\ndense answers")) == 2 * 9 + 2 + 2 * 5 + 5


def test_the_document_lists_every_layer_with_its_options():
    """The table of docs/networks.md, and the network that it shows."""
    text = (shipped("catalogs").parent / "docs" / "networks.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)[^|]*` \|([^|]*)\|", text, flags=re.MULTILINE))
    assert set(rows) == set(KINDS)
    for name, kind in KINDS.items():
        options = {f.name for f in dataclasses.fields(kind) if f.default is not dataclasses.MISSING}  # type: ignore[arg-type]
        assert set(re.findall(r"`(\w+)`", rows[name])) == options, name
    shown = tomllib.loads(re.findall(r"```toml\n(title.*?)```", text, flags=re.DOTALL)[0])
    assert outline(NetworkConfig.from_dict(shown), recipe(64, 3), load_scheme("gz2-simple"))[1] > 1000


def test_a_text_that_spells_local_response_normalisation_as_older_ones_do_is_the_same():
    """Checkpoints on disk have such texts inside."""
    assert parse_line("respond 3x3 pad 1 alpha 0.1") == parse_line("lrn 3x3 pad 1 alpha 0.1")
