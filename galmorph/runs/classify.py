"""Classification: a catalogue and its images in, the same catalogue with morphologies out."""

from __future__ import annotations

import hashlib
import json
import logging
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import galmorph
from galmorph.errors import CatalogError, CheckpointError, UnclassifiedError
from galmorph.flags import MEANINGS, UNCLASSIFIABLE, Flag
from galmorph.runs.gather import Galaxy, Gathering, gather, locate, stamp_of
from galmorph.runs.results import Results, column_names, measured_columns, probability_columns
from galmorph.sky.catalog import (
    Catalog,
    Column,
    Provenance,
    append,
    catalog_from,
    check_columns,
    check_output,
    read_catalog,
    write_catalog,
)
from galmorph.sky.images import ImageSource, Paths, colour_bands, open_images
from galmorph.sky.survey import Band, Survey
from galmorph.sky.survey import survey as load_survey
from galmorph.stamps.recipe import stretch

if TYPE_CHECKING:
    import pandas as pd
    from astropy.table import Table

    from galmorph.nets.checkpoint import Checkpoint

__all__ = ["Run", "classify", "measure", "prepare_run"]

log = logging.getLogger(__name__)
Progress = Callable[[int, int], None]
Input = "str | Path | Table | pd.DataFrame | Catalog"

_BATCH = 128
# A pixel scale within a tenth of the training images' makes no difference that augmentation does not cover.
_SCALE_TOLERANCE = 0.1


@dataclass(frozen=True)
class Run:
    """Everything one run needs, checked and open.

    Parameters
    ----------
    gathering
        Catalogue, images and band.
    survey, band
        Names; '' where not given.
    checkpoint
        The network; None for measuring only.
    prefix
        Of the new columns.
    normalised
        Whether independent fractions are scaled to sum to 1.
    device
        ``'cpu'`` or ``'cuda'``.
    """

    gathering: Gathering
    survey: str
    band: str
    checkpoint: Checkpoint | None
    prefix: str
    normalised: bool = False
    device: str = "cpu"

    @property
    def catalog(self) -> Catalog:
        """The catalogue."""
        return self.gathering.catalog

    @property
    def images(self) -> ImageSource:
        """The images."""
        return self.gathering.images


def prepare_run(
    catalog: Any,
    images: Paths | ImageSource,
    *,
    survey: str | Survey | None = None,
    band: str | None = None,
    checkpoint: str | Path | Checkpoint | None = None,
    weights: Paths = (),
    rms: Paths = (),
    network: bool = True,
    prefix: str = "gm_",
    normalised: bool = False,
    device: str = "auto",
    hdu: int | str | None = None,
    image_hdu: int | str | None = None,
    **columns: str | None,
) -> Run:
    """Open and check everything before work starts.

    Parameters
    ----------
    catalog
        A file, an astropy table, a pandas frame or a :class:`~galmorph.sky.catalog.Catalog`.
    images
        Paths as :func:`galmorph.sky.images.open_images` takes them, or an open source.
    network
        False for measuring only.
    columns
        ``ra``, ``dec``, ``x``, ``y``, ``id_column``, ``file_column``: names of columns.

    Raises
    ------
    GalmorphError
        One of its kinds for each thing that does not fit; see :func:`classify`.
    """
    made = survey if isinstance(survey, Survey) else load_survey(survey) if survey else None
    one_band = _one_band(made, band)
    table = _open_catalog(catalog, hdu, columns)
    source = images if _is_source(images) else open_images(images, weights=weights, rms=rms, survey=made, band=band, hdu=image_hdu)
    net, where = None, "cpu"
    if network:
        # torch takes a second to import: only runs that classify pay for it.
        from galmorph.nets.checkpoint import Checkpoint, load_checkpoint, resolve_device  # noqa: PLC0415

        where = resolve_device(device)
        net = checkpoint if isinstance(checkpoint, Checkpoint) else load_checkpoint(checkpoint or _usual_checkpoint(made, band))
        _check_planes(net, source)
    names = column_names(net.scheme if net else None, prefix, sky=source.has_wcs)
    check_columns(table, names)
    width = net.recipe.half_width_rpet if net else 1.5
    run = Run(Gathering(table, source, one_band, width), made.name if made else "", band or "", net, prefix, normalised, where)
    locate(run.gathering)
    return run


def _is_source(images: Any) -> bool:
    return hasattr(images, "cutout") and hasattr(images, "locate")


def _one_band(survey: Survey | None, band: str | None) -> Band | None:
    if survey is None or band is None or colour_bands(survey, band):
        return None
    return survey.band(band)


def _open_catalog(catalog: Any, hdu: int | str | None, columns: dict[str, str | None]) -> Catalog:
    if isinstance(catalog, Catalog):
        return catalog
    given = {k: v for k, v in columns.items() if v is not None}
    if isinstance(catalog, str | Path):
        return read_catalog(catalog, hdu=hdu, **given)  # type: ignore[arg-type]
    return catalog_from(catalog, **given)  # type: ignore[arg-type]


def _usual_checkpoint(survey: Survey | None, band: str | None) -> str:
    """Name the shipped checkpoint for a survey and band: the same band, else the same survey."""
    from galmorph.nets.checkpoint import checkpoint_names, read_envelope  # noqa: PLC0415

    if survey is None or band is None:
        raise CheckpointError(
            f"no checkpoint and no survey and band to choose it by: give --checkpoint, one of {', '.join(checkpoint_names())}, "
            "or --survey and --band"
        )
    wanted = colour_bands(survey, band) or (survey.band(band).name,)
    envelopes = {name: read_envelope(name) for name in checkpoint_names()}
    same = [n for n, e in envelopes.items() if e.survey == survey.name and len(e.bands) == len(wanted)]
    exact = [n for n in same if set(envelopes[n].bands) == set(wanted)]
    if not same:
        raise CheckpointError(
            f"no checkpoint ships for survey '{survey.name}', band '{band}': name one with --checkpoint, known are "
            f"{', '.join(checkpoint_names())}"
        )
    return (exact or same)[0]


def _check_planes(checkpoint: Checkpoint, images: ImageSource) -> None:
    if checkpoint.recipe.planes != images.n_planes:
        kind = {1: "one band", 3: "three bands (colour)"}
        raise CheckpointError(
            f"checkpoint '{checkpoint.name}' takes images of {kind[checkpoint.recipe.planes]}, these have "
            f"{kind.get(images.n_planes, str(images.n_planes))}: choose another --checkpoint or --band"
        )


def results_in_parts(run: Run, results: Results) -> Iterator[int]:
    """Fill `results` batch after batch; yield the number of rows done."""
    waiting: list[tuple[int, Any]] = []
    done = 0
    for galaxy in gather(run.gathering):
        results.put(_with_edge(galaxy, run))
        if run.checkpoint is not None and galaxy.measured is not None and not galaxy.flags & UNCLASSIFIABLE:
            waiting.append((galaxy.row, stamp_of(galaxy, run.images, run.checkpoint.recipe)))
        done += 1
        if len(waiting) == _BATCH:
            _predict(run, results, waiting)
            waiting = []
            yield done
    if waiting:
        _predict(run, results, waiting)
    _mark_mismatches(run, results)
    yield done


def _with_edge(galaxy: Galaxy, run: Run) -> Galaxy:
    """Add OFF_EDGE where the stamp needs pixels past the edge of the image."""
    cutout, measured = galaxy.cutout, galaxy.measured
    if cutout is None or measured is None or not np.isfinite(measured.rpet_px):
        return galaxy
    reach = run.gathering.half_width_rpet * measured.rpet_px
    height, width = cutout.shape
    left, right, bottom, top = cutout.clipped
    if run.images.kind == "jpeg":
        left = right = bottom = top = True
    past = (
        (left and measured.x - reach < -0.5)
        or (right and measured.x + reach > width - 0.5)
        or (bottom and measured.y - reach < -0.5)
        or (top and measured.y + reach > height - 0.5)
    )
    return Galaxy(galaxy.row, galaxy.flags | Flag.OFF_EDGE, cutout, measured) if past else galaxy


def _predict(run: Run, results: Results, waiting: Sequence[tuple[int, Any]]) -> None:
    checkpoint = run.checkpoint
    if checkpoint is None:
        return
    rows = np.array([row for row, _ in waiting])
    stamps = np.stack([stamp.pixels for _, stamp in waiting])
    brightness = np.array([stamp.brightness for _, stamp in waiting], np.float32)[:, None, None, None]
    stretched = np.ascontiguousarray(stretch(stamps, brightness, checkpoint.recipe), dtype=np.float32)
    results.conditional[rows] = checkpoint.predict(stretched, device=run.device)


def _mark_mismatches(run: Run, results: Results) -> None:
    """Flag rows whose image is unlike the checkpoint's training images."""
    if run.checkpoint is None:
        return
    envelope, done = run.checkpoint.envelope, results.classified
    scale = results.scale_arcsec
    with np.errstate(invalid="ignore"):
        other_scale = done & (np.abs(scale / envelope.scale_arcsec - 1.0) > _SCALE_TOLERANCE)
        outside = done & ((results.snr < envelope.snr[0]) | (results.snr > envelope.snr[1]))
    results.mark(other_scale, Flag.SCALE_MISMATCH)
    results.mark(outside, Flag.OUT_OF_ENVELOPE)
    if other_scale.any():
        log.warning(
            "%d of %d rows: pixel scale %.3g arcsec, checkpoint '%s' was trained at %.3g",
            other_scale.sum(), len(results), np.nanmedian(scale[other_scale]), run.checkpoint.name, envelope.scale_arcsec,
        )  # fmt: skip
    if (reason := _band_mismatch(run)) is not None:
        results.mark(done, Flag.BAND_MISMATCH)
        log.warning("%d of %d rows: %s", done.sum(), len(results), reason)


def _band_mismatch(run: Run) -> str | None:
    checkpoint, band = run.checkpoint, run.gathering.band
    if checkpoint is None or run.images.kind == "jpeg":
        return None
    trained = "/".join(checkpoint.envelope.bands)
    if band is not None and (band.name not in checkpoint.envelope.bands or run.survey != checkpoint.envelope.survey):
        return f"band {run.survey} {band.name}, checkpoint '{checkpoint.name}' was trained on {checkpoint.envelope.survey} {trained}"
    found = run.images.filter_name()
    if band is not None and found and found.lower() not in {n.lower() for n in (band.name, *band.aliases)}:
        return f"band {band.name} was asked for, but the image's header says {found}"
    return None


def finish(run: Run, results: Results, command: str) -> tuple[list[Column], Provenance]:
    """Turn results into columns and provenance."""
    columns = measured_columns(results, run.images, run.prefix)
    if run.checkpoint is not None:
        chances, _ = probability_columns(results, run.checkpoint.scheme, run.prefix, normalised=run.normalised)
        model = np.where(results.classified, f"{run.checkpoint.name} {run.checkpoint.version}", "")
        what = "Name and version of the checkpoint; empty where there are no probabilities"
        columns = [*chances, *columns, Column(f"{run.prefix}model", model, "", what, "meta.version;meta.software")]
    return columns, _provenance(run, command)


def _provenance(run: Run, command: str) -> Provenance:
    checkpoint = run.checkpoint
    cards = [
        ("GMVERS", galmorph.__version__, "version of galmorph"),
        ("GMDATE", datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), "when it ran"),
        ("GMSURVEY", run.survey, "survey of the images"),
        ("GMBAND", run.band, "band of the images"),
    ]
    if checkpoint is not None:
        recipe = hashlib.sha256(json.dumps(checkpoint.recipe.to_dict(), sort_keys=True).encode()).hexdigest()
        cards += [
            ("GMMODEL", checkpoint.name, "checkpoint"),
            ("GMMODVER", checkpoint.version, "version that trained it"),
            ("GMSHA256", checkpoint.sha256, "of the checkpoint"),
            ("GMRECIPE", recipe[:16], "hash of the stamp recipe"),
            ("GMSCHEME", checkpoint.scheme.name, "label scheme"),
        ]
    cards += [(f"GMFLAG{number:02d}", str(f.name), f"bit {number}, value {int(f)}") for number, f in enumerate(MEANINGS)]
    path = run.catalog.path
    history = [
        f"galmorph {galmorph.__version__}: {command}",
        f"catalog: {path.name} sha256 {_checksum(path)}" if path is not None and path.is_file() else "catalog: in memory",
        *(f"image: {name}" for name in _named_images(run.images)),
        *(f"flag {int(f)} {f.name}: {meaning}" for f, meaning in MEANINGS.items()),
        "software: " + ", ".join(f"{n} {_version(n)}" for n in ("numpy", "astropy", "sep", "torch")) + f", Python {platform.python_version()}",
    ]
    return Provenance(tuple(cards), tuple(history))


def _named_images(images: ImageSource) -> list[str]:
    if images.kind == "jpeg":
        return [f"{len(images.tile_names)} display stamps"]
    return [Path(n).name for n in images.tile_names[:20]]


def _checksum(path: Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def _execute(
    run: Run, output: str | Path | None, *, overwrite: bool, strict: bool, report: str | Path | None, progress: Progress | None, command: str
) -> tuple[list[Column], Provenance, Results]:
    if output is not None:
        check_output(output, overwrite=overwrite)
    if report is not None:
        from galmorph.runs.report import check_report  # noqa: PLC0415 - only runs with a report need Jinja

        check_report(report, overwrite=overwrite)
    if len(run.catalog) == 0:
        log.warning("the catalogue has no rows: the output will have none either")
    answers = len(run.checkpoint.scheme.keys) if run.checkpoint else 0
    results = Results.empty(len(run.catalog), answers)
    for done in results_in_parts(run, results):
        if progress is not None:
            progress(done, len(results))
    columns, provenance = finish(run, results, command)
    if output is not None:
        write_catalog(run.catalog, columns, output, provenance=provenance, overwrite=overwrite)
    if report is not None:
        from galmorph.runs.report import write_report  # noqa: PLC0415

        write_report(run, results, report, overwrite=overwrite)
    missing = int((~results.classified).sum()) if run.checkpoint else 0
    if strict and missing:
        raise UnclassifiedError(f"{missing} of {len(results)} rows have no probabilities, and --strict asks for all: see {run.prefix}flags")
    return columns, provenance, results


def classify(
    catalog: Any,
    images: Paths | ImageSource,
    *,
    survey: str | Survey | None = None,
    band: str | None = None,
    checkpoint: str | Path | Checkpoint | None = None,
    weights: Paths = (),
    rms: Paths = (),
    output: str | Path | None = None,
    overwrite: bool = False,
    report: str | Path | None = None,
    device: str = "auto",
    prefix: str = "gm_",
    normalised: bool = False,
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
    weights, rms
        Inverse variances, or noise, on the grids of the images.
    output, overwrite
        Write the result to a file whose ending says the format.
    report
        Folder for an HTML page with counts, distributions and a contact sheet.
    device
        ``'auto'``, ``'cpu'`` or ``'cuda'``.
    prefix
        Of the new columns.
    normalised
        Scale independent fractions so that they sum to 1.
    strict
        Raise if a row has no probabilities (after writing the output).
    progress
        Called with the numbers of rows done and in all.
    **columns
        ``ra``, ``dec``, ``x``, ``y``, ``id_column``, ``file_column``, ``hdu``, ``image_hdu``.

    Returns
    -------
    An astropy table, or a pandas frame if one was given, with the columns ``gm_class``, ``gm_p_<answer>``, ``gm_conf``,
    ``gm_ra``, ``gm_dec`` (deg, ICRS), ``gm_pos_err``, ``gm_rpet``, ``gm_rpet_err``, ``gm_r50`` (arcsec), ``gm_snr``, ``gm_flags``,
    ``gm_model``. Without a WCS positions and sizes are in pixels, in ``gm_x`` and ``gm_y``.

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
    run = prepare_run(
        catalog, images, survey=survey, band=band, checkpoint=checkpoint, weights=weights, rms=rms, prefix=prefix,
        normalised=normalised, device=device, **columns,
    )  # fmt: skip
    made, provenance, _ = _execute(
        run, output, overwrite=overwrite, strict=strict, report=report, progress=progress, command=command
    )
    return _as_given(catalog, run.catalog, made, provenance)


def measure(
    catalog: Any,
    images: Paths | ImageSource,
    *,
    survey: str | Survey | None = None,
    band: str | None = None,
    weights: Paths = (),
    rms: Paths = (),
    output: str | Path | None = None,
    overwrite: bool = False,
    prefix: str = "gm_",
    progress: Progress | None = None,
    command: str = "galmorph.measure",
    **columns: Any,
) -> Any:
    """Measure every row of a catalogue: the part of :func:`classify` before the network; does not need torch.

    Returns
    -------
    The rows with centroid, Petrosian radius, half-light radius, signal-to-noise ratio and flags.

    Raises
    ------
    CatalogError, SurveyError, ImageError, OutputError
        Before work starts, if something does not fit.
    """
    run = prepare_run(
        catalog, images, survey=survey, band=band, weights=weights, rms=rms, network=False, prefix=prefix, **columns
    )
    made, provenance, _ = _execute(
        run, output, overwrite=overwrite, strict=False, report=None, progress=progress, command=command
    )
    return _as_given(catalog, run.catalog, made, provenance)


def _as_given(given: Any, catalog: Catalog, columns: list[Column], provenance: Provenance) -> Any:
    """Return a pandas frame to who gave one, else an astropy table."""
    if not type(given).__module__.startswith("pandas"):
        return append(catalog, columns, provenance)
    frame = given.copy()
    if taken := [c.name for c in columns if c.name in frame.columns]:
        raise CatalogError(f"the frame already has a column '{taken[0]}': choose another prefix")
    for column in columns:
        frame[column.name] = column.values
    return frame
