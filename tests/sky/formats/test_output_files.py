"""Output files: none replaces what it should not, and what killed runs leave goes away."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from galmorph.errors import OutputError
from galmorph.sky.formats.atomic import alone_in, check_target, replacing
from galmorph.sky.scratch import mark


def test_the_second_of_two_writers_is_told(tmp_path):
    target = tmp_path / "out.csv"

    def write_late():
        with replacing(target, overwrite=False) as mine:
            mine.write_text("mine")
            target.write_text("of somebody else")

    with pytest.raises(OutputError, match="exists already"):
        write_late()
    assert target.read_text() == "of somebody else"
    assert list(tmp_path.iterdir()) == [target]


def test_a_new_file_is_made_without_overwriting(tmp_path):
    with replacing(tmp_path / "out.csv", overwrite=False) as mine:
        mine.write_text("mine")
    assert (tmp_path / "out.csv").read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 1


def test_whoever_has_the_old_output_open_reads_on_and_its_permissions_stay(tmp_path):
    target = tmp_path / "out.csv"
    target.write_text("old")
    target.chmod(0o640)
    with target.open() as reader:
        with replacing(target) as mine:
            mine.write_text("new")
        assert reader.read() == "old"
    assert target.read_text() == "new"
    assert target.stat().st_mode & 0o777 == 0o640


def test_a_pipe_or_a_loop_of_links_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    (tmp_path / "link.csv").symlink_to("pipe.csv")
    for name in ("pipe.csv", "link.csv", "loop.csv"):
        with pytest.raises(OutputError, match="expected a file"):
            check_target(tmp_path / name)


def test_what_a_killed_run_left_is_removed_and_nothing_of_the_living_or_of_other_hosts(tmp_path):
    script = (
        "import os, signal, sys; from pathlib import Path; from galmorph.sky.formats.atomic import replacing\n"
        "with replacing(Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "out.csv")], check=False)
    assert len(list(tmp_path.iterdir())) == 1
    other = tmp_path / ".galmorph-elsewhere-1-1-abc-out.csv"
    other.write_text("")
    with replacing(tmp_path / "out.csv"):
        check_target(tmp_path / "two.csv")
        mine = tmp_path.glob(f".{mark()}*")
        assert len(list(mine)) == 1
        assert len(list(tmp_path.iterdir())) == 2
    assert sorted(tmp_path.iterdir()) == [other, tmp_path / "out.csv"]


def test_without_hard_links_the_second_writer_is_told_too(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(os, "link", refuse)
    target = tmp_path / "out.csv"
    with replacing(target, overwrite=False) as mine:
        mine.write_text("mine")
    assert target.read_text() == "mine"
    with pytest.raises(OutputError, match="exists already"), replacing(target, overwrite=False) as mine:
        mine.write_text("of somebody else")
    assert target.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [target]


def test_a_name_is_absent_or_its_file_whole(tmp_path, monkeypatch):
    """A kill at the worst moment, between the file's name and the end: no empty file is ever under it."""
    link, sizes = os.link, []

    def watched(source, target, **more):
        sizes.append(Path(target).exists())
        link(source, target, **more)
        sizes.append(Path(target).stat().st_size)

    monkeypatch.setattr(os, "link", watched)
    with replacing(tmp_path / "out.csv", overwrite=False) as mine:
        mine.write_text("mine")
    assert sizes == [False, 4]


@pytest.mark.parametrize(
    "name", ["a[1].fits", "100%.fits", "a:b.fits", "ä β 👍.fits", "-o.fits", "x" * 240 + ".fits", "\n.csv"]
)
def test_odd_names_are_names(tmp_path, name):
    check_target(tmp_path / name)
    with replacing(tmp_path / name, overwrite=False) as mine:
        mine.write_text("mine")
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("name", "words"),
    [("-", "expected the name of a file"), ("x" * 300 + ".fits", "too long"), ("none/out.fits", "does not exist")],
)
def test_what_is_no_name_is_refused_in_one_line(tmp_path, name, words):
    with pytest.raises(OutputError, match=words) as caught:
        check_target(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_one_at_a_time_writes_what_belongs_together(tmp_path):
    with alone_in(tmp_path), pytest.raises(OutputError, match="another run"), alone_in(tmp_path):
        pass
    with alone_in(tmp_path):
        assert not list(tmp_path.iterdir())
