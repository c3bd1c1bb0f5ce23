"""Benchmark: what a row costs of a processor on its way from pixels to what a network is shown, stage by stage.

Usage: ``OMP_NUM_THREADS=1 python tests/benchmarks/bench_stamps.py [--rows N]``. Without options it writes
docs/benchmarks/stamps.json. Two ways: rows of a simulated CANDELS mosaic with weights and the views of ``candels-h``;
and real SDSS JPEG stamps (../shared/data, left out where they are not) with the views of ``sdss-rgb``. The plain way to
the same number of stamps is one call of scipy's ``affine_transform`` (cubic spline) for each view and plane, without
filling neighbours and without means over stamp pixels, and numpy's arcsinh.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from galmorph.nets.checkpoint.file import Checkpoint, load_checkpoint
from galmorph.runs.blas import one_blas_thread
from galmorph.runs.gather import Galaxy, Gathering, galaxies, pixel_scale_of, views_of
from galmorph.runs.predictor import ShownStamps
from galmorph.sky.catalog import Catalog, read_catalog
from galmorph.sky.images import ImageSource, open_images
from galmorph.sky.mock import simulate
from galmorph.sky.survey import load_survey
from galmorph.stamps.affine import compose, stamp_matrix
from galmorph.stamps.cutting import prepare_around
from galmorph.stamps.recipe import half_width_px
from galmorph.stamps.views import reach_of, read_views

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data" / "sdss_gz2"
RESULT = ROOT / "docs" / "benchmarks" / "stamps.json"
SIDE, ROWS, REPEATS, TOGETHER, READ_HALF_PX = 1448, 600, 5, 32, 64
Rows = npt.NDArray[np.intp]
Way = tuple[Catalog, ImageSource, Rows]


@contextmanager
def mosaic(rows: int) -> Iterator[Way]:
    """Simulate 290 rows per million pixels, as dense as CANDELS."""
    with tempfile.TemporaryDirectory() as folder:
        simulate("candels", "H", rows=ROWS, seed=5, side_px=SIDE).write(folder)
        files = {name: next(Path(folder).glob(f"{name}.fits*")) for name in ("catalog", "image", "weight")}
        survey = load_survey("candels")
        images = open_images([files["image"]], weight=[files["weight"]], survey=survey, band="H")
        with closing(images):
            yield read_catalog(files["catalog"]), images, np.arange(min(rows, ROWS))


@contextmanager
def display_stamps(rows: int) -> Iterator[Way]:
    """Open real SDSS stamps, drawn from all of them."""
    catalog = read_catalog(DATA / "labels.csv")
    with closing(open_images([DATA / "images.zip"], survey=load_survey("sdss"), band="RGB")) as images:
        yield catalog, images, np.sort(np.random.default_rng(3).permutation(len(catalog))[:rows])


def milliseconds(work: Callable[[], object], rows: int, repeats: int = REPEATS) -> float:
    """Return the processor time of a piece of work for each row: the median of several times, the first left out."""
    work()
    spent = []
    for _ in range(repeats):
        started = time.thread_time()
        work()
        spent.append(1e3 * (time.thread_time() - started) / rows)
    return round(float(np.median(spent)), 3)


def plain(galaxy: Galaxy, images: ImageSource, checkpoint: Checkpoint, matrices: npt.NDArray[np.float64]) -> None:
    """Make as many stamps by scipy, one view and plane after the other."""
    cutout, measured, recipe = galaxy.cutout, galaxy.measured, checkpoint.recipe
    half = half_width_px(measured, recipe, pixel_scale_of(cutout, images))
    x, y = (measured.x, measured.y) if np.isfinite(measured.x) else (cutout.x, cutout.y)
    stamps = np.empty((len(matrices), len(cutout.planes), recipe.size, recipe.size), np.float32)
    step = 2.0 / recipe.size
    pixel = np.array([[step, 0.0, 0.5 * step - 1.0], [0.0, step, 0.5 * step - 1.0]])
    for view, matrix in enumerate(compose(stamp_matrix(x, y, half)[None], matrices)):
        linear = compose(matrix, pixel)[::-1, [1, 0, 2]]  # rows before columns
        for plane, image in enumerate(np.nan_to_num(cutout.planes)):
            ndimage.affine_transform(
                image, linear[:, :2], linear[:, 2], (recipe.size,) * 2, stamps[view, plane], order=3
            )
    if recipe.stretch == "asinh":
        np.clip(np.arcsinh(recipe.gain * stamps / np.float32(measured.sky_sigma)) / 3.0, -1.0, 3.0)


@one_blas_thread
def costs(catalog: Catalog, images: ImageSource, rows: Rows, name: str) -> dict[str, float]:
    """Return milliseconds of processor time a row of each stage, and the ratio to the plain way."""
    checkpoint = load_checkpoint(name)
    recipe = checkpoint.recipe
    matrices, _ = checkpoint.distinct_views(read_views(recipe.views))
    gathering = Gathering(catalog, images, recipe.half_width_rpet)
    where, _ = gathering.where
    some = [g for g in galaxies(gathering, rows) if g.cutout is not None and g.measured is not None]

    def read() -> None:
        for row in rows[where.tile[rows] >= 0].tolist():
            images.cutout(int(where.tile[row]), float(where.x[row]), float(where.y[row]), READ_HALF_PX)

    def prepare() -> None:
        reach = max(reach_of(matrices), 1.0)
        for g in some:
            scale = pixel_scale_of(g.cutout, images)
            about = {"x": g.cutout.x, "y": g.cutout.y, "reach": reach, "scale_arcsec": scale}
            prepare_around(g.cutout.planes, g.measured, recipe, **about)

    def cut() -> list[tuple[int, object]]:
        return [(g.row, views_of(g, images, recipe, matrices)) for g in some]

    stamps = cut()
    batches = [stamps[first : first + TOGETHER] for first in range(0, len(stamps), TOGETHER)]

    def by_scipy() -> None:
        for g in some:
            plain(g, images, checkpoint, matrices)

    def locate() -> None:
        _ = Gathering(catalog, images, recipe.half_width_rpet).where

    spent = {
        "locating": milliseconds(locate, len(catalog), 1),
        "reading a cutout": milliseconds(read, len(rows)),
        "reading and measuring": milliseconds(lambda: list(galaxies(gathering, rows)), len(rows)),
        "cutting views": milliseconds(cut, len(some)),
        "of which filling": milliseconds(prepare, len(some)),
        "stretching, stacking": milliseconds(lambda: [ShownStamps.of(b, recipe) for b in batches], len(some)),
        "the plain way to stamps": milliseconds(by_scipy, len(some), 1),
    }
    ours = spent["cutting views"] + spent["stretching, stacking"]
    spent["outside the network"] = round(spent["locating"] + spent["reading and measuring"] + ours, 3)
    spent["plain way / ours"] = round(spent["the plain way to stamps"] / ours, 2)
    return spent


def main() -> int:
    """Run the benchmark and print its result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, help="so many instead of 300; nothing is recorded")
    options = parser.parse_args()
    ways = {"candels-h": mosaic, "sdss-rgb": display_stamps}
    if not DATA.is_dir():
        print(f"the real stamps are not here ({DATA.name}): rows of a mosaic alone", file=sys.stderr)
        del ways["sdss-rgb"]
    result = {}
    for name, opened in ways.items():
        with opened(options.rows or 300) as (catalog, images, rows):
            result[name] = {"rows": len(rows), **costs(catalog, images, rows, name)}
        print(name)
        for stage, number in result[name].items():
            print(f"  {stage:26}{number:10.3f}")
    if options.rows is None and DATA.is_dir():
        RESULT.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"unit": "ms of processor time a row", **result}, indent=1)
        RESULT.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
