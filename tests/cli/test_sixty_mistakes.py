"""Mistakes that newcomers make: each ends with one line that names the remedy, and leaves nothing behind.

Others are in `tests/end_to_end/test_mistakes.py`; those of damaged files in `tests/end_to_end/test_refusals.py`.
"""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from galmorph import cli
from galmorph.shipped import shipped

SAMPLE = shipped("catalogs") / "samples" / "candels-h"
H = "--image image.fits.gz --survey candels --band H"

# What is typed, and a piece of the line about it that says what to do. Usage ends with 2.
USAGE = [
    ("clasify", "did you mean 'classify'?"),
    ("Classify", "did you mean 'classify'?"),
    ("predict", "did you mean 'classify'?"),
    ("crossmatch", "did you mean 'match'?"),
    ("download", "did you mean 'fetch'?"),
    ("help clasify", "did you mean 'classify'?"),
    ("few.csv", "such as 'galmorph classify few.csv'"),
    ("--image image.fits.gz classify few.csv", "options follow their command"),
    ("--verison", "did you mean '--version'?"),
    ("classify", "as in 'galmorph classify catalog.fits --image"),
    ("classify few.csv image.fits.gz", "images follow --image"),
    ("classify few.csv -image image.fits.gz", "did you mean '--image'?"),
    ("classify few.csv --images image.fits.gz", "did you mean '--image'?"),
    (f"classify few.csv {H} -output out.fits", "did you mean '--output'?"),
    (f"classify few.csv {H} --out out.fits", "did you mean '--output'?"),
    (f"classify few.csv {H} --over", "did you mean '--overwrite'?"),
    (f"classify few.csv {H} --clobber", "did you mean '--overwrite'?"),
    (f"classify few.csv {H} --model candels-h", "did you mean '--checkpoint'?"),
    ("classify few.csv --image image.fits.gz --filter H", "did you mean '--band'?"),
    (f"classify few.csv {H} --jobs 4", "did you mean '--workers'?"),
    (f"classify few.csv {H} --cpu", "did you mean '--device'?"),
    (f"classify few.csv {H} --device gpu", "did you mean 'cuda'?"),
    (f"classify few.csv {H} --workers two", "expected a whole number"),
    (f"classify few.csv {H} --workers", "give its value after it"),
    (f"classify few.csv {H} --overwrite=true", "write it without a value"),
    (f"classify few.csv {H} --config none.toml", "correct --config"),
    (f"classify few.csv {H} --config typo.toml", "line 2, [classify]: unknown key 'wokers': did you mean 'workers'?"),
    (f"classify few.csv {H} --config syntax.toml", "correct the file"),
    ("measure --at 53.1 -27.8 --band H", "both numbers in quotes: --at '53.1 -27.8'"),
    ("list survey", "did you mean 'surveys'?"),
    ("list models", "did you mean 'checkpoints'?"),
    ("show", "as in 'galmorph show candels'"),
    ("cache delete", "none of list, clear, path"),
    ("match few.csv few.csv", "as in 'galmorph match"),
    ("match few.csv few.csv --radius 1 arcsec", "quote what contains spaces"),
    ("match few.csv few.csv --tolerance 1arcsec", "did you mean '--radius'?"),
    ("match few.csv few.csv --radius 1arcsec --join inner", "none of 1and2, 1or2"),
    ("compare few.csv few.csv --radius 1arcsec", "--theirs, as in 'galmorph compare"),
    ("train labels.csv --image stamps", "--pipeline, -o/--output, as in 'galmorph train"),
    ("run sdss-rgb", "-o/--output, as in 'galmorph run"),
    ("run sdss-rgb -o runs --input labels", "expected KEY=VALUE, such as labels=votes.csv"),
    ("evaluate sdss-rgb --image stamps", "LABELS, as in 'galmorph evaluate"),
    ("simulate --rows ten -o field", "expected a whole number"),
    ("fetch few.csv", "--band, as in 'galmorph fetch"),
    ("store", "ACTION, as in 'galmorph store push"),
    ("store pul survey.db", "did you mean 'pull'?"),
    ("store list", "STORE, as in 'galmorph store list survey.db'"),
    ("completion tcsh", "none of bash, zsh, fish"),
]
# What the work itself refuses ends with 1.
REFUSED = [
    (f"classify catalogue.fits {H}", "check the path"),
    (f"classify folder {H}", "name the file in it"),
    (f"classify '*.csv' {H}", "expected no pattern; name it"),
    (f"classify https://example.org/field.fits {H}", "download it and name that"),
    (f"classify vizer:II/246 {H}", "tables of VizieR are 'vizier:TABLE'"),
    (f"classify picture.png {H}", "known are .cat, .csv"),
    (f"classify saved.html {H}", "known are .cat, .csv"),
    (f"classify page.fits {H}", "check what it is"),
    (f"classify truncated.fits {H}", "copy the file again"),
    (f"classify empty.csv {H}", "expected a table. Check how it was made"),
    (f"classify words.txt {H}", "Name them with --ra and --dec"),
    (f"classify lonlat.csv {H}", "Name them with --ra and --dec"),
    (f"classify few.csv {H} --ra RA_J2000", "known are dec, id, mag, ra"),
    (f"classify few.csv {H} --ra 53.1 --dec -27.8", "known are dec, id, mag, ra"),
    ("classify few.csv --image missing.fits --survey candels --band H", "correct the path"),
    ("classify few.csv --image 'tiles/*.fits' --survey candels --band H", "correct the path"),
    ("classify few.csv --image https://example.org/i.fits --survey candels --band H", "download it and name the file"),
    ("classify few.csv --image folder --survey candels --band H", "give another folder"),
    ("classify few.csv --image catalog.fits --survey candels --band H", "give another file"),
    ("classify few.csv --image picture.png --survey candels --band H", "Name it with --file"),
    ("classify few.csv --image few.csv --survey candels --band H", "give a FITS image"),
    ("classify few.csv --image image.fits.gz --survey hst --band H", "known are candels, legacy, nircam, sdss"),
    ("classify few.csv --image image.fits.gz --survey candels --band F160", "did you mean 'F160W'?"),
    ("classify few.csv --image image.fits.gz --survey candels --band F160W,F125W", "name one"),
    ("classify few.csv --image r=image.fits.gz --survey sdss --band gri", "give those three"),
    (f"classify few.csv {H} -o out", "give it one of .csv"),
    (f"classify few.csv {H} -o out.xlsx", "known are .csv"),
    (f"classify few.csv {H} -o catalog.fits", "choose another name or --overwrite"),
    (f"classify few.csv {H} -o few.csv --overwrite", "a result never replaces its input"),
    (f"classify few.csv {H} -o nowhere/out.fits", "make it or choose another"),
    (f"classify few.csv {H} -o words.txt/out.fits", "is a file, no folder"),
    (f"classify few.csv {H} -o out.fits --report words.txt", "is a file, no folder"),
    (f"classify few.csv {H} --checkpoint sdss-rgb", "choose another --checkpoint or --band"),
    (f"classify few.csv {H} --checkpoint candel-h", "did you mean 'candels-h'?"),
    (f"classify few.csv {H} --checkpoint words.txt", "not one of galmorph's"),
    (f"classify few.csv {H} --rule 1", "known are leading-share, likeliest"),
    (f"classify few.csv {H} --views 8", "write them as 'angles = 8"),
    (f"classify few.csv {H} --weight image.fits.gz --rms image.fits.gz", "leave the other out"),
    (f"classify few.csv {H} --shard 3", "such as 3/16"),
    (f"classify few.csv {H} --workers 0", "expected 1 or more"),
    (f"classify few.csv {H} --limit rows", "known are fetched_bytes"),
    ("measure --at '53.1, -27.8x' --band H", "such as '53.1 -27.8'"),
    ("show candles", "did you mean 'candels'?"),
    ("show surveys", "'galmorph list surveys' names them"),
    ("flags BLENDED", "did you mean 'BLEND'?"),
    ("match few.csv missing.csv --radius 1arcsec", "check the path"),
    ("match few.csv few.csv --radius '1 parsec'", "expected an angle such as 1arcsec"),
    ("match few.csv few.csv --radius -1arcsec", "radius"),
    ("compare few.csv few.csv --radius 1arcsec --theirs type", "name it with --ours"),
    ("train labels.csv --image stamps --pipeline sdss-rbg -o runs", "did you mean 'sdss-rgb'?"),
    ("run words.txt -o runs", "correct the file"),
    ("evaluate labels.csv sdss-rgb --image stamps", "not one of galmorph's"),
    ("export sdss-rgb -o sdss-rgb.onx", "ends in .onnx; name it so"),
    ("ensemble sdss-rgb -o both.safetensors", "expected two or more; name them all"),
    ("overlay few.csv --regions out.reg", "expected a result of 'galmorph classify'"),
    ("overlay few.csv", "expected regions, moc, links or samp; name one"),
    ("fetch few.csv --band H --survey sdss", "known are g, i, r, u, z"),
]
# What is odd, and yet possible, is done, and asked about.
ASKED = [
    (f"measure swapped.csv {H} -o out.csv", "are --ra and --dec its columns, in degrees?"),
    (f"measure hours.csv {H} -o out.csv", "are --ra and --dec its columns, in degrees?"),
    (f"measure radians.csv {H} -o out.csv", "are --ra and --dec its columns, in degrees?"),
    (f"measure none.csv {H} -o out.csv", "the catalogue has no rows"),
]


@pytest.fixture(scope="module")
def desk(tmp_path_factory) -> Path:
    """Lay out what a newcomer has on the desk: the sample, and files that are something else."""
    folder = tmp_path_factory.mktemp("desk")
    shutil.copy(SAMPLE / "catalog.fits", folder)
    (folder / "image.fits.gz").symlink_to(SAMPLE / "image.fits.gz")
    _write_tables(Table.read(SAMPLE / "catalog.fits")[:3], folder)
    for name in ("folder", "stamps"):
        (folder / name).mkdir()
    texts = {
        "words.txt": "hello\n",
        "labels.csv": "file,label\na.jpg,smooth\n",
        "saved.html": "<!DOCTYPE html>",
        "page.fits": "<!DOCTYPE html>",
        "typo.toml": "[classify]\nwokers = 2\n",
        "syntax.toml": "[classify\nworkers = 2\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "empty.csv").touch()
    (folder / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    (folder / "truncated.fits").write_bytes((SAMPLE / "catalog.fits").read_bytes()[:5000])
    return folder


def _write_tables(table: Table, folder: Path) -> None:
    table.write(folder / "few.csv")
    table[:0].write(folder / "none.csv")
    ra, dec = np.array(table["ra"]), np.array(table["dec"])
    others = {"swapped": (dec, ra), "hours": (ra / 15, dec), "radians": (np.radians(ra), np.radians(dec))}
    for name, (first, second) in others.items():
        table["ra"], table["dec"] = first, second
        table.write(folder / f"{name}.csv")
    table.rename_columns(["ra", "dec"], ["lon", "lat"])
    table.write(folder / "lonlat.csv")


@pytest.fixture
def typed(desk, monkeypatch, capsys):
    """Type a command at the desk: return its status, and what it says on both streams."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(desk / "none"))
    monkeypatch.chdir(desk)

    def command(line: str) -> tuple[int, str, str]:
        try:
            status = cli.main(shlex.split(line))
        except SystemExit as leaving:
            status = int(leaving.code or 0)
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return command


def test_there_are_more_than_sixty():
    lines = [line for table in (USAGE, REFUSED, ASKED) for line, _ in table]
    assert len({*lines}) == len(lines) > 100


@pytest.mark.parametrize(("line", "remedy"), USAGE)
def test_wrong_usage_is_one_line_with_the_remedy(line, remedy, typed):
    status, out, err = typed(line)
    assert remedy in err
    assert (status, out, err.count("\n")) == (2, "", 1)


@pytest.mark.parametrize(("line", "remedy"), REFUSED)
def test_what_cannot_be_done_is_one_line_with_the_remedy(line, remedy, typed, desk):
    before = sorted(desk.rglob("*"))
    status, out, err = typed(line)
    assert remedy in err
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert sorted(desk.rglob("*")) == before


@pytest.mark.parametrize(("line", "remedy"), ASKED)
def test_what_is_odd_is_asked_about(line, remedy, typed, desk):
    status, out, err = typed(f"{line} --overwrite")
    assert (status, out) == (0, "out.csv\n")
    assert remedy in err.splitlines()[0]
    (desk / "out.csv").unlink()


@pytest.mark.parametrize(
    ("line", "library", "remedy"),
    [
        ("serve", "fastapi", "pip install 'galmorph[web]'"),
        ("store list survey.db", "sqlalchemy", "pip install 'galmorph[store]'"),
        ("simulate -o field", "galsim", "pip install 'galmorph[simulate]'"),
    ],
)
def test_a_missing_extra_is_one_line_that_says_how_to_get_it(line, library, remedy, typed, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    ours = [n for n in sys.modules if n.startswith(("galmorph.web", "galmorph.store", "galmorph.sky.mock"))]
    for name in ours:
        package, _, module = name.rpartition(".")
        if package not in ours:  # else `from galmorph.sky import mock` would have the old one, which no name stands for
            monkeypatch.delattr(sys.modules[package], module, raising=False)
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    status, out, err = typed(line)
    assert remedy in err
    assert (status, out, err.count("\n")) == (1, "", 1)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="there is no folder in which nobody may write")
def test_a_folder_in_which_nobody_may_write_is_named(typed):
    status, _, err = typed(f"measure few.csv {H} -o /proc/out.fits")
    assert (status, err.count("\n")) == (1, 1)
    assert "'/proc'" in err
    assert "choose another" in err
