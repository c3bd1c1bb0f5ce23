"""Mistakes that newcomers make: one line each, which names the remedy."""

from __future__ import annotations

import pytest
from astropy.table import Table

from galmorph.shipped import shipped

H = ("--survey", "candels", "--band", "H")
SAMPLE = shipped("catalogs") / "samples" / "candels-h"


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        ((), "no survey and band to choose it by: give --checkpoint"),
        (("--survey", "candels"), "name the --band (F160W = H"),
        (("--band", "H"), "name its --survey"),
        (("--survey", "candel", "--band", "H"), "did you mean 'candels'?"),
        (("--survey", "candels", "--band", "K"), "known are F125W"),
        (("--survey", "candels", "--band", "RGB"), "give one band"),
        ((*H, "--ra", "RAJ2000"), "known are dec, id, mag, ra"),
        ((*H, "--hdu", "7"), "known are 1 (CATALOG)"),
        ((*H, "--image-hdu", "SCI2"), "such are 0 PRIMARY"),
        ((*H, "--checkpoint", "candels-j"), "did you mean 'candels-h'?"),
        ((*H, "--checkpoint", "sdss-rgb"), "choose another --checkpoint or --band"),
        ((*H, "--rule", "clean"), "known are leading-share, likeliest"),
        ((*H, "--views", "8"), "known are dieleman60"),
        ((*H, "--runtime", "onnx"), "export it first"),
        ((*H, "--prefix", "my-"), "choose another --prefix"),
        ((*H, "-o", "out.xyz"), "known are .csv"),
        ((*H, "-o", "nowhere/out.fits"), "make it or choose another"),
        ((*H, "--weight", "none.fits"), "correct the path"),
    ],
)
def test_a_wrong_option_of_classify(galmorph, words, remedy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = galmorph("classify", SAMPLE / "catalog.fits", "--image", SAMPLE / "image.fits.gz", *words)
    assert done.status == 1
    assert remedy in done.err
    assert done.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (("show", "text.txt"), "expected a .toml file"),
        (("show", "none.toml"), "does not exist"),
        (("export", "sdss-rgb", "-o", "net.pt"), "ends in .onnx"),
        (("calibrate", "sdss-rgb", "text.txt", "--image", "i.zip", "-o", "net.st"), "ends in .safetensors"),
        (("run", "extending.toml", "-o", "out"), "correct its 'extends'"),
        (("run", "sdss-rgb", "-o", "out"), "--input labels=FILE"),
        (("run", "sdss-rgb", "-o", "out", "--input", "label=a.csv"), "did you mean 'labels'?"),
        (("tune", "sdss-rgb", "-o", "out"), "add one with the ranges to search"),
        (("inspect", "sdss-rgb", "text.txt", "-o", "page.html"), "add the images"),
        (("inspect", "sdss-rgb", "-o", "page.html", "--weight", "w.fits"), "without labels"),
        (("evaluate", "sdss-rgb", "text.txt", "--image", "i.zip", "--card", "none.json"), "beside a checkpoint"),
    ],
)
def test_a_wrong_word_of_another_command(galmorph, words, remedy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("hello\n")
    (tmp_path / "extending.toml").write_text('extends = "base.toml"\n')
    done = galmorph(*words)
    assert done.status == 1
    assert remedy in done.err
    assert done.err.count("\n") == 1


def test_a_catalogue_of_another_field_is_asked_about(galmorph, tmp_path):
    table = Table.read(SAMPLE / "catalog.fits")[:3]
    table["ra"] += 90.0
    table.write(tmp_path / "elsewhere.fits")
    words = ("measure", tmp_path / "elsewhere.fits", "--image", SAMPLE / "image.fits.gz", *H, "-o", tmp_path / "o.fits")
    done = galmorph(*words)
    assert done.status == 0
    assert "3 of 3 rows: no image covers the position; are these the images of this catalogue" in done.err
