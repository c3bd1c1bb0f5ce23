"""Likeness: which rows are found, in which order, and what is said about what cannot be."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from astropy.table import MaskedColumn, Table

import galmorph
from galmorph.errors import CatalogError, OutputError, PipelineError
from galmorph.likeness import nearest_rows as graphs
from galmorph.likeness.duplicates import groups_above
from galmorph.likeness.examples import logistic, rocchio
from galmorph.likeness.feature_space import directions, fit_space
from galmorph.likeness.nearest_rows import ExactNeighbours, GraphNeighbours
from galmorph.likeness.vectors import read_vectors
from galmorph.sky.catalog import Catalog
from galmorph.sky.formats.stored import HeldTable

RNG = np.random.default_rng(5)
CENTRES = np.array([[4.0, 0, 0, 0, 0, 0], [0, 4.0, 0, 0, 0, 0], [0, 0, 4.0, 0, 0, 0]])
KINDS = np.repeat([0, 1, 2], 30)


@pytest.fixture
def table() -> Table:
    """Thirty rows of each of three kinds, one of which has no features."""
    values = CENTRES[KINDS] + np.random.default_rng(1).normal(0, 1.0, (90, 6))
    values[7] = np.nan
    return Table({
        "id": [f"g{row}" for row in range(90)],
        "ra": 150.0 + np.arange(90) / 60,
        "dec": np.full(90, 2.0),
        "gm_features": values.astype(np.float32),
    })  # fmt: skip


def kind_of(rows: Table) -> np.ndarray:
    return KINDS[[int(str(name)[1:]) for name in rows["id"]]]


def test_rows_like_one_are_of_its_kind_in_the_order_of_their_likeness(table):
    rows = galmorph.similar(table, "g0", number=15)
    assert len(rows) == 15
    assert (kind_of(rows) == 0).mean() > 0.9
    assert rows["gm_rank"].tolist() == list(range(1, 16))
    assert (np.diff(rows["gm_similarity"]) <= 0).all()
    assert not {"g0", "g7"} & set(rows["id"])
    assert rows.colnames == [*table.colnames, "gm_rank", "gm_similarity"]


def test_likeness_is_the_cosine_about_the_mean(table):
    rows = galmorph.similar(table, "g0", number=3)
    values = np.delete(np.asarray(table["gm_features"], np.float64), 7, axis=0)
    away = values - values.mean(axis=0)
    other = [int(str(name)[1:]) for name in rows["id"]]
    away = np.insert(away, 7, np.nan, axis=0)
    cosines = [away[0] @ away[k] / np.linalg.norm(away[0]) / np.linalg.norm(away[k]) for k in other]
    np.testing.assert_allclose(rows["gm_similarity"], cosines, atol=1e-5)


@pytest.mark.parametrize("by", ["rocchio", "logistic"])
def test_examples_and_counter_examples_refine_what_is_found(table, by):
    mixed = galmorph.similar(table, ["g0", "g30"], number=40, by=by)
    refined = galmorph.similar(table, ["g0", "g1", "g30"], unlike=["g31", "g32"], number=20, by=by)
    assert {0, 1} <= set(kind_of(mixed).tolist())
    assert (kind_of(refined) == 0).mean() > 0.9
    assert not {"g31", "g32"} & set(refined["id"])


def test_a_name_of_several_rows_is_the_first_of_them_and_a_warning(table, caplog):
    alone = galmorph.similar(table, "g0", number=3)
    assert caplog.messages == []
    table["id"][45] = "g0"
    again = galmorph.similar(table, "g0", number=3)
    assert again["id"].tolist() == alone["id"].tolist()
    assert caplog.messages == ["Catalog 'in memory': 2 rows are called 'g0', of which the first is meant"]


def test_a_position_is_an_example(table):
    at = galmorph.similar(table, at="150.0 2.0003", number=5)
    assert at["id"].tolist() == galmorph.similar(table, "g0", number=5)["id"].tolist()
    with pytest.raises(CatalogError, match="within 5 arcsec"):
        galmorph.similar(table, at="150.0 3.0")


def test_rows_without_a_name_have_their_number(table):
    del table["id"]
    named = galmorph.similar(table, 3, number=2)
    assert len(named) == 2
    with pytest.raises(CatalogError, match=r"no row '90': expected the number of a row"):
        galmorph.similar(table, "90")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({}, "no row was named"),
        ({"to": "g7"}, "has no numbers in 'gm_features'"),
        ({"to": "g90"}, "has no row 'g90'"),
        ({"to": "g1", "number": 0}, "expected 1 or more"),
        ({"to": "g1", "by": "taste"}, "unknown way to learn from examples"),
        ({"to": "g1", "features": "ra"}, "expected a vector"),
        ({"to": "g1", "features": "gm_feature"}, "gm_features"),
        ({"to": "g1", "dimensions": 7}, "expected 1 to 6"),
        ({"to": "g1", "duplicates": 0.9}, "leave out one of them"),
        ({"duplicates": 2.0}, "between 0 and 1"),
    ],
)
def test_what_cannot_be_is_said(table, asked, words):
    with pytest.raises(CatalogError, match=words):
        galmorph.similar(table, **asked)


def test_a_table_without_vectors_is_refused():
    with pytest.raises(CatalogError, match="has none: add one with galmorph embed"):
        galmorph.similar(Table({"id": [1, 2]}), 1)
    two = Table({"id": [1, 2], "a": np.zeros((2, 3)), "b": np.zeros((2, 3))})
    with pytest.raises(CatalogError, match=r"several \(a, b\)"):
        galmorph.similar(two, 1)
    nothing = Table({"id": [1, 2], "a": np.full((2, 3), np.nan)})
    with pytest.raises(CatalogError, match="no row has numbers in 'a'"):
        galmorph.similar(nothing, 1)


def test_null_vectors_are_rows_without_one():
    cells = np.empty(4, object)
    cells[:] = [None, [1.0, 0.0], [0.9, 0.1], [-1.0, 0.0]]
    vectors = read_vectors(Catalog(HeldTable(Table({"v": cells}))))
    assert vectors.rows.tolist() == [1, 2, 3]
    assert vectors.values.dtype == np.float32


def test_rows_of_zeros_masked_and_infinite_numbers_have_no_vector(monkeypatch):
    values = np.ones((5, 3), np.float32)
    values[0], values[1, 1], values[2, 2] = 0.0, np.inf, np.nan
    table = Table({"v": MaskedColumn(values, mask=np.arange(15).reshape(5, 3) == 9)})
    monkeypatch.setattr("galmorph.likeness.vectors._AT_ONCE", 2)
    assert read_vectors(Catalog(HeldTable(table))).rows.tolist() == [4]


def test_open_features_are_read_once_and_asked_often(table):
    opened = galmorph.open_features(table, whiten=True, dimensions=4)
    assert len(opened) == 89
    assert opened.units.shape == (89, 4)
    first = galmorph.similar(opened, "g40", number=5)
    assert first["id"].tolist() == opened.similar("g40", number=5).table["id"].tolist()
    assert first["id"].tolist() == galmorph.similar(table, "g40", number=5, whiten=True, dimensions=4)["id"].tolist()
    for asked in ({"features": "gm_features"}, {"whiten": True}, {"dimensions": 3}, {"exact": True}, {"id": "id"}):
        with pytest.raises(CatalogError, match="features that are open"):
            galmorph.similar(opened, "g40", **asked)


@pytest.mark.parametrize("ending", [".fits", ".parquet", ".csv"])
def test_results_are_written_with_where_they_come_from(table, tmp_path, ending):
    table.write(tmp_path / "in.fits")
    rows = table["id", "ra", "dec", "gm_features"]
    source = tmp_path / "in.fits"
    if ending == ".csv":
        with pytest.raises(OutputError):
            galmorph.similar(source, "g0", output=source, overwrite=True)
    out = tmp_path / f"out{ending}"
    found = galmorph.similar(source, "g0", number=4, output=out, command="a script")
    again = galmorph.read_catalog(out).table
    assert again["id"].tolist() == found["id"].tolist()
    assert len(rows) == 90
    if ending != ".csv":
        assert any("a script; rows of in.fits sha256" in str(line) for line in again.meta["HISTORY"])
        np.testing.assert_array_equal(np.asarray(again["gm_features"]), np.asarray(found["gm_features"]))


def test_duplicates_come_in_groups(table):
    table["gm_features"][60] = table["gm_features"][2] * 1.0001
    table["gm_features"][33] = table["gm_features"][2]
    table["gm_features"][50] = table["gm_features"][51]
    rows = galmorph.similar(table, duplicates=0.9999)
    groups = {group: set(rows["id"][rows["gm_group"] == group]) for group in set(rows["gm_group"].tolist())}
    assert sorted(map(sorted, groups.values())) == [["g2", "g33", "g60"], ["g50", "g51"]]
    assert (rows["gm_similarity"] >= 0.9999).all()
    assert len(galmorph.similar(table[:20], duplicates=0.99999)) == 0


def test_groups_are_the_same_whatever_is_compared_at_once(monkeypatch):
    units = fit_space(RNG.normal(size=(50, 3)).astype(np.float32)).units(RNG.normal(size=(50, 3)).astype(np.float32))
    whole = groups_above(units, 0.98)
    monkeypatch.setattr("galmorph.likeness.duplicates._AT_ONCE", 7)
    for one, other in zip(whole, groups_above(units, 0.98), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_whitening_gives_directions_about_the_same_variance():
    values = (RNG.normal(size=(2000, 5)) * [10, 5, 1, 1, 0.5] + 3).astype(np.float32)
    placed = fit_space(values, whiten=True).placed(values)
    assert np.ptp(placed.std(axis=0)) < 0.75
    assert fit_space(values, whiten=True, dimensions=2).dimensions == 2
    kept = fit_space(values, dimensions=2).placed(values)
    assert kept.var(axis=0).sum() > 0.95 * values.var(axis=0).sum()


def test_all_principal_axes_keep_the_distances_and_the_most_variance_comes_first():
    units = directions(RNG.normal(size=(300, 6)).astype(np.float32) * 1e-25)
    assert np.linalg.norm(units, axis=1) == pytest.approx(np.ones(300), abs=1e-6)
    space = fit_space(units, dimensions=6)
    placed = space.placed(units)
    apart, turned = (np.linalg.norm(each[0] - each[1:], axis=1) for each in (units, placed))
    assert turned == pytest.approx(apart, abs=2e-6)
    assert (np.diff(placed.var(axis=0)) <= 1e-7).all()
    assert space.axes.T @ space.axes == pytest.approx(np.eye(6), abs=1e-5)


def test_rows_on_the_mean_have_no_direction():
    space = fit_space(np.zeros((3, 4), np.float32), whiten=True)
    assert not space.units(np.zeros((3, 4), np.float32)).any()


def test_directions_have_length_one():
    liked, disliked = RNG.normal(size=(3, 4)).astype(np.float32), RNG.normal(size=(2, 4)).astype(np.float32)
    everything = RNG.normal(size=(100, 4)).astype(np.float32)
    for direction in (rocchio(liked, disliked), rocchio(liked, disliked[:0]), logistic(liked, disliked, everything)):
        assert direction.dtype == np.float32
        assert np.linalg.norm(direction) == pytest.approx(1.0, abs=1e-5)


def test_a_graph_finds_what_comparing_all_does_and_is_kept(monkeypatch, tmp_path):
    pytest.importorskip("usearch")
    monkeypatch.setenv("GALMORPH_CACHE", str(tmp_path))
    units = fit_space(RNG.normal(size=(3000, 16)).astype(np.float32)).units(
        RNG.normal(size=(3000, 16)).astype(np.float32)
    )
    graph, exact = GraphNeighbours(units), ExactNeighbours(units)
    for row in range(0, 3000, 500):
        (mine, products), (all_of_them, _) = graph.nearest(units[row], 20), exact.nearest(units[row], 20)
        assert len(set(mine.tolist()) & set(all_of_them.tolist())) >= 19
        np.testing.assert_allclose(products, units[mine] @ units[row], rtol=1e-6)
    (kept,) = tmp_path.rglob("*.usearch")
    before = kept.stat().st_mtime_ns
    again = GraphNeighbours(units)
    assert kept.stat().st_mtime_ns == before
    np.testing.assert_array_equal(again.nearest(units[1], 5)[0], graph.nearest(units[1], 5)[0])
    assert [entry.path for entry in galmorph.cache()] == [kept]
    kept.write_bytes(b"no graph")
    with pytest.raises(PipelineError, match="remove it"):
        GraphNeighbours(units)


def test_a_missing_extra_is_one_line(monkeypatch, table):
    monkeypatch.setattr(graphs, "EXACT_ROWS", 10)
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    with pytest.raises(PipelineError, match=r"needs usearch: pip install 'galmorph\[likeness\]'"):
        galmorph.open_features(table)
    assert len(galmorph.similar(table, "g0", exact=True, number=3)) == 3


def test_columns_that_are_joined_count_alike_whatever_their_units():
    rng = np.random.default_rng(3)
    few, many = rng.normal(size=(60, 2)).astype(np.float32), rng.normal(size=(60, 40)).astype(np.float32)
    few[7] = many[9] = np.nan
    table = Table({"id": np.arange(60), "a_features": 1000.0 * few, "light": many})
    vectors = read_vectors(Catalog(HeldTable(table)), ["a_features", "light"])
    assert vectors.name == "a_features and light"
    assert vectors.rows.tolist() == [n for n in range(60) if n not in (7, 9)]
    variance = vectors.values.var(axis=0)
    assert variance[:2].sum() == pytest.approx(1.0, rel=1e-4)
    assert variance[2:].sum() == pytest.approx(1.0, rel=1e-4)
    table["a_features"] /= 1000.0
    found = galmorph.similar(table, [3], features=["a_features", "light"], number=5)
    assert (
        found["id"].tolist() == galmorph.similar(table, [3], features=["light", "a_features"], number=5)["id"].tolist()
    )
    with pytest.raises(CatalogError, match="expected each once"):
        galmorph.similar(table, [3], features=["light", "light"])


def test_one_name_in_a_list_is_that_column():
    table = Table({"id": [1, 2, 3], "a": np.eye(3, dtype=np.float32), "b": np.ones((3, 2), np.float32)})
    assert np.array_equal(read_vectors(Catalog(HeldTable(table)), ["a"]).values, np.eye(3))
