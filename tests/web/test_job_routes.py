"""Catalogues that are uploaded: the phases of UWS, progress, restarts, and results in every format."""

from __future__ import annotations

import io
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import small_sky
from astropy.table import Table
from fastapi.testclient import TestClient

import galmorph
from galmorph.nets.precision import computes_bfloat16
from galmorph.web import job_queue
from galmorph.web.app import create_app
from galmorph.web.service_settings import ServiceSettings
from galmorph.web.uploads import Upload

ROWS = 6
SDSS = {"survey": "sdss", "band": "RGB", "model": "colour"}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with galmorph.open_store(tmp_path_factory.mktemp("store") / "store.sqlite", create=True) as store:
        yield store


@pytest.fixture(scope="module")
def service(client, store):
    """Start a service with jobs."""
    return client(store=store)


@pytest.fixture(scope="module")
def stamps(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("stamps") / "stamps.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(ROWS):
            archive.writestr(f"{number}.jpg", small_sky.picture(number, side=64))
    return path


@pytest.fixture(scope="module")
def catalog(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("catalog") / "rows.csv"
    sky = {"ra": 150.0 + 0.01 * np.arange(ROWS), "dec": 2.0 + 0.01 * np.arange(ROWS)}
    Table({"objid": np.arange(ROWS), "file": [f"{n}.jpg" for n in range(ROWS)], **sky}).write(path)
    return path


def files(catalog: Path, stamps: Path) -> dict:
    return {"catalog": (catalog.name, catalog.read_bytes()), "images": (stamps.name, stamps.read_bytes())}


def ended(service, job: dict, patience_s: float = 60.0) -> dict:
    """Wait until a job has ended."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        job = service.get(f"/jobs/{job['jobId']}").json()
        if job["phase"] in {"COMPLETED", "ERROR", "ABORTED"}:
            return job
        time.sleep(0.05)
    raise AssertionError(job)


def test_a_catalogue_is_classified_as_the_command_does(service, catalog, stamps, checkpoints, tmp_path):
    answer = service.post("/jobs", data={**SDSS, "format": "fits"}, files=files(catalog, stamps))
    assert answer.status_code == 201, answer.text
    job = answer.json()
    assert answer.headers["location"].endswith(f"/jobs/{job['jobId']}")
    assert (job["phase"], job["startTime"], job["results"]) == ("PENDING", None, [])
    assert service.post(f"/jobs/{job['jobId']}/phase", data={"PHASE": "RUN"}).json()["phase"] in {"QUEUED", "EXECUTING"}
    job = ended(service, job)
    assert (job["phase"], job["errorSummary"]) == ("COMPLETED", None)
    assert job["progress"] == {"done": ROWS, "total": ROWS}
    result = service.get(job["results"][0]["href"])
    assert "attachment" in result.headers["content-disposition"]
    (tmp_path / "result.fits").write_bytes(result.content)
    table = galmorph.read_catalog(tmp_path / "result.fits").table
    expected = galmorph.classify(
        catalog, stamps, survey="sdss", band="RGB", checkpoint=checkpoints[0], output=tmp_path / "expected.fits"
    )
    assert table.colnames == expected.colnames
    for name in table.colnames:
        np.testing.assert_array_equal(np.asarray(table[name]), np.asarray(expected[name]), err_msg=name)
    assert job["jobId"] in [each["jobId"] for each in service.get("/jobs").json()["jobs"]]
    assert service.get(f"/jobs/{job['jobId']}/results").json()["results"] == job["results"]
    assert service.delete(f"/jobs/{job['jobId']}").status_code == 204
    assert service.get(f"/jobs/{job['jobId']}").status_code == 404
    assert not list(service.app.state.service.jobs.folder.glob(f"{job['jobId']}*"))


@pytest.mark.long
def test_every_format_that_is_written_can_be_asked_for(service, catalog, stamps, tmp_path):
    jobs = [
        service.post("/jobs", data={**SDSS, "format": each, "PHASE": "RUN"}, files=files(catalog, stamps)).json()
        for each in ("vot", "hats")
    ]
    for job in jobs:
        done = ended(service, job)
        assert done["phase"] == "COMPLETED", done
        result = service.get(done["results"][0]["href"])
        name = result.headers["content-disposition"].rpartition("galmorph-")[2].strip('"')
        (tmp_path / name).write_bytes(result.content)
    assert len(galmorph.read_catalog(tmp_path / "result.vot").table) == ROWS
    with zipfile.ZipFile(io.BytesIO((tmp_path / "result.hats.zip").read_bytes())) as archive:
        assert "result.hats/hats.properties" in archive.namelist()


@pytest.mark.skipif(not computes_bfloat16("cpu"), reason="this processor has no bfloat16")
def test_precision_holds_for_single_galaxies_jobs_and_the_store(client, tmp_path, catalog, stamps, checkpoints):
    """Each of them answers in bfloat16 what `classify` answers in it."""
    with galmorph.open_store(tmp_path / "half.sqlite", create=True) as kept:
        service = client(store=kept, device="cpu", precision="bfloat16")
        job = ended(service, service.post("/jobs", data={**SDSS, "PHASE": "RUN"}, files=files(catalog, stamps)).json())
        assert job["phase"] == "COMPLETED", job
        (tmp_path / "result.fits").write_bytes(service.get(job["results"][0]["href"]).content)
        picture = small_sky.picture(0, side=64)
        single = service.post("/classify", files={"image": ("0.jpg", picture)}, data=SDSS).json()
        state = service.app.state
        stored = state.service.store.pull(state.desk.take([Upload("0.jpg", picture)], {"model": "colour"})[1])
    expected = galmorph.classify(
        catalog, stamps, survey="sdss", band="RGB", checkpoint=checkpoints[0], device="cpu", precision="bfloat16"
    )
    result = galmorph.read_catalog(tmp_path / "result.fits").table
    assert result.meta["GMPRECIS"] == "bfloat16"
    column = next(name for name in expected.colnames if name.startswith("gm_p_"))
    np.testing.assert_array_equal(result[column], expected[column])
    assert single["probabilities"][column.removeprefix("gm_p_")] == pytest.approx(float(expected[column][0]), abs=1e-6)
    assert float(stored[column][0]) == pytest.approx(float(expected[column][0]), abs=1e-6)


def test_what_goes_wrong_is_said_in_one_line(service, stamps):
    broken = {"catalog": ("rows.fits", b"SIMPLE  = no"), "images": (stamps.name, stamps.read_bytes())}
    job = ended(service, service.post("/jobs", data={**SDSS, "PHASE": "RUN"}, files=broken).json())
    assert job["phase"] == "ERROR"
    assert "catalog.fits" in job["errorSummary"]["message"]
    assert service.get(f"/jobs/{job['jobId']}/results/result").status_code == 404
    assert service.post(f"/jobs/{job['jobId']}/phase", data={"PHASE": "RUN"}).status_code == 409


def test_a_job_is_aborted(service, catalog, stamps):
    job = service.post("/jobs", data=SDSS, files=files(catalog, stamps)).json()
    assert service.post(f"/jobs/{job['jobId']}/phase", data={"PHASE": "ABORT"}).json()["phase"] == "ABORTED"
    assert service.post(f"/jobs/{job['jobId']}/phase", data={"PHASE": "RUN"}).status_code == 409


@pytest.mark.long
def test_a_job_that_is_carried_out_is_aborted(service, catalog, stamps, monkeypatch):
    """Its process waits for its task, which does not come."""

    async def silent(self, process, task):
        """Say nothing."""

    monkeypatch.setattr(job_queue.JobQueue, "_tell", silent)
    job = service.post("/jobs", data={**SDSS, "PHASE": "RUN"}, files=files(catalog, stamps)).json()
    while service.get(f"/jobs/{job['jobId']}/phase").json()["phase"] != "EXECUTING":
        time.sleep(0.02)
    time.sleep(0.3)
    assert service.post(f"/jobs/{job['jobId']}/phase", data={"PHASE": "ABORT"}).json()["phase"] == "ABORTED"
    monkeypatch.undo()
    after = service.post("/jobs", data={**SDSS, "PHASE": "RUN"}, files=files(catalog, stamps)).json()
    assert ended(service, after)["phase"] == "COMPLETED"


def test_a_job_survives_a_restart(store, catalog, stamps, checkpoints, tmp_path):
    settings = ServiceSettings(checkpoints=checkpoints, folder=tmp_path / "kept", is_open=True)
    with TestClient(create_app(settings, store), base_url="http://localhost") as first:
        while not first.app.state.service.is_ready:
            time.sleep(0.01)
        job = first.post("/jobs", data=SDSS, files=files(catalog, stamps)).json()
    rows = store.jobs(first.app.state.service.jobs.rows._service)
    rows.queue(job["jobId"])
    assert rows.start_next().phase == "EXECUTING"  # and then the service is killed
    with TestClient(create_app(settings, store), base_url="http://localhost") as second:
        assert ended(second, job)["phase"] == "COMPLETED"


def test_time_is_over_some_day(service, catalog, stamps):
    job = service.post("/jobs", data=SDSS, files=files(catalog, stamps)).json()
    address = f"/jobs/{job['jobId']}"
    later = service.post(f"{address}/destruction", data={"DESTRUCTION": "2999-01-01T00:00:00Z"}).json()
    assert later["destruction"] == job["destruction"]  # no later than it would be anyhow
    for text in ("some day", "0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59-23:00"):
        assert service.post(f"{address}/destruction", data={"DESTRUCTION": text}).status_code == 422
    service.post(f"{address}/destruction", data={"DESTRUCTION": "2001-01-01"})
    end = time.monotonic() + 20
    while service.get(address).status_code != 404 and time.monotonic() < end:
        service.app.state.service.jobs.wake()
        time.sleep(0.05)
    assert service.get(address).status_code == 404
    assert not (service.app.state.service.jobs.folder / job["jobId"]).exists()


@pytest.mark.parametrize(
    ("data", "names", "status"),
    [
        ({"format": "exe"}, ("rows.csv", "stamps.zip"), 422),
        ({"survey": "/etc/passwd.toml"}, ("rows.csv", "stamps.zip"), 422),
        ({"model": "/etc/passwd"}, ("rows.csv", "stamps.zip"), 422),
        ({"output": "/tmp/evil"}, ("rows.csv", "stamps.zip"), 422),
        ({}, ("rows.py", "stamps.zip"), 415),
        ({}, ("../../rows", "stamps.zip"), 415),
        ({}, ("rows.csv", "stamps.tar"), 415),
    ],
)
def test_what_does_not_fit_makes_no_job(service, catalog, stamps, data, names, status):
    before = service.get("/jobs").json()
    content = {"catalog": (names[0], catalog.read_bytes()), "images": (names[1], stamps.read_bytes())}
    assert service.post("/jobs", data={**SDSS, **data}, files=content).status_code == status
    assert service.get("/jobs").json() == before


def test_a_job_needs_a_catalogue(service, stamps):
    assert service.post("/jobs", data=SDSS, files={"images": ("a.zip", stamps.read_bytes())}).status_code == 422
    assert service.post("/jobs", content=b"x").status_code == 415
    assert service.post("/jobs/none/phase", data={"PHASE": "RUN"}).status_code == 404


def test_names_of_files_are_ours(service, catalog, stamps):
    names = {"catalog": ("../../../evil.csv", catalog.read_bytes()), "images": ("..\\evil.zip", stamps.read_bytes())}
    job = service.post("/jobs", data=SDSS, files=names).json()
    folder = service.app.state.service.jobs.home(job["jobId"])
    assert sorted(path.name for path in folder.iterdir()) == ["catalog.csv", "image-0.zip"]


def test_jobs_are_their_owner_s_and_few(client, store, catalog, stamps):
    keys = {name: {"x-api-key": store.add_key(name)} for name in ("ana", "bob")}
    service = client(store=store, is_open=False, jobs=1)
    job = service.post("/jobs", data=SDSS, files=files(catalog, stamps), headers=keys["ana"]).json()
    assert job["ownerId"] == "ana"
    assert service.get(f"/jobs/{job['jobId']}", headers=keys["bob"]).status_code == 404
    assert service.delete(f"/jobs/{job['jobId']}", headers=keys["bob"]).status_code == 404
    assert service.get("/jobs", headers=keys["bob"]).json() == {"jobs": []}
    assert service.post("/jobs", data=SDSS, files=files(catalog, stamps), headers=keys["ana"]).status_code == 429
    store.withdraw_key("bob")


def test_without_a_store_there_are_no_jobs(client):
    assert client().get("/jobs").status_code == 404
