"""Archives: where the images of surveys come from when nobody has them on disk."""

from galmorph.sky.archives.tile_archive import open_mosaics, survey_at

__all__ = ["open_mosaics", "survey_at"]
