"""Load: two hundred clients for a minute, and a thousand malformed uploads, against a service of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import httpx
import numpy as np
import pytest
import small_sky
from astropy.table import Table
from malformed import malformed
from real_service import served

import galmorph

CLIENTS = int(os.environ.get("GALMORPH_LOAD_CLIENTS", "200"))
SECONDS = float(os.environ.get("GALMORPH_LOAD_SECONDS", "60"))
UPLOADS = int(os.environ.get("GALMORPH_LOAD_UPLOADS", "1000"))
QUEUE = 128
CHECKPOINT = "sdss-rgb"
SOON_S = 2.0


def load(port: int, clients: int, seconds: float, picture: Path) -> list[tuple[int, float]]:
    script = Path(__file__).with_name("clients.py")
    command = [sys.executable, str(script), str(port), str(clients), str(seconds), str(picture)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, timeout=seconds + 300).stdout)


def bare_cpu_s(picture: Path) -> float:
    """Processor time of the command for a galaxy, with the same picture."""
    checkpoint, images = galmorph.load_checkpoint(CHECKPOINT), {f"{n}.jpg": picture.read_bytes() for n in range(128)}

    def classify() -> None:
        table = Table({"file": list(images)})
        galmorph.classify(table, images, survey="sdss", band="RGB", checkpoint=checkpoint, engine="local")

    classify()  # compiles
    begun = time.process_time()
    classify()
    return (time.process_time() - begun) / len(images)


@pytest.mark.long
def test_two_hundred_clients_get_answers_or_are_told_to_come_again(tmp_path):
    picture = tmp_path / "a.jpg"
    picture.write_bytes(small_sky.picture(0))
    options = ["--open", "--folder", str(tmp_path / "kept"), "--checkpoint", CHECKPOINT, "--queue", str(QUEUE)]
    with served(tmp_path, options) as service:
        load(service.port, CLIENTS, min(SECONDS / 4, 10), picture)  # warms up
        memory, cpu = service.memory_mb(), service.cpu_s()
        begun = time.monotonic()
        answers = load(service.port, CLIENTS, SECONDS, picture)
        took, cpu = time.monotonic() - begun, service.cpu_s() - cpu
        grown = service.memory_mb() - memory
    statuses = Counter(status for status, _ in answers)
    waits = np.array([wait for status, wait in answers if status == 200])
    rate = len(waits) / took
    p99 = float(np.percentile(waits, 99))
    share = bare_cpu_s(picture) / (cpu / len(waits))
    print(f"{dict(statuses)}; {rate:.1f}/s, p99 {p99:.2f} s, {share:.0%} of the bare rate, {grown:+.0f} MB,")
    print(f"listening after {service.started_s:.1f} s, ready after {service.ready_s:.1f} s")
    assert set(statuses) <= {200, 429}
    assert p99 < 2.0 * QUEUE / rate + 1.0  # what waits before it, and a batch
    assert grown < 100
    assert share >= 0.7
    if CLIENTS > QUEUE:
        assert statuses[429] > 0


@pytest.mark.long
def test_a_thousand_malformed_uploads_harm_nothing(tmp_path, checkpoints, picture):
    kept, where = tmp_path / "kept", tmp_path / "where"
    where.mkdir()
    with served(tmp_path, ["--open", "--folder", str(kept), "--checkpoint", *checkpoints], cwd=where) as service:
        files = sorted(kept.rglob("*"))
        with httpx.Client(base_url=service.url, timeout=60) as client:
            for number in range(UPLOADS):
                case = malformed(number)
                begun, cpu = time.monotonic(), service.cpu_s()
                answer = client.post("/classify", **case.request)
                took = min(time.monotonic() - begun, service.cpu_s() - cpu)  # other processes may take the cores
                is_sound = answer.status_code == 200 and not case.must_fail
                assert 400 <= answer.status_code < 500 or is_sound, (number, case.what, answer.text)
                assert took < SOON_S, (number, case.what)
            sound = client.post(
                "/classify",
                data={"survey": "sdss", "band": "RGB", "model": "colour"},
                files={"image": ("a.jpg", picture)},
            )
            assert sound.status_code == 200
        assert sorted(kept.rglob("*")) == files
        assert list(where.iterdir()) == []
        assert "Traceback" not in service.log.read_text()
