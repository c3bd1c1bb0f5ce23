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
from galmorph.errors import OutputError, PipelineError, SchemeError, unknown_name
from galmorph.flags import UNCLASSIFIABLE
from galmorph.nets.augment import Augmentation, Observation, degrade
from galmorph.nets.balance import class_weights, share_weights
from galmorph.nets.calibrate import fit_temperatures
from galmorph.nets.checkpoint import Checkpoint, Envelope, load_checkpoint, resolve_device, save_checkpoint
from galmorph.nets.data import REACH, Canvas, CanvasStack, TrainingSet, canvas, star_canvases
from galmorph.nets.evaluate import evaluate, mean_fractions
from galmorph.nets.events import Events, check_tensorboard
from galmorph.nets.network import Ensemble, NetworkConfig, n_weights
from galmorph.nets.settings import TrainingSettings
from galmorph.nets.train import Epoch, Trainer
from galmorph.runs.gather import Galaxy, Gathering, gather, seed_of, views_of
from galmorph.runs.losses import draw_losses
from galmorph.runs.pipeline import PARTS, Pipeline, rows_with, split_rows
from galmorph.sky.catalog import Catalog
from galmorph.sky.formats.atomic import replacing
from galmorph.sky.images import ImageSource, colour_bands
from galmorph.sky.scheme import Labels, Scheme, load_scheme
from galmorph.sky.survey import Survey
from galmorph.sky.survey import survey as load_survey
from galmorph.stamps.recipe import Recipe, Stamp, prepare_around, stretch
from galmorph.stamps.views import Views, read_views

__all__ = [
    "LabelledPart",
    "StampBatch",
    "TrainingRun",
    "check_record",
    "evaluate_checkpoint",
    "labelled_part",
    "labels_from",
    "named_progress",
    "names_of",
    "predict_rows",
    "record_of",
    "stamps_of_rows",
    "train",
]

log = logging.getLogger(__name__)
Progress = Callable[[str, int, int, str], None]
FloatArray = npt.NDArray[np.float64]
STATE = "state.safetensors"
RECORD = "pipeline.json"
_TOGETHER = 512


@dataclass(frozen=True)
class TrainingRun:
    """What came out: the checkpoint, its file and its card."""

    checkpoint: Checkpoint
    path: Path
    card: Mapping[str, Any]


def named_progress(progress: Progress | None, name: str) -> Progress:
    """Put the name of what is trained before the remarks of a report."""
    report = progress or _silent
    return lambda what, done, total, remark: report(what, done, total, f"{name} {remark}".rstrip())


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
        Receives ``NAME.safetensors``, its card ``NAME.json``, ``log.csv``, ``losses.png``, ``split.csv``, the settings
        as ``pipeline.json`` and the state to resume from; further networks of an ensemble have ``log-2.csv`` and so on.
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
    if settings.tensorboard:
        check_tensorboard()
    labels = labels_from(catalog, scheme, pipeline.fractions)
    parts = split_rows(pipeline.split, names_of(catalog), catalog.table)
    _prepare_folder(folder, record_of(pipeline), resume=resume)
    survey = load_survey(pipeline.images["survey"])
    weight = np.where(parts == "train", class_weights(labels, scheme, settings.class_weights), 1.0)
    if pipeline.split.get("balance"):
        like = rows_with(pipeline.split["balance"], len(catalog), catalog.table) & (parts != "test")
        weight *= share_weights(labels, parts == "train", like)
    sets, snr = _sets(
        Gathering(catalog, images, None, recipe.half_width_rpet), pipeline, recipe, labels, parts, weight, report
    )
    trainers: list[Trainer] = []
    for number in range(1, members + 1):
        seeded = replace(settings, seed=settings.seed + number - 1)
        trainer = Trainer(sets["train"], sets["validation"], scheme, config, ranges, seeded, device)
        trainers.append(trainer)
        _train_member(trainers, folder, resume=resume, report=report)
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
    _write_split(folder / "split.csv", names_of(catalog), parts)
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


def _train_member(trainers: Sequence[Trainer], folder: Path, *, resume: bool, report: Progress) -> None:
    """Train the last network, saving its state and the curves of all after every epoch."""
    trainer, number = trainers[-1], len(trainers)
    state = _state(folder, number)
    if resume and state.exists():
        trainer.resume(state)
    with (
        closing(Events(folder / f"events-{number}", trainer.done))
        if trainer.settings.tensorboard
        else nullcontext() as events
    ):
        for epoch in trainer.epochs():
            trainer.save(state)
            _write_log(state.with_name(state.stem.replace("state", "log") + ".csv"), trainer.history)
            draw_losses(folder / "losses.png", [t.history for t in trainers])
            if events is not None:
                events.add(epoch)
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


def names_of(catalog: Catalog) -> list[str]:
    """Return the names of rows by which they are divided into parts: files, or else ids."""
    return catalog.files or [str(i) for i in catalog.ids]


def record_of(pipeline: Pipeline) -> dict[str, Any]:
    """Return the settings that make a run what it is, as plain JSON has them."""
    train = {k: v for k, v in pipeline.train.items() if k != "tensorboard"}
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
    found, kept = [np.zeros((0, len(checkpoint.scheme.keys)))], [np.zeros(0, np.intp)]
    for batch in stamps_of_rows(checkpoint, gathering, rows, observation=observation, views=views, progress=progress):
        found.append(checkpoint.answer(batch.stamps, batch.shares, device=device).conditional)
        kept.append(batch.rows)
    return np.concatenate(found), np.concatenate(kept)


@dataclass(frozen=True)
class StampBatch:
    """Stretched stamps of some galaxies, ready for a network.

    Parameters
    ----------
    stamps
        (N, V, C, S, S), the first view of each galaxy first.
    shares
        Weight of each view, (V,).
    rows
        Of the catalogue, (N,).
    """

    stamps: npt.NDArray[np.float32]
    shares: FloatArray
    rows: npt.NDArray[np.intp]


def stamps_of_rows(
    checkpoint: Checkpoint,
    gathering: Gathering,
    rows: npt.NDArray[np.intp],
    *,
    observation: Observation | None = None,
    views: str | None = None,
    progress: Progress | None = None,
) -> Iterator[StampBatch]:
    """Cut the stamps of those rows that have an image; the other arguments and errors as for :func:`predict_rows`."""
    report = progress or _silent
    seen = read_views(checkpoint.recipe.views if views is None else views)
    _check_views(seen, observation)
    matrices, shares = checkpoint.seen(seen)
    waiting: list[Stamp] = []
    kept: list[int] = []
    for done, galaxy in enumerate(gather(gathering, rows), 1):
        report("predicting", done, len(rows), "")
        if galaxy.measured is None or galaxy.cutout is None or galaxy.flags & UNCLASSIFIABLE:
            continue
        waiting.append(views_of(galaxy, gathering.images, checkpoint.recipe, matrices, warp=checkpoint.warp))
        kept.append(galaxy.row)
        if observation is None and len(waiting) * len(shares) >= _TOGETHER:
            yield StampBatch(_stretched(waiting, checkpoint.recipe, None), shares, np.array(kept, np.intp))
            waiting, kept = [], []
    if waiting:
        yield StampBatch(_stretched(waiting, checkpoint.recipe, observation), shares, np.array(kept, np.intp))


def _check_views(seen: Views, observation: Observation | None) -> None:
    if observation is not None and len(seen) > 1:
        raise PipelineError(
            f"{len(seen)} views of images that are degraded to another survey: expected views = 'one', since each view "
            "would have noise of its own; leave out the views or the observation"
        )


def _stretched(stamps: list[Stamp], recipe: Recipe, observation: Observation | None) -> npt.NDArray[np.float32]:
    """Stretch stamps with views, perhaps degraded as a whole, to (N, V, C, S, S)."""
    pixels, scale = np.stack([stamp.pixels for stamp in stamps]), np.array([stamp.brightness for stamp in stamps])
    if observation is not None:
        pixels = degrade(pixels[:, 0], scale, observation, recipe.half_width_rpet, seed=len(stamps))[:, None]
        scale = np.ones(len(stamps))
    return np.asarray(stretch(pixels, scale.astype(np.float32)[:, None, None, None, None], recipe), np.float32)


@dataclass(frozen=True)
class LabelledPart:
    """One part of a labelled table, divided as it was for training.

    Parameters
    ----------
    labels
        Of all rows of the table.
    rows
        Those of the part that have a label.
    constant
        (A,) mean fractions of the training part.
    observation
        How its images are degraded; None for not at all.
    gathering
        Table and images.
    """

    labels: Labels
    rows: npt.NDArray[np.intp]
    constant: FloatArray
    observation: Observation | None
    gathering: Gathering


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
    found = labelled_part(checkpoint, catalog, images, part)
    conditional, rows = predict_rows(
        checkpoint, found.gathering, found.rows, observation=found.observation, views=views, progress=progress
    )
    scores = evaluate(conditional, found.labels.take(rows), checkpoint.scheme, found.constant)
    seen = checkpoint.recipe.views if views is None else views
    return {"checkpoint": checkpoint.name, "sha256": checkpoint.sha256, "part": part, "views": seen, **scores}


def labelled_part(checkpoint: Checkpoint, catalog: Catalog, images: ImageSource, part: str) -> LabelledPart:
    """Find one part of a labelled table again, as :func:`evaluate_checkpoint` scores it.

    Raises
    ------
    PipelineError
        If the part is unknown or empty.
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
    constant = mean_fractions(labels.take(np.flatnonzero(parts == "train")), checkpoint.scheme)
    gathering = Gathering(catalog, images, None, checkpoint.recipe.half_width_rpet)
    return LabelledPart(labels, np.flatnonzero(wanted), constant, observation, gathering)


def _parts(checkpoint: Checkpoint, catalog: Catalog, part: str) -> npt.NDArray[np.str_]:
    """Divide rows as for the training; all are as good as trained on where several trainings were joined."""
    if checkpoint.split:
        return split_rows(checkpoint.split, names_of(catalog), catalog.table)
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
