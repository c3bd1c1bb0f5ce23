"""What marks a row: the bits of ``gm_flags`` and their meanings.

A flag says why a row is doubtful; the row itself always comes back. Bits are stable: a bit is never given another
meaning, new ones are added at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntFlag
from typing import TYPE_CHECKING, Any, overload

from galmorph.arguments import checked
from galmorph.errors import UnknownNameError, unknown_name

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = [
    "MEANINGS",
    "RECOMMENDED_CUT",
    "REMEDIES",
    "SURVEY_WIDE",
    "UNCLASSIFIABLE",
    "Flag",
    "FlagEntry",
    "cut_of",
    "decode",
    "describe_flags",
    "flag_counts",
    "flag_names",
    "shared_mismatches",
]


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

REMEDIES: dict[Flag, str] = {
    Flag.NO_POSITION: "give the row a position, or name the columns with --ra and --dec",
    Flag.NO_IMAGE: "give the tile that covers it, or leave the row out",
    Flag.FETCH_FAILED: "run again with --retry: only these rows are asked for",
    Flag.OFF_EDGE: "leave it out, or give the neighbouring tile",
    Flag.ZERO_WEIGHT: "leave it out, or look at the stamp: part of the galaxy was never exposed",
    Flag.MASKED_PIXELS: "leave it out, or look at the stamp: masked pixels were filled from those around",
    Flag.SATURATED: "leave it out: it is a bright star, or a nucleus whose shape is lost",
    Flag.NO_CENTROID: "keep it; take the catalogue's position rather than gm_racen and gm_deccen",
    Flag.CENTROID_MOVED: "keep it for statistics; compare positions, since a neighbour may have been classified",
    Flag.NO_PETROSIAN: "keep it for statistics; do not use gm_rpet",
    Flag.BLEND: "keep it for statistics; look at the stamp where single galaxies count",
    Flag.LOW_SNR: "leave it out: sizes and shapes are mostly noise",
    Flag.SCALE_MISMATCH: "choose a checkpoint of this pixel scale; where all rows have it, it tells none from another",
    Flag.OUT_OF_ENVELOPE: "leave it out: nothing was learnt from such galaxies; say so where fractions are published",
    Flag.BAND_MISMATCH: "choose a checkpoint of this band; where all rows have it, it tells none from another",
    Flag.NO_SOURCE: "leave it out, or check the position and its epoch",
    Flag.CUTOUT_LIMIT: "leave it out: the sky around it was not seen",
    Flag.UNRESOLVED: "keep it where point sources are a class; else take it for a star or a quasar",
    Flag.NO_ANSWER: "leave it out; look at the stamp, and report it",
}
"""What to do about a row with a flag."""

UNCLASSIFIABLE = Flag.NO_POSITION | Flag.NO_IMAGE | Flag.FETCH_FAILED
"""A row with one of these has no stamp and therefore no probabilities."""


SURVEY_WIDE = Flag.SCALE_MISMATCH | Flag.BAND_MISMATCH
"""These compare the images with those of the training: all rows of a run have them, or none, but where tiles differ."""

RECOMMENDED_CUT = (
    UNCLASSIFIABLE
    | Flag.NO_ANSWER
    | Flag.NO_SOURCE
    | Flag.OFF_EDGE
    | Flag.ZERO_WEIGHT
    | Flag.MASKED_PIXELS
    | Flag.SATURATED
    | Flag.LOW_SNR
    | Flag.CUTOUT_LIMIT
    | Flag.OUT_OF_ENVELOPE
)
"""Rows with one of these are best left out of statistics: there is no answer, or not all of a galaxy was seen, or it is
unlike all that the network learnt from. Not among them are flags that tell rows nothing apart (`SURVEY_WIDE`), those
that are about positions and sizes alone, and those that go with a kind of galaxy (`BLEND`, `UNRESOLVED`): to cut on
them is to choose galaxies by what is to be counted."""


# Tiles may differ: of two scales that of nearly all rows is the survey's.
_NEARLY_ALL = 0.9


@dataclass(frozen=True)
class FlagEntry:
    """A flag in words.

    Parameters
    ----------
    bit, value
        The number of the bit, from 0, and 2 to its power.
    name, meaning, remedy
        What it is called, says, and what to do about it.
    is_cut
        Whether the recommended cuts leave such rows out.
    """

    bit: int
    value: int
    name: str
    meaning: str
    remedy: str
    is_cut: bool

    @classmethod
    def of(cls, flag: Flag) -> FlagEntry:
        """Describe one flag."""
        value, is_cut = int(flag), bool(flag & RECOMMENDED_CUT)
        return cls(value.bit_length() - 1, value, flag.name or "", MEANINGS[flag], REMEDIES[flag], is_cut)


@overload
def decode(flags: int | np.integer[Any]) -> list[str]: ...


@overload
def decode(flags: Any) -> Any: ...


def decode(flags: Any) -> Any:
    """Return the names of the bits of one value of ``gm_flags``, or of each of an array of them.

    Parameters
    ----------
    flags
        A whole number; or an array, list or column of any shape. Whole floats count, since some readers turn columns
        with missing values into such.

    Returns
    -------
    list of str, or nested lists of these
        In the shape of the input; the lowest bit first; an empty list for 0. A cell without a value (masked, NaN,
        None) is None, which is not the same as no flag.

    Raises
    ------
    ValueError
        If a value is negative, no whole number, or has bits that there are not.

    Examples
    --------
    >>> decode(2056)
    ['OFF_EDGE', 'LOW_SNR']
    >>> import numpy as np
    >>> decode(np.ma.masked_equal([0, 8, 99], 99))
    [[], ['OFF_EDGE'], None]
    """
    if hasattr(flags, "tolist"):  # of arrays, also masked ones, whose masked cells become None, and of numpy's numbers
        flags = flags.tolist()
    if isinstance(flags, list | tuple):
        return [decode(each) for each in flags]
    if flags is None or type(flags).__name__ == "NAType" or flags != flags:  # noqa: PLR0124 - of pandas; NaN
        return None
    return flag_names(_checked(flags))


def _checked(flags: Any) -> int:
    """Return a value as a whole number, if it is the sum of bits that there are."""
    if not isinstance(flags, int | float) or flags < 0 or flags % 1 != 0 or flags >= 2 ** len(MEANINGS):
        raise ValueError(
            f"flags {flags!r:.40}: expected the sum of bits below {2 ** len(MEANINGS)}; give a value of gm_flags"
        )
    return int(flags)


@checked
def describe_flags(flags: int | str | Iterable[int | str] | None = None) -> list[FlagEntry]:
    """Describe flags: number and value of the bit, name, meaning, what to do, and whether such rows are best left out.

    Parameters
    ----------
    flags
        A value of ``gm_flags``, the name of a flag, or several of these; a value may be text, also hexadecimal
        (``0x808``). By default all flags.

    Returns
    -------
    list of FlagEntry
        The lowest bit first.

    Raises
    ------
    UnknownNameError
        If there is no such flag; the message names the closest.

    Examples
    --------
    >>> import galmorph
    >>> [(entry.bit, entry.name) for entry in galmorph.describe_flags(2056)]
    [(3, 'OFF_EDGE'), (11, 'LOW_SNR')]
    """
    if flags is None:
        return [FlagEntry.of(flag) for flag in MEANINGS]
    several = [flags] if isinstance(flags, int | str) or not isinstance(flags, Iterable) else flags
    union = Flag(0)
    for each in several:
        union |= _flag_of(each)
    return [FlagEntry.of(flag) for flag in MEANINGS if flag & union]


def _flag_of(word: int | str) -> Flag:
    """Return the flags that a value or a name stands for."""
    names = {flag.name or "": flag for flag in MEANINGS}
    text = str(word).strip()
    if text.upper() in names:
        return names[text.upper()]
    try:
        return Flag(_checked(int(text, 0)))
    except ValueError as error:
        raise UnknownNameError(unknown_name("flag", text, names)) from error


def cut_of(words: str | int | Iterable[str | int]) -> Flag:
    """Return the flags by which rows are left out.

    Parameters
    ----------
    words
        Names or values, in a list or with commas between; ``'recommended'`` stands for `RECOMMENDED_CUT`, ``'none'``
        for no flag.

    Raises
    ------
    UnknownNameError
        If there is no such flag.

    Examples
    --------
    >>> cut_of("BLEND,LOW_SNR")
    <Flag.BLEND|LOW_SNR: 3072>
    """
    listed = words.split(",") if isinstance(words, str) else [words] if isinstance(words, int) else words
    cut = Flag(0)
    for word in listed:
        usual = {"recommended": RECOMMENDED_CUT, "none": Flag(0)}.get(str(word).strip().lower())
        cut |= _flag_of(word) if usual is None else usual
    return cut


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


def shared_mismatches(flags: npt.NDArray[Any]) -> Flag:
    """Return those of `SURVEY_WIDE` that nine in ten rows with a stamp have: they are said once, not row by row.

    Examples
    --------
    >>> import numpy as np
    >>> shared_mismatches(np.array([16384, 16384 + 8, 1]))
    <Flag.BAND_MISMATCH: 16384>
    """
    rows = flags[(flags & int(UNCLASSIFIABLE)) == 0]
    shared = Flag(0)
    for flag in (f for f in Flag if f & SURVEY_WIDE):
        if len(rows) and ((rows & int(flag)) != 0).mean() > _NEARLY_ALL:
            shared |= flag
    return shared
