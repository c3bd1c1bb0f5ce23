"""Fixtures that many tests share."""

from __future__ import annotations

import os
from pathlib import Path

# Several workers share the cores, and the networks of tests are so small that a second thread only waits. Read when
# numpy and torch are first imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings

# The same examples in every run; HYPOTHESIS_PROFILE=default looks for new ones.
settings.register_profile("same", derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

# Its classes assert as tests do, and say as much when they fail.
pytest.register_assert_rewrite("conformance")

_SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real images and labels; skip where it is absent."""
    if not _SHARED.is_dir():
        pytest.skip("the folder of real survey images (../shared/data) is not here")
    return _SHARED
