"""What is said of installing: the container's lines, conda's recipe, the versions of Python, the citation."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement

import galmorph

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CALLED_BY_CONDA = {"astropy": "astropy-base", "torch": "pytorch"}


def dockerfile() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile with what they say, continued lines joined."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def test_the_container_has_two_stages_and_runs_as_nobody_in_particular():
    steps = dockerfile()
    stages = [rest for word, rest in steps if word == "FROM"]
    assert len(stages) == 2
    assert stages[0].endswith(" AS build")
    assert stages[1] == stages[0].removesuffix(" AS build")
    last = steps[max(n for n, (word, _) in enumerate(steps) if word == "FROM") :]
    assert [rest for word, rest in last if word == "USER"] == ["galmorph"]
    assert [rest for word, rest in last if word == "ENTRYPOINT"] == ['["galmorph"]']
    assert not any("pip" in rest for word, rest in last if word == "RUN")  # nothing is fetched after the first stage


def test_the_container_s_python_is_one_that_is_allowed():
    versions = {re.search(r"python:(3\.\d+)-slim", rest)[1] for word, rest in dockerfile() if word == "FROM"}
    assert versions <= pythons()


def test_the_dockerfile_installs_as_this_project_does():
    """What it copies is there and enough for the wheel; the line that installs keeps to the pins, for the processor."""
    steps = dockerfile()
    copied = [shlex.split(rest)[:-1] for word, rest in steps if word == "COPY" and not rest.startswith("--from")]
    names = {name for line in copied for name in line}
    assert all((ROOT / name).exists() for name in names)
    included = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]
    assert {*included["wheel"]["packages"], *included["wheel"]["force-include"], PROJECT["readme"]} <= names
    assert {*PROJECT["license-files"], "constraints.txt"} <= names
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {line.removeprefix("!") for line in ignored if line.startswith("!")} == names
    (install,) = (rest for word, rest in steps if word == "RUN" and "pip install" in rest)
    words = shlex.split(install)
    assert words[-1] == "."
    assert words[words.index("-c") + 1] == "constraints.txt"
    assert words[words.index("--extra-index-url") + 1] == "https://download.pytorch.org/whl/cpu"


def recipe() -> dict:
    """Read conda's recipe."""
    return yaml.safe_load((ROOT / "packaging" / "conda" / "recipe.yaml").read_text(encoding="utf-8"))


def spelt(requirement: Requirement) -> str:
    """Spell a requirement as conda does."""
    name = CALLED_BY_CONDA.get(requirement.name, requirement.name)
    return f"{name} {requirement.specifier}".strip()


def test_conda_asks_for_what_pip_asks_for():
    asked = [spelt(Requirement(text)) for text in PROJECT["dependencies"]]
    assert recipe()["requirements"]["run"][1:] == asked
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]["requires"]
    assert [spelt(Requirement(text)) for text in build] == recipe()["requirements"]["host"][2:]


def test_conda_says_what_the_project_says():
    said = recipe()
    assert said["context"]["version"] == PROJECT["version"] == galmorph.__version__
    assert f">={said['context']['python_min']}" == PROJECT["requires-python"]
    assert said["about"]["summary"] == PROJECT["description"]
    assert said["about"]["license"] == PROJECT["license"]
    (command,) = said["build"]["python"]["entry_points"]
    assert command.split(" = ") == list(*PROJECT["scripts"].items())


def pythons() -> set[str]:
    """Return the versions that the classifiers name."""
    return set(re.findall(r"Python :: (3\.\d+)", " ".join(PROJECT["classifiers"])))


def test_every_python_that_is_named_has_a_target():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    tried = re.search(r"^PYTHONS \?= (.*)$", makefile, flags=re.MULTILINE)[1].split()
    assert pythons() <= set(tried)
    assert tried[0] == PROJECT["requires-python"].removeprefix(">=")


def test_the_readme_says_how_to_do_without_cuda():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "--extra-index-url https://download.pytorch.org/whl/cpu" in text
    assert "galmorph[all]" in text or "'.[all]'" in text


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == galmorph.__version__
    assert citation["license"] == PROJECT["license"]


def test_every_extra_is_described():
    text = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| ", text, flags=re.MULTILINE)
    assert {name.strip("`") for row in rows for name in row.split(", ")} == {*PROJECT["optional-dependencies"]} - {
        "all"
    }
