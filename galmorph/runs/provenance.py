"""Provenance: what made the columns of a run, as header cards and lines of history."""

from __future__ import annotations

import hashlib
import json
import platform
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import galmorph
from galmorph.flags import MEANINGS
from galmorph.runs.mismatch import mismatches_of_images
from galmorph.runs.plan import Run
from galmorph.sky.catalog import Provenance
from galmorph.sky.images import ImageSource

if TYPE_CHECKING:
    from galmorph.nets.checkpoint.file import Checkpoint

__all__ = ["provenance_of"]

_SOFTWARE = ("numpy", "astropy", "sep", "torch")
_IMAGES_NAMED = 20  # a mosaic may have thousands of tiles, which no header should list


def provenance_of(run: Run, command: str) -> Provenance:
    """Say what made a run's columns: versions, checkpoint, recipe, inputs and the meaning of the flags.

    Parameters
    ----------
    run
        The catalogue's file is read once more, for its hash.
    command
        The command line, or the function that was called.
    """
    mismatches = {} if run.checkpoint is None else mismatches_of_images(run.checkpoint, run.images)
    cards = [
        ("GMVERS", galmorph.__version__, "version of galmorph"),
        ("GMDATE", datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), "when it ran"),
        ("GMSURVEY", run.survey.name if run.survey is not None else "", "survey of the images"),
        ("GMBAND", run.band, "band of the images"),
        ("GMCENTRD", run.settings.centroid, "what the positions are"),
        ("GMDETECT", run.settings.detect, "where objects are detected"),
        ("GMBACKND", run.settings.backend, "what measures"),
        ("GMNORM", "yes" if run.settings.normalise else "no", "whether fractions are scaled to sum to 1"),
        *(_checkpoint_cards(run.checkpoint, run) if run.checkpoint is not None else ()),
        ("GMALLROW", " ".join(str(f.name) for f in mismatches), "mismatches of the images with the training"),
        *((f"GMFLAG{number:02d}", str(f.name), f"bit {number}, value {int(f)}") for number, f in enumerate(MEANINGS)),
    ]
    history = [
        f"galmorph {galmorph.__version__}: {command}",
        f"catalog: {run.catalog.origin}",
        *(f"image: {name}" for name in _named(run.images)),
        *(f"images: {remark}" for remark in run.images.remarks),
        *(f"{f.name} of the images: {reason}" for f, reason in mismatches.items()),
        *(f"flag {int(f)} {f.name}: {meaning}" for f, meaning in MEANINGS.items()),
        f"software: {', '.join(f'{n} {_version(n)}' for n in _SOFTWARE)}, Python {platform.python_version()}",
    ]
    return Provenance(tuple(cards), tuple(history))


def _checkpoint_cards(checkpoint: Checkpoint, run: Run) -> list[tuple[str, str, str]]:
    recipe = json.dumps(checkpoint.recipe.to_dict(), sort_keys=True)
    return [
        ("GMMODEL", checkpoint.name, "checkpoint"),
        ("GMMODVER", checkpoint.version, "version that trained it"),
        ("GMSHA256", checkpoint.sha256, "of the checkpoint"),
        ("GMRECIPE", hashlib.sha256(recipe.encode()).hexdigest()[:16], "hash of the stamp recipe"),
        ("GMSCHEME", checkpoint.scheme.name, "label scheme"),
        ("GMVIEWS", run.views, "views averaged over"),
        ("GMPRECIS", run.settings.precision, "precision of convolutions"),
        *([("GMRULE", run.rule.name, "rule of the second column of classes")] if run.rule is not None else []),
    ]


def _named(images: ImageSource) -> list[str]:
    names = images.tile_names
    if not images.is_linear:
        return [f"{len(names)} display stamps"]
    more = len(names) - _IMAGES_NAMED
    return [*(Path(n).name for n in names[:_IMAGES_NAMED]), *([f"and {more} more"] if more > 0 else [])]


@cache
def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
