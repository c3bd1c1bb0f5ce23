"""Damage: bytes changed, whatever they mean."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from .dice import Dice

Damage = Callable[[Dice, bytes, Sequence[bytes]], bytes]

_SIZES = (
    0,
    1,
    2,
    7,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    2**63 - 1,
    2**64 - 1,
)
_BLOCKS = (1, 4, 16, 80, 512, 2880)


def bits(dice: Dice, content: bytes, others: Sequence[bytes]) -> bytes:
    """Turn a few bits over."""
    del others
    out = bytearray(content)
    for _ in range(dice.few(16)):
        out[dice.randrange(len(out))] ^= 1 << dice.randrange(8)
    return bytes(out)


def single(dice: Dice, content: bytes, others: Sequence[bytes]) -> bytes:
    """Put other bytes into a few places."""
    del others
    out = bytearray(content)
    for _ in range(dice.few(16)):
        out[dice.randrange(len(out))] = dice.choice((0, 1, 0x20, 0x22, 0x2C, 0x7F, 0x80, 0xFF, dice.randrange(256)))
    return bytes(out)


def sizes(dice: Dice, content: bytes, others: Sequence[bytes]) -> bytes:
    """Put a number of 1 to 8 bytes somewhere, as sizes and offsets are stored."""
    del others
    width = dice.choice("BHIQ")
    number = dice.choice(_SIZES) % (1 << 8 * struct.calcsize(width))
    return _put(content, dice.randrange(len(content)), struct.pack(dice.choice("<>") + width, number))


def _put(content: bytes, at: int, piece: bytes) -> bytes:
    return content[:at] + piece + content[at + len(piece) :]


def _range(dice: Dice, content: bytes) -> tuple[int, int]:
    step = dice.choice(_BLOCKS)
    start = dice.randrange(len(content)) // step * step
    return start, min(len(content), start + step * dice.few())


def removed(dice: Dice, content: bytes, others: Sequence[bytes]) -> bytes:
    """Leave a piece out."""
    del others
    start, stop = _range(dice, content)
    return content[:start] + content[stop:]


def repeated(dice: Dice, content: bytes, others: Sequence[bytes]) -> bytes:
    """Say a piece twice."""
    del others
    start, stop = _range(dice, content)
    return content[:stop] + content[start:stop] * dice.few(4) + content[stop:]


def filled(dice: Dice, content: bytes, others: Sequence[bytes]) -> bytes:
    """Fill a piece with one byte, or with noise."""
    del others
    start, stop = _range(dice, content)
    noise = dice.randbytes(stop - start)
    return _put(content, start, dice.choice((b"\0" * len(noise), b"\xff" * len(noise), b" " * len(noise), noise)))


def swapped(dice: Dice, content: bytes, others: Sequence[bytes]) -> bytes:
    """Exchange two blocks."""
    del others
    step = dice.choice(_BLOCKS)
    a, b = (dice.randrange(len(content)) // step * step for _ in range(2))
    first, second = content[a : a + step], content[b : b + step]
    return _put(_put(content, a, second), b, first)[: len(content)]


def cut(dice: Dice, content: bytes, others: Sequence[bytes]) -> bytes:
    """End too early."""
    del others
    step = dice.choice((1, 1, 80, 2880))
    return content[: dice.randrange(len(content) + 1) // step * step]


def extended(dice: Dice, content: bytes, others: Sequence[bytes]) -> bytes:
    """Go on after the end."""
    more = dice.choice((b"\0" * 2880, b" " * 2880, dice.randbytes(99), content, dice.other(others)))
    return content + more


def spliced(dice: Dice, content: bytes, others: Sequence[bytes]) -> bytes:
    """Put a piece of another file into this one, or go on as another."""
    other = dice.other(others) or b"\0"
    start, stop = _range(dice, other)
    at = dice.randrange(len(content)) if dice.one_in(2) else min(start, len(content))
    if dice.one_in(3):
        return content[:at] + other[start:]
    return _put(content, at, other[start:stop])


ANY: tuple[Damage, ...] = (bits, bits, single, sizes, removed, repeated, filled, swapped, cut, extended, spliced)


def damaged(dice: Dice, content: bytes, others: Sequence[bytes], ways: Sequence[Damage] = ANY) -> bytes:
    """Damage bytes in one or a few ways."""
    for _ in range(dice.few(4)):
        content = dice.choice(ways)(dice, content or b"\0", others)
    return content
