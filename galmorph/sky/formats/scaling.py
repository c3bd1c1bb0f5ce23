"""Scaling: what the numbers of a binary FITS table stand for (TSCAL, TZERO), and which stand for none (TNULL).

The standard is FITS 4.0, section 7.3.2. Whole numbers that are only moved stay whole: unsigned ones are those of its
table 19, others are of 64 bits. Arrays in the heap are scaled as all others; astropy leaves them as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from galmorph.sky.formats.hdus import HeaderDataUnit

__all__ = ["CellScaling", "null_cells", "scaled_array", "scalings_of"]

_CARD = re.compile(r"(TSCAL|TZERO)([1-9]\d{0,2}) *= *([^ /]+)")
_UNSIGNED = {("i", 2, 1 << 15): np.uint16, ("i", 4, 1 << 31): np.uint32, ("i", 8, 1 << 63): np.uint64}
# No whole number of 64 bits lies beyond.
_FAR = 1 << 62


@dataclass(frozen=True)
class CellScaling:
    """A number stands for itself times `scale`, plus `zero`."""

    scale: int | float = 1
    zero: int | float = 0


def scalings_of(unit: HeaderDataUnit) -> Mapping[int, CellScaling]:
    """Return the scalings of the columns of a binary table, by number from 0; of others there are none."""
    told: dict[int, dict[str, int | float]] = {}
    for card in unit.cards if unit.value("XTENSION").upper() != "TABLE" else ():
        if matched := _CARD.match(card):
            told.setdefault(int(matched[2]) - 1, {})[matched[1]] = _number(matched[3])
    return {number: CellScaling(cards.get("TSCAL", 1), cards.get("TZERO", 0)) for number, cards in told.items()}


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        value = float(text.replace("D", "E").replace("d", "e"))
        return int(value) if value.is_integer() else value


def scaled_array(raw: npt.NDArray[Any], scaling: CellScaling) -> npt.NDArray[Any]:
    """Return what numbers stand for.

    Parameters
    ----------
    raw
        As they are in the file, any shape; truth values and text stand for themselves.
    scaling
        Of their column.
    """
    if scaling == CellScaling() or raw.dtype.kind not in "iufc":
        return raw
    if raw.dtype.kind in "iu" and scaling.scale == 1 and isinstance(scaling.zero, int):
        return _moved(raw, scaling.zero)
    kind = np.complex128 if raw.dtype.kind == "c" else np.float64
    return np.asarray(raw.astype(kind) * scaling.scale + scaling.zero)


def _moved(raw: npt.NDArray[Any], zero: int) -> npt.NDArray[Any]:
    """Return whole numbers of which each is that much larger; doubles where 64 bits do not hold them."""
    native = raw.astype(raw.dtype.newbyteorder("="))
    if (kind := _UNSIGNED.get((raw.dtype.kind, raw.dtype.itemsize, zero))) is not None:
        return np.asarray(native.view(kind) ^ kind(zero))
    if (raw.dtype.kind, raw.dtype.itemsize, zero) == ("u", 1, -128):
        return np.asarray((native ^ np.uint8(128)).view(np.int8))
    if abs(zero) < _FAR and (native.dtype.itemsize < 8 or not native.size or _is_near(native)):
        return np.asarray(native.astype(np.int64) + zero)
    return np.asarray(native.astype(np.float64) + zero)


def _is_near(numbers: npt.NDArray[Any]) -> bool:
    return bool(numbers.min() > -_FAR and numbers.max() < _FAR)


def null_cells(raw: npt.NDArray[Any], null: Any) -> npt.NDArray[np.bool_] | None:
    """Say which numbers stand for none: those that are TNULL, in ASCII tables the texts; None where none may be."""
    if null is None or raw.dtype.kind not in "iuS":
        return None
    if raw.dtype.kind == "S":
        return np.asarray(np.strings.strip(raw) == str(null).strip().encode())
    return np.asarray(raw == int(null)) if np.can_cast(np.min_scalar_type(int(null)), np.int64) else None
