"""Mosaics: arrays as PNG pictures that lie in the page itself."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

__all__ = ["diverging", "grey", "mosaic", "png_uri", "sequential", "stamp_levels"]

FloatArray = npt.NDArray[np.float32]
ByteArray = npt.NDArray[np.uint8]

# Five anchors each, told apart with any colour vision: blue to red through white after ColorBrewer's RdBu
# (Brewer 2003), and dark blue to yellow after cividis (Nuñez et al. 2018, PLoS ONE 13, e0199239).
_DIVERGING = np.array([(5, 48, 97), (67, 147, 195), (247, 247, 247), (214, 96, 77), (103, 0, 31)], float)
_SEQUENTIAL = np.array([(0, 32, 77), (65, 77, 107), (124, 123, 120), (185, 172, 112), (255, 234, 70)], float)


def _through(anchors: npt.NDArray[np.float64], shares: FloatArray) -> ByteArray:
    """Interpolate colours, (..., 3), at shares of the way from the first anchor to the last."""
    places = np.linspace(0.0, 1.0, len(anchors))
    inside = np.clip(np.nan_to_num(shares), 0.0, 1.0)
    colours = np.stack([np.interp(inside, places, anchors[:, c]) for c in range(3)], axis=-1)
    return np.round(colours).astype(np.uint8)


def diverging(values: FloatArray, top: float) -> ByteArray:
    """Colour signed values, (H, W): blue at -top, white at 0, red at top."""
    return _through(_DIVERGING, np.asarray(0.5 + 0.5 * values / max(top, 1e-30), np.float32))


def sequential(values: FloatArray, low: float, high: float) -> ByteArray:
    """Colour values, (H, W), from dark blue at `low` to yellow at `high`."""
    return _through(_SEQUENTIAL, np.asarray((values - low) / max(high - low, 1e-30), np.float32))


def grey(values: FloatArray) -> ByteArray:
    """Turn planes in [0, 1], (1 or 3, H, W), into colours, (H, W, 3)."""
    levels = np.round(np.clip(np.nan_to_num(values), 0.0, 1.0) * 255.0).astype(np.uint8)
    return np.repeat(levels, 3 // len(levels), axis=0).transpose(1, 2, 0)


def stamp_levels(stamp: FloatArray, *, display: bool) -> ByteArray:
    """Turn a stretched stamp, (1 or 3, S, S), into colours, (S, S, 3): as it is, or between its 1 and 99.8 %."""
    if display:
        return grey(stamp)
    low, high = np.percentile(stamp, [1.0, 99.8]).tolist()
    return grey(np.asarray((stamp - low) / max(high - low, 1e-6), np.float32))


def mosaic(tiles: Sequence[ByteArray], across: int, *, zoom: int = 1) -> ByteArray:
    """Lay equal tiles, (h, w, 3), side by side, `across` in a row, with transparent gaps between them: (H, W, 4)."""
    big = [np.kron(t, np.ones((zoom, zoom, 1), np.uint8)) for t in tiles]
    height, width = big[0].shape[:2]
    gap = max(2, width // 16)
    rows = -(-len(big) // across)
    across = min(across, len(big))
    out = np.zeros((rows * (height + gap) - gap, across * (width + gap) - gap, 4), np.uint8)
    for number, tile in enumerate(big):
        top, left = (number // across) * (height + gap), (number % across) * (width + gap)
        out[top : top + height, left : left + width, :3] = tile
        out[top : top + height, left : left + width, 3] = 255
    return out


def png_uri(pixels: ByteArray) -> str:
    """Write colours, (H, W, 3), or colours with opacity, (H, W, 4), as a PNG in a data URI; 255 colours at most."""
    picture = Image.fromarray(np.ascontiguousarray(pixels[..., :3])).quantize(255)
    hidden = pixels.shape[-1] == 4 and bool((pixels[..., 3] == 0).any())
    if hidden:
        numbers = np.where(pixels[..., 3] == 0, 255, np.asarray(picture)).astype(np.uint8)
        palette = (picture.getpalette() or [])[: 3 * 255]
        picture = Image.fromarray(numbers)
        picture.putpalette([*palette, *([0] * (768 - len(palette)))])
    stream = io.BytesIO()
    picture.save(stream, "PNG", optimize=True, **({"transparency": 255} if hidden else {}))
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
