"""Archives: what each does when its host fails, is slow, or sends something else."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from loopback import Fault, Loopback, Request, keeping_rate, serving

import galmorph
from galmorph.errors import ArchiveError
from galmorph.flags import Flag
from galmorph.sky.images import ImageSource
from galmorph.sky.remote import Cache, Client, Manners

__all__ = ["OF_HOSTS", "QUICK", "ArchiveTests", "assert_same_rows", "changed"]

QUICK = Manners(requests_per_s=1000, timeout_s=0.3, attempts=2, longest_wait_s=0.02, rest_s=0.0)
PAGE = b"<html><body>The archive is down for maintenance</body></html>"

OF_HOSTS: Mapping[str, tuple[Fault, str]] = {
    "too many": (Fault(429), "429"),
    "busy": (Fault(503), "503"),
    "silent": (Fault(silent_s=0.6), "does not answer"),
    "broken": (Fault(cut_at=2000, headers={"ETag": 'W/"alike"'}), "cut short every time|stops again and again"),
    "drip": (Fault(drip_s=0.02), "cut short every time|stops again and again"),
    "page": (Fault(body=PAGE), "is no|gives no parts|answered '<html>"),
    "nothing": (Fault(body=b""), "is no|gives no parts|answered ''"),
    "gone": (Fault(404), "404"),
}
"""What may go wrong whatever the archive, and how the reason reads."""
_EXPECTED: dict[type, Table] = {}


class ArchiveTests:
    """Inherit, and say how two rows are served whose images are two files.

    Attributes
    ----------
    wrong
        Name of another fault to what it does to the bytes of an image, and how the reason reads.
    """

    wrong: ClassVar[Mapping[str, tuple[Callable[[bytes], bytes], str]]] = {}

    def serve(self, server: Loopback, folder: Path) -> Table:
        """Let a server play the archive; return two rows."""
        raise NotImplementedError

    def open(self, server: Loopback, rows: Table, client: Client, cache: Cache) -> ImageSource:
        """Open the images of the rows."""
        raise NotImplementedError

    def is_of_second(self, request: Request, rows: Table) -> bool:
        """Tell whether a request is for the image of the second row."""
        return is_about(request, rows, 1)

    @pytest.fixture
    def server(self) -> Iterator[Loopback]:
        """Run a server for one test."""
        with serving() as loopback:
            yield loopback

    @pytest.fixture
    def expected(self, tmp_path_factory) -> Table:
        """Measure both rows where nothing goes wrong, once for each kind of archive."""
        if type(self) not in _EXPECTED:
            folder = tmp_path_factory.mktemp("expected")
            with serving() as loopback:
                _EXPECTED[type(self)] = self.measured(loopback, self.serve(loopback, folder), folder)
        return _EXPECTED[type(self)]

    def measured(self, server: Loopback, rows: Table, folder: Path, client: Client | None = None) -> Table:
        """Open the images and measure the rows."""
        with closing(self.open(server, rows, client or Client(QUICK), Cache(folder / "cache"))) as source:
            return galmorph.measure(rows, source)

    def faults(self, name: str, server: Loopback) -> tuple[Callable[[Request], Fault], str]:
        """Return what makes a fault of a request, and the reason."""
        if name in OF_HOSTS:
            fault, reason = OF_HOSTS[name]
            return lambda _: fault, reason
        if name not in self.wrong:
            pytest.skip(f"such images have no {name}")
        change, reason = self.wrong[name]
        return lambda request: Fault(body=change(answer_to(server, request))), reason

    @pytest.mark.parametrize("name", [*OF_HOSTS, "truncated", "blank", "small", "elsewhere", "coarse"])
    def test_a_row_without_its_image_is_flagged_and_the_other_goes_on(self, server, tmp_path, expected, name):
        rows = self.serve(server, tmp_path)
        fault, reason = self.faults(name, server)
        server.trouble = lambda request: fault(request) if self.is_of_second(request, rows) else None
        with closing(self.open(server, rows, Client(QUICK), Cache(tmp_path / "cache"))) as source:
            where = source.locate(rows["ra"], rows["dec"])
            with pytest.raises(ArchiveError, match=reason) as refused:
                source.cutout(int(where.tile[1]), float(where.x[1]), float(where.y[1]), 40)
            assert "\n" not in str(refused.value)
            failed = galmorph.measure(rows, source)
        assert len(failed) == 2
        assert ((np.asarray(failed["gm_flags"]) & int(Flag.FETCH_FAILED)) > 0).tolist() == [False, True]
        assert_same_rows(failed[:1], expected[:1])
        server.trouble = lambda _: None
        server.requests.clear()
        assert_same_rows(self.measured(server, rows, tmp_path), expected)
        assert all(self.is_of_second(request, rows) for request in server.requests), "only what failed"
        server.requests.clear()
        assert_same_rows(self.measured(server, rows, tmp_path, Client(QUICK, offline=True)), expected)
        assert server.requests == []

    @pytest.mark.parametrize("name", [*(name for name in OF_HOSTS if name != "gone"), "truncated", "blank"])
    def test_what_passes_is_asked_for_again(self, server, tmp_path, expected, name):
        rows = self.serve(server, tmp_path)
        fault, _ = self.faults(name, server)
        once = itertools.count()
        server.trouble = lambda request: (
            fault(request) if self.is_of_second(request, rows) and next(once) == 0 else None
        )
        assert_same_rows(self.measured(server, rows, tmp_path), expected)
        server.requests.clear()
        assert_same_rows(self.measured(server, rows, tmp_path), expected)
        assert server.requests == [], "nothing is asked for twice"

    def test_it_waits_as_long_as_a_host_asks(self, server, tmp_path, expected):
        rows = self.serve(server, tmp_path)
        once = itertools.count()
        server.trouble = lambda request: (
            Fault(429, {"Retry-After": "1"}) if self.is_of_second(request, rows) and next(once) == 0 else None
        )
        patient = Manners(requests_per_s=1000, longest_wait_s=2.0)
        assert_same_rows(self.measured(server, rows, tmp_path, Client(patient)), expected)
        times = [request.time_s for request in server.requests if self.is_of_second(request, rows)]
        assert max(np.diff(times)) > 0.99

    def test_images_may_come_from_another_host(self, server, tmp_path, expected):
        rows = self.serve(server, tmp_path)
        with serving() as mirror:
            self.serve(mirror, tmp_path)
            server.trouble = lambda request: (
                Fault(302, {"Location": mirror.base + request.path}) if self.is_of_second(request, rows) else None
            )
            assert_same_rows(self.measured(server, rows, tmp_path), expected)
            assert mirror.requests
            assert all(self.is_of_second(request, rows) for request in mirror.requests)

    def test_the_rate_and_the_number_of_connections_are_kept(self, server, tmp_path):
        rows = self.serve(server, tmp_path)
        server.latency_s = 0.05
        with keeping_rate(server, 10):
            self.measured(server, rows, tmp_path, Client(Manners(requests_per_s=10, connections=2)))
        assert len(server.requests) > 1
        assert server.most_at_once <= 2


def assert_same_rows(one: Table, other: Table) -> None:
    """Compare all columns, to the bit."""
    assert one.colnames == other.colnames
    for name in one.colnames:
        np.testing.assert_array_equal(np.asarray(one[name]), np.asarray(other[name]), err_msg=name)


def answer_to(server: Loopback, request: Request) -> bytes:
    """Return what a server answers if nothing goes wrong."""
    content = server.files[request.path.partition("?")[0]]
    if callable(content):
        return content(request)
    return content.read_bytes() if isinstance(content, Path) else content


def is_about(request: Request, rows: Table, number: int) -> bool:
    """Tell whether a request for a cutout is nearer to a row than to any other."""
    asked = parse_qs(urlsplit(request.path).query)
    if not {"ra", "dec"} <= asked.keys():
        return False
    ra, dec = float(asked["ra"][0]), float(asked["dec"][0])
    return int(np.argmin(np.hypot(np.asarray(rows["ra"]) - ra, np.asarray(rows["dec"]) - dec))) == number


def changed(change: Callable[[fits.HDUList], object]) -> Callable[[bytes], bytes]:
    """Return what changes a FITS file."""

    def change_bytes(whole: bytes) -> bytes:
        with fits.open(io.BytesIO(whole)) as hdus:
            change(hdus)
            stream = io.BytesIO()
            hdus.writeto(stream)
            return stream.getvalue()

    return change_bytes
