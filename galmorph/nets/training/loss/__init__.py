"""Loss: how far a network's answers are from the votes; one module for each, which bears its name.

A new one is a module here with a subclass of :class:`galmorph.nets.training.loss.interface.Loss`, named ``LOSS`` there;
`loss = "its name"` in a pipeline's ``[train]`` then finds it. All are means over labelled galaxies, leave out questions
that nobody was asked, and take a weight for each galaxy.
"""

from __future__ import annotations

import pkgutil

__all__ = ["LOSSES"]

LOSSES = tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name != "interface"))
"""Names of the losses; listing them imports no torch."""
