"""Parser: argparse with short usage, examples, one line about a mistake, and the name of what was meant."""

from __future__ import annotations

import argparse
import difflib
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

__all__ = ["Parser", "arguments", "nearest", "refuse_unknown", "written_examples"]

# Options of earlier versions.
_FORMER = {"--part": "--split", "--weights": "--shares", "--fit-weights": "--fit-shares"}
_OUTER = {
    "do",
    "debug",
    "limit",
    "command_line",
    "verbose",
    "quiet",
    "json",
    "config",
    "config_says",
    "command",
    "streams",
}
_WIDEST = 100
_NUMBER = re.compile(r"-[\d.]")
_NO_OPTION = re.compile(r"-\d[\w.]*$|-\.\d+$|-\.[a-z]+$")
"""Values that begin as options do: a negative number, and standard output in a format (-.csv)."""
_IMAGE = re.compile(r"\.(fits?|fz|gz|bz2|zip|jpe?g|png)$|/$", re.IGNORECASE)
_MEANT = {
    **dict.fromkeys(("predict", "morphology", "infer"), "classify"),
    **dict.fromkeys(("xmatch", "crossmatch", "cross-match"), "match"),
    **dict.fromkeys(("download", "get"), "fetch"),
    **dict.fromkeys(("test", "score", "validate"), "evaluate"),
    **dict.fromkeys(("info", "describe", "cat"), "show"),
    **dict.fromkeys(("photometry", "petrosian"), "measure"),
    **dict.fromkeys(("models", "weights"), "checkpoints"),
    **dict.fromkeys(("--model", "--net", "--network"), "--checkpoint"),
    **dict.fromkeys(("--filter", "--bands"), "--band"),
    **dict.fromkeys(("--force", "--clobber"), "--overwrite"),
    **dict.fromkeys(("--jobs", "--cores", "--threads", "--nproc", "--processes"), "--workers"),
    **dict.fromkeys(("--tolerance", "--sep", "--distance"), "--radius"),
    **dict.fromkeys(("--noise", "--sigma"), "--rms"),
    **dict.fromkeys(("--gpu", "--cpu", "--cuda"), "--device"),
    "--outfile": "--output",
    "gpu": "cuda",
}
"""Words of other programs, and what they are here."""
_PLAINER = (
    (r"invalid int value: ('.*')", r"\1, expected a whole number"),
    (r"invalid float value: ('.*')", r"\1, expected a number"),
    (r"argument (.*): ignored explicit argument .*", r"\1 is a switch: write it without a value"),
    (
        r"argument CATALOG: not allowed.*",
        "a CATALOG is not allowed with argument --at, which takes both numbers in quotes: --at '53.1 -27.8'",
    ),
    (r"argument --at: not allowed.*", "--at is not allowed with argument CATALOG: leave one out"),
    (r"expected (at least )?one argument", r"expected \1one argument: give its value after it"),
)
"""What argparse says, and the same for people."""
_MISSING = re.compile(r"the following arguments are required: (.*)|one of the arguments (.*) is required")


class Parser(argparse.ArgumentParser):
    """Options are not abbreviated, have no defaults of their own, and are named by the one line about a mistake."""

    def __init__(self, **settings: Any) -> None:
        for name, value in (("formatter_class", _Formatter), ("add_help", False)):
            settings.setdefault(name, value)
        super().__init__(allow_abbrev=False, argument_default=argparse.SUPPRESS, **settings)
        self._positionals.title = "arguments"
        self._negative_number_matcher = _NO_OPTION
        self.examples: dict[str, str] = {}
        """Command lines by what they are for; the help ends with them."""

    def error(self, message: str) -> NoReturn:
        """Say in one line what is wrong, and end with status 2."""
        for pattern, words in _PLAINER:
            message = re.sub(pattern, words, message)
        example = next(iter(self.examples.values()), "") if _MISSING.match(message) else ""
        such = f", as in '{example}'" if example else ""
        self.exit(2, f"{self.prog}: {message}{such}; '{self.prog} --help' lists what can be given\n")

    def refuse_unknown(self, words: Sequence[str]) -> None:
        """End with the name of the option that was meant, if one of the words is an option that there is not."""
        options = self._options()
        for word in words:
            if word == "--":
                return
            name = word.partition("=")[0]
            is_long = name.startswith("--") and name not in options
            is_short = _is_short(name) and (name[:2] not in options or f"-{name}" in options)
            if is_long or is_short:
                refuse_unknown(self, "option", name, options, _FORMER)

    def refuse_rest(self, words: Sequence[str]) -> None:
        """End if there are more words than the command takes, and say where they may belong."""
        if not words:
            return
        images = "--image" in self._options() and _IMAGE.search(words[0])
        hint = ": images follow --image" if images else ": quote what contains spaces, or put its option before it"
        self.error(f"'{words[0]}' is one word too many{hint}")

    def actions(self) -> dict[str, Parser]:
        """Return the parsers of a command's actions, by their names; none where it has no actions."""
        groups = [action for action in self._actions if isinstance(action, argparse._SubParsersAction)]  # noqa: SLF001 - argparse has no other name
        return {name: parser for group in groups for name, parser in group.choices.items()}

    def arguments(self) -> list[argparse.Action]:
        """Return what can be given, without help and actions."""
        helps = (argparse._HelpAction, argparse._VersionAction, argparse._SubParsersAction)  # noqa: SLF001 - argparse has no other names
        return [action for action in self._actions if not isinstance(action, helps)]

    def format_help(self) -> str:
        """Write usage, arguments by groups, those that all commands have last, and examples."""
        self.usage = self.usage or self._short_usage()
        self.epilog = self.epilog or written_examples(self.examples)
        general = [g for g in self._action_groups if g.title == "general"]
        self._action_groups = [g for g in self._action_groups if g not in general] + general
        return super().format_help()

    def _short_usage(self) -> str:
        """Name what has to be given; all else is 'options'."""
        needed = [word for group in self._mutually_exclusive_groups if group.required for word in [_either(group)]]
        inside = [a for group in self._mutually_exclusive_groups for a in group._group_actions]  # noqa: SLF001 - argparse has no other name
        words = [_spelt(a) for a in self._actions if a not in inside and (a.required or not a.option_strings)]
        return " ".join([self.prog, *needed, *words, "[options]"]).replace("%", "%%")

    def _options(self) -> list[str]:
        """List the options of the command, and of all its actions."""
        return [name for parser in (self, *self.actions().values()) for name in parser._option_string_actions]  # noqa: SLF001 - ours

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Say of a word that is no choice which one was meant."""
        if action.choices is not None and value not in (*action.choices, argparse.SUPPRESS):
            names = [str(choice) for choice in action.choices]
            raise argparse.ArgumentError(action, f"'{value}' is none of {', '.join(names)}{nearest(str(value), names)}")


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """As wide as the terminal, up to a line that is still read with ease."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26, width=min(shutil.get_terminal_size().columns, _WIDEST) - 2)


def _is_short(word: str) -> bool:
    """Say whether a word is an option of one dash, and no negative number."""
    return len(word) > 1 and word[0] == "-" and word[1] != "-" and _NUMBER.match(word) is None


def _either(group: Any) -> str:
    return f"({' | '.join(_spelt(action).strip('[]') for action in group._group_actions)})"  # noqa: SLF001 - argparse has no other name


def _spelt(action: argparse.Action) -> str:
    """Write an argument as the usage has it."""
    several = {"?": "[{}]", "*": "[{} ...]", "+": "{} [...]"}.get(str(action.nargs), "{}")
    value = several.format(action.metavar or "|".join(map(str, action.choices or [action.dest.upper()])))
    if action.option_strings:
        return f"{action.option_strings[0]} {action.metavar or action.dest.upper()}"
    return value


def written_examples(examples: Mapping[str, str], width: int = 78) -> str:
    """Write command lines for the end of a help page, so that each can be copied as it stands.

    Examples
    --------
    >>> print(written_examples({"all that ships": "galmorph list"}))
    examples:
      # all that ships
      galmorph list
    """
    lines = [line for about, command in examples.items() for line in (f"  # {about}", *_folded(command, width))]
    return "\n".join(["examples:", *lines]) if lines else ""


def _folded(command: str, width: int) -> Iterator[str]:
    """Break a command line where the shell allows it."""
    line = " "
    for word in re.findall(r"'[^']*'|\"[^\"]*\"|\S+", command):
        if len(line) + len(word) + 3 > width:
            yield f"{line} \\"
            line = "     "
        line = f"{line} {word}"
    yield line


def nearest(name: str, names: Iterable[str]) -> str:
    """Return the question whether another name was meant, empty where none is near.

    Examples
    --------
    >>> nearest("clasify", ["classify", "measure"]), nearest("xyz", ["classify"])
    (": did you mean 'classify'?", '')
    """
    others = list(names)
    begun = [other for other in others if other.startswith(name)] if len(name.strip("-")) > 1 else []
    doubled = [f"-{name}"] if f"-{name}" in others else []
    meant = [_MEANT[name.lower()]] if _MEANT.get(name.lower()) in others else []
    close = meant or doubled or begun or difflib.get_close_matches(name, others, n=1, cutoff=0.6)
    return f": did you mean '{close[0]}'?" if close else ""


def refuse_unknown(parser: Parser, kind: str, name: str, names: Iterable[str], former: Mapping[str, str]) -> NoReturn:
    """End because there is no such name: say what it is called now, or what is nearest."""
    if (new := former.get(name, "")) in names:
        parser.error(f"{kind} '{name}' is now called '{new}'")
    parser.error(f"unknown {kind} '{name}'{nearest(name, names)}")


def arguments(options: argparse.Namespace) -> dict[str, Any]:
    """Return what was given on the command line, by the names of the parameters of the public function."""
    return {name: value for name, value in vars(options).items() if name not in _OUTER}
