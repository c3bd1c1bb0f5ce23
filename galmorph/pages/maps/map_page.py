"""MapPage: a page on which galaxies lie by likeness, to be coloured, searched and chosen; complete in itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from galmorph.errors import OutputError
from galmorph.flags import MEANINGS
from galmorph.pages.look import write_page
from galmorph.pages.maps.point_columns import PointColumn, packed, point_columns
from galmorph.pages.mosaics import sequential
from galmorph.pages.sky_links import SERVICES
from galmorph.sky.catalog import Catalog

if TYPE_CHECKING:
    from galmorph.pages.maps.atlas import Atlas
    from galmorph.pages.maps.mapping import Mapped

__all__ = ["MOST_POINTS_ON_MAP", "MapPage"]

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.intp]

MOST_POINTS_ON_MAP = 1_000_000
_TYPES = {"number": "f4", "class": "u1", "flags": "i4"}
_TOLD = ("class", "conf", "rule", "snr")
"""Of galmorph's columns, those that are told of the galaxy under the mouse."""
_SHADES = 256
_MOST_LABELLED = 200  # ids that fit into an address


@dataclass(frozen=True)
class MapPage:
    """What a page shows.

    Parameters
    ----------
    catalog
        All rows.
    places
        (N, 2) of them on the map; NaN for those without a place.
    how
        What the map is of, in words.
    ground
        (M, 2) galaxies of an older map, on which these were placed.
    colours
        Columns that are asked for.
    prefix
        Of galmorph's columns.
    left_out
        Columns that are no colours: those of the map itself.
    service
        Address of a ``galmorph serve`` whose store has the galaxies, '' for none.
    """

    catalog: Catalog
    places: FloatArray
    how: str
    ground: FloatArray
    colours: Sequence[str] = ()
    prefix: str = "gm_"
    left_out: Sequence[str] = ()
    service: str = ""

    @classmethod
    def of(cls, mapped: Mapped, colours: Sequence[str], service: str) -> Self:
        """Make a page of rows on a map."""
        settings = mapped.settings
        own = [f"{settings.prefix}map_{axis}" for axis in "xy"]
        return cls(
            mapped.catalog, mapped.places, mapped.how, mapped.ground, colours, settings.prefix, own, service.rstrip("/")
        )

    @property
    def rows(self) -> IntArray:
        """The rows that have a place, (P,)."""
        return np.flatnonzero(np.isfinite(self.places).all(axis=1))

    def write(self, page: Path, atlas: Atlas | None, *, overwrite: bool) -> None:
        """Write it.

        Parameters
        ----------
        page
            The file.
        atlas
            Pictures of some rows.
        overwrite
            Whether an earlier page may be replaced.

        Raises
        ------
        OutputError
            If it cannot be written, or there are more points than a browser holds.
        CatalogError
            If a column that is asked for does not exist.
        """
        rows = self.rows
        if len(rows) > MOST_POINTS_ON_MAP:
            raise OutputError(
                f"{len(rows)} rows are more than a page holds: expected {MOST_POINTS_ON_MAP} at most; write the places "
                "with -o and show a part of that table"
            )
        columns = point_columns(self.catalog, rows, self.colours, self.prefix, self.left_out)
        write_page(
            page, "map.html.j2", self._contents(rows, columns, atlas, page), option="--page", overwrite=overwrite
        )

    def _contents(
        self, rows: IntArray, columns: Sequence[PointColumn], atlas: Atlas | None, page: Path
    ) -> dict[str, Any]:
        return {
            "title": self.catalog.title,
            "how": self.how,
            "points": len(rows),
            "missing": len(self.catalog) - len(rows),
            "head": self._head(columns, atlas, page),
            "ids": self.catalog.ids[rows].tolist() if self.catalog.id_column else rows.astype(np.str_).tolist(),
            "id_name": self.catalog.id_column or "row",
            "blocks": list(self._blocks(rows, columns, atlas)),
            "pictures": atlas is not None and len(atlas.rows) > 0,
            "service": self.service,
        }

    def _head(self, columns: Sequence[PointColumn], atlas: Atlas | None, page: Path) -> dict[str, Any]:
        shades = sequential(np.linspace(0.0, 1.0, _SHADES, dtype=np.float32), 0.0, 1.0)
        names = [column.name for column in columns]
        return {
            "columns": [{**column.described(), "type": _TYPES[column.kind]} for column in columns],
            "hover": [names.index(self.prefix + name) for name in _TOLD if self.prefix + name in names],
            "flags": [{"bit": int(flag), "name": flag.name, "meaning": text} for flag, text in MEANINGS.items()],
            "ramp": shades.tolist(),
            "ground": len(self.ground) > 0,
            "sky": self._is_on_sky,
            "id": self.catalog.id_column,
            "prefix": self.prefix,
            "stem": page.stem,
            "links": SERVICES,
            "pictures": {"side": atlas.side_px, "across": atlas.across} if atlas and len(atlas.rows) else None,
            "service": self.service,
            "mostLabelled": _MOST_LABELLED,
        }

    @property
    def _is_on_sky(self) -> bool:
        return self.catalog.ra_column is not None and self.catalog.dec_column is not None

    def _blocks(
        self, rows: IntArray, columns: Sequence[PointColumn], atlas: Atlas | None
    ) -> Iterator[tuple[str, Markup]]:
        """Yield the arrays of the page, each with the name by which its script asks for it."""
        places, ground = _squared(self.places[rows], self.ground)
        yield "places", packed(places)
        yield "rows", packed(rows.astype(np.int32))
        if len(ground):
            yield "ground", packed(ground)
        if self._is_on_sky:
            yield "sky", packed(np.stack([self.catalog.ra_deg[rows], self.catalog.dec_deg[rows]], axis=1))
        for number, column in enumerate(columns):
            yield f"column-{number}", packed(column.values)
        if atlas is not None and len(atlas.rows):
            yield "pictured", packed(np.searchsorted(rows, atlas.rows).astype(np.int32))
            for number, sheet in enumerate(atlas.encoded):
                yield f"sheet-{number}", Markup(sheet)  # noqa: S704 - base64 has no letter of HTML


def _squared(places: FloatArray, ground: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Shift and scale points, so that all lie between -1 and 1 on both axes, which stay alike."""
    together = np.concatenate([places, ground]).astype(np.float64)
    if not len(together):
        return places, ground
    low, high = together.min(axis=0), together.max(axis=0)
    half = max(float((high - low).max()) / 2.0, 1e-30)
    middle = (low + high) / 2.0
    return np.asarray((places - middle) / half, np.float32), np.asarray((ground - middle) / half, np.float32)
