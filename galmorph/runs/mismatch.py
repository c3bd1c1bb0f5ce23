"""Mismatch: rows whose images are unlike those that the checkpoint was trained on."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from galmorph.errors import SurveyError
from galmorph.flags import Flag
from galmorph.runs.results import Results
from galmorph.sky.images import ImageSource
from galmorph.sky.survey import Survey, load_survey

if TYPE_CHECKING:
    from galmorph.nets.checkpoint.envelope import Envelope
    from galmorph.nets.checkpoint.file import Checkpoint

__all__ = ["mark_mismatches", "mismatches_of_images", "warn_of_mismatches"]

log = logging.getLogger(__name__)

# A pixel scale within a tenth of the training images' makes no difference that augmentation does not cover.
_SCALE_TOLERANCE = 0.1


def mark_mismatches(results: Results, checkpoint: Checkpoint, images: ImageSource) -> None:
    """Flag classified rows whose pixel scale, band, signal-to-noise ratio, size or stamp differs from the training's.

    May set SCALE_MISMATCH, BAND_MISMATCH, OUT_OF_ENVELOPE.

    Parameters
    ----------
    results
        Their flags are changed.
    images
        Which know their survey and bands, if anybody said.
    """
    envelope, classified = checkpoint.envelope, results.classified
    with np.errstate(invalid="ignore"):
        # Pixels of display stamps are those that somebody chose to draw.
        other_scale = images.is_linear & (np.abs(results.scale_arcsec / envelope.scale_arcsec - 1.0) > _SCALE_TOLERANCE)
        outside = _outside(results, envelope, _psf_fwhm_arcsec(envelope, images))
    results.mark(classified & outside, Flag.OUT_OF_ENVELOPE)
    results.mark(classified & other_scale, Flag.SCALE_MISMATCH)
    if _other_images(checkpoint, images):
        results.mark(classified, Flag.BAND_MISMATCH)


def warn_of_mismatches(results: Results, checkpoint: Checkpoint, images: ImageSource) -> None:
    """Log how many rows carry SCALE_MISMATCH and BAND_MISMATCH, once for each, and why."""
    other_scale, other_band = ((results.flags & int(f)) != 0 for f in (Flag.SCALE_MISMATCH, Flag.BAND_MISMATCH))
    if other_scale.any():
        scale = float(np.median(results.scale_arcsec[other_scale]))
        trained = f"checkpoint '{checkpoint.name}' was trained at {checkpoint.envelope.scale_arcsec:.3g}"
        log.warning("%d of %d rows: pixel scale %.3g arcsec, %s", other_scale.sum(), len(results), scale, trained)
    if other_band.any():
        log.warning("%d of %d rows: %s", other_band.sum(), len(results), _other_images(checkpoint, images))


def mismatches_of_images(checkpoint: Checkpoint, images: ImageSource) -> dict[Flag, str]:
    """Say which of SCALE_MISMATCH and BAND_MISMATCH the images as a whole give to their rows, each with why.

    Single rows may differ where tiles have several scales.
    """
    trained, reasons = checkpoint.envelope.scale_arcsec, {}
    if images.is_linear and abs(images.scale_arcsec / trained - 1.0) > _SCALE_TOLERANCE:
        scales = f"pixel scale {images.scale_arcsec:.3g} arcsec"
        reasons[Flag.SCALE_MISMATCH] = f"{scales}, checkpoint '{checkpoint.name}' was trained at {trained:.3g}"
    if other := _other_images(checkpoint, images):
        reasons[Flag.BAND_MISMATCH] = other
    return reasons


def _outside(results: Results, envelope: Envelope, psf_fwhm_arcsec: float) -> npt.NDArray[np.bool_]:
    """Tell which rows lie outside a range or far from the training stamps; what is not known (NaN) is not outside.

    A galaxy that is seen better than those of the training, with less noise or on more pixels, is no reason for doubt:
    the ranges of both have no upper end here. One that is larger in widths of the PSF shows what they did not.
    """
    # Pixels of display stamps, whose scale is not known, are no measure of size.
    size = np.where(np.isfinite(results.scale_arcsec), results.rpet_px, np.nan)
    widths = size * results.scale_arcsec / psf_fwhm_arcsec
    outside = np.zeros(len(results), dtype=np.bool_)
    for values, (low, _) in ((results.snr, envelope.snr), (size, envelope.rpet_px)):
        outside |= values < low
    low, high = envelope.rpet_psf
    outside |= (widths < low) | (widths > high)
    return outside if envelope.embedding is None else outside | (results.distance > envelope.embedding.limit)


def _psf_fwhm_arcsec(envelope: Envelope, images: ImageSource) -> float:
    """Return the width of the PSF in the middle band of the images, or else trained on; NaN where it is not known."""
    survey, bands = images.survey, images.bands
    if survey is None or not bands:
        survey, bands = _survey_or_none(envelope.survey), envelope.bands
    return survey.band(bands[len(bands) // 2]).psf_fwhm_arcsec if survey is not None and bands else float("nan")


def _other_images(checkpoint: Checkpoint, images: ImageSource) -> str | None:
    """Say how the images' bands, or else the filter in their headers, differ from what they should be."""
    return _other_band(checkpoint, images) or _other_filter(checkpoint, images)


def _other_band(checkpoint: Checkpoint, images: ImageSource) -> str | None:
    """Say how the survey and bands that were asked for differ from the checkpoint's."""
    envelope, survey, bands = checkpoint.envelope, images.survey, images.bands
    if survey is None or not bands or (survey.name == envelope.survey and set(bands) == set(envelope.bands)):
        return None
    trained = f"{envelope.survey} {'/'.join(envelope.bands)}"
    return f"band {survey.name} {'/'.join(bands)}, checkpoint '{checkpoint.name}' was trained on {trained}"


def _other_filter(checkpoint: Checkpoint, images: ImageSource) -> str | None:
    """Say how the filter in the images' headers differs from the bands asked for, or else from the checkpoint's."""
    name = images.filter_name()
    if name is None:
        return None
    survey, bands = images.survey, images.bands
    if images.n_planes > 1:
        return f"bands {'/'.join(bands)} were asked for, but the images' headers say {name}"
    if survey is not None and bands:
        expected = f"band {bands[0]} was asked for"
    else:
        survey, bands = _survey_or_none(checkpoint.envelope.survey), checkpoint.envelope.bands
        expected = f"checkpoint '{checkpoint.name}' was trained on {'/'.join(bands)}"
    if survey is None or name.lower() in _spellings(survey, bands):
        return None
    return f"{expected}, but the image's header says {name}"


def _survey_or_none(name: str) -> Survey | None:
    try:
        return load_survey(name)
    except SurveyError:  # a checkpoint of a survey that is not known here
        return None


def _spellings(survey: Survey, bands: tuple[str, ...]) -> set[str]:
    return {spelling.lower() for band in map(survey.band, bands) for spelling in (band.name, *band.aliases)}
