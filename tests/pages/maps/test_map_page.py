"""MapPage: a page that is complete in itself, and holds what the table says."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import map_samples
import numpy as np
import pytest
import well_formed

import galmorph
from galmorph.errors import OutputError
from galmorph.pages.maps import map_page


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    table = map_samples.table(80)
    table["gm_features"][[2, 5]] = np.nan
    table["id"] = [f"</script><b>{i}" if i == 9 else str(name) for i, name in enumerate(table["id"])]
    mapped = galmorph.map_features(table, method="pca", page=folder / "m.html", service="http://localhost:8000/")
    return (folder / "m.html").read_text(encoding="utf-8"), mapped


def block(text: str, name: str) -> str:
    return re.search(rf'<script type="[a-z/]+" id="{name}">(.*?)</script>', text, re.DOTALL).group(1)


def array(text: str, name: str, kind: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(block(text, name)), kind)


def test_only_the_script_that_it_came_with_runs(page):
    text, _ = page
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', text)
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert f"; script-src 'sha256-{digest}';" in policy
    assert "fetch(" not in script
    assert "XMLHttpRequest" not in script
    assert not re.findall(r'(?:src|href)="(?!#|data:)[^"]*"', text)


def test_the_page_is_well_formed(page):
    assert len(well_formed.parsed(page[0]).all("canvas")) == 4


def test_the_arrays_are_those_of_the_rows_with_features(page):
    text, mapped = page
    rows = array(text, "rows", "<i4")
    assert rows.tolist() == [row for row in range(80) if row not in (2, 5)]
    places = array(text, "places", "<f4").reshape(-1, 2)
    assert np.abs(places).max() == pytest.approx(1.0)
    for axis, name in enumerate(("gm_map_x", "gm_map_y")):
        assert np.corrcoef(places[:, axis], mapped[name][rows])[0, 1] == pytest.approx(1.0)
    assert array(text, "sky", "<f8").reshape(-1, 2)[:, 0].tolist() == mapped["ra"][rows].tolist()
    assert json.loads(block(text, "ids"))[7] == "</script><b>9"
    assert "2 of the table have no place" in text


def test_columns_are_described(page):
    text, mapped = page
    head = json.loads(block(text, "head"))
    assert [column["name"] for column in head["columns"]] == ["gm_class", "gm_conf", "gm_flags", "mag"]
    assert head["columns"][3]["unit"] == "mag"
    assert head["columns"][3]["about"] == "Total magnitude <script>"
    assert head["hover"] == [0, 1]
    assert head["service"] == "http://localhost:8000"
    assert head["id"] == "id"
    classes = np.array(["", *head["columns"][0]["classes"]])[array(text, "column-0", "u1")]
    assert classes.tolist() == mapped["gm_class"][array(text, "rows", "<i4")].tolist()


def test_more_points_than_a_browser_holds_are_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(map_page, "MOST_POINTS_ON_MAP", 50)
    with pytest.raises(OutputError, match="60 rows are more than a page holds"):
        galmorph.map_features(map_samples.table(60), method="pca", page=tmp_path / "m.html")
