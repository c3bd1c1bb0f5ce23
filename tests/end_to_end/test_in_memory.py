"""What a script holds in memory has the results of the same things in files, to the last bit."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import small_sky
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import InverseVariance, NDData
from astropy.table import QTable
from astropy.wcs import WCS

import galmorph
from galmorph.runs.plan import Plan
from galmorph.sky.catalog import read_catalog
from galmorph.sky.catalog_input import CatalogInput
from galmorph.sky.images import ImageInput

H = {"survey": "candels", "band": "H"}
NEW = ("gm_class", "gm_conf", "gm_racen", "gm_deccen", "gm_rpet", "gm_snr", "gm_flags")


def assert_same(one, other) -> None:
    for name in NEW:
        first, second = (np.asarray(table[name]) for table in (one, other))
        np.testing.assert_array_equal(first, second, err_msg=name)


@pytest.fixture(scope="module")
def held(sky):
    """Read the files of the small sky as a script does."""
    (pixels, header), weight = fits.getdata(sky.image, header=True), fits.getdata(sky.weight)
    return read_catalog(sky.catalog).table, pixels, header, weight


@pytest.fixture(scope="module")
def classified(sky, h_checkpoint):
    """Classify the files of the small sky."""
    return galmorph.classify(sky.catalog, sky.image, weight=sky.weight, checkpoint=h_checkpoint, **H)


def test_arrays_and_coordinates_are_classified_as_files_are(held, classified, h_checkpoint):
    table, pixels, header, weight = held
    positions = SkyCoord(table["ra"], table["dec"], unit="deg")
    for catalog in (table, QTable(table), positions, fits.table_to_hdu(table)):
        result = galmorph.classify(catalog, (pixels, header), weight=weight, checkpoint=h_checkpoint, **H)
        assert_same(result, classified)
        assert isinstance(result, QTable) == (catalog is positions or isinstance(catalog, QTable))
        assert result["gm_rpet"].unit == u.arcsec


def test_data_with_uncertainty_are_measured_as_with_a_weight(sky, held):
    table, pixels, header, weight = held
    image = NDData(pixels, uncertainty=InverseVariance(weight), wcs=WCS(header), meta=header)
    columns = NEW[2:]
    here, there = galmorph.measure(table, image, **H), galmorph.measure(sky.catalog, sky.image, weight=sky.weight, **H)
    for name in columns:
        np.testing.assert_array_equal(np.asarray(here[name]), np.asarray(there[name]), err_msg=name)


def test_the_caller_s_table_and_pixels_are_left_alone(held, h_checkpoint):
    table, pixels, header, weight = held
    before = table.copy(), pixels.copy(), header.copy(), weight.copy()
    galmorph.classify(table, (pixels, header), weight=weight, checkpoint=h_checkpoint, **H)
    assert table.colnames == before[0].colnames
    assert np.array_equal(pixels, before[1])
    assert repr(header) == repr(before[2])
    assert np.array_equal(weight, before[3])


def test_a_plan_with_pixels_is_small_and_the_same_elsewhere(held):
    table, pixels, header, weight = held
    plan = Plan(CatalogInput(table[:2]), ImageInput((pixels, header), weight=weight, **H), network=False)
    text = pickle.dumps(plan)
    assert len(text) < pixels.nbytes / 10
    copy = pickle.loads(text)
    cutouts = [each.run.images.cutout(0, *small_sky.XY[0], 20) for each in (plan, copy)]
    assert np.array_equal(cutouts[0].planes, cutouts[1].planes)
    assert np.array_equal(cutouts[0].weight, cutouts[1].weight)
    copy.close()
    plan.close()
