"""Interval: the numbers that a setting may have, between two ends."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from galmorph.errors import PipelineError

__all__ = ["COUNT", "FRACTION", "POSITIVE", "UNSIGNED", "Interval", "check_numbers"]


@dataclass(frozen=True)
class Interval:
    """Numbers between two ends.

    Parameters
    ----------
    low, high
        The ends.
    above, below
        Whether numbers must be more than `low` and less than `high`; they may be the ends else.
    whole
        Whether they are whole numbers, for messages: that they are is a matter of their type.

    Examples
    --------
    >>> str(Interval(0.0, 1.0, below=True)), 1.0 in Interval(0.0, 1.0, below=True)
    ('a number from 0 to less than 1', False)
    """

    low: float
    high: float = math.inf
    above: bool = False
    below: bool = False
    whole: bool = False

    def __contains__(self, number: float) -> bool:
        """Whether a number is one of them; what is no number is none."""
        return (self.low < number if self.above else self.low <= number) and (
            number < self.high if self.below else number <= self.high
        )

    def __str__(self) -> str:
        number = "a whole number" if self.whole else "a number"
        low = f"above {self.low:g}" if self.above else f"from {self.low:g}"
        if math.isinf(self.high):
            return f"{number} {low}"
        return f"{number} {low} to {'less than ' if self.below else ''}{self.high:g}"


UNSIGNED = Interval(0.0)
POSITIVE = Interval(0.0, above=True)
FRACTION = Interval(0.0, 1.0)
COUNT = Interval(1, whole=True)


def check_numbers(settings: Any, intervals: Mapping[str, Interval]) -> None:
    """Refuse settings that are not the numbers that they may be.

    Parameters
    ----------
    settings
        Whose attributes they are.
    intervals
        Name of an attribute to the numbers that it may be.

    Raises
    ------
    PipelineError
        For the first that is not.
    """
    for name, interval in intervals.items():
        value = getattr(settings, name)
        if value not in interval:
            raise PipelineError(f"{name} = {value}: expected {interval}")
