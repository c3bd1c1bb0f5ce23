"""LabelPage: what somebody who labels is shown, and what comes of an answer."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from galmorph.errors import SchemeError, StoreError
from galmorph.store.labelling import QUEUES
from galmorph.web.desk import FILE_FORMATS, asked_as
from galmorph.web.galaxy_shown import GalaxyShown, picture_address, reason_of
from galmorph.web.label_session import LabelSession, agreement_of, keyed

if TYPE_CHECKING:
    from galmorph.sky.scheme import Scheme
    from galmorph.store.models import StoredModel
    from galmorph.web.desk import Desk

__all__ = ["AUTHOR_COOKIE", "label_page", "labelled"]

AUTHOR_COOKIE = "gm_author"
_LONGEST_S = 3600.0
"""Whoever takes longer for an answer was away."""
_MOST_LISTED = 1000  # ids in an address


def label_page(desk: Desk, author: str, asked: Mapping[str, str], *, is_open: bool) -> dict[str, Any]:
    """Ask the next question about a galaxy, and lay the last one's answers beside the network's.

    Parameters
    ----------
    desk
        Of the service.
    author
        Who labels; '' where nobody said so yet.
    asked
        ``scheme``, ``queue``, ``id`` of a galaxy, the one that was done ``last``, and ids, one a line, of the ``only``
        ones that are labelled.
    is_open
        Whether people say who they are.

    Raises
    ------
    SchemeError, StoreError
        If there is no such scheme, queue or galaxy.
    """
    session, model = _session(desk, author, asked)
    chosen = (asked.get("id") or session.next()) if author else None
    counts = desk.store.label_counts(session.scheme.name)
    common = {
        "scheme": session.scheme,
        "schemes": [(name, f"{name}: {scheme.title}") for name, scheme in desk.schemes.items()],
        "queue": session.queue,
        "queues": list(QUEUES.items()),
        "author": author,
        "is_open": is_open,
        "last": _last(desk, session, model, asked.get("last", "")) if author else None,
        "nothing": _nothing(session) if author else "Say who you are, and begin.",
        "only": "\n".join(session.only),
        "listed": len(session.only),
        "can_undo": bool(author),
        "done": desk.store.labelling.count(session.scheme.name, author) if author else 0,
        "total": desk.store.count(),
        "votes": sum(counts.values()),
        "authors": len(counts),
        "formats": list(FILE_FORMATS.items()),
        "hidden": list(_kept(session).items()),
        "galaxy": None,
    }
    return common if chosen is None else common | _question(desk, session, model, chosen, common["hidden"])


def labelled(desk: Desk, author: str, fields: Mapping[str, str]) -> str:
    """Do what a form says: an answer, a galaxy passed over, or a step back; return the address of what is next.

    Raises
    ------
    StoreError
        If nobody says who answers.
    SchemeError
        If the answer is none of what was asked.
    """
    if not author:
        raise StoreError("nobody said who labels: expected a name; give yours")
    session, _ = _session(desk, author, fields)
    galaxy, following = fields.get("id", ""), _kept(session)
    if fields.get("step") == "undo":
        back = session.undo()
        return "/label?" + urlencode(following if back is None else following | {"id": back})
    if fields.get("step") == "skip":
        session.skip(galaxy)
        return "/label?" + urlencode(following)
    is_done = session.answer(
        galaxy, fields.get("question", ""), fields.get("answer", ""), _seconds(fields.get("shown", ""))
    )
    return "/label?" + urlencode(following | ({"last": galaxy} if is_done else {"id": galaxy}))


def _session(desk: Desk, author: str, asked: Mapping[str, str]) -> tuple[LabelSession, StoredModel | None]:
    """Return the session of an address or form, with the model whose predictions order it."""
    name = asked.get("scheme", "")
    usual = desk.checkpoint(desk.model(""))
    schemes = desk.schemes
    scheme: Scheme | None = schemes.get(name or (usual.scheme.name if usual is not None else next(iter(schemes))))
    if scheme is None:
        raise SchemeError(f"scheme '{name[:80]}': expected one of {', '.join(schemes)}; choose one")
    model, queue = desk.model_of_scheme(scheme.name), asked.get("queue") or "uncertain"
    if queue not in QUEUES:
        raise StoreError(f"queue '{queue[:80]}': expected one of {', '.join(QUEUES)}; choose one")
    return LabelSession(desk.store, scheme, author, queue, asked_as(model), desk.skipped, _ids(asked)), model


def _ids(asked: Mapping[str, str]) -> tuple[str, ...]:
    """Return the ids that are asked for, one a line."""
    lines = (line.strip() for line in asked.get("only", "").splitlines())
    return tuple(dict.fromkeys(line for line in lines if line))[:_MOST_LISTED]


def _kept(session: LabelSession) -> dict[str, str]:
    """Return what an address says of a session."""
    only = {"only": "\n".join(session.only)} if session.only else {}
    return {"scheme": session.scheme.name, "queue": session.queue, **only}


def _nothing(session: LabelSession) -> str:
    which = "Every galaxy of the list that is in this store" if session.only else "Every galaxy"
    return f"{which} is labelled or passed over."


def _question(
    desk: Desk, session: LabelSession, model: StoredModel | None, id: str, hidden: list[tuple[str, str]]
) -> dict[str, Any]:
    """Show a galaxy and the first of its questions that is open; of one that is done, the first again."""
    row, walk = desk.store.browsing.row(model, id), session.walk(id)
    question = walk.next or walk.path[0]
    view = desk.pictures.view(id, asked_as(model))
    titles = {answer.key: answer.title for answer in session.scheme.answers}
    answered = [q for q in walk.path if q.name in walk.answers and walk.next is not None]
    shown = f"{time.time():.2f}"
    return {
        "galaxy": GalaxyShown.of(row, None, asked_as(model)),
        "view": view,
        "picture": picture_address(id, asked_as(model)),
        "reason": reason_of(row.flags),
        "question": question,
        "answers": keyed(question),
        "path": [(q.title, titles.get(walk.answers[q.name], "")) for q in answered],
        "hidden": [*hidden, ("id", id), ("question", question.name), ("shown", shown)],
    }


def _last(desk: Desk, session: LabelSession, model: StoredModel | None, id: str) -> dict[str, Any] | None:
    """Lay the answers about the galaxy that was done last beside the network's, which were not shown before."""
    if not id or model is None:
        return None
    row = desk.store.browsing.row(model, id)
    agreement = agreement_of(session.walk(id), row)
    if agreement is None:
        return None
    return {
        "id": id,
        "agrees": agreement.agrees,
        "sentence": agreement.sentence,
        "rows": agreement.rows,
        "address": GalaxyShown.of(row, session.scheme, asked_as(model)).address,
    }


def _seconds(shown: str) -> float | None:
    """Return how long an answer took."""
    try:
        seconds = time.time() - float(shown)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and 0.0 <= seconds < _LONGEST_S else None
