"""Settings: how a run detects, measures, predicts and names its columns."""

from __future__ import annotations

import re
from dataclasses import dataclass

from galmorph.errors import CatalogError, CheckpointError, unknown_name
from galmorph.stamps.centroid import CENTROIDS
from galmorph.stamps.views import read_views

__all__ = ["DEFAULT_SETTINGS", "DETECT", "PRECISIONS", "TORCH", "Settings"]

DETECT = ("blocks", "cutouts")
"""Where objects are detected."""
PRECISIONS = ("single", "bfloat16")
"""In what convolutions are computed."""
TORCH = "torch"
"""What runs networks unless an exported file does."""
_MOST_RINGS = 32


@dataclass(frozen=True)
class Settings:
    """How a run detects, measures, predicts and names its columns.

    Parameters
    ----------
    detect
        Where objects are detected on images of one band: on a fixed grid of ``'blocks'`` of each tile, or on the
        ``'cutouts'``. A segmentation map that comes with the images goes before.
    centroid
        What a position is: one of :data:`galmorph.stamps.centroid.CENTROIDS`.
    backend
        What measures: one of :data:`galmorph.stamps.backends.BACKENDS`.
    prefix
        Of the new columns.
    normalise
        Whether independent fractions are scaled to sum to 1.
    device
        ``'auto'``, ``'cpu'`` or ``'cuda'``.
    views
        Over which probabilities are averaged: a name or a text; None for what the checkpoint's recipe says.
    errors
        Whether the spread of each probability over networks and views has a column.
    rule
        Name of what gives ``gm_rule``; '' for the scheme's default.
    runtime
        What runs the networks: ``'torch'``, or the file to which the checkpoint was exported as ONNX.
    precision
        In what convolutions are computed: one of :data:`PRECISIONS`.
    features
        Whether what the last dense layer of the first network sees of each row has a column.
    light
        In how many rings about the centre the light of the stamps is summed up in a column of its own; 0 for none.
    probabilities
        Whether classes and probabilities have columns.
    """

    detect: str = "blocks"
    centroid: str = "windowed"
    backend: str = "galmorph"
    prefix: str = "gm_"
    normalise: bool = False
    device: str = "auto"
    views: str | None = None
    errors: bool = False
    rule: str = ""
    runtime: str = TORCH
    precision: str = PRECISIONS[0]
    features: bool = False
    light: int = 0
    probabilities: bool = True

    def check(self, *, network: bool) -> None:
        """Refuse what cannot be, and what does not apply to a run with, or without, a network.

        Raises
        ------
        CatalogError
            If the prefix, the way to detect or the centroid is none.
        PipelineError
            If the views cannot be read.
        CheckpointError
            If something is set that this kind of run has no use for.
        """
        if not re.fullmatch(r"([A-Za-z_][A-Za-z0-9_]*)?", self.prefix):
            raise CatalogError(
                f"prefix '{self.prefix}': expected letters without accents, digits and underscores, as all table "
                "formats allow them in names; choose another --prefix"
            )
        if self.detect not in DETECT:
            raise CatalogError(unknown_name("way to detect", self.detect, DETECT))
        if self.centroid not in CENTROIDS:
            raise CatalogError(unknown_name("centroid", self.centroid, CENTROIDS))
        if self.views is not None:
            read_views(self.views)  # says what is wrong with them
        if self.precision not in PRECISIONS:
            raise CheckpointError(unknown_name("precision", self.precision, PRECISIONS))
        if self.runtime != TORCH and self.is_half:
            raise CheckpointError(
                "ONNX files compute in single precision, and 'bfloat16' was asked for: leave out one of them"
            )
        if self.runtime != TORCH and self.device == "cuda":
            raise CheckpointError(
                "ONNX files run on the processor, and device 'cuda' was asked for: leave out one of them"
            )
        if not 0 <= self.light <= _MOST_RINGS:
            raise CheckpointError(
                f"light in {self.light} rings: expected 1 to {_MOST_RINGS}, or 0 for none; choose fewer"
            )
        if idle := self._without_use(network=network):
            what = "classifying" if network else "measuring"
            raise CheckpointError(f"{idle} {getattr(self, idle)!r}: {what} has no use for it; leave it out")

    @property
    def is_half(self) -> bool:
        """Whether convolutions are computed in bfloat16."""
        return self.precision != PRECISIONS[0]

    def _without_use(self, *, network: bool) -> str | None:
        """Name a setting that differs from its default though it changes nothing."""
        idle = (
            ("backend",)
            if network
            else ("normalise", "device", "views", "errors", "rule", "runtime", "precision", "features", "light")
        )
        return next((name for name in idle if getattr(self, name) != getattr(Settings, name)), None)


DEFAULT_SETTINGS = Settings()
