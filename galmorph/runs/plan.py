"""Plan: what a run does, before and after its files are open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from galmorph.errors import CheckpointError, GalmorphError, ImageError
from galmorph.runs.archive_images import archive_survey, open_archive
from galmorph.runs.columns import SHAPES, new_columns
from galmorph.runs.default_checkpoint import default_checkpoint
from galmorph.runs.gather import Gathering
from galmorph.runs.predictor import Answerer
from galmorph.runs.results import Results
from galmorph.runs.run_settings import DEFAULT_SETTINGS, TORCH, Settings
from galmorph.sky.catalog import Catalog, check_columns
from galmorph.sky.catalog_input import CatalogInput
from galmorph.sky.images import ImageInput, ImageSource
from galmorph.sky.images.image_input import is_open
from galmorph.sky.rules import Rule
from galmorph.sky.survey import Survey
from galmorph.stamps.recipe import Recipe
from galmorph.stamps.views import read_views

if TYPE_CHECKING:
    from galmorph.nets.checkpoint.file import Checkpoint

__all__ = ["Plan", "Run", "Settings", "check_planes"]

FloatArray = npt.NDArray[np.float64]
# The field in which a galaxy is measured without a network: the annulus of the Petrosian ratio ends at 1.25 radii.
_MEASURED = Recipe(half_width_rpet=1.5)


@dataclass(frozen=True)
class Run:
    """A plan whose files are open, checked.

    Parameters
    ----------
    gathering
        Catalogue and images.
    settings
        The plan's.
    checkpoint
        The network; None for measuring only.
    device
        ``'cpu'`` or ``'cuda'``.
    band
        The bands as they were asked for: ``RGB``, ``H``; '' where nobody did.
    """

    gathering: Gathering
    settings: Settings
    checkpoint: Checkpoint | None
    device: str = "cpu"
    band: str = ""

    @property
    def catalog(self) -> Catalog:
        """The catalogue."""
        return self.gathering.catalog

    @cached_property
    def images(self) -> ImageSource:
        """The images."""
        return self.gathering.images

    @property
    def survey(self) -> Survey | None:
        """Survey of the images; None where nobody said."""
        return self.images.survey

    @property
    def rule(self) -> Rule | None:
        """What gives ``gm_rule``; None for no such column."""
        return self.checkpoint.scheme.rule(self.settings.rule) if self.checkpoint is not None else None

    @cached_property
    def recipe(self) -> Recipe:
        """How wide the field about a galaxy is that the run looks at: the checkpoint's recipe, or one to measure in."""
        return self.checkpoint.recipe if self.checkpoint is not None else _MEASURED

    @property
    def views(self) -> str:
        """Over which probabilities are averaged: a name or a text."""
        return self.settings.views if self.settings.views is not None else self.recipe.views

    @cached_property
    def distinct_views(self) -> tuple[FloatArray, FloatArray]:
        """The views that the networks see, (V, 2, 3), and the share of each, (V,)."""
        views = read_views(self.views)
        return self.checkpoint.distinct_views(views) if self.checkpoint is not None else views.distinct

    @cached_property
    def answerer(self) -> Answerer | None:
        """The checkpoint, asked as the settings say; None for measuring only."""
        if self.checkpoint is None:
            return None
        _, shares = self.distinct_views
        settings = self.settings
        return Answerer(
            self.checkpoint,
            self.device,
            shares,
            normalise=settings.normalise,
            light=settings.light,
            half=settings.is_half,
        )

    def blank(self, rows: int) -> Results:
        """Make room for the results of so many rows."""
        if self.checkpoint is not None:
            features = self.checkpoint.n_features if self.settings.features else 0
            features += self.checkpoint.n_light(self.settings.light)
            return Results.empty(rows, len(self.checkpoint.scheme.keys), features=features)
        return Results.empty(rows, 0, [shape.field for shape in SHAPES])

    def check(self) -> None:
        """Refuse a checkpoint of other images, columns that exist, and what cannot be located or measured."""
        if self.checkpoint is not None:
            check_planes(self.checkpoint.recipe, f"checkpoint '{self.checkpoint.name}'", self.images)
        columns = new_columns(self.blank(0), self.images, self.settings, self.checkpoint)
        check_columns(self.catalog, [column.name for column in columns])
        _ = self.gathering.where  # says what has no position
        _ = self.gathering.measure  # says which library is missing


@dataclass(frozen=True)
class Plan:
    """What a run does: its inputs and settings, without anything that is open.

    A plan can be pickled and carried out elsewhere, whole or in parts, wherever its paths lead to the same files: these
    are opened on first use and stay open until :meth:`close`, and are no part of the pickle. Images in memory are put
    into files, which the pickle names, and which last until then.

    Parameters
    ----------
    catalog, images
        Where rows and pixels come from.
    checkpoint
        A name, a file or a loaded one; None for the one that ships for the survey and band.
    settings
        How to detect, measure, predict and name columns.
    network
        False for measuring only.
    """

    catalog: CatalogInput
    images: ImageInput
    checkpoint: str | Path | Checkpoint | None = None
    settings: Settings = DEFAULT_SETTINGS
    network: bool = True

    @property
    def inputs(self) -> tuple[Any, ...]:
        """All that is read, as it was named."""
        return self.catalog, self.images, self.checkpoint, self.settings.runtime

    @property
    def is_portable(self) -> bool:
        """Whether another process can carry it out: its images did not come open."""
        return not is_open(self.images.images)

    def as_sent(self) -> Plan:
        """Return the plan as another process gets it: the same device, and of the catalogue what it is asked for.

        That is where the rows are; but archives may look at other columns, such as sizes, to choose what to send.
        """
        settings = replace(self.settings, device=self.run.device) if self.network else self.settings
        catalog = self.run.catalog.positions if self.images.are_named else self.run.catalog
        return replace(self, catalog=CatalogInput(catalog), settings=settings)

    @cached_property
    def run(self) -> Run:
        """The plan with its files open and everything checked.

        Raises
        ------
        GalmorphError
            One of its kinds for each thing that does not fit.
        """
        self.settings.check(network=self.network)
        if self.checkpoint is not None and not self.network:
            raise CheckpointError(f"checkpoint '{self.checkpoint}': measuring has no use for it; leave it out")
        self.images.check_archive()
        if self.images.are_named:
            self.images.known_bands()  # says which survey and bands there are
        catalog = self.catalog.open(offline=self.images.offline or self.images.fetched is not None)
        asked = archive_survey(self.images, catalog)
        asked.known_bands()
        checkpoint, device = self._network(asked) if self.network else (None, "cpu")
        if not asked.are_named and asked.archive == "pictures":
            raise ImageError(
                "pictures of a HiPS were asked for, which are resampled and stretched for display: expected images to "
                "measure on; leave --archive pictures to 'galmorph fetch --stamps'"
            )
        images = asked.open() if asked.are_named else open_archive(asked, catalog)
        half_width = (checkpoint.recipe if checkpoint is not None else _MEASURED).half_width_rpet
        how = self.settings
        gathering = Gathering(catalog, images, half_width, how.detect, how.backend, how.centroid)
        run = Run(gathering, how, checkpoint, device, asked.band or "")
        try:
            run.check()
        except GalmorphError:
            self._close(images)
            raise
        return run

    def check(self) -> None:
        """Open all files and refuse what does not fit, before work starts; raises as :attr:`run`."""
        _ = self.run

    def close(self) -> None:
        """Close what was opened; images that came open are left alone."""
        if (run := self.__dict__.pop("run", None)) is not None:
            self._close(run.images)
        self.images.release()

    def __getstate__(self) -> Mapping[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def _network(self, asked: ImageInput) -> tuple[Checkpoint, str]:
        """Load the checkpoint and choose the device."""
        # torch takes a second to import: only runs that classify pay for it.
        from galmorph.nets.checkpoint.file import Checkpoint, load_checkpoint  # noqa: PLC0415
        from galmorph.nets.device import resolve_device  # noqa: PLC0415

        device = resolve_device(self.settings.device, half=self.settings.is_half)
        checkpoint = self.checkpoint
        if not isinstance(checkpoint, Checkpoint):
            checkpoint = load_checkpoint(checkpoint or _default_checkpoint(asked))
        checkpoint = self._with_runtime(checkpoint)
        checkpoint.scheme.rule(self.settings.rule)  # says which rules there are
        return checkpoint, device

    def _with_runtime(self, checkpoint: Checkpoint) -> Checkpoint:
        """Let an exported file compute instead of torch."""
        if self.settings.runtime == TORCH:
            return checkpoint
        from galmorph.nets.checkpoint.onnx_file import with_onnx  # noqa: PLC0415 - torch

        return with_onnx(checkpoint, self.settings.runtime)

    def _close(self, images: ImageSource) -> None:
        if images is not self.images.images:
            images.close()


def _default_checkpoint(asked: ImageInput) -> str:
    bands = asked.known_bands()
    return default_checkpoint(asked.known_survey(), bands, asked.band or "/".join(bands))


def check_planes(recipe: Recipe, what: str, images: ImageSource) -> None:
    """Refuse images that have not the planes of the stamps of `what`.

    Raises
    ------
    CheckpointError
        If they have not.
    """
    if recipe.planes != images.n_planes:
        kind = {1: "one band", 3: "three bands (colour)"}
        raise CheckpointError(
            f"{what} takes images of {kind[recipe.planes]}, these have "
            f"{kind.get(images.n_planes, str(images.n_planes))}: choose another --checkpoint or --band"
        )
