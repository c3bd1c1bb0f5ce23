"""Progress: how long work says how far it is; showing it belongs to the caller."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Progress", "silent"]


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
