"""LabelledTable: a catalogue with labels and images, whose rows are divided into train, validation and test."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from galmorph.errors import PipelineError, unknown_name
from galmorph.learning.counted import counted_votes
from galmorph.learning.pipeline import TrainPipeline
from galmorph.learning.sections import Fractions, fractions_of
from galmorph.learning.split import ALL, SPLITS, HashSplit, NamedBy, Split, named_by, read_split, settled
from galmorph.learning.viewed import observation_of
from galmorph.nets.checkpoint.file import Checkpoint
from galmorph.nets.evaluate import mean_fractions
from galmorph.nets.training.settings import Observation
from galmorph.runs.gather import Gathering
from galmorph.runs.plan import check_planes
from galmorph.sky.catalog import Catalog
from galmorph.sky.images import ImageSource
from galmorph.sky.images.file_names import FileNames
from galmorph.sky.scheme import Labels, Scheme, load_scheme

__all__ = ["LabelledTable", "divided", "divided_again", "labels_from", "names_of", "warn_of_sameness"]

log = logging.getLogger(__name__)

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LabelledTable:
    """Rows with labels and images.

    Parameters
    ----------
    gathering
        Catalogue and images.
    labels
        Of all rows.
    splits
        (N,) for what each row is, of :data:`galmorph.learning.split.SPLITS`.
    scheme
        Whose answers the labels are.
    observation
        How the images are degraded to another survey; None for not at all.
    split
        How the rows were divided, so that others can be divided alike; None where there is one part.
    """

    gathering: Gathering
    labels: Labels
    splits: npt.NDArray[np.str_]
    scheme: Scheme
    observation: Observation | None = None
    split: Split | None = None

    @cached_property
    def is_labelled(self) -> npt.NDArray[np.bool_]:
        """Which rows have a label, (N,)."""
        return self.labels.are_there

    def rows(self, split: str) -> npt.NDArray[np.intp]:
        """Return the labelled rows of one split, or of ``'all'``."""
        return np.flatnonzero(self.is_labelled & ((self.splits == split) | (split == ALL)))

    @cached_property
    def constant(self) -> FloatArray:
        """The mean fractions of the training rows, (A,): what a network must be better than.

        Of a table without any, such as one that the network has never seen, those of all of its rows.
        """
        training = self.rows("train")
        return mean_fractions(self.labels.take(training if len(training) else self.rows(ALL)), self.scheme)


def divided(pipeline: TrainPipeline, catalog: Catalog, images: ImageSource) -> LabelledTable:
    """Label the rows of a catalogue and divide them as a pipeline says.

    Raises
    ------
    PipelineError, SchemeError
        If columns are missing, or labels are not the scheme's.
    """
    check_planes(pipeline.recipe, f"pipeline '{pipeline.name}'", images)
    scheme = load_scheme(pipeline.scheme)
    labels = labels_from(catalog, scheme, pipeline.fractions)
    named = named_by(pipeline.split) or _usual_names(catalog)
    _check_names(pipeline.split, catalog, f"pipeline '{pipeline.name}'")
    names = names_of(catalog, images, named)
    # Where blocks begin is a matter of the rows with a label, however many without one are learnt from.
    split = settled(pipeline.split, [names[row] for row in np.flatnonzero(labels.are_there).tolist()], named)
    splits = split.divide(names, catalog.table)
    gathering = Gathering(catalog, images, pipeline.recipe.half_width_rpet)
    return LabelledTable(gathering, labels, splits, scheme, pipeline.augmentation.observation, split)


def divided_again(
    checkpoint: Checkpoint, catalog: Catalog, images: ImageSource, split: str, *, is_new: bool = False
) -> LabelledTable:
    """Label the rows of a catalogue and divide them as they were for training.

    Without such a division, or the columns that it goes by, there is one part, as good as trained on.

    Parameters
    ----------
    split
        That is asked for.
    is_new
        Whether the table has the scheme's own columns though the checkpoint learnt from votes of another scheme: its
        images are then taken as they are.

    Raises
    ------
    PipelineError
        If there is no such part, or the rows were divided by names that this table lacks.
    SchemeError
        If the table lacks a column, or its labels are not the scheme's.
    """
    if split not in (*SPLITS, ALL):
        raise PipelineError(unknown_name("split", split, (*SPLITS, ALL)))
    what = f"checkpoint '{checkpoint.name}'"
    check_planes(checkpoint.recipe, what, images)
    fractions = None if is_new else fractions_of(checkpoint.fractions, what)
    labels = labels_from(catalog, checkpoint.scheme, fractions)
    division = read_split(checkpoint.split, what) if checkpoint.split and not is_new else None
    if split == ALL and (division is None or not division.applies_to(catalog.table) or _lacks_names(division, catalog)):
        splits = np.full(len(catalog), SPLITS[0])
    elif division is not None:
        _check_names(division, catalog, what)
        named = "" if _lacks_names(division, catalog) else named_by(division)
        splits = division.divide(names_of(catalog, images, named), catalog.table)
    else:
        raise PipelineError(f"{what} {_without(split, is_new=is_new)}")
    gathering = Gathering(catalog, images, checkpoint.recipe.half_width_rpet)
    observation = None if is_new else observation_of(checkpoint)
    return LabelledTable(gathering, labels, splits, checkpoint.scheme, observation, division)


def warn_of_sameness(table: LabelledTable, split: str, done: str) -> None:
    """Say of which questions all galaxies of a part have the same fractions, so that nothing tells answers apart.

    Parameters
    ----------
    done
        What is done with that part: ``'learnt'`` or ``'fitted'``.
    """
    fractions = table.labels.take(table.rows(split)).fractions
    same = []
    for question, where in zip(table.scheme.questions, table.scheme.slices, strict=True):
        asked = fractions[np.isfinite(fractions[:, where]).all(axis=1), where]
        if len(asked) and not np.ptp(asked, axis=0).any():
            top = question.answers[int(asked[0].argmax())].key
            same.append(f"'{question.name}' ({len(asked)} galaxies, {asked[0].max():.0%} {top})")
    if same:
        what = "training" if split == "train" else split
        log.warning("all %s galaxies have the same labels of %s: nothing else can be %s", what, ", ".join(same), done)


def _usual_names(catalog: Catalog) -> NamedBy:
    """Return what names the rows of a table where nobody says: files, or else ids, or else their numbers."""
    if catalog.file_column is not None:
        return "file"
    return "row" if catalog.id_column is None else "id"


def _lacks_names(split: Split, catalog: Catalog) -> bool:
    """Tell whether a table has no column of what named the rows that were divided."""
    named = named_by(split)
    return (named == "file" and catalog.file_column is None) or (named == "id" and catalog.id_column is None)


def _check_names(split: Split, catalog: Catalog, what: str) -> None:
    """Refuse to divide rows by other names than those that decided before: rows that trained would be tested.

    Blocks go by the digits in names alone, which an id and a file may share; rows with one value of a column stay
    together whatever they are called.
    """
    if not _lacks_names(split, catalog) or (isinstance(split, HashSplit) and split.by):
        return
    named = named_by(split)
    said = (
        f"{what} divides labels by their column of {named} names, of which '{catalog.title}' has none: rows that "
        "trained may be called otherwise here; add it, or ask for --split all"
    )
    if isinstance(split, HashSplit):
        raise PipelineError(said)
    log.warning("%s", said)


def _without(split: str, *, is_new: bool) -> str:
    """Say why a table is not divided: it is new to the checkpoint, or several trainings were joined."""
    if is_new:
        return (
            f"learnt from votes of another scheme, so that a table with the fractions of its own has no {split} part: "
            "ask for --split all"
        )
    return (
        f"was joined of some with different splits, so that it has no {split} part: give labels that none of them has "
        "seen, and --split all"
    )


def labels_from(catalog: Catalog, scheme: Scheme, fractions: Fractions | None) -> Labels:
    """Make labels from a table; with `fractions`, from its votes as they say.

    Raises
    ------
    PipelineError
        If the fractions lack an answer, or choose rows by a column that is missing.
    SchemeError
        If the table lacks a column, or its labels are not the scheme's.
    """
    if fractions is None:
        return scheme.labels(catalog.table)
    return counted_votes(catalog, scheme, fractions)


def names_of(catalog: Catalog, images: ImageSource, named: NamedBy = "") -> list[str]:
    """Return the names of rows by which they are divided: files, or else ids, unless it is said which.

    Files are spelt as the images have them, however the table spells them, so that the same galaxies always fall into
    the same part.
    """
    kind = named or _usual_names(catalog)
    if kind == "row":
        return [str(number) for number in range(len(catalog))]
    if kind == "id" or (files := catalog.files) is None:
        return [name.strip() for name in catalog.ids.tolist()]
    return [*map(FileNames(images.tile_names if images.by_name else []).name_of, files)]
