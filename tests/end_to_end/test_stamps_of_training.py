"""Training, evaluating and classifying see the same stamps of the same galaxies, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import small_sky
import torch
from plans import plan_of

from galmorph.learning.assembly import KeptSets, build_sets
from galmorph.learning.labelled_table import divided
from galmorph.learning.pipeline import load_training
from galmorph.learning.scoring import labelled_table
from galmorph.learning.training import train
from galmorph.nets.checkpoint.file import Checkpoint
from galmorph.progress import silent
from galmorph.runs.gather import Gathering, gather, views_of
from galmorph.runs.plan import Plan
from galmorph.shipped import shipped
from galmorph.sky.catalog import Catalog, catalog_from, read_catalog
from galmorph.sky.images import ImageSource, open_images
from galmorph.sky.survey import load_survey
from galmorph.stamps.recipe import Stamp
from galmorph.stamps.views import ONE

PIPELINE = """
title = "the sample"
scheme = "candels-visual"
[images]
survey = "{survey}"
band = "{band}"
[recipe]
size = 16
planes = {planes}
stretch = "{stretch}"
[network]
layers = '''
conv 4 5x5 stride 2 pad 2 batchnorm relu
globalpool mean maximum
dense answers
'''
[split]
test = 0.2
validation = 0.3
[train]
epochs = 1
batch = 16
bfloat16 = false
"""


@dataclass(frozen=True)
class Sample:
    """A sample that ships: its galaxies with the fractions of their truth as labels, and a checkpoint to see them."""

    images: Any
    weight: Any
    survey: str
    band: str
    catalog: Catalog
    checkpoint: Checkpoint

    def open(self) -> ImageSource:
        return open_images(self.images, weight=self.weight, survey=load_survey(self.survey), band=self.band)

    def classifying(self) -> Plan:
        """Plan what `classify` does with the files."""
        return plan_of(
            self.catalog,
            self.images,
            weight=self.weight,
            survey=self.survey,
            band=self.band,
            checkpoint=self.checkpoint,
        )


def labelled(name: str) -> Catalog:
    """Read the catalogue of a sample, and give it the labels of its truth."""
    folder = shipped("catalogs") / "samples" / name
    table, truth = read_catalog(folder / "catalog.fits").table, read_catalog(folder / "truth.fits").table
    for column in truth.colnames:
        if column.startswith("f_"):
            table[column] = truth[column]
    return catalog_from(table)


@pytest.fixture(scope="module", params=["candels-h", "sdss-gri"])
def sample(request) -> Sample:
    """Read one of the samples that ship."""
    folder = shipped("catalogs") / "samples" / request.param
    if request.param == "candels-h":
        paths = folder / "image.fits.gz", folder / "weight.fits.gz"
        return Sample(*paths, "candels", "H", labelled(request.param), small_sky.checkpoint())
    images, weight = ({b: folder / f"{b}{what}.fits.gz" for b in "gri"} for what in ("", "_weight"))
    settings = small_sky.rgb_checkpoint_settings() | {"scheme": "candels-visual"}
    checkpoint = small_sky.checkpoint(**settings)
    return Sample(images, weight, "sdss", "gri", labelled(request.param), checkpoint)


@pytest.fixture(scope="module")
def classified(sample) -> Mapping[int, Stamp]:
    """Cut the stamps that `classify` sees."""
    with closing(sample.classifying()) as plan:
        return dict(stamps(plan.run.gathering, sample.checkpoint))


def stamps(gathering: Gathering, checkpoint: Checkpoint, rows: Any = None) -> Iterator[tuple[int, Stamp]]:
    """Cut the raw stamp, in its default view, of each row with an image."""
    for galaxy in gather(gathering, rows):
        if galaxy.measured is not None:
            yield galaxy.row, views_of(galaxy, gathering.images, checkpoint.recipe, ONE.matrices)


@pytest.mark.parametrize("step", [1, 3], ids=["all rows", "every third row"])
def test_evaluating_sees_the_stamps_that_classifying_sees(sample, classified, step):
    with closing(sample.open()) as images:
        table = labelled_table(sample.checkpoint, sample.catalog, images, "all")
        rows = table.rows("all")[::step]
        evaluated = dict(stamps(table.gathering, sample.checkpoint, rows))
    assert len(evaluated) > 0.9 * len(rows)
    assert evaluated.keys() == classified.keys() & set(rows.tolist())
    for row, stamp in evaluated.items():
        assert np.array_equal(stamp.pixels, classified[row].pixels, equal_nan=True), row
        assert stamp.brightness == classified[row].brightness, row
        assert np.array_equal(stamp.morphometry, classified[row].morphometry, equal_nan=True), row


class Remembering(KeptSets):
    """Keeps the sets that a training builds where a test can look at them."""

    def built(self, *args: Any) -> Any:
        self.latest = super().built(*args)
        return self.latest


def test_training_learns_from_the_galaxies_that_classifying_measures(sample, tmp_path):
    recipe = sample.checkpoint.recipe
    text = PIPELINE.format(survey=sample.survey, band=sample.band, planes=recipe.planes, stretch=recipe.stretch)
    (tmp_path / "sample.toml").write_text(text)
    pipeline, sets = load_training(tmp_path / "sample.toml"), Remembering()
    with closing(sample.open()) as images:
        trained = train(sample.catalog, images, pipeline, tmp_path / "run", kept=sets)
    learnt, recipe = sets.latest.sets, trained.checkpoint.recipe
    with closing(sample.classifying()) as plan:
        gathering = plan.run.gathering
        table = replace(divided(pipeline, sample.catalog, plan.run.images), gathering=gathering)
        measured, _ = build_sets(table, pipeline, np.ones(len(table.splits)), silent)
    assert gathering.half_width_rpet == recipe.half_width_rpet
    for part in ("train", "validation"):
        assert len(learnt[part]) > 10
        assert np.array_equal(learnt[part].coefficients, measured[part].coefficients)
        assert np.array_equal(learnt[part].half_px, measured[part].half_px)
        assert np.array_equal(learnt[part].brightness, measured[part].brightness)
        assert torch.equal(learnt[part].morphometry.nan_to_num(), measured[part].morphometry.nan_to_num())
        assert torch.isfinite(learnt[part].morphometry[:, 0]).float().mean() > 0.5
