"""Measuring, listing and helping work where torch is not installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import small_sky

import galmorph
from galmorph.sky.catalog import read_catalog

WITHOUT_TORCH = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError(f"No module named {name!r}", name="torch")

sys.meta_path.insert(0, Blocker())
from galmorph.__main__ import main
main()
"""


@pytest.fixture
def without_torch():
    """Run a command in a process that cannot import torch."""

    def command(*arguments: object) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(galmorph.__file__).parents[1])}
        return subprocess.run(
            [sys.executable, "-c", WITHOUT_TORCH, *map(str, arguments)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,  # the first run that measures compiles
            check=False,
        )

    return command


def test_measuring_needs_no_torch(without_torch, sky, tmp_path):
    done = without_torch("measure", *sky.inputs, "--survey", "candels", "--band", "H", "-o", tmp_path / "out.fits")
    assert done.returncode == 0, done.stderr
    table = read_catalog(tmp_path / "out.fits").table
    assert len(table) == len(small_sky.XY)
    assert np.isfinite(table["gm_rpet"]).all()
    assert "gm_conf" not in table.colnames


def test_help_and_lists_need_no_torch(without_torch):
    assert "classify" in without_torch("--help").stdout
    for kind in ("schemes", "networks", "checkpoints", "pipelines"):
        assert without_torch("list", kind).returncode == 0, kind
    done = without_torch("list", "surveys")
    assert done.returncode == 0, done.stderr
    assert "candels" in done.stdout
