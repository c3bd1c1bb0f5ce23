"""Sets: the galaxies that a training learns from and is stopped by."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from galmorph.errors import PipelineError
from galmorph.learning.labelled_table import LabelledTable
from galmorph.learning.pipeline import TrainPipeline
from galmorph.learning.sections import Simulated, Stars
from galmorph.nets.training.training_set import REACH, Canvas, CanvasStack, TrainingSet, canvas, star_canvases
from galmorph.progress import Progress
from galmorph.runs.blas import one_blas_thread
from galmorph.runs.gather import Galaxy, gather, pixel_scale_of, seed_of
from galmorph.runs.simulated import field_gathering
from galmorph.sky.images import ImageSource
from galmorph.sky.mock import simulate
from galmorph.sky.scheme import Labels, Scheme
from galmorph.stamps.cutting import prepare_around
from galmorph.stamps.morphometry import morphometry
from galmorph.stamps.recipe import Recipe
from galmorph.toml import to_table

__all__ = ["KeptSets", "build_sets"]

FloatArray = npt.NDArray[np.float64]
# Shares of what is added that go into each set.
_SHARES = {"train": (0.0, 0.85), "validation": (0.85, 1.0)}
_FIELD_ROWS = 300
# What decides about canvases and labels besides the recipe; weights do not belong to it.
_DECIDING = ("inputs", "images", "scheme", "fractions", "split", "stars", "simulated", "teacher")


class KeptSets:
    """The sets that were built last, for further trainings on the same galaxies.

    A caller that trains several networks, each from the inputs that its pipeline names, hands one in to all of these
    trainings. Memory holds the sets of one at a time.
    """

    def __init__(self) -> None:
        self._key = ""
        self._built: _Built | None = None

    def built(self, pipeline: TrainPipeline, build: Callable[[], _Built]) -> _Built:
        """Return the sets of a pipeline; build them unless those of the last one are the same."""
        key = _deciding(pipeline)
        if self._built is None or key != self._key:
            self._built = None  # makes room
            self._built, self._key = build(), key
        return self._built


def _deciding(pipeline: TrainPipeline) -> str:
    """Write down all that decides about canvases and labels."""
    sections = to_table(pipeline)
    of_pipeline = [sections.get(name) for name in (*_DECIDING, "recipe")]
    return json.dumps([*of_pipeline, pipeline.learns_unlabelled])


@dataclass(frozen=True)
class _Built:
    """Sets without weights, the rows of the labels that each begins with, and the S/N of their galaxies."""

    sets: Mapping[str, TrainingSet]
    rows: Mapping[str, npt.NDArray[np.intp]]
    snr: list[float]

    def weighted(self, weight: FloatArray) -> dict[str, TrainingSet]:
        """Give rows of the labels their weight, and all others 1."""
        weighted = {}
        for split, each in self.sets.items():
            weights = np.ones(len(each))
            weights[: len(self.rows[split])] = weight[self.rows[split]]
            weighted[split] = each.weighted(weights)
        return weighted


def build_sets(
    table: LabelledTable,
    pipeline: TrainPipeline,
    weight: FloatArray,
    progress: Progress,
    kept: KeptSets | None = None,
) -> tuple[dict[str, TrainingSet], list[float]]:
    """Build the training and validation sets, and list the S/N of their galaxies; the test part is not even read.

    Rows of the training part without a label are in its set where the pipeline learns from them. With `kept`, sets that
    an earlier training has built of the same galaxies are taken from there.
    """
    built = (kept or KeptSets()).built(pipeline, lambda: _build(table, pipeline, progress))
    return built.weighted(weight), built.snr


def _build(table: LabelledTable, pipeline: TrainPipeline, progress: Progress) -> _Built:
    wanted = table.is_labelled
    if pipeline.learns_unlabelled:
        wanted = wanted | (table.splits == "train")
    rows = np.flatnonzero(wanted & (table.splits != "test"))
    added = _added(pipeline, table, progress)
    stacks = {
        split: CanvasStack(int((table.splits[rows] == split).sum()) + len(more.canvases), pipeline.recipe)
        for split, more in added.items()
    }
    taken: dict[str, list[int]] = {split: [] for split in stacks}
    snr: list[float] = []
    for done, galaxy in enumerate(gather(table.gathering, rows), 1):
        progress("measuring", done, len(rows))
        if galaxy.measured is None or galaxy.cutout is None:
            continue
        split = str(table.splits[galaxy.row])
        stacks[split].add(_canvas(galaxy, table.gathering.images, pipeline.recipe))
        taken[split].append(galaxy.row)
        if table.is_labelled[galaxy.row] and np.isfinite(galaxy.measured.snr):
            snr.append(galaxy.measured.snr)
    starts = {split: np.array(numbers, dtype=np.intp) for split, numbers in taken.items()}
    _check_labelled(starts, table, pipeline)
    sets = {s: _with(added[s], stacks[s], table.labels.take(of), pipeline.recipe) for s, of in starts.items()}
    return _Built(sets, starts, snr)


def _check_labelled(rows: Mapping[str, npt.NDArray[np.intp]], table: LabelledTable, pipeline: TrainPipeline) -> None:
    for split, of_split in rows.items():
        if not table.is_labelled[of_split].any():
            raise PipelineError(
                f"the {split} part of pipeline '{pipeline.name}' is empty: check its [split] and the images"
            )


@one_blas_thread
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
        scale_arcsec=pixel_scale_of(cutout, images),
        mjysr_per_unit=images.mjysr_per_unit(cutout.tile),
        seed=seed_of(cutout, images),
    )
    one = canvas(ready.planes, ready.x, ready.y, ready.half_px, ready.brightness, recipe)
    return replace(one, morphometry=morphometry(measured, images.psf_fwhm_px))


@dataclass(frozen=True)
class _Added:
    """Canvases that no row of the labels stands for, with their labels; the last are synthetic stars."""

    canvases: list[Canvas]
    labels: Labels
    stars: int


def _added(pipeline: TrainPipeline, table: LabelledTable, progress: Progress) -> dict[str, _Added]:
    """Make the simulated galaxies and synthetic stars of each set."""
    none = np.zeros((0, len(table.scheme.keys)))
    galaxies: list[Canvas] = []
    truth = Labels(none, none)
    if pipeline.simulated is not None:
        galaxies, truth = _simulated_canvases(pipeline.simulated, table.scheme, pipeline.recipe, progress)
    added = {}
    for split, (low, high) in _SHARES.items():
        rows = np.arange(round(len(galaxies) * low), round(len(galaxies) * high))
        of_split = [galaxies[row] for row in rows.tolist()]
        added[split] = _Added(of_split, truth.take(rows), 0)
        if pipeline.stars is not None:
            n = round(pipeline.stars.count * (high - low))
            stars = _stars(pipeline.stars, n, table, pipeline.recipe)
            added[split] = _Added(of_split + stars.canvases, _joined([truth.take(rows), stars.labels]), n)
    return added


def _stars(stars: Stars, n: int, table: LabelledTable, recipe: Recipe) -> _Added:
    """Make synthetic stars; as many people as usual voted on each, the test part apart."""
    asked = table.labels.totals.max(axis=1)
    votes = float(np.median(asked[table.is_labelled & (table.splits != "test")]))
    counts = np.tile([votes if key == stars.answer else 0.0 for key in table.scheme.keys], (n, 1))
    canvases = star_canvases(n, recipe, rpet_px=stars.rpet_px, seed=len(asked) + n)
    return _Added(canvases, Labels(counts, np.full_like(counts, votes)), n)


def _simulated_canvases(
    simulated: Simulated, scheme: Scheme, recipe: Recipe, progress: Progress
) -> tuple[list[Canvas], Labels]:
    """Simulate fields, and take their galaxies with the fractions of their truth as votes; stars are left out."""
    numbers = range(-(-simulated.rows // _FIELD_ROWS))
    fields = [_field_canvases(simulated, number, scheme, recipe, progress) for number in numbers]
    canvases = [one for of_field, _ in fields for one in of_field]
    return canvases, _joined([labels for _, labels in fields])


def _field_canvases(
    simulated: Simulated, number: int, scheme: Scheme, recipe: Recipe, progress: Progress
) -> tuple[list[Canvas], Labels]:
    """Simulate one of the fields; each has rows, and a seed, of its own."""
    first, survey, band = number * _FIELD_ROWS, simulated.survey, simulated.band
    rows = min(_FIELD_ROWS, simulated.rows - first)
    field = simulate(survey, band, rows=rows, seed=simulated.seed + number)
    stars = np.asarray(field.truth["type"]).astype(str) == "star"
    canvases: dict[int, Canvas] = {}
    with field_gathering(field, survey, band, recipe.half_width_rpet) as gathering:
        for galaxy in gather(gathering, np.flatnonzero(~stars)):
            progress("simulating", first + galaxy.row + 1, simulated.rows)
            if galaxy.measured is not None and galaxy.cutout is not None:
                canvases[galaxy.row] = _canvas(galaxy, gathering.images, recipe)
    order = sorted(canvases)  # galaxies come in the order of the blocks that they lie in
    truth = scheme.labels(field.truth).take(np.array(order, np.intp))
    return [canvases[row] for row in order], Labels(truth.counts * simulated.votes, truth.totals * simulated.votes)


def _joined(labels: Sequence[Labels]) -> Labels:
    """Set labels one below the other."""
    return Labels(np.concatenate([each.counts for each in labels]), np.concatenate([each.totals for each in labels]))


def _with(more: _Added, stack: CanvasStack, labels: Labels, recipe: Recipe) -> TrainingSet:
    for one in more.canvases:
        stack.add(one)
    return TrainingSet.build(stack, _joined([labels, more.labels]), recipe, stars=more.stars)
