"""What decides a run's results: the same for the same inputs, however they are named, and another for any other."""

from __future__ import annotations

import os
import shutil
from contextlib import closing
from dataclasses import replace

import pytest
import small_sky
from plans import plan_of

from galmorph.runs.classify import classify
from galmorph.runs.fingerprint import fingerprint_of, image_stamps, warn_of_changes
from galmorph.shipped import shipped
from galmorph.sky.images import ImageInput

H = {"survey": "candels", "band": "H"}


@pytest.fixture(scope="module")
def sky(tmp_path_factory):
    return small_sky.write_sky(tmp_path_factory.mktemp("sky"))


def fingerprint(sky, **changes) -> dict[str, str]:
    asked = {"weight": sky.weight, "network": False, **H, **changes}
    with closing(plan_of(asked.pop("catalog", sky.catalog), asked.pop("image", sky.image), **asked)) as plan:
        return fingerprint_of(plan)


def test_it_is_the_same_twice(sky):
    assert fingerprint(sky) == fingerprint(sky)


@pytest.mark.parametrize("named", ["{0}", "{0}[0]", "{1}?"])
def test_images_may_be_named_in_several_ways(sky, named):
    assert fingerprint(sky, image=named.format(sky.image, str(sky.image)[:-1]))["images"] == fingerprint(sky)["images"]


def test_a_moved_image_is_the_same_and_another_weight_is_not(sky, tmp_path):
    shutil.copy2(sky.image, tmp_path / sky.image.name)
    assert fingerprint(sky, image=tmp_path / sky.image.name) == fingerprint(sky)
    assert fingerprint(sky, weight=())["images"] != fingerprint(sky)["images"]


def test_a_survey_is_known_by_what_its_file_says(sky, tmp_path):
    """Parts by another zero point or pixel scale under the same name were put together."""
    text = (shipped("catalogs") / "surveys" / "candels.toml").read_text(encoding="utf-8")
    path = tmp_path / "candels.toml"
    path.write_text(text, encoding="utf-8")
    before = fingerprint(sky, survey=str(path))
    assert before == fingerprint(sky)
    path.write_text(text.replace("psf_fwhm_arcsec = 0", "psf_fwhm_arcsec = 1"), encoding="utf-8")
    after = fingerprint(sky, survey=str(path))
    assert {name for name in before if before[name] != after[name]} == {"survey"}


def test_files_that_change_while_they_are_used_are_told(sky, tmp_path, caplog):
    paths = [tmp_path / name for name in ("a.fits", "b.fits", "w.fits")]
    for path in paths:
        shutil.copy2(sky.image, path)
    stamps = image_stamps(ImageInput({"H": [f"{tmp_path}/[ab].fits"]}, weight=paths[2]))
    assert set(stamps) == {*paths}
    (tmp_path / "new.fits").write_bytes(b"")
    warn_of_changes(stamps)
    assert caplog.text == ""
    os.utime(paths[1], ns=(1, 1))
    paths[2].unlink()
    warn_of_changes(stamps)
    assert f"2 files of images have changed while they were in use, '{paths[1]}' is the first" in caplog.text


def test_a_run_whose_image_is_written_over_says_so(sky, tmp_path, caplog):
    image = tmp_path / "image.fits"
    shutil.copy2(sky.image, image)
    with closing(plan_of(sky.catalog, image, network=False, **H)) as plan:
        classify(plan)
        assert "changed" not in caplog.text
        classify(plan, progress=lambda *_: os.utime(image, ns=(1, 1)))
    assert "'" + str(image) + "' is the first: rows may be of either" in caplog.text


def test_the_checkpoint_is_known_by_its_bytes(sky, tmp_path):
    path = small_sky.write_checkpoint(tmp_path / "one.safetensors")
    other = small_sky.write_checkpoint(tmp_path / "two.safetensors")
    one, two = (fingerprint(sky, network=True, checkpoint=each) for each in (path, other))
    assert one["checkpoint"].rpartition(" ")[2] == two["checkpoint"].rpartition(" ")[2]
    assert one["checkpoint"] != "none"
    assert fingerprint(sky)["checkpoint"] == "none"


def test_a_plan_that_is_sent_has_the_same_results(sky):
    with closing(plan_of(sky.catalog, sky.image, weight=sky.weight, network=False, **H)) as plan:
        with closing(plan.as_sent()) as sent:
            assert fingerprint_of(sent) == fingerprint_of(plan)
            assert len(sent.run.catalog.table.colnames) <= 4
        assert fingerprint_of(replace(plan, settings=replace(plan.settings, detect="cutouts"))) != fingerprint_of(plan)
