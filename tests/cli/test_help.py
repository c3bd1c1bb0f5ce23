"""Help: every command has examples that are understood, and a page that fits a terminal."""

from __future__ import annotations

import importlib
import shlex

import pytest

from galmorph import cli
from galmorph.cli.parser import Parser

COMMANDS = [*cli.COMMANDS, *(name for name in cli.ASIDE if name != "help")]
MODULES = {name: importlib.import_module(f"galmorph.cli.{name}") for name in COMMANDS}
EXAMPLES = [(name, line) for name, module in MODULES.items() for line in module.EXAMPLES.values()]
ACTIONS = {
    name: sorted(actions)
    for name, module in MODULES.items()
    for parser in [Parser()]
    for _ in [module.add_options(parser)]
    if (actions := parser.actions())
}
PAGES = [[name] for name in COMMANDS] + [[name, action] for name, actions in ACTIONS.items() for action in actions]


def page(capsys, monkeypatch, *words: str) -> str:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as leaving:
        cli.main(list(words))
    printed = capsys.readouterr()
    assert (leaving.value.code, printed.err) == (0, "")
    return printed.out


@pytest.mark.parametrize("words", [[], *PAGES], ids=" ".join)
def test_a_page_fits_a_terminal_of_80_columns(words, capsys, monkeypatch):
    text = page(capsys, monkeypatch, "help", *words)
    # A choice that takes more than half a line has it to itself; the web addresses in it cannot be broken.
    assert [line for line in text.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("words", PAGES, ids=" ".join)
def test_every_command_has_two_to_four_examples(words, capsys, monkeypatch):
    text = page(capsys, monkeypatch, *words, "--help")
    shown = text.partition("\nexamples:\n")[2].count("\n  # ") + 1
    several = words[0] in ACTIONS and len(words) == 1
    assert shown >= 2 if several else 2 <= shown <= 4


@pytest.mark.parametrize(("command", "line"), EXAMPLES)
def test_every_example_is_understood(command, line):
    words = shlex.split(line.removeprefix('eval "$(').removesuffix(')"').partition(" > ")[0])
    assert words[0] == "galmorph"
    assert callable(cli.parse(words[1:]).do)
    assert any(f"galmorph {command}" in each for each in MODULES[command].EXAMPLES.values())


def test_what_is_printed_can_be_copied(capsys, monkeypatch):
    """A line that is folded for the page is the same command to a shell."""
    text = page(capsys, monkeypatch, "help", "match").partition("\nexamples:\n")[2]
    lines = text.replace("\\\n", " ").splitlines()
    printed = [shlex.split(line) for line in lines if not line.strip().startswith("#")]
    assert printed == [shlex.split(line) for line in MODULES["match"].EXAMPLES.values()]


def test_all_commands_are_listed_by_what_they_are_for(capsys, monkeypatch):
    text = page(capsys, monkeypatch, "--help")
    assert [name for name in cli.COMMANDS if f"\n  {name} " not in text] == []
    assert [title for title in cli.GROUPS if f"\n{title}:\n" not in text] == []


@pytest.mark.parametrize("words", [[], ["help"], ["-h"], ["--help"], ["-v"]])
def test_who_asks_for_nothing_is_told_what_there_is(words, capsys, monkeypatch):
    assert page(capsys, monkeypatch, *words) == page(capsys, monkeypatch, "--help")


@pytest.mark.parametrize(
    "words",
    [["help", "store", "push"], ["store", "push", "-h"], ["-h", "store", "push"], ["help", "-q", "store", "push"]],
)
def test_a_command_and_its_actions_are_explained_however_one_asks(words, capsys, monkeypatch):
    assert page(capsys, monkeypatch, *words).startswith("usage: galmorph store push STORE CHECKPOINT [options]\n")


def test_the_options_of_classify_are_in_groups(capsys, monkeypatch):
    text = page(capsys, monkeypatch, "classify", "--help")
    titles = ["rows", "columns of the table", "images", "checkpoint and answers", "measuring", "result", "general"]
    places = [text.index(f"\n{title}:\n") for title in titles]
    assert places == sorted(places)
    assert "\noptions:\n" not in text


@pytest.mark.parametrize("words", [["-V"], ["--version"]])
def test_the_version_is_a_line(words, capsys, monkeypatch):
    assert page(capsys, monkeypatch, *words).split()[0] == "galmorph"


@pytest.mark.parametrize(
    "words", [["-q", "list", "surveys"], ["list", "-q", "surveys"], ["list", "surveys", "--quiet"]]
)
def test_what_all_commands_take_stands_before_or_behind(words):
    options = cli.parse(words)
    assert (options.quiet, options.kind) == (1, "surveys")
    assert cli.parse(["-v", "-v", "list"]).verbose == 2


def test_list_of_nothing_lists_all_kinds(capsys):
    assert cli.main(["list"]) == 0
    text = capsys.readouterr().out
    assert [line for line in text.splitlines() if line.endswith(":") and " " not in line] == [
        "surveys:",
        "schemes:",
        "networks:",
        "checkpoints:",
        "pipelines:",
    ]
