"""Events for TensorBoard: what is written, and what is said where it is not installed."""

from __future__ import annotations

import importlib
import sys
import warnings

import pytest

from galmorph.errors import PipelineError
from galmorph.nets.training.events import Events, check_tensorboard
from galmorph.nets.training.loop import Epoch


def epoch(number: int) -> Epoch:
    return Epoch(number, 1.0 / number, 2.0 / number, 0.01, is_best=True, is_last=False)


def test_without_tensorboard_the_extra_is_named(monkeypatch, tmp_path):
    """Before anything is measured, one line says what to install."""
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(PipelineError, match=r"galmorph\[tensorboard\]"):
        check_tensorboard()
    with pytest.raises(PipelineError, match="not installed"):
        Events(tmp_path, 0)


def test_a_resumed_run_shows_every_epoch_once(tmp_path):
    """Epochs that a stopped run wrote beyond its state are purged by the one that goes on."""
    pytest.importorskip("tensorboard")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of TensorBoard's own imports
        reader = importlib.import_module("tensorboard.backend.event_processing.event_accumulator")
        for done, numbers in ((0, (1, 2, 3)), (2, (3, 4))):
            events = Events(tmp_path, done)
            for number in numbers:
                events.add(epoch(number))
            events.close()
        found = reader.EventAccumulator(str(tmp_path)).Reload()
    assert [(e.step, e.value) for e in found.Scalars("loss/validation")] == [
        (n, pytest.approx(2.0 / n)) for n in (1, 2, 3, 4)
    ]
    assert {"loss/train", "loss/validation", "learning_rate"} == set(found.Tags()["scalars"])
