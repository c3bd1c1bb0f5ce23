"""Threads: a thread's cores are its own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from galmorph.nets.threads import one_less, one_thread, use_threads
from galmorph.nets.training import augment
from galmorph.stamps.warp import compose, stamp_matrix, turn


@pytest.fixture
def four_cores():
    """Let torch compute with four threads, however many cores there are."""
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def threads_at_work() -> int:
    """Compute something; return with how many threads."""
    torch.ones(64, 64) @ torch.ones(64, 64)
    return torch.get_num_threads()


@pytest.mark.usefixtures("four_cores")
def test_threads_are_set_or_left():
    use_threads(None)
    assert torch.get_num_threads() == 4
    use_threads(0)
    assert torch.get_num_threads() == 1


@pytest.mark.usefixtures("four_cores")
@pytest.mark.parametrize(("here", "there"), [(4, 3), (2, 1), (1, 1)])
def test_another_thread_leaves_a_core_and_keeps_its_number_whatever_happens_here(here, there):
    torch.set_num_threads(here)
    with ThreadPoolExecutor(1, initializer=one_less()) as other:
        assert other.submit(threads_at_work).result() == there
        with one_thread():
            assert threads_at_work() == 1
            assert other.submit(threads_at_work).result() == there
    assert threads_at_work() == here


@pytest.mark.usefixtures("four_cores")
def test_oblique_views_are_warped_on_one_core_and_give_the_others_back(monkeypatch):
    found = []
    warp = augment.batch_warp
    monkeypatch.setattr(augment, "batch_warp", lambda *given: found.append(threads_at_work()) or warp(*given))
    matrices = compose(stamp_matrix(20.0, 20.0, 10.0), turn(0.5))[None]
    assert augment.warp_views(np.ones((3, 40, 40), np.float32), matrices, 16).shape == (1, 3, 16, 16)
    assert found == [1]
    assert torch.get_num_threads() == 4
