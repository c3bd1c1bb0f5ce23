"""Recipes of whole surveys: a catalogue alone, rows of several fields, their pixels from archives."""

from __future__ import annotations

import gzip
import tomllib

import numpy as np
import pytest
import skyserver
from astropy.io import fits
from astropy.table import Table, vstack
from loopback import Loopback

import galmorph as package
from galmorph.flags import Flag
from galmorph.shipped import shipped
from galmorph.toml import to_text

CATALOGS = shipped("catalogs")
SAMPLE = CATALOGS / "samples" / "candels-h"
FEW = 5
APART_DEG = 10.0
"""In right ascension, between the two fields."""


@pytest.fixture(scope="module")
def mosaics(tmp_path_factory):
    """Write the sample's image and weights for a field, and those of a field elsewhere with the same sky."""
    folder = tmp_path_factory.mktemp("mosaics")
    for name in ("image", "weight"):
        here = folder / f"uds_{name}.fits"
        here.write_bytes(gzip.decompress((SAMPLE / f"{name}.fits.gz").read_bytes()))
        pixels, header = fits.getdata(here, header=True)
        header["CRVAL1"] += APART_DEG
        fits.writeto(folder / f"egs_{name}.fits", pixels, header)
    return folder


def sample_rows() -> Table:
    return Table.read(SAMPLE / "catalog.fits")[:FEW]


@pytest.fixture
def survey(archive: Loopback, mosaics, tmp_path):
    """Write the file of a survey whose fields are on a server of this machine."""
    contents = tomllib.loads((CATALOGS / "surveys" / "candels.toml").read_text(encoding="utf-8"))
    table = sample_rows()
    for name, more in (("uds", 0.0), ("egs", APART_DEG)):
        archive.files |= {f"/{name}_{kind}.fits": mosaics / f"{name}_{kind}.fits" for kind in ("image", "weight")}
        contents["fields"][name] |= {
            "ra_deg": float(np.median(table["ra"])) + more,
            "dec_deg": float(np.median(table["dec"])),
            "base_url": f"{archive.base}/",
            "mosaics": {"F160W": f"{name}_image.fits"},
            "weights": {"F160W": f"{name}_weight.fits"},
        }
    path = tmp_path / "candels.toml"
    path.write_text(to_text(contents), encoding="utf-8")
    return path


def catalogue(path) -> Table:
    """Write rows of both fields, one far from all, and one without a position."""
    one, other = sample_rows(), sample_rows()
    other["ra"] += APART_DEG
    table = vstack([one, other, one[:2]], metadata_conflicts="silent")
    table["ra"][-2:], table["dec"][-2:] = (10.0, np.nan), (80.0, np.nan)
    table.write(path)
    return table


def test_rows_of_four_fields_are_classified_from_their_mosaics(galmorph, survey, mosaics, tmp_path):
    table = catalogue(tmp_path / "catalog.fits")
    words = ("run", "candels/classify_h", "-o", tmp_path / "runs")
    inputs = ("--input", f"catalog={tmp_path / 'catalog.fits'}", f"survey={survey}")
    done = galmorph(*words, *inputs)
    assert done.status == 0, done.err
    out = Table.read(done.out.strip())
    assert len(out) == len(table)
    flags = np.asarray(out["gm_flags"])
    assert [bool(flags[n] & int(flag)) for n, flag in ((-2, Flag.NO_IMAGE), (-1, Flag.NO_POSITION))] == [True, True]
    assert np.isfinite(out["gm_p_disk"][: 2 * FEW]).all()
    for name, first in (("uds", 0), ("egs", FEW)):
        local = package.classify(
            table[first : first + FEW],
            mosaics / f"{name}_image.fits",
            weight=mosaics / f"{name}_weight.fits",
            survey="candels",
            band="H",
        )
        for column in ("gm_rpet", "gm_p_disk", "gm_flags"):
            np.testing.assert_array_equal(np.asarray(local[column]), np.asarray(out[column][first : first + FEW]))
    assert "exists already" in galmorph(*words, *inputs).err


def test_fields_that_are_named_are_the_only_ones(galmorph, archive: Loopback, survey, tmp_path):
    catalogue(tmp_path / "catalog.fits")
    inputs = (f"catalog={tmp_path / 'catalog.fits'}", f"survey={survey}", "field=uds")
    done = galmorph("run", "candels/classify_h", "-o", tmp_path / "runs", "--input", *inputs)
    assert done.status == 0, done.err
    flags = np.asarray(Table.read(done.out.strip())["gm_flags"])
    assert ((flags & int(Flag.NO_IMAGE)) != 0).tolist() == [False] * FEW + [True] * (FEW + 1) + [False]
    assert not any(request.path.startswith("/egs") for request in archive.requests)


def test_what_was_fetched_serves_offline(galmorph, archive: Loopback, survey, tmp_path):
    catalogue(tmp_path / "catalog.fits")
    words = ("run", "candels/classify_h", "--input", f"catalog={tmp_path / 'catalog.fits'}", f"survey={survey}")
    one = galmorph(*words, "-o", tmp_path / "one")
    archive.requests.clear()
    other = galmorph(*words, "offline=true", "-o", tmp_path / "other")
    assert (one.status, other.status) == (0, 0), other.err
    first, second = (Table.read(done.out.strip()) for done in (one, other))
    np.testing.assert_array_equal(np.asarray(first["gm_conf"]), np.asarray(second["gm_conf"]))
    assert archive.requests == []


@pytest.mark.parametrize("fetched", [["uds", "egs"], []], ids=["these", "all"])
def test_a_folder_that_was_fetched_stands_for_the_archive(galmorph, archive: Loopback, survey, tmp_path, fetched):
    """Fetched for some fields, it has to be asked for these; fetched for all, it serves the recipe's."""
    catalogue(tmp_path / "catalog.fits")
    only = ("--field", ",".join(fetched)) if fetched else ()
    given = (tmp_path / "catalog.fits", "--survey", survey, "--band", "H", *only)
    assert galmorph("fetch", *given, "-o", tmp_path / "ahead").status == 0
    archive.files.clear()
    inputs = (f"catalog={tmp_path / 'catalog.fits'}", f"survey={survey}", f"fetched={tmp_path / 'ahead'}")
    same = [f"field={name}" for name in fetched]
    done = galmorph("run", "candels/classify_h", "--input", *inputs, *same, "-o", tmp_path / "runs")
    assert done.status == 0, done.err
    assert np.isfinite(Table.read(done.out.strip())["gm_p_disk"][: 2 * FEW]).all()


def test_colour_needs_a_catalogue_alone(galmorph, archive: Loopback, tmp_path):
    archive.files[skyserver.PATH] = skyserver.draw
    survey = tmp_path / "mine.toml"
    text = skyserver.SURVEY_FILE.read_text(encoding="utf-8")
    survey.write_text(text.replace(skyserver.SDSS.pictures.url, archive.base + skyserver.PATH), encoding="utf-8")
    positions = {name: [getattr(galaxy, name) for galaxy in skyserver.GALAXIES] for name in ("ra", "dec")}
    Table(positions).write(tmp_path / "catalog.fits")
    inputs = (f"catalog={tmp_path / 'catalog.fits'}", f"survey={survey}")
    done = galmorph("run", "sdss/classify", "-o", tmp_path / "runs", "--input", *inputs)
    assert done.status == 0, done.err
    out = Table.read(done.out.strip())
    assert np.isfinite(out["gm_conf"]).all()
    assert {str(model).partition(" ")[0].partition("@")[0] for model in out["gm_model"]} == {"sdss-rgb"}


def test_a_recipe_without_a_catalogue_asks_for_it(galmorph, tmp_path):
    done = galmorph("run", "candels/classify_h", "-o", tmp_path / "runs")
    assert "--input catalog=FILE" in done.err
    assert not (tmp_path / "runs").exists()
