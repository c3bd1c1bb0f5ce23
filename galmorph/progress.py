"""Progress: how long work says how far it is; showing it belongs to the caller."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any, Protocol, TextIO

from galmorph.errors import ArgumentError

__all__ = ["Bar", "Lines", "Progress", "onwards", "reporting", "silent"]

_EVERY_S = 30.0
_LOOKS = "{desc} {percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt}, {rate_noinv_fmt}, {remaining} left{postfix}"


class Progress(Protocol):
    """What long work calls while it goes on: any function of these four arguments."""

    def __call__(self, stage: str, done: int, total: int, remark: str = "") -> None:
        """Take note of how far the work is.

        Parameters
        ----------
        stage
            What is being done, in one or two words: ``"measuring"``, ``"epoch"``.
        done, total
            How many of how many rows, epochs or trials; `done` equals `total` at the end of a stage.
        remark
            A few words beside it, such as a loss.
        """


def silent(stage: str, done: int, total: int, remark: str = "") -> None:
    """Take no note of progress."""


def onwards(before: int, of: int, progress: Progress) -> Progress:
    """Report the progress of a piece as that of the whole, of which something was done before.

    Parameters
    ----------
    before, of
        How much was done, and of how much.
    """

    def report(stage: str, done: int, total: int, remark: str = "") -> None:  # noqa: ARG001 - of the piece
        progress(stage, before + done, of, remark)

    return report


class Bar:
    """A progress bar, one for each stage: in a notebook a widget, else a line on standard error."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._stage = ""

    def __call__(self, stage: str, done: int, total: int, remark: str = "") -> None:
        """Move the bar on, or begin that of another stage."""
        if self._bar is None or stage != self._stage or done < self._bar.n:
            self.close()
            self._bar, self._stage = _new_bar(stage, total), stage
        self._bar.set_postfix_str(remark, refresh=False)
        self._bar.update(done - self._bar.n)

    def write(self, text: str) -> None:
        """Write a line above the bar, which stays whole."""
        if self._bar is None:
            sys.stderr.write(f"{text}\n")
        else:
            self._bar.write(text, file=sys.stderr)

    def close(self) -> None:
        """End the bar's line."""
        if self._bar is not None:
            self._bar.close()


def _new_bar(stage: str, total: int) -> Any:
    from tqdm.auto import tqdm  # noqa: PLC0415 - 0.1 s, which who shows no bar need not wait

    return tqdm(total=total, desc=stage, dynamic_ncols=True, unit="", bar_format=_LOOKS)


class Lines:
    """A line now and then, for logs: how many are done, how many a second, how long it will take.

    Parameters
    ----------
    stream
        Where lines are written.
    every_s
        A line at most so often.
    clock
        Tells the seconds.
    """

    def __init__(
        self, stream: TextIO | None = None, every_s: float = _EVERY_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream or sys.stderr
        self._every_s, self._clock = every_s, clock
        self._stage, self._first = "", 0
        self._begun = self._last = clock()

    def __call__(self, stage: str, done: int, total: int, remark: str = "") -> None:
        """Write a line if the last one is long ago."""
        now = self._clock()
        if stage != self._stage or done < self._first:
            self._stage, self._first, self._begun = stage, done, now
        if done >= total or now - self._last < self._every_s:
            return
        self._last = now
        words = [f"{stage}: {done} of {total}", *self._rate(done, total, now), *([remark] if remark else [])]
        self._stream.write(", ".join(words) + "\n")
        self._stream.flush()

    def _rate(self, done: int, total: int, now: float) -> list[str]:
        count, seconds = done - self._first, now - self._begun
        if count <= 0 or seconds <= 0:
            return []
        return [f"{count / seconds:.3g} a second", f"{_span((total - done) * seconds / count)} left"]

    def write(self, text: str) -> None:
        """Write a line of something else."""
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def close(self) -> None:
        """End: nothing is left to write."""


def _span(seconds: float) -> str:
    """Write a time in its two largest units.

    Examples
    --------
    >>> _span(8100), _span(61.2), _span(5)
    ('2 h 15 min', '1 min 1 s', '5 s')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


@contextmanager
def reporting(progress: Progress | bool | None) -> Iterator[Progress]:
    """Yield what to call for a caller who asked for a bar (True), for nothing (False, None), or to be called.

    Raises
    ------
    ArgumentError
        If it is none of these.
    """
    if progress is None or progress is False:
        yield silent
    elif progress is True:
        with closing(Bar()) as bar:
            yield bar
    elif callable(progress):
        yield progress
    else:
        raise ArgumentError(
            f"progress = {progress!r}: expected True for a bar, False for nothing, or a function to call"
        )
