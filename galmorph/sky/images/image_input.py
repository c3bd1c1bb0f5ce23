"""ImageInput: which images are asked for, of which survey and band, with which weights."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from galmorph.errors import ImageError, SurveyError
from galmorph.sky.images.fits_stamps import are_contents
from galmorph.sky.images.image_like import Images, store
from galmorph.sky.images.opening import band_names, open_images
from galmorph.sky.images.source import ImageSource
from galmorph.sky.survey import Survey, Way, load_survey

if TYPE_CHECKING:
    from typing_extensions import TypeIs

__all__ = ["GIVEN", "ImageInput", "is_open"]

_MAPS = ("weight", "rms", "variance", "segmentation")
GIVEN = ("images", *_MAPS)
"""What pixels may be given for."""


@dataclass(frozen=True)
class ImageInput:
    """Images that are asked for; they can be pickled unless they are open, and are opened by :meth:`open`.

    Parameters
    ----------
    images
        As :func:`galmorph.sky.images.open_images` takes them, or an open source. What is in memory is put into files
        once, on first use; they go away with this input and the sources that it opened.
    weight, rms, variance, segmentation
        Inverse variances, or noise, or variances, and maps of labels, on the grids of the images.
    survey
        A name, the path of a file, or a survey that was read; for an open source the one that it was opened with.
    band
        One band of the survey, three (``gri``), or ``RGB``; for an open source the one that it was opened with.
    hdu
        Number or name of the HDU in every image.
    field
        Where there are no images: the only field of the survey whose mosaics are fetched, or some with commas between.
    offline
        Whether nothing is fetched, and what of the mosaics is in the cache must do.
    archive
        How mosaics are read.
    fetched
        A folder of ``galmorph fetch``, from which images are read, and which says of which survey and band they are.
    """

    images: Images = ()
    weight: Images = ()
    rms: Images = ()
    variance: Images = ()
    segmentation: Images = ()
    survey: str | Path | Survey | None = None
    band: str | None = None
    hdu: int | str | None = None
    field: str | None = None
    offline: bool = False
    archive: Way = "auto"
    fetched: str | Path | None = None

    def __post_init__(self) -> None:
        for name in GIVEN:
            # What a pattern did not find is no wish for the archive's images, nor for none of the maps.
            if isinstance(files := getattr(self, name), list | dict) and not files:
                raise ImageError(
                    f"{name} is an empty {type(files).__name__}: expected at least one image; correct the pattern that "
                    "finds them, or leave it out"
                )

    def open(self) -> ImageSource:
        """Open the images; an open source is returned as it is, and stays its owner's to close.

        Raises
        ------
        ImageError
            If a file is missing, truncated, no image, or does not go with the others; or if something is given
            with an open source that only applies when it is opened.
        SurveyError
            If there is no such survey or band, or an open source was opened with another.
        """
        survey, images = self.known_survey(), self.images
        if is_open(images):
            self._check_open(images, survey)
            return images
        files = self.stored
        return open_images(
            files.images,
            weight=files.weight,
            rms=files.rms,
            variance=files.variance,
            segmentation=files.segmentation,
            survey=survey,
            band=self.band,
            hdu=self.hdu,
        )

    @cached_property
    def stored(self) -> ImageInput:
        """The same images with none of them in memory: those that were are in files, for as long as this input lives.

        Raises
        ------
        ImageError
            If something is no image, or cannot be put into a file.
        """
        if is_open(self.images) or are_contents(self.images):
            return self
        files = store(self.images, self.weight, self.rms, self.variance, self.segmentation)
        return replace(
            self,
            images=files.images,
            weight=files.weight,
            rms=files.rms,
            variance=files.variance,
            segmentation=files.segmentation,
        )

    @property
    def are_named(self) -> bool:
        """Whether images are given; where none are, those of the survey's archive are meant."""
        return not _is_nothing(self.images)

    def check_archive(self) -> None:
        """Refuse what has no meaning with given images, or without them.

        Raises
        ------
        ImageError
            If so.
        """
        if self.are_named:
            ignored = {"field": self.field, "offline": self.offline, "fetched": self.fetched}
            ignored["archive"] = self.archive != "auto"
            if name := next((name for name, is_given in ignored.items() if is_given), None):
                raise ImageError(f"{name} was given with images: it is for those of an archive; leave one of them out")
            return
        for name in ("weight", "rms", "variance", "segmentation", "hdu"):
            if not _is_nothing(getattr(self, name)):
                raise ImageError(f"{name} was given without images: expected the images that it goes with; give them")
        if self.band is None and self.fetched is None:
            raise ImageError(
                "there are no images: expected files (--image), or the --band of a survey whose archive has some"
            )
        if self.archive not in get_args(Way):
            raise ImageError(f"archive is '{self.archive}', expected one of {', '.join(get_args(Way))}; give one")

    def release(self) -> None:
        """Let go of the files of images in memory: once no source reads them, they are removed."""
        self.__dict__.pop("stored", None)

    def __reduce__(self) -> tuple[type[ImageInput], tuple[Any, ...]]:
        """Pickle paths: another process opens the files of images that are in memory here.

        Raises
        ------
        ImageError
            If the images are open.
        """
        if is_open(self.images):
            raise ImageError("images that are open cannot be handed to another process: give their files instead")
        return type(self), tuple(getattr(self.stored, field.name) for field in fields(self))

    def known_survey(self) -> Survey | None:
        """Return the survey that is asked for, or else that of an open source; None for none.

        Raises
        ------
        SurveyError
            If there is no such survey.
        """
        if isinstance(self.survey, str | Path):
            return load_survey(self.survey)
        if self.survey is None and is_open(self.images):
            return self.images.survey
        return self.survey

    def known_bands(self) -> tuple[str, ...]:
        """Return the names of the bands that are asked for, or else those of an open source; () for none.

        Raises
        ------
        SurveyError
            If there is no such survey or band, or a band without a survey.
        """
        if self.band is None:
            return self.images.bands if is_open(self.images) else ()
        return band_names(self.known_survey(), self.band)

    def _check_open(self, source: ImageSource, survey: Survey | None) -> None:
        for name in _MAPS:
            if not _is_nothing(getattr(self, name)):
                raise ImageError(_too_late(name))
        if self.hdu is not None:
            raise ImageError(_too_late("hdu"))
        if survey != source.survey:
            names = [repr(each.name) if each else "no survey" for each in (survey, source.survey)]
            raise SurveyError(f"survey {names[0]} was asked for, but the images were opened with {names[1]}: {_AGREE}")
        if self.band is not None and set(self.known_bands()) != set(source.bands):
            bands = "/".join(source.bands) or "no band"
            raise SurveyError(f"band '{self.band}' was asked for, but the images were opened with {bands}: {_AGREE}")


_AGREE = "open them with the one that they are of, and leave it out here"


def _too_late(name: str) -> str:
    return (
        f"{name} was given for images that are open already: it is taken into account when they are opened; "
        f"give it to open_images, or give the files"
    )


def _is_nothing(value: Any) -> bool:
    return value is None or (isinstance(value, str | tuple | list | dict) and not value)


def is_open(images: Any) -> TypeIs[ImageSource]:
    """Tell whether these are images that were opened before, rather than where to find some."""
    return hasattr(images, "cutout") and hasattr(images, "locate")
