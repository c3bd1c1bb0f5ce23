"""Simulated: the images and catalogue of a simulated field, opened as those of the sky are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from galmorph.runs.gather import Gathering
from galmorph.sky.catalog import read_catalog
from galmorph.sky.images import open_images
from galmorph.sky.mock import MockField
from galmorph.sky.scratch import scratch_folder
from galmorph.sky.survey import load_survey

__all__ = ["field_gathering"]


@contextmanager
def field_gathering(field: MockField, survey: str, band: str, half_width_rpet: float) -> Iterator[Gathering]:
    """Write a field to a folder that goes away again, and open it there.

    Parameters
    ----------
    survey, band
        That were simulated.
    half_width_rpet
        Of the stamps to be cut, in Petrosian radii.
    """
    with scratch_folder() as folder:
        field.write(folder)
        images: Any = folder / "image.fits"
        if len(field.images) > 1:
            images = {b: folder / f"{b}.fits" for b in field.images}
        with closing(open_images(images, survey=load_survey(survey), band=band)) as source:
            catalog = read_catalog(folder / "catalog.fits")
            yield Gathering(catalog, source, half_width_rpet)
