"""PointColumns: what a page can be coloured by, chosen and packed."""

from __future__ import annotations

import base64

import map_samples
import numpy as np
import pytest
from astropy.table import MaskedColumn, Table

from galmorph.errors import CatalogError
from galmorph.pages.maps.point_columns import MOST_CLASSES, PointColumn, packed, point_columns
from galmorph.sky.catalog import catalog_from


def columns(table: Table, *chosen: str) -> dict[str, PointColumn]:
    catalog = catalog_from(table, positions=False)
    return {each.name: each for each in point_columns(catalog, np.arange(len(table)), chosen, "gm_")}


def test_galmorph_s_own_columns_come_first_and_names_and_positions_not_at_all():
    assert list(columns(map_samples.table())) == ["gm_class", "gm_conf", "gm_flags", "mag"]
    assert list(columns(map_samples.table(), "mag")) == ["mag", "gm_class", "gm_conf", "gm_flags"]


def test_arrays_are_packed_little_endian():
    values = np.array([1.5, -2.0, np.nan], ">f4")
    assert np.array_equal(np.frombuffer(base64.b64decode(packed(values)), "<f4"), values, equal_nan=True)


def test_classes_are_numbered_from_the_commonest_and_nothing_is_none():
    table = Table({"kind": ["b", "a", "a", "", "b ", "b"]})
    (column,) = columns(table).values()
    assert (column.kind, column.classes, column.values.tolist()) == ("class", ("b", "a"), [1, 2, 2, 0, 1, 1])


def test_galmorph_s_classes_are_in_the_order_of_their_probabilities():
    table = Table({"gm_class": ["disk", "ring", "disk", "", "smooth"]})
    for name in ("gm_p_smooth", "gm_p_disk", "gm_p_disk_err"):
        table[name] = np.linspace(0, 1, 5)
    column = columns(table, "gm_class")["gm_class"]
    assert column.classes == ("smooth", "disk", "ring")
    assert column.values.tolist() == [2, 3, 2, 0, 1]


def test_many_classes_are_gathered_and_names_are_left_out():
    names = [f"n{i:03d}" for i in range(200)]
    assert columns(Table({"name": names * 2, "x": np.arange(400.0)})).keys() == {"x"}
    column = columns(Table({"name": names * 2}), "name")["name"]
    assert len(column.classes) == MOST_CLASSES
    assert column.classes[-1] == "(others)"
    assert column.values.max() == MOST_CLASSES


def test_truth_values_and_few_whole_numbers_are_classes():
    table = Table({"is_barred": [True, False] * 30, "arms": np.arange(60) % 4, "rank": np.arange(60)})
    kinds = {name: column.kind for name, column in columns(table).items()}
    assert kinds == {"is_barred": "class", "arms": "class", "rank": "number"}


def test_numbers_have_a_scale_without_their_outliers():
    values = np.concatenate([np.linspace(0, 100, 1001), [1e9]])
    column = columns(Table({"x": values}))["x"]
    assert column.low == pytest.approx(1.0, abs=0.2)
    assert column.high == pytest.approx(99.0, abs=0.3)
    assert not column.is_log
    assert columns(Table({"x": np.geomspace(0.01, 100, 300)}))["x"].is_log


def test_masked_infinite_and_huge_numbers_are_none():
    table = Table({"x": MaskedColumn([1.0, 2.0, np.inf, 1e300, 3.0], mask=[False, True, False, False, False])})
    values = columns(table)["x"].values
    assert values.dtype == np.float32
    assert np.isnan(values).tolist() == [False, True, True, True, False]


def test_columns_of_one_value_tell_nothing_unless_asked_for():
    table = Table({"field": ["egs"] * 5, "x": np.ones(5), "empty": np.full(5, np.nan)})
    assert columns(table) == {}
    assert columns(table, "x", "field", "empty").keys() == {"x", "field", "empty"}


def test_columns_that_do_not_exist_or_have_many_values_are_refused():
    table = map_samples.table(20)
    with pytest.raises(CatalogError, match="did you mean 'mag'"):
        columns(table, "mags")
    with pytest.raises(CatalogError, match="several values in each row"):
        columns(table, "gm_features")


def test_a_page_is_not_filled_beyond_measure():
    rows = 100_000
    table = Table({f"c{i}": np.arange(rows, dtype=np.float32) for i in range(40)})
    assert sum(column.values.nbytes for column in columns(table).values()) <= 10_500_000
    assert len(columns(table)) == 26
    assert "c39" in columns(table, "c39")
