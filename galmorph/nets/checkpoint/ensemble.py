"""Ensemble: several checkpoints joined into one, whose networks answer together."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from galmorph.errors import CheckpointError
from galmorph.nets.architecture.network import Ensemble, members_of, n_weights, shares_of
from galmorph.nets.checkpoint.card import read_card
from galmorph.nets.checkpoint.envelope import Envelope, Limits
from galmorph.nets.checkpoint.file import Checkpoint, load_checkpoint, save_checkpoint

__all__ = ["ensemble"]

log = logging.getLogger(__name__)

_LARGE_MB = 8.0
_OF_ROWS = ("rows", "unlabelled", "training_means")


def ensemble(
    checkpoints: Sequence[str | Path | Checkpoint],
    output: str | Path | None = None,
    *,
    shares: Sequence[float] = (),
    name: str = "",
    overwrite: bool = True,
) -> Checkpoint:
    """Join checkpoints for the same stamps and answers into one; their networks may differ.

    The probabilities of all networks are averaged, with the shares given, before they are calibrated. The
    temperatures of the result are the weighted geometric means of those of the parts. Other calibration and prediction
    sets do not carry over: ``galmorph calibrate`` fits them to the result.

    Parameters
    ----------
    checkpoints
        Names, files or loaded ones; a part may be an ensemble itself.
    output
        File to write, with a card beside it; None to write nothing. Kernels are stored in half precision.
    shares
        One for each checkpoint, in any unit; equal by default.
    name
        Of the result; by default that of the file, or of the parts joined by ``+``.
    overwrite
        Whether existing files may be replaced.

    Raises
    ------
    CheckpointError
        If there are fewer than two, if their recipes, schemes, surveys or bands differ, or the shares do not fit.
    OutputError
        If the file cannot be written.
    """
    parts = [c if isinstance(c, Checkpoint) else load_checkpoint(c) for c in checkpoints]
    each = _shares(parts, shares)
    for part in parts[1:]:
        _check_alike(parts[0], part)
    title = name or (Path(output).name.removesuffix(".safetensors") if output else "+".join(p.name for p in parts))
    joint = _joined(parts, each, title)
    if output is None:
        return joint
    path = save_checkpoint(joint, output, _card(joint, parts, each, checkpoints), overwrite=overwrite)
    if (size_mb := path.stat().st_size / 1e6) > _LARGE_MB:
        log.warning("'%s' has %.1f MB: the checkpoints that ship have at most %g MB", path, size_mb, _LARGE_MB)
    return load_checkpoint(path)


def _shares(parts: Sequence[Checkpoint], shares: Sequence[float]) -> list[float]:
    if len(parts) < 2:
        raise CheckpointError(f"{len(parts)} checkpoint to join: expected two or more; name them all")
    amounts = [float(w) for w in shares] or [1.0] * len(parts)
    if len(amounts) != len(parts) or not all(np.isfinite(w) and w > 0 for w in amounts):
        words = ", ".join(f"{w:g}" for w in amounts)
        raise CheckpointError(f"shares {words} for {len(parts)} checkpoints: expected one positive number each")
    # As shares of the largest first: their sum may be more than any number, and none of them nothing beside it.
    parts_of_one = [w / max(amounts) for w in amounts]
    normalised = [w / sum(parts_of_one) for w in parts_of_one]
    if min(normalised) <= 0.0:
        raise CheckpointError(f"shares {amounts} are too far apart: expected numbers of a like size; leave one out")
    return normalised


def _check_alike(first: Checkpoint, other: Checkpoint) -> None:
    """Refuse two checkpoints whose stamps, answers or images differ."""
    one, two = first.envelope, other.envelope
    for what, a, b in (
        ("recipe", first.recipe.to_dict(), other.recipe.to_dict()),
        ("scheme", _asked(first), _asked(other)),
        ("images", _images(one), _images(two)),
        ("votes", {"fractions": dict(first.fractions)}, {"fractions": dict(other.fractions)}),
        ("observation", dict(first.observation), dict(other.observation)),
    ):
        if differing := sorted(k for k in {*a, *b} if a.get(k) != b.get(k)):
            key = differing[0]
            raise CheckpointError(
                f"checkpoints '{first.name}' and '{other.name}' differ in their {what}: {key} is {_short(a.get(key))} "
                f"and {_short(b.get(key))}, expected the same; join only checkpoints for the same stamps and answers"
            )


def _asked(checkpoint: Checkpoint) -> dict[str, Any]:
    scheme = checkpoint.scheme
    return {"kind": scheme.kind, "answers": scheme.keys, "parents": scheme.parents}


def _images(envelope: Envelope) -> dict[str, Any]:
    scale = f"{envelope.scale_arcsec:.4g}"
    return {"survey": envelope.survey, "bands": envelope.bands, "pixel scale in arcsec": scale}


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) < 60 else text[:57] + "..."


def _division(checkpoint: Checkpoint, other: Checkpoint) -> dict[str, Any]:
    """Return how labels were divided, without what only one of two checkpoints says: what names its rows."""
    both = "named_by" in checkpoint.split and "named_by" in other.split
    return {key: value for key, value in checkpoint.split.items() if both or key != "named_by"}


def _joined(parts: Sequence[Checkpoint], shares: Sequence[float], name: str) -> Checkpoint:
    first = parts[0]
    members = [m for part in parts for m in members_of(part.network)]
    each = [share * own for part, share in zip(parts, shares, strict=True) for own in shares_of(part.network)]
    logs = np.log([p.temperatures for p in parts])
    return replace(
        first,
        name=name,
        network=Ensemble(members, each).eval(),
        envelope=_envelope([p.envelope for p in parts]),
        temperatures=tuple(np.exp(np.array(shares) @ logs).tolist()),
        # Rows that one has been tested on may have trained another: then no part is left to test on.
        split=first.split if all(_division(p, first) == _division(first, p) for p in parts) else {},
        sha256="",
        maps=(),
        sets=None,
    )


def _envelope(envelopes: Sequence[Envelope]) -> Envelope:
    """Return the ranges that all have in common; the embedding is that of the first, whose network comes first."""
    return replace(
        envelopes[0],
        snr=_common([e.snr for e in envelopes]),
        rpet_px=_common([e.rpet_px for e in envelopes]),
        rpet_psf=_common([e.rpet_psf for e in envelopes]),
    )


def _common(limits: Sequence[Limits]) -> Limits:
    lows, highs = zip(*limits, strict=True)
    return max(lows), min(highs)


def _card(
    joint: Checkpoint, parts: Sequence[Checkpoint], shares: Sequence[float], sources: Sequence[str | Path | Checkpoint]
) -> Mapping[str, Any]:
    cards = [{} if isinstance(source, Checkpoint) else read_card(source) for source in sources]
    return {
        "name": joint.name,
        "version": joint.version,
        "title": cards[0].get("title", joint.scheme.title),
        "data": cards[0].get("data", ""),
        "scheme": joint.scheme.name,
        "trained": datetime.now(UTC).strftime("%Y-%m-%d"),
        "weights": n_weights(joint.network),
        **_of_training(cards),
        "joined": [
            {"name": p.name, "version": p.version, "sha256": p.sha256, "share": round(s, 6), **_settings(card)}
            for p, s, card in zip(parts, shares, cards, strict=True)
        ],
    }


def _of_training(cards: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Collect from cards the settings of the first, what all agree on of the galaxies, and the losses of all."""
    agreed = {
        key: cards[0][key] for key in _OF_ROWS if key in cards[0] and all(c.get(key) == cards[0][key] for c in cards)
    }
    losses = [history for card in cards for history in card.get("curves", ())]
    return {**_settings(cards[0]), **agreed, **({"curves": losses} if all("curves" in c for c in cards) else {})}


def _settings(card: Mapping[str, Any]) -> dict[str, Any]:
    return {"settings": card["settings"]} if "settings" in card else {}
