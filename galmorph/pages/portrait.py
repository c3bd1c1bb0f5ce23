"""Portrait: what a checkpoint is, in numbers and words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from galmorph.nets.architecture.centroids import CentroidEncoding
from galmorph.nets.architecture.network import members_of, n_weights, outline, shares_of
from galmorph.nets.checkpoint.file import Checkpoint
from galmorph.pages.exhibits import filter_exhibits
from galmorph.pages.figures import count_text
from galmorph.pages.losses import least, loss_curves
from galmorph.pages.marks import colour_of
from galmorph.stamps.recipe import Recipe
from galmorph.stamps.views import read_views

__all__ = ["portrait"]

_NEIGHBOURS = {"fill": "replaced by the galaxy's own profile and noise", "keep": "kept"}


def portrait(checkpoint: Checkpoint, card: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Describe a checkpoint for the page about it: headline, facts, training, network and first filters.

    Parameters
    ----------
    card
        The checkpoint's.
    path
        Its file.
    """
    members = members_of(checkpoint.network)
    first = members[0]
    layers, _ = outline(checkpoint.config, checkpoint.recipe, checkpoint.scheme)
    return {
        "checkpoint": checkpoint,
        "scheme": checkpoint.scheme,
        "title": str(card.get("title", checkpoint.scheme.title)),
        "tiles": _tiles(checkpoint, card),
        "facts": _facts(checkpoint, card, path),
        "settings": _settings(checkpoint, card),
        "losses": _losses(card),
        "layers": layers,
        "total": n_weights(first),
        "members": len(members),
        "alike": all(member.config == first.config for member in members),
        "filters": filter_exhibits(first),
        "symmetric": any(shape.square for _, shape in first.outline),
        "by_centroids": any(isinstance(layer, CentroidEncoding) for layer in first.layers),
    }


def _tiles(checkpoint: Checkpoint, card: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Head the page with the size of the network and of its training, and its score on the test part."""
    rows = card.get("rows", {}).get("train")
    tiles = [("weights", count_text(n_weights(checkpoint.network)))]
    tiles += [("training galaxies", count_text(int(rows)))] if isinstance(rows, int) else []
    scored = (_headline(checkpoint, split, card.get(split, {})) for split in ("test", "validation"))
    return tiles + next(filter(None, scored), [])


def _headline(checkpoint: Checkpoint, split: str, scores: Mapping[str, Any]) -> list[tuple[str, str]]:
    if "accuracy" in scores:
        return [(f"right on the {split} part", f"{100 * scores['accuracy']:.1f}\u202f%")]
    first = scores.get("questions", {}).get(checkpoint.scheme.questions[0].name, {})
    if "signal_explained" in first:
        return [(f"signal explained, first question, {split} part", f"{first['signal_explained']:.2f}")]
    return []


def _facts(checkpoint: Checkpoint, card: Mapping[str, Any], path: Path) -> list[tuple[str, str]]:
    scheme, recipe, envelope = checkpoint.scheme, checkpoint.recipe, checkpoint.envelope
    views = len(read_views(recipe.views))
    low, high = envelope.snr
    survey = envelope.survey or "unknown survey"
    return [
        ("Trained on", str(card.get("data") or "not said")),
        ("Labels", f"{scheme.title} ({scheme.name}, {len(scheme.keys)} answers, {scheme.kind})"),
        ("Images", f"{survey} {' '.join(envelope.bands)}, {envelope.scale_arcsec:g}″/pixel"),
        ("Signal-to-noise ratio of the training galaxies", f"{_ratio(low)} to {_ratio(high)}"),
        ("Stamps", _stamps(recipe)),
        ("Network", _networks(checkpoint)),
        ("Views", f"{recipe.views} ({views})" if views != 1 else "one view of each galaxy"),
        ("Temperatures", ", ".join(f"{t:.2f}" for t in checkpoint.temperatures)),
        ("Trained", str(card.get("trained", "not said"))),
        ("Version", checkpoint.version),
        ("File", f"{path.name}, {path.stat().st_size / 1e6:.1f} MB"),
        ("Its SHA-256", checkpoint.sha256),
    ]


def _ratio(value: float) -> str:
    return count_text(round(value)) if np.isfinite(value) else "any"


def _stamps(recipe: Recipe) -> str:
    planes = f"{recipe.planes} plane{'s' if recipe.planes > 1 else ''}"
    return (
        f"{recipe.size} x {recipe.size} pixels, {planes}, reaching {recipe.reach}; "
        f"{recipe.stretch} stretch; neighbours {_NEIGHBOURS[recipe.neighbours]}"
    )


def _networks(checkpoint: Checkpoint) -> str:
    """Name the networks with their shares, and say how they treat flips and quarter turns."""
    members = members_of(checkpoint.network)
    names = dict.fromkeys(member.config.name or "unnamed" for member in members)
    orientations = {_orientations(invariant=member.invariant, views=member.views) for member in members}
    text = f"{' + '.join(names)}, {' or '.join(sorted(orientations))}"
    if len(members) == 1:
        return text
    shares = [f"{share:.2f}" for share in shares_of(checkpoint.network)]
    weights = f" with weights {', '.join(shares)}" if len(set(shares)) > 1 else ""
    return f"ensemble of {len(members)}{weights}: {text}"


def _orientations(*, invariant: bool, views: str) -> str:
    if views == "eight":
        return "averaged over eight orientations"
    return "invariant to flips and quarter turns" if invariant else "one orientation"


def _settings(checkpoint: Checkpoint, card: Mapping[str, Any]) -> list[tuple[str, str]]:
    """List the settings of the training that the card has, but for the network."""
    settings = dict(card.get("settings", {}))
    settings |= {"recipe": checkpoint.recipe.to_dict(), "split": dict(checkpoint.split)}
    settings.pop("network", None)
    rows = card.get("rows", {})
    galaxies = [("galaxies", ", ".join(f"{split} {count_text(int(n))}" for split, n in rows.items()))] if rows else []
    return galaxies + [(name, _plain(values)) for name, values in settings.items() if values]


def _plain(values: Any) -> str:
    """Write settings in words: ``name value, name value``."""
    if isinstance(values, Mapping):
        return ", ".join(f"{k} {_plain(v)}" for k, v in values.items())
    if isinstance(values, list | tuple):
        return json.dumps(values) if values and not isinstance(values[0], str) else " + ".join(map(str, values))
    return str(values).lower() if isinstance(values, bool | None) else str(values)


def _losses(card: Mapping[str, Any]) -> dict[str, Any] | None:
    """Draw the losses that the card has, with the epoch that each network was kept from; None where it has none."""
    histories = card.get("curves") or []
    if histories and isinstance(histories[0], Mapping):
        histories = [histories]  # a single network of earlier versions
    if not histories or not all(histories):
        return None
    best = [least(history) for history in histories]
    return {
        "svg": loss_curves(histories),
        "members": [
            {"colour": colour_of(i), "epochs": len(history), "best": b[0], "loss": b[1]}
            for i, (history, b) in enumerate(zip(histories, best, strict=True))
            if b is not None
        ],
    }
