"""Class fractions of a classified catalogue, with errors by bootstrap: python class_fractions.py OUT.fits."""

from __future__ import annotations

import sys

import numpy as np
from astropy.table import Table

from galmorph.flags import RECOMMENDED_CUT

table = Table.read(sys.argv[1])
table = table[(table["gm_flags"] & int(RECOMMENDED_CUT)) == 0]
names = [name for name in table.colnames if name.startswith("gm_p_") and not name.endswith("_err")]
shares = np.column_stack([np.ma.filled(table[name], np.nan) for name in names])
draws = np.random.default_rng(1).integers(len(table), size=(200, len(table)))
errors = shares[draws].mean(axis=1).std(axis=0)
print(f"{len(table)} rows")  # noqa: T201
for name, fraction, error in zip(names, shares.mean(axis=0), errors, strict=True):
    print(f"{name.removeprefix('gm_p_'):16s} {fraction:.3f} ± {error:.3f}")  # noqa: T201
