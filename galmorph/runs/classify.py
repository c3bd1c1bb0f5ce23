"""Classification: a plan carried out part by part."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from galmorph.flags import UNCLASSIFIABLE, Flag
from galmorph.progress import Progress, silent
from galmorph.runs.blas import one_blas_thread
from galmorph.runs.columns import new_columns
from galmorph.runs.gather import Galaxy, galaxies, pixel_scale_of, views_of, warn_of_lost
from galmorph.runs.mismatch import mark_mismatches, warn_of_mismatches
from galmorph.runs.outcome import Outcome
from galmorph.runs.plan import Plan, Run
from galmorph.runs.predictor import Predictor
from galmorph.runs.provenance import provenance_of
from galmorph.runs.results import Results
from galmorph.sky.catalog import check_output, rehearse, write_catalog
from galmorph.sky.outputs import check_apart
from galmorph.stamps.recipe import half_width_px

__all__ = ["Plan", "classify", "classify_part", "parts_of"]

log = logging.getLogger(__name__)
IntArray = npt.NDArray[np.intp]

# The network waits for the first stamps of each part, and measuring for its last probabilities: little of so many rows.
_PART_ROWS = 8192
_PROGRESS_ROWS = 32  # some ten times a second


def classify(
    plan: Plan,
    *,
    output: str | Path | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
    command: str = "galmorph.classify",
) -> Outcome:
    """Measure every row of a catalogue and, unless the plan has no network, classify it.

    Parameters
    ----------
    plan
        What to do. Its files are left open, for looking at galaxies again, until whoever made it closes it.
    output, overwrite
        File for the catalogue with its new columns, in the format that its ending says.
    progress
        Told how many rows are done.
    command
        The command line, or the function that was called, for the provenance.

    Raises
    ------
    GalmorphError
        One of its kinds, before work starts, for each thing that does not fit.
    """
    if output is not None:
        check_output(output, overwrite=overwrite)
        check_apart([Path(output)], *plan.inputs)
    run = plan.run
    provenance = provenance_of(run, command)
    if output is not None:
        none = new_columns(run.blank(0), run.images, run.settings, run.checkpoint)
        rehearse(run.catalog, none, output, provenance)
    if len(run.catalog) == 0:
        log.warning("the catalogue has no rows: the output will have none either")
    results = _in_parts(plan, progress)
    warn_of_lost(results.flags)
    if run.checkpoint is not None:
        warn_of_mismatches(results, run.checkpoint, run.images)
    columns = new_columns(results, run.images, run.settings, run.checkpoint)
    outcome = Outcome(plan, results, columns, provenance)
    if output is not None:
        write_catalog(run.catalog, columns, output, provenance=provenance, overwrite=overwrite)
    return outcome


def parts_of(plan: Plan) -> Iterator[IntArray]:
    """Divide the rows of a plan's catalogue into parts, in the order of the tiles and blocks that they lie in."""
    rows = plan.run.gathering.in_order(np.arange(len(plan.run.catalog)))
    yield from (rows[first : first + _PART_ROWS] for first in range(0, len(rows), _PART_ROWS))


def _in_parts(plan: Plan, progress: Progress) -> Results:
    total = len(plan.run.catalog)
    results, before = plan.run.blank(total), 0
    for rows in parts_of(plan):
        results.put_part(rows, classify_part(plan, rows, progress=_after(before, total, progress)))
        before += len(rows)
    progress("rows", total, total)
    return results


def _after(before: int, of: int, progress: Progress) -> Progress:
    """Report a part's progress as that of the whole, of which some rows were done before."""

    def report(stage: str, done: int, total: int, remark: str = "") -> None:  # noqa: ARG001 - of the part
        progress(stage, before + done, of, remark)

    return report


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
    place = {row: n for n, row in enumerate(rows.tolist())}
    matrices, shares = run.distinct_views
    checkpoint, normalise = run.checkpoint, run.settings.normalise
    with Predictor(checkpoint, results, run.device, shares=shares, normalise=normalise) as predictor:
        for done, galaxy in enumerate(galaxies(run.gathering, rows), 1):
            results.put(place[galaxy.row], _with_edge(galaxy, run))
            if checkpoint is not None and galaxy.measured is not None and not galaxy.flags & UNCLASSIFIABLE:
                views = views_of(galaxy, run.images, checkpoint.recipe, matrices)
                predictor.add(place[galaxy.row], views)
            if done % _PROGRESS_ROWS == 0:
                progress("rows", done, len(rows))
        predictor.finish()
    if checkpoint is not None:
        results.mark_unanswered()
        mark_mismatches(results, checkpoint, run.images)
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
