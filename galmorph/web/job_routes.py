"""JobRoutes: the addresses of catalogues that are classified while nobody waits: UWS, with JSON in place of XML."""

from __future__ import annotations

import asyncio
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from galmorph.errors import BusyError, CatalogError, unknown_name
from galmorph.web.served_models import shipped_survey
from galmorph.web.uploads import form_of, opened_form, texts_of

if TYPE_CHECKING:
    from galmorph.store.job_rows import Job
    from galmorph.web.job_queue import JobQueue
    from galmorph.web.service import Service

__all__ = ["router"]

router = APIRouter(prefix="/jobs")

_FORMATS = ("fits", "vot", "ecsv", "csv", "parquet", "hats")
_CATALOGS = (".fits", ".fit", ".fits.gz", ".vot", ".xml", ".ecsv", ".csv", ".tsv", ".parquet")
_IMAGES = (".zip", ".fits", ".fits.gz", ".fits.fz", ".jpg", ".jpeg", ".png")
_MOST_IMAGES = 32
_FIELDS = {
    "PHASE": "RUN starts the job at once",
    "model": "one of /models; by default the one for the survey and band",
    "survey": "of the images; without images those of its archive are fetched",
    "band": "band of the survey, or three (gri, RGB)",
    "field": "without images: only this field of the survey",
    "format": f"of the result: {', '.join(_FORMATS)}; hats comes as a zip file",
    "rule": "a rule of the scheme that gives a class of its own",
    "ra": "column of right ascension, if it is not called as usual",
    "dec": "column of declination",
    "x": "column of the pixel x, from 0",
    "y": "column of the pixel y, from 0",
    "id": "column of names",
    "file": "column of the file names of stamps",
}
_OPTIONS = ("band", "field", "rule", "ra", "dec", "x", "y", "id", "file")
_FILE = {"type": "string", "format": "binary"}
_FORM = {
    "requestBody": {
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "catalog": {**_FILE, "description": "FITS, VOTable, ECSV, CSV or Parquet"},
                        "images": {**_FILE, "description": "a zip file of stamps, or FITS images; may be repeated"},
                        **{name: {"type": "string", "description": about} for name, about in _FIELDS.items()},
                    },
                }
            }
        }
    }
}


def _queue(request: Request) -> JobQueue:
    """Return the queue, which a service without a store does not have."""
    queue: JobQueue | None = request.app.state.service.jobs
    if queue is None:
        raise HTTPException(404, "this service has no store, and therefore no jobs")
    return queue


async def _job(request: Request, job_id: str) -> Job:
    """Return a job of whoever asks."""
    job = await asyncio.to_thread(_queue(request).rows.get, job_id[:100], request.state.caller)
    if job is None:
        raise HTTPException(404, "there is no such job, or it is another's")
    return job


@router.get("", summary="List your jobs")
async def jobs(request: Request) -> dict[str, Any]:
    """List the jobs of whoever asks, with their phases."""
    rows = await asyncio.to_thread(_queue(request).rows.all, request.state.caller)
    return {"jobs": [{"jobId": job.id, "phase": job.phase, "creationTime": job.created} for job in rows]}


@router.post("", openapi_extra=_FORM, status_code=201, summary="Upload a catalogue")
async def add(request: Request) -> JSONResponse:
    """Upload a catalogue, with images or for those of an archive; it waits until its phase is set to RUN."""
    queue, service = _queue(request), request.app.state.service
    if len(await asyncio.to_thread(queue.rows.all, request.state.caller)) >= service.settings.jobs:
        raise BusyError(f"you have {service.settings.jobs} jobs: expected fewer; remove one")
    async with opened_form(request, most_files=_MOST_IMAGES + 1) as form:
        fields = texts_of(form, _FIELDS)
        task = _task(service, form, fields)
        job = await asyncio.to_thread(
            queue.rows.add,
            request.state.caller,
            {"task": task, "fields": fields},
            days=service.settings.keep_days,
        )
        await asyncio.to_thread(_save, form, task, queue.home(job.id))
    if fields.get("PHASE", "").upper() == "RUN":
        await asyncio.to_thread(queue.rows.queue, job.id)
        queue.wake()
    return JSONResponse(
        _described(await _job(request, job.id)), 201, {"location": str(request.url_for("get_job", job_id=job.id))}
    )


@router.get("/{job_id}", name="get_job", summary="Say how a job is")
async def get_job(request: Request, job_id: str) -> dict[str, Any]:
    """Say how a job is: its phase, times, progress and results."""
    return _described(await _job(request, job_id))


@router.delete("/{job_id}", status_code=204, summary="Remove a job")
async def remove(request: Request, job_id: str) -> Response:
    """Stop a job, and remove it and all of its files."""
    job = await _job(request, job_id)
    await _queue(request).remove(job.id)
    return Response(status_code=204)


@router.get("/{job_id}/phase", summary="Say the phase of a job")
async def phase(request: Request, job_id: str) -> dict[str, str]:
    """Say the phase: PENDING, QUEUED, EXECUTING, COMPLETED, ERROR or ABORTED."""
    return {"phase": (await _job(request, job_id)).phase}


@router.post("/{job_id}/phase", summary="Start or stop a job")
async def set_phase(request: Request, job_id: str) -> dict[str, Any]:
    """Start a job (PHASE=RUN), or stop it (PHASE=ABORT)."""
    queue, job = _queue(request), await _job(request, job_id)
    wanted = (await form_of(request)).fields.get("PHASE", "").upper()
    if wanted == "RUN":
        is_changed = await asyncio.to_thread(queue.rows.queue, job.id)
        queue.wake()
    elif wanted == "ABORT":
        is_changed = await queue.abort(job.id)
    else:
        raise CatalogError(f"PHASE '{wanted[:20]}': expected RUN or ABORT; set one")
    if not is_changed:
        raise HTTPException(409, f"the job is {job.phase}: PHASE={wanted} does not apply to it")
    return _described(await _job(request, job_id))


@router.post("/{job_id}/destruction", summary="Say when a job is to be removed")
async def set_destruction(request: Request, job_id: str) -> dict[str, Any]:
    """Say when a job is to be removed, no later than it would be anyhow: DESTRUCTION in ISO 8601."""
    job = await _job(request, job_id)
    text = (await form_of(request)).fields.get("DESTRUCTION", "")
    try:
        when = datetime.fromisoformat(text)
        when = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    except (ValueError, OverflowError) as error:  # the latter of zones in which the first and last years are others
        raise CatalogError(f"DESTRUCTION '{text[:40]}': expected a time such as 2026-11-28T12:00:00Z") from error
    written = when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    await asyncio.to_thread(_queue(request).rows.set_destruction, job.id, min(written, job.destruction))
    return _described(await _job(request, job_id))


@router.get("/{job_id}/results", summary="List the results of a job")
async def results(request: Request, job_id: str) -> dict[str, Any]:
    """List the results of a job; there is one once it is COMPLETED."""
    return {"results": _described(await _job(request, job_id))["results"]}


@router.get("/{job_id}/results/result", summary="Get the result of a job")
async def result(request: Request, job_id: str) -> FileResponse:
    """Get the catalogue with its new columns."""
    job = await _job(request, job_id)
    if job.phase != "COMPLETED":
        raise HTTPException(404, f"the job is {job.phase}: there is a result once it is COMPLETED")
    name = _result_name(job)
    return FileResponse(
        _queue(request).home(job.id) / name, media_type="application/octet-stream", filename=f"galmorph-{name}"
    )


def _task(service: Service, form: FormData, fields: dict[str, str]) -> dict[str, Any]:
    """Say what is to be done, with names of files of our own."""
    catalogs, images = _files(form, "catalog"), _files(form, "images")
    if len(catalogs) != 1:
        raise CatalogError(f"{len(catalogs)} files 'catalog' came: expected one; send one")
    if (wanted := fields.get("format", "fits")) not in _FORMATS:
        raise CatalogError(unknown_name("format", wanted[:20], _FORMATS))
    survey = fields.get("survey")
    if not images and "band" not in fields:
        raise CatalogError("there are no images: expected some, or the band of a survey whose archive has some")
    model = service.models.chosen(fields.get("model"), survey, fields.get("band"))
    options = {name: fields[name] for name in _OPTIONS if name in fields}
    named = shipped_survey(survey)
    return {
        "model": model.name,
        "catalog": f"catalog{_ending(catalogs[0], _CATALOGS)}",
        "images": [f"image-{n}{_ending(image, _IMAGES)}" for n, image in enumerate(images)],
        "output": f"result.{wanted}",
        "options": options if named is None else {**options, "survey": named.name},
    }


def _files(form: FormData, name: str) -> list[UploadFile]:
    return [value for value in form.getlist(name) if isinstance(value, UploadFile)]


def _ending(file: UploadFile, endings: tuple[str, ...]) -> str:
    """Return what the name of an upload ends with; nothing else of it is used."""
    name = (file.filename or "").lower()
    fitting = [ending for ending in endings if name.endswith(ending)]
    if not fitting:
        raise HTTPException(415, f"a file ends in none of {', '.join(endings)}: name it by what it is")
    return max(fitting, key=len)


def _save(form: FormData, task: dict[str, Any], folder: Path) -> None:
    """Copy what was uploaded into the folder of a job."""
    folder.mkdir(parents=True, mode=0o700)
    uploads = [*_files(form, "catalog"), *_files(form, "images")]
    for upload, name in zip(uploads, [task["catalog"], *task["images"]], strict=True):
        upload.file.seek(0)
        with (folder / name).open("xb") as stream:
            shutil.copyfileobj(upload.file, stream, 1 << 20)


def _result_name(job: Job) -> str:
    output: str = job.parameters["task"]["output"]
    return f"{output}.zip" if output.endswith(".hats") else output


def _described(job: Job) -> dict[str, Any]:
    """Return a job with the names of UWS."""
    is_done = job.phase == "COMPLETED"
    return {
        "jobId": job.id,
        "ownerId": job.owner or None,
        "phase": job.phase,
        "creationTime": job.created,
        "startTime": job.started or None,
        "endTime": job.ended or None,
        "destruction": job.destruction,
        "parameters": {"model": job.parameters["task"]["model"], **job.parameters["fields"]},
        "results": [{"id": "result", "href": f"/jobs/{job.id}/results/result"}] if is_done else [],
        "errorSummary": {"message": job.error} if job.error else None,
        "progress": {"done": job.done, "total": job.total},
    }
