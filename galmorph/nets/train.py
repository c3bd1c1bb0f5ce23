"""Training: one loop for votes, fractions and classes.

The loop is a generator: it yields after every epoch, and saving, stopping and progress belong to the caller. All
random numbers of an epoch follow from the seed and its number, so a resumed run continues as if it had never stopped.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from galmorph.errors import OutputError, PipelineError, unknown_name
from galmorph.nets.augment import Augmentation
from galmorph.nets.data import TrainingSet
from galmorph.nets.loss import negative_log_likelihood
from galmorph.nets.network import Network, NetworkConfig, channels_last
from galmorph.sky.scheme import Scheme

__all__ = ["Epoch", "Trainer", "TrainingSettings", "use_threads"]

_OPTIMISERS = ("adamw", "sgd")
_DROPS = (0.72, 0.92)


def use_threads(threads: int | None) -> None:
    """Compute with so many CPU threads; None leaves torch's choice."""
    if threads is not None:
        torch.set_num_threads(max(1, threads))


@dataclass(frozen=True)
class TrainingSettings:
    """Settings of the loop: AdamW with a one-cycle learning rate, or SGD by steps, and an average of the weights.

    Parameters
    ----------
    epochs, batch, learning_rate, weight_decay
        As usual.
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

    def __post_init__(self) -> None:
        if self.optimiser not in _OPTIMISERS:
            raise PipelineError(unknown_name("optimiser", self.optimiser, _OPTIMISERS))

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> TrainingSettings:
        """Build from a table of settings; an unknown one is a PipelineError."""
        known = {f.name for f in fields(cls)}
        if unknown := set(settings) - known:
            raise PipelineError(unknown_name("setting of the training", sorted(unknown)[0], known))
        return cls(**settings)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Epoch:
    """What one epoch gave: losses, and whether it is the best so far or the last."""

    number: int
    train_loss: float
    validation_loss: float
    learning_rate: float
    is_best: bool
    is_last: bool


class Trainer:
    """Holds the network, its running average and the optimiser; `epochs()` trains.

    Parameters
    ----------
    training, validation
        Sets of galaxies with labels.
    scheme, config, ranges, settings
        What to learn, the architecture, the augmentation and the loop's settings.
    """

    def __init__(
        self,
        training: TrainingSet,
        validation: TrainingSet,
        scheme: Scheme,
        config: NetworkConfig,
        ranges: Augmentation,
        settings: TrainingSettings,
    ) -> None:
        torch.manual_seed(settings.seed)
        self.training, self.validation = training, validation
        self.scheme, self.config, self.ranges, self.settings = scheme, config, ranges, settings
        self.network = channels_last(Network(config, training.recipe, scheme))
        self.averaged = copy.deepcopy(self.network).eval()
        self.best = copy.deepcopy(self.averaged)
        self.optimiser = _optimiser(self.network, settings)
        self.done = 0
        self.best_loss = math.inf
        self.since_best = 0
        self.history: list[dict[str, float]] = []

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""
        return max(1, len(self.training) // self.settings.batch)

    def epochs(self) -> Iterator[Epoch]:
        """Train until the last epoch or until patience runs out; yield after each."""
        while self.done < self.settings.epochs and self.since_best < self.settings.patience:
            loss = self._train_one()
            validation = self.validation_loss()
            self.done += 1
            is_best = validation < self.best_loss
            self.since_best = 0 if is_best else self.since_best + 1
            if is_best:
                self.best_loss = validation
                self.best.load_state_dict(self.averaged.state_dict())
            self.history.append({"epoch": self.done, "train_loss": loss, "validation_loss": validation})
            last = self.done >= self.settings.epochs or self.since_best >= self.settings.patience
            yield Epoch(self.done, loss, validation, self.optimiser.param_groups[0]["lr"], is_best, last)

    def _train_one(self) -> float:
        generator = torch.Generator().manual_seed(self.settings.seed * 100_003 + self.done)
        torch.manual_seed(self.settings.seed * 100_019 + self.done)  # dropout
        order = torch.randperm(len(self.training), generator=generator)
        self.network.train()
        total = 0.0
        for step in range(self.steps_per_epoch):
            rows = order[step * self.settings.batch : (step + 1) * self.settings.batch]
            rate = self._learning_rate(self.done * self.steps_per_epoch + step)
            for group in self.optimiser.param_groups:
                group["lr"] = rate
            total += self._step(rows, generator)
        return total / self.steps_per_epoch

    def _learning_rate(self, step: int) -> float:
        steps = self.settings.epochs * self.steps_per_epoch
        if self.settings.optimiser == "sgd":
            return self.settings.learning_rate * 0.1 ** sum(step >= share * steps for share in _DROPS)
        warm = max(1, steps // 10)
        if step < warm:
            return self.settings.learning_rate * (step + 1) / warm
        return self.settings.learning_rate * 0.5 * (1.0 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))

    def _step(self, rows: torch.Tensor, generator: torch.Generator) -> float:
        with torch.no_grad():
            stamps = self.training.stamps(rows, self.ranges, generator).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.settings.bfloat16):
            logits = self.network(stamps)
        loss = negative_log_likelihood(
            logits.float(),
            self.training.counts[rows],
            self.training.totals[rows],
            self.scheme,
            smoothing=self.settings.smoothing,
        )
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimiser.step()
        self._average()
        return float(loss.detach())

    @torch.no_grad()
    def _average(self) -> None:
        # Early on the average follows closely, so that it does not remember the start.
        step = self.done * self.steps_per_epoch
        decay = min(self.settings.average, (1.0 + step) / (10.0 + step))
        for kept, new in zip(self.averaged.state_dict().values(), self.network.state_dict().values(), strict=True):
            if kept.dtype.is_floating_point:
                kept.lerp_(new, 1.0 - decay)
            else:
                kept.copy_(new)

    @torch.no_grad()
    def validation_loss(self) -> float:
        """Loss of the averaged weights on upright (and identically degraded) stamps of the validation part."""
        generator = torch.Generator().manual_seed(self.settings.seed)
        ranges = None
        if self.ranges.observation is not None:
            ranges = Augmentation(zoom=1.0, shift=0.0, brightness=0.0, observation=self.ranges.observation)
        total = 0.0
        for rows in torch.arange(len(self.validation)).split(128):  # type: ignore[no-untyped-call]
            stamps = self.validation.stamps(rows, ranges, generator).contiguous(memory_format=torch.channels_last)
            loss = negative_log_likelihood(
                self.averaged(stamps), self.validation.counts[rows], self.validation.totals[rows], self.scheme
            )
            total += float(loss) * len(rows)
        return total / max(len(self.validation), 1)

    def save(self, path: Path) -> None:
        """Write everything needed to continue: weights, averages, optimiser, history (safetensors, atomically).

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        tensors = _tensors("network", self.network) | _tensors("averaged", self.averaged) | _tensors("best", self.best)
        for number, state in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{number}.{k}": v.contiguous() for k, v in state.items()}
        about = {
            "done": self.done,
            "best_loss": self.best_loss if math.isfinite(self.best_loss) else None,
            "since_best": self.since_best,
            "history": self.history,
            "settings": self.settings.to_dict(),
        }
        temporary = path.with_name(f".{path.name}.part")
        try:
            save_file(tensors, temporary, {"state": json.dumps(about)})
            temporary.replace(path)
        except (OSError, SafetensorError) as error:
            temporary.unlink(missing_ok=True)
            raise OutputError(f"state '{path}' of the training run cannot be written: {error}") from error

    def resume(self, path: Path) -> None:
        """Continue from a file of :meth:`save`.

        Raises
        ------
        PipelineError
            If the file is corrupt or belongs to other settings.
        """
        try:
            with safe_open(path, framework="pt") as stream:
                about = json.loads((stream.metadata() or {})["state"])
            tensors = load_file(path)
        except (SafetensorError, KeyError, OSError, ValueError) as error:
            raise PipelineError(f"'{path}' holds no state of a training run: remove it to start anew") from error
        if about["settings"] != self.settings.to_dict():
            raise PipelineError(f"'{path}' belongs to a run with other settings: choose another folder or remove it")
        for name, module in (("network", self.network), ("averaged", self.averaged), ("best", self.best)):
            module.load_state_dict({k: tensors[f"{name}.{k}"] for k in module.state_dict()})
        self._resume_optimiser(tensors)
        self.done, self.since_best, self.history = about["done"], about["since_best"], about["history"]
        self.best_loss = math.inf if about["best_loss"] is None else about["best_loss"]

    def _resume_optimiser(self, tensors: Mapping[str, torch.Tensor]) -> None:
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in tensors.items():
            if name.startswith("optimiser."):
                _, number, key = name.split(".")
                state.setdefault(int(number), {})[key] = value
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": state, "param_groups": groups})


def _optimiser(network: torch.nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    groups = _decay_groups(network, settings.weight_decay)
    if settings.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=settings.learning_rate, momentum=0.9, nesterov=True)
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.98))


def _decay_groups(network: torch.nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    # Norms and biases are not decayed.
    kernels = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    return [{"params": kernels, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def _tensors(name: str, module: torch.nn.Module) -> dict[str, torch.Tensor]:
    contiguous = torch.contiguous_format
    return {f"{name}.{k}": v.detach().clone(memory_format=contiguous) for k, v in module.state_dict().items()}
