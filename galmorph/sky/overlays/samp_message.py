"""SampMessage: a result, sent to programs of the Virtual Observatory that run beside, such as TOPCAT: by SAMP.

The standard profile of SAMP 1.3 (IVOA, Taylor et al. 2015, A&C 11, 81): the file ``~/.samp``, or the one that SAMP_HUB
names, says where the hub of this user listens, which passes messages on by XML-RPC.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from xml.parsers.expat import ExpatError
from xmlrpc.client import Error, ServerProxy

import galmorph
from galmorph.errors import OutputError

__all__ = ["send_table"]

_KINDS = {
    ".fits": "table.load.fits",
    ".fit": "table.load.fits",
    ".vot": "table.load.votable",
    ".xml": "table.load.votable",
}
"""Endings of files to the messages by which programs read them."""
_FAILURES = (Error, OSError, HTTPException, ExpatError)


def send_table(path: Path) -> list[str]:
    """Send a table to all programs that read such ones; return their names.

    Parameters
    ----------
    path
        A FITS file or VOTable, which they read from there.

    Raises
    ------
    OutputError
        If it is another file, or no hub or no such program runs.
    """
    kind = _KINDS.get(path.suffix.lower())
    if kind is None:
        raise OutputError(
            f"'{path}' is neither FITS nor a VOTable: expected one, which programs read by SAMP; write one"
        )
    with _connected() as hub:
        receivers = sorted(hub.name_of(each) for each in hub.call("getSubscribedClients", kind))
        if receivers:
            hub.call("notifyAll", _message(kind, path))
    if not receivers:
        raise OutputError("no program that reads tables is at the SAMP hub: expected TOPCAT or Aladin; start one")
    return receivers


@dataclass(frozen=True)
class _Hub:
    """A hub, with the key by which it knows us."""

    proxy: ServerProxy
    key: str

    def call(self, method: str, *words: Any) -> Any:
        return getattr(self.proxy.samp.hub, method)(self.key, *words)

    def name_of(self, program: str) -> str:
        return str(self.call("getMetadata", program).get("samp.name", program))


@contextmanager
def _connected() -> Iterator[_Hub]:
    """Register with the hub, and leave it in the end."""
    try:
        url, secret = _address(_lock_file())
        proxy = ServerProxy(url)
        hub = _Hub(proxy, str(dict(_mapping(proxy.samp.hub.register(secret)))["samp.private-key"]))
    except (*_FAILURES, KeyError) as error:
        raise OutputError("no SAMP hub runs: expected that of TOPCAT or Aladin; start one, then repeat") from error
    try:
        hub.call("declareMetadata", {"samp.name": "galmorph", "samp.description.text": "morphologies of galaxies"})
        yield hub
    except _FAILURES as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"the SAMP hub refused ({error}): expected it to pass the table on; repeat") from error
    finally:
        with suppress(*_FAILURES):
            hub.call("unregister")


def _mapping(answer: Any) -> Any:
    return answer if isinstance(answer, dict) else {}


def _lock_file() -> Path:
    """Return the file that says where the hub is."""
    named = os.environ.get("SAMP_HUB", "")
    if named.startswith("std-lockurl:file:"):
        return Path(unquote(urlsplit(named.removeprefix("std-lockurl:")).path))
    return Path.home() / ".samp"


def _address(lock_file: Path) -> tuple[str, str]:
    """Return address and secret of the hub; KeyError or OSError where there is none."""
    text = lock_file.read_text(encoding="utf-8", errors="replace")
    words = dict(re.findall(r"(?m)^(samp\.[\w.]+)=(.*?)\s*$", text))
    return words["samp.hub.xmlrpc.url"], words["samp.secret"]


def _message(kind: str, path: Path) -> dict[str, Any]:
    url, name = path.resolve().as_uri(), path.name
    return {
        "samp.mtype": kind,
        "samp.params": {"url": url, "table-id": f"galmorph-{galmorph.__version__}-{url}", "name": name},
    }
