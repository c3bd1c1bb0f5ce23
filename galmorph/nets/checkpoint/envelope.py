"""Envelope: what the training images of a checkpoint were like."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from galmorph.errors import CheckpointError
from galmorph.nets.checkpoint.embedding import Embedding, Single
from galmorph.sky.survey import COLOUR

__all__ = ["UNLIMITED", "Envelope", "Limits"]

Limits = tuple[float, float]
UNLIMITED: Limits = (0.0, float("inf"))


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
        Range of signal-to-noise ratios (0.5 % to 99.5 %) as measured on them, or to which they were degraded.
    rpet_px, rpet_psf
        The same of Petrosian radii, in pixels of the mosaics and in widths (FWHM) of the point-spread function; without
        limits where the training images do not say their pixel scale.
    embedding
        Where their features lie; None if that is not known.
    """

    survey: str = ""
    bands: tuple[str, ...] = ()
    scale_arcsec: float = float("nan")
    snr: Limits = UNLIMITED
    rpet_px: Limits = UNLIMITED
    rpet_psf: Limits = UNLIMITED
    embedding: Embedding | None = None

    @property
    def band(self) -> str:
        """How images of these bands are asked for: ``RGB`` for colour, else the band; empty where none is known."""
        return COLOUR if len(self.bands) == 3 else "".join(self.bands[:1])

    def to_dict(self) -> dict[str, Any]:
        """Return plain values: what the header of a checkpoint says."""
        return {
            "survey": self.survey,
            "bands": list(self.bands),
            "scale_arcsec": _plain(self.scale_arcsec),
            **{name: [_plain(v) for v in getattr(self, name)] for name in ("snr", "rpet_px", "rpet_psf")},
            **({} if self.embedding is None else {"embedding": self.embedding.to_dict()}),
        }

    @classmethod
    def from_dict(cls, header: Mapping[str, Any], tensors: Mapping[str, Single] | None = None) -> Envelope:
        """Read the header of a checkpoint; the embedding only where its arrays are given.

        Raises
        ------
        CheckpointError
            If a figure is no number, or one that cannot be.
        """
        if not isinstance(header["survey"], str) or not all(isinstance(band, str) for band in header["bands"]):
            raise CheckpointError("survey and bands of its envelope are no texts")
        embedding = None
        if tensors is not None and "embedding" in header:
            embedding = Embedding.from_dict(header["embedding"], tensors)
        return cls(
            survey=header["survey"],
            bands=tuple(header["bands"]),
            scale_arcsec=_scale(header["scale_arcsec"]),
            snr=_limits("snr", header["snr"]),
            rpet_px=_limits("rpet_px", header.get("rpet_px", (0.0, None))),
            rpet_psf=_limits("rpet_psf", header.get("rpet_psf", (0.0, None))),
            embedding=embedding,
        )


def _limits(name: str, pair: Sequence[float | None]) -> Limits:
    """Read a range; without an upper end there is none, and without a lower one it is not known (NaN)."""
    low, high = pair
    ends = _number(low, float("nan")), _number(high, float("inf"))
    if ends[0] > ends[1]:
        raise CheckpointError(f"{name} of its envelope is from {low} to {high}, expected the lower end first")
    return ends


def _scale(value: float | None) -> float:
    scale = _number(value, float("nan"))
    if scale <= 0.0:
        raise CheckpointError(f"scale_arcsec of its envelope is {value}, expected a positive number")
    return scale


def _number(value: float | None, default: float) -> float:
    if value is None:
        return default
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise CheckpointError(f"{value!r:.40} in its envelope, expected a finite number")
    return float(value)


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
