"""Limits: the usual ones, and how users change them."""

from __future__ import annotations

import os

import pytest
from PIL import Image

from galmorph import cli
from galmorph.errors import CatalogError
from galmorph.limits import LIMITS, VARIABLE, allow


@pytest.fixture(autouse=True)
def _alone(monkeypatch):
    monkeypatch.setenv(VARIABLE, "")


def test_the_usual_holds_until_somebody_allows_more():
    assert LIMITS["stamp_pixels"].number == 1 << 24
    allow(["stamp_pixels=4e7", "image_hdus=30000"])
    assert (LIMITS["stamp_pixels"].number, LIMITS["image_hdus"].number) == (40_000_000, 30_000)
    assert LIMITS["image_cards"].number == LIMITS["image_cards"].usual
    assert os.environ[VARIABLE] == "stamp_pixels=4e7 image_hdus=30000"  # which processes started from here inherit


def test_the_last_word_counts():
    allow(["stamp_pixels=100"])
    allow(["stamp_pixels=200"])
    assert LIMITS["stamp_pixels"].number == 200


NO_NUMBERS = ("", "0", "-5", "x", "nan", "inf")


@pytest.mark.parametrize("word", ["stamp_pixels", *(f"stamp_pixels={each}" for each in NO_NUMBERS)])
def test_what_is_no_number_is_refused(word):
    with pytest.raises(CatalogError, match="expected a number of at least 1, such as stamp_pixels=16777216"):
        allow([word])
    assert os.environ[VARIABLE] == ""


@pytest.mark.parametrize("word", ["pixels=5", "=5", "stamp_pixel=5"])
def test_an_unknown_limit_is_refused_with_those_that_there_are(word):
    with pytest.raises(CatalogError, match="stamp_pixels"):
        allow([word])


def test_the_option_allows_what_the_message_names(tmp_path, capsys, monkeypatch):
    Image.new("L", (40, 30)).save(tmp_path / "a.png")
    (tmp_path / "t.csv").write_text("file\na.png\n")
    words = ["measure", str(tmp_path / "t.csv"), "--image", str(tmp_path / "a.png"), "--survey", "nircam"]
    assert cli.main([*words, "--limit", "stamp_bytes=20", "-o", str(tmp_path / "a.fits")]) == 0
    assert "more than 20 (--limit stamp_bytes=N allows more)" in capsys.readouterr().err
    assert cli.main([*words, "--limit", "stamp_bytes=2e4", "-o", str(tmp_path / "c.fits")]) == 0
    assert "--limit" not in capsys.readouterr().err
    monkeypatch.setenv(VARIABLE, "nonsense")
    assert cli.main([*words, "-o", str(tmp_path / "b.fits")]) == 1
    assert "unknown limit 'nonsense'" in capsys.readouterr().err
