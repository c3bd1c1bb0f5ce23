"""Exporting a checkpoint and classifying with the file, from the command line."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from astropy.table import Table


def test_the_exported_file_classifies_like_torch(galmorph, classified, h_checkpoint, tmp_path):
    """The same classes and probabilities to 1e-4; an existing file stays unless told otherwise."""
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name, reason=f"{name} is not installed")
    file = tmp_path / "h.onnx"
    done = galmorph("export", h_checkpoint, "-o", file)
    assert (done.status, done.out) == (0, f"{file}\n"), done.err
    assert "largest difference" in done.err
    assert "exists already" in galmorph("export", h_checkpoint, "-o", file).err
    for name, runtime in (("torch", "torch"), ("onnx", file)):
        done = classified(tmp_path / f"{name}.fits", "--runtime", runtime, "--errors")
        assert done.status == 0, done.err
    one, other = (Table.read(tmp_path / f"{n}.fits") for n in ("torch", "onnx"))
    assert list(one["gm_class"]) == list(other["gm_class"])
    for name in one.colnames:
        if name.startswith("gm_p_"):
            np.testing.assert_allclose(other[name], one[name], atol=1e-4)


def test_what_cannot_be_used_is_one_line(galmorph, classified, h_checkpoint, tmp_path, monkeypatch):
    """A runtime that is no file, and a library that is missing; nothing is written."""
    assert "export it first" in classified(tmp_path / "out.fits", "--runtime", "onnx").err
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    monkeypatch.setitem(sys.modules, "onnx", None)
    done = galmorph("export", h_checkpoint, "-o", tmp_path / "h.onnx")
    assert done.status == 1
    assert "galmorph[onnx]" in done.err
    assert list(tmp_path.iterdir()) == []
