"""Matching against STILTS, which is by the same words another program: pairs, separations, groups and joins."""

from __future__ import annotations

import functools
import shutil
import subprocess

import numpy as np
import pytest
from astropy.table import Table
from two_skies import two_skies

from galmorph import match

STILTS = shutil.which("stilts")
pytestmark = pytest.mark.skipif(STILTS is None, reason="stilts is not installed")
JOINS = ("1and2", "1or2", "all1", "all2", "1not2", "2not1", "1xor2")
ROWS = 2000


@functools.cache
def asked_of_stilts(folder, find: str, join: str, error: float = 1.0) -> Table:
    out = folder / "stilts.fits"
    words = [f"in1={folder / 'a.fits'}", f"in2={folder / 'b.fits'}", "ra1=ra", "ra2=ra", "dec1=dec", "dec2=dec"]
    words += [f"error={error}", f"find={find}", f"join={join}", f"out={out}"]
    subprocess.run([STILTS, "tskymatch2", *words], check=True, capture_output=True)
    return Table.read(out)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Write two skies with row numbers, and a row without a position in each."""
    folder = tmp_path_factory.mktemp("skies")
    for name, sky in zip("ab", two_skies(ROWS, seed=5), strict=True):
        table = Table({f"row_{name}": np.arange(ROWS), "ra": sky.ra_deg, "dec": sky.dec_deg})
        table["ra"][7] = np.nan
        table.write(folder / f"{name}.fits")
    return folder


def row_numbers(table: Table) -> list[tuple[int, int]]:
    """Return the rows of both catalogues in each row, -1 for none."""
    columns = [table[n] if n in table.colnames else np.ma.masked_all(len(table), int) for n in ("row_a", "row_b")]
    return list(zip(*(np.ma.filled(np.ma.asarray(c), -1).tolist() for c in columns), strict=True))


@pytest.mark.parametrize(("find", "join"), [*(("all", join) for join in JOINS), ("best1", "1or2"), ("best2", "1or2")])
def test_rows_are_those_of_stilts(folder, find, join):
    ours = match(folder / "a.fits", folder / "b.fits", radius="1arcsec", find=find, join=join)
    theirs = asked_of_stilts(folder, find, join)
    mine, other = set(row_numbers(ours)), set(row_numbers(theirs))
    if find == "all":
        assert sorted(row_numbers(ours)) == sorted(row_numbers(theirs))
    else:  # of partners that are equally near (rows that stand twice) either may be named
        assert len(ours) == len(theirs)
        assert len(mine ^ other) <= 2 * ROWS // 10
        at = 0 if find == "best1" else 1
        assert {rows[at] for rows in mine} == {rows[at] for rows in other}


@pytest.mark.parametrize("find", ["all", "best1", "best2"])
def test_separations_are_those_of_stilts(folder, find):
    ours = match(folder / "a.fits", folder / "b.fits", radius="1arcsec", find=find)
    theirs = asked_of_stilts(folder, find, "1and2" if find == "all" else "1or2")
    theirs = theirs[np.isfinite(np.ma.filled(np.ma.asarray(theirs["Separation"]), np.nan))]
    key = ["row_b"] if find == "best2" else ["row_a"] if find == "best1" else ["row_a", "row_b"]
    ours.sort(key)
    theirs.sort(key)
    assert np.allclose(ours["Separation"], theirs["Separation"], rtol=0, atol=1e-8)


def test_groups_are_those_of_stilts(folder):
    ours = match(folder / "a.fits", folder / "b.fits", radius="1arcsec", find="all")
    theirs = asked_of_stilts(folder, "all", "1and2")
    for table in (ours, theirs):
        table.sort(["row_a", "row_b"])
    assert np.ma.allequal(ours["GroupSize"], theirs["GroupSize"])
    assert ours["GroupSize"].mask.tolist() == theirs["GroupSize"].mask.tolist() == ours["GroupID"].mask.tolist()
    pairs = zip(ours["GroupID"].compressed().tolist(), theirs["GroupID"].compressed().tolist(), strict=True)
    assert len(set(pairs)) == len(set(ours["GroupID"].compressed().tolist()))


def test_one_to_one_has_the_pairs_of_stilts_and_those_that_are_left(folder):
    """STILTS leaves rows without a partner whose nearest went elsewhere although another is near."""
    ours = match(folder / "a.fits", folder / "b.fits", radius="1arcsec")
    theirs = asked_of_stilts(folder, "best", "1and2")
    assert len(ours) >= len(theirs)
    assert len(set(row_numbers(ours)) & set(row_numbers(theirs))) > 0.9 * len(theirs)
