"""How long a newcomer takes: the commands of docs/start.md and docs/own_field.md; docs/benchmarks/minutes.json.

`make bench-minutes` copies this checkout into an empty folder and runs each page's commands in one shell, one after the
other; and the lines of the Dockerfile's first stage, in a virtual environment. Caches of galmorph's are empty: what is
compiled is compiled anew. Packages come from wherever pip finds them.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "docs/benchmarks/minutes.json"
PAGES = ("start", "own_field")
CONTAINER = "Dockerfile"
LEFT_BEHIND = shutil.ignore_patterns(".*", "_build", "__pycache__")
OUTPUTS = {ROOT / "runs", ROOT / "demo", ROOT / "docs" / "api", ROOT / "docs" / "gallery"}


def commands(page: str) -> list[str]:
    """Return the commands of a page, in their order."""
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```console\n(.*?)```", text, flags=re.DOTALL)
    return [line.removeprefix("$ ") for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def container(folder: Path) -> list[str]:
    """Copy what the Dockerfile's first stage copies, and return its commands."""
    steps = [line.partition(" ") for line in (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()]
    stage = steps[: max(n for n, (word, *_) in enumerate(steps) if word == "FROM")]
    for name in (name for word, _, rest in stage if word == "COPY" for name in rest.split()[:-1]):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=LEFT_BEHIND)
        else:
            shutil.copy(source, folder / name)
    lines = [rest.replace("/opt/galmorph", "galmorph-env") for word, _, rest in stage if word == "RUN"]
    index = re.compile(r"--extra-index-url \S+ ")  # need not be reached: pip takes what it finds
    return [*(index.sub("", line) for line in lines), "galmorph-env/bin/galmorph list checkpoints"]


def script(lines: list[str]) -> str:
    """Write a shell script that stops at the first failure, and says on descriptor 9 when each command was done."""
    return "\n".join(["set -eo pipefail", *(f"{line}\ndate +%s.%N >&9" for line in ("true", *lines))]) + "\n"


def _left_behind(folder: str, names: list[str]) -> set[str]:
    """Leave out what a checkout has made: environments, caches, outputs."""
    return set(LEFT_BEHIND(folder, names)) | {name for name in names if Path(folder) / name in OUTPUTS}


def carry_out(page: str, folder: Path) -> dict[str, object]:
    """Run the commands of a page in a copy of this checkout.

    Raises
    ------
    subprocess.CalledProcessError
        If one of them fails.
    """
    copy = folder / "galmorph"
    if page == CONTAINER:
        copy.mkdir()
        lines = container(copy)
    else:
        shutil.copytree(ROOT, copy, ignore=_left_behind)
        lines = commands(page)
    (folder / "commands.sh").write_text(script(lines), encoding="utf-8")
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in {"PYTHONPATH", "VIRTUAL_ENV", "NUMBA_CACHE_DIR"}
    }
    environment = {**kept, "XDG_CACHE_HOME": str(folder / "cache"), "PIP_CACHE_DIR": str(folder / "pip")}
    with (folder / "times").open("wb") as times:
        subprocess.run(
            ["bash", "-c", f"bash {folder / 'commands.sh'} 9>&{times.fileno()}"],
            cwd=copy,
            env=environment,
            check=True,
            pass_fds=[times.fileno()],
        )
    done = [float(line) for line in (folder / "times").read_text().split()]
    took = [round(end - begin, 1) for begin, end in itertools.pairwise(done)]
    first = next(number for number, line in enumerate(lines) if "pip install" in line) + 1
    python = copy / "galmorph-env" / "bin" / "python"
    version = "import importlib.metadata as m; print(m.version('torch'))"
    return {
        "torch": subprocess.run([python, "-c", version], capture_output=True, text=True, check=True).stdout.strip(),
        "install_s": round(sum(took[:first]), 1),
        "work_s": round(sum(took[first:]), 1),
        "commands": [{"command": line, "seconds": seconds} for line, seconds in zip(lines, took, strict=True)],
    }


def main() -> None:
    """Run the pages that are asked for; record both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pages", nargs="*", default=(*PAGES, CONTAINER), metavar="PAGE")
    pages = {}
    for page in parser.parse_args().pages:
        with tempfile.TemporaryDirectory() as folder:
            pages[page] = carry_out(page, Path(folder))
    former = json.loads(RESULT.read_text(encoding="utf-8"))["pages"] if RESULT.exists() else {}
    result = {"python": platform.python_version(), "cores": os.cpu_count(), "pages": {**former, **pages}}
    text = json.dumps(result, indent=1) + "\n"
    sys.stdout.write(text)
    RESULT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
