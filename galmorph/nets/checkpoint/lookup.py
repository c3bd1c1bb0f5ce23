"""Lookup: the checkpoints that ship, and those in files, found by what people call them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from galmorph.errors import CheckpointError, unknown_name
from galmorph.shipped import named_files, shipped
from galmorph.text_file import read_json, read_text

__all__ = ["checkpoint_names", "checksum", "find_checkpoint"]


def checkpoint_names() -> list[str]:
    """List the checkpoints that ship with galmorph."""
    return list(_shipped())


def find_checkpoint(name: str | Path) -> Path:
    """Return the file of a shipped checkpoint or of a path; ``NAME@VERSION`` asks for that version of one that ships.

    Raises
    ------
    CheckpointError
        If there is neither, which lists what exists, or if another version ships.
    """
    files = _shipped()
    if str(name) in files:
        return files[str(name)]
    if Path(name).is_file():
        return Path(name)
    kind, _, version = str(name).rpartition("@")
    if kind in files:
        return _of_version(kind, version, files[kind])
    raise CheckpointError(unknown_name("checkpoint", str(name), files))


def _of_version(name: str, version: str, path: Path) -> Path:
    """Return the file if its card says that it is of this version."""
    ships = read_json(read_text(path.with_suffix(".json"))).get("version")
    if version != ships:
        raise CheckpointError(
            f"checkpoint '{name}' has version {ships} here, expected '{version}': name '{name}' or '{name}@{ships}', "
            f"or install the galmorph that came with {version} and keep its {path.name}, which can be named by its path"
        )
    return path


def checksum(path: Path) -> str:
    """Return the SHA-256 of a checkpoint's file, by which cards and outputs tell it from others."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _shipped() -> dict[str, Path]:
    return named_files(shipped("catalogs") / "checkpoints", ".safetensors")
