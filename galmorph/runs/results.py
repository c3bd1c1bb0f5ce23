"""Results: what a run found for each row, and the columns it becomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from galmorph.flags import MEANINGS, Flag
from galmorph.runs.gather import Galaxy
from galmorph.sky.catalog import Column
from galmorph.sky.images import ImageSource
from galmorph.sky.scheme import Scheme

__all__ = ["Results", "column_names", "flag_counts"]

FloatArray = npt.NDArray[np.float64]
_VALUES = ("x", "y", "position_err_px", "rpet_px", "rpet_err_px", "r50_px", "snr", "scale_arcsec")
_RADIUS = "SDSS definition (annulus 0.8-1.25 r, eta=0.2), circular"


@dataclass
class Results:
    """Arrays over the N rows of a catalogue, filled while a run goes on; NaN and 0 where nothing is known.

    Parameters
    ----------
    tile
        Tile of each row, -1 for none.
    x, y, position_err_px, rpet_px, rpet_err_px, r50_px, snr
        As measured, in pixels of the tile.
    scale_arcsec
        Pixel scale of the tile.
    flags
        Bits of :class:`galmorph.flags.Flag`.
    conditional
        (N, A) probabilities given that a question is asked; A may be 0.
    """

    tile: npt.NDArray[np.int32]
    x: FloatArray
    y: FloatArray
    position_err_px: FloatArray
    rpet_px: FloatArray
    rpet_err_px: FloatArray
    r50_px: FloatArray
    snr: FloatArray
    scale_arcsec: FloatArray
    flags: npt.NDArray[np.int32]
    conditional: FloatArray

    @classmethod
    def empty(cls, rows: int, answers: int) -> Results:
        """Make room for `rows` rows and `answers` answers."""
        blank = {name: np.full(rows, np.nan) for name in _VALUES}
        return cls(
            tile=np.full(rows, -1, np.int32),
            flags=np.zeros(rows, np.int32),
            conditional=np.full((rows, answers), np.nan),
            **blank,
        )

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.flags)

    @property
    def classified(self) -> npt.NDArray[np.bool_]:
        """Which rows have probabilities, (N,)."""
        known: npt.NDArray[np.bool_] = np.isfinite(self.conditional).all(axis=1) & (self.conditional.shape[1] > 0)
        return known

    def put(self, galaxy: Galaxy) -> None:
        """Enter the measurement of one row."""
        row = galaxy.row
        self.flags[row] = int(galaxy.flags)
        if galaxy.cutout is None:
            return
        self.tile[row] = galaxy.cutout.tile
        self.scale_arcsec[row] = galaxy.cutout.scale_arcsec
        if (measured := galaxy.measured) is None:
            return
        left, bottom = galaxy.cutout.origin
        self.x[row], self.y[row] = measured.x + left, measured.y + bottom
        self.position_err_px[row] = measured.position_err_px
        self.rpet_px[row], self.rpet_err_px[row] = measured.rpet_px, measured.rpet_err_px
        self.r50_px[row], self.snr[row] = measured.r50_px, measured.snr

    def mark(self, rows: npt.NDArray[np.bool_], flag: Flag) -> None:
        """Set a flag on the rows where `rows` is True."""
        self.flags[rows] |= int(flag)


def column_names(scheme: Scheme | None, prefix: str, *, sky: bool) -> list[str]:
    """Names of the columns that a run appends, in their order."""
    measured = ["ra", "dec"] if sky else ["x", "y"]
    measured += ["pos_err", "rpet", "rpet_err", "r50", "snr", "flags"]
    if scheme is None:
        return [prefix + n for n in measured]
    chances = [f"{prefix}class", *scheme.column_names(prefix), f"{prefix}conf"]
    return [*chances, *(prefix + n for n in measured), f"{prefix}model"]


def measured_columns(results: Results, images: ImageSource, prefix: str) -> list[Column]:
    """Columns of the measurements: sky positions and arcsec where the images have a WCS, else pixels."""
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
        *_positions(results, images, prefix),
        size("pos_err", results.position_err_px, "Error of the centroid per axis (sky noise)", "stat.error;pos"),
        size("rpet", results.rpet_px, petrosian, "phys.angSize;src.morph"),
        size("rpet_err", results.rpet_err_px, "Error of the Petrosian radius (sky noise)", "stat.error;phys.angSize"),
        size("r50", results.r50_px, half, "phys.angSize;src.morph"),
        Column(f"{prefix}snr", results.snr.astype(f4), "", ratio, "stat.snr"),
        Column(f"{prefix}flags", results.flags, "", f"Reasons for doubt, sum of bits: {bits}", "meta.code.qual"),
    ]


def _positions(results: Results, images: ImageSource, prefix: str) -> list[Column]:
    if not images.has_wcs:
        what = "Windowed centroid, pixels from 0 at the centre of the first"
        return [
            Column(prefix + "x", results.x, "pixel", what, "pos.cartesian.x;instr.det"),
            Column(prefix + "y", results.y, "pixel", what, "pos.cartesian.y;instr.det"),
        ]
    ra, dec = images.sky(results.tile, results.x, results.y)
    what = "of the windowed centroid, ICRS"
    return [
        Column(prefix + "ra", np.asarray(ra, np.float64), "deg", f"Right ascension {what}", "pos.eq.ra"),
        Column(prefix + "dec", np.asarray(dec, np.float64), "deg", f"Declination {what}", "pos.eq.dec"),
    ]


def probability_columns(results: Results, scheme: Scheme, prefix: str, *, normalised: bool) -> list[Column]:
    """Columns of class, probabilities and confidence.

    Parameters
    ----------
    normalised
        Whether independent fractions are scaled to sum to 1.
    """
    marginals = scheme.marginals(results.conditional)
    if normalised:
        marginals = scheme.normalised(marginals)
    classes, confidence = scheme.best_class(marginals)
    about = f"Probability of {prefix}class" + (" (fractions normalised)" if scheme.kind == "independent" else "")
    return [
        Column(f"{prefix}class", classes, "", f"Likeliest answer: {scheme.questions[0].title}", "src.morph.type"),
        *_answer_columns(marginals.astype(np.float32), scheme, prefix, normalised=normalised),
        Column(f"{prefix}conf", confidence.astype(np.float32), "", about, "stat.confidenceLevel"),
    ]


def _answer_columns(
    marginals: npt.NDArray[np.float32], scheme: Scheme, prefix: str, *, normalised: bool
) -> list[Column]:
    chance = {
        "tree": "Probability among all galaxies",
        "exclusive": "Probability",
        "independent": "Expected fraction of votes" + (", normalised" if normalised else ""),
    }[scheme.kind]
    asked = [f"{chance} of '{a.title}' to: {q.title}" for q in scheme.questions for a in q.answers]
    ucd = "stat.probability;src.morph.type"
    names = scheme.column_names(prefix)
    return [Column(n, marginals[:, i], "", text, ucd) for i, (n, text) in enumerate(zip(names, asked, strict=True))]


def flag_counts(flags: npt.NDArray[np.int32]) -> Mapping[Flag, int]:
    """Count the rows that have each flag, without those that none has."""
    counts = {flag: int(((flags & int(flag)) != 0).sum()) for flag in MEANINGS}
    return {flag: n for flag, n in counts.items() if n}
