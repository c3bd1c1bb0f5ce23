"""Images: finds which one covers a position and reads windows from it, whatever files they are in.

:class:`ImageInput` says which images are wanted. :func:`open_images` returns one of four sources with the same
interface, :class:`ImageSource`:

* ``tiles``: FITS images of one band, plain or compressed, with or without weights;
* ``colour``: FITS images of three bands, composed as the survey's colour pictures are;
* ``jpeg``: JPEG or PNG stamps in a zip file or folder, or in memory;
* ``fits_stamps``: FITS images of one galaxy each, in memory.
"""

from galmorph.sky.images.flux_units import filter_of, zero_point_of
from galmorph.sky.images.image_input import ImageInput, is_open
from galmorph.sky.images.image_like import Images
from galmorph.sky.images.opening import colour_bands, open_images
from galmorph.sky.images.source import ImageSource, Located

__all__ = [
    "ImageInput",
    "ImageSource",
    "Images",
    "Located",
    "colour_bands",
    "filter_of",
    "is_open",
    "open_images",
    "zero_point_of",
]
