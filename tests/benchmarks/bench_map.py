"""Maps: frames a second while one of 100 000 galaxies is moved without a graphics card, and the time to lay out.

Writes docs/benchmarks/map.json: python tests/benchmarks/bench_map.py
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, sync_playwright

import galmorph
from galmorph.likeness.feature_space import directions
from galmorph.pages.maps.layout import MapLayout, laid_out
from galmorph.pages.maps.neighbours import trustworthiness

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "browser"), str(ROOT / "tests")]  # conftest is that of the browser

from conftest import CHROMIUM, WORDS  # noqa: E402 - of a folder that was just named
from test_map_in_chromium import COUNTED, PAN, table  # noqa: E402 - likewise

SECONDS, ROUNDS = 2.0, 5
ROWS, NEW, JUDGED = 100_000, 5000, 3000
SIZES = {"1400 x 860": (1400, 860), "390 x 844": (390, 844)}


def frames(browser: Browser, page: Path, size: tuple[int, int]) -> dict[str, Any]:
    """Open a page; say how long that takes, and how many frames a second it draws while it is moved."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]})
    shown = context.new_page()
    shown.add_init_script(COUNTED)
    started = time.perf_counter()
    shown.goto(page.as_uri())
    shown.wait_for_timeout(50)
    opening = time.perf_counter() - started
    shown.wait_for_timeout(1500)
    frames, draws, points = [], 0, 0
    for _ in range(ROUNDS):
        before = shown.evaluate("() => [draws, points]")
        frames.append(shown.evaluate(PAN) / SECONDS)
        after = shown.evaluate("() => [draws, points]")
        draws, points = draws + after[0] - before[0], points + after[1] - before[1]
        shown.wait_for_timeout(500)
    context.close()
    return {
        "opening_s": round(opening, 2),
        "frames_per_s": [round(each, 1) for each in frames],
        "draws_per_s": round(draws / ROUNDS / SECONDS, 1),
        "points_per_draw_while_moving": round(points / draws),
        "load_average": round(os.getloadavg()[0], 1),
    }


def pages() -> dict[str, Any]:
    """Time pages of 100 000 galaxies."""
    out: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page = Path(folder) / "map.html"
        galmorph.map_features(table(ROWS), axes=("gm_map_x", "gm_map_y"), page=page)
        out["page_mb"] = round(page.stat().st_size / 1e6, 2)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=WORDS.split())
        out["browser"] = f"Chromium {browser.version}, without a graphics card"
        out["screens"] = {name: frames(browser, page, size) for name, size in SIZES.items()}
        browser.close()
    return out


def features(rows: int, seed: int) -> np.ndarray:
    """Draw features, (N, 64), about 20 curves, as a network's lie about its classes."""
    shapes = np.random.default_rng(0)
    starts, ways = shapes.normal(size=(20, 64)), shapes.normal(size=(20, 64))
    rng = np.random.default_rng(seed)
    kinds, along = rng.integers(0, 20, rows), rng.uniform(-1, 1, (rows, 1))
    return (starts[kinds] + along * ways[kinds] + 0.35 * rng.normal(size=(rows, 64))).astype(np.float32)


def places_by_opentsne(layout: MapLayout, new: np.ndarray) -> np.ndarray:
    """Place rows by openTSNE's own way, which optimises each among all old ones, for comparison."""
    import openTSNE  # noqa: PLC0415 - loaded where it is compared with

    affinities = openTSNE.affinity.PerplexityBasedNN(layout.reduced, perplexity=30, n_jobs=1, random_state=0)
    embedding = openTSNE.TSNEEmbedding(layout.places.astype(float), affinities, n_jobs=1, random_state=0)
    return np.asarray(embedding.transform(layout.space.placed(directions(new))))


def placing(rows: int) -> dict[str, Any]:
    """Lay out some rows, place others among them in both ways, and say how far each map can be trusted."""
    old, new = features(rows, 1), features(NEW, 2)
    started = time.process_time()
    layout = laid_out(old, method="tsne")
    out: dict[str, Any] = {"rows": rows, "layout_cpu_s": round(time.process_time() - started, 1)}
    some = np.random.default_rng(0).permutation(rows)[: min(JUDGED, rows)]
    out["trustworthiness_at_15"] = {
        "of the map": round(trustworthiness(layout.reduced[some], layout.places[some], 15), 4)
    }
    for way, place in (("placed among neighbours", MapLayout.placed), ("placed by openTSNE", places_by_opentsne)):
        started = time.process_time()
        places = place(layout, new)
        seconds = time.process_time() - started
        reduced = np.concatenate([layout.reduced[some], layout.space.placed(directions(new))[:1000]])
        together = np.concatenate([layout.places[some], places[:1000]])
        out["trustworthiness_at_15"][f"with 1000 {way}"] = round(trustworthiness(reduced, together, 15), 4)
        out[f"rows_per_cpu_s_{way.replace(' ', '_')}"] = round(NEW / seconds)
    return out


def large() -> dict[str, Any]:
    """Lay out as many rows as a page has shown above, in one thread."""
    drawn = features(ROWS, 1)
    started = time.process_time()
    layout = laid_out(drawn, method="tsne")
    seconds = time.process_time() - started
    some = np.random.default_rng(0).permutation(ROWS)[:JUDGED]
    value = trustworthiness(layout.reduced[some], layout.places[some], 15)
    return {"rows": ROWS, "layout_cpu_s": round(seconds), "trustworthiness_at_15_of_3000": round(value, 4)}


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", default=["pages", "placing", "large"])
    asked = parser.parse_args().what
    target = ROOT / "docs" / "benchmarks" / "map.json"
    results = json.loads(target.read_text(encoding="utf-8")) if target.exists() else {}
    results["machine"] = f"{platform.processor() or platform.machine()}, one thread of Python, other work beside it"
    if "pages" in asked:
        results["pages"] = pages()
    if "placing" in asked:
        results["placing"] = placing(5000)
    if "large" in asked:
        results["large"] = large()
    text = json.dumps(results, indent=1)
    target.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
