"""Card: the text beside a checkpoint (``NAME.json``) that tells people how it was trained and how it scored."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from galmorph.errors import CheckpointError, OutputError
from galmorph.nets.checkpoint.lookup import checksum, find_checkpoint
from galmorph.sky.formats.atomic import replacing
from galmorph.text_file import read_json, read_text

__all__ = ["add_to_card", "read_card", "read_card_file"]

_NUMBERS = re.compile(r"\[\n\s*([-+.\deE]+(?:,\n\s*[-+.\deE]+)*)\n\s*\]")
"""A list of numbers with each on a line of its own."""
_FIGURES = ("accuracy", "rows", "rmse", "constant", "floor", "signal_explained")


def read_card(name: str | Path) -> dict[str, Any]:
    """Read the card beside a checkpoint; empty where there is none.

    Raises
    ------
    CheckpointError
        If it is no JSON, or that of another file.
    """
    path = find_checkpoint(name)
    card_path = path.with_suffix(".json")
    if not card_path.exists():
        return {}
    try:
        card = _read(card_path)
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"card '{card_path}' is no JSON ({error}): fetch or train the checkpoint again"
        ) from error
    if (told := card.get("sha256")) is not None and told != checksum(path):
        raise CheckpointError(
            f"card '{card_path}' is that of a checkpoint with sha256 {str(told)[:8]}, '{path}' has "
            f"{checksum(path)[:8]}: fetch both again, or remove the card"
        )
    return card


def _read(path: Path) -> dict[str, Any]:
    card = read_json(read_text(path))
    if not isinstance(card, dict):
        raise ValueError(f"it holds a {type(card).__name__}, expected a table")  # noqa: TRY004 - of the file, not of ours
    for key in ("title", "data", "page", "sha256"):
        if not isinstance(card.get(key, ""), str):
            raise ValueError(f"{key} is {card[key]!r:.40}, expected a text")  # noqa: TRY004
    for split in ("train", "validation", "test"):
        _check_scores(split, card.get(split, {}))
    return card


def _check_scores(split: str, scores: Any) -> None:
    questions = scores.get("questions", {}) if isinstance(scores, dict) else None
    if not isinstance(questions, dict) or not all(isinstance(each, dict) for each in questions.values()):
        raise ValueError(f"{split} holds no table of questions, each a table of scores")
    figures = [("accuracy", scores.get("accuracy"))]
    figures += [(f"questions.{name}.{key}", value) for name, of in questions.items() for key, value in of.items()]
    for key, value in figures:
        if key.rpartition(".")[2] in _FIGURES and not isinstance(value, int | float | None):
            raise ValueError(f"{split}.{key} is {value!r:.40}, expected a number")


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
            temporary.write_text(_laid_out({**card, entry: value}), encoding="utf-8")
    except OutputError as error:
        raise _unchanged(path, error.__cause__) from error


def _laid_out(card: Mapping[str, Any]) -> str:
    """Write a card with a line for each entry, and for each row of numbers."""
    rows = _NUMBERS.sub(lambda row: "[" + " ".join(row[1].split()) + "]", json.dumps(card, indent=1))
    return f"{rows}\n"


def read_card_file(path: str | Path) -> dict[str, Any]:
    """Read a card that is to be changed.

    Raises
    ------
    CheckpointError
        If it cannot be read or is no card.
    """
    try:
        return _read(Path(path))
    except (OSError, ValueError) as error:
        raise _unchanged(path, error) from error


def _unchanged(path: str | Path, reason: object) -> CheckpointError:
    return CheckpointError(f"card '{path}' cannot be changed ({reason}): give the .json file beside a checkpoint")
