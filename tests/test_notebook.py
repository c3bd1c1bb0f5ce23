"""What notebooks show of galmorph's objects: short tables whose text is text."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import pytest
import small_sky
from astropy.table import Table

import galmorph
from galmorph.notebook import html_table
from galmorph.shipped import shipped
from galmorph.sky.catalog import catalog_from

HOSTILE = '<script>alert("x")</script>&'


class Words(HTMLParser):
    """Collects the tags and the text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data + "\n"


def words_of(thing: object) -> Words:
    words = Words()
    words.feed(thing._repr_html_())
    assert set(words.tags) <= {"table", "caption", "tr", "th", "td"}
    return words


@pytest.fixture(scope="module")
def images():
    folder = shipped("catalogs") / "samples" / "candels-h"
    source = galmorph.open_images(folder / "image.fits.gz", survey="candels", band="H")
    yield source
    source.close()


def test_a_catalogue_names_its_columns():
    catalog = galmorph.read_catalog(shipped("catalogs") / "samples" / "candels-h" / "catalog.fits")
    text = words_of(catalog).text
    assert "catalog.fits" in text
    assert "130" in text


def test_a_survey_names_its_bands():
    assert "F160W = H" in words_of(galmorph.load_survey("candels")).text


def test_a_scheme_names_its_answers():
    assert "spheroid" in words_of(galmorph.load_scheme("candels-visual")).text


def test_a_checkpoint_names_what_it_was_trained_on():
    text = words_of(galmorph.load_checkpoint("candels-h")).text
    assert "candels F160W" in text
    assert "candels-shares" in text


def test_images_name_their_survey_and_scale(images):
    text = words_of(images).text
    assert "candels" in text
    assert "F160W" in text
    assert "0.06″" in text


def test_images_of_nothing_named(tmp_path):
    sky = small_sky.write_sky(tmp_path)
    source = galmorph.open_images(sky.image)
    assert "not named" in words_of(source).text
    source.close()


def test_text_of_files_is_no_html():
    table = catalog_from(Table({"ra": [1.0], "dec": [2.0], HOSTILE: [3]}))
    checkpoint = replace(small_sky.checkpoint(), name=HOSTILE)
    survey = replace(galmorph.load_survey("sdss"), title=HOSTILE)
    scheme = replace(galmorph.load_scheme("gz2-simple"), title=HOSTILE)
    for thing in (table, checkpoint, survey, scheme):
        assert "alert" in words_of(thing).text


def test_long_text_is_cut():
    assert len(html_table("x" * 5000, {"y": "z" * 5000})) < 1000
