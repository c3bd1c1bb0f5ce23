"""BinaryRows: the rows of a VOTable's binary stream, walked by their lengths (VOTable 1.4, sections 5.3, 5.4 and 6).

astropy stops without a word where a stream ends inside a row. Here nothing is made of the cells: their lengths alone
tell whether the last row is whole.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["BinaryField", "bytes_left_over"]

_BYTES = {
    "boolean": 1, "unsignedByte": 1, "short": 2, "int": 4, "long": 8, "char": 1, "unicodeChar": 2,
    "float": 4, "double": 8, "floatComplex": 8, "doubleComplex": 16,
}  # fmt: skip
_SIDES = re.compile(r"(?:\d{1,9}x)*\d{1,9}")
_LENGTH = 4


@dataclass(frozen=True)
class BinaryField:
    """Type and shape of a field.

    Parameters
    ----------
    datatype, arraysize
        As the document has them; an arraysize of '' is one value.
    """

    datatype: str
    arraysize: str = ""

    @property
    def size(self) -> int | None:
        """Bytes of a cell; None where each cell tells its own length."""
        if "*" in self.arraysize:
            return None
        count = math.prod(map(int, self.arraysize.split("x"))) if self.arraysize else 1
        return -(-count // 8) if self.datatype == "bit" else count * _BYTES[self.datatype]

    @property
    def is_doubtful(self) -> bool:
        """Whether a cell tells a length that is of numbers to STILTS, as the standard has it, of rows to astropy."""
        return "x" in self.arraysize and "*" in self.arraysize and self.datatype not in ("char", "unicodeChar")

    @property
    def is_plain(self) -> bool:
        """Whether the standard leaves no doubt about the length of a cell."""
        if self.datatype == "bit":
            return _SIDES.fullmatch(self.arraysize or "1") is not None
        variable = re.fullmatch(r"\d{0,9}\*", self.arraysize) is not None
        return self.datatype in _BYTES and (variable or _SIDES.fullmatch(self.arraysize or "1") is not None)


def bytes_left_over(data: bytes, fields: Sequence[BinaryField], *, null_bits: bool) -> tuple[int, int]:
    """Count the whole rows of a stream, and the bytes after the last of them.

    Parameters
    ----------
    null_bits
        Whether each row begins with a bit for each field, as in BINARY2.

    Returns
    -------
    Rows, and bytes that are part of one more; 0 and 0 where the fields leave doubt.

    Examples
    --------
    >>> bytes_left_over(bytes(21), [BinaryField("double"), BinaryField("short")], null_bits=False)
    (2, 1)
    """
    if not fields or not all(field.is_plain for field in fields):
        return 0, 0
    before = -(-len(fields) // 8) if null_bits else 0
    sizes = [(field.size, _BYTES.get(field.datatype, 1)) for field in fields]
    if all(size is not None for size, _ in sizes):
        row = before + sum(size or 0 for size, _ in sizes)
        return divmod(len(data), row) if row else (0, 0)
    return _walked(data, sizes, before)


def _walked(data: bytes, sizes: Sequence[tuple[int | None, int]], before: int) -> tuple[int, int]:
    rows = at = 0
    while at < len(data):
        start = at
        at += before
        for size, of_item in sizes:
            told = int.from_bytes(data[at : at + _LENGTH], "big") * of_item + _LENGTH if size is None else size
            at += told
        if at > len(data):
            return rows, len(data) - start
        rows += 1
    return rows, 0
