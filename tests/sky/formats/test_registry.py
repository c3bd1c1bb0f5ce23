"""Formats: each of those that are listed does what every format does."""

from __future__ import annotations

import re
from pathlib import Path

from conformance.formats import FormatTests

from galmorph.sky.formats.ecsv import Ecsv
from galmorph.sky.formats.fits import Fits
from galmorph.sky.formats.hats import Hats
from galmorph.sky.formats.parquet import Parquet
from galmorph.sky.formats.registry import FORMATS
from galmorph.sky.formats.text import Text
from galmorph.sky.formats.votable import VoTable


class TestFits(FormatTests):
    form = Fits()
    has_one_table = False


class TestVoTable(FormatTests):
    form = VoTable()
    has_one_table = False


class TestEcsv(FormatTests):
    form = Ecsv()
    can_be_cut_short = True


class TestParquet(FormatTests):
    form = Parquet()


class TestHats(FormatTests):
    form = Hats()


class TestText(FormatTests):
    form = Text()
    keeps_units = False
    keeps_types = False
    can_be_cut_short = True


def test_the_documents_list_the_formats_and_their_endings():
    text = (Path(__file__).parents[3] / "docs" / "formats.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]*) \|", text, flags=re.MULTILINE))
    assert {name: tuple(re.findall(r"`([^`]+)`", cell)) for name, cell in rows.items()} == {
        form.name: form.endings for form in FORMATS
    }


def test_every_format_is_tested():
    tested = {type(tests.form) for tests in FormatTests.__subclasses__()}
    assert {type(form) for form in FORMATS} <= tested
