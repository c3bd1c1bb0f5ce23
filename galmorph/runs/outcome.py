"""Outcome: what came of a plan, as arrays, as columns and as a table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from astropy.table import Table

from galmorph.errors import UnclassifiedError
from galmorph.runs.plan import Plan
from galmorph.runs.results import Results
from galmorph.sky.catalog import Column, Provenance, append
from galmorph.sky.formats.column import column_of, noted
from galmorph.sky.formats.text import pandas_module
from galmorph.sky.table_like import is_frame

__all__ = ["Outcome"]


def _cells(column: Column) -> Any:
    """Return the cells of a column as those of a frame: several in a row as one object."""
    return list(column.values) if column.values.ndim > 1 else column.values


@dataclass(frozen=True)
class Outcome:
    """What came of a plan.

    Parameters
    ----------
    plan
        What was carried out; its files are open until :meth:`~galmorph.runs.plan.Plan.close`.
    results
        Of all rows.
    columns, provenance
        What is appended to the catalogue, and what says how it came about.
    """

    plan: Plan
    results: Results
    columns: list[Column]
    provenance: Provenance

    def table(self) -> Any:
        """Return the catalogue with its new columns: a pandas frame to whoever gave one, else an astropy table."""
        catalog: Any = self.plan.catalog.catalog
        if not is_frame(catalog):
            return append(self.plan.run.catalog, self.columns, self.provenance)
        new = self._new_frame(catalog.index)
        frame = pandas_module().concat([catalog, new], axis=1)
        frame.attrs = {**catalog.attrs, **new.attrs}
        return frame

    def new_table(self) -> Any:
        """Return the new columns alone: to whoever gave a pandas frame, a frame with its index."""
        catalog: Any = self.plan.catalog.catalog
        if is_frame(catalog):
            return self._new_frame(catalog.index)
        return noted(Table([column_of(column) for column in self.columns], copy=False), self.provenance)

    def _new_frame(self, index: Any) -> Any:
        frame = pandas_module().DataFrame({c.name: _cells(c) for c in self.columns}, index=index)
        frame.attrs = {card: value for card, value, _ in self.provenance.cards}
        return frame

    def check_all_classified(self, output: str | Path | None = None) -> None:
        """Refuse rows without probabilities; nothing was to be predicted where the plan has no network.

        Parameters
        ----------
        output
            Where the result is, for the message.

        Raises
        ------
        UnclassifiedError
            If there are any.
        """
        missing = int((~self.results.classified).sum()) if self.plan.network else 0
        if missing:
            where = f" in '{output}'" if output is not None else ""
            raise UnclassifiedError(
                f"{missing} of {len(self.results)} rows have no probabilities, and all were asked for: "
                f"{self.plan.settings.prefix}flags{where} says why; leave out --strict to accept them"
            )
