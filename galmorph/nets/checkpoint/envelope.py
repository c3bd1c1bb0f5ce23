"""Envelope: what the training images of a checkpoint were like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

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
        """Read the header of a checkpoint; the embedding only where its arrays are given."""
        embedding = None
        if tensors is not None and "embedding" in header:
            embedding = Embedding.from_dict(header["embedding"], tensors)
        return cls(
            survey=header["survey"],
            bands=tuple(header["bands"]),
            scale_arcsec=_number(header["scale_arcsec"]),
            snr=_limits(header["snr"]),
            rpet_px=_limits(header.get("rpet_px", UNLIMITED)),
            rpet_psf=_limits(header.get("rpet_psf", UNLIMITED)),
            embedding=embedding,
        )


def _limits(pair: Sequence[float | None]) -> Limits:
    low, high = pair
    return _number(low), float("inf") if high is None else float(high)


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
