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
            yield f"| {title} | {' | '.join(cover(methods[m]) for m in ('raw', 'prob', 'em', 'bbse'))} |"


def of_galaxies() -> Iterator[str]:
    """Yield a line for each sample of galaxies and each estimate."""
    samples = {**MEASURED["real"], **{f"simulated, {k}": v for k, v in MEASURED["fields"].items()}}
    for name, sample in samples.items():
        for method, of in sample["as they are"].items() if isinstance(sample, dict) else ():
            truth, share, error = (np.array(of[key]) for key in ("truth", "share", "err"))
            apart, mix = np.abs(share - truth).mean(), sample["other mixes"].get(method)
            there = cover(mix) if mix else ""
            yield f"| {name}, {sample['galaxies']} | `{method}` | {apart:.3f} | {error.mean():.3f} | {there} |"


def test_the_page_quotes_the_benchmark():
    lines = set(PAGE.splitlines())
    assert [line for line in (*of_lots(), *of_galaxies()) if line not in lines] == []
