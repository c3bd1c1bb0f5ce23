"""SEP's textbook values: mesh background, extraction, windowed position, circular apertures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import sep

from galmorph.flags import Flag
from galmorph.stamps.backends.growth import DoubleArray, Plain, growth_of, measurement
from galmorph.stamps.background import Sky
from galmorph.stamps.measure import FloatArray, Measurement, undetected
from galmorph.stamps.segment import Segmentation, pick, usable_pixels

__all__ = ["measure_with_sep"]

# SEP's default mesh, and the threshold of its tutorial.
_MESH_PX, _THRESHOLD = 64, 1.5
# SExtractor's window: a Gaussian whose full width at half maximum is the half-light diameter.
_WINDOW = 2.0 / 2.3548
# Semi-axes of the aperture whose light the half-light radius is of, as in SEP's documentation.
_APERTURE = 6.0


def measure_with_sep(
    pixels: FloatArray,
    x: float,
    y: float,
    *,
    weight: FloatArray | None = None,
    saturation: float | None = None,  # noqa: ARG001 - part of the interface
    psf_fwhm_px: float | None = None,  # noqa: ARG001 - likewise
    segmentation: Segmentation | None = None,
    centroid: str = "windowed",
) -> Measurement:
    """Measure with SEP alone, with the settings of its documentation.

    Parameters
    ----------
    pixels, x, y, weight, segmentation, centroid
        As :func:`galmorph.stamps.measure.measure` takes them.
    saturation, psf_fwhm_px
        Not used.

    References
    ----------
    Barbary 2016, JOSS 1, 58; Bertin & Arnouts 1996, A&AS 117, 393.
    """
    usable = usable_pixels(pixels, weight)
    filled = np.ascontiguousarray(np.where(usable, pixels, np.float32(0.0)), dtype=np.float32)
    mesh = min(_MESH_PX, *pixels.shape)
    background = sep.Background(filled, mask=~usable, bw=mesh, bh=mesh)
    clean = filled - background.back(dtype=np.float32)
    sky = Sky(float(background.globalback), float(background.globalrms), int(usable.sum()))
    if segmentation is None:
        objects, labels = sep.extract(clean, _THRESHOLD, err=sky.sigma, mask=~usable, segmentation_map=True)
        segmentation = Segmentation(labels.astype(np.int32), objects, sky, 1.0, usable)
    chosen = pick(segmentation, x, y)
    if chosen < 0:
        return undetected(x, y, segmentation, Flag(0))
    row, bad = segmentation.objects[chosen], ~usable
    at = [float(row["x"])], [float(row["y"])]
    reach = _APERTURE * float(row["a"])
    half = float(sep.flux_radius(clean, *at, [reach], 0.5, mask=bad, subpix=5)[0][0])
    wx, wy, flag = sep.winpos(clean, *at, [max(_WINDOW * half, 0.5)], mask=bad)
    centre = (float(wx[0]), float(wy[0])) if centroid == "windowed" else (at[0][0], at[1][0])

    def inside(radius: DoubleArray) -> DoubleArray:
        many = np.full(radius.size, centre[0]), np.full(radius.size, centre[1])
        return np.asarray(sep.sum_circle(clean, *many, radius, mask=bad)[0], dtype=np.float64)

    plain = Plain(
        *centre,
        float(np.sqrt(0.5 * (row["errx2"] + row["erry2"]))),
        float(row["a"]),
        1.0 - float(row["b"] / row["a"]),
        float(np.degrees(row["theta"])),
        sky,
    )
    plainly = measurement(plain, growth_of(inside, min(pixels.shape) / 2), segmentation, pixels.shape)
    if flag[0] == 0 or centroid == "isophotal":
        return plainly
    return replace(plainly, flags=plainly.flags | Flag.NO_CENTROID)
