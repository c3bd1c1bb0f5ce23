"""Run: everything that one run over a catalogue needs, checked and open."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from astropy.table import Table

from galmorph.errors import CatalogError, CheckpointError, GalmorphError, SurveyError, unknown_name
from galmorph.nets.checkpoint.shelf import checkpoint_names
from galmorph.runs.columns import column_names
from galmorph.runs.gather import DETECT, Gathering, locate
from galmorph.sky.catalog import Catalog, catalog_from, check_columns, read_catalog
from galmorph.sky.images import ImageSource, Paths, colour_bands, open_images
from galmorph.sky.rules import Rule
from galmorph.sky.survey import Survey, load_survey, survey_names
from galmorph.stamps.centroid import CENTROIDS
from galmorph.stamps.recipe import Recipe
from galmorph.stamps.views import read_views

if TYPE_CHECKING:
    from galmorph.nets.checkpoint.file import Checkpoint

__all__ = ["Run", "is_frame", "prepare_run"]

FloatArray = npt.NDArray[np.float64]
# The field in which a galaxy is measured without a network: the annulus of the Petrosian ratio ends at 1.25 radii.
_MEASURED = Recipe(half_width_rpet=1.5)


@dataclass(frozen=True)
class Run:
    """Everything one run needs, checked and open.

    Parameters
    ----------
    gathering
        Catalogue, images and band.
    known, bands
        Survey and bands of the images; None and empty where not given.
    band
        The bands as they were asked for: ``RGB``, ``H``; '' where not given.
    checkpoint
        The network; None for measuring only.
    prefix
        Of the new columns.
    normalised
        Whether independent fractions are scaled to sum to 1.
    device
        ``'cpu'`` or ``'cuda'``.
    opened
        Whether the images were opened for this run, and are closed with it.
    views
        Over which probabilities are averaged: a name or a text.
    errors
        Whether the spread of each probability over networks and views has a column.
    rule
        What gives ``gm_rule``; None for no such column.
    """

    gathering: Gathering
    known: Survey | None
    bands: tuple[str, ...]
    band: str
    checkpoint: Checkpoint | None
    prefix: str
    normalised: bool = False
    device: str = "cpu"
    opened: bool = False
    views: str = "one"
    errors: bool = False
    rule: Rule | None = None

    @property
    def catalog(self) -> Catalog:
        """The catalogue."""
        return self.gathering.catalog

    @property
    def images(self) -> ImageSource:
        """The images."""
        return self.gathering.images

    @property
    def survey(self) -> str:
        """Name of the survey; '' where it was not given."""
        return self.known.name if self.known is not None else ""

    @property
    def recipe(self) -> Recipe:
        """How wide the field about a galaxy is that the run looks at: the checkpoint's recipe, or one to measure in."""
        return self.checkpoint.recipe if self.checkpoint is not None else _MEASURED

    @cached_property
    def seen(self) -> tuple[FloatArray, FloatArray]:
        """The views that the networks see, (V, 2, 3), and the share of each, (V,)."""
        chosen = read_views(self.views)
        return self.checkpoint.distinct_views(chosen) if self.checkpoint is not None else chosen.distinct

    def close(self) -> None:
        """Close the images if they were opened for this run."""
        if self.opened:
            self.images.close()


def prepare_run(
    catalog: Any,
    images: Paths | ImageSource,
    *,
    survey: str | Survey | None = None,
    band: str | None = None,
    checkpoint: str | Path | Checkpoint | None = None,
    weight: Paths = (),
    rms: Paths = (),
    segmentation: Paths = (),
    detect: str = "auto",
    centroid: str = "windowed",
    network: bool = True,
    backend: str = "galmorph",
    prefix: str = "gm_",
    normalise: bool = False,
    device: str = "auto",
    views: str | None = None,
    errors: bool = False,
    rule: str = "",
    runtime: str = "torch",
    hdu: int | str | None = None,
    image_hdu: int | str | None = None,
    **columns: str | None,
) -> Run:
    """Open and check everything before work starts; the caller closes the run.

    Parameters
    ----------
    catalog
        A file, an astropy table, a pandas frame or a :class:`~galmorph.sky.catalog.Catalog`.
    images
        Paths as :func:`galmorph.sky.images.open_images` takes them, or an open source.
    segmentation
        Maps of labels, as :func:`galmorph.sky.images.open_images` takes them.
    detect
        ``'auto'``, ``'cutouts'`` or ``'tiles'``: see :class:`~galmorph.runs.gather.Gathering`.
    centroid
        ``'windowed'`` or ``'isophotal'``: see :data:`~galmorph.stamps.centroid.CENTROIDS`.
    network
        False for measuring only.
    backend
        What measures: ``'galmorph'``, or ``'sep'`` or ``'photutils'`` for those libraries' textbook values.
    views
        Over which probabilities are averaged; by default as the checkpoint's recipe says.
    errors
        Whether the spread of each probability has a column.
    rule
        Name of what gives ``gm_rule``; by default as the scheme says.
    runtime
        ``'torch'``, or the checkpoint exported as ONNX.
    columns
        ``ra``, ``dec``, ``x``, ``y``, ``id``, ``file``: names of columns.

    Raises
    ------
    GalmorphError
        One of its kinds for each thing that does not fit; see :func:`classify`.
    """
    _check_prefix(prefix)
    if detect not in DETECT:
        raise CatalogError(unknown_name("way to detect", detect, DETECT))
    if centroid not in CENTROIDS:
        raise CatalogError(unknown_name("centroid", centroid, CENTROIDS))
    known = survey if isinstance(survey, Survey) else load_survey(survey) if survey else None
    bands = _bands(known, band)
    if views is not None:
        read_views(views)  # says what is wrong with them
    table = _open_catalog(catalog, hdu, columns)
    net, where = _network(checkpoint, known, bands, band, device) if network else (None, "cpu")
    net = _with_runtime(net, runtime, device)
    cuts = net.scheme.rule(rule) if net is not None else None
    opened = not _is_source(images)
    source: Any = images
    if opened:
        source = open_images(
            source, weight=weight, rms=rms, segmentation=segmentation, survey=known, band=band, hdu=image_hdu
        )
    recipe = net.recipe if net else _MEASURED
    gathering = Gathering(table, source, recipe.half_width_rpet, detect, backend, centroid)
    seen = views if views is not None else recipe.views
    run = Run(gathering, known, bands, band or "", net, prefix, normalise, where, opened, seen, errors, cuts)
    try:
        _check_run(run)
    except GalmorphError:
        run.close()
        raise
    return run


def _check_run(run: Run) -> None:
    if run.checkpoint is not None:
        _check_planes(run.checkpoint, run.images)
    scheme = run.checkpoint.scheme if run.checkpoint else None
    ruled = run.rule is not None
    check_columns(run.catalog, column_names(scheme, run.prefix, sky=run.images.has_wcs, errors=run.errors, ruled=ruled))
    locate(run.gathering)
    _ = run.gathering.measure  # says which library is missing


def _check_prefix(prefix: str) -> None:
    if not re.fullmatch(r"([A-Za-z_][A-Za-z0-9_]*)?", prefix):
        raise CatalogError(
            f"prefix '{prefix}': expected letters without accents, digits and underscores, as all table formats allow "
            "them in names; choose another --prefix"
        )


def _is_source(images: Any) -> bool:
    return hasattr(images, "cutout") and hasattr(images, "locate")


def _bands(known: Survey | None, band: str | None) -> tuple[str, ...]:
    if band is None:
        return ()
    if known is None:
        raise SurveyError(f"band '{band}' without a survey: name its --survey, one of {', '.join(survey_names())}")
    return colour_bands(known, band) or (known.band(band).name,)


def _open_catalog(catalog: Any, hdu: int | str | None, columns: Mapping[str, str | None]) -> Catalog:
    opened = _opened(catalog, hdu, columns)
    roles = (opened.ra_column, opened.dec_column, opened.x_column, opened.y_column, opened.file_column)
    for name in roles:
        if name is not None and np.ndim(opened.table[name]) > 1:
            raise CatalogError(
                f"Catalog '{opened.title}': column '{name}' has several values in each row, a position has one. "
                "Name another column."
            )
    return opened


def _opened(catalog: Any, hdu: int | str | None, columns: Mapping[str, str | None]) -> Catalog:
    if isinstance(catalog, Catalog):
        return catalog
    given: dict[str, Any] = {k: v for k, v in columns.items() if v is not None}
    if isinstance(catalog, str | Path):
        return read_catalog(catalog, hdu=hdu, **given)
    if isinstance(catalog, Table) or is_frame(catalog):
        return catalog_from(catalog, **given)
    raise CatalogError(f"catalog of type {type(catalog).__name__}: give a path, an astropy table or a pandas frame")


def is_frame(table: Any) -> bool:
    """Tell whether this is a pandas frame."""
    # pandas takes half a second to import, and whoever gives a frame has done so.
    return type(table).__name__ == "DataFrame" and type(table).__module__.startswith("pandas")


def _network(
    checkpoint: str | Path | Checkpoint | None,
    known: Survey | None,
    bands: tuple[str, ...],
    band: str | None,
    device: str,
) -> tuple[Checkpoint, str]:
    """Load the checkpoint and choose the device."""
    # torch takes a second to import: only runs that classify pay for it.
    from galmorph.nets.checkpoint.file import Checkpoint, load_checkpoint  # noqa: PLC0415
    from galmorph.nets.device import resolve_device  # noqa: PLC0415

    where = resolve_device(device)
    if isinstance(checkpoint, Checkpoint):
        return checkpoint, where
    return load_checkpoint(checkpoint or _usual_checkpoint(known, bands, band)), where


def _with_runtime(net: Checkpoint | None, runtime: str, device: str) -> Checkpoint | None:
    """Let an exported file compute instead of torch."""
    if net is None or runtime == "torch":
        return net
    from galmorph.nets.checkpoint.onnx_file import with_onnx  # noqa: PLC0415

    if device == "cuda":
        raise CheckpointError("ONNX files run on the processor, and device 'cuda' was asked for: leave out one of them")
    return with_onnx(net, runtime)


def _usual_checkpoint(known: Survey | None, bands: tuple[str, ...], band: str | None) -> str:
    """Name the checkpoint that the survey says is usual for a band, else the only one that fits."""
    ship = ", ".join(checkpoint_names()) or "none"
    if known is None or not bands:
        raise CheckpointError(
            f"no checkpoint, and no survey and band to choose it by: give --checkpoint (known are {ship}), or --survey "
            "and --band"
        )
    if usual := known.checkpoint(bands):
        return usual
    fitting = _fitting_checkpoints(known, bands)
    if not fitting:
        raise CheckpointError(
            f"no checkpoint ships for survey '{known.name}', band '{band}': name one with --checkpoint, known are "
            f"{ship}"
        )
    if len(fitting) > 1:
        raise CheckpointError(
            f"several checkpoints ship for survey '{known.name}', band '{band}', and the survey's [checkpoints] name "
            f"none of them: name one with --checkpoint, {' or '.join(fitting)}"
        )
    return fitting[0]


def _fitting_checkpoints(known: Survey, bands: tuple[str, ...]) -> list[str]:
    """List the shipped checkpoints of the same bands, else those of the survey: of these the usual ones, if any."""
    from galmorph.nets.checkpoint.file import read_envelope  # noqa: PLC0415

    envelopes = {name: read_envelope(name) for name in checkpoint_names()}
    same = [n for n, e in envelopes.items() if e.survey == known.name and len(e.bands) == len(bands)]
    exact = [n for n in same if set(envelopes[n].bands) == set(bands)]
    return exact or [n for n in same if n in known.checkpoints.values()] or same


def _check_planes(checkpoint: Checkpoint, images: ImageSource) -> None:
    if checkpoint.recipe.planes != images.n_planes:
        kind = {1: "one band", 3: "three bands (colour)"}
        raise CheckpointError(
            f"checkpoint '{checkpoint.name}' takes images of {kind[checkpoint.recipe.planes]}, these have "
            f"{kind.get(images.n_planes, str(images.n_planes))}: choose another --checkpoint or --band"
        )
