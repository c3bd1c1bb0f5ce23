"""Pipeline: a file of settings that says what to run; loaded, extended and checked."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from galmorph.errors import PipelineError, unknown_name
from galmorph.shipped import named_files, shipped

__all__ = ["PARTS", "Pipeline", "load_pipeline", "pipeline_names", "split_rows"]

PARTS = ("train", "validation", "test")
_SECTIONS = {
    "title",
    "scheme",
    "extends",
    "images",
    "recipe",
    "network",
    "augmentation",
    "split",
    "train",
    "fractions",
    "stars",
}
_MINIMUM = {"title", "scheme", "images", "split"}
_SPLIT_KEYS = {"method", "blocks", "test", "validation", "only", "salt"}
_IMAGE_KEYS = {"survey", "band", "data"}
_STAR_KEYS = {"count", "rpet_px", "answer", "others"}


@dataclass(frozen=True)
class Pipeline:
    """Settings of a training run: one table per section of its file.

    Parameters
    ----------
    name, title
        What it is called and makes.
    scheme
        Name of the label scheme.
    images
        ``survey`` and ``band`` of the images, ``data`` says in words where they and the labels come from.
    recipe, network, augmentation, train
        Settings of the classes of these names.
    split
        How rows are divided into train, validation and test.
    fractions
        For independent schemes: answer → columns of votes that count for it, and ``votes``, the columns whose sum
        is the number of votes.
    stars
        Synthetic stars added to the training and validation parts.
    """

    name: str
    title: str
    scheme: str
    images: Mapping[str, Any]
    split: Mapping[str, Any]
    recipe: Mapping[str, Any] = field(default_factory=dict)
    network: Mapping[str, Any] = field(default_factory=dict)
    augmentation: Mapping[str, Any] = field(default_factory=dict)
    train: Mapping[str, Any] = field(default_factory=dict)
    fractions: Mapping[str, Any] = field(default_factory=dict)
    stars: Mapping[str, Any] = field(default_factory=dict)


def _files() -> dict[str, Path]:
    return named_files(shipped("pipelines"), ".toml")


def pipeline_names() -> list[str]:
    """List the pipelines that ship with galmorph."""
    return list(_files())


def load_pipeline(name: str | Path, overrides: Mapping[str, Any] | None = None) -> Pipeline:
    """Read a pipeline by its name or file, with the files it extends.

    Parameters
    ----------
    name
        A shipped pipeline or a path.
    overrides
        Sections that win over the file's, merged key by key.

    Raises
    ------
    PipelineError
        If the file is missing or broken, or a section or key is unknown.
    """
    files = _files()
    path = files.get(str(name)) or Path(name)
    if not path.is_file():
        raise PipelineError(unknown_name("pipeline", str(name), files))
    contents = _merged(_read(path), overrides or {})
    _check(path.name, contents)
    contents.pop("extends", None)
    return Pipeline(path.name.removesuffix(".toml"), **contents)


def _read(path: Path, depth: int = 0) -> dict[str, Any]:
    try:
        with open(path, "rb") as stream:
            contents = tomllib.load(stream)
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise PipelineError(f"pipeline '{path}' cannot be read: {error}") from error
    if (base := contents.get("extends")) is None:
        return contents
    if depth > 4:
        raise PipelineError(f"pipeline '{path}' extends itself: remove one 'extends'")
    return _merged(_read(path.parent / base, depth + 1), contents)


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = (
            _merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
        )
    return merged


def _check(name: str, contents: Mapping[str, Any]) -> None:
    sections = (
        ("section", contents, _SECTIONS),
        ("key in [split]", contents.get("split", {}), _SPLIT_KEYS),
        ("key in [images]", contents.get("images", {}), _IMAGE_KEYS),
        ("key in [stars]", contents.get("stars", {}), _STAR_KEYS),
    )
    for what, given, known in sections:
        if unknown := set(given) - known:
            raise PipelineError(f"pipeline '{name}': {unknown_name(what, sorted(unknown)[0], known)}")
    if missing := sorted(_MINIMUM - set(contents)):
        raise PipelineError(
            f"pipeline '{name}' lacks '{missing[0]}': every pipeline has {', '.join(sorted(_MINIMUM))}"
        )


def split_rows(split: Mapping[str, Any], ids: list[str], columns: Mapping[str, Any]) -> npt.NDArray[np.str_]:
    """Divide rows into train, validation and test; the same names always fall into the same part.

    Two methods: ``contiguous`` cuts the rows, ordered by the number in their name, into `blocks` equal blocks and
    takes whole blocks for each part (neighbours on the sky stay together); ``hash`` draws shares of the rows for
    which the columns in `only` have the given values (other rows always train).

    Parameters
    ----------
    split
        The section of a pipeline.
    ids
        Names of the rows.
    columns
        Table with the columns that `only` mentions.

    Returns
    -------
    (N,) of ``'train'``, ``'validation'``, ``'test'``.
    """
    method = split.get("method", "hash")
    parts = np.full(len(ids), "train", dtype="<U10")
    if method == "contiguous":
        number = np.array([int("".join(c for c in i.rsplit("_", 1)[-1] if c.isdigit()) or 0) for i in ids])
        rank = np.empty(len(ids), dtype=int)
        rank[np.argsort(number, kind="stable")] = np.arange(len(ids))
        block = rank * int(split["blocks"]) // max(len(ids), 1)
        for part in ("validation", "test"):
            parts[np.isin(block, split[part])] = part
        return parts
    if method != "hash":
        raise PipelineError(unknown_name("method of a split", str(method), ("contiguous", "hash")))
    share = np.array([_share(f"{split.get('salt', '')}{i}") for i in ids])
    eligible = np.ones(len(ids), dtype=bool)
    for column, value in split.get("only", {}).items():
        eligible &= np.array([str(v) == str(value) for v in columns[column]])
    parts[eligible & (share < split["test"])] = "test"
    parts[eligible & (share >= split["test"]) & (share < split["test"] + split["validation"])] = "validation"
    return parts


def _share(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6]) / 2.0**48
