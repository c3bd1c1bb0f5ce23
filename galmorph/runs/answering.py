"""Answering: classification in two steps, for whoever gets galaxies one by one and shows them to the network together.

Measuring needs the images, and can go on in several threads or processes; a network computes a full batch in the time
of a single stamp, and belongs to one thread. What comes out is, bit for bit, what ``classify`` of
:mod:`galmorph.runs.classify` says of the same rows, whatever company they are in.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from galmorph.errors import CheckpointError
from galmorph.runs.columns import new_columns
from galmorph.runs.outcome import Outcome
from galmorph.runs.parts import answer_part, measure_part
from galmorph.runs.plan import Plan
from galmorph.runs.predictor import Answerer, ShownStamps, own_cores
from galmorph.runs.provenance import provenance_of
from galmorph.runs.results import Results

__all__ = ["MeasuredRows", "answer", "prepare"]


@dataclass(frozen=True)
class MeasuredRows:
    """Rows of a plan that were measured and cut, and wait for the network.

    Parameters
    ----------
    plan
        Open; :meth:`close` closes it.
    results
        Of its rows, without probabilities.
    shown
        What the network is to see; None where no row has a stamp.
    """

    plan: Plan
    results: Results
    shown: ShownStamps | None

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.results)

    @property
    def batch(self) -> int:
        """How many rows the network computes at once."""
        answerer = self.plan.run.answerer
        return answerer.batch if answerer is not None else 1

    def close(self) -> None:
        """Close the files."""
        self.plan.close()


def prepare(plan: Plan) -> MeasuredRows:
    """Measure all rows of a plan, and cut their stamps.

    Raises
    ------
    GalmorphError
        One of its kinds for each thing that does not fit; what was opened is closed.
    """
    with ExitStack() as unless_done:
        unless_done.callback(plan.close)
        results, shown = measure_part(plan, np.arange(len(plan.run.catalog)))
        unless_done.pop_all()
    return MeasuredRows(plan, results, shown)


def answer(prepared: Sequence[MeasuredRows], command: str) -> list[Outcome]:
    """Show what was prepared to the network, all of it together.

    Parameters
    ----------
    prepared
        With the same checkpoint and settings.
    command
        What is named as the origin.

    Raises
    ------
    CheckpointError
        If they differ in what computes.
    """
    if not prepared:
        return []
    plan = prepared[0].plan
    if any(
        each.plan.run.checkpoint is not plan.run.checkpoint or each.plan.settings != plan.settings for each in prepared
    ):
        raise CheckpointError(
            "rows for several checkpoints or settings came together: answer those of each by themselves"
        )
    waiting = [each for each in prepared if each.shown is not None]
    if waiting and plan.run.answerer is not None:
        _owner().submit(_answer, waiting, plan.run.answerer).result()
    return [_outcome(each, command) for each in prepared]


@cache
def _owner() -> ThreadPoolExecutor:
    """Return the only thread that networks of services compute in."""
    return ThreadPoolExecutor(1, "galmorph-network", initializer=own_cores())


def _answer(waiting: Sequence[MeasuredRows], answerer: Answerer) -> None:
    """Fill the probabilities of rows that have stamps, in batches across the plans."""
    shown = ShownStamps.joined([each.shown for each in waiting if each.shown is not None])
    shown = replace(shown, rows=np.arange(len(shown)))
    results = waiting[0].plan.run.blank(len(shown))
    answerer.into(results, shown)
    first = 0
    for each in waiting:
        first = _take(each, results, first)


def _take(prepared: MeasuredRows, results: Results, first: int) -> int:
    """Enter what the network says of one plan's rows, from a place on; return where the next one's begin."""
    rows = prepared.shown.rows if prepared.shown is not None else np.zeros(0, np.intp)
    end = first + len(rows)
    for name in ("conditional", "spread", "distance", "features"):
        getattr(prepared.results, name)[rows] = getattr(results, name)[first:end]
    return end


def _outcome(prepared: MeasuredRows, command: str) -> Outcome:
    plan, results = prepared.plan, prepared.results
    answer_part(plan, results, None)  # the flags that depend on probabilities
    run = plan.run
    columns = new_columns(results, run.images, run.settings, run.checkpoint)
    return Outcome(plan, results, columns, provenance_of(run, command))
