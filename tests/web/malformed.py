"""Requests that no client of ours would send: damaged and hostile files, forms and fields, always the same ones."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import small_sky
from astropy.io import fits
from PIL import Image

SDSS = {"survey": "sdss", "band": "RGB", "model": "colour"}
H = {"survey": "candels", "band": "H", "model": "grey"}


@dataclass(frozen=True)
class Malformed:
    """A request, and whether it must be refused or may be found sound after all."""

    what: str
    request: dict[str, Any] = field(default_factory=dict)
    must_fail: bool = True


Rng = np.random.Generator


def picture(rng: Rng) -> bytes:
    return small_sky.picture(int(rng.integers(3)), side=64)


def png(rng: Rng, shape: tuple[int, ...] = (48, 48)) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(rng.integers(0, 255, shape, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def image(rng: Rng) -> bytes:
    stream = io.BytesIO()
    fits.PrimaryHDU(rng.normal(0, 1, (48, 48)).astype(np.float32), small_sky.header()).writeto(stream)
    return stream.getvalue()


def upload(content: bytes, name: str, **more: Any) -> dict[str, Any]:
    return {"data": H if name.endswith("fits") else SDSS, "files": {"image": (name, content)}, **more}


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def bomb_png(side: int) -> bytes:
    """Write a PNG of one grey value, some thousand times smaller than its pixels."""
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    packer = zlib.compressobj(9)
    row = bytes(side + 1)
    rows = b"".join(packer.compress(row) for _ in range(min(side, 6000))) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def cut_short(rng: Rng) -> Malformed:
    content, name = [(picture(rng), "a.jpg"), (png(rng), "a.png"), (image(rng), "a.fits")][rng.integers(3)]
    return Malformed("cut short", upload(content[: int(rng.integers(1, len(content) * 3 // 4))], name))


def flipped(rng: Rng) -> Malformed:
    content, name = [(picture(rng), "a.jpg"), (png(rng), "a.png"), (image(rng), "a.fits")][rng.integers(3)]
    values = np.frombuffer(content, np.uint8).copy()
    values[rng.integers(0, len(values), 20)] ^= rng.integers(1, 255, 20, dtype=np.uint8)
    return Malformed("flipped", upload(values.tobytes(), name), must_fail=False)


def bomb(rng: Rng) -> Malformed:
    sides = [f"NAXIS{n}  = {10 ** int(rng.integers(6, 12)):>20d}" for n in (1, 2)]
    cards = [
        "SIMPLE  =                    T",
        "BITPIX  =                   64",
        "NAXIS   =                    2",
        *sides,
    ]
    header = b"".join(card.ljust(80).encode() for card in [*cards, "END"]).ljust(2880)
    contents: list[Callable[[], tuple[bytes, str]]] = [
        lambda: (bomb_png(int(rng.integers(5000, 60000))), "a.png"),
        lambda: (header, "a.fits"),
        lambda: (gzip.compress(header + bytes(60 << 20)), "a.fits.gz"),
        lambda: (jpeg_of(65500), "a.jpg"),
    ]
    content, name = contents[rng.integers(len(contents))]()
    return Malformed("bomb", upload(content, name))


def jpeg_of(side: int) -> bytes:
    """Write a small JPEG that says it is large."""
    content = bytearray(small_sky.picture(0, side=64))
    at = content.index(b"\xff\xc0")
    content[at + 5 : at + 9] = struct.pack(">HH", side, side)
    return bytes(content)


def polyglot(rng: Rng) -> Malformed:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("../../evil.py", "raise SystemExit")
    tails = [stream.getvalue(), b"<script>fetch('/jobs')</script>", b"#!/bin/sh\ntouch canary\n", b"%PDF-1.7"]
    head = [picture(rng), png(rng)][rng.integers(2)]
    return Malformed("polyglot", upload(head + tails[rng.integers(4)], "a.jpg" if head[:1] == b"\xff" else "a.png"))


class Canary:
    """What leaves a file behind where it is unpickled."""

    def __reduce__(self):
        return open, ("canary", "w")


def wrong_type(rng: Rng) -> Malformed:
    def drawn(kind: str) -> bytes:
        stream = io.BytesIO()
        Image.fromarray(rng.integers(0, 255, (32, 32), np.uint8)).save(stream, kind)
        return stream.getvalue()

    contents = [
        *(drawn(kind) for kind in ("TIFF", "GIF", "BMP", "PPM")),
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        b"<!DOCTYPE html><script>alert(1)</script>",
        pickle.dumps(Canary()),
        b"\x7fELF" + rng.bytes(200),
        rng.bytes(int(rng.integers(1, 3000))),
        b"{}",
        b" ",
    ]
    names = ["a.jpg", "a.png", "a.fits", "a", "a.svg", "a.exe"]
    return Malformed("wrong type", upload(contents[rng.integers(len(contents))], names[rng.integers(len(names))]))


NAMES = [
    "../../../../etc/cron.d/evil",
    "..\\..\\evil.jpg",
    "/etc/passwd",
    "C:\\evil.jpg",
    "a\r\nX-Evil: 1.jpg",
    "\u202egpj.evil",
    ".htaccess",
    "x" * 5000 + ".jpg",
    "$(touch canary).jpg",
    "|touch canary",
    "a.fits[1]",
    "vizier:II/246",
    "http://169.254.169.254/latest",
]


def named(rng: Rng) -> Malformed:
    """Give a file that is cut short the name of another one."""
    return Malformed("name", upload(picture(rng)[:500], NAMES[rng.integers(len(NAMES))]))


FIELDS = [
    {"ra": "NaN", "dec": "1"},
    {"ra": "1e400", "dec": "1"},
    {"ra": "10", "dec": "-91"},
    {"ra": "0x10", "dec": "1"},
    {"x": "1"},
    {"survey": "../../etc/passwd.toml"},
    {"survey": "/dev/zero"},
    {"survey": "{{7*7}}"},
    {"band": "H" * 4000},
    {"band": "x" * 5000},
    {"model": "../colour"},
    {"model": "__class__"},
    {"rule": "' OR 1=1 --"},
    {"url": "http://169.254.169.254/"},
    {"checkpoint": "/etc/passwd"},
    {"output": "/tmp/evil"},
    {"\x00": "\x00"},
    {f"f{n}": "1" for n in range(50)},
]


def strange_fields(rng: Rng) -> Malformed:
    request = upload(picture(rng), "a.jpg")
    return Malformed("fields", {**request, "data": {**request["data"], **FIELDS[rng.integers(len(FIELDS))]}})


def torn_form(rng: Rng) -> Malformed:
    part = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n' + picture(rng)
    bodies = [
        (b"", "multipart/form-data"),
        (part, "multipart/form-data"),
        (part, "multipart/form-data; boundary=b"),
        (part + b"\r\n--b--\r\n", "multipart/form-data; boundary=" + "c" * 300),
        (b"--b\r\n" + b"X-Header: " + b"a" * 100_000 + b"\r\n\r\n\r\n--b--\r\n", "multipart/form-data; boundary=b"),
        (b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n", "multipart/form-data; boundary=b"),
        (b"--b\r\n" * 5000, "multipart/form-data; boundary=b"),
        (rng.bytes(3000), "multipart/form-data; boundary=b"),
        (json.dumps({"image": "x" * 1000}).encode(), "application/json"),
        (b"=&" * 3000, "application/x-www-form-urlencoded"),
        (b"\xff\xfe=1", "application/x-www-form-urlencoded"),
        (b"PK\x03\x04" + rng.bytes(500), "application/zip"),
    ]
    body, kind = bodies[rng.integers(len(bodies))]
    return Malformed(f"form {kind[:30]}", {"content": body, "headers": {"content-type": kind}})


def many_files(rng: Rng) -> Malformed:
    files = [("image", (f"{n}.jpg", picture(rng))) for n in range(int(rng.integers(2, 6)))]
    return Malformed("many files", {"data": SDSS, "files": files})


KINDS = (
    cut_short, flipped, bomb, polyglot, wrong_type, named, strange_fields, torn_form, many_files,
)  # fmt: skip


def malformed(number: int) -> Malformed:
    """Make a request; the same one for the same number."""
    return KINDS[number % len(KINDS)](np.random.default_rng(number))
