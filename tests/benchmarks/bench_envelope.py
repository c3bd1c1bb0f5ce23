"""Benchmark: how many pictures of its own test part and of foreign kinds a checkpoint marks; recorded, not asserted.

Usage: ``python tests/benchmarks/bench_envelope.py [CHECKPOINT ...] [--rows N]``. Needs ../shared/data; checkpoints of
display stamps only, by default the two that ship. Each kind of picture goes through the whole run, as in ``classify``:

own      galaxies of the test part, as they are
cut      the same, cut so that the galaxy lies at the edge and nothing in the middle
foreign  galaxies of the other survey's pictures (grey in three planes, or three planes averaged to grey)
stars    point sources on the noise of a picture
noise    white noise
blank    a constant with rounding noise

It prints, and writes to docs/benchmarks/envelope.json, the share of rows outside by the embedding and by the ranges
of S/N and size, the share with OUT_OF_ENVELOPE (either), and the share with any flag at all.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.table import Table
from PIL import Image

from galmorph.flags import Flag
from galmorph.learning.labelled_table import labels_from
from galmorph.learning.sections import fractions_of
from galmorph.learning.split import read_split
from galmorph.nets.checkpoint.file import Checkpoint, load_checkpoint
from galmorph.runs.classify import classify
from galmorph.runs.plan import Plan
from galmorph.runs.run_settings import Settings
from galmorph.sky.catalog import read_catalog
from galmorph.sky.catalog_input import CatalogInput
from galmorph.sky.images import ImageInput

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
TABLES = {
    "sdss": (DATA / "sdss_gz2" / "labels.csv", DATA / "sdss_gz2" / "images.zip"),
    "nircam": (DATA / "ceers_f200w" / "votes.csv", DATA / "ceers_f200w" / "images.zip"),
}
OTHER = {"sdss": "nircam", "nircam": "sdss"}
Picture = npt.NDArray[np.uint8]


def names_of(checkpoint: Checkpoint, table: Path, part: str, rows: int) -> list[str]:
    """Names of up to so many labelled pictures of one part of a table, drawn from all of it."""
    catalog = read_catalog(table)
    assert catalog.files is not None
    fractions = fractions_of(checkpoint.fractions, checkpoint.name)
    labelled = labels_from(catalog, checkpoint.scheme, fractions).totals.max(axis=1) > 0
    parts = read_split(checkpoint.split, checkpoint.name).divide(catalog.files, catalog.table)
    found = np.flatnonzero(labelled & (parts == part))
    chosen = np.sort(np.random.default_rng(3).permutation(found)[:rows])
    return [catalog.files[i] for i in chosen]


def pictures(archive: Path, names: list[str] | None, rows: int) -> Iterator[Picture]:
    """Read pictures of a zip file by their names, or up to so many spread over all."""
    with zipfile.ZipFile(archive) as stream:
        inside = {n.rpartition("/")[2].rpartition(".")[0]: n for n in stream.namelist() if n.endswith(".jpg")}
        every = max(len(inside) // rows, 1)
        keys = (
            [Path(n).name.removesuffix(".jpg") for n in names] if names is not None else sorted(inside)[::every][:rows]
        )
        for key in keys:
            yield np.asarray(Image.open(io.BytesIO(stream.read(inside[key]))))


def cut(picture: Picture) -> Picture:
    """Keep what lies right of the galaxy, which is then at the edge."""
    return picture[:, picture.shape[1] // 2 - 4 :]


def noise(like: Picture, rng: np.random.Generator) -> Picture:
    """Draw white noise of the darker half's brightness and scatter."""
    dark = like[like <= np.median(like)].astype(float)
    made: Picture = np.clip(rng.normal(dark.mean(), max(dark.std(), 2.0), like.shape), 0, 255).astype(np.uint8)
    return made


def star(like: Picture, rng: np.random.Generator) -> Picture:
    """Draw a Moffat profile of beta 3 on such noise; its width is a fortieth to a twelfth of the picture."""
    side = like.shape[0]
    core = side / rng.uniform(12, 40)
    y, x = np.indices(like.shape[:2]) - (side - 1) / 2
    light = 230.0 * (1.0 + (x**2 + y**2) / core**2) ** -3.0
    light = light[..., None] if like.ndim == 3 else light
    made: Picture = np.clip(noise(like, rng) + light, 0, 255).astype(np.uint8)
    return made


def blank(like: Picture, rng: np.random.Generator) -> Picture:
    """Draw a constant to the nearest grey or the next."""
    made: Picture = (np.full(like.shape, int(np.median(like))) + rng.integers(0, 2, like.shape)).astype(np.uint8)
    return made


def shares(checkpoint: Checkpoint, found: list[Picture], folder: Path) -> dict[str, Any]:
    """Run pictures through the whole run and count what is marked."""
    archive = folder / "pictures.zip"
    with zipfile.ZipFile(archive, "w") as stream:
        for number, picture in enumerate(found):
            data = io.BytesIO()
            Image.fromarray(picture).save(data, "JPEG", quality=95)
            stream.writestr(f"{number}.jpg", data.getvalue())
    envelope = checkpoint.envelope
    band = envelope.band
    table = Table({"file": [f"{number}.jpg" for number in range(len(found))]})
    images = ImageInput(archive, survey=envelope.survey, band=band)
    with closing(Plan(CatalogInput(table), images, checkpoint, Settings(device="cpu"))) as plan:
        results = classify(plan).results
    far = results.distance > (envelope.embedding.limit if envelope.embedding is not None else np.inf)
    marked = (results.flags & int(Flag.OUT_OF_ENVELOPE)) != 0
    ranges = (results.snr < envelope.snr[0]) | (results.snr > envelope.snr[1])
    return {
        "rows": len(found),
        "embedding": round(float(far.mean()), 3),
        "ranges": round(float(ranges.mean()), 3),
        "out_of_envelope": round(float(marked.mean()), 3),
        "any_flag": round(float((results.flags != 0).mean()), 3),
    }


def measured(checkpoint: Checkpoint, rows: int, folder: Path) -> dict[str, Any]:
    """Count for each kind of picture."""
    survey = checkpoint.envelope.survey
    table, archive = TABLES[survey]
    own = list(pictures(archive, names_of(checkpoint, table, "test", rows), rows))
    rng = np.random.default_rng(5)
    drawn: dict[str, Callable[[Picture, np.random.Generator], Picture]] = {
        "stars": star,
        "noise": noise,
        "blank": blank,
    }
    kinds = {"own": own, "cut": [cut(p) for p in own], "foreign": list(pictures(TABLES[OTHER[survey]][1], None, rows))}
    kinds |= {name: [make(p, rng) for p in own[: rows // 2]] for name, make in drawn.items()}
    return {name: shares(checkpoint, found, folder) for name, found in kinds.items()}


def main() -> int:
    """Run the benchmark, print its result as JSON and record it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", nargs="*", default=["sdss-rgb", "nircam-f200w"])
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "docs" / "benchmarks" / "envelope.json")
    options = parser.parse_args()
    found: dict[str, Any] = {}
    for name in options.checkpoints:
        checkpoint = load_checkpoint(name)
        if checkpoint.envelope.embedding is None:
            sys.stderr.write(f"{name}: has no embedding; fit one with galmorph calibrate\n")
            continue
        with tempfile.TemporaryDirectory() as folder:
            found[checkpoint.name] = {"sha256": checkpoint.sha256} | measured(checkpoint, options.rows, Path(folder))
    text = json.dumps(found, indent=1) + "\n"
    sys.stdout.write(text)
    if found:
        options.output.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
