"""Columns: what a run appends to a catalogue, with units, descriptions and UCDs.

They are decided here alone; each module of :mod:`galmorph.sky.formats` writes them in its format's own words.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from galmorph.flags import Flag
from galmorph.runs.results import Results
from galmorph.runs.run_settings import Settings
from galmorph.sky.catalog import Column
from galmorph.sky.images import ImageSource
from galmorph.sky.images.grid import unit_vectors
from galmorph.sky.matching.separations import tangents
from galmorph.sky.scheme import Scheme

if TYPE_CHECKING:
    from galmorph.nets.checkpoint.file import Checkpoint
    from galmorph.nets.checkpoint.prediction_sets import PredictionSets

__all__ = ["SHAPES", "ShapeColumn", "measured_columns", "new_columns", "probability_columns"]

FloatArray = npt.NDArray[np.float64]
_RADIUS = "SDSS definition (annulus 0.8-1.25 r, eta=0.2), circular"
_CENTRES = {"windowed": "Windowed centroid", "isophotal": "Isophotal barycentre"}


@dataclass(frozen=True)
class ShapeColumn:
    """A quantity that only `measure` appends.

    Parameters
    ----------
    field
        Name in :class:`galmorph.stamps.measure.Measurement`.
    name
        Of the column, without the prefix.
    kind
        ``'size'``: pixels, which become arcsec; ``'ratio'``: a number; ``'angle'``: degrees from the x axis, which
        become degrees from north through east; ``'spread'``: the error of an angle.
    """

    field: str
    name: str
    kind: Literal["size", "ratio", "angle", "spread"]
    description: str
    ucd: str


def _with_error(field: str, name: str, kind: Literal["size", "ratio"], description: str, ucd: str) -> list[ShapeColumn]:
    error = f"{field.removesuffix('_px')}_err{'_px' if field.endswith('_px') else ''}"
    main = ucd.partition(";")[0]
    return [
        ShapeColumn(field, name, kind, description, ucd),
        ShapeColumn(error, f"{name}_err", kind, f"Error of {name}", f"stat.error;{main}"),
    ]


_INSIDE = "of the flux inside the Petrosian radius, circular"
SHAPES: tuple[ShapeColumn, ...] = (
    ShapeColumn("r50_err_px", "r50_err", "size", "Error of r50", "stat.error;phys.angSize"),
    *_with_error("r20_px", "r20", "size", f"Radius of 20 % {_INSIDE}", "phys.angSize;src.morph"),
    *_with_error("r80_px", "r80", "size", f"Radius of 80 % {_INSIDE}", "phys.angSize;src.morph"),
    *_with_error("concentration", "conc", "ratio", "Concentration, 5 log10(r80 / r20)", "src.morph"),
    *_with_error(
        "asymmetry", "asym", "ratio", "Asymmetry under a half turn, corrected for that of the sky", "src.morph"
    ),
    *_with_error("ellipticity", "ell", "ratio", "Ellipticity, 1 - b/a", "src.ellipticity"),
    ShapeColumn("position_angle_deg", "pa", "angle", "Position angle of the major axis", "pos.posAng"),
    ShapeColumn("position_angle_err_deg", "pa_err", "spread", "Error of pa", "stat.error;pos.posAng"),
    *_with_error(
        "intrinsic_rpet_px", "rpet_in", "size", "Petrosian radius before the PSF, from templates", "phys.angSize"
    ),
)


def new_columns(
    results: Results, images: ImageSource, settings: Settings, checkpoint: Checkpoint | None = None
) -> list[Column]:
    """Columns that a run appends, in their order; those of no rows say what a run will append.

    Parameters
    ----------
    images
        What the rows were measured on.
    settings
        What the columns are called and hold.
    checkpoint
        Whose probabilities they are; None for measuring only.
    """
    measured = measured_columns(results, images, settings, shapes=checkpoint is None)
    if checkpoint is None:
        return measured
    return [
        *(probability_columns(results, checkpoint, settings) if settings.probabilities else ()),
        *measured,
        _model_column(results, checkpoint, settings),
        *([_features_column(results, checkpoint, settings)] if settings.features else ()),
        *([_light_column(results, checkpoint, settings)] if settings.light else ()),
    ]


def measured_columns(results: Results, images: ImageSource, settings: Settings, *, shapes: bool) -> list[Column]:
    """Columns of the measurements: sky positions and arcsec where the images have a WCS, else pixels.

    Parameters
    ----------
    shapes
        Whether to append all that was measured, or only what goes with a classification.
    """
    prefix = settings.prefix
    sky = images.has_wcs
    unit = "arcsec" if sky else "pixel"
    scale = results.scale_arcsec if sky else 1.0
    f4 = np.float32

    def size(name: str, values: FloatArray, description: str, ucd: str) -> Column:
        return Column(prefix + name, (values * scale).astype(f4), unit, description, ucd)

    bits = ", ".join(f"{int(f)}={f.name}" for f in Flag)
    petrosian = f"Petrosian radius, {_RADIUS}, not corrected for the PSF"
    half = "Radius of half of the flux inside the Petrosian radius, circular"
    ratio = "Signal-to-noise ratio inside the Petrosian radius"
    return [
        *_positions(results, images, prefix, _CENTRES[settings.centroid]),
        size("pos_err", results.position_err_px, "Error of the centroid per axis", "stat.error;pos"),
        size("rpet", results.rpet_px, petrosian, "phys.angSize;src.morph"),
        size("rpet_err", results.rpet_err_px, "Error of the Petrosian radius", "stat.error;phys.angSize"),
        size("r50", results.r50_px, half, "phys.angSize;src.morph"),
        Column(f"{prefix}snr", results.snr.astype(f4), "", ratio, "stat.snr"),
        *(_shape_column(shape, results, images, prefix) for shape in (SHAPES if shapes else ())),
        Column(f"{prefix}flags", results.flags, "", f"Reasons for doubt, sum of bits: {bits}", "meta.code.qual"),
    ]


def _shape_column(shape: ShapeColumn, results: Results, images: ImageSource, prefix: str) -> Column:
    sky, values = images.has_wcs, results.shapes[shape.field]
    unit, text = {"size": "arcsec" if sky else "pixel", "ratio": ""}.get(shape.kind, "deg"), shape.description
    if shape.kind == "size" and sky:
        values = values * results.scale_arcsec
    elif shape.field == "ellipticity" and sky:
        values = _on_sky(results, images)[0]
    elif shape.kind == "angle":
        values = _on_sky(results, images)[1] if sky else values % 180.0
        text += ", from north through east" if sky else ", from the x axis towards y"
    return Column(prefix + shape.name, values.astype(np.float32), unit, text, shape.ucd)


_SQUARE_PIXELS = 0.998
"""Ratio of sides from which on pixels are square: what is left changes a shape by less than its error."""


def _on_sky(results: Results, images: ImageSource) -> tuple[FloatArray, FloatArray]:
    """Return ellipticities on the sky, and position angles from north through east, 0 to 180 degrees.

    Pixels that are not square make a round galaxy elliptical; the second moments are brought to the sky by the local
    Jacobian, which undoes that for whatever has elliptical isophotes.
    """
    ellipticity, turn = results.shapes["ellipticity"], np.radians(results.shapes["position_angle_deg"])
    sides = [_step(results, images, dx, dy) for dx, dy in ((1.0, 0.0), (0.0, 1.0))]
    major = np.cos(turn) * sides[0] + np.sin(turn) * sides[1]
    minor = np.cos(turn) * sides[1] - np.sin(turn) * sides[0]
    ratio, angle = _ellipse_of(major, (1.0 - ellipticity) * minor)
    is_square = _ellipse_of(*sides)[0] > _SQUARE_PIXELS
    direct = np.degrees(np.arctan2(*major))
    return np.where(is_square, ellipticity, 1.0 - ratio), np.where(is_square, direct, angle) % 180.0


def _step(results: Results, images: ImageSource, dx: float, dy: float) -> FloatArray:
    """Return degrees towards east and north, (2, N), from each centroid to a pixel beside it."""
    ra_deg, dec_deg = images.sky(results.tile, results.x, results.y)
    beside = unit_vectors(*images.sky(results.tile, results.x + dx, results.y + dy))
    step = beside - unit_vectors(ra_deg, dec_deg)  # differences of angles would not do beside a pole
    return np.asarray(np.degrees([(axis * step).sum(axis=1) for axis in tangents(ra_deg, dec_deg)]))


def _ellipse_of(one: FloatArray, other: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return axis ratio, and degrees of the major axis, of ellipses with conjugate half-diameters (2, N)."""
    (east2, north2), cross = one**2 + other**2, one[0] * one[1] + other[0] * other[1]
    middle, half = (east2 + north2) / 2, np.hypot((east2 - north2) / 2, cross)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.sqrt(np.clip((middle - half) / (middle + half), 0.0, 1.0))
    return ratio, np.degrees(np.arctan2(2.0 * cross, north2 - east2) / 2)


def _positions(results: Results, images: ImageSource, prefix: str, centre: str) -> list[Column]:
    if not images.has_wcs:
        what = f"{centre}, pixels from 0 at the centre of the first"
        return [
            Column(prefix + "x", results.x, "pixel", what, "pos.cartesian.x;instr.det"),
            Column(prefix + "y", results.y, "pixel", what, "pos.cartesian.y;instr.det"),
        ]
    ra, dec = images.sky(results.tile, results.x, results.y)
    what = f"of the {centre[0].lower()}{centre[1:]}, ICRS"
    return [
        Column(prefix + "racen", np.asarray(ra, np.float64), "deg", f"Right ascension {what}", "pos.eq.ra"),
        Column(prefix + "deccen", np.asarray(dec, np.float64), "deg", f"Declination {what}", "pos.eq.dec"),
    ]


def probability_columns(results: Results, checkpoint: Checkpoint, settings: Settings) -> list[Column]:
    """Columns of class, class by a rule, probabilities, confidence and prediction set."""
    scheme, prefix = checkpoint.scheme, settings.prefix
    marginals = scheme.marginals(results.conditional)
    by_rule = _rule_columns(results.conditional, marginals, scheme, settings)
    if settings.normalise:
        marginals = scheme.normalised(marginals)
    classes, confidence = scheme.best_class(marginals)
    about = f"Probability of {prefix}class" + (" (fractions normalised)" if scheme.kind == "independent" else "")
    answers = _answer_columns(marginals.astype(np.float32), scheme, settings)
    spreads = _spread_columns(results, scheme, prefix) if settings.errors else []
    return [
        Column(f"{prefix}class", classes, "", f"Likeliest answer: {scheme.questions[0].title}", "src.morph.type"),
        *by_rule,
        *(chain.from_iterable(zip(answers, spreads, strict=True)) if spreads else answers),
        Column(f"{prefix}conf", confidence.astype(np.float32), "", about, "stat.confidenceLevel"),
        _set_column(results, scheme, prefix, checkpoint.sets),
    ]


def _model_column(results: Results, checkpoint: Checkpoint, settings: Settings) -> Column:
    model = np.where(results.classified, f"{checkpoint.name} {checkpoint.version}", "")
    what = "Name and version of the checkpoint; empty where there are no probabilities"
    return Column(f"{settings.prefix}model", model, "", what, "meta.version;meta.software")


def _features_column(results: Results, checkpoint: Checkpoint, settings: Settings) -> Column:
    what = f"Features: what the last dense layer of {checkpoint.name} sees, averaged over views"
    features = results.features[:, : results.features.shape[1] - checkpoint.n_light(settings.light)]
    return Column(f"{settings.prefix}features", features, "", what, "src.morph.param")


def _light_column(results: Results, checkpoint: Checkpoint, settings: Settings) -> Column:
    what = f"Light in rings: of {settings.light}, roots of means, second harmonics, and differences from half a turn"
    light = results.features[:, results.features.shape[1] - checkpoint.n_light(settings.light) :]
    return Column(f"{settings.prefix}light", light, "", what, "src.morph.param")


def _rule_columns(conditional: FloatArray, marginals: FloatArray, scheme: Scheme, settings: Settings) -> list[Column]:
    """Class by the rule that was asked for, from fractions that are not normalised; none without a rule."""
    rule = scheme.rule(settings.rule)
    if rule is None:
        return []
    classes = rule.apply(conditional, marginals, scheme.keys)
    what = f"Class by the rule {rule.name}: {rule.title}"
    return [Column(f"{settings.prefix}rule", classes, "", what, "src.morph.type")]


def _set_column(results: Results, scheme: Scheme, prefix: str, sets: PredictionSets | None) -> Column:
    first = scheme.normalised(results.conditional)[:, scheme.slices[0]]
    names = [k.rpartition("__")[2] for k in scheme.keys[scheme.slices[0]]]
    if sets is None:
        texts, about = np.full(len(results), "", dtype=f"<U{len('|'.join(names))}"), "none with this checkpoint"
    else:
        texts, about = sets.texts(first, names), f"nominal coverage {sets.coverage:g}"
    what = f"Conformal prediction set: answers joined by '|', likeliest first; {about}"
    return Column(f"{prefix}set", texts, "", what, "src.morph.type")


def _spread_columns(results: Results, scheme: Scheme, prefix: str) -> list[Column]:
    text, ucd = "Standard deviation over networks and views", "stat.error;stat.probability;src.morph.type"
    names = scheme.column_names(prefix)
    return [Column(f"{n}_err", results.spread[:, i].astype(np.float32), "", text, ucd) for i, n in enumerate(names)]


def _answer_columns(marginals: npt.NDArray[np.float32], scheme: Scheme, settings: Settings) -> list[Column]:
    chance = {
        "tree": "Probability among all galaxies",
        "exclusive": "Probability",
        "independent": "Expected fraction of votes" + (", normalised" if settings.normalise else ""),
    }[scheme.kind]
    titles = [f"{chance} of '{a.title}' to: {q.title}" for q in scheme.questions for a in q.answers]
    ucd = "stat.probability;src.morph.type"
    names = scheme.column_names(settings.prefix)
    return [Column(n, marginals[:, i], "", text, ucd) for i, (n, text) in enumerate(zip(names, titles, strict=True))]
