"""The page about a checkpoint is whole, safe, true, and the same for a seed."""

from __future__ import annotations

import io
import json
import re
import zipfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small_sky
import torch
from astropy.table import Table
from PIL import Image
from well_formed import parsed

import galmorph
from galmorph.errors import CatalogError, CheckpointError, ImageError, OutputError, PipelineError
from galmorph.learning.scoring import evaluate_checkpoint, labelled_table
from galmorph.learning.viewed import stamps_of_rows, view_rows
from galmorph.nets.architecture.network import Ensemble, Network, NetworkConfig
from galmorph.nets.checkpoint.envelope import Envelope
from galmorph.nets.checkpoint.file import Checkpoint, load_checkpoint, save_checkpoint
from galmorph.pages import sample as sampling
from galmorph.pages.binning import binned
from galmorph.pages.diagrams import reliability_diagram, votes_diagram
from galmorph.pages.exhibits import examples, filter_exhibits, layer_exhibits, liveliest, unit_exhibits
from galmorph.pages.inspection import inspect_checkpoint
from galmorph.pages.losses import loss_curves
from galmorph.pages.mosaics import diverging, grey, mosaic, sequential, stamp_levels
from galmorph.pages.sample import Sample, labelled_sample
from galmorph.sky.scheme import Scheme, load_scheme
from galmorph.stamps.morphometry import stacked
from galmorph.stamps.recipe import Recipe

ROWS = 24
LAYERS = {
    "gz2-simple": "conv 16 6x6 stride 2 pad 2 square batchnorm relu\nglobalpool mean\ndropout 0.2\ndense answers",
    "gz-ceers": "conv 8 5x5 stride 2 relu\nresidual 8\nglobalpool mean\ndense answers",
    "candels-visual": "conv 4 5x5 stride 2 relu\npool 2x2\ndense 12 maxout 2\ndense answers",
}


def write_checkpoint(folder: Path, scheme_name: str, members: int = 1) -> Path:
    """Write a checkpoint that has learnt nothing, and a card."""
    colour = scheme_name == "gz2-simple"
    scheme = load_scheme(scheme_name)
    recipe = Recipe(size=32, planes=3 if colour else 1, stretch="display" if colour else "asinh")
    config = NetworkConfig(LAYERS[scheme_name], name="untaught", views="one" if colour else "eight")
    torch.manual_seed(3)
    networks = [Network(config, recipe, scheme).eval() for _ in range(members)]
    made = Checkpoint(
        name="un/taught",
        version="0.0",
        network=networks[0] if members == 1 else Ensemble(networks),
        scheme=scheme,
        recipe=recipe,
        envelope=Envelope("sdss", ("i", "r", "g")) if colour else Envelope("nircam", ("F200W",), 0.03, (5.0, 500.0)),
        temperatures=(1.0,) * len(scheme.questions),
        split={"method": "hash", "test": 0.25, "validation": 0.5},
    )
    curve = [{"epoch": e, "train_loss": 3 / e, "validation_loss": 2 / e + 0.1 * (e == 4)} for e in range(1, 5)]
    score = {"rows": 9, "rmse": 0.1234, "constant": 0.2, "floor": 0.05, "signal_explained": 0.777, "coverage": 0.91}
    card = {
        "title": "<b>Untaught</b> & small",
        "data": "drawn for a test",
        "trained": "2026-11-01",
        "rows": {"train": 1234, "validation": 5, "test": 6},
        "curves": curve if members == 1 else [curve] * members,
        "settings": {"train": {"epochs": 4, "bfloat16": True}, "split": {}, "fractions": {}},
        "test": {"rows": 9, "questions": {scheme.questions[0].name: score}, "pooled": {}},
    }
    return save_checkpoint(made, folder / "untaught.safetensors", card)


def write_labels(folder: Path, scheme_name: str) -> None:
    """Draw pictures of galaxies, and votes or classes for them."""
    names = [f"{n}<i>.png" for n in range(ROWS)]
    with zipfile.ZipFile(folder / "images.zip", "w") as archive:
        for number, name in enumerate(names):
            light = small_sky.light((64, 64), 32, 32, 4.0 + number % 5, q=0.3 + 0.1 * (number % 7))
            noise = np.random.default_rng(number).normal(0, 1.5, (64, 64, 3))
            stream = io.BytesIO()
            Image.fromarray(np.clip(6 + noise + 220 * light[..., None], 0, 255).astype(np.uint8)).save(stream, "PNG")
            archive.writestr(name, stream.getvalue())
    scheme = load_scheme(scheme_name)
    table = Table({"file": names})
    rng = np.random.default_rng(1)
    if scheme.kind == "exclusive":
        table["label"] = [scheme.keys[n % 5] if n else "" for n in range(ROWS)]
    else:
        votes = rng.integers(0, 12, (ROWS, len(scheme.keys)))
        for answer, column in zip(scheme.answers, votes.T, strict=True):
            table[answer.key] = column / 12 if scheme.kind == "independent" else column
    table.write(folder / "labels.csv", format="ascii.csv")


@pytest.fixture(params=list(LAYERS))
def case(request, tmp_path):
    """Return a folder with a checkpoint and labels, and a function that writes its page."""
    write_labels(tmp_path, request.param)
    path = write_checkpoint(tmp_path, request.param, members=2 if request.param == "gz2-simple" else 1)

    def inspect(name: str = "page.html", *, labels: bool = True, **settings: object) -> str:
        if not labels:
            return inspect_checkpoint(path, output=tmp_path / name, **settings).read_text(encoding="utf-8")
        with closing(opened(tmp_path, path)) as images:
            catalog = galmorph.read_catalog(tmp_path / "labels.csv")
            page = inspect_checkpoint(path, catalog, images, output=tmp_path / name, **settings)
        return page.read_text(encoding="utf-8")

    return tmp_path, path, inspect


def opened(folder: Path, path: Path):
    made = load_checkpoint(path).envelope
    band = "RGB" if len(made.bands) == 3 else made.bands[0]
    return galmorph.open_images(folder / "images.zip", survey=made.survey, band=band)


def sections(page: str) -> set[str | None]:
    return {a.get("id") for tag, a in parsed(page).tags if tag == "section"}


ALWAYS = {"verdict", "facts", "scores", "training", "network", "filters"}
OF_LABELS = {"reliability", "confusion", "votes"}
OF_GALAXIES = {"through", "units", "saliency"}


def test_page_with_labels_is_one_well_formed_document_that_requests_nothing(case):
    _, _, inspect = case
    page = inspect(split="all")
    found = parsed(page)
    assert sections(page) == ALWAYS | OF_LABELS | OF_GALAXIES | {"worst", "certain"}
    without_images = re.sub(r"data:image/png;base64,[\w+/=]+", "", page)
    assert not re.search(r"https?:|//|@import|url\(|<script|<iframe|<object|<i>|<b>", without_images)
    assert all(str(a["src"]).startswith("data:image/png") for a in found.all("img"))
    assert all(a.get("alt") for a in found.all("img"))
    assert all(a.get("aria-label") or a.get("aria-hidden") == "true" for a in found.all("svg"))
    assert len(found.all("caption")) == len(found.all("table"))
    targets = {a["href"] for a in found.all("a")}
    assert targets <= {f"#{a['id']}" for _, a in found.tags if "id" in a}
    assert len(page) < 3_000_000


def test_page_without_labels_has_what_the_file_and_card_know(case):
    _, path, inspect = case
    page = inspect(labels=False)
    assert sections(page) == ALWAYS
    words = " ".join("".join(parsed(page).words).split())
    for expected in (
        "<b>Untaught</b> & small",
        "drawn for a test",
        "1 234",
        "0.777",
        "0.910",
        "Written without labels",
    ):
        assert expected in words
    for line in load_checkpoint(path).config.lines():
        assert f"<code>{line.text}</code>" in page


def test_page_without_pictures_names_the_worst_and_shows_no_galaxy(case):
    _, _, inspect = case
    page = inspect(split="all", pictures="none")
    assert sections(page) == ALWAYS | OF_LABELS | {"worst"}
    worst = page.split('id="worst"')[1].partition("</section>")[0]
    assert "&lt;i&gt;.png" in worst
    assert "They are named only" in worst
    kept = {a["alt"] for a in parsed(page).all("img")}
    assert all(str(alt).startswith("Weights") for alt in kept)


def test_the_same_seed_gives_the_same_page(case):
    _, _, inspect = case
    assert inspect("a.html", split="all", rows=10, seed=5) == inspect("b.html", split="all", rows=10, seed=5)
    assert "10 galaxies of the all part" in inspect("c.html", split="all", rows=10)


def test_scores_on_the_page_are_those_of_evaluating(case):
    folder, path, inspect = case
    page = inspect(split="validation")
    made = load_checkpoint(path)
    with closing(opened(folder, path)) as images:
        catalog = galmorph.read_catalog(folder / "labels.csv")
        scores = evaluate_checkpoint(made, catalog, images, split="validation")
    table = page.split("for this page")[1].partition("</table>")[0]
    first = scores["questions"][made.scheme.questions[0].name]
    assert f'number">{first["rmse"]:.3f}<' in table
    explained = f"{first['signal_explained']:.3f}".replace("-", "\N{MINUS SIGN}")
    assert f'number">{explained}<' in table


def test_confusion_and_mistakes_agree_with_the_probabilities(case):
    folder, path, inspect = case
    page = inspect(split="all")
    made = load_checkpoint(path)
    with closing(opened(folder, path)) as images:
        sample = labelled_sample(made, galmorph.read_catalog(folder / "labels.csv"), images, split="all")
    counts = sample.judged.confusion(0)
    matrix = page.split('class="confusion"')[1].partition("</table>")[0]
    shown = [int(n) for n in re.findall(r'class="cell"[^>]*>(\d+)', matrix)]
    assert shown == counts.ravel().tolist()
    wrong = int(counts.sum() - np.trace(counts))
    worst = page.split('id="worst"')[1].partition("</section>")[0]
    assert worst.count("<article") == min(wrong, 24) > 0
    assert f"of {wrong} galaxies" in worst


@pytest.mark.parametrize("views", ["one", "turns2"])
def test_a_sample_has_the_answers_of_all_views_and_the_stamps_of_the_first(tmp_path, views):
    write_labels(tmp_path, "gz2-simple")
    path = write_checkpoint(tmp_path, "gz2-simple", members=3)
    made = load_checkpoint(path)
    several = replace(made, recipe=replace(made.recipe, views=views))
    with closing(opened(tmp_path, path)) as images:
        catalog = galmorph.read_catalog(tmp_path / "labels.csv")
        sample = labelled_sample(several, catalog, images, split="all")
        table = labelled_table(several, catalog, images, "all")
        expected = view_rows(several, table.gathering, table.rows("all")).conditional
        (unturned,) = stamps_of_rows(made, table.gathering, table.rows("all"))
    np.testing.assert_array_equal(sample.conditional, expected)
    np.testing.assert_allclose(sample.stamps, unturned.stamps[:, 0], atol=1e-5)
    apart = np.abs(sample.conditional - made.predict(sample.stamps)).max()
    assert apart < 1e-6 if views == "one" else apart > 1e-6


def test_a_page_of_different_networks_says_so(tmp_path):
    write_labels(tmp_path, "gz2-simple")
    path = write_checkpoint(tmp_path, "gz2-simple")
    made = load_checkpoint(path)
    other = NetworkConfig(LAYERS["gz-ceers"], name="other", views="eight")
    torch.manual_seed(5)
    both = Ensemble([made.network, Network(other, made.recipe, made.scheme)], [0.75, 0.25]).eval()
    joined = save_checkpoint(
        replace(made, network=both, recipe=replace(made.recipe, views="turns2")), tmp_path / "joined.safetensors", {}
    )
    page = " ".join("".join(parsed(inspect_checkpoint(joined, output=tmp_path).read_text()).words).split())
    assert "ensemble of 2 with weights 0.75, 0.25: untaught + other" in page
    assert "averaged over eight orientations or invariant to flips and quarter turns" in page
    assert "the first of 2 different networks" in page
    assert "turns2 (2)" in page


def test_a_score_that_the_card_has_is_not_shown_twice(case):
    folder, path, inspect = case
    with closing(opened(folder, path)) as images:
        catalog = galmorph.read_catalog(folder / "labels.csv")
        scores = evaluate_checkpoint(load_checkpoint(path), catalog, images, split="validation")
    card = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps({**card, "validation": scores}))
    page = inspect(split="validation")
    assert "scored again for this page, with the same result" in page
    assert page.count('class="scores"') == 2


def test_a_checkpoint_without_a_card_has_a_page(case):
    _, path, inspect = case
    path.with_suffix(".json").unlink()
    page = inspect(split="all")
    assert 'id="losses"' not in page
    assert "not said" in page
    assert sections(inspect("b.html", labels=False)) == ALWAYS - {"scores"}


def test_the_card_gets_the_page_and_a_folder_gets_the_name(case):
    folder, path, inspect = case
    card = path.with_suffix(".json")
    inspect("pages", labels=False, card=card)
    assert (folder / "pages" / "untaught.html").is_file()
    assert json.loads(card.read_text())["page"] == "pages/untaught.html"
    assert json.loads(card.read_text())["title"] == "<b>Untaught</b> & small"


def test_simulated_galaxies_need_no_labels(case, monkeypatch):
    pytest.importorskip("galsim")
    monkeypatch.setattr(sampling, "_SIMULATED_ROWS", 6)
    _, _, inspect = case
    page = inspect(labels=False, pictures="simulated")
    assert sections(page) == ALWAYS | OF_GALAXIES
    assert "no pixel of them is an observation" in page
    page = inspect("b.html", split="all", pictures="simulated")
    assert sections(page) == ALWAYS | OF_GALAXIES | OF_LABELS | {"worst"}
    pictures = parsed(page).all("img")
    assert pictures
    assert not any(".png" in f"{a['alt']} {a.get('title')}" for a in pictures)


def test_what_cannot_work_is_refused(case):
    folder, path, inspect = case
    out = {"output": folder / "x.html"}
    with closing(opened(folder, path)) as images:
        catalog = galmorph.read_catalog(folder / "labels.csv")
        with pytest.raises(CatalogError, match="labels came without images"):
            inspect_checkpoint(path, catalog, **out)
        with pytest.raises(CatalogError, match="images came without labels"):
            inspect_checkpoint(path, None, images, **out)
        with pytest.raises(PipelineError, match="did you mean 'validation'"):
            inspect_checkpoint(path, catalog, images, split="validatoin", **out)
        away = galmorph.read_catalog(_renamed(folder / "labels.csv"))
        with pytest.raises(ImageError, match=r"none of the .* rows of split 'all' has an image"):
            inspect_checkpoint(path, away, images, split="all", **out)
    with pytest.raises(CatalogError, match="split 'test' was asked for without labels"):
        inspect(labels=False, split="test")
    with pytest.raises(PipelineError, match="0 rows were asked for"):
        inspect(rows=0)
    with pytest.raises(PipelineError, match="seed -1: expected a whole number from 0"):
        inspect(seed=-1)
    with pytest.raises(PipelineError, match="did you mean 'none'"):
        inspect(pictures="nun")
    with pytest.raises(CheckpointError, match="unknown checkpoint 'sdss-rbg'"):
        inspect_checkpoint("sdss-rbg", **out)
    (folder / "a-file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        inspect("a-file/page.html", labels=False)
    inspect(labels=False)
    with pytest.raises(OutputError, match="exists already"):
        inspect(labels=False)
    inspect(labels=False, overwrite=True)
    assert not (folder / "x.html").exists()


def _renamed(path: Path) -> Path:
    away = path.with_name("away.csv")
    away.write_text(path.read_text().replace("<i>", "<u>"))
    return away


# Pieces


def plain_sample(n: int = 12, answers: int = 3) -> Sample:
    rng = np.random.default_rng(2)
    conditional = rng.dirichlet(np.ones(answers), n)
    stamps = rng.normal(0, 1, (n, 1, 16, 16)).astype(np.float32)
    return Sample(stamps, stacked([None] * n), [str(i) for i in range(n)], conditional, answers, rows_up=True)


def plain_network(layers: str = "conv 8 3x3 relu\nglobalpool mean\ndense answers") -> Network:
    torch.manual_seed(1)
    questions = [{"name": "only", "answers": ["a", "b", "c"]}]
    scheme = {"name": "t", "title": "t", "reference": "none", "kind": "exclusive", "questions": questions}
    return Network(NetworkConfig(layers), Recipe(size=16), Scheme.from_dict(scheme)).eval()


def test_examples_without_labels_are_the_most_certain_of_each_answer():
    sample = plain_sample()
    for answer, rows in enumerate(examples(sample, 2)):
        given = sample.conditional[:, answer][sample.conditional.argmax(axis=1) == answer]
        assert sample.conditional[rows, answer].tolist() == sorted(given, reverse=True)[:2]


def test_units_are_shown_once_with_the_stamps_that_excite_them_most():
    sample, network = plain_sample(), plain_network()
    sample.stamps[7] *= 50
    found = unit_exhibits(network, sample, Recipe(size=16), ["a", "b", "c"])
    assert [u.speaks_for for u in found] == ["a", "b", "c"]
    assert len({u.number for u in found}) == 3
    assert all(u.stamps[0][0] == "7" for u in found)
    assert liveliest(network, sample, [3, 7, 9]) == 7
    with_star = replace(sample, stars=np.arange(12) == 7)
    assert liveliest(network, with_star, [3, 7, 9]) != 7
    assert liveliest(network, with_star, [7]) == 7


def test_a_galaxy_goes_through_every_layer_but_the_last():
    sample, network = plain_sample(), plain_network()
    titles = [e.title for e in layer_exhibits(network, sample, 0, Recipe(size=16))]
    assert titles == ["the stamp", "conv 8 3x3 relu", "globalpool mean"]


def test_kernels_are_all_on_one_scale():
    layers = "conv 16 6x6 stride 2 pad 2 square relu\nglobalpool mean\ndense answers"
    notes = [e.note for _, exhibits in filter_exhibits(plain_network(layers)) for e in exhibits]
    assert len(notes) == 2
    assert len(set(notes)) == 1


def test_kernels_of_centroids_are_not_called_filters(tmp_path, monkeypatch):
    monkeypatch.setitem(LAYERS, "gz2-simple", "kmeans 4 4x4 stride 2 square\nrings 2 mean\nlight 2\ndense answers")
    path = write_checkpoint(tmp_path, "gz2-simple")
    page = inspect_checkpoint(path, output=tmp_path / "page.html").read_text(encoding="utf-8")
    assert "learnt without labels" in page
    assert "First filters" not in page
    assert "first convolution" not in page


def test_signed_values_are_red_white_and_blue_and_signs_swap_them():
    colours = diverging(np.array([[-2.0, 0.0, 2.0]], np.float32), 2.0).astype(int)
    blue, white, red = colours[0]
    assert blue[2] > blue[0]
    assert red[0] > red[2]
    assert white.min() > 240


def test_brightness_grows_along_the_sequential_colours():
    colours = sequential(np.linspace(0, 1, 50, dtype=np.float32)[None], 0.0, 1.0)[0].astype(float)
    luminance = colours @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance) > 0).all()


def test_stamps_keep_their_colours_or_are_stretched():
    stamp = np.stack([np.full((4, 4), v, np.float32) for v in (0.0, 0.5, 1.0)])
    assert stamp_levels(stamp, display=True)[0, 0].tolist() == [0, 128, 255]
    wide = np.linspace(-3, 9, 400, dtype=np.float32).reshape(1, 20, 20)
    levels = stamp_levels(wide, display=False)
    assert levels.min() == 0
    assert levels.max() == 255
    assert grey(np.array([[[np.nan]]], np.float32)).tolist() == [[[0, 0, 0]]]


def test_mosaics_hold_every_tile_and_gaps_are_transparent():
    tiles = [np.full((4, 4, 3), 10 * i, np.uint8) for i in range(5)]
    made = mosaic(tiles, 3, zoom=2)
    assert made.shape == (8 + 2 + 8, 3 * 8 + 2 * 2, 4)
    assert made[0, 0].tolist() == [0, 0, 0, 255]
    assert made[10, 10].tolist() == [40, 40, 40, 255]
    assert made[-1, -1, 3] == 0


def test_diagrams_draw_each_galaxy_or_a_share_of_many():
    predicted = np.linspace(0, 1, 700)
    svg = str(votes_diagram(binned(predicted, predicted), predicted, predicted))
    assert svg.count("h0") == 500
    assert svg == str(votes_diagram(binned(predicted, predicted), predicted, predicted))
    few = str(votes_diagram(binned(predicted[:9], predicted[:9]), predicted[:9], predicted[:9]))
    assert few.count("h0") == 9
    some = str(reliability_diagram(binned(np.r_[[0.05] * 5, 0.55], np.zeros(6)), observed="share"))
    assert (some.count('class="mean"'), some.count('class="few"')) == (1, 1)
    assert "no values" in str(reliability_diagram(binned(predicted[:0], predicted[:0]), observed="share"))


def test_loss_curves_mark_the_best_epoch_of_every_member():
    member = [{"epoch": e, "train_loss": 1.0, "validation_loss": v} for e, v in enumerate((3.0, 1.0, 2.0), 1)]
    svg = str(loss_curves([member, member]))
    assert svg.count("<polyline") == 4
    assert svg.count("at epoch 2") == 2
    assert str(loss_curves([])) == ""
    below = [
        {"epoch": 1, "train_loss": -1.0, "validation_loss": float("nan")},
        {"epoch": 2, "train_loss": -2.0, "validation_loss": -3.0},
    ]
    assert "at epoch 2" in str(loss_curves([below]))
