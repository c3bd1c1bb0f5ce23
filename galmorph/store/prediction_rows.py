"""PredictionRows: what models said of the images of a store, a row for each image and model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa
from astropy.table import Column as TableColumn
from astropy.table import Table
from sqlalchemy.engine import Connection

from galmorph.errors import CatalogError
from galmorph.sky.catalog import Column, Provenance
from galmorph.sky.formats.column import noted, ucd_of
from galmorph.sky.question_walk import entropy_bits
from galmorph.store.cells import ColumnKind, column_of_cells, json_of, kind_of, plain_table, values_of
from galmorph.store.database import Database
from galmorph.store.image_rows import ImageRows
from galmorph.store.models import StoredModel
from galmorph.store.schema import IMAGES, PREDICTIONS, QUEUE, RUNS, now

__all__ = ["PREFIX", "PredictionRows", "columns_of_table"]

PREFIX = "gm_"
"""Of the columns of predictions in a store."""
_PULLED = 2000
"""Rows that are read together."""
_DATE = "GMDATE"
_SAME_DEG = 1e-9
"""By which numbers differ that are one position: a few microarcseconds."""


class PredictionRows:
    """The table of predictions.

    Parameters
    ----------
    database
        Where it is.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def write(
        self,
        connection: Connection,
        model: StoredModel,
        numbers: Sequence[int],
        columns: Sequence[Column],
        provenance: Provenance,
    ) -> None:
        """Write what a model says of images, in place of what it said before; they are no longer queued for it.

        Parameters
        ----------
        connection
            Whose transaction it is part of.
        numbers
            Of the images, (N,).
        columns
            Of N rows each, as a run appends them.
        """
        run = self._run(connection, model, columns, provenance)
        _joined({number: kinds for number, (kinds, _) in self._runs(model, connection).items()})  # or all is undone
        cells = {column.name: values_of(column.values) for column in columns}
        rows = [
            {"image": number, "model": model.number, "run": run, "created": now(), **_row(cells, row)}
            for row, number in enumerate(numbers)
        ]
        insert = self._database.insert(PREDICTIONS)
        changed = {name: insert.excluded[name] for name in rows[0] if name not in ("image", "model")} if rows else {}
        if rows:
            connection.execute(insert.on_conflict_do_update(index_elements=["image", "model"], set_=changed), rows)
        done = sa.delete(QUEUE).where(QUEUE.c.model == model.number, QUEUE.c.image.in_(list(numbers)))
        connection.execute(done)

    def pull(self, images: ImageRows, model: StoredModel | None) -> Table:
        """Return all images with what a model says of them: NaN, '' or masked where it has not looked at them.

        Parameters
        ----------
        images
            The pictures.
        model
            Whose predictions; None for images alone.
        """
        with self._database.reading() as connection:
            runs = self._runs(model, connection)
        ours, names = _joined({number: kinds for number, (kinds, _) in runs.items()})
        theirs = images.kinds()
        lines = list(self._lines(model, names))
        table = Table([column_of_cells(kind, (line["columns"] for line in lines)) for kind in theirs] or None)
        _complete(table, theirs, lines)
        for kind in ours:
            table.add_column(column_of_cells(kind, (line["predicted"] for line in lines)))
        last = max((line["created"] for line in lines), default="")
        return noted(table, _provenance([provenance for _, provenance in runs.values()], last)) if runs else table

    def of_image(self, id: str, model: StoredModel) -> dict[str, Any]:
        """Return what a model says of a picture, by the names of the columns."""
        wanted = sa.select(PREDICTIONS.c.columns).join(IMAGES, IMAGES.c.number == PREDICTIONS.c.image)
        of_both = wanted.where(IMAGES.c.id == id, PREDICTIONS.c.model == model.number)
        with self._database.reading() as connection:
            text = connection.scalar(of_both)
        return dict(json.loads(text or "{}"))

    def _lines(self, model: StoredModel | None, names: Mapping[int, Mapping[str, str]]) -> Iterable[dict[str, Any]]:
        """Yield images in their order, with what is predicted of them under the names that each run has for it."""
        of_model = sa.and_(
            PREDICTIONS.c.image == IMAGES.c.number, PREDICTIONS.c.model == (model.number if model else -1)
        )
        base = sa.select(
            IMAGES.c.number,
            IMAGES.c.id,
            IMAGES.c.ra,
            IMAGES.c.dec,
            IMAGES.c.columns,
            PREDICTIONS.c.columns.label("predicted"),
            PREDICTIONS.c.run,
            PREDICTIONS.c.created,
        ).select_from(IMAGES.outerjoin(PREDICTIONS, of_model))
        last = 0
        while True:
            later = base.where(IMAGES.c.number > last).order_by(IMAGES.c.number).limit(_PULLED)
            with self._database.reading() as connection:
                rows = connection.execute(later).all()
            if not rows:
                return
            for row in rows:
                columns, predicted = (json.loads(text or "{}") for text in (row.columns, row.predicted))
                of_run = names.get(row.run, {})
                yield {
                    "id": row.id,
                    "ra": row.ra,
                    "dec": row.dec,
                    "columns": columns,
                    "predicted": {of_run[name]: value for name, value in predicted.items()},
                    "created": row.created or "",
                }
            last = rows[-1].number

    def _run(
        self, connection: Connection, model: StoredModel, columns: Sequence[Column], provenance: Provenance
    ) -> int:
        """Return the number of what made predictions; a new one where it differs from all before."""
        kinds = [_kind(column) for column in columns]
        cards = [card for card in provenance.cards if card[0] != _DATE]
        row = {
            "columns": json.dumps(
                [[getattr(kind, name) for name in ColumnKind.__dataclass_fields__] for kind in kinds]
            ),
            "provenance": json.dumps({"cards": cards, "history": provenance.history}),
        }
        words = f"{model.number}\n{row['columns']}\n{row['provenance']}"
        row["sha256"] = hashlib.sha256(words.encode()).hexdigest()
        insert = self._database.insert(RUNS).values(row | {"model": model.number})
        connection.execute(insert.on_conflict_do_nothing(index_elements=["sha256"]))
        number = connection.scalar(sa.select(RUNS.c.number).where(RUNS.c.sha256 == row["sha256"]))
        return int(number or 0)

    def _runs(
        self, model: StoredModel | None, connection: Connection
    ) -> dict[int, tuple[list[ColumnKind], Provenance]]:
        """Return what made the predictions of a model, the newest last."""
        wanted = sa.select(RUNS).where(RUNS.c.model == (model.number if model else -1)).order_by(RUNS.c.number)
        runs = {}
        for row in connection.execute(wanted).all():
            contents = json.loads(row.provenance)
            cards = tuple((card[0], card[1], card[2]) for card in contents["cards"])
            kinds = [ColumnKind(*each) for each in json.loads(row.columns)]
            runs[row.number] = kinds, Provenance(cards, tuple(contents["history"]))
        return runs


def columns_of_table(table: Table, prefix: str = PREFIX) -> list[Column]:
    """Return the columns that a run appended to a table, as they came from it.

    Raises
    ------
    CatalogError
        If there are none.
    """
    plain = plain_table(table)
    names = [name for name in plain.colnames if name.startswith(prefix)]
    if f"{prefix}flags" not in names:
        raise CatalogError(
            f"a table without a column '{prefix}flags' was given: expected what galmorph.classify returns"
        )
    columns = []
    for name in names:
        column = plain[name]
        if np.ma.getmaskarray(column).all() and len(column):
            continue  # a reader of text does not know what numbers, or words, an empty column has
        unit = str(column.unit or "")
        values = _values(column)
        columns.append(Column(PREFIX + name[len(prefix) :], values, unit, column.description or "", ucd_of(column)))
    return columns


def _values(column: Any) -> npt.NDArray[Any]:
    """Return the cells of a column; readers mask what is NaN or empty in a file, which it is again.

    Whole numbers that are masked stay so.
    """
    data, mask = np.ma.getdata(column), np.ma.getmaskarray(column)
    if data.dtype.kind == "O" and all(value is None or isinstance(value, str) for value in data[~mask].tolist()):
        values = ["" if lacks else value or "" for value, lacks in zip(data.tolist(), mask.tolist(), strict=True)]
        return np.array(values, np.str_)  # as readers of Parquet have text
    if data.dtype.kind in "fU":
        return np.where(mask, np.array("" if data.dtype.kind == "U" else np.nan, data.dtype), data)
    return np.ma.array(data, mask=mask) if mask.any() else np.asarray(data)


def _kind(column: Column) -> ColumnKind:
    values = np.asarray(column.values)
    kind = kind_of(TableColumn(values, name=column.name))
    return replace(kind, unit=column.unit, description=column.description, ucd=column.ucd)


def _row(cells: Mapping[str, Sequence[Any]], row: int) -> dict[str, Any]:
    """Return the columns of a row that SQL sorts by, and all of them as text."""
    flags = int(cells[f"{PREFIX}flags"][row])
    shares = [cells[name][row] for name in _of_first_question(cells)]
    return {
        "class": str(cells.get(f"{PREFIX}class", [""] * (row + 1))[row] or ""),
        "confidence": cells.get(f"{PREFIX}conf", [None] * (row + 1))[row],
        "entropy": None if not shares or None in shares else entropy_bits(shares),
        "flags": flags,
        "doubts": flags.bit_count(),
        "columns": json_of({name: of_column[row] for name, of_column in cells.items() if of_column[row] is not None}),
    }


def _joined(runs: Mapping[int, Sequence[ColumnKind]]) -> tuple[list[ColumnKind], dict[int, dict[str, str]]]:
    """Return the columns of several runs, each once, and what each run's columns are called among them.

    Sizes are in pixels where images have no WCS: those are columns of their own, ``gm_rpet_pixel``, if others have one.
    """
    joined: dict[str, ColumnKind] = {}
    names: dict[int, dict[str, str]] = {}
    for number, kinds in runs.items():
        names[number] = {kind.name: _name_among(joined, kind) for kind in kinds}
        for kind in kinds:
            called = replace(kind, name=names[number][kind.name])
            joined[called.name] = joined[called.name].joined(called) if called.name in joined else called
    return list(joined.values()), names


def _name_among(kinds: Mapping[str, ColumnKind], kind: ColumnKind) -> str:
    other = kinds.get(kind.name)
    return kind.name if other is None or other.unit == kind.unit else f"{kind.name}_{kind.unit}"


def _of_first_question(names: Iterable[str]) -> list[str]:
    """Choose the answers to the first question: they come first, with its name if there are other questions."""
    probabilities = [name for name in names if name.startswith(f"{PREFIX}p_") and not name.endswith("_err")]
    question = probabilities[0].partition("__")[0] if probabilities else ""
    return [name for name in probabilities if name.partition("__")[0] == question or "__" not in probabilities[0]]


def _complete(table: Table, kinds: Sequence[ColumnKind], lines: Sequence[Mapping[str, Any]]) -> None:
    """Put ids and positions before the columns of the tables that images came with, unless these have them."""
    of_ids = next((kind.name for kind in kinds if kind.role == "id"), None)
    if of_ids is None or any(of_ids not in line["columns"] for line in lines):
        table.add_column([str(line["id"]) for line in lines], name=_free("id", table), index=0)
    names = [next((kind.name for kind in kinds if kind.role == axis), "") for axis in ("ra", "dec")]
    lacking = [line["ra"] is not None and any(name not in line["columns"] for name in names) for line in lines]
    if not any(lacking) or _fill_positions(table, names, lines, np.array(lacking)):
        return
    for place, axis in enumerate(("ra", "dec"), 1):
        kind = ColumnKind(_free(axis, table), "f8", "deg", ucd=f"pos.eq.{axis};meta.main")
        column = column_of_cells(kind, ({kind.name: line[axis]} for line in lines))
        table.add_column(column, index=place)


def _fill_positions(
    table: Table, names: Sequence[str], lines: Sequence[Mapping[str, Any]], lacking: npt.NDArray[np.bool_]
) -> bool:
    """Write positions that came with no table, or with columns of other names, into those of a table.

    These must hold the positions that the store has, in ICRS degrees, rather than hours or another frame.
    """
    if not all(name in table.colnames and table[name].dtype == np.float64 for name in names):
        return False
    held = [column_of_cells(ColumnKind(axis, "f8"), lines).data for axis in ("ra", "dec")]
    others = ~lacking & np.isfinite(held[0])
    apart = [np.asarray(table[name])[others] - degrees[others] for name, degrees in zip(names, held, strict=True)]
    if (
        not others.any()
        or np.abs((apart[0] + 180.0) % 360.0 - 180.0).max() > _SAME_DEG
        or np.abs(apart[1]).max() > _SAME_DEG
    ):
        return False
    for name, degrees in zip(names, held, strict=True):
        table[name][lacking] = degrees[lacking]
    return True


def _free(name: str, table: Table) -> str:
    taken = {each.lower() for each in table.colnames}
    while name in taken:
        name += "_"
    return name


def _provenance(all_of_them: Sequence[Provenance], last: str) -> Provenance:
    """Join what made predictions: cards of the newest, and each line of the histories once."""
    date = (_DATE, last.partition(".")[0] + "Z", "when the last row was written")
    newest = next((each.cards for each in reversed(all_of_them) if each.cards), ())
    cards = [newest[:1], (date,), newest[1:]]
    history = dict.fromkeys(line for each in all_of_them for line in each.history)
    return Provenance(tuple(card for some in cards for card in some), tuple(history))
