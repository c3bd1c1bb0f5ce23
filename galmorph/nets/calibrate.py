"""Calibration: temperatures that make probabilities agree with observed fractions.

Guo et al. 2017, arXiv:1706.04599.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import optimize

from galmorph.nets.checkpoint import Checkpoint
from galmorph.sky.scheme import Labels

__all__ = ["fit_temperatures"]

FloatArray = npt.NDArray[np.float64]
_LIMITS = (0.3, 3.0)


def fit_temperatures(checkpoint: Checkpoint, uncalibrated: FloatArray, labels: Labels) -> tuple[float, ...]:
    """Find the temperature of each question that makes held-out votes likeliest.

    Parameters
    ----------
    checkpoint
        Its scheme says which answers belong together.
    uncalibrated
        (N, A) conditional probabilities at a temperature of 1.
    labels
        Votes of the same rows, which the network was not trained on.

    Returns
    -------
    One temperature per question; 1 where nobody was asked.
    """
    scheme = checkpoint.scheme
    n = len(scheme.questions)
    best = [1.0] * n
    for number, where in enumerate(scheme.slices):
        if labels.totals[:, where].sum() == 0:
            continue

        def unlikelihood(log_t: float, number: int = number, where: slice = where) -> float:
            trial = [1.0] * n
            trial[number] = float(np.exp(log_t))
            p = np.clip(checkpoint.with_temperatures(tuple(trial)).calibrated(uncalibrated)[:, where], 1e-9, 1 - 1e-9)
            counts, totals = labels.counts[:, where], labels.totals[:, where]
            likelihood = counts * np.log(p)
            if scheme.kind == "independent":
                likelihood = likelihood + (totals - counts) * np.log(1.0 - p)
            return -float(likelihood.sum())

        low, high = np.log(_LIMITS)
        best[number] = float(np.exp(optimize.minimize_scalar(unlikelihood, bounds=(low, high), method="bounded").x))
    return tuple(best)
