"""Without torch: everything that needs no network works, and a checkpoint's fitted parts can be read and used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table
from galaxies import noise, sersic

import galmorph

ROOT = Path(galmorph.__file__).parent
PLAIN = {
    "answers",
    "evaluate",
    "checkpoint.blend",
    "checkpoint.calibrate",
    "checkpoint.card",
    "checkpoint.embedding",
    "checkpoint.envelope",
    "checkpoint.lookup",
    "checkpoint.prediction_sets",
    "training.balance",
    "training.loss",
    "training.settings",
}
"""Modules of nets that are numpy's alone."""
OF_NETWORKS = {"galmorph.runs.export"}
"""Modules of runs whose only matter are networks; others load torch when a network is asked for."""
BLOCK = """
import importlib, importlib.abc, sys

class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "safetensors", "onnxruntime"):
            raise ModuleNotFoundError(f"No module named {name!r}")

sys.meta_path.insert(0, Blocked())
"""


def without_torch(code: str, *arguments: str) -> str:
    """Run code in an interpreter where torch is not installed; return what it prints."""
    words = [sys.executable, "-c", BLOCK + code, *arguments]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT.parent, timeout=240)
    assert done.returncode == 0, done.stderr
    return done.stdout


def modules(*folders: str) -> set[str]:
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    dotted = (".".join(("galmorph", *path.relative_to(ROOT).with_suffix("").parts)) for path in paths)
    return {name.removesuffix(".__init__") for name in dotted}


def test_modules_that_need_no_network_are_imported_without_torch():
    wanted = (
        modules("sky", "stamps", "runs", "cli") - OF_NETWORKS
        | {"galmorph.api"}
        | {f"galmorph.nets.{name}" for name in PLAIN}
    )
    without_torch("for name in sys.argv[1:]: importlib.import_module(name)", *sorted(wanted))


def test_galaxies_are_measured_and_what_ships_is_listed_without_torch(tmp_path):
    """By the command line, as people do."""
    image = sersic((141, 141), 70, 70, re=6, flux=3e3) + noise((141, 141), 0.2, 1)
    fits.writeto(tmp_path / "image.fits", image.astype(np.float32))
    Table({"x": [70.0], "y": [70.0]}).write(tmp_path / "rows.csv")
    commands = "from galmorph.cli import main; sys.exit(main(sys.argv[1:]) or main(['list', 'surveys']))"
    files = [str(tmp_path / "rows.csv"), "--image", str(tmp_path / "image.fits")]
    assert "candels" in without_torch(commands, "measure", *files, "-o", str(tmp_path / "out.csv"))
    assert 5 < Table.read(tmp_path / "out.csv")["gm_rpet"][0] < 30
