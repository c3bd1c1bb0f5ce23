"""Company: a row's answer is that of the row alone, whatever other rows there are, and in whatever order and parts."""

from __future__ import annotations

from contextlib import closing
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import small_sky
from astropy.io import fits
from astropy.table import Table
from plans import plan_of

from galmorph.runs import blocks, gather
from galmorph.runs import parts as module
from galmorph.runs.classify import classify
from galmorph.runs.parts import classify_part
from galmorph.runs.plan import Plan
from galmorph.runs.results import Results
from galmorph.shipped import shipped
from galmorph.sky.catalog import read_catalog

SAMPLES = shipped("catalogs") / "samples"
BLOCK, MARGIN = 96, 64
SIDE = 3 * BLOCK + 40
H = {"survey": "candels", "band": "H"}


def assert_same(one: Results, other: Results, rows: np.ndarray) -> None:
    """Every array of `one` is that of `other` at some rows, bit for bit."""
    for field in fields(Results):
        a, b = getattr(one, field.name), getattr(other, field.name)
        pairs = {field.name: (a, b)} if field.name != "shapes" else {name: (a[name], b[name]) for name in a}
        for name, (mine, all_of_them) in pairs.items():
            np.testing.assert_array_equal(mine, all_of_them[rows], err_msg=name)


def subsets(n: int) -> list[np.ndarray]:
    """Draw rows alone, a few, half of them, and all of them shuffled."""
    order = np.random.default_rng(n).permutation(n)
    return [order[:1], order[1:2], order[2:6], order[: n // 2], order]


@pytest.fixture(scope="module")
def tile(tmp_path_factory) -> Path:
    """Write a tile of more than three by three small blocks, crowded, with a catalogue with rows on their borders."""
    folder = tmp_path_factory.mktemp("tile")
    rng = np.random.default_rng(3)
    borders = np.array([-0.4, 0.0, BLOCK - 0.6, BLOCK - 0.5, BLOCK, 2 * BLOCK - 0.01, 2 * BLOCK + 0.3, SIDE - 0.6])
    xy = np.concatenate([rng.uniform(5, SIDE - 5, (24, 2)), np.stack(np.meshgrid(borders, borders), -1).reshape(-1, 2)])
    image = rng.normal(0, small_sky.SIGMA, (SIDE, SIDE))
    for x, y in xy[:40]:
        image += small_sky.light((SIDE, SIDE), x, y, rng.uniform(1.0, 7.0))
    fits.writeto(folder / "image.fits", image.astype(np.float32), small_sky.header())
    Table({"x": xy[:, 0], "y": xy[:, 1]}).write(folder / "catalog.csv")
    return folder


@pytest.fixture
def small_blocks(monkeypatch):
    """Make blocks, margins and parts so small that the tile has many of them."""
    monkeypatch.setattr(blocks, "BLOCK_PX", BLOCK)
    monkeypatch.setattr(blocks, "MARGIN_PX", MARGIN)
    monkeypatch.setattr(module, "PART_ROWS", 10)


def plan_over(tile: Path, rows: np.ndarray, **how: object) -> Plan:
    catalog = read_catalog(tile / "catalog.csv").table[rows]
    return plan_of(catalog, tile / "image.fits", x="x", y="y", **how)


@pytest.mark.parametrize("detect", ["blocks", "cutouts"])
@pytest.mark.parametrize("network", [True, False])
@pytest.mark.usefixtures("small_blocks")
def test_rows_of_a_tile_of_many_blocks(tile, detect, network):
    how = {"detect": detect, "network": network}
    how |= {"checkpoint": small_sky.checkpoint(), "device": "cpu", "views": "turns2", **H} if network else {}
    everyone = np.arange(88)
    with closing(plan_over(tile, everyone, **how)) as plan:
        whole = classify(plan).results
        assert (whole.tile == 0).all()
        for rows in subsets(len(everyone)):
            assert_same(classify_part(plan, rows), whole, rows)
            with closing(plan_over(tile, rows, **how)) as alone:
                assert_same(classify(alone).results, whole, rows)


@pytest.mark.parametrize("sample", ["candels-h", "sdss-gri"])
def test_rows_of_the_samples(sample):
    folder = SAMPLES / sample
    images, band = folder / "image.fits.gz", "H"
    if sample == "sdss-gri":
        images, band = {b: folder / f"{b}.fits.gz" for b in "gri"}, "gri"
    table = read_catalog(folder / "catalog.fits").table
    how = {"survey": sample.partition("-")[0], "band": band, "device": "cpu"}
    with closing(plan_of(table, images, **how)) as plan:
        whole = classify(plan).results
        for rows in subsets(len(table))[1:4]:
            with closing(plan_of(table[rows], images, **how)) as alone:
                assert_same(classify(alone).results, whole, rows)


def test_rows_of_pictures(tmp_path, monkeypatch):
    """Several that are measured together, and one by one as those are that are too large for that."""
    for number in range(11):
        content = small_sky.picture(number, side=100 + 10 * number)
        (tmp_path / f"{number}.jpg").write_bytes(content[: 700 if number == 5 else None])  # one is damaged
    table = Table({"file": [f"{number}.jpg" for number in range(12)]})  # and one is missing
    how = {"survey": "sdss", "band": "RGB", "device": "cpu", "views": "turns2"}
    how["checkpoint"] = small_sky.checkpoint(**small_sky.rgb_checkpoint_settings())
    with closing(plan_of(table, tmp_path, **how)) as plan:
        whole = classify(plan).results
        assert np.flatnonzero(~whole.classified).tolist() == [5, 11]
        for rows in subsets(len(table)):
            assert_same(classify_part(plan, rows), whole, rows)
        monkeypatch.setattr(gather, "_ABREAST_PX", 2 * 150**2)
        assert plan.run.gathering.pieces(np.array([0, 1, 2])) == [(0, 3)]
        assert plan.run.gathering.pieces(np.array([0, 5, 10])) == [(0, 1), (1, 2), (2, 3)]
        assert_same(classify(plan).results, whole, np.arange(12))
