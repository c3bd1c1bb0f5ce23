"""The client: what it tries again, what it gives up, and how it spaces its requests."""

from __future__ import annotations

import dataclasses
import threading
import time

import pytest
from loopback import Fault, Loopback, keeping_rate, serving

from galmorph.errors import ArchiveError
from galmorph.sky.remote import Client, Manners

QUICK = Manners(requests_per_s=1000, timeout_s=0.3, attempts=3, longest_wait_s=0.05)


@pytest.fixture
def archive():
    with serving() as loopback:
        loopback.files["/a.fits"] = bytes(range(256)) * 40
        yield loopback


def body(client: Client, url: str, headers: dict[str, str] | None = None) -> bytes:
    with client.get(url, headers) as answer:
        return b"".join(answer.body)


def test_a_file_comes_as_it_is(archive: Loopback):
    assert body(Client(QUICK), f"{archive.base}/a.fits") == archive.files["/a.fits"]
    (request,) = archive.requests
    assert request.headers["user-agent"].startswith("galmorph/")


def test_a_part_comes_as_asked(archive: Loopback):
    with Client(QUICK).get(f"{archive.base}/a.fits", {"Range": "bytes=3-6"}) as answer:
        assert (answer.status, b"".join(answer.body)) == (206, bytes([3, 4, 5, 6]))


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(archive: Loopback, status: int):
    archive.faults["/a.fits"] = [Fault(status), Fault(status)]
    assert len(body(Client(QUICK), f"{archive.base}/a.fits")) == 10240
    assert len(archive.requests) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 501])
def test_what_is_refused_is_not_asked_for_again(archive: Loopback, status: int):
    archive.faults["/a.fits"] = [Fault(status)]
    with pytest.raises(ArchiveError, match=rf"a\.fits was refused \({status}"):
        body(Client(QUICK), f"{archive.base}/a.fits")
    assert len(archive.requests) == 1


def test_it_gives_up_in_the_end(archive: Loopback):
    archive.faults["/a.fits"] = [Fault(503)] * 9
    with pytest.raises(ArchiveError, match=r"503.* 3 of 3 attempts"):
        body(Client(QUICK), f"{archive.base}/a.fits")
    assert len(archive.requests) == 3


def test_it_waits_as_long_as_the_host_asks(archive: Loopback):
    archive.faults["/a.fits"] = [Fault(429, {"Retry-After": "1"})]
    began = time.monotonic()
    body(Client(Manners(requests_per_s=1000, longest_wait_s=5)), f"{archive.base}/a.fits")
    assert time.monotonic() - began >= 1.0


def test_it_leaves_a_host_alone_that_asks_for_too_long(archive: Loopback):
    archive.faults["/a.fits"] = [Fault(429, {"Retry-After": "3600"})]
    with pytest.raises(ArchiveError, match="3600 s of patience"):
        body(Client(QUICK), f"{archive.base}/a.fits")
    assert len(archive.requests) == 1


def test_a_host_that_was_given_up_rests_as_long_as_it_asks_for_and_that_is_said(archive: Loopback, caplog):
    archive.faults["/a.fits"] = [Fault(429, {"Retry-After": "3600"})]
    client = Client(QUICK)
    with pytest.raises(ArchiveError, match="3600 s of patience"):
        body(client, f"{archive.base}/a.fits")
    (told,) = (record.getMessage() for record in caplog.records)
    assert "asking for 3600 s of patience" in told
    assert "asked again in 3600 s" in told
    with pytest.raises(ArchiveError, match="rests for 3600 s more"):
        body(client, f"{archive.base}/b.fits")
    assert len(archive.requests) == 1


def test_a_host_that_is_given_up_again_and_again_rests_longer_until_it_answers(archive: Loopback):
    archive.faults["/a.fits"] = [Fault(503)] * 3
    client = Client(dataclasses.replace(QUICK, attempts=1, rest_s=0.2, longest_rest_s=0.5))

    def rest() -> float:
        """Ask in vain; return for how long the host rests, and let it."""
        with pytest.raises(ArchiveError, match="does not answer"):
            body(client, f"{archive.base}/a.fits")
        ((_, host),) = client._hosts.items()
        length = host.rest_s
        time.sleep(length)
        return length

    assert [rest() for _ in range(3)] == pytest.approx([0.2, 0.4, 0.5], abs=0.05)
    assert body(client, f"{archive.base}/a.fits")
    archive.faults["/a.fits"] = [Fault(503)]
    assert rest() == pytest.approx(0.2, abs=0.05)


def test_a_host_that_is_not_there_is_said():
    with serving() as gone:
        base = gone.base
    with pytest.raises(ArchiveError, match="does not answer"):
        body(Client(QUICK), f"{base}/a.fits")


def test_a_body_that_breaks_is_said(archive: Loopback):
    archive.faults["/a.fits"] = [Fault(cut_at=100)]
    with pytest.raises(ArchiveError, match="stopped"):
        body(Client(QUICK), f"{archive.base}/a.fits")


def test_a_slow_drip_is_given_up(archive: Loopback):
    archive.faults["/a.fits"] = [Fault(drip_s=0.02)]
    began = time.monotonic()
    with pytest.raises(ArchiveError, match="drips"):
        body(Client(QUICK), f"{archive.base}/a.fits")
    assert time.monotonic() - began < 5


def test_redirects_are_followed_to_another_host(archive: Loopback):
    with serving() as other:
        other.files["/b"] = b"here"
        archive.faults["/a.fits"] = [Fault(302, {"Location": f"{other.base}/b"})]
        assert body(Client(QUICK), f"{archive.base}/a.fits") == b"here"


def test_redirects_end(archive: Loopback):
    archive.faults["/a.fits"] = [Fault(302, {"Location": "/a.fits"})] * 20
    with pytest.raises(ArchiveError, match="redirected more than 5 times"):
        body(Client(QUICK), f"{archive.base}/a.fits")


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/a"])
def test_redirects_stay_on_the_web(archive: Loopback, target: str):
    archive.faults["/a.fits"] = [Fault(302, {"Location": target})]
    with pytest.raises(ArchiveError, match="expected http or https"):
        body(Client(QUICK), f"{archive.base}/a.fits")


def test_requests_are_spaced(archive: Loopback):
    client = Client(Manners(requests_per_s=20, connections=4))
    threads = [threading.Thread(target=body, args=(client, f"{archive.base}/a.fits")) for _ in range(10)]
    with keeping_rate(archive, 20):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(archive.requests) == 10


def test_offline_asks_for_nothing(archive: Loopback):
    with pytest.raises(ArchiveError, match="not in the cache"):
        body(Client(QUICK, offline=True), f"{archive.base}/a.fits")
    assert archive.requests == []
