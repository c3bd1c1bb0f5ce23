"""Backends: interchangeable ways to measure one galaxy on a cutout.

``galmorph`` is :func:`galmorph.stamps.measure.measure`. ``sep`` and ``photutils`` give the plain textbook values of
those libraries, for comparison, with objects detected on the cutout: no neighbours masked, no templates, no error bars
but those that the library states.
"""

from __future__ import annotations

import importlib.util
from typing import Protocol

from galmorph.errors import PipelineError, unknown_name
from galmorph.stamps.backends.plain_sep import measure_with_sep
from galmorph.stamps.measure import FloatArray, Measurement, measure
from galmorph.stamps.segment import Segmentation

__all__ = ["BACKENDS", "Measure", "backend"]

BACKENDS = ("galmorph", "sep", "photutils")


class Measure(Protocol):
    """A function with the arguments of :func:`galmorph.stamps.measure.measure`."""

    def __call__(
        self,
        pixels: FloatArray,
        x: float,
        y: float,
        *,
        weight: FloatArray | None = None,
        saturation: float | None = None,
        psf_fwhm_px: float | None = None,
        segmentation: Segmentation | None = None,
        centroid: str = "windowed",
    ) -> Measurement:
        """Measure the galaxy at a position."""


def backend(name: str) -> Measure:
    """Return the function that measures with a library.

    Raises
    ------
    PipelineError
        If there is no such backend, or its library is not installed.
    """
    if name not in BACKENDS:
        raise PipelineError(unknown_name("backend", name, BACKENDS))
    if name == "galmorph":
        return measure
    if name == "sep":
        return measure_with_sep
    if importlib.util.find_spec("photutils") is None:
        raise PipelineError(
            "backend 'photutils' needs that library, which is not installed: pip install 'galmorph[photutils]'"
        )
    from galmorph.stamps.backends.plain_photutils import measure_with_photutils  # noqa: PLC0415 - slow to import

    return measure_with_photutils
