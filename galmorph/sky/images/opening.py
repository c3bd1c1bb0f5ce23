"""Opening images: from paths to an :class:`~galmorph.sky.images.source.ImageSource`."""

from __future__ import annotations

import itertools
import logging
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy.typing as npt

from galmorph.errors import ImageError, SurveyError
from galmorph.limits import LIMITS
from galmorph.sky.images.bands import ColourSource
from galmorph.sky.images.extension import Place, place_of
from galmorph.sky.images.fits_stamps import FitsStamps, are_contents, is_fits, plain_content
from galmorph.sky.images.fitsplane import FitsPlane, open_planes
from galmorph.sky.images.flux_units import filter_of, is_magnitude
from galmorph.sky.images.image_file import ImageFile
from galmorph.sky.images.image_like import AnyPath, Images, Paths, Stored, store
from galmorph.sky.images.jpeg import open_contents, open_stamps
from galmorph.sky.images.map_roles import Role, titles
from galmorph.sky.images.no_data import sampled_rows
from galmorph.sky.images.paths import are_stamps, expand, matching
from galmorph.sky.images.pixels import Pixels
from galmorph.sky.images.source import ImageSource
from galmorph.sky.images.tiles import OPEN_PLANES, Tile, TileSource, as_labels
from galmorph.sky.survey import COLOUR, Band, ColourParams, Survey, survey_names

__all__ = ["band_names", "colour_bands", "open_images"]

log = logging.getLogger(__name__)

GRID_TOLERANCE_PX = 0.1
"""How well the pixels of a map and its image must agree on the sky."""

_NOISE: tuple[Role, ...] = ("weight", "rms", "variance")
_LISTED = 8
"""Images named in a message."""


@dataclass(frozen=True)
class _Asked:
    """What is asked of every image file: its HDU, its band as the planes of a cube may spell it."""

    hdu: Place | None
    spellings: tuple[str, ...] = ()
    drop_sip: bool = False

    @classmethod
    def of(cls, hdu: int | str | None, band: Band | None, survey: Survey | None) -> _Asked:
        place = place_of(hdu) if isinstance(hdu, str) else hdu
        spellings = () if band is None else (band.name, *band.aliases)
        return cls(place, spellings, survey is not None and survey.drop_sip)


def open_images(
    images: Images,
    *,
    weight: Images = (),
    rms: Images = (),
    variance: Images = (),
    segmentation: Images = (),
    survey: Survey | None = None,
    band: str | None = None,
    hdu: int | str | None = None,
) -> ImageSource:
    """Open images of one band, of three bands that make a colour picture, or display stamps.

    Parameters
    ----------
    images
        FITS files (also ``.gz``, ``.bz2``, ``.xz``, ``.fz``; an HDU in brackets may follow), folders, globs;
        or one zip or folder of JPEG or PNG stamps; or, for colour, one or more of them for each band: ``{"g":
        ..., "r": ..., "i": ...}`` or ``["g=FILE", "r=FILE", "i=FILE"]``. In place of a FITS file also what a script
        holds: an array, an array and its WCS, an HDUList or HDU, NDData; see
        :mod:`galmorph.sky.images.image_like`. Stamps may also be in memory, as the bytes of their files by name:
        ``{"a.jpg": b"..."}``, all of them JPEG or PNG, or all FITS of one band.
    weight, rms, variance
        Images of inverse variance, noise, or variance on the same grids, one kind of them, one for each image; by band
        for colour. Of a file of several HDUs the one is taken whose name or header says that it is such a map.
    segmentation
        Maps of labels on the same grids, one for each image of one band: 0 for the sky, a number for each object.
    survey
        The survey; needed for colour.
    band
        One band of the survey, three of them (``gri``), or ``RGB`` for those the survey makes its pictures
        of.
    hdu
        Number or name of the HDU in every file, or both its name and version (``SCI,2``); by default all images that
        are no maps, of which each is a tile.

    Raises
    ------
    ImageError
        If a file is missing, truncated, no image, or does not go with the others.
    SurveyError
        If the survey has no such band or makes no colour pictures.
    """
    if are_contents(images):
        _check_bare(store((), weight, rms, variance, segmentation), None)
        return _open_contents(images, () if band is None else band_names(survey, band), survey, hdu)
    stored = store(images, weight, rms, variance, segmentation)
    by_band = _by_band(stored.images)
    if by_band is not None:
        _check_no_map(stored.segmentation, "colour images")
        _colour_params(survey, band or ",".join(by_band))
        return _open_colour(by_band, stored, _known(survey), hdu)
    names = () if band is None else band_names(survey, band)
    paths = expand(_listed(stored.images))
    if are_stamps(paths):
        _check_no_map(stored.segmentation, "display stamps")
        _check_bare(stored, hdu)
        return open_stamps([Path(path) for path in paths], survey, names)
    if len(names) > 1:
        _check_cubes(paths, names, _known(survey), hdu, band or "")
        _check_no_map(stored.segmentation, "colour images")
        return _open_colour(dict.fromkeys(names, paths), stored, _known(survey), hdu)
    one = survey.band(names[0]) if survey is not None and names else None
    tiles = _open_tiles(paths, _Asked.of(hdu, one, survey), stored.maps)
    return TileSource(tiles, one, survey, stored.files)


def _open_contents(
    contents: Mapping[str, bytes], names: tuple[str, ...], survey: Survey | None, hdu: int | str | None
) -> ImageSource:
    """Open stamps that are in memory."""
    of_fits = [name for name, content in contents.items() if is_fits(content)]
    if not of_fits:
        _check_bare(store(()), hdu)
        return open_contents(contents, survey, names)
    if other := next((name for name in contents if name not in of_fits), None):
        raise ImageError(f"'{of_fits[0]}' is FITS and '{other}' is not: expected stamps of one kind; give them apart")
    if len(names) > 1:
        raise ImageError(
            f"'{of_fits[0]}' is FITS, which has one band, and {', '.join(names)} were asked for: give a picture, or "
            "one band"
        )
    one = survey.band(names[0]) if survey is not None and names else None
    files: list[ImageFile] = []
    tiles = [_stamp_tile(name, content, _Asked.of(hdu, one, survey), files) for name, content in contents.items()]
    return FitsStamps(tiles, one, survey, files)


def _stamp_tile(name: str, content: bytes, asked: _Asked, files: list[ImageFile]) -> Tile:
    """Open the only image of a FITS file in memory, under its name."""
    files.append(ImageFile(plain_content(name, content), "stamp.fits"))
    opened: list[FitsPlane] = []
    try:
        planes = _images_of(str(files[-1]), asked, opened, OPEN_PLANES)
    except ImageError as error:
        raise ImageError(str(error).replace(str(files[-1]), name).replace("stamp.fits", name)) from error
    if len(planes) > 1:
        raise ImageError(f"stamp '{name}' has {len(planes)} images: expected one; name its HDU, or give a file of one")
    height, width = planes[0].shape
    if width * height > (most := LIMITS["stamp_pixels"]).number:
        raise ImageError(f"stamp '{name}' has {width} x {height} pixels, more than {most}: give a smaller one")
    return Tile(replace(planes[0], name=name))


def _check_cubes(paths: Sequence[str], names: Sequence[str], survey: Survey, hdu: int | str | None, band: str) -> None:
    """Refuse files for a colour picture of which each has only one plane."""
    asked = _Asked.of(hdu, survey.band(names[0]), survey)
    for path in paths:
        planes = open_planes(path, hdu=asked.hdu, band=asked.spellings, drop_sip=asked.drop_sip)
        if any(plane.plane is None for plane in planes):
            bands = ", ".join(f"{name}=FILE" for name in names)
            raise ImageError(f"band '{band}' needs three images by band: expected {bands}; name them so with --image")


def colour_bands(survey: Survey | None, band: str) -> tuple[str, str, str] | None:
    """Return the bands shown as red, green and blue if `band` means three bands, else None.

    Raises
    ------
    SurveyError
        If it means three bands of which this survey makes no pictures.

    Examples
    --------
    >>> from galmorph.sky.survey import load_survey
    >>> colour_bands(load_survey("sdss"), "gri")
    ('i', 'r', 'g')
    """
    names = _three_names(survey, band)
    if names is None:
        return None
    return _colour_params(survey, band).bands


def _three_names(survey: Survey | None, band: str) -> list[str] | None:
    if band.upper() == COLOUR:
        return []
    parts = [part for part in re.split(r"[,+\s]+", band) if part]
    if len(parts) == 1 and len(band) == 3 and survey is not None and not _has_band(survey, band):
        parts = list(band)
    if len(parts) != 3 or survey is None or not all(_has_band(survey, part) for part in parts):
        return None
    return [survey.band(part).name for part in parts]


def _has_band(survey: Survey, name: str) -> bool:
    try:
        survey.band(name)
    except SurveyError:
        return False
    return True


def _colour_params(survey: Survey | None, band: str) -> ColourParams:
    colour = _known(survey).colour
    if colour is None:
        raise SurveyError(f"band '{band}': survey '{_known(survey).name}' makes no colour pictures; give one band")
    names = _three_names(survey, band)
    if names is None or (names and set(names) != set(colour.bands)):
        expected = ", ".join(colour.bands)
        raise SurveyError(f"band '{band}': survey '{_known(survey).name}' makes its pictures of {expected}; give RGB")
    return colour


def _known(survey: Survey | None) -> Survey:
    if survey is None:
        raise SurveyError("colour was asked for without a survey: expected one that makes pictures; give --survey")
    return survey


def band_names(survey: Survey | None, band: str) -> tuple[str, ...]:
    """Return the names of the bands that `band` means: of three those shown as red, green and blue, or one.

    Raises
    ------
    SurveyError
        If it is none of the survey's, or no survey is given.
    """
    if survey is None:
        raise SurveyError(f"band '{band}' without a survey: name its --survey, one of {', '.join(survey_names())}")
    return colour_bands(survey, band) or (survey.band(band).name,)


def _listed(paths: AnyPath | Sequence[AnyPath] | Mapping[str, object]) -> Sequence[AnyPath]:
    if isinstance(paths, Mapping):
        raise ImageError("weight images were given by band for images that are not: expected a list; give one")
    return [paths] if isinstance(paths, str | os.PathLike) else paths


def _by_band(paths: Paths) -> dict[str, list[AnyPath]] | None:
    """Sort paths by the band they are given for; None if they are given for none.

    Raises
    ------
    ImageError
        If only some are.
    """
    if isinstance(paths, Mapping):
        return {band: list(_listed(of_band)) for band, of_band in paths.items()}
    by_band: dict[str, list[AnyPath]] = {}
    plain: list[AnyPath] = []
    for path in _listed(paths):
        label = re.fullmatch(r"(\w+)=(.+)", str(path))
        if label and not Path(path).exists():
            by_band.setdefault(label[1], []).append(label[2])
        else:
            plain.append(path)
    if by_band and plain:
        raise ImageError(
            f"image '{plain[0]}' was given without its band, others with: expected BAND=FILE; name its band"
        )
    return by_band or None


def _open_tiles(paths: Sequence[str], asked: _Asked, maps: Mapping[Role, Paths]) -> list[Tile]:
    """Open images, and the maps of those roles that there are."""
    roles = [role for role, of_role in maps.items() if of_role]
    noise = [role for role in roles if role in _NOISE]
    if len(noise) > 1:
        raise ImageError(f"both {' and '.join(noise)} images were given: expected one kind; leave the other out")
    opened: list[FitsPlane] = []
    try:
        images = _one_per_grid([_images_of(path, asked, opened, len(paths)) for path in paths], asked.spellings)
        with_images = [path for path, of_path in zip(paths, images, strict=True) if of_path]
        images = [of_path for of_path in images if of_path]
        of_role = {role: _maps_of(role, maps[role], with_images, images, opened, asked) for role in roles}
        for plane in of_role.get("segmentation", ()):
            _check_labels(plane)
    except ImageError:
        for plane in opened:
            plane.discard()
        raise
    flat = [image for of_path in images for image in of_path]
    used = {*flat, *itertools.chain.from_iterable(of_role.values())}
    for plane in (plane for plane in opened if plane not in used):
        plane.discard()
    kind = noise[0] if noise else "weight"
    weights, labels = ([*of_role.get(role, ()), *([None] * len(flat))] for role in (kind, "segmentation"))
    return [Tile(image, weights[n], kind, labels[n]) for n, image in enumerate(flat)]


def _images_of(path: str, asked: _Asked, opened: list[FitsPlane], files: int) -> list[FitsPlane]:
    """Open the images of a file: with a WCS all of them, without one the only one."""
    planes = open_planes(
        path, hdu=asked.hdu, band=asked.spellings, drop_sip=asked.drop_sip, keep_open=files < OPEN_PLANES
    )
    opened.extend(planes)
    for plane in planes:
        if is_magnitude(plane.cards):
            raise ImageError(
                f"image '{plane.name}' is in {plane.cards['BUNIT']}: expected flux, whose sums mean something; "
                "convert it"
            )
    on_sky = [plane for plane in planes if plane.grid is not None]
    if len(planes) > 1 and not on_sky:
        raise ImageError(
            f"{_listed_names(planes)} have no celestial WCS: expected one, or a single image; name one HDU in brackets"
        )
    return on_sky if len(planes) > 1 else planes


def _maps_of(
    role: Role,
    of_role: Paths,
    paths: Sequence[str],
    images: list[list[FitsPlane]],
    opened: list[FitsPlane],
    asked: _Asked,
) -> list[FitsPlane]:
    """Open the maps of a role, one for each image."""
    maps: list[FitsPlane] = []
    for path, of_path in zip(matching(paths, expand(_listed(of_role), role), role), images, strict=True):
        planes = open_planes(
            path, role, band=asked.spellings, drop_sip=asked.drop_sip, keep_open=len(paths) < OPEN_PLANES
        )
        opened.extend(planes)
        maps.extend(_map_of(role, planes, image) for image in of_path)
    return maps


def _map_of(role: Role, maps: list[FitsPlane], image: FitsPlane) -> FitsPlane:
    """Find the map of a file that lies on the grid of an image.

    Raises
    ------
    ImageError
        If there is none, or the map is the image itself.
    """
    if any(each.is_same(image) for each in maps):
        raise ImageError(
            f"{titles[role]} '{maps[0].name}' is the image itself: expected another file or HDU; name it, or leave "
            f"--{role} out"
        )
    if len(maps) == 1:
        _check_same_grid(role, maps[0], image)
        return maps[0]
    fitting = [each for each in maps if _disagreement(each, image) is None]
    of_version = [each for each in fitting if each.version == image.version] or fitting
    if len(of_version) == 1:
        return of_version[0]
    raise ImageError(
        f"{len(fitting)} of {_listed_names(maps)} have the pixels of image '{image.name}': expected one "
        f"{titles[role]}; name one in brackets"
    )


def _check_same_grid(role: Role, each: FitsPlane, image: FitsPlane) -> None:
    if (reason := _disagreement(each, image)) is not None:
        raise ImageError(f"{titles[role]} '{each.name}' {reason}; give the one that belongs to it")


def _disagreement(each: FitsPlane, image: FitsPlane) -> str | None:
    """Say why a map does not lie on the pixels of an image; None where it does, or has no WCS to tell."""
    if image.shape != each.shape:
        have, want = ("{1} x {0}".format(*plane.shape) for plane in (each, image))
        return f"has {have} pixels: expected the {want} of image '{image.name}'"
    if each.grid is None or image.grid is None or each.grid.matches(image.grid, GRID_TOLERANCE_PX):
        return None
    return f"lies elsewhere on the sky than image '{image.name}': expected the same pixels to {GRID_TOLERANCE_PX}"


def _one_per_grid(images: list[list[FitsPlane]], spellings: Sequence[str]) -> list[list[FitsPlane]]:
    """Keep of images with the same pixels on the sky the one of the band; which else is meant only the user knows.

    Raises
    ------
    ImageError
        If there are several.
    """
    places: dict[tuple[object, ...], list[FitsPlane]] = {}
    dropped: set[FitsPlane] = set()
    for image in (image for of_path in images for image in of_path if image.grid is not None):
        places.setdefault(_place_on_sky(image), []).append(image)
    for alike in (alike for alike in places.values() if len(alike) > 1):
        for twins in _twins(alike):
            of_band = [image for image in twins if _is_of_band(image, spellings)]
            if len(of_band) != 1:
                raise ImageError(
                    f"{_listed_names(twins)} lie on the same pixels of the sky: expected one of them; name the one to "
                    "measure, as FILE or FILE[HDU]"
                )
            log.info("%s: of the same pixels, '%s' is of the band", _listed_names(twins), of_band[0].name)
            dropped |= {image for image in twins if image is not of_band[0]}
    return [[image for image in of_path if image not in dropped] for of_path in images]


def _place_on_sky(image: FitsPlane) -> tuple[object, ...]:
    """Shape and rounded position of the first pixel: images that agree in it may have the same pixels."""
    ra, dec = image.grid.to_sky(0.0, 0.0) if image.grid is not None else ([0.0], [0.0])
    return (*image.shape, round(float(ra[0]), 3), round(float(dec[0]), 3))


def _twins(images: list[FitsPlane]) -> list[list[FitsPlane]]:
    """Sort images into groups with the same pixels; return those of several."""
    groups: list[list[FitsPlane]] = []
    for image in images:
        group = next((g for g in groups if g[0].grid and image.grid and g[0].grid.matches(image.grid)), None)
        if group is None:
            groups.append([image])
        else:
            group.append(image)
    return [group for group in groups if len(group) > 1]


def _is_of_band(image: FitsPlane, spellings: Sequence[str]) -> bool:
    wanted = {spelling.lower() for spelling in spellings}
    words = {word for word in re.split(r"[^a-z0-9]+", image.name.lower()) if word}
    return bool(wanted & words) or (filter_of(image.cards) or "").lower() in wanted


def _listed_names(planes: Sequence[FitsPlane]) -> str:
    names = ", ".join(f"'{plane.name}'" for plane in planes[:_LISTED])
    return f"images {names}" + (f" and {len(planes) - _LISTED} more" if len(planes) > _LISTED else "")


def _check_no_map(segmentation: Paths, what: str) -> None:
    if segmentation:
        raise ImageError(
            f"a segmentation map was given for {what}: expected FITS images of one band; leave it out, or measure "
            "the band that it was made on"
        )


def _check_bare(stored: Stored, hdu: int | str | None) -> None:
    extra: dict[str, object] = {role: stored.maps[role] for role in _NOISE}
    extra["hdu"] = () if hdu is None else [hdu]
    name = next((name for name, value in extra.items() if value), None)
    if name is not None:
        raise ImageError(f"{name} was given for display stamps: expected FITS images, which have one; leave it out")


def _check_labels(plane: FitsPlane) -> None:
    """Look at rows of the whole map: what is no map of labels shows there, before work starts."""
    pixels = plane.pixels()
    try:
        for y0, y1 in sampled_rows(plane.shape):
            if (stored := _whole_rows(pixels, y0, y1)) is not None:
                as_labels(stored, pixels.scaling, plane.name)
    except ImageError:
        pixels.close()
        raise
    plane.keep(pixels)


def _whole_rows(pixels: Pixels, y0: int, y1: int) -> npt.NDArray[Any] | None:
    """Read rows; None where the file is damaged, which costs the galaxies there and not the run."""
    try:
        return pixels.stored(y0, y1, 0, pixels.shape[1])
    except ImageError:
        return None


def _open_colour(
    images: Mapping[str, Sequence[AnyPath]], stored: Stored, survey: Survey, hdu: int | str | None
) -> ColourSource:
    colour = _colour_params(survey, COLOUR)
    of_image = _by_colour(survey, colour, images, "colour")
    of_role = {role: _by_colour(survey, colour, stored.maps[role], role) for role in _NOISE}
    sources: list[TileSource] = []
    try:
        for name in colour.bands:
            band = survey.band(name)
            maps: dict[Role, Paths] = {role: of_band.get(name, ()) for role, of_band in of_role.items()}
            tiles = _open_tiles(expand(of_image[name]), _Asked.of(hdu, band, survey), maps)
            sources.append(TileSource(tiles, band, survey))
        return ColourSource(sources, [survey.band(name) for name in colour.bands], colour, survey, stored.files)
    except ImageError:
        for source in sources:
            source.close()
        raise


def _by_colour(survey: Survey, colour: ColourParams, paths: Paths, kind: str) -> dict[str, Sequence[AnyPath]]:
    """Sort paths by the bands of a colour picture: all three, or none at all."""
    by_band = _by_band(paths)
    if by_band is None and not paths:
        return {}
    of_survey: dict[str, Sequence[AnyPath]] = {}
    for name, of_band in (by_band or {}).items():
        of_survey[survey.band(name).name] = of_band
    if set(of_survey) != set(colour.bands):
        bands = f"of the bands {', '.join(of_survey)}" if of_survey else "without bands"
        expected = ", ".join(f"{name}=FILE" for name in colour.bands)
        raise ImageError(f"{kind} images were given {bands}: expected {expected}; give those three")
    return of_survey
