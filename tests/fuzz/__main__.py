"""Fuzz one class or all: ``python -m tests.fuzz catalogs --seed 1 --count 1000``."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from .classes import CLASSES, subject_of
from .pool import Tally, run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("classes", nargs="*", metavar="CLASS", help=f"{', '.join(CLASSES)}; all by default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--minutes", type=float, default=1e6, help="for all classes together")
    parser.add_argument("--finds", type=Path, help="folder in which inputs that fail are put")
    asked = parser.parse_args()
    names = asked.classes or list(CLASSES)
    finds = 0
    for name in names:
        start = time.monotonic()
        seconds = 60 * asked.minutes / len(names)
        tally = run(subject_of(name), asked.seed, asked.first, asked.count, seconds=seconds, folder=asked.finds)
        show(name, asked.seed, tally, time.monotonic() - start)
        finds += tally.kinds.total()
    return 1 if finds else 0


def show(name: str, seed: int, tally: Tally, seconds: float) -> None:
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in sorted(tally.outcomes.items()))
    memory = f"memory {tally.worst_mib:.0f} MiB, of sound ones {tally.mib:.0f} MiB"
    print(f"{name} --seed {seed}: {tally.inputs} inputs in {seconds:.0f} s ({outcomes}); {memory}")
    for kind, count in tally.kinds.most_common():
        example = next(find for find in tally.finds if find.kind == kind)
        last = (example.text.strip().splitlines() or [""])[-1]
        print(f"  {count} x {kind}  (--first {example.number})  {last[:300]}")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
