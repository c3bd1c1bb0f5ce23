"""CountedClassifier: what a result, a card and the caller say of the classifier whose answers are counted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from galmorph.errors import CheckpointError, SchemeError, unknown_name
from galmorph.nets.checkpoint.card import read_card
from galmorph.nets.checkpoint.lookup import checkpoint_names
from galmorph.nets.checkpoint.track_record import NO_RECORD, TrackRecord
from galmorph.sky.catalog import Catalog
from galmorph.sky.scheme import Scheme, load_scheme, scheme_names

__all__ = ["CountedClassifier", "told"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CountedClassifier:
    """A classifier, as far as it is known.

    Parameters
    ----------
    scheme
        Of its answers.
    record
        How it errs.
    is_normalised
        Whether independent fractions were scaled to sum to 1.
    """

    scheme: Scheme
    record: TrackRecord
    is_normalised: bool = False

    @classmethod
    def of(
        cls,
        result: Catalog,
        checkpoint: str | Path | None,
        scheme: str | Path | None,
        priors: Mapping[str, float] | None,
        scheme_in: Callable[[str | Path], Scheme],
    ) -> CountedClassifier:
        """Find out from what a result's header says, unless the caller says otherwise.

        Parameters
        ----------
        scheme_in
            Reads the scheme in the file of a checkpoint.

        Raises
        ------
        SchemeError
            If nobody says which scheme it is, or priors are not those of its answers.
        CheckpointError
            If there is no such checkpoint.
        """
        name = checkpoint or _named_by(result)
        chosen = _scheme(result, name, scheme, scheme_in)
        record = NO_RECORD if name is None else TrackRecord.of(name, chosen)
        made_by = told(result, "GMSHA256")
        if record.sha256 and made_by and made_by != record.sha256:
            log.warning(
                "'%s' was classified by another version of checkpoint '%s': its shares and errors may be others",
                result.title,
                record.name,
            )
        if priors is not None:
            record = replace(record, means=_means(priors, chosen))
        return cls(chosen, record, told(result, "GMNORM") == "yes")

    def check(self, method: str, methods: tuple[str, ...]) -> None:
        """Refuse a method for which too little is known.

        Raises
        ------
        CheckpointError
            If so.
        """
        if method not in methods:
            raise CheckpointError(unknown_name("method", method, methods))
        if method == "pacc" and not self.record.confusion:
            raise CheckpointError(
                "method pacc needs what the classifier says of labelled galaxies, which is not known: name a "
                "--checkpoint whose card has it (galmorph calibrate, or galmorph evaluate --card, write it); or choose "
                "--method prob"
            )


def told(result: Catalog, keyword: str) -> str:
    """Return what a result's header says, '' for nothing."""
    return str(result.table.meta.get(keyword, "") or "").strip()


def _named_by(result: Catalog) -> str | None:
    """Return the checkpoint that a header names, if it ships."""
    name = told(result, "GMMODEL")
    if name and name not in checkpoint_names():
        log.warning(
            "checkpoint '%s', which the catalogue names, is not one that ships: name its file with --checkpoint", name
        )
        return None
    return name or None


def _scheme(
    result: Catalog, checkpoint: str | Path | None, scheme: str | Path | None, scheme_in: Callable[[str | Path], Scheme]
) -> Scheme:
    if scheme is not None:
        return load_scheme(scheme)
    card: Mapping[str, Any] = {} if checkpoint is None else read_card(checkpoint)
    name = str(card.get("scheme", "")) or told(result, "GMSCHEME")
    if name in scheme_names():
        return load_scheme(name)
    if checkpoint is not None:
        return scheme_in(checkpoint)
    if name:
        raise SchemeError(f"scheme '{name}', which the catalogue names, does not ship: give its file with --scheme")
    raise SchemeError(
        f"Catalog '{result.title}' does not say by which checkpoint or scheme it was classified: name --checkpoint or "
        f"--scheme; schemes that ship are {', '.join(scheme_names())}"
    )


def _means(priors: Mapping[str, float], scheme: Scheme) -> dict[str, float]:
    """Return priors by key; answers of a single question may be named without it."""
    named = {key: key for key in scheme.keys}
    if len(scheme.questions) == 1:
        named |= {key.rpartition("__")[2]: key for key in scheme.keys}
    if astray := next((name for name in priors if name not in named), None):
        raise SchemeError(unknown_name(f"answer of scheme '{scheme.name}'", astray, scheme.keys))
    means = {named[name]: float(value) for name, value in priors.items()}
    if missing := next((key for key in scheme.keys if key not in means), None):
        raise SchemeError(
            f"priors have no share of '{missing}': expected one for each answer of scheme '{scheme.name}'"
        )
    if wrong := next((key for key, value in means.items() if not 0.0 <= value <= 1.0), None):
        raise SchemeError(f"prior of '{wrong}' is {means[wrong]:g}: expected a share from 0 to 1")
    return means
