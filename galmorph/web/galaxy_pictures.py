"""GalaxyPictures: the pictures of a store's galaxies, cut out once and drawn with any stretch."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from threading import Lock
from typing import TYPE_CHECKING, Any

from astropy.table import Table

import galmorph
from galmorph.errors import ImageError, SurveyError

if TYPE_CHECKING:
    from galmorph.pages.galaxy_view import GalaxyView
    from galmorph.store.image_rows import StoredImage

__all__ = ["GalaxyPictures", "Slider", "sliders_of"]

_KEPT = 64
"""Views in memory, of some 400 kB each."""
_SIDE_PX = 256


@dataclass(frozen=True)
class Slider:
    """A number of the stretch: what it is called, its ends on the slider, and whether that is logarithmic."""

    name: str
    title: str
    value: str
    low: float
    high: float
    log: bool


class GalaxyPictures:
    """Views of a store's galaxies, the last of them in memory.

    Parameters
    ----------
    store
        Where the images are.
    """

    def __init__(self, store: Any) -> None:
        self._store = store
        self._views: OrderedDict[tuple[int, str, str], GalaxyView | None] = OrderedDict()
        self._lock = Lock()

    def view(self, id: str, model: str) -> GalaxyView | None:
        """Return a galaxy as a model's field of view shows it; None where there is no image.

        Parameters
        ----------
        model
            Of the store; '' for none.

        Raises
        ------
        StoreError
            If there is no such galaxy or model.
        """
        image = self._store.image(id)
        key = (image.number, image.created, model)
        with self._lock:
            if key in self._views:
                self._views.move_to_end(key)
                return self._views[key]
        view = self._cut(image, model)
        with self._lock:
            self._views[key] = view
            while len(self._views) > _KEPT:
                self._views.popitem(last=False)
        return view

    def png(self, id: str, model: str, kind: str, stretch: Mapping[str, str]) -> bytes | None:
        """Draw a galaxy (``stretched``), the ``mask`` of its neighbours, or what the ``network`` is shown."""
        view = self.view(id, model)
        if view is None:
            return None
        if kind == "mask":
            return view.mask_png()
        if kind == "network":
            return view.network_png()
        return view.png(_chosen(view, stretch))

    def _cut(self, image: StoredImage, model: str) -> GalaxyView | None:
        checkpoint = self._store.load_model(model) if model else None
        name, images = f"{image.number}/{image.file.rpartition('/')[2]}", dict[str, bytes]()
        if image.content is not None:
            table, images = Table({"file": [name]}), {name: image.content}
        elif image.ra is not None and image.survey:
            table = Table({"ra": [image.ra], "dec": [image.dec]})
        else:
            return None
        try:
            return galmorph.view(
                table,
                images,
                checkpoint=checkpoint,
                survey=image.survey or None,
                band=image.band or None,
                side=_SIDE_PX,
            )
        except (ImageError, SurveyError):
            return None  # as its flags say


def sliders_of(view: GalaxyView, stretch: Mapping[str, str]) -> list[Slider]:
    """Return the numbers of a stretch as they are chosen, with the ends of their sliders."""
    chosen = _chosen(view, stretch) or view.stretch
    if not view.is_flux:
        ends = {"black": (0.0, 60.0), "white": (0.3, 2.0), "softening": (0.0, 3.0)}
    else:
        top = math.log10(max(view.stretch.white, 1.0))
        ends = {"black": (-5.0, 15.0), "white": (0.0, top + 1.5), "softening": (-1.0, top + 1.0)}
    return [
        Slider(name, name, f"{getattr(chosen, name):.4g}", *ends[name], name != "black")
        for name in ("black", "white", "softening")
    ]


def _chosen(view: GalaxyView, stretch: Mapping[str, str]) -> Any:
    """Return the stretch that an address asks for; None where it asks for none."""
    numbers = {
        name: number for name in ("black", "white", "softening") if (number := _number(stretch.get(name))) is not None
    }
    return replace(view.stretch, **numbers) if numbers else None


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) and abs(value) < 1e12 else None
