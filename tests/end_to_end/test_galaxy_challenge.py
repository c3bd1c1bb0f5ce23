"""The Galaxy Challenge's files as they are: trained on by two networks side by side, blended, scored by its RMSE."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest
import small_sky
from astropy.table import Table

import galmorph as package
from galmorph.shipped import shipped
from galmorph.sky.scheme import load_scheme

ROWS = 20
IDS = 100_008 + 15 * np.arange(ROWS)


def solutions() -> Table:
    """Return GalaxyID and 37 columns that are weighted as the challenge's are, in its order."""
    scheme, generator = load_scheme("gz2"), np.random.default_rng(1)
    shares = np.concatenate([generator.dirichlet(np.ones(w.stop - w.start), ROWS) for w in scheme.slices], axis=1)
    columns = dict(zip((a.source for a in scheme.answers), scheme.marginals(shares).T, strict=True))
    ordered = sorted(columns, key=lambda name: [int(part) for part in name.removeprefix("Class").split(".")])
    return Table({"GalaxyID": IDS} | {name: np.round(columns[name], 6) for name in ordered})


@pytest.fixture(scope="module")
def challenge(tmp_path_factory):
    """Write the two files of the challenge, small."""
    folder = tmp_path_factory.mktemp("challenge")
    with zipfile.ZipFile(folder / "images_training_rev1.zip", "w") as archive:
        archive.writestr("images_training_rev1/", b"")
        for number, name in enumerate(IDS):
            archive.writestr(f"images_training_rev1/{name}.jpg", small_sky.picture(number))
    solutions().write(folder / "training_solutions_rev1.csv", format="ascii.csv")
    return folder


def test_its_columns_are_the_real_ones():
    names = solutions().colnames
    assert (names[:4], names[-1], len(names)) == (["GalaxyID", "Class1.1", "Class1.2", "Class1.3"], "Class11.6", 38)


def test_networks_are_trained_side_by_side_blended_and_scored(galmorph, challenge, tmp_path):
    labels, images = challenge / "training_solutions_rev1.csv", challenge / "images_training_rev1.zip"
    # The same recipe and files, fewer units and views: this is about files and scores.
    quick = '[recipe]\nviews = "one"\n[train]\nbfloat16 = false\n[network]\n'
    for name, units in (("train_gz2", "dense = 8\n"), ("train_gz2_convnext", "")):
        base = shipped("pipelines") / "sdss" / f"{name}.toml"
        (tmp_path / f"{name}.toml").write_text(f'extends = "{base}"\n{quick}{units}')
    done = galmorph(
        *("run", tmp_path / "train_gz2.toml", tmp_path / "train_gz2_convnext.toml"),
        *("--input", f"labels={labels}", f"images={images}", "--split", "validation", "--epochs", 1),
        *("--threads", 1, "--device", "cpu", "-o", tmp_path / "runs"),
    )
    assert done.status == 0, done.err
    compared = Table.read(tmp_path / "runs" / "comparison.ecsv")
    row = compared[compared["question"] == "(weighted)"]
    parts = [tmp_path / "runs" / name / f"{name}.safetensors" for name in ("train_gz2", "train_gz2_convnext")]
    assert galmorph("ensemble", *parts, "-o", tmp_path / "blend.safetensors").status == 0
    scores = package.evaluate(tmp_path / "blend.safetensors", labels, images, split="validation")
    assert scores["rows"] == ROWS // 10
    assert scores["weighted"]["rmse"] == pytest.approx(of_columns(tmp_path / "blend.safetensors", challenge), abs=2e-4)
    assert scores["weighted"]["rmse"] < max(float(row[part.stem][0]) for part in parts)
    card = json.loads(parts[1].with_suffix(".json").read_text())
    assert package.show("sdss/train_gz2").startswith("# pipeline train_gz2: ")
    assert card["rows"] == {"train": 18, "validation": 2, "test": 0}


def of_columns(checkpoint, challenge) -> float:
    """Return the challenge's score by hand: 37 predicted columns of the last tenth against the file's."""
    labels, scheme = solutions()[-ROWS // 10 :], load_scheme("gz2")
    images = challenge / "images_training_rev1.zip"
    table = package.classify(labels, images, survey="sdss", band="RGB", checkpoint=checkpoint, device="cpu")
    predicted = np.stack([table[name] for name in scheme.column_names()], axis=1)
    truth = np.stack([labels[answer.source] for answer in scheme.answers], axis=1)
    return float(np.sqrt(np.mean((predicted - truth) ** 2)))
