"""Paths: which files are meant by names, folders and globs, and which weight image goes with which."""

from __future__ import annotations

import glob
import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path

from galmorph.errors import ImageError
from galmorph.sky.images.file_names import DISPLAY_SUFFIXES
from galmorph.sky.images.fitsplane import path_and_place
from galmorph.sky.images.map_roles import Role, role_of_file, titles

__all__ = ["are_stamps", "expand", "files_of", "matching", "role_of_name", "without_band"]

log = logging.getLogger(__name__)

_FITS_NAME = re.compile(r"\.(fits|fit|fts|fz|ftz)(\.(gz|bz2|xz|fz))?$", re.IGNORECASE)
_LISTED = 8
"""Files named in a message."""


def expand(items: Sequence[str | os.PathLike[str]], role: Role = "image") -> list[str]:
    """List the files meant by file names, folders and globs; in the order given, each once.

    A name may end in an HDU in brackets. Of a folder, the FITS files of this role are taken, as their names
    tell; a folder of JPEG or PNG stamps is returned itself.

    Raises
    ------
    ImageError
        If nothing is there.
    """
    files: dict[str, None] = {}
    for item in items:
        files |= dict.fromkeys(_expand_one(os.fspath(item), role))
    if not files:
        raise ImageError("no image was given: expected FITS files, folders, or a zip of stamps; name one with --image")
    return list(files)


def without_band(name: str) -> str:
    """Return the path in ``BAND=FILE``, and any other name, and one of a file that is there, as it is."""
    return name if Path(name).exists() else name.rpartition("=")[2]


def files_of(text: str) -> list[Path]:
    """List all files that a name, a folder or a glob may mean, of whatever role; none where nothing is there."""
    path, _ = path_and_place(text)
    if path.is_dir():
        return sorted(each for each in path.rglob("*") if _is_pixels(each.name) and each.is_file())
    if path.exists():
        return [path]
    return [file for entry in _matches(text) for file in files_of(entry)]


def are_stamps(paths: Sequence[str]) -> bool:
    """Tell whether these are display stamps rather than FITS images.

    Raises
    ------
    ImageError
        If they are a mixture of both.
    """
    stamps = [path for path in paths if _is_stamps(Path(path))]
    if stamps and len(stamps) < len(paths):
        other = next(path for path in paths if path not in stamps)
        raise ImageError(f"'{stamps[0]}' holds stamps and '{other}' does not: expected one kind; run them one by one")
    return bool(stamps)


def matching(images: Sequence[str], others: Sequence[str], role: Role = "weight") -> list[str]:
    """Put weight images or segmentation maps in the order of the images.

    They match by name, after words such as ``sci`` and ``wht`` are removed; if the names do not tell and
    there are as many of both, by order.

    Raises
    ------
    ImageError
        If an image has none.
    """
    by_key: dict[tuple[str, ...], list[str]] = {}
    for other in others:
        by_key.setdefault(_key(other), []).append(other)
    keys = [_key(image) for image in images]
    if len(set(keys)) == len(keys) and all(len(by_key.get(key, ())) == 1 for key in keys):
        return [by_key[key][0] for key in keys]
    if len(images) == len(others):
        return list(others)
    lonely = next((i for i, key in zip(images, keys, strict=True) if len(by_key.get(key, ())) != 1), images[0])
    raise ImageError(
        f"{len(others)} {titles[role]}s for {len(images)} images, and none matches '{Path(lonely).name}' by "
        "name: expected one for each image; give as many, in the same order"
    )


def role_of_name(name: str) -> Role | None:
    """Return what a file is for, as its name says it; None where it does not.

    Examples
    --------
    >>> role_of_name("legacysurvey-1500p020-chi2-r.fits.fz"), role_of_name("field_r.fits")
    ('other', None)
    """
    return role_of_file(_words(name))


def _expand_one(text: str, role: Role) -> list[str]:
    path, _ = path_and_place(text)
    if path.is_dir():
        return _of_folder(path, role)
    if path.exists():
        return [text]
    entries = _matches(text)
    if not entries:
        remedy = "download it and name the file" if "://" in text else "correct the path"
        raise ImageError(f"image '{text}' does not exist: expected a file, a folder or a glob; {remedy}")
    return [name for entry in entries for name in _expand_one(entry, role)]


def _matches(pattern: str) -> list[str]:
    """List what a glob means; links that lead nowhere, or back to themselves, are nothing."""
    entries = glob.glob(pattern, recursive=True)  # noqa: PTH207 - the pattern may be absolute
    return sorted(entry for entry in entries if os.path.exists(entry))  # noqa: PTH110 - Path raises for such a circle


def _of_folder(folder: Path, role: Role) -> list[str]:
    fits = sorted(str(path) for path in folder.iterdir() if _FITS_NAME.search(path.name) and path.is_file())
    if fits:
        return _of_role(fits, role, folder)
    if any(path.suffix.lower() in DISPLAY_SUFFIXES for path in folder.rglob("*")):
        return [str(folder)]
    raise ImageError(f"folder '{folder}' holds no FITS image and no JPEG or PNG stamp: give another folder")


def _of_role(names: list[str], role: Role, folder: Path) -> list[str]:
    """Choose the files of a folder whose names say that they have a role; of images those that say nothing else."""
    roles = {name: role_of_name(name) for name in names}
    wanted = [name for name in names if roles[name] == role]
    nameless = [name for name in names if roles[name] is None]
    if role == "image" and not wanted:
        wanted, nameless = nameless, []
    if not wanted:
        listed = ", ".join(Path(name).name for name in names[:_LISTED]) + (", ..." if len(names) > _LISTED else "")
        raise ImageError(f"no name in folder '{folder}' is that of a {titles[role]}: it holds {listed}; name the files")
    if role == "image" and nameless:
        log.warning("folder '%s': %s left out, since others are called images", folder, _first(nameless))
    return wanted


def _first(names: list[str]) -> str:
    more = f" and {len(names) - 1} more are" if len(names) > 1 else " is"
    return f"{Path(names[0]).name}{more}"


def _is_pixels(name: str) -> bool:
    """Tell whether a file in a folder is read where the folder is named for images."""
    return bool(_FITS_NAME.search(name)) or name.lower().endswith(DISPLAY_SUFFIXES)


def _is_stamps(path: Path) -> bool:
    return path.is_dir() or path.suffix.lower() in (*DISPLAY_SUFFIXES, ".zip")


def _key(name: str) -> tuple[str, ...]:
    """Return the words of a name that say which image it belongs to."""
    return tuple(word for word in _words(name) if role_of_file([word]) is None)


def _words(name: str) -> list[str]:
    path, _ = path_and_place(name)
    return re.split(r"[^a-z0-9]+", _FITS_NAME.sub("", path.name).lower())
