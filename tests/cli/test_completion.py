"""Completion: each shell is given commands, options and names, as text that costs it nothing at TAB."""

from __future__ import annotations

import resource
import shutil
import subprocess

import pytest

from galmorph import cli
from galmorph.cli import main

SHELLS = ("bash", "zsh", "fish")


@pytest.fixture(scope="module")
def scripts(tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("scripts")
    with pytest.MonkeyPatch.context() as patch:
        return {shell: _script(shell, patch, folder / shell) for shell in SHELLS}


def _script(shell: str, patch: pytest.MonkeyPatch, path) -> str:
    with open(path, "w", encoding="utf-8") as stream:
        patch.setattr("sys.stdout", stream)
        assert main(["completion", shell]) == 0
    return path.read_text(encoding="utf-8")


def run(shell: str, code: str) -> str:
    """Run a line of a shell; skip where it is not installed."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    plain = {"bash": ["--norc", "--noprofile"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    done = subprocess.run([shell, *plain, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def completed(script: str, *words: str) -> set[str]:
    """Return what bash suggests for the last of some words."""
    listed = " ".join(f"'{word}'" for word in ("galmorph", *words))
    code = f"{script}\nCOMP_WORDS=({listed}); COMP_CWORD={len(words)}; _galmorph; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    return set(run("bash", code).split())


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_sound(shell, scripts, tmp_path):
    (tmp_path / "script").write_text(scripts[shell], encoding="utf-8")
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    assert subprocess.run([shell, "-n", tmp_path / "script"], check=False, capture_output=True).stderr == b""


@pytest.mark.parametrize("shell", SHELLS)
def test_every_command_is_in_it(shell, scripts):
    assert [name for name in cli.COMMANDS if name not in scripts[shell]] == []


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["cl"], {"classify"}),
        (["help", "me"], {"measure"}),
        (["classify", "--im"], {"--image", "--image-hdu"}),
        (["classify", "c.fits", "--detect", ""], {"blocks", "cutouts"}),
        (["-q", "classify", "c.fits", "--survey", "c"], {"candels"}),
        (["classify", "--checkpoint", "sdss-r"], {"sdss-rgb"}),
        (["classify", "--detect", "=", "b"], {"blocks"}),
        (["list", "s"], {"surveys", "schemes"}),
        (["show", "candels-s"], {"candels-shares"}),
        (["store", "pu"], {"push", "pull"}),
        (["store", "score", "--aga"], {"--again"}),
        (["store", "score", "s.db", "--device", "c"], {"cpu", "cuda"}),
        (["completion", "z"], {"zsh"}),
        (["classify", "--band", ""], set()),
    ],
)
def test_bash_completes(words, expected, scripts):
    assert completed(scripts["bash"], *words) == expected


def test_bash_completes_at_once(scripts):
    before = _seconds_of_children()
    for _ in range(3):
        completed(scripts["bash"], "classify", "--")
    assert (_seconds_of_children() - before) / 3 < 1.0  # with the start of bash; of the processor, however busy


def _seconds_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_bash_asks_as_a_user_does(scripts):
    """With its own completion at work: the function is bound to the command."""
    assert "-F _galmorph galmorph" in run("bash", f"{scripts['bash']}\ncomplete -p galmorph")


def test_zsh_loads_it(scripts):
    assert "_galmorph" in run("zsh", f"autoload -U compinit; compinit -D\n{scripts['zsh']}\nwhence _galmorph")


def test_fish_completes(scripts):
    lines = run("fish", f"{scripts['fish']}\ncomplete -C 'galmorph cl'").splitlines()
    assert [line.split("\t")[0] for line in lines] == ["classify"]
