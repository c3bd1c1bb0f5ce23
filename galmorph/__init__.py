"""galmorph turns a survey catalogue into a catalogue with morphologies."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from galmorph.nets.checkpoint.ensemble import ensemble
    from galmorph.nets.checkpoint.file import load_checkpoint
    from galmorph.pages.inspection import inspect_checkpoint
    from galmorph.runs.classify import classify, measure
    from galmorph.runs.export import export
    from galmorph.sky.catalog import read_catalog
    from galmorph.sky.images import open_images
    from galmorph.sky.mock import simulate
    from galmorph.sky.scheme import load_scheme
    from galmorph.sky.survey import load_survey

__all__ = [
    "classify",
    "ensemble",
    "export",
    "inspect_checkpoint",
    "load_checkpoint",
    "load_scheme",
    "load_survey",
    "measure",
    "open_images",
    "read_catalog",
    "simulate",
]

# Loaded on first use, so that importing galmorph costs nothing and measuring works without torch.
_HOMES = {
    "classify": "galmorph.runs.classify",
    "inspect_checkpoint": "galmorph.pages.inspection",
    "ensemble": "galmorph.nets.checkpoint.ensemble",
    "export": "galmorph.runs.export",
    "load_checkpoint": "galmorph.nets.checkpoint.file",
    "load_scheme": "galmorph.sky.scheme",
    "measure": "galmorph.runs.classify",
    "open_images": "galmorph.sky.images",
    "read_catalog": "galmorph.sky.catalog",
    "simulate": "galmorph.sky.mock",
    "load_survey": "galmorph.sky.survey",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'galmorph' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
