"""Layers: the parts networks are made of."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - torch's own convention

from galmorph.nets.precision import single

__all__ = [
    "ORDER",
    "PARTS",
    "BatchNorm",
    "Blur",
    "ConvNextBlock",
    "Convolution",
    "GlobalPool",
    "InvertedBlock",
    "Join",
    "LayerNorm2d",
    "LocalResponseNorm",
    "Mask",
    "Maxout",
    "Parts",
    "Rectify",
    "ResidualBlock",
    "SquareConv",
    "SquareNorm",
    "conditional_log_probabilities",
    "turned",
    "weighted",
]

ORDER = 8
"""Orientations of the square: four quarter turns, of the image and of its mirror image (the group D4)."""

_ELEMENTS = [(mirror, quarter) for mirror in (0, 1) for quarter in range(4)]


def turned(images: torch.Tensor, element: int) -> torch.Tensor:  # (..., H, W) -> (..., H, W)
    """Mirror images left to right (elements 4 to 7), then turn them by `element` modulo 4 quarters."""
    mirror, quarter = _ELEMENTS[element]
    return torch.rot90(images.flip(-1) if mirror else images, quarter, (-2, -1))


def _relative(g: int, h: int) -> int:
    """Return the element that leads from `g` to `h`: the inverse of g, after h."""
    (mirror, quarter), (other, turns) = _ELEMENTS[g], _ELEMENTS[h]
    # A mirror image turns the other way round.
    between = turns - quarter if mirror == 0 else quarter - turns
    return _ELEMENTS.index((mirror ^ other, between % 4))


_RELATIVE = torch.tensor([[_relative(g, h) for h in range(ORDER)] for g in range(ORDER)])


def _orientations(channels: int, width: int) -> torch.Tensor:  # -> (8 · channels · width²,)
    """Say which weight of a kernel, (1 or 8, k, k), lies where in each of its orientations."""
    place = torch.arange(channels * width * width, device="cpu").reshape(channels, width, width)
    turns = [turned(place if channels == 1 else place[_RELATIVE[g]], g) for g in range(ORDER)]
    return torch.stack(turns).flatten()


class SquareConv(nn.Module):
    """Convolution that commutes with flips and quarter turns (Cohen & Welling 2016, arXiv:1602.07576).

    Channels come in fields of eight, one channel per orientation of the square; channel ``8 f + g`` of the output is
    the kernel of field f in orientation g. The sampling points must lie symmetrically on the image, which kernels
    of odd width do at stride 1 and kernels of even width at stride 2 on images of even size.

    Parameters
    ----------
    inputs, outputs
        Channels, multiples of eight; `inputs` of an image are its planes.
    width, stride, padding
        As usual.
    image
        Whether the input is an image instead of fields.
    """

    orientations: torch.Tensor

    def __init__(
        self, inputs: int, outputs: int, width: int, stride: int = 1, padding: int = 0, *, image: bool = False
    ) -> None:
        super().__init__()
        fields = (outputs // ORDER, inputs if image else inputs // ORDER, 1 if image else ORDER)
        self.weight = nn.Parameter(torch.empty(*fields, width, width))
        nn.init.normal_(self.weight, std=(2.0 / (inputs * width * width)) ** 0.5)
        self.stride, self.padding = stride, padding
        self.register_buffer("orientations", _orientations(fields[2], width), persistent=False)

    def kernels(self) -> torch.Tensor:  # (fields, inputs, 1 or 8, k, k) -> (outputs, inputs, k, k)
        """Turn the kernels into all orientations."""
        fields, inputs, channels, width, _ = self.weight.shape
        turns = self.weight.flatten(2).index_select(2, self.orientations)
        turns = turns.view(fields, inputs, ORDER, channels, width, width).transpose(1, 2)
        return turns.reshape(ORDER * fields, inputs * channels, width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (B, C, H, W) -> (B, outputs, H/stride, W/stride)
        """Convolve."""
        kernels = self.kernels().contiguous(memory_format=torch.channels_last)
        return F.conv2d(x, kernels, stride=self.stride, padding=self.padding)


class BatchNorm(nn.BatchNorm2d):
    """Batch normalisation (Ioffe & Szegedy 2015, arXiv:1502.03167), in single precision."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (B, C, H, W) -> (B, C, H, W)
        """Normalise."""
        return super().forward(single(x))


class SquareNorm(nn.Module):
    """Batch normalisation whose statistics and weights are shared by the eight orientations of a field."""

    mean: torch.Tensor
    variance: torch.Tensor

    def __init__(self, channels: int, momentum: float = 0.1) -> None:
        super().__init__()
        fields = channels // ORDER
        self.weight = nn.Parameter(torch.ones(fields))
        self.bias = nn.Parameter(torch.zeros(fields))
        self.register_buffer("mean", torch.zeros(fields))
        self.register_buffer("variance", torch.ones(fields))
        self.momentum = momentum

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (B, C, H, W) -> (B, C, H, W)
        """Normalise; in training with the batch's own statistics."""
        x = single(x)
        weight, bias, mean, variance = (
            v.repeat_interleave(ORDER) for v in (self.weight, self.bias, self.mean, self.variance)
        )
        if not self.training:
            return F.batch_norm(x, mean, variance, weight, bias)
        # The statistics of the eight channels differ only by chance; a momentum of 1 puts them into the buffers.
        y = F.batch_norm(x, mean, variance, weight, bias, training=True, momentum=1.0)
        with torch.no_grad():
            means, variances = mean.view(-1, ORDER), variance.view(-1, ORDER)
            self.mean.lerp_(means.mean(1), self.momentum)
            self.variance.lerp_(variances.mean(1) + means.var(1, correction=0), self.momentum)
        return y


class ResidualBlock(nn.Module):
    """Two convolutions with batch normalisation around a shortcut (He et al. 2016, arXiv:1512.03385).

    With `square` they commute with the symmetries of the square.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1, *, square: bool = False) -> None:
        super().__init__()
        norm = SquareNorm if square else BatchNorm
        widen = inputs != outputs or stride > 1
        if square:
            self.first: nn.Module = SquareConv(inputs, outputs, 4 if stride > 1 else 3, stride, 1)
            self.second: nn.Module = SquareConv(outputs, outputs, 3, 1, 1)
            self.shortcut: nn.Module | None = SquareConv(inputs, outputs, 1) if widen else None
        else:
            self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
            self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
            self.shortcut = nn.Conv2d(inputs, outputs, 1, bias=False) if widen else None
        self.norm1, self.norm2 = norm(outputs), norm(outputs)
        self.stride = stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (B, C, H, W) -> (B, outputs, H/stride, W/stride)
        """Apply the block."""
        y = F.relu(self.norm1(self.first(x)), inplace=True)
        y = self.norm2(self.second(y))
        if self.shortcut is not None:
            x = self.shortcut(F.avg_pool2d(x, self.stride) if self.stride > 1 else x)
        return F.relu(x + y, inplace=True)


class InvertedBlock(nn.Module):
    """Inverted residual block (Sandler et al. 2018, arXiv:1801.04381): wide in the middle, where maps do not mix.

    Parameters
    ----------
    inputs, outputs, width, side, stride
        As of :class:`Convolution`; zeros are added so that ceil(side / stride) positions come out, an odd one at the
        end, as TensorFlow's ``SAME`` has it.
    expand
        How many times wider the middle is.
    drop
        Share of a batch that skips the block in training; only where there is a shortcut.
    """

    # Of the trained EfficientNets: other values would change what their weights mean.
    _EPSILON = 1e-3

    def __init__(
        self, inputs: int, outputs: int, width: int, *, side: int, expand: int = 6, stride: int = 1, drop: float = 0.0
    ) -> None:
        super().__init__()
        wide = inputs * expand
        padding = max((-(-side // stride) - 1) * stride + width - side, 0) // 2
        spread = Convolution(
            wide, wide, width, side=side, stride=stride, padding=padding, groups=wide, biased=False, fit=True
        )
        widen = [nn.Conv2d(inputs, wide, 1, bias=False), self._norm(wide), nn.ReLU6(inplace=True)]
        self.path = nn.Sequential(
            *(widen if expand > 1 else []),
            *(spread, self._norm(wide), nn.ReLU6(inplace=True)),
            *(nn.Conv2d(wide, outputs, 1, bias=False), self._norm(outputs)),
        )
        self.is_residual, self.drop = inputs == outputs and stride == 1, drop

    def _norm(self, maps: int) -> BatchNorm:
        return BatchNorm(maps, eps=self._EPSILON)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (B, C, H, W) -> (B, outputs, H/stride, W/stride)
        """Apply the block."""
        y = _tensor(self.path(x))
        if not self.is_residual:
            return y
        if self.training and self.drop > 0.0:
            kept = torch.rand(len(x), 1, 1, 1, device=x.device) >= self.drop
            y = y * (kept / (1.0 - self.drop)).to(y.dtype)
        return x + y


def conditional_log_probabilities(
    logits: torch.Tensor, slices: Sequence[slice], *, independent: bool
) -> torch.Tensor:  # (B, A) -> (B, A)
    """Turn logits into the logarithm of probabilities given that each question is asked.

    The answers of one question share a softmax; independent fractions have a logistic function each.
    """
    if independent:
        return F.logsigmoid(logits)
    return torch.cat([F.log_softmax(logits[:, where], dim=1) for where in slices], dim=1)


def weighted(
    conditional: torch.Tensor, slices: Sequence[slice], parents: Sequence[Sequence[int]]
) -> torch.Tensor:  # (B, A) -> (B, A)
    """Multiply conditional probabilities down a tree of questions, in their order.

    A question's answers get the weight of the answers that lead to it, which have theirs already (the constraints of
    Dieleman et al. 2015, MNRAS 450, 1441, section 6.4).

    Parameters
    ----------
    slices, parents
        Of the scheme: where each question's answers lie, and the positions of the answers that lead to it.
    """
    columns: list[torch.Tensor] = list(conditional.unbind(dim=1))
    for where, above in zip(slices, parents, strict=True):
        if above:
            weight = torch.stack([columns[i] for i in above]).sum(dim=0)
            columns[where] = [weight * column for column in columns[where]]
    return torch.stack(columns, dim=1)


class Mask(nn.Module):
    """Blanks a stamp outside a circle, so that its corners, which depend on the angle, are not seen.

    Parameters
    ----------
    side
        Of the stamp.
    radius
        Of the circle in half-widths of the stamp; the edge falls as a cosine over `soft_px` pixels inside it.
    """

    window: torch.Tensor

    def __init__(self, side: int, radius: float = 1.0, soft_px: float = 3.0) -> None:
        super().__init__()
        axis = torch.arange(side) - (side - 1) / 2
        distance = torch.hypot(axis[:, None], axis[None, :])
        inside = ((radius * side / 2 - distance) / soft_px).clamp(0.0, 1.0)
        self.register_buffer("window", 0.5 - 0.5 * torch.cos(math.pi * inside), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (B, C, S, S) -> (B, C, S, S)
        """Blank."""
        return x * self.window


class Blur(nn.Module):
    """Halves the resolution by the binomial kernel 1 3 3 1, with little aliasing (Zhang 2019, arXiv:1904.11486)."""

    kernel: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        line = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8.0
        self.register_buffer("kernel", (line[:, None] * line[None, :])[None, None], persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (B, C, H, W) -> (B, C, H/2, W/2)
        """Average, with as much weight at the edges as inside."""
        kernel = self.kernel.to(x.dtype).expand(x.shape[1], 1, 4, 4)
        return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), kernel, stride=2, groups=x.shape[1])


class Convolution(nn.Module):
    """Convolution with more freedom than torch's own: biases of each position, and padding at the end only.

    Parameters
    ----------
    inputs, outputs, width, stride, padding, groups
        As usual.
    side
        Side of the maps that come in.
    untied
        Every position of the output has a bias of its own (as in Dieleman et al. 2015).
    biased
        Whether there are biases.
    fit
        Add zeros at the bottom and at the right until the last kernel fits.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        width: int,
        *,
        side: int,
        stride: int = 1,
        padding: int = 0,
        groups: int = 1,
        untied: bool = False,
        biased: bool = True,
        fit: bool = False,
    ) -> None:
        super().__init__()
        steps = (side + 2 * padding - width) / stride
        self.side = (math.ceil(steps) if fit else math.floor(steps)) + 1
        end = padding + max((self.side - 1) * stride + width - (side + 2 * padding), 0)
        self.padding = (padding, end, padding, end)
        self.stride, self.groups = stride, groups
        self.weight = nn.Parameter(torch.empty(outputs, inputs // groups, width, width))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))  # torch's own start
        shape = (outputs, self.side, self.side) if untied else (outputs,)
        self.bias = nn.Parameter(torch.zeros(shape)) if biased else None
        if self.bias is not None:
            bound = 1.0 / math.sqrt(inputs // groups * width * width)
            nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (B, C, H, W) -> (B, outputs, side, side)
        """Convolve."""
        before, end, _, _ = self.padding
        if before != end:
            x, before = F.pad(x, self.padding), 0
        if self.bias is None or self.bias.ndim == 1:
            return F.conv2d(x, self.weight, self.bias, self.stride, before, groups=self.groups)
        return F.conv2d(x, self.weight, None, self.stride, before, groups=self.groups) + self.bias


class LocalResponseNorm(nn.Module):
    """Local response normalisation: divide by a power of the mean square in a window (Krizhevsky et al. 2012).

    Parameters
    ----------
    width, stride, padding
        Of the window on each map; with a stride every stride-th position is kept.
    alpha, beta
        x / (1 + alpha <x²>)^beta.
    """

    def __init__(self, width: int, stride: int, padding: int, alpha: float, beta: float) -> None:
        super().__init__()
        self.width, self.stride, self.padding, self.alpha, self.beta = width, stride, padding, alpha, beta

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (B, C, H, W) -> (B, C, H', W')
        """Normalise."""
        x = single(x)
        power = F.avg_pool2d(x * x, self.width, self.stride, self.padding)
        first = (self.width - 1) // 2 - self.padding
        y, x_ = (first + self.stride * torch.arange(n, device=x.device) for n in power.shape[2:])
        kept = x.index_select(2, y).index_select(3, x_)
        normalised: torch.Tensor = kept / (1.0 + self.alpha * power) ** self.beta
        return normalised


class Maxout(nn.Module):
    """The largest of every `pieces` neighbouring numbers (Goodfellow et al. 2013, arXiv:1302.4389)."""

    def __init__(self, pieces: int) -> None:
        super().__init__()
        self.pieces = pieces

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (B, F) -> (B, F / pieces)
        """Choose."""
        return _largest(x.reshape(x.shape[0], -1, self.pieces))


def _largest(x: torch.Tensor) -> torch.Tensor:  # (B, F, N) -> (B, F)
    """Choose the largest of the last axis.

    The gradient goes to the place that was chosen. That of `amax` goes to all numbers equal to the largest, of which a
    compiled network, whose backward pass computes them again with other rounding, may find none: it divides by 0.
    """
    return x.max(dim=2).values


class LayerNorm2d(nn.Module):
    """Layer normalisation over the maps at each position (or over plain numbers)."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(maps, eps=1e-6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (B, C, ...) -> (B, C, ...)
        """Normalise."""
        x = single(x)
        if x.ndim == 2:
            return _tensor(self.norm(x))
        return _tensor(self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))


class ConvNextBlock(nn.Module):
    """ConvNeXt block: each map convolved alone, then two dense layers at each position (Liu et al. 2022)."""

    def __init__(self, maps: int, width: int = 7) -> None:
        super().__init__()
        self.spread = nn.Conv2d(maps, maps, width, padding=width // 2, groups=maps)
        self.norm = nn.LayerNorm(maps, eps=1e-6)
        self.widen, self.narrow = nn.Linear(maps, 4 * maps), nn.Linear(4 * maps, maps)
        # A small network trains from a larger share than the 1e-6 of the deep ones.
        self.scale = nn.Parameter(torch.full((maps,), 0.1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (B, C, H, W) -> (B, C, H, W)
        """Apply the block."""
        y = self.norm(single(self.spread(x)).permute(0, 2, 3, 1))
        y = self.narrow(F.gelu(self.widen(y))) * self.scale
        return _tensor(x + y.permute(0, 3, 1, 2))


def _tensor(output: torch.Tensor) -> torch.Tensor:
    """Return a module's output as what it is; calls of modules have no type."""
    return output


class GlobalPool(nn.Module):
    """Mean, maximum, or both, of every map over its positions.

    Parameters
    ----------
    mean, maximum
        Which; both follow each other.
    per_field
        Maps that are pooled together: 8 for fields over the orientations of the square, which makes what follows
        invariant to them.
    """

    def __init__(self, *, mean: bool, maximum: bool, per_field: int = 1) -> None:
        super().__init__()
        self.mean, self.maximum, self.per_field = mean, maximum, per_field

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (B, C, H, W) -> (B, F)
        """Pool."""
        fields = x.reshape(x.shape[0], -1, self.per_field, *x.shape[2:])
        pooled = [fields.mean(dim=(2, 3, 4))] if self.mean else []
        pooled += [_largest(fields.flatten(2))] if self.maximum else []
        return torch.cat(pooled, dim=1)


PARTS = 16
"""Parts of :class:`Parts`: two angles, each as it is and mirrored, four corners of each."""


class Parts(nn.Module):
    """Cut a stamp into the sixteen parts of Dieleman et al. (2015), which one convnet then sees one by one.

    Views at 0 and 45 degrees, as they are and mirrored, give four overlapping corners each, all turned so that the
    centre of the stamp lies at the bottom right. The view at 45 degrees is sampled from the stamp (bicubic), so the
    stamp should be sqrt(2) times as wide as a view; outside it is zero.

    Parameters
    ----------
    stamp, view, part
        Sides in pixels.
    """

    grid: torch.Tensor

    def __init__(self, stamp: int, view: int, part: int) -> None:
        super().__init__()
        self.view, self.part = view, part
        axis = torch.arange(view) - (view - 1) / 2
        y, x = torch.meshgrid(axis, axis, indexing="ij")
        upright, turned_ = torch.stack([x, y], dim=-1), torch.stack([x - y, x + y], dim=-1) / math.sqrt(2.0)
        # Between the centres of the first and the last pixel the coordinates of grid_sample run from -1 to 1.
        self.register_buffer("grid", torch.stack([upright, turned_]) / ((stamp - 1) / 2), persistent=False)
        self.cuts = (stamp - view) % 2 == 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (B, C, S, S) -> (16 B, C, part, part)
        """Cut; the parts of a stamp follow each other."""
        views = [self._upright(x), self._sampled(x, 1)]
        cut = [turned(v, element)[..., : self.part, : self.part] for v in views for element in range(ORDER)]
        return torch.stack(cut, dim=1).flatten(0, 1)

    def _upright(self, x: torch.Tensor) -> torch.Tensor:
        if not self.cuts:
            return self._sampled(x, 0)
        first = (x.shape[-1] - self.view) // 2
        return x[..., first : first + self.view, first : first + self.view]

    def _sampled(self, x: torch.Tensor, which: int) -> torch.Tensor:
        grid = self.grid[which].to(x.dtype).expand(x.shape[0], -1, -1, -1)
        return F.grid_sample(x, grid, mode="bicubic", padding_mode="zeros", align_corners=True)


class Join(nn.Module):
    """Set the features of the parts of a stamp side by side."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (16 B, ...) -> (B, F)
        """Join."""
        return x.reshape(x.shape[0] // PARTS, -1)


class Rectify(nn.Module):
    """Numbers to probabilities without a softmax: relu(z) over its sum in each question (Dieleman et al. 2015).

    Its output is the logarithm of the probabilities, whose softmax is the probabilities again.

    Parameters
    ----------
    slices, parents
        Of the scheme.
    clip_steps
        For so many batches of training :meth:`columns` gives clip(z, 0, 1), neither normalised nor weighted: from a
        random start the normalised ones do not learn.
    """

    steps: torch.Tensor

    def __init__(self, slices: Sequence[slice], parents: Sequence[Sequence[int]], clip_steps: int = 0) -> None:
        super().__init__()
        self.slices, self.parents, self.clip_steps = tuple(slices), tuple(parents), clip_steps
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, z: torch.Tensor) -> torch.Tensor:  # (B, A) -> (B, A)
        """Compute log probabilities given that each question is asked; none is less than the logarithm of 1e-6."""
        return self.conditional(z.float()).clamp(min=1e-6).log()

    def conditional(self, z: torch.Tensor) -> torch.Tensor:  # (B, A) -> (B, A)
        """Normalise within each question."""
        positive = F.relu(z)
        return torch.cat([p / (p.sum(dim=1, keepdim=True) + 1e-12) for p in (positive[:, w] for w in self.slices)], 1)

    def columns(self, z: torch.Tensor) -> torch.Tensor:  # (B, A) -> (B, A)
        """Compute weighted probabilities (vote fractions among all people), or the clipped numbers of the start."""
        starting = self.training and int(self.steps) < self.clip_steps
        if self.training:
            self.steps += 1
        return z.clamp(0.0, 1.0) if starting else weighted(self.conditional(z), self.slices, self.parents)
