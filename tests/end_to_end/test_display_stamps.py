"""JPEG and PNG stamps in a zip file or folder, named by a column ``file``."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
import small_sky
from astropy.table import Table
from PIL import Image

from galmorph import classify
from galmorph.flags import flag_names
from galmorph.sky.catalog import read_catalog

NAMES = [f"{100 + n}.jpg" for n in range(6)]
SDSS = {"survey": "sdss", "band": "RGB"}


def picture(number: int, side: int = 96, kind: str = "JPEG") -> bytes:
    """Draw a reddish galaxy, a little off the middle, as an encoded file."""
    noise = np.random.default_rng(number).normal(0, 1.5, (side, side, 3))
    disk = small_sky.light((side, side), side / 2 + number, side / 2 - 1, 6.0 + number, q=1 - 0.1 * number)
    pixels = 6 + noise + 220 * disk[..., None] * np.array([1.0, 0.8, 0.6])
    stream = io.BytesIO()
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(stream, kind, quality=95)
    return stream.getvalue()


@pytest.fixture(scope="module")
def stamps(tmp_path_factory):
    """Write six stamps into a zip file and into a folder."""
    root = tmp_path_factory.mktemp("stamps")
    (root / "folder").mkdir()
    with zipfile.ZipFile(root / "images.zip", "w") as archive:
        for number, name in enumerate(NAMES):
            archive.writestr(name, picture(number))
            (root / "folder" / name).write_bytes(picture(number))
        archive.writestr("damaged.jpg", picture(1)[:400])
        archive.writestr("noise.jpg", b"no picture at all")
        archive.writestr("notes.txt", b"not a stamp")
    return root


def labels(files: list[str]) -> Table:
    return Table({"file": files, "votes": np.arange(len(files))})


def chances(table: Table) -> np.ndarray:
    return np.stack([np.asarray(table[n], float) for n in table.colnames if n.startswith("gm_p_")], axis=1)


def test_stamps_in_a_zip_file_are_classified_by_name(galmorph, stamps, tmp_path, rgb_checkpoint):
    labels(NAMES[::-1]).write(tmp_path / "labels.csv", format="ascii.csv")
    done = galmorph(
        *("classify", tmp_path / "labels.csv", "--image", stamps / "images.zip", "--survey", "sdss", "--band", "RGB"),
        *("--checkpoint", rgb_checkpoint, "-o", tmp_path / "out.csv"),
    )
    assert done.status == 0, done.err
    table = read_catalog(tmp_path / "out.csv").table
    assert table["file"].tolist() == NAMES[::-1]
    assert np.isfinite(chances(table)).all()
    np.testing.assert_allclose(chances(table).sum(axis=1), 1.0, atol=1e-5)
    assert {"gm_x", "gm_y"} <= set(table.colnames)
    # y counts from the top of the picture, and the galaxies lie where they were drawn
    np.testing.assert_allclose(table["gm_x"], 48 + np.arange(6)[::-1], atol=0.3)
    np.testing.assert_allclose(table["gm_y"], 47, atol=0.3)


def test_a_folder_is_the_same_as_a_zip_file(stamps, rgb_checkpoint):
    zipped = classify(labels(NAMES), stamps / "images.zip", checkpoint=rgb_checkpoint, **SDSS)
    loose = classify(labels(NAMES), stamps / "folder", checkpoint=rgb_checkpoint, **SDSS)
    for name in zipped.colnames:
        np.testing.assert_array_equal(zipped[name], loose[name], err_msg=name)


def test_missing_and_damaged_stamps_are_flagged_rows(stamps, rgb_checkpoint):
    files = [NAMES[0], "nowhere.jpg", "damaged.jpg", "noise.jpg", "", "notes.txt", NAMES[1]]
    table = classify(labels(files), stamps / "images.zip", checkpoint=rgb_checkpoint, **SDSS)
    assert table["file"].tolist() == files
    found = [flag_names(f) for f in table["gm_flags"]]
    assert found[1:6] == [["NO_IMAGE"], ["FETCH_FAILED"], ["FETCH_FAILED"], ["NO_POSITION"], ["NO_IMAGE"]]
    known = np.isfinite(chances(table)).all(axis=1)
    assert known.tolist() == [True, False, False, False, False, False, True]
    assert (table["gm_class"] != "").tolist() == known.tolist()


def test_stamps_split_and_stacked_are_the_whole(stamps, rgb_checkpoint):
    whole = classify(labels(NAMES), stamps / "images.zip", checkpoint=rgb_checkpoint, **SDSS)
    parts = [
        classify(labels(files), stamps / "images.zip", checkpoint=rgb_checkpoint, **SDSS)
        for files in (NAMES[:2], NAMES[2:])
    ]
    np.testing.assert_allclose(np.concatenate([chances(p) for p in parts]), chances(whole), atol=2e-6)
    for name in ("gm_x", "gm_y", "gm_rpet", "gm_snr", "gm_flags"):
        np.testing.assert_array_equal(np.concatenate([p[name] for p in parts]), whole[name], err_msg=name)


def test_names_may_lack_folder_and_suffix(stamps, rgb_checkpoint):
    table = classify(labels(["100", "a/101.jpg"]), stamps / "images.zip", checkpoint=rgb_checkpoint, **SDSS)
    plain = classify(labels(NAMES[:2]), stamps / "images.zip", checkpoint=rgb_checkpoint, **SDSS)
    np.testing.assert_array_equal(chances(table), chances(plain))


def test_grey_png_stamps_serve_a_checkpoint_of_one_band(tmp_path):
    made = small_sky.checkpoint(scheme="gz-ceers", survey="nircam", bands=("F200W",), scale_arcsec=0.03)
    for number in range(2):
        Image.open(io.BytesIO(picture(number))).convert("L").save(tmp_path / f"{number}.png")
    table = classify(
        Table({"image_name": ["0.png", "1.png"]}),
        tmp_path,
        survey="nircam",
        band="F200W",
        checkpoint=made,
        file="image_name",
    )
    assert np.isfinite(chances(table)).all()
    assert len(chances(table)[0]) == 39
    assert not (table["gm_flags"] & 0b111).any()


def test_grey_stamps_are_refused_to_a_colour_checkpoint(galmorph, tmp_path, rgb_checkpoint):
    Image.open(io.BytesIO(picture(1))).convert("L").save(tmp_path / "1.png")
    labels(["1.png"]).write(tmp_path / "labels.csv", format="ascii.csv")
    done = galmorph(
        *("classify", tmp_path / "labels.csv", "--image", tmp_path / "1.png", "--checkpoint", rgb_checkpoint),
        *("-o", tmp_path / "out.csv"),
    )
    assert done.status == 1
    assert "these have one band" in done.err
    assert not (tmp_path / "out.csv").exists()
