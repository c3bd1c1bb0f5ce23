"""Parts: rows of a catalogue that are read, measured and classified together, wherever that is done.

What a part's rows get depends on nothing but the plan and the rows: not on the company they are in, nor on who works.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from galmorph.flags import UNCLASSIFIABLE, Flag
from galmorph.progress import Progress, silent
from galmorph.runs.blas import one_blas_thread
from galmorph.runs.blocks import block_of
from galmorph.runs.gather import Galaxy, galaxies, pixel_scale_of, views_of
from galmorph.runs.mismatch import mark_mismatches
from galmorph.runs.plan import Plan, Run
from galmorph.runs.predictor import Predictor, ShownStamps, answer_into, batch_of
from galmorph.runs.results import Results
from galmorph.stamps.recipe import Stamp, half_width_px

__all__ = ["PART_ROWS", "Part", "answer_part", "classify_part", "failed_part", "measure_part", "parts_of"]

IntArray = npt.NDArray[np.intp]

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
    _, shares = run.distinct_views
    normalise = run.settings.normalise
    with Predictor(run.checkpoint, results, run.device, shares=shares, normalise=normalise) as predictor:
        _measure_into(results, run, rows, predictor.add, progress)
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
    stamps: list[tuple[int, Stamp]] = []
    _measure_into(results, run, rows, lambda row, stamp: stamps.append((row, stamp)), silent)
    return results, ShownStamps.of(stamps, run.recipe) if stamps else None


def answer_part(plan: Plan, results: Results, shown: ShownStamps | None) -> None:
    """Fill the probabilities of rows that were measured elsewhere, and their flags that depend on these."""
    run = plan.run
    _, shares = run.distinct_views
    if shown is not None and run.checkpoint is not None:
        batch = batch_of(run.device, len(shares))
        normalise = run.settings.normalise
        answer_into(results, shown, run.checkpoint, run.device, batch=batch, shares=shares, normalise=normalise)
    _finish(results, run)


def _measure_into(
    results: Results, run: Run, rows: IntArray, show: Callable[[int, Stamp], None], progress: Progress
) -> None:
    """Measure rows, and show the stamps of those that have one."""
    place = {row: n for n, row in enumerate(rows.tolist())}
    matrices, _ = run.distinct_views
    checkpoint = run.checkpoint
    for done, galaxy in enumerate(galaxies(run.gathering, rows), 1):
        results.put(place[galaxy.row], _with_edge(galaxy, run))
        if checkpoint is not None and galaxy.measured is not None and not galaxy.flags & UNCLASSIFIABLE:
            show(place[galaxy.row], views_of(galaxy, run.images, checkpoint.recipe, matrices))
        if done % _PROGRESS_ROWS == 0:
            progress("rows", done, len(rows))


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


def _with_edge(galaxy: Galaxy, run: Run) -> Galaxy:
    """Add OFF_EDGE where the stamp needs pixels past the edge of the image."""
    cutout, measured = galaxy.cutout, galaxy.measured
    if cutout is None or measured is None:
        return galaxy
    reach = half_width_px(measured, run.recipe, pixel_scale_of(cutout, run.images))
    x, y = (measured.x, measured.y) if np.isfinite(measured.x) else (cutout.x, cutout.y)
    height, width = cutout.shape
    # A display stamp has nothing beyond its edges, however wide the window was.
    left, right, bottom, top = cutout.clipped if run.images.has_edges else (True,) * 4
    past = (left and x - reach < -0.5) or (right and x + reach > width - 0.5)
    past = past or (bottom and y - reach < -0.5) or (top and y + reach > height - 0.5)
    return replace(galaxy, flags=galaxy.flags | Flag.OFF_EDGE) if past else galaxy
