"""Files of text that nobody vouches for: each is read, or refused in one line that names file and key, in no time."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from galmorph.errors import GalmorphError, PipelineError, SurveyError
from galmorph.learning.pipeline import load_pipeline
from galmorph.limits import LIMITS
from galmorph.nets.architecture.network import load_network
from galmorph.sky.scheme import load_scheme
from galmorph.sky.survey import load_survey
from galmorph.text_file import check_values, read_json, read_text
from galmorph.toml import read_file

READERS = {"survey": load_survey, "scheme": load_scheme, "network": load_network, "pipeline": load_pipeline}
LARGE = str(10**400)


def refusal(read, path: Path) -> str:
    """Return the one line with which a file is refused, within a few seconds even of its largest size."""
    started = time.process_time()
    with pytest.raises(GalmorphError) as caught:
        read(path)
    assert time.process_time() - started < 10.0
    assert "\n" not in str(caught.value)
    assert path.name in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty"),
        (b"\n \n", "it is empty"),
        (b"title = 'caf\xe9'", "utf-8"),
        ("title = 'a'".encode("utf-16"), "it is UTF-16"),
        (b"\0" * 100, "it is binary"),
        (b"title = " + b"[" * 20_000, "nested too deep"),
        (b"title = " + b"[" * 200 + b"]" * 200, "nested more than 32 deep"),
        (b"[" + b"a." * 50_000 + b"b]", "a key has more than 100 parts"),
        (b"a." * 50_000 + b"b = 1", "a key has more than 100 parts"),
        (b"a" + b".a" * 60 + b" = 1", "nested more than 32 deep"),
        (b"[train]\nrate = nan", "train.rate is nan, expected a finite number"),
        (b"[train]\nrate = [1, -inf]", "train.rate.1 is -inf"),
        (b"rate = " + LARGE.encode(), "rate is a number of 1329 bits"),
        (b"rate = 1" + b"0" * 100_000, "cannot be read"),
        (b"title = 'a'\ntitle = 'b'", "cannot be read"),
        (b"title = 'a'\n[title]", "cannot be read"),
        (b"x = 1\n" * 1_000_000, "more bytes than 4194304"),
    ],
)
def test_a_file_that_is_no_settings_is_refused(kind, content, said, tmp_path):
    path = tmp_path / "odd.toml"
    path.write_bytes(content)
    assert said in refusal(READERS[kind], path)


@pytest.mark.parametrize("kind", READERS)
def test_what_is_no_file_is_refused(kind, tmp_path):
    """Without waiting for it to end."""
    (tmp_path / "folder.toml").mkdir()
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "zero.toml").symlink_to("/dev/zero")
    (tmp_path / "loop.toml").symlink_to("loop.toml")
    for name in ("folder", "pipe", "zero", "loop", "absent"):
        refusal(READERS[kind], tmp_path / f"{name}.toml")
    with pytest.raises(SurveyError, match="it is a pipe, no file"):
        read_file(tmp_path / "pipe.toml", "survey", SurveyError)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_mark_of_byte_order_and_windows_line_ends_are_no_part_of_the_text(mark, tmp_path):
    """As editors under Windows leave them."""
    path = tmp_path / "mine.toml"
    path.write_bytes(mark + b'layers = """\r\nglobalpool mean\r\ndense answers\r\n"""\r\n')
    assert [line.text for line in load_network(path).lines()] == ["globalpool mean", "dense answers"]


def test_a_long_list_of_numbers_and_prose_with_dots_are_no_deep_keys(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(f"# {'. ' * 300}\nx = [{'1.5, ' * 5000}]\ny = '{'e.g. this, ' * 300}'\nz = 1.5\n")
    assert read_file(path, "file")["z"] == 1.5


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("title = 5", "title = 5, expected a text"),
        ("scheme = ['gz1']", "scheme"),
        ("images = 3", "images = 3, expected a table"),
        ("[images]\nsurvey = 'sdss'\nband = 'RGB'\nsurprise = 1", "unknown key 'surprise'"),
        ("[train]\nepochs = 'many'", "epochs = 'many', expected a whole number"),
        ("[train]\nepochs = 1e3", "epochs = 1000.0, expected a whole number"),
        ("network = 7", "network = 7, expected a table"),
        ("network = 1979-05-27", "expected a table"),
        ("extends = 3", "extends = 3, expected the name of a file"),
    ],
)
def test_keys_of_a_pipeline_are_named(table, said, tmp_path):
    path = tmp_path / "mine.toml"
    base = "title = 'a'\nscheme = 'gz1'\n[split]\nmethod = 'hash'\ntest = 0.1\nvalidation = 0.1\n"
    (tmp_path / "base.toml").write_text(f"{base}[images]\nsurvey = 'sdss'\nband = 'RGB'\n")
    path.write_text(table if "extends" in table else f"extends = 'base.toml'\n{table}\n")
    assert said in refusal(load_pipeline, path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Expecting value"),
        ("NaN", "it holds NaN"),
        ('{"a": -Infinity}', "it holds -Infinity"),
        ('{"a": [0, 1e999]}', "a.1 is inf"),
        ('{"a": {"b": 1, "b": 2}}', "key 'b' is there twice"),
        (f"[{LARGE}]", "0 is a number of 1329 bits"),
        ("[" * 100_000, "nested more than 32 deep"),
        ("[" * 40 + "]" * 40, "nested more than 32 deep"),
    ],
)
def test_json_that_is_none_is_refused(text, said):
    with pytest.raises(ValueError, match=said.replace(".", r"\.")):
        read_json(text)


def test_plain_values_pass():
    value = {"a": [1, 2.5, True, None, "x"], "b": {"c": {"d": [[]]}}}
    check_values(value)
    assert read_json('{"a": [1, 2.5, true, null, "x"]}') == {"a": value["a"]}


def test_a_file_may_have_four_mebibytes(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b"[" + b" " * (LIMITS["text_bytes"].usual - 2) + b"]")
    assert read_json(read_text(path)) == []
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(ValueError, match="more bytes than 4194304"):
        read_text(path)
    with pytest.raises(PipelineError, match="more bytes than 4194304"):
        read_file(path, "pipeline")
