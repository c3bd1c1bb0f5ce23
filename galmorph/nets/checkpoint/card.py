"""Card: the text beside a checkpoint (``NAME.json``) that tells people how it was trained and how it scored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from galmorph.errors import CheckpointError, OutputError
from galmorph.nets.checkpoint.lookup import find_checkpoint
from galmorph.sky.formats.atomic import replacing

__all__ = ["add_to_card", "read_card", "read_card_file"]


def read_card(name: str | Path) -> dict[str, Any]:
    """Read the card beside a checkpoint; empty where there is none.

    Raises
    ------
    CheckpointError
        If it is no JSON.
    """
    path = find_checkpoint(name).with_suffix(".json")
    if not path.is_file():
        return {}
    try:
        card: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"card '{path}' is no JSON ({error}): fetch or train the checkpoint again") from error
    return card


def add_to_card(path: str | Path, entry: str, value: Any) -> None:
    """Enter something plain into a card: the scores of one part of the labels, or its page.

    Raises
    ------
    CheckpointError
        If the card cannot be read or written.
    """
    card = read_card_file(path)
    try:
        with replacing(Path(path)) as temporary:
            temporary.write_text(json.dumps({**card, entry: value}, indent=1) + "\n", encoding="utf-8")
    except OutputError as error:
        raise _unchanged(path, error.__cause__) from error


def read_card_file(path: str | Path) -> dict[str, Any]:
    """Read a card that is to be changed.

    Raises
    ------
    CheckpointError
        If it cannot be read or is no card.
    """
    try:
        card = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _unchanged(path, error) from error
    if not isinstance(card, dict):
        raise _unchanged(path, f"it holds a {type(card).__name__}")
    return card


def _unchanged(path: str | Path, reason: object) -> CheckpointError:
    return CheckpointError(f"card '{path}' cannot be changed ({reason}): give the .json file beside a checkpoint")
