"""The front door: every public function, its parameters written once.

The command line and scripts call only these. A function checks what it was given and hands it to the layer that does
the work. Nothing here imports torch before a network is needed.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from astropy import units as u
from astropy.table import Table

from galmorph import __version__
from galmorph.arguments import checked
from galmorph.errors import ArchiveError, CatalogError, OutputError, PipelineError, StoreError, unknown_name
from galmorph.flags import cut_of, describe_flags
from galmorph.learning.inputs import opened
from galmorph.learning.pipeline import ClassifyPipeline, Pipeline, TrainPipeline, load_training
from galmorph.learning.pipeline import load_pipeline as read_pipeline
from galmorph.learning.sections import CalibrationSettings
from galmorph.likeness.factor_column import with_factors
from galmorph.likeness.open_features import OpenFeatures, Ranked, open_vectors
from galmorph.likeness.strange_rows import ranked_by_strangeness
from galmorph.nets.checkpoint.card import add_to_card, read_card, read_card_file
from galmorph.nets.checkpoint.lookup import find_checkpoint
from galmorph.pages.answered_rows import AnsweredRows, BinEdges
from galmorph.pages.citations import cite
from galmorph.pages.class_agreement import ClassAgreement, Classes, agreement_of
from galmorph.pages.class_fractions import ClassFractions, CountSettings, count_provenance, fractions_of
from galmorph.pages.class_page import write_class_page
from galmorph.pages.counted_classifier import CountedClassifier
from galmorph.pages.descriptions import contents, names, show
from galmorph.pages.estimates import METHODS
from galmorph.pages.fraction_plot import draw_fractions
from galmorph.pages.losses import draw_losses
from galmorph.progress import Progress, reporting
from galmorph.runs.default_checkpoint import default_checkpoint
from galmorph.runs.execution import Execution
from galmorph.runs.run_settings import Settings
from galmorph.runs.status import Status, read_status
from galmorph.sky.angles import position_degrees
from galmorph.sky.archives.vizier_table import VizierTable, is_of_vizier
from galmorph.sky.catalog import Catalog, Provenance, append, read_catalog, write_catalog
from galmorph.sky.catalog_input import CatalogInput, ColumnNames
from galmorph.sky.crossmatch import MatchSettings
from galmorph.sky.formats.atomic import make_folder, replacing
from galmorph.sky.formats.registry import FORMATS, ending
from galmorph.sky.formats.stored import HeldTable
from galmorph.sky.images import ImageInput, Images, ImageSource
from galmorph.sky.matched import (
    Each,
    EachHdu,
    EachNumber,
    SideNames,
    match_provenance,
    match_reach,
    matched,
    open_sides,
)
from galmorph.sky.outputs import check_outputs
from galmorph.sky.overlays import Overlays, PlacedRows, send_table, write_links, write_moc, write_regions
from galmorph.sky.remote import CacheEntry, Manifest, default_cache
from galmorph.sky.scheme import Scheme, load_scheme
from galmorph.sky.survey import Survey, Way, load_survey

if TYPE_CHECKING:
    from galmorph.learning.training import TrainingRun, TrainingState
    from galmorph.learning.tuning import Tuned
    from galmorph.nets.checkpoint.file import Checkpoint
    from galmorph.pages.galaxy_view import GalaxyView
    from galmorph.runs.answering import MeasuredRows
    from galmorph.runs.outcome import Outcome
    from galmorph.runs.provision import Provision
    from galmorph.sky.mock import MockField
    from galmorph.store.store import Store

__all__ = [
    "answer",
    "cache",
    "calibrate",
    "cite",
    "classify",
    "compare",
    "contents",
    "count",
    "default_output",
    "describe_flags",
    "dry_run",
    "embed",
    "ensemble",
    "evaluate",
    "export",
    "fetch",
    "inspect",
    "latent_factors",
    "load_checkpoint",
    "load_pipeline",
    "load_scheme",
    "load_survey",
    "map_features",
    "match",
    "measure",
    "names",
    "open_features",
    "open_images",
    "open_store",
    "outliers",
    "overlay",
    "positions",
    "prepare",
    "read_catalog",
    "run",
    "show",
    "similar",
    "simulate",
    "status",
    "train",
    "tune",
    "usual_checkpoint",
    "view",
]

Inputs = Mapping[str, bool | str | Sequence[str]]


@checked
def classify(
    catalog: Any,
    images: Images = (),
    *,
    survey: str | Survey | None = None,
    band: str | None = None,
    field: str | None = None,
    offline: bool = False,
    archive: Way = "auto",
    fetched: str | Path | None = None,
    checkpoint: str | Path | Checkpoint | None = None,
    weight: Images = (),
    rms: Images = (),
    variance: Images = (),
    segmentation: Images = (),
    image_hdu: int | str | None = None,
    hdu: int | str | None = None,
    ra: str | None = None,
    dec: str | None = None,
    x: str | None = None,
    y: str | None = None,
    id: str | None = None,
    file: str | None = None,
    detect: str = "blocks",
    centroid: str = "windowed",
    views: str | None = None,
    errors: bool = False,
    features: bool = False,
    rule: str = "",
    normalise: bool = False,
    runtime: str | Path = "torch",
    precision: str = "single",
    device: str = "auto",
    prefix: str = "gm_",
    output: str | Path | None = None,
    overwrite: bool = False,
    report: str | Path | None = None,
    pictures: int | None = None,
    strict: bool = False,
    retry: bool = False,
    engine: str = "auto",
    workers: int | None = None,
    scheduler: str | None = None,
    shard: str | None = None,
    whole: bool = True,
    progress: Progress | bool | None = None,
    command: str = "galmorph.classify",
) -> Any:
    """Classify every row of a catalogue.

    Each row is cut out of its image, measured, recentred and rescaled to its Petrosian radius, and shown to the
    checkpoint's network. The rows come back in their order with all their columns; new columns follow.

    Parameters
    ----------
    catalog
        A file (FITS, VOTable, ECSV, CSV, Parquet) or folder (HATS), an astropy table, a pandas frame, a SkyCoord or a
        table HDU; never changed. Results of a QTable are quantities.
    images
        FITS files, a folder or a glob; ``{"g": ..., "r": ..., "i": ...}`` for colour; a zip or folder of JPEG or PNG
        stamps, or the bytes of stamps by name (rows then have a column ``file``); what :func:`open_images` returned,
        which stays open; or, in place of FITS files, an array, ``(array, WCS)``, an HDU or HDUList, or NDData, whose
        uncertainty is the weight. Without images those of the survey's archive are fetched, as far as the rows need
        them, and kept in the user's cache.
    survey, band
        Names as in ``galmorph list surveys``; three bands (``gri``) or ``RGB`` make colour stamps. Without images the
        survey may be left out: the one that has mosaics where the rows are is taken.
    field, offline
        Without images: the only field of the survey that is looked at, or several with commas between; and whether
        nothing is fetched, so that what is in the cache must do.
    archive
        Without images, how mosaics are read: ``'whole'`` downloads them, ``'parts'`` fetches the parts in which rows
        lie, ``'cutouts'`` asks a server that cuts them; ``'auto'`` does what takes less time of the first two.
    fetched
        Without images: a folder of :func:`fetch`, checked against its manifest, which names survey, band and field;
        nothing else is fetched.
    checkpoint
        A name, a file or a loaded one; by default the one that ships for the survey and band.
    weight, rms, variance
        Inverse variances, noise (rms) or variances on the pixels of the images; one of the three.
    segmentation
        Maps of labels on the grids of the images of one band: 0 for the sky, a number for each object. Without them
        galmorph detects and deblends.
    image_hdu
        Number or name of the HDU in every image; by default all images in it that are no maps.
    hdu
        Number or name of the table in a catalogue of several; by default the first one.
    ra, dec, x, y, id, file
        Columns of the catalogue: position in degrees, or in pixels from 0; names of the rows; files of stamps. By
        default they are found by their UCDs and usual names.
    detect
        Where objects are detected on images of one band: on a fixed grid of ``'blocks'`` of 768 pixels, or on the
        galaxies' own ``'cutouts'``, which is cheaper where there are less than 45 rows per million pixels. Pictures and
        colour images are always looked at cutout by cutout.
    centroid
        Which centre is a galaxy's position: ``'windowed'``, of its light in a Gaussian window, the more exact one; or
        ``'isophotal'``, the barycentre of its segment, as most catalogues list it.
    views
        Affine transformations over which probabilities are averaged: a name such as ``'turns8'``, or
        ``'angles = 8, zooms = [0.9, 1, 1.1], flip = true'``; by default as the checkpoint's recipe says.
    errors
        Add ``gm_p_<answer>_err``: the standard deviation of each probability over networks and views.
    features
        Add ``gm_features``, as :func:`embed` does.
    rule
        Name of one of the scheme's rules (see ``galmorph show SCHEME``), whose class is the column ``gm_rule``.
    normalise
        Scale independent fractions so that they sum to 1, as other probabilities do.
    runtime
        What runs the networks: ``'torch'``, or the file to which :func:`export` wrote the checkpoint, which onnxruntime
        runs on the processor.
    precision
        In what convolutions are computed: ``'single'``, or ``'bfloat16'``, for which processors need AVX-512: 1.4 to
        1.9 times as fast, with probabilities that differ by .02 at most, and seldom another class.
    device
        ``'auto'``, ``'cpu'`` or ``'cuda'``.
    prefix
        Of the new columns.
    output, overwrite
        Write the result to a file whose ending says the format; whether an existing one may be replaced.
    report
        Folder for an HTML page with counts, distributions, all rows to sort, filter and look at, and a contact sheet.
    pictures
        How many rows have a picture in the report, 2 000 by default: those of the contact sheet, and others by lot.
    strict
        Raise if a row has no probabilities, after the output has been written.
    retry
        The catalogue is an earlier result of the same call: only its rows flagged ``FETCH_FAILED`` are done again, all
        others stay as they are. It is made anew as a table, without a report.
    engine, workers
        What carries out the run, and by how many processes: ``'local'``, this one; ``'pool'``, processes of this
        machine; ``'dask'``, those of a Dask cluster. By default a pool of one process for each core, where there are
        enough rows. The results are the same.
    scheduler
        Address of a Dask scheduler, whose workers carry out the run.
    shard
        ``'3/16'``: do only the third of sixteen shares, as one job of an array does, and leave them beside the output;
        the same call without it, afterwards, does what is missing and writes the output. Returns what
        :func:`status` does.
    whole
        False returns the new columns alone: those of a large catalogue in Parquet or HATS, which is read in pieces
        otherwise, would all be in memory.
    progress
        True shows a bar; a function is called with stage, done, total and a remark.
    command
        What the provenance in the result names as its origin.

    Returns
    -------
    astropy.table.Table or pandas.DataFrame
        As the catalogue was given, with the columns ``gm_class``, ``gm_p_<answer>``, ``gm_conf``, ``gm_set``,
        ``gm_racen``, ``gm_deccen`` (deg, ICRS), ``gm_pos_err``, ``gm_rpet``, ``gm_rpet_err``, ``gm_r50`` (arcsec),
        ``gm_snr``, ``gm_flags`` (:class:`galmorph.flags.Flag`), ``gm_model``. Without a WCS positions and sizes are in
        pixels, in ``gm_x`` and ``gm_y``.

    Raises
    ------
    CatalogError, SurveyError, ImageError, ArchiveError, CheckpointError, OutputError
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
    settings = Settings(
        detect=detect,
        centroid=centroid,
        prefix=prefix,
        normalise=normalise,
        device=device,
        views=views,
        errors=errors,
        features=features,
        rule=rule,
        runtime=str(runtime),
        precision=precision,
    )
    with reporting(progress) as report_to:
        table, _ = _carried_out(
            CatalogInput(catalog, hdu, ColumnNames(ra, dec, x, y, id, file)),
            ImageInput(
                images, weight, rms, variance, segmentation, survey, band, image_hdu, field, offline, archive, fetched
            ),
            settings,
            checkpoint,
            output=output,
            overwrite=overwrite,
            report=report,
            pictures=pictures,
            strict=strict,
            is_retry=retry,
            execution=Execution(engine, workers, scheduler, shard),
            whole=whole,
            progress=report_to,
            command=command,
        )
    return table


@checked
def embed(
    catalog: Any,
    images: Images = (),
    *,
    survey: str | Survey | None = None,
    band: str | None = None,
    field: str | None = None,
    offline: bool = False,
    archive: Way = "auto",
    fetched: str | Path | None = None,
    checkpoint: str | Path | Checkpoint | None = None,
    weight: Images = (),
    rms: Images = (),
    variance: Images = (),
    segmentation: Images = (),
    image_hdu: int | str | None = None,
    hdu: int | str | None = None,
    ra: str | None = None,
    dec: str | None = None,
    x: str | None = None,
    y: str | None = None,
    id: str | None = None,
    file: str | None = None,
    detect: str = "blocks",
    centroid: str = "windowed",
    views: str | None = None,
    light: int = 0,
    runtime: str | Path = "torch",
    precision: str = "single",
    device: str = "auto",
    prefix: str = "gm_",
    output: str | Path | None = None,
    overwrite: bool = False,
    retry: bool = False,
    engine: str = "auto",
    workers: int | None = None,
    scheduler: str | None = None,
    shard: str | None = None,
    whole: bool = True,
    progress: Progress | bool | None = None,
    command: str = "galmorph.embed",
) -> Any:
    """Add to every row the features in which a checkpoint sees it: :func:`classify` without its answers.

    The features are what the last dense layer of the checkpoint's first network sees, averaged over orientations and
    views, so that a turned galaxy keeps them: galaxies that look alike have similar ones. What :func:`similar`,
    :func:`outliers` and maps are made from.

    Parameters
    ----------
    catalog, images, survey, band, field, offline, archive, fetched, checkpoint, weight, rms, variance, segmentation
        As for :func:`classify`.
    image_hdu, hdu, ra, dec, x, y, id, file, detect, centroid, views, runtime, precision, device, prefix, output,
    overwrite
        As for :func:`classify`; CSV has no room for arrays.
    light
        In how many rings about the centre the light of the stamps is summed up in a column beside, which networks
        learn to overlook and :func:`outliers` may look at; 0 for none.
    retry, engine, workers, scheduler, shard, whole, progress, command
        As for :func:`classify`.

    Returns
    -------
    astropy.table.Table or pandas.DataFrame
        As the catalogue was given, with what was measured, ``gm_flags``, ``gm_model`` and ``gm_features``: (N, F)
        float32, all NaN in rows that :func:`classify` would leave without probabilities; with `light` also
        ``gm_light``.

    Raises
    ------
    CatalogError, SurveyError, ImageError, ArchiveError, CheckpointError, OutputError
        As :func:`classify`.

    Examples
    --------
    >>> import galmorph
    >>> from galmorph.shipped import shipped
    >>> sample = shipped("catalogs") / "samples" / "candels-h"
    >>> rows = galmorph.read_catalog(sample / "catalog.fits").table[3:8]
    >>> table = galmorph.embed(rows, sample / "image.fits.gz", survey="candels", band="H")
    >>> table["gm_features"].shape
    (5, 1280)
    """
    settings = Settings(
        detect=detect,
        centroid=centroid,
        prefix=prefix,
        device=device,
        views=views,
        runtime=str(runtime),
        precision=precision,
        features=True,
        light=light,
        probabilities=False,
    )
    with reporting(progress) as report_to:
        table, _ = _carried_out(
            CatalogInput(catalog, hdu, ColumnNames(ra, dec, x, y, id, file)),
            ImageInput(
                images, weight, rms, variance, segmentation, survey, band, image_hdu, field, offline, archive, fetched
            ),
            settings,
            checkpoint,
            output=output,
            overwrite=overwrite,
            is_retry=retry,
            execution=Execution(engine, workers, scheduler, shard),
            whole=whole,
            progress=report_to,
            command=command,
        )
    return table


@checked
def open_features(
    table: Any,
    *,
    features: str | Sequence[str] | None = None,
    whiten: bool = False,
    dimensions: int | None = None,
    exact: bool | None = None,
    hdu: int | str | None = None,
    ra: str | None = None,
    dec: str | None = None,
    id: str | None = None,
    file: str | None = None,
) -> OpenFeatures:
    """Lay out the features of a table in memory, to ask many times which of its rows are alike.

    Parameters
    ----------
    table
        What :func:`embed` returned or wrote, or any table with a column of as many numbers in each row.
    features
        Name of that column; by default the one whose name ends in ``features``, or the only one. Several are joined,
        each scaled to the same variance.
    whiten
        Whether all directions of the features get the same say, also those in which galaxies hardly differ.
    dimensions
        How many principal axes are kept; by default all.
    exact
        Whether all rows are compared, rather than those that a graph of neighbours (usearch) proposes; by default up to
        a million rows.
    hdu, ra, dec, id, file
        As for :func:`classify`.

    Returns
    -------
    OpenFeatures
        Its methods `similar` and `duplicates` answer in a tenth of a second for a million rows of 128 numbers.

    Raises
    ------
    CatalogError
        If the table has no such column, or no row has numbers.
    PipelineError
        If usearch is needed and missing.

    Examples
    --------
    >>> import galmorph
    >>> from astropy.table import Table
    >>> table = Table({"id": ["a", "b", "c", "d"], "features": [[1.0, 0.2], [0.9, 0.3], [-1.0, 0.0], [0.0, -1.0]]})
    >>> opened = galmorph.open_features(table)
    >>> opened.similar(["a"], number=1).table["id"].tolist()
    ['b']
    """
    return open_vectors(
        CatalogInput(table, hdu, ColumnNames(ra, dec, id=id, file=file)).open(positions=False),
        features,
        whiten=whiten,
        dimensions=dimensions,
        exact=exact,
    )


@checked
def similar(
    table: Any,
    to: Sequence[Any] | str | int = (),
    *,
    at: Sequence[str] | str = (),
    unlike: Sequence[Any] | str | int = (),
    number: int = 20,
    by: str = "rocchio",
    duplicates: float | None = None,
    features: str | Sequence[str] | None = None,
    whiten: bool = False,
    dimensions: int | None = None,
    exact: bool | None = None,
    hdu: int | str | None = None,
    ra: str | None = None,
    dec: str | None = None,
    id: str | None = None,
    file: str | None = None,
    prefix: str = "gm_",
    output: str | Path | None = None,
    overwrite: bool = False,
    command: str = "galmorph.similar",
) -> Table:
    """Find the rows of a table most like some of them, by the cosine of their features about the mean.

    Parameters
    ----------
    table
        As for :func:`open_features`, or what that returned.
    to, unlike
        Names of rows that others should be like, and of rows that they should not: values of the id column, files of
        stamps, or else numbers of rows from 0.
    at
        Positions as of :func:`positions`: the row nearest to each, within 5 arcsec, is an example, too.
    number
        How many rows are wanted.
    by
        How several examples make one direction: ``'rocchio'``, their mean less half of that of the counter-examples; or
        ``'logistic'``, a regression that tells one from the other.
    duplicates
        Instead, find all groups of rows each of which is at least as like another, such as 0.99: galaxies that are
        there twice, and artefacts.
    features, whiten, dimensions, exact, hdu, ra, dec, id, file
        As for :func:`open_features`; not for what that returned.
    prefix
        Of the new columns.
    output, overwrite
        File for the result, whose ending says the format; whether an existing one may be replaced.
    command
        What the result names as its origin.

    Returns
    -------
    astropy.table.Table
        Those rows, the likest first, with all their columns, ``gm_rank`` and ``gm_similarity``, 1 for the same and 0
        for what has nothing in common; of duplicates ``gm_group`` and ``gm_similarity``.

    Raises
    ------
    CatalogError
        If the table has no features, or a row is unknown or has none.
    OutputError
        If the output exists already or cannot be written.

    Examples
    --------
    >>> import galmorph
    >>> from astropy.table import Table
    >>> table = Table({"id": ["a", "b", "c", "d"], "features": [[1.0, 0.2], [0.9, 0.3], [-1.0, 0.0], [0.0, -1.0]]})
    >>> galmorph.similar(table, ["a"], unlike=["c"], number=2)["id"].tolist()
    ['b', 'd']
    """
    if duplicates is not None and any(isinstance(each, int) or len(each) for each in (to, at, unlike)):
        raise CatalogError("duplicates are looked for among all rows, and some were named: leave out one of them")
    opened_from = None if isinstance(table, OpenFeatures) else table
    check_outputs([output], opened_from, overwrite=overwrite)
    if isinstance(table, OpenFeatures):
        asked = {"features": features, "whiten": whiten or None, "dimensions": dimensions, "exact": exact, "hdu": hdu}
        _check_none_asked(asked | {"ra": ra, "dec": dec, "id": id, "file": file})
        space = table
    else:
        space = open_features(
            table,
            features=features,
            whiten=whiten,
            dimensions=dimensions,
            exact=exact,
            hdu=hdu,
            ra=ra,
            dec=dec,
            id=id,
            file=file,
        )
    if duplicates is not None:
        ranked = space.duplicates(duplicates, prefix=prefix)
    else:
        ranked = space.similar(to, at=at, unlike=unlike, number=number, by=by, prefix=prefix)
    return _written(ranked, output, overwrite=overwrite, command=command)


@checked
def outliers(
    table: Any,
    *,
    odd: Sequence[Any] | str | int = (),
    usual: Sequence[Any] | str | int = (),
    reference: Any = None,
    number: int | None = None,
    features: str | Sequence[str] | None = None,
    hdu: int | str | None = None,
    ra: str | None = None,
    dec: str | None = None,
    id: str | None = None,
    file: str | None = None,
    prefix: str = "gm_",
    output: str | Path | None = None,
    overwrite: bool = False,
    command: str = "galmorph.outliers",
) -> Table:
    """Put the rows of a table in the order of their strangeness, and after some marks in that of the user's interest.

    Parameters
    ----------
    table
        What :func:`embed` returned or wrote, or any table with a column of as many numbers in each row.
    odd, usual
        Names of rows, as of :func:`similar`, that a user finds odd, or not: then the order is that in which rows are
        expected to be called odd.
    reference
        A table of rows that are usual, such as the features of a training set; by default the table itself, of which
        most rows should be.
    number
        At most so many rows are returned; by default all.
    features, hdu, ra, dec, id, file
        As for :func:`open_features`.
    prefix, output, overwrite, command
        As for :func:`similar`.

    Returns
    -------
    astropy.table.Table
        The rows with all their columns and ``gm_strangeness``, the share of reference rows that are less strange; with
        marks ``gm_oddness`` as well, about 1 for odd and -1 for usual ones. Rows without features come last.

    Raises
    ------
    CatalogError
        If a table has no features, they do not fit each other, or a row is unknown or has none.
    OutputError
        If the output exists already or cannot be written.

    Examples
    --------
    >>> import galmorph, numpy as np
    >>> from astropy.table import Table
    >>> values = np.append(np.random.default_rng(1).normal(size=(50, 4)), [[9.0, 9.0, -9.0, 0.0]], axis=0)
    >>> galmorph.outliers(Table({"id": np.arange(51), "features": values}), number=1)["id"].tolist()
    [50]
    """
    check_outputs([output], table, reference, overwrite=overwrite)
    names = ColumnNames(ra, dec, id=id, file=file)
    ranked = ranked_by_strangeness(
        CatalogInput(table, hdu, names).open(positions=False),
        features,
        odd=odd,
        usual=usual,
        reference=None if reference is None else CatalogInput(reference).open(positions=False),
        number=number,
        prefix=prefix,
    )
    return _written(ranked, output, overwrite=overwrite, command=command)


@checked
def latent_factors(
    table: Any,
    scheme: str | Path,
    *,
    number: int = 8,
    features: str | None = None,
    hdu: int | str | None = None,
    id: str | None = None,
    file: str | None = None,
    prefix: str = "gm_",
    output: str | Path | None = None,
    overwrite: bool = False,
    command: str = "galmorph.latent_factors",
) -> Table:
    """Add to every row a few numbers that explain the votes of those rows that have some, predicted from features.

    Parameters
    ----------
    table
        With features, as :func:`embed` adds them, and columns of votes or fractions; rows may have none.
    scheme
        Name or file of the scheme that the votes are of.
    number
        Of factors.
    features, hdu, id, file
        As for :func:`open_features`.
    prefix, output, overwrite, command
        As for :func:`similar`.

    Returns
    -------
    astropy.table.Table
        All rows with ``gm_factors``, (N, number) float32, NaN where a row has no features: another column for
        :func:`similar` and :func:`outliers` (``features="gm_factors"``).

    Raises
    ------
    CatalogError
        If the table has no features.
    SchemeError
        If it has no votes of the scheme, or too few for so many factors.
    OutputError
        If the output exists already or cannot be written.

    Examples
    --------
    >>> import galmorph, numpy as np
    >>> from astropy.table import Table
    >>> p = np.random.default_rng(1).dirichlet([1] * 6, 40)
    >>> shares = dict(zip(galmorph.load_scheme("gz1").keys, p.T))
    >>> galmorph.latent_factors(Table({**shares, "features": p}), "gz1", number=2)["gm_factors"].shape
    (40, 2)
    """
    check_outputs([output], table, overwrite=overwrite)
    catalog = CatalogInput(table, hdu, ColumnNames(id=id, file=file)).open(positions=False)
    ranked = with_factors(catalog, load_scheme(scheme), number, features, prefix=prefix)
    return _written(ranked, output, overwrite=overwrite, command=command)


def _check_none_asked(asked: Mapping[str, Any]) -> None:
    if name := next((name for name, value in asked.items() if value is not None), None):
        raise CatalogError(
            f"{name} was given with features that are open: expected none, as open_features has it; give it there"
        )


def _written(ranked: Ranked, output: str | Path | None, *, overwrite: bool, command: str) -> Table:
    """Write ranked rows where asked, and return them."""
    history = f"galmorph {__version__}: {command}; rows of {ranked.catalog.origin}"
    provenance = Provenance((), (history,))
    if output is not None:
        write_catalog(ranked.some, ranked.columns, output, provenance=provenance, overwrite=overwrite)
    return append(ranked.some, ranked.columns, provenance)


@checked
def measure(
    catalog: Any,
    images: Images = (),
    *,
    survey: str | Survey | None = None,
    band: str | None = None,
    field: str | None = None,
    offline: bool = False,
    archive: Way = "auto",
    fetched: str | Path | None = None,
    weight: Images = (),
    rms: Images = (),
    variance: Images = (),
    segmentation: Images = (),
    image_hdu: int | str | None = None,
    hdu: int | str | None = None,
    ra: str | None = None,
    dec: str | None = None,
    x: str | None = None,
    y: str | None = None,
    id: str | None = None,
    file: str | None = None,
    detect: str = "blocks",
    centroid: str = "windowed",
    backend: str = "galmorph",
    prefix: str = "gm_",
    output: str | Path | None = None,
    overwrite: bool = False,
    report: str | Path | None = None,
    pictures: int | None = None,
    retry: bool = False,
    engine: str = "auto",
    workers: int | None = None,
    scheduler: str | None = None,
    shard: str | None = None,
    whole: bool = True,
    progress: Progress | bool | None = None,
    command: str = "galmorph.measure",
) -> Any:
    """Measure every row of a catalogue: the part of :func:`classify` before the network; does not need torch.

    Parameters
    ----------
    backend
        ``'galmorph'``, or ``'sep'`` or ``'photutils'`` for the textbook values of those libraries.
    catalog, images, survey, band, field, offline, archive, fetched, weight, rms, variance, segmentation, image_hdu
        As for :func:`classify`.
    hdu, ra, dec, x, y, id, file
        As for :func:`classify`.
    detect, centroid, prefix, output, overwrite, report, pictures, retry, engine, workers, scheduler, shard
        As for :func:`classify`.
    whole, progress, command
        As for :func:`classify`.

    Returns
    -------
    astropy.table.Table or pandas.DataFrame
        The rows with centroid (deg, ICRS), Petrosian radius, radii of 20, 50 and 80 % of the light (arcsec),
        concentration, asymmetry, ellipticity, position angle (deg), signal-to-noise ratio, their errors, and flags.

    Raises
    ------
    CatalogError, SurveyError, ImageError, OutputError
        Before work starts, if something does not fit.
    PipelineError
        If the backend is unknown or its library not installed.

    Examples
    --------
    >>> import galmorph
    >>> from galmorph.shipped import shipped
    >>> sample = shipped("catalogs") / "samples" / "candels-h"
    >>> rows = galmorph.read_catalog(sample / "catalog.fits").table[3:8]
    >>> table = galmorph.measure(rows, sample / "image.fits.gz", survey="candels", band="H")
    >>> bool((table["gm_rpet"] > 0.1).all())
    True
    """
    with reporting(progress) as report_to:
        table, _ = _carried_out(
            CatalogInput(catalog, hdu, ColumnNames(ra, dec, x, y, id, file)),
            ImageInput(
                images, weight, rms, variance, segmentation, survey, band, image_hdu, field, offline, archive, fetched
            ),
            Settings(detect=detect, centroid=centroid, backend=backend, prefix=prefix),
            network=False,
            output=output,
            overwrite=overwrite,
            report=report,
            pictures=pictures,
            is_retry=retry,
            execution=Execution(engine, workers, scheduler, shard),
            whole=whole,
            progress=report_to,
            command=command,
        )
    return table


def _carried_out(
    catalog: CatalogInput,
    images: ImageInput,
    settings: Settings,
    checkpoint: str | Path | Checkpoint | None = None,
    *,
    network: bool = True,
    output: str | Path | None,
    overwrite: bool,
    report: str | Path | None = None,
    pictures: int | None = None,
    strict: bool = False,
    is_retry: bool = False,
    execution: Execution,
    whole: bool = True,
    progress: Progress,
    command: str,
) -> tuple[Any, Any]:
    """Carry out a plan, and draw its report while its images are open; return the table and what is new in it."""
    _, classify, retry = _runs()
    execution.check(has_output=output is not None)
    if pictures is not None:
        _drawn()[1].check_pictures(pictures, report)
    with closing(classify.Plan(catalog, images, checkpoint, settings, network)) as plan:
        if is_retry or execution.shard is not None:
            _check_whole(report, strict=strict, what="retry" if is_retry else "shard")
        if is_retry and not whole:
            raise CatalogError("whole = False was given with retry, which makes the table anew: leave it out")
        if is_retry:
            again = retry.retry(plan, output=output, overwrite=overwrite, progress=progress, command=command)
            return again, None
        if execution.shard is not None and output is not None:
            done = classify.classify_share(
                plan, output=output, overwrite=overwrite, execution=execution, progress=progress
            )
            return done, None
        if report is not None:
            _drawn()[1].check_report(report, *plan.inputs, overwrite=overwrite)
        outcome = classify.classify(
            plan, output=output, overwrite=overwrite, execution=execution, progress=progress, command=command
        )
        if report is not None:
            _drawn()[1].write_report(
                plan.run, outcome.results, report, overwrite=overwrite, pictures=pictures, progress=progress
            )
        if strict:
            outcome.check_all_classified(output)
        return outcome.table() if whole else outcome.new_table(), outcome.results


def _runs() -> tuple[ModuleType, ModuleType, ModuleType]:
    from galmorph.runs import answering, classify, retry  # noqa: PLC0415 - numba

    return answering, classify, retry


def _drawn() -> tuple[ModuleType, ModuleType, ModuleType]:
    from galmorph.pages import galaxy_view, maps, report  # noqa: PLC0415 - pillow and jinja2, a third of a second

    return galaxy_view, report, maps


def _check_whole(report: str | Path | None, *, strict: bool, what: str) -> None:
    """Refuse what needs the results of all rows, where only some are done."""
    if report is not None or strict:
        raise CatalogError(
            f"{'strict' if strict else 'report'} was given with {what}: it is for runs of all rows; leave it out"
        )


@checked
def prepare(
    catalog: Any,
    images: Images = (),
    *,
    checkpoint: str | Path | Checkpoint | None = None,
    survey: str | Survey | None = None,
    band: str | None = None,
    field: str | None = None,
    archive: Way = "auto",
    image_hdu: int | str | None = None,
    ra: str | None = None,
    dec: str | None = None,
    x: str | None = None,
    y: str | None = None,
    id: str | None = None,
    file: str | None = None,
    errors: bool = False,
    rule: str = "",
    device: str = "auto",
    precision: str = "single",
) -> MeasuredRows:
    """Do the part of :func:`classify` that needs no network: measure a few rows and cut their stamps.

    For services, to which galaxies come one by one: several threads may prepare at once, and :func:`answer` shows all
    that waits to the network together.

    Parameters
    ----------
    checkpoint
        Best a loaded one: it is opened anew each time else.
    catalog, images, survey, band, field, archive, image_hdu, ra, dec, x, y, id, file, errors, rule, device, precision
        As for :func:`classify`.

    Returns
    -------
    MeasuredRows
        To be given to :func:`answer`, and closed afterwards.

    Raises
    ------
    CatalogError, SurveyError, ImageError, ArchiveError, CheckpointError
        If something does not fit.
    """
    answering, classify, _ = _runs()
    plan = classify.Plan(
        CatalogInput(catalog, None, ColumnNames(ra, dec, x, y, id, file)),
        ImageInput(images, survey=survey, band=band, hdu=image_hdu, field=field, archive=archive),
        checkpoint,
        Settings(errors=errors, rule=rule, device=device, precision=precision),
    )
    rows: MeasuredRows = answering.prepare(plan)
    return rows


@checked
def answer(prepared: Sequence[MeasuredRows], *, command: str = "galmorph.answer") -> list[Outcome]:
    """Do the rest of :func:`classify` for what :func:`prepare` returned: show it to the network, all of it together.

    Parameters
    ----------
    prepared
        With the same checkpoint and settings.
    command
        What the provenance in the results names as their origin.

    Returns
    -------
    list of Outcome
        Of each; its `columns` and its `table()` are those that :func:`classify` gives, bit for bit.

    Raises
    ------
    CheckpointError
        If they are for several checkpoints or settings.
    """
    answering, _, _ = _runs()
    outcomes: list[Outcome] = answering.answer(prepared, command)
    return outcomes


@checked
def usual_checkpoint(survey: str | Survey | None = None, band: str | None = None) -> str:
    """Name the checkpoint that answers for a survey and band where none is named.

    Parameters
    ----------
    survey, band
        As for :func:`classify`.

    Raises
    ------
    SurveyError
        If there is no such survey or band.
    CheckpointError
        If none ships for it, or several do.
    """
    asked = ImageInput(survey=survey, band=band)
    bands = asked.known_bands()
    return default_checkpoint(asked.known_survey(), bands, band or "/".join(bands))


@checked
def status(output: str | Path) -> Status:
    """Say how far the run that makes an output is, from the parts beside it.

    Parameters
    ----------
    output
        As it was given to :func:`classify` or :func:`measure`.

    Returns
    -------
    Status
        Rows and parts that are done, of how many, and rows a second in the last minutes; printed, a line.

    Raises
    ------
    OutputError
        If there is no such run: none was begun, it has but one part, or it is done.
    """
    return read_status(output)


@checked
def train(
    labels: Any,
    images: Images,
    pipeline: str | Path | TrainPipeline,
    output: str | Path,
    *,
    survey: str | Survey | None = None,
    band: str | None = None,
    weight: Images = (),
    rms: Images = (),
    variance: Images = (),
    segmentation: Images = (),
    image_hdu: int | str | None = None,
    hdu: int | str | None = None,
    ra: str | None = None,
    dec: str | None = None,
    x: str | None = None,
    y: str | None = None,
    id: str | None = None,
    file: str | None = None,
    scheme: str | None = None,
    epochs: int | None = None,
    seed: int | None = None,
    resume: bool = False,
    threads: int | None = None,
    device: str = "auto",
    progress: Progress | bool | None = None,
) -> TrainingRun:
    """Train a network from a table of labels and images, as a pipeline says.

    Parameters
    ----------
    labels
        Table of votes, fractions or classes, with positions or files: whatever :func:`classify` takes as a catalogue.
    images, weight, rms, variance, segmentation, image_hdu, hdu, ra, dec, x, y, id, file
        As for :func:`classify`; columns that are not named are those of the pipeline's ``[inputs]``, if it names some.
    pipeline
        Name, file, or what :func:`load_pipeline` returned.
    output
        Folder for ``NAME.safetensors``, its card ``NAME.json``, the logs and the state to resume from.
    survey, band
        Of the images, instead of the pipeline's.
    scheme
        Label scheme, instead of the pipeline's.
    epochs, seed
        Instead of the pipeline's.
    resume
        Continue a run that was stopped.
    threads
        Of the processor that torch uses; by default as it chooses.
    device
        Where networks learn: ``'auto'``, ``'cpu'`` or ``'cuda'``.
    progress
        True shows a bar; a function is called with stage, done, total and a remark.

    Returns
    -------
    TrainingRun
        The checkpoint, its `path` and its card, whose scores are those of the validation part.

    Raises
    ------
    PipelineError, SchemeError, CatalogError, CheckpointError, ImageError, OutputError
        Before training starts, if anything does not fit.
    """
    overrides = _overrides(epochs=epochs, seed=seed) | ({"scheme": scheme} if scheme else {})
    chosen = _training(pipeline, overrides)
    columns = chosen.inputs.columns(ColumnNames(ra, dec, x, y, id, file))
    with reporting(progress) as report_to, _limited(threads):
        trained: TrainingRun = _trainings()[0].train(
            CatalogInput(labels, hdu, columns),
            ImageInput(images, weight, rms, variance, segmentation, survey, band, image_hdu),
            chosen,
            Path(output),
            resume=resume,
            device=device,
            progress=report_to,
            on_epoch=_draw_losses,
        )
    return trained


@checked
def run(
    pipelines: str | Path | Pipeline | Sequence[str | Path | Pipeline],
    output: str | Path,
    *,
    inputs: Inputs | None = None,
    split: str = "test",
    epochs: int | None = None,
    seed: int | None = None,
    resume: bool = False,
    threads: int | None = None,
    device: str = "auto",
    overwrite: bool = False,
    progress: Progress | bool | None = None,
    command: str = "galmorph.run",
) -> Table:
    """Run one or more pipelines: train and score them, and lay their scores side by side; or classify.

    Parameters
    ----------
    pipelines
        Names, files, or what :func:`load_pipeline` returned; all of one kind.
    output
        Folder for ``comparison.ecsv`` and a folder for each pipeline; or for the results of pipelines that classify.
    inputs
        Instead of the pipelines' ``[inputs]``: ``{"labels": "votes.csv", "images": "stamps.zip"}``, ``weight``,
        ``rms``, ``variance``, ``segmentation``, ``hdu``, ``image_hdu``, ``ra``, ``dec``, ``x``, ``y``, ``id``,
        ``file``; to classify ``catalog`` instead of ``labels``, ``survey`` and ``band``, and where there are no images
        ``field``, ``archive``, ``offline`` and ``fetched``.
    split
        Which labels are scored: ``'test'`` or ``'validation'``.
    epochs, seed, resume
        As for :func:`train`; to classify there is nothing of the kind.
    overwrite
        Replace existing results of pipelines that classify.
    threads, device, progress
        As for :func:`train`.
    command
        What the provenance of a catalogue names as its origin.

    Returns
    -------
    astropy.table.Table
        A row for each measure, a column for each pipeline; for those that classify a row each, with the file of the
        result, ``output``, and how many rows it has and how many of them have probabilities.

    Raises
    ------
    PipelineError, SchemeError, CatalogError, CheckpointError, ImageError, OutputError
        Before anything is trained, or classified by a pipeline, if its settings or inputs do not fit.
    UnclassifiedError
        If a pipeline is strict and a row has no probabilities.
    """
    listed = [pipelines] if isinstance(pipelines, str | Path | TrainPipeline | ClassifyPipeline) else pipelines
    chosen = [_pipeline(each, _overrides(inputs=inputs)) for each in listed]
    classifying = [each for each in chosen if isinstance(each, ClassifyPipeline)]
    if classifying:
        _check_all_classify(chosen, epochs=epochs, seed=seed, resume=resume, split=split)
        _check_results(classifying, Path(output), overwrite=overwrite)
        with reporting(progress) as report_to, _limited(threads):
            rows = [_classified(each, Path(output), device, overwrite, report_to, command) for each in classifying]
        return Table(rows)
    if overwrite:
        raise PipelineError("overwrite is for pipelines that classify: go on with --resume, or choose another output")
    training = [_training(each, _overrides(epochs=epochs, seed=seed)) for each in chosen]
    with reporting(progress) as report_to, _limited(threads):
        table: Table = _trainings()[1].compare(
            training,
            Path(output),
            split=split,
            resume=resume,
            device=device,
            progress=report_to,
            on_epoch=_draw_losses,
        )
    return table


@checked
def tune(
    pipeline: str | Path | TrainPipeline,
    output: str | Path,
    *,
    inputs: Inputs | None = None,
    trials: int | None = None,
    seed: int | None = None,
    blend: int | None = None,
    fit_shares: bool = False,
    epochs: int | None = None,
    resume: bool = False,
    threads: int | None = None,
    device: str = "auto",
    progress: Progress | bool | None = None,
) -> Tuned:
    """Search the ranges of a pipeline's ``[tune]`` table at random, and join the best trials.

    Parameters
    ----------
    pipeline
        Name, file, or what :func:`load_pipeline` returned.
    output
        Folder for ``trials.ecsv``, the trials and the blend.
    trials, seed
        How many draws, and the seed of the search, instead of the pipeline's.
    blend
        Join so many of the best into one checkpoint.
    fit_shares
        Of the blend's networks, to the votes of the validation part; by default they are equal.
    inputs, epochs, resume, threads, device, progress
        As for :func:`run`.

    Returns
    -------
    Tuned
        The table of trials, the checkpoints from the best to the worst, and the blend.

    Raises
    ------
    PipelineError, SchemeError, CatalogError, CheckpointError, ImageError, OutputError
        Before anything is trained, if the settings of one of the trials or the inputs do not fit.
    """
    from galmorph.learning import tuning  # noqa: PLC0415 - torch

    if fit_shares and blend is None:
        raise PipelineError("--fit-shares without --blend: say how many of the best to join with --blend N")
    chosen = _training(pipeline, _overrides(epochs=epochs, inputs=inputs))
    best = None if blend is None else tuning.Blend(blend, fit_shares)
    with reporting(progress) as report_to, _limited(threads):
        return tuning.tune(
            chosen,
            Path(output),
            trials=trials,
            seed=seed,
            blend=best,
            resume=resume,
            device=device,
            progress=report_to,
            on_epoch=_draw_losses,
        )


@checked
def evaluate(
    checkpoint: str | Path | Checkpoint,
    labels: Any,
    images: Images,
    *,
    survey: str | Survey | None = None,
    band: str | None = None,
    weight: Images = (),
    rms: Images = (),
    variance: Images = (),
    segmentation: Images = (),
    image_hdu: int | str | None = None,
    hdu: int | str | None = None,
    ra: str | None = None,
    dec: str | None = None,
    x: str | None = None,
    y: str | None = None,
    id: str | None = None,
    file: str | None = None,
    split: str = "test",
    views: str | None = None,
    precision: str = "single",
    output: str | Path | None = None,
    overwrite: bool = False,
    card: str | Path | None = None,
    progress: Progress | bool | None = None,
) -> dict[str, Any]:
    """Score a checkpoint on labelled images, divided as they were for its training.

    Parameters
    ----------
    checkpoint
        A name, a file or a loaded one.
    labels, images, weight, rms, variance, segmentation, image_hdu, hdu, ra, dec, x, y, id, file
        As for :func:`train`.
    survey, band
        Of the images; by default those of the checkpoint's training images.
    split
        Which labels: ``'train'``, ``'validation'``, ``'test'`` or ``'all'``.
    views
        Over which probabilities are averaged; by default as the checkpoint's recipe says.
    precision
        In what convolutions are computed, as for :func:`classify`.
    output, overwrite
        JSON file for the scores; whether an existing one may be replaced.
    card
        The scores are entered into this card of a checkpoint.
    progress
        True shows a bar; a function is called with stage, done, total and a remark.

    Returns
    -------
    dict
        Scores of the whole, of the answers to all questions pooled, and of each question.

    Raises
    ------
    PipelineError
        If there is no such part or it is empty, or the views are unknown.
    CatalogError, CheckpointError, ImageError, SchemeError, SurveyError, OutputError
        If something does not fit.
    """
    scoring = _scoring()
    table = CatalogInput(labels, hdu, ColumnNames(ra, dec, x, y, id, file))
    asked = ImageInput(images, weight, rms, variance, segmentation, survey, band, image_hdu)
    inputs = (table, asked, *_files_of(checkpoint))
    check_outputs([output], *inputs, card, overwrite=overwrite)
    _check_card(card, *inputs[:3])
    scored = load_checkpoint(checkpoint)
    with reporting(progress) as report_to:
        scores: dict[str, Any] = scoring.evaluate_checkpoint(
            scored, table, asked, split=split, views=views, precision=precision, progress=report_to
        )
    if card is not None:
        add_to_card(card, split, scores)
    if output is not None:
        with replacing(Path(output), overwrite=overwrite) as temporary:
            temporary.write_text(json.dumps(scores, indent=1) + "\n", encoding="utf-8")
    return scores


@checked
def calibrate(
    checkpoint: str | Path,
    labels: Any,
    images: Images,
    output: str | Path,
    *,
    survey: str | Survey | None = None,
    band: str | None = None,
    weight: Images = (),
    rms: Images = (),
    variance: Images = (),
    segmentation: Images = (),
    image_hdu: int | str | None = None,
    hdu: int | str | None = None,
    ra: str | None = None,
    dec: str | None = None,
    x: str | None = None,
    y: str | None = None,
    id: str | None = None,
    file: str | None = None,
    method: str = "temperature",
    sets: str = "lac",
    coverage: float = 0.9,
    by_class: bool = False,
    false_alarms: float = 0.01,
    overwrite: bool = False,
    progress: Progress | bool | None = None,
) -> Path:
    """Fit calibration, prediction sets and envelope of a checkpoint anew; its networks stay as they are.

    Parameters
    ----------
    checkpoint
        Name or file.
    labels, images, survey, band, weight, rms, variance, segmentation, image_hdu, hdu, ra, dec, x, y, id, file
        The labels and images that it was trained on, as for :func:`evaluate`.
    output
        File of the result, ending in ``.safetensors``; its card lies beside it.
    method
        ``'temperature'``, or ``'dirichlet'``: Dirichlet maps for the questions where cross-validation prefers them.
    sets
        Kind of prediction sets: ``'lac'`` or ``'aps'``.
    coverage
        Of the sets.
    by_class
        The same coverage for each class.
    false_alarms
        Share of galaxies like the training images that the embedding may call outside.
    overwrite
        Replace an existing file.
    progress
        True shows a bar; a function is called with stage, done, total and a remark.

    Returns
    -------
    pathlib.Path
        Of the result.

    Raises
    ------
    PipelineError
        If a setting is unknown, or a part of the labels is empty or has no image.
    CatalogError, CheckpointError, ImageError, SchemeError, SurveyError, OutputError
        If something does not fit.
    """
    scoring = _scoring()
    table = CatalogInput(labels, hdu, ColumnNames(ra, dec, x, y, id, file))
    asked = ImageInput(images, weight, rms, variance, segmentation, survey, band, image_hdu)
    path = _new_checkpoint(output, table, asked, *_files_of(checkpoint), overwrite=overwrite)
    settings = CalibrationSettings(method, sets, coverage, by_class, false_alarms)
    former, card = load_checkpoint(checkpoint), read_card(checkpoint)
    with reporting(progress) as report_to:
        fitted, card = scoring.calibrate_checkpoint(former, table, asked, settings, card=card, progress=report_to)
    written: Path = _checkpoint_files().save_checkpoint(fitted, path, card, overwrite=overwrite)
    return written


@checked
def ensemble(
    checkpoints: Sequence[str | Path | Checkpoint],
    output: str | Path | None = None,
    *,
    shares: Sequence[float] = (),
    name: str = "",
    overwrite: bool = False,
) -> Checkpoint:
    """Make one checkpoint of several for the same stamps and answers, whose networks answer together.

    The probabilities of all networks are averaged, in the shares given, before they are calibrated. The temperatures
    of the result are the weighted geometric means of those of the parts. Other calibration and prediction sets do not
    carry over: :func:`calibrate` fits them to the result.

    Parameters
    ----------
    checkpoints
        Names, files or loaded ones, two or more; a part may be an ensemble itself.
    output
        File to write, ending in ``.safetensors``, with a card beside it; None to write nothing.
    shares
        One for each checkpoint, in any unit; equal by default.
    name
        Of the result; by default that of the file, or of the parts joined by ``+``.
    overwrite
        Replace an existing file.

    Returns
    -------
    Checkpoint
        The result.

    Raises
    ------
    CheckpointError
        If there are fewer than two, if their recipes, schemes, surveys or bands differ, or the shares do not fit.
    OutputError
        If the file exists already or cannot be written.
    """
    from galmorph.nets.checkpoint import ensemble as ensembles  # noqa: PLC0415 - torch

    read = [_files_of(each) for each in checkpoints]
    path = None if output is None else _new_checkpoint(output, *read, overwrite=overwrite)
    return ensembles.ensemble(checkpoints, path, shares=shares, name=name, overwrite=overwrite)


@checked
def export(checkpoint: str | Path | Checkpoint, output: str | Path, *, overwrite: bool = False) -> float:
    """Write a checkpoint as an ONNX file, with all that it holds in the metadata, and check it against torch.

    The graph takes a batch of stretched stamps of any length and gives uncalibrated probabilities given that each
    question is asked; recipe, scheme, calibration and envelope are JSON under the key ``galmorph``.

    Parameters
    ----------
    checkpoint
        A name, a file or a loaded one.
    output
        File to write.
    overwrite
        Replace an existing file.

    Returns
    -------
    float
        The largest difference of a probability from torch's, on random stamps and those of a sample; at most 1e-4.

    Raises
    ------
    CheckpointError
        If the libraries of ``galmorph[onnx]`` are missing, or the file would answer otherwise than torch.
    OutputError
        If the file exists already or cannot be written.
    """
    from galmorph.runs import export as exports  # noqa: PLC0415 - torch

    path = _with_ending(output, ".onnx")
    check_outputs([path], *_files_of(checkpoint), overwrite=overwrite)
    return exports.export(checkpoint, path, overwrite=overwrite)


@checked
def inspect(
    checkpoint: str | Path,
    labels: Any = None,
    images: Images | None = None,
    *,
    output: str | Path,
    survey: str | Survey | None = None,
    band: str | None = None,
    weight: Images = (),
    rms: Images = (),
    variance: Images = (),
    segmentation: Images = (),
    image_hdu: int | str | None = None,
    hdu: int | str | None = None,
    ra: str | None = None,
    dec: str | None = None,
    x: str | None = None,
    y: str | None = None,
    id: str | None = None,
    file: str | None = None,
    split: str | None = None,
    rows: int | None = None,
    pictures: str = "all",
    seed: int = 0,
    overwrite: bool = False,
    card: str | Path | None = None,
    progress: Progress | bool | None = None,
) -> Path:
    """Write one HTML page about a checkpoint: what it sees, how it scores, where it errs.

    Parameters
    ----------
    checkpoint
        Name or file.
    labels, images, survey, band, weight, rms, variance, segmentation, image_hdu, hdu, ra, dec, x, y, id, file
        Labels and the images of their galaxies, as for :func:`evaluate`; both or none.
    output
        The page if it ends with ``.html``, else a folder for ``NAME.html``, made where it does not exist.
    split
        Which labels: ``'train'``, ``'validation'`` (default), ``'test'`` or ``'all'``.
    rows
        At most so many galaxies, drawn by lot.
    pictures
        Galaxies to show: ``'all'`` of the labels, ``'none'``, or ``'simulated'`` ones, which needs GalSim but no
        labels.
    seed
        Of all that is drawn by lot. The same seed gives the same page.
    overwrite
        Whether an earlier page may be replaced.
    card
        The page is entered into this card of the checkpoint.
    progress
        True shows a bar; a function is called with stage, done, total and a remark.

    Returns
    -------
    pathlib.Path
        Of the page.

    Raises
    ------
    CheckpointError
        If there is no such checkpoint or card, or none of its survey can be simulated.
    CatalogError
        If labels come without images, or images or a choice of labels without labels.
    PipelineError, SchemeError, ImageError
        If the part is unknown or empty, or labels or images do not fit.
    OutputError
        If the page exists and may not be replaced, or cannot be written.
    """
    from galmorph.pages import inspection  # noqa: PLC0415 - torch

    usual = _checkpoint_files().read_envelope(checkpoint)
    inspection.check_asked(labels=labels is not None, images=images is not None, split=split, rows=rows)
    catalog = CatalogInput(labels, hdu, ColumnNames(ra, dec, x, y, id, file))
    asked = ImageInput(() if images is None else images, weight, rms, variance, segmentation, survey, band, image_hdu)
    inputs = (catalog, asked, *_files_of(checkpoint))
    inspection.check_page(output, Path(checkpoint).stem, *inputs, card, overwrite=overwrite)
    _check_card(card, *inputs[:3])
    table = source = None
    with ExitStack() as stack:
        if labels is None:
            _check_idle(catalog, asked)
        else:
            table, source = stack.enter_context(opened(catalog, asked, usual.survey, usual.band))
        return inspection.inspect_checkpoint(
            checkpoint,
            table,
            source,
            output=output,
            split=split,
            rows=rows,
            pictures=pictures,
            overwrite=overwrite,
            card=card,
            seed=seed,
            progress=stack.enter_context(reporting(progress)),
        )


@checked
def simulate(
    survey: str = "candels",
    band: str = "H",
    *,
    rows: int = 300,
    seed: int = 1,
    side: int | None = None,
    output: str | Path | None = None,
    overwrite: bool = False,
) -> MockField:
    """Simulate a field of a survey with a catalogue and known truth; needs GalSim.

    Parameters
    ----------
    survey, band
        A survey, and one of its bands or three of them (``gri``, ``RGB``).
    rows
        Of the catalogue.
    seed
        The same seed gives the same field.
    side
        Of the image in pixels; by default as the rows need.
    output, overwrite
        Folder for the field as FITS files, which ``field.files(folder)`` lists; whether existing ones may be replaced.

    Returns
    -------
    MockField
        Images, weights, catalogue and truth; ``field.write(folder)`` writes them as FITS files.

    Raises
    ------
    SurveyError, PipelineError
        If there is no such survey or band, GalSim is missing, or the field would not hold the rows.
    OutputError
        Before work starts, if a file exists and may not be replaced, or the folder cannot be written.

    Examples
    --------
    >>> import galmorph
    >>> field = galmorph.simulate("candels", "H", rows=3, side=128)
    >>> field.images["H"].shape
    (128, 128)
    """
    from galmorph.sky import mock  # noqa: PLC0415 - scipy's statistics, half a second

    if output is not None:
        mock.check_field(output, survey, band, overwrite=overwrite)
    field = mock.simulate(survey, band, rows=rows, seed=seed, side_px=side)
    if output is not None:
        field.write(output, overwrite=overwrite)
    return field


@checked
def open_images(
    images: Images,
    *,
    survey: str | Survey | None = None,
    band: str | None = None,
    weight: Images = (),
    rms: Images = (),
    variance: Images = (),
    segmentation: Images = (),
    image_hdu: int | str | None = None,
) -> ImageSource:
    """Open images once, for several calls of :func:`classify` and the others; the caller closes them.

    Parameters
    ----------
    images, survey, band, weight, rms, variance, segmentation, image_hdu
        As for :func:`classify`. Stamps that were never files are given by name, ``{"a.jpg": b"..."}``, all of them JPEG
        or PNG, or all FITS of one band; rows have a column ``file``, and their galaxy is in the middle of the stamp.

    Raises
    ------
    ImageError
        If a file is missing, truncated, no image, or does not go with the others.
    SurveyError
        If the survey has no such band or makes no colour pictures.

    Examples
    --------
    >>> import galmorph
    >>> from galmorph.shipped import shipped
    >>> folder = shipped("catalogs") / "samples" / "candels-h"
    >>> images = galmorph.open_images(folder / "image.fits.gz", survey="candels", band="H")
    >>> images.n_planes
    1
    >>> images.close()
    """
    return ImageInput(images, weight, rms, variance, segmentation, survey, band, image_hdu).open()


@checked
def open_store(url: str | Path, *, create: bool = False) -> Store:
    """Open a store: models, images, predictions and labels in one SQL database, scored beside it.

    Parameters
    ----------
    url
        The path of a file, which SQLite keeps; or ``postgresql+psycopg://USER@HOST/DATABASE``, which needs
        ``galmorph[postgresql]``.
    create
        Whether to make one where there is none.

    Returns
    -------
    Store
        A context manager: ``push_model``, ``add_images``, ``score``, ``pull``, ``add_label``, ``labels`` and more; see
        docs/store.md.

    Raises
    ------
    StoreError
        If there is no store, it is a newer one or a database of something else, it cannot be opened, or a library is
        missing.
    """
    if importlib.util.find_spec("sqlalchemy") is None:
        raise StoreError("a store needs sqlalchemy: pip install 'galmorph[store]'")
    from galmorph.store import store  # noqa: PLC0415 - torch

    return store.open_store(url, create=create)


@checked
def overlay(
    result: Any,
    *,
    regions: str | Path | None = None,
    moc: str | Path | None = None,
    links: str | Path | None = None,
    samp: bool = False,
    survey: str | Survey | None = None,
    overwrite: bool = False,
    prefix: str = "gm_",
    hdu: int | str | None = None,
    ra: str | None = None,
    dec: str | None = None,
) -> Overlays:
    """Show a result in other programs of the sky.

    Parameters
    ----------
    result
        A result of :func:`classify` or :func:`measure`: a file, or a table.
    regions
        Region file of SAOImage DS9: an ellipse of each row at its Petrosian radius (a circle without a shape), with its
        class; dashed where there are flags.
    moc
        Coverage map (IVOA MOC 2.0) of the cells of 26 arcsec in which rows were classified.
    links
        The result once more, with a column ``gm_link`` of addresses of pictures (UCD ``meta.ref.url``).
    samp
        Send the result, or the file of `links`, to the programs that read tables at the SAMP hub: TOPCAT, Aladin.
    survey
        Whose pictures are linked; by default the one that the result names.
    overwrite
        Whether existing files may be replaced.
    prefix, hdu, ra, dec
        As of :func:`classify`.

    Returns
    -------
    Overlays
        The files, each with what it holds, and the names of the programs that were sent the table.

    Raises
    ------
    CatalogError
        If that is no result.
    OutputError
        If a file cannot be written, or nobody takes the table.
    SurveyError
        If nobody draws pictures of the survey.
    """
    if not (samp or any((regions, moc, links))):
        raise OutputError("nothing was asked for: expected regions, moc, links or samp; name one")
    check_outputs([regions, moc, links], result, overwrite=overwrite)
    catalog = CatalogInput(result, hdu, ColumnNames(ra, dec)).open()
    rows, files = PlacedRows.of(catalog, prefix), dict[Path, str]()
    if links is not None:
        count = write_links(catalog, rows, survey, Path(links), prefix=prefix, overwrite=overwrite)
        files[Path(links)] = f"{count} links"
    if regions is not None:
        files[Path(regions)] = f"{write_regions(rows, Path(regions), overwrite=overwrite)} regions"
    if moc is not None:
        files[Path(moc)] = f"{write_moc(rows, Path(moc), overwrite=overwrite):.3g} square degrees"
    sent = links if links is not None else catalog.path
    return Overlays(files, send_table(Path(sent or "a table in memory")) if samp else [])


@checked
def view(
    catalog: Any,
    images: Images | ImageSource,
    *,
    row: int = 0,
    checkpoint: str | Path | Checkpoint | None = None,
    survey: str | Survey | None = None,
    band: str | None = None,
    side: int = 256,
) -> GalaxyView | None:
    """Cut one galaxy of a catalogue out for the eye: with any stretch, its radius, its neighbours, its stamp.

    Parameters
    ----------
    catalog, images, survey, band
        As for :func:`classify`.
    row
        Number of the row.
    checkpoint
        Whose field of view and stamp are shown, named, by its file or as :func:`load_checkpoint` returned it; by
        default a field of two Petrosian radii to each side, and a stamp without neighbours.
    side
        Of the picture, in pixels.

    Returns
    -------
    GalaxyView or None
        With :meth:`~galmorph.pages.galaxy_view.GalaxyView.png` and others; None where there is no image.

    Raises
    ------
    CatalogError, SurveyError, ImageError, CheckpointError
        If something cannot be read or does not fit.

    Examples
    --------
    >>> import galmorph
    >>> from galmorph.shipped import shipped
    >>> sample = shipped("catalogs") / "samples" / "candels-h"
    >>> view = galmorph.view(sample / "catalog.fits", sample / "image.fits.gz", row=3, survey="candels", band="H")
    >>> view.png()[1:4], bool(view.sketch.radius)
    (b'PNG', True)
    """
    recipe = None if checkpoint is None else load_checkpoint(checkpoint).recipe
    with opened(CatalogInput(catalog), ImageInput(images, survey=survey, band=band)) as (table, source):
        shown: GalaxyView | None = _drawn()[0].view(table, source, row, recipe, side)
    return shown


@checked
def positions(texts: str | Sequence[str]) -> Table:
    """Make a catalogue of positions that are spelt out, for :func:`classify` and the others.

    Parameters
    ----------
    texts
        Right ascension and declination of each, in degrees or sexagesimal (hours and degrees): ``'53.1 -27.8'``,
        ``'03:32:38 -27:48:00'``.

    Returns
    -------
    astropy.table.Table
        A row for each, with ra and dec in degrees.

    Raises
    ------
    CatalogError
        If one is no position.

    Examples
    --------
    >>> import galmorph
    >>> galmorph.positions("03h32m24s -27d48m00s")["dec"].tolist()
    [-27.8]
    """
    degrees = [position_degrees(text) for text in ([texts] if isinstance(texts, str) else texts)]
    names = ("ra", "dec")
    return Table(rows=degrees or None, names=names, dtype=("f8", "f8"), units=dict.fromkeys(names, "deg"))


@checked
def map_features(
    catalog: Any,
    images: Images = (),
    *,
    features: str | None = None,
    method: str = "tsne",
    onto: str | Path | None = None,
    axes: Sequence[str] = (),
    seed: int = 0,
    output: str | Path | None = None,
    save: str | Path | None = None,
    page: str | Path | None = None,
    colours: Sequence[str] = (),
    pictures: int = 2000,
    service: str = "",
    survey: str | Survey | None = None,
    band: str | None = None,
    prefix: str = "gm_",
    hdu: int | str | None = None,
    ra: str | None = None,
    dec: str | None = None,
    x: str | None = None,
    y: str | None = None,
    id: str | None = None,
    file: str | None = None,
    overwrite: bool = False,
    progress: Progress | bool | None = None,
    command: str = "galmorph.map_features",
) -> Table:
    """Lay galaxies out on a map, those with like features together; as columns, and as a page to look through.

    Parameters
    ----------
    catalog
        As for :func:`classify`, with a column of vectors, all of one length; rows need no positions.
    images
        As for :func:`classify`, of which the page shows pictures; without them it has none.
    features
        Name of the column; by default that of the map of `onto`, or the one whose name ends in ``features``.
    method
        ``'tsne'``, by openTSNE (``galmorph[likeness]``); ``'umap'``, by umap-learn (``galmorph[umap]``); ``'pca'``,
        the two principal components.
    onto
        A file of `save`: the rows are placed on that map, each among the galaxies that are most like it, and its own
        galaxies stay where they are.
    axes
        Instead of features, two columns: the page then shows one against the other.
    seed
        Of what is drawn by lot. The same rows and seed give the same map.
    output
        File for the table with ``gm_map_x`` and ``gm_map_y``.
    save
        File (``.npz``) of arrays from which other rows can be placed on the map later.
    page
        File (``.html``) for a page that is complete in itself.
    colours
        Columns that points can be coloured by, beside those that are chosen without being asked for.
    pictures
        How many galaxies have a picture on the page, spread over the map; from 64 pixels down to 32 for many, so that
        they take 12 MB at most up to 23 000.
    service
        Address of a ``galmorph serve`` to whose labelling page chosen galaxies are sent.
    survey, band, prefix, hdu, ra, dec, x, y, id, file
        As for :func:`classify`.
    overwrite
        Whether existing files may be replaced.
    progress
        True shows a bar; a function is called with stage, done, total and a remark.
    command
        What the provenance names as its origin.

    Returns
    -------
    astropy.table.Table
        The rows with ``gm_map_x`` and ``gm_map_y``, NaN for rows without features.

    Raises
    ------
    CatalogError
        If there is no such column, or too few rows have features, or `onto` is no map of such features.
    PipelineError
        If the method is unknown or its library is missing.
    ImageError, SurveyError, OutputError
        If images do not fit, or a file cannot be written.

    Examples
    --------
    >>> import galmorph
    >>> import numpy as np
    >>> from astropy.table import Table
    >>> rows = Table({"id": np.arange(60), "gm_features": np.random.default_rng(0).normal(size=(60, 8))})
    >>> galmorph.map_features(rows, method="pca")["gm_map_x"].shape
    (60,)
    """
    maps = _drawn()[2]
    asked = ImageInput(images, survey=survey, band=band)
    _check_map(output, save, axes=axes, onto=onto)
    _check_map_page(page, images=asked.are_named, colours=bool(colours), service=service)
    source = CatalogInput(catalog, hdu, ColumnNames(ra, dec, x, y, id, file))
    if page is not None:
        _drawn()[1].check_pictures(pictures, page)
    check_outputs([output, save, page], source, asked, onto, overwrite=overwrite)
    opened_catalog = source.open(positions=asked.are_named)
    settings = maps.MapSettings(features or "", method, onto, tuple(axes), seed, prefix)
    with reporting(progress) as report_to:
        mapped = maps.mapped(opened_catalog, settings, report_to)
        table: Table = maps.written(mapped, output, save, command, overwrite=overwrite)
        if page is not None:
            shown = maps.MapPage.of(mapped, tuple(colours), service)
            drawn = maps.drawn(opened_catalog, asked, shown.places, pictures, report_to) if asked.are_named else None
            shown.write(Path(page), drawn, overwrite=overwrite)
    return table


def _check_map(output: str | Path | None, save: str | Path | None, *, axes: Any, onto: Any) -> None:
    """Refuse what makes no sense together."""
    if axes and (output is not None or save is not None or onto is not None):
        raise OutputError(
            "axes were given with output, save or onto: columns of the table are a page alone; leave these"
        )
    if save is not None and onto is not None:
        raise OutputError("save was given with onto: that map is saved already; leave one")
    if save is not None and Path(save).suffix != ".npz":
        raise OutputError(f"map '{save}': expected a name that ends with .npz; choose another")


def _check_map_page(page: str | Path | None, *, images: bool, colours: bool, service: str) -> None:
    """Refuse what is for a page where there is none, or makes no page."""
    idle = {"images": images, "colours": colours, "service": bool(service)} if page is None else {}
    if name := next((name for name, is_asked in idle.items() if is_asked), None):
        raise OutputError(f"{name} was given without page: it is for that; leave it out, or name a page")
    if page is not None and Path(page).suffix.lower() not in (".html", ".htm"):
        raise OutputError(f"page '{page}': expected a name that ends with .html; choose another")
    if service and not service.startswith(("http://", "https://")):
        raise OutputError(f"service '{service}': expected an address such as http://localhost:8000; give that")


@checked
def match(
    catalog: Any,
    others: Any = (),
    *,
    radius: float | str | u.Quantity,
    find: str = "best",
    join: str = "1and2",
    error: EachNumber = None,
    sigmas: float | None = None,
    motion: Each = None,
    epoch: EachNumber = None,
    probability: bool = False,
    suffixes: Sequence[str] = (),
    output: str | Path | None = None,
    overwrite: bool = False,
    ra: Each = None,
    dec: Each = None,
    hdu: EachHdu = None,
    command: str = "galmorph.match",
) -> Table:
    """Join catalogues by the positions of their rows; the words are those of STILTS.

    Parameters
    ----------
    catalog
        A file, or what a script holds, as for :func:`classify`.
    others
        The catalogue that it is joined with, or a list of several; ``'vizier:II/246'`` or ``'simbad'`` asks the
        cross-match service of the CDS. Without one, rows of `catalog` that are near one another become groups.
    radius
        Largest angle between the rows of a pair: ``'1arcsec'``, a quantity, or a number of arcsec; at most a degree.
    find
        ``'best'``: one to one, the nearest pair of all first, then the nearest of the rows that are left; ``'best1'``,
        ``'best2'``: the nearest for each row of the first, or of the second; ``'all'``: all pairs. Of several
        catalogues, the best of each for each row of the first (``best`` or ``best1``).
    join
        Which rows the result has: ``'1and2'`` pairs; ``'1or2'`` all of both; ``'all1'``, ``'all2'`` all of one;
        ``'1not2'``, ``'2not1'``, ``'1xor2'`` those without a pair, of one or of both.
    error
        Standard deviations of positions: a column, an angle such as ``'0.1arcsec'``, or ``'MAJOR,MINOR,ANGLE'``, the
        columns of an ellipse (degrees from north to east); then pairs are nearest in units of their combined error.
    sigmas
        Largest separation in these units (3).
    motion
        ``'PMRA,PMDEC'``, columns of proper motion (that in right ascension times cos(dec)). Rows with one are moved
        to the epoch of the first catalogue without one, or of the last.
    epoch
        Julian year of the positions, or a column of them.
    probability
        Add the probability that each pair is one object, from separations and the local density of the other
        catalogue.
    suffixes
        For names that several catalogues have, one for each (``_1``, ``_2``, …).
    output, overwrite
        File of the result, in the format of its ending; and whether it may exist.
    error, motion, epoch, ra, dec, hdu
        One for all catalogues, or a list with one for each; None or ``'-'`` where one has none.
    command
        What the provenance names as its origin.

    Returns
    -------
    astropy.table.Table
        Columns of all catalogues with their units, descriptions and UCDs, ``Separation`` in arcsec, and where they
        apply ``NormSeparation``, ``MatchProbability``, ``GroupID`` and ``GroupSize``.

    Raises
    ------
    CatalogError
        If a catalogue cannot be read, lacks positions or a column, or what is asked for makes no sense.
    ArchiveError
        If a remote catalogue cannot be had.
    OutputError
        If the result cannot be written.

    Examples
    --------
    >>> import galmorph
    >>> near = galmorph.positions(["10 20", "359.9999 -45", "30 90"])
    >>> far = galmorph.positions(["10 20.0001", "0.0001 -45", "210 89.9999"])
    >>> galmorph.match(near, far, radius="1arcsec", find="all")["Separation"].round(4).tolist()
    [0.36, 0.5091, 0.36]
    """
    settings = MatchSettings(match_reach(radius, sigmas, error), find, join, probability, tuple(suffixes))
    check_outputs([output], catalog, others, overwrite=overwrite)
    sides = open_sides(catalog, others, SideNames(ra, dec, hdu, error, motion, epoch), settings)
    return matched(sides, settings, output, overwrite=overwrite, command=command)


@checked
def compare(
    catalog: Any,
    other: Any,
    *,
    radius: float | str | u.Quantity,
    theirs: Classes,
    ours: Classes = "gm_class",
    names: Mapping[str, str] | None = None,
    magnitude: str | None = None,
    edges: Sequence[float] = (),
    output: str | Path | None = None,
    report: str | Path | None = None,
    overwrite: bool = False,
    ra: Each = None,
    dec: Each = None,
    hdu: EachHdu = None,
    command: str = "galmorph.compare",
) -> ClassAgreement:
    """Count how the classes of a catalogue agree with those of another, for the galaxies that both have.

    Parameters
    ----------
    catalog, other
        A result of :func:`classify`, and a catalogue with other classes; as for :func:`match`, of which the pairs are
        the ``best``.
    radius, ra, dec, hdu
        As for :func:`match`.
    theirs, ours
        A column of classes, or, by class, columns of shares of which the largest counts. Galaxies without a class, or
        with two largest shares, are left out.
    names
        What classes are called in the comparison, by what either catalogue calls them; a name that neither has is an
        error.
    magnitude, edges
        A column of either catalogue by which agreement is counted, too, and the edges of its bins; by default whole
        magnitudes.
    output, report
        Files for a table of all pairs of classes, in all and by magnitude, and for a page (HTML) with diagrams.
    overwrite
        Whether these may exist.
    command
        What the provenance names as its origin.

    Returns
    -------
    ClassAgreement
        ``classes``, ``counts`` (theirs by ours, in all and in bins), ``agreeing``, ``kappa``, ``shares`` of each class
        with binomial intervals, and ``table()``.

    Raises
    ------
    CatalogError
        If a catalogue or column is missing, or there is nothing to compare.
    OutputError
        If a file cannot be written.

    Examples
    --------
    >>> import galmorph
    >>> from astropy.table import Table
    >>> ours = Table({"ra": [1.0, 2.0, 3.0], "dec": [0.0, 0.0, 0.0], "gm_class": ["disk", "disk", "spheroid"]})
    >>> theirs = Table({"ra": [1.0, 2.0, 3.0], "dec": [0.0, 0.0, 0.0], "type": ["S", "E", "E"]})
    >>> names = {"S": "disk", "E": "spheroid"}
    >>> agreement = galmorph.compare(ours, theirs, radius="1arcsec", theirs="type", names=names)
    >>> agreement.counts[0].tolist(), round(float(agreement.agreeing[0]), 3)
    ([[1, 0], [1, 1]], 0.667)
    """
    settings = MatchSettings(match_reach(radius, None, None))
    check_outputs([output, report], catalog, other, overwrite=overwrite)
    first, second = open_sides(catalog, other, SideNames(ra, dec, hdu), settings)
    agreement = agreement_of(
        (first, ours), (second, theirs), settings.reach.radius_arcsec, names or {}, magnitude, edges
    )
    if output is not None:
        table = Catalog(HeldTable(agreement.table()))
        write_catalog(
            table, (), output, provenance=match_provenance((first, second), settings, command), overwrite=overwrite
        )
    if report is not None:
        titles = (first.catalog.title, second.catalog.title)
        write_class_page(agreement, titles, magnitude or "", Path(report), overwrite=overwrite)
    return agreement


@checked
def count(
    catalog: Any,
    *,
    by: str | Sequence[str] = (),
    bins: Mapping[str, BinEdges] | None = None,
    question: str = "",
    method: str = "prob",
    cut: str | int | Sequence[str] = "recommended",
    weight: str | None = None,
    checkpoint: str | Path | None = None,
    scheme: str | Path | None = None,
    priors: Mapping[str, float] | None = None,
    prefix: str = "gm_",
    draws: int = 400,
    seed: int = 0,
    hdu: int | str | None = None,
    output: str | Path | None = None,
    plot: str | Path | None = None,
    overwrite: bool = False,
    command: str = "galmorph.count",
) -> ClassFractions:
    """Count class fractions in bins of one or two columns, corrected for misclassification, with errors.

    Three estimates stand beside each other: counts of the likeliest answer (``raw``); the mean of the calibrated
    probabilities (``prob``); and these adjusted by what the checkpoint says of labelled galaxies of each class
    (``pacc``; Bella et al. 2010), for samples whose mix of classes is another. Errors are of the galaxies (Bayesian
    bootstrap) and of the classifier (its calibration and confusion were measured on some galaxies only); see
    docs/counting.md.

    Parameters
    ----------
    catalog
        A result of :func:`classify`: a file, or a table in memory.
    by
        One or two columns of numbers; by default all galaxies are in one bin.
    bins
        By column the edges, or a number of bins with as many galaxies each; by default 5, or 3 of each of two columns.
    question
        The only question of a scheme of several that is counted.
    method
        Which estimate is drawn, and printed by the command line: ``'raw'``, ``'prob'`` or ``'pacc'``.
    cut
        Flags of rows that are left out: names or values, in a list or with commas between; ``'recommended'``
        (:data:`galmorph.flags.RECOMMENDED_CUT`) or ``'none'``. Rows without probabilities are never counted.
    weight
        A column of weights; rows without a positive one are left out.
    checkpoint
        Whose card tells what it was trained on and how it errs; by default the one that the catalogue's header names.
    scheme
        Of the answers; by default that of the header or the checkpoint.
    priors
        Mean fraction of each answer among the galaxies of the training, in place of the card's: for errors of
        ``prob``.
    prefix
        Of the result's columns.
    draws, seed
        Draws for the errors, and what they begin with.
    hdu
        Number or name of the table in a file of several.
    output, plot
        Files for the table, and for a drawing (``.svg``).
    overwrite
        Whether these may exist.
    command
        What the provenance names as its origin.

    Returns
    -------
    ClassFractions
        ``table`` has a row for each bin, question and answer; ``rows``, ``counted``, ``left_out`` and ``cut_by`` say
        which rows were counted.

    Raises
    ------
    CatalogError
        If it is no result, a column is missing, or bins make no sense.
    CheckpointError
        If there is no such checkpoint, or what a method needs of it is not known.
    SchemeError, UnknownNameError
        If there is no such scheme, question or flag.
    OutputError
        If a file cannot be written.

    Examples
    --------
    >>> import galmorph
    >>> from astropy.table import Table
    >>> names = ["spheroid", "disk", "irregular", "point_source", "unclassifiable"]
    >>> chances = [[0.7, 0.2, 0.1, 0.0, 0.0], [0.1, 0.8, 0.1, 0.0, 0.0], [0.1, 0.6, 0.3, 0.0, 0.0]]
    >>> table = Table(rows=chances, names=[f"gm_p_{name}" for name in names])
    >>> table["gm_flags"] = [0, 0, 0]
    >>> fractions = galmorph.count(table, checkpoint="candels-h")
    >>> [round(value, 2) for value in fractions.table["prob"].tolist()]
    [0.3, 0.53, 0.17, 0.0, 0.0]
    """
    check_outputs([output, None if plot is None else _with_ending(plot, ".svg")], catalog, overwrite=overwrite)
    names_of_bins = [by] if isinstance(by, str) else list(by)
    source, flags = CatalogInput(catalog, hdu).open(positions=False), cut_of(cut)
    classifier = CountedClassifier.of(source, checkpoint, scheme, priors, _scheme_in)
    classifier.check(method, METHODS)
    settings = CountSettings(question, method, draws, seed, classifier.is_normalised)
    rows = AnsweredRows.of(source, classifier.scheme, prefix, names_of_bins, weight, flags)
    places = rows.bins(names_of_bins, bins or {})
    fractions = fractions_of(rows, places, classifier.scheme, classifier.record, settings, source)
    provenance = count_provenance(fractions, classifier.record, source, flags, seed, command)
    if output is not None:
        write_catalog(Catalog(HeldTable(fractions.table)), (), output, provenance=provenance, overwrite=overwrite)
    if plot is not None:
        draw_fractions(fractions, Path(plot), overwrite=overwrite)
    return fractions


def _scheme_in(checkpoint: str | Path) -> Scheme:
    """Read the scheme in the file of a checkpoint; needs torch."""
    return load_checkpoint(checkpoint).scheme


@checked
def cache(action: str = "list") -> list[CacheEntry] | Path:
    """Look after the files that were fetched from archives: the user's, or those where ``GALMORPH_CACHE`` says.

    Parameters
    ----------
    action
        ``'list'``, ``'clear'``, or ``'path'``.

    Returns
    -------
    list of CacheEntry, or Path
        What there is, the longest unused first; what was removed; or the folder.

    Raises
    ------
    ArchiveError
        If there is no such action, or the environment names a size that is none.
    """
    kept = default_cache()
    if action == "path":
        return kept.folder
    if action not in ("list", "clear"):
        raise ArchiveError(unknown_name("action of the cache", action, ("list", "clear", "path")))
    entries = kept.entries()
    for entry in entries if action == "clear" else ():
        kept.remove(entry)
    return entries


@checked
def fetch(
    catalog: Any,
    *,
    survey: str | Survey | None = None,
    band: str | None = None,
    field: str | None = None,
    archive: Way = "auto",
    output: str | Path | None = None,
    stamps: str | Path | None = None,
    side: int | None = None,
    overwrite: bool = False,
    hdu: int | str | None = None,
    ra: str | None = None,
    dec: str | None = None,
    progress: Progress | bool | None = None,
    command: str = "galmorph.fetch",
) -> Manifest:
    """Fetch what classifying or measuring a catalogue will need of a survey's archives, whatever the settings.

    Parameters
    ----------
    catalog, survey, band, field, archive, hdu, ra, dec
        As for :func:`classify` without images.
    output
        Folder for the files and ``manifest.json``, which another machine can work from (``fetched``); new, or of an
        earlier call for the same rows, which is continued. By default the user's cache.
    stamps
        Instead, a folder for a FITS file with a WCS about each row, with its inverse variances where there are some,
        and ``index.ecsv``, which has for each row its file, or why there is none. What an earlier call for the same
        rows has written stays, and is continued.
    side, overwrite
        Width and height of stamps in pixels, an odd number up to 513 (257; pictures are as large as the survey's file
        says); and whether other files of their names may be replaced.
    progress
        True shows a bar; a function is called with stage, done, total and a remark.
    command
        What the manifest names as its origin.

    Returns
    -------
    Manifest
        The files of the folder, with checksums and the rows that each serves, and why other rows have none
        (``failed``).

    Raises
    ------
    CatalogError, SurveyError, ImageError
        If something does not fit.
    ArchiveError
        If nothing can be had, or the folder holds something else or cannot be written.
    OutputError
        If stamps cannot be written, or other files are in the way.
    """
    asked = ImageInput((), survey=survey, band=band, field=field, archive=archive)
    _check_stamps(output, stamps, side, overwrite=overwrite)
    with reporting(progress) as report_to:
        provision = _provision(CatalogInput(catalog, hdu, ColumnNames(ra, dec)), asked)
        if stamps is None:
            return provision.fetch(None if output is None else Path(output), progress=report_to, command=command)
        return provision.cut(Path(stamps), side, overwrite=overwrite, progress=report_to, command=command)


@checked
def dry_run(
    catalog: Any,
    images: Images = (),
    *,
    survey: str | Survey | None = None,
    band: str | None = None,
    field: str | None = None,
    archive: Way = "auto",
    hdu: int | str | None = None,
    ra: str | None = None,
    dec: str | None = None,
) -> Table:
    """Tell what :func:`classify`, :func:`measure` or :func:`fetch` would fetch of archives, without doing so.

    Only headers of mosaics, sizes of files and the answers that say what to fetch are asked for, and kept in the cache.

    Parameters
    ----------
    catalog, images, survey, band, field, archive, hdu, ra, dec
        As for :func:`classify`. With images nothing would be fetched.

    Returns
    -------
    astropy.table.Table
        A row for each file: ``url``; ``bytes`` that may be needed (0 where nobody knows); ``here``, how many of
        them are in the cache; and whether the number of bytes is an ``estimate``.

    Raises
    ------
    CatalogError, SurveyError, ImageError, ArchiveError
        If something does not fit, or an archive does not answer.
    """
    asked = ImageInput(images, survey=survey, band=band, field=field, archive=archive)
    provision = _provision(CatalogInput(catalog, hdu, ColumnNames(ra, dec)), asked)
    needs = [] if asked.are_named else provision.needs()
    columns = {"url": str, "bytes": int, "here": int, "estimate": bool}
    rows = [(need.url, need.bytes, need.here_bytes, need.is_estimate) for need in needs]
    return Table(rows=rows or None, names=list(columns), dtype=list(columns.values()))


def _check_stamps(output: str | Path | None, stamps: str | Path | None, side: int | None, *, overwrite: bool) -> None:
    """Refuse what is for stamps where there are none, and two folders at once."""
    idle = {"side": side is not None, "overwrite": overwrite} if stamps is None else {"output": output is not None}
    if name := next((name for name, is_asked in idle.items() if is_asked), None):
        where = "without" if stamps is None else "with"
        raise ArchiveError(f"{name} was given {where} stamps: leave it out, or do one after the other")


def _provision(catalog: CatalogInput, images: ImageInput) -> Provision:
    from galmorph.runs import provision  # noqa: PLC0415 - numba

    return provision.Provision(catalog, images)


@checked
def load_checkpoint(checkpoint: str | Path | Checkpoint) -> Checkpoint:
    """Load a checkpoint by its name or file; needs torch.

    Raises
    ------
    CheckpointError
        If there is none, or the file is damaged.

    Examples
    --------
    >>> import galmorph
    >>> galmorph.load_checkpoint("candels-h").scheme.name
    'candels-shares'
    """
    files = _checkpoint_files()
    loaded: Checkpoint = checkpoint if isinstance(checkpoint, files.Checkpoint) else files.load_checkpoint(checkpoint)
    return loaded


@checked
def load_pipeline(name: str | Path) -> Pipeline:
    """Read a pipeline by its name or file, with the files it extends.

    Raises
    ------
    PipelineError
        If the file is missing or broken, or a section or key is unknown.

    Examples
    --------
    >>> import galmorph
    >>> galmorph.load_pipeline("candels-h").scheme
    'candels-shares'
    """
    return read_pipeline(name)


@checked
def default_output(catalog: str | Path) -> Path:
    """Name the file that the command line writes where none is named: in the working folder, of the same format.

    Examples
    --------
    >>> str(default_output("survey/egs.cat.vot.gz")), str(default_output("egs.txt"))
    ('egs.cat.galmorph.vot', 'egs.galmorph.fits')
    >>> str(default_output("vizier:II/246/out?Kmag=<9"))
    'II_246_out.galmorph.fits'
    """
    if is_of_vizier(catalog):
        catalog = VizierTable.read(str(catalog)).name.replace("/", "_") + ".fits"
    path = Path(catalog)
    last = ending(path)
    plain = last.removesuffix(".gz")
    writable = {e for form in FORMATS for e in form.endings if e not in form.read_only}
    return Path(f"{path.name[: len(path.name) - len(last)]}.galmorph{plain if plain in writable else '.fits'}")


def _with_ending(output: str | Path, suffix: str) -> Path:
    path = Path(output)
    if path.suffix != suffix:
        raise OutputError(f"Output '{path}': expected a file that ends in {suffix}; name it so")
    return path


def _new_checkpoint(output: str | Path, *inputs: Any, overwrite: bool) -> Path:
    """Return the path of a checkpoint that can be written with its card, and is none of the inputs."""
    path = _with_ending(output, ".safetensors")
    check_outputs([path, path.with_suffix(".json")], *inputs, overwrite=overwrite)
    return path


def _files_of(checkpoint: str | Path | Checkpoint) -> tuple[Path, ...]:
    """Return the file of a checkpoint and its card; none of one that is loaded."""
    if not isinstance(checkpoint, str | Path):
        return ()
    path = find_checkpoint(checkpoint)
    return path, path.with_suffix(".json")


def _check_card(card: str | Path | None, *inputs: Any) -> None:
    """Refuse a card that cannot be changed, rather now than after all the work."""
    if card is not None:
        read_card_file(card)
        check_outputs([card], *inputs, overwrite=True)


def _check_idle(labels: CatalogInput, images: ImageInput) -> None:
    """Refuse what says where in labels and images things are, where there are none."""
    if labels != CatalogInput(None) or images != ImageInput(()):
        raise CatalogError(
            "columns, an HDU, or survey, band or weights of images were given without labels: expected labels and "
            "images; add them, or leave the others out"
        )


def _pipeline(pipeline: str | Path | Pipeline, overrides: Mapping[str, Any]) -> Pipeline:
    if isinstance(pipeline, str | Path):
        return read_pipeline(pipeline, overrides)
    return pipeline.changed(pipeline.name, overrides)


def _training(pipeline: str | Path | Pipeline, overrides: Mapping[str, Any]) -> TrainPipeline:
    """Return a pipeline that trains; one that classifies has no such settings."""
    if isinstance(pipeline, str | Path):
        return load_training(pipeline, overrides)
    if isinstance(pipeline, ClassifyPipeline):
        raise PipelineError(f"pipeline '{pipeline.name}' classifies, expected one that trains: see galmorph run")
    return pipeline.changed(pipeline.name, overrides)


def _check_all_classify(
    pipelines: Sequence[Pipeline], *, epochs: int | None, seed: int | None, resume: bool, split: str
) -> None:
    """Refuse pipelines of both kinds, and what is for training."""
    kinds = {pipeline.kind: pipeline.name for pipeline in pipelines}
    if len(kinds) > 1:
        raise PipelineError(
            f"pipeline '{kinds['train']}' trains, '{kinds['classify']}' classifies: expected one kind; run them apart"
        )
    asked = {"epochs": epochs is not None, "seed": seed is not None, "resume": resume, "split": split != "test"}
    if idle := next((name for name, is_asked in asked.items() if is_asked), None):
        raise PipelineError(f"{idle} is for pipelines that train, and '{kinds['classify']}' classifies: leave it out")


def _check_results(pipelines: Sequence[ClassifyPipeline], folder: Path, *, overwrite: bool) -> None:
    """Refuse results that are in the way or replace an input or each other, before the first pipeline runs."""
    inputs = [(*p.named_inputs(), p.classify.checkpoint, p.classify.runtime, *p.files) for p in pipelines]
    results = [_result(pipeline, folder) for pipeline in pipelines]
    if twice := next((path for path in results if results.count(path) > 1), None):
        raise OutputError(
            f"Output '{twice}' would be the result of several pipelines: expected one each; name them by 'output' in "
            "[classify], or run them with other folders"
        )
    check_outputs(results, *inputs, overwrite=overwrite, is_made=True)


def _result(pipeline: ClassifyPipeline, folder: Path) -> Path:
    return folder / (pipeline.classify.output or default_output(pipeline.inputs.catalog))


def _classified(
    pipeline: ClassifyPipeline, folder: Path, device: str, overwrite: bool, progress: Progress, command: str
) -> dict[str, Any]:
    """Classify as a pipeline says, and say what came out."""
    catalog, images = pipeline.named_inputs()
    settings = pipeline.classify if device == "auto" else replace(pipeline.classify, device=device)
    output = _result(pipeline, folder)
    make_folder(folder)
    _, results = _carried_out(
        catalog,
        images,
        settings,
        settings.checkpoint,
        output=output,
        overwrite=overwrite,
        report=None if settings.report is None else folder / settings.report,
        strict=settings.strict,
        execution=Execution(settings.engine, settings.workers, settings.scheduler),
        whole=False,
        progress=progress,
        command=command,
    )
    counts = {"rows": len(results), "classified": int(results.classified.sum())}
    return {"pipeline": pipeline.name, **counts, "output": str(output)}


def _overrides(*, epochs: int | None = None, seed: int | None = None, inputs: Inputs | None = None) -> dict[str, Any]:
    """Collect what wins over a pipeline's own sections."""
    training = {key: value for key, value in (("epochs", epochs), ("seed", seed)) if value is not None}
    return ({"train": training} if training else {}) | ({"inputs": dict(inputs)} if inputs else {})


def _draw_losses(state: TrainingState) -> None:
    """Draw the losses of a training after an epoch."""
    draw_losses(state.folder / "losses.svg", state.histories)


def _trainings() -> tuple[ModuleType, ModuleType]:
    from galmorph.learning import comparison, training  # noqa: PLC0415 - torch

    return training, comparison


def _limited(threads: int | None) -> AbstractContextManager[None]:
    from galmorph.nets.threads import limited  # noqa: PLC0415 - torch

    if threads is not None and threads < 1:
        raise PipelineError(f"{threads} threads: expected at least 1; leave them out for torch's choice")
    return limited(threads)


def _scoring() -> ModuleType:
    from galmorph.learning import scoring  # noqa: PLC0415 - torch

    return scoring


def _checkpoint_files() -> ModuleType:
    from galmorph.nets.checkpoint import file  # noqa: PLC0415 - torch

    return file
