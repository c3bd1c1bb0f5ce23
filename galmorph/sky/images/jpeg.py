"""JpegSource: display stamps (JPEG, PNG) in a zip file, a folder, one by one, or in memory."""

from __future__ import annotations

import io
import math
import warnings
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from galmorph.errors import ImageError
from galmorph.limits import LIMITS
from galmorph.sky.boundary import boundary
from galmorph.sky.colour import linear_intensity
from galmorph.sky.cutout import Cutout, FloatArray
from galmorph.sky.images.file_names import DISPLAY_SUFFIXES, FileNames, spelled
from galmorph.sky.images.jpeg_scans import check_whole, may_be_cut
from galmorph.sky.images.source import DoubleArray, Located, nowhere, source_html
from galmorph.sky.images.tiles import CutoutBox
from galmorph.sky.survey import Band, Survey

__all__ = ["Contents", "JpegSource", "contents_of", "open_contents", "open_stamps"]

# Of whatever else Pillow reads some formats start programs, and none is what surveys make their pictures in.
_FORMATS = ("JPEG", "PNG")
# Deflate packs at most 1032 bytes into one, JPEG fewer pixels: what claims twice that is damaged.
_PIXELS_A_BYTE, _LEAST_PIXELS = 1032 * 2, 1 << 16
_GREY_MODES = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "F")


class Contents(Protocol):
    """Files by name."""

    names: list[str]

    def read(self, name: str) -> bytes:
        """Return the bytes of a file."""

    def close(self) -> None:
        """Close what is open."""


class _Zip:
    """Files in a zip archive, read one by one."""

    def __init__(self, path: Path, is_wanted: Callable[[str], bool]) -> None:
        with boundary(
            lambda reason: ImageError(f"'{path}' cannot be opened as a zip file ({reason}): give a sound one")
        ):
            self._zip = zipfile.ZipFile(path)
        self.names = [name for name in self._zip.namelist() if is_wanted(name)]

    def read(self, name: str) -> bytes:
        _check_bytes(self._zip.getinfo(name).file_size)
        with self._zip.open(name) as stream:
            return stream.read(LIMITS["stamp_bytes"].number)

    def close(self) -> None:
        self._zip.close()


class _Files:
    """Files on disk: those given and those in the folders given."""

    def __init__(self, paths: Iterable[Path], is_wanted: Callable[[str], bool]) -> None:
        self._paths: dict[str, Path] = {}
        for path in paths:
            inside = [p for p in sorted(path.rglob("*")) if is_wanted(p.name)] if path.is_dir() else [path]
            inside = [p for p in inside if p.is_file()]  # reading a pipe would wait for ever
            self._paths |= {(p.relative_to(path).as_posix() if path.is_dir() else p.name): p for p in inside}
        self.names = list(self._paths)

    def read(self, name: str) -> bytes:
        _check_bytes(self._paths[name].stat().st_size)
        return self._paths[name].read_bytes()

    def close(self) -> None:
        """Nothing is open."""


class _Memory:
    """Files that are in memory."""

    def __init__(self, contents: Mapping[str, bytes]) -> None:
        self._contents = dict(contents)
        self.names = list(self._contents)

    def read(self, name: str) -> bytes:
        _check_bytes(len(self._contents[name]))
        return self._contents[name]

    def close(self) -> None:
        """Nothing is open."""


def _check_bytes(size: int) -> None:
    if size > (most := LIMITS["stamp_bytes"]).number:
        raise ValueError(f"it has {size} bytes, more than {most}")


def _check_pixels(size: tuple[int, int], file_bytes: int) -> None:
    width, height = size
    if width * height > _LEAST_PIXELS + _PIXELS_A_BYTE * file_bytes:
        raise ValueError(f"it has {width} x {height} pixels by its header, and {file_bytes} bytes: it is damaged")
    if width * height > (most := LIMITS["stamp_pixels"]).number:
        raise ValueError(f"it has {width} x {height} pixels, more than {most}")


def is_stamp(name: str) -> bool:
    """Tell whether a file name is that of a display stamp."""
    parts = PurePosixPath(spelled(name)).parts
    hidden = any(part.startswith((".", "__MACOSX")) for part in parts)
    return not hidden and name.lower().endswith(DISPLAY_SUFFIXES)


def contents_of(paths: Sequence[Path], is_wanted: Callable[[str], bool] = is_stamp) -> Contents:
    """Open one zip file, or folders and files, to read what is in them by name.

    Parameters
    ----------
    is_wanted
        Tells by the name of a file in a zip file or a folder whether it is one.

    Raises
    ------
    ImageError
        If a path is missing, or there is a zip file among others, or a damaged one.
    """
    missing = [path for path in paths if not path.exists()]
    if missing:
        raise ImageError(f"image '{missing[0]}' does not exist: give an existing zip file, folder or stamp")
    zips = [path for path in paths if path.suffix.lower() == ".zip"]
    if zips and len(paths) > 1:
        raise ImageError(f"'{zips[0]}' was given with other images: expected one zip file by itself; give only that")
    return _Zip(zips[0], is_wanted) if zips else _Files(paths, is_wanted)


def open_stamps(paths: Sequence[Path], survey: Survey | None = None, bands: tuple[str, ...] = ()) -> JpegSource:
    """Open display stamps.

    Parameters
    ----------
    paths
        One zip file, or folders and files.
    survey
        The survey whose stamps they are; it says how to make them linear.
    bands
        Names of the bands that they show.

    Raises
    ------
    ImageError
        If a path is missing or damaged, or there is no stamp.
    """
    store = contents_of(paths)
    if not store.names:
        store.close()
        raise ImageError(f"'{paths[0]}' holds no JPEG or PNG stamp: expected names in {', '.join(DISPLAY_SUFFIXES)}")
    return JpegSource(store, survey, bands)


def open_contents(
    contents: Mapping[str, bytes], survey: Survey | None = None, bands: tuple[str, ...] = ()
) -> JpegSource:
    """Open display stamps that are in memory.

    Parameters
    ----------
    contents
        The bytes of the file of each, by any name.
    survey, bands
        As of :func:`open_stamps`.

    Raises
    ------
    ImageError
        If the first is damaged and no survey says how many planes stamps have.
    """
    return JpegSource(_Memory(contents), survey, bands)


class JpegSource:
    """Display stamps, one tile each; a cutout is the whole stamp.

    Rows stay in the order in which the file stores them: row 0 is the top of the picture, so that ``y`` runs
    downwards, against FITS images of the same sky. Nothing in galmorph depends on that parity.

    Parameters
    ----------
    store
        The files.
    survey
        Its ``jpeg`` says how many planes the stamps have and how they were stretched. Without it the first
        stamp decides on the planes, and the mean of the planes serves as flux.
    bands
        Names of the bands that they show.
    """

    band: Band | None = None
    is_linear = False
    has_edges = False
    scale_arcsec = math.nan
    psf_fwhm_px: float | None = None
    saturation: float | None = math.inf
    has_wcs = False
    by_name = True
    is_here = True
    remarks: tuple[str, ...] = ()
    _repr_html_ = source_html

    def __init__(self, store: Contents, survey: Survey | None, bands: tuple[str, ...] = ()) -> None:
        self.survey, self.bands = survey, bands
        self._store = store
        self._stretch = survey.jpeg if survey else None
        self._colour = survey.colour if survey else None
        self.tile_names = store.names
        self._names = FileNames(store.names)
        self.n_planes: int = self._stretch.planes if self._stretch else self._planes_of_first()

    def locate(self, ra_deg: npt.ArrayLike, dec_deg: npt.ArrayLike) -> Located:  # noqa: ARG002 - an interface
        """Refuse: stamps do not know the sky.

        Raises
        ------
        ImageError
            Always.
        """
        raise ImageError(
            f"image '{self.tile_names[0]}' has no celestial WCS: JPEG and PNG stamps are found by name; "
            "give a column of file names"
        )

    def locate_pixels(self, xy: npt.ArrayLike) -> Located:
        """Find pixel positions (N, 2) on the only stamp; y counts from the top.

        Raises
        ------
        ImageError
            If there are several stamps, or the only one cannot be read.
        """
        if len(self.tile_names) > 1:
            raise ImageError(
                f"pixel positions were given for {len(self.tile_names)} stamps: expected a single image; "
                "give one image, or a column of file names"
            )
        x, y = np.reshape(np.asarray(xy, np.float64), (-1, 2)).T
        width, height = self._size(0)
        inside = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
        return Located(
            np.where(inside, 0, -1).astype(np.int32), np.where(inside, x, np.nan), np.where(inside, y, np.nan)
        )

    def locate_files(self, names: Sequence[object]) -> Located:
        """Find stamps by file name, with or without folder and suffix.

        Parameters
        ----------
        names
            (N,) names; what is not a known name has tile -1. Position: the middle of the stamp, NaN where the
            file is damaged (its cutout will raise).
        """
        located = nowhere(len(names))
        for row, name in enumerate(names):
            located.tile[row] = self._names.number_of(name)
        for row in np.flatnonzero(located.tile >= 0).tolist():
            width, height = self._size_or_nan(int(located.tile[row]))
            located.x[row], located.y[row] = (width - 1) / 2, (height - 1) / 2
        return located

    def cutout(self, tile: int, x: float, y: float, half_px: int) -> Cutout:
        """Read a whole stamp; `half_px` only decides which edges count as clipped.

        Raises
        ------
        ImageError
            If the file is damaged or no picture.
        """
        values = self._values(tile)
        planes = self._planes(values)
        height, width = planes.shape[1:]
        window = CutoutBox.around(x, y, half_px, (height, width))
        return Cutout(
            planes=planes,
            detection=self._intensity(values, planes),
            weight=None,
            x=x,
            y=y,
            origin=(0, 0),
            clipped=window.clipped if window else (True, True, True, True),
            scale_arcsec=math.nan,
            tile=tile,
        )

    def fetch(self, tile: int, x: float, y: float, half_px: int) -> None:
        """Do nothing: stamps are on this machine."""

    def sky(self, tile: npt.ArrayLike, x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[DoubleArray, DoubleArray]:
        """Return NaN: stamps do not know the sky."""
        n = np.broadcast(np.asarray(tile), np.asarray(x), np.asarray(y)).size
        return np.full(n, np.nan), np.full(n, np.nan)

    def files(self, tile: int, x: float, y: float) -> tuple[Path, ...]:  # noqa: ARG002 - an interface
        """Return (): stamps lie in a zip file or a folder together."""
        return ()

    def mjysr_per_unit(self, tile: int) -> float:  # noqa: ARG002 - the same for every stamp
        """Return NaN: the unit of display values is not known."""
        return math.nan

    def scales_at(self, tile: int, x: npt.ArrayLike, y: npt.ArrayLike) -> DoubleArray:  # noqa: ARG002 - of no stamp
        """Return NaN, (N,): stamps do not know their scale."""
        return np.full(np.size(x), math.nan)

    def filter_name(self) -> str | None:
        """Return None: stamps name no filter."""
        return None

    def close(self) -> None:
        """Close the files."""
        self._store.close()

    def _planes(self, values: npt.NDArray[np.unsignedinteger[Any]]) -> FloatArray:
        """Return stored values, (C, H, W), in [0, 1] on as many planes as all stamps have."""
        planes = np.empty(values.shape, np.float32)
        np.divide(values, _most(values), out=planes, dtype=np.float32)
        if len(planes) > self.n_planes:
            planes = planes.mean(axis=0, keepdims=True)
        return planes if len(planes) == self.n_planes else np.repeat(planes, self.n_planes, axis=0)

    def _intensity(self, values: npt.NDArray[np.unsignedinteger[Any]], planes: FloatArray) -> FloatArray:
        """Return the linear flux, (H, W), of stored values, (C, H, W), and the planes made of them."""
        if self._stretch is None or self._stretch.kind != "lupton" or self._colour is None:
            return planes[0] if len(planes) == 1 else np.asarray(planes.mean(axis=0), np.float32)
        if values.dtype != np.uint8 or len(values) != 3 or self.n_planes != 3:
            return linear_intensity(planes, self._colour)
        # The stretch is of the sum of the three, which has few values: sinh takes longer than decoding.
        flux: FloatArray = self._intensities.take(values[0].astype(np.uint16) + values[1] + values[2])
        return flux

    @cached_property
    def _intensities(self) -> FloatArray:
        """Linear flux of each sum of three values of 8 bits."""
        if self._colour is None:
            return np.zeros(0, np.float32)
        sums = np.zeros((3, 1, 3 * 255 + 1), np.float32)
        sums[0, 0] = np.arange(3 * 255 + 1) / 255.0
        flux: FloatArray = linear_intensity(sums, self._colour)[0]
        return flux

    def _values(self, tile: int) -> npt.NDArray[np.unsignedinteger[Any]]:
        """Decode a stamp to the values that are stored, (C, H, W) of 8 or 16 bits."""
        values: npt.NDArray[np.unsignedinteger[Any]] = self._decoded(tile, _whole)
        return values

    def _size(self, tile: int) -> tuple[int, int]:
        """Width and height, from the header of the file."""
        size: tuple[int, int] = self._decoded(tile, lambda picture, _: picture.size)
        return size

    def _size_or_nan(self, tile: int) -> tuple[float, float]:
        try:
            return self._size(tile)
        except ImageError:
            return math.nan, math.nan

    def _planes_of_first(self) -> int:
        return int(self._decoded(0, lambda picture, _: 1 if picture.mode in _GREY_MODES else 3))

    def _decoded(self, tile: int, use: Callable[[Any, bytes], Any]) -> Any:
        """Open a stamp with Pillow and return what `use` makes of it and its bytes."""
        name = self.tile_names[tile]
        with (
            boundary(lambda reason: ImageError(f"stamp '{name}' cannot be read ({reason}): give a sound JPEG or PNG")),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")  # what Pillow says of large or odd files is said by us, or of no use
            content = self._store.read(name)
            with Image.open(io.BytesIO(content), formats=_FORMATS) as picture:
                _check_pixels(picture.size, len(content))
                return use(picture, content)


def _whole(picture: Any, content: bytes) -> Any:
    """Return the pixels of a picture that was not cut, (C, H, W).

    Raises
    ------
    ValueError
        If it was.
    """
    values = _grey_or_rgb(picture)
    if picture.format != "PNG" and (may_be_cut(values) or "progressive" in picture.info):
        check_whole(content, values, _decode)
    return values


def _decode(content: bytes) -> Any:
    with Image.open(io.BytesIO(content), formats=_FORMATS) as picture:
        return _grey_or_rgb(picture)


def _grey_or_rgb(picture: Any) -> Any:
    """Return the pixels of a picture, (C, H, W) with one plane or three, unsigned integers of 8 or 16 bits."""
    if picture.mode.startswith("I"):  # 16 bits, which Pillow may keep in 32
        return np.clip(np.asarray(picture), 0, 65535).astype(np.uint16)[np.newaxis]
    mode = "L" if picture.mode in _GREY_MODES else "RGB"
    plain = picture if picture.mode == mode else picture.convert(mode)
    if mode == "L":
        return np.asarray(plain)[np.newaxis]
    # Row by row of each colour, so that the pixels of a plane need not be gathered.
    rows = np.frombuffer(plain.tobytes("raw", "RGB;L"), np.uint8)
    return rows.reshape(plain.height, 3, plain.width).transpose(1, 0, 2)


def _most(values: npt.NDArray[np.unsignedinteger[Any]]) -> np.float32:
    return np.float32(np.iinfo(values.dtype).max)
