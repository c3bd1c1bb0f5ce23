"""Engine: the interface of all that carries out the parts of a plan, and how one is chosen."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Protocol

from galmorph.progress import Progress
from galmorph.runs.engines.dask_cluster import Dask
from galmorph.runs.engines.local import Local
from galmorph.runs.engines.pool import Pool
from galmorph.runs.execution import Execution
from galmorph.runs.parts import Part
from galmorph.runs.plan import Plan
from galmorph.runs.results import Results

__all__ = ["Engine", "engine_for"]

# A process takes some three seconds to begin; so many rows take longer.
_ROWS_FOR_A_POOL = 2000
# An archive is asked for a few things at a time by each process: it is not ours alone.
_PROCESSES_OF_AN_ARCHIVE = 4


class Engine(Protocol):
    """What carries out the parts of a plan, in whatever order and wherever."""

    def carry_out(self, plan: Plan, parts: Sequence[Part], progress: Progress) -> Iterator[tuple[Part, Results]]:
        """Yield the results of each part as it is done.

        Parameters
        ----------
        plan
            What to do; its files are open.
        progress
            Told how many rows of the parts are done.

        Raises
        ------
        GalmorphError
            One of its kinds, where what is wrong concerns all rows.
        """


def engine_for(execution: Execution, plan: Plan, parts: Sequence[Part]) -> Engine:
    """Choose what carries out parts: processes where it pays, this one where it does not."""
    asked, workers = execution.engine, _processes(execution, plan, len(parts))
    if asked == "dask" or execution.scheduler is not None:
        return Dask(execution.scheduler, workers)
    is_long = sum(len(part) for part in parts) >= _ROWS_FOR_A_POOL
    is_worth_it = workers > 1 and plan.is_portable and (is_long or execution.workers is not None)
    is_pool = asked == "pool" or (asked == "auto" and is_worth_it)
    return Pool(workers, feeds=plan.run.device != "cpu") if is_pool else Local()


def _processes(execution: Execution, plan: Plan, parts: int) -> int:
    """Return how many processes there are: of this machine's cores those that are ours."""
    usual = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not plan.run.images.is_here:
        usual = min(usual, _PROCESSES_OF_AN_ARCHIVE)
    return max(min(execution.workers or usual, parts), 1)
