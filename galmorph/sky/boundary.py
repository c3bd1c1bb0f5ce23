"""Boundary: the one place where whatever a reader of other people's files raises becomes an error of ours.

Parsers raise what they like at bytes that nobody foresaw: besides the errors of their documentation ``AttributeError``,
``struct.error``, ``OverflowError``, ``RecursionError``, ``MemoryError`` and classes of their own. Naming them all is a
list that is never complete, so that here, and only here, any exception is caught: around one file that is opened, or
one window that is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from galmorph.errors import GalmorphError

__all__ = ["boundary", "reason_of"]

_LONGEST_REASON = 200  # characters: some parsers print what they could not read


@contextmanager
def boundary(explained: Callable[[str], GalmorphError]) -> Iterator[None]:
    """Turn any exception but our own into the one that `explained` makes of its reason.

    Parameters
    ----------
    explained
        Takes the reason, one line, and returns the error to raise; it should say what was read and what to do.

    Examples
    --------
    >>> from galmorph.errors import ImageError
    >>> with boundary(lambda reason: ImageError(f"image 'a.fits' cannot be read ({reason}): fetch it again")):
    ...     {}["BITPIX"]
    Traceback (most recent call last):
    galmorph.errors.ImageError: image 'a.fits' cannot be read (KeyError: 'BITPIX'): fetch it again
    """
    try:
        yield
    except GalmorphError:
        raise
    except Exception as error:
        raise explained(reason_of(error)) from error


def reason_of(error: BaseException) -> str:
    """Say in one short line what went wrong.

    Examples
    --------
    >>> reason_of(MemoryError()), reason_of(KeyError("BITPIX"))
    ('out of memory', "KeyError: 'BITPIX'")
    """
    if isinstance(error, MemoryError):
        return "out of memory"
    text = " ".join(str(error).split())
    if not text or isinstance(error, KeyError):
        text = f"{type(error).__name__}: {text}".removesuffix(": ")
    return text if len(text) <= _LONGEST_REASON else text[: _LONGEST_REASON - 1] + "…"
