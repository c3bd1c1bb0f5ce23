"""Runs for reports of any length: real measurements of a small sky, repeated, with names of their own."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import small_sky
from plans import plan_of

from galmorph.flags import Flag
from galmorph.runs.classify import classify
from galmorph.runs.plan import Run
from galmorph.runs.results import Results

HOSTILE = '<img src=x onerror="document.title=1">'


def repeated(results: Results, rows: int) -> Results:
    """Take the rows of some results again and again."""
    again = np.resize(np.arange(len(results)), rows)
    columns = {c.name: getattr(results, c.name)[again] for c in fields(results) if c.name != "shapes"}
    return Results(**columns, shapes={name: values[again] for name, values in results.shapes.items()})


def long_run(folder: Path, rows: int) -> tuple[Run, Results]:
    """Return a run over so many rows, some with texts that are HTML, formulae or quotes, and its results.

    Probabilities and signal-to-noise ratios differ from row to row; every fifth row has no image.
    """
    sky = small_sky.write_sky(folder)
    checkpoint = small_sky.checkpoint()
    results = repeated(
        classify(plan_of(small_sky.table(), sky.image, survey="candels", band="H", checkpoint=checkpoint)).results, rows
    )
    catalog = small_sky.table(np.resize(small_sky.XY, (rows, 2)))
    catalog["id"] = names(rows)
    rng = np.random.default_rng(3)
    results.conditional[:] = rng.uniform(0.02, 0.98, results.conditional.shape)
    results.snr *= rng.uniform(0.5, 2.0, rows)
    lost = np.arange(rows) % 5 == 4
    results.flags[lost] |= int(Flag.NO_IMAGE)
    results.flags[::3] |= int(Flag.BLEND)
    results.conditional[lost] = np.nan
    return plan_of(catalog, sky.image, survey="candels", band="H", checkpoint=checkpoint).run, results


def names(rows: int) -> list[str]:
    """Name rows, the first four as nobody should."""
    odd = [HOSTILE, 'a "quoted", name', "=1+1", " line\nbreak "]
    return [*odd, *(f"g{number}" for number in range(4, rows))][:rows]
