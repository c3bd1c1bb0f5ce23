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

__all__ = ["Answerer", "Predictor", "ShownStamps", "own_cores"]

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


@dataclass(frozen=True)
class Answerer:
    """A checkpoint, and how it is asked.

    Parameters
    ----------
    checkpoint
        The network.
    device
        ``'cpu'`` or ``'cuda'``.
    shares
        Weight of each view of a galaxy, (V,); None where there is one.
    normalise
        Whether the spread is that of fractions scaled to sum to 1.
    light
        In how many rings the light of the stamps is summed up; 0 for none.
    half
        Whether convolutions are computed in bfloat16.
    stamps
        Shown at once: so many galaxies, or fewer with several views each; None as suits the device.
    """

    checkpoint: Checkpoint
    device: str
    shares: FloatArray | None = None
    normalise: bool = False
    light: int = 0
    half: bool = False
    stamps: int | None = None

    @property
    def batch(self) -> int:
        """How many galaxies are shown at once."""
        views = 1 if self.shares is None else len(self.shares)
        return max((_BATCH[self.device] if self.stamps is None else self.stamps) // views, 1)

    def into(self, results: Results, shown: ShownStamps) -> None:
        """Fill the probabilities of some rows, in batches of always the same size."""
        for first in range(0, len(shown.rows), self.batch):
            rows = shown.rows[first : first + self.batch]
            # Stamps are large: those of a full batch are not copied, those of the last one are repeated.
            full: slice | npt.NDArray[np.intp] = slice(first, first + self.batch)
            if len(rows) < self.batch:
                full = first + np.minimum(np.arange(self.batch), len(rows) - 1)
            self._fill(results, rows, shown.pixels[full], shown.morphometry[full])

    def _fill(
        self,
        results: Results,
        rows: npt.NDArray[np.intp],
        pixels: npt.NDArray[np.float32],
        morphometry: npt.NDArray[np.float32],
    ) -> None:
        """Fill the probabilities of the rows of a batch, of which the last may be there several times."""
        count, checkpoint = len(rows), self.checkpoint
        answers = checkpoint.answer(
            pixels,
            self.shares,
            morphometry=morphometry,
            device=self.device,
            normalised=self.normalise,
            half=self.half,
        )
        results.conditional[rows] = answers.conditional[:count]
        results.spread[rows] = answers.spread[:count]
        if width := results.features.shape[1]:
            of_light = checkpoint.n_light(self.light)
            results.features[rows, : width - of_light] = answers.features[:count, : width - of_light]
            if of_light:
                results.features[rows, width - of_light :] = checkpoint.light(pixels, self.shares, self.light)[:count]
        if (embedding := checkpoint.envelope.embedding) is not None:
            results.distance[rows] = embedding.distance(answers.features)[:count]


class Predictor:
    """Fills the probabilities of `results`; a context manager.

    The network computes in a thread of its own, one batch at a time: it lets go of Python's lock, so that measuring
    goes on, on a core that is left to it. No more than two batches are in memory.

    Parameters
    ----------
    answerer
        Who predicts; with None nothing is predicted.
    results
        Receives the probabilities.
    """

    def __init__(self, answerer: Answerer | None, results: Results) -> None:
        self._answerer, self._results = answerer, results
        self._waiting: list[ShownStamps] = []
        self._count = 0
        self._thread = ThreadPoolExecutor(1, initializer=None if answerer is None else own_cores())
        self._running: Future[None] | None = None

    def show(self, stamps: ShownStamps) -> None:
        """Take the stamps of some rows; predict when there are enough."""
        self._waiting.append(stamps)
        self._count += len(stamps)
        batch = self._count if self._answerer is None else self._answerer.batch
        if self._count >= batch:
            self._start(self._count // batch * batch)

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
        if self._answerer is not None and count:
            stamps = ShownStamps.joined(self._waiting)
            self._running = self._thread.submit(self._answerer.into, self._results, stamps[:count])
            self._waiting, self._count = [stamps[count:]] if count < self._count else [], self._count - count

    def _wait(self) -> None:
        if self._running is not None:
            self._running.result()
            self._running = None


def own_cores() -> Callable[[], None]:
    """Return what leaves a core to measuring, once called in the thread of the network."""
    from galmorph.nets.threads import one_less  # noqa: PLC0415 - torch, which only a network needs

    return one_less()
