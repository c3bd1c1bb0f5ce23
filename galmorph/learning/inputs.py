"""Inputs: the labels and images of a training run, named in a pipeline or on the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from galmorph.errors import PipelineError, unknown_name
from galmorph.sky.catalog import Catalog, read_catalog
from galmorph.sky.images import ImageSource, open_images
from galmorph.sky.survey import load_survey

__all__ = ["INPUTS", "Inputs", "beside", "read_words"]

_FILES = ("labels", "images", "weight", "rms", "segmentation")
_LISTS = _FILES[1:]


@dataclass(frozen=True)
class Inputs:
    """Files of a training run, and where in them things are.

    Parameters
    ----------
    labels
        Table of votes, fractions or classes.
    images, weight, rms, segmentation
        As :func:`galmorph.sky.images.open_images` takes them, with ``BAND=FILE`` for colour.
    hdu, image_hdu
        Number or name of the table in `labels` and of the HDU in the images.
    ra, dec, x, y, id, file
        Columns of the labels; by default they are found by their names.
    """

    labels: str
    images: tuple[str, ...]
    weight: tuple[str, ...] = ()
    rms: tuple[str, ...] = ()
    segmentation: tuple[str, ...] = ()
    hdu: int | str | None = None
    image_hdu: int | str | None = None
    ra: str | None = None
    dec: str | None = None
    x: str | None = None
    y: str | None = None
    id: str | None = None
    file: str | None = None

    @classmethod
    def from_dict(cls, given: Mapping[str, Any], pipeline: str) -> Inputs:
        """Build from the section of a pipeline.

        Raises
        ------
        PipelineError
            If labels or images are not named, or a key is unknown.
        """
        if unknown := sorted(set(given) - INPUTS):
            raise PipelineError(unknown_name("input", unknown[0], INPUTS))
        for name in ("labels", "images"):
            if not given.get(name):
                raise PipelineError(
                    f"pipeline '{pipeline}' does not say where its {name} are: name them with --input {name}=FILE, or "
                    "in a section [inputs] of the pipeline"
                )
        listed = {name: _listed(given[name]) for name in _LISTS if name in given}
        return cls(**{**given, **listed})

    def open(self, survey: str | None, band: str | None) -> tuple[Catalog, ImageSource]:
        """Read the labels and open the images, which the caller closes.

        Raises
        ------
        CatalogError, ImageError, SurveyError
            If they cannot be read.
        """
        known = load_survey(survey) if survey else None
        catalog = read_catalog(
            self.labels,
            hdu=_hdu(self.hdu),
            ra=self.ra,
            dec=self.dec,
            x=self.x,
            y=self.y,
            id=self.id,
            file=self.file,
        )
        images = open_images(
            list(self.images),
            weight=list(self.weight),
            rms=list(self.rms),
            segmentation=list(self.segmentation),
            survey=known,
            band=band,
            hdu=_hdu(self.image_hdu),
        )
        return catalog, images


INPUTS = frozenset(f.name for f in fields(Inputs))
"""What may be named."""


def _hdu(given: int | str | None) -> int | str | None:
    return int(given) if isinstance(given, str) and given.isdigit() else given


def _listed(given: Any) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def beside(given: Any, folder: Path) -> Any:
    """Turn relative files of the section of a pipeline into ones beside it; what is no table stays for the check.

    Raises
    ------
    PipelineError
        If a file is not a text or a list of texts.
    """
    if not isinstance(given, Mapping):
        return given
    return {k: _placed(k, v, folder) if k in _FILES else v for k, v in given.items()}


def _placed(key: str, given: Any, folder: Path) -> Any:
    many = key in _LISTS and isinstance(given, list) and all(isinstance(v, str) for v in given)
    if not isinstance(given, str) and not many:
        expected = "a file" if key not in _LISTS else "a file or a list of files"
        raise PipelineError(f"[inputs] {key} = {given!r}: expected {expected}, or BAND=FILE for images of colour")
    if isinstance(given, str):
        return _path(given, folder)
    return [_path(v, folder) for v in given]


def _path(text: str, folder: Path) -> str:
    band, equals, file = text.partition("=")
    if equals and "/" not in band:
        return f"{band}={folder / file}"
    return str(folder / text)


def read_words(words: Sequence[str]) -> dict[str, Any]:
    """Read ``KEY=VALUE`` words into a section; images and their like may be named several times.

    Raises
    ------
    PipelineError
        If a word is not like that, a key is unknown, or one of a single value is given twice.
    """
    found: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not value:
            raise PipelineError(f"input '{word}': expected KEY=VALUE, such as labels=votes.csv or images=stamps.zip")
        if key not in INPUTS:
            raise PipelineError(unknown_name("input", key, INPUTS))
        if key in found and key not in _LISTS:
            raise PipelineError(f"input '{key}' is given twice: expected one")
        found[key] = [*found.get(key, []), value] if key in _LISTS else value
    return found
