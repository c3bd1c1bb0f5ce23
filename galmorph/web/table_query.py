"""TableQuery: which rows of a store a page shows, as its address says: a permalink."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, urlencode

from galmorph.flags import Flag
from galmorph.store.browsing import ORDERS, RowFilter, RowOrder

__all__ = ["SORTS", "TableQuery", "galaxy_address"]

SORTS = {
    "number": "as added",
    "-number": "newest first",
    "id": "id",
    "class": "class",
    "-confidence": "most probable first",
    "confidence": "least probable first",
    "-entropy": "most uncertain first",
    "-doubts": "most doubtful first",
}
"""What a table is sorted by; with a minus sign downwards."""
_LONGEST = 200
_PLAIN = re.compile(r"[\w+:~-][\w.+:~ -]*", re.ASCII)
_LAST_PAGE = 1_000_000


def galaxy_address(id: str, query: str = "") -> str:
    """Return the address of a galaxy; ids that are no part of a path go into the query.

    Examples
    --------
    >>> galaxy_address("J1234+56")
    '/galaxies/J1234%2B56'
    >>> galaxy_address("../x")
    '/galaxy?id=..%2Fx'
    """
    if _PLAIN.fullmatch(id):
        return f"/galaxies/{quote(id, safe='')}" + (f"?{query}" if query else "")
    return f"/galaxy?{urlencode({'id': id})}" + (f"&{query}" if query else "")


@dataclass(frozen=True)
class TableQuery:
    """What is asked of a table.

    Parameters
    ----------
    text, class_name, flag, without, least, most
        As of :class:`~galmorph.store.browsing.RowFilter`, flags by their names.
    sort
        One of :data:`SORTS`, or another column of :data:`~galmorph.store.browsing.ORDERS`.
    model
        Whose predictions.
    page
        From 1.
    """

    text: str = ""
    class_name: str = field(default="", metadata={"name": "class"})
    flag: str = ""
    without: str = ""
    least: str = ""
    most: str = ""
    sort: str = "number"
    model: str = ""
    page: int = 1

    @classmethod
    def of(cls, parameters: Mapping[str, str]) -> TableQuery:
        """Read an address; what makes no sense in it is left out."""
        words = {name: parameters.get(name, "").strip()[:_LONGEST] for name in ("text", "class", "model")}
        flags = {name: parameters.get(name, "") for name in ("flag", "without")}
        page, sort = parameters.get("page", ""), parameters.get("sort", "")
        return cls(
            text=words["text"],
            class_name=words["class"],
            **{name: flag if flag in Flag.__members__ else "" for name, flag in flags.items()},
            **{name: _share(parameters.get(name, "")) for name in ("least", "most")},
            sort=sort if sort.removeprefix("-") in ORDERS else "number",
            model=words["model"],
            page=min(max(int(page), 1), _LAST_PAGE) if page.isdecimal() and len(page) < 9 else 1,
        )

    @property
    def filter(self) -> RowFilter:
        """The rows that are meant."""
        return RowFilter(
            self.text,
            self.class_name,
            int(Flag[self.flag]) if self.flag else 0,
            int(Flag[self.without]) if self.without else 0,
            float(self.least) if self.least else None,
            float(self.most) if self.most else None,
        )

    @property
    def order(self) -> RowOrder:
        """How they are sorted."""
        return RowOrder(self.sort.removeprefix("-"), self.sort.startswith("-"))

    @property
    def parameters(self) -> dict[str, str]:
        """The same as parameters of an address, without those that say nothing."""
        values: dict[str, Any] = {
            "text": self.text,
            "class": self.class_name,
            "flag": self.flag,
            "without": self.without,
            "least": self.least,
            "most": self.most,
            "sort": self.sort if self.sort != "number" else "",
            "model": self.model,
            "page": str(self.page) if self.page > 1 else "",
        }
        return {name: value for name, value in values.items() if value}

    def address(self, path: str = "/galaxies", *, page: int | None = None, sort: str | None = None) -> str:
        """Return the address of a page of these rows; another order begins anew."""
        other = replace(self, page=page or (1 if sort else self.page), sort=sort or self.sort)
        query = urlencode(other.parameters)
        return f"{path}?{query}" if query else path

    def sorted_by(self, column: str) -> str:
        """Return the order that a click on a column asks for: upwards, or downwards if it is so already."""
        return f"-{column}" if self.sort == column else column


def _share(text: str) -> str:
    """Return a probability as it was written; '' for what is none."""
    try:
        value = float(text)
    except ValueError:
        return ""
    return text.strip() if math.isfinite(value) and len(text) < 30 else ""
