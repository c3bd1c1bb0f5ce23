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
import scipy

from galmorph.stamps.compiled import compiled, inner, inner_sum
from galmorph.stamps.shared import shared
from galmorph.stamps.vector import add_fours, turn_fours

__all__ = [
    "MEMORY_PX",
    "are_finite",
    "box_means",
    "coefficients",
    "comb",
    "filled",
    "interval_weights",
    "point_means",
    "running_sum",
]

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int32]

# Of the prefilter of a cubic B-spline (Unser 1999, IEEE Signal Proc. Mag. 16, 22).
_POLE = 3.0**0.5 - 2.0
# The prefilter forgets by a factor of 0.27 per pixel: a dozen leave 1.4e-7.
MEMORY_PX = 12
# Steps towards the surface that bends least: 3 × 3 pixels of a galaxy 4 px wide come within .2 % of its peak, 5 × 5
# within 1.4 %; twice as many steps gain a per cent there.
_ROUNDS = 32
# Pixels further inside a hole keep the brightness of its edge: so few steps do not reach them.
_RELAXED_PX = 4.0

# Cubic B-splines centred on -1, 0, 1 and 2 as polynomials in the position t in [0, 1]; rows are powers of t.
_CUBICS = np.array([[1, 4, 1, 0], [-3, 0, 3, 0], [3, -6, 3, 0], [-1, 3, -3, 1]]) / 6.0
# Planes that are interpolated together.
_ABREAST = 4
# Pixels along an axis that are turned together, so that what is read and what is written stays at hand.
_BLOCK = 16
# Bits of numbers in single precision: of infinity, and all but the sign.
_INFINITE, _BUT_SIGN = np.int32(0x7F800000), np.int32(0x7FFFFFFF)
# The 13-point biharmonic operator: rows, columns and weights about a pixel.
_BENDING = np.array(
    [
        [0, -2, 0, 2, 0, -1, -1, -1, 0, 0, 1, 1, 1],
        [0, 0, -2, 0, 2, -1, 0, 1, -1, 1, -1, 0, 1],
        [20, 1, 1, 1, 1, 2, -8, 2, -8, -8, 2, -8, 2],
    ]
)


@compiled
def interval_weights(
    running: DoubleArray, first: float, step: float, count: int, length: int
) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """Return how much each pixel adds to the means of the density over intervals along one axis.

    Parameters
    ----------
    running
        :func:`running_sum`.
    first, step
        Middle of the first interval in pixels, and from one to the next; intervals are as long as a step, or one pixel.
        What of them lies past the image's edges counts as zero.
    count
        Number of intervals.
    length
        Pixels of the image along the axis.

    Returns
    -------
    For each interval the first pixel that has a weight, and the weights from there on, (S, n).
    """
    width = max(step, 1.0)
    ends = np.empty((2, count))
    longest = 0
    for s in range(count):
        # Whole numbers are pixel edges here, each with the pixel it begins.
        middle = first + s * step + 0.5
        ends[0, s] = min(max(middle - 0.5 * width, 0.0), float(length))
        ends[1, s] = min(max(middle + 0.5 * width, 0.0), float(length))
        longest = max(longest, int(ends[1, s]) - int(ends[0, s]))
    size = min(longest + 2 * MEMORY_PX, length)
    weights = np.zeros((count, size), np.float32)
    pixels = np.zeros(count, np.int64)
    for s in range(count):
        pixels[s] = min(max(int(ends[0, s]) - MEMORY_PX, 0), length - size)
        if ends[1, s] > ends[0, s]:
            _add_interval(weights[s], pixels[s], running, ends[0, s], ends[1, s], length, 1.0 / width)
    return pixels, weights


@inner
def _add_interval(
    weights: FloatArray, first: int, running: DoubleArray, low: float, high: float, length: int, share: float
) -> None:
    """Add the weights of pixels in the density's integral from one place to another, times a share.

    Pixels past an image's edges count as those whose mirror images they are, as often as it takes.
    """
    start, stop = int(low), int(high)
    begun, ended = low - start, high - stop
    period = max(2 * length - 2, 1)
    for pixel in range(start - MEMORY_PX + 1, stop + MEMORY_PX):
        value = _summed(running, begun, pixel - start) - _summed(running, ended, pixel - stop)
        place = pixel
        if pixel < 0 or pixel >= length:
            place = pixel % period
            place = min(place, period - place) if length > 1 else 0
        weights[place - first] += share * value


@inner
def _summed(running: DoubleArray, t: float, pixel: int) -> float:
    """Weight of a pixel, counted from the one that a place lies in, in the integral from that place, in [0, 1), on."""
    if pixel <= -MEMORY_PX:
        return 0.0
    if pixel >= MEMORY_PX:
        return 1.0
    k = pixel + MEMORY_PX - 1
    summed: float = running[0, k] + t * (running[1, k] + t * (running[2, k] + t * running[3, k]))
    return summed


@compiled
def box_means(
    running: DoubleArray, planes: FloatArray, centre: tuple[float, float], steps: tuple[float, float], size: int
) -> FloatArray:
    """Return the means of planes' density over boxes on a grid along their rows and columns, (C, S, S).

    Parameters
    ----------
    running
        :func:`running_sum`.
    planes
        (C, H, W).
    centre
        Of the grid, (x, y).
    steps
        Along x and y; boxes are as wide as a step, or one pixel.
    size
        Boxes along each axis.
    """
    reach = 0.5 * (size - 1)
    left, across = interval_weights(running, centre[0] - reach * steps[0], steps[0], size, planes.shape[2])
    top, down = interval_weights(running, centre[1] - reach * steps[1], steps[1], size, planes.shape[1])
    count, height, width = len(planes), len(top), len(left)
    first = left.min()
    wide = left.max() + across.shape[1] - first
    product = np.empty((count, height, width), np.float32)
    # Room for multiples of four, as rows and columns are exchanged.
    tall, broad, deep = _fours_for(height), _fours_for(width), _fours_for(wide)
    rows, turned = np.zeros((tall, deep), np.float32), np.empty((deep, tall), np.float32)
    columns, plain = np.zeros((broad, tall), np.float32), np.empty((tall, broad), np.float32)
    for c in range(count):
        for s in range(height):
            _weigh(planes[c], top[s], first, down[s], rows[s, :wide])
        _turn(rows.ravel(), tall, deep, turned.ravel())
        for s in range(width):
            _weigh(turned, left[s] - first, 0, across[s], columns[s, :height])
        _turn(columns.ravel(), broad, tall, plain.ravel())
        product[c] = plain[:height, :width]
    return product


@inner
def _fours_for(count: int) -> int:
    """Return the least multiple of four that is not less."""
    return -(-count // _ABREAST) * _ABREAST


@inner_sum
def _weigh(rows: FloatArray, first: int, start: int, weights: FloatArray, total: FloatArray) -> None:
    """Add up rows from one on, each from a column on and times its weight.

    Four at a time, so that the sum is loaded and stored less often; and row by row, whose pixels are known to be
    neighbours in memory, so that several are multiplied at once.
    """
    total[:] = np.float32(0.0)
    n = len(weights) // 4 * 4
    for k in range(0, n, 4):
        a, b, c, d = weights[k], weights[k + 1], weights[k + 2], weights[k + 3]
        one, two = rows[first + k, start:], rows[first + k + 1, start:]
        three, four = rows[first + k + 2, start:], rows[first + k + 3, start:]
        for i in range(len(total)):
            total[i] += a * one[i] + b * two[i] + c * three[i] + d * four[i]
    for k in range(n, len(weights)):
        one = rows[first + k, start:]
        for i in range(len(total)):
            total[i] += weights[k] * one[i]


@shared(maxsize=1)
def running_sum() -> DoubleArray:
    """Sum the cardinal cubic spline, (4, 2 · MEMORY_PX - 1), up to each pixel about a place: powers of the place."""
    pixels = np.arange(1 - MEMORY_PX, MEMORY_PX + 1)
    cardinal = _CUBICS @ (np.sqrt(3.0) * _POLE ** np.abs(np.arange(-1, 3)[:, None] - pixels))
    cardinal[:, MEMORY_PX - 1] -= cardinal.sum(axis=1) - (1.0, 0.0, 0.0, 0.0)  # what the truncation left out
    return np.cumsum(cardinal, axis=1)[:, :-1]


def comb(width: npt.ArrayLike, n: int) -> tuple[DoubleArray, DoubleArray]:
    """Return points and weights, (..., n), that widen a mean over one pixel into the mean over `width` of them.

    For a whole number that is a comb of so many points, a pixel apart; for numbers between, the Gaussian quadrature
    whose moments continue theirs. It needs as many points as pixels are covered, rounded up; fewer match the first
    2 · n moments.

    References
    ----------
    Golub & Welsch 1969, Math. Comp. 23, 221; the recurrence is that of the discrete Chebyshev polynomials (Szegö 1939,
    Orthogonal Polynomials, 2.8).
    """
    if n == 1:
        return np.zeros((*np.shape(width), 1)), np.ones((*np.shape(width), 1))
    if n == 2:
        reach = np.sqrt(np.maximum(np.asarray(width, np.float64) ** 2 - 1.0, 0.0) / 12.0)
        return np.stack([-reach, reach], axis=-1), np.full((*reach.shape, 2), 0.5)
    k = np.arange(1, n)
    square = np.asarray(width, np.float64)[..., np.newaxis] ** 2
    recurrence = np.zeros((*square.shape[:-1], n, n))
    # Below the diagonal, where eigh looks.
    recurrence[..., k, k - 1] = np.sqrt(np.maximum(k**2 * (square - k**2) / (4.0 * (4.0 * k**2 - 1.0)), 0.0))
    points, vectors = np.linalg.eigh(recurrence)
    return points, vectors[..., 0, :] ** 2


@compiled
def coefficients(planes: FloatArray) -> FloatArray:
    """Return the cubic B-splines' coefficients of planes, (C, H, W), and two more to each side.

    Returns
    -------
    Four planes beside each other, (ceil(C / 4), H + 4, W + 4, 4); what there is for planes that there are not is of no
    use.
    """
    count, height, width = planes.shape
    tall, wide = _fours_for(height), _fours_for(width)
    groups, room = _fours_for(count) // _ABREAST, (height + 4) * (width + 4) * _ABREAST
    # Rows are written four at a time, so that those of the last few go past the end.
    padded = np.empty(groups * room + (width + 4) * _ABREAST, np.float32)
    plain, turned = np.zeros((tall, wide), np.float32), np.empty((_ABREAST, wide, tall), np.float32)
    turned[count:] = np.float32(0.0)
    for c in range(count):
        plain[:height, :width] = planes[c]
        _filter_columns(plain[:height])
        _turn(plain.ravel(), tall, wide, turned[c % _ABREAST].ravel())
        _filter_columns(turned[c % _ABREAST, :width])
        if (c + 1) % _ABREAST == 0 or c + 1 == count:
            _set_beside(turned.ravel(), (height, width), (tall, wide), padded[c // _ABREAST * room :])
    fours = padded[: groups * room].reshape(groups, height + 4, width + 4, _ABREAST)
    for group in range(groups):
        _mirror_rows(fours[group], height)
        _mirror_rows(fours[group].transpose(1, 0, 2), width)
    return fours


@inner
def _turn(plain: FloatArray, tall: int, wide: int, turned: FloatArray) -> None:
    """Exchange rows and columns of a plane, flat, whose height and width are multiples of four."""
    for first in range(0, wide, _BLOCK):
        for i in range(0, tall, _ABREAST):
            for j in range(first, min(first + _BLOCK, wide), _ABREAST):
                turn_fours(plain, i * wide + j, wide, turned, j * tall + i, tall)


@inner
def _set_beside(turned: FloatArray, shape: tuple[int, int], room: tuple[int, int], fours: FloatArray) -> None:
    """Put the pixels of four planes beside each other, with room for two to each side; all flat.

    Parameters
    ----------
    turned
        (4 · W · H,) planes whose rows and columns are exchanged.
    shape, room
        Height and width of planes, and those that they have room for.
    fours
        Receives the pixels, (H + 4, W + 4, 4).
    """
    (height, width), (tall, wide) = shape, room
    pitch = _ABREAST * (width + 4)
    for first in range(0, height, _BLOCK):
        for j in range(width):
            for i in range(first, min(first + _BLOCK, tall), _ABREAST):
                turn_fours(turned, j * tall + i, tall * wide, fours, (i + 2) * pitch + (j + 2) * _ABREAST, pitch)


@inner
def _filter_columns(values: FloatArray) -> None:
    """Replace values by their splines' coefficients along the first axis: one recursion down, and one back up."""
    length, pole = len(values), np.float32(_POLE)
    if length < 2:
        return
    _begin(values)
    for i in range(1, length):
        for j in range(values.shape[1]):
            values[i, j] = np.float32(6.0) * values[i, j] + pole * values[i - 1, j]
    last = np.float32(_POLE / (_POLE * _POLE - 1.0))
    for j in range(values.shape[1]):
        values[length - 1, j] = last * (values[length - 1, j] + pole * values[length - 2, j])
    for i in range(length - 2, -1, -1):
        for j in range(values.shape[1]):
            values[i, j] = pole * (values[i + 1, j] - values[i, j])


@inner
def _begin(values: FloatArray) -> None:
    """Sum the mirrored values with the recursion's powers into the first row, as if it had come from far away."""
    first, period = np.zeros(values.shape[1], np.float32), 2 * len(values) - 2
    power = 6.0
    for k in range(2 * MEMORY_PX):
        place = k % period
        row = values[min(place, period - place)]
        for j in range(len(first)):
            first[j] += np.float32(power) * row[j]
        power *= _POLE
    values[0] = first


@inner
def _mirror_rows(padded: FloatArray, length: int) -> None:
    """Write the two rows before the first, and after the last, of so many that begin with the third."""
    period = max(2 * length - 2, 1)
    for row in (-2, -1, length, length + 1):
        place = row % period
        padded[row + 2] = padded[2 + (min(place, period - place) if length > 1 else 0)]


@compiled
def are_finite(planes: FloatArray) -> bool:
    """Tell whether no pixel of planes, (C, H, W) and contiguous, is NaN or infinite."""
    bits, most = planes.ravel().view(np.int32), np.int32(0)
    for i in range(len(bits)):
        # Of numbers without a sign the larger one has the larger bits too; several are compared at once.
        most = max(most, bits[i] & _BUT_SIGN)
    return bool(most < _INFINITE)


@compiled
def point_means(
    padded: FloatArray, matrices: DoubleArray, points: DoubleArray, weights: FloatArray, stamps: FloatArray
) -> None:
    """Average the interpolants of planes over the points of each stamp pixel of some views.

    Parameters
    ----------
    padded
        As from :func:`coefficients`, (ceil(C / 4), H + 4, W + 4, 4).
    matrices
        (V, 2, 3) from stamp coordinates to pixels.
    points, weights
        Stamp coordinates of n points in each stamp pixel along x, then y, (V, 2, S · n), and their weights, (V, 2, n).
    stamps
        Receives the means, (V, C, S, S).
    """
    for group in range(len(padded)):
        fours = padded[group].ravel()
        for view in range(len(stamps)):
            part = stamps[view, _ABREAST * group : _ABREAST * (group + 1)]
            _view_means(fours, padded.shape[1:3], matrices[view], points[view], weights[view], part)


@inner
def _view_means(
    fours: FloatArray,
    shape: tuple[int, int],
    matrix: DoubleArray,
    points: DoubleArray,
    weights: FloatArray,
    stamp: FloatArray,
) -> None:
    """Write the means of one view, of up to four planes, (C, S, S)."""
    n, size = weights.shape[1], stamp.shape[1]
    cubics, place = np.empty((8, size * n), np.float32), np.empty(size * n, np.int32)
    line = np.empty(_ABREAST * size, np.float32)
    for row in range(size):
        line[:] = np.float32(0.0)
        for k in range(n):
            _place_line(matrix, points[0], points[1, row * n + k], shape[0] - 4, shape[1] - 4, cubics, place)
            _add_means(fours, shape[1], cubics.ravel(), place, weights[0], weights[1, k], line)
        for c in range(len(stamp)):
            for j in range(size):
                stamp[c, row, j] = line[_ABREAST * j + c]


@inner
def _add_means(
    fours: FloatArray,
    wide: int,
    cubics: FloatArray,
    place: IntArray,
    weights: FloatArray,
    weight: np.float32,
    line: FloatArray,
) -> None:
    """Add to each pixel of a stamp's row the mean over its points of a line, times a weight."""
    n = len(weights)
    for k in range(n):
        for j in range(len(line) // _ABREAST):
            point = j * n + k
            first = _ABREAST * np.intp(place[point])
            add_fours(fours, first, _ABREAST * wide, cubics, len(place), point, weight * weights[k], line, _ABREAST * j)


@inner_sum
def _place_line(
    matrix: DoubleArray,
    along: DoubleArray,
    down: float,
    height: int,
    width: int,
    cubics: FloatArray,
    place: IntArray,
) -> None:
    """Write the weights of four columns and rows for each point of a line, (8, N), and where their coefficients begin.

    The rows' weights are multiplied by the part of a pixel about the point that lies on the image.
    """
    left, top = matrix[0, 1] * down + matrix[0, 2], matrix[1, 1] * down + matrix[1, 2]
    half_x, half_y = 0.5 * (width - 1), 0.5 * (height - 1)
    pitch = np.int32(width + 4)
    for j in range(len(along)):
        x, y = matrix[0, 0] * along[j] + left, matrix[1, 0] * along[j] + top
        covered_x = min(max(half_x + 1.0 - abs(x - half_x), 0.0), 1.0)
        covered_y = min(max(half_y + 1.0 - abs(y - half_y), 0.0), 1.0)
        # Counted from the first coefficient, two before the first pixel; past an edge nothing is covered.
        x, y = min(max(x, -1.0), width - 0.001) + 1.0, min(max(y, -1.0), height - 0.001) + 1.0
        # Whole numbers of 32 bits are made of several at a time.
        column, row = np.int32(x), np.int32(y)
        place[j] = np.int32(row * pitch + column)
        inside = np.float32(covered_x * covered_y)
        t, u = np.float32(x - column), np.float32(y - row)
        cubics[0, j], cubics[1, j], cubics[2, j], cubics[3, j] = _cubics(t)
        a, b, c, d = _cubics(u)
        cubics[4, j], cubics[5, j], cubics[6, j], cubics[7, j] = a * inside, b * inside, c * inside, d * inside


@inner_sum
def _cubics(t: np.float32) -> tuple[np.float32, np.float32, np.float32, np.float32]:
    """Cubic B-splines centred on -1, 0, 1 and 2 at a place in [0, 1]."""
    square = t * t
    cube = square * t
    second = np.float32(2.0 / 3.0) - square + np.float32(0.5) * cube
    third = np.float32(1.0 / 6.0) + np.float32(0.5) * (t + square - cube)
    last = np.float32(1.0 / 6.0) * cube
    return np.float32(1.0) - second - third - last, second, third, last


def filled(plane: FloatArray, missing: npt.NDArray[np.bool_]) -> FloatArray:
    """Replace missing pixels, (H, W), by the surface that bends least between those around them.

    Starts from the nearest pixel that is there and relaxes: single pixels and narrow columns come out as that surface,
    the inside of a large hole stays as bright as its edge.
    """
    if missing.all():
        return np.zeros(plane.shape, np.float32)
    distance, nearest = scipy.ndimage.distance_transform_edt(missing, return_indices=True)
    surface = np.pad(plane[tuple(nearest)].astype(np.float32), 2, mode="edge")
    rows, columns = np.nonzero(missing & (distance <= _RELAXED_PX))
    place = (rows + 2) * surface.shape[1] + columns + 2
    around = place[:, None] + _BENDING[0] * surface.shape[1] + _BENDING[1]
    flat = surface.reshape(-1)
    for _ in range(_ROUNDS):
        # Half a step: a full one would not converge (the operator's largest eigenvalue is 64 / 20).
        flat[place] -= 0.5 * (flat[around] @ _BENDING[2].astype(np.float32)) / 20.0
    return surface[2:-2, 2:-2]
