"""Command completion: what lets a shell complete commands, options and names, as text that needs no Python at TAB."""

from __future__ import annotations

import argparse
import itertools
import shlex
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import galmorph
from galmorph import cli
from galmorph.cli.parser import Parser
from galmorph.cli.printing import print_answer

__all__ = ["EXAMPLES", "add_options", "do"]

EXAMPLES = {
    "bash: in this shell; in all, as a line of ~/.bashrc": 'eval "$(galmorph completion bash)"',
    "zsh: the same, as a line of ~/.zshrc behind compinit": 'eval "$(galmorph completion zsh)"',
    "fish: once": "galmorph completion fish > ~/.config/fish/completions/galmorph.fish",
}
_NAMES = {
    "survey": ("surveys",),
    "scheme": ("schemes",),
    "pipeline": ("pipelines",),
    "pipelines": ("pipelines",),
    "checkpoint": ("checkpoints",),
    "checkpoints": ("checkpoints",),
    "name": ("surveys", "schemes", "networks", "checkpoints", "pipelines"),
}
"""What ships of which kinds may be the value of an argument."""


def add_options(command: Parser) -> None:
    """Add what the command takes."""
    command.add_argument("shell", choices=_SCRIPTS, metavar="SHELL", help="bash, zsh or fish")


def do(options: Namespace) -> None:
    """Print the script of a shell."""
    script = "\n".join(_SCRIPTS[options.shell](_entries()))
    print_answer(options, script, {"shell": options.shell, "script": script})


@dataclass(frozen=True)
class _Entry:
    """A command, or an action of one.

    Parameters
    ----------
    words
        How it is called: ``store push``; empty for none yet.
    about
        What it does.
    options
        Its options by their names, with what each is and the values that are suggested; None where it takes none.
    names
        What may stand without an option: actions, or values of the first arguments.
    """

    words: str
    about: str
    options: Mapping[str, tuple[str, Sequence[str] | None]]
    names: Sequence[str] = ()


def _entries() -> list[_Entry]:
    """List all commands with their actions; first what stands before a command."""
    commands = {**cli.COMMANDS, **cli.ASIDE}
    early = {"--help": ("show what there is", None), "--version": ("say which one", None)}
    first = _Entry("", "", early, [*commands])
    return [first, *(entry for name in commands if name != "help" for entry in _of_command(name, commands[name]))]


def _of_command(name: str, about: str) -> Iterator[_Entry]:
    command = cli.add_command(Parser(prog="galmorph").add_subparsers(prog="galmorph"), name)
    actions = command.actions()
    yield _entry(name, about, command, [*actions])
    for action, parser in actions.items():
        yield _entry(f"{name} {action}", parser.description or "", parser, ())


def _entry(words: str, about: str, parser: Parser, actions: Sequence[str]) -> _Entry:
    taken = parser.arguments()
    options = {
        option: (_first_line(a.help), None if a.nargs == 0 else _suggested(a))
        for a in taken
        for option in a.option_strings
        if option.startswith("--")
    }
    loose = [value for a in taken if not a.option_strings for value in _suggested(a)]
    return _Entry(words, about, options | {"--help": ("show this", None)}, [*actions, *dict.fromkeys(loose)])


def _first_line(text: str | None) -> str:
    return (text or "").partition(";")[0].replace("%%", "%")


def _suggested(action: argparse.Action) -> list[str]:
    """List the values of an argument that can be known; files are completed by the shell."""
    if action.choices is not None:
        return [str(choice) for choice in action.choices]
    return [*itertools.chain.from_iterable(galmorph.names(kind) for kind in _NAMES.get(action.dest, ()))]


def _bash(entries: Sequence[_Entry]) -> Iterator[str]:
    """Write a function for ``complete``; where it answers nothing, bash completes files."""
    yield from _BASH_HEAD.splitlines()
    yield from _cases(entries)
    yield from _BASH_FOOT.splitlines()


def _cases(entries: Sequence[_Entry]) -> Iterator[str]:
    """Write the words of each command, and the values of its options, as cases of ``$key`` and ``$previous``."""
    yield '    case "$key" in'
    for entry in entries:
        yield f"        {shlex.quote(entry.words)})"
        yield f"            options={shlex.quote(' '.join(entry.options))}"
        yield f"            names={shlex.quote(' '.join(entry.names))}"
        yield "            ;;"
    yield "    esac"
    yield '    case "$key $previous" in'
    for values, keys in _by_values(entries).items():
        yield f"        {'|'.join(map(shlex.quote, keys))})"
        yield f"            values={shlex.quote(values)} ;;"
    yield "    esac"


def _by_values(entries: Sequence[_Entry]) -> dict[str, list[str]]:
    """Group options that take the same values, each with its command."""
    groups: dict[str, list[str]] = {}
    for entry in entries:
        for option, (_, values) in entry.options.items():
            if values is not None:
                groups.setdefault(" ".join(values), []).append(f"{entry.words} {option}")
    return groups


_KEY = """
    local -a typed=({typed})
    local key= word
    for word in "${{typed[@]}}"; do
        case "$word" in -*|help|"") continue ;; esac
        if [[ -z $key ]]; then key=$word
        elif [[ " {with_actions} " == *" $key "* ]]; then key="$key $word"; fi
        [[ " {with_actions} " == *" $key "* ]] || break
    done
""".strip("\n")

_BASH_HEAD = """# galmorph in bash: eval "$(galmorph completion bash)"
_galmorph() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} options= names= values=-
    [[ $current == "=" ]] && current=
    [[ $previous == "=" ]] && previous=${COMP_WORDS[COMP_CWORD-2]}
""" + _KEY.format(typed='"${COMP_WORDS[@]:1:COMP_CWORD-1}"', with_actions="store")

_BASH_FOOT = """    if [[ $current == -* ]]; then COMPREPLY=($(compgen -W "$options" -- "$current"))
    elif [[ $values != - ]]; then COMPREPLY=($(compgen -W "$values" -- "$current"))
    else COMPREPLY=($(compgen -W "$names" -- "$current")); fi
}
complete -o default -o bashdefault -F _galmorph galmorph"""


def _zsh(entries: Sequence[_Entry]) -> Iterator[str]:
    """Write a function for ``compdef``: names with what they are, and files."""
    yield from _ZSH_HEAD.splitlines()
    yield from _cases(entries)
    yield '    case "$key" in'
    for entry in entries:
        told = [f"{option}:{about}" for option, (about, _) in entry.options.items()]
        yield f"        {shlex.quote(entry.words)}) told=({' '.join(map(shlex.quote, told))}) ;;"
    yield "    esac"
    commands = [f"{e.words}:{e.about}" for e in entries if e.words and " " not in e.words]
    yield f"    [[ -z $key ]] && commands=({' '.join(map(shlex.quote, commands))})"
    yield from _ZSH_FOOT.splitlines()


_ZSH_HEAD = """#compdef galmorph
# galmorph in zsh: eval "$(galmorph completion zsh)", behind compinit
_galmorph() {
    local current=${words[CURRENT]} previous=${words[CURRENT-1]} options= names= values=-
    local -a told commands
""" + _KEY.format(typed='"${(@)words[2,CURRENT-1]}"', with_actions="store")

_ZSH_FOOT = """    if [[ $current == -* ]]; then _describe -o option told
    elif [[ -z $key ]]; then _describe command commands
    elif [[ $values != - ]]; then [[ -n $values ]] && compadd -- ${=values}; _files
    else [[ -n $names ]] && compadd -- ${=names}; _files; fi
}
compdef _galmorph galmorph"""


def _fish(entries: Sequence[_Entry]) -> Iterator[str]:
    """Write a line for each command and option."""
    yield "# galmorph in fish: galmorph completion fish > ~/.config/fish/completions/galmorph.fish"
    for entry in entries[1:]:
        *before, name = entry.words.split()
        when = f"__fish_seen_subcommand_from {before[0]}" if before else "__fish_use_subcommand"
        yield f"complete -c galmorph -n {_fished(when)} -f -a {name} -d {_fished(entry.about)}"
        yield from _fish_options(entry)


def _fish_options(entry: _Entry) -> Iterator[str]:
    when = "; and ".join(f"__fish_seen_subcommand_from {word}" for word in entry.words.split())
    for option, (about, values) in entry.options.items():
        takes = "" if values is None else f" -r -a {_fished(' '.join(values))}" if values else " -r"
        yield f"complete -c galmorph -n {_fished(when)} -l {option[2:]}{takes} -d {_fished(about)}"
    if entry.names and " " not in entry.words and entry.words != "store":
        yield f"complete -c galmorph -n {_fished(when)} -a {_fished(' '.join(entry.names))}"


def _fished(text: str) -> str:
    """Quote for fish, which knows two escapes between single quotes."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


_SCRIPTS = {"bash": _bash, "zsh": _zsh, "fish": _fish}
