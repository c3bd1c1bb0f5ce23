"""Sections: what a pipeline says of images, network, votes, added galaxies and calibration, each a small dataclass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from galmorph.errors import PipelineError, unknown_name
from galmorph.interval import COUNT, POSITIVE, Interval, check_numbers
from galmorph.learning.cuts import read_cuts
from galmorph.nets.checkpoint.calibrate import METHODS
from galmorph.nets.checkpoint.prediction_sets import KINDS
from galmorph.toml import build, others, to_table

__all__ = [
    "CalibrationSettings",
    "Fractions",
    "NetworkChoice",
    "Simulated",
    "Stars",
    "Teacher",
    "TrainingImages",
    "fractions_of",
]


@dataclass(frozen=True)
class TrainingImages:
    """The section ``[images]``: what images the labels belong to.

    Parameters
    ----------
    survey, band
        Of the images.
    data
        Where they and the labels come from, in words.
    """

    survey: str
    band: str
    data: str = ""


@dataclass(frozen=True)
class NetworkChoice:
    """The section ``[network]``: a network that is named, perhaps changed, or one that is written out.

    Parameters
    ----------
    name
        Of a network that ships, or its file (a relative one lies beside the pipeline); '' for the usual one. Of a
        network that is written out, any name.
    layers
        One layer a line, of a network that is written out.
    settings
        Values for settings of the network; further keys of a network that is written out.
    """

    name: str = ""
    layers: str = ""
    settings: Mapping[str, Any] = others()

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as :meth:`galmorph.nets.architecture.network.NetworkConfig.from_dict` takes them."""
        return to_table(self)


@dataclass(frozen=True)
class Fractions:
    """The section ``[fractions]``: how the votes in a table count for the answers of the scheme.

    Without `votes` and `shares_of` each row is the vote of one person, who may have ticked several answers.

    Parameters
    ----------
    votes
        The columns whose sum is the number of votes.
    columns
        Answer to the columns whose votes count for it.
    shares_of
        The column with the number of votes, of which those of `columns` are shares.
    galaxy
        The column by which rows are votes on the same galaxy; '' where each row is a galaxy.
    where
        Which rows count, as ``"Hmag < 24.5"``: see :mod:`galmorph.learning.cuts`; '' for all.
    """

    votes: tuple[str, ...] = ()
    columns: Mapping[str, tuple[str, ...]] = others()
    shares_of: str = ""
    galaxy: str = ""
    where: str = ""

    def __post_init__(self) -> None:
        read_cuts(self.where)
        if self.votes and self.shares_of:
            raise PipelineError("votes and shares_of both say how many votes there are: leave one of them out")


def fractions_of(table: Mapping[str, Any], what: str) -> Fractions | None:
    """Read the fractions that a checkpoint holds; None for an empty table.

    Raises
    ------
    PipelineError
        If they are none.
    """
    return build(Fractions, table, what, "fractions") if table else None


@dataclass(frozen=True)
class Stars:
    """The section ``[stars]``: synthetic stars in the training and validation parts.

    Parameters
    ----------
    count
        Their number.
    rpet_px
        Petrosian radius with which they are drawn, in pixels.
    answer
        That they have.
    """

    count: int
    rpet_px: float
    answer: str

    def __post_init__(self) -> None:
        check_numbers(self, {"count": Interval(0, whole=True), "rpet_px": POSITIVE})


@dataclass(frozen=True)
class Simulated:
    """The section ``[simulated]``: galaxies of simulated fields in the training and validation parts.

    Parameters
    ----------
    survey, band, rows, seed
        As for :func:`galmorph.simulate`.
    votes
        For how many votes the fractions of their truth count.
    """

    survey: str
    band: str
    rows: int
    seed: int
    votes: float

    def __post_init__(self) -> None:
        check_numbers(self, {"rows": COUNT, "seed": Interval(0, whole=True), "votes": POSITIVE})


@dataclass(frozen=True)
class Teacher:
    """The section ``[teacher]``: what galaxies of the training part without a label are taught by.

    Parameters
    ----------
    checkpoint
        The name of one that ships, or a file (a relative one lies beside the pipeline), with the same answers.
    votes
        For how many votes its answers count.
    """

    checkpoint: str
    votes: float = 15.0

    def __post_init__(self) -> None:
        check_numbers(self, {"votes": POSITIVE})


@dataclass(frozen=True)
class CalibrationSettings:
    """The section ``[calibration]``: how probabilities, prediction sets and envelope are fitted.

    Parameters
    ----------
    method
        ``'temperature'``, or ``'dirichlet'``: Dirichlet maps for the questions where cross-validation prefers them.
    sets
        Kind of prediction sets: ``'lac'`` or ``'aps'``; see
        :class:`galmorph.nets.checkpoint.prediction_sets.PredictionSets`.
    coverage
        Nominal coverage of the sets.
    by_class
        Whether each answer gets a threshold of its own.
    false_alarms
        Share of galaxies like the training images that the embedding may call outside.
    """

    method: str = "temperature"
    sets: str = "lac"
    coverage: float = 0.9
    by_class: bool = False
    false_alarms: float = 0.01

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise PipelineError(unknown_name("method of calibration", self.method, METHODS))
        if self.sets not in KINDS:
            raise PipelineError(unknown_name("kind of prediction sets", self.sets, KINDS))
        for name in ("coverage", "false_alarms"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise PipelineError(f"{name} = {getattr(self, name)}: expected a number between 0 and 1")
