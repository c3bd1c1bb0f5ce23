"""Large fields: mosaics of any size, with a weight and a catalogue of any length, made of a few simulated patches.

Rendering 20 000 galaxies takes an hour; their patches, laid beside each other in an order drawn by a seed, take seconds
and cost every stage of a run what a field of as many different galaxies does.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

from galmorph.sky.mock import simulate

PATCH_PX = 1024
PATCHES = 6
SURVEY, BAND = "candels", "H"


@dataclass(frozen=True)
class LargeField:
    """Files of a field: an image, its weight, and a catalogue of rows on it."""

    image: Path
    weight: Path
    catalog: Path
    rows: int


def patches(folder: Path, rows_per_mpx: float) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, fits.Header]]:
    """Pixels, weights, positions (N, 2) and header of each patch; rendered once into a folder."""
    rows = max(round(rows_per_mpx * PATCH_PX**2 / 1e6), 1)
    made = []
    for seed in range(1, PATCHES + 1):
        place = folder / f"patch-{rows}-{seed}"
        if not (place / "truth.fits").exists():
            simulate(SURVEY, BAND, rows=rows, seed=seed, side_px=PATCH_PX).write(place, overwrite=True)
        with fits.open(place / "image.fits") as image, fits.open(place / "weight.fits") as weight:
            header = image[0].header
            pixels, weights = (np.array(hdus[0].data, np.float32) for hdus in (image, weight))
        catalog = Table.read(place / "catalog.fits")
        xy = np.stack(WCS(header).wcs_world2pix(catalog["ra"], catalog["dec"], 0), axis=1)
        made.append((pixels, weights, xy, header))
    return made


def write_field(
    folder: Path, name: str, side: int, rows_per_mpx: float, *, rows: int | None = None, seed: int = 1, pool: Path
) -> LargeField:
    """Write a field of `side` × `side` patches; the catalogue repeats its rows, shuffled, until there are enough.

    Parameters
    ----------
    rows
        Rows of the catalogue; by default each source once.
    pool
        Folder in which patches are kept.
    """
    made = patches(pool, rows_per_mpx)
    field = LargeField(*(folder / f"{name}{end}" for end in (".fits", "-weight.fits", "-catalog.fits")), rows or 0)
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, len(made), size=(side, side))
    header = made[0][3].copy()
    if not field.image.exists():
        for path, which in ((field.image, 0), (field.weight, 1)):
            mosaic = np.block([[made[n][which] for n in line] for line in drawn])
            fits.PrimaryHDU(mosaic, header).writeto(path, overwrite=True)
    xy = np.concatenate([made[drawn[i, j]][2] + (j * PATCH_PX, i * PATCH_PX) for i in range(side) for j in range(side)])
    order = rng.permutation(len(xy))
    wanted = rows or len(xy)
    xy = xy[np.concatenate([order] * -(-wanted // len(order)))[:wanted]]
    ra, dec = WCS(header).wcs_pix2world(xy[:, 0], xy[:, 1], 0)
    mag = rng.uniform(20.0, 25.0, wanted)
    Table({"id": np.arange(wanted), "ra": ra, "dec": dec, "mag": mag}).write(field.catalog, overwrite=True)
    return LargeField(field.image, field.weight, field.catalog, wanted)
