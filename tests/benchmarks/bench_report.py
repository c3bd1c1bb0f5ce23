"""Benchmark: how large reports are, and how soon they open in Chromium; recorded, not asserted.

Usage: ``python tests/benchmarks/bench_report.py``. It classifies the sample of CANDELS that ships, repeats its rows,
and writes reports of 100, 1 000 and 5 000 rows, the last also with a picture of every row. Of each it prints and writes
into docs/benchmarks/report.json: megabytes, processor seconds of the drawing, seconds until the first rows are on the
screen (median of three windows, opened from a file), and until all are sorted. Beside them stand the errors that
pictures have for being kept in 8 bits. ``picture`` draws docs/report.png, part of the report of the colour sample.
"""

from __future__ import annotations

import io
import json
import re
import statistics
import sys
import tempfile
import time
from dataclasses import fields
from pathlib import Path

import numpy as np
from astropy.table import Table
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

import galmorph
from galmorph.pages.galaxy_view import view_of
from galmorph.pages.pictures import SIDE_PX, KeptPicture
from galmorph.pages.report import write_report
from galmorph.runs.classify import classify
from galmorph.runs.gather import gather
from galmorph.runs.plan import Plan, Run
from galmorph.runs.results import Results
from galmorph.shipped import shipped
from galmorph.sky.catalog_input import CatalogInput
from galmorph.sky.images import ImageInput

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "browser")]

from conftest import CHROMIUM, WORDS  # noqa: E402 - of the folder that was just named

DOCS = ROOT / "docs"
RESULT, PICTURE, PAGE = DOCS / "benchmarks" / "report.json", DOCS / "report.png", DOCS / "report.md"
SAMPLE = shipped("catalogs") / "samples" / "candels-h"
CASES = {"100 rows": (100, None), "1000 rows": (1000, None), "5000 rows": (5000, None), "5000 pictures": (5000, 5000)}
WINDOWS = 3
FIRST_ROW = "tr[data-place]"


def plan_of(catalog: Table) -> Plan:
    """Plan to classify rows of the sample."""
    images = ImageInput([str(SAMPLE / "image.fits.gz")], [str(SAMPLE / "weight.fits.gz")], survey="candels", band="H")
    return Plan(CatalogInput(catalog), images)


def repeated(catalog: Table, results: Results, rows: int) -> tuple[Run, Results]:
    """Repeat rows, with ids of their own, and their results."""
    again = np.resize(np.arange(len(catalog)), rows)
    table = catalog[again]
    table["id"] = np.arange(rows)
    columns = {c.name: getattr(results, c.name)[again] for c in fields(results) if c.name != "shapes"}
    return plan_of(table).run, Results(**columns)


def measured(browser: Browser, run: Run, results: Results, pictures: int | None, folder: Path) -> dict[str, float]:
    """Write a report and open it."""
    start = time.process_time()
    page = write_report(run, results, folder, pictures=pictures, overwrite=True)
    drawn_s = time.process_time() - start
    opened, ordered = zip(*(opening(browser, page) for _ in range(WINDOWS)), strict=True)
    return {
        "rows": len(results),
        "mb": round(page.stat().st_size / 1e6, 2),
        "draw_cpu_s": round(drawn_s, 1),
        "open_s": round(statistics.median(opened), 2),
        "sort_s": round(statistics.median(ordered), 2),
    }


def opening(browser: Browser, path: Path) -> tuple[float, float]:
    """Return seconds until the first rows are on the screen, and until all are sorted by another column."""
    page = browser.new_page()
    start = time.monotonic()
    page.goto(path.as_uri())
    page.wait_for_selector(FIRST_ROW)
    opened = time.monotonic()
    page.click("thead button:has-text('S/N')")
    page.wait_for_selector("th[aria-sort]")
    ordered = time.monotonic()
    page.close()
    return opened - start, ordered - opened


def errors(run: Run) -> dict[str, float]:
    """Return what the kept levels of stamps are off: near the sky in standard deviations of it, else as a share."""
    near_sky, bright = [], []
    for galaxy in gather(run.gathering, np.arange(60)):
        if (view := view_of(galaxy, run.images, run.recipe, SIDE_PX)) is None:
            continue
        picture = KeptPicture.of(view, network=False)
        with Image.open(io.BytesIO(picture.stamp)) as stamp:
            share = np.asarray(stamp, float)[::-1] / 255
        kept = picture.kept
        low, high = np.arcsinh(kept.black / kept.softening), np.arcsinh(kept.white / kept.softening)
        flux, true = kept.softening * np.sinh(low + share * (high - low)), view.planes[0] / kept.unit
        near_sky.append(np.square((flux - true)[np.abs(true) < 2]).mean())
        bright += np.abs(flux / true - 1)[(true > 20) & (true < kept.white)].tolist()
    return {
        "rms_near_sky_sigma": round(float(np.sqrt(np.mean(near_sky))), 3),
        "median_share_above_20_sigma": round(float(np.median(bright)), 3),
    }


def record() -> None:
    """Write and open all reports."""
    catalog = galmorph.read_catalog(SAMPLE / "catalog.fits").table
    results = classify(plan_of(catalog)).results
    costs: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=WORDS.split())
        browser.new_page().close()
        for name, (rows, pictures) in CASES.items():
            costs[name] = measured(browser, *repeated(catalog, results, rows), pictures, Path(folder))
            print(name, costs[name], flush=True)
        browser.close()
    costs["kept levels"] = errors(plan_of(catalog).run)
    RESULT.write_text(json.dumps(costs, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(costs["kept levels"]))
    document()


def document() -> None:
    """Write the figures into docs/report.md: the rows of its table, and the errors below it."""
    costs = json.loads(RESULT.read_text(encoding="utf-8"))
    off = costs.pop("kept levels")
    words = {"5000 rows": "5 000 rows, 2 000 pictures", "5000 pictures": "5 000 rows, 5 000 pictures"}
    rows = [
        f"| {words.get(name, name.replace('1000', '1 000'))} | {c['mb']:.1f} MB | {c['draw_cpu_s']:.0f} s "
        f"| {c['open_s']:.1f} s | {c['sort_s']:.1f} s |"
        for name, c in costs.items()
    ]
    about = (
        f"Kept stamps are off by {off['rms_near_sky_sigma']:.2f} standard deviations of the sky (RMS, near the sky) "
        f"and {100 * off['median_share_above_20_sigma']:.0f} % of the flux (median, above 20)."
    )
    text = PAGE.read_text(encoding="utf-8")
    text = re.sub(r"(\|---\|---\|---\|---\|---\|\n)(\|.*\n)*", lambda found: found[1] + "\n".join(rows) + "\n", text)
    PAGE.write_text(re.sub(r"Kept stamps are off by .*?\.(?=\*\n)", about, text), encoding="utf-8")


def picture() -> None:
    """Draw part of the report of the colour sample, with a galaxy seen large."""
    sample = shipped("catalogs") / "samples" / "sdss-gri"
    images = {band: sample / f"{band}.fits.gz" for band in "gri"}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        galmorph.classify(sample / "catalog.fits", images, survey="sdss", band="gri", report=folder)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=WORDS.split())
        page = browser.new_page(viewport={"width": 1180, "height": 800})
        page.goto((Path(folder) / "index.html").as_uri() + "#sort=-gm_conf")
        page.wait_for_selector(FIRST_ROW)
        page.evaluate("document.querySelector('#listing').scrollIntoView()")
        page.wait_for_timeout(500)
        page.screenshot(path=PICTURE)
        browser.close()


if __name__ == "__main__":
    picture() if sys.argv[1:] == ["picture"] else record()
