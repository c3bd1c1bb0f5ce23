"""What docs/counting.md says was measured is what docs/benchmarks/count.json has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
MEASURED = json.loads((ROOT / "docs" / "benchmarks" / "count.json").read_text(encoding="utf-8"))
PAGE = (ROOT / "docs" / "counting.md").read_text(encoding="utf-8")


def cover(of: dict) -> str:
    return f"{100 * of['coverage68']:.0f}, {100 * of['coverage95']:.0f}"


def of_lots() -> Iterator[str]:
    """Yield a line for each kind of catalogue that was drawn."""
    for title, methods in MEASURED["drawn"].items():
        if isinstance(methods, dict):
            yield f"| {title} | {' | '.join(cover(methods[m]) for m in ('raw', 'prob', 'pacc'))} |"


def of_mix(of: dict) -> str:
    rms = f"({of['rms_deviation']:.3f})"
    return f"{cover(of)} {rms}" if "coverage68" in of else rms


def of_galaxies() -> Iterator[str]:
    """Yield a line for each sample of galaxies and each estimate; EM is none, and only compared."""
    samples = {**MEASURED["real"], **{f"simulated, {k}": v for k, v in MEASURED["fields"].items()}}
    for name, sample in samples.items():
        for method in ("raw", "prob", "pacc", "em") if isinstance(sample, dict) else ():
            mixes = [of_mix(sample["other mixes"][kind][method]) for kind in ("by votes", "by leading answers")]
            start, there = f"| {name}, {sample['galaxies']}", " | ".join(mixes)
            if method not in sample["as they are"]:
                yield f"{start} | *EM* | | | {there} |"
                continue
            of = sample["as they are"][method]
            truth, share, error = (np.array(of[key]) for key in ("truth", "share", "err"))
            yield f"{start} | `{method}` | {np.abs(share - truth).mean():.3f} | {error.mean():.3f} | {there} |"


def test_the_page_quotes_the_benchmark():
    lines = set(PAGE.splitlines())
    assert [line for line in (*of_lots(), *of_galaxies()) if line not in lines] == []
