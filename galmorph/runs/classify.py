"""Classification: a plan carried out part by part, whoever works on them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from galmorph.progress import Progress, onwards, silent
from galmorph.runs.column_pieces import columns_of
from galmorph.runs.columns import new_columns
from galmorph.runs.engines import engine_for
from galmorph.runs.execution import IN_HERE, Execution
from galmorph.runs.fingerprint import fingerprint_of, image_stamps, warn_of_changes
from galmorph.runs.gather import warn_of_lost
from galmorph.runs.journal import Journal
from galmorph.runs.mismatch import warn_of_mismatches
from galmorph.runs.outcome import Outcome
from galmorph.runs.parts import Part, parts_of
from galmorph.runs.plan import Plan
from galmorph.runs.provenance import provenance_of
from galmorph.runs.results import Results
from galmorph.runs.status import HEADER, Status, folder_of, read_status
from galmorph.sky.catalog import check_output, rehearse, write_catalog
from galmorph.sky.outputs import check_apart

__all__ = ["Plan", "classify", "classify_share"]

log = logging.getLogger(__name__)


def classify(
    plan: Plan,
    *,
    output: str | Path | None = None,
    overwrite: bool = False,
    execution: Execution = IN_HERE,
    progress: Progress = silent,
    command: str = "galmorph.classify",
) -> Outcome:
    """Measure every row of a catalogue and, unless the plan has no network, classify it.

    Where there is an output and more than one part, the parts that are done are kept beside it until it is written:
    after whatever stops the run, the same call goes on with those that are missing.

    Parameters
    ----------
    plan
        What to do. Its files are left open, for looking at galaxies again, until whoever made it closes it.
    output, overwrite
        File for the catalogue with its new columns, in the format that its ending says.
    execution
        Who carries it out.
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
        _check(plan, output, overwrite=overwrite)
    run = plan.run
    provenance = provenance_of(run, command)
    if output is not None:
        none = new_columns(run.blank(0), run.images, run.settings, run.checkpoint)
        rehearse(run.catalog, none, output, provenance)
    if len(run.catalog) == 0:
        log.warning("the catalogue has no rows: the output will have none either")
    parts, images = parts_of(plan), image_stamps(plan.images)
    journal = _journal(plan, parts, output) if output is not None and _has_journal(parts, output) else None
    run.catalog.forget()
    results = _results(plan, parts, execution, journal, progress)
    warn_of_changes(images)
    warn_of_lost(results.flags)
    if run.checkpoint is not None:
        warn_of_mismatches(results, run.checkpoint, run.images)
    columns = columns_of(results, run, None if output is None else Path(output).parent)
    outcome = Outcome(plan, results, columns, provenance)
    if output is not None:
        write_catalog(run.catalog, columns, output, provenance=provenance, overwrite=overwrite)
    if journal is not None:
        journal.remove()
    return outcome


def classify_share(
    plan: Plan, *, output: str | Path, overwrite: bool = False, execution: Execution, progress: Progress = silent
) -> Status:
    """Carry out a share of the parts, and leave them beside the output for the run that writes it.

    Parameters
    ----------
    plan, output, overwrite, progress
        As of :func:`classify`, which does the parts that no share did, and then writes the output.
    execution
        Says which share.

    Returns
    -------
    How far the whole is.
    """
    _check(plan, output, overwrite=overwrite)
    parts = parts_of(plan)
    journal = _journal(plan, parts, output)
    mine = [part for part in execution.of(parts) if journal.read(part) is None]
    for part, results in _carried_out(plan, mine, execution, journal, progress):
        log.debug("part %d: %d rows done", part.number, len(results))
    return read_status(output)


def _check(plan: Plan, output: str | Path, *, overwrite: bool) -> None:
    check_output(output, overwrite=overwrite)
    check_apart([Path(output), folder_of(output)], *plan.inputs)


def _has_journal(parts: Sequence[Part], output: str | Path) -> bool:
    """Tell whether parts are kept: one alone is not, but where a share left it."""
    return len(parts) > 1 or (folder_of(output) / HEADER).exists()


def _journal(plan: Plan, parts: Sequence[Part], output: str | Path) -> Journal:
    return Journal.begin(folder_of(output), fingerprint_of(plan), parts)


def _results(
    plan: Plan, parts: Sequence[Part], execution: Execution, journal: Journal | None, progress: Progress
) -> Results:
    """Return the results of all parts: those that were done before, and those that are missing, carried out now."""
    results, missing, total = _room(plan, journal), [], sum(len(part) for part in parts)
    for part in parts:
        done = journal.read(part) if journal is not None else None
        if done is None:
            missing.append(part)
        else:
            results.put_part(part.rows, done)
    before = total - sum(len(part) for part in missing)
    if before:
        log.info("%d of %d rows were done before", before, total)
    for part, done in _carried_out(plan, missing, execution, journal, onwards(before, total, progress)):
        results.put_part(part.rows, done)
    if not missing:
        progress("rows", total, total)
    return results


def _room(plan: Plan, journal: Journal | None) -> Results:
    """Make room for the results: those of many rows lie where the parts do, and not in memory."""
    run, rows = plan.run, len(plan.run.catalog)
    return run.blank(rows) if journal is None else Results.recorded(run.blank(0), rows, journal.folder.parent)


def _carried_out(
    plan: Plan, parts: Sequence[Part], execution: Execution, journal: Journal | None, progress: Progress
) -> Iterator[tuple[Part, Results]]:
    """Carry out parts, and keep each when it is done."""
    if not parts:
        return
    try:
        for part, results in engine_for(execution, plan, parts).carry_out(plan, parts, progress):
            if journal is not None:
                journal.write(part, results)
            yield part, results
    except KeyboardInterrupt:
        if journal is not None:
            log.warning("what is done is kept in '%s': the same command goes on with the rest", journal.folder)
        raise
