"""Citations: entries that BibTeX reads, and papers for everything that ships."""

from __future__ import annotations

import json
import re
import tomllib

import pytest
from astropy.table import Table

import galmorph
from galmorph.cli import main
from galmorph.errors import CatalogError, CheckpointError
from galmorph.nets.checkpoint.lookup import checkpoint_names
from galmorph.shipped import named_files, shipped
from galmorph.sky.scheme import scheme_names

LISTED = tomllib.loads((shipped("catalogs") / "citations.toml").read_text(encoding="utf-8"))


def entries(text: str) -> dict[str, dict[str, str]]:
    """Read BibTeX: comments between entries, and fields in braces that match; anything else fails."""
    read: dict[str, dict[str, str]] = {}
    place = 0
    while place < len(text):
        if match := re.compile(r"\s+|%[^\n]*\n").match(text, place):
            place = match.end()
            continue
        head = re.compile(r"@(article|software)\{([A-Za-z0-9:_-]+),\n").match(text, place)
        assert head, text[place : place + 40]
        place, fields = head.end(), {}
        while field := re.compile(r"\s*(\w+) = \{").match(text, place):
            depth, end = 1, field.end()
            while depth:
                depth += {"{": 1, "}": -1}.get(text[end], 0)
                end += 1
            fields[field[1]] = text[field.end() : end - 1]
            place = end + (text[end] == ",")
        assert text[place : place + 2] == "\n}", text[place : place + 20]
        place += 2
        assert head[2] not in read
        read[head[2]] = fields
    return read


@pytest.mark.parametrize("name", checkpoint_names())
def test_every_checkpoint_has_papers_of_its_network_and_data(name):
    text = "\n\n".join(map(str, galmorph.cite(name)))
    read = entries(text)
    assert "galmorph" in read
    assert f"data of {name}" in text
    assert f"network of {name}" in text
    assert name == "nircam-f200w" or f"labels of {name}" in text


def test_articles_have_what_a_bibliography_needs():
    for key, paper in LISTED["papers"].items():
        assert {"title", "author", "year"} <= set(paper), key
        if paper.get("kind") != "software":
            assert {"journal", "pages", "doi"} <= set(paper), key
            assert re.fullmatch(r"10\.\d{4,5}/\S+", paper["doi"]), key
            assert str(paper["year"]) == re.search(r"\d{4}$", key)[0], key
        assert not re.search(r"(?<!\\)[%#&]", paper["title"] + paper["author"]), key


def test_all_that_is_listed_exists_and_all_papers_are_cited():
    groups = {
        "networks": set(named_files(shipped("catalogs") / "networks", ".toml")),
        "schemes": set(scheme_names()),
        "checkpoints": set(checkpoint_names()),
    }
    cited = set(LISTED["always"]["papers"])
    for kind, names in groups.items():
        assert set(LISTED[kind]) <= names
        cited |= {key for keys in LISTED[kind].values() for key in keys}
    assert cited == set(LISTED["papers"])


def test_papers_of_several_checkpoints_come_once_with_all_that_they_are_for():
    both = galmorph.cite(["sdss-rgb", "sdss-gz2"])
    keys = [citation.key for citation in both]
    assert len(keys) == len(set(keys))
    willett = next(citation for citation in both if citation.key == "Willett2013")
    assert willett.reasons == ("labels of sdss-rgb", "labels of sdss-gz2")


def test_a_result_names_its_checkpoint(tmp_path):
    table = Table({"gm_flags": [0]}, meta={"GMMODEL": "candels-h"})
    expected = [citation.key for citation in galmorph.cite("candels-h")]
    assert [citation.key for citation in galmorph.cite(result=table)] == expected
    table.write(tmp_path / "r.fits")
    assert [citation.key for citation in galmorph.cite(result=tmp_path / "r.fits")] == expected


def test_what_names_no_checkpoint_is_refused():
    with pytest.raises(CatalogError, match="give one"):
        galmorph.cite(result=Table({"a": [1]}))
    with pytest.raises(CheckpointError, match="did you mean 'candels-h'"):
        galmorph.cite("candels-j")


def test_the_command_prints_bibtex_and_json(capsys):
    assert main(["cite", "candels-h"]) == 0
    read = entries(capsys.readouterr().out)
    assert {"galmorph", "Kartaltepe2015", "Grogin2011", "TanLe2019"} <= set(read)
    assert read["Kartaltepe2015"]["pages"] == "11"
    assert main(["cite", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [each["key"] for each in document["citations"]] == LISTED["always"]["papers"]
    assert entries(document["citations"][0]["bibtex"])
