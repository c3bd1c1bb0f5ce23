"""Parsing: what the readers and writers of tables by other people raise, as one line that names the file."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from galmorph.errors import CatalogError, OutputError
from galmorph.sky.boundary import boundary

__all__ = ["parsing", "serialising"]


@contextmanager
def parsing(path: Path, kind: str, remedy: str) -> Iterator[None]:
    """Turn any exception of the block, which parses `path` as a `kind`, into a CatalogError; hush its warnings.

    Raises
    ------
    CatalogError
        If the block fails. Our own errors pass as they are.
    """
    with (
        boundary(lambda reason: CatalogError(f"Catalog '{path}' is no readable {kind} ({reason}): {remedy}")),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield


@contextmanager
def serialising(path: Path, what: str = "this table") -> Iterator[None]:
    """Turn any exception of the block, which makes the output `path` of `what`, into an OutputError.

    Raises
    ------
    OutputError
        If the block fails. Our own errors, and those of the disk, whose remedy is another one, pass as they are.
    """
    of_disk: list[OSError] = []
    with boundary(lambda reason: OutputError(f"Output '{path}' cannot hold {what} ({reason}): choose another format")):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        except OSError as error:
            of_disk.append(error)
    if of_disk:
        raise of_disk[0]
