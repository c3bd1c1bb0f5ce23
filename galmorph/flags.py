"""What marks a row: the bits of ``gm_flags`` and their meanings.

A flag says why a row is doubtful; the row itself always comes back. Bits are stable: a bit is never given another
meaning, new ones are added at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntFlag
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["MEANINGS", "UNCLASSIFIABLE", "Flag", "flag_counts", "flag_names"]


class Flag(IntFlag):
    """One bit per reason for doubt."""

    NO_POSITION = 1 << 0
    NO_IMAGE = 1 << 1
    FETCH_FAILED = 1 << 2
    OFF_EDGE = 1 << 3
    ZERO_WEIGHT = 1 << 4
    MASKED_PIXELS = 1 << 5
    SATURATED = 1 << 6
    NO_CENTROID = 1 << 7
    CENTROID_MOVED = 1 << 8
    NO_PETROSIAN = 1 << 9
    BLEND = 1 << 10
    LOW_SNR = 1 << 11
    SCALE_MISMATCH = 1 << 12
    OUT_OF_ENVELOPE = 1 << 13
    BAND_MISMATCH = 1 << 14
    NO_SOURCE = 1 << 15
    CUTOUT_LIMIT = 1 << 16
    UNRESOLVED = 1 << 17
    NO_ANSWER = 1 << 18


MEANINGS: dict[Flag, str] = {
    Flag.NO_POSITION: "the catalogue gives no valid position",
    Flag.NO_IMAGE: "no image covers the position",
    Flag.FETCH_FAILED: "the image could not be fetched or read",
    Flag.OFF_EDGE: "the stamp extends past the edge of the image",
    Flag.ZERO_WEIGHT: "pixels inside the Petrosian radius have zero weight",
    Flag.MASKED_PIXELS: "pixels inside the Petrosian radius are NaN, infinite or masked",
    Flag.SATURATED: "a saturated plateau lies inside the Petrosian radius",
    Flag.NO_CENTROID: "the centroid is not known; the middle of the object or the catalogue position is used",
    Flag.CENTROID_MOVED: "the centroid lies far from the catalogue position",
    Flag.NO_PETROSIAN: "no Petrosian radius; the field of view follows from the isophotal extent, or is a default",
    Flag.BLEND: "a deblended neighbour overlaps the Petrosian aperture",
    Flag.LOW_SNR: "the signal-to-noise ratio is below what the measurement needs",
    Flag.SCALE_MISMATCH: "the pixel scale differs from that of the checkpoint's training images",
    Flag.OUT_OF_ENVELOPE: "the stamp, size or signal-to-noise ratio is unlike those of the training set",
    Flag.BAND_MISMATCH: "the band differs from that of the checkpoint's training images",
    Flag.NO_SOURCE: "nothing is detected at the position",
    Flag.CUTOUT_LIMIT: "the galaxy does not fit into the largest cutout",
    Flag.UNRESOLVED: "the Petrosian radius is close to that of the point-spread function",
    Flag.NO_ANSWER: "there is a stamp, but the network gave no finite probabilities for it",
}

UNCLASSIFIABLE = Flag.NO_POSITION | Flag.NO_IMAGE | Flag.FETCH_FAILED
"""A row with one of these has no stamp and therefore no probabilities."""


def flag_names(value: int | np.integer[npt.NBitBase]) -> list[str]:
    """List the names of the bits set in `value`, lowest first.

    Examples
    --------
    >>> flag_names(Flag.OFF_EDGE | Flag.LOW_SNR)
    ['OFF_EDGE', 'LOW_SNR']
    """
    return [flag.name or "" for flag in Flag if int(value) & flag]


def flag_counts(flags: npt.NDArray[np.int32]) -> Mapping[Flag, int]:
    """Count the rows that have each flag, without those that none has.

    Examples
    --------
    >>> import numpy as np
    >>> {flag.name: n for flag, n in flag_counts(np.array([8, 0, 8 + 2048], np.int32)).items()}
    {'OFF_EDGE': 2, 'LOW_SNR': 1}
    """
    counts = {flag: int(((flags & int(flag)) != 0).sum()) for flag in MEANINGS}
    return {flag: n for flag, n in counts.items() if n}
