"""Pipeline: a file of settings that says what to run; loaded, extended and checked."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from galmorph.errors import PipelineError, unknown_name
from galmorph.learning.inputs import INPUTS, beside
from galmorph.shipped import named_files, shipped

__all__ = ["PARTS", "Pipeline", "load_pipeline", "pipeline_names", "rows_with", "split_rows"]

PARTS = ("train", "validation", "test")
_PART_TYPE = "<U10"
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
    "simulated",
    "calibration",
    "inputs",
    "tune",
}
# What runs on a pipeline, not what comes out of it.
_OUTER = {"name", "title", "inputs", "tune"}
_MINIMUM = {"title", "scheme", "images", "split"}
_WORDS = {"title", "scheme", "extends"}
_KEYS = {
    "split": {"method", "blocks", "test", "validation", "only", "salt", "balance"},
    "images": {"survey", "band", "data"},
    "inputs": INPUTS,
}
_IMAGES_NEEDED = {"survey", "band"}
_OPTIONAL_NEEDED = {"stars": {"count", "rpet_px", "answer"}, "simulated": {"survey", "band", "rows", "seed", "votes"}}
_SPLIT_NEEDED = {"contiguous": {"blocks", "test", "validation"}, "hash": {"test", "validation"}}


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
    recipe, augmentation, train
        Settings of the classes of these names; ``members`` in `train` is the number of networks that differ in their
        seeds and are averaged, ``start`` the checkpoint (one that ships, or a file beside the pipeline's) with whose
        weights they begin.
    network
        The `name` of a network (one that ships, or a file beside the pipeline's) and other values for its settings, or
        a whole network with its `layers`. In the file the name alone will do: ``network = "plain"``.
    split
        How rows are divided into train, validation and test.
    fractions
        For independent schemes: answer → columns of votes that count for it, and ``votes``, the columns whose sum
        is the number of votes.
    stars
        Synthetic stars added to the training and validation parts.
    simulated
        Galaxies of simulated fields added to these parts: ``survey``, ``band``, ``rows`` and ``seed`` as for
        :func:`galmorph.simulate`; the fractions of their truth count as ``votes`` votes each.
    calibration
        Settings of :class:`galmorph.learning.calibration.CalibrationSettings`.
    inputs
        Files of labels and images, see :class:`galmorph.learning.inputs.Inputs`; relative ones lie beside the pipeline.
    tune
        What a random search draws from, see :mod:`galmorph.learning.ranges`.
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
    simulated: Mapping[str, Any] = field(default_factory=dict)
    calibration: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    tune: Mapping[str, Any] = field(default_factory=dict)

    def settings(self) -> dict[str, Any]:
        """Return what decides about the weights that come out: all but name, title, inputs and the search."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _OUTER}

    def changed(self, name: str, above: Mapping[str, Any]) -> Pipeline:
        """Return a pipeline of another name with these sections merged into its own, key by key."""
        below = {section: getattr(self, section) for section in above}
        return replace(self, name=name, **_merged(below, above))


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
    above = dict(overrides or {})
    if isinstance(above.get("network"), str):
        above["network"] = _network(above["network"], Path())
    contents = _merged(_read(path), above)
    _check(path.name, contents)
    contents.pop("extends", None)
    return Pipeline(path.name.removesuffix(".toml"), **contents)


def _read(path: Path, depth: int = 0) -> dict[str, Any]:
    try:
        with open(path, "rb") as stream:
            contents = tomllib.load(stream)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PipelineError(f"pipeline '{path}' cannot be read ({error}): correct the file") from error
    if "network" in contents:
        contents["network"] = _network(contents["network"], path.parent)
    if "inputs" in contents:
        contents["inputs"] = beside(contents["inputs"], path.parent)
    if "train" in contents:
        contents["train"] = _placed(contents["train"], "start", ".safetensors", path.parent)
    if not isinstance(base := contents.get("extends"), str):
        return contents
    if depth > 4:
        raise PipelineError(f"pipeline '{path}' extends itself: remove one 'extends'")
    return _merged(_read(path.parent / base, depth + 1), contents)


def _network(given: Any, folder: Path) -> Any:
    """Turn the name of a network alone into a table, and a relative file into one beside the pipeline."""
    table = {"name": given} if isinstance(given, str) else given
    return table if isinstance(table, Mapping) and "layers" in table else _placed(table, "name", ".toml", folder)


def _placed(table: Any, key: str, ending: str, folder: Path) -> Any:
    """Turn a relative file that a setting names into one beside the pipeline; names of what ships stay."""
    if isinstance(table, Mapping) and str(given := table.get(key, "")).endswith(ending):
        return {**table, key: str(folder / str(given))}
    return table


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        if key == "network" and isinstance(value, Mapping) and {"name", "layers"} & set(value):
            old = None  # settings of another network mean nothing to this one
        merged[key] = _merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def _check(name: str, contents: Mapping[str, Any]) -> None:
    if missing := sorted(_MINIMUM - set(contents)):
        raise PipelineError(f"pipeline '{name}' lacks '{missing[0]}': every one has {', '.join(sorted(_MINIMUM))}")
    if unknown := sorted(set(contents) - _SECTIONS):
        raise PipelineError(f"pipeline '{name}': {unknown_name('section', unknown[0], _SECTIONS)}")
    for section, value in contents.items():
        kind, expected = (str, "a text") if section in _WORDS else (dict, "a table of settings")
        if not isinstance(value, kind):
            raise PipelineError(f"pipeline '{name}': '{section}' is {value!r}, expected {expected}")
    for section, known in (_KEYS | _OPTIONAL_NEEDED).items():
        if unknown := sorted(set(contents.get(section, {})) - known):
            raise PipelineError(f"pipeline '{name}': {unknown_name(f'key in [{section}]', unknown[0], known)}")
    needs = {"images": _IMAGES_NEEDED, "split": _split_needs(contents["split"], name), **_OPTIONAL_NEEDED}
    for section, needed in needs.items():
        if missing := sorted(needed - set(contents.get(section) or needed)):
            raise PipelineError(f"pipeline '{name}', section [{section}] lacks '{missing[0]}': add it")


def _split_needs(split: Mapping[str, Any], name: str) -> set[str]:
    method = str(split.get("method", "hash"))
    if method not in _SPLIT_NEEDED:
        raise PipelineError(f"pipeline '{name}': {unknown_name('method of a split', method, _SPLIT_NEEDED)}")
    for key in ("only", "balance"):
        if not isinstance(split.get(key, {}), Mapping):
            raise PipelineError(
                f"pipeline '{name}': {key} = {split[key]!r} in [split], expected values of columns, such as "
                f'{{ block = "a" }}'
            )
    return _SPLIT_NEEDED[method]


def split_rows(split: Mapping[str, Any], ids: list[str], columns: Mapping[str, Any]) -> npt.NDArray[np.str_]:
    """Divide rows into train, validation and test; the same names always fall into the same part.

    Two methods: ``contiguous`` cuts the rows, ordered by the number in their name, into `blocks` equal blocks and
    takes whole blocks for each part (neighbours on the sky stay together); ``hash`` draws shares of the rows for
    which the columns in `only` have the given values (other rows always train); a share is a number, or a pair of
    numbers between which the hash of a row's name must lie. With `balance`, values of columns too, the
    training rows are weighted so that their classes have the shares that they have among the rows with those values.

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

    Raises
    ------
    PipelineError
        If the method is unknown, or `only` names a column that is not there.
    """
    method = str(split.get("method", "hash"))
    if method == "contiguous":
        return _contiguous(split, ids)
    if method == "hash":
        return _hashed(split, ids, columns)
    raise PipelineError(unknown_name("method of a split", method, _SPLIT_NEEDED))


def _contiguous(split: Mapping[str, Any], ids: list[str]) -> npt.NDArray[np.str_]:
    number = np.array([_number(i) for i in ids], dtype=np.float64)
    rank = np.empty(len(ids), dtype=int)
    rank[np.argsort(number, kind="stable")] = np.arange(len(ids))
    block = rank * int(split["blocks"]) // max(len(ids), 1)
    parts = np.full(len(ids), "train", dtype=_PART_TYPE)
    for part in ("validation", "test"):
        parts[np.isin(block, split[part])] = part
    return parts


def _number(name: str) -> int:
    """Return the digits after the last underscore of a name."""
    return int("".join(c for c in name.rpartition("_")[2] if c in "0123456789") or 0)


def _hashed(split: Mapping[str, Any], ids: list[str], columns: Mapping[str, Any]) -> npt.NDArray[np.str_]:
    share = np.array([_share(f"{split.get('salt', '')}{i}") for i in ids])
    eligible = rows_with(split.get("only", {}), len(ids), columns)
    parts = np.full(len(ids), "train", dtype=_PART_TYPE)
    for part, (low, high) in _ranges(split).items():
        parts[eligible & (share >= low) & (share < high)] = part
    return parts


def _ranges(split: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """Return the ranges of hashes of the test and validation parts: as given, or one after the other from 0."""
    test, validation = split["test"], split["validation"]
    found = {"test": _range(test, 0.0)}
    found["validation"] = _range(validation, found["test"][1])
    first, second = sorted(found.values())
    if first[1] > second[0]:
        raise PipelineError(f"[split] test = {test} and validation = {validation} overlap: keep them apart")
    return found


def _range(given: Any, start: float) -> tuple[float, float]:
    pair = (start, start + given) if isinstance(given, float | int) else given
    if not isinstance(pair, list | tuple):
        pair = ()
    if len(pair) != 2 or not all(isinstance(v, int | float) for v in pair) or not 0 <= pair[0] <= pair[1] <= 1:
        raise PipelineError(f"[split] share {given!r}: expected a number, or a pair of rising numbers, from 0 to 1")
    return float(pair[0]), float(pair[1])


def rows_with(values: Mapping[str, Any], n: int, columns: Mapping[str, Any]) -> npt.NDArray[np.bool_]:
    """Mark the rows that have these values in these columns, (n,); without any, all rows."""
    eligible = np.ones(n, dtype=bool)
    for column, value in values.items():
        eligible &= np.array([str(v) == str(value) for v in _column(columns, column)], dtype=bool)
    return eligible


def _column(columns: Mapping[str, Any], name: str) -> Any:
    known = [str(n) for n in getattr(columns, "colnames", columns)]
    if name not in known:
        raise PipelineError(f"the split is by column '{name}' of the labels: {unknown_name('column', name, known)}")
    return columns[name]


def _share(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6]) / 2.0**48
