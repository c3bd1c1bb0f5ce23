"""Malformed uploads: each is refused soon, nothing is written, nothing is executed, and the service goes on."""

from __future__ import annotations

import time

import pytest
from malformed import KINDS, malformed

SOON_S = 2.0


@pytest.fixture(scope="module")
def service(client, tmp_path_factory):
    where = tmp_path_factory.mktemp("where")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(where)
        patch.setenv("TMPDIR", str(where))
        patch.setenv("GALMORPH_LIMITS", "stamp_bytes=33554432 stamp_pixels=4194304 image_bytes=268435456")
        yield client(), where


@pytest.mark.parametrize("number", range(6 * len(KINDS)))
def test_what_is_malformed_is_refused(service, number):
    running, where = service
    case = malformed(number)
    begun = time.process_time()  # the service is in this process, and the machine may be busy
    answer = running.post("/classify", **case.request)
    took = time.process_time() - begun
    assert 400 <= answer.status_code < 500 or (answer.status_code == 200 and not case.must_fail), (
        case.what,
        answer.text,
    )
    assert answer.status_code == 200 or answer.json()["detail"]
    assert took < SOON_S, case.what
    assert list(where.iterdir()) == []
    assert not list(running.app.state.service.settings.home.rglob("*"))
