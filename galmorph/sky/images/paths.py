"""Paths: which files are meant by names, folders and globs, and which weight image goes with which."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from galmorph.errors import ImageError
from galmorph.sky.images.fitsplane import split_extension
from galmorph.sky.images.jpeg import DISPLAY_SUFFIXES

__all__ = ["Kind", "are_stamps", "expand", "matching"]

Kind = Literal["image", "weight image", "segmentation map"]

_FITS_NAME = re.compile(r"\.(fits|fit|fts|fz|ftz)(\.(gz|bz2|xz|fz))?$", re.IGNORECASE)
_SCIENCE = {"sci", "science", "drz", "drc", "i2d", "img", "image", "mosaic"}
_WEIGHT = {"wht", "weight", "weights", "ivar", "invvar", "rms", "err", "error", "sigma"}
_LABELS = {"seg", "segm", "segmap", "segmentation"}
_OTHER = {"mask", "dq", "exp", "psf"}


def expand(items: Sequence[str | os.PathLike[str]], kind: Kind = "image") -> list[str]:
    """List the files meant by file names, folders and globs; in the order given, each once.

    A name may end in an HDU in brackets. Of a folder, the FITS files of this kind are taken (rms images are weight
    images) as far as their names tell; a folder of JPEG or PNG stamps is returned itself.

    Raises
    ------
    ImageError
        If nothing is there.
    """
    files: dict[str, None] = {}
    for item in items:
        files |= dict.fromkeys(_expand_one(os.fspath(item), kind))
    if not files:
        raise ImageError("no image was given: expected FITS files, folders, or a zip of stamps; name one with --image")
    return list(files)


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


def matching(images: Sequence[str], others: Sequence[str], kind: Kind = "weight image") -> list[str]:
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
        f"{len(others)} {kind}s for {len(images)} images, and none matches '{Path(lonely).name}' by "
        "name: expected one for each image; give as many, in the same order"
    )


def _expand_one(text: str, kind: Kind) -> list[str]:
    path, _ = split_extension(text)
    if path.is_dir():
        return _of_folder(path, kind)
    if path.exists():
        return [text]
    entries = sorted(glob.glob(text, recursive=True))  # noqa: PTH207 - the pattern may be absolute
    if not entries:
        raise ImageError(f"image '{text}' does not exist: expected a file, a folder or a glob; correct the path")
    return [name for entry in entries for name in _expand_one(entry, kind)]


def _of_folder(folder: Path, kind: Kind) -> list[str]:
    fits = sorted(str(path) for path in folder.iterdir() if _FITS_NAME.search(path.name) and path.is_file())
    wanted = [name for name in fits if _kind(name) == kind]
    if fits:
        return wanted or fits
    if any(path.suffix.lower() in DISPLAY_SUFFIXES for path in folder.rglob("*")):
        return [str(folder)]
    raise ImageError(f"folder '{folder}' holds no FITS image and no JPEG or PNG stamp: give another folder")


def _is_stamps(path: Path) -> bool:
    return path.is_dir() or path.suffix.lower() in (*DISPLAY_SUFFIXES, ".zip")


def _kind(name: str) -> Kind | None:
    words = set(_words(name))
    if words & _OTHER:
        return None
    if words & _LABELS:
        return "segmentation map"
    return "weight image" if words & _WEIGHT else "image"


def _key(name: str) -> tuple[str, ...]:
    return tuple(t for t in _words(name) if t not in _SCIENCE | _WEIGHT | _LABELS)


def _words(name: str) -> list[str]:
    path, _ = split_extension(name)
    return re.split(r"[^a-z0-9]+", _FITS_NAME.sub("", path.name).lower())
