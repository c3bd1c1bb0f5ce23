"""Segmentation: which pixels belong to which object of a cutout, and which object is meant."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from galmorph.stamps.background import Sky, lag_of, power_of_two, sky_in_units, sky_of
from galmorph.stamps.compiled import compiled, inner, uninterrupted
from galmorph.stamps.deblending import Blobs
from galmorph.stamps.detection import blobs_of, everywhere, marked, no_blobs, objects_of, table_of
from galmorph.stamps.isophote import COLUMNS

__all__ = [
    "NEIGHBOUR_EXTENT",
    "REACH_PX",
    "SKY_EXTENT",
    "SMOOTH_PX",
    "Choice",
    "Detection",
    "Outline",
    "Segmentation",
    "between",
    "choice_at",
    "detected",
    "divided",
    "is_off",
    "moved_far",
    "nearest",
    "neighbour_mask",
    "others_of",
    "outer_sky",
    "outline_of",
    "outlines_of",
    "pick",
    "relative_noise",
    "segment",
    "usable_pixels",
]

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int32]
DoubleArray = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]

# Isophotal extent of an ellipse in units of SEP's semi-axes (second moments): Bertin & Arnouts 1996, sec. 10.
_EXTENT = 3.0
NEIGHBOUR_EXTENT = 6.0
"""Semi-axes that neighbours are masked to: twice their isophotal extent. More would hide the galaxies themselves."""
SKY_EXTENT = 8.0
"""Semi-axes that the sky is measured outside of: at 6.5 or 10 radii of the benchmark's mocks change by .2 %."""
REACH_PX = 5.0
"""Distance from the edge of an object at which a position still means it."""
# Extents that the sky is measured outside of: the first that leaves enough.
_SKY_EXTENTS = SKY_EXTENT, NEIGHBOUR_EXTENT, 1.3 * _EXTENT
# Among more objects, masks are no larger than isophotes.
_CROWD = 200
# Share of a cutout that must be left for the sky; else objects are grown by less.
_ENOUGH_SKY = 0.2
# Catalogues are no worse than this; a position further from the middle may mean another, smaller source.
_MISPLACED_PX = 4.0
# Of images with more pixels than this a quarter fixes the sky before detection: all would change radii by .05 %.
_PLENTY = 8_000
# Weights of more pixels than this are not all sorted.
_MANY = 80_000
# Side of an image from which on half of it is still a cutout with a sky around its galaxy.
_WORTH_BINNING = 160
SMOOTH_PX = 2.0
"""Correlation length in pixels from which on noise is smooth: then every other pixel says as much."""
# Lags of autocorrelations that are looked at.
_LONGEST = 8
_EVEN = np.zeros((0, 0), np.float32)
_ALL = np.zeros((0, 4), np.int64)
# Bits of numbers in single precision: of infinity, of zero, and all but the sign.
_INFINITE, _NOTHING, _INFINITE_OR_LESS = np.int32(0x7F800000), np.int32(0), np.int32(0x7FFFFFFF)


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
    corner
        Row and column of the first pixel on the image where the objects have their places: others than (0, 0) for a
        window of a larger one.
    """

    labels: IntArray
    objects: npt.NDArray[np.void]
    sky: Sky
    correlation_px: float
    usable: BoolArray
    corner: tuple[int, int] = (0, 0)

    def part(self, window: Sequence[int], sky: Sky) -> Segmentation:
        """Cut out a window (first row and column, height and width), with a sky of its own."""
        top, left, height, width = window
        rows, columns = slice(top, top + height), slice(left, left + width)
        return replace(
            self, labels=self.labels[rows, columns], usable=self.usable[rows, columns], sky=sky, corner=(top, left)
        )


class Outline(NamedTuple):
    """What measuring needs of an object: SEP's values of these names."""

    x: float
    y: float
    a: float
    b: float
    theta: float
    cpeak: float
    thresh: float
    npix: float


_OUTLINED = tuple(COLUMNS.index(name) for name in Outline._fields)
# Columns that grow with the pixels' number along an axis, and those that are positions between pixels.
_PLACES = tuple(COLUMNS.index(name) for name in ("x", "y", "xpeak", "ypeak", "xcpeak", "ycpeak", "a", "b"))
_MIDDLES = tuple(COLUMNS.index(name) for name in ("x", "y"))


def outlines_of(segmentation: Segmentation) -> DoubleArray:
    """Return the objects of a segmentation in a form for compiled code, (K, 8), each an :class:`Outline`."""
    outlines = np.empty((len(segmentation.objects), len(Outline._fields)))
    for column, name in enumerate(Outline._fields):
        outlines[:, column] = segmentation.objects[name]
    outlines[:, 0] -= segmentation.corner[1]
    outlines[:, 1] -= segmentation.corner[0]
    return outlines


@inner
def outline_of(outlines: DoubleArray, k: int) -> Outline:
    """Return an object."""
    one = outlines[k]
    return Outline(one[0], one[1], one[2], one[3], one[4], one[5], one[6], one[7])


def usable_pixels(pixels: FloatArray, weight: FloatArray | None) -> BoolArray:
    """Mark the pixels that are finite and, where there are weights, have some, (H, W)."""
    if weight is None:
        finite: BoolArray = np.isfinite(pixels)
        return finite
    return _with_weight(np.ascontiguousarray(pixels, np.float32), np.ascontiguousarray(weight, np.float32))


@compiled
def _with_weight(pixels: FloatArray, weight: FloatArray) -> BoolArray:
    """Mark the pixels that are finite and have a weight that is."""
    usable = np.empty(pixels.shape, np.bool_)
    for i in range(pixels.shape[0]):
        for j in range(pixels.shape[1]):
            usable[i, j] = abs(pixels[i, j]) < np.inf and 0.0 < weight[i, j] < np.inf
    return usable


def relative_noise(weight: FloatArray | None, usable: BoolArray, *, even: float = 0.1) -> FloatArray | None:
    """Noise relative to the typical one, (H, W); None where all weights are alike to the share `even`."""
    if weight is None:
        return None
    noise: FloatArray = _noise_of(np.ascontiguousarray(weight, np.float32), np.ascontiguousarray(usable), float(even))
    return noise if noise.size else None


@compiled
def _noise_of(weight: FloatArray, usable: BoolArray, even: float) -> FloatArray:
    """Noise of pixels relative to that of the typical weight, 1 where it does not count; empty where it is even."""
    typical, least, most = _range_of(weight, usable)
    if least > most or (least > (1.0 - even) * typical and most < (1.0 + even) * typical):
        return np.zeros((0, 0), np.float32)
    unit = np.float32(typical)
    noise = np.empty(weight.shape, np.float32)
    for i in range(weight.shape[0]):
        for j in range(weight.shape[1]):
            own = np.float32(1.0) / np.sqrt(weight[i, j] / unit)
            noise[i, j] = own if usable[i, j] else np.float32(1.0)
    return noise


@inner
def _range_of(weight: FloatArray, usable: BoolArray) -> tuple[float, float, float]:
    """Return the median, the least and the most of the weights that count; without any the least is infinite."""
    flat, good = weight.ravel(), usable.ravel()
    # Of positive numbers the larger one has the larger bits too; those of several are compared at once.
    bits, ends = flat.view(np.int32), np.array([_INFINITE, 0], np.int32)
    low, high = ends[0], ends[1]
    for i in range(len(bits)):
        low = min(low, bits[i] if good[i] else _INFINITE)
        high = max(high, bits[i] if good[i] else _NOTHING)
    ends[0], ends[1] = low, high
    least, most = ends.view(np.float32)
    # What the typical value of so many is hardly matters: detection scales the noise anew.
    every = max(len(flat) // _PLENTY, 1) if len(flat) > _MANY else 1
    some = flat[::every][good[::every]]
    return float(np.median(some)) if len(some) else float(least), float(least), float(most)


class Detection(NamedTuple):
    """The blobs of a cutout, which no object is told apart in yet.

    Parameters
    ----------
    blobs
        Those of the image, or of its binned pixels.
    halvings
        How often that is binned.
    sky
        Level and noise outside them.
    correlation_px
        Correlation length of the noise.
    """

    blobs: Blobs
    halvings: int
    sky: Sky
    correlation_px: float


@uninterrupted()
def detected(
    pixels: FloatArray,
    usable: BoolArray,
    *,
    relative_noise: FloatArray | None = None,
    threshold: float = 1.5,
    min_area: int = 6,
) -> Detection:
    """Find the blobs of a cutout: pixels above a threshold that touch (Bertin & Arnouts 1996).

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
    """
    uneven = _EVEN if relative_noise is None else np.require(relative_noise, np.float32, ("C", "W"))
    return _found(*_writeable(pixels, usable), uneven, float(threshold), min_area)


@uninterrupted()
def divided(
    detection: Detection,
    pixels: FloatArray,
    usable: BoolArray,
    *,
    deblend_contrast: float = 0.02,
    join_clumps: bool = True,
    windows: npt.NDArray[np.int64] | None = None,
) -> Segmentation:
    """Divide the blobs of a cutout among objects (Bertin & Arnouts 1996).

    Parameters
    ----------
    pixels, usable
        As of :func:`detected`.
    deblend_contrast
        Least fraction of the flux that makes a peak an object of its own.
    join_clumps
        Give faint objects that lie within a brighter one and touch it back to it.
    windows
        (N, 4) first row and column, height and width of parts of the cutout that shall be right: elsewhere objects may
        be left out, and the sky is that of the detection. None for all of it. The objects of a window are the same,
        whatever the others are.
    """
    parts = _ALL if windows is None else np.ascontiguousarray(windows, np.int64)
    columns, labels, sky = _divided(detection, *_writeable(pixels, usable), parts, float(deblend_contrast), join_clumps)
    return Segmentation(labels, table_of(columns), sky, detection.correlation_px, usable)


def segment(
    pixels: FloatArray,
    usable: BoolArray,
    *,
    relative_noise: FloatArray | None = None,
    threshold: float = 1.5,
    min_area: int = 6,
    deblend_contrast: float = 0.02,
    join_clumps: bool = True,
) -> Segmentation:
    """Find the objects of a cutout, and divide them, by the settings of :func:`detected` and :func:`divided`."""
    detection = detected(pixels, usable, relative_noise=relative_noise, threshold=threshold, min_area=min_area)
    return divided(detection, pixels, usable, deblend_contrast=deblend_contrast, join_clumps=join_clumps)


def _writeable(pixels: FloatArray, usable: BoolArray) -> tuple[FloatArray, BoolArray]:
    """Copy what may not be written: it is compiled code of another kind that takes it."""
    return np.require(pixels, np.float32, ("C", "W")), np.require(usable, np.bool_, ("C", "W"))


class _Image(NamedTuple):
    """Pixels, which of them are usable, their relative noise, empty where it is even; and the sky, roughly."""

    pixels: FloatArray
    usable: BoolArray
    noise: FloatArray
    sky: Sky


@compiled
def _found(pixels: FloatArray, usable: BoolArray, noise: FloatArray, threshold: float, area: int) -> Detection:
    """Find blobs; those of large images with smooth noise on their binned pixels.

    The noise is empty where it is even.
    """
    image = _Image(pixels, usable, noise, _rough_sky(pixels, usable))
    images = [image]
    while min(image.pixels.shape) >= _WORTH_BINNING and _has_sky(image) and _is_smooth(image, image.sky):
        image = _binned(image)
        images.append(image)
    detection = _blobs(image, threshold, area)
    for level in range(len(images) - 2, -1, -1):
        image = images[level]
        detection = _unbinned(detection, image)
        if not _is_smooth(image, detection.sky):
            # Before objects were known, the wings of a large one may have looked like smooth noise.
            detection = _blobs(image, threshold, area)
    return detection


@compiled
def _divided(
    detection: Detection, pixels: FloatArray, usable: BoolArray, windows: Numbers, contrast: float, joins: bool
) -> tuple[DoubleArray, IntArray, Sky]:
    """Return the columns of the objects, (K, columns), their labels, (H, W), and the sky outside them."""
    once = everywhere(usable.shape) if len(windows) == 0 else windows.copy()
    for _ in range(detection.halvings):
        # One pixel more to each side than a window may touch.
        once[:, 2:] = once[:, 2:] // 2 + 2
        once[:, :2] //= 2
    columns, labels = objects_of(detection.blobs, once, contrast, joins)
    labels = _at_full_size(labels, detection.halvings, usable.shape)
    _unbin(columns, detection.halvings)
    if len(windows):
        return columns, labels, detection.sky
    sky, _ = _better(detection.sky, outer_sky(pixels, usable, _outlines_in(columns), labels))
    return columns, labels, sky


@inner
def _at_full_size(labels: IntArray, halvings: int, shape: tuple[int, int]) -> IntArray:
    """Turn the labels of a binned image into those of the image itself."""
    for n in range(halvings - 1, -1, -1):
        labels = _doubled(labels, shape[0] >> n, shape[1] >> n)
    return labels


@inner
def _rough_sky(pixels: FloatArray, usable: BoolArray) -> Sky:
    """Measure the sky before objects are known: a quarter of the pixels is enough to detect."""
    step = 2 if pixels.size > _PLENTY else 1
    some = np.ascontiguousarray(usable[::step, ::step])
    return sky_of(np.ascontiguousarray(pixels[::step, ::step]), _counting(some))


@inner
def _counting(usable: BoolArray) -> BoolArray:
    """Return nothing instead of a map where all pixels count."""
    count, flat = 0, usable.ravel()
    for i in range(len(flat)):
        count += 1 if flat[i] else 0  # several at a time, as numba's `all` does not
    return np.zeros((0, 0), np.bool_) if count == len(flat) else usable


@inner
def _has_sky(image: _Image) -> bool:
    return image.sky.n_pixels >= 25 and image.sky.sigma > 0


@inner
def _is_smooth(image: _Image, sky: Sky) -> bool:
    """Tell whether noise is smooth; over how many pixels more nobody asks."""
    return lag_of(image.pixels, image.usable, sky, math.ceil(SMOOTH_PX)) >= SMOOTH_PX


@inner
def _blobs(image: _Image, threshold: float, area: int) -> Detection:
    """Detect above a sky that is roughly known, and where that says more about it or its noise once more."""
    if not _has_sky(image):
        return Detection(no_blobs(image.pixels.shape), 0, image.sky, 1.0)
    pixels, usable, counting = image.pixels, image.usable, _counting(image.usable)
    blobs = _detected(pixels, counting, image.noise, image.sky, threshold, area)
    sky, moved = _better(image.sky, outer_sky(pixels, usable, _outlines_in(blobs.objects), marked(blobs)))
    correlation = float(lag_of(pixels, usable, sky, _LONGEST))
    if moved or correlation > 1.0:
        # Unmasked wings had raised the first sky; or smooth noise makes larger false peaks: demand a larger area.
        blobs = _detected(pixels, counting, image.noise, sky, threshold, round(area * correlation))
        sky, _ = _better(sky, outer_sky(pixels, usable, _outlines_in(blobs.objects), marked(blobs)))
    return Detection(blobs, 0, sky, correlation)


@inner
def _better(sky: Sky, outside: tuple[Sky, bool]) -> tuple[Sky, bool]:
    """Take the sky outside the objects if there is enough; and tell whether it is so different that detection changes.

    Also takes whether there is.
    """
    other, enough = outside
    if not (enough and other.sigma > 0):
        return sky, False
    return other, abs(other.level - sky.level) > 0.25 * other.sigma or other.sigma < 0.8 * sky.sigma


@inner
def _outlines_in(columns: DoubleArray) -> DoubleArray:
    """Take the outlines of objects, (K, 8), from their columns."""
    outlines = np.empty((len(columns), len(_OUTLINED)))
    for k in range(len(columns)):
        for i in range(len(_OUTLINED)):
            outlines[k, i] = columns[k, _OUTLINED[i]]
    return outlines


@compiled
def outer_sky(pixels: FloatArray, usable: BoolArray, outlines: DoubleArray, labels: IntArray) -> tuple[Sky, bool]:
    """Measure the sky outside all objects, grown as far as leaves enough of it; False where even the least does not."""
    for extent in _SKY_EXTENTS:
        outside, count = _outside(labels, usable, outlines, extent)
        if len(outlines) > 0 and count > _ENOUGH_SKY * outside.size:
            return sky_of(pixels, outside), True
    return Sky(math.nan, 0.0, 0), False


@inner
def _outside(labels: IntArray, usable: BoolArray, outlines: DoubleArray, extent: float) -> tuple[BoolArray, int]:
    """Mark the usable pixels outside all objects and their ellipses of so many semi-axes, (H, W), and count them."""
    marked = between(labels, usable)
    _mark(marked, outlines, extent, False, labels, 0)
    count, flat = 0, marked.ravel()
    for i in range(len(flat)):
        count += 1 if flat[i] else 0
    return marked, count


@inner
def between(labels: IntArray, usable: BoolArray) -> BoolArray:
    """Mark the usable pixels that belong to no object, (H, W)."""
    marked = np.empty(labels.shape, np.bool_)
    for i in range(labels.shape[0]):
        for j in range(labels.shape[1]):
            marked[i, j] = usable[i, j] & (labels[i, j] == 0)
    return marked


@compiled
def others_of(labels: IntArray, own: int, outlines: DoubleArray, extent: float) -> BoolArray:
    """Mark the pixels of all objects but one, and of their ellipses but for the pixels of that one, (H, W).

    `own` is the label of that one.
    """
    marked = np.empty(labels.shape, np.bool_)
    for i in range(labels.shape[0]):
        for j in range(labels.shape[1]):
            marked[i, j] = labels[i, j] > 0 and labels[i, j] != own
    _mark(marked, outlines, extent if len(outlines) <= _CROWD else _EXTENT, True, labels, own)
    return marked


@inner
def _mark(marked: BoolArray, outlines: DoubleArray, extent: float, value: bool, labels: IntArray, spared: int) -> None:
    """Set the pixels inside ellipses of so many semi-axes to a value, but for one label and its ellipse (0: none)."""
    height, width = marked.shape
    for k in range(len(outlines)):
        x, y, a, b, theta = outlines[k, 0], outlines[k, 1], outlines[k, 2], outlines[k, 3], outlines[k, 4]
        if k + 1 == spared:
            continue
        long, short = max(a, 0.5) ** -2.0, max(b, 0.5) ** -2.0
        cosine, sine = math.cos(theta), math.sin(theta)
        # cxx dx² + cyy dy² + cxy dx dy = extent²
        cxx, cyy = cosine**2 * long + sine**2 * short, sine**2 * long + cosine**2 * short
        cxy = 2.0 * cosine * sine * (long - short)
        reach = extent / math.sqrt(cyy - cxy * cxy / (4.0 * cxx))
        for row in range(max(math.ceil(y - reach), 0), min(math.floor(y + reach), height - 1) + 1):
            dy = row - y
            # Between the roots of a quadratic in dx.
            middle = -0.5 * cxy * dy / cxx
            half = math.sqrt(max((extent * extent - cyy * dy * dy) / cxx + middle * middle, 0.0))
            first, last = max(math.ceil(x + middle - half), 0), min(math.floor(x + middle + half), width - 1)
            _mark_row(marked, row, first, last, value, labels, spared)


@inner
def _mark_row(marked: BoolArray, row: int, first: int, last: int, value: bool, labels: IntArray, spared: int) -> None:
    """Set the pixels of a row from the first to the last, but for those of one label (0 for none)."""
    if spared == 0:
        marked[row, first : last + 1] = value
        return
    for column in range(first, last + 1):
        marked[row, column] = value if labels[row, column] != spared else marked[row, column]


@inner
def _binned(image: _Image) -> _Image:
    """Average 2 × 2 pixels: an oversampled image loses nothing, and its noise becomes nearly white."""
    noise = _binned_noise(image.noise, image.usable) if image.noise.size else image.noise
    pixels, usable = _quarters(image.pixels, image.usable)
    return _Image(pixels, usable, noise, _rough_sky(pixels, usable))


@inner
def _binned_noise(noise: FloatArray, usable: BoolArray) -> FloatArray:
    """Average the relative noise of 2 × 2 pixels; typical noise, which nobody looks at, where none is usable."""
    mean, some = _quarters(noise, usable)
    for i in range(mean.shape[0]):
        for j in range(mean.shape[1]):
            mean[i, j] = mean[i, j] if some[i, j] else np.float32(1.0)
    return mean


@inner
def _quarters(pixels: FloatArray, usable: BoolArray) -> tuple[FloatArray, BoolArray]:
    """Average the usable ones of 2 × 2 pixels; also tell where there are some."""
    height, width = pixels.shape[0] // 2, pixels.shape[1] // 2
    mean, some = np.zeros((height, width), np.float32), np.zeros((height, width), np.bool_)
    for i in range(height):
        rows, good = pixels[2 * i : 2 * i + 2], usable[2 * i : 2 * i + 2]
        _average_pairs(rows[0], rows[1], good[0], good[1], mean[i], some[i])
    return mean, some


@inner
def _average_pairs(
    above: FloatArray, below: FloatArray, good: BoolArray, fine: BoolArray, mean: FloatArray, some: BoolArray
) -> None:
    """Average the usable ones of 2 × 2 pixels of two rows, as `good` and `fine` tell; and where there are some."""
    for j in range(len(mean)):
        # Without a branch, so that several are added at once.
        total = 0.0 + np.float64(above[2 * j] if good[2 * j] else np.float32(0.0))
        total += above[2 * j + 1] if good[2 * j + 1] else np.float32(0.0)
        total += below[2 * j] if fine[2 * j] else np.float32(0.0)
        total += below[2 * j + 1] if fine[2 * j + 1] else np.float32(0.0)
        count = np.int32(good[2 * j]) + np.int32(good[2 * j + 1]) + np.int32(fine[2 * j]) + np.int32(fine[2 * j + 1])
        average = total / count
        some[j], mean[j] = count > 0, np.float32(average if count > 0 else 0.0)


@inner
def _unbinned(halved: Detection, image: _Image) -> Detection:
    """Say of the blobs of a binned image what they are on the image itself."""
    halvings, columns = halved.halvings + 1, halved.blobs.objects.copy()
    labels = _at_full_size(marked(halved.blobs), halvings, image.pixels.shape)
    _unbin(columns, halvings)
    outside, enough = outer_sky(image.pixels, image.usable, _outlines_in(columns), labels)
    finer = outside if enough and outside.sigma > 0 else image.sky
    # The level is the same; the noise per pixel is that of the unbinned image.
    sky = Sky(halved.sky.level, finer.sigma, finer.n_pixels)
    return Detection(halved.blobs, halvings, sky, 2.0 * halved.correlation_px)


@inner
def _unbin(columns: DoubleArray, halvings: int) -> None:
    """Turn the places and sizes of objects on a binned image into those on the image itself."""
    for _ in range(halvings):
        for k in range(len(columns)):
            for column in _PLACES:
                columns[k, column] *= 2.0
            for column in _MIDDLES:
                columns[k, column] += 0.5


@inner
def _doubled(labels: IntArray, height: int, width: int) -> IntArray:
    """Make each pixel 2 × 2; there is nothing on what is left of the last row and column."""
    doubled = np.zeros((height, width), np.int32)
    for i in range(2 * labels.shape[0]):
        line, to = labels[i // 2], doubled[i]
        for j in range(len(line)):
            to[2 * j] = to[2 * j + 1] = line[j]
    return doubled


@inner
def _detected(
    pixels: FloatArray, counting: BoolArray, noise: FloatArray, sky: Sky, threshold: float, area: int
) -> Blobs:
    """Detect above a sky."""
    data, brightest = _above(pixels, counting, np.float32(sky.level))
    typical = sky.sigma
    if noise.size:
        # Where the noise varies, its typical value is that of the pixels in units of their own.
        own = sky_in_units(data, noise, counting).sigma
        typical = own if own != 0.0 else typical
    sigma = max(typical, 1e-12 * brightest)  # a rendered image may have no noise at all
    # Squares in single precision: a power of two keeps images in units of 1e-20 from vanishing, exactly.
    unit = power_of_two(1.0 / sigma)
    data *= np.float32(unit)
    limit = threshold * sigma * unit
    blobs, is_sky = blobs_of(data, limit, noise, area)
    for raised in (3.0, 10.0):
        if not is_sky:
            blobs, is_sky = blobs_of(data, raised * limit, noise, area)
    return blobs


@inner
def _above(pixels: FloatArray, usable: BoolArray, level: np.float32) -> tuple[FloatArray, float]:
    """Pixels less a level, zero where they do not count, (H, W), and the largest absolute value of these."""
    above, most = np.empty_like(pixels), _NOTHING
    for i in range(pixels.shape[0]):
        line = above[i]
        for j in range(len(line)):
            line[j] = pixels[i, j] - level
        if usable.size:
            for j in range(len(line)):
                line[j] = line[j] if usable[i, j] else np.float32(0.0)
        bits = line.view(np.int32)
        for j in range(len(bits)):
            most = max(most, bits[j] & _INFINITE_OR_LESS)
    return above, float(np.array([most], np.int32).view(np.float32)[0])


def pick(segmentation: Segmentation, x: float, y: float, *, reach_px: float = REACH_PX) -> int:
    """Choose the object at a position.

    The object whose pixels contain the position, else the one whose ellipse is nearest (distance in units of its
    own isophotal extent) provided that its edge is within `reach_px`.

    Returns
    -------
    Row of ``segmentation.objects``, or -1 where nothing is there.
    """
    return nearest(np.ascontiguousarray(segmentation.labels, np.int32), outlines_of(segmentation), x, y, reach_px)


@compiled
def nearest(labels: IntArray, outlines: DoubleArray, x: float, y: float, reach_px: float) -> int:
    """Choose the object at a position as :func:`pick` does."""
    height, width = labels.shape
    if not (math.isfinite(x) and math.isfinite(y)):
        return -1
    if -1.0 < x < width and -1.0 < y < height:
        column, row = round(x), round(y)
        if 0 <= row < height and 0 <= column < width and labels[row, column] > 0:
            return int(labels[row, column]) - 1
    chosen, least = -1, math.inf
    for k in range(len(outlines)):
        one = outline_of(outlines, k)
        gap = math.hypot(one.x - x, one.y - y) - _EXTENT * math.sqrt(one.a * one.b)
        if gap < least:
            chosen, least = k, gap
    return chosen if least < reach_px else -1


class Choice(NamedTuple):
    """The object at a position: its row, -1 for none; how far its middle is, in pixels; and whether that is far.

    A position so far from the middle of its object may mean another.
    """

    row: int
    distance_px: float
    is_misplaced: bool


def choice_at(segmentation: Segmentation, x: float, y: float) -> Choice:
    """Choose the object at a position as :func:`pick` does, and say how well it fits."""
    return _choice(np.ascontiguousarray(segmentation.labels, np.int32), outlines_of(segmentation), x, y)


@compiled
def _choice(labels: IntArray, outlines: DoubleArray, x: float, y: float) -> Choice:
    chosen = nearest(labels, outlines, x, y, REACH_PX)
    if chosen < 0:
        return Choice(chosen, math.inf, False)
    outline = outline_of(outlines, chosen)
    return Choice(chosen, math.hypot(outline.x - x, outline.y - y), is_off(outline, x, y))


@compiled
def is_off(outline: Outline, x: float, y: float) -> bool:
    """Tell whether a position is so far from the middle of this object that it may mean another."""
    return math.hypot(outline.x - x, outline.y - y) > max(_MISPLACED_PX, moved_far(outline))


@compiled
def moved_far(outline: Outline) -> float:
    """Distance in pixels that is far from the middle of an object."""
    return max(2.0, math.sqrt(outline.a * outline.b))


def neighbour_mask(segmentation: Segmentation, chosen: int, extent: float = NEIGHBOUR_EXTENT) -> BoolArray:
    """Mark the pixels of all objects but one, out to so many of their semi-axes, (H, W).

    Pixels inside the chosen object's own segment are never marked.
    """
    labels = np.ascontiguousarray(segmentation.labels, np.int32)
    return others_of(labels, chosen + 1, outlines_of(segmentation), extent)
