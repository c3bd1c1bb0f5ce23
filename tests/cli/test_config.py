"""Config: what galmorph.toml sets, what it may not, and what is said of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import small_sky
from astropy.table import Table

import galmorph
from galmorph import cli
from galmorph.cli.config import ConfigFile, config_files
from galmorph.errors import ConfigError


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    """Make a home and a working folder without any file of settings."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "config" / "galmorph").mkdir(parents=True)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "config" / "galmorph" / "galmorph.toml"


def say(text: str, path: str = "galmorph.toml") -> None:
    Path(path).write_text(text, encoding="utf-8")


def parsed(*words: str) -> dict[str, object]:
    return vars(cli.parse(["classify", "cat.fits", *words]))


def refused(capsys, *words: str) -> str:
    with pytest.raises(SystemExit) as leaving:
        cli.parse(["classify", "cat.fits", *words])
    printed = capsys.readouterr()
    assert (leaving.value.code, printed.out, printed.err.count("\n")) == (2, "", 1)
    return printed.err


def test_options_come_before_the_folder_and_the_folder_before_the_user(home):
    home.write_text('[classify]\nsurvey = "sdss"\nband = "r"\nworkers = 2\n')
    say('band = "i"\n[classify]\nworkers = 3\nfield = "uds"\n')
    options = parsed("--workers", "4")
    assert {name: options[name] for name in ("survey", "band", "workers", "field")} == {
        "survey": "sdss",
        "band": "i",
        "workers": 4,
        "field": "uds",
    }
    assert options["config_says"] == f"{home} sets --survey sdss; galmorph.toml sets --band i --field uds"


def test_what_stands_before_the_sections_holds_where_there_is_such_an_option():
    say('survey = "candels"\nworkers = 2\n')
    assert vars(cli.parse(["fetch", "cat.fits", "--band", "H"]))["survey"] == "candels"
    assert "workers" not in vars(cli.parse(["fetch", "cat.fits", "--band", "H"]))
    assert not cli.parse(["list"]).config_says


@pytest.mark.parametrize(
    ("setting", "name", "value"),
    [
        ("errors = true", "errors", True),
        ('image = ["a.fits", "b.fits"]', "images", ["a.fits", "b.fits"]),
        ('image = "a.fits"', "images", ["a.fits"]),
        ("hdu = 2", "hdu", 2),
        ('hdu = "SCI"', "hdu", "SCI"),
        ("image_hdu = 1", "image_hdu", 1),
        ('image-hdu = "1"', "image_hdu", 1),
        ('detect = "cutouts"', "detect", "cutouts"),
        ("quiet = true", "quiet", 1),
    ],
)
def test_a_setting_arrives_as_its_option(setting, name, value):
    say(f"[classify]\n{setting}\n")
    assert parsed()[name] == value


def test_a_switch_that_is_off_is_as_if_it_were_not_there(home):
    home.write_text("[classify]\nerrors = true\n")
    say("[classify]\nerrors = false\n")
    assert "errors" not in parsed()


def test_an_option_that_is_required_may_stand_in_the_file():
    say('[fetch]\nband = "H"\n[store]\ndevice = "cpu"\n')
    assert cli.parse(["fetch", "cat.fits"]).band == "H"
    assert cli.parse(["store", "score", "survey.db", "--checkpoint", "net"]).device == "cpu"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "[classify]\nwokers = 2\n",
            "galmorph.toml, line 2, [classify]: unknown key 'wokers': did you mean 'workers'?",
        ),
        ("wokers = 2\n", "galmorph.toml, line 1: unknown key 'wokers': did you mean 'workers'?"),
        ("[clasify]\nworkers = 2\n", "line 1, [clasify]: unknown section 'clasify': did you mean 'classify'?"),
        ("\n# two\n[classify]\nworkers = 'two'\n", "line 4, [classify]: workers = 'two', expected a whole number"),
        ("[classify]\nworkers = true\n", "workers = True, expected one value"),
        ("[classify]\nsurvey = 3\n", "survey = 3, expected a text in quotes"),
        ("[classify]\nerrors = 'yes'\n", "errors = 'yes', expected true or false"),
        ("[classify]\ndetect = 'cutout'\n", "expected blocks, cutouts: did you mean 'cutouts'?"),
        ("[classify]\nsurvey = candels\n", "cannot be read"),
        ("[classify.images]\nband = 'H'\n", "'images': did you mean 'image'?"),
        ("[measure]\nchekpoint = 'a'\n", "line 2, [measure]: unknown key 'chekpoint'"),
        ("checkpoint = 'a'\n", "line 1: 'checkpoint' decides what the results are: give it as --checkpoint, or name"),
        ("[classify]\nrule = 'a'\n", "'rule' decides what the results are"),
        ("[train]\nscheme = 'a'\n", "line 2, [train]: 'scheme' decides what the results are"),
        ("[classify]\noverwrite = true\n", "'overwrite' is not for a file that may come with data"),
        ("[classify]\nscheduler = 'tcp://x'\n", "'scheduler' is not for a file that may come with data"),
        ("[classify]\nat = '1 2'\n", "unknown key 'at'"),
        ("config = 'a.toml'\n", "unknown key 'config'"),
    ],
)
def test_a_mistake_is_one_line_with_its_place_and_the_remedy(text, words, capsys):
    say(text)
    assert words in refused(capsys)


def test_a_named_file_is_read_alone_and_may_choose_the_checkpoint(home):
    home.write_text('[classify]\nsurvey = "sdss"\n')
    say('[classify]\nband = "r"\n')
    say('[classify]\ncheckpoint = "candels-h"\nrule = "likeliest"\noverwrite = true\n', "mine.toml")
    for words in (["--config", "mine.toml"], ["--config=mine.toml"]):
        options = parsed(*words)
        assert (options["checkpoint"], options["rule"], options["overwrite"]) == ("candels-h", "likeliest", True)
        assert "survey" not in options
        assert "band" not in options
    assert cli.parse(["--config", "mine.toml", "classify", "cat.fits"]).checkpoint == "candels-h"


def test_the_user_trusts_his_own_file_but_it_chooses_no_checkpoint(home, capsys):
    home.write_text("[classify]\noverwrite = true\n")
    assert parsed()["overwrite"] is True
    home.write_text('[classify]\ncheckpoint = "candels-h"\n')
    assert "decides what the results are" in refused(capsys)


def test_no_file_is_read_where_none_is_named():
    say("[classify]\nwokers = 2\n")
    assert parsed("--config", "none")["config_says"] == ""


def test_a_named_file_has_to_be_there(capsys):
    assert "'none.toml' does not exist" in refused(capsys, "--config", "none.toml")
    with pytest.raises(ConfigError, match="does not exist"):
        config_files("none.toml")
    assert config_files(None) == []


def test_the_library_reads_no_file():
    say('[show]\nname = "nothing"\nwrong = 1\n')
    assert "F160W" in galmorph.show("candels")


def test_what_a_file_sets_is_said_once_and_stands_in_the_header(capsys):
    sky = small_sky.write_sky(Path("sky"))
    say('[measure]\nprefix = "my_"\n')
    words = ["measure", *sky.inputs, "-o", "out.fits"]
    assert cli.main(words) == 0
    said = "galmorph.toml sets --prefix my_"
    printed = capsys.readouterr()
    assert printed.err.count(said) == 1
    assert said not in printed.out
    header = Table.read("out.fits").meta
    assert any(said in line for line in "".join(header["HISTORY"]).split("galmorph 0")) or said in str(header)
    assert cli.main([*words, "--overwrite", "--quiet"]) == 0
    assert capsys.readouterr().err == ""


def test_the_line_of_a_key_is_that_of_its_section():
    say('workers = 1\n[a]\n"workers" = 2\n[ b ]\nworkers = 3\n')
    file = ConfigFile(Path("galmorph.toml"), "folder")
    assert [file.line(section, "workers") for section in ("", "a", "b", "c")] == [1, 3, 5, 0]
    assert file.line("b", "") == 4
