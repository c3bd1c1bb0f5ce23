"""Dice: random choices that a class, a seed and a number repeat."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

NUMBERS = tuple(
    """
    0 1 -1 2 3 7 8 16 32 64 255 256 999 1000 32767 -32768 65535 100000 2147483647 -2147483648 4294967296
    9223372036854775807 -9223372036854775808 18446744073709551616 1e5 1e30 -1e30 1e308 1e400 1e-300 -0.0 0.5 nan inf
    -inf NaN 1.5D3 0x10 1_000 00012 +5 1,5 .
    """.split()  # noqa: SIM905  (a list of them would fill a page)
)
WORDS = tuple(
    """
    ra dec RA DEC id x y X_IMAGE deg hour furlong Jy nonsense None null true false T F SCI WHT RICE_1 GZIP_1 RA---TAN
    DEC--TAN RA---SIP RA---TPV GLON-CAR FREQ FK4 FK5 ICRS galaxy utf-8 utf-16 rot13 float64 int32 object string bool
    char pos.eq.ra;meta.main phot.mag ../../etc/passwd http://localhost/x file:///dev/zero /dev/zero a
    """.split()  # noqa: SIM905
)
ODD = ("", " ", "\t", "\n", "\0", "#", '"', "'", "\\", "<", "&", "&amp;", "]]>", "é", "α", "\ufeff", "\u202e", "{", "[")


class Dice(random.Random):
    """A source of random choices."""

    def one_in(self, n: int) -> bool:
        return self.randrange(n) == 0

    def few(self, most: int = 8) -> int:
        """A number from 1, small ones more often."""
        return min(most, 1 + int(self.expovariate(0.8)))

    def value(self) -> str:
        """Something that may stand where a value does."""
        which = self.randrange(8)
        if which < 4:
            return self.choice(NUMBERS)
        if which < 6:
            return self.choice(WORDS)
        if which == 6:
            return self.choice(ODD)
        return self.choice(("9", "a", "(", "[", "é", "-", "1 ")) * self.choice((9, 70, 300, 5000))

    def other(self, things: Sequence[T]) -> T:
        return things[self.randrange(len(things))]


def thrown(what: str, seed: int, number: int) -> Dice:
    """The dice of one input."""
    return Dice(f"{what}/{seed}/{number}")
