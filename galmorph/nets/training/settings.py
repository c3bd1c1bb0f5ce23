"""Settings: what a pipeline may say about training, and about the random views that networks learn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from galmorph.errors import PipelineError, unknown_name
from galmorph.interval import COUNT, FRACTION, POSITIVE, UNSIGNED, Interval, check_numbers
from galmorph.nets.training.loss import LOSSES
from galmorph.stamps.recipe import Recipe

__all__ = [
    "DISTANCES",
    "THRESHOLDS",
    "Augmentation",
    "EnsembleSettings",
    "Observation",
    "Pair",
    "TrainingSettings",
    "Unlabelled",
    "completed",
]

Pair = tuple[float, float]

CLASS_WEIGHTS = ("none", "balanced", "effective")
DISTANCES = ("squared", "divergence")
THRESHOLDS = ("fixed", "learnt", "aligned")
_OPTIMISERS = ("adamw", "sgd")
_NUMBERS = ("psf_fwhm_arcsec", "scale_arcsec")
_OF_UNLABELLED = {
    "weight": UNSIGNED,
    "share": UNSIGNED,
    "warmup": FRACTION,
    "threshold": FRACTION,
    "temperature": POSITIVE,
}
# Without an epoch, or with a patience of none, a network would be kept as it was drawn by lot.
_OF_LOOP = {
    "epochs": COUNT,
    "batch": COUNT,
    "learning_rate": POSITIVE,
    "weight_decay": UNSIGNED,
    "smoothing": Interval(0.0, 1.0, below=True),
    "average": Interval(0.0, 1.0, below=True),
    "patience": COUNT,
    "seed": Interval(0, 2**40, whole=True),  # times some 100 000 it is the seed of an epoch, of 64 bits
}
_OF_VIEWS = {
    "zoom": Interval(1.0),
    "shift": UNSIGNED,
    "brightness": UNSIGNED,
    "colour": UNSIGNED,
    "blur": UNSIGNED,
    "noise": UNSIGNED,
    "absent": FRACTION,
    "wrong": FRACTION,
}


def _check_word(what: str, value: object, words: tuple[str, ...]) -> None:
    if value not in words:
        raise PipelineError(unknown_name(what, str(value), words))


@dataclass(frozen=True)
class Unlabelled:
    """How galaxies without a label are learnt from: answers to two random views of one should agree.

    One view is answered by the network, the other by the running average of its weights, the *mean teacher*
    (Tarvainen & Valpola 2017, arXiv:1703.01780).

    Parameters
    ----------
    weight
        Of the disagreement beside the loss of the labels, at full strength.
    share
        Galaxies without a label in a batch for each one with.
    warmup
        Share of all steps in which the weight rises to its full strength, as exp(-5 (1 - t)²).
    threshold
        Questions count only where the average gives its likeliest answer at least this probability (as in FixMatch,
        Sohn et al. 2020, arXiv:2001.07685); 0 counts all.
    thresholds
        ``'fixed'``: the same for all answers. ``'learnt'``: lower for answers of which fewer galaxies are sure: the
        threshold times b / (2 - b), b their number for each of the answer that has most (Zhang et al. 2021,
        arXiv:2110.08263). ``'aligned'``: lowered so far that as large a share of each answer's galaxies counts as of
        the most frequent answer's (Jiang et al. 2023, RAA 23, 115019). Neither is ever above `threshold`.
    temperature
        Below 1 the average's probabilities of a question are sharpened: raised to 1 / T and normalised (Xie et al.
        2020, arXiv:1904.12848).
    distance
        ``'squared'``: squared differences of the probabilities, summed over the answers; ``'divergence'``:
        Kullback and Leibler's, of each question by the probability that it is asked.
    """

    weight: float = 1.0
    share: float = 1.0
    warmup: float = 0.2
    threshold: float = 0.0
    thresholds: str = "fixed"
    temperature: float = 1.0
    distance: str = "squared"

    def __post_init__(self) -> None:
        _check_word("distance", self.distance, DISTANCES)
        _check_word("thresholds", self.thresholds, THRESHOLDS)
        check_numbers(self, _OF_UNLABELLED)
        if self.thresholds != "fixed" and not self.threshold:
            raise PipelineError(f"thresholds = '{self.thresholds}' lower a threshold: expected one above 0")


def completed(unlabelled: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Put the defaults into settings of :class:`Unlabelled` that were kept before some of them existed."""
    return None if unlabelled is None else {**asdict(Unlabelled()), **unlabelled}


@dataclass(frozen=True)
class TrainingSettings:
    """Settings of the loop: AdamW with a one-cycle learning rate, or SGD by steps, and an average of the weights.

    Parameters
    ----------
    epochs, batch, learning_rate, weight_decay
        As usual; an epoch shows every labelled galaxy once, but for those of a last batch that would not be full.
    loss
        One of the modules of :mod:`galmorph.nets.training.loss`.
    class_weights
        Of rare answers to the first question: ``'none'``, ``'balanced'`` or ``'effective'``: see
        :mod:`galmorph.nets.training.balance`.
    unlabelled
        How galaxies without a label are learnt from; None leaves them out.
    optimiser
        ``'adamw'``: the learning rate rises over the first tenth and falls as a cosine; ``'sgd'``: Nesterov momentum
        of .9, and the learning rate falls to a tenth at 72 % and again at 92 % of all steps (Dieleman et al. 2015).
    smoothing
        Share of each label spread evenly over the answers.
    average
        Decay per step of the exponential moving average of the weights, which is what is kept.
    patience
        Stop after so many epochs without a better validation loss.
    seed
        Of everything random.
    bfloat16
        Compute convolutions in bfloat16, where the device has it.
    compile
        Let torch compile the network; worth its minutes on a GPU.
    tensorboard
        Write event files for TensorBoard beside the checkpoint.
    frozen
        Keep the weights that make features of stamps as they are at the start; only what makes answers of features, and
        of the morphometry, learns.
    """

    epochs: int = 60
    batch: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 0.03
    smoothing: float = 0.0
    average: float = 0.995
    patience: int = 15
    seed: int = 1
    bfloat16: bool = True
    optimiser: str = "adamw"
    loss: str = "likelihood"
    class_weights: str = "none"
    unlabelled: Unlabelled | None = None
    compile: bool = False
    tensorboard: bool = False
    frozen: bool = False

    def __post_init__(self) -> None:
        _check_word("optimiser", self.optimiser, _OPTIMISERS)
        _check_word("loss", self.loss, LOSSES)
        _check_word("class_weights", self.class_weights, CLASS_WEIGHTS)
        check_numbers(self, _OF_LOOP)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


@dataclass(frozen=True)
class EnsembleSettings(TrainingSettings):
    """The section ``[train]`` of a pipeline: how many networks learn, from what they start, and the loop of each.

    Parameters
    ----------
    members
        Networks whose probabilities are averaged; the seed of each further one is higher by 1.
    start
        Name or file of the checkpoint with whose weights they begin; empty for random ones.
    """

    members: int = 1
    start: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_numbers(self, {"members": COUNT})
        if self.frozen and not self.start:
            raise PipelineError("frozen = true without a start would keep random weights: name a checkpoint as start")

    @property
    def loop(self) -> TrainingSettings:
        """Those of the first network's loop."""
        return TrainingSettings(**{f.name: getattr(self, f.name) for f in fields(TrainingSettings)})


@dataclass(frozen=True)
class Augmentation:
    """Ranges of random views: rotations, mirror images, zooms and shifts, brightness and noise.

    Parameters
    ----------
    angles
        Rotations in degrees that one is drawn from; any angle where none is named.
    mirror
        Whether half of the views are mirror images.
    zoom
        Largest zoom; drawn between its inverse and itself, uniform in the logarithm.
    shift
        Largest shift per axis in half-widths of the stamp.
    brightness
        Standard deviation of the logarithm of a factor on the pixels.
    colour
        Standard deviation of the logarithm of a factor on each plane.
    tint
        Values added to the planes, all times one normal number: along the main axis of the colours of galaxies this
        is the colour noise of Krizhevsky et al. (2012).
    blur
        Largest Gaussian blur; the standard deviation, in stamp pixels, is drawn from 0 up to it.
    noise
        Standard deviation of white noise added to display stamps.
    absent
        Share of the galaxies that are shown without any of their morphometry, and of the single values that are left
        out; only for networks that take it. The others are jittered by their errors.
    wrong
        Share of the values that another galaxy's take the place of, so that no network relies on any of them.
    observation
        Degrade to another survey's resolution, pixels and depth.
    """

    angles: tuple[float, ...] = ()
    mirror: bool = True
    zoom: float = 1.2
    shift: float = 0.06
    brightness: float = 0.1
    colour: float = 0.0
    tint: tuple[float, ...] = ()
    blur: float = 0.0
    noise: float = 0.0
    absent: float = 0.2
    wrong: float = 0.05
    observation: Observation | None = None

    def __post_init__(self) -> None:
        check_numbers(self, _OF_VIEWS)

    def check(self, recipe: Recipe) -> None:
        """Refuse what makes no sense for stamps of a recipe.

        Raises
        ------
        PipelineError
            If there is not one tint for each plane, or display stamps, whose light is compressed, are to be observed.
        """
        if self.tint and len(self.tint) != recipe.planes:
            raise PipelineError(
                f"[augmentation] tint has {len(self.tint)} values for {recipe.planes} plane(s): expected one for each"
            )
        if self.observation is not None and recipe.stretch == "display":
            raise PipelineError(
                '[augmentation.observation] needs linear light, and stretch = "display" keeps a picture as it is: '
                'take stretch = "asinh", or blur and noise of [augmentation]'
            )


@dataclass(frozen=True)
class Observation:
    """Make one survey's stamps resemble another's: a wider PSF, coarser pixels, more noise and another stretch.

    A range is a pair from which each galaxy's value is drawn, uniform in its logarithm.

    Parameters
    ----------
    psf_fwhm_arcsec, native_fwhm_arcsec
        Widths of the target's (a number or a range) and the training images' point-spread functions; they include
        the pixels.
    scale_arcsec
        Pixel scale of the target, a number or a range.
    rpet_arcsec
        Range of the galaxy's apparent Petrosian radius.
    snr
        Range of the signal-to-noise ratio inside the Petrosian radius.
    star_rpet_arcsec
        Range of the apparent Petrosian radius of synthetic stars, which have the target's PSF already.
    pixels
        Sample the galaxy at the target's pixels (at a random place between them), add noise that is independent in
        each, and interpolate back to the stamp's. Without it the stamp's own pixels stay, and the noise is smoothed by
        about the target's.
    softening
        Range of a softening s in units of the mean brightness inside the Petrosian radius: light is compressed as
        s·arcsinh(x / s), noise included, and scaled so that this mean is as before. None leaves it linear.
    """

    psf_fwhm_arcsec: float | Pair
    native_fwhm_arcsec: float
    scale_arcsec: float | Pair
    rpet_arcsec: Pair
    snr: Pair
    star_rpet_arcsec: Pair = (0.2, 0.2)
    pixels: bool = False
    softening: Pair | None = None

    def __post_init__(self) -> None:
        for name in ("psf_fwhm_arcsec", "scale_arcsec", "rpet_arcsec", "snr", "star_rpet_arcsec", "softening"):
            value, pair = getattr(self, name), name not in _NUMBERS
            if value is not None and not _is_range(value, pair=pair):
                shown = list(value) if isinstance(value, tuple) else value
                number = "" if pair else "a positive number or "
                raise PipelineError(f"{name} = {shown}: expected {number}a pair of rising positive numbers")


def _is_range(value: object, *, pair: bool) -> bool:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return not pair and value > 0
    if not isinstance(value, tuple) or len(value) != 2 or not all(isinstance(v, int | float) for v in value):
        return False
    return bool(0 < value[0] <= value[1])
