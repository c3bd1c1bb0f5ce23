"""Citations: whom to cite for galmorph and a checkpoint's network, labels and data, as BibTeX."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import galmorph
from galmorph.arguments import checked
from galmorph.errors import CatalogError
from galmorph.nets.checkpoint.card import read_card
from galmorph.shipped import shipped
from galmorph.sky.catalog_input import CatalogInput
from galmorph.toml import read_file

__all__ = ["Citation", "cite"]

_ORDER = ("author", "title", "journal", "year", "volume", "pages", "doi", "version")


@dataclass(frozen=True)
class Citation:
    """A paper, or a program.

    Parameters
    ----------
    key
        By which a text refers to it.
    kind
        Of the entry: ``article``, ``software``.
    fields
        Of the entry, in their order.
    reasons
        What it is cited for.
    """

    key: str
    kind: str
    fields: Mapping[str, str]
    reasons: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.bibtex

    @property
    def bibtex(self) -> str:
        """The entry, with a comment that says what it is for."""
        lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in self.fields.items())
        reasons = f"% {'; '.join(self.reasons)}\n" if self.reasons else ""
        return f"{reasons}@{self.kind}{{{self.key},\n{lines}\n}}"


@checked
def cite(checkpoints: str | Path | Sequence[str | Path] = (), *, result: Any = None) -> list[Citation]:
    """List whom to cite: for galmorph, and for checkpoints' networks, labels and data.

    Parameters
    ----------
    checkpoints
        Names or files, whose cards say what they are.
    result
        A result of :func:`classify`, whose header names its checkpoint: a file or a table.

    Returns
    -------
    list of Citation
        Each once, with what it is for; ``str`` of one is an entry of BibTeX.

    Raises
    ------
    CheckpointError
        If there is no such checkpoint, or its card is broken.
    CatalogError
        If a result names none.

    Examples
    --------
    >>> import galmorph
    >>> [citation.key for citation in galmorph.cite("sdss-gz1")][-1]
    'York2000'
    """
    named = [checkpoints] if isinstance(checkpoints, str | Path) else list(checkpoints)
    if result is not None:
        named.append(_checkpoint_of(result))
    listed = read_file(shipped("catalogs") / "citations.toml", "file of citations")
    reasons: dict[str, list[str]] = {key: ["galmorph, and how it measures"] for key in listed["always"]["papers"]}
    for name in named:
        for key, reason in _of_checkpoint(name, listed):
            if reason not in reasons.setdefault(key, []):
                reasons[key].append(reason)
    return [_citation(key, listed["papers"][key], why) for key, why in reasons.items()]


def _checkpoint_of(result: Any) -> str:
    """Return the checkpoint that a result's header names."""
    catalog = CatalogInput(result).open(positions=False)
    name = str(catalog.table.meta.get("GMMODEL", "") or "").strip()
    if not name:
        raise CatalogError(
            f"Catalog '{catalog.title}' names no checkpoint: expected a result of 'galmorph classify'; give one"
        )
    return name


def _of_checkpoint(name: str | Path, listed: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Yield the keys of a checkpoint's papers, each with what it is for: those of its card, and of what ships."""
    card = read_card(name)
    title = str(card.get("name", Path(name).stem))
    settings = card.get("settings")
    network = settings.get("network", {}) if isinstance(settings, Mapping) else {}
    kinds = {
        "networks": (str(network.get("name", "")) if isinstance(network, Mapping) else "", "network"),
        "schemes": (str(card.get("scheme", "")), "labels"),
        "checkpoints": (title, "data"),
    }
    for kind, (entry, what) in kinds.items():
        for key in listed[kind].get(entry, ()):
            yield key, f"{what} of {title}"


def _citation(key: str, paper: Mapping[str, Any], reasons: Sequence[str]) -> Citation:
    contents = {name: str(value) for name, value in paper.items()}
    kind = contents.pop("kind", "article")
    if kind == "software":
        contents["version"] = galmorph.__version__
    return Citation(key, kind, {name: contents[name] for name in _ORDER if name in contents}, tuple(reasons))
