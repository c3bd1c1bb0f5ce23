"""Side: one of the catalogues of a match: where its rows are, how well that is known, and when."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from astropy import units as u

from galmorph.errors import CatalogError
from galmorph.sky.catalog import Catalog, reals
from galmorph.sky.matching.motions import moved
from galmorph.sky.matching.position_errors import circles, ellipses
from galmorph.sky.matching.separations import FloatArray, SkyPositions

__all__ = ["ABSENT", "Side", "angle_arcsec", "positions_of"]

ABSENT = "-"
"""In place of a column, where one of several catalogues has none."""
_MOTION = u.mas / u.yr
_YEARS = (1000.0, 3000.0)


@dataclass(frozen=True)
class Side:
    """A catalogue, and what else of it counts in a match.

    Parameters
    ----------
    catalog
        With positions on the sky.
    error
        Standard deviation of a position: a column, ``0.1arcsec``, or ``MAJOR,MINOR,ANGLE``, three columns of an ellipse
        (semi-axes, and degrees from north to east); columns without a unit are in arcsec.
    motion
        ``PMRA,PMDEC``, columns of proper motion, that in right ascension times cos(dec); in mas/yr, without a unit.
    epoch
        When rows are where the catalogue says: a Julian year, or a column of them.
    """

    catalog: Catalog
    error: str | None = None
    motion: str | None = None
    epoch: str | None = None

    @property
    def moves(self) -> bool:
        """Whether its rows have proper motions."""
        return self.motion is not None


def positions_of(side: Side, epoch: float | FloatArray | None) -> SkyPositions:
    """Return the positions of a catalogue, at an epoch where its rows move.

    Raises
    ------
    CatalogError
        If a column is missing or not what it should be, or an epoch is missing.
    """
    positions = SkyPositions(side.catalog.ra_deg, side.catalog.dec_deg, _covariance(side))
    if side.motion is None:
        return positions
    if epoch is None or side.epoch is None:
        raise CatalogError(
            f"Catalog '{side.catalog.title}' has proper motions but no epochs: name when its positions hold and to "
            "when they are to be moved with --epoch, one for each catalogue, such as --epoch 2016 2000"
        )
    east, north = (_in_unit(side.catalog, name, _MOTION) for name in _several(side, side.motion, ("PMRA", "PMDEC")))
    return moved(positions, east, north, epoch - years_of(side))


def years_of(side: Side) -> FloatArray:
    """Return when each row is where its catalogue says, in Julian years.

    Raises
    ------
    CatalogError
        If that is no year.
    """
    text = str(side.epoch)
    if text in side.catalog.table.colnames:
        years = reals(side.catalog.table[text])
    else:
        years = np.full(len(side.catalog), _number(text))
    are_years = (years >= _YEARS[0]) & (years <= _YEARS[1])
    if not np.all(are_years | np.isnan(years)) or (np.isnan(years).all() and len(years)):
        raise CatalogError(
            f"Epoch '{text}' of catalog '{side.catalog.title}': expected a Julian year such as 2015.5, or a column of "
            "them; days must be converted"
        )
    return years


def angle_arcsec(angle: float | str | u.Quantity, what: str) -> float:
    """Return an angle in arcsec: a number of them, a text such as ``0.5arcsec``, or a quantity.

    Raises
    ------
    CatalogError
        If it is none.
    """
    try:
        quantity = u.Quantity(angle)
        number = quantity.value if quantity.unit == u.one else quantity.to_value(u.arcsec)
    except (TypeError, ValueError) as error:
        raise CatalogError(f"{what} '{angle}': expected an angle such as 1arcsec; a number counts arcsec") from error
    if np.ndim(number):
        raise CatalogError(
            f"{what} '{angle}': expected one angle such as 1arcsec; name a column of errors with --error"
        )
    return float(number)


def _covariance(side: Side) -> FloatArray | None:
    """Return the errors of all rows; NaN where a row has none."""
    if side.error is None:
        return None
    if "," in side.error and side.error not in side.catalog.table.colnames:
        names = _several(side, side.error, ("MAJOR", "MINOR", "ANGLE"))
        units = (u.arcsec, u.arcsec, u.deg)
        columns = [_in_unit(side.catalog, name, unit) for name, unit in zip(names, units, strict=True)]
        return _checked(side, ellipses(_deviations(columns[0]), _deviations(columns[1]), columns[2]))
    return _checked(side, circles(_deviations(_circle(side, side.error))))


def _circle(side: Side, error: str) -> FloatArray:
    if error in side.catalog.table.colnames:
        return _in_unit(side.catalog, error, u.arcsec)
    if not error[:1].isdigit() and not error.startswith("."):
        raise _missing(side.catalog, error)
    return np.full(len(side.catalog), angle_arcsec(error, "Error"))


def _deviations(sigma: FloatArray) -> FloatArray:
    """Return standard deviations, NaN for what is none: catalogues write -1 or -99 where they know nothing."""
    return np.where(sigma < 0.0, np.nan, sigma)


def _checked(side: Side, covariance: FloatArray) -> FloatArray:
    """Make nought of a variance no error at all, and leave out rows whose errors are no numbers."""
    covariance[~np.isfinite(covariance).all(axis=1)] = np.nan
    if len(covariance) and np.isnan(covariance).all():
        raise CatalogError(
            f"Catalog '{side.catalog.title}': no row has an error in '{side.error}': expected standard deviations; "
            "check the column"
        )
    return covariance


def _several(side: Side, text: str, roles: tuple[str, ...]) -> list[str]:
    """Return the names of columns that are listed with commas."""
    names = [name.strip() for name in text.split(",")]
    if len(names) != len(roles):
        raise CatalogError(
            f"'{text}' for catalog '{side.catalog.title}': expected {len(roles)} columns, {','.join(roles)}; name "
            "them so"
        )
    return names


def _in_unit(catalog: Catalog, name: str, unit: u.UnitBase) -> FloatArray:
    """Return a column in a unit, which it has where it has none of its own."""
    if name not in catalog.table.colnames:
        raise _missing(catalog, name)
    column = catalog.table[name]
    own = getattr(column, "unit", None)
    if own is None or own == u.one:
        return reals(column)
    try:
        scale = u.Unit(own).to(unit)
    except u.UnitConversionError as error:
        raise CatalogError(
            f"Column '{name}' of catalog '{catalog.title}' is in {own}: expected {unit} or the like; name "
            "another column"
        ) from error
    return reals(column) * float(scale)


def _missing(catalog: Catalog, name: str) -> CatalogError:
    return CatalogError(f"Catalog '{catalog.title}': {unknown_column(name, catalog)}")


def unknown_column(name: str, catalog: Catalog) -> str:
    """Say that a catalogue has no such column, and which it has."""
    columns = catalog.table.colnames
    listed = ", ".join(columns[:12]) + (", …" if len(columns) > 12 else "")
    return f"no column '{name}': expected one of {listed}; name one of these"


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return np.inf
