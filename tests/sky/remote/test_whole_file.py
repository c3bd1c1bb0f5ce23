"""Files that are fetched whole: once, continued, checked, kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from loopback import Fault, Loopback, serving

from galmorph.errors import ArchiveError
from galmorph.sky.remote import Cache, Client, Manners, fetch

CONTENT = bytes(range(256)) * 4000
QUICK = Manners(requests_per_s=1000, timeout_s=0.5, attempts=3, longest_wait_s=0.05)


@pytest.fixture
def archive():
    with serving() as loopback:
        loopback.files["/frame.fits"] = CONTENT
        yield loopback


@pytest.fixture
def cache(tmp_path) -> Cache:
    return Cache(tmp_path / "cache")


def test_it_is_fetched_once(archive: Loopback, cache: Cache):
    url = f"{archive.base}/frame.fits"
    path = fetch(url, Client(QUICK), cache)
    assert path.read_bytes() == CONTENT
    assert path.name == "frame.fits"
    assert fetch(url, Client(QUICK), cache) == path
    assert fetch(url, Client(QUICK, offline=True), cache) == path
    assert len(archive.requests) == 1


def test_what_lies_in_another_cache_is_not_asked_for_again(archive: Loopback, cache: Cache, tmp_path):
    url = f"{archive.base}/frame.fits"
    path = fetch(url, Client(QUICK), cache)
    folder = Cache(tmp_path / "folder", behind=cache)
    copied = fetch(url, Client(QUICK, offline=True), folder)
    assert copied.read_bytes() == path.read_bytes()
    assert copied != path
    assert [entry.url for entry in folder.entries()] == [url]
    assert len(archive.requests) == 1


def test_addresses_that_differ_in_their_query_are_different_files(archive: Loopback, cache: Cache):
    archive.files["/cutout"] = lambda request: request.path.encode()
    paths = [fetch(f"{archive.base}/cutout?ra={ra}", Client(QUICK), cache) for ra in (1, 2)]
    assert [path.read_bytes() for path in paths] == [b"/cutout?ra=1", b"/cutout?ra=2"]


def test_it_goes_on_where_the_connection_broke(archive: Loopback, cache: Cache):
    archive.faults["/frame.fits"] = [Fault(cut_at=300_000), Fault(cut_at=200_000)]
    assert fetch(f"{archive.base}/frame.fits", Client(QUICK), cache).read_bytes() == CONTENT
    ranges = [request.headers.get("range", "") for request in archive.requests]
    assert ranges[0] == ""
    assert all(asked.startswith("bytes=") for asked in ranges[1:])


def test_it_begins_anew_where_the_file_has_changed(archive: Loopback, cache: Cache):
    archive.faults["/frame.fits"] = [Fault(cut_at=300_000), Fault(ignores_range=True)]
    assert fetch(f"{archive.base}/frame.fits", Client(QUICK), cache).read_bytes() == CONTENT


def test_one_that_is_cut_short_every_time_is_given_up(archive: Loopback, cache: Cache):
    archive.faults["/frame.fits"] = [Fault(cut_at=0)] * 50
    with pytest.raises(ArchiveError, match="cut short every time"):
        fetch(f"{archive.base}/frame.fits", Client(QUICK), cache)
    assert cache.entries() == []


def refuse_html(path: Path) -> None:
    if path.read_bytes().startswith(b"<html"):
        raise ArchiveError("a page came instead of an image: expected FITS; try again later")


def test_what_is_not_what_was_asked_for_is_asked_for_again_and_not_kept(archive: Loopback, cache: Cache):
    url, page = f"{archive.base}/frame.fits", Fault(body=b"<html>busy</html>")
    archive.faults["/frame.fits"] = [page]
    assert fetch(url, Client(QUICK), cache, check=refuse_html).read_bytes() == CONTENT
    cache.remove(cache.entry(url))
    archive.faults["/frame.fits"] = [page, page]
    with pytest.raises(ArchiveError, match="a page came"):
        fetch(url, Client(QUICK), cache, check=refuse_html)
    assert not cache.entry(url).is_whole


def test_a_cache_that_cannot_be_written_is_said(archive: Loopback, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ArchiveError, match="cannot be written"):
        fetch(f"{archive.base}/frame.fits", Client(QUICK), Cache(tmp_path / "file"))


def test_the_longest_unused_go_first(archive: Loopback, tmp_path):
    cache = Cache(tmp_path / "cache", most_bytes=2_600_000)
    urls = [f"{archive.base}/frame.fits?n={n}" for n in range(3)]
    for url in (urls[0], urls[1], urls[0], urls[2]):
        fetch(url, Client(QUICK), cache)
    assert {entry.url for entry in cache.entries()} == {urls[0], urls[2]}
