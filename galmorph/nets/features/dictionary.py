"""Dictionary: the section ``[features]`` of a pipeline, and patches of stamps that centroids are learnt of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from galmorph.errors import PipelineError
from galmorph.interval import COUNT, UNSIGNED, Interval, check_numbers

__all__ = ["KMeansFeatures", "draw_patches"]

FloatArray = npt.NDArray[np.float32]
POOLS = ("mean", "maximum", "spread")
_WIDEST = 32
_NUMBERS = {
    **dict.fromkeys(("centroids", "stride", "iterations", "rings", "views", "reduced"), COUNT),
    **dict.fromkeys(("damping", "regulariser", "threshold"), UNSIGNED),
    "patch": Interval(2, whole=True),
    "patches": Interval(100, whole=True),
    "light": Interval(0, whole=True),
}


@dataclass(frozen=True)
class KMeansFeatures:
    """The section ``[features]``: what is learnt of stamps without labels, by spherical k-means (Coates & Ng 2012).

    Parameters
    ----------
    method
        ``'kmeans'``.
    centroids
        How many patterns are learnt.
    reduced
        By how much the resolution of stamps is reduced first.
    patch, stride
        Side of the patches in these pixels, and from one to the next where stamps are encoded.
    patches
        Drawn at random from the training stamps.
    iterations, damping
        Of the clustering: see :func:`galmorph.nets.features.spherical_kmeans.spherical_kmeans`.
    contrast
        Standard deviation of the pixels of a patch that is added, in squares, to its own before it is divided by that.
    regulariser
        Of the whitening: share of the mean variance that is added to all.
    threshold
        Below which a projection counts for nothing.
    rings
        About the centre, over each of which projections are pooled, and over all.
    pools
        Some of ``'mean'``, ``'maximum'``, and with `square` ``'spread'``, by how much the mean differs
        over orientations.
    square
        Whether each pattern is looked for in the eight orientations of the square, which makes features the same for
        flips and quarter turns of the stamp.
    light
        Rings of the whole stamp, of each of which the light's mean, second harmonic and asymmetry are features, too,
        which normalised patches do not know; 0 for none.
    root
        Whether the root of each feature is taken, with its sign.
    views
        Of each galaxy, that the classifier learns from: the upright one, and random ones by ``[augmentation]``.
    unlabelled
        Whether patches are drawn from training galaxies without a label, too.
    """

    method: str = "kmeans"
    centroids: int = 200
    reduced: int = 1
    patch: int = 8
    stride: int = 2
    patches: int = 100_000
    iterations: int = 20
    damping: float = 1.0
    contrast: float = 0.03
    regulariser: float = 0.1
    threshold: float = 0.25
    rings: int = 4
    pools: tuple[str, ...] = POOLS
    square: bool = True
    light: int = 0
    root: bool = False
    views: int = 2
    unlabelled: bool = False

    def __post_init__(self) -> None:
        check_numbers(self, _NUMBERS)
        if self.method != "kmeans" or self.contrast <= 0.0 or self.patch > _WIDEST:
            raise PipelineError(
                f"method = {self.method!r}, contrast = {self.contrast}, patch = {self.patch}: expected 'kmeans', a "
                f"positive contrast, and patches of at most {_WIDEST} pixels"
            )
        if "spread" in self.pools and not self.square:
            raise PipelineError("the pool 'spread' is over orientations: expected square = true with it")
        if not self.pools or set(self.pools) - set(POOLS) or len(set(self.pools)) < len(self.pools):
            raise PipelineError(f"pools = {list(self.pools)}: expected some of {', '.join(POOLS)}, each once")

    def layers(self) -> str:
        """Write the layers that make features of stamps."""
        square = " square" if self.square else ""
        reduced = f"pool {self.reduced}x{self.reduced} mean\n" if self.reduced > 1 else ""
        options = f"stride {self.stride} threshold {self.threshold:g}{square}"
        encoding = f"{reduced}kmeans {self.centroids} {self.patch}x{self.patch} {options}"
        light, root = f"\nlight {self.light}" if self.light else "", "\nroot" if self.root else ""
        return f"{encoding}\nrings {self.rings} {' '.join(self.pools)}{light}{root}"


def draw_patches(stamps: FloatArray, patch: int, count: int, seed: int) -> FloatArray:
    """Cut patches at random places out of random stamps, each in one of the eight orientations of the square.

    Parameters
    ----------
    stamps
        (N, C, S, S).

    Returns
    -------
    (count, C · patch²).
    """
    rng = np.random.default_rng(seed)
    number, _, side, _ = stamps.shape
    which = rng.integers(number, size=count)
    y, x = (rng.integers(side - patch + 1, size=count)[:, None, None] for _ in range(2))
    step = np.arange(patch)
    cut = stamps[which[:, None, None], :, y + step[None, :, None], x + step[None, None, :]]  # (count, w, w, C)
    out = np.ascontiguousarray(np.moveaxis(cut, -1, 1), dtype=np.float32)
    element = rng.integers(8, size=count)
    for turn in range(8):
        chosen = element == turn
        turned = np.rot90(out[chosen], turn % 4, axes=(2, 3))
        out[chosen] = turned[..., ::-1] if turn >= 4 else turned
    return out.reshape(count, -1)
