"""Dask: parts carried out by the workers of a Dask cluster, one that is there or one of this machine's processes.

The scheduler gives a worker's parts to others where it dies, a few times; what kills them all ends as rows with
FETCH_FAILED. Files must be found under the same paths on all machines, and the same galmorph be installed there.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from galmorph.errors import PipelineError
from galmorph.progress import Progress
from galmorph.runs.parts import Part, classify_part, failed_part
from galmorph.runs.plan import Plan
from galmorph.runs.results import Results

__all__ = ["Dask"]

log = logging.getLogger(__name__)
_PATIENCE_S = 30
_GPU = "GPU"
"""Resource of workers with a GPU, as ``dask worker --resources GPU=1`` says it: one part at a time for each."""


class Dask:
    """Carries out parts by a Dask cluster.

    Parameters
    ----------
    scheduler
        Its address; None for a cluster of processes of this machine.
    workers
        How many of these.
    """

    def __init__(self, scheduler: str | None, workers: int) -> None:
        self._scheduler, self._workers = scheduler, workers

    def carry_out(self, plan: Plan, parts: Sequence[Part], progress: Progress) -> Iterator[tuple[Part, Results]]:
        """Yield the results of each part as it is done, the largest parts first.

        Raises
        ------
        PipelineError
            If Dask is not installed, or its scheduler cannot be reached.
        GalmorphError
            One of its kinds, where what is wrong concerns all rows.
        """
        total, done = sum(len(part) for part in parts), 0
        with ExitStack() as stack:
            distributed = _library()
            client = stack.enter_context(self._client(distributed, stack))
            [sent] = client.scatter([_Sent(plan.as_sent())], broadcast=True, hash=False)
            needs = _resources(client, plan)
            futures = {
                client.submit(_carried_out, sent, part.rows, pure=False, priority=len(part), resources=needs): part
                for part in parts
            }
            for future in distributed.as_completed(futures):
                part = futures.pop(future)
                results = _result(distributed, future, plan, part)
                done += len(part)
                progress("rows", done, total)
                yield part, results

    def _client(self, distributed: ModuleType, stack: ExitStack) -> Any:
        if self._scheduler is None:
            cluster = distributed.LocalCluster(
                n_workers=self._workers,
                threads_per_worker=1,
                dashboard_address=None,
                # Without a dashboard it still serves metrics, and warns where another has the usual port: any port.
                scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
                silence_logs=logging.ERROR,
            )
            return distributed.Client(stack.enter_context(cluster))
        try:
            return distributed.Client(self._scheduler, timeout=_PATIENCE_S)
        except (OSError, TimeoutError, ValueError) as error:
            raise PipelineError(
                f"scheduler '{self._scheduler}' does not answer ({error}): expected the address of a Dask scheduler, "
                "such as tcp://HOST:8786"
            ) from error


@dataclass(frozen=True)
class _Sent:
    """A plan on its way to the workers, and what they know it by."""

    plan: Plan
    token: str = field(default_factory=lambda: uuid.uuid4().hex)


_HERE = threading.local()
"""The plan that is open in each thread of a worker, whose next part mostly is of the same."""


def _carried_out(sent: _Sent, rows: npt.NDArray[np.intp]) -> Results:
    """Carry out a part in a worker."""
    if getattr(_HERE, "token", None) != sent.token:
        if hasattr(_HERE, "token"):
            _HERE.plan.close()
        _HERE.plan, _HERE.token = sent.plan, sent.token
    return classify_part(_HERE.plan, rows)


def _result(distributed: ModuleType, future: Any, plan: Plan, part: Part) -> Results:
    """Return what came of a part."""
    try:
        results: Results = future.result()
    except distributed.KilledWorker as error:
        log.warning("%d rows, the first of them %d (from 0): %s", len(part), part.rows[0], error)
        return failed_part(plan.run, part.rows)
    except CancelledError as error:
        raise PipelineError(
            "the Dask scheduler is gone, and with it what its workers were at: start it again; the same command goes "
            "on with the parts that are missing"
        ) from error
    future.release()
    return results


def _resources(client: Any, plan: Plan) -> dict[str, float] | None:
    """Return what of a worker each part takes: its GPU, where workers say that they have one."""
    if plan.run.device == "cpu":
        return None
    workers = client.scheduler_info()["workers"].values()
    return {_GPU: 1} if any(worker["resources"].get(_GPU) for worker in workers) else None


def _library() -> ModuleType:
    try:
        import distributed  # noqa: PLC0415 - an optional library, which takes a second
    except ImportError as error:
        raise PipelineError("engine 'dask' needs the library distributed: pip install 'galmorph[dask]'") from error
    library: ModuleType = distributed
    return library
