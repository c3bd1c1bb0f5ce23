"""Segmentation: which pixels belong to which object of a cutout, and which object is meant."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock

import numpy as np
import numpy.typing as npt
import sep

from galmorph.stamps.background import Sky, clipped_sky, correlation_px, power_of_two

__all__ = ["Segmentation", "neighbour_mask", "pick", "segment"]

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int32]

# Isophotal extent of an ellipse in units of SEP's semi-axes (second moments): Bertin & Arnouts 1996, sec. 10.
_EXTENT = 3.0
_NEIGHBOUR_EXTENT = 6.0
SKY_EXTENT = 8.0
_ENOUGH_SKY = 0.2
_DEBLEND_LEVELS = 16
_PLENTY = 8_000
_WORTH_BINNING = 160


@dataclass(frozen=True)
class Segmentation:
    """Objects of one cutout.

    Parameters
    ----------
    labels
        (H, W) int32: 0 for the sky, ``k + 1`` for row ``k`` of `objects`.
    objects
        SEP's structured array of objects (x, y, a, b, theta, flux, npix, …).
    sky
        Level and noise outside the objects.
    correlation_px
        Correlation length of the noise.
    usable
        (H, W) False where pixels are NaN, infinite or have no weight.
    """

    labels: IntArray
    objects: npt.NDArray[np.void]
    sky: Sky
    correlation_px: float
    usable: BoolArray


def segment(
    pixels: FloatArray,
    usable: BoolArray,
    *,
    relative_noise: FloatArray | None = None,
    threshold: float = 1.5,
    min_area: int = 6,
    deblend_contrast: float = 0.06,
) -> Segmentation:
    """Find and deblend the objects of a cutout (SEP's `extract`: Bertin & Arnouts 1996, Barbary 2016).

    Parameters
    ----------
    pixels
        Linear flux, (H, W); values that are not `usable` are ignored.
    usable
        (H, W) True where a pixel counts.
    relative_noise
        (H, W) noise of each pixel relative to the typical one, from weights; None for uniform noise.
    threshold
        In units of the sky noise per pixel, after filtering.
    min_area
        Least number of pixels of an object with white noise; correlated noise raises it.
    deblend_contrast
        Least fraction of the flux that makes a peak an object of its own.
    """
    whole = bool(usable.all())
    # A quarter of the pixels is enough to detect.
    some = np.s_[::2, ::2] if pixels.size > _PLENTY else np.s_[:, :]
    sky = clipped_sky(pixels[some], None if whole else usable[some])
    if sky.n_pixels < 25 or sky.sigma <= 0:
        return Segmentation(np.zeros(pixels.shape, np.int32), np.zeros(0, sep_dtype()), sky, 1.0, usable)
    flat = _flattened(pixels, usable, sky)
    detection = _Detection(flat, None if whole else ~usable, relative_noise, threshold, min_area, deblend_contrast)
    objects, labels = detection.at(sky)
    sky, moved = _better(sky, _sky_outside(pixels, usable, objects, labels))
    correlation = correlation_px(pixels, usable, sky)
    if correlation >= 2.0 and min(pixels.shape) >= _WORTH_BINNING:
        noise = None if relative_noise is None else _binned(relative_noise, usable)[0]
        halved = segment(
            *_binned(pixels, usable),
            relative_noise=noise,
            threshold=threshold,
            min_area=min_area,
            deblend_contrast=deblend_contrast,
        )
        return _unbinned(halved, usable, sky)
    if moved or correlation > 1.0:
        # Unmasked wings had raised the first sky; or smooth noise makes larger false peaks: demand a larger area.
        objects, labels = detection.at(sky, round(min_area * correlation**2))
        sky, _ = _better(sky, _sky_outside(pixels, usable, objects, labels))
    return Segmentation(labels, objects, sky, correlation, usable)


def _better(sky: Sky, outside: Sky | None) -> tuple[Sky, bool]:
    """Take the sky outside the objects, and tell whether that is so different that detection changes."""
    if outside is None or not outside.sigma > 0:
        return sky, False
    return outside, abs(outside.level - sky.level) > 0.25 * outside.sigma or outside.sigma < 0.8 * sky.sigma


def _sky_outside(pixels: FloatArray, usable: BoolArray, objects: npt.NDArray[np.void], labels: IntArray) -> Sky | None:
    """Measure the sky outside all objects, grown as far as leaves enough of it."""
    if len(objects) == 0:
        return None
    for extent in (SKY_EXTENT, _NEIGHBOUR_EXTENT, 1.3 * _EXTENT):
        inside = _ellipses(objects, pixels.shape, extent)
        inside |= labels > 0
        outside = usable & ~inside
        if np.count_nonzero(outside) > _ENOUGH_SKY * outside.size:
            return clipped_sky(pixels, outside)
    return None


def _ellipses(rows: npt.NDArray[np.void], shape: tuple[int, ...], extent: float) -> BoolArray:
    """Mark the pixels inside ellipses of so many semi-axes, (H, W)."""
    inside = np.zeros(shape, dtype=np.bool_)
    # SEP's angle can come out a hair above pi / 2, which its own ellipse routine refuses.
    angle = np.clip(rows["theta"], -np.pi / 2, np.pi / 2)
    long, short = (np.maximum(rows[name], 0.5) for name in ("a", "b"))
    sep.mask_ellipse(inside, rows["x"], rows["y"], long, short, angle, r=extent)
    return inside


def _binned(pixels: FloatArray, usable: BoolArray) -> tuple[FloatArray, BoolArray]:
    """Average 2 × 2 pixels: an oversampled image loses nothing, and its noise becomes nearly white."""
    height, width = (n // 2 * 2 for n in pixels.shape)

    def quarters(values: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
        total: npt.NDArray[np.float64] = (
            values[:height, :width].reshape(height // 2, 2, width // 2, 2).sum(axis=(1, 3), dtype=np.float64)
        )
        return total

    count = quarters(usable)
    total = quarters(np.where(usable, pixels, np.float32(0.0)))
    mean = np.divide(total, count, out=np.zeros_like(total), where=count > 0)
    return mean.astype(np.float32), count > 0


def _unbinned(halved: Segmentation, usable: BoolArray, sky: Sky) -> Segmentation:
    labels = np.zeros(usable.shape, dtype=np.int32)
    doubled = np.repeat(np.repeat(halved.labels, 2, axis=0), 2, axis=1)
    labels[: doubled.shape[0], : doubled.shape[1]] = doubled
    objects = halved.objects.copy()
    for name in ("x", "y", "xpeak", "ypeak", "xcpeak", "ycpeak"):
        objects[name] = objects[name] * 2 + (0.5 if name in ("x", "y") else 0)
    objects["a"] *= 2
    objects["b"] *= 2
    # The level is the same; the noise per pixel is that of the unbinned image.
    return Segmentation(
        labels, objects, Sky(halved.sky.level, sky.sigma, sky.n_pixels), 2 * halved.correlation_px, usable
    )


def sep_dtype() -> np.dtype[np.void]:
    """Return the type of SEP's table of objects (for an empty one)."""
    blank = np.zeros((8, 8), np.float32)
    return sep.extract(blank, 1.0).dtype  # type: ignore[no-any-return]


def _flattened(pixels: FloatArray, usable: BoolArray, sky: Sky) -> FloatArray:
    # SEP wants native, contiguous, writable float32 without NaN.
    return np.ascontiguousarray(np.where(usable, pixels, sky.level), dtype=np.float32)


@dataclass(frozen=True)
class _Detection:
    """Pixels and settings of a detection; only the sky varies."""

    data: FloatArray
    mask: BoolArray | None
    relative_noise: FloatArray | None
    threshold: float
    area: int
    contrast: float

    def at(self, sky: Sky, area: int | None = None) -> tuple[npt.NDArray[np.void], IntArray]:
        """Detect above a sky; the objects and their labels."""
        # SEP squares in single precision: a power of two keeps images in units of 1e-20 from vanishing, exactly.
        data = self.data - np.float32(sky.level)
        typical = sky.sigma
        if self.relative_noise is not None:
            # Where the noise varies, its typical value is that of the pixels in units of their own.
            usable = None if self.mask is None else ~self.mask
            typical = clipped_sky(data / self.relative_noise, usable).sigma or typical
        sigma = max(typical, 1e-12 * float(max(data.max(), -data.min())))  # a rendered image may have no noise at all
        unit = power_of_two(1.0 / sigma)
        data *= np.float32(unit)
        noise = sigma * unit if self.relative_noise is None else self.relative_noise * np.float32(sigma * unit)
        least = area or self.area
        for raised in (1.0, 3.0, 10.0):
            try:
                objects, labels = _extract(data, self.threshold * raised, noise, self.mask, least, self.contrast)
            except Exception as error:  # SEP raises nothing more special
                if not any(word in str(error) for word in ("overflow", "limit")):
                    raise
                continue
            return objects, labels.astype(np.int32, copy=False)
        return np.zeros(0, sep_dtype()), np.zeros(data.shape, np.int32)


_BUFFER = Lock()


def _extract(
    data: FloatArray, threshold: float, noise: float | FloatArray, mask: BoolArray | None, area: int, contrast: float
) -> tuple[npt.NDArray[np.void], IntArray]:
    # SEP clears a buffer for 300 000 pixels in every call, which takes as long as the detection on a small cutout.
    with _BUFFER:
        usual = sep.get_extract_pixstack()
        sep.set_extract_pixstack(min(usual, data.size + 64))
        try:
            return sep.extract(  # type: ignore[no-any-return]
                data,
                threshold,
                err=noise,
                mask=mask,
                minarea=area,
                # The threshold is per pixel with a noise map as without one.
                filter_type="conv",
                deblend_nthresh=_DEBLEND_LEVELS,
                deblend_cont=contrast,
                segmentation_map=True,
            )
        finally:
            sep.set_extract_pixstack(usual)


def pick(found: Segmentation, x: float, y: float, *, reach_px: float = 5.0) -> int:
    """Choose the object at a position.

    The object whose pixels contain the position, else the one whose ellipse is nearest (distance in units of its
    own isophotal extent) provided that its edge is within `reach_px`.

    Returns
    -------
    Row of ``found.objects``, or -1 where nothing is there.
    """
    height, width = found.labels.shape
    if not (np.isfinite(x) and np.isfinite(y)):
        return -1
    column, row = round(x), round(y)
    if 0 <= row < height and 0 <= column < width and found.labels[row, column] > 0:
        return int(found.labels[row, column]) - 1
    objects = found.objects
    if len(objects) == 0:
        return -1
    distance = np.hypot(objects["x"] - x, objects["y"] - y)
    gap = distance - _EXTENT * np.sqrt(objects["a"] * objects["b"])
    nearest = int(np.argmin(gap))
    return nearest if gap[nearest] < reach_px else -1


def neighbour_mask(found: Segmentation, chosen: int, shape: tuple[int, int]) -> BoolArray:
    """Mark the pixels of all objects but one, out to six of their semi-axes, (H, W).

    Pixels inside the chosen object's own segment are never marked.
    """
    others = np.zeros(shape, dtype=np.bool_)
    if len(found.objects) == 0:
        return others
    others |= (found.labels > 0) & (found.labels != chosen + 1)
    rows = found.objects[np.arange(len(found.objects)) != chosen]
    if len(rows):
        others |= _ellipses(rows, shape, _growth(rows)) & (found.labels != chosen + 1)
    return others


def _growth(rows: npt.NDArray[np.void]) -> float:
    return _NEIGHBOUR_EXTENT if len(rows) < 200 else _EXTENT
