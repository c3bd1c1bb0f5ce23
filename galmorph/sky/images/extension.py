"""Extension: one image HDU of a FITS file, what it is for, and which of a file's are meant."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from astropy.io import fits

from galmorph.errors import ImageError
from galmorph.sky.images.map_roles import Role, role_of_hdu, titles

__all__ = ["Extension", "Place", "chosen", "extensions_of", "place_of", "plane_named", "split_extension", "text_card"]

log = logging.getLogger(__name__)

_ROLE_CARDS = ("HDUCLAS2", "HDUCLAS3", "EXTTYPE", "UTYPE", "IMAGETYP")

Place = int | str | tuple[str, int]
"""Which HDU: its number, its name, or its name and version."""


@dataclass(frozen=True)
class Extension:
    """An image HDU.

    Parameters
    ----------
    number
        Of the HDU in its file.
    name, version
        EXTNAME and EXTVER.
    shape
        Rows and columns.
    planes
        How many planes of that shape it has.
    role
        What it is for; None where nothing says it.
    header
        Its header.
    """

    number: int
    name: str
    version: int
    shape: tuple[int, int]
    planes: int
    role: Role | None
    header: fits.Header = field(repr=False)

    @property
    def title(self) -> str:
        """What it is called in a list of HDUs."""
        return f"{self.number} {self.name}".strip() + (f" ({self.planes} planes)" if self.planes > 1 else "")

    @property
    def place(self) -> str:
        """What stands in the brackets that name it."""
        return f"{self.name},{self.version}" if self.name and self.version > 1 else self.name or str(self.number)


def split_extension(text: str) -> tuple[str, Place | None]:
    """Split ``image.fits[SCI,2]`` into the path and the HDU; without brackets at its end the HDU is None.

    Examples
    --------
    >>> split_extension("a.fits[SCI,2]"), split_extension("a.fits[3]"), split_extension("a.fits")
    (('a.fits', ('SCI', 2)), ('a.fits', 3), ('a.fits', None))
    """
    match = re.fullmatch(r"(.+)\[([^\[\]]+)\]", text, re.DOTALL)
    return (text, None) if match is None else (match[1], place_of(match[2]))


def place_of(text: str) -> Place:
    """Read the name, number, or name and version of an HDU."""
    name, comma, version = text.strip().rpartition(",")
    if comma and version.strip().isdigit():
        return name.strip(), int(version)
    return int(text) if text.strip().isdigit() else text.strip()


def text_card(header: fits.Header, card: str) -> Any:
    """Return the value of a card; of one that breaks the standard the text that stands there; '' without it."""
    if card not in header:
        return ""
    try:
        value = header[card]
    except fits.VerifyError:
        value = header.cards[card].image[10:].partition("/")[0].strip(" '")
    return "" if isinstance(value, fits.card.Undefined) else value


def extensions_of(hdus: fits.HDUList) -> list[Extension]:
    """List the images of a file: HDUs of two or more axes, none of them empty."""
    return [
        _extension(number, hdu) for number, hdu in enumerate(hdus) if hdu.is_image and _plane_shape(hdu.header)[1] > 0
    ]


def _extension(number: int, hdu: Any) -> Extension:
    header = hdu.header
    shape, planes = _plane_shape(header)
    name = str(text_card(header, "EXTNAME")).strip().upper()
    version = text_card(header, "EXTVER")
    role = role_of_hdu(name, {card: text_card(header, card) for card in _ROLE_CARDS})
    return Extension(
        number,
        # That is what fpack calls an image without a name.
        "" if name == "COMPRESSED_IMAGE" else name or ("PRIMARY" if number == 0 else ""),
        version if isinstance(version, int) else 1,
        shape,
        planes,
        role,
        header,
    )


def _plane_shape(header: fits.Header) -> tuple[tuple[int, int], int]:
    """Rows and columns, and the number of planes; none of an HDU that is no image."""
    axes = [header[f"NAXIS{n + 1}"] for n in range(header.get("NAXIS", 0))]
    if len(axes) < 2 or min(axes) < 1:
        return (0, 0), 0
    planes = 1
    for length in axes[2:]:
        planes *= length
    return (axes[1], axes[0]), planes


def chosen(extensions: Sequence[Extension], role: Role, place: Place | None, name: str) -> list[Extension]:
    """Choose the HDUs that are meant: the one that was named, or all that have a role.

    Parameters
    ----------
    extensions
        Those of the file.
    role
        What they are wanted for.
    place
        Which was named, or None.
    name
        Of the file, for messages.

    Raises
    ------
    ImageError
        If there is none.
    """
    if place is not None:
        return [_named(extensions, role, place, name)]
    if not extensions:
        raise ImageError(f"image '{name}' has no image of two dimensions in its HDUs: give another file")
    named = [each for each in extensions if each.role == role]
    nameless = [each for each in extensions if each.role is None]
    if role == "image":
        choice = named or nameless or _lone(extensions)
    else:
        # A map in a file of its own needs no name.
        choice = named or (nameless if len(nameless) == len(extensions) else [])
    if not choice:
        listed = ", ".join(f"{each.title}{_is(each.role)}" for each in extensions)
        raise ImageError(
            f"'{name}' has no HDU that is a {titles[role]}: it has {listed}; name one in brackets, as in "
            "FILE[NAME], or another file"
        )
    return choice


def _lone(extensions: Sequence[Extension]) -> list[Extension]:
    """Whoever gives a file of one map as the image wants to see the map."""
    return list(extensions) if len(extensions) == 1 else []


def _is(role: Role | None) -> str:
    return "" if role in (None, "other") else f" ({titles[role]})"


def _named(extensions: Sequence[Extension], role: Role, place: Place, name: str) -> Extension:
    for each in extensions:
        if _is_at(each, place):
            if role != "image" and each.role not in (None, role):
                log.warning("'%s': HDU %s is taken as a %s, as was asked", name, each.title, titles[role])
            return each
    choices = ", ".join(each.title for each in extensions) or "none"
    shown = ",".join(map(str, place)) if isinstance(place, tuple) else place
    raise ImageError(f"image '{name}' has no image of two dimensions in HDU '{shown}': such are {choices}; name one")


def _is_at(each: Extension, place: Place) -> bool:
    if isinstance(place, int):
        return each.number == place
    wanted, version = place if isinstance(place, tuple) else (place, None)
    return each.name == wanted.upper() and version in (None, each.version)


def plane_named(each: Extension, spellings: Sequence[str], name: str) -> int | None:
    """Return the number of the plane that shows a band; None where the HDU has only one plane.

    Parameters
    ----------
    spellings
        Names of the band; none where no band was asked for.

    Raises
    ------
    ImageError
        If no plane is the band's.
    """
    if each.planes == 1:
        return None
    bands = _bands_of(each)
    wanted = {spelling.lower() for spelling in spellings}
    matches = [number for number, band in enumerate(bands) if band.lower() in wanted]
    if len(matches) == 1:
        return matches[0]
    have = f"of the bands {', '.join(bands)}" if bands else "and no image of two dimensions"
    cure = "name one with --survey and --band" if bands else "divide it, or name their bands in a card BANDS"
    raise ImageError(f"image '{name}' has {each.planes} planes {have} in HDU {each.title}: expected one; {cure}")


def _bands_of(each: Extension) -> list[str]:
    """Return the bands of the planes, from BANDS (``grz``, ``g,r,z``) or BAND0, BAND1, ...; [] where none are named."""
    text = str(text_card(each.header, "BANDS")).strip()
    listed = [part for part in re.split(r"[,;\s]+", text) if part]
    for bands in (listed, list(text)):
        if len(bands) == each.planes:
            return bands
    for first in (0, 1):
        cards = [str(text_card(each.header, f"BAND{n + first}")).strip() for n in range(each.planes)]
        if all(cards):
            return cards
    return []
