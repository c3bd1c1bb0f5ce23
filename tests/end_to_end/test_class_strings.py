"""Thirteen classes from Galaxy Zoo 2's own table and pictures: three rotations, scores, a catalogue."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest
import small_sky
from astropy.table import Table

import galmorph as package
from galmorph.sky.scheme import load_scheme

ROWS = 60
IDS = 587_722_981_736_120_347 + 65_536 * np.arange(ROWS, dtype=np.int64)
STRINGS = ("Ei", "Ser", "Sc?t", "SBc2m(r)", "Er(o)", "A")


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    """Write a table with columns of gz2_hart16.csv, and a zip of pictures named by objid."""
    folder = tmp_path_factory.mktemp("zoo")
    with zipfile.ZipFile(folder / "images_gz2.zip", "w") as archive:
        for number, name in enumerate(IDS):
            archive.writestr(f"images/{name}.jpg", small_sky.picture(number))
    table = Table({"dr7objid": IDS, "ra": np.linspace(110.0, 260.0, ROWS), "dec": np.linspace(-1.0, 60.0, ROWS)})
    table["sample"] = "original"
    table["gz2class"] = [STRINGS[number % len(STRINGS)] for number in range(ROWS)]
    table["t01_smooth_or_features_a01_smooth_count"] = 20
    table.write(folder / "gz2_hart16.csv", format="ascii.csv")
    return folder


def test_its_recipe_trains_scores_and_classifies(galmorph, zoo, tmp_path):
    labels, images = zoo / "gz2_hart16.csv", zoo / "images_gz2.zip"
    done = galmorph(
        *("run", "sdss/train_class13", "--input", f"labels={labels}", f"images={images}"),
        *("--epochs", 1, "--threads", 1, "--device", "cpu", "-o", tmp_path),
    )
    assert done.status == 0, done.err
    folder = tmp_path / "train_class13"
    card = json.loads((folder / "train_class13.json").read_text())
    assert sum(card["rows"].values()) == ROWS
    assert card["weights"] == 176_077
    assert card["settings"]["augmentation"]["angles"] == [0, 45, 90]
    assert card["training_means"]["other"] == pytest.approx(0.5, abs=0.1)
    scores = package.evaluate(folder / "train_class13.safetensors", labels, images, split="test", file="dr7objid")
    assert scores["rows"] == card["rows"]["test"] > 0
    checkpoint = folder / "train_class13.safetensors"
    table = package.classify(labels, images, survey="sdss", band="RGB", checkpoint=checkpoint, file="dr7objid")
    columns = load_scheme("gz2-class13").column_names()
    assert np.stack([table[name] for name in columns], axis=1).sum(axis=1) == pytest.approx(np.ones(ROWS), abs=1e-5)
    assert table["gz2class"].tolist() == [STRINGS[number % len(STRINGS)] for number in range(ROWS)]
