"""A result whose failed rows are done again: they get their values, and all others stay as they are."""

from __future__ import annotations

import numpy as np
import pytest
import skyserver
from astropy.table import Table
from loopback import Fault, Loopback

import galmorph
from galmorph.errors import CatalogError
from galmorph.flags import Flag


@pytest.fixture
def service(archive: Loopback):
    archive.files[skyserver.PATH] = skyserver.draw
    return archive


def rows() -> Table:
    return Table({name: [getattr(galaxy, name) for galaxy in skyserver.GALAXIES] for name in ("ra", "dec")})


def failed(table: Table) -> list[bool]:
    return ((np.asarray(table["gm_flags"]) & int(Flag.FETCH_FAILED)) != 0).tolist()


@pytest.mark.parametrize("ending", ["fits", "vot", "ecsv", "parquet"])
def test_only_failed_rows_are_done_again(service, tmp_path, ending):
    images = {"survey": skyserver.survey_of(service), "band": "RGB"}
    skyserver.fail(service, 1, Fault(404))
    galmorph.classify(rows(), **images, output=tmp_path / f"first.{ending}")
    first = galmorph.read_catalog(tmp_path / f"first.{ending}").table
    assert failed(first) == [False, True, False, False]
    service.requests.clear()
    again = tmp_path / f"again.{ending}"
    galmorph.classify(tmp_path / f"first.{ending}", **images, retry=True, output=again, command="the second time")
    assert len(service.requests) == 1
    done, whole = galmorph.read_catalog(again).table, galmorph.classify(rows(), **images)
    assert failed(done) == [False] * 4
    assert done.colnames == whole.colnames
    for name in whole.colnames:
        values = np.asarray(done[name])
        np.testing.assert_array_equal(values, np.asarray(whole[name]).astype(values.dtype), err_msg=name)
        kept = np.asarray(first[name])[[0, 2, 3]]
        np.testing.assert_array_equal(values[[0, 2, 3]], kept.astype(values.dtype), err_msg=name)
    assert "the second time" in str(done.meta)
    assert "GMVERS" in done.meta
    assert "GMVERS2" not in done.meta
    service.requests.clear()
    third = galmorph.classify(again, **images, retry=True)
    np.testing.assert_array_equal(np.asarray(third["gm_rpet"]), np.asarray(done["gm_rpet"]))
    assert service.requests == []


def test_what_is_no_such_result_is_refused(service, tmp_path):
    images = {"survey": skyserver.survey_of(service), "band": "RGB"}
    skyserver.fail(service, 1, Fault(404))
    first = galmorph.measure(rows(), **images)
    for arguments, reason in (
        ({"centroid": "isophotal"}, "GMCENTRD = 'windowed'"),
        ({"backend": "sep"}, "GMBACKND = 'galmorph'"),
        ({"prefix": "my_"}, "has no column my_flags"),
    ):
        with pytest.raises(CatalogError, match=reason):
            galmorph.measure(first, **images, **arguments, retry=True)
    with pytest.raises(CatalogError, match="has no column gm_flags"):
        galmorph.measure(rows(), **images, retry=True)
    first.write(tmp_path / "first.csv")
    with pytest.raises(CatalogError, match="does not say what made it"):
        galmorph.measure(tmp_path / "first.csv", **images, retry=True)
    with pytest.raises(CatalogError, match="strict was given with retry"):
        galmorph.classify(first, **images, retry=True, strict=True)
