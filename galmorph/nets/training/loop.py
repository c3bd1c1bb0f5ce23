"""Loop: one for votes, fractions and classes, and for galaxies without a label.

It is a generator: it yields after every epoch, and saving, stopping and progress belong to the caller. All random
numbers of an epoch follow from the seed and its number, so a resumed run continues as if it had never stopped.

A training stops after its last epoch; when the validation loss has not improved for `patience` epochs; when the caller
asks for no further epoch; or with a :class:`~galmorph.errors.DivergedError` when a loss or a gradient is no finite
number.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from galmorph.errors import DivergedError, OutputError, PipelineError
from galmorph.nets.architecture.network import Network, NetworkConfig, channels_last, planes_last
from galmorph.nets.precision import computes_bfloat16, half_convolutions, single_precision
from galmorph.nets.training.consistency import disagreement, strength
from galmorph.nets.training.loss.interface import make_loss
from galmorph.nets.training.pseudo_labels import PseudoLabels
from galmorph.nets.training.settings import Augmentation, TrainingSettings, completed
from galmorph.nets.training.training_set import TrainingSet
from galmorph.sky.formats.atomic import replacing
from galmorph.sky.scheme import Scheme

__all__ = ["Epoch", "Trainer"]

# Of the steps, after which SGD's learning rate falls to a tenth (Dieleman et al. 2015).
_DROPS = (0.72, 0.92)
# Longer gradients are scaled down to this length: rare batches would otherwise undo many steps.
_STEEPEST = 5.0


@dataclass(frozen=True)
class Epoch:
    """What one epoch gave: losses, and whether it is the best so far or the last.

    The disagreement is the mean, unweighted, about galaxies without a label; 0 where none are learnt from.
    """

    number: int
    train_loss: float
    validation_loss: float
    learning_rate: float
    is_best: bool
    is_last: bool
    disagreement: float = 0.0


@dataclass(frozen=True)
class _Seen:
    """What a network is shown of galaxies: stamps, (B, C, S, S), and their morphometry, (B, K), where it takes that."""

    stamps: torch.Tensor
    morphometry: torch.Tensor | None

    def with_others(self, other: _Seen) -> _Seen:
        """Set further galaxies below these."""
        read = [m for m in (self.morphometry, other.morphometry) if m is not None]
        return _Seen(torch.cat([self.stamps, other.stamps]), torch.cat(read) if read else None)


@dataclass(frozen=True)
class _UnlabelledBatch:
    """Galaxies without a label in one step: two views of each, and how much their disagreement weighs.

    Their places are those among all without a label.
    """

    places: torch.Tensor
    view: _Seen
    again: _Seen
    strength: float


class Trainer:
    """Holds the network, its running average and the optimiser; `epochs()` trains.

    Parameters
    ----------
    training, validation
        Sets of galaxies with labels.
    scheme, config, ranges, settings
        What to learn, the architecture, the augmentation and the loop's settings.
    device
        ``'cpu'`` or ``'cuda'``: where stamps are made and the network learns. The best weights stay on the processor.
    number
        Of the network among those that are trained together, for messages.
    """

    def __init__(
        self,
        training: TrainingSet,
        validation: TrainingSet,
        scheme: Scheme,
        config: NetworkConfig,
        ranges: Augmentation,
        settings: TrainingSettings,
        device: str = "cpu",
        number: int = 1,
    ) -> None:
        ranges.check(training.recipe)
        torch.manual_seed(settings.seed)
        self.device, self.number = torch.device(device), number
        self.training, self.validation = training.on(device), validation.on(device)
        self.is_half = settings.bfloat16 and computes_bfloat16(device)
        self.labelled, self.unlabelled = training.labelled, training.unlabelled
        self.scheme, self.config, self.ranges, self.settings = scheme, config, ranges, settings
        self.pseudo_labels: PseudoLabels | None = None
        if settings.unlabelled is not None and settings.unlabelled.thresholds != "fixed":
            self.pseudo_labels = PseudoLabels(len(self.unlabelled), scheme, settings.unlabelled)
        self.loss = make_loss(settings.loss, scheme, smoothing=settings.smoothing)
        self.exact = make_loss(settings.loss, scheme)
        self.best = channels_last(Network(config, training.recipe, scheme)).eval()
        if training.morphometry is not None:
            self.best.standardise(training.morphometry[:, 0])
        self.network = copy.deepcopy(self.best).to(self.device).train()
        if settings.frozen:
            self.network.freeze()
        self.averaged = copy.deepcopy(self.best).to(self.device)
        self.answers = self._forward()
        self.optimiser = _optimiser(self.network, settings)
        self.done = 0
        self.best_loss = math.inf
        self.since_best = 0
        self.history: list[dict[str, float]] = []

    def begin_with(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Replace weights of the network, of its average and of the best, by their names; the others stay."""
        for module in (self.network, self.averaged, self.best):
            module.load_state_dict({**module.state_dict(), **weights})

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""
        return max(1, len(self.labelled) // self.settings.batch)

    def epochs(self) -> Iterator[Epoch]:
        """Train until the last epoch or until patience runs out; yield after each.

        Raises
        ------
        DivergedError
            If a loss or a gradient is no finite number.
        """
        while self.done < self.settings.epochs and self.since_best < self.settings.patience:
            with single_precision(self.device):
                loss, apart = self._train_one()
                validation = self.validation_loss()
            self._check_finite("validation loss", validation, self.steps_per_epoch)
            self.done += 1
            is_best = validation < self.best_loss
            self.since_best = 0 if is_best else self.since_best + 1
            if is_best:
                self.best_loss = validation
                self.best.load_state_dict(self.averaged.state_dict())
            self.history.append({"epoch": self.done, "train_loss": loss, "validation_loss": validation})
            if self.settings.unlabelled is not None:
                self.history[-1]["disagreement"] = apart
            last = self.done >= self.settings.epochs or self.since_best >= self.settings.patience
            yield Epoch(self.done, loss, validation, self.optimiser.param_groups[0]["lr"], is_best, last, apart)

    def _forward(self) -> Callable[[torch.Tensor, torch.Tensor | None], torch.Tensor]:
        def answers(stamps: torch.Tensor, morphometry: torch.Tensor | None) -> torch.Tensor:
            return self.loss.outputs(self.network, stamps, morphometry)

        return torch.compile(answers) if self.settings.compile else answers

    def _train_one(self) -> tuple[float, float]:
        """Train for an epoch; return the mean loss and the mean disagreement."""
        generator = torch.Generator().manual_seed(self.settings.seed * 100_003 + self.done)
        torch.manual_seed(self.settings.seed * 100_019 + self.done)  # dropout
        order = self.labelled[torch.randperm(len(self.labelled), generator=generator)]
        others = self._unlabelled_batches()
        self.network.train()
        if self.settings.frozen:
            self.network.freeze()
        total = apart = 0.0
        for step in range(self.steps_per_epoch):
            rows = order[step * self.settings.batch : (step + 1) * self.settings.batch]
            rate = self._learning_rate(self.done * self.steps_per_epoch + step)
            for group in self.optimiser.param_groups:
                group["lr"] = rate
            loss, distance = self._step(step, rows, generator, next(others, None))
            total, apart = total + loss, apart + distance
        return total / self.steps_per_epoch, apart / self.steps_per_epoch

    def _unlabelled_batches(self) -> Iterator[_UnlabelledBatch]:
        """Draw the galaxies without a label of an epoch's steps; their generator leaves that of the others alone."""
        how = self.settings.unlabelled
        if how is None or how.share == 0 or len(self.unlabelled) == 0:
            return
        generator = torch.Generator().manual_seed(self.settings.seed * 100_043 + self.done)
        size = max(1, round(how.share * self.settings.batch))
        drawn = [
            torch.randperm(len(self.unlabelled), generator=generator)
            for _ in range(-(-size * self.steps_per_epoch // len(self.unlabelled)))
        ]
        steps = self.settings.epochs * self.steps_per_epoch
        batches = torch.cat(drawn).split(size)  # type: ignore[no-untyped-call]
        for step, places in enumerate(batches, self.done * self.steps_per_epoch):
            views = [self._seen(self.training, self.unlabelled[places], self.ranges, generator) for _ in range(2)]
            yield _UnlabelledBatch(places, views[0], views[1], strength(how, step, steps))

    def _learning_rate(self, step: int) -> float:
        steps = self.settings.epochs * self.steps_per_epoch
        if self.settings.optimiser == "sgd":
            return self.settings.learning_rate * 0.1 ** sum(step >= share * steps for share in _DROPS)
        warm = max(1, steps // 10)
        if step < warm:
            return self.settings.learning_rate * (step + 1) / warm
        return self.settings.learning_rate * 0.5 * (1.0 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))

    @torch.no_grad()
    def _seen(
        self, part: TrainingSet, rows: torch.Tensor, ranges: Augmentation | None, generator: torch.Generator
    ) -> _Seen:
        stamps = self._stamps(part, rows, ranges, generator)
        # Networks of stamps alone draw the same random numbers as before there was anything else.
        measured = part.measured(rows, ranges, generator) if self.network.takes_morphometry else None
        return _Seen(stamps, measured)

    def _stamps(
        self, part: TrainingSet, rows: torch.Tensor, ranges: Augmentation | None, generator: torch.Generator
    ) -> torch.Tensor:
        if not self.network.takes_stamps:  # they would take nearly all of the time
            return torch.zeros(len(rows), 1, 1, 1, device=self.device)
        return planes_last(part.stamps(rows, ranges, generator))

    def _step(
        self, number: int, rows: torch.Tensor, generator: torch.Generator, others: _UnlabelledBatch | None
    ) -> tuple[float, float]:
        """Learn from labelled galaxies, and from others together with them; return the loss and the disagreement."""
        part = self.training
        view = self._seen(part, rows, self.ranges, generator)
        together = view if others is None else view.with_others(others.view)
        with half_convolutions(self.device, wanted=self.is_half):
            answers = self.answers(together.stamps, together.morphometry)
        loss = self.loss(
            answers[: len(rows)],
            part.counts[rows],
            part.totals[rows],
            None if part.weight is None else part.weight[rows],
        )
        apart = loss.new_zeros(())
        if others is not None:
            apart = self._disagreement(answers[len(rows) :], others)
        self.optimiser.zero_grad(set_to_none=True)
        (loss if others is None else loss + others.strength * apart).backward()  # type: ignore[no-untyped-call]
        gradient = torch.nn.utils.clip_grad_norm_(self.network.parameters(), _STEEPEST)
        values = torch.stack([loss.detach(), apart.detach(), gradient]).tolist()  # the device is waited for once
        for what, value in zip(("loss", "disagreement", "gradient"), values, strict=True):
            self._check_finite(what, value, number + 1)
        self.optimiser.step()
        self._average()
        return values[0], values[1]

    def _check_finite(self, what: str, value: float, step: int) -> None:
        """Stop what cannot recover: weights become no numbers in the next step, if they are not yet."""
        if not math.isfinite(value):
            raise DivergedError(
                f"network {self.number}: the {what} is {value} in epoch {self.done + 1}, step {step} of "
                f"{self.steps_per_epoch}: expected a finite number; begin anew with a lower learning_rate or with "
                "bfloat16 = false in [train], and look for labels and pixels that are no numbers"
            )

    def _disagreement(self, answers: torch.Tensor, others: _UnlabelledBatch) -> torch.Tensor:
        how = self.settings.unlabelled
        if how is None:
            return torch.zeros(())
        with torch.no_grad(), half_convolutions(self.device, wanted=self.is_half):
            again = others.again
            taught = self.loss.marginals(self.loss.outputs(self.averaged, again.stamps, again.morphometry))
        thresholds = None
        if self.pseudo_labels is not None:
            self.pseudo_labels.note(others.places, taught)
            thresholds = self.pseudo_labels.thresholds()
        return disagreement(self.loss.marginals(answers), taught, self.scheme, how, thresholds)

    @torch.no_grad()
    def _average(self) -> None:
        # Early on the average follows closely, so that it does not remember the start.
        step = self.done * self.steps_per_epoch
        decay = min(self.settings.average, (1.0 + step) / (10.0 + step))
        pairs = list(zip(self.averaged.state_dict().values(), self.network.state_dict().values(), strict=True))
        kept, new = zip(*((a, b) for a, b in pairs if a.dtype.is_floating_point), strict=True)
        torch._foreach_lerp_(kept, new, 1.0 - decay)
        for old, newer in pairs:
            if not old.dtype.is_floating_point:
                old.copy_(newer)

    @torch.no_grad()
    def validation_loss(self) -> float:
        """Loss of the averaged weights on upright (and identically degraded) stamps of the validation part."""
        generator = torch.Generator().manual_seed(self.settings.seed)
        ranges = None
        if self.ranges.observation is not None:
            ranges = Augmentation(zoom=1.0, shift=0.0, brightness=0.0, observation=self.ranges.observation)
        total = 0.0
        part = self.validation
        for rows in torch.arange(len(part)).split(128):  # type: ignore[no-untyped-call]
            view = self._seen(part, rows, ranges, generator)
            answers = self.exact.outputs(self.averaged, view.stamps, view.morphometry)
            total += float(self.exact(answers, part.counts[rows], part.totals[rows])) * len(rows)
        return total / max(len(self.validation), 1)

    def save(self, path: Path) -> None:
        """Write everything needed to continue: weights, averages, optimiser, history (safetensors, atomically).

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        tensors = _tensors("network", self.network) | _tensors("averaged", self.averaged) | _tensors("best", self.best)
        if self.pseudo_labels is not None:
            tensors |= {"pseudo.answer": self.pseudo_labels.answer, "pseudo.sure": self.pseudo_labels.sure}
        for number, state in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{number}.{k}": v.cpu().contiguous() for k, v in state.items()}
        about = {
            "done": self.done,
            "best_loss": self.best_loss if math.isfinite(self.best_loss) else None,
            "since_best": self.since_best,
            "history": self.history,
            "settings": self.settings.to_dict(),
        }
        with replacing(path) as temporary:
            try:
                save_file(tensors, temporary, {"state": json.dumps(about)})
            except SafetensorError as error:
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
        # A run that was begun before a setting existed has its default; what it is looked at with does not matter.
        before = TrainingSettings().to_dict() | about["settings"] | {"tensorboard": False}
        before["unlabelled"] = completed(before["unlabelled"])
        if before != {**self.settings.to_dict(), "tensorboard": False}:
            raise PipelineError(f"'{path}' belongs to a run with other settings: choose another folder or remove it")
        for name, module in (("network", self.network), ("averaged", self.averaged), ("best", self.best)):
            module.load_state_dict({k: tensors[f"{name}.{k}"] for k in module.state_dict()})
        if self.pseudo_labels is not None:
            self.pseudo_labels.answer, self.pseudo_labels.sure = tensors["pseudo.answer"], tensors["pseudo.sure"]
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
    learning = [p for p in network.parameters() if p.requires_grad]
    kernels = [p for p in learning if p.ndim > 1]
    others = [p for p in learning if p.ndim <= 1]
    return [{"params": kernels, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def _tensors(name: str, module: torch.nn.Module) -> dict[str, torch.Tensor]:
    contiguous = torch.contiguous_format
    return {f"{name}.{k}": v.detach().cpu().clone(memory_format=contiguous) for k, v in module.state_dict().items()}
