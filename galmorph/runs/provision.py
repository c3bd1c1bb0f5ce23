"""Provision: all that a later run needs of archives, fetched ahead of time, or only written down."""

from __future__ import annotations

import hashlib
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

import galmorph
from galmorph.errors import ArchiveError, ImageError, NotFetchedError
from galmorph.progress import Progress, silent
from galmorph.runs.ahead import Window, in_turn, windows_of
from galmorph.runs.archive_images import archive_survey, open_archive, positions_of
from galmorph.runs.blocks import block_of, block_window, block_windows, reading_order
from galmorph.runs.gather import LARGEST_HALF_PX
from galmorph.runs.stamp_files import SIDE_PX, StampFiles
from galmorph.sky.catalog import Catalog
from galmorph.sky.catalog_input import CatalogInput
from galmorph.sky.images import ImageInput, ImageSource, Located
from galmorph.sky.remote import (
    MANIFEST,
    Client,
    Ledger,
    Manifest,
    Need,
    default_cache,
    fetched_files,
    folder_cache,
    partial_at,
    read_manifest,
)

__all__ = ["Provision"]

_PROGRESS_ROWS = 16
_Block = tuple[int, int, int]  # tile, block row, block column
_QUIET = "galmorph.sky.archives"
"""What these say of files that are missing is no news in a dry run."""


@dataclass
class Provision:
    """What a run of a catalogue on a survey's images needs.

    Parameters
    ----------
    catalog, images
        As a run is asked for.
    failed
        Number of a row whose images could not be had: why.
    rows
        Of each file, the rows that it serves.
    """

    catalog: CatalogInput
    images: ImageInput
    failed: dict[int, str] = field(default_factory=dict)
    rows: dict[Path, list[int]] = field(default_factory=lambda: defaultdict(list))

    @cached_property
    def table(self) -> Catalog:
        """The catalogue, read."""
        self.images.check_archive()
        return self.catalog.open()

    @cached_property
    def asked(self) -> ImageInput:
        """The images, with the survey that has them."""
        asked = archive_survey(self.images, self.table)
        asked.known_bands()  # says which survey and bands there are
        return asked

    def needs(self) -> list[Need]:
        """List what would be fetched; nothing is but headers, and answers that say what to fetch.

        Raises
        ------
        GalmorphError
            One of its kinds for each thing that does not fit.
        """
        ledger = Ledger()
        client = Client(ledger=ledger)
        with _quiet():
            try:
                images = open_archive(self.asked, self.table, client=client)
            except NotFetchedError:
                return ledger.needs(client.size_of)
            self._read(images, silent, is_dry=True)
        return ledger.needs(Client().size_of)

    def fetch(self, folder: Path | None, *, progress: Progress, command: str) -> Manifest:
        """Fetch all of it: into the user's cache, or into a folder with a manifest.

        Raises
        ------
        ArchiveError
            If nothing can be had, or the folder holds something else.
        GalmorphError
            One of its kinds for each thing that does not fit.
        """
        manifest = self._manifest(command)
        cache = default_cache()
        if folder is not None:
            _check_folder(folder, manifest)
            manifest.write(folder)
            cache = folder_cache(folder, behind=cache)
        images = open_archive(self.asked, self.table, client=Client(offline=self.asked.offline), cache=cache)
        self._read(images, progress)
        failed = {str(row): reason for row, reason in sorted(self.failed.items())}
        manifest = replace(manifest, failed=failed)
        if folder is not None:
            manifest = replace(manifest, files=fetched_files(folder, self.rows))
            manifest.write(folder)
        return manifest

    def cut(self, folder: Path, side_px: int | None, *, overwrite: bool, progress: Progress, command: str) -> Manifest:
        """Write a stamp of each row, and a table of them, into a folder.

        Parameters
        ----------
        side_px
            Of the stamps; None for the usual one.
        overwrite
            Whether other files of their names may be replaced.

        Raises
        ------
        OutputError
            If they cannot be written, or other files are in the way.
        GalmorphError
            One of its kinds for each thing that does not fit.
        """
        manifest = self._manifest(command)
        stamps = StampFiles(folder, SIDE_PX if side_px is None else side_px, overwrite)
        asked = {"survey": manifest.survey, "band": manifest.band, **manifest.settings}
        stamps.check(self.table, asked)
        with closing(open_archive(self.asked, self.table, client=Client(offline=self.asked.offline))) as images:
            failed = stamps.write(images, self.table, asked, progress)
        return replace(manifest, failed={str(row): reason for row, reason in sorted(failed.items())})

    def _manifest(self, command: str) -> Manifest:
        survey = self.asked.known_survey()
        ra, dec = positions_of(self.table)
        return Manifest(
            survey="" if survey is None else survey.name,
            band=self.asked.band or "",
            settings={"field": self.asked.field or "", "archive": self.asked.archive},
            catalog=self.table.title,
            positions=hashlib.sha256(np.stack([ra, dec]).astype("<f8").tobytes()).hexdigest(),
            n_rows=len(self.table),
            origin={
                "galmorph": galmorph.__version__,
                "command": command,
                "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            },
        )

    def _read(self, images: ImageSource, progress: Progress, *, is_dry: bool = False) -> None:
        """Read whatever of the images measuring any row may read."""
        with closing(images):
            where = images.locate(*positions_of(self.table))
            rows, blocks = reading_order(where), block_of(where)
            reader = _Reader(images)
            windows = reader.windows(where, rows)
            turns = in_turn(rows.tolist(), images, lambda: windows)
            if is_dry:  # it takes its notes one after the other
                turns = (
                    (row, partial(images.fetch, *window)) for row, window in zip(rows.tolist(), windows, strict=True)
                )
            for done, (row, wait) in enumerate(turns):
                block = tuple(blocks[row].tolist())
                self._read_row(row, reader, block, float(where.x[row]), float(where.y[row]), wait)
                if done % _PROGRESS_ROWS == 0:
                    progress("fetching", done, len(rows))
            progress("fetching", len(rows), len(rows))

    def _read_row(self, row: int, reader: _Reader, block: _Block, x: float, y: float, wait: Callable[[], None]) -> None:
        files = reader.images.files(block[0], x, y)
        for path in files:
            self.rows[path].append(row)
        is_here = reader.images.is_linear and len(files) > 0 and all(_is_here(path) for path in files)
        if not is_here and (reason := reader.reason(block, x, y, wait)):
            self.failed[row] = reason


@dataclass
class _Reader:
    """Reads the windows about rows, each block once."""

    images: ImageSource
    _blocks: dict[_Block, str] = field(default_factory=dict)

    def reason(self, block: _Block, x: float, y: float, wait: Callable[[], None]) -> str:
        """Say why the windows that measuring a row may read cannot be read; '' where they can."""
        try:
            wait()
        except (ImageError, OSError) as error:
            return str(error)
        return self._window(block[0], x, y, LARGEST_HALF_PX) or self._block(block)

    def windows(self, where: Located, rows: npt.NDArray[np.int64]) -> list[Window]:
        """Return what is fetched ahead of rows."""
        return block_windows(where, rows) if self._has_blocks else windows_of(where, rows, LARGEST_HALF_PX)

    @property
    def _has_blocks(self) -> bool:
        return self.images.is_linear and self.images.n_planes == 1

    def _block(self, block: _Block) -> str:
        if not self._has_blocks:
            return ""
        if block not in self._blocks:
            self._blocks[block] = self._window(block[0], *block_window(*block[1:]))
        return self._blocks[block]

    def _window(self, tile: int, x: float, y: float, half_px: int) -> str:
        try:
            self.images.cutout(tile, x, y, half_px)
        except (ImageError, OSError) as error:
            return str(error)
        return ""


def _is_here(path: Path) -> bool:
    return path.exists() and partial_at(path) is None


def _check_folder(folder: Path, manifest: Manifest) -> None:
    """Refuse a folder with anything in it but an earlier part of the same."""
    if (folder / MANIFEST).exists():
        if not read_manifest(folder).is_of(manifest):
            raise ArchiveError(f"'{folder}' was fetched for other rows or images: choose another folder")
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ArchiveError(f"'{folder}' is no empty folder, nor one of 'galmorph fetch -o': choose another")


@contextmanager
def _quiet() -> Iterator[None]:
    """Let archives say nothing of files that are not fetched."""
    logger = logging.getLogger(_QUIET)
    former = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(former)
