"""Extractor: SEP's detection, with a list of pixels no longer than the image needs.

How many pixels SEP makes room for is a setting of the whole library. It writes that list anew in every call, with room
for 300 000 by default: .35 ms, a fifth of the time that a galaxy takes on a cutout of 128 × 128. A short list would do
there, but whoever uses SEP beside us, perhaps in another thread, may need the long one. So the library is loaded a
second time, from a copy of its file: its settings are ours alone, and those of the caller's SEP are never touched.
"""

from __future__ import annotations

import shutil
from functools import lru_cache
from importlib.machinery import ExtensionFileLoader, ModuleSpec
from importlib.util import module_from_spec
from threading import Lock
from types import ModuleType

import numpy as np
import numpy.typing as npt
import sep

from galmorph.sky.scratch import scratch_folder

__all__ = ["extract", "object_dtype"]

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int32]

# SExtractor takes 32 by default. On the mocks of tests/benchmarks/mocks.py 16, 32 and 64 find the same number of
# objects; 8 miss a clump.
_DEBLEND_LEVELS = 16
# An image needs one place a pixel at the most; a few to spare.
_SPARE = 64
_SETTING = Lock()


def extract(
    data: FloatArray,
    threshold: float,
    noise: float | FloatArray,
    mask: BoolArray | None,
    *,
    min_area: int,
    contrast: float,
) -> tuple[npt.NDArray[np.void], IntArray]:
    """Detect and deblend the objects of an image (SEP's ``extract``).

    Parameters
    ----------
    data
        (H, W) less the sky; native, contiguous and finite.
    threshold
        In units of the noise.
    noise
        Per pixel; one number or (H, W).
    mask
        (H, W) True on pixels that do not count; None where all do.
    min_area
        Least number of pixels of an object.
    contrast
        Least share of the flux that makes a peak an object of its own.

    Returns
    -------
    SEP's table of objects, and their labels from 1, (H, W).

    Raises
    ------
    Exception
        Of no more special kind, where more pixels or objects than SEP has room for are above the threshold.
    """
    library = _own_library()
    with _SETTING:
        if library is not sep:
            # No longer than the caller's, whose limit on memory it may be.
            library.set_extract_pixstack(min(data.size + _SPARE, sep.get_extract_pixstack()))
        objects, labels = library.extract(
            data,
            threshold,
            err=noise,
            mask=mask,
            minarea=min_area,
            # The threshold is per pixel with a noise map as without one.
            filter_type="conv",
            deblend_nthresh=_DEBLEND_LEVELS,
            deblend_cont=contrast,
            segmentation_map=True,
        )
    return objects, labels.astype(np.int32, copy=False)


@lru_cache(maxsize=1)
def object_dtype() -> np.dtype[np.void]:
    """Return the type of SEP's table of objects (for an empty one)."""
    return sep.extract(np.zeros((8, 8), np.float32), 1.0).dtype  # type: ignore[no-any-return]


@lru_cache(maxsize=1)
def _own_library() -> ModuleType:
    """Load SEP from a copy of its file; SEP itself, slower, where code in a temporary folder may not be run."""
    if not isinstance(sep.__spec__.loader, ExtensionFileLoader):
        return sep  # type: ignore[no-any-return]
    try:
        # What is loaded needs its file no more; Windows keeps it all the same.
        with scratch_folder() as folder:
            return _loaded(shutil.copy(sep.__spec__.origin, str(folder)))
    except (ImportError, OSError):
        return sep  # type: ignore[no-any-return]


def _loaded(path: str) -> ModuleType:
    """Load SEP from a file: from another one than before, as the system knows a library by its file."""
    loader = ExtensionFileLoader(sep.__name__, path)
    library = module_from_spec(ModuleSpec(sep.__name__, loader, origin=path))
    loader.exec_module(library)
    return library
