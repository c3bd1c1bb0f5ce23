"""Each message that docs/troubleshooting.md quotes is what the command beside it prints."""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
import small_sky
from astropy.io import fits
from astropy.table import Table

from galmorph.cli import main
from galmorph.flags import Flag

TEXT = (Path(__file__).resolve().parents[1] / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
QUOTED = [
    pair
    for block in re.findall(r"```console\n(.*?)```", TEXT, re.DOTALL)
    for pair in re.findall(r"\$ galmorph (.*)\n(.*)\n", block)
]


@pytest.fixture
def desk(tmp_path, monkeypatch) -> Path:
    """Lay out the files that the page speaks of, and stand among them."""
    sky = small_sky.write_sky(tmp_path)
    table = Table.read(sky.catalog)
    table.write(tmp_path / "catalog.fits")
    table.write(tmp_path / "taken.fits")
    table["gm_flags"] = np.zeros(len(table), np.int32)
    table.write(tmp_path / "result.fits")
    fits.writeto(tmp_path / "other_weight.fits", np.ones((50, 50), np.float32))
    fits.writeto(tmp_path / "no_wcs.fits", small_sky.field())
    (tmp_path / "cut_short.fits").write_bytes(sky.image.read_bytes()[:100_000])
    (tmp_path / "magnitudes.csv").write_text("id,mag\n1,20.0\n")
    (tmp_path / "labels.csv").write_text("id,ra,dec,answer\n1,215.0,52.9,yes\n")
    (tmp_path / "sources.xlsx").write_bytes(b"PK\x03\x04")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GALMORPH_CACHE", str(tmp_path / "cache"))
    return tmp_path


def let_miss(monkeypatch, name: str) -> None:
    """Let a library be missing."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n, *a: None if n == name else find(n, *a))
    monkeypatch.setitem(sys.modules, name, None)


def test_the_page_quotes_messages():
    assert len(QUOTED) >= 18


@pytest.mark.parametrize(("command", "message"), QUOTED)
@pytest.mark.usefixtures("desk")
def test_a_message_is_the_one_that_is_printed(command, message, capsys, monkeypatch):
    if missing := re.search(r"  # without (\w+)$", command):
        let_miss(monkeypatch, missing[1])
    assert main(shlex.split(command, comments=True)) == 1
    pattern = ".*".join(re.escape(part) for part in re.split(r" ?… ?", message))
    assert re.fullmatch(pattern, capsys.readouterr().err.strip())


def test_the_flags_it_speaks_of_are_there():
    named = re.findall(r"^\| `([A-Z_]+)`", TEXT, flags=re.MULTILINE)
    assert named
    assert set(named) <= {flag.name for flag in Flag}
