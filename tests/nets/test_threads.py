"""Threads: a thread's cores are its own, and whatever ends leaves all numbers as they were."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tiny
import torch
from threadpoolctl import threadpool_info

from galmorph.nets.threads import limited, one_less
from galmorph.stamps.affine import compose, stamp_matrix, turn
from galmorph.stamps.warp import warp_views


def threads_at_work() -> int:
    """Compute something; return with how many threads."""
    torch.ones(64, 64) @ torch.ones(64, 64)
    return torch.get_num_threads()


def numbers() -> tuple[int, int, list]:
    """Return the numbers of this thread, of threads to come, and of all libraries."""
    with ThreadPoolExecutor(1) as other:
        return threads_at_work(), other.submit(threads_at_work).result(), threadpool_info()


@pytest.fixture
def _all_as_before():
    """Let torch compute with four threads, however many cores there are; whatever a test does leaves no trace."""
    own = torch.get_num_threads()
    torch.set_num_threads(4)
    before = numbers()
    assert before[:2] == (4, 4)
    yield
    after = numbers()
    torch.set_num_threads(own)
    assert after == before


@pytest.mark.usefixtures("_all_as_before")
def test_threads_are_limited_inside_or_left():
    with limited(None):
        assert threads_at_work() == 4
    with limited(0):
        assert threads_at_work() == 1
        with limited(3):
            assert threads_at_work() == 3
        assert threads_at_work() == 1
    with pytest.raises(ValueError, match="inside"), limited(2):
        raise ValueError("inside")


@pytest.mark.usefixtures("_all_as_before")
def test_a_thread_that_begins_meanwhile_has_the_number_of_the_process():
    with limited(1):
        assert numbers()[:2] == (1, 4)


@pytest.mark.usefixtures("_all_as_before")
@pytest.mark.parametrize(("here", "there"), [(4, 3), (2, 1), (1, 1)])
def test_another_thread_leaves_a_core_and_keeps_its_number_whatever_happens_here(here, there):
    with limited(here):
        with ThreadPoolExecutor(1, initializer=one_less()) as other:
            assert other.submit(threads_at_work).result() == there
            with limited(1):
                assert threads_at_work() == 1
                assert other.submit(threads_at_work).result() == there
        assert threads_at_work() == here


@pytest.mark.usefixtures("_all_as_before")
def test_one_run_after_another_in_threads_of_a_service_does_not_lose_core_after_core():
    """Each request is served by a thread of its own, which starts one for its network."""

    def serve() -> int:
        with ThreadPoolExecutor(1, initializer=one_less()) as network:
            return network.submit(threads_at_work).result()

    for _ in range(3):
        with ThreadPoolExecutor(1) as request:
            assert request.submit(serve).result() == 3


@pytest.mark.usefixtures("_all_as_before")
def test_threads_that_limit_themselves_in_turn_do_not_see_each_other():
    """The first to begin is the first to end."""
    turns = threading.Barrier(2, timeout=20)

    def first() -> list[int]:
        with limited(2):
            turns.wait()
            during = threads_at_work()
        turns.wait()
        return [during, threads_at_work()]

    with ThreadPoolExecutor(1) as other:
        job = other.submit(first)
        with limited(1):
            turns.wait()
            turns.wait()
            assert threads_at_work() == 1
        assert job.result() == [2, 4]


@pytest.mark.usefixtures("_all_as_before")
def test_interleaved_trainings_and_predictions_leave_the_threads_as_they_were():
    trainings = [tiny.trainer(epochs=2).epochs() for _ in range(2)]
    matrices = compose(stamp_matrix(20.0, 20.0, 10.0), turn(0.5))[None]
    checkpoint = tiny.checkpoint()
    with ThreadPoolExecutor(1, initializer=one_less()) as network:
        for training in (*trainings, *reversed(trainings)):
            next(training)
            answer = network.submit(checkpoint.predict, tiny.stamps(3))
            warp_views(np.ones((3, 40, 40), np.float32), matrices, 16)
            assert answer.result().shape == (3, 5)
            assert threads_at_work() == 4
