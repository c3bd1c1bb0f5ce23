"""Boundary: whatever a reader raises becomes one error of ours, in one line."""

from __future__ import annotations

import struct

import pytest

from galmorph.errors import CatalogError, ImageError
from galmorph.sky.boundary import boundary, reason_of


class UnheardError(Exception):
    """An error class of some library."""


def image_error(reason):
    return ImageError(f"image 'a' cannot be read ({reason}): fetch it again")


@pytest.mark.parametrize(
    "error", [UnheardError("odd\ncards"), struct.error("short"), MemoryError(), RecursionError("deep")]
)
def test_any_exception_becomes_ours_in_one_line(error):
    with pytest.raises(ImageError, match=r"image .* cannot be read") as raised, boundary(image_error):
        raise error
    assert "\n" not in str(raised.value)
    assert raised.value.__cause__ is error


def test_our_own_errors_pass():
    ours = CatalogError("no positions")
    with pytest.raises(CatalogError) as raised, boundary(image_error):
        raise ours
    assert raised.value is ours


def test_interruption_passes():
    with pytest.raises(KeyboardInterrupt), boundary(image_error):
        raise KeyboardInterrupt


def test_a_reason_is_short_and_never_empty():
    assert len(reason_of(ValueError("x" * 10_000))) == 200
    assert reason_of(UnheardError()) == "UnheardError"
    assert reason_of(MemoryError()) == "out of memory"
