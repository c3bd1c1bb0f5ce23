"""TrainingSet: galaxies ready to be warped into random stamps, and their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage

from galmorph.nets.batch_warp import batch_warp
from galmorph.nets.training.augment import misread, random_turns, vary
from galmorph.nets.training.observation import observe
from galmorph.nets.training.settings import Augmentation
from galmorph.sky.scheme import Labels
from galmorph.stamps.affine import compose, stamp_matrix
from galmorph.stamps.morphometry import NO_MORPHOMETRY
from galmorph.stamps.recipe import Recipe, stretch
from galmorph.stamps.warp import binned

__all__ = ["REACH", "Canvas", "CanvasStack", "TrainingSet", "canvas", "canvas_side", "star_canvases"]

FloatArray = npt.NDArray[np.float32]

# Room for a random zoom, rotation and shift: sqrt(2) · 1.25 + 0.1.
REACH = 1.9
_CPU = torch.device("cpu")
_SUBSAMPLES = 2


@dataclass(frozen=True)
class Canvas:
    """One galaxy for training.

    Parameters
    ----------
    coefficients
        (C, P, P) float16 B-spline coefficients of the prepared planes, binned by a whole number so that a stamp
        pixel covers one to two canvas pixels.
    half_px
        Half-width of the stamp in canvas pixels; the galaxy is in the middle.
    brightness
        Scale of the stretch.
    morphometry
        (2, K) values and errors of :func:`galmorph.stamps.morphometry.morphometry`; None where nothing was measured.
    """

    coefficients: npt.NDArray[np.float16]
    half_px: float
    brightness: float
    morphometry: FloatArray | None = None


def canvas_side(recipe: Recipe) -> int:
    """Pixels along a canvas of this recipe."""
    return 2 * int(np.ceil(REACH * recipe.size)) + 1


def canvas(planes: FloatArray, x: float, y: float, half_px: float, brightness: float, recipe: Recipe) -> Canvas:
    """Bin and crop prepared planes, (C, H, W), about a centre."""
    side = canvas_side(recipe)
    factor = max(1, int(half_px / (recipe.size / 2)))
    window = _binned_window(planes, (x, y), factor, side)
    # Any unit must fit into half precision; a display image does, and the network sees its values as they are.
    peak = 1.0 if recipe.stretch == "display" else max(float(np.abs(window).max()), 1e-30)
    coefficients = np.stack([ndimage.spline_filter(p, order=3, mode="mirror", output=np.float32) for p in window])
    return Canvas((coefficients / peak).astype(np.float16), half_px / factor, brightness / peak)


def _binned_window(planes: FloatArray, centre: tuple[float, float], factor: int, side: int) -> FloatArray:
    planes_n, height, width = planes.shape
    span = side * factor
    # The centre falls on the middle of the middle bin to within half a raw pixel, far less than the random shifts.
    left, top = (round(c - (span - 1) / 2) for c in centre)
    out = np.zeros((planes_n, span, span), np.float32)
    rows = slice(max(top, 0), min(top + span, height))
    columns = slice(max(left, 0), min(left + span, width))
    if rows.stop > rows.start and columns.stop > columns.start:
        out[:, rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = planes[
            :, rows, columns
        ]
    return binned(out, factor)


class CanvasStack:
    """Canvases in one array, which takes memory as it fills.

    Parameters
    ----------
    room
        The most that it can hold.
    """

    def __init__(self, room: int, recipe: Recipe) -> None:
        side = canvas_side(recipe)
        self._all = np.empty((room, recipe.planes, side, side), np.float16)
        self.half_px: list[float] = []
        self.brightness: list[float] = []
        self.morphometry: list[FloatArray] = []

    def __len__(self) -> int:
        """Return the number of canvases."""
        return len(self.half_px)

    def add(self, one: Canvas) -> None:
        """Add one."""
        self._all[len(self)] = one.coefficients
        self.half_px.append(one.half_px)
        self.brightness.append(one.brightness)
        self.morphometry.append(NO_MORPHOMETRY if one.morphometry is None else one.morphometry)

    @property
    def coefficients(self) -> npt.NDArray[np.float16]:
        """All that were added, (N, C, P, P), without a copy."""
        return self._all[: len(self)]

    @classmethod
    def of(cls, canvases: Sequence[Canvas], recipe: Recipe) -> CanvasStack:
        """Stack canvases."""
        stack = cls(len(canvases), recipe)
        for one in canvases:
            stack.add(one)
        return stack


@dataclass(frozen=True)
class TrainingSet:
    """N galaxies: canvases, stamp sizes and labels as tensors; without a label the totals are 0."""

    coefficients: torch.Tensor  # (N, C, P, P) float16
    half_px: torch.Tensor  # (N,)
    brightness: torch.Tensor  # (N,)
    counts: torch.Tensor  # (N, A)
    totals: torch.Tensor  # (N, A)
    recipe: Recipe
    is_star: torch.Tensor | None = None  # (N,) synthetic stars
    weight: torch.Tensor | None = None  # (N,) in the loss
    morphometry: torch.Tensor | None = None  # (N, 2, K) values and errors
    device: torch.device = _CPU  # of the stamps

    @classmethod
    def build(
        cls,
        canvases: Sequence[Canvas] | CanvasStack,
        labels: Labels,
        recipe: Recipe,
        *,
        stars: int = 0,
    ) -> TrainingSet:
        """Stack canvases and their labels, of equal weight; the last `stars` are synthetic stars."""
        stack = canvases if isinstance(canvases, CanvasStack) else CanvasStack.of(canvases, recipe)
        return cls(
            torch.from_numpy(stack.coefficients),
            torch.tensor(stack.half_px, dtype=torch.float32),
            torch.tensor(stack.brightness, dtype=torch.float32),
            torch.from_numpy(labels.counts).float(),
            torch.from_numpy(labels.totals).float(),
            recipe,
            torch.arange(len(stack)) >= len(stack) - stars,
            morphometry=torch.from_numpy(np.stack(stack.morphometry)) if len(stack) else None,
        )

    def weighted(self, weight: npt.NDArray[np.float64]) -> TrainingSet:
        """Return the same galaxies with these weights in the loss, (N,)."""
        return replace(self, weight=torch.from_numpy(weight).float())

    def on(self, device: str | torch.device) -> TrainingSet:
        """Make stamps and keep labels on a device; canvases go there too if they take less than half of its memory."""
        target = torch.device(device)
        if target.type == "cpu":
            return self
        moved = {name: getattr(self, name) for name in ("brightness", "counts", "totals", "is_star", "weight")}
        moved = {name: None if value is None else value.to(target) for name, value in moved.items()}
        if self.coefficients.nbytes < torch.cuda.mem_get_info(target)[0] / 2:
            moved["coefficients"] = self.coefficients.to(target)
        return replace(self, device=target, **moved)

    @property
    def labelled(self) -> torch.Tensor:
        """Numbers of the rows with a label."""
        return torch.nonzero(self.totals.amax(dim=1) > 0)[:, 0].cpu()

    @property
    def unlabelled(self) -> torch.Tensor:
        """Numbers of the rows without a label."""
        return torch.nonzero(self.totals.amax(dim=1) <= 0)[:, 0].cpu()

    def __len__(self) -> int:
        """Return the number of galaxies."""
        return len(self.half_px)

    def matrices(self, rows: torch.Tensor) -> torch.Tensor:
        """From stamp coordinates to canvas pixels, upright views, (B, 2, 3)."""
        middle = (self.coefficients.shape[-1] - 1) / 2
        upright = torch.from_numpy(stamp_matrix(middle, middle, 1.0)).float().repeat(len(rows), 1, 1)
        upright[:, 0, 0] = upright[:, 1, 1] = self.half_px[rows]
        return upright

    def stamps(self, rows: torch.Tensor, ranges: Augmentation | None, generator: torch.Generator) -> torch.Tensor:
        """Warp rows into stretched stamps, (B, C, S, S): random views, or upright ones without `ranges`.

        `rows` and `generator` are the processor's, so that the same views are drawn on every device.
        """
        matrices = self.matrices(rows)
        if ranges is not None:
            matrices = _compose(matrices, random_turns(len(rows), ranges, generator))
        pixels = batch_warp(self._canvases(rows), matrices.to(self.device), self.recipe.size, _SUBSAMPLES)
        brightness = self.brightness[rows][:, None, None, None]
        if ranges is not None and ranges.observation is not None:
            star = None if self.is_star is None else self.is_star[rows]
            half = self.recipe.half_width_rpet
            pixels = observe(pixels / brightness, ranges.observation, half, generator, is_star=star)
            brightness = torch.ones_like(brightness)
        if ranges is not None:
            pixels = vary(pixels, ranges, generator)
        stamps: torch.Tensor = stretch(pixels, brightness, self.recipe, asinh=torch.asinh)
        return stamps

    def measured(
        self, rows: torch.Tensor, ranges: Augmentation | None, generator: torch.Generator
    ) -> torch.Tensor | None:
        """Take the morphometry of rows, (B, K): misread at random, or as it is without `ranges`."""
        if self.morphometry is None:
            return None
        values, errors = self.morphometry[rows].unbind(dim=1)
        return (values if ranges is None else misread(values, errors, ranges, generator)).to(self.device)

    def _canvases(self, rows: torch.Tensor) -> torch.Tensor:
        chosen = self.coefficients[rows]
        if chosen.device != self.device:  # copied while the device still computes the batch before
            chosen = chosen.pin_memory().to(self.device, non_blocking=True)
        return chosen.float()


def _compose(outer: torch.Tensor, inner: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(compose(outer.numpy(), inner.numpy()))


def star_canvases(n: int, recipe: Recipe, *, rpet_px: float, seed: int) -> list[Canvas]:
    """Make synthetic stars: Moffat profiles of random wings and slight ellipticity, without noise.

    Parameters
    ----------
    n
        How many.
    rpet_px
        Petrosian radius of the star on its canvas, in pixels.
    """
    rng = np.random.default_rng(seed)
    side = canvas_side(recipe)
    axis = np.arange(side) - (side - 1) / 2
    stars = []
    for _ in range(n):
        beta, ratio, angle = rng.uniform(2.2, 5.0), rng.uniform(0.92, 1.0), rng.uniform(0, np.pi)
        x = axis[None, :] * np.cos(angle) + axis[:, None] * np.sin(angle)
        y = (axis[:, None] * np.cos(angle) - axis[None, :] * np.sin(angle)) / ratio
        # r_P / FWHM of a Moffat profile (eta = 0.2) runs from 1.5 at beta 2.2 to 1.1 at beta 5.
        fwhm = rpet_px / (0.97 + 1.1 / (beta - 0.1))
        core = fwhm / (2.0 * np.sqrt(2.0 ** (1.0 / beta) - 1.0))
        star = (1.0 + (x**2 + y**2) / core**2) ** -beta
        inside = axis[None, :] ** 2 + axis[:, None] ** 2 <= rpet_px**2
        half_px = recipe.half_width_rpet * rpet_px
        planes = np.repeat(star[None].astype(np.float32), recipe.planes, axis=0)
        middle = (side - 1) / 2
        stars.append(canvas(planes, middle, middle, half_px, float(star[inside].mean()), recipe))
    return stars
