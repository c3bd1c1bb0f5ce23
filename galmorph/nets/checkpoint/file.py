"""Checkpoint: one file with all that is needed to use a network.

A safetensors file holds the weights; its header holds, as JSON, the text of the network, recipe, scheme, calibration,
training envelope and where the training images came from. A card beside it (``NAME.json``) tells people how it was
trained and how it scored. Neither can carry code.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from galmorph.errors import CheckpointError, GalmorphError, OutputError
from galmorph.nets.answers import Answers, Passes, deviation
from galmorph.nets.architecture.centroids import LightPool, SignedRoot
from galmorph.nets.architecture.fused import plain
from galmorph.nets.architecture.layers import ORDER, conditional_log_probabilities
from galmorph.nets.architecture.network import (
    Ensemble,
    Network,
    NetworkConfig,
    channels_last,
    members_of,
    n_weights,
    planes_last,
    shares_of,
    views,
)
from galmorph.nets.architecture.trees import Trees
from galmorph.nets.checkpoint.calibrate import Map, calibrated, checked_maps
from galmorph.nets.checkpoint.envelope import Envelope
from galmorph.nets.checkpoint.lookup import checksum, find_checkpoint
from galmorph.nets.checkpoint.prediction_sets import PredictionSets
from galmorph.nets.checkpoint.tensor_file import TensorFile, read_tensors, read_texts, tensors_of
from galmorph.nets.precision import answering
from galmorph.notebook import html_table
from galmorph.sky.boundary import boundary, reason_of
from galmorph.sky.formats.atomic import replacing
from galmorph.sky.scheme import Scheme
from galmorph.stamps.morphometry import NO_MORPHOMETRY
from galmorph.stamps.recipe import Recipe
from galmorph.stamps.views import Views
from galmorph.text_file import read_json
from galmorph.toml import build

__all__ = [
    "Checkpoint",
    "OnnxRunner",
    "checkpoint_of",
    "contents_of",
    "is_halved",
    "load_checkpoint",
    "read_envelope",
    "rounded",
    "save_checkpoint",
]

FloatArray = npt.NDArray[np.float64]
Single = npt.NDArray[np.float32]
OnnxRunner = Callable[[Single, Single], tuple[Single, Single]]
_FORMAT = "2"
_MIXED = "3"  # says for each network its text and its share; written only where these differ
_READ_BY = {"1": "0.1.0"}  # the version of galmorph that reads a format which is no longer read
# Stamps in one go: the largest networks take some 3 MB for each on a GPU.
_BATCH = {"cpu": 64, "cuda": 1024}
_LARGE = 1_500_000
_EMBEDDING = "embedding."  # begins the names of arrays that are no weights
# Fits of temperatures stay between .3 and 3; one beyond these makes a certainty, or a coin, of every answer.
_COLDEST, _HOTTEST = 0.01, 100.0
_MOST_MEMBERS = 100  # far more networks than anybody waits for
_VARIANCES = ("running_var", "variance")  # whose square roots normalise maps


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A network in memory and everything it needs.

    Parameters
    ----------
    name, version
        What the output's `gm_model` column says.
    network
        In evaluation mode; an ensemble's probabilities are averaged. Kernels of
        ensembles and of large networks are stored in half precision.
    scheme, recipe, envelope
        Which answers it gives, how the stamps that it sees are made, and what those of its training were like.
    temperatures
        One per question; probabilities are raised to 1 / T and normalised.
    maps
        Of the questions that are calibrated by more than a temperature; see :mod:`galmorph.nets.checkpoint.calibrate`.
    sets
        How prediction sets are made; None for none.
    split
        How the labelled rows had been divided, so that `evaluate` finds the test part again.
    fractions, observation
        How votes had been mapped, and the training images degraded to another survey, for the same purpose.
    sha256
        Of the file; empty before it is saved.
    onnx
        What computes in the networks' stead, from stamps, (B, C, S, S), and morphometry, (B, K), to what each network
        makes of each orientation, (P, B, A), and the features of the first, (B, F): see
        :func:`galmorph.nets.checkpoint.onnx_file.with_onnx`. None for torch.
    """

    name: str
    version: str
    network: Network | Ensemble
    scheme: Scheme
    recipe: Recipe
    envelope: Envelope
    temperatures: tuple[float, ...]
    maps: tuple[Map | None, ...] = ()
    sets: PredictionSets | None = None
    split: Mapping[str, Any] = field(default_factory=dict)
    fractions: Mapping[str, Any] = field(default_factory=dict)
    observation: Mapping[str, Any] = field(default_factory=dict)
    sha256: str = ""
    onnx: OnnxRunner | None = field(default=None, compare=False)

    def _repr_html_(self) -> str:
        envelope, recipe = self.envelope, self.recipe
        rows = {
            "scheme": f"{self.scheme.name} ({len(self.scheme.keys)} answers)",
            "images": f"{envelope.survey} {envelope.band} {envelope.scale_arcsec:g}″",
            "stamps": f"{recipe.size} x {recipe.size} px, reaching {recipe.reach}",
            "networks": len(members_of(self.network)),
            "weights": n_weights(self.network),
            "prediction sets": f"{self.sets.kind}, {self.sets.coverage:.0%}" if self.sets else "none",
            "sha256": self.sha256,
        }
        return html_table(f"Checkpoint {self.name} {self.version}", rows)

    @property
    def config(self) -> NetworkConfig:
        """The text of the first network."""
        return members_of(self.network)[0].config

    def with_temperatures(self, temperatures: tuple[float, ...]) -> Checkpoint:
        """Return the same network, calibrated by temperatures alone."""
        return replace(self, temperatures=temperatures, maps=())

    def predict(self, stamps: Single, morphometry: Single | None = None, *, device: str = "cpu") -> FloatArray:
        """Predict calibrated probabilities.

        Flips and quarter turns of the input change nothing where a network is invariant to them, or sees each stamp in
        the eight orientations of the square and their probabilities are averaged.

        Parameters
        ----------
        stamps
            (N, C, S, S) stretched stamps.
        morphometry
            As of :meth:`answer`.
        device
            ``'cpu'`` or ``'cuda'``.

        Returns
        -------
        (N, A) probabilities given that the question is asked; `Scheme.marginals` multiplies them down the tree.

        Raises
        ------
        CheckpointError
            If the stamps do not have the recipe's shape.
        """
        expected = (self.recipe.planes, self.recipe.size, self.recipe.size)
        if stamps.shape[1:] != expected:
            raise CheckpointError(f"stamps of shape {stamps.shape[1:]}: checkpoint '{self.name}' expects {expected}")
        return self.answer(stamps[:, None], morphometry=morphometry, device=device).conditional

    def distinct_views(self, views: Views) -> tuple[FloatArray, FloatArray]:
        """Return the matrices of the views that the networks need to see, (V, 2, 3), and the share of each, (V,).

        Those that differ by quarter turns and flips alone are one for networks whose answers these do not change.
        """
        if all(network.invariant for network in members_of(self.network)):
            return views.distinct
        return views.matrices, np.full(len(views), 1.0 / len(views))

    def answer(
        self,
        stamps: Single,
        shares: FloatArray | None = None,
        *,
        morphometry: Single | None = None,
        device: str = "cpu",
        normalised: bool = False,
        half: bool = False,
    ) -> Answers:
        """Predict from several views of each galaxy: their probabilities are averaged, then calibrated.

        Parameters
        ----------
        stamps
            (N, V, C, S, S) stretched stamps.
        shares
            Weight of each view, (V,), with a sum of 1; equal by default.
        morphometry
            (N, K) values of :func:`galmorph.stamps.morphometry.morphometry` for networks that take them; NaN, or None
            for all, where there are none.
        normalised
            Whether the spread is that of fractions scaled to sum to 1.
        half
            Whether convolutions are computed in bfloat16.
        """
        shares = np.full(stamps.shape[1], 1.0 / stamps.shape[1]) if shares is None else shares
        measured = np.tile(NO_MORPHOMETRY[:1], (len(stamps), 1)) if morphometry is None else morphometry
        step = max(_BATCH[device.partition(":")[0]] // stamps.shape[1], 1)
        parts = [
            self._answer(stamps[i : i + step], measured[i : i + step], shares, device, normalised=normalised, half=half)
            for i in range(0, len(stamps), step)
        ]
        return Answers.joined(parts, len(self.scheme.keys))

    def _answer(
        self,
        stamps: Single,
        morphometry: Single,
        shares: FloatArray,
        device: str,
        *,
        normalised: bool,
        half: bool,
    ) -> Answers:
        each = stamps.reshape(-1, *stamps.shape[2:]), np.repeat(morphometry, stamps.shape[1], axis=0)
        passes = self.passes(*each, device, half=half).over_views(shares)
        mean = self.calibrated(passes.mean)
        if len(passes.weights) == 1:
            return Answers(mean, np.full_like(mean, np.nan), passes.features)
        chances = self.scheme.marginals(self.calibrated(passes.each.reshape(-1, mean.shape[1])))
        chances = self.scheme.normalised(chances) if normalised else chances
        return Answers(mean, deviation(chances.reshape(passes.each.shape), passes.weights), passes.features)

    def passes(self, stamps: Single, morphometry: Single, device: str = "cpu", *, half: bool = False) -> Passes:
        """Show stamps, (B, C, S, S), with their morphometry, (B, K), to each network in each orientation.

        With `half` convolutions are computed in bfloat16.
        """
        if self.onnx is not None:
            each, first = self.onnx(stamps, morphometry)
            return Passes(each.astype(np.float64), self.weights, first.astype(np.float64))
        networks = [network.to(device) for network in self._written_out]
        with torch.inference_mode(), answering(device, half=half):
            inputs = (torch.from_numpy(array).to(device) for array in (stamps, morphometry))
            passes, features = self.through(networks, *inputs)
        return Passes(passes.double().cpu().numpy(), self.weights, features.double().cpu().numpy())

    @cached_property
    def _written_out(self) -> list[Network]:
        return [plain(network) for network in members_of(self.network)]

    def through(
        self, members: Iterable[Network], stamps: torch.Tensor, morphometry: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Show stamps, (B, C, S, S), to networks in each orientation: probabilities, (P, B, A), and features, (B, F).

        Those that take it see their morphometry, (B, K), too. The features are those of the first network, averaged
        over its orientations.
        """
        independent = self.scheme.kind == "independent"
        each, features = [], list[list[torch.Tensor]]()
        for network, alike in zip(members, self.alike, strict=True):
            if alike < len(features):
                features.append(features[alike])
            else:
                of_views = (planes_last(view) for view in views(network, stamps))
                features.append([network.features(view, morphometry) for view in of_views])
            for numbers in features[-1]:
                logits = network.answers(numbers, morphometry).float()
                each.append(conditional_log_probabilities(logits, self.scheme.slices, independent=independent).exp())
        return torch.stack(each), torch.stack([numbers.flatten(1).float() for numbers in features[0]]).mean(dim=0)

    @cached_property
    def alike(self) -> list[int]:
        """For each network the place of the first one that has the same features: those are computed once."""
        members = members_of(self.network)
        return [next(i for i, other in enumerate(members) if other.sees_alike(network)) for network in members]

    @cached_property
    def n_features(self) -> int:
        """How many features the first network has: see :attr:`galmorph.nets.answers.Answers.features`."""
        recipe = self.recipe
        blank = np.zeros((1, recipe.planes, recipe.size, recipe.size), np.float32)
        return int(self.passes(blank, NO_MORPHOMETRY[:1]).features.shape[1])

    def n_light(self, rings: int) -> int:
        """How many numbers :meth:`light` gives."""
        return LightPool.numbers(self.recipe.planes, rings)

    def light(self, stamps: Single, shares: FloatArray | None, rings: int) -> Single:
        """Return how light is spread over stamps, which networks learn to overlook: roots of what rings hold.

        Parameters
        ----------
        stamps, shares
            As of :meth:`answer`; over the views numbers are averaged.
        rings
            About the centre.

        Returns
        -------
        (N, :meth:`n_light`): see :class:`galmorph.nets.architecture.centroids.LightPool`.
        """
        views, pool = stamps.shape[1], _light_pool(self.recipe.size, rings)
        shares = np.full(views, 1.0 / views) if shares is None else shares
        with torch.inference_mode():
            pixels = torch.from_numpy(stamps.reshape(-1, *stamps.shape[2:]))
            numbers = SignedRoot()(pool(torch.zeros(len(pixels), 0), pixels)).double().numpy()
        return np.asarray(np.tensordot(numbers.reshape(len(stamps), views, -1), shares, axes=(1, 0)), np.float32)

    @property
    def takes_morphometry(self) -> bool:
        """Whether any of the networks does."""
        return any(network.takes_morphometry for network in members_of(self.network))

    @property
    def weights(self) -> FloatArray:
        """The weight of each network in each orientation, (P,)."""
        turns = [ORDER if network.views == "eight" else 1 for network in members_of(self.network)]
        return np.repeat(np.array(shares_of(self.network)) / turns, turns)

    def calibrated(self, probabilities: FloatArray) -> FloatArray:
        """Calibrate conditional probabilities, (N, A); see :mod:`galmorph.nets.checkpoint.calibrate`."""
        return calibrated(probabilities, self.scheme, self.temperatures, self.maps)


@cache
def _light_pool(side: int, rings: int) -> LightPool:
    return LightPool(side, rings)


def read_envelope(name: str | Path) -> Envelope:
    """Read what a checkpoint's training images were like, without its weights."""
    path = find_checkpoint(name)
    contents = _contents(path, read_texts(path))
    with _consistent(path):
        return Envelope.from_dict(contents["envelope"])


def _contents(path: Path, texts: Mapping[str, str]) -> dict[str, Any]:
    """Read the header's JSON and check its format and the types in it."""
    try:
        contents = read_json(texts["galmorph"])
        number = contents.get("format")
    except (KeyError, ValueError, AttributeError) as error:
        raise CheckpointError(
            f"checkpoint '{path}' is corrupt or not one of galmorph's ({reason_of(error)}): fetch or train it again"
        ) from error
    if str(number) in _READ_BY:
        raise CheckpointError(
            f"checkpoint '{path}' has format {number}, expected {_FORMAT} or {_MIXED}: use it with galmorph "
            f"{_READ_BY[str(number)]}, which reads it, or train it again"
        )
    if number not in (_FORMAT, _MIXED):
        raise CheckpointError(
            f"checkpoint '{path}' has format {str(number)[:40]}, expected {_FORMAT} or {_MIXED}: update galmorph"
        )
    with _consistent(path):
        build(_Contents, contents, "its header", error=CheckpointError)
    return dict(contents)


@dataclass(frozen=True)
class _Contents:
    """The types of what a header says; its parts are checked by those that read them."""

    format: str
    name: str
    version: str
    network: Mapping[str, Any]
    scheme: Mapping[str, Any]
    recipe: Mapping[str, Any]
    envelope: Mapping[str, Any]
    temperatures: tuple[float, ...]
    members: int = 1
    networks: tuple[Mapping[str, Any], ...] = ()
    shares: tuple[float, ...] = ()
    maps: tuple[Any, ...] = ()
    calibration: tuple[Any, ...] = ()
    sets: Mapping[str, Any] | None = None
    split: Mapping[str, Any] = field(default_factory=dict)
    fractions: Mapping[str, Any] = field(default_factory=dict)
    observation: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not all(_COLDEST <= t <= _HOTTEST for t in self.temperatures):
            raise CheckpointError(f"temperatures {self.temperatures}: expected numbers from {_COLDEST} to {_HOTTEST}")
        if not 1 <= self.members <= _MOST_MEMBERS or len(self.networks) > _MOST_MEMBERS:
            raise CheckpointError(f"members = {self.members}, expected a number from 1 to {_MOST_MEMBERS}")
        if self.networks and len(self.networks) != self.members:
            raise CheckpointError(f"{len(self.networks)} networks for {self.members} members")


@contextmanager
def _consistent(path: Path) -> Iterator[None]:
    """Turn whatever the parts of a file raise about what they are given into one line."""

    def explained(reason: str) -> CheckpointError:
        return CheckpointError(f"checkpoint '{path}' contradicts itself ({reason}): fetch or train it again")

    with boundary(explained):
        try:
            yield
        except GalmorphError as error:
            raise explained(reason_of(error)) from error


def load_checkpoint(name: str | Path) -> Checkpoint:
    """Load a checkpoint by its name or file.

    Raises
    ------
    CheckpointError
        If it does not exist, is truncated or corrupt, holds numbers that are not finite, contradicts itself, or was
        written by a newer galmorph.
    """
    path = find_checkpoint(name)
    _contents(path, read_texts(path))  # rather than reading a large file of another kind
    return _checkpoint_of(path, read_tensors(path))


def checkpoint_of(content: bytes, title: str) -> Checkpoint:
    """Load a checkpoint from the bytes of its file.

    Parameters
    ----------
    content
        As they were written.
    title
        What it is called in messages.

    Raises
    ------
    CheckpointError
        As :func:`load_checkpoint`.
    """
    return _checkpoint_of(Path(title), tensors_of(content, Path(title)))


def _checkpoint_of(path: Path, file: TensorFile) -> Checkpoint:
    contents = _contents(path, file.texts)
    with _consistent(path):
        return _assemble(contents, file)


def _assemble(contents: Mapping[str, Any], file: TensorFile) -> Checkpoint:
    if "layers" not in contents["network"]:
        raise CheckpointError("its network has no layers")
    scheme, recipe = Scheme.from_dict(contents["scheme"]), build(Recipe, contents["recipe"], "its header", "recipe")
    if len(contents["temperatures"]) != len(scheme.questions):
        raise CheckpointError(f"{len(contents['temperatures'])} temperatures for {len(scheme.questions)} questions")
    own = {k: v for k, v in file.tensors.items() if not k.startswith(_EMBEDDING)}
    arrays = {k.removeprefix(_EMBEDDING): v.numpy() for k, v in file.tensors.items() if k.startswith(_EMBEDDING)}
    return Checkpoint(
        name=contents["name"],
        version=contents["version"],
        network=channels_last(_network(contents, own, recipe, scheme).eval()),
        scheme=scheme,
        recipe=recipe,
        envelope=Envelope.from_dict(contents["envelope"], arrays),
        temperatures=tuple(contents["temperatures"]),
        maps=checked_maps(contents.get("maps", contents.get("calibration", [])), scheme),
        sets=_sets(contents, scheme),
        split=contents.get("split", {}),
        fractions=contents.get("fractions", {}),
        observation=contents.get("observation", {}),
        sha256=hashlib.sha256(file.content).hexdigest(),
    )


def _network(
    contents: Mapping[str, Any], weights: Mapping[str, torch.Tensor], recipe: Recipe, scheme: Scheme
) -> Network | Ensemble:
    """Build the networks, for which there is no more room than the file has weights, and give them theirs."""
    texts = contents.get("networks") or [contents["network"]] * contents.get("members", 1)
    room = sum(weight.numel() for weight in weights.values())
    members = []
    for text in texts:
        members.append(Network(NetworkConfig.from_dict(text), recipe, scheme, most_weights=room))
        room -= sum(array.numel() for array in members[-1].state_dict().values())
    network = members[0] if len(members) == 1 else Ensemble(members, contents.get("shares", ()))
    network.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in weights.items()}, strict=True)
    for module in network.modules():
        if isinstance(module, Trees):
            module.check()
    for name, buffer in network.named_buffers():
        if name.endswith(_VARIANCES) and bool((buffer < 0).any()):
            raise CheckpointError(f"variances in '{name}' are negative")
    return network


def _sets(contents: Mapping[str, Any], scheme: Scheme) -> PredictionSets | None:
    if contents.get("sets") is None:
        return None
    sets = PredictionSets.from_dict(contents["sets"])
    if len(sets.thresholds) != len(scheme.questions[0].answers):
        raise CheckpointError(
            f"{len(sets.thresholds)} thresholds of sets, not one for each answer of the first question"
        )
    return sets


def contents_of(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return what the header of a checkpoint's file says: everything but the weights, as plain values."""
    texts, shares = [m.config.to_dict() for m in members_of(checkpoint.network)], shares_of(checkpoint.network)
    mixed = any(text != texts[0] for text in texts) or not np.allclose(shares, shares[0])
    return {
        "format": _MIXED if mixed else _FORMAT,
        **({"networks": texts, "shares": list(shares)} if mixed else {}),
        "members": len(texts),
        "name": checkpoint.name,
        "version": checkpoint.version,
        "network": texts[0],
        "scheme": checkpoint.scheme.to_dict(),
        "recipe": checkpoint.recipe.to_dict(),
        "envelope": checkpoint.envelope.to_dict(),
        "temperatures": list(checkpoint.temperatures),
        "split": dict(checkpoint.split),
        "fractions": dict(checkpoint.fractions),
        "observation": dict(checkpoint.observation),
        **_fitted(checkpoint),
    }


def _fitted(checkpoint: Checkpoint) -> dict[str, Any]:
    """Parts of the header that older files do not have."""
    parts: dict[str, Any] = {}
    if checkpoint.maps:
        parts["maps"] = [None if m is None else m.tolist() for m in checkpoint.maps]
    if checkpoint.sets is not None:
        parts["sets"] = checkpoint.sets.to_dict()
    return parts


def is_halved(network: Network | Ensemble) -> bool:
    """Tell whether kernels are stored in half precision: those of ensembles and of large networks."""
    return isinstance(network, Ensemble) or n_weights(network) > _LARGE


def rounded(network: Network) -> Network:
    """Round kernels to half precision where they will be stored so, for what is fitted to the network afterwards."""
    for kernel in network.parameters() if is_halved(network) else ():
        if kernel.ndim > 1:
            kernel.data = kernel.data.half().to(kernel.dtype)
    return network


def save_checkpoint(
    checkpoint: Checkpoint, path: str | Path, card: Mapping[str, Any] | None = None, *, overwrite: bool = True
) -> Path:
    """Write a checkpoint and its card, each atomically; without `overwrite` files that are there are kept.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    path = Path(path)
    contents = contents_of(checkpoint)
    halved = is_halved(checkpoint.network)
    weights = {
        k: (v.half() if halved and v.ndim > 1 else v)
        .detach()
        .cpu()
        .clone(memory_format=torch.contiguous_format)  # the same network may be there twice
        for k, v in checkpoint.network.state_dict().items()
    }
    if (embedding := checkpoint.envelope.embedding) is not None:
        weights |= {_EMBEDDING + k: torch.from_numpy(v).contiguous() for k, v in embedding.tensors().items()}
    with replacing(path, overwrite=overwrite) as temporary:
        try:
            # One entry only: their order in the file is not fixed, and equal checkpoints should have equal checksums.
            save_file(weights, temporary, {"galmorph": json.dumps(contents)})
        except SafetensorError as error:
            raise OutputError(f"checkpoint '{path}' cannot be written: {error}; free space") from error
    if card is not None:
        with replacing(path.with_suffix(".json"), overwrite=overwrite) as temporary:
            text = json.dumps({**card, "sha256": checksum(path)}, indent=1)
            temporary.write_text(text + "\n", encoding="utf-8")
    return path
