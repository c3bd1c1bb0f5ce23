"""LearntShares: how much each of several classifiers should count, by galaxies that it has not learnt from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from galmorph.nets.architecture.kinds import FeatureShape, parse_line
from galmorph.nets.architecture.layers import conditional_log_probabilities
from galmorph.nets.checkpoint.blend import fit_shares
from galmorph.nets.features.classifier import Classifier, Head, ViewSample, dealt, fit_head, folds_of
from galmorph.sky.scheme import Labels, Scheme

__all__ = ["answers_of", "learnt_shares", "unseen_answers"]

FloatArray = npt.NDArray[np.float64]
Single = npt.NDArray[np.float32]
_TREES = 100
"""Of forests that are grown without a fold: more hardly change what they say."""

_EQUAL = 12.0
"""Galaxies with which the belief counts that all shares are equal: fewer or more gave less likely answers with 50, 100
and 200 labels."""


def answers_of(head: Head, features: Single, scheme: Scheme) -> FloatArray:
    """Return what a layer makes of features, (N, F): conditional probabilities, (N, A)."""
    layer, _ = parse_line(head.line).build(FeatureShape(features.shape[1]), scheme)
    layer.load_state_dict({name: torch.from_numpy(np.asarray(array)) for name, array in head.arrays.items()})
    with torch.inference_mode():
        return _chances(layer.eval()(torch.from_numpy(features)).double(), scheme)


def _chances(logits: torch.Tensor, scheme: Scheme) -> FloatArray:
    log_p = conditional_log_probabilities(logits, scheme.slices, independent=scheme.kind == "independent")
    return np.asarray(log_p.exp().numpy())


def unseen_answers(
    method: str, sample: ViewSample, settings: Classifier, *, head: Head | None = None, seed: int = 1
) -> FloatArray:
    """Return what a classifier says of the first view of each galaxy when it has learnt from others, (G, A).

    The galaxies are dealt to folds, and it is fitted anew without each of these, unless it was when it was fitted.

    Parameters
    ----------
    method, sample, settings, seed
        As of :func:`galmorph.nets.features.classifier.fit_head`.
    head
        What that returned of all galaxies.
    """
    scheme, galaxy = sample.scheme, sample.votes.galaxy
    galaxies, first = np.unique(galaxy, return_index=True)
    if head is not None and head.unseen is not None:
        return _chances(torch.from_numpy(np.nan_to_num(head.unseen[first])), scheme)
    settings = replace(settings, trees=min(settings.trees, _TREES))
    folds, fold = min(folds_of(len(galaxies)), len(galaxies)), dealt(len(galaxies))
    fold_of_view = fold[np.searchsorted(galaxies, galaxy)]
    answers = np.zeros((len(galaxies), len(scheme.keys)))

    def without(number: int) -> None:
        part = fit_head(method, sample.only(fold_of_view != number), settings, seed=seed)
        out = fold == number
        answers[out] = answers_of(part, sample.features[first[out]], scheme)

    # Trees grow outside of Python, by one thread each.
    with ThreadPoolExecutor(min(folds, torch.get_num_threads())) as threads:
        for done in [threads.submit(without, number) for number in range(folds)]:
            done.result()
    return answers


def learnt_shares(
    heads: Sequence[Head],
    sample: ViewSample,
    settings: Classifier,
    *,
    seed: int = 1,
    fitting: Callable[[str], object] = str,
) -> list[float]:
    """Find the shares of classifiers in their mixture that make the votes on unseen galaxies likeliest.

    Stacking (Wolpert 1992, Neural Networks 5, 241) by a mixture, whose shares are positive and have the sum 1.

    Parameters
    ----------
    heads
        K classifiers, one for each method of `settings`, fitted to the sample.
    fitting
        Called with the name of each before it is fitted anew.

    Returns
    -------
    K shares; equal ones of fewer than two galaxies.
    """
    votes = sample.votes
    galaxies, first = np.unique(votes.galaxy, return_index=True)
    if len(galaxies) < 2:
        return [1.0 / len(heads)] * len(heads)
    unseen = []
    for method, head in zip(settings.method, heads, strict=True):
        fitting(method)
        unseen.append(unseen_answers(method, sample, settings, head=head, seed=seed))
    # Each galaxy counts as one vote for each question that it was asked, whatever the number of people.
    weight = (votes.weight[first] / votes.weight[first].mean())[:, None]
    counts, totals = votes.counts[first], votes.totals[first]
    asked = np.where(totals > 0, totals, 1.0)
    labels = Labels(weight * counts / asked, weight * (totals > 0))
    return fit_shares(unseen, labels, sample.scheme, equal=_EQUAL)
