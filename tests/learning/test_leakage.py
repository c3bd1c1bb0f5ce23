"""Nothing of the test part reaches what is trained, fitted or compared with: scrambled, it changes no bit."""

from __future__ import annotations

import io
import zipfile
from contextlib import closing

import drawn
import numpy as np
import pytest
import torch
from astropy.table import Table
from PIL import Image

from galmorph.learning.labelled_table import divided
from galmorph.learning.pipeline import load_training
from galmorph.learning.scoring import calibrate_checkpoint, evaluate_checkpoint, labelled_table
from galmorph.learning.sections import CalibrationSettings
from galmorph.learning.training import train
from galmorph.nets.evaluate import mean_fractions
from galmorph.sky.catalog import read_catalog
from galmorph.sky.images import open_images
from galmorph.sky.scheme import load_scheme
from galmorph.sky.survey import load_survey

# All that looks at labels: weights of classes and of a balance, stars with as many votes as usual, a calibration.
MORE = """
[stars]
count = 6
answer = "smooth_round"
rpet_px = 3.0
[calibration]
method = "dirichlet"
sets = "aps"
coverage = 0.7
"""
KEYS = load_scheme("gz2-simple").keys
ROWS = 64


def votes(rng: np.random.Generator, row: int, *, scrambled: bool) -> np.ndarray:
    """Draw the votes of a picture: some thirty, most for what was drawn; scrambled, hundreds for another class."""
    answers = rng.multinomial(30 + int(rng.integers(12)), rng.dirichlet(np.ones(len(KEYS))))
    answers[KEYS.index(drawn.CLASSES[row % 2])] += 25
    return np.roll(answers, 2) * 9 if scrambled else answers


def noise(row: int) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(1000 + row).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(stream, "JPEG", quality=95)
    return stream.getvalue()


def write(folder, tested):
    """Write labels, images and a pipeline; the rows of `tested` are scrambled."""
    folder.mkdir()
    rng = np.random.default_rng(3)
    rows = [votes(rng, row, scrambled=row in tested) for row in range(ROWS)]
    table = Table({"file": [f"{row}.jpg" for row in range(ROWS)], "block": ["ab"[row % 2] for row in range(ROWS)]})
    for column, key in enumerate(KEYS):
        table[key] = [int(answers[column]) for answers in rows]
    table.write(folder / "labels.csv", format="ascii.csv")
    with zipfile.ZipFile(folder / "images.zip", "w") as archive:
        for row in range(ROWS):
            archive.writestr(f"{row}.jpg", noise(row) if row in tested else drawn.picture(row))
    text = drawn.PIPELINE.replace("[train]", '[train]\nclass_weights = "effective"').replace(
        "epochs = 12", "epochs = 2"
    )
    (folder / "leak.toml").write_text(text.replace("[split]", '[split]\nbalance = { block = "a" }') + MORE)
    return read_catalog(folder / "labels.csv")


def images_of(folder):
    return closing(open_images(folder / "images.zip", survey=load_survey("sdss"), band="RGB"))


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Train twice, the second time with labels and images of the test part scrambled."""
    root = tmp_path_factory.mktemp("leakage")
    split = load_training(write_pipeline(root)).split
    tested = np.flatnonzero(split.divide([f"{row}.jpg" for row in range(ROWS)], {}) == "test")
    runs = []
    for name, scrambled in (("plain", ()), ("scrambled", tested)):
        catalog = write(root / name, set(scrambled))
        with images_of(root / name) as images:
            pipeline = load_training(root / name / "leak.toml")
            runs.append((root / name, catalog, train(catalog, images, pipeline, root / name / "run")))
    return tested, *runs


def write_pipeline(root):
    (root / "plain.toml").write_text(drawn.PIPELINE)
    return root / "plain.toml"


def test_the_test_part_is_indeed_another(both):
    """Otherwise the rest says nothing: both its labels and its images give other scores."""
    tested, (_, _, plain), (folder, catalog, _) = both
    assert len(tested) > 8
    with images_of(folder) as images:
        scores = evaluate_checkpoint(plain.checkpoint, catalog, images)
    assert scores["rows"] == len(tested)
    assert scores["accuracy"] < 0.5


def test_weights_and_losses_are_bit_identical(both):
    _, (*_, plain), (*_, scrambled) = both
    other = scrambled.checkpoint.network.state_dict()
    for name, weight in plain.checkpoint.network.state_dict().items():
        assert torch.equal(weight, other[name]), name
    assert plain.card["curves"] == scrambled.card["curves"]
    assert plain.checkpoint.sha256 == scrambled.checkpoint.sha256


def test_constants_and_calibration_are_bit_identical(both):
    """Of the card, and fitted once more to a checkpoint that exists."""
    _, (*_, plain), (folder, catalog, scrambled) = both
    for entry in ("training_means", "validation", "calibration"):
        assert plain.card[entry] == scrambled.card[entry], entry
    settings = CalibrationSettings(method="dirichlet", sets="aps", coverage=0.7)
    with images_of(folder) as images:
        again, card = calibrate_checkpoint(plain.checkpoint, catalog, images, settings)
    assert (again.temperatures, again.sets, again.envelope.to_dict()) == (
        plain.checkpoint.temperatures,
        plain.checkpoint.sets,
        plain.checkpoint.envelope.to_dict(),
    )
    assert all(np.array_equal(a, b) for a, b in zip(again.maps, plain.checkpoint.maps, strict=True))
    assert card["validation"] == plain.card["validation"]


@pytest.mark.parametrize("split", ["validation", "test", "all"])
def test_the_constant_of_every_score_is_that_of_the_training_part(both, split):
    """Whatever is scored: the mean fractions of the rows that train, and its distance from the labels scored."""
    _, (folder, catalog, plain), _ = both
    with images_of(folder) as images:
        table = divided(load_training(folder / "leak.toml"), catalog, images)
        scored = labelled_table(plain.checkpoint, catalog, images, split)
        scores = evaluate_checkpoint(plain.checkpoint, catalog, images, split=split)
    means = mean_fractions(table.labels.take(np.flatnonzero(table.splits == "train")), table.scheme)
    np.testing.assert_array_equal(scored.constant, means)
    labels = table.labels.take(table.rows(split))
    distance = np.sqrt(((labels.fractions - means) ** 2).mean())
    assert scores["questions"]["class"]["constant"] == pytest.approx(distance, rel=1e-9)
