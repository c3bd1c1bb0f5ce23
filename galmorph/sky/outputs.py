"""Outputs: what is to be written is a file, new or one that may be replaced, and none of those that are read."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from galmorph.errors import OutputError
from galmorph.sky.catalog import Catalog
from galmorph.sky.catalog_input import CatalogInput
from galmorph.sky.formats.atomic import check_target
from galmorph.sky.formats.registry import is_folder_output
from galmorph.sky.images.image_input import ImageInput
from galmorph.sky.images.paths import files_of, without_band

__all__ = ["check_apart", "check_outputs"]

_IMAGES = ("images", "weight", "rms", "variance", "segmentation", "survey")


def check_outputs(
    outputs: Iterable[str | Path | None], *inputs: Any, overwrite: bool = False, is_made: bool = False
) -> None:
    """Refuse outputs that are in the way, cannot be written or would replace an input, before any work.

    Parameters
    ----------
    outputs
        Files; None for none.
    inputs
        What is read: names, files, folders and globs, catalogues and images that are asked for, alone or in lists.
    overwrite
        Whether existing files may be replaced; an input never is.
    is_made
        Whether the folders of the outputs may be missing.

    Raises
    ------
    OutputError
        If so.
    """
    paths = [Path(output) for output in outputs if output is not None]
    for path in paths:
        check_target(path, overwrite=overwrite, is_made=is_made, is_folder=is_folder_output(path))
    check_apart(paths, *inputs)


def check_apart(outputs: Iterable[Path], *inputs: Any) -> None:
    """Refuse outputs that are one of the inputs, however either is named: in a folder, with an HDU, by a link.

    Raises
    ------
    OutputError
        If so.
    """
    existing = {_identity(path): path for path in outputs if path.exists()}
    if not existing:
        return
    for name in _names(inputs):
        for file in [*files_of(name), *_folders_of(name)]:
            if (output := existing.get(_identity(file))) is not None:
                raise OutputError(
                    f"Output '{output}' is one of the images or another input, '{name}': a result never replaces its "
                    "input; choose another"
                )


def _folders_of(name: str) -> list[Path]:
    """List what is replaced together with what an input names, where that is in a folder: a catalogue in HATS."""
    path = Path(name)
    within = [path, *path.resolve().parents] if path.exists() else []
    return [folder for folder in within if is_folder_output(folder)]


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _names(inputs: Any) -> Iterator[str]:
    """List the files in what may stand for a catalogue, images or a checkpoint, without the bands before them."""
    if isinstance(inputs, str | os.PathLike):
        yield without_band(os.fspath(inputs))
        return
    for each in _parts(inputs):
        yield from _names(each)


def _parts(inputs: Any) -> Iterable[Any]:
    """List what a group of inputs consists of; nothing of what is in memory."""
    if isinstance(inputs, list | tuple):
        return inputs
    if isinstance(inputs, Mapping):
        return inputs.values()
    if isinstance(inputs, CatalogInput):
        return [inputs.catalog]
    if isinstance(inputs, Catalog):
        return [inputs.path]
    return [getattr(inputs, name) for name in _IMAGES] if isinstance(inputs, ImageInput) else []
