"""Uploads: files that came with a request, looked at before anything else reads them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from urllib.parse import parse_qsl

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from galmorph.errors import CatalogError

__all__ = ["Form", "Upload", "form_of", "kind_of", "name_of", "opened_form", "texts_of"]

_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_STARTS = {
    "jpeg": (_JPEG,),
    "png": (_PNG,),
    "fits": (b"SIMPLE  =", b"\x1f\x8b", b"BZh", b"\xfd7zXZ"),
}
_ENDINGS = {
    "jpeg": (".jpg", ".jpeg"),
    "png": (".png",),
    "fits": (".fits", ".fit", ".fits.gz", ".fits.fz", ".fits.bz2", ".fits.xz"),
}
_LAST_OF_PNG = b"IEND\xae\x42\x60\x82"
_LONGEST_NAME = 200
_FIELDS, _FIELD_BYTES = 40, 4096


@dataclass(frozen=True)
class Upload:
    """A file in memory.

    Parameters
    ----------
    name
        The last part of the name that it came with; it names the file in messages, and never one on this machine.
    content
        Its bytes.
    """

    name: str
    content: bytes


@dataclass(frozen=True)
class Form:
    """What came with a request.

    Parameters
    ----------
    fields
        Texts by name.
    files
        Files by name.
    """

    fields: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, list[Upload]] = field(default_factory=dict)

    def file(self, name: str) -> Upload | None:
        """Return the only file of a name; None for none.

        Raises
        ------
        HTTPException
            If there are several.
        """
        files = self.files.get(name, [])
        if len(files) > 1:
            raise HTTPException(422, f"{len(files)} files '{name}' came: expected one; send one request for each")
        return files[0] if files else None


class _InMemory(MultiPartParser):
    """Keeps what is uploaded in memory, which the guard bounds, and never in a file."""

    spool_max_size = 1 << 62
    max_file_size = 1 << 62  # what earlier versions call it


async def form_of(request: Request, *, most_files: int = 1) -> Form:
    """Read fields and files: a multipart form, or a file alone as the body, with fields in the address.

    Raises
    ------
    HTTPException
        400 for what cannot be read as a form, 413 for too many fields or files.
    """
    fields = _single(request.query_params.multi_items())
    kind = request.headers.get("content-type", "").lower()
    if kind.startswith("application/x-www-form-urlencoded"):
        return Form(fields | _urlencoded(await request.body()))
    if not kind.startswith("multipart/form-data"):
        body = await request.body()
        name = fields.get("name", "")
        return Form(fields, {"image": [Upload(_base(name), body)]} if body else {})
    async with _parsed(_InMemory(request.headers, request.stream(), max_files=most_files, max_fields=_FIELDS)) as form:
        return await _read(form, fields)


def opened_form(request: Request, *, most_files: int) -> AbstractAsyncContextManager[FormData]:
    """Read a multipart form whose files, where they are large, lie in nameless ones until it is closed.

    Raises
    ------
    HTTPException
        As :func:`form_of`.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise HTTPException(415, "expected multipart/form-data: send files and fields as a form")
    return _parsed(MultiPartParser(request.headers, request.stream(), max_files=most_files, max_fields=_FIELDS))


def texts_of(form: FormData, names: Iterable[str]) -> dict[str, str]:
    """Return the fields of a form that are not empty.

    Raises
    ------
    CatalogError
        If one of them has none of these names.
    """
    fields = {name: value.strip() for name, value in _single(_texts(form)).items()}
    if strange := next((name for name in fields if name not in names), None):
        raise CatalogError(f"field '{strange[:40]}' has no meaning here: expected {', '.join(names)}")
    return {name: value for name, value in fields.items() if value}


@asynccontextmanager
async def _parsed(parser: MultiPartParser) -> AsyncIterator[FormData]:
    """Parse a form, and close its files in the end."""
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise HTTPException(400, f"the form cannot be read: {error.message}") from error
    except (KeyError, ValueError, UnicodeError) as error:
        raise HTTPException(400, "the form cannot be read: expected multipart/form-data; send it so") from error
    try:
        yield form
    finally:
        await form.close()


def _urlencoded(body: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(body.decode(), max_num_fields=_FIELDS)
    except ValueError as error:
        raise HTTPException(400, f"the form cannot be read: expected at most {_FIELDS} fields in UTF-8") from error
    return _single(pairs)


async def _read(form: FormData, fields: dict[str, str]) -> Form:
    """Read what a form has, beside the fields of the address."""
    files: dict[str, list[Upload]] = {}
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            files.setdefault(name, []).append(Upload(_base(value.filename or ""), await value.read()))
    return Form(fields | _single(_texts(form)), files)


def _texts(form: FormData) -> list[tuple[str, str]]:
    """Return the fields of a form that are no files, in their order."""
    return [(name, value) for name, value in form.multi_items() if isinstance(value, str)]


def _single(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return fields by name; of several with one name it would be by chance which one counts.

    Raises
    ------
    HTTPException
        422 if one has several values, 413 if one is too long.
    """
    fields: dict[str, str] = {}
    for name, value in pairs:
        if fields.setdefault(name, _short(name, value)) != value:
            raise HTTPException(
                422, f"field '{name[:40]}' came with several values: expected one; leave out the others"
            )
    return fields


def _short(name: str, value: str) -> str:
    if len(value) > _FIELD_BYTES:
        raise HTTPException(413, f"field '{name[:40]}' has {len(value)} letters: expected at most {_FIELD_BYTES}")
    return value


def _base(name: str) -> str:
    """Return the last part of a name, short and of one line; what is left of ``../../etc/passwd`` is ``passwd``."""
    base = PurePosixPath(name.replace("\\", "/")).name[-_LONGEST_NAME:].strip()
    return base if base.isprintable() and not base.startswith(".") else ""


def kind_of(upload: Upload) -> str:
    """Say what a picture is, by its bytes: ``'jpeg'``, ``'png'`` or ``'fits'``.

    Raises
    ------
    HTTPException
        415 if it is none of them; 422 if a picture has something else in its tow.
    """
    content = upload.content
    kind = next((kind for kind, starts in _STARTS.items() if content.startswith(starts)), None)
    if kind is None:
        raise HTTPException(415, "the image is neither JPEG, PNG nor FITS by its first bytes: expected one of these")
    tail = content.rstrip(b"\0\r\n ")
    if (kind == "png" and not tail.endswith(_LAST_OF_PNG)) or (kind == "jpeg" and not tail.endswith(b"\xff\xd9")):
        raise HTTPException(
            422, f"the {kind.upper()} does not end as one does: it is cut short, or a file of two kinds"
        )
    return kind


def name_of(upload: Upload, kind: str) -> str:
    """Return the name that an image goes by: its own, where that says what it is."""
    return upload.name if upload.name.lower().endswith(_ENDINGS[kind]) else f"image{_ENDINGS[kind][0]}"
