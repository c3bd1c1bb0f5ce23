"""Maps: galaxies laid out by likeness, from features to a page."""

from galmorph.pages.maps.atlas import drawn
from galmorph.pages.maps.map_page import MapPage
from galmorph.pages.maps.mapping import MapSettings, mapped, written

__all__ = ["MapPage", "MapSettings", "drawn", "mapped", "written"]
