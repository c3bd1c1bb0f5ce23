"""What stops a run: the exception tree.

::

    GalmorphError
    ├── ArgumentError     (TypeError)    a parameter of a function that is no text, number or whatever it must be
    ├── CatalogError      (ValueError)   a table without positions, a column that is taken, an unreadable file
    ├── SurveyError       (LookupError)  an unknown survey, field or band
    ├── ImageError        (ValueError)   a missing, truncated or unsuitable image
    ├── SchemeError       (ValueError)   a label tree that contradicts itself, labels that do not fit it
    ├── ConfigError       (ValueError)   a galmorph.toml with an unknown or impossible setting
    ├── CheckpointError   (ValueError)   a corrupt checkpoint, or one that does not fit the images
    ├── PipelineError     (ValueError)   a pipeline file with unknown or impossible settings, a missing library
    │   └── DivergedError                a training whose loss or gradient is no finite number
    ├── ArchiveError      (OSError)      an archive that does not answer, or not with what was asked for
    │   ├── BrokenReplyError             an answer that stopped before its end
    │   ├── BusyHostError                a host that may answer later
    │   ├── NotFetchedError              a file that a dry run only takes note of
    │   └── OtherFileError               a file that is not, or no longer, the one that was asked for
    ├── OutputError       (OSError)      a result that exists already or cannot be written
    ├── StoreError        (OSError)      a database that is no store, is newer, or does not answer
    ├── UnknownNameError  (LookupError)  a name of nothing that ships
    ├── BusyError         (OSError)      a service for which too many wait
    │   └── NotReadyError                a service that loads its models, or took too long
    └── UnclassifiedError (ValueError)   ``--strict``: some rows have no probabilities

Every message has three parts: what was given, what was expected, what to do. Doubt about one row is never an
exception but a bit of :class:`galmorph.flags.Flag`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "ArchiveError",
    "ArgumentError",
    "BrokenReplyError",
    "BusyError",
    "BusyHostError",
    "CatalogError",
    "CheckpointError",
    "ConfigError",
    "DivergedError",
    "GalmorphError",
    "ImageError",
    "NotFetchedError",
    "NotReadyError",
    "OtherFileError",
    "OutputError",
    "PipelineError",
    "SchemeError",
    "StoreError",
    "SurveyError",
    "UnclassifiedError",
    "UnknownNameError",
    "unknown_name",
]


_LONGEST = 1200
"""Letters of a message: what is quoted from a file may be longer than any line."""


class GalmorphError(Exception):
    """Any failure that galmorph explains in one line, whatever of a file is quoted in it."""

    def __init__(self, *parts: object) -> None:
        super().__init__(*(_one_line(part) if isinstance(part, str) else part for part in parts))


def _one_line(text: str) -> str:
    """Return text without line ends, without letters that would steer a terminal, and not endless."""
    line = text if text.isprintable() else " ".join(part.strip() for part in text.splitlines() if part.strip())
    line = line if line.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in line)
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST * 2 // 3]} … {line[-_LONGEST // 4 :]}"


class ArgumentError(GalmorphError, TypeError):
    """A parameter of a public function of another type than it must be."""


class CatalogError(GalmorphError, ValueError):
    """A catalogue that cannot be read, lacks positions, or already has one of our columns."""


class SurveyError(GalmorphError, LookupError):
    """An unknown survey, field or band."""


class ImageError(GalmorphError, ValueError):
    """An image that is missing, truncated or not what was asked for."""


class SchemeError(GalmorphError, ValueError):
    """A label scheme that contradicts itself, or labels that do not fit it."""


class CheckpointError(GalmorphError, ValueError):
    """A checkpoint that is corrupt, incomplete or does not fit the images."""


class ConfigError(GalmorphError, ValueError):
    """A file of settings for the command line with an unknown or impossible one."""


class PipelineError(GalmorphError, ValueError):
    """A pipeline file with an unknown or impossible setting."""


class DivergedError(PipelineError):
    """A training whose loss or gradient is no finite number any more."""


class ArchiveError(GalmorphError, OSError):
    """An archive that does not answer, or not with what was asked for."""


class BrokenReplyError(ArchiveError):
    """An answer that stopped, or came too slowly; the rest of it may be asked for."""


class OtherFileError(ArchiveError):
    """A file of an archive that is not what was asked for, or is damaged; it may be another one the next time."""


class BusyHostError(ArchiveError):
    """A host that did not answer, and may do so later."""

    wait_s = 0.0
    """How long it asks to be left alone; 0 where it does not say."""


class NotFetchedError(ArchiveError):
    """A file that would be fetched if this were no dry run."""


class OutputError(GalmorphError, OSError):
    """A result that already exists or cannot be written."""


class StoreError(GalmorphError, OSError):
    """A database that is no store, is newer than this galmorph, cannot be written, or does not answer."""


class UnknownNameError(GalmorphError, LookupError):
    """A name that nothing shipped has."""


class BusyError(GalmorphError, OSError):
    """More requests wait than there is room for; the same one may be sent again."""

    wait_s = 1.0
    """After so many seconds."""


class NotReadyError(BusyError):
    """The models are being loaded, or an answer took too long."""

    wait_s = 5.0


class UnclassifiedError(GalmorphError, ValueError):
    """Rows without probabilities where the caller asked for none (``strict``)."""


def unknown_name(kind: str, name: str, existing: Iterable[str]) -> str:
    """Say that `name` is not a `kind`, what is, and which is nearest.

    Examples
    --------
    >>> unknown_name("band", "F16W", ["F160W", "F125W"])
    "unknown band 'F16W': known are F125W, F160W; did you mean 'F160W'?"
    """
    names = sorted({*existing})
    near = {n.lower(): n for n in names}
    close = difflib.get_close_matches(name.lower(), list(near), n=1, cutoff=0.5)
    hint = f"; did you mean '{near[close[0]]}'?" if close else ""
    return f"unknown {kind} '{name}': known are {', '.join(names) or 'none'}{hint}"
