"""Limit: how much of something a file may have before it is refused, and how a user allows more.

What files claim is not believed without end: a stamp of a terabyte, aliases that stand for a billion values, a table
that expands to a thousand times its size. Each limit lies far above what surveys make; whoever has more says so with
``galmorph --limit NAME=NUMBER``, or, in scripts, in the variable ``GALMORPH_LIMITS`` (``NAME=NUMBER`` with spaces
between), which processes that are started from here inherit.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from galmorph.errors import CatalogError, unknown_name

__all__ = ["LIMITS", "VARIABLE", "Limit", "allow"]

VARIABLE = "GALMORPH_LIMITS"
_MOST = 2**62


@dataclass(frozen=True)
class Limit:
    """One limit; printed, it is its number and how to allow more.

    Parameters
    ----------
    name
        As users write it.
    usual
        Where nobody says otherwise.
    about
        What is counted.
    """

    name: str
    usual: int
    about: str

    @property
    def number(self) -> int:
        """What holds now.

        Raises
        ------
        CatalogError
            If ``GALMORPH_LIMITS`` cannot be read.
        """
        return _allowed(os.environ.get(VARIABLE, "")).get(self.name, self.usual)

    def __str__(self) -> str:
        return f"{self.number} (--limit {self.name}=N allows more)"


LIMITS = {
    limit.name: limit
    for limit in (
        Limit("text_bytes", 4 << 20, "bytes of a file of TOML or JSON"),  # a hundred times the card of a checkpoint
        Limit("table_bytes", 1 << 28, "bytes of a compressed table, expanded, whatever its size"),
        Limit("table_ratio", 200, "size of a compressed table, expanded, times that of its file"),
        Limit("table_columns", 10_000, "columns that the header of a SExtractor catalogue numbers"),
        Limit("votable_depth", 100, "elements of a VOTable in one another"),
        Limit("votable_numbers", 16, "numbers in arrays of a VOTable, for each byte of it"),
        Limit("yaml_bytes", 8 << 20, "bytes of the YAML header of an ECSV table"),
        Limit("yaml_values", 200_000, "values that its aliases stand for"),  # ten times those of 999 columns
        Limit("image_cards", 200_000, "cards of the header of an image"),  # histories of mosaics have some ten thousand
        Limit("image_hdus", 20_000, "HDUs of an image file"),  # cameras have a few hundred
        Limit("image_bytes", 1 << 36, "bytes of a compressed image, expanded"),  # four times the largest mosaics
        Limit("stamp_bytes", 1 << 26, "bytes of a file of a stamp"),  # pictures of the limit of pixels have fewer
        Limit("stamp_pixels", 1 << 24, "pixels of a stamp"),  # more is a mosaic, and takes 16 bytes each
        Limit("fetched_bytes", 1 << 30, "bytes of an answer of an archive that is no mosaic"),
        Limit(
            "match_pairs", 1 << 27, "pairs of rows of two catalogues that match"
        ),  # 6 GB with what is looked at of each
        Limit("vizier_rows", 1_000_000, "rows of a table of VizieR"),
        Limit("network_weights", 1 << 28, "weights of a network"),  # ten times those of the largest convnets
    )
}
"""All limits that users can change, by name."""


def allow(settings: Iterable[str]) -> None:
    """Change limits for this process and those that it starts.

    Parameters
    ----------
    settings
        ``NAME=NUMBER`` each.

    Raises
    ------
    CatalogError
        If there is no such limit, or the number is no positive one.
    """
    words = " ".join([os.environ.get(VARIABLE, ""), *settings]).strip()
    _allowed(words)
    os.environ[VARIABLE] = words


@lru_cache
def _allowed(words: str) -> dict[str, int]:
    return dict(map(_setting, words.split()))


def _setting(word: str) -> tuple[str, int]:
    name, _, number = word.partition("=")
    if name not in LIMITS:
        raise CatalogError(f"--limit {word[:80]}: {unknown_name('limit', name, LIMITS)}")
    try:
        value = float(number)
    except ValueError:
        value = 0.0
    if not 1 <= value <= _MOST:
        raise CatalogError(f"--limit {word[:80]}: expected a number of at least 1, such as {name}={LIMITS[name].usual}")
    return name, int(value)
