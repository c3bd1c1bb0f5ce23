"""Routes: the addresses at which single galaxies are classified, and at which the service says how it is."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

import galmorph
from galmorph.web.galaxy_request import FIELDS, GalaxyRequest
from galmorph.web.reply import reply_of
from galmorph.web.served_models import card_of
from galmorph.web.uploads import form_of

if TYPE_CHECKING:
    from galmorph.web.service import Service

__all__ = ["router"]

router = APIRouter()
_IMAGE = {"type": "string", "format": "binary", "description": "JPEG, PNG or FITS stamp, or FITS cutout with a WCS"}
_FIELDS = {name: {"type": "string", "description": about} for name, about in FIELDS.items()}
_FORM = {
    "requestBody": {
        "content": {"multipart/form-data": {"schema": {"type": "object", "properties": {"image": _IMAGE, **_FIELDS}}}}
    },
    "responses": {
        "200": {"description": "class, probabilities, set, radii, flags and model; what is not known is null"},
        "401": {"description": "no key, or none that is known"},
        "413": {"description": "more bytes than a request may have"},
        "415": {"description": "the image is neither JPEG, PNG nor FITS"},
        "422": {"description": "something does not fit, or the image is damaged: the message says what"},
        "429": {"description": "too many wait: Retry-After says for how many seconds to wait"},
        "503": {"description": "the models are being loaded: Retry-After says for how many seconds to wait"},
    },
}


def service_of(request: Request) -> Service:
    """Return the service that a request came to."""
    service: Service = request.app.state.service
    return service


@router.post("/classify", openapi_extra=_FORM, summary="Classify a galaxy")
async def classify(request: Request) -> JSONResponse:
    """Classify one galaxy: an image of it, a FITS cutout and a position, or a position in an archive's images."""
    service = service_of(request)
    service.check_room()
    asked = GalaxyRequest.of(await form_of(request))
    outcome = await service.classify(asked)
    with closing(outcome.plan):
        return JSONResponse(reply_of(outcome, asked.id))


@router.get("/models", summary="List the models")
def models(request: Request) -> dict[str, Any]:
    """List the models that answer, with their answers and the images that they are for."""
    served = service_of(request).models
    return {"models": [card_of(served.get(name)) for name in served.names]}


@router.get("/health", summary="Say that the service is alive")
def health() -> dict[str, str]:
    """Say that the service is alive, and its version."""
    return {"status": "alive", "version": galmorph.__version__}


@router.get("/ready", summary="Say whether galaxies can be classified")
def ready(request: Request) -> JSONResponse:
    """Say whether the models are loaded: 200, or 503 until they are."""
    is_ready = service_of(request).is_ready
    return JSONResponse({"ready": is_ready}, 200 if is_ready else 503, {} if is_ready else {"retry-after": "2"})


@router.get("/metrics", summary="Give the service's counters")
def metrics(request: Request) -> Response:
    """Give the service's counters, as Prometheus reads them."""
    content, kind = request.app.state.counters.text()
    return Response(content, media_type=kind)
