"""Views: the affine transformations of a galaxy over which a network's probabilities are averaged."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from galmorph.errors import PipelineError, unknown_name
from galmorph.stamps.affine import compose, turn
from galmorph.stamps.shared import read_only

__all__ = ["NAMED", "ONE", "Views", "reach_of", "read_views"]

DoubleArray = npt.NDArray[np.float64]

NAMED = {
    "one": "angles = 1",
    "turns2": "angles = [0, 45]",
    "turns4": "angles = [0, 22.5, 45, 67.5]",
    "turns8": "angles = [0, 11.25, 22.5, 33.75, 45, 56.25, 67.5, 78.75]",
    "dieleman60": "angles = 10, zooms = [0.8333333333333334, 1, 1.2], flip = true",
}
"""Sets of views that have a name. Angles between 0 and 90 degrees are enough: a network looks at each view in the eight
orientations of the square, or gives the same answer for all of them."""
_KEYS = ("angles", "zooms", "shifts", "flip", "matrices")
# More views of one galaxy are a slip of the pen: the most that was ever worth it are 60 (Dieleman et al. 2015).
_MOST = 1024
_LONGEST = 100_000  # characters: so many matrices of four numbers with all their digits
# Views whose linear parts differ by less are the same.
_SAME = 1e-9
_SQUARE = [np.array(rows, np.float64) for rows in ([[1, 0], [0, 1]], [[0, -1], [1, 0]], [[-1, 0], [0, -1]])]
_SQUARE += [-_SQUARE[1], *(np.diag([-1.0, 1.0]) @ element for element in (*_SQUARE, -_SQUARE[1]))]


@dataclass(frozen=True)
class Views:
    """A set of views: every angle with every zoom, shift and mirror image.

    They act in the stamp's own coordinates, from -1 to 1 over its edges, and are composed with the matrix that cuts the
    stamp, so that pixels are resampled once.

    Parameters
    ----------
    angles_deg
        Rotations in degrees.
    zooms
        Above 1 the galaxy looks larger.
    shifts
        Of the centre, (x, y), in half-widths of the stamp.
    flip
        Whether mirror images are added.
    linear
        Further maps to combine with, (xx, xy, yx, yy) each: shears, say, or stretches along one axis.
    """

    angles_deg: tuple[float, ...] = (0.0,)
    zooms: tuple[float, ...] = (1.0,)
    shifts: tuple[tuple[float, float], ...] = ((0.0, 0.0),)
    flip: bool = False
    linear: tuple[tuple[float, float, float, float], ...] = field(default=((1.0, 0.0, 0.0, 1.0),), repr=False)

    def __len__(self) -> int:
        """Return the number of views."""
        return len(self.angles_deg) * len(self.zooms) * len(self.shifts) * len(self.linear) * (1 + self.flip)

    @cached_property
    def matrices(self) -> DoubleArray:
        """From the coordinates of a view to those of the stamp, (V, 2, 3)."""
        return read_only(np.stack(list(self._each())))

    def _each(self) -> Iterator[DoubleArray]:
        extra = [np.array([[xx, xy, 0.0], [yx, yy, 0.0]]) for xx, xy, yx, yy in self.linear]
        flips = (False, True)[: 1 + self.flip]
        for flip, zoom, shift, angle in product(flips, self.zooms, self.shifts, self.angles_deg):
            view = turn(math.radians(angle), flip=flip, zoom=zoom, shift=shift)
            yield from (compose(view, further) for further in extra)

    @cached_property
    def distinct(self) -> tuple[DoubleArray, DoubleArray]:
        """The views that differ by more than quarter turns and flips, (W, 2, 3), and the share of each, (W,).

        A view turned by a quarter, or mirrored, is the turned stamp of another: a network that is invariant to that, or
        looks at all eight orientations, gives the same answer.
        """
        counts: dict[tuple[float, ...], list[Any]] = {}
        for matrix in self.matrices:
            key = _orbit(matrix)
            counts.setdefault(key, [matrix, 0])[1] += 1
        shares = np.array([count for _, count in counts.values()]) / len(self)
        return read_only((np.stack([matrix for matrix, _ in counts.values()]), shares))


ONE = Views()
"""The stamp as it is."""


def reach_of(matrices: DoubleArray) -> float:
    """Return how far from the stamp's centre views, (V, 2, 3), look along an axis, in half-widths of the stamp."""
    return float(max(abs(xx) + abs(xy) + abs(x) for rows in matrices.tolist() for xx, xy, x in rows))


def _orbit(matrix: DoubleArray) -> tuple[float, ...]:
    """Return numbers that a view shares with its turned and mirrored stamps, and with no others."""
    turned = (matrix[:, :2] @ element for element in _SQUARE)
    linear = min(tuple((np.round(m.ravel() / _SAME) * _SAME + 0.0).tolist()) for m in turned)
    return (*linear, *np.round(matrix[:, 2], 9).tolist())


@lru_cache(maxsize=64)
def read_views(text: str) -> Views:
    """Read a set of views by its name or from its text.

    Parameters
    ----------
    text
        One of :data:`NAMED`, or settings as in a TOML table: ``angles = 8, zooms = [0.9, 1, 1.1], flip = true``.
        `angles` is a number of rotations, evenly spaced over the full turn, or a list of degrees; `shifts` a list of
        (x, y) in half-widths of the stamp; `matrices` a list of further linear maps (xx, xy, yx, yy).

    Raises
    ------
    PipelineError
        If the name or a setting is unknown, or a value impossible.

    Examples
    --------
    >>> len(read_views("angles = 8, zooms = [0.9, 1, 1.1], flip = true"))
    48
    """
    plain = text.strip()
    if len(plain) > _LONGEST:
        raise PipelineError(f"views '{plain[:40]}...' have {len(plain)} characters: expected at most {_LONGEST}")
    if plain in NAMED:
        plain = NAMED[plain]
    elif "=" not in plain:
        raise PipelineError(
            f"{unknown_name('views', plain, NAMED)}; or write them as 'angles = 8, zooms = [0.9, 1, 1.1], flip = true'"
        )
    try:
        settings = tomllib.loads(f"views = {{ {' '.join(plain.split())} }}")["views"]
    except (ValueError, RecursionError) as error:
        raise PipelineError(
            f"views '{text}' cannot be read ({error}): expected text such as 'angles = 8, zooms = [0.9, 1, 1.1]'"
        ) from error
    views = _checked(text, settings)
    if len(views) > _MOST:
        raise PipelineError(f"views '{text}' are {len(views)}: expected at most {_MOST}; take fewer angles or zooms")
    return views


def _checked(text: str, settings: Mapping[str, Any]) -> Views:
    if unknown := sorted(set(settings) - set(_KEYS)):
        raise PipelineError(f"views '{text}': {unknown_name('setting', unknown[0], _KEYS)}")
    angles = settings.get("angles", 1)
    if isinstance(angles, int) and not isinstance(angles, bool):
        angles = [360.0 * i / angles for i in range(min(angles, _MOST + 1))]
    flip = settings.get("flip", False)
    zooms, shifts, linear = settings.get("zooms", [1.0]), settings.get("shifts", [[0, 0]]), settings.get("matrices")
    linear = [[1, 0, 0, 1]] if linear is None else linear
    wrong = [
        (not _numbers(angles), "angles", "a number from 1, or a list of degrees"),
        (not _numbers(zooms) or min(zooms) < 0.1, "zooms", "a list of numbers from 0.1"),
        (not _lists(shifts, 2), "shifts", "a list of pairs, [[x, y], ...], in half-widths"),
        (not isinstance(flip, bool), "flip", "true or false"),
        (not _lists(linear, 4) or not all(_turns_inside_out(m) for m in linear), "matrices", "[[xx, xy, yx, yy], ...]"),
    ]
    for bad, key, expected in wrong:
        if bad:
            raise PipelineError(f"views '{text}': {key} = {settings[key]!r}, expected {expected}; correct the text")
    return Views(_floats(angles), _floats(zooms), tuple(map(_floats, shifts)), flip, tuple(map(_floats, linear)))  # type: ignore[arg-type]


def _numbers(values: Any) -> bool:
    return (
        isinstance(values, list)
        and bool(values)
        and all(isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in values)
    )


def _lists(values: Any, length: int) -> bool:
    return isinstance(values, list) and bool(values) and all(_numbers(v) and len(v) == length for v in values)


def _turns_inside_out(linear: list[float]) -> bool:
    """Tell whether a linear map leaves an area, so that it can be looked through."""
    xx, xy, yx, yy = linear
    return abs(xx * yy - xy * yx) > 1e-3


def _floats(values: Any) -> tuple[float, ...]:
    return tuple(float(v) for v in values)
