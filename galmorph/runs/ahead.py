"""Ahead: images of archives that are fetched while those before them are measured.

What is measured waits for its own pixels only; those of the next few places come meanwhile, at most as many at a time
as a host is asked for by one client. Why something could not be had is kept for the rows that need it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import numpy as np
import numpy.typing as npt

from galmorph.sky.images import ImageSource, Located

__all__ = ["NOTHING", "PLACES", "Wait", "Window", "fetching_ahead", "in_turn", "windows_of"]

PLACES = 4
"""How many places beyond the present one are fetched: blocks of mosaics (5 MB each), or pictures of rows."""
Window = tuple[int, float, float, int]
"""Tile, x, y and half-width of what is read."""
NOTHING: Window = (-1, 0.0, 0.0, 0)
_DONE: Future[None] = Future()
_DONE.set_result(None)
Wait = Callable[[int], None]
"""Waits until the window of a number is here, and raises why it cannot be had."""


def windows_of(where: Located, rows: npt.NDArray[np.int64], half_px: int) -> list[Window]:
    """Return the windows about rows."""
    tiles, xs, ys = where.tile[rows].tolist(), where.x[rows].tolist(), where.y[rows].tolist()
    return [(tile, x, y, half_px) for tile, x, y in zip(tiles, xs, ys, strict=True)]


@contextmanager
def fetching_ahead(images: ImageSource, windows: Callable[[], Sequence[Window]]) -> Iterator[Wait]:
    """Fetch windows in their order, each a little before it is waited for.

    Parameters
    ----------
    images
        Where they are; nothing is done where all of that is on this machine.
    windows
        Returns them, one for each number that is waited for; those that follow each other may be the same.
    """
    if images.is_here:
        yield lambda _: None
        return
    pool = ThreadPoolExecutor(PLACES + 1, thread_name_prefix="galmorph-ahead")
    try:
        yield _Ahead(images, windows(), pool).wait
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def in_turn(
    rows: Sequence[int], images: ImageSource, windows: Callable[[], Sequence[Window]]
) -> Iterator[tuple[int, Callable[[], None]]]:
    """Yield rows, each with what waits for its window; see :func:`fetching_ahead`."""
    with fetching_ahead(images, windows) as wait:
        for number, row in enumerate(rows):
            yield row, partial(wait, number)


class _Ahead:
    """Windows that are being fetched, and what came of the present one."""

    def __init__(self, images: ImageSource, windows: Sequence[Window], pool: ThreadPoolExecutor) -> None:
        self._images, self._windows, self._pool = images, windows, pool
        self._order = list(dict.fromkeys(window for window in windows if window[0] >= 0))
        self._place = {window: n for n, window in enumerate(self._order)}
        self._begun: dict[Window, Future[None]] = {}

    def wait(self, number: int) -> None:
        """Wait for a window, and begin with those that follow.

        Raises
        ------
        ImageError
            If it cannot be had.
        """
        window = self._windows[number]
        if window[0] < 0:
            return
        place = self._place[window]
        present = self._begin(place)
        try:
            present.result()
            self._begun[window] = _DONE
        finally:
            for following in range(place + 1, min(place + 1 + PLACES, len(self._order))):
                self._begin(following)

    def _begin(self, place: int) -> Future[None]:
        window = self._order[place]
        if window not in self._begun:
            self._begun[window] = self._pool.submit(self._images.fetch, *window)
        return self._begun[window]
