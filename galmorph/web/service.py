"""Service: classifies galaxies that come one by one, as many as it can, and says so when these are too many."""

from __future__ import annotations

import asyncio
import logging
import platform
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import galmorph
from galmorph.errors import BusyError, ImageError, NotReadyError
from galmorph.flags import Flag
from galmorph.web.galaxy_request import GalaxyRequest
from galmorph.web.job_queue import JobQueue
from galmorph.web.microbatches import MicroBatches
from galmorph.web.served_models import ServedModels, shipped_survey
from galmorph.web.service_settings import ServiceSettings

if TYPE_CHECKING:
    from galmorph.nets.checkpoint.file import Checkpoint
    from galmorph.runs.answering import MeasuredRows
    from galmorph.runs.outcome import Outcome

__all__ = ["Service"]

log = logging.getLogger(__name__)


class Service:
    """The models, the threads that measure, and the queue before them.

    Parameters
    ----------
    settings
        How much it takes.
    store
        Of models, images and labels; None for none.
    """

    def __init__(self, settings: ServiceSettings, store: Any = None) -> None:
        self.settings, self.store = settings, store
        self.models = ServedModels(store, settings.checkpoints, settings.computing, settings.store)
        self.jobs = None if store is None else _jobs(store, settings, self.models)
        self.is_ready = False
        self.failure: BaseException | None = None
        self.on_failure: Callable[[], None] | None = None
        self.waiting = self.waiting_for_archives = 0
        self.batches = MicroBatches(settings.window_s)
        self._measuring = ThreadPoolExecutor(settings.measuring, "galmorph-measuring")
        self._archives = ThreadPoolExecutor(2, "galmorph-archives")

    async def load(self) -> None:
        """Load the models, while health is asked for."""
        await asyncio.get_running_loop().run_in_executor(self._measuring, self.models.load)
        self.is_ready = True

    def note(self, loading: asyncio.Task[None]) -> None:
        """Take note of why the models could not be loaded, and tell whoever runs the service."""
        if loading.cancelled() or (failure := loading.exception()) is None:
            return
        self.failure = failure
        log.error("the models cannot be loaded: %s", failure)
        if self.on_failure is not None:
            self.on_failure()

    def close(self) -> None:
        """Stop measuring and answering."""
        self.batches.close()
        for threads in (self._measuring, self._archives):
            threads.shutdown(wait=False, cancel_futures=True)

    def check_room(self) -> None:
        """Refuse what would have to wait for too many others, before it is read.

        Raises
        ------
        BusyError
            If the queue is full.
        """
        if self.waiting >= self.settings.queue:
            raise BusyError(f"{self.waiting} galaxies wait already: send the same again in a second")

    async def classify(self, asked: GalaxyRequest) -> Outcome:
        """Classify one galaxy.

        Returns
        -------
        Outcome
            Of one row: the bits that ``galmorph classify`` gives for the same image. Its plan is open; whoever asked
            closes it.

        Raises
        ------
        BusyError, NotReadyError
            If too many wait, no model is loaded yet, or it took too long.
        GalmorphError
            If something does not fit, or the image cannot be read.
        """
        model = self.models.chosen(asked.model, asked.survey, asked.band)
        with self._place(asked):
            try:
                async with asyncio.timeout(self.settings.timeout_s):
                    rows = await self._prepared(asked, model)
                    outcome = await self.batches.answer(rows)
            except TimeoutError as error:
                raise NotReadyError(f"it took more than {self.settings.timeout_s:g} s: send it later") from error
        if not asked.is_of_archive and outcome.results.flags[0] & Flag.FETCH_FAILED:
            outcome.plan.close()
            raise ImageError(f"image '{asked.name}' cannot be read: it is damaged, or no picture; send a sound one")
        return outcome

    async def _prepared(self, asked: GalaxyRequest, model: Checkpoint) -> MeasuredRows:
        threads = self._archives if asked.is_of_archive else self._measuring
        return await asyncio.get_running_loop().run_in_executor(threads, self._prepare, asked, model)

    def _prepare(self, asked: GalaxyRequest, model: Checkpoint) -> MeasuredRows:
        survey = shipped_survey(asked.survey)
        images = {asked.name: asked.content} if asked.content is not None else ()
        return galmorph.prepare(
            asked.row,
            images,
            survey=survey,
            band=asked.band,
            field=asked.field if asked.is_of_archive else None,
            checkpoint=model,
            rule=asked.rule,
            **self.settings.computing,
        )

    @contextmanager
    def _place(self, asked: GalaxyRequest) -> Iterator[None]:
        """Hold a place in the queue."""
        self.check_room()
        of_archive = int(asked.is_of_archive)
        if of_archive and self.waiting_for_archives >= self.settings.archive_queue:
            raise BusyError("too many galaxies wait for archives: send the same again in some seconds")
        self.waiting += 1
        self.waiting_for_archives += of_archive
        try:
            yield
        finally:
            self.waiting -= 1
            self.waiting_for_archives -= of_archive


def _jobs(store: Any, settings: ServiceSettings, models: ServedModels) -> JobQueue:
    folder = settings.home / "jobs"
    return JobQueue(store.jobs(f"{platform.node()}:{folder.resolve()}"), models, folder)
