"""Tuning: a random search over the ranges of a pipeline, and the best of its trials joined."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table

from galmorph.errors import CheckpointError, DivergedError, OutputError, PipelineError
from galmorph.learning.assembly import KeptSets
from galmorph.learning.comparison import least_loss, write_table
from galmorph.learning.inputs import opened
from galmorph.learning.labelled_table import divided
from galmorph.learning.pipeline import TrainPipeline
from galmorph.learning.ranges import MEASURES, Search, draw_trial, nested
from galmorph.learning.record import check_absent, check_record, read_by, record_of
from galmorph.learning.scoring import calibrate_checkpoint, evaluate_checkpoint
from galmorph.learning.training import Observer, check_settings, named_errors, named_progress, train, unobserved
from galmorph.learning.viewed import view_rows
from galmorph.nets.checkpoint.blend import fit_shares, mean_log_likelihood
from galmorph.nets.checkpoint.card import add_to_card, read_card
from galmorph.nets.checkpoint.ensemble import ensemble
from galmorph.nets.checkpoint.file import load_checkpoint, save_checkpoint
from galmorph.progress import Progress, silent
from galmorph.sky.catalog import Catalog
from galmorph.sky.formats.atomic import alone_in, make_folder, replacing
from galmorph.sky.images import ImageSource
from galmorph.sky.outputs import check_outputs
from galmorph.toml import to_table

__all__ = ["Blend", "Trial", "Tuned", "tune"]

log = logging.getLogger(__name__)
_TRIALS = "trials"
_TABLE = "trials.ecsv"
_DIVERGED = "diverged.txt"


@dataclass(frozen=True)
class Trial:
    """One draw: its number, its values by path, the pipeline that they make, and its folder."""

    number: int
    values: Mapping[str, Any]
    pipeline: TrainPipeline
    folder: Path

    @property
    def about(self) -> str:
        """Its number and values, in words."""
        return _about(self.number, self.values)

    @property
    def path(self) -> Path:
        """The checkpoint."""
        return self.folder / f"{self.pipeline.name}.safetensors"

    @property
    def is_done(self) -> bool:
        """Whether checkpoint and card, which is written last, are there, or there will be none."""
        return self.is_diverged or (self.path.exists() and self.path.with_suffix(".json").exists())

    @property
    def is_diverged(self) -> bool:
        """Whether its training lost its numbers, as some draws of a wide range do."""
        return (self.folder / _DIVERGED).exists()

    def run(self, training: Callable[..., Any], progress: Progress) -> None:
        """Train it unless it is done."""
        if self.is_done:
            return
        try:
            training(self.pipeline, self.folder, progress=progress)
        except DivergedError as error:
            log.warning("%s is ranked last: %s", self.about, error)
            with replacing(self.folder / _DIVERGED) as temporary:
                temporary.write_text(f"{error}\n", encoding="utf-8")


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
    pipeline: TrainPipeline,
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
    search = _search(pipeline, trials, seed)
    drawn = [_trial(pipeline, search, number, folder / _TRIALS) for number in range(search.trials)]
    _check(drawn, folder, blend, resume=resume)
    _check_files(pipeline, folder, blend, resume=resume)
    kept = KeptSets()
    make_folder(folder)
    with alone_in(folder), opened(*pipeline.named_inputs()) as (catalog, images):
        training = partial(train, catalog, images, resume=resume, device=device, on_epoch=on_epoch, kept=kept)
        for trial in drawn:
            name = f"trial {trial.number} of {search.trials - 1}:"
            with named_errors(trial.about):
                trial.run(training, named_progress(progress, name))
            _clear(trial)
            table, ranking = _ranked(search, drawn[: trial.number + 1])
            write_table(table, folder / _TABLE)
        _check_enough(ranking, blend, folder)
        joined = None
        if blend is not None:
            joined = folder / f"{pipeline.name}.safetensors"
            _join([drawn[n] for n in ranking[: blend.best]], joined, blend, catalog, images, progress)
    return Tuned(table, [drawn[n].path for n in ranking], joined)


def _search(pipeline: TrainPipeline, trials: int | None, seed: int | None) -> Search:
    """Return the search of a pipeline; numbers that are not None win over its own."""
    if pipeline.tune is None:
        raise PipelineError(f"pipeline '{pipeline.name}' has no [tune] table: add one with the ranges to search")
    search = pipeline.tune if trials is None else replace(pipeline.tune, trials=trials)
    return search if seed is None else replace(search, seed=seed)


def _trial(pipeline: TrainPipeline, search: Search, number: int, folder: Path) -> Trial:
    """Draw a trial, and refuse settings that would fail after hours."""
    values = draw_trial(search.ranges, search.seed, number)
    name = f"{pipeline.name}-{number:03d}"
    try:
        changed = pipeline.changed(name, nested(values))
        check_settings(changed)
    except (PipelineError, CheckpointError) as error:
        raise PipelineError(f"{_about(number, values)} cannot be trained: {error}") from error
    return Trial(number, values, changed, folder / f"{number:03d}")


def _about(number: int, values: Mapping[str, Any]) -> str:
    words = ", ".join(f"{path} = {value!r}" for path, value in values.items()) or "the pipeline as it is"
    return f"trial {number} ({words})"


def _check(trials: Sequence[Trial], folder: Path, blend: Blend | None, *, resume: bool) -> None:
    """Refuse another search's folder, and a blend of different stamps."""
    if (folder / _TRIALS).exists() and not resume:
        raise OutputError(f"folder '{folder}' holds trials already: go on with --resume or choose another with -o")
    for trial in trials:
        check_record(trial.folder, record_of(trial.pipeline))
    if blend is None:
        return
    if not 2 <= blend.best <= len(trials):
        raise PipelineError(f"a blend of {blend.best}: expected from 2 to the number of trials, {len(trials)}")
    stamps = [(t.pipeline.recipe, t.pipeline.augmentation.observation) for t in trials]
    if any(s != stamps[0] for s in stamps):
        raise PipelineError(
            "the trials differ in their recipe or observation, and checkpoints for different stamps cannot be joined: "
            "leave out the blend or those ranges"
        )


def _check_files(pipeline: TrainPipeline, folder: Path, blend: Blend | None, *, resume: bool) -> None:
    """Refuse what is in the way, and to replace what is read."""
    joined = [f"{pipeline.name}{suffix}" for suffix in (".safetensors", ".json")] if blend is not None else []
    outputs = [folder / name for name in (_TABLE, *joined)]
    check_absent(outputs, resume=resume)
    check_outputs(outputs, *pipeline.named_inputs(), *read_by(pipeline), overwrite=True, is_made=True)


def _check_enough(ranking: Sequence[int], blend: Blend | None, folder: Path) -> None:
    """Refuse to name a best trial, or to join some, where too few kept their numbers."""
    wanted = 1 if blend is None else blend.best
    if len(ranking) < wanted:
        raise DivergedError(
            f"{len(ranking)} trials kept their numbers, expected at least {wanted}: see '{folder / _TRIALS}' for what "
            "became of the others, and draw from lower learning rates"
        )


def _clear(trial: Trial) -> None:
    """Remove the states of a finished trial: they are several times as large as its checkpoint."""
    for path in trial.folder.glob("state*.safetensors"):
        path.unlink()


def _ranked(search: Search, trials: Sequence[Trial]) -> tuple[Table, list[int]]:
    """Return the table of the trials, and the numbers of those with a checkpoint from the best to the worst."""
    cards = [{} if t.is_diverged else read_card(t.path) for t in trials]
    scores = [_scores(card) for card in cards]
    names = [name for name in MEASURES if any(name in of_trial for of_trial in scores)]
    if names and search.measure not in names:
        raise PipelineError(f"[tune] measure = {search.measure!r} is none of these labels': {', '.join(names)}")
    worth = np.array([MEASURES[search.measure] * of_trial.get(search.measure, np.nan) for of_trial in scores])
    ranking = np.argsort(np.where(np.isfinite(worth), worth, np.inf), kind="stable")
    table = Table({"trial": [t.number for t in trials], "rank": np.argsort(ranking) + 1})
    for name in names:
        table[f"validation_{name}"] = np.array([of_trial.get(name, np.nan) for of_trial in scores])
        table[f"validation_{name}"].info.format = ".5g"
    table["epochs"] = [sum(len(curve) for curve in card.get("curves", ())) for card in cards]
    table["weights"] = [int(card.get("weights", 0)) for card in cards]
    for path in (r.path for r in search.ranges):
        table[path] = _column([_value(t.pipeline, path) for t in trials])
    table["checkpoint"] = ["" if t.is_diverged else str(t.path.relative_to(t.folder.parent.parent)) for t in trials]
    table.meta["measure"], table.meta["seed"] = search.measure, search.seed
    return table, [int(n) for n in ranking if not trials[n].is_diverged]


def _scores(card: Mapping[str, Any]) -> dict[str, float]:
    if not card:
        return {}
    validation = card["validation"]
    pooled = {k: float(validation["pooled"][k]) for k in ("rmse", "signal_explained") if k in validation["pooled"]}
    overall = {k: float(validation[k]) for k in ("accuracy",) if k in validation}
    return {"loss": least_loss(card), **pooled, **overall}


def _value(pipeline: TrainPipeline, path: str) -> Any:
    value: Any = to_table(pipeline)
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _column(values: Sequence[Any]) -> Any:
    """Make a column of numbers, NaN where the pipeline says none, or of texts."""
    if all(v is None or (isinstance(v, int | float) and not isinstance(v, bool)) for v in values):
        return np.array([np.nan if v is None else v for v in values])
    return ["" if v is None else str(v) for v in values]


def _join(
    best: Sequence[Trial], path: Path, blend: Blend, catalog: Catalog, images: ImageSource, progress: Progress
) -> None:
    """Join trials, and calibrate and score the blend on the validation part, which it was chosen by."""
    about: dict[str, Any] = {"fitted": blend.fitted}
    shares: list[float] = []
    if blend.fitted:
        shares, likelihoods = _fitted_shares(best, catalog, images, progress)
        about |= likelihoods
    joined = ensemble([t.path for t in best], path, shares=shares, name=path.stem)
    card = read_card(path) | {"blend": about}
    settings = best[0].pipeline.calibration
    fitted, card = calibrate_checkpoint(joined, catalog, images, settings, card=card, progress=progress)
    blended = load_checkpoint(save_checkpoint(fitted, path, card))
    scores = evaluate_checkpoint(blended, catalog, images, split="validation", progress=progress)
    add_to_card(path.with_suffix(".json"), "validation", scores)


def _fitted_shares(
    best: Sequence[Trial], catalog: Catalog, images: ImageSource, progress: Progress
) -> tuple[list[float], dict[str, float]]:
    """Fit the shares of trials in their blend to the validation part; return its likelihood under them as well."""
    table = divided(best[0].pipeline, catalog, images)
    predictions, rows = [], table.rows("validation")
    for trial in best:
        loaded = load_checkpoint(trial.path)
        raw = loaded.with_temperatures((1.0,) * len(loaded.scheme.questions))
        viewed = view_rows(raw, table.gathering, rows, observation=table.observation, progress=progress)
        predictions.append(viewed.conditional)
    labels = table.labels.take(viewed.rows)
    shares, equal = fit_shares(predictions, labels, table.scheme), [1.0 / len(best)] * len(best)
    return shares, {
        f"log_likelihood_{name}": mean_log_likelihood(predictions, of, labels, table.scheme)
        for name, of in (("fitted", shares), ("equal", equal))
    }
