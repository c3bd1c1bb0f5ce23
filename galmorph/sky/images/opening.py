"""Opening images: from paths to an :class:`~galmorph.sky.images.source.ImageSource`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from galmorph.errors import ImageError, SurveyError
from galmorph.sky.images.bands import ColourSource
from galmorph.sky.images.fitsplane import FitsPlane, open_plane
from galmorph.sky.images.image_like import AnyPath, Images, Paths, Stored, store
from galmorph.sky.images.jpeg import open_stamps
from galmorph.sky.images.paths import are_stamps, expand, matching
from galmorph.sky.images.source import ImageSource
from galmorph.sky.images.tiles import OPEN_PLANES, Tile, TileSource, as_labels
from galmorph.sky.survey import COLOUR, ColourParams, Survey, survey_names

__all__ = ["band_names", "colour_bands", "open_images"]

_WEIGHT_HDUS = ("WHT", "WEIGHT", "IVAR", "INVVAR")
_RMS_HDUS = ("RMS", "ERR", "ERROR")
_LABEL_HDUS = ("SEG", "SEGM", "SEGMAP", "SEGMENTATION")


def open_images(
    images: Images,
    *,
    weight: Images = (),
    rms: Images = (),
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
        :mod:`galmorph.sky.images.image_like`.
    weight, rms
        Inverse-variance or noise images on the same grids, one for each image; by band for colour.
    segmentation
        Maps of labels on the same grids, one for each image of one band: 0 for the sky, a number for each object.
    survey
        The survey; needed for colour.
    band
        One band of the survey, three of them (``gri``), or ``RGB`` for those the survey makes its pictures
        of.
    hdu
        Number or name of the HDU in every file; by default ``SCI``, or the first image of two dimensions.

    Raises
    ------
    ImageError
        If a file is missing, truncated, no image, or does not go with the others.
    SurveyError
        If the survey has no such band or makes no colour pictures.
    """
    stored = store(images, weight, rms, segmentation)
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
        bands = ", ".join(f"{name}=FILE" for name in names)
        raise ImageError(f"band '{band}' needs three images by band: expected {bands}; name them so with --image")
    one = survey.band(names[0]) if survey is not None and names else None
    tiles = _open_tiles(paths, stored.weight, stored.rms, survey, hdu)
    return TileSource(_with_labels(tiles, paths, stored.segmentation), one, survey, stored.files)


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


def _open_tiles(
    paths: Sequence[str], weight: Paths, rms: Paths, survey: Survey | None, hdu: int | str | None
) -> list[Tile]:
    if weight and rms:
        raise ImageError("both weight and rms images were given: expected one kind; leave the other out")
    weights = _listed(weight or rms)
    matched = matching(paths, expand(weights, "weight image")) if weights else []
    drop_sip = survey is not None and survey.drop_sip
    look = partial(open_plane, drop_sip=drop_sip, keep_open=len(paths) < OPEN_PLANES)
    opened: list[FitsPlane] = []
    try:
        opened.extend(look(path, hdu=hdu) for path in paths)
        opened.extend(look(path, prefer=_RMS_HDUS if rms else _WEIGHT_HDUS) for path in matched)
        return _paired(opened[: len(paths)], opened[len(paths) :], bool(rms))
    except ImageError:
        for plane in opened:
            plane.discard()
        raise


def _check_no_map(segmentation: Paths, what: str) -> None:
    if segmentation:
        raise ImageError(
            f"a segmentation map was given for {what}: expected FITS images of one band; leave it out, or measure "
            "the band that it was made on"
        )


def _check_bare(stored: Stored, hdu: int | str | None) -> None:
    extra = {"weight": stored.weight, "rms": stored.rms, "hdu": () if hdu is None else [hdu]}
    name = next((name for name, value in extra.items() if value), None)
    if name is not None:
        raise ImageError(f"{name} was given for display stamps: expected FITS images, which have one; leave it out")


def _with_labels(tiles: list[Tile], paths: Sequence[str], segmentation: Paths) -> list[Tile]:
    """Add segmentation maps to tiles."""
    if not segmentation:
        return tiles
    planes: list[FitsPlane] = []
    try:
        matched = matching(paths, expand(_listed(segmentation), "segmentation map"), "segmentation map")
        for tile, path in zip(tiles, matched, strict=True):
            planes.append(open_plane(path, prefer=_LABEL_HDUS, keep_open=len(paths) < OPEN_PLANES))
            _check_shapes(tile.image, planes[-1], "segmentation map")
            _check_labels(planes[-1])
    except ImageError:
        for tile in tiles:
            tile.discard()
        for plane in planes:
            plane.discard()
        raise
    return [replace(tile, labels=plane) for tile, plane in zip(tiles, planes, strict=True)]


def _paired(images: list[FitsPlane], weights: list[FitsPlane], are_rms: bool) -> list[Tile]:
    if not weights:
        return [Tile(image) for image in images]
    for image, weight in zip(images, weights, strict=True):
        _check_shapes(image, weight)
    return [Tile(image, weight, are_rms) for image, weight in zip(images, weights, strict=True)]


def _check_shapes(image: FitsPlane, weight: FitsPlane, kind: str = "weight image") -> None:
    if image.shape != weight.shape:
        have, want = ("{1} x {0}".format(*plane.shape) for plane in (weight, image))
        raise ImageError(
            f"{kind} '{weight.name}' has {have} pixels: expected the {want} of image '{image.name}'; "
            "give the one that belongs to it"
        )


def _check_labels(plane: FitsPlane) -> None:
    """Look at a window in the middle: what is no map of labels shows there, before work starts."""
    pixels = plane.pixels()
    (y0, y1), (x0, x1) = ((max(n // 2 - 128, 0), min(n // 2 + 128, n)) for n in plane.shape)
    try:
        as_labels(pixels.window(y0, y1, x0, x1), plane.name)
    finally:
        pixels.close()


def _open_colour(
    images: Mapping[str, Sequence[AnyPath]], stored: Stored, survey: Survey, hdu: int | str | None
) -> ColourSource:
    colour = _colour_params(survey, COLOUR)
    of_image = _by_colour(survey, colour, images, "colour")
    of_weight = _by_colour(survey, colour, stored.weight, "weight")
    of_rms = _by_colour(survey, colour, stored.rms, "rms")
    sources: list[TileSource] = []
    try:
        for name in colour.bands:
            paths = expand(of_image[name])
            tiles = _open_tiles(paths, of_weight.get(name, ()), of_rms.get(name, ()), survey, hdu)
            sources.append(TileSource(tiles, survey.band(name), survey))
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
