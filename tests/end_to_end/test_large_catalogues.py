"""Large catalogues from the command line: workers, shares, what stops a run, and how far it is."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import small_sky
from astropy.table import Table

from galmorph.cli import main
from galmorph.runs import parts

ROWS = 60


@pytest.fixture(scope="module")
def sky(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sky")
    sky = small_sky.write_sky(folder)
    small_sky.table(np.tile(small_sky.XY, (9, 1))[:ROWS]).write(folder / "many.fits")
    checkpoint = small_sky.write_checkpoint(folder / "untaught.safetensors")
    return [
        "classify", str(folder / "many.fits"), "--image", str(sky.image), "--weight", str(sky.weight),
        "--survey", "candels", "--band", "H", "--checkpoint", str(checkpoint), "--detect", "cutouts",
    ]  # fmt: skip


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    monkeypatch.setattr(parts, "PART_ROWS", 12)


@pytest.fixture(scope="module")
def whole(sky, tmp_path_factory) -> bytes:
    output = tmp_path_factory.mktemp("whole") / "out.fits"
    assert main([*sky, "-o", str(output), "--engine", "local"]) == 0
    return rows_of(output)


def rows_of(path: Path) -> bytes:
    table = Table.read(path)
    assert len(table) == ROWS
    return b"".join(np.ascontiguousarray(table[name]).tobytes() for name in table.colnames)


@pytest.mark.parametrize("workers", ["2", *(pytest.param(n, marks=pytest.mark.long) for n in ("1", "4"))])
def test_the_number_of_workers_changes_nothing(sky, whole, tmp_path, workers):
    output = tmp_path / "out.fits"
    assert main([*sky, "-o", str(output), "--engine", "pool", "--workers", workers]) == 0
    assert rows_of(output) == whole
    assert [path.name for path in tmp_path.iterdir()] == ["out.fits"]


def test_a_shuffled_catalogue_gives_each_row_what_it_had(sky, whole, tmp_path):
    order = np.random.default_rng(2).permutation(ROWS)
    Table.read(sky[1])[order].write(tmp_path / "shuffled.fits")
    command = [*sky, "-o", str(tmp_path / "out.fits"), "--engine", "local"]
    command[1] = str(tmp_path / "shuffled.fits")
    assert main(command) == 0
    table = Table.read(tmp_path / "out.fits")[np.argsort(order)]
    assert b"".join(np.ascontiguousarray(table[name]).tobytes() for name in table.colnames) == whole


def test_shares_and_status_from_the_command_line(sky, whole, tmp_path, capsys):
    command = [*sky, "-o", str(tmp_path / "out.fits")]
    assert main([*command, "--status"]) == 1
    assert "none was begun" in capsys.readouterr().err
    assert main([*command, "--shard", "2/2"]) == 0
    assert "24 of 60 rows in 2 of 5 parts" in capsys.readouterr().err
    assert main([*command, "--status"]) == 0
    assert capsys.readouterr().out.startswith("24 of 60 rows in 2 of 5 parts, ")
    assert main([*command, "--shard", "1/2", "--centroid", "isophotal"]) == 1
    assert "whose centroid was 'windowed' and is 'isophotal' now" in capsys.readouterr().err
    assert main([*command, "--shard", "1/2"]) == 0
    assert main(command) == 0
    assert rows_of(tmp_path / "out.fits") == whole


@pytest.mark.parametrize("others", [["--report", "page"], ["--strict"]])
def test_a_share_has_no_report(sky, tmp_path, others, capsys):
    assert main([*sky, "-o", str(tmp_path / "out.fits"), "--shard", "1/2", *others]) == 1
    assert "was given with shard: it is for runs of all rows" in capsys.readouterr().err


BEGUN = """
import sys
from galmorph.cli import main
from galmorph.runs import parts
parts.PART_ROWS = 12
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("workers", [["--engine", "local"], pytest.param(["--workers", "2"], marks=pytest.mark.long)])
def test_a_killed_run_goes_on(sky, whole, tmp_path, workers):
    """Killed once it has a part; the rest is done by whoever comes then."""
    output, folder = tmp_path / "out.fits", tmp_path / "out.fits.parts"
    command = [*sky, "-o", str(output)]
    with subprocess.Popen([sys.executable, "-c", BEGUN, *command, *workers], stderr=subprocess.DEVNULL) as process:
        while not list(folder.glob("0*.npz")) and process.poll() is None:
            time.sleep(0.01)
        process.kill()
    assert main([*command, "--engine", "local"]) == 0
    assert rows_of(output) == whole
    assert not folder.exists()
