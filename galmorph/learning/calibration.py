"""Calibration: probabilities, prediction sets and envelope of a checkpoint, fitted to labelled images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from galmorph.errors import PipelineError
from galmorph.learning.labelled_table import LabelledTable
from galmorph.learning.sections import CalibrationSettings
from galmorph.learning.viewed import Viewed, view_rows
from galmorph.nets.checkpoint.calibrate import Calibration, fit_calibration
from galmorph.nets.checkpoint.embedding import fit_embedding
from galmorph.nets.checkpoint.envelope import UNLIMITED, Envelope, Limits
from galmorph.nets.checkpoint.file import Checkpoint
from galmorph.nets.checkpoint.prediction_sets import first_probabilities, first_votes, fit_sets
from galmorph.nets.evaluate import score_sets
from galmorph.nets.training.settings import Observation
from galmorph.progress import Progress, silent
from galmorph.sky.scheme import Labels
from galmorph.sky.survey import load_survey, survey_names

__all__ = ["Fitted", "fit_checkpoint", "score_viewed"]

FloatArray = npt.NDArray[np.float64]
_PERCENTILES = (0.5, 99.5)
_ENOUGH = 2500
"""More training rows than this say nothing new about the envelope."""


@dataclass(frozen=True)
class Fitted:
    """What came out.

    Parameters
    ----------
    checkpoint
        With its calibration, sets and envelope.
    held
        The calibration part as the checkpoint sees it, now calibrated.
    about
        What a card says of it.
    """

    checkpoint: Checkpoint
    held: Viewed
    about: Mapping[str, Any]


def fit_checkpoint(
    checkpoint: Checkpoint,
    table: LabelledTable,
    settings: CalibrationSettings,
    *,
    device: str = "cpu",
    progress: Progress = silent,
) -> Fitted:
    """Fit calibration, prediction sets and envelope on the validation part; the test part is not read.

    Raises
    ------
    PipelineError
        If the training or the validation part has no labelled rows with an image.
    """
    raw = checkpoint.with_temperatures((1.0,) * len(checkpoint.scheme.questions))

    def viewed(split: str) -> Viewed:
        rows = table.rows(split)
        if split == "train" and len(rows) > _ENOUGH:
            rows = rows[np.linspace(0, len(rows) - 1, _ENOUGH).astype(np.intp)]
        answers = view_rows(raw, table.gathering, rows, observation=table.observation, device=device, progress=progress)
        if not len(answers.rows):
            raise PipelineError(
                f"the {split} part of the labels has no image: checkpoint '{checkpoint.name}' is fitted on the parts "
                "that its split sets apart; give the labels and images that it was trained on"
            )
        return answers

    held, training = viewed("validation"), viewed("train")
    votes = table.labels.take(held.rows)
    calibration = fit_calibration(checkpoint.scheme, held.conditional, votes, settings.method)
    mapped = replace(raw, temperatures=calibration.temperatures, maps=calibration.maps)
    held = replace(held, conditional=mapped.calibrated(held.conditional))
    sets = fit_sets(
        first_probabilities(held.conditional, mapped.scheme),
        first_votes(votes, mapped.scheme),
        coverage=settings.coverage,
        kind=settings.sets,
        by_class=settings.by_class,
    )
    embedding = fit_embedding(training.features, held.features, false_alarms=settings.false_alarms)
    envelope = replace(_ranges(checkpoint.envelope, table.observation, training, held), embedding=embedding)
    fitted = replace(mapped, sets=sets, envelope=envelope)
    return Fitted(fitted, held, _about(fitted, calibration, settings))


def _ranges(envelope: Envelope, observation: Observation | None, *parts: Viewed) -> Envelope:
    """Find the ranges of S/N and size: those of the images, or those that they were degraded to."""
    if observation is not None:
        stars, (low, high) = observation.star_rpet_arcsec, observation.rpet_arcsec
        sizes = min(low, *stars), max(high, *stars)
        return replace(
            envelope,
            snr=observation.snr,
            rpet_px=_in_units(sizes, observation.scale_arcsec),
            rpet_psf=_in_units(sizes, observation.psf_fwhm_arcsec),
        )
    snr, rpet_px, scale = (np.concatenate([getattr(v, n) for v in parts]) for n in ("snr", "rpet_px", "scale_arcsec"))
    # Pixels of display stamps, whose scale is not known, are no measure of size.
    sized = np.where(np.isfinite(scale), rpet_px, np.nan)
    psf = _psf_fwhm_arcsec(envelope)
    return replace(envelope, snr=_range(snr), rpet_px=_range(sized), rpet_psf=_range(sized * scale / psf))


def _in_units(sizes: Limits, unit: float | Limits) -> Limits:
    low, high = unit if isinstance(unit, tuple) else (unit, unit)
    return sizes[0] / high, sizes[1] / low


def _range(values: FloatArray) -> Limits:
    finite = values[np.isfinite(values)]
    if not len(finite):
        return UNLIMITED
    low, high = np.percentile(finite, _PERCENTILES).tolist()
    return low, high


def _psf_fwhm_arcsec(envelope: Envelope) -> float:
    if envelope.survey not in survey_names() or not envelope.bands:
        return float("nan")
    return load_survey(envelope.survey).band(envelope.bands[0]).psf_fwhm_arcsec


def _about(checkpoint: Checkpoint, calibration: Calibration, settings: CalibrationSettings) -> dict[str, Any]:
    """Tell a card what was fitted."""
    sets, envelope = checkpoint.sets, checkpoint.envelope
    mapped = [q.name for q, m in zip(checkpoint.scheme.questions, checkpoint.maps, strict=False) if m is not None]
    return {
        "settings": asdict(settings),
        "temperatures": dict(
            zip(
                (q.name for q in checkpoint.scheme.questions),
                np.round(checkpoint.temperatures, 4).tolist(),
                strict=True,
            )
        ),
        "mapped": mapped,
        "held_out": {
            name: {k: round(v, 5) for k, v in scores.items()} for name, scores in calibration.held_out.items()
        },
        "sets": sets.to_dict() if sets is not None else None,
        "envelope": envelope.to_dict(),
    }


def score_viewed(checkpoint: Checkpoint, viewed: Viewed, labels: Labels) -> dict[str, Any]:
    """Score the prediction sets of rows with labels, and count those that the embedding calls outside.

    Returns
    -------
    ``sets`` and ``outside``, each only where the checkpoint has what they need.
    """
    scores: dict[str, Any] = {}
    if checkpoint.sets is not None:
        scheme = checkpoint.scheme
        first = first_probabilities(viewed.conditional, scheme)
        coverage = score_sets(
            checkpoint.sets.members(first), first_votes(labels, scheme), scheme.keys[scheme.slices[0]], viewed.snr
        )
        scores["sets"] = {"kind": checkpoint.sets.kind, "nominal": checkpoint.sets.coverage, **coverage}
    if (embedding := checkpoint.envelope.embedding) is not None:
        scores["outside"] = float((embedding.distance(viewed.features) > embedding.limit).mean())
    return scores
