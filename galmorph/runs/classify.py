"""Classification: a catalogue and its images in, the same catalogue with morphologies out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from galmorph.errors import OutputError, UnclassifiedError
from galmorph.flags import UNCLASSIFIABLE, Flag
from galmorph.runs.columns import SHAPES, measured_columns, probability_columns
from galmorph.runs.gather import Galaxy, gather, views_of
from galmorph.runs.mismatch import mark_mismatches
from galmorph.runs.plan import Run, is_frame, prepare_run
from galmorph.runs.predictor import Predictor
from galmorph.runs.provenance import provenance_of
from galmorph.runs.results import Results
from galmorph.sky.catalog import Catalog, Column, Provenance, append, check_output, write_catalog
from galmorph.sky.images import ImageSource, Paths
from galmorph.sky.survey import Survey
from galmorph.stamps.recipe import half_width_px

if TYPE_CHECKING:
    from galmorph.nets.checkpoint.file import Checkpoint

__all__ = ["Run", "classify", "finish", "measure", "prepare_run", "results_in_parts"]

log = logging.getLogger(__name__)
Progress = Callable[[int, int], None]

_PROGRESS_ROWS = 32


def results_in_parts(run: Run, results: Results) -> Iterator[int]:
    """Fill `results` part by part; yield the number of rows done."""
    checkpoint = run.checkpoint
    matrices, shares = run.seen
    with Predictor(checkpoint, results, run.device, shares=shares, normalised=run.normalised) as predictor:
        for done, galaxy in enumerate(gather(run.gathering), 1):
            results.put(_with_edge(galaxy, run))
            if checkpoint is not None and galaxy.measured is not None and not galaxy.flags & UNCLASSIFIABLE:
                views = views_of(galaxy, run.images, checkpoint.recipe, matrices, warp=checkpoint.warp)
                predictor.add(galaxy.row, views)
            if done % _PROGRESS_ROWS == 0:
                yield done
        predictor.finish()
    if checkpoint is not None:
        mark_mismatches(results, checkpoint, run.images, run.known, run.bands)
    yield len(results)


def _with_edge(galaxy: Galaxy, run: Run) -> Galaxy:
    """Add OFF_EDGE where the stamp needs pixels past the edge of the image."""
    cutout, measured = galaxy.cutout, galaxy.measured
    if cutout is None or measured is None:
        return galaxy
    reach = half_width_px(measured, run.recipe)
    x, y = (measured.x, measured.y) if np.isfinite(measured.x) else (cutout.x, cutout.y)
    height, width = cutout.shape
    # A display stamp has nothing beyond its edges, however wide the window was.
    left, right, bottom, top = cutout.clipped if run.images.has_edges else (True,) * 4
    past = (left and x - reach < -0.5) or (right and x + reach > width - 0.5)
    past = past or (bottom and y - reach < -0.5) or (top and y + reach > height - 0.5)
    return replace(galaxy, flags=galaxy.flags | Flag.OFF_EDGE) if past else galaxy


def finish(run: Run, results: Results, command: str) -> tuple[list[Column], Provenance]:
    """Turn results into columns and provenance."""
    centroid = run.gathering.centroid
    columns = measured_columns(results, run.images, run.prefix, shapes=run.checkpoint is None, centroid=centroid)
    if run.checkpoint is not None:
        net = run.checkpoint
        chances = probability_columns(
            results,
            net.scheme,
            run.prefix,
            normalised=run.normalised,
            errors=run.errors,
            rule=run.rule,
            sets=net.sets,
        )
        model = np.where(results.classified, f"{run.checkpoint.name} {run.checkpoint.version}", "")
        what = "Name and version of the checkpoint; empty where there are no probabilities"
        columns = [*chances, *columns, Column(f"{run.prefix}model", model, "", what, "meta.version;meta.software")]
    provenance = provenance_of(
        run.catalog,
        run.images,
        run.checkpoint,
        survey=run.survey,
        band=run.band,
        views=run.views,
        centroid=centroid,
        rule=run.rule,
        command=command,
    )
    return columns, provenance


@dataclass(frozen=True)
class _Target:
    """Where the results go; `output` and `report` may be None."""

    output: str | Path | None
    report: str | Path | None = None
    overwrite: bool = False
    strict: bool = False

    def check(self, inputs: Sequence[Any]) -> None:
        """Refuse what cannot be written, and an output that would replace one of the images."""
        if self.output is not None:
            check_output(self.output, overwrite=self.overwrite)
            _check_apart(Path(self.output), inputs)
        if self.report is not None:
            from galmorph.pages.report import check_report  # noqa: PLC0415 - only runs with a report need Jinja

            check_report(self.report, overwrite=self.overwrite)


def _check_apart(output: Path, inputs: Sequence[Any]) -> None:
    if not output.exists():
        return
    for given in inputs:
        if isinstance(given, Mapping):
            _check_apart(output, list(given.values()))
        elif isinstance(given, list | tuple):
            _check_apart(output, given)
        elif isinstance(given, str | Path) and _same_file(output, Path(str(given).rpartition("=")[2])):
            raise OutputError(
                f"Output '{output}' is one of the images: a result never replaces its input; choose another"
            )


def _same_file(one: Path, other: Path) -> bool:
    return other.exists() and one.samefile(other)


def _room(run: Run) -> Results:
    if run.checkpoint is not None:
        return Results.empty(len(run.catalog), len(run.checkpoint.scheme.keys))
    return Results.empty(len(run.catalog), 0, [shape.field for shape in SHAPES])


def _execute(run: Run, target: _Target, progress: Progress | None, command: str) -> tuple[list[Column], Provenance]:
    if len(run.catalog) == 0:
        log.warning("the catalogue has no rows: the output will have none either")
    results = _room(run)
    for done in results_in_parts(run, results):
        if progress is not None:
            progress(done, len(results))
    columns, provenance = finish(run, results, command)
    if target.output is not None:
        write_catalog(run.catalog, columns, target.output, provenance=provenance, overwrite=target.overwrite)
    if target.report is not None:
        from galmorph.pages.report import write_report  # noqa: PLC0415

        write_report(run, results, target.report, overwrite=target.overwrite)
    missing = int((~results.classified).sum()) if run.checkpoint else 0
    if target.strict and missing:
        where = f" in '{target.output}'" if target.output is not None else ""
        raise UnclassifiedError(
            f"{missing} of {len(results)} rows have no probabilities, and all were asked for: {run.prefix}flags{where} "
            "says why; leave out --strict to accept them"
        )
    return columns, provenance


def classify(
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
    output: str | Path | None = None,
    overwrite: bool = False,
    report: str | Path | None = None,
    device: str = "auto",
    prefix: str = "gm_",
    normalise: bool = False,
    views: str | None = None,
    errors: bool = False,
    rule: str = "",
    runtime: str = "torch",
    strict: bool = False,
    progress: Progress | None = None,
    command: str = "galmorph.classify",
    **columns: Any,
) -> Any:
    """Classify every row of a catalogue.

    Each row is cut out of its image, measured, recentred and rescaled to its Petrosian radius, and shown to the
    checkpoint's network. The rows come back in their order with all their columns; new columns follow.

    Parameters
    ----------
    catalog
        A file (FITS, VOTable, ECSV, CSV, Parquet), an astropy table or a pandas frame; never changed.
    images
        FITS files, a folder or a glob; ``{"g": ..., "r": ..., "i": ...}`` for colour; a zip or folder of JPEG or PNG
        stamps (rows then have a column ``file``).
    survey, band
        Names as in ``galmorph list surveys``; three bands (``gri``) or ``RGB`` make colour stamps.
    checkpoint
        A name, a file or a loaded one; by default the one that ships for the survey and band.
    weight, rms
        Inverse variances, or noise, on the grids of the images.
    segmentation
        Maps of labels on the grids of the images of one band: 0 for the sky, a number for each object. Without them
        galmorph detects and deblends.
    detect
        Where it does so: on ``'cutouts'``, on whole pieces of ``'tiles'``, or by ``'auto'`` on what is cheaper.
    centroid
        Which centre is a galaxy's position: ``'windowed'``, of its light in a Gaussian window, the more exact one; or
        ``'isophotal'``, the barycentre of its segment, as most catalogues list it.
    output, overwrite
        Write the result to a file whose ending says the format.
    report
        Folder for an HTML page with counts, distributions and a contact sheet.
    device
        ``'auto'``, ``'cpu'`` or ``'cuda'``.
    prefix
        Of the new columns.
    normalise
        Scale independent fractions so that they sum to 1.
    views
        Affine transformations over which probabilities are averaged: a name such as ``'turns8'``, or
        ``'angles = 8, zooms = [0.9, 1, 1.1], flip = true'``; by default as the checkpoint's recipe says.
    errors
        Add ``gm_p_<answer>_err``: the standard deviation of each probability over networks and views.
    rule
        Name of a rule of the scheme (see ``galmorph show SCHEME``), whose classes are in ``gm_rule``; by default
        the scheme's default rule, which none that ships has. ``'likeliest'`` asks for none.
    runtime
        What runs the networks: ``'torch'``, or the file to which :func:`galmorph.export` wrote the checkpoint, which
        onnxruntime runs on the processor.
    strict
        Raise if a row has no probabilities (after writing the output).
    progress
        Called with the numbers of rows done and in all.
    **columns
        ``ra``, ``dec``, ``x``, ``y``, ``id``, ``file``, ``hdu``, ``image_hdu``.

    Returns
    -------
    An astropy table, or a pandas frame if one was given, with the columns ``gm_class``, ``gm_p_<answer>``, ``gm_conf``,
    ``gm_set``, ``gm_racen``, ``gm_deccen`` (deg, ICRS), ``gm_pos_err``, ``gm_rpet``, ``gm_rpet_err``, ``gm_r50``
    (arcsec), ``gm_snr``, ``gm_flags``, ``gm_model``. Without a WCS positions and sizes are in pixels, in ``gm_x`` and
    ``gm_y``.

    Raises
    ------
    CatalogError, SurveyError, ImageError, CheckpointError, OutputError
        Before work starts, if something does not fit.
    UnclassifiedError
        With `strict`.

    Examples
    --------
    >>> import galmorph
    >>> from galmorph.shipped import shipped
    >>> sample = shipped("catalogs") / "samples" / "candels-h"
    >>> table = galmorph.classify(sample / "catalog.fits", sample / "image.fits.gz", survey="candels", band="H")
    >>> len(table)
    130
    """
    target = _Target(output, report, overwrite, strict)
    target.check([images, weight, rms, segmentation])
    run = prepare_run(
        catalog,
        images,
        survey=survey,
        band=band,
        checkpoint=checkpoint,
        weight=weight,
        rms=rms,
        segmentation=segmentation,
        detect=detect,
        centroid=centroid,
        prefix=prefix,
        normalise=normalise,
        device=device,
        views=views,
        errors=errors,
        rule=rule,
        runtime=runtime,
        **columns,
    )
    with closing(run):
        made, provenance = _execute(run, target, progress, command)
    return _as_given(catalog, run.catalog, made, provenance)


def measure(
    catalog: Any,
    images: Paths | ImageSource,
    *,
    survey: str | Survey | None = None,
    band: str | None = None,
    weight: Paths = (),
    rms: Paths = (),
    segmentation: Paths = (),
    detect: str = "auto",
    centroid: str = "windowed",
    backend: str = "galmorph",
    output: str | Path | None = None,
    overwrite: bool = False,
    prefix: str = "gm_",
    progress: Progress | None = None,
    command: str = "galmorph.measure",
    **columns: Any,
) -> Any:
    """Measure every row of a catalogue: the part of :func:`classify` before the network; does not need torch.

    Parameters
    ----------
    backend
        ``'galmorph'``, or ``'sep'`` or ``'photutils'`` for the textbook values of those libraries.
    catalog, images, survey, band, weight, rms, segmentation, detect, centroid, output, overwrite, prefix
        As for :func:`classify`.
    progress, **columns
        As for :func:`classify`.

    Returns
    -------
    The rows with centroid, Petrosian radius, radii of 20, 50 and 80 % of the light, concentration, asymmetry,
    ellipticity, position angle (deg), signal-to-noise ratio, their errors, and flags.

    Raises
    ------
    CatalogError, SurveyError, ImageError, OutputError
        Before work starts, if something does not fit.
    PipelineError
        If the backend is unknown or its library not installed.
    """
    target = _Target(output, overwrite=overwrite)
    target.check([images, weight, rms, segmentation])
    run = prepare_run(
        catalog,
        images,
        survey=survey,
        band=band,
        weight=weight,
        rms=rms,
        segmentation=segmentation,
        detect=detect,
        centroid=centroid,
        network=False,
        backend=backend,
        prefix=prefix,
        **columns,
    )
    with closing(run):
        made, provenance = _execute(run, target, progress, command)
    return _as_given(catalog, run.catalog, made, provenance)


def _as_given(given: Any, catalog: Catalog, columns: list[Column], provenance: Provenance) -> Any:
    """Return a pandas frame to who gave one, with the provenance in its attrs; else an astropy table."""
    if not is_frame(given):
        return append(catalog, columns, provenance)
    import pandas as pd  # noqa: PLC0415 - slow to import

    new = pd.DataFrame({c.name: c.values for c in columns}, index=given.index)
    frame = pd.concat([given, new], axis=1)
    frame.attrs = {**given.attrs, **{card: value for card, value, _ in provenance.cards}}
    return frame
