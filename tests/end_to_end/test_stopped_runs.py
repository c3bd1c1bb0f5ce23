"""Runs that are stopped half-way: by a full disk or by hand. They leave the folder as it was."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import small_sky

import galmorph
from galmorph.sky.images.tiles import TileSource

ENDINGS = ("fits", "vot", "ecsv", "csv", "parquet", "fits.gz")

# A file-size limit stops writing part of the way through a file, as a full disk does, and needs no privileges.
FULL_DISK = """
import resource, sys
from galmorph.cli import main
endings, inputs, folder, checkpoint = sys.argv[1].split(), sys.argv[2].split("|"), sys.argv[3], sys.argv[4]
import galmorph.nets.checkpoint.file, pandas, pyarrow.parquet  # may compile what they import
sys.dont_write_bytecode = True
resource.setrlimit(resource.RLIMIT_FSIZE, (1500, resource.RLIM_INFINITY))
for ending in endings:
    status = main(["classify", *inputs, "--checkpoint", checkpoint, "-o", f"{folder}/out.{ending}", "--overwrite"])
    print(ending, status, flush=True)
"""


def _hear_interrupts() -> None:
    """Undo what a background shell does: it starts its children deaf to SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def python(*arguments: object) -> subprocess.Popen[str]:
    """Start Python in a process of its own, with one thread."""
    root = str(Path(galmorph.__file__).parents[1])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": root, "PYTHONUNBUFFERED": ""}
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_hear_interrupts,  # noqa: PLW1509 - only sets a signal
    )


def test_a_full_disk_is_one_line_and_leaves_an_old_result_whole(sky, h_checkpoint, tmp_path):
    for ending in ENDINGS:
        (tmp_path / f"out.{ending}").write_bytes(b"old result")
    process = python("-c", FULL_DISK, " ".join(ENDINGS), "|".join(sky.inputs), tmp_path, h_checkpoint)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert out.split() == [word for ending in ENDINGS for word in (ending, "1")]
    lines = err.splitlines()
    assert len(lines) == len(ENDINGS), err
    for ending, line in zip(ENDINGS, lines, strict=True):
        assert line.startswith(f"galmorph: Output '{tmp_path}/out.{ending}' cannot be written"), line
        assert "free space or choose another folder" in line
        assert (tmp_path / f"out.{ending}").read_bytes() == b"old result"
    assert len(list(tmp_path.iterdir())) == len(ENDINGS)


def test_interrupting_while_galaxies_are_measured_leaves_nothing(classified, tmp_path, monkeypatch):
    cut, seen = TileSource.cutout, []

    def interrupted(self, *arguments):
        seen.append(arguments)
        if len(seen) == 4:
            raise KeyboardInterrupt
        return cut(self, *arguments)

    monkeypatch.setattr(TileSource, "cutout", interrupted)
    done = classified(tmp_path / "out.fits", "--detect", "cutouts")  # blocks are read once for all of their rows
    assert (done.status, done.out, done.err) == (130, "", "galmorph: stopped\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", ENDINGS)
def test_interrupting_while_the_result_is_written_leaves_nothing(sky, h_checkpoint, tmp_path, monkeypatch, ending):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)  # the last step before a file gets its name
    with pytest.raises(KeyboardInterrupt):
        galmorph.classify(
            *(sky.catalog, sky.image),
            survey="candels",
            band="H",
            checkpoint=h_checkpoint,
            output=tmp_path / f"out.{ending}",
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.long
def test_a_real_interrupt_stops_the_command_with_130(sky, h_checkpoint, tmp_path):
    many = small_sky.write_table(small_sky.table(np.tile(small_sky.XY, (3000, 1))), tmp_path / "many.csv")
    process = python(
        *("-m", "galmorph", "classify", many, "--image", sky.image, "--survey", "candels", "--band", "H"),
        *("--checkpoint", h_checkpoint, "-o", tmp_path / "out.csv"),
    )
    time.sleep(6)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err.splitlines()[-1]) == (130, "", "galmorph: stopped")
    kept = tmp_path / "out.csv.parts"  # where it had begun to measure
    assert (f"what is done is kept in '{kept}'" in err) == kept.exists()
    assert set(tmp_path.iterdir()) - {kept} == {many}


def test_the_command_itself_fails_in_one_line(tmp_path):
    process = python("-m", "galmorph", "measure", tmp_path / "none.fits", "--image", tmp_path / "none.fits")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert err == f"galmorph: Catalog '{tmp_path}/none.fits' does not exist: check the path\n"


def test_a_reader_that_goes_away_ends_a_command_without_a_word():
    """As programs end whose pipe is closed: 128 + SIGPIPE."""
    process = python("-m", "galmorph", "list", "surveys")
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=60) == 141
    assert err == ""


@pytest.mark.parametrize(("error", "words"), [(MemoryError, "not enough memory"), (RecursionError, "nested too deep")])
def test_what_python_cannot_hold_ends_in_one_line(classified, tmp_path, monkeypatch, error, words):
    def failing(*_arguments):
        raise error

    monkeypatch.setattr(TileSource, "cutout", failing)
    done = classified(tmp_path / "out.fits")
    assert done.status == 1
    assert done.err.count("\n") == 1
    assert words in done.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_being_told_to_stop_while_the_result_is_written_leaves_nothing(
    classified, tmp_path, monkeypatch, number, status
):
    monkeypatch.setattr(os, "fsync", lambda _: os.kill(os.getpid(), number))
    before = signal.signal(number, signal.SIG_DFL)  # where it is ignored, as by nohup, it stays so
    try:
        done = classified(tmp_path / "out.fits")
        assert (done.status, done.err) == (status, "galmorph: stopped\n")
        assert not list(tmp_path.iterdir())
        assert signal.getsignal(number) == signal.SIG_DFL
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize("named", ["folder", "hdu", "link", "catalogue"])
def test_no_input_is_replaced_however_it_is_named(galmorph, tmp_path, named):
    mine = small_sky.write_sky(tmp_path / "sky")
    image, output = {
        "folder": (mine.folder, mine.image),
        "hdu": (f"{mine.image}[0]", mine.image),
        "link": (mine.image, tmp_path / "link.fits"),
        "catalogue": (mine.image, mine.catalog),
    }[named]
    if named == "link":
        output.symlink_to(mine.image)
    before = output.read_bytes()
    done = galmorph("measure", mine.catalog, "--image", image, "-o", output, "--overwrite")
    assert done.status == 1
    assert "a result never replaces its input" in done.err
    assert output.read_bytes() == before


def test_no_command_replaces_what_it_reads(galmorph, h_checkpoint, sky, tmp_path):
    mine, card = tmp_path / "net.safetensors", tmp_path / "net.json"
    shutil.copy(h_checkpoint, mine)
    shutil.copy(h_checkpoint.with_suffix(".json"), card)
    labels = tmp_path / "labels.json"
    shutil.copy(sky.catalog, labels)
    link = tmp_path / "link.safetensors"
    os.link(mine, link)
    before = {path: path.read_bytes() for path in (mine, card, labels)}
    pixels = ("--image", sky.image, "--survey", "candels", "--band", "H")
    for command in (
        ("calibrate", mine, sky.catalog, *pixels, "-o", link),
        ("ensemble", mine, "candels-h", "-o", link),
        ("ensemble", "candels-h", link, "-o", mine),
        ("evaluate", mine, labels, *pixels, "-o", labels),
        ("evaluate", mine, labels, *pixels, "-o", card),
    ):
        done = galmorph(*command, "--overwrite")
        assert (done.status, done.out, done.err.count("\n")) == (1, "", 1), done
        assert "a result never replaces its input" in done.err
    assert {path: path.read_bytes() for path in before} == before
    assert len(list(tmp_path.iterdir())) == 4


def test_what_is_in_the_way_is_refused_before_work(galmorph, h_checkpoint, sky, tmp_path):
    old = {name: tmp_path / name for name in ("s.json", "net.onnx", "two.safetensors", "three.json", "image.fits")}
    for path in old.values():
        path.write_text("old")
    pixels = (sky.catalog, "--image", sky.image, "--survey", "candels", "--band", "H")
    for command in (
        ("evaluate", h_checkpoint, *pixels, "-o", old["s.json"]),
        ("export", h_checkpoint, "-o", old["net.onnx"]),
        ("ensemble", h_checkpoint, h_checkpoint, "-o", old["two.safetensors"]),
        ("ensemble", h_checkpoint, h_checkpoint, "-o", tmp_path / "three.safetensors"),
        ("calibrate", h_checkpoint, *pixels, "-o", old["two.safetensors"]),
        ("simulate", "--rows", 3, "-o", tmp_path),
    ):
        done = galmorph(*command)
        assert (done.status, done.out, done.err.count("\n")) == (1, "", 1), done
        assert "exists already" in done.err
    assert sorted(tmp_path.iterdir()) == sorted(old.values())
    assert {path.read_text() for path in old.values()} == {"old"}
