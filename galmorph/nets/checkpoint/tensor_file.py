"""TensorFile: a safetensors file, whose header is checked against the file before anything is made of it.

The format is eight bytes with the length of a header, the header as JSON, and the numbers of all arrays one after
another. Nothing in it is code. What a header claims is arithmetic on the length of the file: an array that would not
lie in it is refused by name.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors.torch import load

from galmorph.errors import CheckpointError
from galmorph.sky.boundary import boundary
from galmorph.text_file import read_json

__all__ = ["TensorFile", "read_tensors", "read_texts", "tensors_of"]

_LENGTH = 8
_MOST_HEADER = 16 << 20
"""Bytes of a header: a thousand times the longest of a checkpoint that ships."""
_MOST_TENSORS = 100_000
_MOST_AXES = 8
_BYTES = {"F16": 2, "BF16": 2, "F32": 4, "F64": 8, "I64": 8}
"""Types of arrays that a network has, and how many bytes a number takes."""


@dataclass(frozen=True)
class TensorFile:
    """What a file holds.

    Parameters
    ----------
    texts
        Named texts of the header.
    tensors
        Named arrays, each finite.
    content
        The bytes of the whole file, for its checksum.
    """

    texts: Mapping[str, str]
    tensors: Mapping[str, torch.Tensor]
    content: bytes


def read_texts(path: Path) -> dict[str, str]:
    """Read the texts in the header of a file, and no arrays.

    Raises
    ------
    CheckpointError
        If it is no such file, or what it claims does not fit its length.
    """
    return _read_header(path)[0]


def read_tensors(path: Path) -> TensorFile:
    """Read a whole file.

    Raises
    ------
    CheckpointError
        If it is no such file, what it claims does not fit its length, or a number in it is not finite.
    """
    _read_header(path)  # rather than reading a large file of another kind
    with boundary(lambda reason: _corrupt(path, reason)):
        content = path.read_bytes()
    return tensors_of(content, path)


def tensors_of(content: bytes, path: Path) -> TensorFile:
    """Read the bytes of a file that is, or would be, at a path.

    Raises
    ------
    CheckpointError
        As :func:`read_tensors`.
    """
    try:
        header, room = _header(io.BytesIO(content))
        texts, names = _texts(header), _names(header, room)
    except ValueError as error:
        raise _corrupt(path, str(error)) from error
    with boundary(lambda reason: _corrupt(path, reason)):
        tensors = load(content)
    if set(tensors) != names:
        raise _corrupt(path, "it has changed while it was read")
    for name, tensor in tensors.items():
        _check_finite(path, name, tensor)
    return TensorFile(texts, tensors, content)


def _read_header(path: Path) -> tuple[dict[str, str], set[str]]:
    try:
        with open(path, "rb") as stream:
            header, room = _header(stream)
        return _texts(header), _names(header, room)
    except (OSError, ValueError) as error:
        raise _corrupt(path, str(error)) from error


def _corrupt(path: Path, reason: str) -> CheckpointError:
    return CheckpointError(
        f"checkpoint '{path}' is truncated, corrupt or not one of galmorph's ({' '.join(reason.split())[:200]}): fetch "
        "or train it again"
    )


def _header(stream: BinaryIO) -> tuple[dict[str, Any], int]:
    """Read the header and tell how many bytes follow it."""
    size = stream.seek(0, 2)
    stream.seek(0)
    length = int.from_bytes(stream.read(_LENGTH), "little")
    if size < _LENGTH or length > size - _LENGTH:
        raise ValueError(f"its header has {length} bytes, the file {size}")
    if length > _MOST_HEADER:
        raise ValueError(f"its header has {length >> 20} MiB, expected at most {_MOST_HEADER >> 20}")
    header = read_json(stream.read(length).decode("utf-8"))
    if isinstance(header, dict):
        return header, size - _LENGTH - length
    raise ValueError("its header is no table")


def _texts(header: dict[str, Any]) -> dict[str, str]:
    texts = header.pop("__metadata__", {})
    if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
        raise ValueError("__metadata__ of its header are no texts")
    return texts


def _names(header: Mapping[str, Any], room: int) -> set[str]:
    """Return the names of the arrays, once each is sure to lie in the file."""
    if len(header) > _MOST_TENSORS:
        raise ValueError(f"it has {len(header)} arrays, expected at most {_MOST_TENSORS}")
    used = sum(_size(name, entry, room) for name, entry in header.items())
    if used != room:
        raise ValueError(f"its arrays have {used} bytes, the file has {room} for them")
    return set(header)


def _size(name: str, entry: Any, room: int) -> int:
    """Return the bytes of an array."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"array '{name[:80]}' lacks dtype, shape or data_offsets")
    kind, shape, places = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(kind, str) or kind not in _BYTES:
        raise ValueError(f"array '{name[:80]}' is of type {kind!r:.40}, expected one of {', '.join(_BYTES)}")
    if not _are_counts(shape) or not _are_counts(places) or len(shape) > _MOST_AXES or len(places) != 2:
        raise ValueError(f"array '{name[:80]}' has shape {shape!r:.40} at {places!r:.40}, expected a few whole numbers")
    size = math.prod(shape) * _BYTES[kind]
    if places[1] - places[0] != size or places[1] > room:
        raise ValueError(f"array '{name[:80]}' of shape {shape} lies at {places} of {room} bytes")
    return size


def _are_counts(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and value >= 0 for value in values)


def _check_finite(path: Path, name: str, tensor: torch.Tensor) -> None:
    if not tensor.is_floating_point() and bool((tensor < 0).any()):
        raise CheckpointError(
            f"checkpoint '{path}' has negative counts in '{name}', expected others: fetch or train it again"
        )
    # A sum is one pass and no memory; only where it is not finite, as it may be of huge numbers, each is looked at.
    if not tensor.is_floating_point() or math.isfinite(float(tensor.sum(dtype=torch.float32))):
        return
    if not bool(torch.isfinite(tensor).all()):
        raise CheckpointError(
            f"checkpoint '{path}' holds NaN or infinite numbers in '{name}', expected finite ones: fetch or train it "
            "again"
        )
