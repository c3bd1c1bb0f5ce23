"""Benchmark: from a hundred rows to a million, where the processor's time goes, beside the plain way; recorded only.

Usage: ``python tests/benchmarks/bench_scale.py [SECTION ...] [--rows N] [--folder F]``. Sections, by default all:
``rows`` (processor ms a row of measuring, cutting and the network at 40, 100 and 300 rows per million pixels, galmorph
and the plain ways), ``workers`` (1 and 2 processes, the same bytes), ``memory`` (the main process at 1e5 and
1e6 rows, by format),
``calls`` (of functions of ours in Python, a row), ``rice`` (a RICE-compressed mosaic), ``start`` (10 rows, warm
caches), ``stamps`` (JPEG stamps, where the data are), ``precision`` (bfloat16 beside single precision),
``feed`` (stamps that workers hand to one process, whose network takes no time), ``whole`` (20 480 pixels, 35 000 rows,
killed once) and ``model`` (what the others say about a billion rows). Fields are made of simulated patches,
see large_field.py; processor times are those of processes and their children; ratios are of runs one after the other.
Writes docs/benchmarks/scale.json.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import Cutout2D
from astropy.table import Table
from astropy.wcs import WCS
from large_field import PATCH_PX, LargeField, write_field
from other_codes import PhotutilsGrowth, Statmorph
from scipy import ndimage

import galmorph
from galmorph.nets.checkpoint.file import load_checkpoint
from galmorph.nets.precision import computes_bfloat16
from galmorph.progress import silent
from galmorph.runs.engines import pool
from galmorph.runs.parts import Part, classify_part, measure_part, parts_of
from galmorph.runs.plan import Plan
from galmorph.runs.predictor import Answerer
from galmorph.runs.run_settings import PRECISIONS
from galmorph.sky.catalog import Provenance, catalog_from, write_catalog
from galmorph.sky.catalog_input import CatalogInput
from galmorph.sky.images import ImageInput
from galmorph.stamps.views import read_views

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "docs" / "benchmarks" / "scale.json"
PICTURES = ROOT.parent / "shared" / "data" / "sdss_gz2" / "images.zip"
CEERS = PICTURES.parents[1] / "ceers_f200w" / "images.zip"
DENSITIES = (40, 100, 300)
FORMATS = ("fits", "parquet", "hats")
"""Of large catalogues, which are read and written in pieces."""
CHECKPOINT = "candels-h"
WHOLE_SIDE = 20
"""Patches along each side of the whole field."""
COMMAND = ["--survey", "candels", "--band", "H", "--overwrite"]


@dataclass(frozen=True)
class Cost:
    """What a process took: seconds of the wall and of processors (with its children), and MB at the most.

    Of the seconds of processors `network_s` are those in networks.
    """

    wall_s: float
    cpu_s: float
    network_s: float
    peak_mb: float
    peak_mb_of_a_child: float


# Within the run itself: what a network takes alone is less than what it takes beside measuring, and more than it takes
# on a machine that has become faster since; the rest of a run is not the difference of two times of day.
WATCHED = """
import sys, time
from galmorph.nets.checkpoint.file import Checkpoint
bare, took = Checkpoint.answer, []
def answer(*arguments, **named):
    began = time.thread_time()
    try:
        return bare(*arguments, **named)
    finally:
        took.append(time.thread_time() - began)
Checkpoint.answer = answer
from galmorph.cli import main
status = main(sys.argv[1:])
print("seconds in networks:", sum(took), flush=True)
sys.exit(status)
"""


def cost_of(*words: str, watched: bool = False) -> Cost:
    """Run ``galmorph`` with some words in a process of its own; `watched` times networks in that process."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # users keep bytecode
    started = time.perf_counter()
    command = ["-c", WATCHED] if watched else ["-m", "galmorph"]
    process = subprocess.Popen(
        [sys.executable, *command, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )
    assert process.stdout is not None
    assert process.stderr is not None
    peaks: dict[int, float] = {}
    ended = threading.Event()
    watcher = threading.Thread(target=watch, args=(process.pid, peaks, ended))
    watcher.start()
    said, printed = process.stderr.read(), process.stdout.read()
    process.stderr.close()
    process.stdout.close()
    _, status, used = os.wait4(process.pid, 0)
    ended.set()
    watcher.join()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"galmorph {' '.join(words)}: {said.decode()}")
    own, most = peaks.pop(process.pid, 0.0), max(peaks.values(), default=0.0)
    network = float(printed.partition(b"seconds in networks:")[2].split()[0]) if watched else float("nan")
    return Cost(time.perf_counter() - started, used.ru_utime + used.ru_stime, network, own, most)


def watch(pid: int, peaks: dict[int, float], ended: threading.Event) -> None:
    """Note the peaks of a process and of its children in MB until it ends.

    Not ru_maxrss, which begins with what the process had that started this one.
    """
    while not ended.wait(0.2):
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        except OSError:
            continue
        for each in (pid, *map(int, children)):
            with suppress(OSError, TypeError):  # it has ended, or is ending
                status = Path(f"/proc/{each}/status").read_text(encoding="utf-8")
                peaks[each] = int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024


def per_row(field: LargeField, catalog: Path, rows: int, command: str, *others: str) -> dict[str, float]:
    """Processor ms a row, without what ten rows take: the start of a process and the end of its output."""
    output = str(field.image.with_name("out.fits"))
    words = [command, "--image", str(field.image), "--weight", str(field.weight), *COMMAND, "-o", output, *others]
    few = field.image.with_name("few.fits")
    Table.read(catalog)[:10].write(few, overwrite=True)
    is_watched = command == "classify"
    start = cost_of(words[0], str(few), *words[1:], "--engine", "local", watched=is_watched)
    whole = cost_of(words[0], str(catalog), *words[1:], "--engine", "local", watched=is_watched)
    line = {
        "cpu_ms_per_row": round(1e3 * (whole.cpu_s - start.cpu_s) / (rows - 10), 3),
        "rows_per_s": round((rows - 10) / max(whole.wall_s - start.wall_s, 1e-3), 1),
        "start_cpu_s": round(start.cpu_s, 2),
    }
    if is_watched:
        network = 1e3 * (whole.network_s - start.network_s) / (rows - 10)
        outside = line["cpu_ms_per_row"] - network
        line |= {"network_cpu_ms": round(network, 3), "outside_network_cpu_ms": round(outside, 3)}
    return line


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return processor seconds of this process, and what came of the work."""
    started = time.process_time()
    result = work()
    return time.process_time() - started, result


def plain_rows(field: LargeField, catalog: Path, rows: int) -> dict[str, float]:
    """Processor ms a row of the plain ways: astropy's Cutout2D of each row; statmorph, photutils; scipy's zoom."""
    table = Table.read(catalog)[:rows]
    taken: dict[str, float] = dict.fromkeys(("cutout", "statmorph", "photutils", "zoom"), 0.0)
    with fits.open(field.image, memmap=True) as hdus, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wcs = WCS(hdus[0].header)
        for ra, dec in zip(table["ra"], table["dec"], strict=True):
            place = SkyCoord(ra * u.deg, dec * u.deg)
            seconds, cutout = timed(
                lambda place=place: Cutout2D(hdus[0].data, place, 129, wcs, mode="partial", copy=True)
            )
            taken["cutout"] += seconds
            x, y = cutout.input_position_cutout
            sight = SimpleNamespace(pixels=cutout.data.astype(np.float32), x=float(x), y=float(y))
            for name, code in (("statmorph", Statmorph()), ("photutils", PhotutilsGrowth())):
                seconds, _ = timed(lambda code=code, sight=sight: code._measured(sight))
                taken[name] += seconds
            seconds, _ = timed(lambda sight=sight: [ndimage.zoom(np.nan_to_num(sight.pixels), 64 / 129)] * 4)
            taken["zoom"] += seconds
    milliseconds = {name: 1e3 * seconds / rows for name, seconds in taken.items()}
    return {name: round(value, 3) for name, value in milliseconds.items()}


def network_ms(name: str = CHECKPOINT) -> float:
    """Processor ms a galaxy of a checkpoint's bare networks by their default views, on one thread."""
    torch.set_num_threads(1)
    checkpoint = load_checkpoint(name)
    matrices, shares = checkpoint.distinct_views(read_views(checkpoint.recipe.views))
    count = Answerer(checkpoint, "cpu", shares).batch
    side = checkpoint.recipe.size
    stamps = np.random.default_rng(0).normal(0.3, 0.5, (count, len(matrices), checkpoint.recipe.planes, side, side))
    stamps = stamps.astype(np.float32)
    times = []
    for _ in range(12):
        seconds, _ = timed(lambda: checkpoint.answer(stamps, shares))
        times.append(seconds / count)
    return round(1e3 * float(np.median(times[2:])), 3)


def beside_network_ms(catalog: Path, name: str) -> float:
    """Processor ms a stamp of all that a run does beside its network: read, measured, cut; the median of parts."""
    images, times = ImageInput(str(PICTURES), survey="sdss", band="RGB"), []
    with closing(Plan(CatalogInput(str(catalog)), images, name)) as plan:
        measure_part(plan, parts_of(plan, 10)[0].rows)  # compiles, or loads what was compiled
        for part in parts_of(plan, 100):
            seconds, _ = timed(lambda part=part: measure_part(plan, part.rows))
            times.append(1e3 * seconds / len(part))
    return round(float(np.median(times)), 2)


def rows_section(field: LargeField, rows: int) -> dict[str, Any]:
    """Cost of a row by its stages, at several densities, beside the plain ways."""
    network = network_ms()
    lines = []
    for density in DENSITIES:
        catalog, count = thinned(field, density, rows)
        measure = per_row(field, catalog, count, "measure")
        classify = per_row(field, catalog, count, "classify", "--checkpoint", CHECKPOINT)
        lines.append({"rows_per_mpx": density, "rows": count, "measure": measure, "classify": classify})
    network = min(network, network_ms())  # before and after: other work of the machine makes it slower, never faster
    plain = plain_rows(field, thinned(field, DENSITIES[-1], rows)[0], min(rows, 200))
    best = lines[-1]["measure"]["cpu_ms_per_row"]
    ratios = {name: round((plain["cutout"] + plain[name]) / best, 1) for name in ("statmorph", "photutils")}
    whole = plain["cutout"] + plain["statmorph"] + plain["zoom"] + network
    ratios["classify, with statmorph"] = round(whole / lines[-1]["classify"]["cpu_ms_per_row"], 1)
    return {"galmorph": lines, "bare_network_cpu_ms": network, "plain_cpu_ms": plain, "times_the_plain_way": ratios}


def thinned(field: LargeField, density: float, rows: int) -> tuple[Path, int]:
    """Write the rows of a piece of a field, so many per million pixels, at most `rows`."""
    table = Table.read(field.catalog)
    with fits.open(field.image) as hdus:
        wcs, area = WCS(hdus[0].header), hdus[0].header["NAXIS1"] * hdus[0].header["NAXIS2"] / 1e6
    share = min(density / (field.rows / area), 1.0)
    x, y = wcs.wcs_world2pix(table["ra"], table["dec"], 0)
    side = 1e3 * np.sqrt(rows / (share * field.rows / area))
    inside = np.flatnonzero((x < side) & (y < side))
    chosen = np.random.default_rng(density).permutation(inside)[: round(share * len(inside))]
    path = field.catalog.with_name(f"rows-{density}.fits")
    table[np.sort(chosen)].write(path, overwrite=True)
    return path, len(chosen)


def workers_section(field: LargeField, rows: int) -> dict[str, Any]:
    """Wall of one and two workers on the same rows, beside what the machine gives two runs that share nothing.

    Two processes of one machine share its memory and caches, and often more; two runs of one worker each at the same
    time tell how much of two cores there is to have.
    """
    catalog, count = thinned(field, DENSITIES[-1], rows)
    output = field.image.with_name("out.fits")
    lines, digests = {}, []
    for workers in ("1", "2", "1", "2"):
        words = ["classify", str(catalog), "--image", str(field.image), "--weight", str(field.weight), *COMMAND]
        cost = cost_of(*words, "-o", str(output), "--engine", "pool", "--workers", workers)
        lines.setdefault(workers, []).append(cost.wall_s)
        digests.append(digest_of(output))
    best = {workers: min(times) for workers, times in lines.items()}
    words = [*words, "--engine", "pool", "--workers", "1"]
    with ThreadPoolExecutor(2) as pool_of_runs:
        outputs = [str(output.with_name(f"out-{i}.fits")) for i in range(2)]
        both = max(cost.wall_s for cost in pool_of_runs.map(lambda name: cost_of(*words, "-o", name), outputs))
    speedup, ceiling = best["1"] / best["2"], 2 * best["1"] / both
    return {
        "rows": count,
        "wall_s": {workers: round(value, 2) for workers, value in best.items()},
        "wall_s_of_two_runs_at_once": round(both, 2),
        "speedup": round(speedup, 2),
        "speedup_of_two_runs_that_share_nothing": round(ceiling, 2),
        "share_of_that": round(speedup / ceiling, 2),
        "same_bytes": len(set(digests)) == 1,
    }


def memory_section(field: LargeField, _rows: int) -> dict[str, Any]:
    """Peak of the main process: what workers measure is theirs, so that most rows may lie beside the tile.

    Outputs have the format of the catalogue. A share is one of sixteen, with which nothing is written but its parts.
    """
    some = Table.read(field.catalog)[:1000]
    peaks: dict[str, dict[str, int]] = {form: {} for form in (*FORMATS, "share of hats")}
    for count in (100_000, 1_000_000):
        rng = np.random.default_rng(1)
        table = Table({"id": np.arange(count), "ra": rng.uniform(1, 2, count), "dec": rng.uniform(1, 2, count)})
        table["ra"][: len(some)], table["dec"][: len(some)] = some["ra"], some["dec"]
        for n in range(17):
            table[f"c{n}"] = rng.normal(size=count).astype("f4")
        for form in FORMATS:
            path, output = (field.catalog.with_name(f"{name}.{form}") for name in ("long", "out"))
            write_catalog(catalog_from(table), (), path, provenance=Provenance(), overwrite=True)
            words = ["measure", str(path), "--image", str(field.image), "--weight", str(field.weight), *COMMAND]
            words += ["-o", str(output), "--engine", "pool", "--workers", "2"]
            peaks[form][str(count)] = round(cost_of(*words).peak_mb)
        peaks["share of hats"][str(count)] = round(cost_of(*words, "--shard", "1/16").peak_mb)
        shutil.rmtree(output.with_name(f"{output.name}.parts"))
    return {"columns": 20, "peak_mb_of_the_main_process": peaks}


def calls_section(field: LargeField, rows: int) -> dict[str, Any]:
    """Calls of our functions in Python, a row, once all templates are there; what is compiled counts once."""
    lines = {}
    for density in DENSITIES:
        catalog, count = thinned(field, density, min(rows, 3000))
        images = ImageInput(str(field.image), weight=str(field.weight), survey="candels", band="H")
        with closing(Plan(CatalogInput(str(catalog)), images, network=False)) as plan:
            parts = parts_of(plan)
            counts = [calls_of(plan, parts) for _ in range(2)]
        lines[str(density)] = {"rows": count, "calls_per_row": round(counts[-1] / count, 1)}
    return {"measure": lines}


def calls_of(plan: Plan, parts: list[Part]) -> int:
    """Count the calls of functions of the package in Python, while parts are carried out anew."""
    root, count = str(Path(galmorph.__file__).parent), 0

    def note(frame: FrameType, event: str, _: object) -> None:
        nonlocal count
        count += event == "call" and frame.f_code.co_filename.startswith(root)

    sys.setprofile(note)
    try:
        for part in parts:
            classify_part(plan, part.rows)
    finally:
        sys.setprofile(None)
    return count


def rice_section(field: LargeField, rows: int) -> dict[str, Any]:
    """Processor time a row on the mosaic and on a RICE-compressed copy of it."""
    catalog, count = thinned(field, DENSITIES[-1], rows)
    packed = field.image.with_name("rice.fits")
    with fits.open(field.image) as hdus:
        squeezed = fits.CompImageHDU(hdus[0].data, hdus[0].header, compression_type="RICE_1", quantize_level=16)
        squeezed.writeto(packed, overwrite=True)
    other = LargeField(packed, field.weight, field.catalog, field.rows)
    costs = [per_row(each, catalog, count, "measure")["cpu_ms_per_row"] for each in (field, other)]
    return {"rows": count, "plain_cpu_ms": costs[0], "rice_cpu_ms": costs[1], "ratio": round(costs[1] / costs[0], 2)}


def start_section(field: LargeField, _rows: int) -> dict[str, Any]:
    """Processor seconds of ``classify`` on ten rows, with warm caches."""
    few = field.image.with_name("few.fits")
    Table.read(field.catalog)[:10].write(few, overwrite=True)
    words = ["classify", str(few), "--image", str(field.image), "--weight", str(field.weight), *COMMAND]
    costs = [cost_of(*words, "-o", str(field.image.with_name("out.fits"))) for _ in range(4)][1:]
    return {"cpu_s": round(float(np.median([cost.cpu_s for cost in costs])), 2)}


def stamps_section(_field: LargeField, rows: int) -> dict[str, Any]:
    """Processor time of JPEG stamps beside that of the bare network, for colour checkpoints."""
    if not PICTURES.exists():
        return {"skipped": f"{PICTURES} is not here"}
    table = Table.read(PICTURES.with_name("labels.csv"))[: min(rows, 6620)]
    lines: dict[str, Any] = {"rows": len(table)}
    with tempfile.TemporaryDirectory() as scratch:
        few, some = (Path(scratch) / name for name in ("few.csv", "some.csv"))
        table[:10].write(few)
        table.write(some)
        for checkpoint in ("sdss-rgb", "sdss-gz2"):
            words = ["--image", str(PICTURES), "--survey", "sdss", "--band", "RGB", "--checkpoint", checkpoint]
            words += ["-o", str(Path(scratch) / "out.fits"), "--overwrite", "--engine", "local"]
            start, whole = (cost_of("classify", str(path), *words, watched=True) for path in (few, some))
            each, bare = 1e3 * (whole.cpu_s - start.cpu_s) / (len(table) - 10), network_ms(checkpoint)
            network = 1e3 * (whole.network_s - start.network_s) / (len(table) - 10)
            lines[checkpoint] = {
                "cpu_ms_per_row": round(each, 2),
                "network_cpu_ms": round(network, 2),
                "outside_network_cpu_ms": round(each - network, 2),
                "bare_network_cpu_ms": bare,
                "measured_and_cut_cpu_ms": beside_network_ms(some, checkpoint),
                "times_the_bare_network": round(each / bare, 2),
                "wall_s": round(whole.wall_s, 1),
            }
    return lines


def precision_section(field: LargeField, rows: int) -> dict[str, Any]:
    """What bfloat16 saves of the networks' time, and what it changes, where the processor has it."""
    if not computes_bfloat16("cpu"):
        return {"skipped": "this processor has no instructions for bfloat16"}
    catalog, _ = thinned(field, DENSITIES[-1], rows)
    mosaic = ["--image", str(field.image), "--weight", str(field.weight), *COMMAND]
    sdss = ["--image", str(PICTURES), "--survey", "sdss", "--band", "RGB"]
    ceers = ["--image", str(CEERS), "--survey", "nircam", "--band", "F200W"]
    inputs = {"candels-h": (catalog, mosaic), "nircam-f200w": (CEERS.with_name("votes.csv"), ceers)}
    inputs |= {name: (PICTURES.with_name("labels.csv"), sdss) for name in ("sdss-rgb", "sdss-gz1", "sdss-gz2")}
    lines: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for checkpoint, (table, given) in inputs.items():
            if not table.exists():
                continue
            some, out = (Path(scratch) / name for name in ("some.fits", "out.fits"))
            rows_of_all = Table.read(table)
            rows_of_all[:: max(len(rows_of_all) // 600, 1)].write(some, overwrite=True)
            words = [str(some), *given, "--checkpoint", checkpoint, "-o", str(out), "--overwrite", "--engine", "local"]
            network_s, results = [], []
            for precision in PRECISIONS:
                network_s.append(cost_of("classify", *words, "--precision", precision, watched=True).network_s)
                results.append(Table.read(out))
            lines[checkpoint] = changed_by(*results) | {
                "network_ms": [round(1e3 * s / len(results[0]), 2) for s in network_s],
                "times_as_fast": round(network_s[0] / network_s[1], 2),
            }
    return lines


def changed_by(before: Table, after: Table) -> dict[str, Any]:
    """How much probabilities differ at most, and how many rows have another class, set or flags."""
    answers = [name for name in before.colnames if name.startswith("gm_p_")]
    differences = np.array([np.abs(before[name] - after[name]) for name in answers])
    others = {name: int((before[name] != after[name]).sum()) for name in ("gm_class", "gm_set", "gm_flags")}
    return {"rows": len(before), "largest_difference": round(float(np.nanmax(differences)), 5), "other": others}


def feed_section(field: LargeField, rows: int) -> dict[str, Any]:
    """Rows a second that two workers measure, cut and hand over, to a process whose network takes no time."""
    catalog, count = thinned(field, DENSITIES[-1], rows)
    images = ImageInput(str(field.image), weight=str(field.weight), survey="candels", band="H")
    copying: list[float] = []

    def stub(_plan: Plan, _results: Any, shown: Any) -> None:
        seconds, _ = timed(lambda: None if shown is None else np.array(shown.pixels))  # as into the memory of a GPU
        copying.append(seconds)

    pool.answer_part = stub
    with closing(Plan(CatalogInput(str(catalog)), images, CHECKPOINT)) as plan:
        done, started, own = 0, 0.0, 0.0
        for number, (part, _) in enumerate(pool.Pool(2, feeds=True).carry_out(plan, parts_of(plan), silent)):
            if number == 1:  # both workers have begun
                started, own, done = time.perf_counter(), time.process_time(), 0
            done += len(part) if number > 1 else 0
        wall, own = time.perf_counter() - started, time.process_time() - own
    return {
        "rows": count,
        "workers": 2,
        "rows_per_s": round(done / wall, 1),
        "cpu_ms_per_row_of_the_feeding_process": round(1e3 * own / max(done, 1), 3),
        "of_which_copying": round(1e3 * sum(copying) / count, 3),
    }


def whole_section(field: LargeField, rows: int) -> dict[str, Any]:
    """A field of 20 480 pixels with 35 000 rows: killed in the middle and gone on with, beside one that was not."""
    folder = field.image.parent
    large = write_field(folder, "whole", WHOLE_SIDE, DENSITIES[-1], pool=folder)
    catalog = large.catalog.with_name("whole-rows.fits")
    table = Table.read(large.catalog)
    count = min(35_000, rows * WHOLE_SIDE**2 // 64, len(table))
    table[np.sort(np.random.default_rng(5).permutation(len(table))[:count])].write(catalog, overwrite=True)
    output = folder / "whole-out.fits"
    words = ["classify", str(catalog), "--image", str(large.image), "--weight", str(large.weight), *COMMAND]
    words += ["-o", str(output), "--workers", str(os.cpu_count())]
    cost = cost_of(*words)
    digest = digest_of(output)
    output.unlink()
    parts = output.with_name("whole-out.fits.parts")
    half = count // 512 // 2
    with subprocess.Popen([sys.executable, "-m", "galmorph", *words], stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and len(list(parts.glob("0*.npz"))) < half:
            time.sleep(0.1)
        process.kill()
    again = cost_of(*words)
    return {
        "rows": count,
        "mpx": round((WHOLE_SIDE * PATCH_PX) ** 2 / 1e6, 1),
        "workers": os.cpu_count(),
        "cpu_s": round(cost.cpu_s, 1),
        "wall_s": round(cost.wall_s, 1),
        "rows_per_s": round(count / cost.wall_s, 1),
        "peak_mb_of_the_main_process": round(cost.peak_mb),
        "peak_mb_of_a_worker": round(cost.peak_mb_of_a_child),
        "killed_at_parts": half,
        "wall_s_of_the_rest": round(again.wall_s, 1),
        "same_bytes": digest_of(output) == digest,
    }


def digest_of(path: Path) -> str:
    """Hash of all values of a table."""
    table = Table.read(path)
    return hashlib.sha256(b"".join(np.asarray(table[n]).tobytes() for n in table.colnames)).hexdigest()


def model_section(_field: LargeField, _rows: int) -> dict[str, Any]:
    """Fit what a row and a million pixels cost, predict the largest run, and a billion rows."""
    figures = json.loads(RESULT.read_text(encoding="utf-8"))
    lines, whole = figures["rows"]["galmorph"], figures["whole"]
    classified = [line["classify"] for line in lines]
    network = float(np.mean([line["network_cpu_ms"] for line in classified]))
    # ms a row outside the network = row + block / density: what is read and detected is shared by the rows on it.
    shared = np.array([[1.0, 1.0 / line["rows_per_mpx"]] for line in lines])
    (row, mpx), *_ = np.linalg.lstsq(
        shared, np.array([line["outside_network_cpu_ms"] for line in classified]), rcond=None
    )
    predicted = (whole["rows"] * (row + network) + whole["mpx"] * mpx) / 1e3
    predicted += figures["start"]["cpu_s"] * (whole["workers"] + 1)
    density = 100.0
    a_billion = 1e9 * (row + network + mpx / density) / 1e3 / 3600
    return {
        "cpu_ms_per_row": round(float(row), 3),
        "cpu_ms_per_mpx": round(float(mpx), 1),
        "network_cpu_ms_per_row": round(network, 3),
        "largest_run_cpu_s": {"predicted": round(float(predicted), 1), "measured": whole["cpu_s"]},
        "a_billion_rows_at_100_per_mpx": {
            "core_hours": round(float(a_billion)),
            "hours_on_64_nodes_of_64_cores": round(float(a_billion) / 64**2, 2),
        },
    }


SECTIONS: dict[str, Callable[[LargeField, int], dict[str, Any]]] = {
    "rows": rows_section,
    "workers": workers_section,
    "memory": memory_section,
    "calls": calls_section,
    "rice": rice_section,
    "start": start_section,
    "stamps": stamps_section,
    "precision": precision_section,
    "feed": feed_section,
    "whole": whole_section,
    "model": model_section,
}


def main() -> int:
    """Run sections, and put their figures beside those of the others."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--side", type=int, default=8, help="of the field, in patches of 1024 pixels")
    parser.add_argument("--folder", type=Path, help="where fields are kept; by default they go away")
    options = parser.parse_args()
    figures = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.exists() else {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        field = write_field(folder, f"field-{options.side}", options.side, DENSITIES[-1], pool=folder)
        start_section(field, 0)  # compiles, and keeps what it compiled
        for name in options.sections or SECTIONS:
            figures[name] = SECTIONS[name](field, min(options.rows, field.rows))
            print(json.dumps({name: figures[name]}, indent=1), flush=True)
            figures["machine"] = {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()}
            RESULT.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{used.ru_utime + used.ru_stime:.0f} s of processors", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
