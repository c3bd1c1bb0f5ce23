"""What the tests of whole runs share."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Compute with one thread: the networks are tiny, and equal runs should be equal to the last bit."""
    torch.set_num_threads(1)
