"""What cannot work is refused before work starts: one line says what was given, and nothing is left behind."""

from __future__ import annotations

import gzip
import json
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import small_sky
import torch
from astropy.io import fits
from astropy.table import Table
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import galmorph
from galmorph.errors import CatalogError, CheckpointError, GalmorphError, OutputError

NOT_A_FILE = b"this is no astronomy at all\n" * 200


@pytest.fixture
def refused(galmorph, tmp_path):
    """Run a command that must fail; return its message."""

    def command(*arguments: object, status: int = 1) -> str:
        before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
        done = galmorph(*arguments)
        assert done.status == status, done.err
        assert done.out == ""
        assert done.err.startswith("galmorph: ")
        assert done.err.count("\n") == 1
        assert "Traceback" not in done.err
        assert len(done.err) < 600
        assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} == before
        return done.err

    return command


@pytest.fixture
def classify(refused, sky, h_checkpoint, tmp_path):
    """Classify with one argument changed, which must fail; return the message."""

    def command(*more: object, **changed: object) -> str:
        given = {
            "catalog": sky.catalog,
            "image": sky.image,
            "survey": "candels",
            "band": "H",
            "checkpoint": h_checkpoint,
            "output": tmp_path / "out.fits",
            **changed,
        }
        options = [f"--{name}" for name in given if name != "catalog"]
        values = [given[name] for name in given if name != "catalog"]
        pairs = [a for o, v in zip(options, values, strict=True) if v is not None for a in (o, v)]
        return refused("classify", given["catalog"], *pairs, *more)

    return command


def written(path: Path, contents: bytes) -> Path:
    path.write_bytes(contents)
    return path


def halved(path: Path, source: Path) -> Path:
    whole = source.read_bytes()
    return written(path, whole[: len(whole) // 2])


# Catalogues


def test_a_missing_catalogue(classify, tmp_path):
    assert "does not exist" in classify(catalog=tmp_path / "none.fits")


def test_a_folder_as_catalogue(classify, tmp_path):
    assert "is a folder" in classify(catalog=tmp_path)


def test_an_empty_catalogue_file(classify, tmp_path):
    assert "is empty" in classify(catalog=written(tmp_path / "cat.fits", b""))


@pytest.mark.parametrize("ending", [".fits", ".vot", ".ecsv", ".parquet"])
def test_a_truncated_catalogue(classify, tmp_path, ending):
    rows = small_sky.table(np.tile(small_sky.XY, (300, 1)))
    whole = small_sky.write_table(rows, tmp_path / f"whole{ending}")
    assert "cut" in classify(catalog=halved(tmp_path / f"cut{ending}", whole))


def test_a_truncated_gzip_catalogue(classify, tmp_path, sky):
    packed = gzip.compress(sky.catalog.read_bytes())
    assert "cat.fits.gz" in classify(catalog=written(tmp_path / "cat.fits.gz", packed[: len(packed) // 2]))


@pytest.mark.parametrize("ending", [".fits", ".vot", ".parquet", ".ecsv", ".csv", ".jpg", ""])
def test_a_file_that_is_no_table(classify, tmp_path, ending):
    assert f"cat{ending}" in classify(catalog=written(tmp_path / f"cat{ending}", NOT_A_FILE))


def test_an_image_as_catalogue(classify, sky):
    assert "image.fits" in classify(catalog=sky.image)


def test_a_catalogue_without_positions(classify, tmp_path):
    small_sky.write_table(Table({"id": [1, 2], "mag": [20.0, 21.0]}), tmp_path / "cat.fits")
    assert "--ra and --dec" in classify(catalog=tmp_path / "cat.fits")


def test_a_catalogue_with_half_a_position(classify, tmp_path):
    small_sky.write_table(Table({"ra": [1.0], "mag": [20.0]}), tmp_path / "cat.csv")
    said = classify(catalog=tmp_path / "cat.csv")
    assert "declination" in said
    assert "--dec" in said


def test_a_position_column_that_is_not_there(classify):
    said = classify(ra="raa", dec="dec")
    assert "unknown column 'raa'" in said
    assert "did you mean 'ra'?" in said


def test_a_position_column_with_several_values_in_a_row(classify, tmp_path):
    made = small_sky.table()
    made["ra"] = np.repeat(np.asarray(made["ra"])[:, None], 2, axis=1)
    path = small_sky.write_table(made, tmp_path / "cat.fits")
    assert "column 'ra' has several values" in classify(catalog=path)


def test_an_hdu_that_is_not_there(classify):
    assert "cat.fits" in classify(hdu="7")
    assert "image.fits" in classify(**{"image-hdu": "PSF"})


def test_a_column_that_has_our_name_already(classified, classify, tmp_path):
    made = small_sky.table()
    made["GM_Class"] = "spiral"
    path = small_sky.write_table(made, tmp_path / "cat.fits")
    said = classify(catalog=path)
    assert "GM_Class" in said
    assert "--prefix" in said
    assert classified(tmp_path / "out.fits", "--prefix", "new_", catalog=path).status == 0
    found = fits.getdata(tmp_path / "out.fits", 1)
    assert (found["GM_Class"] == "spiral").all()
    assert np.isfinite(found["new_conf"]).all()


@pytest.mark.parametrize("prefix", ["é_", "a b", "1", "a-"])
def test_a_prefix_that_formats_cannot_hold(classify, prefix):
    assert f"prefix '{prefix}'" in classify(prefix=prefix)


# Images


@pytest.mark.parametrize("option", ["image", "weight", "rms"])
def test_a_missing_image(classify, tmp_path, option):
    assert "does not exist" in classify(**{option: tmp_path / "none.fits"})


@pytest.mark.parametrize("option", ["image", "weight"])
def test_a_truncated_image(classify, tmp_path, sky, option):
    said = classify(**{option: halved(tmp_path / "half.fits", sky.image)})
    assert "half.fits" in said
    assert "truncated" in said


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".xz"])
def test_a_truncated_compressed_image(classify, tmp_path, sky, ending):
    packed = gzip.compress(sky.image.read_bytes())
    assert f"i.fits{ending}" in classify(image=written(tmp_path / f"i.fits{ending}", packed[: len(packed) // 2]))


@pytest.mark.parametrize("option", ["image", "weight"])
@pytest.mark.parametrize("contents", [b"", NOT_A_FILE, b"SIMPLE  =                    T" + b" " * 50])
def test_a_file_that_is_no_image(classify, tmp_path, option, contents):
    assert "bad.fits" in classify(**{option: written(tmp_path / "bad.fits", contents)})


def test_a_table_as_image(classify, sky):
    assert "cat.fits" in classify(image=sky.catalog)


def test_a_folder_without_images(classify, tmp_path):
    assert "holds no FITS image" in classify(image=tmp_path)


def test_a_weight_image_of_another_shape(classify, tmp_path):
    fits.writeto(tmp_path / "w.fits", np.ones((20, 30), np.float32))
    said = classify(weight=tmp_path / "w.fits")
    assert "30 x 20" in said
    assert "240 x 240" in said


def test_weight_and_noise_at_once(classify, sky):
    assert "both weight and rms" in classify(weight=sky.weight, rms=sky.weight)


def test_sky_positions_on_an_image_without_wcs(classify, tmp_path):
    fits.writeto(tmp_path / "bare.fits", small_sky.field())
    said = classify(image=tmp_path / "bare.fits")
    assert "bare.fits" in said
    assert "--x and --y" in said


def test_a_zip_file_that_is_none(classify, tmp_path):
    assert "stamps.zip" in classify(image=written(tmp_path / "stamps.zip", NOT_A_FILE))


def test_a_zip_file_without_stamps(classify, tmp_path):
    with zipfile.ZipFile(tmp_path / "stamps.zip", "w") as archive:
        archive.writestr("read.me", "nothing to see")
    assert "no JPEG or PNG" in classify(image=tmp_path / "stamps.zip")


def test_stamps_without_a_column_of_files(classify, tmp_path):
    (tmp_path / "stamps").mkdir()
    written(tmp_path / "stamps" / "a.jpg", b"")
    assert "--file" in classify(image=tmp_path / "stamps", survey="nircam", band="F200W")


# Surveys, bands, checkpoints, devices


def test_an_unknown_survey(classify):
    said = classify(survey="candls")
    assert "did you mean 'candels'?" in said
    assert "nircam" in said


def test_an_unknown_band(classify):
    assert "did you mean 'F160W'?" in classify(band="F16W")


def test_a_band_without_its_survey(classify):
    assert "--survey" in classify(survey=None)


def test_three_bands_of_which_only_one_image_is_given(classify, rgb_checkpoint):
    assert "g=FILE" in classify(survey="sdss", band="gri", checkpoint=rgb_checkpoint)


def test_an_unknown_checkpoint(classify):
    assert "unknown checkpoint 'candels-x'" in classify(checkpoint="candels-x")


def test_neither_checkpoint_nor_survey(classify):
    said = classify(survey=None, band=None, checkpoint=None)
    assert "--checkpoint" in said
    assert "--survey and --band" in said


def test_a_survey_for_which_no_checkpoint_ships(classify):
    assert "no checkpoint ships for survey 'legacy', band 'r'" in classify(survey="legacy", band="r", checkpoint=None)


def _rewritten(source: Path, path: Path, change) -> Path:
    """Copy a checkpoint with changed contents of its header."""
    with safe_open(source, framework="pt") as stream:
        header = dict(stream.metadata())
    contents = json.loads(header["galmorph"])
    change(header, contents)
    header.setdefault("galmorph", "")
    if header["galmorph"]:
        header["galmorph"] = json.dumps(contents)
    save_file(load_file(source), path, header)
    return path


@pytest.mark.parametrize(
    "change",
    [
        lambda header, _: header.update(galmorph=""),
        lambda _, contents: contents.update(format="9"),
        lambda _, contents: contents.pop("recipe"),
        lambda _, contents: contents.pop("envelope"),
        lambda _, contents: contents["network"].update(channels=[8, 24]),
        lambda _, contents: contents["recipe"].update(size="large"),
        lambda _, contents: contents["recipe"].update(colour=1),
        lambda _, contents: contents["scheme"]["questions"][0]["answers"].pop(),
        lambda _, contents: contents.update(temperatures=None),
        lambda _, contents: contents.update(scheme=[]),
    ],
)
def test_a_checkpoint_that_contradicts_itself(classify, h_checkpoint, tmp_path, change):
    assert "bad.safetensors" in classify(checkpoint=_rewritten(h_checkpoint, tmp_path / "bad.safetensors", change))


@pytest.mark.parametrize("contents", [b"", NOT_A_FILE, pickle.dumps({"weights": [1, 2, 3]})])
def test_a_checkpoint_that_is_none(classify, tmp_path, contents):
    said = classify(checkpoint=written(tmp_path / "bad.safetensors", contents))
    assert "bad.safetensors" in said
    assert "fetch or train it again" in said


def test_a_truncated_checkpoint(classify, h_checkpoint, tmp_path):
    assert "half.safetensors" in classify(checkpoint=halved(tmp_path / "half.safetensors", h_checkpoint))


def test_a_colour_checkpoint_for_one_band(classify, rgb_checkpoint):
    assert "three bands (colour)" in classify(checkpoint=rgb_checkpoint)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there(classify):
    assert "--device cpu" in classify(device="cuda")


def test_an_unknown_device_in_python(sky, h_checkpoint):
    with pytest.raises(CheckpointError, match="unknown device 'tpu'"):
        galmorph.classify(sky.catalog, sky.image, checkpoint=h_checkpoint, device="tpu")


def test_a_list_as_catalogue_in_python(sky, h_checkpoint):
    with pytest.raises(CatalogError, match="catalog of type list"):
        galmorph.classify([1, 2], sky.image, checkpoint=h_checkpoint)


# Outputs


@pytest.mark.parametrize("name", ["out.fits", "out.csv", "out.vot"])
def test_an_output_that_exists(classify, tmp_path, name):
    written(tmp_path / name, b"precious")
    assert "--overwrite" in classify(output=tmp_path / name)
    assert (tmp_path / name).read_bytes() == b"precious"


def test_an_output_that_exists_is_replaced_with_overwrite(classified, tmp_path):
    written(tmp_path / "out.fits", b"worthless")
    assert classified(tmp_path / "out.fits", "--overwrite").status == 0
    assert fits.getdata(tmp_path / "out.fits", 1)["gm_conf"].size == len(small_sky.XY)


def test_an_output_in_a_missing_folder(classify, tmp_path):
    assert "does not exist" in classify(output=tmp_path / "none" / "out.fits")


def test_an_output_in_a_folder_that_cannot_be_written(classify, tmp_path):
    closed = Path("/proc/self")  # even the superuser makes no file there
    if os.geteuid() != 0:
        closed = tmp_path / "closed"
        closed.mkdir(mode=0o500)
    assert "cannot be written" in classify(output=closed / "out.fits")


@pytest.mark.parametrize("name", ["out", "out.doc", "out.fit.z", "out.txt"])
def test_an_output_of_unknown_format(classify, tmp_path, name):
    assert ".parquet" in classify(output=tmp_path / name)


def test_a_folder_as_output(classify, tmp_path):
    (tmp_path / "out.fits").mkdir()
    assert "is a folder" in classify(output=tmp_path / "out.fits")


@pytest.mark.parametrize("option", ["image", "weight"])
def test_an_output_that_is_one_of_the_images(classify, tmp_path, option):
    fits.writeto(tmp_path / "image.fits", small_sky.field(), small_sky.header())
    said = classify("--overwrite", **{option: tmp_path / "image.fits", "output": tmp_path / "image.fits"})
    assert "is one of the images" in said


def test_an_output_that_is_an_image_of_three_in_python(sky):
    with pytest.raises(OutputError, match="is one of the images"):
        galmorph.measure(sky.catalog, {"g": sky.image, "r": [str(sky.weight)]}, output=sky.weight, overwrite=True)


def test_a_report_folder_that_is_a_file(classify, tmp_path):
    assert "report" in classify(report=written(tmp_path / "report", b""))


# Everything else


def test_strictness_still_writes_the_output(classified, tmp_path):
    made = small_sky.table()
    made["ra"][3] = np.nan
    small_sky.write_table(made, tmp_path / "cat.fits")
    done = classified(tmp_path / "out.fits", "--strict", catalog=tmp_path / "cat.fits")
    assert done.status == 3
    assert done.err.splitlines()[-1].startswith("galmorph: 1 of 7 rows have no probabilities")
    assert len(fits.getdata(tmp_path / "out.fits", 1)) == 7


def test_strictness_accepts_a_sound_catalogue(classified, tmp_path):
    assert classified(tmp_path / "out.fits", "--strict").status == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("clasify",),
        ("classify",),
        ("classify", "cat.fits", "--image", "i.fits", "--device", "tpu"),
        ("classify", "cat.fits", "--image", "i.fits", "--unknown"),
        ("classify", "cat.fits", "--image", "i.fits", "--over"),
        ("list", "galaxies"),
        ("train", "labels.csv", "--image", "i.zip", "--pipeline", "p", "-o", "d", "--epochs", "many"),
    ],
)
def test_wrong_usage_has_status_two(galmorph, arguments):
    done = galmorph(*arguments)
    assert done.status == 2
    assert "--help' lists what can be given" in done.err
    assert "Traceback" not in done.err


def test_debug_shows_where_an_error_came_from(galmorph, tmp_path):
    with pytest.raises(GalmorphError, match="does not exist"):
        galmorph("classify", tmp_path / "none.fits", "--image", "i.fits", "--checkpoint", "x", "--debug")
