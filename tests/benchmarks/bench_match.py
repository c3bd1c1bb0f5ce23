"""Benchmark: a million rows against a million within an arcsec, beside scipy's bare k-d trees, astropy and STILTS.

Usage: ``python tests/benchmarks/bench_match.py``; ``--rows N`` for fewer. Each contestant runs in a process of its own,
which makes the two catalogues in memory (STILTS reads them from FITS files, which a run of its own that only copies
them gives the cost of); rounds take turns, so that a busy machine is busy for all. CPU seconds of the match alone and
the peak memory of the process are noted; the medians of all rounds are compared.

The bare query is what nobody who uses scipy can do without: two k-d trees of unit vectors that exist already, in the
faster of scipy's ways to build them (neither balanced nor compact), and ``sparse_distance_matrix`` to an array, which
is faster than ``query_ball_tree``. It says nothing of the order of pairs or of their angles.

Half of the rows lie in fields of 4 deg across right ascension 0 and about both poles, the others along the equator;
seven in ten have a counterpart, scattered by 0.3 arcsec. The result is docs/benchmarks/match.json.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt
from astropy import units as u
from astropy.coordinates import SkyCoord, search_around_sky
from astropy.table import Table
from scipy.spatial import cKDTree

from galmorph.sky.matching.finding import find_pairs
from galmorph.sky.matching.pairs import Reach
from galmorph.sky.matching.separations import SkyPositions, unit_vectors

RESULT = Path(__file__).resolve().parents[2] / "docs" / "benchmarks" / "match.json"
RADIUS_ARCSEC = 1.0
SCATTER_DEG = 0.3 / 3600.0
FIELD_DEG = 2.0
FloatArray = npt.NDArray[np.float64]


def sky(rows: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Half about the seams of the sky, half along the equator."""
    quarter = rows // 4
    ra = np.concatenate([rng.uniform(-2, 2, 2 * quarter) % 360, rng.uniform(0, 360, rows - 2 * quarter)])
    polar = FIELD_DEG * np.sqrt(rng.uniform(size=rows - 2 * quarter))
    north = np.where(np.arange(len(polar)) < quarter, 90.0 - polar, polar - 90.0)
    return ra, np.concatenate([rng.uniform(-2, 2, 2 * quarter), north])


def skies(rows: int) -> tuple[SkyPositions, SkyPositions]:
    """Two catalogues, the rows of the second in no order."""
    rng = np.random.default_rng(1)
    (ra, dec), (other_ra, other_dec) = sky(rows, rng), sky(rows, rng)
    same = rng.choice(rows, 7 * rows // 10, replace=False)
    moved = np.clip(dec[same] + rng.normal(0, SCATTER_DEG, len(same)), -90, 90)
    across = np.maximum(np.cos(np.radians(moved)), 1e-3)
    other_dec[: len(same)] = moved
    other_ra[: len(same)] = (ra[same] + rng.normal(0, SCATTER_DEG, len(same)) / across) % 360
    order = rng.permutation(rows)
    return SkyPositions(ra, dec), SkyPositions(other_ra[order], other_dec[order])


def bare(first: SkyPositions, second: SkyPositions) -> Callable[[], int]:
    """Scipy alone; the unit vectors are there before."""
    vectors = [unit_vectors(p.ra_deg, p.dec_deg) for p in (first, second)]
    chord = 2 * np.sin(np.radians(RADIUS_ARCSEC / 3600) / 2)

    def query() -> int:
        near, far = (cKDTree(v, balanced_tree=False, compact_nodes=False) for v in vectors)
        return len(near.sparse_distance_matrix(far, chord, output_type="ndarray"))

    return query


def ours(find: str, first: SkyPositions, second: SkyPositions) -> Callable[[], int]:
    """Index pairs and separations, in order."""
    return lambda: len(find_pairs(first, second, Reach(RADIUS_ARCSEC), find))


def astropy_all(first: SkyPositions, second: SkyPositions) -> Callable[[], int]:
    """All pairs by astropy, which keeps trees on the coordinates: they are made within the match."""
    one, two = (SkyCoord(p.ra_deg * u.deg, p.dec_deg * u.deg) for p in (first, second))
    return lambda: len(search_around_sky(one, two, RADIUS_ARCSEC * u.arcsec)[0])


def astropy_best1(first: SkyPositions, second: SkyPositions) -> Callable[[], int]:
    """The nearest by astropy, then those within the radius."""
    one, two = (SkyCoord(p.ra_deg * u.deg, p.dec_deg * u.deg) for p in (first, second))
    return lambda: int(np.sum(one.match_to_catalog_sky(two)[1] <= RADIUS_ARCSEC * u.arcsec))


def stilts(find: str, first: SkyPositions, second: SkyPositions) -> Callable[[], int]:
    """STILTS from files to a file; ``copy`` only reads and writes them."""
    folder = Path(tempfile.mkdtemp())
    names = [str(folder / name) for name in ("a.fits", "b.fits", "out.fits")]
    for positions, name in zip((first, second), names, strict=False):
        Table({"ra": positions.ra_deg, "dec": positions.dec_deg}).write(name)
    match = ["tskymatch2", f"in1={names[0]}", f"in2={names[1]}", "ra1=ra", "ra2=ra", "dec1=dec", "dec2=dec"]
    match += [f"error={RADIUS_ARCSEC}", f"find={find}", "join=1and2", f"out={names[2]}"]
    copy = ["tcat", f"in={names[0]}", f"in={names[1]}", f"out={names[2]}"]

    def run() -> int:
        subprocess.run(["stilts", *(copy if find == "copy" else match)], check=True, capture_output=True)
        count = len(Table.read(names[2]))
        shutil.rmtree(folder)
        return count

    return run


CONTESTANTS: dict[str, Callable[[SkyPositions, SkyPositions], Callable[[], int]]] = {
    "bare cKDTree": bare,
    **{f"galmorph {find}": lambda a, b, f=find: ours(f, a, b) for find in ("all", "best1", "best2", "best")},
    "astropy all": astropy_all,
    "astropy best1": astropy_best1,
    **{f"stilts {find}": lambda a, b, f=find: stilts(f, a, b) for find in ("all", "best1", "copy")},
}


def cpu_s(who: int) -> float:
    """CPU seconds of this process or its children."""
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def run_one(name: str, rows: int) -> dict[str, float]:
    """Run one contestant in this process."""
    match = CONTESTANTS[name](*skies(rows))
    who = resource.RUSAGE_CHILDREN if name.startswith("stilts") else resource.RUSAGE_SELF
    before, began = cpu_s(who), time.perf_counter()
    pairs = match()
    wall = time.perf_counter() - began
    peak = resource.getrusage(who).ru_maxrss / 1024
    return {"pairs": pairs, "cpu_s": cpu_s(who) - before, "wall_s": wall, "peak_mib": peak}


def rounds(rows: int, count: int) -> dict[str, list[dict[str, float]]]:
    """Let all contestants take turns."""
    names = [name for name in CONTESTANTS if not name.startswith("stilts") or shutil.which("stilts")]
    results: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for _ in range(count):
        for name in names:
            words = [sys.executable, __file__, "--one", name, "--rows", str(rows)]
            told = subprocess.run(words, check=True, capture_output=True, text=True).stdout
            results[name].append(json.loads(told))
            print(f"{name:16s} {told.strip()}", file=sys.stderr)
    return results


def report(results: dict[str, list[dict[str, float]]], rows: int) -> dict[str, object]:
    """Medians, and what each costs in units of the bare query."""
    medians = {
        name: {key: round(statistics.median(r[key] for r in runs), 2) for key in runs[0]}
        for name, runs in results.items()
    }
    base = medians["bare cKDTree"]["cpu_s"]
    ratios = {
        name: round(
            statistics.median(r["cpu_s"] / b["cpu_s"] for r, b in zip(runs, results["bare cKDTree"], strict=True)), 2
        )
        for name, runs in results.items()
    }
    return {
        "rows": rows,
        "radius_arcsec": RADIUS_ARCSEC,
        "rounds": len(results["bare cKDTree"]),
        "medians": medians,
        "bare_cpu_s": base,
        "cpu_times_the_bare_query": ratios,
        "versions": {name: version(name) for name in ("numpy", "scipy", "astropy")}
        | {"python": platform.python_version(), "stilts": stilts_version()},
    }


def stilts_version() -> str:
    """As it says itself."""
    if not shutil.which("stilts"):
        return "absent"
    told = subprocess.run(["stilts", "-version"], capture_output=True, text=True, check=False)
    return next((line.split()[-1] for line in (told.stdout + told.stderr).splitlines() if "STILTS version" in line), "")


def main() -> None:
    """Run all contestants, or one."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", choices=list(CONTESTANTS))
    options = parser.parse_args()
    if options.one:
        print(json.dumps(run_one(options.one, options.rows)))
        return
    result = report(rounds(options.rows, options.rounds), options.rows)
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result["cpu_times_the_bare_query"], indent=1))


if __name__ == "__main__":
    main()
