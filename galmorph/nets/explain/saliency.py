"""Saliency: which pixels of a stamp an answer hangs on.

Smooth gradients (Smilkov et al. 2017, arXiv:1706.03825): the gradient of an answer with respect to the pixels, averaged
over noisy copies of the stamp, because the gradient at a single point follows every ripple of the network.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from galmorph.nets.architecture.layers import ORDER
from galmorph.nets.architecture.layers import turned as turned_by
from galmorph.nets.architecture.network import Network
from galmorph.sky.scheme import Scheme

__all__ = ["COPIES", "NOISE", "log_odds", "smooth_gradients"]

FloatArray = npt.NDArray[np.float32]

COPIES = 32
"""Noisy copies of each stamp; multiples of the eight orientations of the square."""
NOISE = 0.1
"""Standard deviation of the noise, in units of the stamp's range from least to largest value."""


def log_odds(logits: torch.Tensor, answer: int, scheme: Scheme) -> torch.Tensor:  # (B, A) -> (B,)
    """Return the logarithm of p / (1 - p) of an answer given that its question is asked.

    Unlike p itself it does not level off where the network is certain, and unlike a logit it counts what speaks for
    the other answers.
    """
    if scheme.kind == "independent":
        return logits[:, answer]
    where = next(w for w in scheme.slices if w.start <= answer < w.stop)
    others = [i for i in range(where.start, where.stop) if i != answer]
    if not others:
        return logits[:, answer]
    return logits[:, answer] - torch.logsumexp(logits[:, others], dim=1)


def smooth_gradients(
    network: Network,
    stamp: FloatArray,
    answer: int,
    morphometry: FloatArray | None = None,
    *,
    copies: int = COPIES,
    noise: float = NOISE,
    seed: int = 0,
) -> FloatArray:
    """Compute how much each pixel of a stamp moves the log odds of an answer.

    A network whose answers are averaged over the eight orientations sees each of them equally often.

    Parameters
    ----------
    stamp
        (C, S, S) stretched stamp.
    answer
        Number of the answer among the scheme's keys.
    morphometry
        (K,) of the galaxy, for networks that take it; None for none.
    copies, noise
        How many noisy copies, and their noise in units of the stamp's range.
    seed
        Of the noise.

    Returns
    -------
    (S, S): the sum over the planes of the gradients' absolute values.
    """
    original = torch.from_numpy(np.ascontiguousarray(stamp))
    sigma = noise * float(original.max() - original.min())
    generator = torch.Generator().manual_seed(seed)
    total = torch.zeros_like(original)
    orientations = range(ORDER) if network.views == "eight" else range(1)
    beside = None if morphometry is None else torch.from_numpy(np.ascontiguousarray(morphometry[None]))
    for element in orientations:
        batch = original + sigma * torch.randn(
            max(copies // len(orientations), 1), *original.shape, generator=generator
        )
        batch.requires_grad_()
        with torch.enable_grad():
            logits = network(turned_by(batch, element), None if beside is None else beside.expand(len(batch), -1))
            odds = log_odds(logits.float(), answer, network.scheme)
            (gradient,) = torch.autograd.grad(odds.sum(), batch)
        total += gradient.mean(dim=0)
    summed: FloatArray = (total / len(orientations)).abs().sum(dim=0).numpy()
    return summed
