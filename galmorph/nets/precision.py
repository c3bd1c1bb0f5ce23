"""Precision: which numbers are computed in which precision, decided here alone.

Single precision, by :func:`single_precision`, without the TF32 of GPUs, which keeps three decimals:
    stamps (warps, blurs, observations), so that a galaxy looks the same wherever it is observed; the probabilities that
    a checkpoint predicts unless a run asks for less, so that a catalogue does not depend on the device; a training
    without ``bfloat16``.
bfloat16, by :func:`half_convolutions`, where a training or :func:`answering` asks for it and the device has it:
    convolutions and dense layers. It has the range of single precision but two to three decimals, which is enough for
    products that are summed in single precision anyway, and nothing else.
Single precision within bfloat16, by :func:`single` and :func:`uncast`:
    normalisations, whose variances are differences of large numbers; likeness to centroids, which is compared with
    thresholds; the last dense layer, whose numbers are compared with votes; losses.
Double precision:
    the Dirichlet loss, whose large terms cancel; calibration, prediction sets and embeddings, which are numpy's.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

__all__ = ["answering", "computes_bfloat16", "half_convolutions", "single", "single_precision", "uncast"]


class _Tf32Switch:
    """cuDNN's switch for TF32, on by default and one for the whole process: off while anybody in here computes.

    Several threads may compute at once; the last that ends puts it back. What users set for products of matrices, where
    torch leaves TF32 off, is theirs.
    """

    def __init__(self) -> None:
        self._lock, self._users, self._was_on = threading.Lock(), 0, False

    def __enter__(self) -> None:
        with self._lock:
            if self._users == 0 and (on := _allows_tf32()):
                self._was_on, torch.backends.cudnn.allow_tf32 = on, False
            self._users += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0 and self._was_on:
                self._was_on, torch.backends.cudnn.allow_tf32 = False, True


def _allows_tf32() -> bool:
    try:
        return torch.backends.cudnn.allow_tf32
    except RuntimeError:  # convolutions have been set apart by torch's newer switches; whoever did so has decided
        return False


_TF32 = _Tf32Switch()


@contextmanager
def single_precision(device: torch.device | str) -> Iterator[None]:
    """Compute in full single precision on a device, whatever surrounds it.

    For one piece of work: a generator must not yield inside, since the rest of the process would go on like this.
    """
    with uncast(device), _TF32:
        yield


def computes_bfloat16(device: torch.device | str) -> bool:
    """Tell whether a device computes in bfloat16 itself; a processor without AVX-512 emulates it, far more slowly."""
    if torch.device(device).type == "cpu":
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # noqa: SLF001 - how torch's own compiler asks
    return True


def half_convolutions(device: torch.device | str, *, wanted: bool) -> torch.autocast:
    """Compute convolutions and dense layers in bfloat16, where that is wanted."""
    return torch.autocast(torch.device(device).type, dtype=torch.bfloat16, enabled=wanted)


@contextmanager
def answering(device: torch.device | str, *, half: bool = False) -> Iterator[None]:
    """Predict on a device: in full single precision, or with convolutions in bfloat16.

    For one piece of work, as :func:`single_precision`.
    """
    with single_precision(device), half_convolutions(device, wanted=half):
        yield


def uncast(device: torch.device | str) -> AbstractContextManager[object]:
    """Compute in the precision of what comes in, also inside :func:`half_convolutions`."""
    kind = torch.device(device).type
    # Where nothing is cast there is nothing to switch off; exported graphs would have a node for it.
    return torch.autocast(kind, enabled=False) if torch.is_autocast_enabled(kind) else nullcontext()


def single(x: torch.Tensor) -> torch.Tensor:
    """Return numbers in single precision; double precision stays."""
    return x if x.dtype == torch.float64 else x.float()
