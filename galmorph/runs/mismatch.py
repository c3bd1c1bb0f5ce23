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

__all__ = ["mark_mismatches"]

log = logging.getLogger(__name__)

# A pixel scale within a tenth of the training images' makes no difference that augmentation does not cover.
_SCALE_TOLERANCE = 0.1


def mark_mismatches(
    results: Results, checkpoint: Checkpoint, images: ImageSource, asked: Survey | None, bands: tuple[str, ...]
) -> None:
    """Flag classified rows whose pixel scale, band, signal-to-noise ratio, size or stamp the checkpoint has not seen.

    May set SCALE_MISMATCH, BAND_MISMATCH, OUT_OF_ENVELOPE; each of the first two is logged once, with the count.

    Parameters
    ----------
    results
        Of the whole catalogue; its flags are changed.
    asked, bands
        Survey and bands that the images are said to be of; None and empty where nobody said.
    """
    envelope, done = checkpoint.envelope, results.classified
    with np.errstate(invalid="ignore"):
        other_scale = done & (np.abs(results.scale_arcsec / envelope.scale_arcsec - 1.0) > _SCALE_TOLERANCE)
        outside = done & _outside(results, envelope, _psf_fwhm_arcsec(envelope, asked, bands))
    results.mark(outside, Flag.OUT_OF_ENVELOPE)
    results.mark(other_scale, Flag.SCALE_MISMATCH)
    if other_scale.any():
        scale = float(np.median(results.scale_arcsec[other_scale]))
        trained = f"checkpoint '{checkpoint.name}' was trained at {envelope.scale_arcsec:.3g}"
        log.warning("%d of %d rows: pixel scale %.3g arcsec, %s", other_scale.sum(), len(results), scale, trained)
    reason = _other_band(checkpoint, asked, bands) or _other_filter(checkpoint, images, asked, bands)
    if reason and done.any():
        results.mark(done, Flag.BAND_MISMATCH)
        log.warning("%d of %d rows: %s", done.sum(), len(results), reason)


def _outside(results: Results, envelope: Envelope, psf_fwhm_arcsec: float) -> npt.NDArray[np.bool_]:
    """Tell which rows lie outside a range or far from the training stamps; what is not known (NaN) is not outside."""
    # Pixels of display stamps, whose scale is not known, are no measure of size.
    size = np.where(np.isfinite(results.scale_arcsec), results.rpet_px, np.nan)
    widths = size * results.scale_arcsec / psf_fwhm_arcsec
    outside = np.zeros(len(results), dtype=np.bool_)
    for values, (low, high) in ((results.snr, envelope.snr), (size, envelope.rpet_px), (widths, envelope.rpet_psf)):
        outside |= (values < low) | (values > high)
    return outside if envelope.embedding is None else outside | (results.distance > envelope.embedding.limit)


def _psf_fwhm_arcsec(envelope: Envelope, asked: Survey | None, bands: tuple[str, ...]) -> float:
    """Return the width of the PSF in the middle band asked for, or else trained on; NaN where it is not known."""
    known, names = (asked, bands) if asked is not None and bands else (_survey_or_none(envelope.survey), envelope.bands)
    return known.band(names[len(names) // 2]).psf_fwhm_arcsec if known is not None and names else float("nan")


def _other_band(checkpoint: Checkpoint, asked: Survey | None, bands: tuple[str, ...]) -> str | None:
    """Say how the survey and bands that were asked for differ from the checkpoint's."""
    envelope = checkpoint.envelope
    if asked is None or not bands or (asked.name == envelope.survey and set(bands) == set(envelope.bands)):
        return None
    trained = f"{envelope.survey} {'/'.join(envelope.bands)}"
    return f"band {asked.name} {'/'.join(bands)}, checkpoint '{checkpoint.name}' was trained on {trained}"


def _other_filter(
    checkpoint: Checkpoint, images: ImageSource, asked: Survey | None, bands: tuple[str, ...]
) -> str | None:
    """Say how the filter in the images' headers differs from the bands asked for, or else from the checkpoint's."""
    found = images.filter_name()
    if found is None:
        return None
    if images.n_planes > 1:
        return f"bands {'/'.join(bands)} were asked for, but the images' headers say {found}"
    known = asked
    if asked is not None and bands:
        expected = f"band {bands[0]} was asked for"
    else:
        known, bands = _survey_or_none(checkpoint.envelope.survey), checkpoint.envelope.bands
        expected = f"checkpoint '{checkpoint.name}' was trained on {'/'.join(bands)}"
    if known is None or found.lower() in _spellings(known, bands):
        return None
    return f"{expected}, but the image's header says {found}"


def _survey_or_none(name: str) -> Survey | None:
    try:
        return load_survey(name)
    except SurveyError:  # a checkpoint of a survey that is not known here
        return None


def _spellings(known: Survey, bands: tuple[str, ...]) -> set[str]:
    found = [known.band(name) for name in bands]
    return {name.lower() for band in found for name in (band.name, *band.aliases)}
