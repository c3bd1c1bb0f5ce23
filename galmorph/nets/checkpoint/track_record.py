"""TrackRecord: what a checkpoint's card tells of its errors, for those who count what it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from galmorph.errors import CheckpointError
from galmorph.nets.checkpoint.card import read_card
from galmorph.nets.soft_confusion import SoftConfusion
from galmorph.sky.scheme import Scheme

__all__ = ["NO_RECORD", "TrackRecord"]

FloatArray = npt.NDArray[np.float64]
_YES_OR_NO = 2
_PARTS = ("validation", "test")
"""Both were kept from the training. The first was calibrated on, by a few numbers; nothing was chosen by the second."""


@dataclass(frozen=True)
class TrackRecord:
    """Of a checkpoint on labelled galaxies.

    Parameters
    ----------
    name, version, sha256
        Of the checkpoint.
    means
        By key of an answer its mean fraction among those of the training who were asked.
    galaxies, rmse
        By question: on how many galaxies it was calibrated, and the RMSE of their labels about its probabilities.
    confusion
        By question, or answer that stands alone, what is said of galaxies of each class, of both parts that were kept
        from the training; of what everybody is asked.
    """

    name: str = ""
    version: str = ""
    sha256: str = ""
    means: Mapping[str, float] | None = None
    galaxies: Mapping[str, int] | None = None
    rmse: Mapping[str, float] | None = None
    confusion: Mapping[str, SoftConfusion] | None = None

    @classmethod
    def of(cls, checkpoint: str | Path, scheme: Scheme) -> TrackRecord:
        """Read what the card says of a scheme's questions.

        Raises
        ------
        CheckpointError
            If there is no such checkpoint, or its card is broken.
        """
        card = read_card(checkpoint)
        scores = _table(_table(card, "validation"), "questions")
        means = {key: _number(value, key) for key, value in _table(card, "training_means").items()}
        asked = {name: of for name, of in scores.items() if _number(of.get("rows", 0), name) > 1}
        return cls(
            str(card.get("name", Path(checkpoint).stem)),
            str(card.get("version", "")),
            str(card.get("sha256", "")),
            means if set(scheme.keys) <= set(means) else None,
            {name: int(_number(of["rows"], name)) for name, of in asked.items()},
            {name: _number(of["rmse"], name) for name, of in asked.items() if "rmse" in of},
            _confusion(card, scheme),
        )

    def shares(self, keys: tuple[str, ...]) -> FloatArray | None:
        """Return the mean fractions of some answers, with a sum of 1; None where they are not known."""
        if self.means is None:
            return None
        values = np.array([max(self.means[key], 0.0) for key in keys])
        return values / values.sum() if values.sum() > 0 else None


NO_RECORD = TrackRecord()
"""Of a checkpoint that nobody named."""


def _confusion(card: Mapping[str, Any], scheme: Scheme) -> dict[str, SoftConfusion]:
    """Add the sums of both parts; empty where there are none, or they are of another scheme."""
    if card.get("scheme", scheme.name) != scheme.name:
        return {}
    answers = {question.name: len(question.answers) for question in scheme.questions}
    if scheme.kind == "independent":
        answers = dict.fromkeys(scheme.keys, _YES_OR_NO)
    total: dict[str, SoftConfusion] = {}
    for part in _PARTS:
        for name, contents in _table(_table(card, part), "soft_confusion").items():
            try:
                sums = SoftConfusion.from_dict(contents, answers[name])
            except (KeyError, ValueError, TypeError, AttributeError, OverflowError) as error:
                raise _broken(f"{part}.soft_confusion, {name!r:.40}: {error}") from error
            total[name] = total[name] + sums if name in total else sums
    return total


def _table(contents: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = contents.get(key, {})
    if not isinstance(value, Mapping):
        raise _broken(f"{key} is no table")
    return value


def _number(value: Any, key: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise _broken(f"{key} is {value!r:.40}, expected a number")
    return float(value)


def _broken(reason: str) -> CheckpointError:
    return CheckpointError(f"the checkpoint's card cannot be counted with ({reason}): evaluate it again with --card")
