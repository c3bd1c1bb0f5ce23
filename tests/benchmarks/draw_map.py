"""Draw docs/map.png: maps of simulated galaxies in a browser, in light and in the dark.

Their features are what galmorph measures: python tests/benchmarks/draw_map.py
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page, sync_playwright

import galmorph

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "browser"), str(ROOT / "tests")]  # conftest is that of the browser

from conftest import CHROMIUM, WORDS  # noqa: E402 - of a folder that was just named

MEASURED = ("gm_conc", "gm_asym", "gm_ell", "gm_rpet", "gm_snr")
SIZE = {"width": 1180, "height": 720}


def with_features(folder: Path) -> tuple[Path, Path]:
    """Simulate galaxies, classify them, and join what is measured of each into a vector."""
    galmorph.simulate(survey="candels", band="H", rows=700, seed=4, output=folder)
    image = next(folder.glob("*image*.fits*"))
    catalog = next(folder.glob("*catalog*.fits"))
    table = galmorph.classify(catalog, image, survey="candels", band="H")
    measured = galmorph.measure(catalog, image, survey="candels", band="H")
    columns = [np.asarray(measured[name], float) for name in MEASURED]
    columns[3:] = [np.log10(np.maximum(each, 1e-3)) for each in columns[3:]]
    features = np.stack(columns, axis=1)
    spread = np.nanpercentile(features, 84, axis=0) - np.nanpercentile(features, 16, axis=0)
    table["gm_features"] = ((features - np.nanmedian(features, axis=0)) / spread).astype(np.float32)
    table[table["gm_snr"] > 15.0].write(folder / "simulated.fits")
    return folder / "simulated.fits", image


def chosen(page: Page) -> None:
    """Draw a lasso, and look at a galaxy."""
    page.check("#names")
    page.click("#lasso")
    corners = [(300, 250), (430, 200), (520, 260), (500, 380), (380, 420), (290, 350)]
    page.mouse.move(*corners[0])
    page.mouse.down()
    for corner in corners[1:]:
        page.mouse.move(*corner)
    page.mouse.up()
    page.wait_for_timeout(800)


def pictured(page: Page) -> None:
    """Colour by confidence, with pictures."""
    page.select_option("#colour", label="gm_conf")
    page.check("#stamps")
    page.wait_for_timeout(1200)


def main() -> None:
    """Draw both, one beside the other."""
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        table, image = with_features(folder)
        galmorph.map_features(table, image, survey="candels", band="H", page=folder / "field.html")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=WORDS.split())
        shots = []
        for scheme, act in (("light", chosen), ("dark", pictured)):
            context = browser.new_context(viewport=SIZE, color_scheme=scheme)
            page = context.new_page()
            page.goto((folder / "field.html").as_uri())
            page.wait_for_timeout(1000)
            act(page)
            shots.append(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))
            context.close()
        browser.close()
    both = Image.new("RGB", (2 * SIZE["width"] + 16, SIZE["height"]), "white")
    for number, shot in enumerate(shots):
        both.paste(shot, (number * (SIZE["width"] + 16), 0))
    both.resize((both.width * 2 // 3, both.height * 2 // 3), Image.Resampling.LANCZOS).quantize(
        255, Image.Quantize.MAXCOVERAGE
    ).save(ROOT / "docs" / "map.png", optimize=True)


if __name__ == "__main__":
    main()
