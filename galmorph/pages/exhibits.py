"""Exhibits: pictures of what a network looks for, sees and hangs on, each with what to read in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import scipy

from galmorph.nets.architecture.network import Network
from galmorph.nets.explain.activations import (
    Activation,
    activations,
    centroid_responses,
    last_weights,
    unit_responses,
)
from galmorph.nets.explain.filters import first_filters
from galmorph.nets.explain.saliency import smooth_gradients
from galmorph.pages.contact import ShareBar, short_names
from galmorph.pages.marks import colour_of
from galmorph.pages.mosaics import diverging, grey, mosaic, png_uri, sequential, stamp_levels
from galmorph.pages.sample import Sample
from galmorph.stamps.recipe import Recipe

__all__ = [
    "SALIENCY_SIGMA_PX",
    "Exhibit",
    "GalaxyCard",
    "Pair",
    "UnitExhibit",
    "centroid_exhibits",
    "examples",
    "filter_exhibits",
    "galaxy_card",
    "layer_exhibits",
    "liveliest",
    "saliency_exhibits",
    "unit_exhibits",
]

FloatArray = npt.NDArray[np.float32]
ByteArray = npt.NDArray[np.uint8]

SALIENCY_SIGMA_PX = 1.0
"""Width of the Gaussian that saliency is smoothed by before it is shown."""
_KERNEL_ZOOM = 8
_PER_LINE = 16
_TILE_PX = 64
_MAPS = 10
_NUMBERS_PER_LINE = 64
_STAMPS_PER_UNIT = 6
_MOST_UNITS = 8
_MOST_CENTROIDS = 24
_MOST_EXAMPLES = 15
_COLOURS = ("red", "green", "blue")


@dataclass(frozen=True)
class Exhibit:
    """One picture: its title, what it shows, and the width at which it is shown, in pixels of a page.

    `written` says that the title is a layer as it is written.
    """

    title: str
    uri: str
    width: int
    alt: str
    note: str = ""
    written: bool = False


@dataclass(frozen=True)
class Pair:
    """A stamp and what its likeliest answer hangs on."""

    name: str
    stamp: str
    saliency: str
    answer: ShareBar


@dataclass(frozen=True)
class UnitExhibit:
    """A unit of the last layer, the stamps that excite it most, and the answer that it speaks for most."""

    number: int
    speaks_for: str
    stamps: Sequence[tuple[str, str]]
    responses: str


@dataclass(frozen=True)
class GalaxyCard:
    """One galaxy: probabilities of the first question's answers and, where people were asked, their votes.

    `uri` is empty where the stamp is not shown.
    """

    name: str
    uri: str
    chances: Sequence[ShareBar]
    votes: Sequence[float] = ()
    likeliest: str = ""
    truth: str = ""
    colour: int = field(default=-1)


def _exhibit(title: str, tiles: ByteArray, alt: str, note: str = "", *, written: bool = False) -> Exhibit:
    return Exhibit(title, png_uri(tiles), tiles.shape[1], alt, note, written)


def filter_exhibits(network: Network) -> list[tuple[str, list[Exhibit]]]:
    """Show the kernels of the first convolution, and all orientations of one where it has them, each with a title.

    Three planes are shown together, as colours about grey, and one by one, so that no colour vision is needed. Nothing
    is shown of a network without convolutions.
    """
    first = first_filters(network)
    if first is None:
        return []
    top = float(np.abs(first.kernels).max())
    if not len(first.orientations):
        return [(f"All {len(first.kernels)} kernels", _kernel_exhibits(first.kernels, top))]
    return [
        (f"The {len(first.kernels)} fields, each in its first orientation", _kernel_exhibits(first.kernels, top)),
        (f"Field {first.shown_field + 1} in all eight orientations", _kernel_exhibits(first.orientations, top)),
    ]


def _kernel_exhibits(kernels: FloatArray, top: float) -> list[Exhibit]:
    planes = kernels.shape[1]
    across = _PER_LINE if planes == 1 else _PER_LINE // 2
    side = f"{kernels.shape[-1]} x {kernels.shape[-1]} pixels, from −{top:.2g} to {top:.2g}"
    exhibits = []
    for plane in range(planes):
        tiles = mosaic([diverging(k[plane], top) for k in kernels], across, zoom=_KERNEL_ZOOM)
        name = f"{_COLOURS[plane]} plane" if planes == len(_COLOURS) else "weights"
        exhibits.append(_exhibit(name, tiles, f"Weights of {len(kernels)} kernels, {name}, {side}", side))
    if planes == len(_COLOURS):
        tiles = mosaic([grey(0.5 + 0.5 * k / top) for k in kernels], across, zoom=_KERNEL_ZOOM)
        exhibits.insert(
            0, _exhibit("all planes", tiles, f"Weights as colours about grey, {side}", "as colours about grey")
        )
    return exhibits


def _flipped(pixels: npt.NDArray[np.generic], sample: Sample) -> npt.NDArray[np.generic]:
    """Turn rows, the second axis from the end, so that those of FITS images run upwards."""
    return pixels[..., ::-1, :] if sample.rows_up else pixels


def _stamp(sample: Sample, row: int, recipe: Recipe) -> ByteArray:
    shown = np.asarray(_flipped(sample.stamps[row], sample), np.float32)
    return stamp_levels(shown, display=recipe.stretch == "display")


def examples(sample: Sample, per_answer: int | None = None) -> list[list[int]]:
    """Choose galaxies for each answer of the first question.

    With labels the most certain ones that are right; without, the most certain of those that are given the answer.
    """
    first = sample.conditional[:, _first(sample)]
    n = per_answer or max(1, min(3, _MOST_EXAMPLES // first.shape[1]))
    if sample.judged is not None:
        return sample.judged.best(n)
    likeliest = first.argmax(axis=1)
    chosen = []
    for answer in range(first.shape[1]):
        rows = np.flatnonzero(likeliest == answer)
        chosen.append(rows[np.argsort(-first[rows, answer], kind="stable")][:n].tolist())
    return chosen


def _first(sample: Sample) -> slice:
    return slice(0, sample.n_first)


def liveliest(network: Network, sample: Sample, rows: Sequence[int]) -> int:
    """Choose the galaxy of some that excites the units of the last layer most, in units of their usual spread.

    Simulated stars are chosen only where there is nothing else.
    """
    if sample.stars is not None:
        rows = [row for row in rows if not sample.stars[row]] or rows
    responses = unit_responses(network, sample.stamps)
    spread = np.maximum(responses.std(axis=0), 1e-12)
    excitement = ((responses[list(rows)] - responses.mean(axis=0)) / spread).mean(axis=1)
    return int(rows[int(excitement.argmax())])


def layer_exhibits(network: Network, sample: Sample, row: int, recipe: Recipe) -> Iterator[Exhibit]:
    """Show a galaxy on its way through the network: the stamp, then maps or numbers after each layer but the last."""
    stamp = np.kron(_stamp(sample, row, recipe), np.ones((2, 2, 1), np.uint8))
    note = f"{_size(sample.stamps[row].shape)} pixels, {recipe.reach} to each side"
    yield _exhibit("the stamp", stamp, f"Stamp of {sample.names[row]}", note)
    *inner, _ = activations(network, sample.stamps[row], sample.morphometry[row])
    for activation in inner:
        if activation.values.ndim == 1:
            yield _numbers(activation)
        else:
            yield _maps(activation, sample)


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[0]} plane{'s' if shape[0] > 1 else ''} of {shape[1]} x {shape[2]}"


def _maps(activation: Activation, sample: Sample) -> Exhibit:
    values = activation.values
    chosen = activation.strongest(_MAPS)
    low, high = float(values[chosen].min()), float(values[chosen].max())
    shown = np.asarray(_flipped(values[chosen], sample), np.float32)
    tiles = [sequential(m, float(m.min()), float(m.max())) for m in shown]
    note = f"{len(chosen)} of {len(values)} maps of {values.shape[1]} x {values.shape[2]}"
    if activation.per_field > 1:
        note += f", {len(values) // activation.per_field} fields of {activation.per_field} orientations"
    if activation.parts > 1:
        note += f", of the first of {activation.parts} parts"
    zoom = max(1, _TILE_PX // values.shape[1])
    span = _span(low, high)
    alt = f"{len(chosen)} maps after '{activation.line}', values from {span}"
    note += f"; values {span}"
    return _exhibit(activation.line, mosaic(tiles, _MAPS, zoom=zoom), alt, note, written=True)


def _span(low: float, high: float) -> str:
    """Write a range of values without a unit, with the minus sign that its digits have in print."""
    return f"{low:.2g} to {high:.2g}".replace("-", "−").replace("e−", "e-")


def _numbers(activation: Activation) -> Exhibit:
    values = activation.values
    low, high = float(values.min()), float(values.max())
    rows = -(-len(values) // _NUMBERS_PER_LINE)
    padded = np.full(rows * _NUMBERS_PER_LINE, low, np.float32)
    padded[: len(values)] = values
    cells = sequential(padded.reshape(rows, -1), low, high)
    note = f"{len(values)} numbers; values {_span(low, high)}"
    big = np.kron(cells, np.ones((10, 10, 1), np.uint8))
    return _exhibit(activation.line, big, f"{note}, one a cell", note, written=True)


def unit_exhibits(network: Network, sample: Sample, recipe: Recipe, answers: Sequence[str]) -> list[UnitExhibit]:
    """Show the stamps that most excite some units of the last layer.

    For each answer of the first question it is the unit that speaks most for it against the others: that of the largest
    weight, less the mean over the answers, times the unit's spread over the sample.

    Parameters
    ----------
    answers
        Names of the first question's answers.
    """
    responses = unit_responses(network, sample.stamps)
    spread = responses.std(axis=0)
    weights = last_weights(network)
    if weights is None:
        chosen = [(int(u), "") for u in np.argsort(-spread, kind="stable")[:_MOST_UNITS]]
    else:
        chosen = _speakers(weights[: len(answers)], spread, answers)
    return [_most_excited(responses[:, unit], unit, answer, sample, recipe) for unit, answer in chosen]


def _most_excited(response: FloatArray, number: int, answer: str, sample: Sample, recipe: Recipe) -> UnitExhibit:
    """Show the stamps that excite a unit most, whose responses are (N,)."""
    rows = np.argsort(-response, kind="stable")[:_STAMPS_PER_UNIT].tolist()
    stamps = [(sample.names[r], png_uri(_stamp(sample, r, recipe))) for r in rows]
    reached = response[rows]
    words = f"{reached[0]:.2f} to {reached[-1]:.2f}; median {np.median(response):.2f}"
    return UnitExhibit(number, answer, stamps, words)


def centroid_exhibits(network: Network, sample: Sample, recipe: Recipe) -> list[tuple[str, UnitExhibit]]:
    """Show the centroids that tell galaxies apart most, each as a picture, and the stamps that excite it most.

    They are those whose responses vary most for their mean; none where a network has no centroids.
    """
    responses, first = centroid_responses(network, sample.stamps), first_filters(network)
    if responses is None or first is None:
        return []
    order = np.argsort(-responses.std(axis=0) / (responses.mean(axis=0) + 1e-6), kind="stable")[:_MOST_CENTROIDS]
    pictures = [_kernel_picture(first.kernels[number]) for number in order]
    shown = [_most_excited(responses[:, number], int(number), "", sample, recipe) for number in order]
    return list(zip(pictures, shown, strict=True))


def _kernel_picture(kernel: FloatArray) -> str:
    """Draw a kernel as colours about grey, or in one plane as weights of either sign."""
    top = max(float(np.abs(kernel).max()), 1e-12)
    tile = grey(0.5 + 0.5 * kernel / top) if len(kernel) == len(_COLOURS) else diverging(kernel[0], top)
    return png_uri(mosaic([tile], 1, zoom=_KERNEL_ZOOM))


def _speakers(weights: FloatArray, spread: FloatArray, answers: Sequence[str]) -> list[tuple[int, str]]:
    """Choose a unit for each answer, (answers, F), none twice."""
    effect = (weights - weights.mean(axis=0)) * spread if len(weights) > 1 else weights * spread
    chosen: list[tuple[int, str]] = []
    for answer, name in list(enumerate(answers))[:_MOST_UNITS]:
        free = [int(u) for u in np.argsort(-effect[answer], kind="stable") if u not in {c for c, _ in chosen}]
        if free:
            chosen.append((free[0], name))
    return chosen


def saliency_exhibits(
    network: Network, sample: Sample, rows: Sequence[int], recipe: Recipe, answers: Sequence[str], *, seed: int
) -> Iterator[Pair]:
    """Show for some galaxies which pixels the log odds of their likeliest answer hang on."""
    for row in rows:
        likeliest = int(sample.conditional[row, _first(sample)].argmax())
        gradients = smooth_gradients(network, sample.stamps[row], likeliest, sample.morphometry[row], seed=seed)
        shown = np.asarray(_flipped(gradients, sample), np.float32)
        # Kernels that step over every second pixel leave their grid in gradients, which is nothing to read: smooth it
        # away. Single pixels would make all others dark (Smilkov et al. 2017, section 3.1): clip them.
        smooth = np.asarray(scipy.ndimage.gaussian_filter(shown, SALIENCY_SIGMA_PX), np.float32)
        coloured = sequential(smooth, 0.0, float(np.percentile(smooth, 99.5)))
        share = float(sample.conditional[row, likeliest])
        yield Pair(
            sample.names[row],
            png_uri(_stamp(sample, row, recipe)),
            png_uri(coloured),
            ShareBar(answers[likeliest], share, likeliest),
        )


def galaxy_card(sample: Sample, row: int, recipe: Recipe, *, pictured: bool = True) -> GalaxyCard:
    """Make a card of a galaxy with labels, with its stamp or without."""
    if sample.judged is None:
        raise ValueError(f"galaxy {row} has no labels")
    answers = short_names(sample.judged.scheme)
    where = _first(sample)
    likeliest, truth = int(sample.judged.likeliest[row]), int(sample.judged.truth[row])
    return GalaxyCard(
        sample.names[row],
        png_uri(_stamp(sample, row, recipe)) if pictured else "",
        [
            ShareBar(a, float(p), i)
            for i, (a, p) in enumerate(zip(answers, sample.conditional[row, where], strict=True))
        ],
        sample.judged.labels.fractions[row, where].tolist(),
        answers[likeliest],
        answers[truth],
        colour_of(likeliest),
    )
