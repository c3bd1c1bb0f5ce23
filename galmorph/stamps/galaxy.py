"""Source: one object of a segmentation, with the pixels that belong to no other: its centre and its radii."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from galmorph.flags import Flag
from galmorph.stamps.centroid import isophotal_centroid
from galmorph.stamps.frame import Frame, frame_about, frame_size
from galmorph.stamps.radii import Radii, light_within, radii_of
from galmorph.stamps.scene import Scene
from galmorph.stamps.segment import SKY_EXTENT, Segmentation
from galmorph.stamps.window import Window, ellipse_of, fit_window, sharpest

__all__ = ["Source"]

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

# Window of the centroid: Gaussian of so many half-light radii, at least so many widths of the point-spread function.
_WINDOW, _LEAST_FWHM = 0.8, 0.5
# A window whose width comes out so much different is fitted again: at .02 centres move by up to .03 px, at .2 by .05.
_SAME_WIDTH = 0.08
# Windows for the position alone: below these sizes there is the core of the point-spread function, and pixels.
_NARROWEST_FWHM, _NARROWEST_PX = 0.5, 1.5
# Largest r_P in isophotal radii, of bright galaxies and of faint ones, of whose light less lies above the threshold.
_FARTHEST_BRIGHT, _FARTHEST_FAINT = 5.0, 9.0
# A radius that is known no better than this is not known.
_WORST = 0.6
# The sky next to a galaxy is not that of the whole cutout: error of its level in units of the noise per pixel.
_SKY_SYSTEMATIC = 0.005
# First guess of a frame's half-width in isophotal radii, of bright galaxies and of faint ones; a radius that does not
# fit makes it larger.
_SMALLEST_FRAME, _LARGEST_FRAME = 0.8, 5.0


@dataclass(frozen=True)
class Source:
    """One object of a segmentation with the pixels that belong to no other.

    Parameters
    ----------
    clean
        Pixels less the sky, 0 where they are missing, (H, W).
    bad
        Those that are missing or belong to neighbours, (H, W); None where there are none.
    chosen, segmentation
        Row of the object in a segmentation.
    neighbours
        Pixels of the other objects, as far as these are masked, (H, W).
    psf_fwhm_px
        Width of the point-spread function; None where unknown.
    """

    clean: FloatArray
    bad: BoolArray | None
    chosen: int
    segmentation: Segmentation
    neighbours: BoolArray
    psf_fwhm_px: float | None

    @classmethod
    def of(
        cls, scene: Scene, segmentation: Segmentation, chosen: int, neighbours: BoolArray, psf_fwhm_px: float | None
    ) -> Source:
        """Take the sky from a scene, and zero what is missing."""
        clean = scene.pixels - np.float32(segmentation.sky.level)
        bad: BoolArray | None = neighbours if len(segmentation.objects) > 1 else None
        if not scene.usable.all():
            clean = np.where(scene.usable, clean, np.float32(0.0))
            bad = neighbours | ~scene.usable
        return cls(clean.astype(np.float32, copy=False), bad, chosen, segmentation, neighbours, psf_fwhm_px)

    @cached_property
    def row(self) -> np.void:
        """The object."""
        row: np.void = self.segmentation.objects[self.chosen]
        return row

    @property
    def noise(self) -> float:
        """Effective noise per pixel."""
        return self.segmentation.sky.sigma * self.segmentation.correlation_px

    @property
    def sky_error(self) -> float:
        """Error of the level of the sky near the galaxy, per pixel."""
        sky = self.segmentation.sky
        counted = self.segmentation.correlation_px / math.sqrt(max(sky.n_pixels, 1))
        return math.hypot(counted, _SKY_SYSTEMATIC) * sky.sigma

    @property
    def sky_px(self) -> tuple[float, float]:
        """Between which distances the sky was measured, roughly."""
        return SKY_EXTENT / 3.0 * self.isophotal_px, 0.6 * max(self.clean.shape)

    @cached_property
    def isophotal_px(self) -> float:
        """Isophotal radius."""
        return 3.0 * math.sqrt(self.row["a"] * self.row["b"])

    @property
    def farthest_px(self) -> float:
        """Largest Petrosian radius that the isophote allows."""
        return min(max(2.0 * self._expected, _FARTHEST_BRIGHT), _FARTHEST_FAINT) * self.isophotal_px

    @property
    def _expected(self) -> float:
        """Petrosian over isophotal radius of an exponential disc: 3.6 / ln P if its centre is P thresholds bright."""
        return 3.6 / self._log_contrast

    @cached_property
    def _log_contrast(self) -> float:
        contrast = float(self.row["cpeak"]) / max(float(self.row["thresh"]), 1e-30)
        return math.log(max(contrast, 1.5))

    @property
    def _fall_px(self) -> float:
        """Scale length of an exponential disc with this isophote; 0 for a segment of a map, which has no threshold."""
        return math.sqrt(self.row["npix"] / np.pi) / self._log_contrast if self.row["thresh"] > 0 else 0.0

    def windowed(self) -> tuple[Window, Flag]:
        """Fit the window that centroid and shape come from."""
        start = float(self.row["x"]), float(self.row["y"])
        frame = frame_about(self.clean, self.bad, *start, *frame_size(1.2 * self.isophotal_px + 2.0))
        mean, half_light, _ = light_within(frame, self.isophotal_px)
        fill = frame.rings.edges[1:] * frame.scale_px, mean
        sigma = _WINDOW * max(half_light if math.isfinite(half_light) else 0.0, _LEAST_FWHM * (self.psf_fwhm_px or 2.0))
        shape = ellipse_of(float(self.row["a"]), float(self.row["b"]), float(self.row["theta"]), sigma)
        window = fit_window(self.clean, self.bad, start, shape, self.noise, fill)
        moved = math.hypot(window.x - start[0], window.y - start[1])
        if not moved <= 6.0 * max(float(self.row["a"]), 1.0) or self._core_is_bad(start):
            nan = float("nan")
            return Window(*start, window.position_err_px, shape, nan, converged=False), Flag.NO_CENTROID
        return window, Flag(0) if window.converged else Flag.NO_CENTROID

    def isophotal(self, window: Window) -> tuple[Window, Flag]:
        """Move the centre of a window to the isophotal centroid, where the galaxy's own segment has one."""
        start = float(self.row["x"]), float(self.row["y"])
        own = (self.segmentation.labels == self.chosen + 1) & self.segmentation.usable
        centre = isophotal_centroid(self.clean, own, self.noise, self._fall_px)
        if np.isnan(centre.x) or self._core_is_bad(start):
            return replace(window, x=start[0], y=start[1], converged=False), Flag.NO_CENTROID
        return replace(window, x=centre.x, y=centre.y, position_err_px=centre.error_px), Flag(0)

    def refined(self, window: Window, radii: Radii | None) -> Window:
        """Fit the window again where the half-light radius came out different from the first, isophotal one."""
        if radii is None or not window.converged or not radii.light.r50 > 0:
            return window
        sigma = _WINDOW * max(radii.light.r50, _LEAST_FWHM * (self.psf_fwhm_px or 2.0))
        if abs(sigma / window.ellipse.sigma_px - 1.0) < _SAME_WIDTH:
            return window
        again = fit_window(self.clean, self.bad, (window.x, window.y), window.ellipse.resized(sigma), self.noise)
        return again if again.converged and math.hypot(again.x - window.x, again.y - window.y) < sigma else window

    def pinpointed(self, window: Window) -> Window:
        """Centre a window of the size that knows the position best; the shape stays that of the half-light window."""
        if not window.converged:
            return window
        sigma = window.ellipse.sigma_px
        narrowest = max(_NARROWEST_FWHM * (self.psf_fwhm_px or 0.0), _NARROWEST_PX)
        best = sharpest(self.clean, self.bad, window, narrowest)
        # What fills in for missing pixels is good enough for a wide window only.
        if best >= sigma or self._core_is_bad((window.x, window.y), math.ceil(3.0 * best)):
            return window
        narrow = fit_window(self.clean, self.bad, (window.x, window.y), window.ellipse.resized(best), self.noise)
        if not narrow.converged or math.hypot(narrow.x - window.x, narrow.y - window.y) > sigma:
            return window
        return replace(window, x=narrow.x, y=narrow.y, position_err_px=narrow.position_err_px)

    def _core_is_bad(self, centre: tuple[float, float], reach: int = 1) -> bool:
        if self.bad is None:
            return False
        row, column = round(centre[1]), round(centre[0])
        rows, columns = (slice(max(at - reach, 0), max(at + reach + 1, 0)) for at in (row, column))
        return bool(self.bad[rows, columns].any())

    def radii(self, window: Window) -> tuple[Frame, Radii | None]:
        """Measure the radii on a frame that is large enough for them."""
        isophotes = min(max(2.7 * self._expected, _SMALLEST_FRAME), _LARGEST_FRAME)
        reach = max(isophotes * self.isophotal_px, 12.0)
        farthest = self.farthest_px
        settings = self.noise, self.sky_error, self.sky_px, self.psf_fwhm_px, window.ellipse.axis_ratio
        while True:
            frame = frame_about(self.clean, self.bad, window.x, window.y, *frame_size(reach))
            radii = radii_of(frame, *settings)
            if (radii is not None and 1.5 * radii.rpet <= reach) or reach > farthest:
                break
            reach = max(1.6 * reach, 1.6 * radii.rpet if radii is not None else 0.0)
        fits = radii is not None and radii.rpet <= farthest and radii.rpet_err < _WORST * radii.rpet
        return frame, radii if fits else None
