"""Contact sheets of real H-band galaxies, end to end from FITS files with a WCS: pages to look at, not figures.

Usage: ``python tests/benchmarks/real_sheets.py [--rows N] [--out FOLDER]``. One sheet is of some test galaxies of
`candels-h`, one small file each, the other of what SEP detects in a patch of the XDF, a mosaic with its noise map.
Needs ../shared/data. The pages show pixels that are not part of galmorph: they stay outside it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from astropy.table import Table
from bench_candels import SHARED, detected
from bench_shares import STAMPS, fold_pipeline, labelled

import galmorph

SURVEY, BAND = "candels", "H"


def stamps(rows: int, out: Path) -> Path:
    """Classify test galaxies of the fold that ships, each in a file of its own."""
    table = labelled()
    parts = fold_pipeline("candels-h", 0).split.divide([str(i) for i in table["id"]], table)
    some = table[np.flatnonzero(parts == "test")[:rows]]
    files = [STAMPS / str(name) for name in some["image"]]
    return classified(some["id", "ra", "dec"], files, out / "stamps")


def xdf(out: Path) -> Path:
    """Classify sources of the XDF, with its noise map."""
    image = SHARED / "xdf_f160w" / "xdf_f160w_sci.fits"
    return classified(detected(image), [image], out / "xdf", [image.with_name("xdf_f160w_rms.fits")])


def classified(table: Table, images: list[Path], folder: Path, rms: list[Path] | None = None) -> Path:
    """Write the classified table, and its report beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    catalog = folder / f"{folder.name}.fits"
    table.write(catalog, overwrite=True)
    galmorph.classify(
        catalog,
        images,
        rms=rms or (),
        survey=SURVEY,
        band=BAND,
        output=folder / "morphologies.fits",
        report=folder,
        overwrite=True,
    )
    return folder / "index.html"


def main() -> None:
    """Write both and print where they are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=72)
    parser.add_argument("--out", type=Path, default=Path("runs/sheets"))
    options = parser.parse_args()
    for page in (stamps(options.rows, options.out), xdf(options.out)):
        print(page)


if __name__ == "__main__":
    main()
