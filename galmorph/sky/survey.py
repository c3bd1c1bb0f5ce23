"""Survey: the images of one instrument and calibration, with its bands, fields and display colours.

What exists is written in ``catalogs/surveys/*.toml``: a new survey is a new file there, or anywhere else.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import urlencode

from galmorph.arguments import checked
from galmorph.errors import SurveyError, unknown_name
from galmorph.notebook import html_table
from galmorph.shipped import named_files, shipped
from galmorph.toml import apart, build, read_file

__all__ = [
    "COLOUR",
    "POSITION_DECIMALS",
    "Band",
    "ColourParams",
    "CutoutArchive",
    "Field",
    "FrameArchive",
    "JpegStretch",
    "PictureService",
    "Survey",
    "Way",
    "load_survey",
    "surface_brightness_mjysr",
    "survey_names",
]

T = TypeVar("T")
Way = Literal["auto", "whole", "parts", "cutouts", "pictures"]
"""How mosaics are read: downloaded as they are, in parts, through a server that cuts them, or as takes less time; or
pictures in their place, which are not for measuring."""
ARCSEC2_SR = (math.pi / 180 / 3600) ** 2
"""Solid angle of a square arcsecond in steradians."""
_LEAST = 1e-6
_MOST = {"scale_arcsec": 3600.0, "psf_fwhm_arcsec": 36000.0, "zero_point_ab": 100.0}
_MOST_SIDE_PX = 4096
POSITION_DECIMALS = 6
"""Of positions in degrees that servers are asked about: a hundredth of a pixel of the finest pictures."""
COLOUR = "RGB"
"""How the bands of colour pictures are asked for together."""


@dataclass(frozen=True)
class Band:
    """A passband of a survey, as its images are usually published.

    Parameters
    ----------
    name
        Name in the survey, such as ``F160W``.
    scale_arcsec
        Nominal pixel scale in arcsec.
    zero_point_ab
        AB magnitude of one image unit in one pixel.
    unit
        Unit of the pixels, in words.
    psf_fwhm_arcsec
        Full width at half maximum of the point-spread function in arcsec.
    reference
        Where the numbers come from.
    aliases
        Other names, such as ``H``.
    saturation
        Pixel value above which an image is saturated, in image units; None where it is not known.
    """

    name: str
    scale_arcsec: float
    zero_point_ab: float
    unit: str
    psf_fwhm_arcsec: float
    reference: str
    aliases: tuple[str, ...] = ()
    saturation: float | None = None

    def mjysr_per_unit(self, scale_arcsec: float | None = None) -> float:
        """Return the surface brightness in MJy/sr of one image unit per pixel.

        It is 1 where the unit is a surface brightness, whatever the pixel scale.

        Parameters
        ----------
        scale_arcsec
            Pixel scale of the image in arcsec; the band's nominal one if None.

        Examples
        --------
        >>> band = Band("r", 0.396, 22.5, "nanomaggy", 1.3, "an example")
        >>> round(band.mjysr_per_unit(), 3)
        0.985
        """
        if self.unit == "MJy/sr":
            return 1.0
        return surface_brightness_mjysr(self.zero_point_ab, scale_arcsec or self.scale_arcsec)


def surface_brightness_mjysr(zero_point_ab: float, scale_arcsec: float) -> float:
    """Return the surface brightness in MJy/sr of one image unit per pixel of `scale_arcsec`."""
    flux_mjy = 3631e-6 * 10 ** (-0.4 * zero_point_ab)  # of one unit, in megajansky
    return flux_mjy / (scale_arcsec**2 * ARCSEC2_SR)


@dataclass(frozen=True)
class Field:
    """A contiguous area of a survey and the names of its mosaics.

    Parameters
    ----------
    name, title
        Short and full name.
    ra_deg, dec_deg
        Middle of the area, ICRS degrees.
    shape
        Rows and columns of the mosaics; None where they differ or are not known.
    mosaics, weights
        Band name to file name, below `base_url`.
    zero_points
        Band name to AB zero point, where it differs from the band's.
    scale_arcsec, unit
        Pixel scale in arcsec and unit of the pixels, where they differ from the band's.
    only_by_name
        Whether its mosaics are read only where the field is named: others have the same sky.
    """

    name: str
    title: str
    ra_deg: float
    dec_deg: float
    reference: str
    shape: tuple[int, int] | None = None
    base_url: str = ""
    mosaics: Mapping[str, str] = dataclasses.field(default_factory=dict)
    weights: Mapping[str, str] = dataclasses.field(default_factory=dict)
    zero_points: Mapping[str, float] = dataclasses.field(default_factory=dict)
    scale_arcsec: float | None = None
    unit: str | None = None
    only_by_name: bool = False


@dataclass(frozen=True)
class ColourParams:
    """How three bands become the survey's colour pictures (Lupton et al. 2004, PASP 116, 133).

    Parameters
    ----------
    bands
        Names of the bands shown as red, green and blue.
    scales
        Display units per image unit (of the band's unit in a pixel of the band's scale), in the same order.
    nonlinearity
        Softening β: a pixel with scaled bands of sum R is multiplied by asinh(βR)/(βR).
    reference
        Where the numbers come from.
    origin
        Added to each scaled band: the level at which an empty sky is shown.
    clip
        What happens above 1: ``colour`` divides the pixel by its maximum, which keeps its hue; ``channel``
        cuts each channel by itself.
    """

    bands: tuple[str, str, str]
    scales: tuple[float, float, float]
    nonlinearity: float
    reference: str
    origin: float = 0.0
    clip: Literal["colour", "channel"] = "colour"


@dataclass(frozen=True)
class JpegStretch:
    """How the survey's JPEG or PNG stamps were made, so that they can be made linear again.

    Parameters
    ----------
    kind
        ``lupton``: three planes composed with the survey's :class:`ColourParams`. ``asinh``: one plane,
        asinh(I / softening), scaled from its minimum to its maximum.
    planes
        1 or 3.
    reference
        Where this is said.
    softening_mjysr
        Surface brightness in MJy/sr at which ``asinh`` turns from linear to logarithmic; None for ``lupton``.
    """

    kind: Literal["lupton", "asinh"]
    planes: Literal[1, 3]
    reference: str
    softening_mjysr: float | None = None


@dataclass(frozen=True)
class PictureService:
    """A server that draws the survey's colour pictures about any position, as JPEG, north up and east left.

    It is asked for ``url?ra=...&dec=...&scale=...&width=...&height=...``: degrees, arcsec per pixel, and pixels;
    hips2fits for ``url?hips=...&ra=...&dec=...&fov=...&width=...&height=...``.

    Parameters
    ----------
    url
        Its address.
    scale_arcsec, side_px
        Pixel scale, and width and height, of the pictures of rows without a radius.
    reference
        Where this is said.
    radius_columns
        Names of columns of radii in arcsec, the best first, in upper or lower case.
    scale_per_radius, radius_side_px
        Pixel scale in units of such a radius, and width and height of the pictures of rows that have one.
    scale_range
        Pixel scales in arcsec that it draws.
    hips
        Name of the HiPS that hips2fits draws from; '' for a service of the other kind. Such pictures are resampled and
        stretched for display.
    """

    url: str
    scale_arcsec: float
    side_px: int
    reference: str
    hips: str = ""
    radius_columns: tuple[str, ...] = ()
    scale_per_radius: float = 0.0
    radius_side_px: int = 0
    scale_range: tuple[float, float] = (0.01, 60.0)

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise SurveyError(f"url = '{self.url}', expected one of http or https; correct it")
        low, high = self.scale_range
        if not 0 < low <= self.scale_arcsec <= high <= _MOST["scale_arcsec"]:
            raise SurveyError(f"scale_arcsec = {self.scale_arcsec!r}, expected one within scale_range; correct it")
        if not 1 <= self.side_px <= _MOST_SIDE_PX or not 0 <= self.radius_side_px <= _MOST_SIDE_PX:
            raise SurveyError(f"side_px = {self.side_px}, expected 1 to {_MOST_SIDE_PX}; correct it")
        if self.radius_columns and not 0 < self.scale_per_radius < 1:
            raise SurveyError(f"scale_per_radius = {self.scale_per_radius!r}, expected a fraction; correct it")

    def address(self, ra_deg: float, dec_deg: float, scale_arcsec: float, side_px: int) -> str:
        """Return the address of the picture about a position."""
        place = {"ra": f"{ra_deg:.{POSITION_DECIMALS}f}", "dec": f"{dec_deg:.{POSITION_DECIMALS}f}"}
        size = {"width": side_px, "height": side_px}
        if not self.hips:
            scale = f"{scale_arcsec:.{POSITION_DECIMALS}f}"
            return f"{self.url}?{urlencode({**place, 'scale': scale, **size})}"
        drawn = {
            "fov": f"{side_px * scale_arcsec / 3600:.9f}",
            "projection": "TAN",
            "coordsys": "icrs",
            "format": "jpg",
        }
        return f"{self.url}?{urlencode({'hips': self.hips, **place, **size, **drawn})}"


@dataclass(frozen=True)
class FrameArchive:
    """An archive of frames of the SDSS: each a field in one band, found by run, camera column and number.

    Parameters
    ----------
    url
        Address of a frame, with ``{band}``, ``{run}``, ``{rerun}``, ``{camcol}`` and ``{field}`` in it.
    server
        The SkyServer that tells in which fields positions are.
    release
        Number of the data release that it is asked about.
    reference
        Where this is said.
    """

    url: str
    server: str
    release: int
    reference: str

    def __post_init__(self) -> None:
        for name in ("url", "server"):
            if not getattr(self, name).startswith(("http://", "https://")):
                raise SurveyError(f"{name} = '{getattr(self, name)}', expected one of http or https; correct it")
        try:
            self.address("r", 1, 1, 1, 1)
        except (ValueError, LookupError, AttributeError) as error:
            raise SurveyError(f"url = '{self.url}' cannot be filled in ({error}): correct what is in braces") from error

    def address(self, band: str, run: int, rerun: int, camcol: int, field: int) -> str:
        """Return where a frame is."""
        return self.url.format(band=band, run=run, rerun=rerun, camcol=camcol, field=field)


@dataclass(frozen=True)
class CutoutArchive:
    """A server that cuts images out about any position, as FITS.

    Parameters
    ----------
    url
        Its address.
    scale_arcsec
        Pixel scale that is asked for: that of the survey's images.
    tile_px
        Width and height of a cutout.
    margin_px
        How far from the edges of its cutout a row lies, at least.
    reference
        Where this is said.
    kind
        How it is asked: ``query`` for ``url?ra=...&dec=...&layer=...&pixscale=...&size=...&bands=...``, as the sky
        viewer of the Legacy Surveys is; ``zcut`` as that of MAST is, through astroquery.
    most_px
        Width of the widest cutout that it gives; of wider ones it cuts the rest off without a word.
    layer
        Name of the images at the server.
    layers
        Name of a field to that of its images at the server, where they differ.
    has_weights
        Whether it gives inverse variances as well, in the same file.
    remark
        How its pixels come from those of the survey, for the provenance.
    """

    url: str
    scale_arcsec: float
    tile_px: int
    margin_px: int
    reference: str
    kind: Literal["query", "zcut"] = "query"
    most_px: int = _MOST_SIDE_PX
    layer: str = ""
    layers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    has_weights: bool = False
    remark: str = "not by us"

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise SurveyError(f"url = '{self.url}', expected one of http or https; correct it")
        if not 0 < self.scale_arcsec <= _MOST["scale_arcsec"]:
            raise SurveyError(f"scale_arcsec = {self.scale_arcsec!r}, expected a positive number; correct it")
        if not 0 < self.tile_px <= min(self.most_px, _MOST_SIDE_PX):
            most = min(self.most_px, _MOST_SIDE_PX)
            raise SurveyError(
                f"tile_px = {self.tile_px}, expected 1 to {most}, which is what the server gives; correct it"
            )
        if not 0 <= self.margin_px < self.tile_px / 2:
            raise SurveyError(f"margin_px = {self.margin_px}, expected less than half of tile_px; correct it")

    @property
    def step_px(self) -> int:
        """How far apart the middles of cutouts are."""
        return self.tile_px - 2 * self.margin_px

    def address(self, ra_deg: float, dec_deg: float, bands: Sequence[str]) -> str:
        """Return the address of the cutout of some bands about a position."""
        asked = {
            "ra": f"{ra_deg:.6f}",
            "dec": f"{dec_deg:.6f}",
            "layer": self.layer,
            "pixscale": f"{self.scale_arcsec:g}",
            "size": self.tile_px,
            "bands": "".join(sorted(bands)),
        }
        return f"{self.url}?{urlencode(asked)}{'&invvar' if self.has_weights else ''}"


@dataclass(frozen=True)
class Survey:
    """Images of one instrument and calibration.

    Parameters
    ----------
    name, title
        Short and full name.
    reference
        Publication that describes the images.
    drop_sip
        True where the headers carry leftover distortion terms (SIP) that drizzling has already removed.
    bands, fields
        What exists.
    colour, jpeg
        How colour pictures and display stamps are made; None where there are none.
    pictures
        Who draws colour pictures about any position; None where nobody does.
    frames
        Where its frames are; None where it has none that are found by run and field.
    cutouts
        Who cuts images out about any position; None where nobody does.
    hips
        Who draws pictures for display alone, from a HiPS of the survey; None where nobody does.
    checkpoints
        Name of a band, or ``RGB`` for those of the colour pictures, to the name or file of the checkpoint that such
        images are classified with where nobody names one.
    """

    name: str
    title: str
    reference: str
    bands: tuple[Band, ...] = apart(())
    aliases: tuple[str, ...] = ()
    drop_sip: bool = False
    fields: tuple[Field, ...] = apart(())
    colour: ColourParams | None = None
    jpeg: JpegStretch | None = None
    pictures: PictureService | None = None
    frames: FrameArchive | None = None
    cutouts: CutoutArchive | None = None
    hips: PictureService | None = None
    checkpoints: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def _repr_html_(self) -> str:
        bands = (" = ".join([band.name, *band.aliases]) + f" ({band.scale_arcsec:g}″)" for band in self.bands)
        rows = {
            "reference": self.reference,
            "bands": ", ".join(bands),
            "colour": "".join(reversed(self.colour.bands)) if self.colour else "",
            "fields": ", ".join(field.name for field in self.fields),
        }
        return html_table(f"Survey {self.name}: {self.title}", rows)

    def band(self, name: str) -> Band:
        """Find a band by its name or an alias, in upper or lower case.

        Raises
        ------
        SurveyError
            If there is none; the message lists what exists.

        Examples
        --------
        >>> load_survey("candels").band("h").name
        'F160W'
        """
        bands = _by_lower_name(self.bands)
        band = bands.get(name.strip()) or bands.get(name.strip().lower())
        if band is None:
            spellings = [spelling for band in self.bands for spelling in (band.name, *band.aliases)]
            if "," in name or " " in name.strip():
                raise SurveyError(
                    f"band '{name}' of survey '{self.name}': expected one of {', '.join(spellings)}; name one"
                )
            raise SurveyError(unknown_name(f"band of survey '{self.name}'", name, spellings))
        return band

    def checkpoint(self, bands: Sequence[str]) -> str | None:
        """Return the usual checkpoint for images of one band, or of the three of the colour pictures; None for none.

        Examples
        --------
        >>> load_survey("sdss").checkpoint(["i", "r", "g"])
        'sdss-rgb'
        """
        colour = self.colour is not None and set(bands) == set(self.colour.bands)
        return self.checkpoints.get(COLOUR if colour else "".join(bands))

    def field(self, name: str) -> Field:
        """Find a field by its name, in upper or lower case.

        Raises
        ------
        SurveyError
            If there is none; the message lists what exists.
        """
        for each in self.fields:
            if each.name.lower() == name.lower():
                return each
        raise SurveyError(unknown_name(f"field of survey '{self.name}'", name, [f.name for f in self.fields]))


def survey_names() -> list[str]:
    """List the surveys that ship with galmorph."""
    return list(named_files(shipped("catalogs") / "surveys", ".toml"))


@checked
def load_survey(name_or_path: str | Path) -> Survey:
    """Read a survey by its name, one of its aliases, or the path of its file.

    Raises
    ------
    SurveyError
        If there is no such survey, or its file has unknown, missing or contradicting entries.

    Examples
    --------
    >>> load_survey("sdss").band("r").scale_arcsec
    0.396
    """
    text = str(name_or_path)
    files = named_files(shipped("catalogs") / "surveys", ".toml")
    if text.lower() in files:
        path = files[text.lower()]
        return _unchanged(path, path.stat().st_mtime_ns)
    if text.endswith(".toml"):
        return _read(Path(text))
    by_alias = {alias.lower(): s for s in map(_read, files.values()) for alias in s.aliases}
    if text.lower() in by_alias:
        return by_alias[text.lower()]
    raise SurveyError(f"{unknown_name('survey', text, files)} (or give the path of a .toml file)")


def _by_lower_name(bands: Iterable[Band]) -> dict[str, Band]:
    """Map names and aliases to bands: each as written, and in lower case where that is unambiguous."""
    exact = {spelling: band for band in bands for spelling in (band.name, *band.aliases)}
    lower: dict[str, Band] = {}
    for spelling, band in exact.items():
        lower.setdefault(spelling.lower(), band)
    return lower | exact


@lru_cache(maxsize=32)
def _unchanged(path: Path, _changed_ns: int) -> Survey:
    """Read a file once until it changes: each run asks for its survey some five times."""
    return _read(path)


def _read(path: Path) -> Survey:
    what = f"survey file '{path}'"
    table = read_file(path, "survey file", SurveyError)
    keys = [field.name for field in dataclasses.fields(Survey)]
    if strange := [key for key in table if key not in keys]:
        raise SurveyError(f"{what}: {unknown_name('key', strange[0], keys)}")
    plain = {key: value for key, value in table.items() if key not in ("bands", "fields")}
    survey = dataclasses.replace(
        build(Survey, plain, what, error=SurveyError),
        bands=_named(Band, table.get("bands"), what, "bands"),
        fields=_named(Field, table.get("fields", {}), what, "fields"),
    )
    _check(survey, what)
    return survey


def _named(kind: type[T], rows: Any, what: str, section: str) -> tuple[T, ...]:
    """Build a dataclass of each table in a table, named by its key."""
    if not isinstance(rows, dict):
        raise SurveyError(f"{what}, {section}: expected a table for each name, such as [{section}.F160W]; add one")
    return tuple(_one(kind, row, name, what, f"{section}.{name}") for name, row in rows.items())


def _one(kind: type[T], row: Any, name: str, what: str, section: str) -> T:
    if not isinstance(row, dict) or "name" in row:
        raise SurveyError(f"{what}: expected a table, got {row!r}; write it as [{section}], and its name nowhere else")
    return build(kind, row | {"name": name}, what, section, error=SurveyError)


def _check(survey: Survey, where: str) -> None:
    """Refuse numbers that cannot be and names that contradict each other."""
    spellings = [spelling for band in survey.bands for spelling in (band.name, *band.aliases)]
    twice = sorted({s for s in spellings if spellings.count(s) > 1})
    if twice:
        raise SurveyError(f"{where}: the band name or alias '{twice[0]}' is used twice; keep one")
    _check_figures(survey, where)
    if survey.colour is not None:
        for name in survey.colour.bands:
            survey.band(name)
    _check_checkpoints(survey, where)


def _check_figures(survey: Survey, where: str) -> None:
    """Refuse figures that no instrument has, whose powers overflow or vanish."""
    figures = {
        f"bands.{band.name}: {key}": (getattr(band, key), most) for band in survey.bands for key, most in _MOST.items()
    }
    for field in survey.fields:
        of = {f"zero_points.{band}": (value, _MOST["zero_point_ab"]) for band, value in field.zero_points.items()}
        if field.scale_arcsec is not None:
            of["scale_arcsec"] = field.scale_arcsec, _MOST["scale_arcsec"]
        figures |= {f"fields.{field.name}: {name}": pair for name, pair in of.items()}
    for name, (value, most) in figures.items():
        if not _LEAST <= value <= most:
            bounds = f"at most {most:g} and at least {_LEAST:g}"
            raise SurveyError(f"{where}, {name} = {value!r} must be a positive number, {bounds}; correct it")


def _check_checkpoints(survey: Survey, where: str) -> None:
    names = [*(band.name for band in survey.bands), *([COLOUR] if survey.colour is not None else [])]
    for name, checkpoint in survey.checkpoints.items():
        if name not in names:
            raise SurveyError(f"{where}, checkpoints: {unknown_name('band', name, names)}")
        if not checkpoint:
            raise SurveyError(f"{where}, checkpoints: {name} = '', expected the name of one; correct it")
