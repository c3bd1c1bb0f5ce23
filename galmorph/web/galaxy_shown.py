"""GalaxyShown: what a page says of a galaxy: in words, bars and addresses."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import numpy as np

from galmorph.flags import MEANINGS, UNCLASSIFIABLE, Flag
from galmorph.pages.contact import Badge, ShareBar, badges, short_names
from galmorph.pages.figures import count_text
from galmorph.pages.marks import colour_of
from galmorph.store.browsing import BrowsedRow
from galmorph.web.table_query import galaxy_address

if TYPE_CHECKING:
    from galmorph.sky.scheme import Scheme

__all__ = ["GalaxyShown", "facts_of", "picture_address", "probabilities_of", "questions_of", "reason_of"]


@dataclass(frozen=True)
class GalaxyShown:
    """A galaxy as pages show it.

    Parameters
    ----------
    id, address, picture
        What it is called, where its page is, and its picture.
    title, confidence, number
        Of its class; '', None and -1 where it has none.
    place, snr, radius
        In words.
    badges
        Its flags.
    chances
        Probabilities of the answers to the first question.
    labels
        How many answers people gave.
    """

    id: str
    address: str
    picture: str
    title: str
    confidence: float | None
    number: int
    place: str
    snr: str
    radius: str
    badges: Sequence[Badge]
    chances: Sequence[ShareBar]
    labels: int = 0

    @property
    def colour(self) -> int:
        """Number of its class's colour in the style sheet, -1 for none."""
        return colour_of(self.number)

    @classmethod
    def of(cls, row: BrowsedRow, scheme: Scheme | None, model: str, query: str = "", labels: int = 0) -> GalaxyShown:
        """Show a row with what a model says of it.

        Parameters
        ----------
        scheme
            Of the model; None for none.
        model
            How it is asked for.
        query
            Of the table that it is a row of.
        """
        names = short_names(scheme)
        keys = [] if scheme is None else [key.rpartition("__")[2] for key in scheme.keys[scheme.slices[0]]]
        number = keys.index(row.class_name) if row.class_name in keys else -1
        shares = probabilities_of(row.columns, scheme) if scheme is not None and number >= 0 else None
        return cls(
            id=row.id,
            address=galaxy_address(row.id, query),
            picture=picture_address(row.id, model),
            title=names[number] if number >= 0 else row.class_name,
            confidence=row.confidence,
            number=number,
            place=_place(*sky_place(row)),
            snr=_ratio(row.columns.get("gm_snr")),
            radius=_radius(row.columns),
            badges=badges(row.flags, Flag(0)),
            chances=[] if shares is None else bars(names, shares),
            labels=labels,
        )


def bars(names: Sequence[str], shares: Sequence[float]) -> list[ShareBar]:
    """Return a bar for each answer."""
    return [
        ShareBar(name, float(np.nan_to_num(share)), number)
        for number, (name, share) in enumerate(zip(names, shares, strict=False))
    ]


def picture_address(id: str, model: str, kind: str = "stretched") -> str:
    """Return where a picture of a galaxy is drawn: ``stretched``, its ``mask``, or what the ``network`` saw."""
    return "/picture?" + urlencode({"id": id, "model": model, "kind": kind})


def probabilities_of(columns: Mapping[str, Any], scheme: Scheme) -> list[float]:
    """Return the probabilities of all answers, NaN where there is none."""
    values = [columns.get(name) for name in scheme.column_names("gm_")]
    return [math.nan if value is None else float(value) for value in values]


def questions_of(columns: Mapping[str, Any], scheme: Scheme) -> list[tuple[str, list[ShareBar]]]:
    """Return all questions of a tree with the bars of their answers; nothing for one question."""
    if len(scheme.questions) == 1:
        return []
    shares = probabilities_of(columns, scheme)
    return [
        (question.title, bars([answer.title for answer in question.answers], shares[where]))
        for question, where in zip(scheme.questions, scheme.slices, strict=True)
    ]


def sky_place(row: BrowsedRow) -> tuple[float | None, float | None]:
    """Return where a galaxy is: as its table says, or as was measured."""
    if row.ra is not None and row.dec is not None:
        return row.ra, row.dec
    return row.columns.get("gm_racen"), row.columns.get("gm_deccen")


def facts_of(row: BrowsedRow, shown: GalaxyShown, model: str, names: Mapping[str, str]) -> list[tuple[str, str]]:
    """List what is measured and said of a galaxy beside its probabilities.

    Parameters
    ----------
    names
        Titles of the answers to the first question by their names in columns.
    """
    answers = [names.get(each, each) for each in str(row.columns.get("gm_set") or "").split("|") if each]
    facts = [
        ("Prediction set", " or ".join(answers) or ("empty: undecided" if "gm_set" in row.columns else "")),
        ("Class by rule", str(row.columns.get("gm_rule") or "")),
        ("Petrosian radius", shown.radius),
        ("Signal-to-noise ratio", shown.snr),
        ("Model", str(row.columns.get("gm_model") or model)),
        ("Added", row.created.replace("T", " ").partition(".")[0]),
    ]
    return [(name, value) for name, value in facts if value]


def reason_of(flags: int) -> str:
    """Say why there is no picture."""
    reasons = [MEANINGS[flag] for flag in MEANINGS if flags & int(flag & UNCLASSIFIABLE)]
    return reasons[0] if reasons else "there is no image"


def _place(ra: float | None, dec: float | None) -> str:
    return "" if ra is None or dec is None else f"{ra:.5f} {dec:+.5f}".replace("-", "−")


def _ratio(value: float | None) -> str:
    if value is None:
        return ""
    return count_text(round(value)) if value >= 100 else f"{value:.1f}"


def _radius(columns: Mapping[str, Any]) -> str:
    radius, error = columns.get("gm_rpet"), columns.get("gm_rpet_err")
    if radius is None:
        return ""
    # Sizes are in pixels where images have no WCS, as columns say by the positions that they hold.
    unit = "″" if "gm_racen" in columns else "\u202fpx"
    spread = f" ± {error:.2g}" if error is not None else ""
    return f"{radius:.2f}{spread}{unit}" if unit == "″" else f"{radius:.1f}{spread}{unit}"
