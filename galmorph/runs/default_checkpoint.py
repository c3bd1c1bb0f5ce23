"""DefaultCheckpoint: the one that classifies images of a survey and band when none is named."""

from __future__ import annotations

from galmorph.errors import CheckpointError
from galmorph.nets.checkpoint.lookup import checkpoint_names
from galmorph.sky.survey import Survey

__all__ = ["default_checkpoint"]


def default_checkpoint(survey: Survey | None, bands: tuple[str, ...], band: str) -> str:
    """Name the checkpoint that the survey says is usual for its bands, else the only one that fits.

    Parameters
    ----------
    survey, bands
        Of the images; None and empty where nobody said.
    band
        What to call the bands in messages.

    Raises
    ------
    CheckpointError
        If none fits, or several do.
    """
    ship = ", ".join(checkpoint_names()) or "none"
    if survey is not None and not bands:
        names = ", ".join(" = ".join([each.name, *each.aliases]) for each in survey.bands)
        raise CheckpointError(
            f"survey '{survey.name}' without a band to choose a checkpoint by: name the --band ({names}), or give "
            f"--checkpoint (known are {ship})"
        )
    if survey is None or not bands:
        raise CheckpointError(
            f"no checkpoint, and no survey and band to choose it by: give --checkpoint (known are {ship}), or --survey "
            "and --band"
        )
    if usual := survey.checkpoint(bands):
        return usual
    fitting = _fitting(survey, bands)
    if not fitting:
        raise CheckpointError(
            f"no checkpoint ships for survey '{survey.name}', band '{band}': name one with --checkpoint, known are "
            f"{ship}"
        )
    if len(fitting) > 1:
        raise CheckpointError(
            f"several checkpoints ship for survey '{survey.name}', band '{band}', and the survey's [checkpoints] name "
            f"none of them: name one with --checkpoint, {' or '.join(fitting)}"
        )
    return fitting[0]


def _fitting(survey: Survey, bands: tuple[str, ...]) -> list[str]:
    """List the shipped checkpoints of the same bands, else those of the survey: of these the usual ones, if any."""
    from galmorph.nets.checkpoint.file import read_envelope  # noqa: PLC0415 - torch

    envelopes = {name: read_envelope(name) for name in checkpoint_names()}
    same = [n for n, e in envelopes.items() if e.survey == survey.name and len(e.bands) == len(bands)]
    exact = [n for n in same if set(envelopes[n].bands) == set(bands)]
    return exact or [n for n in same if n in survey.checkpoints.values()] or same
