"""Report: one HTML page about a run, to look at in any browser, also offline and printed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from galmorph.flags import MEANINGS, UNCLASSIFIABLE, Flag
from galmorph.pages.contact import (
    Findings,
    ShareBar,
    Spots,
    badges,
    cards,
    run_wide,
    select,
    short_names,
)
from galmorph.pages.figures import MOST_POINTS, N_COLOURS, Axis, Mark, colour_of, count_text, histogram, scatter
from galmorph.pages.look import write_page
from galmorph.runs.gather import Gathering
from galmorph.runs.plan import Run
from galmorph.runs.results import Results
from galmorph.sky.images import ImageSource
from galmorph.sky.outputs import check_outputs
from galmorph.sky.scheme import Scheme
from galmorph.stamps.recipe import Recipe

__all__ = ["check_report", "write_report"]

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


def write_report(run: Run, results: Results, folder: str | Path, *, overwrite: bool = False) -> Path:
    """Write one self-contained page about a run: counts, flags, distributions and a contact sheet.

    Only the galaxies of the contact sheet are cut out again, so memory does not grow with the catalogue.

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
    write_page(page, "report.html.j2", _contents(run, results), option=_OPTION, overwrite=overwrite)
    return page


def _contents(run: Run, results: Results) -> dict[str, Any]:
    """Gather all that the template shows."""
    scheme = run.checkpoint.scheme if run.checkpoint else None
    findings = _findings(run, results, scheme)
    catalog, images = run.gathering.catalog, run.gathering.images
    chosen = select(findings, results.flags, Spots(results.tile, results.x, results.y))
    sheet = cards(run.gathering, _recipe(run), results, findings, chosen.rows)
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
    }


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
    hidden = run_wide(results.flags, results.classified)
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
            "bar": ShareBar(answer.title, int(counts[i]) / n, colour_of(i), int(counts[i])),
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
