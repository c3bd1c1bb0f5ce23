"""Clients of a load test, in a process of their own: ``python clients.py PORT CLIENTS SECONDS FILE`` prints JSON.

Each keeps a connection, sends the same picture again and again, and waits as long as it is told to where it gets 429.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

BOUNDARY = "galaxy"
FIELDS = {"survey": "sdss", "band": "RGB"}


def request_of(content: bytes) -> bytes:
    parts = [f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in FIELDS.items()]
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'
    body = "".join([*parts, head]).encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()
    headers = f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {len(body)}\r\n\r\n"
    return f"POST /classify HTTP/1.1\r\nHost: localhost\r\n{headers}".encode() + body


async def answered(reader: asyncio.StreamReader) -> int:
    """Read an answer; return its status."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    await reader.readexactly(int(head.partition("content-length: ")[2].partition("\r\n")[0]))
    return int(head.split()[1])


async def client(port: int, request: bytes, end: float, answers: list[tuple[int, float]]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while time.monotonic() < end:
        begun = time.monotonic()
        writer.write(request)
        await writer.drain()
        status = await answered(reader)
        answers.append((status, time.monotonic() - begun))
        if status == 429:
            await asyncio.sleep(1.0)
    writer.close()


async def load(port: int, clients: int, seconds: float, content: bytes) -> list[tuple[int, float]]:
    answers: list[tuple[int, float]] = []
    end = time.monotonic() + seconds
    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(client(port, request_of(content), end, answers))
    return answers


if __name__ == "__main__":
    arguments = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4]).read_bytes()
    sys.stdout.write(json.dumps(asyncio.run(load(*arguments))))
