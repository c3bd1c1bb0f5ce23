"""Kinds of layers: the words with which a network is written, one short class each.

A line of a network's text is the name of a kind, the words that it always needs, and options in any order::

    conv 32 6x6 stride 2 relu       # 32 maps, kernels of 6 x 6 pixels

Fields of a class without a default are those words, in their order; the others are options: a field that is True or
False is said by its name alone, any other by its name and a value. ``build`` makes the module for maps of a given
shape and returns the shape of what comes out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from typing import Any, ClassVar, TypeAlias

from torch import nn

from galmorph.errors import PipelineError, unknown_name
from galmorph.nets.architecture import layers
from galmorph.nets.architecture.centroids import CentroidEncoding, LightPool, RingPool, SignedRoot
from galmorph.nets.architecture.fusion import LateFusion, Measured
from galmorph.nets.architecture.layers import ORDER, PARTS
from galmorph.nets.architecture.trees import DEEPEST, Trees
from galmorph.sky.scheme import Scheme
from galmorph.stamps.morphometry import MORPHOMETRY

__all__ = ["KINDS", "FeatureShape", "LayerKind", "parse_line"]

Width: TypeAlias = int
"""Side of a square kernel, written 6x6."""
Count: TypeAlias = int
"""A number, or the word 'answers'."""
ANSWERS = -1


@dataclass(frozen=True)
class FeatureShape:
    """What flows between layers.

    Parameters
    ----------
    maps, side
        Maps of side × side positions; a side of 0 means plain numbers.
    square
        Maps come in fields of eight, one for each orientation of the square.
    parts
        Parts of a stamp that go through the network one by one.
    stamp
        Planes and side of the stamps that the network is shown.
    """

    maps: int
    side: int = 0
    square: bool = False
    parts: int = 1
    stamp: tuple[int, int] = field(default=(0, 0), compare=False)

    def __str__(self) -> str:
        text = f"{self.maps} maps of {self.side} x {self.side}" if self.side else f"{self.maps} numbers"
        return f"{text} from each of {self.parts} parts" if self.parts > 1 else text


Built: TypeAlias = tuple[nn.Module, FeatureShape]


class LayerKind:
    """One line of a network."""

    def build(self, shape: FeatureShape, scheme: Scheme) -> Built:
        """Make the module for what comes in, and tell what goes out.

        Raises
        ------
        PipelineError
            If it cannot take such a shape.
        """
        raise NotImplementedError

    def kernels(self, shape: FeatureShape, scheme: Scheme) -> int:  # noqa: ARG002
        """Count the numbers in the kernels of the module, before there is one: norms and plain biases are left out."""
        return 0


def _maps(shape: FeatureShape, what: str) -> int:
    if not shape.side:
        raise PipelineError(f"{what} meets {shape}: expected maps with positions; put it before the dense layers")
    return shape.side


def _plain_maps(shape: FeatureShape, what: str) -> int:
    if shape.square:
        raise PipelineError(
            f"{what} meets {shape} in fields of orientations, whose symmetry it would break: add 'square' or "
            "pool them first"
        )
    return _maps(shape, what)


def _after_window(side: int, width: int, stride: int, padding: int, *, fit: bool = False) -> int:
    """Return the side of what a moving window leaves of maps."""
    if width > side + 2 * padding:
        raise PipelineError(
            f"a window of {width} x {width} meets maps of {side} x {side}"
            + (f" with {padding} added on each side" if padding else "")
            + ": expected one that is no wider; make it smaller, add 'pad', or leave out a reduction before"
        )
    if stride < 1 or padding < 0:
        raise PipelineError(f"stride {stride} and pad {padding}: expected a stride from 1 and a pad from 0")
    steps = side + 2 * padding - width
    return (-(-steps // stride) if fit else steps // stride) + 1


def _check_square(shape: FeatureShape, maps: int, width: int, stride: int, padding: int) -> None:
    """Check what keeps the symmetry exact: fields of eight, and sampling points symmetric on the maps."""
    if maps % ORDER:
        raise PipelineError(f"{maps} maps: 'square' needs multiples of {ORDER}, one map for each orientation")
    left = (shape.side + 2 * padding - width) % stride
    if left:
        raise PipelineError(
            f"kernels of {width} x {width} at stride {stride} on {shape} leave {left} pixel(s) at one edge, so that "
            "a turned stamp would be sampled elsewhere: choose another width or pad"
        )


def _start(module: nn.Module, std: float, bias: float) -> None:
    """Draw the first weights from a normal distribution, and set the first biases; a std of 0 keeps torch's start."""
    if std > 0.0:
        weight, offset = module.weight, module.bias
        nn.init.normal_(weight, std=std)  # type: ignore[arg-type]
        if offset is not None:
            nn.init.constant_(offset, bias)  # type: ignore[arg-type]


@dataclass(frozen=True)
class ConvKind(LayerKind):
    """Convolution: `maps` kernels of `width`."""

    maps: int
    width: Width
    stride: int = 1
    pad: int = 0
    groups: int = 1
    fit: bool = False
    untied: bool = False
    square: bool = False
    batchnorm: bool = False
    epsilon: float = 1e-5
    relu: bool = False
    relu6: bool = False
    std: float = 0.0
    bias: float = 0.0

    def build(self, shape: FeatureShape, scheme: Scheme) -> Built:  # noqa: ARG002
        """Make the convolution, its normalisation and rectifier."""
        side = _maps(shape, "a convolution") if self.square else _plain_maps(shape, "a convolution")
        side = _after_window(side, self.width, self.stride, self.pad, fit=self.fit)
        if self.groups < 1 or shape.maps % self.groups or self.maps % self.groups or self.maps < 1:
            raise PipelineError(
                f"{self.maps} maps from {shape.maps} in {self.groups} groups: expected numbers that the groups divide"
            )
        parts: list[nn.Module] = [self._square(shape) if self.square else self._plain(shape)]
        if self.batchnorm:
            norm = layers.SquareNorm(self.maps) if self.square else layers.BatchNorm(self.maps, eps=self.epsilon)
            parts.append(norm)
        if self.relu or self.relu6:
            parts.append(nn.ReLU6(inplace=True) if self.relu6 else nn.ReLU(inplace=True))
        return nn.Sequential(*parts), replace(shape, maps=self.maps, side=side, square=self.square)

    def kernels(self, shape: FeatureShape, scheme: Scheme) -> int:  # noqa: ARG002
        """Count those of the convolution, and biases of each position."""
        side = _after_window(shape.side, self.width, self.stride, self.pad, fit=self.fit) if self.untied else 0
        shared = ORDER if self.square else max(self.groups, 1)
        return self.maps * shape.maps * self.width**2 // shared + self.maps * side**2

    def _square(self, shape: FeatureShape) -> nn.Module:
        _check_square(shape, self.maps, self.width, self.stride, self.pad)
        if self.untied or self.fit or self.groups > 1 or self.std or self.bias:
            raise PipelineError("'square' goes with stride, pad, batchnorm and relu only: leave out the other options")
        return layers.SquareConv(shape.maps, self.maps, self.width, self.stride, self.pad, image=not shape.square)

    def _plain(self, shape: FeatureShape) -> nn.Module:
        module = layers.Convolution(
            shape.maps,
            self.maps,
            self.width,
            side=shape.side,
            stride=self.stride,
            padding=self.pad,
            groups=self.groups,
            untied=self.untied,
            biased=not self.batchnorm,
            fit=self.fit,
        )
        _start(module, self.std, self.bias)
        return module


@dataclass(frozen=True)
class ResidualKind(LayerKind):
    """Two convolutions of 3 x 3 around a shortcut, with batch normalisation."""

    maps: int
    stride: int = 1
    square: bool = False

    def build(self, shape: FeatureShape, scheme: Scheme) -> Built:  # noqa: ARG002
        """Make the block."""
        side = _maps(shape, "a residual block") if self.square else _plain_maps(shape, "a residual block")
        if self.stride not in (1, 2) or (self.stride == 2 and side % 2) or self.maps < 1:
            raise PipelineError(
                f"{self.maps} maps at stride {self.stride} from {shape}: expected at least 1 map, stride 1, or "
                "stride 2 on maps of even side"
            )
        if self.square:
            _check_square(shape, self.maps, 1, 1, 0)
        if self.square and not shape.square:
            raise PipelineError(f"a square block meets {shape} without orientations: begin with a 'conv ... square'")
        block = layers.ResidualBlock(shape.maps, self.maps, self.stride, square=self.square)
        return block, replace(shape, maps=self.maps, side=side // self.stride)

    def kernels(self, shape: FeatureShape, scheme: Scheme) -> int:  # noqa: ARG002
        """Count those of its three convolutions."""
        first = 16 if self.square and self.stride > 1 else 9
        widen = shape.maps != self.maps or self.stride > 1
        return self.maps * ((first + widen) * shape.maps + 9 * self.maps) // (ORDER if self.square else 1)


@dataclass(frozen=True)
class InvertedKind(LayerKind):
    """Inverted residual block: every map widened `expand` times, convolved alone, and narrowed without a rectifier.

    Sandler et al. 2018, arXiv:1801.04381, with ReLU6 and without squeeze and excitation, as EfficientNet-lite has it
    (Tan & Le 2019, arXiv:1905.11946). Zeros around the maps are those of TensorFlow's ``SAME``, and the share `drop` of
    the galaxies skips the block in training (stochastic depth, Huang et al. 2016, arXiv:1603.09382).
    """

    maps: int
    width: Width
    expand: int = 6
    stride: int = 1
    drop: float = 0.0

    def build(self, shape: FeatureShape, scheme: Scheme) -> Built:  # noqa: ARG002
        """Make the block."""
        side = _plain_maps(shape, "an inverted residual block")
        if self.maps < 1 or self.expand < 1 or self.stride < 1 or not 0.0 <= self.drop < 1.0:
            raise PipelineError(
                f"{self.maps} maps, expand {self.expand}, stride {self.stride}, drop {self.drop}: expected at least 1 "
                "of the first three, and a share from 0 to less than 1"
            )
        block = layers.InvertedBlock(
            shape.maps, self.maps, self.width, side=side, expand=self.expand, stride=self.stride, drop=self.drop
        )
        return block, replace(shape, maps=self.maps, side=-(-side // self.stride))

    def kernels(self, shape: FeatureShape, scheme: Scheme) -> int:  # noqa: ARG002
        """Count those that widen, convolve and narrow."""
        widen = shape.maps if self.expand > 1 else 0
        return shape.maps * self.expand * (widen + self.width**2 + self.maps)


@dataclass(frozen=True)
class ConvNextKind(LayerKind):
    """ConvNeXt block; keeps the shape."""

    width: Width = 7

    def build(self, shape: FeatureShape, scheme: Scheme) -> Built:  # noqa: ARG002
        """Make the block."""
        _plain_maps(shape, "a ConvNeXt block")
        if self.width % 2 == 0:
            raise PipelineError(f"a kernel of {self.width} x {self.width}: expected an odd side, which keeps the shape")
        return layers.ConvNextBlock(shape.maps, self.width), shape

    def kernels(self, shape: FeatureShape, scheme: Scheme) -> int:  # noqa: ARG002
        """Count those of the convolution and of the two dense layers."""
        return shape.maps * (self.width**2 + 8 * shape.maps)


@dataclass(frozen=True)
class LayerNormKind(LayerKind):
    """Layer normalisation over the maps at each position."""

    def build(self, shape: FeatureShape, scheme: Scheme) -> Built:  # noqa: ARG002
        """Make it."""
        if shape.square:
            _plain_maps(shape, "a layer normalisation")
        return layers.LayerNorm2d(shape.maps), shape


@dataclass(frozen=True)
class PoolKind(LayerKind):
    """Maximum (or mean) in a moving window; the stride is the window's width if not given."""

    width: Width
    stride: int = 0
    fit: bool = False
    mean: bool = False

    def build(self, shape: FeatureShape, scheme: Scheme) -> Built:  # noqa: ARG002
        """Make it."""
        side, stride = _maps(shape, "a pool"), self.stride or self.width
        out = _after_window(side, self.width, stride, 0, fit=self.fit)
        if shape.square:
            _check_square(shape, shape.maps, self.width, stride, 0)
        kind = nn.AvgPool2d if self.mean else nn.MaxPool2d
        return kind(self.width, stride, ceil_mode=self.fit), replace(shape, side=out)


@dataclass(frozen=True)
class BlurKind(LayerKind):
    """Blur and take every second position."""

    def build(self, shape: FeatureShape, scheme: Scheme) -> Built:  # noqa: ARG002
        """Make it."""
        side = _maps(shape, "a blur")
        if side % 2:
            raise PipelineError(f"a blur meets {shape}: expected an even side, which it halves")
        return layers.Blur(), replace(shape, side=side // 2)


@dataclass(frozen=True)
class LocalResponseKind(LayerKind):
    """Local response normalisation in a window of each map."""

    width: Width
    stride: int = 1
    pad: int = 0
    alpha: float = 0.001
    beta: float = 0.75

    def build(self, shape: FeatureShape, scheme: Scheme) -> Built:  # noqa: ARG002
        """Make it."""
        side = _after_window(_plain_maps(shape, "a local response normalisation"), self.width, self.stride, self.pad)
        if self.pad > (self.width - 1) // 2:
            raise PipelineError(f"pad {self.pad} for a window of {self.width}: expected less than half of it")
        return layers.LocalResponseNorm(self.width, self.stride, self.pad, self.alpha, self.beta), replace(
            shape, side=side
        )


@dataclass(frozen=True)
class MaskKind(LayerKind):
    """Blank the stamp outside a circle, whose radius is in half-widths of the stamp."""

    radius: float

    def build(self, shape: FeatureShape, scheme: Scheme) -> Built:  # noqa: ARG002
        """Make it."""
        if not 0.0 < self.radius <= 1.5:
            raise PipelineError(f"a radius of {self.radius}: expected more than 0 and at most 1.5 half-widths")
        return layers.Mask(_maps(shape, "a mask"), self.radius), shape


@dataclass(frozen=True)
class PartsKind(LayerKind):
    """Sixteen parts of `width` of the views at 0 and 45 degrees and mirrored, of width `of` or that of the stamp."""

    width: Width
    of: Width = 0

    def build(self, shape: FeatureShape, scheme: Scheme) -> Built:  # noqa: ARG002
        """Make it."""
        side = _plain_maps(shape, "a cut into parts")
        view = self.of or side
        if shape.parts > 1 or not self.width <= view <= side:
            raise PipelineError(
                f"parts of {self.width} x {self.width} of views of {view} x {view} from {shape}: expected "
                "parts no wider than the views and views no wider than the stamp, cut once"
            )
        cut = layers.Parts(side, view, self.width)
        return cut, replace(shape, side=self.width, parts=PARTS)


@dataclass(frozen=True)
class JoinKind(LayerKind):
    """Set the features of all parts side by side."""

    def build(self, shape: FeatureShape, scheme: Scheme) -> Built:  # noqa: ARG002
        """Make it."""
        if shape.parts == 1:
            raise PipelineError(f"nothing to join: what comes in is {shape} of the whole stamp; cut it by 'parts'")
        return layers.Join(), FeatureShape(shape.maps * max(shape.side, 1) ** 2 * shape.parts)


@dataclass(frozen=True)
class GlobalPoolKind(LayerKind):
    """Mean and maximum of every map over all positions (and orientations)."""

    mean: bool = False
    maximum: bool = False

    def build(self, shape: FeatureShape, scheme: Scheme) -> Built:  # noqa: ARG002
        """Make it."""
        _maps(shape, "a global pool")
        if not (self.mean or self.maximum):
            raise PipelineError("a global pool of nothing: add 'mean', 'maximum' or both")
        per_field = ORDER if shape.square else 1
        pool = layers.GlobalPool(mean=self.mean, maximum=self.maximum, per_field=per_field)
        return pool, replace(shape, maps=shape.maps // per_field * (self.mean + self.maximum), side=0, square=False)


@dataclass(frozen=True)
class DenseKind(LayerKind):
    """Every number from every number; ``maxout 2`` keeps the larger of each two."""

    numbers: Count
    relu: bool = False
    maxout: int = 1
    std: float = 0.0
    bias: float = 0.0

    def build(self, shape: FeatureShape, scheme: Scheme) -> Built:
        """Make it; maps are laid out as numbers first."""
        if shape.square or shape.parts > 1:
            raise PipelineError(
                f"a dense layer meets {shape}"
                + (" in fields of orientations" if shape.square else "")
                + ": expected the numbers of a whole stamp; "
                + ("join" if shape.parts > 1 else "pool")
                + " them first"
            )
        numbers = len(scheme.keys) if self.numbers == ANSWERS else self.numbers
        if numbers < 1 or self.maxout < 1 or numbers % self.maxout:
            raise PipelineError(f"{numbers} numbers with maxout {self.maxout}: expected a multiple of it")
        linear = nn.Linear(shape.maps * max(shape.side, 1) ** 2, numbers)
        _start(linear, self.std, self.bias)
        modules: list[nn.Module] = [*([nn.Flatten()] if shape.side else []), linear]
        modules += [layers.Maxout(self.maxout)] if self.maxout > 1 else []
        modules += [nn.ReLU(inplace=True)] if self.relu else []
        return nn.Sequential(*modules) if len(modules) > 1 else linear, FeatureShape(numbers // self.maxout)

    def kernels(self, shape: FeatureShape, scheme: Scheme) -> int:
        """Count those of all numbers from all numbers."""
        numbers = len(scheme.keys) if self.numbers == ANSWERS else self.numbers
        return shape.maps * max(shape.side, 1) ** 2 * numbers


@dataclass(frozen=True)
class DropoutKind(LayerKind):
    """Set a share of the numbers to zero in training."""

    share: float

    def build(self, shape: FeatureShape, scheme: Scheme) -> Built:  # noqa: ARG002
        """Make it."""
        if not 0.0 <= self.share < 1.0:
            raise PipelineError(f"a share of {self.share}: expected at least 0 and less than 1")
        return nn.Dropout(self.share), shape


@dataclass(frozen=True)
class MorphometryKind(LayerKind):
    """Set so many numbers made of what is measured of the galaxy beside the features of its stamp; 0 for none."""

    numbers: int

    def build(self, shape: FeatureShape, scheme: Scheme) -> Built:  # noqa: ARG002
        """Make it."""
        if self.numbers < 0 or shape.side or shape.parts > 1:
            raise PipelineError(
                f"{self.numbers} numbers of morphometry meet {shape}: expected 0 or more beside the plain numbers of a "
                "whole stamp; put it right before 'dense answers'"
            )
        if self.numbers == 0:
            return nn.Identity(), shape
        return LateFusion(self.numbers), FeatureShape(shape.maps + self.numbers)


@dataclass(frozen=True)
class MeasuredKind(LayerKind):
    """Take what is measured of the galaxy in place of its stamp: a network that knows sizes and shapes alone."""

    def build(self, shape: FeatureShape, scheme: Scheme) -> Built:  # noqa: ARG002
        """Make it."""
        if not shape.side:
            raise PipelineError(f"it meets {shape}: expected the stamp itself; put it first")
        return Measured(), FeatureShape(2 * len(MORPHOMETRY))


@dataclass(frozen=True)
class RectifyKind(LayerKind):
    """Probabilities relu(z) / sum of relu(z) in each question instead of a softmax."""

    clip: int = 0

    def build(self, shape: FeatureShape, scheme: Scheme) -> Built:
        """Make it."""
        if shape != FeatureShape(len(scheme.keys)) or scheme.kind == "independent":
            raise PipelineError(
                f"it meets {shape} for {len(scheme.keys)} answers of scheme '{scheme.name}' ({scheme.kind}): expected "
                "one number for each answer, and questions whose answers exclude each other"
            )
        return layers.Rectify(scheme.slices, scheme.parents, self.clip), shape


@dataclass(frozen=True)
class KMeansKind(LayerKind):
    """Two maps for each of so many centroids of normalised and whitened patches of `width`: likeness and its opposite.

    With `square` each centroid is shown in the eight orientations of the square.
    """

    centroids: int
    width: Width
    stride: int = 1
    threshold: float = 0.0
    square: bool = False

    def build(self, shape: FeatureShape, scheme: Scheme) -> Built:  # noqa: ARG002
        """Make it."""
        side = _after_window(_plain_maps(shape, "an encoding by centroids"), self.width, self.stride, 0)
        if self.centroids < 1 or self.threshold < 0.0:
            raise PipelineError(
                f"{self.centroids} centroids, threshold {self.threshold:g}: expected at least 1, and a threshold from 0"
            )
        per_field = ORDER if self.square else 1
        if self.square:
            _check_square(shape, ORDER * self.centroids, self.width, self.stride, 0)
        encoding = CentroidEncoding(
            shape.maps,
            self.centroids,
            self.width,
            side=shape.side,
            stride=self.stride,
            threshold=self.threshold,
            square=self.square,
        )
        return encoding, replace(shape, maps=2 * per_field * self.centroids, side=side, square=self.square)

    def kernels(self, shape: FeatureShape, scheme: Scheme) -> int:  # noqa: ARG002
        """Count those of the centroids, of one orientation each."""
        return self.centroids * shape.maps * self.width**2


@dataclass(frozen=True)
class RingsKind(LayerKind):
    """Mean and maximum of every map over all positions and over each of so many rings about the centre.

    `spread` is the standard deviation, over orientations, of the mean over positions.
    """

    rings: int
    mean: bool = False
    maximum: bool = False
    spread: bool = False

    def build(self, shape: FeatureShape, scheme: Scheme) -> Built:  # noqa: ARG002
        """Make it."""
        side = _maps(shape, "a pool over rings")
        if not (self.mean or self.maximum or self.spread):
            raise PipelineError("a pool over rings of nothing: add 'mean', 'maximum' or 'spread'")
        if self.spread and not shape.square:
            raise PipelineError(f"a spread over orientations meets {shape} without any: add 'square' above")
        if not 1 <= self.rings <= side // 2:
            raise PipelineError(f"{self.rings} rings on {shape}: expected from 1 to half of the side")
        per_field = ORDER if shape.square else 1
        pool = RingPool(side, self.rings, mean=self.mean, maximum=self.maximum, spread=self.spread, per_field=per_field)
        pools = (self.rings + (self.rings > 1)) * (self.mean + self.maximum + self.spread)
        return pool, replace(shape, maps=shape.maps // per_field * pools, side=0, square=False)


@dataclass(frozen=True)
class LightKind(LayerKind):
    """Set beside the features how light is spread over so many rings: mean, second harmonic, asymmetry."""

    rings: int

    def build(self, shape: FeatureShape, scheme: Scheme) -> Built:  # noqa: ARG002
        """Make it."""
        planes, side = shape.stamp
        if shape.side or shape.parts > 1:
            raise PipelineError(f"light meets {shape}: expected the numbers of a whole stamp; pool them first")
        if not 1 <= self.rings <= side // 2:
            raise PipelineError(f"{self.rings} rings on stamps of {side} x {side}: expected from 1 to half of the side")
        return LightPool(side, self.rings), replace(shape, maps=shape.maps + LightPool.numbers(planes, self.rings))


@dataclass(frozen=True)
class RootKind(LayerKind):
    """The root of the size of each number, with its sign."""

    def build(self, shape: FeatureShape, scheme: Scheme) -> Built:  # noqa: ARG002
        """Make it."""
        return SignedRoot(), shape


@dataclass(frozen=True)
class ForestKind(LayerKind):
    """The mean over decision trees of the shares of galaxies in their leaves: `trees` of `nodes` in all, and `depth`.

    Such a line is written by what grows trees; no network learns it by gradients.
    """

    trees: int
    nodes: int
    depth: int
    _are_shares: ClassVar[bool] = True

    def build(self, shape: FeatureShape, scheme: Scheme) -> Built:
        """Make it."""
        if shape.side or shape.parts > 1:
            raise PipelineError(f"trees meet {shape}: expected the numbers of a whole stamp; pool them first")
        if not 1 <= self.trees <= self.nodes or not 0 <= self.depth <= DEEPEST:
            raise PipelineError(
                f"{self.trees} trees of {self.nodes} nodes and depth {self.depth}: expected at least one node for each "
                f"tree, and a depth up to {DEEPEST}"
            )
        answers = len(scheme.keys)
        trees = Trees(
            shape.maps,
            answers,
            trees=self.trees,
            nodes=self.nodes,
            depth=self.depth,
            width=self._leaf(scheme),
            are_shares=self._are_shares,
            independent=scheme.kind == "independent",
        )
        return trees, FeatureShape(answers)

    def kernels(self, shape: FeatureShape, scheme: Scheme) -> int:  # noqa: ARG002
        """Count the numbers of all nodes and trees."""
        return self.nodes * (4 + self._leaf(scheme)) + 2 * self.trees

    def _leaf(self, scheme: Scheme) -> int:
        """Count the numbers in a leaf: one logit, or the shares of all answers that exclude each other."""
        return scheme.most_exclusive if self._are_shares else 1


@dataclass(frozen=True)
class BoostingKind(ForestKind):
    """The sum over boosted trees, each for one answer, of the numbers in their leaves, as logits."""

    _are_shares: ClassVar[bool] = False


KINDS: dict[str, Callable[..., LayerKind]] = {
    "blur": BlurKind,
    "boosting": BoostingKind,
    "conv": ConvKind,
    "convnext": ConvNextKind,
    "dense": DenseKind,
    "dropout": DropoutKind,
    "forest": ForestKind,
    "globalpool": GlobalPoolKind,
    "join": JoinKind,
    "kmeans": KMeansKind,
    "layernorm": LayerNormKind,
    "light": LightKind,
    "lrn": LocalResponseKind,
    "mask": MaskKind,
    "mbconv": InvertedKind,
    "measured": MeasuredKind,
    "morphometry": MorphometryKind,
    "parts": PartsKind,
    "pool": PoolKind,
    "rectify": RectifyKind,
    "residual": ResidualKind,
    "rings": RingsKind,
    "root": RootKind,
}


_SPELLINGS = {"respond": "lrn"}
"""How texts inside older checkpoints spell a kind."""


def parse_line(line: str) -> LayerKind:
    """Read one line.

    Raises
    ------
    PipelineError
        If the kind or an option is unknown, or a word is missing or no number.
    """
    name, *words = line.split()
    name = _SPELLINGS.get(name, name)
    if name not in KINDS:
        raise PipelineError(unknown_name("layer", name, KINDS))
    kind: Any = KINDS[name]
    needed = [f for f in fields(kind) if f.default is MISSING]
    options = {f.name: f for f in fields(kind) if f.default is not MISSING}
    values: dict[str, Any] = {}
    for at, wanted in enumerate(needed):
        if at >= len(words):
            raise PipelineError(f"'{name}' lacks its {wanted.name}: expected '{_usage(name, needed)}'")
        values[wanted.name] = _value(wanted, words[at])
    rest = iter(words[len(needed) :])
    for word in rest:
        if word not in options or word in values:
            problem = f"option '{word}' is given twice" if word in values else unknown_name("option", word, options)
            raise PipelineError(f"'{name}': {problem}")
        values[word] = _option(options[word], rest)
    layer: LayerKind = kind(**values)
    return layer


def _option(field: Field[Any], rest: Any) -> Any:
    if field.type == "bool":
        return True
    word = next(rest, None)
    if word is None:
        raise PipelineError(f"option '{field.name}' has no value: expected {_FORMS[str(field.type)]} after it")
    return _value(field, word)


_FORMS = {
    "int": "a whole number",
    "float": "a number",
    "Width": "a width such as 3x3",
    "Count": "a whole number or 'answers'",
}


def _value(field: Field[Any], word: str) -> int | float:
    form = str(field.type)
    try:
        if form == "float":
            return _finite(word)
        if form == "Width":
            return _width(word)
        return ANSWERS if form == "Count" and word == "answers" else int(word)
    except ValueError:
        raise PipelineError(f"{field.name} '{word}': expected {_FORMS[form]}") from None


def _finite(word: str) -> float:
    if not math.isfinite(number := float(word)):
        raise ValueError(word)
    return number


def _width(word: str) -> int:
    width, times, height = word.partition("x")
    if not times or width != height or int(width) < 1:
        raise ValueError(word)
    return int(width)


def _usage(name: str, needed: list[Field[Any]]) -> str:
    return " ".join([name, *(f.name.upper() for f in needed), "[options]"])
