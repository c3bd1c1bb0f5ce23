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
from galmorph.sky.table_like import is_frame

__all__ = ["Outcome"]


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
        import pandas as pd  # noqa: PLC0415 - slow to import

        new = pd.DataFrame({c.name: c.values for c in self.columns}, index=catalog.index)
        frame = pd.concat([catalog, new], axis=1)
        frame.attrs = {**catalog.attrs, **{card: value for card, value, _ in self.provenance.cards}}
        return frame

    def new_table(self) -> Table:
        """Return the new columns alone."""
        return noted(Table([column_of(column) for column in self.columns], copy=False), self.provenance)

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
