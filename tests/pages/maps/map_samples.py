"""Features of a few kinds of galaxies, as tables."""

from __future__ import annotations

import numpy as np
from astropy.table import Table

KINDS = ("smooth", "disk", "edge-on", "ring, odd", "merger")


def features(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw features, (N, 24), about a direction for each kind; and the kinds, (N,)."""
    directions = np.random.default_rng(99).normal(size=(len(KINDS), 24)) * 2.0
    rng = np.random.default_rng(seed)
    kinds = rng.integers(0, len(KINDS), rows)
    return (directions[kinds] + rng.normal(size=(rows, 24))).astype(np.float32), kinds


def table(rows: int = 240, seed: int = 0) -> Table:
    drawn, kinds = features(rows, seed)
    rng = np.random.default_rng(seed + 1)
    flags = np.where(np.arange(rows) % 10 == 0, 1 << 10, 0).astype(np.int32)
    out = Table(
        {
            "id": [f'g"{i}"' if i == 3 else f"g{i}" for i in range(rows)],
            "ra": rng.uniform(0, 360, rows),
            "dec": rng.uniform(-80, 80, rows),
            "gm_class": np.array(KINDS)[kinds],
            "gm_conf": rng.random(rows).astype(np.float32),
            "gm_flags": flags,
            "mag": rng.normal(22, 1, rows),
            "gm_features": drawn,
        }
    )
    out["mag"].unit, out["mag"].description = "mag", "Total magnitude <script>"
    return out
