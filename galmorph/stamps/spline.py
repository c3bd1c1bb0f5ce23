"""Spline: the light between and inside pixels, as the smoothest density whose means over pixels are their values.

Along one axis the density is a quadratic B-spline, the derivative of the cubic spline through the running sums of the
pixels. Its coefficients are those of the cubic B-spline interpolant, and its mean over any stretch as long as one pixel
is that interpolant. Images are mirrored about their outermost pixel centres (``mode='mirror'`` of scipy.ndimage); the
density ends at the outer edges of the outermost pixels.

References
----------
Unser 1999, IEEE Signal Processing Magazine 16, 22 (B-splines and their prefilter); de Boor 1978, A Practical Guide to
Splines, ch. VIII (area-matching quadratic splines).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from galmorph.stamps.shared import shared

__all__ = ["MEMORY_PX", "comb", "filled", "interpolated", "interval_weights"]

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]

# Of the prefilter of a cubic B-spline (Unser 1999, IEEE Signal Proc. Mag. 16, 22).
_POLE = np.sqrt(3.0) - 2.0
# The prefilter forgets by a factor of 0.27 per pixel: a dozen leave 1.4e-7.
MEMORY_PX = 12
# Pixels that the weights of one position extend over.
_BAND = 2 * MEMORY_PX - 1
# Steps towards the surface that bends least: 3 × 3 pixels of a galaxy 4 px wide come within .2 % of its peak, 5 × 5
# within 1.4 %; twice as many steps gain a per cent there.
_ROUNDS = 32
# Pixels further inside a hole keep the brightness of its edge: so few steps do not reach them.
_RELAXED_PX = 4.0

# Cubic B-splines centred on -1, 0, 1 and 2 as polynomials in the position t in [0, 1]; rows are powers of t.
_CUBICS = np.array([[1, 4, 1, 0], [-3, 0, 3, 0], [3, -6, 3, 0], [-1, 3, -3, 1]]) / 6.0
# The 13-point biharmonic operator: rows, columns and weights about a pixel.
_BENDING = np.array(
    [
        [0, -2, 0, 2, 0, -1, -1, -1, 0, 0, 1, 1, 1],
        [0, 0, -2, 0, 2, -1, 0, 1, -1, 1, -1, 0, 1],
        [20, 1, 1, 1, 1, 2, -8, 2, -8, -8, 2, -8, 2],
    ]
)


def interval_weights(
    middles: DoubleArray, widths: DoubleArray, lengths: npt.NDArray[np.intp]
) -> list[tuple[slice, FloatArray]]:
    """Return how much each pixel adds to the means of the density over intervals.

    Parameters
    ----------
    middles
        Of the intervals in pixels, (A, S), ascending along S: S intervals on each of A axes.
    widths
        Of an axis's intervals, (A,). What of them lies past the image's edges counts as zero.
    lengths
        Pixels of the image along each axis, (A,).

    Returns
    -------
    For each axis the pixels that have weights, and those, (S, n).
    """
    axes, count = middles.shape
    start, stop, powers = _ends(middles, widths[:, None], lengths[:, None])
    spans = (stop - start).reshape(-1)
    longest = int(spans.max())
    terms = np.zeros((longest + 2, 4, axes * count), np.float32)
    terms[0] = powers[:, 0]
    terms[spans + 1, :, np.arange(axes * count)] = powers[:, 1].T
    band = terms.reshape(-1, axes * count).T @ _band_polynomials(longest)
    first = (start[:, 0] - (MEMORY_PX - 1)).tolist()
    return [_mirrored(*axis) for axis in zip(_spread(band, start), first, lengths.tolist(), strict=True)]


def _ends(
    middles: DoubleArray, widths: DoubleArray, lengths: npt.NDArray[np.intp]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], FloatArray]:
    """Return the pixels that intervals begin and end in, (A, S), and powers of the places inside, (4, 2, A · S).

    The powers 0, 1, 2 and 3 are divided by the intervals' widths.
    """
    ends = np.empty((2, *middles.shape))
    # Whole numbers are pixel edges here, each with the pixel it begins.
    np.subtract(middles, 0.5 * widths - 0.5, out=ends[0])
    np.add(middles, 0.5 * widths + 0.5, out=ends[1])
    np.maximum(ends, 0.0, out=ends)
    np.minimum(ends, lengths, out=ends)
    pixels = ends.astype(np.intp)
    inside = (ends - pixels).astype(np.float32)
    powers = np.empty((4, *ends.shape), np.float32)
    powers[0] = 1.0 / widths
    for power in (1, 2, 3):
        np.multiply(powers[power - 1], inside, out=powers[power])
    return pixels[0], pixels[1], powers.reshape(4, 2, -1)


def _spread(band: FloatArray, start: npt.NDArray[np.intp]) -> list[FloatArray]:
    """Write the rows of a band, (A · S, W), into a matrix for each axis, from the columns `start`, (A, S), on."""
    axes, count = start.shape
    offset = start - start[:, :1]
    columns = offset[:, -1] + band.shape[1]
    n = int(columns.max())
    matrices = np.zeros((axes, count, n), np.float32)
    place = offset.reshape(-1) + np.arange(0, axes * count * n, n)
    matrices.reshape(-1)[place[:, None] + np.arange(band.shape[1])] = band
    return [matrix[:, :c] for matrix, c in zip(matrices, columns.tolist(), strict=True)]


@shared(maxsize=64)
def _band_polynomials(longest: int) -> FloatArray:
    """Return the weights of intervals that end up to `longest` pixels after the pixel they begin in.

    A block of four rows (powers of the position in its pixel) for the beginning, then one for the end in each of
    0, 1, ..., `longest` pixels after; columns are pixels, (4 · (longest + 2), longest + 2 · MEMORY_PX - 1).
    """
    blocks = np.zeros((longest + 2, 4, longest + _BAND), np.float32)
    for block, later, sign in [(0, 0, 1.0), *((later + 1, later, -1.0) for later in range(longest + 1))]:
        blocks[block, :, later : later + _BAND] = sign * _running_sum()
        blocks[block, 0, later + _BAND :] = sign
    return blocks.reshape(-1, longest + _BAND)


@shared(maxsize=1)
def _running_sum() -> DoubleArray:
    """Sum the cardinal cubic spline, (4, 2 · MEMORY_PX) polynomials for pixels about a position, up to each pixel."""
    pixels = np.arange(1 - MEMORY_PX, MEMORY_PX + 1)
    cardinal = _CUBICS @ (np.sqrt(3.0) * _POLE ** np.abs(np.arange(-1, 3)[:, None] - pixels))
    cardinal[:, MEMORY_PX - 1] -= cardinal.sum(axis=1) - (1.0, 0.0, 0.0, 0.0)  # what the truncation left out
    return np.cumsum(cardinal, axis=1)[:, :-1]


def _mirrored(weights: FloatArray, first: int, length: int) -> tuple[slice, FloatArray]:
    """Add the weights of pixels past an image's edges, (S, n) from `first` on, to those whose mirror images they are.

    Returns the image's pixels that have weights, and those; may change `weights`.
    """
    if length <= MEMORY_PX:
        return slice(0, length), _mirrored_often(weights, first, length)
    # Further from the edge than the prefilter's memory, or than the pixels go, there are no weights left.
    stop = min(first + weights.shape[1], length + MEMORY_PX, 2 * length - 1 - first)
    edge = length - first
    if first < 0:
        weights[:, 1 - first : 1 - 2 * first] += weights[:, -first - 1 :: -1][:, :-first]
    if stop > length:
        weights[:, edge - 1 - (stop - length) : edge - 1] += weights[:, edge : stop - first][:, ::-1]
    pixels = slice(max(first, 0), min(stop, length))
    return pixels, weights[:, pixels.start - first : pixels.stop - first]


def _mirrored_often(weights: FloatArray, first: int, length: int) -> FloatArray:
    """Mirror an image so small that its mirror images are mirrored again."""
    pixels = np.arange(first, first + weights.shape[1]) + length - 1
    images = np.abs(pixels % max(2 * length - 2, 1) - (length - 1))
    folded: FloatArray = weights @ (images[:, None] == np.arange(length)).astype(np.float32)
    return folded


def comb(width: float, n: int) -> tuple[DoubleArray, DoubleArray]:
    """Return points and weights that widen a mean over one pixel into the mean over `width` of them.

    For a whole number that is a comb of so many points, a pixel apart; for numbers between, the Gaussian quadrature
    whose moments continue theirs. It needs as many points as pixels are covered, rounded up; fewer match the first
    2 · n moments.

    References
    ----------
    Golub & Welsch 1969, Math. Comp. 23, 221; the recurrence is that of the discrete Chebyshev polynomials (Szegö 1939,
    Orthogonal Polynomials, 2.8).
    """
    k = np.arange(1.0, n)
    off = np.sqrt(np.maximum(k**2 * (width**2 - k**2) / (4.0 * (4.0 * k**2 - 1.0)), 0.0))
    points, vectors = np.linalg.eigh(np.diag(off, 1) + np.diag(off, -1))
    return points, vectors[0] ** 2


def interpolated(plane: FloatArray, x: DoubleArray, y: DoubleArray) -> FloatArray:
    """Return the mean of an image's density, (H, W), over a pixel about each point, of any shape, in float32.

    That is the cubic B-spline interpolant, times the part of the pixel that lies on the image.
    """
    height, width = plane.shape
    coefficients = ndimage.spline_filter(plane, order=3, mode="mirror")
    values: FloatArray = ndimage.map_coordinates(
        coefficients, [y, x], output=np.float32, order=3, mode="mirror", prefilter=False
    )
    values *= _covered(x, width) * _covered(y, height)
    return values


def _covered(x: DoubleArray, length: int) -> DoubleArray:
    inside: DoubleArray = np.clip((length + 1) / 2 - np.abs(x - (length - 1) / 2), 0.0, 1.0)
    return inside


def filled(plane: FloatArray, missing: npt.NDArray[np.bool_]) -> FloatArray:
    """Replace missing pixels, (H, W), by the surface that bends least between those around them.

    Starts from the nearest pixel that is there and relaxes: single pixels and narrow columns come out as that surface,
    the inside of a large hole stays as bright as its edge.
    """
    if missing.all():
        return np.zeros(plane.shape, np.float32)
    distance, nearest = ndimage.distance_transform_edt(missing, return_indices=True)
    surface = np.pad(plane[tuple(nearest)].astype(np.float32), 2, mode="edge")
    rows, columns = np.nonzero(missing & (distance <= _RELAXED_PX))
    place = (rows + 2) * surface.shape[1] + columns + 2
    around = place[:, None] + _BENDING[0] * surface.shape[1] + _BENDING[1]
    flat = surface.reshape(-1)
    for _ in range(_ROUNDS):
        # Half a step: a full one would not converge (the operator's largest eigenvalue is 64 / 20).
        flat[place] -= 0.5 * (flat[around] @ _BENDING[2].astype(np.float32)) / 20.0
    return surface[2:-2, 2:-2]
