"""Training runs: a table of labels, images and a pipeline in; a checkpoint and its card out."""

from __future__ import annotations

import csv
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import galmorph
from galmorph.errors import OutputError, PipelineError
from galmorph.learning.assembly import KeptSets, build_sets
from galmorph.learning.calibration import CalibrationSettings, fit_checkpoint
from galmorph.learning.pipeline import PARTS, Pipeline, rows_with, split_rows
from galmorph.learning.scoring import labels_from, names_of
from galmorph.learning.viewed import check_views
from galmorph.nets.architecture.network import Ensemble, NetworkConfig, n_weights
from galmorph.nets.checkpoint.envelope import Envelope
from galmorph.nets.checkpoint.file import Checkpoint, load_checkpoint, save_checkpoint
from galmorph.nets.device import resolve_device
from galmorph.nets.evaluate import evaluate, mean_fractions
from galmorph.nets.training.balance import class_weights, share_weights
from galmorph.nets.training.events import Events, check_tensorboard
from galmorph.nets.training.loop import Epoch, Trainer
from galmorph.nets.training.settings import Augmentation, EnsembleSettings
from galmorph.nets.training.start import Start, load_start, mark_of
from galmorph.progress import Progress, silent
from galmorph.runs.gather import Gathering
from galmorph.sky.catalog import Catalog
from galmorph.sky.formats.atomic import replacing
from galmorph.sky.images import ImageSource, colour_bands
from galmorph.sky.scheme import Scheme, load_scheme
from galmorph.sky.survey import Survey, load_survey
from galmorph.stamps.recipe import Recipe
from galmorph.stamps.views import read_views
from galmorph.toml import build

__all__ = [
    "Observer",
    "TrainingRun",
    "TrainingState",
    "check_record",
    "named_progress",
    "record_of",
    "train",
    "unobserved",
]

log = logging.getLogger(__name__)
FloatArray = npt.NDArray[np.float64]
STATE = "state.safetensors"
RECORD = "pipeline.json"


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


def train(
    catalog: Catalog,
    images: ImageSource,
    pipeline: Pipeline,
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
        Of the galaxies.
    pipeline
        From :func:`galmorph.learning.pipeline.load_pipeline`.
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
    device = resolve_device(device)
    scheme, recipe = load_scheme(pipeline.scheme), Recipe.from_dict(pipeline.recipe)
    where = f"pipeline '{pipeline.name}'"
    config, ranges = (
        NetworkConfig.from_dict(pipeline.network),
        build(Augmentation, pipeline.augmentation, where, "augmentation"),
    )
    check_views(read_views(recipe.views), ranges.observation)
    asked = build(EnsembleSettings, pipeline.train, where, "train")
    start = load_start(asked.start, config, recipe, scheme) if asked.start else None
    if asked.loop.tensorboard:
        check_tensorboard()
    calibration = CalibrationSettings.from_dict(pipeline.calibration)
    labels = labels_from(catalog, scheme, pipeline.fractions)
    parts = split_rows(pipeline.split, names_of(catalog), catalog.table)
    _prepare_folder(folder, record_of(pipeline), resume=resume)
    survey = load_survey(pipeline.images["survey"])
    weight = np.where(parts == "train", class_weights(labels, scheme, asked.loop.class_weights), 1.0)
    if pipeline.split.get("balance"):
        like = rows_with(pipeline.split["balance"], len(catalog), catalog.table) & (parts != "test")
        weight *= share_weights(labels, parts == "train", like)
    gathering = Gathering(catalog, images, recipe.half_width_rpet)
    sets, snr = build_sets(gathering, pipeline, recipe, labels, parts, weight, progress, kept)
    trainers: list[Trainer] = []
    for number in range(1, asked.members + 1):
        seeded = replace(asked.loop, seed=asked.loop.seed + number - 1)
        trainer = Trainer(sets["train"], sets["validation"], scheme, config, ranges, seeded, device, number)
        trainers.append(trainer)
        for epoch in _epochs(trainers, folder, start, resume=resume, progress=progress):
            on_epoch(TrainingState(pipeline.name, folder, [t.history for t in trainers]))
            remark = f"network {number}: {_remark(epoch)}"
            progress("training", epoch.number, asked.epochs, remark)
    raw = _checkpoint(pipeline, trainers, scheme, recipe, survey, snr)
    fitted = fit_checkpoint(raw, gathering, labels, parts, calibration, device=device, progress=progress)
    checkpoint = fitted.checkpoint
    constant = mean_fractions(labels.take(np.flatnonzero(parts == "train")), scheme)
    scores = evaluate(fitted.held.conditional, labels.take(fitted.held.rows), scheme, constant)
    card = _card(pipeline, checkpoint, trainers, parts, scores, constant) | {"calibration": dict(fitted.about)}
    if start is not None:
        card["start"] = start.about(asked.members)
    path = save_checkpoint(checkpoint, folder / f"{pipeline.name}.safetensors", card)
    _write_split(folder / "split.csv", names_of(catalog), parts)
    return TrainingRun(load_checkpoint(path), path, card)


def _state(folder: Path, number: int) -> Path:
    return folder / (STATE if number == 1 else f"state-{number}.safetensors")


def _epochs(
    trainers: Sequence[Trainer], folder: Path, start: Start | None, *, resume: bool, progress: Progress
) -> Iterator[Epoch]:
    """Train the last network; yield after every epoch, when its state is saved."""
    trainer, number = trainers[-1], len(trainers)
    state = _state(folder, number)
    if resume and state.exists():
        trainer.resume(state)
    elif start is not None:
        trainer.begin_with(start.member(number))
        progress("training", 0, trainer.settings.epochs, f"network {number}: starts with {start}")
    with (
        closing(Events(folder / f"events-{number}", trainer.done))
        if trainer.settings.tensorboard
        else nullcontext() as events
    ):
        for epoch in trainer.epochs():
            trainer.save(state)
            _write_log(state.with_name(state.stem.replace("state", "log") + ".csv"), trainer.history)
            if events is not None:
                events.add(epoch)
            yield epoch


def _checkpoint(
    pipeline: Pipeline, trainers: list[Trainer], scheme: Scheme, recipe: Recipe, survey: Survey, snr: list[float]
) -> Checkpoint:
    band = pipeline.images["band"]
    names = colour_bands(survey, band) or (survey.band(band).name,)
    low, high = np.percentile(snr, [0.5, 99.5]).tolist()
    envelope = Envelope(survey.name, tuple(names), survey.band(names[0]).scale_arcsec, (low, high))
    return Checkpoint(
        name=pipeline.name,
        version=galmorph.__version__,
        network=trainers[0].best if len(trainers) == 1 else Ensemble([t.best for t in trainers]),
        scheme=scheme,
        recipe=recipe,
        envelope=envelope,
        temperatures=(1.0,) * len(scheme.questions),
        split=dict(pipeline.split),
        fractions=dict(pipeline.fractions),
        observation=dict(pipeline.augmentation.get("observation", {})),
    )


def record_of(pipeline: Pipeline) -> dict[str, Any]:
    """Return the settings that make a run what it is, as plain JSON has them."""
    train = {k: v for k, v in pipeline.train.items() if k not in ("tensorboard", "start")}
    if start := pipeline.train.get("start"):
        train["start"] = mark_of(start)
    network = NetworkConfig.from_dict(pipeline.network).to_dict()
    settings = {**pipeline.settings(), "train": train, "network": network}
    return dict(json.loads(json.dumps(settings, default=list)))


def _prepare_folder(folder: Path, record: Mapping[str, Any], *, resume: bool) -> None:
    """Make the folder and write down what runs there; refuse another run's."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"folder '{folder}' cannot be made: {error.strerror}; choose another with -o") from error
    if (folder / STATE).exists() and not resume:
        raise OutputError(
            f"folder '{folder}' holds a training run already: continue it with --resume or choose another"
        )
    if resume:
        check_record(folder, record)
    with replacing(folder / RECORD) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def check_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Refuse a folder whose run has other settings; one without a record passes.

    Raises
    ------
    PipelineError
        If so, or if the record is broken.
    """
    if not (path := folder / RECORD).exists():
        return
    try:
        before = dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise PipelineError(f"'{path}' holds no settings of a training run: remove it") from error
    for section in sorted({*before, *record}):
        old, new = before.get(section) or None, record.get(section) or None  # no section is as an empty one
        if old != new:
            raise PipelineError(
                f"folder '{folder}' belongs to a run with other settings: {_difference(section, old, new)}; choose "
                "another folder, or the settings of that run"
            )


def _difference(section: str, old: Any, new: Any) -> str:
    if isinstance(old or {}, Mapping) and isinstance(new or {}, Mapping):
        old, new = old or {}, new or {}
        key = sorted(k for k in {*old, *new} if old.get(k) != new.get(k))[0]
        section, old, new = f"[{section}] {key}", old.get(key), new.get(key)
    before, now = (text if len(text) < 60 else text[:57] + "..." for text in (repr(old), repr(new)))
    return f"{section} was {before} and is {now}"


def _remark(epoch: Epoch) -> str:
    best = " *" if epoch.is_best else ""
    apart = f" disagreement {epoch.disagreement:.4f}" if epoch.disagreement else ""
    return f"train {epoch.train_loss:.4f} validation {epoch.validation_loss:.4f}{apart}{best}"


def _write_log(path: Path, history: list[dict[str, float]]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(history[0]))
        writer.writeheader()
        writer.writerows(history)


def _write_split(path: Path, names: list[str], parts: npt.NDArray[np.str_]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["name", "part"], *zip(names, parts.tolist(), strict=True)])


def _card(
    pipeline: Pipeline,
    checkpoint: Checkpoint,
    trainers: list[Trainer],
    parts: npt.NDArray[np.str_],
    scores: Mapping[str, Any],
    constant: FloatArray,
) -> dict[str, Any]:
    return {
        "name": checkpoint.name,
        "version": checkpoint.version,
        "title": pipeline.title,
        "data": pipeline.images.get("data", ""),
        "scheme": checkpoint.scheme.name,
        "trained": datetime.now(UTC).strftime("%Y-%m-%d"),
        "weights": n_weights(checkpoint.network),
        "settings": {
            "recipe": checkpoint.recipe.to_dict(),
            "network": checkpoint.config.to_dict(),
            "augmentation": dict(pipeline.augmentation),
            "split": dict(pipeline.split),
            "train": {"members": len(trainers), **trainers[0].settings.to_dict()},
            "fractions": dict(pipeline.fractions),
            "stars": dict(pipeline.stars),
            "simulated": dict(pipeline.simulated),
        },
        "rows": {part: int((parts == part).sum()) for part in PARTS},
        "unlabelled": len(trainers[0].unlabelled),
        "training_means": dict(zip(checkpoint.scheme.keys, np.round(constant, 4).tolist(), strict=True)),
        "curves": [t.history for t in trainers],
        "validation": scores,
    }
