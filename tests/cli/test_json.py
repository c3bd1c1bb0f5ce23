"""JSON: with --json, one document on standard output in place of text."""

from __future__ import annotations

import json
from argparse import Namespace

import numpy as np
import pytest
import small_sky
from astropy.table import MaskedColumn, Table

from galmorph.cli import main
from galmorph.cli.printing import print_answer, rows_of


def document(capsys, *words: str) -> dict[str, object]:
    assert main([*words, "--json"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    return json.loads(printed.out)


def test_names_come_by_kind(capsys):
    assert "candels" in document(capsys, "list", "surveys")["surveys"]
    assert set(document(capsys, "list")) == {"surveys", "schemes", "networks", "checkpoints", "pipelines"}


def test_a_description_comes_with_its_name(capsys):
    shown = document(capsys, "show", "candels")
    assert shown["name"] == "candels"
    assert "F160W" in shown["text"]


@pytest.mark.parametrize(
    ("name", "kind", "keys"),
    [
        ("surveys/candels", "survey", {"bands", "fields"}),
        ("schemes/gz2", "scheme", {"questions", "rules"}),
        ("networks/lite0", "network", {"layers"}),
        ("checkpoints/sdss-rgb", "checkpoint", {"test", "data"}),
        ("pipelines/sdss/sdss-rgb", "pipeline", {"images", "train", "split"}),
    ],
)
def test_what_ships_comes_as_data(capsys, name, kind, keys):
    shown = document(capsys, "show", name)
    assert keys <= set(shown[kind])
    assert set(shown) == {"name", "text", kind}


def test_a_result_says_where_it_is_and_what_is_in_it(capsys, tmp_path):
    sky, output = small_sky.write_sky(tmp_path / "sky"), str(tmp_path / "out.csv")
    done = document(capsys, "measure", *sky.inputs, "-o", output)
    assert (done["output"], done["rows"], done["flags"]) == (output, 7, {})


def test_the_cache_is_a_list_of_files(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("GALMORPH_CACHE", str(tmp_path))
    assert document(capsys, "cache") == {"files": []}
    assert document(capsys, "cache", "path") == {"folder": str(tmp_path)}


def test_an_error_leaves_no_document(capsys):
    assert main(["show", "candles", "--json"]) == 1
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("value", [float("nan"), np.float32("inf"), np.ma.masked])
def test_what_is_no_number_is_null(value, capsys):
    print_answer(Namespace(json=True), "", {"value": value, "list": [value]})
    assert json.loads(capsys.readouterr().out) == {"value": None, "list": [None]}


def test_rows_of_a_table_keep_their_types():
    table = Table({"n": [1, 2], "x": MaskedColumn([0.5, 1.5], mask=[False, True]), "s": ["a", "b"]})
    assert rows_of(table) == [{"n": 1, "x": 0.5, "s": "a"}, {"n": 2, "x": None, "s": "b"}]
