"""Local: parts carried out in this process, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from galmorph.progress import Progress, onwards
from galmorph.runs.parts import Part, classify_part
from galmorph.runs.plan import Plan
from galmorph.runs.results import Results

__all__ = ["Local"]


class Local:
    """Carries out parts in this process: the network computes in a thread while the next rows are measured."""

    def carry_out(self, plan: Plan, parts: Sequence[Part], progress: Progress) -> Iterator[tuple[Part, Results]]:
        """Yield the results of each part, in their order."""
        total, before = sum(len(part) for part in parts), 0
        for part in parts:
            results = classify_part(plan, part.rows, progress=onwards(before, total, progress))
            before += len(part)
            progress("rows", before, total)
            yield part, results
