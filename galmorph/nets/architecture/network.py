"""Network: a convnet that is written as text, one layer a line.

The text is a TOML file of ``catalogs/networks``, a file of one's own, or a table of a pipeline::

    title = "..."
    views = "eight"                   # or "one"; see views()
    layers = \"\"\"
    conv 32 5x5 stride 2 pad 2 batchnorm relu
    residual $channels.2 stride 2     # the second of the setting 'channels'
    globalpool mean maximum
    dropout $dropout
    dense answers
    \"\"\"
    [settings]
    channels = [32, 64]
    dropout = 0.2

The kinds of layers are those of :mod:`galmorph.nets.architecture.kinds`. It is built for the stamps of a recipe and the
answers of a scheme, and a line that does not fit what comes from above is named together with the shapes that meet
there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from galmorph.errors import PipelineError, unknown_name
from galmorph.limits import LIMITS
from galmorph.nets.architecture.centroids import CentroidEncoding, LightPool
from galmorph.nets.architecture.fusion import LateFusion, Measured, Standardised
from galmorph.nets.architecture.kinds import FeatureShape, parse_line
from galmorph.nets.architecture.layers import ORDER, Rectify, conditional_log_probabilities, turned, weighted
from galmorph.nets.architecture.trees import Trees
from galmorph.nets.precision import single, uncast
from galmorph.shipped import named_files, shipped
from galmorph.sky.scheme import Scheme
from galmorph.stamps.recipe import Recipe
from galmorph.text_file import read_text
from galmorph.toml import build, read_file

__all__ = [
    "DEFAULT",
    "Ensemble",
    "Line",
    "Network",
    "NetworkConfig",
    "learns_by_gradients",
    "load_network",
    "members_of",
    "n_weights",
    "network_names",
    "outline",
    "planes_last",
    "shares_of",
    "takes_morphometry",
    "through_layer",
    "usual_recipe",
    "views",
]

AnyModule = TypeVar("AnyModule", bound=nn.Module)
DEFAULT = "galmorph"
Setting = float | tuple[float, ...]
"""What a setting of a network may be."""
_VIEWS = ("eight", "one")
_TOGETHER = 8  # stamps encoded by centroids in one go
_ANSWERING = ("dense", "forest", "boosting")
"""Kinds of layers that may make answers of features."""
_MOST_LAYERS = 1000
_MOST_FEATURES = 2**24  # between two layers, of one stamp: 64 MB, five times what the largest stamps need
_OPENING = re.compile(r"""^[ \t]*layers[ \t]*=[ \t]*(?:\"{3}|'{3})(.*)$""", flags=re.MULTILINE)


@dataclass(frozen=True)
class Line:
    """One layer as it is written.

    Parameters
    ----------
    number
        Of the line in its file, or in `layers` where there is no file.
    text
        Without the comment, the settings put in.
    """

    number: int
    text: str


@dataclass(frozen=True)
class NetworkConfig:
    """The text of a network.

    Parameters
    ----------
    layers
        One layer a line; ``#`` begins a comment, ``$name`` stands for a setting and ``$name.2`` for its second value.
    name, title, reference
        What it is called, what it is, and where it comes from.
    views
        ``'eight'``: answers are averaged over the eight orientations of a stamp; ``'one'``: it sees a stamp once,
        which is enough for a network that is invariant to them.
    size
        Side of the stamps that it needs, in pixels; 0 for any.
    planes, scheme
        What it was made for. It is built for the planes and scheme of any recipe; these are for showing it.
    settings
        Numbers, or lists of numbers, that pipelines may change.
    """

    layers: str
    name: str = "unnamed"
    title: str = ""
    reference: str = ""
    views: str = "eight"
    size: int = 0
    planes: int = 3
    scheme: str = "gz2-simple"
    settings: Mapping[str, Setting] = field(default_factory=dict)
    _first_line: int = field(default=1, repr=False, compare=False)
    _file: str = field(default="", repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.views not in _VIEWS:
            raise PipelineError(f"network '{self.name}': {unknown_name('views', str(self.views), _VIEWS)}")
        # Lists, which JSON and scripts have, could be changed behind the back of a frozen text.
        frozen = {key: tuple(value) if isinstance(value, list) else value for key, value in self.settings.items()}
        object.__setattr__(self, "settings", frozen)
        for key, value in self.settings.items():
            if not all(_is_number(v) for v in (value if isinstance(value, tuple) else [value])):
                raise PipelineError(
                    f"network '{self.name}', setting '{key}' is {value!r}: expected a number or a list of numbers"
                )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values: all that is needed to build it again."""
        settings = {key: list(value) if isinstance(value, tuple) else value for key, value in self.settings.items()}
        return {f.name: getattr(self, f.name) for f in fields(self) if not f.name.startswith("_")} | {
            "settings": settings
        }

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> NetworkConfig:
        """Read a table: a whole network with its ``layers``, or the ``name`` (or file) of one and its settings.

        Raises
        ------
        PipelineError
            If a key is unknown or has an impossible value.
        """
        if "layers" not in table:
            settings = {k: v for k, v in table.items() if k != "name"}
            return load_network(str(table.get("name", DEFAULT))).with_settings(settings)
        return build(cls, table, f"network '{table.get('name', 'unnamed')}'")

    def with_settings(self, settings: Mapping[str, Any]) -> NetworkConfig:
        """Return the same text with other values of some of its settings."""
        if unknown := sorted(set(settings) - set(self.settings)):
            raise PipelineError(unknown_name(f"setting of the network '{self.name}'", unknown[0], self.settings))
        for key, value in settings.items():
            old, new = (len(v) if isinstance(v, list | tuple) else None for v in (self.settings[key], value))
            if old != new:
                raise PipelineError(
                    f"network '{self.name}': setting '{key}' is {value!r}, expected "
                    + ("one number" if old is None else f"a list of {old} numbers")
                )
        return replace(self, settings={**self.settings, **settings})

    def lines(self) -> list[Line]:
        """List the layers."""
        lines = []
        for number, text in enumerate(self.layers.splitlines(), self._first_line):
            words = text.partition("#")[0].split()
            if words:
                lines.append(Line(number, " ".join(self._word(w, Line(number, " ".join(words))) for w in words)))
        if len(lines) > _MOST_LAYERS:
            raise PipelineError(f"network '{self.name}' has {len(lines)} layers, expected at most {_MOST_LAYERS}")
        if not lines:
            raise PipelineError(f"network '{self.name}' has no layers: write one a line, 'dense answers' the last")
        return lines

    def _word(self, word: str, line: Line) -> str:
        if not word.startswith("$"):
            return word
        key, _, place = word[1:].partition(".")
        if key not in self.settings:
            raise PipelineError(f"{self.where(line)}: {unknown_name('setting', key, self.settings)}")
        value = self.settings[key]
        values = value if isinstance(value, tuple) else (value,)
        if not place and not isinstance(value, tuple):
            return str(value)
        if not place.isdecimal() or not 1 <= int(place) <= len(values):
            raise PipelineError(f"{self.where(line)}: '{key}' has {len(values)} values: expected ${key}.1 and so on")
        return str(values[int(place) - 1])

    def where(self, line: Line) -> str:
        """Say where a line stands."""
        return f"network '{self.name}'{self._file and f' ({self._file})'}, line {line.number} ('{line.text}')"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def network_names() -> list[str]:
    """List the networks that ship with galmorph."""
    return list(_shipped())


def _shipped() -> dict[str, Path]:
    return named_files(shipped("catalogs") / "networks", ".toml")


def load_network(name: str | Path) -> NetworkConfig:
    """Read the text of a network by its name or file.

    Raises
    ------
    PipelineError
        If the file is missing or broken, or a key is unknown.
    """
    files = _shipped()
    path = files.get(str(name)) or Path(name)
    if not path.is_file():
        raise PipelineError(unknown_name("network", str(name), files))
    contents = read_file(path, "network")
    if "layers" not in contents:
        raise PipelineError(f"network '{path}' lacks 'layers': write them as lines of text")
    config = NetworkConfig.from_dict({"name": path.name.removesuffix(".toml"), **contents})
    return replace(config, _first_line=_first_line(read_text(path)), _file=path.name)


def _first_line(text: str) -> int:
    """Return the number of the line where the text of 'layers' begins."""
    opening = _OPENING.search(text)
    if opening is None:
        return 1
    # TOML leaves out a line break right after the opening quotes.
    return text.count("\n", 0, opening.start()) + (1 if opening[1].strip() else 2)


class Network(nn.Module):
    """Stamps to one logit per answer of a scheme.

    The logits of a question's answers have a softmax, or each a logistic function where fractions are independent.

    Parameters
    ----------
    config
        The text.
    recipe, scheme
        What stamps come in and which answers go out.
    most_weights
        How many numbers its kernels may have; more are refused before there is room for them.

    Raises
    ------
    PipelineError
        If a line cannot be read or does not fit what comes from above; the message names both.
    """

    def __init__(
        self, config: NetworkConfig, recipe: Recipe, scheme: Scheme, *, most_weights: int | None = None
    ) -> None:
        super().__init__()
        room = LIMITS["network_weights"].number if most_weights is None else most_weights
        if config.size not in (0, recipe.size):
            raise PipelineError(
                f"network '{config.name}' needs stamps of {config.size} x {config.size} pixels, the recipe makes "
                f"{recipe.size} x {recipe.size}: set size = {config.size} in [recipe]"
            )
        self.views, self.scheme, self.recipe = config.views, scheme, recipe
        self.layers = nn.ModuleList()
        self.outline: list[tuple[Line, FeatureShape]] = []
        shape = FeatureShape(recipe.planes, recipe.size)
        for line in config.lines():
            try:
                layer = parse_line(line.text)
                room -= layer.kernels(shape, scheme)
                _check_room(room, is_limit=most_weights is None)
                module, shape = layer.build(replace(shape, stamp=(recipe.planes, recipe.size)), scheme)
                _check_features(shape)
                _check_place(module, self.layers)
            except PipelineError as error:
                raise PipelineError(f"{config.where(line)}: {error}") from error
            self.layers.append(module)
            self.outline.append((line, shape))
        if shape != FeatureShape(len(scheme.keys)):
            raise PipelineError(
                f"{config.where(line)}: the last layer gives {shape}, scheme '{scheme.name}' has {len(scheme.keys)} "
                "answers: end with 'dense answers'"
            )
        self.config = config
        dense = [number for number, (line, _) in enumerate(self.outline) if line.text.split()[0] in _ANSWERING]
        fused = [number for number, layer in enumerate(self.layers) if isinstance(layer, LateFusion)]
        self._last = (*fused[:1], *dense[-1:], len(self.layers) - 1)[0]
        # Centroids have hundreds of maps as large as the stamp, of which pools leave little.
        encodes = any(isinstance(layer, CentroidEncoding) for layer in self.layers)
        self.together = _TOGETHER if encodes else 0
        self.takes_stamps = not isinstance(self.layers[0], Measured)
        self.takes_morphometry = bool(fused) or not self.takes_stamps

    def forward(
        self, stamps: torch.Tensor, morphometry: torch.Tensor | None = None
    ) -> torch.Tensor:  # (B, C, S, S), (B, K) -> (B, A)
        """Compute logits; NaN stands for what is not measured, and networks of stamps alone ignore all of it."""
        return self.answers(self.features(stamps, morphometry), morphometry)

    def standardise(self, morphometry: torch.Tensor) -> None:
        """Let what takes the morphometry of galaxies, (N, K), know what it is usually like."""
        for layer in self.layers:
            if isinstance(layer, Standardised):
                layer.standardise(morphometry)

    @property
    def invariant(self) -> bool:
        """Whether flips and quarter turns of a stamp change no answer: by averaging, or because all maps are square."""
        maps = [shape.square or line.text.startswith("mask ") for line, shape in self.outline if shape.side]
        return self.views == "eight" or all(maps)

    @property
    def learns_by_gradients(self) -> bool:
        """Whether answers have gradients with respect to pixels and weights, which those of trees have not."""
        return not any(isinstance(layer, Trees) for layer in self.layers)

    def features(
        self, stamps: torch.Tensor, morphometry: torch.Tensor | None = None
    ) -> torch.Tensor:  # (B, C, S, S), (B, K) -> (B, F)
        """Compute what the last dense layer, or the trees, see of the stamps, or of the morphometry alone."""
        if self.together and not torch.compiler.is_exporting() and len(stamps) > self.together:
            parts = stamps.split(self.together)  # type: ignore[no-untyped-call]
            return torch.cat([self._through(part, None, 0, self._last) for part in parts])
        return self._through(stamps, morphometry, 0, self._last)

    def answers(
        self, features: torch.Tensor, morphometry: torch.Tensor | None = None
    ) -> torch.Tensor:  # (B, F), (B, K) -> (B, A)
        """Compute logits from features, and from the morphometry where the network takes it."""
        return self._last_layers(features, morphometry, len(self.layers))

    def is_answering(self, weight: str) -> bool:
        """Tell whether a weight, by its name, makes answers of features."""
        _, number, *_ = weight.split(".")
        return int(number) >= self._last

    def sees_alike(self, other: Network) -> bool:
        """Tell whether another network makes the same features of every stamp, by the same layers and weights."""
        if self is other:
            return True
        if self._above() != other._above():
            return False
        weights, others = self.state_dict(), other.state_dict()
        return all(torch.equal(value, others[name]) for name, value in weights.items() if not self.is_answering(name))

    def _above(self) -> tuple[object, ...]:
        """Return what is written of the layers that make features."""
        lines = [line.text for line, _ in self.outline]
        return self._last, lines[: self._last], dict(self.config.settings), self.views, self.takes_morphometry

    def freeze(self) -> None:
        """Keep what makes features of stamps as it is, the statistics of its norms too; dropout stays as it is."""
        for layer in self.layers[: self._last]:
            layer.requires_grad_(requires_grad=False)
            if not isinstance(layer, nn.Dropout):
                layer.eval()

    def columns(
        self, stamps: torch.Tensor, morphometry: torch.Tensor | None = None
    ) -> torch.Tensor:  # (B, C, S, S), (B, K) -> (B, A)
        """Compute vote fractions among all people, as published tables have them: probabilities times their weights."""
        *_, last = self.layers
        if isinstance(last, Rectify):
            return last.columns(
                self._last_layers(self.features(stamps, morphometry), morphometry, len(self.layers) - 1)
            )
        independent = self.scheme.kind == "independent"
        log_p = conditional_log_probabilities(
            self(stamps, morphometry).float(), self.scheme.slices, independent=independent
        )
        return weighted(log_p.exp(), self.scheme.slices, self.scheme.parents)

    def _last_layers(self, features: torch.Tensor, morphometry: torch.Tensor | None, end: int) -> torch.Tensor:
        x = single(features)
        with uncast(features.device):
            return self._through(x, morphometry, self._last, end)

    def _through(self, x: torch.Tensor, morphometry: torch.Tensor | None, begin: int, end: int) -> torch.Tensor:
        stamps = x  # no layer that wants them lies below the features: see _check_place
        for layer in self.layers[begin:end]:
            x = through_layer(layer, x, stamps, morphometry)
        return x


def through_layer(
    layer: nn.Module, x: torch.Tensor, stamps: torch.Tensor, morphometry: torch.Tensor | None
) -> torch.Tensor:
    """Show a layer what comes from above, and what else it takes: the stamps, or the morphometry."""
    beside: tuple[torch.Tensor | None, ...] = ()
    if isinstance(layer, Standardised):
        beside = (morphometry,)
    elif isinstance(layer, LightPool):
        beside = (stamps,)
    out: torch.Tensor = layer(x, *beside)
    return out


def _check_room(left: int, *, is_limit: bool) -> None:
    if left < 0:
        most = str(LIMITS["network_weights"]) if is_limit else "there are weights for"
        raise PipelineError(f"with this line its kernels have more numbers than {most}: expected fewer maps or numbers")


def _check_place(layer: nn.Module, above: nn.ModuleList) -> None:
    if isinstance(layer, Measured) and len(above):
        raise PipelineError(f"with {len(above)} layers above it, whose work would be lost: put it first")
    if isinstance(layer, LightPool) and any(isinstance(other, Standardised) for other in above):
        raise PipelineError("it is of the stamp, of which nothing is left below the morphometry: put it above that")


def _check_features(shape: FeatureShape) -> None:
    if shape.maps * max(shape.side, 1) ** 2 * shape.parts > _MOST_FEATURES:
        raise PipelineError(f"it gives {shape}: expected at most {_MOST_FEATURES} numbers for a stamp; make it smaller")


def takes_morphometry(config: NetworkConfig, recipe: Recipe, scheme: Scheme) -> bool:
    """Tell whether a network takes more than stamps, without making its weights."""
    with torch.device("meta"):
        return Network(config, recipe, scheme).takes_morphometry


def learns_by_gradients(config: NetworkConfig, recipe: Recipe, scheme: Scheme) -> bool:
    """Tell whether a network can learn by gradients, without making its weights."""
    with torch.device("meta"):
        return Network(config, recipe, scheme).learns_by_gradients


def usual_recipe(config: NetworkConfig) -> Recipe:
    """Return a recipe of the stamps that a network was made for, as far as its text says."""
    return Recipe(size=config.size or Recipe().size, planes=config.planes, stretch="display")


def outline(config: NetworkConfig, recipe: Recipe, scheme: Scheme) -> tuple[list[tuple[str, str, int]], int]:
    """Describe a network without making its weights.

    Returns
    -------
    Each layer's text, what comes out of it, and the number of its weights; and the number of all.
    """
    with torch.device("meta"):
        network = Network(config, recipe, scheme)
    rows = [
        (line.text, str(shape), n_weights(layer))
        for (line, shape), layer in zip(network.outline, network.layers, strict=True)
    ]
    return rows, n_weights(network)


class Ensemble(nn.Module):
    """Networks whose probabilities are averaged.

    Parameters
    ----------
    members
        Of one architecture or several, for one recipe and scheme.
    shares
        The weight of each member, which are scaled to sum to 1; equal by default.
    """

    def __init__(self, members: Sequence[Network], shares: Sequence[float] = ()) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        amounts = tuple(shares) or (1.0,) * len(members)
        if len(amounts) != len(members) or min(amounts) <= 0:
            raise ValueError(f"{len(amounts)} shares for {len(members)} networks, expected a positive one each")
        self.shares = tuple(amount / sum(amounts) for amount in amounts)


def members_of(network: Network | Ensemble) -> list[Network]:
    """List the networks that answer together."""
    return list(network.members) if isinstance(network, Ensemble) else [network]  # type: ignore[arg-type]


def shares_of(network: Network | Ensemble) -> tuple[float, ...]:
    """List the weights of the networks that answer together; they sum to 1."""
    return network.shares if isinstance(network, Ensemble) else (1.0,)


def views(network: Network, stamps: torch.Tensor) -> Iterator[torch.Tensor]:
    """Yield the views of stamps, (B, C, S, S), over which a network's answers are averaged.

    The eight orientations of the square, or the stamps alone where the text says ``views = "one"``.
    """
    for element in range(ORDER if network.views == "eight" else 1):
        yield turned(stamps, element)


def channels_last(network: AnyModule) -> AnyModule:
    """Order the kernels of plain convolutions as the CPU computes them fastest; return the network."""
    for weight in network.parameters():
        if weight.ndim == 4:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)
    return network


def n_weights(network: nn.Module) -> int:
    """Count the trainable weights."""
    return sum(p.numel() for p in network.parameters())


def planes_last(stamps: torch.Tensor) -> torch.Tensor:
    """Lay stamps, (B, C, S, S), out as :func:`channels_last` lays weights out, those of one plane too.

    Both orders of a single plane are the same in memory, so that torch's own conversion leaves its strides as they are:
    by these all convolutions that follow take the slower order, which costs EfficientNet-lite0 1.8 times as long.
    """
    return torch.empty_like(stamps, memory_format=torch.channels_last).copy_(stamps)
