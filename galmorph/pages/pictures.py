"""Pictures: stamps for the eye that lie in the page itself, and what is drawn over them."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from galmorph.pages.display_stretch import DisplayStretch
from galmorph.pages.galaxy_view import GalaxyView, Sketch, view_of
from galmorph.runs.gather import Galaxy
from galmorph.sky.images import ImageSource
from galmorph.stamps.recipe import Recipe

__all__ = ["SIDE_PX", "KeptPicture", "Picture", "picture_of", "run_lengths"]

SIDE_PX = 128
_STAMP_QUALITY, _NETWORK_QUALITY = 80, 70
# Kept pixels reach beyond what is shown at first: below the sky's noise, and above the galaxy's brightest pixels.
_BLACKEST, _WHITER, _LEAST_WHITE, _SOFTENING = -5.0, 4.0, 40.0, 2.0


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

    @classmethod
    def of(cls, view: GalaxyView, recipe: Recipe) -> Picture:
        """Draw a view with the stretch that suits it."""
        network = None if recipe.neighbours == "keep" else _uri(view.network_png())
        return cls(_uri(view.png()), network, view.partly, view.sketch)


@dataclass(frozen=True)
class KeptPicture:
    """A stamp whose stretch can be chosen in the page.

    Parameters
    ----------
    stamp, network
        JPEG files: the galaxy with its neighbours, in levels of `kept`; and what the network was shown.
    neighbours, hidden
        Run lengths of the pixels of other objects, and of those without data, as of :func:`run_lengths`.
    kept
        From what to what, and with which softening, brightness is kept in 256 levels.
    shown
        The stretch with which it is shown first; its unit is that of `kept`.
    sketch
        What is drawn over it.
    """

    stamp: bytes
    network: bytes
    neighbours: bytes
    hidden: bytes
    kept: DisplayStretch
    shown: DisplayStretch
    sketch: Sketch

    @classmethod
    def of(cls, view: GalaxyView, *, network: bool) -> KeptPicture:
        """Keep a view, and perhaps what the network was shown."""
        kept = _kept_stretch(view)
        up = slice(None, None, -1 if view.rows_up else 1)
        return cls(
            _jpeg(kept.brightness(view.planes)[:, up], _STAMP_QUALITY),
            _jpeg(view.network[:, up], _NETWORK_QUALITY) if network else b"",
            run_lengths(view.neighbours[up]),
            run_lengths(~view.valid[up]),
            kept,
            view.stretch,
            view.sketch,
        )

    def packed(self, row: int) -> dict[str, Any]:
        """Return it as the page's script reads it."""
        sketch = self.sketch
        return {
            "row": row,
            "stamp": _text(self.stamp),
            "network": _text(self.network),
            "neighbours": _text(self.neighbours),
            "hidden": _text(self.hidden),
            "kept": [_short(v) for v in (self.kept.black, self.kept.white, self.kept.softening)],
            "shown": [_short(v) for v in (self.shown.black, self.shown.white, self.shown.softening)],
            "radius": None if sketch.radius is None else _short(sketch.radius),
            "catalog": [_short(sketch.catalog_x), _short(sketch.catalog_y)],
            "bar": [_short(sketch.bar), sketch.bar_title],
            "north": None if sketch.north is None else [_short(v) for v in sketch.north],
            "east": None if sketch.east is None else [_short(v) for v in sketch.east],
        }


def picture_of(galaxy: Galaxy, images: ImageSource, recipe: Recipe) -> Picture | None:
    """Cut a stamp for a page that is complete in itself, as :func:`galmorph.pages.galaxy_view.view_of` does.

    Returns
    -------
    Picture, or None where the galaxy has no image.
    """
    view = view_of(galaxy, images, recipe, SIDE_PX)
    return None if view is None else Picture.of(view, recipe)


def run_lengths(mask: npt.NDArray[np.bool_]) -> bytes:
    """Return how many pixels in a row are not and are set, in turn, row by row; nothing where none is set.

    A byte of 255 goes on with the next one.

    Examples
    --------
    >>> list(run_lengths(np.array([[False, False, True], [True, True, False]])))
    [2, 3, 1]
    """
    flat = mask.ravel()
    if not flat.any():
        return b""
    ends = np.flatnonzero(np.diff(flat, prepend=False, append=not flat[-1]))
    lengths = np.diff(ends, prepend=0)
    return b"".join(b"\xff" * (n // 255) + bytes([n % 255]) for n in lengths.tolist())


def _kept_stretch(view: GalaxyView) -> DisplayStretch:
    if not view.is_flux:
        return DisplayStretch.of_pictures()
    return DisplayStretch(_BLACKEST, max(_WHITER * view.stretch.white, _LEAST_WHITE), _SOFTENING, view.stretch.unit)


def _jpeg(planes: npt.NDArray[np.float32], quality: int) -> bytes:
    """Write planes in [0, 1], (1 or 3, S, S), as a JPEG of all 256 levels."""
    levels = np.round(np.clip(np.nan_to_num(planes), 0.0, 1.0) * 255.0).astype(np.uint8)
    picture = Image.fromarray(levels[0] if len(levels) == 1 else np.ascontiguousarray(levels.transpose(1, 2, 0)))
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=quality, optimize=True)
    return stream.getvalue()


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _short(value: float) -> float:
    """Round for the page: a picture shows no more digits."""
    return float(f"{value:.4g}") if math.isfinite(value) else 0.0


def _uri(png: bytes) -> str:
    return "data:image/png;base64," + _text(png)
