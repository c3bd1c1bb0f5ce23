"""A loss is found by the name of its module, and has the tests that all have."""

from __future__ import annotations

import re
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
