"""The files that ship with galmorph: finds ``catalogs/`` and ``pipelines/``.

They lie inside the package in an installed wheel and beside it in a checkout.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

__all__ = ["named_files", "shipped", "short_name"]

_PACKAGE = Path(__file__).resolve().parent


def shipped(folder: Literal["catalogs", "pipelines"]) -> Path:
    """Return the path of one of the two folders of shipped files.

    Raises
    ------
    FileNotFoundError
        If the installation is incomplete.
    """
    for root in (_PACKAGE, _PACKAGE.parent):
        if (root / folder).is_dir():
            return root / folder
    raise FileNotFoundError(f"galmorph is installed without its folder '{folder}': install it again")


def named_files(folder: Path, suffix: str) -> dict[str, Path]:
    """Map the names of the files in `folder` (their stems) to their paths, in alphabetical order."""
    files = sorted(p for p in folder.rglob(f"*{suffix}") if not p.parent.name.startswith("_"))
    return {p.name[: -len(suffix)]: p for p in files}


def short_name(folder: Path, name: str) -> str:
    """Take the folder off the name of a file in `folder` (``sdss/train_gz2``); other names stay as they are."""
    parent, _, short = name.rpartition("/")
    return short if parent and not parent.startswith("/") and (folder / parent).is_dir() else name
