"""Lookup: the checkpoints that ship, and those in files, found by what people call them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from galmorph.errors import CheckpointError, unknown_name
from galmorph.shipped import named_files, shipped

__all__ = ["checkpoint_names", "checksum", "find_checkpoint"]


def checkpoint_names() -> list[str]:
    """List the checkpoints that ship with galmorph."""
    return list(_shipped())


def find_checkpoint(name: str | Path) -> Path:
    """Return the file of a shipped checkpoint or of a path.

    Raises
    ------
    CheckpointError
        If there is neither; the message lists what exists.
    """
    files = _shipped()
    if str(name) in files:
        return files[str(name)]
    if Path(name).is_file():
        return Path(name)
    raise CheckpointError(unknown_name("checkpoint", str(name), files))


def checksum(path: Path) -> str:
    """Return the SHA-256 of a checkpoint's file, by which cards and outputs tell it from others."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _shipped() -> dict[str, Path]:
    return named_files(shipped("catalogs") / "checkpoints", ".safetensors")
