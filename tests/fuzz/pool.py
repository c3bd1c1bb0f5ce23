"""Pool: inputs examined in a process of their own, which may crash, hang or grow without taking the others along."""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import json
import logging
import os
import resource
import select
import shutil
import signal
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from galmorph.errors import GalmorphError

from .dice import thrown
from .subject import DifferenceError, Item, Subject

__all__ = ["Find", "Tally", "run"]

SECONDS = 10.0
"""Processor's time after which an input counts as hanging."""
WALL_SECONDS = 90.0
"""Time after which it does though the machine may be busy."""
SPARE_MIB = 48.0
"""What any input may take beyond one and a half times what sound ones take."""
ADDRESSES = 6 << 30
"""Address space beyond what is in use at the start: an allocation that goes further fails."""
MOST_LETTERS = 1500
PACKAGE = str(Path(__file__).resolve().parents[2])


@dataclass(frozen=True)
class Find:
    """Something that must not be.

    Parameters
    ----------
    number
        Of the input.
    kind
        What and where, the same for all inputs that show the same.
    text
        All there is to know.
    """

    number: int
    kind: str
    text: str


@dataclass
class Tally:
    """What came of a number of inputs."""

    inputs: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    finds: list[Find] = field(default_factory=list)
    mib: float = 0.0
    """Most memory that a sound input took."""
    worst_mib: float = 0.0


def item_of(subject: Subject, items: Sequence[Item], seed: int, number: int) -> Item:
    """Draw one input; negative numbers are the sound ones."""
    if number < 0:
        return items[-1 - number]
    dice = thrown(subject.name, seed, number)
    return subject.damaged(dice, dice.choice(items), items)


def run(
    subject: Subject, seed: int, first: int, count: int, *, seconds: float = 1e9, folder: Path | None = None
) -> Tally:
    """Examine inputs `first` to `first + count`, or as many as fit into the time; write those that fail to `folder`."""
    items, tally = subject.seeds(), Tally()
    until, number, last = time.monotonic() + seconds, first, first + count
    while number < last and time.monotonic() < until:
        worker = _Worker(subject, items, seed, range(number, last))
        for message in worker.messages():
            _enter(tally, message)
            if time.monotonic() > until:
                break
        if (find := worker.ended()) is not None:
            tally.inputs += find.number >= 0
            tally.outcomes["find"] += 1
            tally.kinds[find.kind] += 1
            tally.finds.append(find)
            assert find.number >= 0, find
        number = max(number, -1 if worker.number is None else worker.number + 1)
    if folder is not None:
        _keep(tally, subject, items, seed, folder)
    return tally


def _enter(tally: Tally, message: dict[str, Any]) -> None:
    number, mib = message["n"], message.get("mib", 0.0)
    if number < 0:
        tally.mib = max(tally.mib, mib)
    else:
        tally.inputs += 1
        tally.worst_mib = max(tally.worst_mib, mib)
    tally.outcomes[message["outcome"] if number >= 0 else f"sound {message['outcome']}"] += 1
    if message["outcome"] == "find":
        tally.kinds[message["kind"]] += 1
        if tally.kinds[message["kind"]] <= 3:
            tally.finds.append(Find(number, message["kind"], message["text"]))


def _keep(tally: Tally, subject: Subject, items: Sequence[Item], seed: int, folder: Path) -> None:
    for find in tally.finds:
        place = folder / f"{subject.name}-{seed}-{find.number}"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        item_of(subject, items, seed, find.number).write(place)
        (place / "find.txt").write_text(f"{find.kind}\n\n{find.text}\n", errors="replace")


class _Worker:
    """A forked process that examines inputs, as its parent sees it."""

    def __init__(self, subject: Subject, items: Sequence[Item], seed: int, numbers: range) -> None:
        self.number: int | None = None
        self._phase = "begin"
        self._hang = False
        self._since = (time.monotonic(), 0.0)
        self._tmp = Path(tempfile.mkdtemp(prefix="galmorph-fuzz-"))
        reading, writing = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            os.close(reading)
            _child(subject, items, seed, numbers, writing, self._tmp)
        os.close(writing)
        self._pipe = reading

    def messages(self) -> Iterator[dict[str, Any]]:
        """Yield what became of each input, until the process ends, hangs or is no longer listened to."""
        rest = b""
        while True:
            if not select.select([self._pipe], [], [], 1.0)[0]:
                if self._is_hanging():
                    self._hang = True
                    return
                continue
            piece = os.read(self._pipe, 1 << 16)
            if not piece:
                return
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                message = json.loads(line)
                self.number, self._phase = message["n"], message["phase"]
                self._since = (time.monotonic(), _cpu_seconds(self._child))
                if self._phase == "end":
                    yield message

    def _is_hanging(self) -> bool:
        wall, cpu = time.monotonic() - self._since[0], _cpu_seconds(self._child) - self._since[1]
        return cpu > SECONDS or wall > WALL_SECONDS

    def ended(self) -> Find | None:
        """End the process; say what it died of, if that was not ours to decide and not the fault of others."""
        os.close(self._pipe)
        if self._hang:
            os.kill(self._child, signal.SIGABRT)  # has faulthandler say where
            time.sleep(0.3)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._child, signal.SIGKILL)
        _, status = os.waitpid(self._child, 0)
        stack = self._tmp / "stack.txt"
        said = stack.read_text(errors="replace") if stack.is_file() else ""
        shutil.rmtree(self._tmp, ignore_errors=True)
        if not self._hang and os.WIFEXITED(status) and os.WEXITSTATUS(status):
            raise AssertionError(f"the harness failed at input {self.number}: {said}")
        if self._hang:
            return None if self._phase == "reference" else Find(self.number, f"hang: {_place_of(said)}", said)
        died = os.WIFSIGNALED(status) and os.WTERMSIG(status) not in (signal.SIGKILL, signal.SIGPIPE)
        if not died or self._phase != "begin":
            return None
        name = signal.Signals(os.WTERMSIG(status)).name
        return Find(self.number, f"crash {name}: {_place_of(said)}", said)


def _cpu_seconds(process: int) -> float:
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _place_of(stack: str) -> str:
    """The innermost line of ours in a stack of faulthandler."""
    ours = [line.strip() for line in stack.splitlines() if "/galmorph/" in line and "/fuzz/" not in line]
    return ours[0].replace(PACKAGE, "") if ours else stack[:80]


def _child(subject: Subject, items: Sequence[Item], seed: int, numbers: range, pipe: int, tmp: Path) -> None:
    """Examine inputs; does not return."""
    code = 1
    try:
        _quieten(tmp)
        session = _Session(subject, items, seed, pipe, tmp)
        session.sound()
        for number in numbers:
            session.examine(number)
        code = 0
    except BrokenPipeError:
        code = 0
    except BaseException:  # noqa: BLE001  (whatever it is, this process ends here)
        (tmp / "stack.txt").write_text(traceback.format_exc())
    finally:
        os._exit(code)


def _quieten(tmp: Path) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    faulthandler.enable(open(tmp / "stack.txt", "w"))  # noqa: SIM115  (kept open)
    in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (in_use + ADDRESSES, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.environ["TMPDIR"] = tempfile.tempdir = str(tmp)
    logging.getLogger().handlers = [_Spelt()]
    gc.freeze()


class _Spelt(logging.Handler):
    """Has the message of each record made, and shows it to nobody."""

    def emit(self, record: logging.LogRecord) -> None:
        record.getMessage()


class _Session:
    """Examines inputs one after the other and tells the parent."""

    def __init__(self, subject: Subject, items: Sequence[Item], seed: int, pipe: int, tmp: Path) -> None:
        self._subject, self._items, self._seed, self._pipe = subject, items, seed, pipe
        self._folder, self._most = tmp / "in", 1e9

    def sound(self) -> None:
        """Examine sound inputs, twice: what is loaded or compiled once is none of their memory."""
        worst = 0.0
        for turn in range(2):
            for number in range(-1, -1 - len(self._items), -1):
                message = self.examine(number)
                if message["outcome"] != "opened" and not self._items[-1 - number].is_refused:
                    raise AssertionError(f"sound input {number}: {message}")
                worst = max(worst, message.get("mib", 0.0) if turn else 0.0)
        self._most = 1.5 * worst + SPARE_MIB

    def examine(self, number: int) -> dict[str, Any]:
        self._tell(number, "begin")
        self._folder.mkdir()
        try:
            path = item_of(self._subject, self._items, self._seed, number).write(self._folder)
            message = self._outcome(number, path)
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._tell(number, "end", **message)
        return message

    def _outcome(self, number: int, path: Path) -> dict[str, Any]:
        before = _start_of_memory()
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            try:
                opened = self._subject.examine(path, thrown(f"{self._subject.name} use", self._seed, number))
                message = {"outcome": "opened"}
            except GalmorphError as error:
                opened, message = None, _refusal(error)
            except Exception as error:  # noqa: BLE001  (each is a find)
                opened, message = None, _exception("exception", error)
        mib = _most_memory() - before
        if message["outcome"] != "find" and said:
            where = f"{said[0].filename.replace(PACKAGE, '')}:{said[0].lineno}"
            message = {"outcome": "find", "kind": f"warning {where}", "text": str(said[0].message)}
        if message["outcome"] != "find" and mib > self._most:
            text = f"{mib:.0f} MiB, at most {self._most:.0f}; {message}"
            message = {"outcome": "find", "kind": f"memory, {message['outcome']}", "text": text}
        if message["outcome"] == "opened":
            self._tell(number, "reference")
            message = self._compared(path, opened)
        return {**message, "mib": mib}

    def _compared(self, path: Path, opened: object) -> dict[str, Any]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                self._subject.compare(path, opened)
            except DifferenceError as error:
                return {"outcome": "find", "kind": f"difference: {str(error).partition(':')[0]}", "text": str(error)}
        return {"outcome": "opened"}

    def _tell(self, number: int, phase: str, **more: Any) -> None:
        os.write(self._pipe, json.dumps({"n": number, "phase": phase, **more}).encode()[:3500] + b"\n")


def _refusal(error: GalmorphError) -> dict[str, Any]:
    text = str(error)
    lines = len(text.splitlines())
    if not text or lines != 1 or len(text) > MOST_LETTERS:
        kind = f"{type(error).__name__} of {lines} lines{', too long' if len(text) > MOST_LETTERS else ''}"
        return {"outcome": "find", "kind": kind, "text": text[:2000]}
    if "out of memory" in text:
        return {**_exception("out of memory", error), "outcome": "find"}
    return {"outcome": "refused", "text": text[:300]}


def _exception(kind: str, error: BaseException) -> dict[str, Any]:
    frames = traceback.extract_tb(
        (error.__cause__ or error).__traceback__ if kind != "exception" else error.__traceback__
    )
    ours = [f for f in frames if "/galmorph/" in f.filename]
    place = f"{ours[-1].filename.replace(PACKAGE, '')}:{ours[-1].lineno}" if ours else "elsewhere"
    text = "".join(traceback.format_exception(error))
    return {"outcome": "find", "kind": f"{kind} {type(error).__name__} {place}", "text": text[-2500:]}


def _start_of_memory() -> float:
    """Begin to watch for the largest memory in use; return what is in use, MiB."""
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as stream:
        stream.write("5")
    return _status("VmRSS")


def _most_memory() -> float:
    return _status("VmHWM")


def _status(key: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) / 1024
    return 0.0
