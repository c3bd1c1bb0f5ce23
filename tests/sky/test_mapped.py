"""Arrays in files hold what is put into them, whoever forgets them, and leave nothing behind."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest

from galmorph.errors import OutputError
from galmorph.sky import mapped
from galmorph.sky.mapped import forget, is_mapped, mapped_file, new_arrays

KINDS = [(np.dtype("f4"), ()), (np.dtype("U3"), ()), (np.dtype("f8"), (2,)), (np.dtype("f8"), (0,))]
pytestmark = pytest.mark.skipif(os.name != "posix", reason="everything is in memory there")


@pytest.fixture
def arrays(monkeypatch, tmp_path):
    monkeypatch.setattr(mapped, "SMALL_BYTES", 1)
    return new_arrays(KINDS, 1000, tmp_path)


def test_arrays_in_a_file_hold_what_is_put_into_them_when_they_were_forgotten(arrays):
    for array in arrays:
        array[...] = np.arange(array.size).reshape(array.shape).astype(array.dtype)
    forget(arrays)
    assert [(a.dtype, a.shape) for a in arrays] == [(kind, (1000, *shape)) for kind, shape in KINDS]
    assert (arrays[0][-1], arrays[1][-1], arrays[2][-1].tolist()) == (999.0, "999", [1998.0, 1999.0])


def test_they_and_their_pieces_are_told_from_those_in_memory(arrays):
    assert is_mapped(arrays[0][5:])
    assert not is_mapped(arrays[0] + 1)


def test_their_file_has_no_name(arrays, tmp_path):
    assert len(arrays[0]) == 1000
    assert list(tmp_path.iterdir()) == []


def test_small_arrays_and_those_without_a_folder_are_in_memory(monkeypatch, tmp_path):
    monkeypatch.setattr(mapped, "SMALL_BYTES", 1000)
    small, homeless = new_arrays(KINDS[:1], 24, tmp_path), new_arrays(KINDS[:1], 10**3, None)
    assert [is_mapped(*made) for made in (small, homeless)] == [False, False]


def test_a_full_disk_is_said_before_anything_is_put_there(monkeypatch, tmp_path):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(mapped, "_make_room", full)
    with pytest.raises(OutputError, match=r"no room for 32 MB of results \(No space left on device\): free space"):
        new_arrays(KINDS[:1], 1 << 23, tmp_path)


def test_what_is_written_to_a_mapped_file_stays_in_this_process(tmp_path):
    path = tmp_path / "numbers"
    path.write_bytes(bytes(16))
    with path.open("rb") as stream:
        view = np.ndarray(16, np.uint8, mapped_file(stream))
    view[0] = 5
    assert (view[0], path.read_bytes()[0]) == (5, 0)
    forget([view])
    assert view[0] == 0


def test_the_room_is_set_aside(tmp_path):
    handle = os.open(tmp_path / "room", os.O_RDWR | os.O_CREAT)
    mapped._make_room(handle, 1 << 16)
    os.close(handle)
    assert (tmp_path / "room").stat().st_size == 1 << 16
