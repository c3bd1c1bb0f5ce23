"""galmorph turns a survey catalogue into a catalogue with morphologies."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from galmorph.api import (
        answer,
        cache,
        calibrate,
        cite,
        classify,
        compare,
        contents,
        count,
        default_output,
        describe_flags,
        dry_run,
        embed,
        ensemble,
        evaluate,
        export,
        fetch,
        inspect,
        latent_factors,
        load_checkpoint,
        load_pipeline,
        load_scheme,
        load_survey,
        map_features,
        match,
        measure,
        names,
        open_features,
        open_images,
        open_store,
        outliers,
        overlay,
        positions,
        prepare,
        read_catalog,
        run,
        show,
        similar,
        simulate,
        status,
        train,
        tune,
        usual_checkpoint,
        view,
    )

__all__ = [
    "answer",
    "cache",
    "calibrate",
    "cite",
    "classify",
    "compare",
    "contents",
    "count",
    "default_output",
    "describe_flags",
    "dry_run",
    "embed",
    "ensemble",
    "evaluate",
    "export",
    "fetch",
    "inspect",
    "latent_factors",
    "load_checkpoint",
    "load_pipeline",
    "load_scheme",
    "load_survey",
    "map_features",
    "match",
    "measure",
    "names",
    "open_features",
    "open_images",
    "open_store",
    "outliers",
    "overlay",
    "positions",
    "prepare",
    "read_catalog",
    "run",
    "show",
    "similar",
    "simulate",
    "status",
    "train",
    "tune",
    "usual_checkpoint",
    "view",
]

# What says which things ship needs none of what works with them.
_LIGHT = dict.fromkeys(("contents", "names", "show"), "galmorph.pages.descriptions") | {
    "describe_flags": "galmorph.flags"
}


def __getattr__(name: str) -> Any:
    # Loaded on first use, so that importing galmorph, or asking the command line for help, costs nothing.
    if name not in __all__:
        raise AttributeError(f"module 'galmorph' has no attribute '{name}'")
    return getattr(importlib.import_module(_LIGHT.get(name, "galmorph.api")), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
