"""Engines: who carries out the parts of a plan. Each is a short class of one interface, and gives the same results."""

from galmorph.runs.engines.engine import Engine, engine_for

__all__ = ["Engine", "engine_for"]
