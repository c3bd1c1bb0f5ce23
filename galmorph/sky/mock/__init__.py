"""Mock: a simulated field of a survey, with a catalogue and known truth.

``setting`` reads what a survey's field looks like; ``population`` draws kinds, magnitudes, sizes and places;
``galaxies`` draws the shape of each source from the components of ``light`` and ``texture``; ``render`` turns
them into pixels with GalSim; ``truth`` measures the noiseless sources; ``field`` puts all together.
"""

from galmorph.sky.mock.field import MockField, check_field, simulate

__all__ = ["MockField", "check_field", "simulate"]
