"""Archives: where the images of surveys come from when nobody has them on disk."""

from galmorph.sky.archives.cutout_service import open_pictures
from galmorph.sky.archives.fits_cutouts import open_cutouts
from galmorph.sky.archives.frame_archive import open_frames
from galmorph.sky.archives.published import open_published
from galmorph.sky.archives.tile_archive import open_mosaics, survey_at

__all__ = ["open_cutouts", "open_frames", "open_mosaics", "open_pictures", "open_published", "survey_at"]
