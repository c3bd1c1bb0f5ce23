"""Exported: a checkpoint as an ONNX file, which other programs and runtimes can use.

The graph takes stretched stamps, ``stamps`` (batch, C, S, S), and gives ``conditional``, (batch, A): the probability of
every answer given that its question is asked, averaged over the networks and over the orientations that they look at,
before calibration. Everything else that a checkpoint holds (recipe, scheme, calibration, envelope) is JSON in the
file's metadata under the key ``galmorph``, as in the checkpoint's own header.
"""

from __future__ import annotations

import copy
import importlib
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from galmorph.errors import CheckpointError, OutputError
from galmorph.nets.checkpoint import Checkpoint, contents_of, replacing
from galmorph.nets.layers import ORDER, SquareConv, SquareNorm, conditional_log_probabilities
from galmorph.nets.network import members_of, shares_of, views

__all__ = ["TOLERANCE", "Answering", "library", "plain", "run_onnx", "write_onnx"]

FloatArray = npt.NDArray[np.float32]
TOLERANCE = 1e-4
"""Largest difference of a probability between torch and the exported file."""
_RANDOM = 8


class Answering(nn.Module):
    """Everything between stamps, (B, C, S, S), and uncalibrated conditional probabilities, (B, A)."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__()
        self.members = nn.ModuleList(plain(m) for m in members_of(checkpoint.network))
        self.shares = shares_of(checkpoint.network)
        self.slices, self.independent = checkpoint.scheme.slices, checkpoint.scheme.kind == "independent"

    def forward(self, stamps: torch.Tensor) -> torch.Tensor:  # (B, C, S, S) -> (B, A)
        """Average over networks and orientations."""
        found = []
        for member, share in zip(self.members, self.shares, strict=True):
            turns = list(views(member, stamps))  # type: ignore[arg-type]
            for view in turns:
                p = conditional_log_probabilities(member(view).float(), self.slices, independent=self.independent).exp()
                found.append(p * (share / len(turns)))
        return torch.stack(found).sum(dim=0)


def plain(network: nn.Module) -> nn.Module:
    """Copy a network with its group convolutions written out as ordinary ones, which give the same for less work."""
    made = copy.deepcopy(network).eval().cpu()
    for parent in list(made.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, SquareConv):
                setattr(parent, name, _convolution(child))
            elif isinstance(child, SquareNorm):
                setattr(parent, name, _normalisation(child))
    return made


def _convolution(square: SquareConv) -> nn.Conv2d:
    kernels = square.kernels().detach()
    outputs, inputs, width, _ = kernels.shape
    made = nn.Conv2d(inputs, outputs, width, square.stride, square.padding, bias=False)
    made.weight = nn.Parameter(kernels.contiguous(memory_format=torch.channels_last), requires_grad=False)
    return made


def _normalisation(square: SquareNorm) -> nn.BatchNorm2d:
    made = nn.BatchNorm2d(ORDER * len(square.weight)).eval()
    made.weight.data, made.bias.data = (v.detach().repeat_interleave(ORDER) for v in (square.weight, square.bias))
    made.running_mean, made.running_var = (v.repeat_interleave(ORDER) for v in (square.mean, square.variance))
    return made


def library(name: str) -> ModuleType:
    """Import one of the libraries that only exporting needs.

    Raises
    ------
    CheckpointError
        If it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise CheckpointError(
            f"the library '{name}' is not installed, which ONNX files need: install it with pip install 'galmorph[onnx]'"
        ) from error


def write_onnx(checkpoint: Checkpoint, path: str | Path, stamps: FloatArray | None = None) -> tuple[Path, float]:
    """Write a checkpoint as an ONNX file and check it against torch.

    Parameters
    ----------
    path
        Where; an existing file is replaced.
    stamps
        (N, C, S, S) real stamps to check it on, besides random ones.

    Returns
    -------
    The file, and the largest difference of a probability from torch's.

    Raises
    ------
    CheckpointError
        If a library is missing, or probabilities differ by more than :data:`TOLERANCE`.
    OutputError
        If the file cannot be written.
    """
    onnx, _, _ = (library(name) for name in ("onnx", "onnxscript", "onnxruntime"))
    model = Answering(checkpoint)
    proto = _graph(model, checkpoint)
    entry = proto.metadata_props.add()
    entry.key, entry.value = "galmorph", json.dumps(contents_of(checkpoint))
    onnx.checker.check_model(proto)
    contents = proto.SerializeToString()
    worst = _difference(model, contents, _examples(checkpoint, stamps))
    if not worst <= TOLERANCE:
        raise CheckpointError(
            f"checkpoint '{checkpoint.name}' as ONNX differs from torch by {worst:.2g} in a probability, expected at most "
            f"{TOLERANCE:g}: nothing was written; update onnxruntime"
        )
    path = Path(path)
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(contents)
    except OSError as error:
        raise OutputError(f"'{path}' cannot be written: {error.strerror}; choose another with -o") from error
    return path, worst


def _graph(model: Answering, checkpoint: Checkpoint) -> Any:
    recipe = checkpoint.recipe
    example = torch.zeros(2, recipe.planes, recipe.size, recipe.size)
    with _quietly(), torch.inference_mode():
        program = torch.onnx.export(
            model.eval(),
            (example,),
            dynamo=True,
            input_names=["stamps"],
            output_names=["conditional"],
            dynamic_shapes={"stamps": {0: torch.export.Dim("batch")}},
            verbose=False,
        )
    assert program is not None
    return program.model_proto


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep warnings of the exporter about itself from the user."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


def _examples(checkpoint: Checkpoint, stamps: FloatArray | None) -> FloatArray:
    """Return random stamps, and the real ones if given."""
    recipe = checkpoint.recipe
    shape = (_RANDOM, recipe.planes, recipe.size, recipe.size)
    drawn = np.random.default_rng(1).normal(0.3, 0.5, shape).astype(np.float32)
    return drawn if stamps is None else np.concatenate([drawn, stamps])


def _difference(model: Answering, contents: bytes, stamps: FloatArray) -> float:
    with torch.inference_mode():
        ours = model(torch.from_numpy(stamps)).numpy()
    return float(np.abs(run_onnx(contents, stamps) - ours).max())


def run_onnx(file: str | Path | bytes, stamps: FloatArray, *, threads: int = 1) -> FloatArray:
    """Run an exported file on stamps, (N, C, S, S), on the processor; returns uncalibrated probabilities, (N, A)."""
    runtime = library("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    given = file if isinstance(file, bytes) else str(file)
    session = runtime.InferenceSession(given, options, providers=["CPUExecutionProvider"])
    found: FloatArray = session.run(["conditional"], {"stamps": stamps})[0]
    return found
