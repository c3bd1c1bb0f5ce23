"""What is not installed with galmorph itself: a missing extra is one line that names it."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest
from astropy.io import fits

import galmorph
from galmorph.errors import ImageError, StoreError
from galmorph.shipped import shipped

ROOT = Path(galmorph.__file__).parent
DEVELOPERS = {"all", "bench", "docs", "test"}


def extras() -> set[str]:
    path = ROOT.parent / "pyproject.toml"
    return set(tomllib.loads(path.read_text(encoding="utf-8"))["project"]["optional-dependencies"])


def test_every_extra_is_named_where_it_is_missed():
    """And no message names one that there is not."""
    texts = (path.read_text(encoding="utf-8") for path in ROOT.rglob("*.py"))
    named = {name for text in texts for name in re.findall(r"pip install 'galmorph\[(\w+)\]'", text)}
    assert named == extras() - DEVELOPERS


@pytest.fixture
def without(monkeypatch):
    """Let a library be missing."""

    def remove(name: str) -> None:
        find = importlib.util.find_spec
        monkeypatch.setattr(importlib.util, "find_spec", lambda n, *a: None if n == name else find(n, *a))

    return remove


def test_bands_on_different_grids_need_reproject(without, tmp_path):
    folder = shipped("catalogs") / "samples" / "sdss-gri"
    images = {band: folder / f"{band}.fits.gz" for band in "gri"}
    without("reproject")
    galmorph.open_images(images, survey="sdss", band="gri").close()  # one grid: nothing to align
    with fits.open(images["g"]) as hdus:
        hdus[0].header["CRVAL1"] += 0.001
        hdus.writeto(tmp_path / "g.fits")
    with pytest.raises(ImageError, match=r"pip install 'galmorph\[sdss\]'"):
        galmorph.open_images(images | {"g": tmp_path / "g.fits"}, survey="sdss", band="gri")


def test_a_store_needs_sqlalchemy_and_a_server_psycopg(without, tmp_path):
    without("psycopg")
    with pytest.raises(StoreError, match=r"pip install 'galmorph\[postgresql\]'"):
        galmorph.open_store("postgresql://nobody@localhost/nothing")
    without("sqlalchemy")
    with pytest.raises(StoreError, match=r"pip install 'galmorph\[store\]'"):
        galmorph.open_store(tmp_path / "store.db", create=True)
