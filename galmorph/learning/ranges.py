"""Ranges: what a random search draws the settings of its trials from."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from galmorph.errors import PipelineError, unknown_name
from galmorph.interval import COUNT, Interval, check_numbers

__all__ = ["MEASURES", "SECTIONS", "Range", "Search", "draw_trial", "nested", "read_ranges"]

MEASURES = {"loss": 1.0, "rmse": 1.0, "signal_explained": -1.0, "accuracy": -1.0}
"""What the best trial may be the best by, all of the validation part, and the sign with which less is better."""
SECTIONS = ("recipe", "network", "augmentation", "train", "features", "classifier", "stars")
"""Sections of a pipeline that a search may change."""
_ENDS = {"low", "high", "log"}


@dataclass(frozen=True)
class Range:
    """Values of one setting.

    Parameters
    ----------
    path
        Section and key, such as ``train.learning_rate``.
    choices
        Values, each as likely as the others; one alone is the same in all trials. Empty: a number between the ends.
    low, high
        Ends of the range, both included; two whole numbers have only whole ones between them.
    log
        Whether equal factors are equally likely.
    """

    path: str
    choices: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False

    @property
    def is_fixed(self) -> bool:
        """Whether there is nothing to draw."""
        return len(self.choices) == 1

    def draw(self, generator: np.random.Generator) -> Any:
        """Draw a value; numbers are rounded to four digits, so that a table of trials says what they were."""
        if self.choices:
            return self.choices[int(generator.integers(len(self.choices)))]
        if isinstance(self.low, int) and isinstance(self.high, int):
            return self._whole(generator)
        ends = np.log([self.low, self.high]) if self.log else np.array([self.low, self.high])
        value = float(generator.uniform(ends[0], ends[1]))
        return min(max(float(f"{np.exp(value) if self.log else value:.4g}"), self.low), self.high)

    def _whole(self, generator: np.random.Generator) -> int:
        if not self.log:
            return int(generator.integers(int(self.low), int(self.high) + 1))
        value = np.exp(generator.uniform(np.log(self.low - 0.5), np.log(self.high + 0.5)))
        return int(np.clip(round(float(value)), self.low, self.high))


def read_ranges(tables: Mapping[str, Any]) -> list[Range]:
    """Read the ranges in the tables of a search, by section, in alphabetical order.

    A list holds the values to choose from, ``{ low = 1e-3, high = 1e-2, log = true }`` the ends between which to draw,
    and anything else is the value of all trials.

    Raises
    ------
    PipelineError
        If an end is unknown, or the ends are no rising numbers.
    """
    leaves = [leaf for section, table in tables.items() for leaf in _leaves(section, table)]
    return sorted((_range(path, value) for path, value in leaves), key=lambda r: r.path)


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Walk through tables of tables down to the settings."""
    if isinstance(value, Mapping) and not _ENDS & set(value):
        for key, below in value.items():
            yield from _leaves(f"{path}.{key}", below)
    elif path in SECTIONS:
        raise PipelineError(f"{path} = {value!r}: expected a table of settings, [tune.{path}]")
    else:
        yield path, value


def _range(path: str, value: Any) -> Range:
    if isinstance(value, list | tuple):
        if not value:
            raise PipelineError(f"{path} is an empty list: expected values to choose from")
        return Range(path, tuple(value))
    if not isinstance(value, Mapping):
        return Range(path, (value,))
    if unknown := sorted(set(value) - _ENDS):
        raise PipelineError(unknown_name(f"key of the range {path}", unknown[0], _ENDS))
    low: Any = value.get("low")
    high: Any = value.get("high")
    log = value.get("log", False)
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) and np.isfinite(v) for v in (low, high))
    if not numbers or not low < high or not isinstance(log, bool) or (log and low <= 0):
        raise PipelineError(f"{path} = {dict(value)!r}: expected rising numbers low and high, above 0 where log = true")
    return Range(path, (), low, high, log)


@dataclass(frozen=True)
class Search:
    """The section ``[tune]`` of a pipeline: a random search.

    Parameters
    ----------
    trials
        How many; the first, number 0, is the pipeline as it is.
    seed
        Of the draws; the trials themselves have the seed of the pipeline.
    measure
        What the best is best by: ``'loss'`` of the weights kept, ``'rmse'`` or ``'signal_explained'`` of all
        questions pooled, or ``'accuracy'``.
    recipe, network, augmentation, train, features, classifier, stars
        Settings of these sections and what they are drawn from, see :func:`read_ranges`.
    """

    trials: int = 20
    seed: int = 1
    measure: str = "loss"
    recipe: Mapping[str, Any] = field(default_factory=dict)
    network: Mapping[str, Any] = field(default_factory=dict)
    augmentation: Mapping[str, Any] = field(default_factory=dict)
    train: Mapping[str, Any] = field(default_factory=dict)
    features: Mapping[str, Any] = field(default_factory=dict)
    classifier: Mapping[str, Any] = field(default_factory=dict)
    stars: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_numbers(self, {"trials": COUNT, "seed": Interval(0, whole=True)})
        if self.measure not in MEASURES:
            raise PipelineError(unknown_name("measure", self.measure, MEASURES))
        drawn = {r.path for r in self.ranges if not r.is_fixed}
        if not drawn:
            raise PipelineError("there is nothing to draw: give ranges, such as [tune.train] batch = [32, 64]")
        if self.measure == "loss" and "train.loss" in drawn:
            others = sorted(set(MEASURES) - {"loss"})
            raise PipelineError(f"losses are drawn, which do not compare: give another measure, {', '.join(others)}")

    @cached_property
    def ranges(self) -> list[Range]:
        """What is drawn, one setting each."""
        return read_ranges({name: getattr(self, name) for name in SECTIONS if getattr(self, name)})


def draw_trial(ranges: Sequence[Range], seed: int, number: int) -> dict[str, Any]:
    """Draw the settings of a trial: path → value.

    Trial 0 is the pipeline as it is, but for values that all trials share. The values of another one follow from the
    seed, its number and their names alone: more trials or another range leave them as they are.
    """
    chosen = [r for r in ranges if number > 0 or r.is_fixed]
    return {r.path: r.draw(np.random.default_rng([seed, number, zlib.crc32(r.path.encode())])) for r in chosen}


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Turn paths and values into sections of a pipeline."""
    sections: dict[str, Any] = {}
    for path, value in values.items():
        *tables, key = path.split(".")
        inner = sections
        for table in tables:
            inner = inner.setdefault(table, {})
        inner[key] = value
    return sections
