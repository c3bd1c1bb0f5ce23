"""What becomes of the memory of arrays that went."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

# Pages that the system gives while three arrays of 24 MB come and go, again and again.
_PROGRAM = """
import resource, sys
import numpy as np
from galmorph import garbage
if sys.argv[1] == "keeps":
    garbage.keep_memory()
def use():
    arrays = [np.ones(3_000_000) for _ in range(3)]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    del arrays
    return before
use()
first = use()
for _ in range(4):
    last = use()
print(last - first)
"""


def _pages(how: str, **wishes: str) -> int:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_TUNABLES"))}
    command = [sys.executable, "-c", _PROGRAM, how]
    return int(subprocess.run(command, check=True, capture_output=True, text=True, env=plain | wishes).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the memory of glibc's malloc is kept alone")
def test_memory_of_arrays_that_went_is_used_again_unless_the_user_says_what_becomes_of_it():
    kept, trimmed = _pages("keeps"), _pages("keeps", MALLOC_TRIM_THRESHOLD_="1000000")
    assert kept < trimmed / 10
