"""Config: what ``galmorph.toml`` says of options, for the command line alone.

Options of the command line come before those of the file in the working folder, these before those of the user's own
file, these before defaults. A file has a section for each command; what stands before the first section holds for all
commands that have such an option. Which results come out is not decided unasked: only a file that ``--config`` names
may choose checkpoint, rule and scheme; and the file of a folder, which may have come with somebody's data, may not
choose where is written or who is listened to either.
"""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platformdirs import user_config_path

from galmorph.cli.parser import Parser, nearest
from galmorph.errors import ConfigError
from galmorph.toml import read_file

__all__ = ["ConfigFile", "Parsers", "apply_config", "config_files"]

NAME = "galmorph.toml"
_RESULTS = frozenset({"checkpoint", "rule", "scheme", "pipeline", "runtime"})
_TRUSTED = frozenset(
    {"output", "overwrite", "report", "card", "regions", "moc", "links", "samp", "stamps", "pictures"}
    | {"scheduler", "engine", "host", "open", "store", "folder", "create", "limit"}
)
_NEVER = frozenset({"config", "help", "debug", "at", "shard", "status", "dry-run"})

Parsers = Callable[[str], Parser]
"""Makes the parser of a command."""


@dataclass(frozen=True)
class ConfigFile:
    """A file of settings.

    Parameters
    ----------
    path
        Where it is.
    kind
        ``named`` by ``--config``, the ``user``'s, or that of the ``folder``.
    """

    path: Path
    kind: str

    @property
    def title(self) -> str:
        """What to call it: by its name in the working folder, else with its folder."""
        return self.path.name if self.kind == "folder" else str(self.path)

    def sections(self) -> dict[str, Mapping[str, Any]]:
        """Read it: the keys of each section, ``""`` for those before the first.

        Raises
        ------
        ConfigError
            If it cannot be read or is no TOML.
        """
        table = read_file(self.path, "config file", ConfigError)
        inner = {name: value for name, value in table.items() if isinstance(value, Mapping)}
        return {"": {name: value for name, value in table.items() if name not in inner}, **inner}

    def line(self, section: str, key: str) -> int:
        """Return the number of the line that sets a key, or begins a section if the key is empty; 0 for unknown."""
        current = ""
        for number, text in enumerate(self.path.read_text(encoding="utf-8-sig").splitlines(), 1):
            if header := re.match(r"\s*\[\s*[\"']?([\w.-]+)[\"']?\s*\]", text):
                current = header[1]
            is_key = re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*[=.]", text) if key else header
            if current == section and is_key:
                return number
        return 0

    def complaint(self, words: str, section: str, key: str = "") -> ConfigError:
        """Return an error about one of its lines."""
        line = self.line(section, key)
        place = f"{f', line {line}' if line else ''}{f', [{section}]' if section else ''}"
        return ConfigError(f"{self.title}{place}: {words}")


def config_files(named: str | None) -> list[ConfigFile]:
    """List the files that are read, those that count more last.

    Parameters
    ----------
    named
        What ``--config`` names: a file, which is read alone, or ``none``; None where it names nothing.

    Raises
    ------
    ConfigError
        If there is no such file.
    """
    if named == "none":
        return []
    if named is not None:
        if not Path(named).is_file():
            raise ConfigError(f"config file '{named}' does not exist: correct --config, or 'none' for no file")
        return [ConfigFile(Path(named), "named")]
    files = [ConfigFile(user_config_path("galmorph") / NAME, "user"), ConfigFile(Path(NAME), "folder")]
    return [file for file in files if file.path.is_file()]


def apply_config(command: Parser, name: str, words: Sequence[str], parsers: Parsers, commands: Sequence[str]) -> str:
    """Make the settings of files the defaults of a command, and return which file set what, empty for nothing.

    Parameters
    ----------
    command, name
        The parser of the command, and its name.
    words
        The command line, whose options come first.
    parsers, commands
        Makes the parser of any command, and the names of all of them: the whole of a file is checked.

    Raises
    ------
    ConfigError
        If a file cannot be read, or has an unknown section, key or value.
    """
    options = {word.partition("=")[0] for word in words}
    told: dict[str, tuple[str, str]] = {}
    for file in config_files(_named(words)):
        sections = file.sections()
        _check(file, sections, parsers, commands)
        for section in ("", name):
            for key, value in sections.get(section, {}).items():
                actions = _actions(command).get(_key(key), [])
                fitting = [(action, _fitting(file, section, key, action, value)) for action in actions]
                used = [_set(action, each) for action, each in fitting if not options & {*action.option_strings}]
                told |= {_key(key): (_shown(key, value), file.title)} if used else {}
    return "; ".join(_told(told))


def _told(told: Mapping[str, tuple[str, str]]) -> Iterator[str]:
    """Say of each file what it set."""
    for title in dict.fromkeys(title for _, title in told.values()):
        settings = [setting for setting, of in told.values() if of == title]
        yield f"{title} sets {' '.join(settings)}"


def _shown(key: str, value: Any) -> str:
    """Write a setting as the option that it is."""
    words = [] if value is True else [str(each) for each in (value if isinstance(value, list) else [value])]
    return shlex.join([f"--{_key(key)}", *words])


def _named(words: Sequence[str]) -> str | None:
    """Return what ``--config`` names."""
    for word, value in zip(words, [*words[1:], ""], strict=True):
        if word == "--config":
            return value
        if word.startswith("--config="):
            return word.removeprefix("--config=")
    return None


def _key(key: str) -> str:
    return key.replace("_", "-")


def _actions(command: Parser) -> dict[str, list[argparse.Action]]:
    """Return the options of a command and its actions, by their long names."""
    options: dict[str, list[argparse.Action]] = {}
    taken = [action for parser in (command, *command.actions().values()) for action in parser.arguments()]
    for action in taken:
        for option in action.option_strings:
            options.setdefault(option.removeprefix("--"), []).append(action)
    return options


def _check(file: ConfigFile, sections: Mapping[str, Any], parsers: Parsers, commands: Sequence[str]) -> None:
    """Refuse sections and keys that there are not, and those that the file may not set."""
    for section, table in sections.items():
        if section and section not in commands:
            raise file.complaint(f"unknown section '{section}'{nearest(section, commands)}", section)
        of = [section] if section else (commands if table else [])
        names = {option for command in of for option in _actions(parsers(command))}
        for key, value in table.items():
            _check_key(file, section, key, names)
            if isinstance(value, Mapping):
                raise file.complaint(f"'{key}' is a table: expected the value of an option", section, key)


def _check_key(file: ConfigFile, section: str, key: str, names: set[str]) -> None:
    name = _key(key)
    if name not in names or name in _NEVER:
        others = sorted(names - _NEVER)
        raise file.complaint(f"unknown key '{key}'{nearest(name, others)}", section, key)
    if file.kind != "named" and name in _RESULTS:
        raise file.complaint(
            f"'{key}' decides what the results are: give it as --{name}, or name this file by --config", section, key
        )
    if file.kind == "folder" and name in _TRUSTED:
        raise file.complaint(
            f"'{key}' is not for a file that may come with data: give it as --{name}, or name this file by --config",
            section,
            key,
        )


def _fitting(file: ConfigFile, section: str, key: str, action: argparse.Action, value: Any) -> Any:
    """Return a value as the option has it; SUPPRESS for a switch that is off."""
    try:
        return _converted(action, value)
    except (ValueError, TypeError, argparse.ArgumentTypeError) as error:
        raise file.complaint(f"{key} = {value!r}, {error}", section, key) from error


def _converted(action: argparse.Action, value: Any) -> Any:
    if action.nargs == 0:
        if not isinstance(value, bool):
            raise ValueError("expected true or false")
        return (action.const if action.const is not None else 1) if value else argparse.SUPPRESS
    takes_several = action.nargs in ("+", "*") or isinstance(action, argparse._AppendAction)  # noqa: SLF001 - argparse has no other name
    if takes_several:
        return [_single(action, each) for each in (value if isinstance(value, list) else [value])]
    return _single(action, value)


def _single(action: argparse.Action, value: Any) -> Any:
    """Convert one value as argparse would convert its word."""
    kind: Any = action.type or str
    if isinstance(value, bool | list) or (kind is str and not isinstance(value, str)):
        raise ValueError(f"expected {'a text in quotes' if kind is str else 'one value'}")
    try:
        fitting = kind(str(value))
    except ValueError as error:
        raise ValueError(f"expected {'a whole number' if kind is int else 'a number'}") from error
    if action.choices is not None and fitting not in action.choices:
        names = [str(choice) for choice in action.choices]
        raise ValueError(f"expected {', '.join(names)}{nearest(str(fitting), names)}")
    return fitting


def _set(action: argparse.Action, value: Any) -> bool:
    """Make a value the default of an option, and say whether there was one to make."""
    action.default, action.required = value, action.required and value is argparse.SUPPRESS
    return value is not argparse.SUPPRESS
