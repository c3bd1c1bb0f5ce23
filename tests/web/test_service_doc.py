"""What docs/service.md shows is what the service does."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import small_sky
from astropy.table import Table
from real_service import served

import galmorph
from galmorph.web.service_settings import ServiceSettings

TEXT = (Path(galmorph.__file__).parents[1] / "docs" / "service.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ (curl .*)$", TEXT, flags=re.MULTILINE)


def test_the_figures_are_the_code_s():
    assert f"{ServiceSettings.request_bytes >> 20} MiB (catalogues: {ServiceSettings.upload_bytes >> 20} MiB)" in TEXT
    assert f"galaxies that may wait ({ServiceSettings.queue})" in TEXT
    assert f"{ServiceSettings.jobs} are kept of each key" in TEXT
    assert ServiceSettings.keep_days == 7.0


def test_every_address_is_described(client):
    for path in client().get("/openapi.json").json()["paths"]:
        if path.startswith(("/jobs", "/classify", "/models", "/health", "/ready", "/metrics")):
            words = path.replace("{job_id}", "JOB")
            assert words in TEXT or words == "/jobs/JOB/results", path


@pytest.mark.long
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_examples_run(tmp_path, checkpoints):
    sky = small_sky.write_sky(tmp_path / "sky")
    (tmp_path / "stamp.jpg").write_bytes(small_sky.picture(0, side=64))
    shutil.copy(sky.image, tmp_path / "cutout.fits")
    with zipfile.ZipFile(tmp_path / "stamps.zip", "w") as archive:
        archive.write(tmp_path / "stamp.jpg", "stamp.jpg")
    Table({"file": ["stamp.jpg"]}).write(tmp_path / "catalog.csv")
    assert len(COMMANDS) >= 9
    with served(tmp_path, ["--open", "--folder", str(tmp_path / "kept"), "--checkpoint", *checkpoints]) as service:
        job = ""
        for command in COMMANDS:
            answer = run(command, service.url, job, tmp_path)
            if "PHASE=RUN" in command:
                job = json.loads(answer)["jobId"]
                wait_for(job, service.url)
            elif "/classify" in command:
                assert "flags" in json.loads(answer), command
    table = galmorph.read_catalog(tmp_path / "result.fits").table
    assert np.isfinite(table["gm_conf"]).all()


def run(command: str, url: str, job: str, folder: Path) -> bytes:
    """Run an example as it stands, but for the address, the job, and the model: several are served here."""
    words = [word.replace("http://localhost:8000", url).replace("JOB", job) for word in shlex.split(command)]
    words = [word.replace("survey=sdss&", "survey=sdss&model=colour&") for word in words]
    if "survey=" in command and "survey=sdss&" not in command:
        words += ["-F", "model=grey" if "cutout" in command else "model=colour"]
    words += ["-s"] if "PHASE=ABORT" in command else ["-s", "-f"]  # the job is done
    done = subprocess.run(words, cwd=folder, capture_output=True, check=False)
    assert done.returncode == 0, (command, done.stderr)
    return done.stdout


def wait_for(job: str, url: str) -> None:
    for _ in range(600):
        if b"COMPLETED" in subprocess.run(["curl", "-s", f"{url}/jobs/{job}"], capture_output=True, check=True).stdout:
            return
        time.sleep(0.1)
    raise AssertionError(job)
