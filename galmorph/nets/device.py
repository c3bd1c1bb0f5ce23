"""Device: where networks compute."""

from __future__ import annotations

import torch

from galmorph.errors import CheckpointError, unknown_name
from galmorph.nets.precision import computes_bfloat16

__all__ = ["resolve_device"]


def resolve_device(device: str, *, half: bool = False) -> str:
    """Turn ``'auto'`` into the device to use.

    Parameters
    ----------
    half
        Whether it is to compute in bfloat16.

    Raises
    ------
    CheckpointError
        If the device is unknown, CUDA is asked for and not there, or bfloat16 and the device has it not.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise CheckpointError(unknown_name("device", device, ("auto", "cpu", "cuda")))
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise CheckpointError("device 'cuda' was asked for, but torch finds no CUDA device: use --device cpu")
    chosen = "cuda" if available and device != "cpu" else "cpu"
    if half and not computes_bfloat16(chosen):
        raise CheckpointError(
            "precision 'bfloat16': this processor has no instructions for it (AVX-512), and emulates it at many times "
            "the cost of single precision; leave it out"
        )
    return chosen
