"""Subject: what every class of inputs says of itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from .dice import Dice

__all__ = ["DifferenceError", "Item", "Subject"]


class DifferenceError(AssertionError):
    """What came out is not what others read from the same file."""


@dataclass(frozen=True)
class Item:
    """One input.

    Parameters
    ----------
    name
        What is opened: a file, or a folder.
    files
        What lies where, in a folder of its own.
    is_refused
        Whether it is refused though it is sound.
    """

    name: str
    files: dict[str, bytes]
    is_refused: bool = False

    @classmethod
    def of(cls, name: str, content: bytes) -> Item:
        return cls(name, {name: content})

    def having(self, name: str, content: bytes) -> Item:
        return Item(self.name, {**self.files, name: content})

    def write(self, folder: Path) -> Path:
        for name, content in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        return folder / self.name


class Subject(Protocol):
    """A class of inputs."""

    name: str

    def seeds(self) -> Sequence[Item]:
        """Draw sound inputs, the same ones each time."""

    def damaged(self, dice: Dice, item: Item, items: Sequence[Item]) -> Item:
        """Damage one of them."""

    def examine(self, path: Path, dice: Dice) -> object:
        """Open an input and use it as a run does; a GalmorphError is as good as success."""

    def compare(self, path: Path, opened: object) -> None:
        """Hold what was opened against what others read; DifferenceError where it is not the same."""
