"""Export: a checkpoint as an ONNX file, checked on the galaxies of a sample that ships."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from galmorph.nets.checkpoint.file import Checkpoint, load_checkpoint
from galmorph.nets.checkpoint.lookup import find_checkpoint
from galmorph.nets.checkpoint.onnx_file import write_onnx
from galmorph.runs.gather import Gathering, gather, stamp_of
from galmorph.shipped import shipped
from galmorph.sky.catalog import read_catalog
from galmorph.sky.images import open_images
from galmorph.sky.outputs import check_outputs
from galmorph.sky.survey import load_survey
from galmorph.stamps.morphometry import stacked
from galmorph.stamps.recipe import Recipe, stretch

__all__ = ["export", "sample_stamps"]

FloatArray = npt.NDArray[np.float32]
_GALAXIES = 12  # beside random stamps: enough to show values that those do not have


def export(checkpoint: str | Path | Checkpoint, output: str | Path, *, overwrite: bool = False) -> float:
    """Write a checkpoint as an ONNX file, with all that it holds in the metadata, and check it against torch.

    The graph takes a batch of stretched stamps of any length, and their morphometry where a network takes it. It gives
    uncalibrated probabilities given that each question is asked; recipe, scheme, calibration and envelope are JSON
    under the key ``galmorph``.

    Parameters
    ----------
    checkpoint
        A name, a file or a loaded one.
    output
        File to write.
    overwrite
        Replace an existing file.

    Returns
    -------
    The largest difference of a probability from torch's, on random stamps and those of a sample; at most 1e-4.

    Raises
    ------
    CheckpointError
        If the libraries of ``galmorph[onnx]`` are missing, or the file would answer otherwise than torch.
    OutputError
        If the file exists already or cannot be written.
    """
    loaded = checkpoint if isinstance(checkpoint, Checkpoint) else load_checkpoint(checkpoint)
    path = Path(output)
    check_outputs([path], None if checkpoint is loaded else find_checkpoint(str(checkpoint)), overwrite=overwrite)
    _, worst = write_onnx(loaded, path, *sample_stamps(loaded.recipe), overwrite=overwrite)
    return worst


def sample_stamps(recipe: Recipe) -> tuple[FloatArray, FloatArray]:
    """Return stretched stamps and morphometry of the first galaxies of the sample that has a recipe's planes."""
    name, survey, band = ("sdss-gri", "sdss", "gri") if recipe.planes == 3 else ("candels-h", "candels", "H")
    folder = shipped("catalogs") / "samples" / name
    files: Any = {b: folder / f"{b}.fits.gz" for b in band} if recipe.planes == 3 else folder / "image.fits.gz"
    catalog = read_catalog(folder / "catalog.fits")
    stamps, measured = [], []
    with closing(open_images(files, survey=load_survey(survey), band=band)) as images:
        for galaxy in gather(Gathering(catalog, images, recipe.half_width_rpet), np.arange(_GALAXIES)):
            if galaxy.measured is not None:
                stamp = stamp_of(galaxy, images, recipe)
                stamps.append(stretch(stamp.pixels, np.float32(stamp.brightness), recipe))
                measured.append(stamp.morphometry)
    return np.stack(stamps).astype(np.float32), stacked(measured)
