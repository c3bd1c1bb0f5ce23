"""Device: where networks compute."""

from __future__ import annotations

import torch

from galmorph.errors import CheckpointError, unknown_name

__all__ = ["resolve_device"]


def resolve_device(device: str) -> str:
    """Turn ``'auto'`` into the device to use.

    Raises
    ------
    CheckpointError
        If the device is unknown, or CUDA is asked for and not there.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise CheckpointError(unknown_name("device", device, ("auto", "cpu", "cuda")))
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise CheckpointError("device 'cuda' was asked for, but torch finds no CUDA device: use --device cpu")
    return "cuda" if available and device != "cpu" else "cpu"
