"""Temporary files of the dead go away; those of the living, of others and of other machines stay."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

import pytest

from galmorph.sky import scratch
from galmorph.sky.scratch import mark, new_scratch_folder, scratch_file, scratch_folder, sweep

KILLED = """
import os, signal
from galmorph.sky.scratch import new_scratch_folder
folder = new_scratch_folder()
(folder / "image.fits").write_bytes(b"1")
(folder / "in").mkdir()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def leave(place) -> None:
    subprocess.run([sys.executable, "-c", KILLED], env={**os.environ, "TMPDIR": str(place)}, check=False)


def test_a_folder_goes_away_with_its_block(place):
    with scratch_folder() as folder:
        (folder / "a").write_text("")
        assert folder.parent == place
        assert folder.name.startswith(mark())
    assert not list(place.iterdir())


def test_a_file_has_no_name(place):
    with scratch_file() as file:
        file.write(b"pixels")
        assert not list(place.iterdir())


def test_the_next_run_removes_what_a_killed_one_left_and_nothing_of_the_living(place):
    leave(place)
    assert len(list(place.iterdir())) == 1
    first = new_scratch_folder()
    assert list(place.iterdir()) == [first]
    with scratch_folder():
        assert first.exists()
    assert list(place.iterdir()) == [first]


def test_a_killed_run_that_nobody_has_waited_for_is_dead(place):
    process = subprocess.Popen([sys.executable, "-c", KILLED], env={**os.environ, "TMPDIR": str(place)})
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    sweep(place)
    assert not list(place.iterdir())
    process.wait()


def test_what_belongs_to_others_stays(place, monkeypatch):
    leave(place)
    (left,) = place.iterdir()
    others = [
        place / left.name.replace(scratch._machine(), "0" * 12),
        place / "galmorph-mine",
        place / f"x{left.name}",
        place / f"galmorph-{scratch._machine()}-1-x-y",
    ]
    for path in others:
        path.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: 12345)
        sweep(place)
        assert left.exists()
    sweep(place)
    assert sorted(place.iterdir()) == sorted(others)


def test_a_link_with_such_a_name_costs_what_it_points_to_nothing(place):
    leave(place)
    (left,) = place.iterdir()
    (place / "mine").mkdir()
    (place / "mine" / "a").write_text("")
    (place / f"{left.name}2").symlink_to(place / "mine", target_is_directory=True)
    sweep(place)
    assert [p.name for p in place.rglob("*")] == ["mine", "a"]


def test_a_folder_that_is_not_there_or_closed_is_no_matter(place):
    sweep(place / "none")
