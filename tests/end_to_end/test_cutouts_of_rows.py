"""The mission's sentence for cutouts: a catalogue, a survey and a band, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import skyviewer
import small_sky
import zcut
from astropy.io import fits
from astropy.table import Table
from loopback import Loopback, serving

from galmorph.cli import main
from galmorph.shipped import shipped


@pytest.fixture
def server(tmp_path, monkeypatch) -> Iterator[Loopback]:
    monkeypatch.setenv("GALMORPH_CACHE", str(tmp_path / "cache"))
    with serving() as loopback:
        yield loopback


def survey_file(folder: Path, name: str, **changes: str) -> str:
    """Write the file of a survey with other values for some of its lines."""
    lines = (shipped("catalogs") / "surveys" / f"{name}.toml").read_text(encoding="utf-8")
    for old, new in changes.values():
        assert old in lines
        lines = lines.replace(old, new)
    path = folder / f"{name}.toml"
    path.write_text(lines, encoding="utf-8")
    return str(path)


def classified(rows: Table, folder: Path, *words: str) -> Table:
    rows.write(folder / "catalog.fits", overwrite=True)
    assert main(["classify", str(folder / "catalog.fits"), *words, "-o", str(folder / "out.fits")]) == 0
    return Table.read(folder / "out.fits")


def history(folder: Path) -> str:
    return "".join("".join(fits.getheader(folder / "out.fits", 1)["HISTORY"]).split())  # long lines are broken


@pytest.mark.parametrize("band", ["r", "RGB"])
def test_cutouts_of_the_legacy_surveys(server: Loopback, tmp_path, band):
    server.files[skyviewer.PATH] = skyviewer.cut
    url = ("https://www.legacysurvey.org/viewer/fits-cutout", server.base + skyviewer.PATH)
    survey = survey_file(
        tmp_path,
        "legacy",
        url=url,
        tile=("tile_px = 768", "tile_px = 384"),
        margin=("margin_px = 256", "margin_px = 128"),
    )
    settings = {"planes": 3, "scheme": "gz2-simple", "bands": ("z", "r", "g")} if band == "RGB" else {"bands": ("r",)}
    small_sky.write_checkpoint(tmp_path / "ours.safetensors", survey="legacy", scale_arcsec=0.262, **settings)
    out = classified(
        skyviewer.rows(),
        tmp_path,
        "--survey",
        survey,
        "--band",
        band,
        "--checkpoint",
        str(tmp_path / "ours.safetensors"),
    )
    assert (np.char.str_len(out["gm_class"].astype(str)) > 0).all()
    assert np.isfinite(out["gm_rpet"]).all()
    assert "resampledthere" in history(tmp_path)


def test_cutouts_of_candels_answer_with_the_usual_checkpoint(server: Loopback, tmp_path):
    zcut.serve(server, zcut.write_mosaic(tmp_path))
    survey = survey_file(
        tmp_path,
        "candels",
        url=("https://mast.stsci.edu/", f"{server.base}/"),
        ra=("ra_deg = 189.2287", "ra_deg = 215.0"),
        dec=("dec_deg = 62.2385", "dec_deg = 52.9"),
    )
    out = classified(zcut.rows(), tmp_path, "--survey", survey, "--band", "H", "--archive", "cutouts")
    assert set(out["gm_model"]) == {out["gm_model"][0]}
    assert "candels-h" in out["gm_model"][0]
    assert (np.char.str_len(out["gm_class"].astype(str)) > 0).all()
    assert "withouttheirweights" in history(tmp_path)
