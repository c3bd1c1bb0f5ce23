"""Mapping: tables with features become maps, from Python and from the command line."""

from __future__ import annotations

import map_samples
import numpy as np
import pytest
from astropy.table import Table

import galmorph
from galmorph import cli
from galmorph.errors import CatalogError, OutputError, PipelineError
from galmorph.sky.catalog import read_catalog


@pytest.fixture
def table(tmp_path) -> Table:
    rows = map_samples.table(60)
    rows["gm_features"][7] = np.nan
    rows.write(tmp_path / "f.fits")
    return rows


def test_every_row_comes_back_with_its_place(table):
    mapped = galmorph.map_features(table, method="pca")
    assert mapped.colnames == [*table.colnames, "gm_map_x", "gm_map_y"]
    assert mapped["id"].tolist() == table["id"].tolist()
    assert np.flatnonzero(~np.isfinite(mapped["gm_map_x"])).tolist() == [7]
    assert "gm_map_x" not in table.colnames
    assert mapped["gm_map_y"].description == "Place on a map of gm_features, the two principal components"
    assert mapped.meta["GMMAP"] == "pca"


@pytest.mark.parametrize("ending", ["fits", "parquet", "ecsv", "vot"])
def test_the_command_writes_table_map_and_page(table, tmp_path, capsys, ending):
    out, saved, page = (str(tmp_path / name) for name in (f"out.{ending}", "m.npz", "m.html"))
    words = ["map", str(tmp_path / "f.fits"), "--method", "pca", "-o", out, "--save", saved, "--page", page]
    assert cli.main(words) == 0
    assert capsys.readouterr().out.splitlines() == [out, saved, page]
    written = read_catalog(out, positions=False).table
    assert np.array_equal(written["gm_map_x"], galmorph.map_features(table, method="pca")["gm_map_x"], equal_nan=True)
    assert "galmorph map" in str(written.meta)
    onto = galmorph.map_features(tmp_path / "f.fits", onto=saved, seed=9)
    assert np.allclose(onto["gm_map_y"], written["gm_map_y"], atol=1e-5, equal_nan=True)
    assert cli.main(words) == 1
    assert "exists already" in capsys.readouterr().err


def test_two_columns_are_shown_against_each_other(table, tmp_path):
    galmorph.map_features(table["id", "mag", "gm_conf"], axes=("mag", "gm_conf"), page=tmp_path / "m.html")
    text = (tmp_path / "m.html").read_text()
    assert "60 galaxies; gm_conf against mag" in text


def test_what_makes_no_sense_is_refused(table, tmp_path, capsys):
    page = tmp_path / "m.html"
    for error, message, asked in (
        (OutputError, "axes were given with", {"axes": ("mag", "ra"), "output": tmp_path / "o.fits"}),
        (OutputError, "saved already", {"onto": "m.npz", "save": tmp_path / "n.npz"}),
        (OutputError, r"ends with \.html", {"page": tmp_path / "page.pdf"}),
        (OutputError, "colours was given without page", {"colours": ["mag"], "output": tmp_path / "o.fits"}),
        (OutputError, "service 'localhost'", {"page": page, "service": "localhost"}),
        (OutputError, r"ends with \.npz", {"save": tmp_path / "map.safetensors"}),
        (CatalogError, "axes mag, gm_features.*gm_features is none", {"axes": ("mag", "gm_features"), "page": page}),
        (CatalogError, "no row has numbers in both id and mag", {"axes": ("id", "mag"), "page": page}),
        (OutputError, "-1 pictures", {"page": page, "pictures": -1}),
        (CatalogError, "unknown column 'latent'", {"features": "latent"}),
        (CatalogError, "no map", {"onto": tmp_path / "f.fits"}),
        (PipelineError, "method 'magic'", {"method": "magic"}),
    ):
        with pytest.raises(error, match=message):
            galmorph.map_features(table, **asked)
    assert not page.exists()
    assert cli.main(["map", str(tmp_path / "f.fits")]) == 1
    assert "expected -o, --page or --save" in capsys.readouterr().err


def test_a_table_that_is_mapped_already_is_not_mapped_twice(table):
    again = galmorph.map_features(table, method="pca")
    with pytest.raises(CatalogError, match="already has gm_map_x"):
        galmorph.map_features(again, method="pca")
    assert "my_map_x" in galmorph.map_features(again, features="gm_features", method="pca", prefix="my_").colnames
