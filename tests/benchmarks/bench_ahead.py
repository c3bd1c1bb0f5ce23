"""Benchmark: measuring with and without the next places fetched meanwhile, over a line of a stated latency and rate.

Usage: ``python tests/benchmarks/bench_ahead.py``. A server on this machine plays an archive of a mosaic, whose blocks
are read in parts, and one that draws pictures, behind a line of 0.15 s and 10 MB/s. Rows are measured with galmorph's
own read-ahead and with none. It writes docs/benchmarks/ahead.json.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

import skyserver  # noqa: E402 - the tests' servers
import small_sky  # noqa: E402
from loopback import serving  # noqa: E402

import galmorph  # noqa: E402
from galmorph.runs import ahead  # noqa: E402
from galmorph.runs.blocks import BLOCK_PX  # noqa: E402
from galmorph.sky.archives import open_pictures  # noqa: E402
from galmorph.sky.catalog import catalog_from  # noqa: E402
from galmorph.sky.images import ImageSource  # noqa: E402
from galmorph.sky.remote import Cache, Client, PartialFile  # noqa: E402
from galmorph.sky.remote.link import Link  # noqa: E402

RESULT = ROOT / "docs" / "benchmarks" / "ahead.json"
SIDE = 10 * BLOCK_PX
BLOCKS = [(0, 1), (1, 6), (3, 3), (4, 8), (6, 1), (7, 5), (8, 8), (9, 3)]
ROWS_A_BLOCK = (1, 25, 100)
PICTURES = 48


def write_mosaic(folder: Path) -> tuple[Path, np.ndarray]:
    """Write a mosaic with a hundred galaxies in each of some blocks; return it with their pixels, (B, N, 2)."""
    pixels = np.random.default_rng(1).normal(0, 0.01, (SIDE, SIDE)).astype(np.float32)
    header = small_sky.header()
    header["CRPIX1"] = header["CRPIX2"] = SIDE / 2
    steps = 30.0 + 50.0 * np.stack(np.meshgrid(np.arange(10), np.arange(10)), axis=-1).reshape(-1, 2)
    places = np.array([steps + BLOCK_PX * np.array([column, row]) for row, column in BLOCKS])
    galaxy = small_sky.light((41, 41), 20, 20, 2.0)
    for x, y in places.reshape(-1, 2).astype(int):
        pixels[y - 20 : y + 21, x - 20 : x + 21] += galaxy
    fits.writeto(folder / "drz.fits", pixels, header)
    return folder / "drz.fits", places


def seconds(opened: Callable[[Path], ImageSource], rows: Table, places: int) -> float:
    """Measure rows with so many places fetched ahead."""
    with tempfile.TemporaryDirectory() as cache, mock.patch.object(ahead, "PLACES", places):
        images = opened(Path(cache))
        started = time.perf_counter()
        galmorph.measure(rows, images)
        return round(time.perf_counter() - started, 2)


def of_mosaic(folder: Path) -> list[dict[str, float]]:
    """Time rows of a mosaic that is read in parts, and those of the same mosaic on disk."""
    path, places = write_mosaic(folder)
    wcs, link, lines = WCS(fits.getheader(path)), Link(), []
    with serving() as archive:
        archive.files["/drz.fits"] = path
        archive.latency_s, archive.bytes_per_s = link.latency_s, link.bytes_per_s

        def opened(cache: Path) -> ImageSource:
            file = PartialFile.open(f"{archive.base}/drz.fits", Client(), Cache(cache))
            return galmorph.open_images(file.path, survey="candels", band="H")

        for count in ROWS_A_BLOCK:
            ra, dec = wcs.all_pix2world(places[:, :count].reshape(-1, 2), 0).T
            rows = Table({"ra": ra, "dec": dec})
            times = {"without_s": seconds(opened, rows, 0), "with_s": seconds(opened, rows, ahead.PLACES)}
            times["on_disk_s"] = seconds(lambda _: galmorph.open_images(path, survey="candels", band="H"), rows, 0)
            lines.append({"blocks": len(BLOCKS), "rows": len(rows), **times})
    return lines


def of_pictures() -> dict[str, float]:
    """Time rows whose pictures a server draws."""
    first, link = skyserver.GALAXIES[0], Link()
    rows = Table({"ra": first.ra + 0.002 * np.arange(PICTURES), "dec": np.full(PICTURES, first.dec)})
    with serving() as server:
        server.files[skyserver.PATH] = skyserver.draw
        server.latency_s, server.bytes_per_s = link.latency_s, link.bytes_per_s

        def opened(cache: Path) -> ImageSource:
            survey = skyserver.survey_of(server)
            return open_pictures(survey, catalog_from(rows), client=Client(), cache=Cache(cache))

        return {
            "rows": PICTURES,
            "without_s": seconds(opened, rows, 0),
            "with_s": seconds(opened, rows, ahead.PLACES),
        }


def main() -> int:
    """Run the benchmark and print its result as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        result = {
            "line": vars(Link()),
            "places": ahead.PLACES,
            "mosaic": of_mosaic(Path(folder)),
            "pictures": of_pictures(),
        }
    text = json.dumps(result, indent=1)
    print(text)
    RESULT.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
