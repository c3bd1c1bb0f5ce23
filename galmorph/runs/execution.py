"""Execution: who carries out a run, and which share of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from galmorph.errors import PipelineError, unknown_name

if TYPE_CHECKING:
    from galmorph.runs.parts import Part

__all__ = ["ENGINES", "IN_HERE", "Execution"]

ENGINES = ("auto", "local", "pool", "dask")
"""What may carry out a run; ``auto`` is one of the next two."""


@dataclass(frozen=True)
class Execution:
    """Who carries out a run, and which part of it.

    Parameters
    ----------
    engine
        One of :data:`ENGINES`; with a scheduler ``auto`` is Dask.
    workers
        Processes; None for one on each core.
    scheduler
        Address of a Dask scheduler; None for workers of our own on this machine.
    shard
        ``'3/16'``: the third of sixteen shares of the parts, which leaves its parts to a later run of the whole.
    """

    engine: str = "auto"
    workers: int | None = None
    scheduler: str | None = None
    shard: str | None = None

    def check(self, *, has_output: bool) -> None:
        """Refuse what cannot be.

        Raises
        ------
        PipelineError
            If so.
        """
        if self.engine not in ENGINES:
            raise PipelineError(unknown_name("engine", self.engine, ENGINES))
        if self.workers is not None and self.workers < 1:
            raise PipelineError(f"workers = {self.workers}: expected 1 or more; leave it out for one on each core")
        if self.scheduler is not None and self.engine not in ("auto", "dask"):
            raise PipelineError(
                f"a scheduler was given with engine '{self.engine}': expected engine 'dask'; leave out one of them"
            )
        if self.engine == "local" and (self.workers or 1) > 1:
            raise PipelineError(f"engine 'local' with {self.workers} workers: expected one; choose --engine pool")
        if self.shard is not None:
            _ = self.share
            if not has_output:
                raise PipelineError(f"shard {self.shard} without an output: its parts lie beside it; name one with -o")

    @property
    def share(self) -> tuple[int, int]:
        """Which of how many shares, from 0; the whole where none was asked for.

        Raises
        ------
        PipelineError
            If it cannot be read.
        """
        if self.shard is None:
            return 0, 1
        match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", self.shard)
        number, count = (int(match[1]), int(match[2])) if match else (0, 0)
        if not 1 <= number <= count:
            raise PipelineError(f"shard '{self.shard}': expected I/N with I from 1 to N, such as 3/16")
        return number - 1, count

    def of(self, parts: Sequence[Part]) -> Sequence[Part]:
        """Return the parts of the share: those beside each other, about as many rows in each share."""
        number, count = self.share
        total, before, chosen = sum(len(part) for part in parts), 0, []
        for part in parts:
            if before * count // max(total, 1) == number:
                chosen.append(part)
            before += len(part)
        return chosen


IN_HERE = Execution("local")
"""In this process, which is what a run within other work is best done in."""
