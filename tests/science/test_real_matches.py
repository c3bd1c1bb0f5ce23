"""Real catalogues: as many pairs as were counted when they were gathered."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import Table

from galmorph import compare, match


@pytest.fixture(scope="module")
def stamps(shared_data):
    return shared_data / "candels_h_stamps" / "catalog.csv"


@pytest.fixture(scope="module")
def labels(shared_data):
    return shared_data / "candels_labels" / "goodss_positions_and_gz.csv"


@pytest.mark.parametrize(
    ("radius", "find", "pairs"), [("0.5arcsec", "best1", 1370), ("0.5arcsec", "all", 1388), ("1arcsec", "all", 1445)]
)
def test_stamps_of_goods_s_have_their_labels(stamps, labels, radius, find, pairs):
    assert len(match(stamps, labels, radius=radius, find=find)) == pairs


def test_shares_are_those_that_the_stamps_came_with(stamps, labels):
    table = match(stamps, labels, radius="0.5arcsec", find="best1", join="all1")
    both = np.isfinite(table["Separation"])
    assert np.array_equal(both, ~np.ma.getmaskarray(np.ma.masked_invalid(table["spheroid"])))
    assert np.mean(np.abs(table["spheroid"][both] - table["p_smooth"][both]) < 1e-3) > 0.98


def test_classes_are_those_that_the_stamps_came_with(stamps, labels):
    answers = ("spheroid", "disk", "irregular", "point_source", "unclassifiable")
    ours = {name: name for name in answers}
    columns = ("p_smooth", "p_features", "p_irregular", "p_point_source", "p_unclassifiable")
    theirs = dict(zip(answers, columns, strict=True))
    magnitude = next(name for name in Table.read(stamps).colnames if name.lower().startswith(("h", "mag")))
    agreement = compare(stamps, labels, radius="0.5arcsec", ours=ours, theirs=theirs, magnitude=magnitude)
    assert agreement.pairs == 1370
    assert agreement.agreeing[0] > 0.98
    assert agreement.kappa[0][0] > 0.97


def test_rows_without_a_position_are_unmatched(labels, stamps):
    lone = match(labels, stamps, radius="0.5arcsec", join="1not2")
    assert np.sum(~np.isfinite(np.ma.filled(np.ma.asarray(lone["ra"], dtype=float), np.nan))) == 2


def test_galaxies_of_stripe_82_that_galaxy_zoo_1_has(shared_data):
    folder = shared_data / "catalogues"
    names = ["objid", "ra", "dec", "elliptical", "spiral", "uncertain"]
    first = Table.read(folder / "gz1_objid_ra_dec.txt.gz", format="ascii.no_header", delimiter=",", names=names)
    table = match(folder / "gz2_stripe82_coadd.csv.gz", first, radius="1arcsec", find="best1")
    assert len(first) == 90742
    assert len(table) == 2851
