"""FactorColumn: the latent factors of all rows of a table, as those of its rows that have votes teach them."""

from __future__ import annotations

import numpy as np

from galmorph.errors import SchemeError
from galmorph.likeness.latent_factors import fit_factors, predicted_factors
from galmorph.likeness.open_features import Ranked
from galmorph.likeness.vectors import read_vectors
from galmorph.sky.catalog import Catalog, Column
from galmorph.sky.scheme import Scheme

__all__ = ["with_factors"]


def with_factors(catalog: Catalog, scheme: Scheme, number: int, name: str | None = None, *, prefix: str) -> Ranked:
    """Return all rows with a column of factors; the arguments and errors are those of `galmorph.latent_factors`."""
    if not scheme.has_columns(catalog.table):
        raise SchemeError(
            f"Catalog '{catalog.title}' has no votes of scheme '{scheme.name}': expected columns such as "
            f"{scheme.keys[0]}; join them to the features first"
        )
    vectors = read_vectors(catalog, name)
    labels = scheme.labels(catalog.table).take(vectors.rows)
    factors = fit_factors(labels, number)
    voted = labels.totals.sum(axis=1) > 0
    values = np.full((len(catalog), number), np.nan, np.float32)
    values[vectors.rows] = predicted_factors(vectors.values, voted, factors.galaxies)
    what = f"Latent factors of the votes of {scheme.name}, predicted from {vectors.name}"
    column = Column(f"{prefix}factors", values, "", what, "src.morph.param")
    return Ranked(catalog, np.arange(len(catalog)), (column,))
