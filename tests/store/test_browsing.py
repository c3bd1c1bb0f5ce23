"""Browsing: a page of rows, filtered and sorted by SQL, however many there are."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
import sqlalchemy as sa

import galmorph
from galmorph.errors import StoreError
from galmorph.flags import Flag
from galmorph.store.browsing import ORDERS, RowFilter, RowOrder
from galmorph.store.schema import IMAGES, PREDICTIONS, RUNS

ROWS = 300
CLASSES = ("smooth", "spiral", "")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def store(request, tmp_path_factory, network):
    if request.param == "sqlite":
        url = tmp_path_factory.mktemp("browsing") / "store.db"
    else:
        url = request.getfixturevalue("new_database")()
    with galmorph.open_store(url, create=True) as store:
        store.push_model(network)
        fill(store, ROWS)
        yield store


def fill(store, rows: int) -> None:
    """Write rows as if they had been classified."""
    rng = np.random.default_rng(1)
    confidence, flags = (
        np.round(rng.random(rows), 2),
        np.where(rng.random(rows) < 0.3, 8, 0) + np.where(rng.random(rows) < 0.2, 2048, 0),
    )
    names = [CLASSES[k] for k in rng.integers(0, 3, rows)]
    model = store.models()[0].number
    with store.database.writing() as connection:
        connection.execute(sa.insert(RUNS), {"model": model, "sha256": "x", "columns": "[]", "provenance": "{}"})
        run = connection.scalar(sa.select(RUNS.c.number))
        images = [{"id": f"J{n:06d}%_\\'", "ra": float(n % 360), "dec": 0.0, "created": "2026"} for n in range(rows)]
        connection.execute(sa.insert(IMAGES), images)
        first = connection.scalar(sa.select(sa.func.min(IMAGES.c.number)))
        predictions = [
            {
                "image": first + n,
                "model": model,
                "run": run,
                "class": names[n],
                "confidence": float(confidence[n]) if names[n] else None,
                "entropy": float(1 - confidence[n]) if names[n] else None,
                "flags": int(flags[n]),
                "doubts": int(flags[n]).bit_count(),
                "columns": json.dumps({"gm_snr": n}),
                "created": "2026",
            }
            for n in range(rows)
        ]
        connection.execute(sa.insert(PREDICTIONS), predictions)


def page(store, *, order: RowOrder = RowOrder(), limit: int = ROWS, **chosen):  # noqa: B008 - frozen
    return store.browsing.page(store.models()[0], RowFilter(**chosen), order, limit=limit)


@pytest.mark.parametrize("column", ORDERS)
def test_pages_follow_an_order_without_a_gap(store, column):
    model = store.models()[0]
    for order in (RowOrder(column), RowOrder(column, descending=True)):
        whole = [row.id for row in page(store, order=order)]
        parts = [
            row.id for k in range(4) for row in store.browsing.page(model, RowFilter(), order, offset=75 * k, limit=75)
        ]
        assert parts == whole
        assert len(set(whole)) == ROWS


@pytest.mark.parametrize("order", [RowOrder("confidence", descending=True), RowOrder("class"), RowOrder("number")])
def test_neighbours_are_those_of_the_page(store, order):
    chosen, model = RowFilter(without=int(Flag.LOW_SNR)), store.models()[0]
    rows = store.browsing.page(model, chosen, order, limit=ROWS)
    for k in (0, 1, len(rows) // 2, len(rows) - 1):
        before, after = store.browsing.beside(model, chosen, order, rows[k])
        assert before == (rows[k - 1].id if k else None)
        assert after == (rows[k + 1].id if k + 1 < len(rows) else None)


def test_filters_hold_together(store):
    rows = page(store, class_name="spiral", flags=int(Flag.OFF_EDGE), least=0.25, most=0.75)
    assert rows
    assert all(r.class_name == "spiral" and r.flags & Flag.OFF_EDGE and 0.25 <= r.confidence <= 0.75 for r in rows)
    assert all(not row.flags & Flag.LOW_SNR for row in page(store, without=int(Flag.LOW_SNR)))
    assert store.browsing.count(store.models()[0], RowFilter(class_name="spiral")) == len(
        page(store, class_name="spiral")
    )
    assert dict(store.browsing.classes(store.models()[0]))["spiral"] == len(page(store, class_name="spiral"))


@pytest.mark.parametrize(("text", "count"), [("j00000", 10), ("%", ROWS), ("j%0", 0), ("_\\'", ROWS), ("' or 1=1", 0)])
def test_text_is_text(store, text, count):
    assert len(page(store, text=text)) == count
    assert len(list(store.browsing.ids(store.models()[0], RowFilter(text=text)))) == count


def test_rows_that_no_model_looked_at_come_along(store):
    row = store.browsing.page(None, RowFilter(), RowOrder(), limit=1)[0]
    assert (row.class_name, row.confidence, row.columns) == ("", None, {})
    with pytest.raises(StoreError, match="no image 'nobody'"):
        store.browsing.row(None, "nobody")
    with pytest.raises(StoreError, match="order"):
        RowOrder("columns; drop table gm_images")


def test_queues_come_in_their_order_and_leave_out_what_is_done(store):
    model = store.models()[0]
    with store.database.writing() as connection:
        connection.execute(sa.update(IMAGES).values(content=b"x"))
    by_id = {row.id: row for row in page(store)}
    first = store.labelling.next(model, "gz2", "Ada", "uncertain")
    assert by_id[first].confidence == min(row.confidence for row in by_id.values() if row.confidence is not None)
    assert store.labelling.next(model, "gz2", "Ada", "uncertain", [first]) != first
    doubtful = store.labelling.next(model, "gz2", "Ada", "doubtful")
    assert by_id[doubtful].flags.bit_count() == max(row.flags.bit_count() for row in by_id.values())
    number = store.add_label(first, "gz2", "smooth_or_features", "smooth_or_features__smooth", author="Ada")
    assert store.labelling.next(model, "gz2", "Ada", "uncertain") != first
    assert store.labelling.next(model, "gz2", "Bob", "uncertain") == first
    assert store.labelling.count("gz2", "Ada") == 1
    assert store.labelling.counts_of([first, doubtful]) == {first: 1}
    assert store.labelling.last("gz2", "Ada").number == number
    store.withdraw_label(number, "Ada")
    assert store.labelling.next(model, "gz2", "Ada", "uncertain") == first
    assert store.labelling.of_image(first) == []
    drawn = [store.labelling.next(model, "gz2", "Ada", "random")]
    for _ in range(4):
        drawn.append(store.labelling.next(model, "gz2", "Ada", "random", drawn))
    numbers = [by_id[each].number for each in drawn]
    assert len(set(numbers)) == 5
    assert numbers != sorted(numbers)


def test_a_hundred_thousand_rows_are_looked_through_page_by_page(tmp_path, network):
    """Each page costs the processor what a visitor does not notice: far less than reading all rows does."""
    with galmorph.open_store(tmp_path / "store.db", create=True) as large:
        large.push_model(network)
        fill(large, 100_000)
        model, start = large.models()[0], time.process_time()
        for order in (RowOrder("confidence", descending=True), RowOrder("id")):
            chosen = RowFilter(text="j05", class_name="spiral", without=8)
            rows = large.browsing.page(model, chosen, order, offset=500, limit=50)
            assert len(rows) == 50
            large.browsing.beside(model, chosen, order, rows[7])
            assert large.browsing.count(model, chosen) > 1000
        large.labelling.next(model, "gz2", "Ada", "uncertain")
        assert time.process_time() - start < 10.0
