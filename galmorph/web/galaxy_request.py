"""GalaxyRequest: a galaxy that somebody wants classified, checked before anything is opened."""

from __future__ import annotations

import math
from dataclasses import dataclass

from astropy.table import Table

from galmorph.errors import CatalogError
from galmorph.web.uploads import Form, kind_of, name_of

__all__ = ["FIELDS", "GalaxyRequest"]

FIELDS = {
    "id": "how the answer names the galaxy",
    "model": "one of /models; by default the one for the survey and band",
    "survey": "of the image, see 'galmorph list surveys'; without it a picture is taken as it is",
    "band": "band of the survey, or three (gri, RGB)",
    "ra": "right ascension, degrees: with a FITS cutout, or in place of an image",
    "dec": "declination, degrees",
    "x": "pixel of the galaxy in a FITS cutout, from 0",
    "y": "pixel of the galaxy in a FITS cutout, from 0",
    "field": "without an image: only this field of the survey",
    "rule": "a rule of the scheme that gives a class of its own",
}
"""What may be said of a galaxy."""


@dataclass(frozen=True)
class GalaxyRequest:
    """A galaxy that somebody wants classified.

    Parameters
    ----------
    content, name
        The bytes of its image, and the name that these go by; without them the survey's archive is asked.
    id, model, survey, band, ra, dec, x, y, field, rule
        See :data:`FIELDS`.
    """

    content: bytes | None = None
    name: str = ""
    id: str = ""
    model: str | None = None
    survey: str | None = None
    band: str | None = None
    ra: float | None = None
    dec: float | None = None
    x: float | None = None
    y: float | None = None
    field: str | None = None
    rule: str = ""

    def __post_init__(self) -> None:
        for one, other in (("ra", "dec"), ("x", "y")):
            if (getattr(self, one) is None) != (getattr(self, other) is None):
                raise CatalogError(f"one of {one} and {other} came alone: expected both; give the other, too")
        if self.ra is not None and self.x is not None:
            raise CatalogError("ra and dec came with x and y: expected one position; leave out the other")
        if self.content is None and (self.ra is None or self.band is None):
            raise CatalogError(
                "there is neither an image nor a position with a band: expected an image, or ra, dec, survey and band "
                "of an archive; send one of them"
            )
        if self.ra is not None and self.dec is not None and not (0 <= self.ra < 360 and -90 <= self.dec <= 90):
            raise CatalogError("ra and dec: expected degrees from 0 to 360 and from -90 to 90; give such")

    @classmethod
    def of(cls, form: Form) -> GalaxyRequest:
        """Read what is asked from what came with a request.

        Raises
        ------
        CatalogError
            If a field is unknown, no number where one is expected, or missing.
        HTTPException
            If the image is none.
        """
        fields = {name: value.strip() for name, value in form.fields.items() if name != "name" and value.strip()}
        if strange := next((name for name in fields if name not in FIELDS), None):
            raise CatalogError(f"field '{strange[:40]}' has no meaning here: expected {', '.join(FIELDS)}")
        image = form.file("image")
        kind = "" if image is None else kind_of(image)
        asked = cls(
            image.content if image is not None else None,
            name_of(image, kind) if image is not None else "",
            **{name: value for name, value in fields.items() if name not in _NUMBERS},  # type: ignore[arg-type]
            **{name: _number(name, fields[name]) for name in _NUMBERS if name in fields},  # type: ignore[arg-type]
        )
        if kind in ("jpeg", "png") and (place := next((name for name in _NUMBERS if name in fields), None)):
            raise CatalogError(
                f"'{place}' came with a {kind.upper()}, which has no coordinates, and whose galaxy is in its middle: "
                "expected a FITS cutout; leave the position out"
            )
        return asked

    @property
    def is_of_archive(self) -> bool:
        """Whether the image is to be fetched."""
        return self.content is None

    @property
    def row(self) -> Table:
        """The row of a catalogue that it is."""
        if self.ra is not None:
            return Table({"ra": [self.ra], "dec": [self.dec]})
        return Table({"x": [self.x], "y": [self.y]}) if self.x is not None else Table({"file": [self.name]})


_NUMBERS = ("ra", "dec", "x", "y")


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise CatalogError(f"{name} = '{text[:40]}': expected a number, such as 150.1; give one")
    return value
