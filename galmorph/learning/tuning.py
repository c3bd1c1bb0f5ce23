"""Tuning: a random search over the ranges of a pipeline, and the best of its trials joined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.table import Table

from galmorph.errors import CheckpointError, OutputError, PipelineError, unknown_name
from galmorph.learning.assembly import KeptSets
from galmorph.learning.calibration import CalibrationSettings
from galmorph.learning.comparison import check_settings, least_loss, open_inputs, write_table
from galmorph.learning.pipeline import Pipeline, split_rows
from galmorph.learning.ranges import SECTIONS, Range, draw_trial, nested, read_ranges
from galmorph.learning.scoring import calibrate_checkpoint, evaluate_checkpoint, labels_from, names_of
from galmorph.learning.training import Observer, check_record, named_progress, record_of, train, unobserved
from galmorph.learning.viewed import view_rows
from galmorph.nets.checkpoint.blend import fit_shares, mean_log_likelihood
from galmorph.nets.checkpoint.card import add_to_card, read_card
from galmorph.nets.checkpoint.ensemble import ensemble
from galmorph.nets.checkpoint.file import load_checkpoint, save_checkpoint
from galmorph.nets.training.settings import Augmentation, Observation
from galmorph.progress import Progress, silent
from galmorph.runs.gather import Gathering
from galmorph.sky.catalog import Catalog
from galmorph.sky.images import ImageSource
from galmorph.sky.scheme import Labels, load_scheme
from galmorph.toml import build

__all__ = ["MEASURES", "Blend", "Search", "Trial", "Tuned", "tune"]

FloatArray = npt.NDArray[np.float64]
# Sign with which less is better.
_SIGNS = {"loss": 1.0, "rmse": 1.0, "signal_explained": -1.0, "accuracy": -1.0}
MEASURES = tuple(_SIGNS)
"""What the best trial may be the best by, all of the validation part."""
_TRIALS = "trials"


@dataclass(frozen=True)
class Search:
    """The ``[tune]`` table of a pipeline.

    Parameters
    ----------
    ranges
        What is drawn, one setting each.
    trials
        How many; the first, number 0, is the pipeline as it is.
    seed
        Of the draws; the trials themselves have the seed of the pipeline.
    measure
        What the best is best by: ``'loss'`` of the weights kept, ``'rmse'`` or ``'signal_explained'`` of all
        questions pooled, or ``'accuracy'``.
    """

    ranges: tuple[Range, ...]
    trials: int = 20
    seed: int = 1
    measure: str = "loss"

    def __post_init__(self) -> None:
        for name, least in (("trials", 1), ("seed", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise PipelineError(f"[tune] {name} = {value!r}: expected a whole number from {least}")
        if self.measure not in MEASURES:
            raise PipelineError(unknown_name("measure of [tune]", str(self.measure), MEASURES))
        drawn = {r.path for r in self.ranges if not r.is_fixed}
        if not drawn:
            raise PipelineError("[tune] has nothing to draw: give ranges, such as [tune.train] batch = [32, 64]")
        if self.measure == "loss" and "train.loss" in drawn:
            raise PipelineError(f"[tune] draws losses, which do not compare: give another measure of {MEASURES[1:]}")

    @classmethod
    def of(cls, pipeline: Pipeline, *, trials: int | None = None, seed: int | None = None) -> Search:
        """Read that of a pipeline; numbers that are not None win over it.

        Raises
        ------
        PipelineError
            If it has none, or a key or value makes no sense.
        """
        given = dict(pipeline.tune)
        if not given:
            raise PipelineError(f"pipeline '{pipeline.name}' has no [tune] table: add one with the ranges to search")
        ranges = read_ranges({k: given.pop(k) for k in SECTIONS if k in given})
        known = {"trials", "seed", "measure"}
        if unknown := sorted(set(given) - known):
            raise PipelineError(unknown_name("key in [tune]", unknown[0], {*known, *SECTIONS}))
        given |= {k: v for k, v in (("trials", trials), ("seed", seed)) if v is not None}
        return cls(tuple(ranges), **given)


@dataclass(frozen=True)
class Trial:
    """One draw: its number, its values by path, the pipeline that they make, and its folder."""

    number: int
    values: Mapping[str, Any]
    pipeline: Pipeline
    folder: Path

    @property
    def path(self) -> Path:
        """The checkpoint."""
        return self.folder / f"{self.pipeline.name}.safetensors"

    @property
    def is_done(self) -> bool:
        """Whether checkpoint and card, which is written last, are there."""
        return self.path.exists() and self.path.with_suffix(".json").exists()


@dataclass(frozen=True)
class Blend:
    """How many of the best trials are joined, and whether their weights are fitted to the validation part."""

    best: int
    fitted: bool = False


@dataclass(frozen=True)
class Tuned:
    """What came out: the table of trials, the checkpoints from the best to the worst, and the blend or None."""

    table: Table
    ranking: Sequence[Path]
    blend: Path | None


def tune(
    pipeline: Pipeline,
    folder: Path,
    *,
    trials: int | None = None,
    seed: int | None = None,
    blend: Blend | None = None,
    resume: bool = False,
    device: str = "cpu",
    progress: Progress = silent,
    on_epoch: Observer = unobserved,
) -> Tuned:
    """Search the ranges of a pipeline at random; the test part is not read.

    Parameters
    ----------
    pipeline
        With inputs and a ``[tune]`` table.
    folder
        Receives ``trials.ecsv``, written anew after every trial, a folder for each in ``trials/``, as of
        :func:`galmorph.learning.training.train`, and the blend as ``NAME.safetensors`` with its card.
    trials, seed
        Instead of the table's.
    blend
        What to join at the end; None for nothing.
    resume
        Go on where another call was stopped, with as many or more trials.
    device, progress, on_epoch
        As for :func:`galmorph.learning.training.train`.

    Raises
    ------
    PipelineError, SchemeError, CatalogError, CheckpointError, ImageError, OutputError
        Before anything is trained, if the settings of one of the trials or the inputs do not fit.
    """
    search = Search.of(pipeline, trials=trials, seed=seed)
    drawn = [_trial(pipeline, search, number, folder / _TRIALS) for number in range(search.trials)]
    _check(drawn, folder, blend, resume=resume)
    catalog, images = open_inputs(pipeline)
    training = partial(train, catalog, images, resume=resume, device=device, on_epoch=on_epoch, kept=KeptSets())
    with closing(images):
        for trial in drawn:
            if not trial.is_done:
                report = named_progress(progress, f"trial {trial.number} of {search.trials - 1}:")
                training(trial.pipeline, trial.folder, progress=report)
            _clear(trial)
            table, ranking = _ranked(search, drawn[: trial.number + 1])
            write_table(table, folder / "trials.ecsv")
        joined = None
        if blend is not None:
            joined = folder / f"{pipeline.name}.safetensors"
            _join([drawn[n] for n in ranking[: blend.best]], joined, blend, catalog, images, progress)
    return Tuned(table, [drawn[n].path for n in ranking], joined)


def _trial(pipeline: Pipeline, search: Search, number: int, folder: Path) -> Trial:
    values = draw_trial(search.ranges, search.seed, number)
    named = f"{pipeline.name}-{number:03d}"
    return Trial(number, values, pipeline.changed(named, nested(values)), folder / f"{number:03d}")


def _check(trials: Sequence[Trial], folder: Path, blend: Blend | None, *, resume: bool) -> None:
    """Refuse what would fail after hours: settings of a trial, another search's folder, a blend of different stamps."""
    if (folder / _TRIALS).exists() and not resume:
        raise OutputError(f"folder '{folder}' holds trials already: go on with --resume or choose another with -o")
    for trial in trials:
        try:
            check_settings(trial.pipeline)
        except (PipelineError, CheckpointError) as error:
            values = ", ".join(f"{k} = {v!r}" for k, v in trial.values.items()) or "the pipeline as it is"
            raise PipelineError(f"trial {trial.number} ({values}) cannot be trained: {error}") from error
        check_record(trial.folder, record_of(trial.pipeline))
    if blend is None:
        return
    if not 2 <= blend.best <= len(trials):
        raise PipelineError(f"a blend of {blend.best}: expected from 2 to the number of trials, {len(trials)}")
    stamps = [_stamps(t.pipeline) for t in trials]
    if any(s != stamps[0] for s in stamps):
        raise PipelineError(
            "the trials differ in their recipe or observation, and checkpoints for different stamps cannot be joined: "
            "leave out the blend or those ranges"
        )


def _stamps(pipeline: Pipeline) -> tuple[Any, Any]:
    return dict(pipeline.recipe), _observation(pipeline)


def _observation(pipeline: Pipeline) -> Observation | None:
    return build(Augmentation, pipeline.augmentation, f"pipeline '{pipeline.name}'", "augmentation").observation


def _clear(trial: Trial) -> None:
    """Remove the states of a finished trial: they are several times as large as its checkpoint."""
    for path in trial.folder.glob("state*.safetensors"):
        path.unlink()


def _ranked(search: Search, trials: Sequence[Trial]) -> tuple[Table, list[int]]:
    """Return the table of the trials that are done, and their numbers from the best to the worst."""
    cards = [read_card(t.path) for t in trials]
    found = [_scores(card) for card in cards]
    if search.measure not in found[0]:
        raise PipelineError(f"[tune] measure = {search.measure!r} is none of these labels': {', '.join(found[0])}")
    worth = np.array([_SIGNS[search.measure] * scores[search.measure] for scores in found])
    ranking = np.argsort(np.where(np.isfinite(worth), worth, np.inf), kind="stable")
    table = Table({"trial": [t.number for t in trials], "rank": np.argsort(ranking) + 1})
    for name in MEASURES:
        if name in found[0]:
            table[f"validation_{name}"] = np.array([scores[name] for scores in found])
            table[f"validation_{name}"].info.format = ".5g"
    table["epochs"] = [sum(len(curve) for curve in card["curves"]) for card in cards]
    table["weights"] = [int(card["weights"]) for card in cards]
    for path in (r.path for r in search.ranges):
        table[path] = _column([_value(t.pipeline, path) for t in trials])
    table["checkpoint"] = [str(t.path.relative_to(t.folder.parent.parent)) for t in trials]
    table.meta["measure"], table.meta["seed"] = search.measure, search.seed
    return table, [int(n) for n in ranking]


def _scores(card: Mapping[str, Any]) -> dict[str, float]:
    validation = card["validation"]
    found = {"loss": least_loss(card)}
    found |= {k: float(validation["pooled"][k]) for k in ("rmse", "signal_explained") if k in validation["pooled"]}
    return found | {k: float(validation[k]) for k in ("accuracy",) if k in validation}


def _value(pipeline: Pipeline, path: str) -> Any:
    section, *keys = path.split(".")
    value: Any = getattr(pipeline, section)
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _column(values: Sequence[Any]) -> Any:
    """Make a column of numbers, NaN where the pipeline has the default, or of texts."""
    if all(v is None or (isinstance(v, int | float) and not isinstance(v, bool)) for v in values):
        return np.array([np.nan if v is None else v for v in values])
    return ["" if v is None else str(v) for v in values]


def _join(
    best: Sequence[Trial], path: Path, blend: Blend, catalog: Catalog, images: ImageSource, progress: Progress
) -> None:
    """Join trials, and calibrate and score the blend on the validation part, which it was chosen by."""
    predictions, labels = _predictions(best, catalog, images, progress) if blend.fitted else ([], None)
    scheme = load_scheme(best[0].pipeline.scheme)
    about: dict[str, Any] = {"fitted": blend.fitted}
    shares: list[float] = []
    if labels is not None:
        shares, equal = fit_shares(predictions, labels, scheme), [1.0 / len(best)] * len(best)
        for name, given in (("fitted", shares), ("equal", equal)):
            about[f"log_likelihood_{name}"] = mean_log_likelihood(predictions, given, labels, scheme)
    joined = ensemble([t.path for t in best], path, shares=shares, name=path.stem)
    settings = CalibrationSettings.from_dict(best[0].pipeline.calibration)
    fitted, card = calibrate_checkpoint(
        joined, catalog, images, settings, card=read_card(path) | {"blend": about}, progress=progress
    )
    made = load_checkpoint(save_checkpoint(fitted, path, card))
    scores = evaluate_checkpoint(made, catalog, images, part="validation", progress=progress)
    add_to_card(path.with_suffix(".json"), "validation", scores)


def _predictions(
    best: Sequence[Trial], catalog: Catalog, images: ImageSource, progress: Progress
) -> tuple[list[FloatArray], Labels]:
    """Predict the validation part by each trial, not calibrated; return the labels of the same rows too."""
    pipeline = best[0].pipeline
    parts = split_rows(pipeline.split, names_of(catalog), catalog.table)
    labels = labels_from(catalog, load_scheme(pipeline.scheme), pipeline.fractions)
    held = np.flatnonzero((parts == "validation") & (labels.totals.max(axis=1) > 0))
    observation = _observation(pipeline)
    predictions, rows = [], held
    for trial in best:
        loaded = load_checkpoint(trial.path)
        raw = loaded.with_temperatures((1.0,) * len(loaded.scheme.questions))
        gathering = Gathering(catalog, images, raw.recipe.half_width_rpet)
        viewed = view_rows(raw, gathering, held, observation=observation, progress=progress)
        rows = viewed.rows
        predictions.append(viewed.conditional)
    return predictions, labels.take(rows)
