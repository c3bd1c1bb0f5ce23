"""Predictor: shows stamps to the network, batch by batch, while the next galaxies are being measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt

from galmorph.runs.results import Results
from galmorph.stamps.cutting import stretch_in_place
from galmorph.stamps.morphometry import stacked
from galmorph.stamps.recipe import Recipe, Stamp

if TYPE_CHECKING:
    from galmorph.nets.checkpoint.file import Checkpoint

__all__ = ["Predictor", "ShownStamps", "answer_into", "batch_of", "own_cores"]

FloatArray = npt.NDArray[np.float64]
# Kernels round by the shape of what they get: every batch has the same, the last one is filled up, so that a galaxy's
# probabilities do not depend on how many others there are. 32 are as fast as 128 on a processor, and fill up with less.
_BATCH = {"cpu": 32, "cuda": 1024}


@dataclass(frozen=True)
class ShownStamps:
    """What a network is shown of some rows.

    Parameters
    ----------
    rows
        (N,) numbers of the rows in the results that are to be filled.
    pixels
        Stretched stamps of their views, (N, V, C, S, S).
    morphometry
        (N, K) as of :func:`galmorph.stamps.morphometry.stacked`.
    """

    rows: npt.NDArray[np.intp]
    pixels: npt.NDArray[np.float32]
    morphometry: npt.NDArray[np.float32]

    @classmethod
    def of(cls, stamps: Sequence[tuple[int, Stamp]], recipe: Recipe) -> ShownStamps:
        """Stretch the stamps of some rows, and put them together; there must be some."""
        pixels = np.stack([stamp.pixels for _, stamp in stamps])
        stretch_in_place(pixels, [stamp.brightness for _, stamp in stamps], recipe)
        return cls(
            np.array([row for row, _ in stamps]),
            pixels.reshape(len(stamps), -1, *pixels.shape[-3:]),
            stacked([stamp.morphometry for _, stamp in stamps]),
        )

    @classmethod
    def joined(cls, pieces: Sequence[ShownStamps]) -> ShownStamps:
        """Put those of several pieces one after the other; there must be some."""
        if len(pieces) == 1:
            return pieces[0]
        return cls(*(np.concatenate([getattr(piece, each.name) for piece in pieces]) for each in fields(cls)))

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.rows)

    def __getitem__(self, chosen: slice) -> ShownStamps:
        """Return those of some of the rows."""
        return ShownStamps(self.rows[chosen], self.pixels[chosen], self.morphometry[chosen])


def batch_of(device: str, views: int = 1) -> int:
    """Return how many galaxies with so many views are shown at once."""
    return max(_BATCH[device] // views, 1)


def answer_into(
    results: Results,
    shown: ShownStamps,
    checkpoint: Checkpoint,
    device: str,
    *,
    batch: int,
    shares: FloatArray | None = None,
    normalise: bool = False,
    light: int = 0,
) -> None:
    """Fill the probabilities of some rows, in batches of always the same size; `light` as of the settings."""
    for first in range(0, len(shown.rows), batch):
        rows = shown.rows[first : first + batch]
        full = first + np.minimum(np.arange(batch), len(rows) - 1)
        answers = checkpoint.answer(
            shown.pixels[full], shares, morphometry=shown.morphometry[full], device=device, normalised=normalise
        )
        results.conditional[rows] = answers.conditional[: len(rows)]
        results.spread[rows] = answers.spread[: len(rows)]
        if results.features.shape[1]:
            first_of_light = results.features.shape[1] - checkpoint.n_light(light)
            results.features[rows, :first_of_light] = answers.features[: len(rows), :first_of_light]
            if light:
                numbers = checkpoint.light(shown.pixels[full], shares, light)
                results.features[rows, first_of_light:] = numbers[: len(rows)]
        if (embedding := checkpoint.envelope.embedding) is not None:
            results.distance[rows] = embedding.distance(answers.features)[: len(rows)]


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
    light
        In how many rings the light of the stamps is summed up; 0 for none.
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
        light: int = 0,
    ) -> None:
        self._checkpoint, self._results, self._device = checkpoint, results, device
        views = 1 if shares is None else len(shares)
        self._batch = batch_of(device, views) if batch is None else max(batch // views, 1)
        self._shares, self._normalise, self._light = shares, normalise, light
        self._waiting: list[ShownStamps] = []
        self._count = 0
        self._thread = ThreadPoolExecutor(1, initializer=None if checkpoint is None else own_cores())
        self._running: Future[None] | None = None

    def show(self, stamps: ShownStamps) -> None:
        """Take the stamps of some rows; predict when there are enough."""
        self._waiting.append(stamps)
        self._count += len(stamps)
        if self._count >= self._batch:
            self._start(self._count // self._batch * self._batch)

    def finish(self) -> None:
        """Predict what is left, and wait for it."""
        self._start(self._count)
        self._wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(wait=True)

    def _start(self, count: int) -> None:
        """Show the first so many of those that wait, once those before them have been answered."""
        self._wait()
        if self._checkpoint is not None and count:
            stamps = ShownStamps.joined(self._waiting)
            self._running = self._thread.submit(self._predict, self._checkpoint, stamps[:count])
            self._waiting, self._count = [stamps[count:]], self._count - count

    def _wait(self) -> None:
        if self._running is not None:
            self._running.result()
            self._running = None

    def _predict(self, checkpoint: Checkpoint, shown: ShownStamps) -> None:
        answer_into(
            self._results,
            shown,
            checkpoint,
            self._device,
            batch=self._batch,
            shares=self._shares,
            normalise=self._normalise,
            light=self._light,
        )


def own_cores() -> Callable[[], None]:
    """Return what leaves a core to measuring, once called in the thread of the network."""
    from galmorph.nets.threads import one_less  # noqa: PLC0415 - torch, which only a network needs

    return one_less()
