"""FileNames: a file is found by any spelling that leaves no doubt, and has one name of its own."""

from __future__ import annotations

import pytest

from galmorph.sky.images.file_names import FileNames

NAMES = FileNames(["sky/17.jpg", "sky/18.png", "a/1.jpg", "b/1.jpg"])


@pytest.mark.parametrize("spelt", ["17", "17.0", 17, 17.0, "17.jpg", "sky/17.jpg", "sky\\17.jpg", " 17 "])
def test_every_spelling_of_a_file_has_one_name(spelt):
    assert NAMES.number_of(spelt) == 0
    assert NAMES.name_of(spelt) == "17.jpg"


def test_files_of_one_name_keep_their_folders():
    assert [NAMES.name_of(name) for name in ("a/1.jpg", "b/1")] == ["a/1.jpg", "b/1.jpg"]


@pytest.mark.parametrize("name", ["19.jpg", "1.jpg", ""])
def test_a_name_of_no_file_or_of_several_stays(name):
    assert NAMES.number_of(name) == -1
    assert NAMES.name_of(f" {name} ") == name
