"""Atomic files: a result appears whole under its name, or not at all."""

from __future__ import annotations

import errno
import gzip
import importlib
import logging
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType

from galmorph.errors import OutputError
from galmorph.sky.scratch import mark, sweep

__all__ = ["alone_in", "check_target", "make_folder", "replacing", "replacing_folder"]

log = logging.getLogger(__name__)
_OF_HATS = "hats.properties"
# There are no such locks on Windows.
_LOCKS = importlib.import_module("fcntl") if os.name == "posix" else None


@contextmanager
def replacing(path: Path, *, overwrite: bool = True, compress: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path`; move it there if the block ends well, else remove it.

    A name that ends with ``.gz`` is compressed at the end, unless its bytes are so already. Without `overwrite` a file
    that another one has made in the meantime stays, and the block fails.

    Raises
    ------
    OutputError
        If the disk is full or the folder cannot be written.
    """
    path = _resolved(path)  # a link stays one
    bare = path.name.removesuffix(".gz") if compress else path.name
    # Named before they are made, so that an interrupt in between leaves nothing.
    temporary = [_beside(path, name) for name in dict.fromkeys((bare, path.name))]
    try:
        with _explained(path):
            _make(temporary[0])
            yield temporary[0]
            if bare != path.name:
                _make(temporary[1])
                _compress(temporary[0], temporary[1])
            _settle(temporary[-1], path, overwrite=overwrite)
    finally:
        for left in temporary:
            _remove(left)


@contextmanager
def replacing_folder(path: Path, *, overwrite: bool = True) -> Iterator[Path]:
    """Yield a temporary folder of the same name; move it to `path` if the block ends well, else remove it.

    A folder cannot be replaced in one step. So an old one is called ``NAME.old-…`` for the moment between two, and what
    is killed then leaves it so, whole.

    Raises
    ------
    OutputError
        If the disk is full or the folder cannot be written, or `path` is there and may not be replaced.
    """
    path = _resolved(path)
    around = _beside(path, path.name)
    try:
        with _explained(path):
            around.mkdir(mode=0o700)
            (around / path.name).mkdir()
            yield around / path.name
            _flush(around / path.name)
            _settle_folder(around / path.name, path, overwrite=overwrite)
    finally:
        shutil.rmtree(around, ignore_errors=True)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Say of an output that cannot be written what to do."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"Output '{path}' cannot be written ({reason}): free space or choose another folder"
        ) from error


def check_target(path: Path, *, overwrite: bool = True, is_made: bool = False, is_folder: bool = False) -> None:
    """Refuse an output that cannot be written, or is in the way, by making a file in its folder.

    What killed runs on this machine left there, and among the temporary files, is removed.

    Parameters
    ----------
    path
        The output.
    overwrite
        Whether an existing file may be replaced. A folder, device or pipe never is.
    is_made
        Whether its folder may be missing, since it will be made.
    is_folder
        Whether the output itself is a folder, which replaces none but one of its kind: whose name has the same ending,
        and in which a file ``hats.properties`` lies.

    Raises
    ------
    OutputError
        If so.
    """
    target = _resolved(path)
    for place in (target.parent, Path(tempfile.gettempdir())):
        sweep(place)  # first, since a run that is refused is the next run, too
    try:
        (_check_no_folder if is_folder else _check_no_file)(path, target)
        _check_absent(path, target, overwrite=overwrite)
        folder = next(p for p in target.parents if p.exists()) if is_made else target.parent
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"Output '{path}' cannot be written ({error.strerror}): choose another name") from error
    if not folder.is_dir():
        kind = "is a file, no folder" if folder.exists() else "does not exist"
        raise OutputError(f"Output '{path}' cannot be written: the folder '{folder}' {kind}: make it or choose another")
    trial = _beside(folder / target.name, target.name)
    try:
        _make(trial)
    except OSError as error:
        raise OutputError(
            f"Output '{path}' cannot be written into folder '{folder}' ({error.strerror}): choose another"
        ) from error
    finally:
        _remove(trial)


def _check_no_file(path: Path, target: Path) -> None:
    """Refuse what is there and is no file."""
    if target.exists() and not target.is_file():
        raise OutputError(f"Output '{path}' is a folder, device or pipe: expected a file; name one")


def _check_no_folder(path: Path, target: Path) -> None:
    """Refuse what is there and is no folder of this kind: whoever names a folder by mistake would lose all in it."""
    if target.exists() and not (target / _OF_HATS).is_file():
        raise OutputError(
            f"Output '{path}' exists and has no '{_OF_HATS}': expected a catalogue in HATS, or nothing; choose another"
        )


def _check_absent(path: Path, target: Path, *, overwrite: bool) -> None:
    if path.name == "-":
        raise OutputError("Output '-': expected the name of a file, since tables need one to be checked; name one")
    if target.exists() and not overwrite:
        raise OutputError(f"Output '{path}' exists already: choose another name or --overwrite")


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it.

    Raises
    ------
    OutputError
        If that cannot be.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"folder '{folder}' cannot be made ({error.strerror}): choose another with -o") from error


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Let no other run write its files into a folder in which several belong together.

    Where the file system knows no locks, nobody is told.

    Raises
    ------
    OutputError
        If another one does.
    """
    if _LOCKS is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        _lock(handle, folder, _LOCKS)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, folder: Path, locks: ModuleType) -> None:
    try:
        locks.flock(handle, locks.LOCK_EX | locks.LOCK_NB)
    except BlockingIOError as error:
        raise OutputError(
            f"folder '{folder}': another run is writing there: expected one at a time; wait, or choose another"
        ) from error
    except OSError:
        log.debug("folder '%s' cannot be locked", folder)


def _beside(path: Path, name: str) -> Path:
    """Return a hidden name in the folder of `path` that no file has, and that ends like `name`."""
    # Short, and without what some libraries read as more than a name.
    suffix = re.sub(r"[^A-Za-z0-9._-]", "_", name[-16:])
    return path.parent / f".{mark()}{secrets.token_hex(8)}-{suffix}"


def _make(temporary: Path) -> None:
    """Make an empty file that only its owner reads."""
    temporary.touch(mode=0o600, exist_ok=False)


def _remove(temporary: Path) -> None:
    """Remove a file, which need not have been made: that it could not be is said elsewhere."""
    with suppress(OSError):
        temporary.unlink()


def _resolved(path: Path) -> Path:
    nowhere = f"Output '{path}' is a link that leads nowhere: expected a file; name one"
    try:
        target = path.resolve(strict=path.is_symlink() and path.exists())
        is_loop = target.is_symlink()  # which resolving leaves from Python 3.13 on, and refuses before
    except (OSError, RuntimeError) as error:
        if getattr(error, "errno", None) == errno.ENAMETOOLONG:
            raise OutputError(f"Output '{path}': its name is too long: give it a shorter one") from error
        raise OutputError(nowhere) from error
    if is_loop:
        raise OutputError(nowhere)
    return target


def _compress(plain: Path, compressed: Path) -> None:
    with plain.open("rb") as source, gzip.open(compressed, "wb", compresslevel=6) as target:
        shutil.copyfileobj(source, target, 1 << 20)


def _settle(temporary: Path, path: Path, *, overwrite: bool) -> None:
    """Flush a file to the disk, give it the old one's or the usual permissions, and move it to its place."""
    with temporary.open("rb") as stream:
        os.fsync(stream.fileno())
    mask = os.umask(0)
    os.umask(mask)
    temporary.chmod(stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o666 & ~mask)
    if overwrite:
        temporary.replace(path)
        return
    try:
        _publish(temporary, path)
    except FileExistsError as error:
        raise OutputError(f"Output '{path}' exists already: choose another name or --overwrite") from error


def _flush(folder: Path) -> None:
    """Flush all files of a folder to the disk."""
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("rb") as stream:
                os.fsync(stream.fileno())


def _settle_folder(temporary: Path, path: Path, *, overwrite: bool) -> None:
    """Move a folder to its place, and remove the one that was there."""
    if path.exists() and not overwrite:
        raise OutputError(f"Output '{path}' exists already: choose another name or --overwrite")
    if not path.exists():
        temporary.rename(path)
        return
    _check_no_folder(path, path)
    old = path.with_name(f"{path.name}.old-{secrets.token_hex(4)}")
    path.rename(old)
    temporary.rename(path)
    shutil.rmtree(old, ignore_errors=True)


def _publish(temporary: Path, path: Path) -> None:
    """Give a file its name. Unlike a test beforehand, this fails where another process has taken it in the meantime."""
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        temporary.replace(path)
