"""Journal: the parts of a run that are done, each in a file of its own, until the result is written.

A part's file appears whole or not at all, and says of which run, which part and how many rows it is. So whatever stops
a run (``kill -9``, a full disk, a power cut) costs the parts that were being worked on; the same command takes up the
others, and its result is that of a run that nothing stopped. Several processes may work on parts of one run, as those
of a job array do: each writes files of its own, and the same part done twice is the same file.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.npyio import NpzFile

from galmorph.errors import OutputError
from galmorph.runs.parts import Part
from galmorph.runs.results import Results
from galmorph.runs.status import HEADER, SUFFIX, read_header
from galmorph.sky.formats.atomic import make_folder, replacing
from galmorph.sky.scratch import sweep

__all__ = ["Journal"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Journal:
    """The folder of a run's parts.

    Parameters
    ----------
    folder
        Where the parts are.
    run
        What decides the run's results; see :mod:`galmorph.runs.fingerprint`.
    sizes
        Number of rows of each part.
    """

    folder: Path
    run: Mapping[str, str]
    sizes: tuple[int, ...]

    @classmethod
    def begin(cls, folder: Path, run: Mapping[str, str], parts: Sequence[Part]) -> Journal:
        """Make the folder, or take up the one of the same run.

        Raises
        ------
        OutputError
            If it holds parts of another run, or something else, or cannot be written.
        """
        journal = cls(folder, run, tuple(len(part) for part in parts))
        make_folder(folder)
        sweep(folder)
        if (folder / HEADER).exists():
            journal._check_same()
        elif any(folder.iterdir()):
            raise OutputError(
                f"folder '{folder}', for parts of the result, has other files: expected none; remove them, or choose "
                "another output"
            )
        else:
            journal._write_header()
        return journal

    @cached_property
    def digest(self) -> str:
        """Hash of what decides the results; in the file of each part."""
        return hashlib.sha256(json.dumps([dict(self.run), self.sizes], sort_keys=True).encode()).hexdigest()

    def write(self, part: Part, results: Results) -> None:
        """Keep the results of a part.

        Raises
        ------
        OutputError
            If the disk is full, or cannot be written; or if the folder is gone.
        """
        if not self.folder.exists():
            raise OutputError(
                f"folder '{self.folder}', for parts of the result, is gone: removed, or another run of the same "
                "command has written the output; begin anew where it has not"
            )
        arrays = results.arrays()
        about = {"run": self.digest, "part": part.number, "rows": len(part), "sha256": _sha256(arrays)}
        with replacing(self._path(part.number)) as temporary, temporary.open("wb") as stream:
            pieces: dict[str, Any] = {"about": np.frombuffer(json.dumps(about).encode(), np.uint8), **arrays}
            np.savez(stream, **pieces)

    def read(self, part: Part) -> Results | None:
        """Return the results of a part; None where there are none, or where their file is damaged or of another run."""
        path = self._path(part.number)
        try:
            with path.open("rb") as stream, NpzFile(stream, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            about = json.loads(arrays.pop("about").tobytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            _say_unusable(path, str(error))
            return None
        expected = {"run": self.digest, "part": part.number, "rows": len(part), "sha256": _sha256(arrays)}
        if about != expected:
            _say_unusable(path, "it is of another run, or not what was written")
            return None
        return Results.of_arrays(arrays)

    def remove(self) -> None:
        """Remove the folder, once the result is written."""
        for number in range(len(self.sizes)):
            self._path(number).unlink(missing_ok=True)
        (self.folder / HEADER).unlink(missing_ok=True)
        with suppress(OSError):  # somebody else keeps files there
            self.folder.rmdir()

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06d}{SUFFIX}"

    def _write_header(self) -> None:
        about = {"run": dict(self.run), "rows": self.sizes, "begun": time.time()}
        with replacing(self.folder / HEADER) as temporary:
            temporary.write_text(json.dumps(about), encoding="utf-8")

    def _check_same(self) -> None:
        former = read_header(self.folder)
        there, here = former["run"], dict(self.run)
        for name in dict.fromkeys([*here, *there]):
            if there.get(name, "") != here.get(name, ""):
                raise OutputError(
                    f"folder '{self.folder}' has parts of another run, whose {name} was '{there.get(name, '')}' and "
                    f"is '{here.get(name, '')}' now: expected the same inputs and settings; repeat them, remove the "
                    "folder, or choose another output"
                )
        if tuple(former["rows"]) != self.sizes:
            raise OutputError(
                f"folder '{self.folder}' has parts of other rows: expected those of this catalogue; remove the folder, "
                "or choose another output"
            )


def _say_unusable(path: Path, reason: str) -> None:
    log.warning("part '%s' cannot be used (%s): it is done again", path, reason)


def _sha256(arrays: Mapping[str, npt.NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        values = arrays[name]
        digest.update(f"{name} {values.dtype.str} {values.shape}".encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()
