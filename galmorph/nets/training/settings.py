"""Settings: what a pipeline may say about training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from galmorph.errors import PipelineError, unknown_name

__all__ = ["DISTANCES", "LOSSES", "EnsembleSettings", "TrainingSettings", "Unlabelled"]

LOSSES = ("likelihood", "dirichlet", "mse", "cross_entropy")
CLASS_WEIGHTS = ("none", "balanced", "effective")
DISTANCES = ("squared", "divergence")
_OPTIMISERS = ("adamw", "sgd")


def _check_word(what: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        raise PipelineError(unknown_name(what, str(value), known))


def _check_names(what: str, given: Mapping[str, Any], kind: type) -> None:
    known = {f.name for f in fields(kind)}
    if unknown := set(given) - known:
        raise PipelineError(unknown_name(what, sorted(unknown)[0], known))


@dataclass(frozen=True)
class Unlabelled:
    """How galaxies without a label are learnt from: answers to two random views of one should agree.

    One view is answered by the network, the other by the running average of its weights, the *mean teacher*
    (Tarvainen & Valpola 2017, arXiv:1703.01780).

    Parameters
    ----------
    weight
        Of the disagreement beside the loss of the labels, at full strength.
    share
        Galaxies without a label in a batch for each one with.
    warmup
        Share of all steps in which the weight rises to its full strength, as exp(-5 (1 - t)²).
    threshold
        Questions count only where the average gives its likeliest answer at least this probability (as in FixMatch,
        Sohn et al. 2020, arXiv:2001.07685); 0 counts all.
    temperature
        Below 1 the average's probabilities of a question are sharpened: raised to 1 / T and normalised (Xie et al.
        2020, arXiv:1904.12848).
    distance
        ``'squared'``: squared differences of the probabilities, summed over the answers; ``'divergence'``:
        Kullback and Leibler's, of each question by the probability that it is asked.
    """

    weight: float = 1.0
    share: float = 1.0
    warmup: float = 0.2
    threshold: float = 0.0
    temperature: float = 1.0
    distance: str = "squared"

    def __post_init__(self) -> None:
        _check_word("distance of [train.unlabelled]", self.distance, DISTANCES)
        limits = {"weight": float("inf"), "share": float("inf"), "warmup": 1.0, "threshold": 1.0}
        for name, most in limits.items():
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 <= value <= most:
                raise PipelineError(f"[train.unlabelled] {name} = {value!r}: expected a number from 0 to {most:g}")
        if not isinstance(self.temperature, int | float) or self.temperature <= 0:
            raise PipelineError(f"[train.unlabelled] temperature = {self.temperature!r}: expected a number above 0")

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Unlabelled:
        """Build from a table of settings; an unknown one is a PipelineError."""
        if not isinstance(given, Mapping):
            raise PipelineError(f"[train] unlabelled = {given!r}: expected a table, such as {{ weight = 1.0 }}")
        _check_names("setting of [train.unlabelled]", given, cls)
        return cls(**given)


@dataclass(frozen=True)
class TrainingSettings:
    """Settings of the loop: AdamW with a one-cycle learning rate, or SGD by steps, and an average of the weights.

    Parameters
    ----------
    epochs, batch, learning_rate, weight_decay
        As usual; an epoch shows every labelled galaxy once.
    loss
        ``'likelihood'``, ``'dirichlet'``, ``'mse'`` or ``'cross_entropy'``: see :mod:`galmorph.nets.training.loss`.
    class_weights
        Of rare answers to the first question: ``'none'``, ``'balanced'`` or ``'effective'``: see
        :mod:`galmorph.nets.training.balance`.
    unlabelled
        How galaxies without a label are learnt from; None leaves them out.
    optimiser
        ``'adamw'``: the learning rate rises over the first tenth and falls as a cosine; ``'sgd'``: Nesterov momentum
        of .9, and the learning rate falls to a tenth at 72 % and again at 92 % of all steps (Dieleman et al. 2015).
    smoothing
        Share of each label spread evenly over the answers.
    average
        Decay per step of the exponential moving average of the weights, which is what is kept.
    patience
        Stop after so many epochs without a better validation loss.
    seed
        Of everything random.
    bfloat16
        Compute convolutions in bfloat16.
    compile
        Let torch compile the network; worth its minutes on a GPU.
    tensorboard
        Write event files for TensorBoard beside the checkpoint.
    """

    epochs: int = 60
    batch: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 0.03
    smoothing: float = 0.0
    average: float = 0.995
    patience: int = 15
    seed: int = 1
    bfloat16: bool = True
    optimiser: str = "adamw"
    loss: str = "likelihood"
    class_weights: str = "none"
    unlabelled: Unlabelled | None = None
    compile: bool = False
    tensorboard: bool = False

    def __post_init__(self) -> None:
        _check_word("optimiser", self.optimiser, _OPTIMISERS)
        _check_word("loss", self.loss, LOSSES)
        _check_word("class weights", self.class_weights, CLASS_WEIGHTS)

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> TrainingSettings:
        """Build from a table of settings; an unknown one is a PipelineError."""
        _check_names("setting of the training", settings, cls)
        values = dict(settings)
        if (given := values.get("unlabelled")) is not None:
            values["unlabelled"] = Unlabelled.from_dict(given)
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


@dataclass(frozen=True)
class EnsembleSettings:
    """The section ``[train]`` of a pipeline: how many networks learn, from what they start, and the loop of each.

    Parameters
    ----------
    loop
        Of the first network; the seed of each further one is higher by 1.
    members
        Networks whose probabilities are averaged.
    start
        Name or file of the checkpoint with whose weights they begin; empty for random ones.
    """

    loop: TrainingSettings
    members: int = 1
    start: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.members, int) or isinstance(self.members, bool) or self.members < 1:
            raise PipelineError(f"[train] members = {self.members!r}: expected a whole number from 1")
        if not isinstance(self.start, str):
            raise PipelineError(f"[train] start = {self.start!r}: expected the name or file of a checkpoint")

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> EnsembleSettings:
        """Build from the section; an unknown setting is a PipelineError."""
        own = {key: given[key] for key in ("members", "start") if key in given}
        return cls(TrainingSettings.from_dict({k: v for k, v in given.items() if k not in own}), **own)
