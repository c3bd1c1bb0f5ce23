"""DisplayStretch: how flux becomes brightness for the eye, by an inverse hyperbolic sine between black and white."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from galmorph.stamps.background import clipped_sky

__all__ = ["DisplayStretch"]

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class DisplayStretch:
    """Black, white and softening, in units of `unit` above the sky (Lupton, Gunn & Szalay 1999: asinh).

    Parameters
    ----------
    black, white
        What is shown as black and as white.
    softening
        Below it brightness is linear in flux, above it logarithmic.
    unit
        Flux of one unit: the noise of the sky; of pictures, whose pixels are no flux, a hundredth of their range.
    """

    black: float
    white: float
    softening: float
    unit: float = 1.0

    @classmethod
    def of_flux(cls, flux: FloatArray, valid: BoolArray, radius: float) -> Self:
        """Choose the stretch of linear flux, (S, S): from below the sky to the galaxy's brightest pixels.

        Parameters
        ----------
        valid
            (S, S) where there are data; somewhere.
        radius
            Of the galaxy, in half-widths of the stamp.
        """
        axis = (np.arange(len(flux)) + 0.5) * 2.0 / len(flux) - 1.0
        inside = (np.hypot(axis[:, None], axis[None, :]) <= radius) & valid
        noise = max(clipped_sky(flux, valid).sigma, 1e-20)
        white = max(float(np.percentile(flux[inside if inside.any() else valid], 99.7)) / noise, 6.0)
        # A twentieth of the peak keeps arms and bulges apart in bright galaxies, two sigma the outskirts of faint ones.
        return cls(-1.5, white, max(2.0, white / 20.0), noise)

    @classmethod
    def of_pictures(cls) -> Self:
        """Return the stretch that leaves a picture, of levels from 0 to 1, next to as it is."""
        return cls(0.0, 100.0, 1000.0, 0.01)

    @staticmethod
    def unit_text(*, is_flux: bool) -> str:
        """Say what one unit is."""
        return "standard deviations of the sky" if is_flux else "hundredths of the picture's range"

    def brightness(self, flux: FloatArray) -> FloatArray:
        """Map flux, (...), to brightness: 0 for black, 1 for white."""
        softening = max(self.softening, 1e-6)
        low = np.arcsinh(self.black / softening)
        high = np.arcsinh(max(self.white, self.black + 1e-6) / softening)
        return np.asarray((np.arcsinh(flux / (softening * self.unit)) - low) / max(high - low, 1e-12), np.float32)
