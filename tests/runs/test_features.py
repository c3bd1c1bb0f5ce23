"""Features: a column that every format holds, the same whatever company, workers and stops there were."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import small_sky
from plans import plan_of

import galmorph
from galmorph.errors import CheckpointError, OutputError
from galmorph.flags import UNCLASSIFIABLE
from galmorph.runs import parts as module
from galmorph.runs.classify import classify
from galmorph.runs.execution import Execution
from galmorph.runs.parts import classify_part
from galmorph.runs.status import folder_of
from galmorph.sky.catalog import read_catalog

H = {"survey": "candels", "band": "H"}


@pytest.fixture(scope="module")
def sky(tmp_path_factory) -> small_sky.Sky:
    return small_sky.write_sky(tmp_path_factory.mktemp("sky"))


@pytest.fixture(scope="module")
def net(tmp_path_factory) -> Path:
    return small_sky.write_checkpoint(tmp_path_factory.mktemp("net") / "net.safetensors")


def test_features_are_those_that_the_network_answers_from(sky, net):
    plan = plan_of(sky.catalog, sky.image, checkpoint=net, features=True, **H)
    with closing(plan):
        outcome = classify(plan)
        checkpoint = plan.run.checkpoint
        assert checkpoint is not None
        features = outcome.results.features
        assert features.shape == (len(outcome.results), checkpoint.n_features)
        assert features.dtype == np.float32
        classified = outcome.results.classified
        assert classified.any()
        assert np.isfinite(features[classified]).all()
        assert np.isnan(features[~classified]).all()
    assert outcome.columns[-1].name == "gm_features"


def test_classify_says_the_same_with_features_and_without(sky, net):
    without = galmorph.classify(sky.catalog, sky.image, checkpoint=net, **H)
    with_them = galmorph.classify(sky.catalog, sky.image, checkpoint=net, features=True, **H)
    embedded = galmorph.embed(sky.catalog, sky.image, checkpoint=net, **H)
    assert with_them.colnames == [*without.colnames, "gm_features"]
    for name in without.colnames:
        np.testing.assert_array_equal(np.asarray(with_them[name]), np.asarray(without[name]), err_msg=name)
    assert not {"gm_class", "gm_conf", "gm_set"} & set(embedded.colnames)
    for name in ("gm_racen", "gm_rpet", "gm_flags", "gm_model", "gm_features"):
        np.testing.assert_array_equal(np.asarray(embedded[name]), np.asarray(with_them[name]), err_msg=name)
    assert embedded.meta["GMMODEL"] == with_them.meta["GMMODEL"]


@pytest.mark.parametrize("ending", [".fits", ".vot", ".ecsv", ".parquet", ".hats"])
def test_formats_hold_features_whatever_the_catalogue_came_in(sky, net, tmp_path, ending):
    table = galmorph.embed(sky.catalog, sky.image, checkpoint=net, output=tmp_path / f"out{ending}", **H)
    again = read_catalog(tmp_path / f"out{ending}", positions=False).table["gm_features"]
    np.testing.assert_array_equal(np.asarray(again), np.asarray(table["gm_features"]))
    assert again.dtype.newbyteorder("=") == np.float32
    assert again.info.meta["ucd"] == "src.morph.param"


@pytest.mark.parametrize("ending", [".fits", ".vot", ".parquet"])
def test_features_are_put_into_a_copy_of_a_file_of_the_same_format(sky, net, tmp_path, ending):
    galmorph.measure(sky.catalog, sky.image, output=tmp_path / f"cat{ending}", prefix="m_", **H)
    table = galmorph.embed(tmp_path / f"cat{ending}", sky.image, checkpoint=net, output=tmp_path / f"out{ending}", **H)
    again = read_catalog(tmp_path / f"out{ending}", positions=False).table
    np.testing.assert_array_equal(np.asarray(again["gm_features"]), np.asarray(table["gm_features"]))
    np.testing.assert_array_equal(np.asarray(again["m_rpet"]), np.asarray(table["m_rpet"]))


def test_text_has_no_room_for_them_which_is_said_before_the_work(sky, net, tmp_path):
    with pytest.raises(OutputError, match=r"no room for the \d+ numbers in each cell of gm_features"):
        galmorph.embed(sky.catalog, sky.image, checkpoint=net, output=tmp_path / "out.csv", **H)
    assert not list(tmp_path.iterdir())


def test_features_depend_neither_on_company_nor_on_workers_nor_on_stops(sky, net, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PART_ROWS", 2)
    options = {"checkpoint": net, "features": True, **H}
    with closing(plan_of(sky.catalog, sky.image, **options)) as plan:
        whole = classify(plan).results.features
        alone = [classify_part(plan, np.array([row])).features[0] for row in range(len(whole))]
        np.testing.assert_array_equal(np.stack(alone), whole)
    with closing(plan_of(sky.catalog, sky.image, **options)) as plan:
        pooled = classify(plan, execution=Execution("pool", 2)).results.features
    np.testing.assert_array_equal(pooled, whole)

    def stop(_stage: str, done: int, total: int, _remark: str = "") -> None:
        if 0 < done < total:
            raise KeyboardInterrupt

    out = tmp_path / "out.fits"
    with closing(plan_of(sky.catalog, sky.image, **options)) as plan, pytest.raises(KeyboardInterrupt):
        classify(plan, output=out, progress=stop)
    assert folder_of(out).is_dir()
    with closing(plan_of(sky.catalog, sky.image, probabilities=False, **options)) as plan:
        resumed = classify(plan, output=out)
    np.testing.assert_array_equal(resumed.results.features, whole)


def test_rows_that_cannot_be_looked_at_have_none(sky, net):
    table = galmorph.embed(sky.catalog, sky.image, checkpoint=net, **H)
    doubtful = (np.asarray(table["gm_flags"]) & int(UNCLASSIFIABLE)) != 0
    features = np.asarray(table["gm_features"])
    assert np.isnan(features[doubtful]).all()
    assert np.isfinite(features[~doubtful]).all()


def test_measuring_has_no_features(sky):
    with (
        closing(plan_of(sky.catalog, sky.image, network=False, features=True, **H)) as plan,
        pytest.raises(CheckpointError, match="features"),
    ):
        classify(plan)


def test_light_in_rings_stands_beside_whatever_the_company_and_the_workers(sky, net):
    plain = galmorph.embed(sky.catalog, sky.image, checkpoint=net, **H)
    table = galmorph.embed(sky.catalog, sky.image, checkpoint=net, light=4, **H)
    assert table.colnames == [*plain.colnames, "gm_light"]
    np.testing.assert_array_equal(table["gm_features"], plain["gm_features"])
    light = np.asarray(table["gm_light"])
    assert (light.dtype, light.shape) == (np.float32, (len(table), 12))  # mean, harmonic and asymmetry of one plane
    seen = np.isfinite(np.asarray(table["gm_features"])).all(axis=1)
    assert np.isfinite(light[seen]).all()
    assert np.isnan(light[~seen]).all()
    bright = light[seen][:, :4]
    assert (bright[:, 0] > bright[:, 3]).all()  # galaxies stand in the middle
    rows = read_catalog(sky.catalog).table[:2]
    alone = galmorph.embed(rows, sky.image, checkpoint=net, light=4, **H)
    np.testing.assert_array_equal(alone["gm_light"], light[:2])
    spread = galmorph.embed(sky.catalog, sky.image, checkpoint=net, light=4, engine="pool", workers=2, **H)
    np.testing.assert_array_equal(spread["gm_light"], light)


@pytest.mark.parametrize("ending", [".fits", ".parquet"])
def test_files_hold_light_beside_features(sky, net, tmp_path, ending):
    table = galmorph.embed(sky.catalog, sky.image, checkpoint=net, light=3, output=tmp_path / f"out{ending}", **H)
    again = read_catalog(tmp_path / f"out{ending}", positions=False).table
    for name in ("gm_features", "gm_light"):
        np.testing.assert_array_equal(np.asarray(again[name]), np.asarray(table[name]))


@pytest.mark.parametrize("rings", [-1, 33])
def test_rings_that_no_stamp_has_are_refused(rings, sky, net):
    with pytest.raises(CheckpointError, match=f"light in {rings} rings"):
        galmorph.embed(sky.catalog, sky.image, checkpoint=net, light=rings, **H)
