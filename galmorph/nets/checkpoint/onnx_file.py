"""OnnxFile: a checkpoint as an ONNX file, which other programs and runtimes can use.

The graph takes stretched stamps, ``stamps`` (batch, C, S, S), and where a network takes it ``morphometry``, (batch, K),
as :mod:`galmorph.stamps.morphometry` lists it, NaN where something is missing. It gives ``conditional``, (batch, A):
the probability of every answer given that its question is asked, averaged over the networks and over the orientations
that they look at, before calibration; ``passes``, (P, batch, A): the same for each of these alone; and ``features``,
(batch, F): what the last dense layer of the first network sees of the stamp, averaged over its orientations, by which
the envelope is judged. Everything else that a checkpoint holds (recipe, scheme, calibration, envelope) is JSON in the
file's metadata under the key ``galmorph``, as in the checkpoint's own header; only the arrays of the envelope's
embedding are not.
"""

from __future__ import annotations

import importlib
import json
import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from galmorph.errors import CheckpointError
from galmorph.nets.architecture.fused import plain
from galmorph.nets.architecture.network import members_of
from galmorph.nets.checkpoint.file import Checkpoint, OnnxRunner, contents_of
from galmorph.sky.boundary import boundary
from galmorph.sky.formats.atomic import replacing
from galmorph.stamps.morphometry import MORPHOMETRY, NO_MORPHOMETRY
from galmorph.text_file import read_json

__all__ = ["TOLERANCE", "Answering", "library", "onnx_runner", "with_onnx", "write_onnx"]

FloatArray = npt.NDArray[np.float32]
TOLERANCE = 1e-4
"""Largest difference of a probability between torch and the exported file."""
# A file is run on other machines than the one that exported it, whose kernels add in another order: single precision
# leaves some 1e-5 of a probability then. Less than this could not be seen beside the error of calibrated probabilities,
# some .01; damage that matters is larger.
_RUN_TOLERANCE = 1e-3
_RANDOM = 8
_INPUTS = ("stamps", "morphometry")
_OUTPUTS = ("conditional", "passes", "features")


class Answering(nn.Module):
    """All between stamps, (B, C, S, S), and uncalibrated probabilities, (B, A) and (P, B, A), and features, (B, F).

    Networks that take the morphometry, (B, K), get it too.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__()
        self.members = nn.ModuleList(plain(m) for m in members_of(checkpoint.network))
        self.weights, self.through = checkpoint.weights.tolist(), checkpoint.through
        _ = checkpoint.alike  # compares weights, which cannot be done while what is computed is being recorded

    def forward(
        self, stamps: torch.Tensor, morphometry: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Average over networks and orientations; return the mean, each alone, and features of the first network."""
        passes, features = self.through(self.members, stamps, morphometry)  # type: ignore[arg-type]
        return (passes * torch.tensor(self.weights)[:, None, None]).sum(dim=0), passes, features


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
            f"library '{name}' is not installed, which ONNX files need: install it with pip install 'galmorph[onnx]'"
        ) from error


def write_onnx(
    checkpoint: Checkpoint,
    path: str | Path,
    stamps: FloatArray | None = None,
    morphometry: FloatArray | None = None,
    *,
    overwrite: bool = True,
) -> tuple[Path, float]:
    """Write a checkpoint as an ONNX file and check it against torch.

    Parameters
    ----------
    path
        Where.
    stamps
        (N, C, S, S) real stamps to check it on, besides random ones.
    morphometry
        (N, K) of the same galaxies.
    overwrite
        Whether an existing file may be replaced.

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
    entry.key, entry.value = "galmorph", json.dumps({**contents_of(checkpoint), "sha256": checkpoint.sha256})
    onnx.checker.check_model(proto)
    contents = proto.SerializeToString()
    worst = _difference(model, contents, *_examples(checkpoint, stamps, morphometry))
    if not worst <= TOLERANCE:
        raise CheckpointError(
            f"checkpoint '{checkpoint.name}' as ONNX differs from torch by {worst:.2g} in a probability, expected at "
            f"most {TOLERANCE:g}: nothing was written; update onnxruntime"
        )
    with replacing(Path(path), overwrite=overwrite) as temporary:
        temporary.write_bytes(contents)
    return Path(path), worst


def _graph(model: Answering, checkpoint: Checkpoint) -> Any:
    recipe = checkpoint.recipe
    examples = (torch.zeros(2, recipe.planes, recipe.size, recipe.size), torch.zeros(2, len(MORPHOMETRY)))
    inputs = _inputs_of(checkpoint)
    batch = torch.export.Dim("batch")
    with _quietly(), torch.inference_mode():
        program = torch.onnx.export(
            model.eval(),
            examples[: len(inputs)],
            dynamo=True,
            input_names=list(inputs),
            output_names=list(_OUTPUTS),
            dynamic_shapes={name: {0: batch} for name in inputs},
            verbose=False,
        )
    assert program is not None
    return program.model_proto


def _inputs_of(checkpoint: Checkpoint) -> tuple[str, ...]:
    return _INPUTS if checkpoint.takes_morphometry else _INPUTS[:1]


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep warnings of the exporter about itself from the user, and what it prints from standard output."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(sys.stderr):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


def _examples(
    checkpoint: Checkpoint, stamps: FloatArray | None, morphometry: FloatArray | None
) -> tuple[FloatArray, FloatArray]:
    """Return random stamps and morphometry, in which some is missing, and the real ones if there are any."""
    recipe, rng = checkpoint.recipe, np.random.default_rng(1)
    shape = (_RANDOM, recipe.planes, recipe.size, recipe.size)
    drawn = rng.normal(0.3, 0.5, shape).astype(np.float32)
    values = rng.normal(0.5, 1.0, (_RANDOM, len(MORPHOMETRY))).astype(np.float32)
    values[: _RANDOM // 2, 0] = np.nan
    if stamps is None:
        return drawn, values
    real = np.tile(NO_MORPHOMETRY[:1], (len(stamps), 1)) if morphometry is None else morphometry
    return np.concatenate([drawn, stamps]), np.concatenate([values, real])


def _difference(model: Answering, contents: bytes, stamps: FloatArray, morphometry: FloatArray) -> float:
    """Return the largest difference of any probability, in a batch and one by one."""
    run = onnx_runner(contents)
    with torch.inference_mode():
        _, passes, _ = model(torch.from_numpy(stamps), torch.from_numpy(morphometry))
    together, _ = run(stamps, morphometry)
    alone = np.concatenate([run(stamps[i : i + 1], morphometry[i : i + 1])[0] for i in range(len(stamps))], axis=1)
    return float(max(np.abs(answers - passes.numpy()).max() for answers in (together, alone)))


def onnx_runner(file: str | Path | bytes) -> OnnxRunner:
    """Open an exported file on the processor.

    Returns
    -------
    A function from stamps, (B, C, S, S), and morphometry, (B, K), to passes, (P, B, A), and features, (B, F).

    Raises
    ------
    CheckpointError
        If onnxruntime is not installed or cannot read the file.
    """
    return _runner(_session(file))


def with_onnx(checkpoint: Checkpoint, path: str | Path) -> Checkpoint:
    """Return a checkpoint whose probabilities come from an exported file of the same checkpoint, by onnxruntime.

    Raises
    ------
    CheckpointError
        If onnxruntime is not installed, or the file is missing, no ONNX, of another checkpoint, or answers otherwise
        than its networks do.
    """
    if not Path(path).is_file():
        raise CheckpointError(f"no file '{path}': expected torch, or what galmorph export wrote; export it first")
    session = _session(path)
    with boundary(lambda reason: CheckpointError(f"'{path}' cannot be run ({reason}): export the checkpoint again")):
        _check_origin(session, checkpoint, path)
        _check_shapes(session, checkpoint, path)
        run = _runner(session)
        _check_answers(run, checkpoint, path)
    return replace(checkpoint, onnx=run)


def _check_origin(session: Any, checkpoint: Checkpoint, path: str | Path) -> None:
    """Refuse what was exported from another checkpoint, by what the file says."""
    inside = read_json(session.get_modelmeta().custom_metadata_map.get("galmorph", "{}"))
    name, sha256 = inside.get("name", "unknown"), str(inside.get("sha256", ""))
    if sha256 != checkpoint.sha256:
        raise CheckpointError(
            f"'{path}' was exported from checkpoint '{name}' {sha256[:8]}, expected '{checkpoint.name}' "
            f"{checkpoint.sha256[:8]}: export that one"
        )


def _check_shapes(session: Any, checkpoint: Checkpoint, path: str | Path) -> None:
    """Refuse a graph for other stamps or answers, or one that takes or gives something else."""
    recipe, networks, answers = checkpoint.recipe, len(checkpoint.weights), len(checkpoint.scheme.keys)
    shapes = {each.name: (each.type, each.shape) for each in (*session.get_inputs(), *session.get_outputs())}
    inputs = {"stamps": (None, recipe.planes, recipe.size, recipe.size), "morphometry": (None, len(MORPHOMETRY))}
    inputs = {name: inputs[name] for name in _inputs_of(checkpoint)}
    expected = inputs | {"passes": (networks, None, answers)}
    for name, shape in expected.items():
        kind, sides = shapes.get(name, ("nothing", ()))
        fitting = len(sides) == len(shape) and all(
            n is None or n == m or not isinstance(m, int) for n, m in zip(shape, sides, strict=True)
        )
        if kind != "tensor(float)" or not fitting or len(session.get_inputs()) != len(inputs):
            words = " x ".join("N" if n is None else str(n) for n in shape)
            raise CheckpointError(
                f"'{path}' has {kind} {list(sides)} as '{name}', expected {words} of single precision for checkpoint "
                f"'{checkpoint.name}': export that one"
            )


def _check_answers(run: OnnxRunner, checkpoint: Checkpoint, path: str | Path) -> None:
    """Compare a file with the networks that it says it holds, on stamps with noise and with galaxies."""
    examples = _examples(checkpoint, _drawn_galaxies(checkpoint), None)
    passes, features = run(*examples)
    ours = replace(checkpoint, onnx=None).passes(*examples)
    size = max(float(np.abs(ours.features).max(initial=0.0)), 1.0)
    for what, theirs, expected in (("a probability", passes, ours.each), ("a feature", features, ours.features / size)):
        scaled = theirs / size if what == "a feature" else theirs
        worst = float(np.abs(scaled - expected).max()) if theirs.shape == expected.shape else float("inf")
        if not worst <= _RUN_TOLERANCE:
            raise CheckpointError(
                f"'{path}' differs from checkpoint '{checkpoint.name}' by {worst:.2g} in {what}, expected at most "
                f"{_RUN_TOLERANCE:g}: it is damaged or was changed; export it again"
            )


def _drawn_galaxies(checkpoint: Checkpoint) -> FloatArray:
    """Draw stamps of smooth elongated galaxies of several sizes, which light other weights than noise does."""
    recipe = checkpoint.recipe
    y, x = np.mgrid[-1 : 1 : recipe.size * 1j, -1 : 1 : recipe.size * 1j]
    widths = np.array([[0.08, 0.08], [0.2, 0.1], [0.15, 0.4], [0.6, 0.5]])[:, :, None, None]
    light = np.exp(-np.hypot(x / widths[:, :1], y / widths[:, 1:]))  # (4, 1, S, S), exponential discs
    return np.repeat(light, recipe.planes, axis=1).astype(np.float32)


def _session(file: str | Path | bytes) -> Any:
    runtime = library("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    source = file if isinstance(file, bytes) else str(file)
    words = "the graph" if isinstance(file, bytes) else f"'{file}'"
    with boundary(lambda why: CheckpointError(f"{words} cannot be read as ONNX ({why}): export the checkpoint again")):
        return runtime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def _runner(session: Any) -> OnnxRunner:
    names = [entry.name for entry in session.get_inputs()]

    def run(stamps: FloatArray, morphometry: FloatArray) -> tuple[FloatArray, FloatArray]:
        inputs = zip(_INPUTS, (stamps, morphometry), strict=True)
        fed = {name: np.ascontiguousarray(array) for name, array in inputs if name in names}
        passes, features = session.run(["passes", "features"], fed)
        return passes, features

    return run
