"""Pages about checkpoints from the command line: what ships has one, and what cannot work is said in one line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from well_formed import parsed

from galmorph.nets.checkpoint.lookup import checkpoint_names, find_checkpoint
from galmorph.pages import descriptions as shown


@pytest.mark.parametrize("name", checkpoint_names())
def test_every_checkpoint_that_ships_has_a_page(galmorph, tmp_path, name):
    done = galmorph("inspect", name, "-o", tmp_path)
    assert done.status == 0, done.err
    page = tmp_path / f"{name}.html"
    assert done.out == f"{page}\n"
    text = page.read_text(encoding="utf-8")
    card = json.loads(find_checkpoint(name).with_suffix(".json").read_text(encoding="utf-8"))
    assert card["data"] in "".join(parsed(text).words)
    assert {"scores", "losses", "network", "filters"} <= {a.get("id") for _, a in parsed(text).tags}
    assert len(text) < 500_000


def test_a_page_of_real_galaxies_is_small_and_the_same_again(galmorph, shared_data, tmp_path):
    folder = shared_data / "sdss_gz2"
    asked = ["inspect", "sdss-rgb", folder / "labels.csv", "--image", folder / "images.zip", "--rows", 40]
    for name in ("a.html", "b.html"):
        assert galmorph(*asked, "-o", tmp_path / name).status == 0
    text = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert text == (tmp_path / "b.html").read_text(encoding="utf-8")
    assert "40 galaxies of the validation part" in text
    assert len(text) < 3_000_000
    found = parsed(text)
    # A network that is right nine times in ten has an example of most classes.
    assert sum(str(a["alt"]).startswith("Saliency of") for a in found.all("img")) >= 8


def test_show_names_the_page_of_a_card(galmorph, tmp_path, monkeypatch):
    source = find_checkpoint("candels-h")
    for path in (source, source.with_suffix(".json")):
        shutil.copy(path, tmp_path / path.name)
    card = tmp_path / "candels-h.json"
    done = galmorph("inspect", tmp_path / source.name, "-o", tmp_path / "pages" / "about.html", "--card", card)
    assert done.status == 0, done.err
    monkeypatch.setattr("galmorph.pages.descriptions.read_card", lambda _: json.loads(card.read_text(encoding="utf-8")))
    assert "page: pages/about.html" in shown.show("checkpoints/candels-h").splitlines()


def test_what_cannot_work_is_one_line_and_leaves_nothing(galmorph, tmp_path, sky):
    taken = tmp_path / "taken.html"
    taken.write_text("mine")
    page = tmp_path / "page.html"
    wrong = {
        ("sdss-rbg", "-o", page): "did you mean 'sdss-rgb'?",
        ("candels-h", "-o", taken): "exists already",
        ("candels-h", "-o", taken / "page.html"): "cannot be written",
        ("candels-h", "-o", page, "--split", "test"): "without labels",
        ("candels-h", "-o", page, "--rows", "0"): "expected at least 1",
        ("candels-h", sky.catalog, "-o", page): "labels came without images",
        ("candels-h", "--image", sky.image, "-o", page): "images came without labels",
        ("candels-h", sky.catalog, "--image", sky.image, "-o", page): "columns of votes (spheroid",
        ("candels-h", sky.folder / "absent.csv", "--image", sky.image, "-o", page): "absent.csv",
        ("candels-h", "--card", tmp_path / "absent.json", "-o", page): "absent.json",
    }
    for arguments, message in wrong.items():
        done = galmorph("inspect", *arguments)
        assert (done.status, done.out) == (1, ""), arguments
        assert done.err.count("\n") == 1
        assert message in done.err
        assert [p.name for p in Path(tmp_path).iterdir()] == ["taken.html"], arguments
    assert taken.read_text() == "mine"
    assert galmorph("inspect", "candels-h").status == 2
