"""Training runs: a table of labels, images and a pipeline in; a checkpoint and its card out."""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import galmorph
from galmorph.errors import PipelineError
from galmorph.learning.assembly import KeptSets, build_sets
from galmorph.learning.calibration import Fitted, fit_checkpoint
from galmorph.learning.inputs import opened
from galmorph.learning.labelled_table import LabelledTable, divided, names_of, warn_of_sameness
from galmorph.learning.pipeline import TrainPipeline
from galmorph.learning.record import SPLIT, check_training, log_path, prepared_folder, record_of, state_path
from galmorph.learning.split import SPLITS, named_by, rows_with
from galmorph.learning.teaching import load_teacher, taught
from galmorph.learning.viewed import check_views
from galmorph.nets.architecture.network import (
    Ensemble,
    Network,
    NetworkConfig,
    learns_by_gradients,
    n_weights,
    outline,
    takes_morphometry,
)
from galmorph.nets.checkpoint.envelope import Envelope
from galmorph.nets.checkpoint.file import Checkpoint, load_checkpoint, rounded, save_checkpoint
from galmorph.nets.device import resolve_device
from galmorph.nets.evaluate import evaluate
from galmorph.nets.features.classifier import Classifier
from galmorph.nets.features.unsupervised import feature_network, learn_networks, upright_losses
from galmorph.nets.training.balance import class_weights, share_weights
from galmorph.nets.training.events import Events, check_tensorboard
from galmorph.nets.training.loop import Epoch, Trainer
from galmorph.nets.training.start import Start, load_start
from galmorph.nets.training.training_set import TrainingSet
from galmorph.progress import Progress, silent
from galmorph.sky.catalog import Catalog
from galmorph.sky.catalog_input import CatalogInput
from galmorph.sky.formats.atomic import replacing
from galmorph.sky.images import ImageInput, ImageSource, colour_bands
from galmorph.sky.scheme import Scheme, load_scheme
from galmorph.sky.survey import load_survey
from galmorph.stamps.views import read_views
from galmorph.toml import to_table

__all__ = [
    "Observer",
    "TrainingRun",
    "TrainingState",
    "check_settings",
    "named_errors",
    "named_progress",
    "train",
    "unobserved",
]

log = logging.getLogger(__name__)
FloatArray = npt.NDArray[np.float64]
_ON_CARD = ("augmentation", "split", "fractions", "stars", "simulated")


@dataclass(frozen=True)
class TrainingRun:
    """What came out: the checkpoint, its file and its card."""

    checkpoint: Checkpoint
    path: Path
    card: Mapping[str, Any]


@dataclass(frozen=True)
class TrainingState:
    """Where a training stands after an epoch.

    Parameters
    ----------
    name
        Of the pipeline.
    folder
        In which it leaves its files.
    histories
        For each of its networks until now the epochs, each with ``epoch``, ``train_loss`` and ``validation_loss``.
    """

    name: str
    folder: Path
    histories: Sequence[Sequence[Mapping[str, float]]]


Observer = Callable[[TrainingState], None]
"""What is called after each epoch, to draw its losses or to stop the training by an exception."""


def unobserved(state: TrainingState) -> None:
    """Take no note of a training."""


def named_progress(progress: Progress, name: str) -> Progress:
    """Put the name of what is trained before the remarks of a report."""

    def report(stage: str, done: int, total: int, remark: str = "") -> None:
        progress(stage, done, total, f"{name} {remark}".rstrip())

    return report


@contextmanager
def named_errors(name: str) -> Iterator[None]:
    """Put the name of what is trained before what stops a training, such as a loss that is no number."""
    try:
        yield
    except PipelineError as error:
        raise type(error)(str(error) if name in str(error) else f"{name}: {error}") from error


def train(
    catalog: CatalogInput | Catalog,
    images: ImageInput | ImageSource,
    pipeline: TrainPipeline,
    folder: Path,
    *,
    resume: bool = False,
    device: str = "cpu",
    progress: Progress = silent,
    on_epoch: Observer = unobserved,
    kept: KeptSets | None = None,
) -> TrainingRun:
    """Train a network as a pipeline says.

    Parameters
    ----------
    catalog
        Labels, and file names or positions.
    images
        Of the galaxies; where they do not say of which survey and band they are, of the pipeline's.
    pipeline
        From :func:`galmorph.learning.pipeline.load_training`.
    folder
        Receives ``NAME.safetensors``, its card ``NAME.json``, ``log.csv``, ``split.csv``, the settings as
        ``pipeline.json`` and the state to resume from; further networks of an ensemble have ``log-2.csv`` and so on.
    resume
        Continue from the state in `folder`.
    device
        ``'auto'``, ``'cpu'`` or ``'cuda'``. Runs on a GPU and on the processor see the same random views, but not the
        same noise.
    progress
        See :class:`galmorph.progress.Progress`.
    on_epoch
        Called after each epoch, when its state is saved.
    kept
        Sets of an earlier training, taken where nothing that decides about them differs.

    Returns
    -------
    TrainingRun
        The card has the scores of the validation part only; the test part is for :func:`evaluate_checkpoint`.

    Raises
    ------
    PipelineError, SchemeError, CatalogError, CheckpointError, ImageError, OutputError
        Before training starts, if anything does not fit.
    """
    check_training(folder, pipeline, catalog, images, resume=resume)
    config, start = check_settings(pipeline)
    course = _Course(pipeline, folder, config, start, resume, resolve_device(device))
    teacher = load_teacher(pipeline)
    usual, name = pipeline.images, f"pipeline '{pipeline.name}'"
    with ExitStack() as stack:
        rows, source = stack.enter_context(opened(catalog, images, usual.survey, usual.band))
        stack.enter_context(named_errors(name))
        table = divided(pipeline, rows, source)
        stack.enter_context(prepared_folder(folder, record_of(pipeline), resume=resume))
        # Only what the networks learn from is taught; scores and calibration are those of people's votes.
        lessons = taught(table, pipeline, teacher, device=course.device, progress=progress)
        warn_of_sameness(lessons.table, "train", "learnt")
        sets, snr = build_sets(lessons.table, pipeline, _weights(lessons.table, pipeline), progress, kept)
        learn = course.by_gradients if pipeline.features is None else course.by_features
        learnt = learn(sets, table.scheme, progress, on_epoch)
        raw = _checkpoint(pipeline, learnt, table, snr)
        fitted = fit_checkpoint(raw, table, pipeline.calibration, device=course.device, progress=progress)
        card = _card(pipeline, fitted, learnt, table)
        if start is not None:
            card["start"] = start.about(pipeline.train.members)
        if lessons.about:
            card["teacher"] = dict(lessons.about)
        names = names_of(rows, source, named_by(table.split) if table.split is not None else "")
        _write_split(folder / SPLIT, names, table.splits)
        path = save_checkpoint(fitted.checkpoint, folder / f"{pipeline.name}.safetensors", card)
    return TrainingRun(load_checkpoint(path), path, card)


def check_settings(pipeline: TrainPipeline) -> tuple[NetworkConfig, Start | None]:
    """Refuse settings that mean nothing together, before anything is read or trained.

    Returns
    -------
    The text of the network, and the weights with which it begins; None for random ones.

    Raises
    ------
    PipelineError, SchemeError, CheckpointError, SurveyError
        If the recipe, the network, the augmentation and the scheme do not go together, or one is not there.
    """
    scheme, recipe = load_scheme(pipeline.scheme), pipeline.recipe
    load_survey(pipeline.images.survey)
    pipeline.augmentation.check(recipe)
    check_views(read_views(recipe.views), pipeline.augmentation.observation)
    if pipeline.train.tensorboard:
        check_tensorboard()
    if pipeline.features is not None:
        config = feature_network(pipeline.features)
        outline(config, recipe, scheme)
        return config, None
    config = NetworkConfig.from_dict(pipeline.network.to_dict())
    outline(config, recipe, scheme)
    if not learns_by_gradients(config, recipe, scheme):
        raise PipelineError(
            f"network '{config.name}' ends in trees, which no loop teaches: give [features] and [classifier] instead"
        )
    if pipeline.augmentation.observation is not None and takes_morphometry(config, recipe, scheme):
        raise PipelineError(
            f"network '{config.name}' takes the morphometry, which [augmentation.observation] would have to degrade "
            "together with the stamps: set morphometry = 0 in [network], or leave out the observation"
        )
    start = load_start(pipeline.train.start, config, recipe, scheme) if pipeline.train.start else None
    return config, start


def _weights(table: LabelledTable, pipeline: TrainPipeline) -> FloatArray:
    """Weight the training rows, (N,), by their classes; labels of the test part play no role."""
    train = table.splits == "train"
    weight = np.ones(len(train))
    of_classes = class_weights(table.labels.take(np.flatnonzero(train)), table.scheme, pipeline.train.class_weights)
    weight[train] = of_classes
    if pipeline.split.balance:
        columns = table.gathering.catalog.table
        like = rows_with(pipeline.split.balance, len(train), columns) & (table.splits != "test")
        weight *= share_weights(table.labels, train, like)
    return weight


@dataclass(frozen=True)
class _Learnt:
    """Networks that have learnt, the losses of each, their settings for a card, and galaxies without a label.

    `shares` are those of the networks in their average; none where all count alike.
    """

    networks: Sequence[Network]
    histories: Sequence[list[dict[str, float]]]
    settings: Mapping[str, Any]
    unlabelled: int
    shares: Sequence[float] = ()


@dataclass(frozen=True)
class _Course:
    """What is decided before any galaxy is looked at."""

    pipeline: TrainPipeline
    folder: Path
    config: NetworkConfig
    start: Start | None
    resume: bool
    device: str

    def by_gradients(
        self, sets: Mapping[str, TrainingSet], scheme: Scheme, progress: Progress, on_epoch: Observer
    ) -> _Learnt:
        """Train one network after the other."""
        trainers: list[Trainer] = []
        settings = self.pipeline.train
        for number in range(1, settings.members + 1):
            trainers.append(self.trainer(number, sets, scheme))
            for epoch in self.epochs(trainers, progress):
                on_epoch(TrainingState(self.pipeline.name, self.folder, [t.history for t in trainers]))
                progress("training", epoch.number, settings.epochs, f"network {number}: {_remark(epoch)}")
        loop = {"members": len(trainers), **trainers[0].settings.to_dict()}
        histories = [t.history for t in trainers]
        return _Learnt([t.best for t in trainers], histories, {"train": loop}, len(trainers[0].unlabelled))

    def by_features(
        self, sets: Mapping[str, TrainingSet], scheme: Scheme, progress: Progress, on_epoch: Observer
    ) -> _Learnt:
        """Learn features without labels, and classifiers on them: each has a history of one epoch."""
        features, classifier = self.pipeline.features, self.pipeline.classifier or Classifier()
        if features is None:
            raise PipelineError(f"pipeline '{self.pipeline.name}' has no [features]")
        training, ranges, seed = sets["train"], self.pipeline.augmentation, self.pipeline.train.seed
        networks, shares = learn_networks(
            training, scheme, features, classifier, ranges, seed=seed, device=self.device, progress=progress
        )
        losses = [upright_losses(networks, sets[name], self.device) for name in ("train", "validation")]
        names = ("train_loss", "validation_loss")
        histories = [[{"epoch": 1, **dict(zip(names, each, strict=True))}] for each in zip(*losses, strict=True)]
        for number, history in enumerate(histories, 1):
            _write_log(log_path(self.folder, number), history)
        on_epoch(TrainingState(self.pipeline.name, self.folder, histories))
        about = {"features": to_table(features), "classifier": to_table(classifier), "train": {"seed": seed}}
        return _Learnt(networks, histories, about, len(training.unlabelled), shares)

    def trainer(self, number: int, sets: Mapping[str, TrainingSet], scheme: Scheme) -> Trainer:
        """Make the trainer of network `number`, from 1."""
        settings = replace(self.pipeline.train.loop, seed=self.pipeline.train.seed + number - 1)
        ranges = self.pipeline.augmentation
        return Trainer(sets["train"], sets["validation"], scheme, self.config, ranges, settings, self.device, number)

    def epochs(self, trainers: Sequence[Trainer], progress: Progress) -> Iterator[Epoch]:
        """Train the last network; yield after every epoch, when its state is saved."""
        trainer, number = trainers[-1], len(trainers)
        state = state_path(self.folder, number)
        if self.resume and state.exists():
            trainer.resume(state)
        elif self.start is not None:
            trainer.begin_with(self.start.member(number))
            progress("training", 0, trainer.settings.epochs, f"network {number}: starts with {self.start}")
        with self._events(trainer, number) as events:
            for epoch in trainer.epochs():
                trainer.save(state)
                _write_log(log_path(self.folder, number), trainer.history)
                if events is not None:
                    events.add(epoch)
                yield epoch

    def _events(self, trainer: Trainer, number: int) -> AbstractContextManager[Events | None]:
        if not trainer.settings.tensorboard:
            return nullcontext()
        return closing(Events(self.folder / f"events-{number}", trainer.done))


def _checkpoint(pipeline: TrainPipeline, learnt: _Learnt, table: LabelledTable, snr: Sequence[float]) -> Checkpoint:
    networks = learnt.networks
    survey, band = load_survey(pipeline.images.survey), pipeline.images.band
    names = colour_bands(survey, band) or (survey.band(band).name,)
    low, high = np.percentile(snr, [0.5, 99.5]).tolist()
    envelope = Envelope(survey.name, tuple(names), survey.band(names[0]).scale_arcsec, (low, high))
    return Checkpoint(
        name=pipeline.name,
        version=galmorph.__version__,
        network=rounded(networks[0]) if len(networks) == 1 else Ensemble(networks, learnt.shares).eval(),
        scheme=table.scheme,
        recipe=pipeline.recipe,
        envelope=envelope,
        temperatures=(1.0,) * len(table.scheme.questions),
        split=_table(table.split),
        fractions=_table(pipeline.fractions),
        observation=_table(pipeline.augmentation.observation),
    )


def _table(settings: Any) -> dict[str, Any]:
    return {} if settings is None else to_table(settings)


def _remark(epoch: Epoch) -> str:
    best = " *" if epoch.is_best else ""
    apart = f" disagreement {epoch.disagreement:.4f}" if epoch.disagreement else ""
    return f"train {epoch.train_loss:.4f} validation {epoch.validation_loss:.4f}{apart}{best}"


def _write_log(path: Path, history: list[dict[str, float]]) -> None:
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(history[0]))
        writer.writeheader()
        writer.writerows(history)


def _write_split(path: Path, names: Sequence[str], splits: npt.NDArray[np.str_]) -> None:
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["name", "split"], *zip(names, splits.tolist(), strict=True)])


def _card(pipeline: TrainPipeline, fitted: Fitted, learnt: _Learnt, table: LabelledTable) -> dict[str, Any]:
    checkpoint, held, settings = fitted.checkpoint, fitted.held, pipeline.settings()
    return {
        "name": checkpoint.name,
        "version": checkpoint.version,
        "title": pipeline.title,
        "data": pipeline.images.data,
        "scheme": table.scheme.name,
        "trained": datetime.now(UTC).strftime("%Y-%m-%d"),
        "weights": n_weights(checkpoint.network),
        "settings": {
            "recipe": checkpoint.recipe.to_dict(),
            "network": checkpoint.config.to_dict(),
            **learnt.settings,
            **{name: settings.get(name, {}) for name in _ON_CARD},
        },
        "rows": {split: len(table.rows(split)) for split in SPLITS},
        "unlabelled": learnt.unlabelled,
        **({"shares": np.round(learnt.shares, 4).tolist()} if len(learnt.shares) > 1 else {}),
        "training_means": dict(zip(table.scheme.keys, np.round(table.constant, 4).tolist(), strict=True)),
        "curves": list(learnt.histories),
        "validation": evaluate(held.conditional, table.labels.take(held.rows), table.scheme, table.constant),
        "calibration": dict(fitted.about),
    }
