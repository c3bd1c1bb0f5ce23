"""Inputs: the files of a pipeline, named in it or on the command line."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from galmorph.errors import PipelineError
from galmorph.runs.archive_images import archive_survey, open_archive
from galmorph.sky.archives.vizier_table import is_of_vizier
from galmorph.sky.catalog import Catalog
from galmorph.sky.catalog_input import CatalogInput, ColumnNames
from galmorph.sky.images import ImageInput, ImageSource, is_open
from galmorph.sky.images.image_input import GIVEN
from galmorph.sky.survey import Way
from galmorph.toml import expecting

__all__ = ["CatalogInputs", "LabelInputs", "beside", "opened"]

_FILES = ("labels", "catalog", "fetched", *GIVEN)
_LIST = expecting("a file or a list of files, or BAND=FILE for images of colour")
_FILE = expecting("a file")
_FOLDER = expecting("a folder that galmorph fetch wrote")
_FOUND = ColumnNames()
_FIELDS = expecting("a field of the survey or a list of some")


@dataclass(frozen=True)
class _Inputs:
    """Images, and where in a table and in them things are.

    Parameters
    ----------
    images, weight, rms, variance, segmentation
        As :func:`galmorph.sky.images.open_images` takes them, with ``BAND=FILE`` for colour.
    hdu, image_hdu
        Number or name of the table and of the HDU in the images.
    ra, dec, x, y, id, file
        Columns of the table; by default they are found by their names.
    field, archive, offline, fetched
        Where there are no images: as of :class:`galmorph.sky.images.ImageInput`, for those that the survey publishes.
    """

    images: tuple[str, ...] = dataclasses.field(default=(), metadata=_LIST)
    weight: tuple[str, ...] = dataclasses.field(default=(), metadata=_LIST)
    rms: tuple[str, ...] = dataclasses.field(default=(), metadata=_LIST)
    variance: tuple[str, ...] = dataclasses.field(default=(), metadata=_LIST)
    segmentation: tuple[str, ...] = dataclasses.field(default=(), metadata=_LIST)
    hdu: int | str | None = None
    image_hdu: int | str | None = None
    ra: str | None = None
    dec: str | None = None
    x: str | None = None
    y: str | None = None
    id: str | None = None
    file: str | None = None
    field: tuple[str, ...] = dataclasses.field(default=(), metadata=_FIELDS)
    archive: Way = "auto"
    offline: bool = False
    fetched: str | None = dataclasses.field(default=None, metadata=_FOLDER)

    def _named(self, what: str, table: str, survey: str | None, band: str | None) -> tuple[CatalogInput, ImageInput]:
        """Return the table of this key and the images, or how they are fetched; refuse where one is not named."""
        needed = (table,) if self._are_published else (table, "images")
        if missing := next((name for name in needed if not getattr(self, name)), None):
            raise PipelineError(
                f"{what}: nothing says where to find the {missing}: expected --input {missing}=FILE, or '{missing}' "
                "in a section [inputs] of the pipeline; name them so"
            )
        files: dict[str, Any] = {name: list(some) for name in GIVEN if (some := getattr(self, name))}
        images = ImageInput(
            **files,
            survey=survey,
            band=band,
            hdu=_hdu(self.image_hdu),
            field=",".join(self.field) or None,
            offline=self.offline,
            archive=self.archive,
            fetched=self.fetched,
        )
        return CatalogInput(getattr(self, table), _hdu(self.hdu), self.columns()), images

    def columns(self, above: ColumnNames = _FOUND) -> ColumnNames:
        """Return the columns of the table, where `above` names none itself."""
        names = [f.name for f in fields(ColumnNames)]
        return ColumnNames(**{name: getattr(above, name) or getattr(self, name) for name in names})

    @property
    def _are_published(self) -> bool:
        """Whether images that nobody named are those of an archive."""
        return bool(self.field) or self.fetched is not None


@dataclass(frozen=True)
class LabelInputs(_Inputs):
    """The section ``[inputs]`` of a pipeline that trains: images as of :class:`CatalogInputs`, and labels.

    Parameters
    ----------
    labels
        Table of votes, fractions or classes.
    """

    labels: str = dataclasses.field(default="", metadata=_FILE)

    def named(self, what: str, survey: str, band: str) -> tuple[CatalogInput, ImageInput]:
        """Return the labels and images that are named; `what` names them, for a message.

        Images that are named, as on the command line, take the place of those of an archive.

        Raises
        ------
        PipelineError
            If labels or images are not.
        """
        catalog, images = self._named(what, "labels", survey, band)
        if images.are_named:
            images = replace(images, field=None, archive="auto", offline=False, fetched=None)
        return catalog, images


@dataclass(frozen=True)
class CatalogInputs(_Inputs):
    """The section ``[inputs]`` of a pipeline that classifies: images, and what :class:`LabelInputs` has not.

    Parameters
    ----------
    catalog
        Table of positions, pixels or files of stamps.
    survey, band
        Of the images.
    """

    catalog: str = dataclasses.field(default="", metadata=_FILE)
    survey: str | None = None
    band: str | None = None

    @property
    def _are_published(self) -> bool:
        return super()._are_published or self.band is not None

    def named(self, what: str) -> tuple[CatalogInput, ImageInput]:
        """Return the catalogue and images that are named; `what` names them, for a message.

        Where no images are named, but a band, or a folder of what was fetched, they are those of an archive.

        Raises
        ------
        PipelineError
            If they are not.
        """
        return self._named(what, "catalog", self.survey, self.band)


@contextmanager
def opened(
    catalog: CatalogInput | Catalog, images: ImageInput | ImageSource, survey: str = "", band: str = ""
) -> Iterator[tuple[Catalog, ImageSource]]:
    """Open a catalogue and images; close the images unless they were open before.

    Parameters
    ----------
    survey, band
        Of images that do not say of which they are.

    Raises
    ------
    CatalogError, ImageError, SurveyError, ArchiveError
        If they cannot be read.
    """
    offline = isinstance(images, ImageInput) and (images.offline or images.fetched is not None)
    table = catalog.open(offline=offline) if isinstance(catalog, CatalogInput) else catalog
    if not isinstance(images, ImageInput):
        yield table, images
    elif is_open(images.images):
        yield table, images.open()
    else:
        usual = replace(images, survey=images.survey or survey or None, band=images.band or band or None)
        usual.check_archive()
        with closing(_opened(usual, table)) as source:
            yield table, source


def _opened(images: ImageInput, table: Catalog) -> ImageSource:
    """Open images that are named, or those that the survey publishes where the rows are."""
    return images.open() if images.are_named else open_archive(archive_survey(images, table), table)


def _hdu(name: int | str | None) -> int | str | None:
    return int(name) if isinstance(name, str) and name.isdigit() else name


def beside(section: Any, folder: Path) -> Any:
    """Turn relative files of the section of a pipeline into ones beside it; what does not fit stays for the check."""
    if not isinstance(section, Mapping):
        return section
    return {k: _placed(v, folder) if k in _FILES else v for k, v in section.items()}


def _placed(files: Any, folder: Path) -> Any:
    if isinstance(files, list):
        return [_placed(file, folder) for file in files]
    return _path(files, folder) if isinstance(files, str) else files


def _path(text: str, folder: Path) -> str:
    if is_of_vizier(text):
        return text
    band, equals, file = text.partition("=")
    if equals and "/" not in band:
        return f"{band}={folder / file}"
    return str(folder / text)
