"""Report: one HTML page about a run, to look at in any browser, also offline and printed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from galmorph.errors import OutputError
from galmorph.flags import MEANINGS, UNCLASSIFIABLE, Flag, shared_mismatches
from galmorph.pages.contact import Findings, ShareBar, Spots, badges, cards, select, short_names
from galmorph.pages.display_stretch import DisplayStretch
from galmorph.pages.embedded import json_text
from galmorph.pages.figures import MOST_POINTS, Axis, Mark, count_text, histogram, scatter
from galmorph.pages.galaxy_view import view_of
from galmorph.pages.listing import MOST_ROWS, PICTURES, Listing, pictured_rows
from galmorph.pages.look import write_page
from galmorph.pages.marks import N_COLOURS
from galmorph.pages.pictures import SIDE_PX, KeptPicture, Picture
from galmorph.progress import Progress, silent
from galmorph.runs.gather import Gathering, gather
from galmorph.runs.plan import Run
from galmorph.runs.results import Results
from galmorph.sky.images import ImageSource
from galmorph.sky.outputs import check_outputs
from galmorph.sky.scheme import Scheme
from galmorph.stamps.recipe import Recipe

__all__ = ["PICTURES", "check_pictures", "check_report", "write_report"]

IntArray = npt.NDArray[np.intp]
FloatArray = npt.NDArray[np.float64]

_PAGE = "index.html"
_OPTION = "--report"


def check_report(folder: str | Path, *inputs: Any, overwrite: bool) -> None:
    """Make sure that a report can be written into `folder`, which need not exist yet; leaves nothing behind.

    Parameters
    ----------
    folder
        Of the report.
    inputs
        What is read, as :func:`galmorph.sky.outputs.check_outputs` takes it.
    overwrite
        Whether an earlier report may be replaced.

    Raises
    ------
    OutputError
        If it is a file, cannot be made or written, or holds a report that may not be overwritten.
    """
    check_outputs([Path(folder) / _PAGE], *inputs, overwrite=overwrite, is_made=True)


def check_pictures(pictures: int, report: str | Path | None) -> None:
    """Refuse a number of pictures that cannot be, or that has no page to be in.

    Raises
    ------
    OutputError
        If so.
    """
    if report is None:
        raise OutputError(f"{pictures} pictures were asked for without a report: add --report, or leave out --pictures")
    if pictures < 0:
        raise OutputError(f"{pictures} pictures were asked for: expected 0 or more; choose such a number")


def write_report(
    run: Run,
    results: Results,
    folder: str | Path,
    *,
    overwrite: bool = False,
    pictures: int | None = None,
    progress: Progress = silent,
) -> Path:
    """Write one self-contained page about a run: counts, flags, distributions, all rows and a contact sheet.

    Only the galaxies whose pictures it holds are cut out again, and at most :data:`MOST_ROWS` rows are listed, so that
    time, memory and size do not grow with the catalogue beyond that.

    Parameters
    ----------
    run
        The run; its images must still be open.
    results
        Of all rows.
    folder
        Receives ``index.html``; made where it does not exist.
    overwrite
        Whether an earlier page may be replaced.
    pictures
        How many rows have a picture: first those of the contact sheet, then others by lot; :data:`PICTURES` by default.
    progress
        Called with what is going on.

    Returns
    -------
    Path
        Of the page.

    Raises
    ------
    OutputError
        As :func:`check_report`, or if the disk is full. An earlier page is then untouched.
    """
    check_report(folder, overwrite=overwrite)
    page = Path(folder) / _PAGE
    contents = _contents(run, results, PICTURES if pictures is None else pictures, progress)
    write_page(page, "report.html.j2", contents, option=_OPTION, overwrite=overwrite)
    return page


def _contents(run: Run, results: Results, most: int, progress: Progress) -> dict[str, Any]:
    """Gather all that the template shows."""
    scheme = run.checkpoint.scheme if run.checkpoint else None
    findings = _findings(run, results, scheme)
    catalog, images = run.gathering.catalog, run.gathering.images
    chosen = select(findings, results.flags, Spots(results.tile, results.x, results.y))
    pictured = pictured_rows(results, chosen, most)
    pictures, kept = _pictures(run, results, chosen.rows, pictured, progress)
    sheet = cards(catalog, images, results, findings, chosen.rows, pictures)
    listing = Listing(run, results, findings, pictured)
    n_certain, n_flagged = len(chosen.certain), len(chosen.flagged)
    flags = results.flags
    return {
        "title": catalog.title,
        "run": run,
        "images": _image_names(images),
        "checkpoint": run.checkpoint,
        "scheme": scheme,
        "date": datetime.now(UTC),
        "rows": len(results),
        "classified": int(results.classified.sum()),
        "flagged": int((flags != 0).sum()),
        "doubtful": int(((flags & ~np.int32(int(findings.hidden))) != 0).sum()),
        "hidden": badges(int(findings.hidden), Flag(0)),
        "classes": _class_bars(scheme, findings, results.classified) if scheme else [],
        "questions": _question_bars(scheme, results) if scheme and scheme.kind == "tree" else [],
        "flags": _flag_rows(flags),
        "figures": _figures(run, results, findings),
        "certain": sheet[:n_certain],
        "uncertain": sheet[n_certain : len(sheet) - n_flagged],
        "doubted": sheet[len(sheet) - n_flagged :],
        "network_view": any(c.picture is not None and c.picture.network_uri for c in sheet),
        "has_wcs": images.has_wcs,
        "recipe": _recipe(run),
        "unit": DisplayStretch.unit_text(is_flux=images.is_linear and images.n_planes == 1),
        "listed": len(listing.rows),
        "pictured": len(kept),
        "with_image": int(((flags & int(UNCLASSIFIABLE)) == 0).sum()),
        "most_rows": MOST_ROWS,
        "listing": json_text(listing.contents()),
        "pictures": json_text(kept),
    }


def _pictures(
    run: Run, results: Results, sheet: IntArray, pictured: IntArray, progress: Progress
) -> tuple[dict[int, Picture], list[dict[str, Any]]]:
    """Cut galaxies out again, each once: pictures of the contact sheet by row, and those that can be stretched."""
    rows = np.union1d(sheet[(results.flags[sheet] & int(UNCLASSIFIABLE)) == 0], pictured)
    on_sheet, to_keep = set(sheet.tolist()), set(pictured.tolist())
    pictures: dict[int, Picture] = {}
    kept: list[dict[str, Any]] = []
    for done, galaxy in enumerate(gather(run.gathering, rows) if len(rows) else (), 1):
        progress("drawing", done, len(rows))
        view = view_of(galaxy, run.images, _recipe(run), SIDE_PX)
        if view is not None and galaxy.row in on_sheet:
            pictures[galaxy.row] = Picture.of(view, _recipe(run))
        if view is not None and galaxy.row in to_keep:
            kept.append(KeptPicture.of(view, network=run.checkpoint is not None).packed(galaxy.row))
    return pictures, sorted(kept, key=itemgetter("row"))


def _recipe(run: Run) -> Recipe:
    if run.checkpoint is not None:
        return run.checkpoint.recipe
    planes = run.gathering.images.n_planes
    return Recipe(half_width_rpet=run.gathering.half_width_rpet, planes=planes, neighbours="keep")


def _image_names(images: ImageSource) -> str:
    names = [Path(n).name for n in images.tile_names]
    if not images.is_linear:
        return f"{count_text(len(names))} display stamps"
    return ", ".join(names[:3]) + (f" and {count_text(len(names) - 3)} more" if len(names) > 3 else "")


def _findings(run: Run, results: Results, scheme: Scheme | None) -> Findings:
    hidden = shared_mismatches(results.flags)
    if scheme is None:
        n = len(results)
        return Findings(None, np.full(n, -1, np.intp), np.full(n, np.nan), np.zeros((n, 0)), hidden)
    marginals = scheme.marginals(results.conditional)
    if run.settings.normalise:
        marginals = scheme.normalised(marginals)
    _, confidence = scheme.best_class(marginals)
    first = marginals[:, scheme.slices[0]]
    classes = np.where(results.classified, np.nan_to_num(first).argmax(axis=1), -1)
    return Findings(scheme, classes.astype(np.intp), confidence, marginals, hidden)


def _class_bars(scheme: Scheme, findings: Findings, classified: npt.NDArray[np.bool_]) -> list[dict[str, Any]]:
    """Count the rows of each class, and average its probability over all classified rows."""
    n = max(int(classified.sum()), 1)
    means = findings.marginals[classified].sum(axis=0) / n
    counts = np.bincount(findings.classes[classified], minlength=len(scheme.questions[0].answers))
    return [
        {
            "bar": ShareBar(answer.title, int(counts[i]) / n, i, int(counts[i])),
            "short": short,
            "mean": float(means[i]),
        }
        for i, (answer, short) in enumerate(zip(scheme.questions[0].answers, short_names(scheme), strict=True))
    ]


def _question_bars(scheme: Scheme, results: Results) -> list[dict[str, Any]]:
    """Average each question's answers over the galaxies, each counting as much as the question is asked of it."""
    conditional = results.conditional[results.classified]
    marginals = scheme.marginals(conditional)
    questions = []
    for question, where, parents in zip(scheme.questions, scheme.slices, scheme.parents, strict=True):
        asked = marginals[:, list(parents)].sum(axis=1) if parents else np.ones(len(conditional))
        total = float(asked.sum())
        means = marginals[:, where].sum(axis=0) / max(total, 1e-9)
        after = [scheme.answers[p].title for p in parents]
        bars = [ShareBar(a.title, float(m)) for a, m in zip(question.answers, means, strict=True)]
        questions.append({"title": question.title, "after": after, "asked": total, "bars": bars})
    return questions


def _flag_rows(flags: npt.NDArray[np.int32]) -> list[dict[str, Any]]:
    n = max(len(flags), 1)
    counts = {flag: int(((flags & int(flag)) != 0).sum()) for flag in MEANINGS}
    return [
        {
            "bit": int(flag),
            "name": flag.name,
            "meaning": MEANINGS[flag],
            "count": count,
            "share": count / n,
            "empty": bool(flag & UNCLASSIFIABLE),
        }
        for flag, count in counts.items()
    ]


def _figures(run: Run, results: Results, findings: Findings) -> list[dict[str, Any]]:
    """Draw the distributions, each with a sentence on what it shows."""
    has_scale = bool(np.isfinite(results.scale_arcsec).any())
    unit, scale = ("arcsec", results.scale_arcsec) if has_scale else ("pixels", np.ones(len(results)))
    radius = results.rpet_px * scale
    offset = _offset_px(run.gathering, results) * scale
    radii = Axis.over(f"Petrosian radius ({unit})", radius, log=True)
    ratios = Axis.over("signal-to-noise ratio", results.snr, log=True)
    trained = _trained_range(run)
    colours = np.where(findings.classes < N_COLOURS, findings.classes, -1)
    # Crowded figures shade cells and cannot tell the classes apart.
    keyed = run.checkpoint is not None and len(results) <= MOST_POINTS
    return [
        *_confidence_figure(run, findings),
        _figure("Petrosian radius", radii, radius, _psf_mark(run.gathering, has_scale)),
        _figure("Signal-to-noise ratio", ratios, results.snr, trained),
        _figure(
            "Centroid offset", Axis.over(f"offset from the catalogue ({unit})", offset, top_percentile=98.0), offset
        ),
        {
            "title": "Size against S/N",
            "svg": scatter(ratios, radii, results.snr, radius, colours, marks=trained),
            "note": "",
            "keyed": keyed,
        },
        *_confidence_against_snr(findings, ratios, results.snr, trained, colours, keyed),
    ]


def _confidence_figure(run: Run, findings: Findings) -> Iterator[dict[str, Any]]:
    if run.checkpoint is None:
        return
    by_chance = 1.0 / len(run.checkpoint.scheme.questions[0].answers)
    axis = Axis(f"probability of the class ({run.settings.prefix}conf)", 0.0, 1.0)
    yield _figure("Confidence", axis, findings.confidence, [Mark(by_chance, "by chance")])


def _confidence_against_snr(
    findings: Findings, ratios: Axis, snr: FloatArray, trained: Sequence[Mark], colours: IntArray, keyed: bool
) -> Iterator[dict[str, Any]]:
    if findings.scheme is None:
        return
    up = Axis("probability of the class", 0.0, 1.0)
    svg = scatter(ratios, up, snr, findings.confidence, colours, marks=trained)
    yield {"title": "Confidence against S/N", "svg": svg, "note": "", "keyed": keyed}


def _figure(title: str, axis: Axis, values: FloatArray, marks: Sequence[Mark] = ()) -> dict[str, Any]:
    finite = values[np.isfinite(values)]
    shares = axis.shares(finite)
    beyond = int((~((shares >= 0) & (shares <= 1))).sum())
    note = f"Median {np.median(finite):.3g} of {count_text(finite.size)} rows" if finite.size else "No values"
    note += f"; {count_text(beyond)} beyond the axis." if beyond else "."
    return {"title": title, "svg": histogram(axis, values, marks=marks), "note": note, "keyed": False}


def _offset_px(gathering: Gathering, results: Results) -> FloatArray:
    """Distance of each centroid from the catalogue's position, (N,)."""
    if len(results) == 0:
        return np.zeros(0)
    where, _ = gathering.where
    same = results.tile == where.tile
    return np.where(same, np.hypot(results.x - where.x, results.y - where.y), np.nan)


def _psf_mark(gathering: Gathering, has_scale: bool) -> list[Mark]:
    if not has_scale or gathering.images.psf_fwhm_px is None:
        return []
    return [Mark(gathering.images.psf_fwhm_px * gathering.images.scale_arcsec, "PSF FWHM")]


def _trained_range(run: Run) -> list[Mark]:
    if run.checkpoint is None:
        return []
    low, high = run.checkpoint.envelope.snr
    return [Mark(v, t) for v, t in ((low, "training set from"), (high, "training set to")) if np.isfinite(v) and v > 0]
