"""A loss is found by the name of its module, and has the tests that all have."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tiny

from galmorph.errors import PipelineError
from galmorph.nets.training.loss import LOSSES
from galmorph.nets.training.loss.interface import make_loss
from galmorph.nets.training.settings import TrainingSettings
from galmorph.shipped import shipped


def test_the_losses_are_these():
    """Names that pipelines on disk use do not change."""
    assert {"likelihood", "dirichlet", "mse", "cross_entropy"} <= set(LOSSES)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_inherits_the_laws_of_all(name):
    text = Path(__file__).with_name(f"test_{name}.py").read_text(encoding="utf-8")
    assert re.search(rf'\(LossTests\):\n(?:.*\n)*?    name = "{name}"', text)


@pytest.mark.parametrize("name", LOSSES)
def test_a_pipeline_names_a_loss_by_its_module(name):
    scheme = tiny.TREE
    assert type(make_loss(name, scheme)).__module__ == f"galmorph.nets.training.loss.{name}"
    assert TrainingSettings(loss=name).loss == name


def test_an_unknown_loss_names_the_nearest():
    with pytest.raises(PipelineError, match="did you mean 'dirichlet'"):
        make_loss("dirchlet", tiny.TREE)
    with pytest.raises(PipelineError, match="did you mean 'mse'"):
        TrainingSettings(loss="msse")


@pytest.mark.parametrize("name", LOSSES)
def test_the_document_names_every_loss(name):
    text = (shipped("catalogs").parent / "docs" / "training.md").read_text(encoding="utf-8")
    paragraph = text.partition("**Loss.**")[2].partition("\n\n")[0]
    assert f'"{name}"' in paragraph


BRIER = '''"""Brier: the squared error of the probabilities of each question that was asked, by its votes."""

from __future__ import annotations

import torch

from galmorph.nets.training.loss.interface import Loss

__all__ = ["LOSS", "Brier"]


class Brier(Loss):
    """Squared error of conditional probabilities."""

    def compare(
        self, outputs: torch.Tensor, counts: torch.Tensor, totals: torch.Tensor, weight: torch.Tensor
    ) -> torch.Tensor:
        """Compute the mean over votes."""
        apart = (self.log_p(outputs).exp() - counts / totals.clamp(min=1e-12)).square() * totals * weight[:, None]
        return apart.sum() / (totals * weight[:, None]).sum().clamp(min=1.0)


LOSS = Brier
'''
LEARN = """
import sys
sys.path[:0] = sys.argv[1:]
import galmorph, tiny
from loss_tests import LossTests

assert galmorph.__file__.startswith(sys.argv[1])

class TestBrier(LossTests):
    name = "brier"
    takes_smoothing = False

laws = {name for name in dir(LossTests) if name.startswith("test_")}
for law in laws - {"test_a_gpu_computes_the_same", "test_it_has_a_name_a_module_and_tests"}:
    getattr(TestBrier(), law)()
assert len(laws) > 10
print(tiny.trainer(epochs=1, loss="brier").settings.loss)
"""


def test_a_new_loss_is_one_module(tmp_path):
    """In a scratch copy of the package: a pipeline finds it by its name, and it inherits the laws of all."""
    package = Path(shipped.__code__.co_filename).parent
    shutil.copytree(package, tmp_path / "galmorph", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "galmorph" / "nets" / "training" / "loss" / "brier.py").write_text(BRIER, encoding="utf-8")
    folders = [tmp_path, *(Path(__file__).parents[n] for n in (0, 2, 3))]
    done = subprocess.run(
        [sys.executable, "-c", LEARN, *map(str, folders)], capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["brier"]
