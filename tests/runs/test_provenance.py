"""Provenance by value: each hash is computed anew, each name compared with what was handed in."""

from __future__ import annotations

import hashlib
import json
from contextlib import closing
from dataclasses import replace
from importlib.metadata import version

import pytest
import small_sky
from plans import plan_of

import galmorph
from galmorph import load_checkpoint
from galmorph.flags import MEANINGS
from galmorph.runs.provenance import provenance_of

H = {"survey": "candels", "band": "H"}


@pytest.fixture(scope="module")
def sky(tmp_path_factory):
    return small_sky.write_sky(tmp_path_factory.mktemp("sky"))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return small_sky.write_checkpoint(tmp_path_factory.mktemp("checkpoint") / "untaught.safetensors")


def told(catalog, images, command="the command", **options):
    """Return cards by keyword and lines of history of a run."""
    with closing(plan_of(catalog, images, **options)) as plan:
        provenance = provenance_of(plan.run, command)
    return {card: value for card, value, _ in provenance.cards}, provenance.history


def test_the_hashes_are_those_of_the_files(sky, checkpoint):
    cards, history = told(sky.catalog, sky.image, checkpoint=checkpoint, device="cpu", **H)
    assert cards["GMSHA256"] == hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert f"catalog: cat.fits sha256 {hashlib.sha256(sky.catalog.read_bytes()).hexdigest()}" in history


def test_the_hash_of_the_recipe_is_that_of_its_values(sky, checkpoint):
    loaded = load_checkpoint(checkpoint)
    recipe = {field: getattr(loaded.recipe, field) for field in loaded.recipe.to_dict()}
    expected = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:16]
    assert told(sky.catalog, sky.image, checkpoint=checkpoint, **H)[0]["GMRECIPE"] == expected
    wider = replace(loaded, recipe=replace(loaded.recipe, half_width_rpet=2.5))
    assert told(sky.catalog, sky.image, checkpoint=wider, **H)[0]["GMRECIPE"] != expected


def test_names_are_those_of_what_was_used(sky, checkpoint):
    options = {"centroid": "isophotal", "views": "turns2", "rule": "huertas-company-2015"}
    cards, history = told(sky.catalog, sky.image, "galmorph classify x", checkpoint=checkpoint, **H, **options)
    expected = {
        "GMVERS": galmorph.__version__,
        "GMSURVEY": "candels",
        "GMBAND": "H",
        "GMCENTRD": "isophotal",
        "GMMODEL": "untaught",
        "GMMODVER": "0.0",
        "GMSCHEME": "candels-visual",
        "GMVIEWS": "turns2",
        "GMPRECIS": "single",
        "GMRULE": "huertas-company-2015",
    }
    assert {name: cards[name] for name in expected} == expected
    assert history[0] == f"galmorph {galmorph.__version__}: galmorph classify x"
    assert "image: image.fits" in history
    software = next(line for line in history if line.startswith("software: "))
    assert all(f"{name} {version(name)}" in software for name in ("numpy", "astropy", "sep", "torch"))


def test_every_flag_is_told_with_its_bit_and_meaning(sky):
    cards, history = told(sky.catalog, sky.image, network=False)
    assert [cards[f"GMFLAG{bit:02d}"] for bit in range(len(MEANINGS))] == [flag.name for flag in MEANINGS]
    assert all(f"flag {int(flag)} {flag.name}: {meaning}" in history for flag, meaning in MEANINGS.items())


def test_what_does_not_apply_is_not_told(sky):
    cards, history = told(small_sky.table(), sky.image, network=False)
    assert not {"GMMODEL", "GMSHA256", "GMRECIPE", "GMSCHEME", "GMVIEWS", "GMPRECIS", "GMRULE"} & cards.keys()
    assert (cards["GMSURVEY"], cards["GMBAND"]) == ("", "")
    assert "catalog: in memory" in history


def test_a_catalogue_that_is_gone_is_still_named(sky, tmp_path):
    path = small_sky.write_table(small_sky.table(), tmp_path / "gone.fits")
    with closing(plan_of(path, sky.image, network=False)) as plan:
        plan.check()
        path.unlink()
        assert "catalog: gone.fits" in provenance_of(plan.run, "").history
