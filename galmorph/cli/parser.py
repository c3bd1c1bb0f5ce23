"""Parser: argparse with a line instead of a page for a mistake, and the name of what was meant."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

__all__ = ["Parser", "arguments", "refuse_unknown"]

# Options of earlier versions.
_FORMER = {"--part": "--split", "--weights": "--shares", "--fit-weights": "--fit-shares"}
_OUTER = {"do", "debug", "limit", "command_line"}


class Parser(argparse.ArgumentParser):
    """Options are not abbreviated, have no defaults of their own, and are named by the one line about a mistake."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, argument_default=argparse.SUPPRESS, **settings)

    def error(self, message: str) -> NoReturn:
        """Say in one line what is wrong, and end with status 2."""
        self.exit(2, f"{self.prog}: {message}; '{self.prog} --help' lists what can be given\n")

    def refuse_unknown(self, words: Sequence[str]) -> None:
        """End with the name of the option that was meant, if one of the words is an option that there is not."""
        options = self._options()
        for word in words:
            name = word.partition("=")[0]
            if word == "--":
                return
            if name.startswith("--") and name not in options:
                refuse_unknown(self, "option", name, options, _FORMER)

    def _options(self) -> list[str]:
        """List the options of the command, and of all its actions."""
        groups = [action for action in self._actions if isinstance(action, argparse._SubParsersAction)]  # noqa: SLF001 - argparse has no other name
        inner = [parser for group in groups for parser in group.choices.values()]
        return [name for parser in (self, *inner) for name in parser._option_string_actions]  # noqa: SLF001 - ours


def refuse_unknown(parser: Parser, kind: str, name: str, names: Iterable[str], former: Mapping[str, str]) -> NoReturn:
    """End because there is no such name: say what it is called now, or what is nearest."""
    if (new := former.get(name, "")) in names:
        parser.error(f"{kind} '{name}' is now called '{new}'")
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.6)
    hint = f": did you mean '{close[0]}'?" if close else ""
    parser.error(f"unknown {kind} '{name}'{hint}")


def arguments(options: argparse.Namespace) -> dict[str, Any]:
    """Return what was given on the command line, by the names of the parameters of the public function."""
    return {name: value for name, value in vars(options).items() if name not in _OUTER}
