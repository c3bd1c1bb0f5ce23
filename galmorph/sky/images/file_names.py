"""FileNames: files found by their names, which tables spell with or without folder and suffix."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

__all__ = ["DISPLAY_SUFFIXES", "FileNames", "spelled"]

DISPLAY_SUFFIXES = (".jpg", ".jpeg", ".png")
"""File names of display stamps end in one of these."""


class FileNames:
    """Names of files, of which each is found by any spelling that leaves no doubt.

    Parameters
    ----------
    names
        Of all files, in their order.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._numbers: dict[str, int] = {}
        bare = [_without_folder(spelled(name)) for name in names]
        often = Counter(bare)
        self._names = [one if often[one] == 1 else spelled(name) for one, name in zip(bare, names, strict=True)]
        for spelling in _SPELLINGS:
            texts = [spelling(spelled(name)) for name in names]
            count = Counter(texts)
            for number, text in enumerate(texts):
                if count[text] == 1:
                    self._numbers.setdefault(text, number)

    def number_of(self, name: object) -> int:
        """Find the number of a file, -1 for none; whole numbers that a table made floats ("17.0") last."""
        stripped = str(name).strip()
        for text in dict.fromkeys((stripped, stripped.removesuffix(".0"))):
            for spelling in _SPELLINGS:
                if (number := self._numbers.get(spelling(spelled(text)))) is not None:
                    return number
        return -1

    def name_of(self, name: object) -> str:
        """Spell a name as the file has it, without its folder where that leaves no doubt; as it is if there is none."""
        number = self.number_of(name)
        return self._names[number] if number >= 0 else str(name).strip()


def spelled(name: str) -> str:
    """Spell a name as most systems do: macOS divides letters and accents, Windows parts folders by backslashes."""
    return unicodedata.normalize("NFC", name).replace("\\", "/")


def _without_suffix(name: str) -> str:
    suffix = PurePosixPath(name).suffix
    return name[: -len(suffix)] if suffix.lower() in DISPLAY_SUFFIXES else name


def _without_folder(name: str) -> str:
    return PurePosixPath(name).name


_SPELLINGS: tuple[Callable[[str], str], ...] = (
    str,
    _without_suffix,
    _without_folder,
    lambda name: _without_suffix(_without_folder(name)),
)
