"""PlacedRows: where the rows of a result are on the sky, how large, and of which class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from astropy import units as u

from galmorph.errors import CatalogError
from galmorph.sky.catalog import Catalog, reals
from galmorph.sky.images.grid import are_on_sky

__all__ = ["Overlays", "PlacedRows"]

DoubleArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Overlays:
    """What was written of a result, and to whom it was sent.

    Parameters
    ----------
    files
        Each with what it holds, in words.
    receivers
        Names of programs.
    """

    files: Mapping[Path, str]
    receivers: Sequence[str]


@dataclass(frozen=True)
class PlacedRows:
    """Rows of a result.

    Parameters
    ----------
    ids
        Names, (N,).
    ra_deg, dec_deg
        Their measured centres, ICRS degrees, (N,); those of the catalogue where there is none; NaN for nowhere.
    rpet_arcsec, ellipticity, position_angle_deg
        Petrosian radii, ellipticities and angles from north through east, (N,); NaN where they were not measured.
    classes
        Likeliest answers, (N,); '' for none.
    flags
        Reasons for doubt, (N,); see :mod:`galmorph.flags`.
    """

    ids: Sequence[str]
    ra_deg: DoubleArray
    dec_deg: DoubleArray
    rpet_arcsec: DoubleArray
    ellipticity: DoubleArray
    position_angle_deg: DoubleArray
    classes: Sequence[str]
    flags: npt.NDArray[np.int64]

    @classmethod
    def of(cls, result: Catalog, prefix: str = "gm_") -> PlacedRows:
        """Take what is drawn from a result.

        Raises
        ------
        CatalogError
            If it is none, or has no sky positions.
        """
        table, name = result.table, f"{prefix}flags"
        if name not in table.colnames:
            raise CatalogError(
                f"Catalog '{result.title}' has no column {name}: expected a result of 'galmorph classify' or "
                "'measure'; give one, or its --prefix"
            )
        if result.ra_column is None:
            raise CatalogError(
                f"Catalog '{result.title}' has no sky positions: expected ra and dec; name them with --ra and --dec"
            )
        ra, dec = (_reals(result, f"{prefix}{each}", u.deg) for each in ("racen", "deccen"))
        is_measured = are_on_sky(ra, dec)
        classes = table[f"{prefix}class"].tolist() if f"{prefix}class" in table.colnames else [""] * len(table)
        return cls(
            ids=[str(each) for each in result.ids],
            ra_deg=np.where(is_measured, ra, result.ra_deg),
            dec_deg=np.where(is_measured, dec, result.dec_deg),
            rpet_arcsec=_reals(result, f"{prefix}rpet", u.arcsec),
            ellipticity=_reals(result, f"{prefix}ell", None),
            position_angle_deg=_reals(result, f"{prefix}pa", u.deg),
            classes=["" if each is None or each is np.ma.masked else str(each) for each in classes],
            flags=np.asarray(table[name]).astype(np.int64),
        )

    @property
    def are_placed(self) -> npt.NDArray[np.bool_]:
        """Which are somewhere on the sky, (N,)."""
        return are_on_sky(self.ra_deg, self.dec_deg)

    @property
    def are_answered(self) -> npt.NDArray[np.bool_]:
        """Which have a class, or in a result of measuring alone a radius, (N,)."""
        have_class = np.array([bool(each) for each in self.classes], np.bool_)
        return have_class if have_class.any() else np.isfinite(self.rpet_arcsec)


def _reals(result: Catalog, name: str, unit: u.UnitBase | None) -> DoubleArray:
    """Return a column in a unit; NaN where it is not there, or in another kind of unit, such as pixels."""
    if name not in result.table.colnames:
        return np.full(len(result.table), np.nan)
    column = result.table[name]
    stated = getattr(column, "unit", None)
    if unit is None or stated is None:
        return reals(column)
    stated = u.Unit(stated, parse_strict="silent")
    return reals(column) * (stated.to(unit) if stated.is_equivalent(unit) else np.nan)
