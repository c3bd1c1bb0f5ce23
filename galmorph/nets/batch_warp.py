"""BatchWarp: the warp that makes stamps, for many views and galaxies at once, on a processor or a GPU.

It is that of :mod:`galmorph.stamps.warp` for views of any angle (a cubic B-spline sampled n × n times in each stamp
pixel), batched over stamps on the device of its input.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F  # noqa: N812 - torch's own convention

__all__ = ["batch_warp"]

# Stamps sampled together on a processor: more would not fit into its cache.
_TOGETHER = 8


def batch_warp(coefficients: torch.Tensor, matrices: torch.Tensor, size: int, n: int) -> torch.Tensor:
    """Resample images to stamps, without gradients.

    Parameters
    ----------
    coefficients
        (B, C, H, W) B-spline coefficients (``scipy.ndimage.spline_filter`` with ``mode='mirror'``).
    matrices
        (B, 2, 3) from stamp coordinates to pixels.
    size
        Side of the stamps.
    n
        Sample points per axis in each stamp pixel.

    Returns
    -------
    (B, C, size, size); zero outside the images. The same as :func:`galmorph.stamps.warp.sample` with as many points.
    """
    together = _TOGETHER if coefficients.device.type == "cpu" else max(len(matrices), 1)
    parts = zip(torch.split(coefficients, together), torch.split(matrices, together), strict=True)
    with torch.no_grad():
        return torch.cat([_sampled(images, views, size, n) for images, views in parts])


def _sampled(coefficients: torch.Tensor, matrices: torch.Tensor, size: int, n: int) -> torch.Tensor:
    x, y, weights = _points(matrices, size, n)
    share = weights.repeat(1, 1, size) * n  # of a point in its stamp pixel, over that in a plain mean
    fine = _spline(coefficients, x, y, share[:, 0, None, :] * share[:, 1, :, None])
    return F.avg_pool2d(fine, n) if n > 1 else fine


def _points(matrices: torch.Tensor, size: int, n: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return sample points in pixels, x and y of (B, size · n, size · n), and their weights per axis, (B, 2, n)."""
    reach = torch.linalg.vector_norm(matrices[:, :, :2], dim=1)  # pixels in half a stamp along its axes
    offsets, weights = _combs((reach * (2.0 / size)).clamp(min=1.0), n)
    middles = (torch.arange(size, device=matrices.device, dtype=matrices.dtype) + 0.5) * (2.0 / size) - 1.0
    points = (middles[:, None] + (offsets / reach.clamp(min=1e-12)[..., None])[:, :, None]).reshape(-1, 2, 1, size * n)
    shares = matrices[:, :, :2, None] * points.transpose(1, 2)  # (B, to, from, S · n)
    columns = shares[:, :, 0] + matrices[:, :, 2:]
    rows = shares[:, :, 1]
    x, y = (columns[:, to, None, :] + rows[:, to, :, None] for to in (0, 1))
    return x, y, weights


def _combs(widths: torch.Tensor, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return points and weights, (..., n), that widen a mean over one pixel to `widths` (see stamps.spline.comb)."""
    k = torch.arange(1, n, device=widths.device, dtype=widths.dtype)
    squares = k**2 * (widths[..., None] ** 2 - k**2) / (4.0 * (4.0 * k**2 - 1.0))
    off = squares.clamp(min=0.0).sqrt()
    points, vectors = torch.linalg.eigh(torch.diag_embed(off, 1) + torch.diag_embed(off, -1))
    return points, vectors[..., 0, :] ** 2


def _spline(coefficients: torch.Tensor, x: torch.Tensor, y: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Evaluate a cubic B-spline as four weighted bilinear look-ups (Sigg & Hadwiger 2005, GPU Gems 2, ch. 20).

    Values are multiplied by `share`, which is overwritten, and by the part of the pixel about them that lies inside.
    """
    height, width = coefficients.shape[-2:]
    grid = torch.empty((*x.shape, 2), dtype=x.dtype, device=x.device)
    inside = share.mul_(_covered(x, width)).mul_(_covered(y, height))
    across, down = _look_ups(x, width), _look_ups(y, height)
    out = torch.zeros((), dtype=x.dtype, device=x.device)
    for place_y, weight_y in down:
        grid[..., 1] = place_y
        weight_y.mul_(inside)
        for place_x, weight_x in across:
            grid[..., 0] = place_x
            # 'reflection' about pixel centres is the mirror boundary of the prefilter.
            value = F.grid_sample(coefficients, grid, mode="bilinear", padding_mode="reflection", align_corners=True)
            out = value.mul_((weight_x * weight_y)[:, None]).add_(out)
    return out


def _covered(x: torch.Tensor, length: int) -> torch.Tensor:
    """Return the part of a pixel about `x` that lies on an image."""
    return ((length + 1) / 2 - (x - (length - 1) / 2).abs_()).clamp_(0.0, 1.0)


def _look_ups(x: torch.Tensor, length: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return where between the four coefficients about `x` to look, in grid_sample's units, and the weights."""
    whole = torch.floor(x)
    t = x - whole
    square = t * t
    cube = square * t
    low = (5.0 / 6.0 - 0.5 * t).sub_(square, alpha=0.5).add_(cube, alpha=1.0 / 3.0)
    second = (2.0 / 3.0 - square).add_(cube, alpha=0.5)
    high = 1.0 - low
    # One pixel is this much; places are from the middle of the image.
    unit, whole = 2.0 / (length - 1), whole.sub_((length - 1) / 2)
    near = second.div_(low).add_(whole).sub_(1.0).mul_(unit)
    far = cube.div_(high).mul_(1.0 / 6.0).add_(whole).add_(1.0).mul_(unit)
    return [(near, low), (far, high)]
