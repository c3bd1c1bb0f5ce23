"""Pictures: stamps for the eye, as PNG in the page itself or at an address, with what is drawn over them."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from galmorph.pages.galaxy_view import Sketch, view_of
from galmorph.runs.gather import Galaxy
from galmorph.sky.images import ImageSource
from galmorph.stamps.recipe import Recipe

__all__ = ["Picture", "picture_of"]

_SIZE_PX = 128


@dataclass(frozen=True)
class Picture:
    """A stamp to look at.

    Parameters
    ----------
    uri
        The galaxy with its neighbours.
    network_uri
        What the network saw, where the recipe replaces neighbours; else None.
    partly
        Whether some pixels have no data.
    sketch
        What is drawn over it.
    """

    uri: str
    network_uri: str | None
    partly: bool
    sketch: Sketch


def picture_of(galaxy: Galaxy, images: ImageSource, recipe: Recipe) -> Picture | None:
    """Cut a stamp for a page that is complete in itself, as :func:`galmorph.pages.galaxy_view.view_of` does.

    Returns
    -------
    Picture, or None where the galaxy has no image.
    """
    view = view_of(galaxy, images, recipe, _SIZE_PX)
    if view is None:
        return None
    network = None if recipe.neighbours == "keep" else _uri(view.network_png())
    return Picture(_uri(view.png()), network, view.partly, view.sketch)


def _uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
