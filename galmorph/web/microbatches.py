"""MicroBatches: galaxies that were measured wait a moment for company, and are shown to the network together."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import galmorph

if TYPE_CHECKING:
    from galmorph.runs.answering import MeasuredRows
    from galmorph.runs.outcome import Outcome

__all__ = ["MicroBatches"]

_COMMAND = "galmorph serve"


@dataclass(frozen=True)
class _Waiting:
    rows: MeasuredRows
    outcome: asyncio.Future[Outcome]


class MicroBatches:
    """The one worker that owns the models: whatever came while it computed is its next batch.

    Parameters
    ----------
    window_s
        How long the first galaxy of a batch waits for others.
    """

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue()
        self._owner = ThreadPoolExecutor(1, "galmorph-answers")
        self._task: asyncio.Task[None] | None = None
        self.batches = self.galaxies = 0

    async def answer(self, rows: MeasuredRows) -> Outcome:
        """Wait for the outcome of some rows."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())
        waiting = _Waiting(rows, asyncio.get_running_loop().create_future())
        self._queue.put_nowait(waiting)
        return await waiting.outcome

    def close(self) -> None:
        """Stop; who waits waits for nothing."""
        if self._task is not None:
            self._task.cancel()
        self._owner.shutdown(wait=False, cancel_futures=True)

    async def _work(self) -> None:
        while True:
            batch = [await self._queue.get()]
            await self._collect(batch)
            for alike in _alike(each for each in batch if not each.outcome.done()):
                await self._answer(alike)

    async def _collect(self, batch: list[_Waiting]) -> None:
        """Add what waits already, and what comes in the window as long as the batch is not full."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._window_s
        while len(batch) < batch[0].rows.batch:
            try:
                async with asyncio.timeout_at(end):
                    batch.append(await self._queue.get())
            except TimeoutError:
                return

    async def _answer(self, batch: list[_Waiting]) -> None:
        """Answer rows of one model; what goes wrong is told to all who wait for it."""
        self.batches += 1
        self.galaxies += len(batch)
        call = asyncio.get_running_loop().run_in_executor(self._owner, _answered, [each.rows for each in batch])
        (outcomes,) = await asyncio.gather(call, return_exceptions=True)
        for number, each in enumerate(batch):
            if each.outcome.done():
                continue
            if isinstance(outcomes, BaseException):
                each.outcome.set_exception(outcomes)
            else:
                each.outcome.set_result(outcomes[number])


def _answered(rows: list[MeasuredRows]) -> list[Outcome]:
    return galmorph.answer(rows, command=_COMMAND)


def _alike(waiting: Iterable[_Waiting]) -> list[list[_Waiting]]:
    """Group by what computes: the model and the settings."""
    groups: dict[Any, list[_Waiting]] = {}
    for each in waiting:
        plan = each.rows.plan
        groups.setdefault((id(plan.run.checkpoint), plan.settings), []).append(each)
    return list(groups.values())
