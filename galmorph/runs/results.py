"""Results: what a run, or a part of it, measured and predicted of each row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from galmorph.flags import UNCLASSIFIABLE, Flag
from galmorph.runs.block_galaxies import BlockGalaxies, Galaxy
from galmorph.sky.mapped import forget, is_mapped, new_arrays

__all__ = ["Results"]

FloatArray = npt.NDArray[np.float64]
_VALUES = ("x", "y", "position_err_px", "rpet_px", "rpet_err_px", "r50_px", "snr", "scale_arcsec", "distance")
_SHAPE = "shape_"
"""Before the names of the quantities of :attr:`Results.shapes`."""


@dataclass
class Results:
    """Arrays over the N rows of a catalogue, filled while a run goes on; NaN and 0 where nothing is known.

    Parameters
    ----------
    tile
        Tile of each row, -1 for none.
    x, y, position_err_px, rpet_px, rpet_err_px, r50_px, snr
        As measured, in pixels of the tile.
    scale_arcsec
        Pixel scale of the tile.
    distance
        Of the features of the stamp from those of the training stamps; see :mod:`galmorph.nets.checkpoint.embedding`.
    flags
        Bits of :class:`galmorph.flags.Flag`.
    conditional
        (N, A) probabilities given that a question is asked; A may be 0.
    spread
        (N, A) standard deviations of the probabilities among all people, over networks and views.
    features
        (N, F) what the last dense layer sees of each row, and beside it how light is spread over rings; F is 0 where
        nobody asked.
    shapes
        Further quantities by their names in :class:`~galmorph.stamps.measure.Measurement`.
    """

    tile: npt.NDArray[np.int32]
    x: FloatArray
    y: FloatArray
    position_err_px: FloatArray
    rpet_px: FloatArray
    rpet_err_px: FloatArray
    r50_px: FloatArray
    snr: FloatArray
    scale_arcsec: FloatArray
    distance: FloatArray
    flags: npt.NDArray[np.int32]
    conditional: FloatArray
    spread: FloatArray
    features: npt.NDArray[np.float32]
    shapes: dict[str, FloatArray] = field(default_factory=dict)

    @classmethod
    def empty(cls, rows: int, answers: int, shapes: Iterable[str] = (), features: int = 0) -> Results:
        """Make room for `rows` rows, `answers` answers, the quantities named in `shapes` and so many features."""
        blank = {name: np.full(rows, np.nan) for name in _VALUES}
        return cls(
            tile=np.full(rows, -1, np.int32),
            flags=np.zeros(rows, np.int32),
            conditional=np.full((rows, answers), np.nan),
            spread=np.full((rows, answers), np.nan),
            features=np.full((rows, features), np.nan, np.float32),
            shapes={name: np.full(rows, np.nan) for name in shapes},
            **blank,
        )

    @classmethod
    def recorded(cls, blank: Results, rows: int, folder: Path) -> Results:
        """Make room for `rows` rows, each of which a part will have, in a file if they are many.

        What belongs to a row lies together there, so that entering some rows touches as few pieces of it as can be.

        Parameters
        ----------
        blank
            What a row has.
        folder
            Where the file may be.

        Raises
        ------
        OutputError
            If there is no room for it.
        """
        plain = {name: values for name, values in blank.arrays().items() if name != "flags"}
        kinds = [(name, values.dtype, values.shape[1:]) for name, values in plain.items()]
        (records,) = new_arrays([(np.dtype(kinds, align=True), ())], rows, folder)
        return cls.of_arrays({name: records[name] for name in plain} | {"flags": np.zeros(rows, np.int32)})

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Results:
        """Put results together that :meth:`arrays` took apart."""
        shapes = {name.removeprefix(_SHAPE): values for name, values in arrays.items() if name.startswith(_SHAPE)}
        return cls(**{name: values for name, values in arrays.items() if not name.startswith(_SHAPE)}, shapes=shapes)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return all arrays by name."""
        plain = {column.name: getattr(self, column.name) for column in fields(self) if column.name != "shapes"}
        return plain | {f"{_SHAPE}{name}": values for name, values in self.shapes.items()}

    def some(self, rows: slice) -> Results:
        """Return some rows, whose arrays lie in memory as those of so many rows do."""
        return Results.of_arrays({name: np.ascontiguousarray(v[rows]) for name, v in self.arrays().items()})

    @property
    def is_recorded(self) -> bool:
        """Whether they lie in a file, and are best looked at in pieces."""
        return is_mapped(self.x)

    def forget(self) -> None:
        """Let go of the memory of what lies in a file."""
        forget([self.x])

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.flags)

    @property
    def classified(self) -> npt.NDArray[np.bool_]:
        """Which rows have probabilities, (N,)."""
        finite: npt.NDArray[np.bool_] = np.isfinite(self.conditional).all(axis=1) & (self.conditional.shape[1] > 0)
        return finite

    def mark_unanswered(self) -> None:
        """Flag the rows whose stamps got no finite probabilities, and leave them none at all."""
        unanswered = ~self.classified & ((self.flags & int(UNCLASSIFIABLE)) == 0)
        self.mark(unanswered, Flag.NO_ANSWER)
        self.conditional[unanswered] = self.spread[unanswered] = self.features[unanswered] = np.nan

    def put(self, row: int, galaxy: Galaxy) -> None:
        """Enter the measurement of a galaxy as the row of this number."""
        self.flags[row] = int(galaxy.flags)
        if galaxy.cutout is None:
            return
        self.tile[row] = galaxy.cutout.tile
        self.scale_arcsec[row] = galaxy.cutout.scale_arcsec
        if (measured := galaxy.measured) is None:
            return
        left, bottom = galaxy.cutout.origin
        self.x[row], self.y[row] = measured.x + left, measured.y + bottom
        self.position_err_px[row] = measured.position_err_px
        self.rpet_px[row], self.rpet_err_px[row] = measured.rpet_px, measured.rpet_err_px
        self.r50_px[row], self.snr[row] = measured.r50_px, measured.snr
        for name, values in self.shapes.items():
            values[row] = getattr(measured, name)

    def put_block(self, rows: npt.NDArray[np.intp], galaxies: BlockGalaxies) -> None:
        """Enter the measurements of galaxies of a block, (M,), as the rows of these numbers, (M,)."""
        self.flags[rows], self.tile[rows] = galaxies.flags, galaxies.block.pixels.tile
        self.scale_arcsec[rows] = galaxies.scales_arcsec
        left, bottom = galaxies.origins.T
        self.x[rows], self.y[rows] = galaxies.values["x"] + left, galaxies.values["y"] + bottom
        for name in ("position_err_px", "rpet_px", "rpet_err_px", "r50_px", "snr"):
            getattr(self, name)[rows] = galaxies.values[name]
        for name, values in self.shapes.items():
            values[rows] = galaxies.values[name]

    def put_part(self, rows: npt.NDArray[np.intp], part: Results) -> None:
        """Enter the results of a part, (M,), as the rows of these numbers, (M,)."""
        others = part.arrays()
        for name, values in self.arrays().items():
            values[rows] = others[name]
        self.forget()

    def mark(self, rows: npt.NDArray[np.bool_], flag: Flag) -> None:
        """Set a flag on the rows where `rows` is True."""
        self.flags[rows] |= int(flag)
