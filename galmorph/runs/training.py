"""Training runs: a table of labels, images and a pipeline in; a checkpoint and its card out."""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import galmorph
from galmorph.errors import OutputError, PipelineError, SchemeError, unknown_name
from galmorph.flags import UNCLASSIFIABLE
from galmorph.nets.augment import Augmentation, Observation, degrade
from galmorph.nets.balance import class_weights, share_weights
from galmorph.nets.calibrate import fit_temperatures
from galmorph.nets.checkpoint import Checkpoint, Envelope, load_checkpoint, resolve_device, save_checkpoint
from galmorph.nets.data import REACH, Canvas, CanvasStack, TrainingSet, canvas, star_canvases
from galmorph.nets.evaluate import evaluate, mean_fractions
from galmorph.nets.network import Ensemble, NetworkConfig, n_weights
from galmorph.nets.settings import TrainingSettings
from galmorph.nets.train import Epoch, Trainer
from galmorph.runs.gather import Galaxy, Gathering, gather, seed_of, views_of
from galmorph.runs.pipeline import PARTS, Pipeline, rows_with, split_rows
from galmorph.sky.catalog import Catalog
from galmorph.sky.images import ImageSource, colour_bands
from galmorph.sky.scheme import Labels, Scheme, load_scheme
from galmorph.sky.survey import Survey
from galmorph.sky.survey import survey as load_survey
from galmorph.stamps.recipe import Recipe, Stamp, prepare_around, stretch
from galmorph.stamps.views import Views, read_views

__all__ = ["TrainingRun", "evaluate_checkpoint", "labels_from", "predict_rows", "train"]

log = logging.getLogger(__name__)
Progress = Callable[[str, int, int, str], None]
FloatArray = npt.NDArray[np.float64]
STATE = "state.safetensors"
_TOGETHER = 512


@dataclass(frozen=True)
class TrainingRun:
    """What came out: the checkpoint, its file and its card."""

    checkpoint: Checkpoint
    path: Path
    card: Mapping[str, Any]


def _silent(what: str, done: int, total: int, remark: str) -> None:
    """Report nothing."""


def labels_from(catalog: Catalog, scheme: Scheme, fractions: Mapping[str, Any]) -> Labels:
    """Make labels from a table; with `fractions`, from votes of another scheme.

    Parameters
    ----------
    fractions
        Answer → list of columns whose votes count for it; ``votes`` → the columns whose sum is the number of
        votes. Empty: the table has the scheme's own columns.
    """
    if not fractions:
        return scheme.labels(catalog.table)
    names = [*scheme.keys, "votes"]
    if missing := [n for n in names if n not in fractions]:
        raise PipelineError(f"[fractions] lacks '{missing[0]}': expected one entry each for {', '.join(names)}")
    columns = set(catalog.table.colnames)
    if absent := sorted({c for n in names for c in fractions[n]} - columns):
        raise SchemeError(f"the labels have no column '{absent[0]}', which [fractions] of the pipeline names")

    def votes(name: str) -> npt.NDArray[np.float64]:
        summed: FloatArray = np.sum([np.asarray(catalog.table[c], dtype=np.float64) for c in fractions[name]], axis=0)
        return summed

    total = votes("votes")[:, None]
    counts = np.minimum(np.stack([votes(k) for k in scheme.keys], axis=1), total)
    return Labels(counts, np.repeat(total, len(scheme.keys), axis=1))


def train(
    catalog: Catalog,
    images: ImageSource,
    pipeline: Pipeline,
    folder: Path,
    *,
    resume: bool = False,
    device: str = "cpu",
    progress: Progress | None = None,
) -> TrainingRun:
    """Train a network as a pipeline says.

    Parameters
    ----------
    catalog
        Labels, and file names or positions.
    images
        Of the galaxies.
    pipeline
        From :func:`galmorph.runs.pipeline.load_pipeline`.
    folder
        Receives ``NAME.safetensors``, its card ``NAME.json``, ``log.csv``, ``split.csv`` and the state to resume from;
        further networks of an ensemble have ``log-2.csv`` and so on.
    resume
        Continue from the state in `folder`.
    device
        ``'auto'``, ``'cpu'`` or ``'cuda'``. Runs on a GPU and on the processor see the same random views, but not the
        same noise.
    progress
        Called with what is going on, the number done, the number in all, and a remark.

    Returns
    -------
    TrainingRun
        The card has the scores of the validation part only; the test part is for :func:`evaluate_checkpoint`.

    Raises
    ------
    PipelineError, SchemeError, CatalogError, CheckpointError, ImageError, OutputError
        Before training starts, if anything does not fit.
    """
    report, device = progress or _silent, resolve_device(device)
    scheme, recipe = load_scheme(pipeline.scheme), Recipe.from_dict(pipeline.recipe)
    config, ranges = NetworkConfig.from_dict(pipeline.network), Augmentation.from_dict(pipeline.augmentation)
    _check_views(read_views(recipe.views), ranges.observation)
    members, settings = _settings(pipeline)
    labels = labels_from(catalog, scheme, pipeline.fractions)
    parts = split_rows(pipeline.split, _names(catalog), catalog.table)
    _prepare_folder(folder, resume=resume)
    survey = load_survey(pipeline.images["survey"])
    weight = np.where(parts == "train", class_weights(labels, scheme, settings.class_weights), 1.0)
    if pipeline.split.get("balance"):
        like = rows_with(pipeline.split["balance"], len(catalog), catalog.table) & (parts != "test")
        weight *= share_weights(labels, parts == "train", like)
    sets, snr = _sets(
        Gathering(catalog, images, None, recipe.half_width_rpet), pipeline, recipe, labels, parts, weight, report
    )
    trainers = []
    for number in range(1, members + 1):
        seeded = replace(settings, seed=settings.seed + number - 1)
        trainer = Trainer(sets["train"], sets["validation"], scheme, config, ranges, seeded, device)
        _train_member(trainer, folder, number, resume=resume, report=report)
        trainers.append(trainer)
    raw = _checkpoint(pipeline, trainers, scheme, recipe, survey, snr)
    held = np.flatnonzero((parts == "validation") & (labels.totals.max(axis=1) > 0))
    gathering = Gathering(catalog, images, None, recipe.half_width_rpet)
    uncalibrated, held = predict_rows(
        raw, gathering, held, observation=ranges.observation, device=device, progress=report
    )
    checkpoint = raw.with_temperatures(fit_temperatures(raw, uncalibrated, labels.take(held)))
    constant = mean_fractions(labels.take(np.flatnonzero(parts == "train")), scheme)
    scores = evaluate(checkpoint.calibrated(uncalibrated), labels.take(held), scheme, constant)
    card = _card(pipeline, checkpoint, trainers, parts, scores, constant)
    path = save_checkpoint(checkpoint, folder / f"{pipeline.name}.safetensors", card)
    _write_split(folder / "split.csv", _names(catalog), parts)
    return TrainingRun(load_checkpoint(path), path, card)


def _settings(pipeline: Pipeline) -> tuple[int, TrainingSettings]:
    """Return the number of networks to train and the settings that they share but for their seeds."""
    given = dict(pipeline.train)
    members = given.pop("members", 1)
    if not isinstance(members, int) or members < 1:
        raise PipelineError(f"pipeline '{pipeline.name}': members = {members!r} in [train], expected a number from 1")
    return members, TrainingSettings.from_dict(given)


def _state(folder: Path, number: int) -> Path:
    return folder / (STATE if number == 1 else f"state-{number}.safetensors")


def _train_member(trainer: Trainer, folder: Path, number: int, *, resume: bool, report: Progress) -> None:
    """Train one network, saving its state and curves after every epoch."""
    state = _state(folder, number)
    if resume and state.exists():
        trainer.resume(state)
    for epoch in trainer.epochs():
        trainer.save(state)
        _write_log(state.with_name(state.stem.replace("state", "log") + ".csv"), trainer.history)
        report("training", epoch.number, trainer.settings.epochs, f"network {number}: {_remark(epoch)}")


def _checkpoint(
    pipeline: Pipeline, trainers: list[Trainer], scheme: Scheme, recipe: Recipe, survey: Survey, snr: list[float]
) -> Checkpoint:
    band = pipeline.images["band"]
    names = colour_bands(survey, band) or (survey.band(band).name,)
    low, high = np.percentile(snr, [0.5, 99.5]).tolist()
    envelope = Envelope(survey.name, tuple(names), survey.band(names[0]).scale_arcsec, (low, high))
    return Checkpoint(
        pipeline.name,
        galmorph.__version__,
        trainers[0].config,
        trainers[0].best if len(trainers) == 1 else Ensemble([t.best for t in trainers]),
        scheme,
        recipe,
        envelope,
        (1.0,) * len(scheme.questions),
        dict(pipeline.split),
        dict(pipeline.fractions),
        dict(pipeline.augmentation.get("observation", {})),
    )


def _names(catalog: Catalog) -> list[str]:
    return catalog.files or [str(i) for i in catalog.ids]


def _prepare_folder(folder: Path, *, resume: bool) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"folder '{folder}' cannot be made: {error.strerror}; choose another with -o") from error
    if (folder / STATE).exists() and not resume:
        raise OutputError(
            f"folder '{folder}' holds a training run already: continue it with --resume or choose another"
        )


def _sets(
    gathering: Gathering,
    pipeline: Pipeline,
    recipe: Recipe,
    labels: Labels,
    parts: npt.NDArray[np.str_],
    weight: FloatArray,
    report: Progress,
) -> tuple[dict[str, TrainingSet], list[float]]:
    """Build the training and validation sets; the test part is not even read.

    Rows of the training part without a label are in its set where the pipeline learns from them.
    """
    labelled = labels.totals.max(axis=1) > 0
    wanted = labelled | (parts == "train") if pipeline.train.get("unlabelled") is not None else labelled
    rows = np.flatnonzero(wanted & (parts != "test"))
    rooms = {part: int((parts[rows] == part).sum()) + _n_stars(pipeline, part) for part in ("train", "validation")}
    stacks = {part: CanvasStack(room, recipe) for part, room in rooms.items()}
    kept: dict[str, list[int]] = {part: [] for part in stacks}
    snr: list[float] = []
    for done, galaxy in enumerate(gather(gathering, rows), 1):
        report("measuring", done, len(rows), "")
        if galaxy.measured is None or galaxy.cutout is None:
            continue
        part = str(parts[galaxy.row])
        stacks[part].add(_canvas(galaxy, gathering.images, recipe))
        kept[part].append(galaxy.row)
        if labelled[galaxy.row] and np.isfinite(galaxy.measured.snr):
            snr.append(galaxy.measured.snr)
    for part, found in kept.items():
        if not labelled[found].any():
            raise PipelineError(
                f"the {part} part of pipeline '{pipeline.name}' is empty: check its [split] and the images"
            )
    taken = {part: np.array(found, dtype=np.intp) for part, found in kept.items()}
    return {p: _with_stars(stacks[p], labels.take(r), weight[r], pipeline, recipe, p) for p, r in taken.items()}, snr


def _canvas(galaxy: Galaxy, images: ImageSource, recipe: Recipe) -> Canvas:
    cutout, measured = galaxy.cutout, galaxy.measured
    if cutout is None or measured is None:
        raise PipelineError(f"row {galaxy.row} has no image, so it cannot be trained on: leave it out")
    ready = prepare_around(
        cutout.planes,
        measured,
        recipe,
        x=cutout.x,
        y=cutout.y,
        reach=REACH,
        mjysr_per_unit=images.mjysr_per_unit(cutout.tile),
        seed=seed_of(cutout, images),
    )
    return canvas(ready.planes, ready.x, ready.y, ready.half_px, ready.brightness, recipe)


def _n_stars(pipeline: Pipeline, part: str) -> int:
    share = {"train": 0.85, "validation": 0.15}[part]
    return round(int(pipeline.stars["count"]) * share) if pipeline.stars else 0


def _with_stars(
    stack: CanvasStack, labels: Labels, weight: FloatArray, pipeline: Pipeline, recipe: Recipe, part: str
) -> TrainingSet:
    n, stars = _n_stars(pipeline, part), pipeline.stars
    if n == 0:
        return TrainingSet.build(stack, labels, recipe, weight=weight)
    keys = load_scheme(pipeline.scheme).keys
    asked = labels.totals.max(axis=1)
    votes = float(np.median(asked[asked > 0]))
    counts = np.tile([votes if k == stars["answer"] else 0.0 for k in keys], (n, 1))
    for star in star_canvases(n, recipe, rpet_px=float(stars["rpet_px"]), seed=len(stack)):
        stack.add(star)
    both = Labels(np.concatenate([labels.counts, counts]), np.concatenate([labels.totals, np.full_like(counts, votes)]))
    return TrainingSet.build(stack, both, recipe, stars=n, weight=np.concatenate([weight, np.ones(n)]))


def predict_rows(
    checkpoint: Checkpoint,
    gathering: Gathering,
    rows: npt.NDArray[np.intp],
    *,
    observation: Observation | None = None,
    device: str = "cpu",
    views: str | None = None,
    progress: Progress | None = None,
) -> tuple[FloatArray, npt.NDArray[np.intp]]:
    """Predict conditional probabilities of some rows, optionally degraded to another survey.

    Parameters
    ----------
    views
        Over which they are averaged; by default as the checkpoint's recipe says.

    Returns
    -------
    (M, A) probabilities and the M rows that have an image.

    Raises
    ------
    PipelineError
        If several views are asked of degraded images: each would have noise of its own, whose average is less.
    """
    report = progress or _silent
    seen = read_views(checkpoint.recipe.views if views is None else views)
    _check_views(seen, observation)
    matrices, shares = checkpoint.seen(seen)
    found: list[FloatArray] = []
    waiting: list[Stamp] = []
    kept: list[int] = []
    for done, galaxy in enumerate(gather(gathering, rows), 1):
        report("predicting", done, len(rows), "")
        if galaxy.measured is None or galaxy.cutout is None or galaxy.flags & UNCLASSIFIABLE:
            continue
        waiting.append(views_of(galaxy, gathering.images, checkpoint.recipe, matrices, warp=checkpoint.warp))
        kept.append(galaxy.row)
        if observation is None and len(waiting) * len(shares) >= _TOGETHER:
            found.append(_answers(checkpoint, waiting, shares, None, device))
            waiting = []
    if waiting or not found:
        found.append(_answers(checkpoint, waiting, shares, observation, device))
    return np.concatenate(found), np.array(kept, dtype=np.intp)


def _check_views(seen: Views, observation: Observation | None) -> None:
    if observation is not None and len(seen) > 1:
        raise PipelineError(
            f"{len(seen)} views of images that are degraded to another survey: expected views = 'one', since each view "
            "would have noise of its own; leave out the views or the observation"
        )


def _answers(
    checkpoint: Checkpoint, stamps: list[Stamp], shares: FloatArray, observation: Observation | None, device: str
) -> FloatArray:
    """Predict from stamps with views, perhaps degraded as a whole."""
    if not stamps:
        return np.zeros((0, len(checkpoint.scheme.keys)))
    recipe = checkpoint.recipe
    pixels, scale = np.stack([stamp.pixels for stamp in stamps]), np.array([stamp.brightness for stamp in stamps])
    if observation is not None:
        pixels = degrade(pixels[:, 0], scale, observation, recipe.half_width_rpet, seed=len(stamps))[:, None]
        scale = np.ones(len(stamps))
    stretched = stretch(pixels, scale.astype(np.float32)[:, None, None, None, None], recipe).astype(np.float32)
    return checkpoint.answer(stretched, shares, device=device).conditional


def evaluate_checkpoint(
    checkpoint: Checkpoint,
    catalog: Catalog,
    images: ImageSource,
    *,
    part: str = "test",
    views: str | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Score a checkpoint on one part of a labelled table, divided as it was for training.

    Parameters
    ----------
    part
        ``'train'``, ``'validation'``, ``'test'``, or ``'all'``.
    views
        Over which probabilities are averaged; by default as the checkpoint's recipe says.

    Raises
    ------
    PipelineError
        If the part is unknown or empty, or the views are.
    """
    if part not in (*PARTS, "all"):
        raise PipelineError(unknown_name("part", part, (*PARTS, "all")))
    labels = labels_from(catalog, checkpoint.scheme, checkpoint.fractions)
    parts = _parts(checkpoint, catalog, part)
    wanted = (labels.totals.max(axis=1) > 0) & ((parts == part) | (part == "all"))
    if not wanted.any():
        raise PipelineError(f"part '{part}' of the labels is empty: the checkpoint's split leaves no row there")
    observation = (
        Augmentation.from_dict({"observation": checkpoint.observation}).observation if checkpoint.observation else None
    )
    gathering = Gathering(catalog, images, None, checkpoint.recipe.half_width_rpet)
    conditional, rows = predict_rows(
        checkpoint, gathering, np.flatnonzero(wanted), observation=observation, views=views, progress=progress
    )
    constant = mean_fractions(labels.take(np.flatnonzero(parts == "train")), checkpoint.scheme)
    scores = evaluate(conditional, labels.take(rows), checkpoint.scheme, constant)
    seen = checkpoint.recipe.views if views is None else views
    return {"checkpoint": checkpoint.name, "sha256": checkpoint.sha256, "part": part, "views": seen, **scores}


def _parts(checkpoint: Checkpoint, catalog: Catalog, part: str) -> npt.NDArray[np.str_]:
    """Divide rows as for the training; all are as good as trained on where several trainings were joined."""
    if checkpoint.split:
        return split_rows(checkpoint.split, _names(catalog), catalog.table)
    if part != "all":
        raise PipelineError(
            f"checkpoint '{checkpoint.name}' was joined of some with different splits, so that it has no {part} part: "
            "give labels that none of them has seen, and --part all"
        )
    return np.full(len(catalog), "train")


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
        },
        "rows": {part: int((parts == part).sum()) for part in PARTS},
        "unlabelled": len(trainers[0].unlabelled),
        "training_means": dict(zip(checkpoint.scheme.keys, np.round(constant, 4).tolist(), strict=True)),
        "curves": [t.history for t in trainers],
        "validation": scores,
    }
