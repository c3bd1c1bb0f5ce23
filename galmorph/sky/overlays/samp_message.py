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
from xmlrpc.client import Error, Fault, ServerProxy

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
_PATIENCE_S = 60
"""Programs answer once they have read the table, which takes large ones their time."""
_FAILURES = (Error, OSError, HTTPException, ExpatError)


def send_table(path: Path) -> list[str]:
    """Send a table to all programs that read such ones, which each answer that they did; return their names.

    Parameters
    ----------
    path
        A FITS file or VOTable, which they read from there.

    Raises
    ------
    OutputError
        If it is another file, if no hub or no such program runs, or if one does not say within a minute that it has
        read the table.
    """
    kind = _KINDS.get(path.suffix.lower())
    if kind is None:
        raise OutputError(
            f"'{path}' is neither FITS nor a VOTable: expected one, which programs read by SAMP; write one"
        )
    message = _message(kind, path)
    with _connected() as hub:
        receivers = hub.call("getSubscribedClients", kind)
        told = sorted((hub.name_of(each), hub.failure(each, message)) for each in receivers)
    if not receivers:
        raise OutputError("no program that reads tables is at the SAMP hub: expected TOPCAT or Aladin; start one")
    if any(failure for _, failure in told):
        each = "; ".join(f"{name} {failure or 'read it'}" for name, failure in told)
        raise OutputError(f"not every program read the table ({each}): expected all to; load it there by hand")
    return [name for name, _ in told]


@dataclass(frozen=True)
class _Hub:
    """A hub, with the key by which it knows us."""

    proxy: ServerProxy
    key: str

    def call(self, method: str, *words: Any) -> Any:
        return getattr(self.proxy.samp.hub, method)(self.key, *words)

    def failure(self, program: str, message: dict[str, Any]) -> str:
        """Call a program and wait for its answer; return what went wrong, nothing if all is well.

        A call, not a notification: hubs pass on in their own time, and drop what those who have left sent.
        """
        try:
            answer = _mapping(self.call("callAndWait", program, message, str(_PATIENCE_S)))
        except Fault as error:
            return f"did not answer ({error.faultString.strip()})"
        if answer.get("samp.status") in ("samp.ok", "samp.warning"):
            return ""
        return f"did not read it ({_mapping(answer.get('samp.error')).get('samp.errortxt', 'no reason given')})"

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
