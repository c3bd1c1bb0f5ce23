"""The number of BLAS threads: one while a galaxy is looked at, and the process's own at all other times."""

from __future__ import annotations

from threading import Barrier, Thread

import pytest
import small_sky
from plans import plan_of
from threadpoolctl import threadpool_info, threadpool_limits

from galmorph import open_images
from galmorph.runs.blas import one_blas_thread
from galmorph.runs.gather import gather


def threads() -> set[int]:
    """Numbers of threads of the BLAS libraries of this process."""
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


@pytest.fixture(autouse=True)
def _two_threads():
    with threadpool_limits(2, user_api="blas"):
        yield


@pytest.fixture(scope="module")
def sky(tmp_path_factory):
    return small_sky.write_sky(tmp_path_factory.mktemp("sky"))


def test_four_interleaved_runs_leave_the_threads_as_they_were(sky):
    before = threadpool_info()
    plans = [plan_of(sky.catalog, sky.image, network=False) for _ in range(4)]
    gathered = [gather(plan.run.gathering) for plan in plans]
    for galaxies in (*gathered, *reversed(gathered)):
        next(galaxies)
        assert threads() == {2}
    gathered[1].close()
    assert [len(list(galaxies)) for galaxies in gathered] == [5, 0, 5, 5]
    assert threadpool_info() == before
    for plan in plans:
        plan.close()


def test_a_galaxy_is_looked_at_with_one_thread(sky):
    source = open_images(sky.image)
    seen = []

    class Watching:
        """Images that note the number of threads when they are read."""

        def __getattr__(self, name):
            return getattr(source, name)

        def cutout(self, *place):
            seen.append(threads())
            return source.cutout(*place)

    for detect, least in (("blocks", 1), ("cutouts", 5)):
        seen.clear()
        list(gather(plan_of(sky.catalog, Watching(), network=False, detect=detect).run.gathering))
        assert len(seen) >= least
        assert all(each == {1} for each in seen)
    source.close()


def test_work_within_work_and_beside_it_lifts_the_limit_once():
    begun, done = Barrier(2), Barrier(2)

    def beside() -> None:
        with one_blas_thread:
            begun.wait()
            done.wait()

    other = Thread(target=beside)
    with one_blas_thread:
        with one_blas_thread:
            other.start()
            begun.wait()
        assert threads() == {1}
    assert threads() == {2}
    with one_blas_thread:
        done.wait()
        other.join()
        assert threads() == {1}
    assert threads() == {2}


def test_an_error_lifts_the_limit():
    @one_blas_thread
    def failing() -> None:
        assert not threads()

    with pytest.raises(AssertionError):
        failing()
    assert threads() == {2}
