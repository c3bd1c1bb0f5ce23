"""Calibration: maps that make probabilities agree with observed fractions.

A *temperature* T sharpens or softens the probabilities of a question, p^(1/T) normalised (Guo et al. 2017,
arXiv:1706.04599). A *Dirichlet map* (Kull et al. 2019, arXiv:1910.12656) moves them too: softmax(W ln p + b), with the
off-diagonal elements of W and the intercepts b held near 0 (ODIR). It is used for a question only if votes that it was
not fitted to are likelier under it than under the temperature.

Votes are soft labels: the likelihood of a galaxy is that of all its votes, c · ln p.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import numpy.typing as npt
import scipy
from scipy import special

from galmorph.errors import CheckpointError, PipelineError, unknown_name
from galmorph.sky.scheme import Labels, Scheme

__all__ = ["METHODS", "Calibration", "Map", "calibrated", "checked_maps", "fit_calibration", "fit_temperatures"]

FloatArray = npt.NDArray[np.float64]
Map = npt.NDArray[np.float64]
METHODS = ("temperature", "dirichlet")
"""How probabilities may be calibrated."""

_LIMITS = (0.3, 3.0)
_TINY = 1e-9
_FOLDS = 5
_PENALTIES = (10.0, 1.0, 0.1, 0.01, 0.001)


@dataclass(frozen=True)
class Calibration:
    """What a calibration part gave.

    Parameters
    ----------
    temperatures
        One per question; 1 where nobody was asked.
    maps
        One per question, or None where the temperature holds: (G, K, K + 1) arrays [W b], for the K answers of a
        question that exclude each other (G = 1), or for yes and no to each of G independent answers (K = 2).
    held_out
        Question → cross-validated negative log likelihood per vote of each method that was tried.
    """

    temperatures: tuple[float, ...]
    maps: tuple[Map | None, ...] = ()
    held_out: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def calibrated(
    probabilities: FloatArray, scheme: Scheme, temperatures: tuple[float, ...], maps: tuple[Map | None, ...] = ()
) -> FloatArray:
    """Apply a calibration to conditional probabilities, (N, A)."""
    out = np.clip(probabilities, _TINY, 1.0 - _TINY)
    for number, where in enumerate(scheme.slices):
        of_question = maps[number] if maps else None
        grouped = _grouped(out[:, where], scheme)
        how = temperatures[number] if of_question is None else of_question
        out[:, where] = _ungrouped(_mapped(grouped, how), scheme)
    return out


def _grouped(p: FloatArray, scheme: Scheme) -> FloatArray:  # (N, K) -> (N, G, K)
    """See the answers of a question as one group, or independent ones each as a group of yes and no."""
    return np.stack([p, 1.0 - p], axis=-1) if scheme.kind == "independent" else p[:, None, :]


def _ungrouped(p: FloatArray, scheme: Scheme) -> FloatArray:  # (N, G, K) -> (N, K)
    return p[..., 0] if scheme.kind == "independent" else p[:, 0]


def _mapped(p: FloatArray, how: float | Map) -> FloatArray:  # (N, G, K) -> (N, G, K)
    logs = np.log(np.clip(p, _TINY, 1.0))
    if not isinstance(how, np.ndarray):
        return np.asarray(special.softmax(logs / how, axis=-1))
    mapped: FloatArray = special.softmax(np.einsum("gij,ngj->ngi", how[..., :-1], logs) + how[..., -1], axis=-1)
    return mapped


def checked_maps(values: list[list[list[list[float]]] | None], scheme: Scheme) -> tuple[Map | None, ...]:
    """Read the maps of a checkpoint's header.

    Raises
    ------
    CheckpointError
        If they do not fit the scheme.
    """
    maps = tuple(None if m is None else np.array(m, dtype=np.float64) for m in values)
    answers = [len(q.answers) for q in scheme.questions]
    shapes = [(n, 2, 3) if scheme.kind == "independent" else (1, n, n + 1) for n in answers]
    if maps and (
        len(maps) != len(shapes) or any(m is not None and m.shape != s for m, s in zip(maps, shapes, strict=True))
    ):
        raise CheckpointError(f"its calibration does not fit the questions of scheme '{scheme.name}'")
    if not all(np.isfinite(m).all() for m in maps if m is not None):
        raise CheckpointError("its calibration holds numbers that are not finite")
    return maps


def fit_calibration(
    scheme: Scheme, uncalibrated: FloatArray, labels: Labels, method: str = "temperature"
) -> Calibration:
    """Calibrate each question on votes that the network was not trained on.

    Parameters
    ----------
    uncalibrated
        (N, A) conditional probabilities at a temperature of 1.
    labels
        Of the same rows.
    method
        ``'temperature'``, or ``'dirichlet'``: where the cross-validated likelihood prefers it.

    Raises
    ------
    PipelineError
        If the method is unknown.
    """
    if method not in METHODS:
        raise PipelineError(unknown_name("method of calibration", method, METHODS))
    temperatures = fit_temperatures(scheme, uncalibrated, labels)
    if method == "temperature":
        return Calibration(temperatures)
    maps: list[Map | None] = []
    held_out = {}
    for question, where in zip(scheme.questions, scheme.slices, strict=True):
        p, counts = _asked(scheme, uncalibrated[:, where], labels.counts[:, where], labels.totals[:, where])
        chosen, scores = _best_map(p, counts)
        maps.append(chosen)
        held_out[question.name] = scores
    return Calibration(temperatures, tuple(maps) if any(m is not None for m in maps) else (), held_out)


def fit_temperatures(scheme: Scheme, uncalibrated: FloatArray, labels: Labels) -> tuple[float, ...]:
    """Find the temperature of each question that makes held-out votes likeliest.

    Parameters
    ----------
    uncalibrated
        (N, A) conditional probabilities at a temperature of 1.
    labels
        Votes of the same rows, which the network was not trained on.

    Returns
    -------
    One temperature per question; 1 where nobody was asked.
    """
    return tuple(
        _temperature(*_asked(scheme, uncalibrated[:, w], labels.counts[:, w], labels.totals[:, w]))
        for w in scheme.slices
    )


def _asked(scheme: Scheme, p: FloatArray, counts: FloatArray, totals: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Group the probabilities and votes, (M, G, K), of the rows where a question was asked."""
    rows = totals.max(axis=1, initial=0.0) > 0
    yes = counts[rows]
    votes = np.stack([yes, totals[rows] - yes], axis=-1) if scheme.kind == "independent" else yes[:, None, :]
    return _grouped(np.clip(p[rows], _TINY, 1.0 - _TINY), scheme), votes


def _unlikelihood(p: FloatArray, counts: FloatArray) -> float:
    """Negative log likelihood per vote."""
    total: float = -(counts * np.log(np.clip(p, _TINY, 1.0))).sum() / max(counts.sum(), _TINY)
    return total


def _temperature(p: FloatArray, counts: FloatArray) -> float:
    if counts.sum() == 0:
        return 1.0
    low, high = np.log(_LIMITS)
    best = scipy.optimize.minimize_scalar(
        lambda log_t: _unlikelihood(_mapped(p, float(np.exp(log_t))), counts), bounds=(low, high), method="bounded"
    )
    return float(np.exp(best.x))


def _best_map(p: FloatArray, counts: FloatArray) -> tuple[Map | None, dict[str, float]]:
    """Fit a map with the penalty that cross-validation prefers; None where a temperature does as well."""
    if len(p) < 2 * _FOLDS:
        return None, {}
    plain = _held_out(p, counts, _temperature)
    scores = [_held_out(p, counts, partial(_fit_map, strength=strength)) for strength in _PENALTIES]
    best = int(np.argmin(scores))
    chosen = _fit_map(p, counts, _PENALTIES[best]) if scores[best] < plain else None
    return chosen, {"temperature": plain, "dirichlet": scores[best], "penalty": _PENALTIES[best]}


def _held_out(p: FloatArray, counts: FloatArray, fit: Callable[[FloatArray, FloatArray], float | Map]) -> float:
    """Cross-validated negative log likelihood per vote."""
    # Tables may be sorted: galaxies are dealt to the folds in an order that is random but always the same.
    fold = np.random.default_rng(0).permutation(len(p)) % _FOLDS
    mapped = np.empty_like(p)
    for number in range(_FOLDS):
        out = fold == number
        mapped[out] = _mapped(p[out], fit(p[~out], counts[~out]))
    return _unlikelihood(mapped, counts)


def _fit_map(p: FloatArray, counts: FloatArray, strength: float) -> Map:
    """Fit W and b of each group by convex minimisation: likelihood per vote plus the ODIR penalties."""
    logs = np.log(p)
    start = 1.0 / _temperature(p, counts)
    return np.stack([_fit_group(logs[:, g], counts[:, g], strength, start) for g in range(p.shape[1])])


def _fit_group(logs: FloatArray, counts: FloatArray, strength: float, start: float) -> Map:
    k = logs.shape[1]
    inputs = np.hstack([logs, np.ones((len(logs), 1))])
    # ODIR: means of squares over the off-diagonal elements and over the intercepts; the diagonal is free.
    weight = np.full((k, k + 1), strength / max(k * (k - 1), 1))
    weight[:, k] = strength / k
    weight[np.arange(k), np.arange(k)] = 0.0
    asked = max(counts.sum(), _TINY)

    def loss(flat: FloatArray) -> tuple[float, FloatArray]:
        w = flat.reshape(k, k + 1)
        scores = inputs @ w.T
        log_p = special.log_softmax(scores, axis=1)
        wrong = counts.sum(axis=1, keepdims=True) * np.exp(log_p) - counts
        value = -float((counts * log_p).sum()) / asked + float((weight * w**2).sum())
        return value, (wrong.T @ inputs / asked + 2.0 * weight * w).ravel()

    first = np.hstack([start * np.eye(k), np.zeros((k, 1))]).ravel()
    best = scipy.optimize.minimize(loss, first, jac=True, method="L-BFGS-B", options={"maxiter": 500})
    return np.asarray(best.x, dtype=np.float64).reshape(k, k + 1)
