"""Ledger: what a run would need of archives, written down in place of fetching it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from statistics import mean
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

__all__ = ["Ledger", "Need"]

BoolArray = npt.NDArray[np.bool_]
FetchedWith = Callable[[BoolArray], BoolArray]
"""Tells which pieces are asked for to have some."""
_ASKED = 3
"""Files of a kind whose size is asked for; the others are taken to have the mean of those."""


@dataclass(frozen=True)
class Need:
    """What a run needs of a file.

    Parameters
    ----------
    url
        Where it is.
    bytes
        How many bytes of it; 0 where nobody knows.
    here_bytes
        How many of these are in the cache.
    is_estimate
        Whether they are what such files usually have, or those of others of the kind.
    """

    url: str
    bytes: int
    here_bytes: int = 0
    is_estimate: bool = False

    @property
    def kind(self) -> tuple[str, str]:
        """Host and ending, or the whole address of a service."""
        parts = urlsplit(self.url)
        return parts.netloc, parts.path if parts.query else PurePosixPath(parts.path).suffix


@dataclass
class _Pieces:
    """Pieces of a file, (N,): those that are needed and here, and those that are fetched, with what is between."""

    here: BoolArray
    fetched: BoolArray
    piece_bytes: int

    def need(self, url: str) -> Need:
        here, fetched = (int(each.sum()) * self.piece_bytes for each in (self.here, self.fetched))
        return Need(url, here + fetched, here)


class Ledger:
    """Files that would be fetched, and those that are here already."""

    def __init__(self) -> None:
        self._files: dict[str, Need] = {}
        self._pieces: dict[str, _Pieces] = {}

    def note_file(self, url: str, size: int, *, is_here: bool = False) -> None:
        """Take note of a file that is needed whole, and of how many bytes it, or one like it, has; 0 for unknown."""
        self._files[url] = Need(url, size, size if is_here else 0, not is_here)

    def note_pieces(
        self, url: str, needed: BoolArray, here: BoolArray, piece_bytes: int, fetched_with: FetchedWith
    ) -> None:
        """Take note of the pieces of a file that are needed, (N,), and of those that are here."""
        if url not in self._pieces:
            self._pieces[url] = _Pieces(np.zeros_like(needed), np.zeros_like(needed), piece_bytes)
        pieces = self._pieces[url]
        pieces.here |= needed & here
        pieces.fetched |= fetched_with(needed & ~here & ~pieces.fetched)

    def needs(self, size_of: Callable[[str], int]) -> list[Need]:
        """List what was noted.

        Parameters
        ----------
        size_of
            Asks how many bytes a file has; 0 for unknown. Services that make their answers are not asked.
        """
        kinds: dict[tuple[str, str], list[Need]] = defaultdict(list)
        for need in self._files.values():
            kinds[need.kind].append(need)
        files = [need for of_kind in kinds.values() for need in _with_sizes(of_kind, size_of)]
        return [*(pieces.need(url) for url, pieces in self._pieces.items()), *files]


def _with_sizes(needs: list[Need], size_of: Callable[[str], int]) -> list[Need]:
    """Fill in the sizes that are not known, of files of one kind."""
    unknown = [need for need in needs if need.bytes == 0]
    asked = {need.url: size_of(need.url) for need in unknown[:_ASKED] if not urlsplit(need.url).query}
    sizes = [size for size in (*asked.values(), *(need.bytes for need in needs)) if size > 0]
    usual = round(mean(sizes)) if sizes else 0
    return [
        need if need.bytes else replace(need, bytes=asked.get(need.url) or usual, is_estimate=not asked.get(need.url))
        for need in needs
    ]
