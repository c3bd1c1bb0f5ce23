"""Outliers: shares that mean what they say, an order that marks change, and every row in it."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import Table

import galmorph
from galmorph.errors import CatalogError
from galmorph.likeness.strangeness import Belief, fit_strangeness

N = 400


@pytest.fixture
def table() -> Table:
    """Usual rows, the last four of which are odd in one way and the four before in another; one has no features."""
    rng = np.random.default_rng(2)
    values = rng.normal(size=(N, 8))
    values[-4:, 0] += 7.0
    values[-8:-4, 1] -= 7.0
    values[5] = np.nan
    return Table({"id": np.arange(N), "gm_features": values.astype(np.float32)})


def test_the_strangest_rows_come_first_and_every_row_comes(table):
    rows = galmorph.outliers(table)
    assert len(rows) == N
    assert set(rows["id"][:8].tolist()) == set(range(N - 8, N))
    assert rows["id"][-1] == 5
    assert np.isnan(rows["gm_strangeness"][-1])
    assert (np.diff(rows["gm_strangeness"][:-1]) <= 0).all()
    assert rows["gm_strangeness"].dtype == np.float32


def test_strangeness_is_a_share_of_the_reference(table):
    own = np.asarray(galmorph.outliers(table)["gm_strangeness"])[:-1]
    np.testing.assert_allclose(np.sort(own), (np.arange(N - 1) + 0.5) / (N - 1), atol=1e-6)
    rng = np.random.default_rng(3)
    new = Table({"gm_features": rng.normal(size=(3000, 8)).astype(np.float32)})
    usual = Table({"gm_features": rng.normal(size=(3000, 8)).astype(np.float32)})
    shares = np.sort(np.asarray(galmorph.outliers(new, reference=usual)["gm_strangeness"]))
    assert np.abs(shares - (np.arange(3000) + 0.5) / 3000).max() < 0.05  # two samples differ by .035 in one of 20 draws


def test_marks_bring_what_is_like_them_to_the_top(table):
    rows = galmorph.outliers(table, odd=[N - 1, N - 2], usual=[N - 5, N - 6, 0, 1])
    assert rows.colnames[-2:] == ["gm_oddness", "gm_strangeness"]
    assert set(rows["id"][:4].tolist()) == set(range(N - 4, N))
    place = {int(name): number for number, name in enumerate(rows["id"])}
    plain = {int(name): number for number, name in enumerate(galmorph.outliers(table)["id"])}
    assert min(place[N - 7], place[N - 8]) > max(place[N - 3], place[N - 4])
    assert place[N - 7] + place[N - 8] > plain[N - 7] + plain[N - 8]
    assert (np.diff(rows["gm_oddness"][:-1]) <= 0).all()


def test_what_odd_rows_have_in_common_is_learnt_where_none_of_them_is_near_another():
    """Two hundred columns: rows are about as far from each other as from any; a third of some is moved by as much."""
    rng = np.random.default_rng(4)
    values = rng.normal(size=(2000, 200)).astype(np.float32)
    moved = np.arange(1960, 2000)
    values[moved, :70] += 0.7
    table = Table({"id": np.arange(2000), "gm_features": values})
    rows = galmorph.outliers(table, odd=moved[:20].tolist())
    first = rows["id"][:60].tolist()
    assert len(set(moved[20:]) & set(first)) >= 15
    plain = galmorph.outliers(table)["id"][:60].tolist()
    assert len(set(moved[20:]) & set(plain)) <= 12


def test_so_many_rows_as_are_wanted(table):
    assert len(galmorph.outliers(table, number=3)) == 3


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"number": 0}, "expected 1 or more"),
        ({"odd": ["x"]}, "has no row 'x'"),
        ({"usual": [5]}, "has no numbers"),
        ({"odd": [1, 2], "usual": [2]}, "marked as odd and as usual"),
        ({"reference": Table({"gm_features": np.ones((9, 3), np.float32)})}, "same checkpoint"),
    ],
)
def test_what_cannot_be_is_said(table, asked, words):
    with pytest.raises(CatalogError, match=words):
        galmorph.outliers(table, **asked)


def test_what_is_odd_in_one_of_two_columns_is_found_and_a_reference_gives_the_units():
    rng = np.random.default_rng(5)
    usual = Table({"id": np.arange(300), "f": rng.normal(size=(300, 6)), "light": 100.0 * rng.normal(size=(300, 3))})
    asked = usual[:40].copy()
    asked["light"][11] = [900.0, -900.0, 900.0]
    both = galmorph.outliers(asked, reference=usual, features=["f", "light"])
    assert both["id"][0] == 11
    alone = galmorph.outliers(asked[11:12], reference=usual, features=["f", "light"])
    assert alone["gm_strangeness"][0] == both["gm_strangeness"][0]
    assert galmorph.outliers(asked, reference=usual, features="f")["id"][0] != 11


def test_features_of_several_models_are_not_compared(table, tmp_path):
    """What one model sees in a number another does not: they were compared without a word."""
    one, two = table.copy(), table.copy()
    one["gm_model"], two["gm_model"] = "a 1", "b 1"
    one["gm_model"][5] = ""  # has no features
    both = one.copy()
    both["gm_model"][7] = "b 1"
    for asked in ({}, {"reference": table}):
        with pytest.raises(CatalogError, match=r"'gm_features' were made by a 1 and b 1, as 'gm_model' says"):
            galmorph.outliers(both, **asked)
    with pytest.raises(CatalogError, match="were made by a 1 and b 1"):
        galmorph.similar(both, to=[0])
    with pytest.raises(CatalogError, match="reference 'in memory' has features of b 1 and the table those of a 1"):
        galmorph.outliers(one, reference=two)
    galmorph.map_features(one, method="pca", save=tmp_path / "map.npz")
    with pytest.raises(CatalogError, match=r"map\.npz' has features of a 1 and the table those of b 1"):
        galmorph.map_features(two, onto=tmp_path / "map.npz")
    assert len(galmorph.map_features(one, onto=tmp_path / "map.npz")) == N
    assert len(galmorph.outliers(one, reference=table)) == N


def test_usual_rows_alone_teach_nothing_about_rows_that_are_far_from_them():
    values = np.random.default_rng(6).normal(size=(300, 8)).astype(np.float32)
    strangeness = fit_strangeness(values, Belief(reach=1e-6))  # no row is near another
    usual = np.array([7, 8])
    expected = strangeness.marked(values, np.array([], np.intp), usual)
    others = np.setdiff1d(np.arange(300), usual)
    shares = strangeness.share(values, is_own=True)
    assert np.array_equal(np.argsort(expected[others]), np.argsort(shares[others], kind="stable"))
