"""What an installation takes on disk, and what it costs to begin: `make bench-install`, docs/benchmarks/install.json.

Sizes are those of the files that installed packages list (``RECORD``), added up over what the plain installation and
each extra ask for, directly or by others. Nothing is installed anew: all extras must be there. Times are processor
seconds of a new interpreter, the least of five.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
import resource
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "docs/benchmarks/install.json"
DEVELOPERS = ("docs", "test", "bench")
PURPOSE = {
    "astropy": "tables, FITS, WCS, units",
    "fitsio": "FITS tables of millions of rows, compressed mosaics in windows",
    "jinja2": "report; PyTorch brings it too",
    "numba": "compiles what measures",
    "numpy": "arrays",
    "pandas": "text catalogues, and frames as catalogues",
    "pillow": "JPEG and PNG stamps, pictures of the report",
    "platformdirs": "where the user's cache is",
    "pyarrow": "Parquet and HATS",
    "safetensors": "checkpoints without code",
    "scipy": "spline resampling, labelling of segments, matching",
    "sep": "detection and deblending where there are weights",
    "threadpoolctl": "keeps processes from using each other's cores",
    "torch": "the networks",
    "tqdm": "the bar of progress",
    "urllib3": "archives",
}


@cache
def _asked(name: str, extra: str) -> tuple[str, ...]:
    """Return the packages that one asks for, with their extras as 'name[extra]'."""
    ours = _project() if name == "galmorph" else {}
    texts = ours[extra] if ours else importlib.metadata.distribution(name).requires or []
    wanted = []
    for requirement in map(Requirement, texts):
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            plain = canonicalize_name(requirement.name)
            wanted += [plain, *(f"{plain}[{each}]" for each in requirement.extras)]
    return tuple(wanted)


def _closure(starts: list[str]) -> set[str]:
    """Return the names of all packages that some ask for, directly or by others."""
    waiting, done = list(starts), set()
    while waiting:
        name = waiting.pop()
        if name not in done:
            done.add(name)
            plain, _, extra = name.rstrip("]").partition("[")
            waiting += _asked(plain, extra)
    return {name for name in done if "[" not in name} - {"galmorph"}


@cache
def _bytes(name: str) -> int:
    """Add up the files that a package lists."""
    files = importlib.metadata.distribution(name).files or []
    paths = [Path(str(file.locate())) for file in files]
    return sum(path.stat().st_size for path in paths if path.is_file())


def _megabytes(names: set[str]) -> float:
    return round(sum(map(_bytes, names)) / 1e6, 1)


@cache
def _project() -> dict[str, list[str]]:
    """Return what pyproject.toml asks for: plainly under '', and by extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {"": project["dependencies"], **project["optional-dependencies"]}


def _extra(extra: str, plain: set[str]) -> dict[str, object]:
    """Measure what an extra adds to the plain installation."""
    added = _closure([f"galmorph[{extra}]"]) - plain
    largest = sorted(added, key=_bytes, reverse=True)[:3]
    return {
        "packages": len(added),
        "megabytes": _megabytes(added),
        "largest": [{"name": name, "megabytes": _megabytes({name})} for name in largest],
    }


def _plain(plain: set[str]) -> dict[str, object]:
    """Measure the plain installation, and each package that it asks for with what nothing else brings."""
    rows, asked = [], [name for name in _asked("galmorph", "") if "[" not in name]
    for name in asked:
        alone = plain - _closure([other for other in asked if other != name])
        row = {"name": name, "megabytes": _megabytes({name}), "with_its_own": _megabytes(alone | {name})}
        rows.append(row | {"for": PURPOSE[name]})
    rows.sort(key=lambda row: -float(row["megabytes"]))
    return {"packages": len(plain), "megabytes": _megabytes(plain), "asked_for": rows}


def _cpu_s(*words: str) -> float:
    """Return the processor's seconds of a new interpreter, the least of five."""
    times = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *words], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return round(min(times), 3)


def main() -> None:
    """Measure, print and record."""
    plain = _closure(["galmorph"])
    extras = {extra: _extra(extra, plain) for extra in _project() if extra and extra not in DEVELOPERS}
    result = {
        "python": platform.python_version(),
        "torch": importlib.metadata.version("torch"),
        "plain": _plain(plain),
        "extras": extras,
        "begin_cpu_s": {
            "python": _cpu_s("-c", ""),
            "import galmorph": _cpu_s("-c", "import galmorph"),
            "galmorph --help": _cpu_s("-m", "galmorph", "--help"),
        },
    }
    text = json.dumps(result, indent=1) + "\n"
    sys.stdout.write(text)
    RESULT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
