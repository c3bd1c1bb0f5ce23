"""Envelope: what the training images of a checkpoint were like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Envelope"]


@dataclass(frozen=True)
class Envelope:
    """What the training images were like; a row outside is marked.

    Parameters
    ----------
    survey, bands
        Where they came from.
    scale_arcsec
        Pixel scale of the mosaics they were cut from.
    snr
        Range of signal-to-noise ratios (0.5 % to 99.5 %) as measured on them.
    """

    survey: str = ""
    bands: tuple[str, ...] = ()
    scale_arcsec: float = float("nan")
    snr: tuple[float, float] = (0.0, float("inf"))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values: what the header of a checkpoint says."""
        return {
            "survey": self.survey,
            "bands": list(self.bands),
            "scale_arcsec": _plain(self.scale_arcsec),
            "snr": [_plain(v) for v in self.snr],
        }

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Envelope:
        """Read the header of a checkpoint."""
        return cls(given["survey"], tuple(given["bands"]), _number(given["scale_arcsec"]), _limits(given["snr"]))


def _limits(given: list[float | None]) -> tuple[float, float]:
    low, high = given
    return _number(low), float("inf") if high is None else float(high)


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
