"""Compilation: loops over pixels and rings that numba turns into machine code, once on each machine.

The machine code is kept in a folder of its own (in ``NUMBA_CACHE_DIR``, or the user's cache folder) named after the
text of all modules here and the releases of what compiled it. Numba itself looks at one module at a time, and would not
notice that a function which another one calls has changed; it would compile anew for each copy of the same modules; and
environments with other releases of it cannot read each other's code. When such a folder is new, those of other versions
that no process has used for a day are removed. Where nothing can be written, or others might write (what is loaded is
run), each process compiles anew.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from types import FrameType
from typing import Any, Self, TypeVar

import llvmlite
import llvmlite.binding as llvm
import numba
from numba.core.caching import CompileResultCacheImpl, FunctionCache
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from platformdirs import user_cache_dir

__all__ = ["cache_folder", "compiled", "inner", "inner_sum", "uninterrupted"]

F = TypeVar("F", bound=Callable[..., Any])
_NAMED = "compiled-"
# A day: who starts a process so often finds its machine code again, and old versions do not pile up.
_UNUSED_S = 86400.0
# Later releases of numba may finish a library in another way; all that they compile takes longer then.
_NEWEST = (0, 68)
# Set while a block keeps signals back: asking for their handler takes as long as cutting a frame.
_waiting = threading.Event()


def compiled(function: F) -> F:
    """Compile a function of numbers, arrays and named tuples of them when it is first called.

    Divisions by zero give infinities and NaN, as in numpy, and rounding is that of the source. Other threads, such as
    that of a network, go on meanwhile.
    """
    dispatcher = numba.njit(error_model="numpy", nogil=True)(function)
    if cache_folder() is not None:
        dispatcher._cache = _Kept(function)  # noqa: SLF001 - of numba's own options none leaves out the path
    machine_code: F = dispatcher
    return machine_code


def inner(function: F) -> F:
    """Compile a function that compiled functions alone may call, in a fraction of the time."""
    machine_code: F = numba.njit(
        error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, pipeline_class=_compiler_of_inner()
    )(function)
    return machine_code


def inner_sum(function: F) -> F:
    """Compile an inner function whose sums may be added in any order, several terms at a time."""
    machine_code: F = numba.njit(
        error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, fastmath={"reassoc", "contract"}
    )(function)
    return machine_code


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let Ctrl-C wait until the block ends: numba does not survive one while it loads code or makes a named tuple.

    Whoever handles it then is who would have handled it at once: Python, with a KeyboardInterrupt (whose context is the
    error, if the block ended with one), a handler of the caller's own, or the block around this one.
    """
    is_main = threading.current_thread() is threading.main_thread()
    handler = None if _waiting.is_set() or not is_main else signal.getsignal(signal.SIGINT)
    if not callable(handler):
        # Within another block; in a thread to which no signals come; or what is ignored, or ends the process.
        yield
        return
    signals: list[tuple[int, FrameType | None]] = []

    def remember(number: int, frame: FrameType | None) -> None:
        signals.append((number, frame))

    signal.signal(signal.SIGINT, remember)
    try:
        # Set and cleared while nothing is raised by a signal, so that it is never left behind.
        _waiting.set()
        yield
    finally:
        _waiting.clear()
        replaced = signal.signal(signal.SIGINT, handler)
        if replaced is not remember:
            # The block itself has set another: that one stays.
            signal.signal(signal.SIGINT, replaced)
        for number, frame in signals:
            handler(number, frame)


@lru_cache(maxsize=1)
def cache_folder() -> Path | None:
    """Return where machine code is kept; None where nothing can be written, or others than the user might."""
    text = hashlib.sha256(f"numba {numba.__version__}, llvmlite {llvmlite.__version__}".encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        text.update(path.read_bytes())
    base = Path(numba.config.CACHE_DIR or user_cache_dir("galmorph"))
    folder = base / f"{_NAMED}{text.hexdigest()[:16]}"
    is_new = not folder.exists()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        if not _is_private(folder):
            return None
        os.utime(folder)  # says that it is in use
    except OSError:
        return None
    if is_new:
        _remove_unused(base, folder)
    return folder


def _is_private(folder: Path) -> bool:
    """Tell whether the user, or the system's, alone may write into a folder."""
    status = folder.stat()
    return not hasattr(os, "getuid") or (status.st_uid in (0, os.getuid()) and not status.st_mode & 0o022)


def _remove_unused(base: Path, kept: Path) -> None:
    """Remove the folders of other versions that no process has used for a day.

    Other processes may do the same at the same time. One that runs since more than a day and whose folder goes does not
    need it: it has loaded its functions, and makes the folder again if it compiles another.
    """
    for folder in base.glob(f"{_NAMED}{'[0-9a-f]' * 16}"):
        if folder != kept and time.time() - _last_use(folder) > _UNUSED_S:
            shutil.rmtree(folder, ignore_errors=True)


def _last_use(folder: Path) -> float:
    """Return the time, in seconds, when a process last started with a folder or wrote into it; now if it is going."""
    try:
        return max(path.stat().st_mtime for path in (folder, *folder.rglob("*")))
    except OSError:
        return time.time()


class _CodePlace:
    """Where numba keeps the machine code of a function: in our folder, wherever the modules lie.

    Another copy of the same modules, a second checkout say, has the same machine code.
    """

    def __init__(self, function: Callable[..., Any], file: str) -> None:
        self._py_file, self._line = file, function.__code__.co_firstlineno

    @classmethod
    def from_function(cls, function: Callable[..., Any], file: str) -> Self:
        """Return the place for a function of a file."""
        return cls(function, file)

    def get_cache_path(self) -> str:
        """Return the folder."""
        return str(cache_folder())

    def ensure_cache_path(self) -> None:
        """Make the folder, if it went away meanwhile."""
        Path(self.get_cache_path()).mkdir(mode=0o700, parents=True, exist_ok=True)

    def get_source_stamp(self) -> str:
        """Return the text of the modules in short, which the folder is named after."""
        return Path(self.get_cache_path()).name

    def get_disambiguator(self) -> str:
        """Tell functions of one name apart."""
        return str(self._line)


class _KeptResult(CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes = (_CodePlace,)


class _Kept(FunctionCache):  # type: ignore[misc]
    _impl_class = _KeptResult

    def save_overload(self, signature: Any, result: Any) -> None:
        """Keep machine code where there is room for it; without, other processes compile anew."""
        with suppress(OSError):  # which would be taken for an image that cannot be read
            super().save_overload(signature, result)


class _InnerLibrary(JITCodeLibrary):  # type: ignore[misc]
    """Code that is optimised, and made machine code of, as part of what calls it alone.

    Otherwise numba does both for each function first, and all that it calls, again on each level of calls.
    """

    def get_pointer_to_function(self, _name: str) -> int:
        """Return 0: there is none in memory."""
        self._ensure_finalized()
        return 0

    def _optimize_final_module(self) -> None:
        """Leave that to what calls it."""

    def _finalize_final_module(self) -> None:
        """Put into memory the variables alone that numba wants to set: those in which functions find their globals."""
        self._finalize_dynamic_globals()
        names = [each.name for each in self._final_module.global_variables if each.name.startswith("_ZN08NumbaEnv")]
        variables = llvm.parse_assembly("\n".join(f'@"{name}" = common global i64 0' for name in names))
        variables.triple, variables.data_layout = self._final_module.triple, self._final_module.data_layout
        self._codegen._add_module(variables)  # noqa: SLF001 - as numba does with whole libraries
        self._codegen._engine.finalize_object()  # noqa: SLF001
        self._finalized = True


class _InnerCompiler(Compiler):  # type: ignore[misc]
    """Numba's compiler, whose code goes into an inner library unless the caller has another."""

    def __init__(self, typing: Any, target: Any, library: Any, *rest: Any) -> None:
        super().__init__(typing, target, library or _InnerLibrary(target.codegen(), "inner"), *rest)


def _compiler_of_inner() -> type[Compiler]:
    """Return what compiles inner functions: numba's own, but for releases whose libraries are as ours expects them."""
    return _InnerCompiler if (0, 61) <= numba.version_info[:2] <= _NEWEST else Compiler
