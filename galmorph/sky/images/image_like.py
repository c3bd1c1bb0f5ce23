"""ImageLike: images that a script holds in memory, each put once into a file whose pixels are then mapped.

Whatever reads images reads files: an image of memory has the same results as the same pixels on disk, to the last bit,
and another process opens it by its path. The file goes away with its :class:`ImageFile`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from astropy import units as u
from astropy.io import fits
from astropy.wcs import WCS

from galmorph.errors import ImageError
from galmorph.sky.images.flux_units import CARDS
from galmorph.sky.images.image_file import ImageFile
from galmorph.sky.images.image_header import header_of, unit_card
from galmorph.sky.images.map_roles import Role

__all__ = ["ACCEPTED", "AnyPath", "ImageFile", "Images", "Paths", "Stored", "store"]

AnyPath = str | os.PathLike[str]
Paths = AnyPath | Sequence[AnyPath] | Mapping[str, AnyPath | Sequence[AnyPath]]
"""Paths of images; as a mapping, or as strings ``g=FILE``, by band."""
Images: TypeAlias = Any
"""One or several images, or one or several for each band in a mapping. What an image may be is told by
:data:`ACCEPTED`: most of it is astropy's, which has no types."""
ACCEPTED = "a path, an array or (array, WCS), an HDUList or an HDU of FITS, or NDData"
"""What may stand for an image, in words."""

_HDUS = (fits.PrimaryHDU, fits.ImageHDU, fits.CompImageHDU)
_UNCERTAINTIES: dict[str, Callable[[npt.NDArray[Any]], npt.NDArray[Any]]] = {
    "std": lambda sigma: 1 / np.square(sigma),
    "var": lambda variance: 1 / variance,
    "ivar": np.asarray,
}
"""Inverse variances of each of astropy's kinds of uncertainty, by the names that it gives them."""


@dataclass(frozen=True)
class Stored:
    """Images, weights and maps of which none is in memory any more: paths, and handles of files."""

    images: Paths
    weight: Paths
    rms: Paths
    variance: Paths
    segmentation: Paths
    files: tuple[ImageFile, ...] = ()
    """The handles among them: whoever reads the files keeps these."""

    @property
    def maps(self) -> dict[Role, Paths]:
        """The maps of each role."""
        return {
            "weight": self.weight,
            "rms": self.rms,
            "variance": self.variance,
            "segmentation": self.segmentation,
        }


def store(
    images: Images, weight: Images = (), rms: Images = (), variance: Images = (), segmentation: Images = ()
) -> Stored:
    """Put what is in memory into files; paths stay as they are.

    Parameters
    ----------
    images
        One or several images, or one or several for each band in a mapping; :data:`ACCEPTED` says what an image is.
        Masked pixels become NaN, the uncertainty of NDData its weight.
    weight, rms, variance, segmentation
        Likewise; no uncertainty is looked for in them.

    Raises
    ------
    ImageError
        If something is no image, or an image has both an uncertainty and a weight.
    """
    shelf = _Shelf()
    stored = {
        kind: _each(of_kind, partial(shelf.path_of, kind=kind))
        for kind, of_kind in (
            ("image", images),
            ("weight", weight),
            ("rms", rms),
            ("variance", variance),
            ("segmentation", segmentation),
        )
    }
    weights = _each(images, shelf.weight_of)
    if _any(weights):
        if any(_any(stored[kind]) for kind in ("weight", "rms", "variance")):
            raise ImageError("an image has an uncertainty, and weights were given too: expected one; leave one out")
        if not _all(weights):
            raise ImageError("some of the images have an uncertainty and some have none: expected it for all or none")
        stored["weight"] = weights
    return Stored(stored.pop("image"), **stored, files=tuple(shelf.files))


def _each(images: Any, change: Callable[[Any, str], Any], band: str = "") -> Any:
    """Change every image of one, a sequence, or a mapping by band; its band is '' where it has none."""
    if images is None:
        return ()
    if isinstance(images, Mapping):
        return {name: _each(of_band, change, str(name)) for name, of_band in images.items()}
    if isinstance(images, list | tuple) and not isinstance(images, fits.HDUList) and not _is_pair(images):
        return type(images)(change(one, band) for one in images)
    return change(images, band)


def _leaves(images: Any) -> Iterable[Any]:
    if isinstance(images, Mapping):
        return [leaf for of_band in images.values() for leaf in _leaves(of_band)]
    return images if isinstance(images, list | tuple) else [images]


def _any(paths: Any) -> bool:
    return any(path is not None for path in _leaves(paths))


def _all(paths: Any) -> bool:
    return all(path is not None for path in _leaves(paths))


def _is_pair(images: Any) -> bool:
    """Tell whether this is an array with its WCS or header."""
    return isinstance(images, tuple) and len(images) == 2 and isinstance(images[1], WCS | fits.Header)


class _Shelf:
    """Puts images into files; the same object into one file, however often it is given."""

    def __init__(self) -> None:
        self.files: list[ImageFile] = []
        self._known: dict[int, ImageFile] = {}
        self._counts: dict[str, int] = {}

    def path_of(self, image: Any, band: str, kind: str) -> Any:
        """Put an image into a file, unless it is the path of one."""
        if isinstance(image, ImageFile):
            self.files.append(image)
        if isinstance(image, str | os.PathLike):
            return image
        if id(image) not in self._known:
            self._known[id(image)] = self._file(_hdus_of(image), _name_of(image) or _usual_name(band, kind))
        return self._known[id(image)]

    def weight_of(self, image: Any, band: str) -> ImageFile | None:
        """Put the uncertainty of an image into a file of inverse variances; None where it has none."""
        if not _is_nddata(image) or image.uncertainty is None:
            return None
        return self._file(_hdus(_inverse_variance(image), header_of(image.wcs)), _usual_name(band, "weight"))

    def _file(self, hdus: fits.HDUList, name: str) -> ImageFile:
        """Write a file whose name is the same in every run: the noise of stamps is seeded with it."""
        self._counts[name] = self._counts.get(name, 0) + 1
        stem, dot, ending = name.partition(".")
        number = f"-{self._counts[name]}" if self._counts[name] > 1 else ""
        self.files.append(ImageFile(hdus, f"{stem}{number}{dot}{ending}"))
        return self.files[-1]


def _usual_name(band: str, kind: str) -> str:
    """Return ``image.fits``, ``weight.fits``, ``g.fits``, ``g-weight.fits``."""
    words = [band, "" if band and kind == "image" else kind]
    return "-".join(word for word in words if word) + ".fits"


def _name_of(image: Any) -> str:
    """Return the name of the file that an HDUList was read from."""
    path = image.filename() if isinstance(image, fits.HDUList) else None
    return Path(path).name if path else ""


def _is_nddata(image: Any) -> bool:
    return all(hasattr(image, name) for name in ("data", "mask", "unit", "wcs", "uncertainty"))


def _hdus_of(image: Any) -> fits.HDUList:
    """Return what a FITS file of an image would hold.

    Raises
    ------
    ImageError
        If it is none.
    """
    if isinstance(image, fits.HDUList):
        return fits.HDUList([_plain(hdu) for hdu in image])
    if isinstance(image, _HDUS):
        return fits.HDUList([*([] if isinstance(image, fits.PrimaryHDU) else [fits.PrimaryHDU()]), _plain(image)])
    if _is_nddata(image):
        return _hdus(_unmasked(image.data, image.mask), _nddata_header(image))
    if _is_pair(image):
        return _with_unit(image[0], header_of(image[1]))
    if isinstance(image, np.ndarray):
        return _with_unit(image, fits.Header())
    raise ImageError(f"image of type {type(image).__name__}: expected {ACCEPTED}; give one of these")


def _plain(hdu: Any) -> Any:
    """Copy an HDU; a compressed one is written out, since its pixels would change if they were compressed again."""
    return fits.ImageHDU(hdu.data, hdu.header) if isinstance(hdu, fits.CompImageHDU) else hdu.copy()


def _with_unit(pixels: Any, header: fits.Header) -> fits.HDUList:
    """Take the unit from an array that has one."""
    if (unit := getattr(pixels, "unit", None)) is not None:
        header["BUNIT"] = unit_card(unit)
        pixels = pixels.value
    return _hdus(_unmasked(getattr(pixels, "unmasked", pixels), getattr(pixels, "mask", None)), header)


def _hdus(pixels: npt.NDArray[Any], header: fits.Header) -> fits.HDUList:
    planes = np.asarray(pixels)
    if planes.ndim < 2 or max(planes.shape[:-2], default=1) > 1:
        raise ImageError(
            f"an array of shape {planes.shape} was given as an image: expected two dimensions, rows and columns; give "
            "those of one image, or of colour one for each band: {'g': ..., 'r': ..., 'i': ...}"
        )
    return fits.HDUList([fits.PrimaryHDU(_storable(planes), header)])


def _storable(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return pixels in a type that FITS has."""
    kind = pixels.dtype
    if kind.kind not in "fiub":
        raise ImageError(f"an array of type {kind} was given as an image: expected real numbers; convert it")
    if kind.kind == "b":
        return pixels.astype(np.uint8)
    if kind.kind == "f" and kind.itemsize not in (4, 8):
        return pixels.astype(np.float32 if kind.itemsize < 4 else np.float64)
    return pixels.astype(np.int16) if kind == np.int8 else pixels


def _unmasked(pixels: Any, mask: Any) -> npt.NDArray[Any]:
    """Return pixels with NaN where they are masked."""
    plain = np.ma.getdata(pixels)
    if mask is None or not np.any(mask):
        return np.asarray(plain)
    wide = np.float32 if plain.dtype.itemsize <= 2 else np.float64
    real = plain if plain.dtype.kind == "f" else plain.astype(wide)
    return np.where(np.broadcast_to(mask, real.shape), real.dtype.type(np.nan), real)


def _nddata_header(image: Any) -> fits.Header:
    header = header_of(image.wcs)
    meta = image.meta or {}
    for card in CARDS:
        if card in meta:
            header[card] = meta[card]
    if image.unit is not None and image.unit != u.dimensionless_unscaled:
        header["BUNIT"] = unit_card(image.unit)
    return header


def _inverse_variance(image: Any) -> npt.NDArray[np.floating[Any]]:
    """Return the inverse variance of NDData in its unit, 0 where it is not known or masked."""
    uncertainty = image.uncertainty
    kind = _UNCERTAINTIES.get(uncertainty.uncertainty_type)
    if kind is None:
        raise ImageError(
            f"the uncertainty of an image is a {type(uncertainty).__name__}: expected StdDevUncertainty, "
            "VarianceUncertainty or InverseVariance; convert it"
        )
    # In single precision first, as weights of files are read.
    values = np.asarray(uncertainty.array).astype(np.float32)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        weight: npt.NDArray[Any] = kind(values) * np.float32(_factor(image))
        if not np.isfinite(weight[values > 0]).all():  # of CGS fluxes the inverse square leaves single precision
            weight = kind(values.astype(np.float64)) * _factor(image)
    good = np.isfinite(weight) & (values > 0)
    if image.mask is not None:
        good &= ~np.broadcast_to(image.mask, good.shape)
    return np.where(good, weight, weight.dtype.type(0))


def _factor(image: Any) -> float:
    """Turn inverse variances in the unit of the uncertainty into ones in the unit of the image."""
    uncertainty = image.uncertainty
    if uncertainty.unit is None or image.unit is None:
        return 1.0
    power = {"std": 1.0, "var": 0.5, "ivar": -0.5}[uncertainty.uncertainty_type]
    return float(image.unit.to(uncertainty.unit**power)) ** 2
