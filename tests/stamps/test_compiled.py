"""Compiled code: kept where it can be, not asked for where nothing is measured, and as exact as plain Python."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import galmorph
from galmorph.stamps.background import _ordered
from galmorph.stamps.compiled import cache_folder, compiled, inner, uninterrupted
from galmorph.stamps.petrosian import crossings
from galmorph.stamps.rings import interpolated

SMALL = """
import numpy as np
from galmorph.stamps.petrosian import crossings
print(crossings(np.array([1.0, 2.0]), np.array([0.4, 0.1]))[0])
"""


def python(code: str, **environment: str) -> str:
    """Run code in a process of its own; return what it prints."""
    known = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    known |= {"PYTHONPATH": str(Path(galmorph.__file__).parents[1]), **environment}
    done = subprocess.run([sys.executable, "-c", code], env=known, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.parametrize("variable", ["XDG_CACHE_HOME", "NUMBA_CACHE_DIR"])
def test_machine_code_is_kept_in_the_folder_that_is_asked_for(tmp_path, variable):
    """The user's cache folder, or numba's own variable; nothing is written beside the source."""
    if variable == "XDG_CACHE_HOME" and not sys.platform.startswith("linux"):
        pytest.skip("other systems keep their caches elsewhere")
    source = Path(galmorph.__file__).parent / "stamps"
    before = set(source.rglob("*.nbi"))
    assert float(python(SMALL, **{variable: str(tmp_path)})) == pytest.approx(5 / 3)
    assert list(tmp_path.rglob("petrosian.crossings*.nbc"))
    assert set(source.rglob("*.nbi")) == before


def test_another_copy_of_the_modules_has_the_same_machine_code(tmp_path):
    """A second checkout compiles nothing: what it reads is what the first one wrote."""
    copy, code = tmp_path / "copy", tmp_path / "code"
    shutil.copytree(Path(galmorph.__file__).parent, copy / "galmorph", ignore=shutil.ignore_patterns("__pycache__"))
    python(SMALL, NUMBA_CACHE_DIR=str(code))
    before = {path: path.stat().st_mtime_ns for path in code.rglob("*.nb?")}
    again = f"{SMALL}\nprint(*crossings.stats.cache_hits.values())"
    assert python(again, NUMBA_CACHE_DIR=str(code), PYTHONPATH=str(copy)).split()[1:] == ["1"]
    assert before == {path: path.stat().st_mtime_ns for path in code.rglob("*.nb?")}


def test_machine_code_that_others_might_write_is_not_run(tmp_path):
    """In a folder that is anybody's, the process compiles for itself."""
    where = "from galmorph.stamps.compiled import cache_folder; print(cache_folder())"
    folder = Path(python(where, NUMBA_CACHE_DIR=str(tmp_path)).strip())
    assert folder.stat().st_mode & 0o077 == 0
    folder.chmod(0o777)
    assert python(where, NUMBA_CACHE_DIR=str(tmp_path)).strip() == "None"


@inner
def halved(n):
    if n < 0:
        raise ValueError("less than nothing")
    return np.empty(n).size // 2


@inner
def quartered(n):
    return halved(halved(n))


@compiled
def sixteenth(n):
    return quartered(quartered(n))


def test_inner_functions_raise_through_what_calls_them():
    assert sixteenth(160) == 10
    with pytest.raises(ValueError, match="less than nothing"):
        sixteenth(-1)


def test_where_nothing_can_be_written_it_works_all_the_same(tmp_path):
    """A cache folder below a plain file cannot be made: the process compiles for itself."""
    (tmp_path / "file").write_text("")
    assert float(python(SMALL, NUMBA_CACHE_DIR=str(tmp_path / "file" / "below"))) == pytest.approx(5 / 3)


def test_a_full_disk_leaves_it_working(tmp_path):
    """Nothing is kept then, and nothing else fails: a run took that for images that cannot be read."""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64)); "
    assert float(python(limit + SMALL, NUMBA_CACHE_DIR=str(tmp_path))) == pytest.approx(5 / 3)


def test_the_folder_is_named_after_the_text_of_the_modules():
    """Two calls agree, and the name is that of this package's text."""
    folder = cache_folder()
    assert folder is None or folder.name.startswith("compiled-")
    assert cache_folder() == folder


@pytest.mark.parametrize("library", ["numba", "llvmlite"])
def test_other_releases_of_the_compiler_have_a_folder_of_their_own(tmp_path, library):
    """None reads the machine code of another, and a user may have several environments."""
    name = "from galmorph.stamps.compiled import cache_folder; print(cache_folder().name)"
    other = f"import numba, llvmlite; {library}.__version__ = '0.1'; {name}"
    assert python(name, NUMBA_CACHE_DIR=str(tmp_path)) != python(other, NUMBA_CACHE_DIR=str(tmp_path))


def left_by_another_version(base: Path, digit: str, *, started_s: float, wrote_s: float) -> Path:
    """Make a folder of machine code that was so long ago used by a process, and written into."""
    folder = base / f"compiled-{digit * 16}"
    code = folder / "stamps_1" / "petrosian.nbi"
    code.parent.mkdir(parents=True)
    code.write_bytes(b"code")
    for path, ago in ((code, wrote_s), (code.parent, wrote_s), (folder, started_s)):
        os.utime(path, (time.time() - ago,) * 2)
    return folder


def test_a_new_folder_replaces_those_that_nobody_has_used_for_a_day(tmp_path):
    """Folders in use, and what is not ours, stay; where the folder is there already, nothing is removed."""
    day = 86400.0
    unused = left_by_another_version(tmp_path, "a", started_s=2 * day, wrote_s=3 * day)
    started = left_by_another_version(tmp_path, "b", started_s=0.9 * day, wrote_s=3 * day)
    written = left_by_another_version(tmp_path, "c", started_s=2 * day, wrote_s=0.9 * day)
    foreign = left_by_another_version(tmp_path, "x", started_s=9 * day, wrote_s=9 * day)
    plain = tmp_path / f"compiled-{'d' * 16}"
    plain.symlink_to(foreign)
    where = "from galmorph.stamps.compiled import cache_folder; print(cache_folder())"
    folder = Path(python(where, NUMBA_CACHE_DIR=str(tmp_path)).strip())
    assert not unused.exists()
    assert all(path.exists() for path in (started, written, foreign, plain))
    os.utime(folder, (0.0, 0.0))
    unused = left_by_another_version(tmp_path, "a", started_s=2 * day, wrote_s=3 * day)
    assert python(where, NUMBA_CACHE_DIR=str(tmp_path)).strip() == str(folder)
    assert unused.exists()
    assert time.time() - folder.stat().st_mtime < day


def test_several_processes_may_clear_at_once(tmp_path):
    """All of them measure, and one folder is left."""
    for number in range(10):
        left_by_another_version(tmp_path, f"{number}", started_s=1e6, wrote_s=1e6)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _: float(python(SMALL, NUMBA_CACHE_DIR=str(tmp_path))), range(2)))
    assert found == pytest.approx([5 / 3] * 2)
    assert len(list(tmp_path.glob("compiled-*"))) == 1


def test_commands_that_measure_nothing_do_not_import_numba():
    """The help comes at once; one process runs all of them, and says after which numba is there."""
    code = """
import contextlib, sys
from galmorph.cli import main
for command in (["--help"], ["list", "surveys"], ["show", "candels"]):
    with contextlib.suppress(SystemExit):
        main(command)
    print("", command[0], "numba" in sys.modules)
"""
    lines = python(code).splitlines()
    assert [line for line in lines if line.endswith(("False", "True"))] == [
        " --help False",
        " list False",
        " show False",
    ]


def test_compiled_functions_are_what_their_source_says():
    """The machine code and the Python that it was made from give the same numbers."""
    rng = np.random.default_rng(1)
    radius, ratio = np.linspace(1.0, 9.0, 200), rng.uniform(0.0, 0.4, 200)
    np.testing.assert_array_equal(crossings(radius, ratio), crossings.py_func(radius, ratio))


def test_interpolation_is_that_of_numpy():
    """Between points, on them, beyond them, and where several share an x."""
    x, y = np.array([0.0, 1.0, 1.0, 2.5, 4.0]), np.array([3.0, 1.0, 2.0, 2.0, 7.0])
    for at in (-1.0, 0.0, 0.3, 1.0, 1.7, 4.0, 9.0):
        assert interpolated.py_func(at, x, y) == pytest.approx(np.interp(at, x, y))


@pytest.mark.parametrize("every", [1, 3])
def test_sorting_by_bits_is_sorting(every):
    """Negative, tiny, equal and infinite values come in the order that numpy gives them."""
    rng = np.random.default_rng(2)
    size = 10.0 ** rng.uniform(-44.0, 38.0, 200)
    values = np.concatenate([rng.choice([-1.0, 1.0], 200) * size, [0.0, 1.0, 1.0, -1.0, -1.0, np.inf, -np.inf]])
    values = rng.permutation(values).astype(np.float32)
    np.testing.assert_array_equal(_ordered.py_func(values, every), np.sort(values[::every]))


@pytest.fixture
def handled_by():
    """Install a handler of Ctrl-C for one test."""
    before = signal.getsignal(signal.SIGINT)
    yield lambda handler: signal.signal(signal.SIGINT, handler)
    signal.signal(signal.SIGINT, before)


def interrupt(times: int = 1, error: Exception | None = None):
    """Press Ctrl-C, and fail if there is an error to fail with."""
    for _ in range(times):
        os.kill(os.getpid(), signal.SIGINT)
    if error is not None:
        raise error


def test_an_interrupt_waits_until_the_measuring_ends(handled_by):
    """Inside compiled code it would end the process; it arrives, once, and the handler is as it was."""
    steps = []

    @uninterrupted()
    def interrupted_in_the_middle():
        steps.append("before")
        interrupt()
        steps.append("after")

    handled_by(signal.default_int_handler)
    with pytest.raises(KeyboardInterrupt):
        interrupted_in_the_middle()
    assert steps == ["before", "after"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_is_not_lost_where_the_measuring_fails(handled_by):
    """It arrives instead of the error, which is its context; without one the error comes as it is."""
    handled_by(signal.default_int_handler)
    error = ZeroDivisionError("of the block")
    with pytest.raises(KeyboardInterrupt) as caught, uninterrupted():
        interrupt(error=error)
    assert caught.value.__context__ is error
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(ZeroDivisionError) as alone, uninterrupted():
        raise error
    assert alone.value is error
    assert alone.value.__context__ is None


def test_two_interrupts_are_one(handled_by):
    """Whoever is impatient ends the program once, and what follows is not interrupted."""
    handled_by(signal.default_int_handler)
    with pytest.raises(KeyboardInterrupt), uninterrupted():
        interrupt(times=2)
    with uninterrupted():
        pass


def test_blocks_may_be_nested(handled_by):
    """An inner block hands an interrupt on to the outer one; nothing comes before that ends."""
    handled_by(signal.default_int_handler)
    steps = []

    @uninterrupted()
    def outer():
        with uninterrupted():
            interrupt()
            steps.append("inner")
        steps.append("outer")

    with pytest.raises(KeyboardInterrupt):
        outer()
    assert steps == ["inner", "outer"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_handler_of_the_callers_own_is_called_when_the_measuring_ends(handled_by):
    """It would disturb compiled code as well if it raises: it waits, is told of every signal, and stays installed."""
    heard = []

    def listen(number, frame):
        heard.append((number, frame.f_code.co_name))

    handled_by(listen)
    with uninterrupted():
        interrupt(times=2)
        assert heard == []
    assert heard == [(signal.SIGINT, "interrupt")] * 2
    assert signal.getsignal(signal.SIGINT) is listen


def test_what_a_handler_raises_arrives(handled_by):
    """A handler of the caller's own may end the work with an error of its own."""

    def stop(*_):
        raise StopAsyncIteration

    handled_by(stop)
    with pytest.raises(StopAsyncIteration), uninterrupted():
        interrupt()
    assert signal.getsignal(signal.SIGINT) is stop


def test_a_handler_that_is_set_meanwhile_stays(handled_by):
    """Only what the block replaced is put back."""
    handled_by(signal.default_int_handler)
    with uninterrupted():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_a_block_that_was_interrupted_leaves_the_next_one_as_safe(handled_by):
    """Nothing of it is left: in the next block an interrupt waits again."""
    handled_by(signal.default_int_handler)
    steps = []

    @uninterrupted()
    def interrupted(error: Exception | None = None):
        interrupt(error=error)
        steps.append("after")

    for error in (None, ZeroDivisionError()):
        with pytest.raises(KeyboardInterrupt):
            interrupted(error)
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert steps == ["after", "after"]


@pytest.mark.parametrize("handler", [signal.SIG_IGN, signal.SIG_DFL])
def test_an_interrupt_that_python_does_not_handle_is_left_to_the_system(handled_by, handler):
    """A process that ignores Ctrl-C, as one started in the background does, goes on ignoring it."""
    handled_by(handler)
    with uninterrupted():
        assert signal.getsignal(signal.SIGINT) is handler


def test_other_threads_do_not_touch_the_handler(handled_by):
    """Signals come to the main thread alone, and only it may set their handlers."""
    handled_by(signal.default_int_handler)

    @uninterrupted()
    def handler():
        return signal.getsignal(signal.SIGINT)

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(handler).result() is signal.default_int_handler
