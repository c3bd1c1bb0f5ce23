"""Desk: what a service's pages show of its store, and what their forms do there."""

from __future__ import annotations

import re
import tempfile
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import numpy as np

import galmorph
from galmorph.errors import ImageError, OutputError, StoreError, unknown_name
from galmorph.flags import Flag
from galmorph.pages.sky_links import sky_links
from galmorph.sky.catalog import Provenance, catalog_from, write_catalog
from galmorph.store.browsing import RowFilter, RowOrder
from galmorph.web.galaxy_pictures import GalaxyPictures, sliders_of
from galmorph.web.galaxy_shown import GalaxyShown, facts_of, picture_address, questions_of, reason_of, sky_place
from galmorph.web.label_session import Skipped
from galmorph.web.retraining import Retraining, label_pipelines
from galmorph.web.served_models import shipped_survey
from galmorph.web.table_query import SORTS, TableQuery, galaxy_address
from galmorph.web.uploaded_catalogues import UploadedCatalogues
from galmorph.web.uploads import kind_of, name_of

if TYPE_CHECKING:
    from astropy.table import Table

    from galmorph.nets.checkpoint.file import Checkpoint
    from galmorph.sky.scheme import Scheme
    from galmorph.store.models import StoredModel
    from galmorph.web.service import Service
    from galmorph.web.uploads import Upload

__all__ = ["FILE_FORMATS", "Desk", "asked_as"]

_PER_PAGE = 50
_RECENT = 8
_STRETCH = ("black", "white", "softening")
FILE_FORMATS = {"fits": "FITS", "ecsv": "ECSV", "csv": "CSV", "vot": "VOTable", "parquet": "Parquet"}
"""Endings of the files that tables are downloaded as."""


class Desk:
    """What the pages show of a store.

    Parameters
    ----------
    service
        Whose store and settings they are.
    """

    def __init__(self, service: Service) -> None:
        self.service, self.store = service, service.store
        self.pictures = GalaxyPictures(self.store)
        self.skipped, self.catalogues = Skipped(), UploadedCatalogues(self.store, service.settings.computing)
        self.retraining = Retraining(self.store, service.settings.home / "retraining", service.settings.computing)

    def close(self) -> None:
        """Stop the training that is at work, and classify no more of what was sent."""
        self.retraining.close()
        self.catalogues.close()

    def model(self, name: str) -> StoredModel | None:
        """Return a model of the store by its name, or the one that answered last; None for none."""
        if name:
            named: StoredModel = self.store.model(name)
            return named
        models: list[StoredModel] = self.store.models()
        last = self.store.browsing.last_model()
        return next((model for model in models if model.number == last), models[-1] if models else None)

    def checkpoint(self, model: StoredModel | None) -> Checkpoint | None:
        """Load a model."""
        loaded: Checkpoint | None = self.store.load_model(asked_as(model)) if model is not None else None
        return loaded

    @property
    def schemes(self) -> dict[str, Scheme]:
        """The schemes by which galaxies can be labelled: those of the store's models first, then those that ship."""
        of_models = [checkpoint.scheme for model in self.store.models() if (checkpoint := self.checkpoint(model))]
        shipped = [galmorph.load_scheme(name) for name in galmorph.names("schemes")]
        return {scheme.name: scheme for scheme in [*of_models, *shipped]}

    def model_of_scheme(self, name: str) -> StoredModel | None:
        """Return the model that answers by a scheme: the one that answered last if it does, else the newest."""
        last, models = self.model(""), reversed(self.store.models())
        return next((m for m in (last, *models) if m and self._scheme_name(m) == name), None)

    def start_page(self) -> dict[str, Any]:
        """Show how pictures are classified, and those that were last."""
        model = self.model("")
        rows = self.store.browsing.page(model, RowFilter(), RowOrder("number", descending=True), limit=_RECENT)
        scheme = self._scheme(model)
        return {
            "models": [(name, self._title(name)) for name in self._offered()],
            "model": model.name if model is not None else "",
            "surveys": [(name, name) for name in galmorph.names("surveys")],
            "formats": list(FILE_FORMATS.items()),
            "recent": [GalaxyShown.of(row, scheme, asked_as(model)) for row in rows],
            "error": "",
        }

    def take(self, files: Sequence[Upload], fields: Mapping[str, str]) -> tuple[list[str], str]:
        """Add pictures to the store and classify them; return their ids and how the model is asked for.

        Raises
        ------
        ImageError
            If one of them cannot be read.
        """
        wanted = [file for file in files if file.content]
        if not wanted:
            raise ImageError("no picture came: expected JPEG, PNG or FITS files; choose some")
        checkpoint = self.service.models.chosen(fields.get("model") or None, None, None)
        model = self._stored(checkpoint)
        named = fields.get("survey", "").strip()
        survey = shipped_survey(named or checkpoint.envelope.survey or None)
        band = fields.get("band", "").strip() or (checkpoint.envelope.band if not named else "")
        ids = [self._add(file, survey.name if survey is not None else "", band) for file in wanted]
        self.store.score(asked_as(model), ids=ids, **self.service.settings.computing)
        return ids, asked_as(model)

    def take_catalogue(self, file: Upload | None, fields: Mapping[str, str]) -> str:
        """Add a table to the store and have it classified; return how the model is asked for.

        Raises
        ------
        GalmorphError
            If it cannot be read, or nothing answers for its survey and band.
        """
        survey, band = fields.get("survey") or None, fields.get("band", "").strip() or None
        model = asked_as(self._stored(self.service.models.chosen(fields.get("model") or None, survey, band)))
        self.catalogues.add(file, fields, model)
        return model

    def table_page(self, query: TableQuery) -> dict[str, Any]:
        """Show a page of the rows that are asked for."""
        model, browsing = self.model(query.model), self.store.browsing
        total = browsing.count(model, query.filter)
        pages = max(-(-total // _PER_PAGE), 1)
        query = TableQuery.of({**query.parameters, "page": str(min(query.page, pages))})
        offset = (query.page - 1) * _PER_PAGE
        rows = browsing.page(model, query.filter, query.order, offset=offset, limit=_PER_PAGE)
        labels, scheme = self.store.labelling.counts_of([row.id for row in rows]), self._scheme(model)
        kept = urlencode(query.parameters)
        flags = [(flag.name, flag.name) for flag in Flag]
        return {
            "filter": query,
            "model": str(model) if model is not None else "",
            "models": [(asked_as(each), str(each)) for each in self.store.models()],
            "scoring": self.catalogues.state(asked_as(model)),
            "total": total,
            "all": self.store.count(),
            "first": offset + 1,
            "last": offset + len(rows),
            "rows": [GalaxyShown.of(row, scheme, asked_as(model), kept, labels.get(row.id, 0)) for row in rows],
            "heads": _heads(query),
            "classes": [(name, f"{name.replace('_', ' ')} ({count})") for name, count in browsing.classes(model)],
            "flags": flags,
            "without": [*flags],
            "orders": list(SORTS.items()),
            "before": query.address(page=query.page - 1) if query.page > 1 else "",
            "after": query.address(page=query.page + 1) if query.page < pages else "",
            "kept": [pair for pair in query.parameters.items() if pair[0] != "page"],
            "formats": list(FILE_FORMATS.items()),
        }

    def galaxy_page(self, id: str, query: TableQuery, asked: Mapping[str, str]) -> dict[str, Any]:
        """Show a galaxy."""
        model, browsing = self.model(query.model), self.store.browsing
        row, scheme, name = browsing.row(model, id), self._scheme(model), asked_as(model)
        before, after = browsing.beside(model, query.filter, query.order, row)
        kept = urlencode(query.parameters)
        shown = GalaxyShown.of(row, scheme, name, kept)
        view = self.pictures.view(id, name)
        stretch = {key: asked[key] for key in _STRETCH if key in asked}
        labels = self.store.labelling.of_image(id)
        return {
            "galaxy": shown,
            "view": view,
            "reason": reason_of(row.flags),
            "before": "" if before is None else galaxy_address(before, kept),
            "after": "" if after is None else galaxy_address(after, kept),
            "table": query.address(),
            "picture": picture_address(id, name) + ("&" + urlencode(stretch) if stretch else ""),
            "picture_base": picture_address(id, name),
            "mask": picture_address(id, name, "mask"),
            "network": picture_address(id, name, "network"),
            "sliders": sliders_of(view, stretch) if view is not None else [],
            "unit": _unit(view),
            "unstretched": shown.address,
            "kept": [*query.parameters.items(), *([("id", id)] if shown.address.startswith("/galaxy?") else [])],
            "stamp": self._stamp(model),
            "question": scheme.questions[0].title if scheme is not None else "",
            "facts": facts_of(row, shown, str(model or ""), _titles(scheme)),
            "other_questions": questions_of(row.columns, scheme)[1:] if scheme is not None and shown.chances else [],
            "links": sky_links(*sky_place(row)),
            "label": "/label?" + urlencode({"id": id, **({"scheme": scheme.name} if scheme is not None else {})}),
            "labels": labels,
        }

    def table_file(self, query: TableQuery, ending: str) -> tuple[str, bytes]:
        """Write the rows that are asked for as a file; return its name and bytes."""
        model = self.model(query.model)
        table: Table = self.store.pull(None if model is None else asked_as(model))
        chosen = set(self.store.browsing.ids(model, query.filter))
        column = next((name for name in ("id", "ID", "id_") if name in table.colnames), table.colnames[0])
        rows = np.array([str(each) in chosen for each in table[column]], np.bool_)
        return _written(table[rows], "galaxies", ending)

    def label_file(self, scheme: str, ending: str) -> tuple[str, bytes]:
        """Write the labels of a scheme as a file; return its name and bytes."""
        return _written(self.store.labels(scheme), f"labels-{scheme}", ending)

    def retrain_page(self, scheme: str) -> dict[str, Any]:
        """Show the pipelines that learn from labels, and the trainings."""
        pipelines = label_pipelines()
        first = next((name for name, of in pipelines.items() if of == scheme), "")
        return {
            "pipelines": [(name, f"{name} ({of})") for name, of in pipelines.items()],
            "pipeline": first,
            "jobs": self.retraining.jobs,
            "running": self.retraining.is_running,
            "error": "",
        }

    def _offered(self) -> list[str]:
        return self.service.models.names or list(galmorph.names("checkpoints"))

    def _title(self, name: str) -> str:
        """Say in a line what a model is for."""
        if name not in self.service.models.names:
            return name
        checkpoint = self.service.models.get(name)
        return f"{name}: {checkpoint.scheme.title}, {checkpoint.envelope.survey} {checkpoint.envelope.band}"

    def _scheme(self, model: StoredModel | None) -> Scheme | None:
        checkpoint = self.checkpoint(model)
        return checkpoint.scheme if checkpoint is not None else None

    def _scheme_name(self, model: StoredModel) -> str:
        scheme = self._scheme(model)
        return "" if scheme is None else scheme.name

    def _stamp(self, model: StoredModel | None) -> str:
        checkpoint = self.checkpoint(model)
        if checkpoint is None:
            return ""
        recipe = checkpoint.recipe
        neighbours = "its neighbours replaced" if recipe.neighbours == "fill" else "its neighbours kept"
        return f"{recipe.size} x {recipe.size} pixels, reaching {recipe.reach}, {neighbours}"

    def _stored(self, checkpoint: Checkpoint) -> StoredModel:
        """Return the model of the store that a checkpoint is; one that ships is put there."""
        for model in self.store.models():
            if model.sha256 == checkpoint.sha256:
                stored: StoredModel = model
                return stored
        named = [each for each in self.service.settings.checkpoints if Path(each).stem == checkpoint.name]
        pushed: StoredModel = self.store.push_model((named or [checkpoint.name])[0])
        return pushed

    def _add(self, file: Upload, survey: str, band: str) -> str:
        """Add a picture under the name of its file, or that with a number where there is one of it; return the id."""
        kind = kind_of(file)
        name = name_of(file, kind)
        stem = _id_of(name)
        for number in range(1, 10_000):
            own = stem if number == 1 else f"{stem}-{number}"
            try:
                self.store.image(own)
            except StoreError:
                self.store.add_image(own, file.content, survey=survey, band=band, file=name)
                return own
        raise StoreError(f"there are too many images called '{stem}': rename the file")


def asked_as(model: StoredModel | None) -> str:
    """Return how a model is asked for, by its bytes; '' for none."""
    return "" if model is None else f"{model.name}@{model.sha256[:12]}"


def _id_of(name: str) -> str:
    """Return the id of a picture: the name of its file without its ending, on one line."""
    stem = re.sub(r"\.(jpe?g|png|fits?|fits\.(gz|fz|bz2|xz))$", "", name, flags=re.IGNORECASE)
    plain = "".join(letter for letter in unicodedata.normalize("NFC", stem) if letter.isprintable())
    return plain.strip()[:120] or "image"


def _heads(query: TableQuery) -> list[dict[str, str]]:
    titles = {"id": "galaxy", "class": "class", "confidence": "probability", "doubts": "flags"}
    now = query.order
    return [
        {
            "title": title,
            "address": query.address(sort=query.sorted_by(column)),
            "order": ("descending" if now.descending else "ascending") if now.column == column else "",
        }
        for column, title in titles.items()
    ]


def _titles(scheme: Scheme | None) -> dict[str, str]:
    """Return the titles of the answers to the first question by their names in columns."""
    if scheme is None:
        return {}
    return {answer.key.rpartition("__")[2]: answer.title for answer in scheme.questions[0].answers}


def _unit(view: Any) -> str:
    if view is None:
        return ""
    return str(view.stretch.unit_text(is_flux=view.is_flux))


def _written(table: Table, stem: str, ending: str) -> tuple[str, bytes]:
    """Write a table by one of the formats, into memory."""
    if ending not in FILE_FORMATS:
        raise OutputError(unknown_name("format", ending[:40], FILE_FORMATS))
    name = re.sub(r"[^\w.-]", "_", f"{stem}.{ending}", flags=re.ASCII)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        write_catalog(catalog_from(table, positions=False), [], path, provenance=Provenance(), overwrite=True)
        return name, path.read_bytes()
