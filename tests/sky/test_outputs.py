"""No output replaces what is read, however either is named."""

from __future__ import annotations

import os

import pytest

from galmorph.errors import OutputError
from galmorph.sky.catalog import read_catalog
from galmorph.sky.catalog_input import CatalogInput
from galmorph.sky.images import ImageInput
from galmorph.sky.outputs import check_apart, check_outputs


@pytest.fixture
def files(tmp_path):
    for name in ("im.fits", "w.fits", "c.csv", "stamps.zip", "survey.toml", "net.safetensors"):
        (tmp_path / name).write_text("ra,dec\n1,2\n")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "a.jpg").write_text("")
    return tmp_path


@pytest.mark.parametrize(
    ("output", "inputs"),
    [
        ("im.fits", lambda f: f / "im.fits"),
        ("im.fits", str),
        ("im.fits", lambda f: f"{f}/im.fits[0]"),
        ("im.fits", lambda f: f"{f}/im.fits[SCI,2]"),
        ("im.fits", lambda f: f"{f}/*.fits"),
        ("im.fits", lambda f: f"H={f}/im.fits"),
        ("im.fits", lambda f: {"g": f / "w.fits", "r": [f / "im.fits"]}),
        ("w.fits", lambda f: ImageInput(f / "im.fits", weight=f / "w.fits")),
        ("survey.toml", lambda f: ImageInput(f / "im.fits", survey=f / "survey.toml")),
        ("below/a.jpg", lambda f: f),
        ("c.csv", lambda f: CatalogInput(f / "c.csv")),
        ("c.csv", lambda f: CatalogInput(read_catalog(f / "c.csv"))),
        ("net.safetensors", lambda f: [None, (f / "c.csv", f / "net.safetensors")]),
    ],
)
@pytest.mark.parametrize("link", [None, os.symlink, os.link])
def test_an_input_is_never_an_output(files, output, inputs, link):
    path = files / output
    if link is not None:
        path = files / "link"
        link(files / output, path)
    with pytest.raises(OutputError, match="never replaces its input") as caught:
        check_outputs([None, path], inputs(files), overwrite=True)
    assert "\n" not in str(caught.value)


def test_what_lies_beside_inputs_and_is_not_read_may_be_replaced(files):
    (files / "out.csv").write_text("")
    check_outputs([files / "out.csv"], files, files / "c.csv", overwrite=True)
    check_apart([files / "new.fits"], files)
    with pytest.raises(OutputError, match="exists already"):
        check_outputs([files / "out.csv"], files)


def test_a_folder_that_will_be_made_may_be_missing(files):
    check_outputs([files / "a" / "b" / "page.html"], is_made=True)
    assert not (files / "a").exists()
    with pytest.raises(OutputError, match="is a file"):
        check_outputs([files / "c.csv" / "b" / "page.html"], is_made=True)
    with pytest.raises(OutputError, match="does not exist"):
        check_outputs([files / "a" / "page.html"])
