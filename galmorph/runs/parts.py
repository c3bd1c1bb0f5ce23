"""Parts: rows of a catalogue that are read, measured and classified together, wherever that is done.

What a part's rows get depends on nothing but the plan and the rows: not on the company they are in, nor on who works.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from galmorph.flags import UNCLASSIFIABLE, Flag
from galmorph.progress import Progress, silent
from galmorph.runs.blas import one_blas_thread
from galmorph.runs.block_galaxies import BlockGalaxies, Galaxy
from galmorph.runs.block_stamps import block_stamps
from galmorph.runs.blocks import block_of
from galmorph.runs.gather import pieces, pixel_scales, views_of
from galmorph.runs.mismatch import mark_mismatches
from galmorph.runs.plan import Plan, Run
from galmorph.runs.predictor import Predictor, ShownStamps
from galmorph.runs.results import Results
from galmorph.stamps.compiled import uninterrupted
from galmorph.stamps.recipe import half_widths_px

__all__ = ["PART_ROWS", "Part", "answer_part", "classify_part", "failed_part", "measure_part", "parts_of"]

IntArray = npt.NDArray[np.intp]
BoolArray = npt.NDArray[np.bool_]
DoubleArray = npt.NDArray[np.float64]

PART_ROWS = 512
"""Rows of a part, but for whole blocks of tiles: some seconds of work, which is what a killed process loses."""
# Of catalogues with so many parts of that size the parts grow, up to so many rows: each is a file while a run goes on.
_MANY_PARTS, _MOST_ROWS = 2000, 8192
_PROGRESS_ROWS = 32  # some ten times a second


@dataclass(frozen=True)
class Part:
    """Some rows of a catalogue: those of one block of a tile are in one part, so that it is read once.

    Parameters
    ----------
    number
        Of the part, from 0.
    rows
        (M,) numbers of rows.
    """

    number: int
    rows: IntArray

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.rows)


def parts_of(plan: Plan, part_rows: int | None = None) -> list[Part]:
    """Divide the rows of a plan's catalogue, in the order of the tiles and blocks that they lie in.

    Parameters
    ----------
    part_rows
        About so many rows in each; by default as suits the catalogue, whoever works on it.
    """
    gathering = plan.run.gathering
    rows = gathering.in_order(np.arange(len(plan.run.catalog)))
    size = part_rows or min(max(PART_ROWS, len(rows) // _MANY_PARTS), _MOST_ROWS)
    ends = list(range(size, len(rows), size))
    if gathering.blocks is not None:
        where, _ = gathering.where
        ends = _ends_of_blocks(block_of(where)[rows], size)
    return [Part(n, piece) for n, piece in enumerate(np.split(rows, ends)) if len(piece)]


def _ends_of_blocks(blocks: npt.NDArray[np.int64], size: int) -> list[int]:
    """Return where parts of about `size` rows end: with a block, unless it alone has more than twice as many.

    Parameters
    ----------
    blocks
        (N, 3) of each row, in order.
    """
    steps = np.flatnonzero((blocks[1:] != blocks[:-1]).any(axis=1)) + 1
    ends: list[int] = []
    first = 0
    for step in [*steps.tolist(), len(blocks)]:
        if step - first > 2 * size:
            ends += range(first + size, step - size + 1, size)
            first = ends[-1]
        if step - first >= size:
            ends.append(step)
            first = step
    return [end for end in ends if end < len(blocks)]


@one_blas_thread
def classify_part(plan: Plan, rows: IntArray, *, progress: Progress = silent) -> Results:
    """Measure, and unless the plan has no network classify, some rows: nothing else is needed or changed.

    The network computes while further galaxies are being measured.

    Parameters
    ----------
    rows
        (N,) numbers of rows; those that :func:`parts_of` puts together share blocks of tiles, which are read once.
    progress
        Told how many of them are done.

    Returns
    -------
    Results of the N rows in the order of `rows`.
    """
    run = plan.run
    results = run.blank(len(rows))
    with Predictor(run.answerer, results) as predictor:
        _measure_into(results, run, rows, predictor.show, progress)
        predictor.finish()
    _finish(results, run)
    return results


@one_blas_thread
def measure_part(plan: Plan, rows: IntArray) -> tuple[Results, ShownStamps | None]:
    """Measure some rows for a network that is elsewhere: :func:`answer_part` does the rest.

    Returns
    -------
    Results of the rows without probabilities, and what the network is shown; None where no row has a stamp.
    """
    run = plan.run
    results = run.blank(len(rows))
    stamps: list[ShownStamps] = []
    _measure_into(results, run, rows, stamps.append, silent)
    return results, ShownStamps.joined(stamps) if stamps else None


def answer_part(plan: Plan, results: Results, shown: ShownStamps | None) -> None:
    """Fill the probabilities of rows that were measured elsewhere, and their flags that depend on these."""
    if shown is not None and plan.run.answerer is not None:
        plan.run.answerer.into(results, shown)
    _finish(results, plan.run)


def _measure_into(
    results: Results, run: Run, rows: IntArray, show: Callable[[ShownStamps], None], progress: Progress
) -> None:
    """Measure rows, and show the stamps of those that have one."""
    order = np.argsort(rows)
    done = 0
    for piece in pieces(run.gathering, rows):
        if piece.alone:
            numbers = [galaxy.row for galaxy in piece.alone]
            _enter_alone(results, run, order[np.searchsorted(rows, numbers, sorter=order)], piece.alone, show)
        for galaxies in piece.together:
            _enter_block(results, run, order[np.searchsorted(rows, galaxies.rows, sorter=order)], galaxies, show)
        before, done = done, done + len(piece.rows)
        for some in range(before // _PROGRESS_ROWS + 1, done // _PROGRESS_ROWS + 1):
            progress("rows", some * _PROGRESS_ROWS, len(rows))


def _enter_alone(
    results: Results, run: Run, places: IntArray, galaxies: Sequence[Galaxy], show: Callable[[ShownStamps], None]
) -> None:
    """Enter galaxies in the results, and show the stamps of those that have one."""
    entries = list(zip(places.tolist(), galaxies, strict=True))
    for place, galaxy in entries:
        results.put(place, galaxy)
    _mark_off_edge(results, run, entries)
    if run.checkpoint is None:
        return
    recipe, (matrices, _) = run.checkpoint.recipe, run.distinct_views
    with uninterrupted():  # once for all of them, and not for each
        stamps = [
            (place, views_of(galaxy, run.images, recipe, matrices))
            for place, galaxy in entries
            if galaxy.measured is not None and not galaxy.flags & UNCLASSIFIABLE
        ]
    if stamps:
        show(ShownStamps.of(stamps, recipe))


def _enter_block(
    results: Results, run: Run, places: IntArray, galaxies: BlockGalaxies, show: Callable[[ShownStamps], None]
) -> None:
    """Enter galaxies of a block, all of which are measured, in the results, and show their stamps."""
    if len(galaxies.rows) == 0:
        return
    results.put_block(places, galaxies)
    results.flags[places[_off_edge(galaxies, run)]] |= int(Flag.OFF_EDGE)
    if run.checkpoint is not None:
        matrices, _ = run.distinct_views
        show(block_stamps(galaxies, places, run.images, run.checkpoint.recipe, matrices))


def _finish(results: Results, run: Run) -> None:
    """Set the flags that depend on probabilities."""
    if run.checkpoint is not None:
        results.mark_unanswered()
        mark_mismatches(results, run.checkpoint, run.images)


def failed_part(run: Run, rows: Sequence[int] | IntArray) -> Results:
    """Return the results of rows that whoever worked on them did not survive: FETCH_FAILED, and nothing else."""
    results = run.blank(len(rows))
    results.mark(np.ones(len(rows), np.bool_), Flag.FETCH_FAILED)
    return results


def _mark_off_edge(results: Results, run: Run, entries: Sequence[tuple[int, Galaxy]]) -> None:
    """Flag the galaxies with cutouts of their own, each with its place in the results, whose stamps are OFF_EDGE."""
    measured = [
        (place, galaxy.cutout, galaxy.measured)
        for place, galaxy in entries
        if galaxy.cutout is not None and galaxy.measured is not None
    ]
    if not measured:
        return
    scales = pixel_scales([cutout.scale_arcsec for _, cutout, _ in measured], run.images)
    rpet_px, extent_px = np.array([(m.rpet_px, m.extent_px) for _, _, m in measured]).T
    reach = half_widths_px(rpet_px, extent_px, run.recipe, scales)
    centres = np.array([(m.x, m.y) if np.isfinite(m.x) else (cutout.x, cutout.y) for _, cutout, m in measured])
    sizes = np.array([cutout.shape[::-1] for _, cutout, _ in measured])
    # A display stamp has nothing beyond its edges, however wide the window was.
    clipped = np.array([cutout.clipped if run.images.has_edges else (True,) * 4 for _, cutout, _ in measured])
    is_past = _is_past(centres, reach[:, None], sizes, clipped)
    results.flags[np.array([place for place, _, _ in measured])[is_past]] |= int(Flag.OFF_EDGE)


def _off_edge(galaxies: BlockGalaxies, run: Run) -> BoolArray:
    """Tell where the stamps of galaxies of a block need pixels past the edge of the image, (N,)."""
    values, scales = galaxies.values, pixel_scales(galaxies.scales_arcsec, run.images)
    reach = half_widths_px(values["rpet_px"], values["extent_px"], run.recipe, scales)
    return _is_past(galaxies.centres, reach[:, None], galaxies.windows[:, [3, 2]], galaxies.clipped)


def _is_past(centre: DoubleArray, reach: DoubleArray, size: IntArray, clipped: BoolArray) -> BoolArray:
    """Tell where stamps reach past the edges of cutouts that are clipped there.

    Parameters
    ----------
    centre, size
        (..., 2) x and y, and width and height.
    clipped
        (..., 4) left, right, bottom, top.
    """
    before, after = centre - reach < -0.5, centre + reach > size - 0.5
    return np.asarray(((clipped[..., 0::2] & before) | (clipped[..., 1::2] & after)).any(axis=-1), np.bool_)
