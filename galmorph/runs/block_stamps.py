"""BlockStamps: what a network is shown of the galaxies of a block, cut together."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from galmorph.runs.block_galaxies import BlockGalaxies
from galmorph.runs.gather import pixel_scales, seeds_of, views_of
from galmorph.runs.predictor import ShownStamps
from galmorph.sky.images import ImageSource
from galmorph.stamps.batch_cutting import Sights, are_plain, cut_batch
from galmorph.stamps.cutting import brightnesses, stretch_in_place
from galmorph.stamps.morphometry import morphometries
from galmorph.stamps.recipe import Recipe, half_widths_px

__all__ = ["block_stamps"]

IntArray = npt.NDArray[np.intp]
DoubleArray = npt.NDArray[np.float64]


def block_stamps(
    galaxies: BlockGalaxies, places: IntArray, images: ImageSource, recipe: Recipe, matrices: DoubleArray
) -> ShownStamps:
    """Cut and stretch the views of galaxies, all of which are measured.

    Parameters
    ----------
    places
        (N,) their rows in the results.
    matrices
        (V, 2, 3) as of :func:`galmorph.runs.gather.views_of`.
    """
    if not are_plain(recipe, matrices):
        stamps = (views_of(galaxy, images, recipe, matrices) for galaxy in galaxies)
        return ShownStamps.of(list(zip(places.tolist(), stamps, strict=True)), recipe)
    sights = _sights_of(galaxies, images, recipe)
    pixels, done = cut_batch(sights, recipe, matrices, _seeds_of(galaxies, images))
    for k in np.flatnonzero(~done).tolist():
        pixels[k] = views_of(galaxies.galaxy(k), images, recipe, matrices).pixels
        stretch_in_place(pixels[k : k + 1], sights.brightness[k : k + 1], recipe)
    return ShownStamps(places, pixels, morphometries(galaxies.values, images.psf_fwhm_px))


def _sights_of(galaxies: BlockGalaxies, images: ImageSource, recipe: Recipe) -> Sights:
    scales = pixel_scales(galaxies.scales_arcsec, images)
    return Sights(
        galaxies.scene.pixels,
        galaxies.scene.labels,
        galaxies.scene.correlation_px,
        galaxies.windows,
        galaxies.batch.neighbours,
        galaxies.numbers,
        galaxies.centres,
        galaxies.values["sky_level"],
        half_widths_px(galaxies.values["rpet_px"], galaxies.values["extent_px"], recipe, scales),
        brightnesses(galaxies.values["mean_brightness"], galaxies.values["sky_sigma"], recipe).astype(np.float32),
    )


def _seeds_of(galaxies: BlockGalaxies, images: ImageSource) -> list[int]:
    """Seeds as of single cutouts, whose positions are those in the cutout plus its place."""
    positions = galaxies.places + galaxies.origins
    return seeds_of(galaxies.block.pixels.tile, positions.tolist(), images)
