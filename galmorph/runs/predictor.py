"""Predictor: shows stamps to the network, batch by batch, while the next galaxies are being measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt

from galmorph.runs.results import Results
from galmorph.stamps.morphometry import stacked
from galmorph.stamps.recipe import Stamp, stretch

if TYPE_CHECKING:
    from galmorph.nets.checkpoint.file import Checkpoint

__all__ = ["Predictor"]

FloatArray = npt.NDArray[np.float64]
# Kernels round by the shape of what they get: every batch has the same, the last one is filled up, so that a galaxy's
# probabilities do not depend on how many others there are. 32 are as fast as 128 on a processor, and fill up with less.
_BATCH = {"cpu": 32, "cuda": 128}


class Predictor:
    """Fills the probabilities of `results`; a context manager.

    The network computes in a thread of its own, one batch at a time: it lets go of Python's lock, so that measuring
    goes on, on a core that is left to it. No more than two batches are in memory.

    Parameters
    ----------
    checkpoint
        The network; with None nothing is predicted.
    results
        Receives the probabilities.
    device
        ``'cpu'`` or ``'cuda'``.
    batch
        Stamps shown at once: so many galaxies, or fewer with several views each; by default as suits the device.
    shares
        Weight of each view of a galaxy, (V,); equal by default.
    normalise
        Whether the spread is that of fractions scaled to sum to 1.
    """

    def __init__(
        self,
        checkpoint: Checkpoint | None,
        results: Results,
        device: str,
        *,
        batch: int | None = None,
        shares: FloatArray | None = None,
        normalise: bool = False,
    ) -> None:
        self._checkpoint, self._results, self._device = checkpoint, results, device
        batch = batch or _BATCH[device]
        self._batch = max(batch // (1 if shares is None else len(shares)), 1)
        self._shares, self._normalise = shares, normalise
        self._waiting: list[tuple[int, Stamp]] = []
        self._thread = ThreadPoolExecutor(1, initializer=_own_cores(checkpoint))
        self._running: Future[None] | None = None

    def add(self, row: int, stamp: Stamp) -> None:
        """Take a stamp, (C, S, S), or its views, (V, C, S, S); predict when there are enough."""
        self._waiting.append((row, stamp))
        if len(self._waiting) == self._batch:
            self._start()

    def finish(self) -> None:
        """Predict what is left, and wait for it."""
        self._start()
        self._wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(wait=True)

    def _start(self) -> None:
        self._wait()
        if self._checkpoint is not None and self._waiting:
            self._running = self._thread.submit(self._predict, self._checkpoint, self._waiting)
            self._waiting = []

    def _wait(self) -> None:
        if self._running is not None:
            self._running.result()
            self._running = None

    def _predict(self, checkpoint: Checkpoint, waiting: Sequence[tuple[int, Stamp]]) -> None:
        rows = np.array([row for row, _ in waiting])
        stamps = np.stack([stamp.pixels for _, stamp in waiting])
        full = np.minimum(np.arange(self._batch), len(rows) - 1)
        stamps = stamps.reshape(len(rows), -1, *stamps.shape[-3:])
        brightness = np.array([stamp.brightness for _, stamp in waiting], np.float32)[:, None, None, None, None]
        stretched = np.asarray(stretch(stamps, brightness, checkpoint.recipe), dtype=np.float32)
        answers = checkpoint.answer(
            stretched[full],
            self._shares,
            morphometry=stacked([stamp.morphometry for _, stamp in waiting])[full],
            device=self._device,
            normalised=self._normalise,
        )
        self._results.conditional[rows] = answers.conditional[: len(rows)]
        self._results.spread[rows] = answers.spread[: len(rows)]
        if (embedding := checkpoint.envelope.embedding) is not None:
            self._results.distance[rows] = embedding.distance(answers.features)[: len(rows)]


def _own_cores(checkpoint: Checkpoint | None) -> Callable[[], None] | None:
    """Return what leaves a core to measuring, once called in the thread of the network."""
    if checkpoint is None:
        return None
    from galmorph.nets.threads import one_less  # noqa: PLC0415 - torch, which only a network needs

    return one_less()
