"""Overlays: a result as other programs of the sky show it: regions, a coverage map, links to pictures, a message."""

from galmorph.sky.overlays.coverage import write_moc
from galmorph.sky.overlays.ds9_regions import write_regions
from galmorph.sky.overlays.picture_links import write_links
from galmorph.sky.overlays.placed_rows import Overlays, PlacedRows
from galmorph.sky.overlays.samp_message import send_table

__all__ = ["Overlays", "PlacedRows", "send_table", "write_links", "write_moc", "write_regions"]
