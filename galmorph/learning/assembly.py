"""Sets: the galaxies that a training learns from and is stopped by."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from galmorph.errors import PipelineError
from galmorph.learning.pipeline import Pipeline
from galmorph.nets.training.training_set import REACH, Canvas, CanvasStack, TrainingSet, canvas, star_canvases
from galmorph.progress import Progress
from galmorph.runs.blas import one_blas_thread
from galmorph.runs.gather import Galaxy, Gathering, gather, seed_of
from galmorph.runs.simulated import field_gathering
from galmorph.sky.images import ImageSource
from galmorph.sky.mock import simulate
from galmorph.sky.scheme import Labels, Scheme, load_scheme
from galmorph.stamps.recipe import Recipe, prepare_around

__all__ = ["KeptSets", "build_sets"]

FloatArray = npt.NDArray[np.float64]
_PARTS = {"train": (0.0, 0.85), "validation": (0.85, 1.0)}
_FIELD_ROWS = 300


class KeptSets:
    """The sets that were built last, for further trainings on the same galaxies.

    A caller that trains several networks, each from the inputs that its pipeline names, hands one in to all of these
    trainings. Memory holds the sets of one at a time.
    """

    def __init__(self) -> None:
        self._key = ""
        self._built: _Built | None = None

    def built(self, pipeline: Pipeline, recipe: Recipe, build: Callable[[], _Built]) -> _Built:
        """Return the sets of a pipeline; build them unless those of the last one are the same."""
        key = _deciding(pipeline, recipe)
        if self._built is None or key != self._key:
            self._built = None  # makes room
            self._built, self._key = build(), key
        return self._built


def _deciding(pipeline: Pipeline, recipe: Recipe) -> str:
    """Write down all that decides about canvases and labels; weights do not belong to it."""
    names = ("inputs", "images", "scheme", "fractions", "split", "stars", "simulated")
    sections = [getattr(pipeline, name) for name in names]
    return json.dumps([*sections, recipe.to_dict(), _learns_from_unlabelled(pipeline)], default=list)


def _learns_from_unlabelled(pipeline: Pipeline) -> bool:
    return pipeline.train.get("unlabelled") is not None


@dataclass(frozen=True)
class _Built:
    """Sets without weights, the rows of the labels that each begins with, and the S/N of their galaxies."""

    sets: Mapping[str, TrainingSet]
    rows: Mapping[str, npt.NDArray[np.intp]]
    snr: list[float]

    def weighted(self, weight: FloatArray) -> dict[str, TrainingSet]:
        """Give rows of the labels their weight, and all others 1."""
        found = {}
        for part, each in self.sets.items():
            weights = np.ones(len(each))
            weights[: len(self.rows[part])] = weight[self.rows[part]]
            found[part] = each.weighted(weights)
        return found


def build_sets(
    gathering: Gathering,
    pipeline: Pipeline,
    recipe: Recipe,
    labels: Labels,
    parts: npt.NDArray[np.str_],
    weight: FloatArray,
    report: Progress,
    kept: KeptSets | None = None,
) -> tuple[dict[str, TrainingSet], list[float]]:
    """Build the training and validation sets, and list the S/N of their galaxies; the test part is not even read.

    Rows of the training part without a label are in its set where the pipeline learns from them. With `kept`, sets that
    an earlier training has built of the same galaxies are taken from there.
    """
    store = kept or KeptSets()
    built = store.built(pipeline, recipe, lambda: _build(gathering, pipeline, recipe, labels, parts, report))
    return built.weighted(weight), built.snr


def _build(
    gathering: Gathering,
    pipeline: Pipeline,
    recipe: Recipe,
    labels: Labels,
    parts: npt.NDArray[np.str_],
    report: Progress,
) -> _Built:
    labelled = labels.totals.max(axis=1) > 0
    wanted = labelled | (parts == "train") if _learns_from_unlabelled(pipeline) else labelled
    rows = np.flatnonzero(wanted & (parts != "test"))
    added = _added(pipeline, recipe, labels, report)
    rooms = {part: int((parts[rows] == part).sum()) + len(more.canvases) for part, more in added.items()}
    stacks = {part: CanvasStack(room, recipe) for part, room in rooms.items()}
    kept: dict[str, list[int]] = {part: [] for part in stacks}
    snr: list[float] = []
    for done, galaxy in enumerate(gather(gathering, rows), 1):
        report("measuring", done, len(rows))
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
    return _Built({p: _with(added[p], stacks[p], labels.take(r), recipe) for p, r in taken.items()}, taken, snr)


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
        mjysr_per_unit=images.mjysr_per_unit(cutout.tile),
        seed=seed_of(cutout, images),
    )
    return canvas(ready.planes, ready.x, ready.y, ready.half_px, ready.brightness, recipe)


@dataclass(frozen=True)
class _Added:
    """Canvases that no row of the labels stands for, with their labels; the last are synthetic stars."""

    canvases: list[Canvas]
    labels: Labels
    stars: int


def _added(pipeline: Pipeline, recipe: Recipe, labels: Labels, report: Progress) -> dict[str, _Added]:
    """Make the simulated galaxies and synthetic stars of each part."""
    scheme = load_scheme(pipeline.scheme)
    galaxies, truth = _simulated_canvases(pipeline.simulated, scheme, recipe, report)
    found = {}
    for part, (low, high) in _PARTS.items():
        rows = np.arange(round(len(galaxies) * low), round(len(galaxies) * high))
        n = round(int(pipeline.stars["count"]) * (high - low)) if pipeline.stars else 0
        shining = _stars(pipeline.stars, n, scheme, labels, recipe, seed=len(labels.totals) + n)
        joined = _joined([truth.take(rows), shining.labels])
        found[part] = _Added([galaxies[row] for row in rows.tolist()] + shining.canvases, joined, n)
    return found


def _stars(stars: Mapping[str, Any], n: int, scheme: Scheme, labels: Labels, recipe: Recipe, *, seed: int) -> _Added:
    """Make synthetic stars; as many people as usual voted on each."""
    asked = labels.totals.max(axis=1)
    votes = float(np.median(asked[asked > 0])) if n else 0.0
    counts = np.tile([votes if n and key == stars["answer"] else 0.0 for key in scheme.keys], (n, 1))
    made = star_canvases(n, recipe, rpet_px=float(stars["rpet_px"]), seed=seed) if n else []
    return _Added(made, Labels(counts, np.full_like(counts, votes)), n)


def _simulated_canvases(
    settings: Mapping[str, Any], scheme: Scheme, recipe: Recipe, report: Progress
) -> tuple[list[Canvas], Labels]:
    """Simulate fields, and take their galaxies with the fractions of their truth as votes; stars are left out."""
    total = int(settings["rows"]) if settings else 0
    numbers = range(-(-total // _FIELD_ROWS))
    fields = [_field_canvases(settings, number, scheme, recipe, report) for number in numbers]
    empty = np.zeros((0, len(scheme.keys)))
    canvases = [made for of_field, _ in fields for made in of_field]
    return canvases, _joined([Labels(empty, empty), *(labels for _, labels in fields)])


def _field_canvases(
    settings: Mapping[str, Any], number: int, scheme: Scheme, recipe: Recipe, report: Progress
) -> tuple[list[Canvas], Labels]:
    """Simulate one of the fields; each has rows, and a seed, of its own."""
    total, first = int(settings["rows"]), number * _FIELD_ROWS
    survey, band = settings["survey"], settings["band"]
    field = simulate(survey, band, rows=min(_FIELD_ROWS, total - first), seed=int(settings["seed"]) + number)
    stars = np.asarray(field.truth["type"]).astype(str) == "star"
    made: dict[int, Canvas] = {}
    with field_gathering(field, survey, band, recipe.half_width_rpet) as gathering:
        for galaxy in gather(gathering, np.flatnonzero(~stars)):
            report("simulating", first + galaxy.row + 1, total)
            if galaxy.measured is not None and galaxy.cutout is not None:
                made[galaxy.row] = _canvas(galaxy, gathering.images, recipe)
    truth, votes = scheme.labels(field.truth).take(np.array(list(made), np.intp)), float(settings["votes"])
    return list(made.values()), Labels(truth.counts * votes, truth.totals * votes)


def _joined(labels: Sequence[Labels]) -> Labels:
    """Set labels one below the other."""
    return Labels(np.concatenate([each.counts for each in labels]), np.concatenate([each.totals for each in labels]))


def _with(more: _Added, stack: CanvasStack, labels: Labels, recipe: Recipe) -> TrainingSet:
    for one in more.canvases:
        stack.add(one)
    return TrainingSet.build(stack, _joined([labels, more.labels]), recipe, stars=more.stars)
