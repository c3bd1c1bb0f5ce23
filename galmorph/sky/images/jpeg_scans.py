"""JpegScans: whether the scans of a JPEG hold the whole of its picture.

Decoders fill what a cut file lacks with the last colour and say nothing where an end marker stands behind the cut. Two
things tell (ITU-T T.81, annexes B, F and G). A progressive picture is whole once its scans have brought all bits of all
coefficients; the last scan, whose end is not looked for, has but the last bit of some. A sequential one is where it has
its restart markers, if it has any, and the decoder needs none of the bytes that are put before the end marker: a whole
picture is the same with them, one that was cut goes on with what they happen to say.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["check_whole", "may_be_cut"]

_END_OF_ROW = 8
"""What part of the last row is looked at."""
_NOISE = bytes(np.random.default_rng(1).integers(0, 255, 2048, dtype=np.uint8))  # without 0xff, which begins markers
_STANDALONE = (0x01, *range(0xD0, 0xD9))
_PROGRESSIVE, _SEQUENTIAL = 0xC2, (0xC0, 0xC1)
_START_OF_SCAN, _END, _RESTART_INTERVAL = 0xDA, 0xD9, 0xDD
_RESTARTS = range(0xD0, 0xD8)


def may_be_cut(values: npt.NDArray[np.uint8]) -> bool:
    """Tell whether the end of the last row of a picture, (C, H, W), is all alike, as it is where a decoder fills it.

    A cheap question, asked of every picture. What lacks less than this of its last blocks has hardly lost anything.
    """
    reach = -max(1, values.shape[2] // _END_OF_ROW)
    ends = (plane[-1, reach:].tobytes() for plane in values)
    return all(end.count(end[:1]) == len(end) for end in ends)


def check_whole(content: bytes, values: npt.NDArray[Any], decoded: Callable[[bytes], npt.NDArray[Any]]) -> None:
    """Refuse a JPEG that was cut.

    Parameters
    ----------
    content
        The file.
    values
        The picture in it.
    decoded
        Decodes another file.

    Raises
    ------
    ValueError
        If it was cut.
    """
    markers = list(_markers(content))
    kinds = {kind for kind, _ in markers}
    if _PROGRESSIVE in kinds:
        is_cut = not _all_bits(content, markers)
    elif kinds.isdisjoint(_SEQUENTIAL):  # arithmetic coding looks ahead
        return
    else:
        end = next((at for kind, at in markers if kind == _END), len(content))
        is_cut = _lacks_restarts(content, markers)
        is_cut = is_cut or not np.array_equal(decoded(content[:end] + _NOISE + content[end:]), values)
    if is_cut:
        raise ValueError("it is cut off: its last rows are missing")


def _markers(content: bytes) -> Iterator[tuple[int, int]]:
    """Yield the markers of a JPEG, each with its place, to the end of the picture."""
    at = 0
    while 0 <= (at := content.find(b"\xff", at)) < len(content) - 1:
        kind = content[at + 1]
        if kind in (0x00, 0xFF):  # a byte of a scan, or one that fills
            at += 1 + (kind == 0x00)
            continue
        yield kind, at
        if kind == _END:
            return
        at += 2 if kind in _STANDALONE else 2 + int.from_bytes(content[at + 2 : at + 4])


def _segments(content: bytes, markers: list[tuple[int, int]], *kinds: int) -> list[bytes]:
    """Return what markers of some kinds are followed by."""
    return [
        content[at + 4 : at + 2 + int.from_bytes(content[at + 2 : at + 4])] for kind, at in markers if kind in kinds
    ]


def _components(scan: bytes) -> list[int]:
    """Return the components that a scan brings."""
    return list(scan[1 : 1 + 2 * scan[0] : 2])


def _lacks_restarts(content: bytes, markers: list[tuple[int, int]]) -> bool:
    """Tell whether there are fewer restart markers than a sequential picture needs between its groups of blocks."""
    interval = sum(int.from_bytes(each) for each in _segments(content, markers, _RESTART_INTERVAL)[-1:])
    if not interval:
        return False
    frame = _segments(content, markers, *_SEQUENTIAL)[0]
    scans = _segments(content, markers, _START_OF_SCAN)
    needed = sum(math.ceil(_groups(frame, _components(scan)) / interval) - 1 for scan in scans)
    return sum(kind in _RESTARTS for kind, _ in markers) < needed


def _groups(frame: bytes, components: list[int]) -> int:
    """Return in how many groups of blocks some components of a frame come."""
    height, width = int.from_bytes(frame[1:3]), int.from_bytes(frame[3:5])
    sampling = {part: (by >> 4, by & 15) for part, by in zip(frame[6::3], frame[7::3], strict=True)}
    across, down = (max(by[axis] for by in sampling.values()) for axis in (0, 1))
    # A scan of one component has blocks of it alone.
    own = sampling[components[0]] if len(components) == 1 else (1, 1)
    return math.ceil(width * own[0] / across / 8) * math.ceil(height * own[1] / down / 8)


def _all_bits(content: bytes, markers: list[tuple[int, int]]) -> bool:
    """Tell whether the scans of a progressive picture bring the last bit of each coefficient of each component."""
    frame = _segments(content, markers, _PROGRESSIVE)[0]
    missing = {(part, k) for part in frame[6::3] for k in range(64)}
    for scan in _segments(content, markers, _START_OF_SCAN):
        first, last, bits = scan[1 + 2 * scan[0] : 4 + 2 * scan[0]]
        is_last_bit = bits & 15 == 0
        missing -= {(part, k) for part in _components(scan) for k in range(first, last + 1) if is_last_bit}
    return not missing
