"""Embedded columns: values that lie in a page itself for its script, typed and small."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from galmorph.sky.catalog import Column

__all__ = ["embedded_column", "json_text", "packed"]

# What would end a script element or begin a comment in it; JSON reads the escapes as the same letters.
_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})
_KINDS = {"f4": "<f4", "f8": "<f8", "i4": "<i4", "u1": "<u1", "u2": "<u2"}


def json_text(value: Any) -> Markup:
    r"""Write a value as JSON that may stand in a script element, whatever its texts hold.

    Examples
    --------
    >>> str(json_text(["</script>", 1]))
    '["\\u003c/script\\u003e",1]'
    """
    return Markup(json.dumps(value, ensure_ascii=False, separators=(",", ":")).translate(_ESCAPES))  # noqa: S704


def packed(values: npt.ArrayLike, kind: str) -> str:
    """Write numbers, (N,), in base64, lowest byte first.

    Parameters
    ----------
    kind
        ``'f4'``, ``'f8'``, ``'i4'``, ``'u1'`` or ``'u2'``.
    """
    return base64.b64encode(np.ascontiguousarray(values, _KINDS[kind]).tobytes()).decode("ascii")


def embedded_column(column: Column) -> dict[str, Any]:
    """Return a column as the script reads it: numbers in base64, texts once each where they repeat.

    Whole numbers that do not fit into 32 bits become texts, since JavaScript's numbers would round them.
    """
    about = {"name": column.name, "unit": column.unit, "about": column.description}
    return about | _values(np.asarray(column.values))


def _values(values: npt.NDArray[Any]) -> dict[str, Any]:
    if values.dtype.kind == "f":
        kind = "f4" if values.dtype.itemsize <= 4 else "f8"
        return {"kind": kind, "data": packed(values, kind)}
    if values.dtype.kind in "iub" and (values.size == 0 or np.abs(values.astype(np.float64)).max() < 2**31):
        return {"kind": "i4", "data": packed(values, "i4")}
    return _texts(values.astype(np.str_))


def _texts(values: npt.NDArray[np.str_]) -> dict[str, Any]:
    words, numbers = np.unique(values, return_inverse=True)
    if len(words) > min(65_536, max(len(values) // 2, 1)):
        return {"kind": "text", "values": values.tolist()}
    kind = "u1" if len(words) <= 256 else "u2"
    return {"kind": "words", "words": words.tolist(), "of": kind, "data": packed(numbers, kind)}
