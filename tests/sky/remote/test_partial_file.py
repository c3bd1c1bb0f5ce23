"""Files with holes: what is asked for, that it is right, and that it is asked for once."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loopback import Fault, Loopback, serving

from galmorph.errors import ArchiveError
from galmorph.sky.remote import (
    Cache,
    Client,
    Manners,
    PartialFile,
    PartialReader,
    many_ranges,
    partial_at,
    partial_file,
)
from galmorph.sky.remote.cache import parts_of
from galmorph.sky.remote.link import Link
from galmorph.sky.remote.partial_file import GAP_BYTES, PIECE_BYTES, _covering, _requests, _runs

SIZE = 640 * PIECE_BYTES + 123
CONTENT = np.random.default_rng(3).bytes(SIZE)
QUICK = Manners(requests_per_s=1000, timeout_s=0.5, attempts=3, longest_wait_s=0.05)


@pytest.fixture
def archive():
    with serving() as loopback:
        loopback.files["/mosaic.fits"] = CONTENT
        yield loopback


@pytest.fixture
def cache(tmp_path) -> Cache:
    return Cache(tmp_path / "cache")


def read(file: PartialFile, start: int, end: int) -> bytes:
    with PartialReader(file) as reader:
        reader.seek(start)
        buffer = bytearray(end - start)
        count = reader.readinto(memoryview(buffer))
        return bytes(buffer[:count])


def test_it_has_its_length_and_nothing_in_it(archive: Loopback, cache: Cache):
    file = PartialFile.open(f"{archive.base}/mosaic.fits", Client(QUICK), cache)
    assert file.path.stat().st_size == SIZE
    assert file.missing_bytes >= SIZE
    assert cache.entry(f"{archive.base}/mosaic.fits").bytes <= 2 * PIECE_BYTES
    assert not cache.entry(f"{archive.base}/mosaic.fits").is_whole


def test_what_is_read_is_fetched_and_fetched_once(archive: Loopback, cache: Cache):
    file = PartialFile.open(f"{archive.base}/mosaic.fits", Client(QUICK), cache)
    for _ in range(2):
        assert read(file, 1_000_000, 1_000_100) == CONTENT[1_000_000:1_000_100]
    assert [request.headers["range"] for request in archive.requests] == [
        "bytes=0-0",
        f"bytes={244 * PIECE_BYTES}-{261 * PIECE_BYTES - 1}",
    ], "and some more, since headers are read in small steps"
    assert read(file, SIZE - 5, SIZE + 100) == CONTENT[-5:]


def test_once_all_is_here_it_is_a_file_like_any_other(archive: Loopback, cache: Cache):
    url = f"{archive.base}/mosaic.fits"
    file = PartialFile.open(url, Client(QUICK), cache)
    read(file, 0, 10)
    assert partial_at(file.path) is file
    told: list[tuple[object, ...]] = []
    assert file.fetch_rest(lambda *words: told.append(words)).read_bytes() == CONTENT
    assert told[0] == ("fetching", pytest.approx(16 * PIECE_BYTES, abs=PIECE_BYTES), SIZE, "mosaic.fits")
    assert not parts_of(file.path).exists()
    assert partial_at(file.path) is None
    assert cache.entry(url).is_whole
    assert read(PartialFile.open(url, Client(QUICK, offline=True), cache), 7, 9) == CONTENT[7:9]


def test_it_goes_on_where_another_run_stopped(archive: Loopback, cache: Cache):
    url = f"{archive.base}/mosaic.fits"
    read(PartialFile.open(url, Client(QUICK), cache), 0, 30 * PIECE_BYTES)
    archive.requests.clear()
    again = PartialFile(cache.entry(url).path, Client(QUICK))
    assert read(again, 0, 40 * PIECE_BYTES) == CONTENT[: 40 * PIECE_BYTES]
    assert [request.headers["range"] for request in archive.requests] == [
        f"bytes={30 * PIECE_BYTES}-{40 * PIECE_BYTES - 1}"
    ]


def test_a_connection_that_breaks_is_made_again_from_there(archive: Loopback, cache: Cache):
    file = PartialFile.open(f"{archive.base}/mosaic.fits", Client(QUICK), cache)
    archive.faults["/mosaic.fits"] = [Fault(cut_at=10 * PIECE_BYTES + 5), Fault(cut_at=3), Fault(503)]
    assert file.fetch_rest().read_bytes() == CONTENT
    starts = [int(request.headers["range"][6:].partition("-")[0]) for request in archive.requests[1:]]
    assert starts == [0, 10 * PIECE_BYTES, 10 * PIECE_BYTES, 10 * PIECE_BYTES]


def test_another_version_of_the_file_is_never_mixed_in(archive: Loopback, cache: Cache):
    file = PartialFile.open(f"{archive.base}/mosaic.fits", Client(QUICK), cache)
    read(file, 0, 10)
    archive.files["/mosaic.fits"] = CONTENT + b"more"
    with pytest.raises(ArchiveError, match="another file than when it was begun"):
        read(file, 20 * PIECE_BYTES, 20 * PIECE_BYTES + 1)


def test_a_host_without_ranges_is_said(archive: Loopback, cache: Cache):
    archive.faults["/mosaic.fits"] = [Fault(ignores_range=True)] * 2
    with pytest.raises(ArchiveError, match="gives no parts"):
        PartialFile.open(f"{archive.base}/mosaic.fits", Client(QUICK), cache)
    assert cache.entries() == []


def test_offline_reads_what_is_here_and_says_what_is_not(archive: Loopback, cache: Cache):
    url = f"{archive.base}/mosaic.fits"
    read(PartialFile.open(url, Client(QUICK), cache), 0, 10)
    archive.requests.clear()
    file = PartialFile(cache.entry(url).path, Client(QUICK, offline=True))
    assert read(file, 3, 10) == CONTENT[3:10]
    with pytest.raises(ArchiveError, match="not in the cache"):
        read(file, 20 * PIECE_BYTES, 20 * PIECE_BYTES + 1)
    assert archive.requests == []


def test_threads_do_not_ask_for_the_same(archive: Loopback, cache: Cache):
    file = PartialFile.open(f"{archive.base}/mosaic.fits", Client(QUICK), cache)
    archive.requests.clear()
    threads = [threading.Thread(target=read, args=(file, 0, 8 * PIECE_BYTES)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(archive.requests) == 1


def test_nothing_is_fetched_because_of_what_lies_beside_a_file_elsewhere(archive: Loopback, tmp_path):
    """A folder from somewhere may hold such files; only those of the cache are believed."""
    (tmp_path / "image.fits").write_bytes(bytes(10))
    parts_of(tmp_path / "image.fits").write_text(f'{{"url": "{archive.base}/x", "size": 10, "etag": ""}}')
    assert partial_at(tmp_path / "image.fits") is None


def test_room_is_made_as_it_grows(archive: Loopback, tmp_path):
    cache = Cache(tmp_path / "cache", most_bytes=30 * PIECE_BYTES)
    archive.files["/other.fits"] = CONTENT
    other, file = (
        PartialFile.open(f"{archive.base}/{name}.fits", Client(QUICK), cache) for name in ("other", "mosaic")
    )
    read(other, 0, 20 * PIECE_BYTES)
    assert len(cache.entries()) == 2
    read(file, 0, 20 * PIECE_BYTES)
    assert [entry.path for entry in cache.entries()] == [file.path], "the one that was not read for longest is gone"


def test_one_that_is_removed_while_it_is_read_stays_with_its_reader(archive: Loopback, cache: Cache):
    """It is neither read as if it were whole, nor mixed up with one that is begun anew."""
    url = f"{archive.base}/mosaic.fits"
    file = PartialFile.open(url, Client(QUICK), cache)
    with PartialReader(file) as reader:
        cache.remove(cache.entry(url))
        again = PartialFile.open(url, Client(QUICK), cache)
        assert again is not file
        read(again, 30 * PIECE_BYTES, 31 * PIECE_BYTES)
        for start in (0, 30 * PIECE_BYTES):
            reader.seek(start)
            buffer = bytearray(100)
            reader.readinto(memoryview(buffer))
            assert buffer == CONTENT[start : start + 100]
    file.fetch_rest()
    assert not cache.entry(url).is_whole
    assert read(again, 0, 100) == CONTENT[:100]


@pytest.mark.parametrize("end", [3 * PIECE_BYTES, SIZE])
def test_what_lies_in_another_cache_is_not_asked_for_again(archive: Loopback, cache: Cache, tmp_path, end):
    url = f"{archive.base}/mosaic.fits"
    read(PartialFile.open(url, Client(QUICK), cache), 0, end)
    archive.requests.clear()
    copied = PartialFile.open(url, Client(QUICK), Cache(tmp_path / "folder", behind=cache))
    assert copied.path.is_relative_to(tmp_path / "folder")
    assert read(copied, 0, end) == CONTENT[:end]
    assert archive.requests == []
    assert read(copied, 0, SIZE) == CONTENT
    assert len(archive.requests) == (end < SIZE)


def test_the_last_who_opens_it_says_whether_to_ask(archive: Loopback, cache: Cache):
    url = f"{archive.base}/mosaic.fits"
    read(PartialFile.open(url, Client(QUICK), cache), 0, 10)
    offline = PartialFile.open(url, Client(QUICK, offline=True), cache)
    with pytest.raises(ArchiveError, match="not in the cache"):
        read(offline, 20 * PIECE_BYTES, 20 * PIECE_BYTES + 1)
    PartialFile.open(url, Client(QUICK), cache)
    assert read(partial_at(offline.path), 20 * PIECE_BYTES, 20 * PIECE_BYTES + 1)


def test_it_can_be_read_where_nothing_can_be_written(archive: Loopback, cache: Cache):
    url = f"{archive.base}/mosaic.fits"
    path = PartialFile.open(url, Client(QUICK), cache).path
    read(partial_at(path), 0, 10)
    for each in (path, parts_of(path), path.parent):
        each.chmod(0o555)
    try:
        file = PartialFile(path, Client(QUICK, offline=True))
        assert read(file, 0, 10) == CONTENT[:10]
    finally:
        path.parent.chmod(0o755)


ROWS = [(n * 20 * PIECE_BYTES + 100, n * 20 * PIECE_BYTES + 3000) for n in range(30)]
"""A window: a short part of each of some rows."""
FAR = Manners(requests_per_s=1000, timeout_s=0.5, attempts=3, longest_wait_s=0.05, connections=1)


def check(file: PartialFile, ranges=ROWS) -> None:
    content = file.path.read_bytes()
    for start, end in ranges:
        assert content[start:end] == CONTENT[start:end]


@pytest.fixture
def quick_line(monkeypatch):
    """Let requests cost nothing, so that fewer bytes are quicker however many requests they take."""
    monkeypatch.setattr(partial_file, "Link", lambda: Link(0.0, 1e6))


@pytest.mark.usefixtures("quick_line")
def test_parts_of_many_rows_come_in_one_answer(archive: Loopback, cache: Cache):
    file = PartialFile.open(f"{archive.base}/mosaic.fits", Client(QUICK), cache)
    assert file.cost_of(ROWS) == (30 * PIECE_BYTES, 1)
    file.need_all(ROWS)
    assert len(archive.requests) == 2
    assert archive.requests[1].headers["range"].count(",") == 29
    assert SIZE - file.missing_bytes < 31 * PIECE_BYTES
    check(file)
    assert file.cost_of(ROWS) == (0, 0)
    file.need_all(ROWS)
    assert len(archive.requests) == 2
    assert file.fetch_rest().read_bytes() == CONTENT


@pytest.mark.usefixtures("quick_line")
def test_more_rows_than_a_host_answers_take_several_requests(archive: Loopback, cache: Cache, monkeypatch):
    monkeypatch.setattr(many_ranges, "RANGES_AT_ONCE", 7)
    file = PartialFile.open(f"{archive.base}/mosaic.fits", Client(QUICK), cache)
    file.need_all(ROWS)
    assert sorted(request.headers["range"].count(",") + 1 for request in archive.requests[1:]) == [2, 7, 7, 7, 7]
    check(file)


@pytest.mark.usefixtures("quick_line")
def test_a_host_without_such_answers_is_asked_for_what_is_between_as_well(archive: Loopback, cache: Cache):
    archive.has_many_ranges = False
    file = PartialFile.open(f"{archive.base}/mosaic.fits", Client(QUICK), cache)
    file.need_all(ROWS[:15])
    check(file, ROWS[:15])
    assert len(archive.requests) == 3, "the answer with the whole file is not read"
    file.need_all(ROWS)
    check(file)
    assert len(archive.requests) == 4, "nor asked for again"


@pytest.mark.usefixtures("quick_line")
@pytest.mark.parametrize(
    "fault",
    [Fault(cut_at=40_000), Fault(cut_at=5), Fault(503), Fault(429, {"Retry-After": "0"}), Fault(416), Fault(body=b"")],
    ids=["broken", "nothing", "busy", "too many", "refused", "short"],
)
def test_what_does_not_come_in_one_answer_is_asked_for_again(archive: Loopback, cache: Cache, fault):
    file = PartialFile.open(f"{archive.base}/mosaic.fits", Client(QUICK), cache)
    archive.faults["/mosaic.fits"] = [fault]
    file.need_all(ROWS)
    check(file)


@pytest.mark.usefixtures("quick_line")
def test_parts_of_another_version_are_never_mixed_in(archive: Loopback, cache: Cache):
    file = PartialFile.open(f"{archive.base}/mosaic.fits", Client(QUICK), cache)
    archive.files["/mosaic.fits"] = CONTENT + b"more"
    with pytest.raises(ArchiveError, match="another file than when it was begun"):
        file.need_all(ROWS)
    assert file.missing_bytes >= SIZE


def test_many_requests_are_made_only_where_they_are_quicker(archive: Loopback, cache: Cache, monkeypatch):
    file = PartialFile.open(f"{archive.base}/mosaic.fits", Client(FAR), cache)
    monkeypatch.setattr(partial_file, "Link", lambda: Link(latency_s=10.0))
    monkeypatch.setattr(many_ranges, "RANGES_AT_ONCE", 7)
    assert file.cost_of(ROWS) == (581 * PIECE_BYTES, 1)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, SIZE), st.integers(0, 300_000)), max_size=6))
def test_requests_cover_what_is_missing_and_little_else(ranges):
    count = -(-SIZE // PIECE_BYTES)
    wanted = [(start, min(start + length, SIZE)) for start, length in ranges]
    missing = np.zeros(count, bool)
    begins, covering = _covering(wanted, count)
    missing[begins : begins + len(covering)] = covering
    for start, end in wanted:
        if end > start:
            assert missing[start // PIECE_BYTES : -(-end // PIECE_BYTES)].all()
    if not missing.any():
        return
    requests = _requests(_runs(missing, 0))
    asked = np.zeros(count, bool)
    for first, last in requests:
        assert not asked[first:last].any()
        asked[first:last] = True
    assert (asked | ~missing).all()
    gaps = np.flatnonzero(asked & ~missing)
    assert all(missing[max(n - GAP_BYTES // PIECE_BYTES, 0) : n].any() for n in gaps)
