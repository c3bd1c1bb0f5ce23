"""Manifest: what lies in a folder that was fetched ahead of time, so that another machine can trust it.

The folder is a cache that is complete for one catalogue. The manifest names each of its files with its checksum, where
it came from and which rows it serves, and why other rows have none; it has a checksum itself. What does not agree with
it is refused: checksums tell what was damaged or changed by mistake, not by somebody who writes a new manifest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from galmorph.errors import ArchiveError
from galmorph.sky.boundary import boundary
from galmorph.sky.remote.cache import Cache, CacheEntry, parts_of
from galmorph.sky.remote.client import Client
from galmorph.sky.remote.partial_file import PIECE_BYTES, PartialFile

__all__ = [
    "MANIFEST",
    "FetchedFile",
    "Manifest",
    "fetched_files",
    "folder_cache",
    "read_manifest",
    "spans",
    "trusted_cache",
]

MANIFEST = "manifest.json"
_OWN = ("lock", "origin.json")
_NO_LIMIT = 1 << 62


@dataclass(frozen=True)
class FetchedFile:
    """A file of the folder.

    Parameters
    ----------
    name
        Below the folder.
    url, etag, modified, date
        Where it came from, what its host said of its version, and when it came.
    bytes
        Its length, holes included.
    sha256
        Of its bytes; of a file with holes, of the pieces that are here, one after the other.
    pieces
        Numbers of the pieces of ``PIECE_BYTES`` that are here: ``0-12,17``; '' for a whole file.
    rows
        Numbers of the rows of the catalogue, from 0, that it serves; '' for an answer of a query.
    """

    name: str
    url: str
    bytes: int
    sha256: str
    pieces: str = ""
    etag: str = ""
    modified: str = ""
    date: str = ""
    rows: str = ""


@dataclass(frozen=True)
class Manifest:
    """What was fetched for the rows of a catalogue.

    Parameters
    ----------
    survey, band, settings
        Of which images, and how they were asked for.
    catalog
        Name of its file.
    positions
        Checksum of its positions.
    n_rows
        How many there are.
    failed
        Number of a row that could not be served: why.
    files
        All of the folder.
    origin
        Version of galmorph, command and date.
    """

    survey: str
    band: str
    settings: Mapping[str, str]
    catalog: str
    positions: str
    n_rows: int
    failed: Mapping[str, str] = field(default_factory=dict)
    files: tuple[FetchedFile, ...] = ()
    origin: Mapping[str, str] = field(default_factory=dict)

    def is_of(self, other: Manifest) -> bool:
        """Tell whether both are of the same images and positions."""
        keys = ("survey", "band", "settings", "positions")
        return all(getattr(self, key) == getattr(other, key) for key in keys)

    def write(self, folder: Path) -> None:
        """Write it into its folder.

        Raises
        ------
        ArchiveError
            If that cannot be.
        """
        content = asdict(self)
        text = json.dumps({"sha256": _digest_of(content), **content}, indent=1)
        temporary = folder / f"{MANIFEST}.part"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(folder / MANIFEST)
        except OSError as error:
            raise ArchiveError(f"'{folder}' cannot be written ({error.strerror}): choose another folder") from error


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a folder.

    Raises
    ------
    ArchiveError
        If there is none, or it is not as it was written.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise ArchiveError(f"'{folder}' has no {MANIFEST}: expected a folder of 'galmorph fetch -o'; name that")
    with boundary(partial(_damaged, path)):
        content = json.loads(path.read_text(encoding="utf-8"))
        checksum = content.pop("sha256")
        if checksum != _digest_of(content):
            raise _damaged(path, "its checksum is another")
        files = tuple(FetchedFile(**each) for each in content.pop("files"))
        return Manifest(**content, files=files)


def trusted_cache(folder: Path) -> Cache:
    """Return the cache that a folder is, once each of its files is what its manifest says.

    Raises
    ------
    ArchiveError
        If one is not, is missing, or is not listed.
    """
    manifest, cache = read_manifest(folder), folder_cache(folder)
    listed = {each.name: each for each in manifest.files}
    actual = dict(_files_in(cache))
    if names := sorted(listed.keys() ^ actual.keys()):
        what = "is missing" if names[0] in listed else f"is not in its {MANIFEST}"
        raise ArchiveError(f"'{folder}': '{names[0]}' {what}: fetch or copy the folder again")
    for name, entry in actual.items():
        _check(folder, _described(folder, name, entry), listed[name])
    return cache


def folder_cache(folder: Path, behind: Cache | None = None) -> Cache:
    """Return a folder as a cache without a limit."""
    return Cache(folder, _NO_LIMIT, behind)


def fetched_files(folder: Path, rows: Mapping[Path, Sequence[int]]) -> tuple[FetchedFile, ...]:
    """Describe all files of a folder.

    Parameters
    ----------
    rows
        Of the files, the rows that each serves.
    """
    files = (_described(folder, name, entry) for name, entry in _files_in(folder_cache(folder)))
    return tuple(replace(each, rows=spans(rows.get(folder / each.name, ()))) for each in files)


def spans(numbers: Sequence[int]) -> str:
    """Write whole numbers as spans.

    Examples
    --------
    >>> spans([0, 1, 2, 7, 9, 10])
    '0-2,7,9-10'
    """
    ordered = np.unique(np.asarray(numbers, np.int64))
    if not len(ordered):
        return ""
    runs = np.split(ordered, np.flatnonzero(np.diff(ordered) > 1) + 1)
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def _files_in(cache: Cache) -> Iterator[tuple[str, CacheEntry]]:
    """Yield the names of the files of a folder with the entries that they belong to."""
    for entry in sorted(cache.entries(), key=lambda each: each.path):
        for path in sorted(entry.path.parent.iterdir()):
            if path.name not in _OWN and not path.name.endswith((".part", ".parts")):
                yield path.relative_to(cache.folder).as_posix(), entry


def _described(folder: Path, name: str, entry: CacheEntry) -> FetchedFile:
    path = folder / name
    pieces = PartialFile(path, Client(offline=True)).pieces if parts_of(path).exists() else None
    numbers = None if pieces is None else np.flatnonzero(pieces).tolist()
    return FetchedFile(
        name,
        entry.url,
        path.stat().st_size,
        _sha256(path, numbers),
        "" if numbers is None else spans(numbers) or "none",
        entry.etag,
        entry.modified,
        entry.date,
    )


def _check(folder: Path, actual: FetchedFile, listed: FetchedFile) -> None:
    if actual != replace(listed, rows=""):
        raise ArchiveError(
            f"'{folder}': '{actual.name}' is not the file that was fetched: expected {listed.bytes} bytes with sha256 "
            f"{listed.sha256[:12]}…; fetch or copy the folder again"
        )


def _sha256(path: Path, pieces: Sequence[int] | None) -> str:
    with path.open("rb") as file:
        if pieces is None:
            return hashlib.file_digest(file, "sha256").hexdigest()
        digest = hashlib.sha256()
        for number in pieces:
            file.seek(number * PIECE_BYTES)
            digest.update(file.read(PIECE_BYTES))
        return digest.hexdigest()


def _digest_of(content: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _damaged(path: Path, reason: str) -> ArchiveError:
    return ArchiveError(f"'{path}' is not as it was written ({reason}): fetch or copy the folder again")
