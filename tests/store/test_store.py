"""Stores in SQLite and in PostgreSQL: each does what every store does, and what it alone does."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
import small_sky
import sqlalchemy as sa
from conformance.stores import SDSS, StoreTests, assert_same_columns

import galmorph
from galmorph.errors import StoreError
from galmorph.store import schema
from galmorph.store.triggers import trigger_sql
from galmorph.store.watcher import listening

SCORE = """
import sys, time
import torch
import galmorph
torch.set_num_threads(1)

def progress(stage, done, total, remark=""):
    print(done, flush=True)
    time.sleep(float(sys.argv[3]))

with galmorph.open_store(sys.argv[1]) as store:
    store.score("untaught", chunk=int(sys.argv[2]), progress=progress)
"""


def scoring(url, chunk=3, pause=0.0):
    """Start a process that scores."""
    words = [sys.executable, "-c", SCORE, str(url), str(chunk), str(pause)]
    root = Path(galmorph.__file__).parents[1]
    return subprocess.Popen(
        words, stdout=subprocess.PIPE, text=True, cwd=root, env=os.environ | {"PYTHONPATH": str(root)}
    )


@pytest.fixture
def killed_scorer():
    """Score in another process, and kill it in the middle."""

    def run(_python, url, _store) -> None:
        with scoring(url, pause=0.05) as process:
            assert process.stdout.readline().strip() == "3"
            process.stdout.readline()
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL

    return run


class TestSqlite(StoreTests):
    @pytest.fixture
    def url(self, tmp_path):
        return tmp_path / "store.db"

    def test_a_database_of_something_else_is_left_alone(self, tmp_path):
        with closing(sqlite3.connect(tmp_path / "other.db")) as connection, connection:
            connection.execute("CREATE TABLE birds (name TEXT)")
        before = (tmp_path / "other.db").read_bytes()
        for create in (False, True):
            with pytest.raises(StoreError, match="table 'birds'"):
                galmorph.open_store(tmp_path / "other.db", create=create)
        assert (tmp_path / "other.db").read_bytes() == before

    @pytest.mark.parametrize("content", [b"no database at all" * 99, b""])
    def test_what_is_no_database_is_refused(self, tmp_path, content):
        (tmp_path / "text.db").write_bytes(content)
        with pytest.raises(StoreError, match=r"not a database|without tables"):
            galmorph.open_store(tmp_path / "text.db")
        assert (tmp_path / "text.db").read_bytes() == content

    @pytest.mark.parametrize(
        ("url", "words"),
        [
            ("missing.db", "does not exist"),
            ("folder/missing.db", "does not exist"),
            (":memory:", "in memory"),
            ("mysql://u:secret@h/d", "by mysql"),
            ("sqlite://h:port/x", "cannot be read"),
            (".", "is no file"),
        ],
    )
    def test_what_is_no_place_for_a_store_is_one_line(self, url, words, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(StoreError, match=words) as raised:
            galmorph.open_store(url, create=url.startswith("folder"))
        assert "secret" not in str(raised.value)
        assert list(tmp_path.iterdir()) == []

    def test_half_a_store_is_refused(self, store, url):
        with store.database.writing() as connection:
            connection.execute(sa.text("DROP TABLE gm_images"))
        with galmorph.open_store(url) as half, pytest.raises(StoreError, match="no whole store"):
            half.count()

    def test_a_store_that_cannot_be_written_is_read(self, filled, url):
        filled.score("untaught")
        pulled = filled.pull("untaught")
        filled.close()
        with galmorph.open_store(f"sqlite:///file:{url}?mode=ro&uri=true") as read:
            assert_same_columns(read.pull("untaught"), pulled)
            with pytest.raises(StoreError, match="cannot be written"):
                read.add_key("ann")

    def test_a_full_disk_is_one_line_and_nothing_half_written(self, store, table, pictures):
        with store.database.reading() as connection:
            pages = connection.scalar(sa.text("PRAGMA page_count"))

        def limit(raw, _record):
            raw.execute(f"PRAGMA max_page_count = {pages + 1}")

        store.database.engine.dispose()
        sa.event.listen(store.database.engine, "connect", limit)
        with pytest.raises(StoreError, match="free some space"):
            store.add_images(table, pictures, **SDSS)
        assert store.count() == 0


class TestPostgres(StoreTests):
    @pytest.fixture
    def url(self, new_database):
        return new_database()

    def test_two_scorers_do_no_row_twice(self, filled, url):
        with galmorph.open_store(url) as other, ThreadPoolExecutor(2) as pool:
            done = list(pool.map(lambda store: store.score("untaught", chunk=1), (filled, other)))
        assert sum(done) == 13
        assert all(done)
        assert filled.counts()[0][1] == 13

    def test_a_server_that_hung_up_between_chunks_is_called_again(self, filled, url):
        def cut(_stage: str, done: int, _total: int, _remark: str = "") -> None:
            if done == 4:
                with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
                    query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                    connection.execute(f"{query} AND datname = current_database()")

        assert filled.score("untaught", chunk=4, progress=cut) == 13

    def test_rows_that_a_dba_inserts_are_scored_by_who_watches(self, filled, url, pictures):
        filled.score("untaught")
        plain = url.replace("+psycopg", "")
        filled.watch("untaught", idle_s=0.05)
        with psycopg.connect(plain) as connection:
            for n in range(3):
                row = (f"dba {n}", pictures["g1.jpg"])
                connection.execute(
                    "INSERT INTO gm_images (id, content, survey, band) VALUES (%s, %s, 'sdss', 'RGB')", row
                )
        with psycopg.connect(plain) as connection:
            assert connection.execute("SELECT count(*) FROM gm_queue").fetchone() == (3,)
            assert filled.watch("untaught", idle_s=0.05) == 3
            query = "SELECT p.class, p.columns::json->>'gm_flags' FROM gm_predictions p"
            query += " JOIN gm_images i ON i.number = p.image"
            rows = connection.execute(f"{query} WHERE i.id LIKE 'dba %'").fetchall()
        assert len({*rows}) == 1
        assert len(rows) == 3

    def test_a_listener_hears_of_an_insert_at_once(self, filled, url, pictures):
        """Though it would look by itself only after a minute."""
        filled.score("untaught")
        with listening(filled.database) as ear:
            with psycopg.connect(url.replace("+psycopg", "")) as connection:
                connection.execute("UPDATE gm_models SET watched = true")
            filled.add_image("late", pictures["g1.jpg"], **SDSS)
            start = time.monotonic()
            ear.wait(60.0)
            assert time.monotonic() - start < 30
            ear.wait(0.05)

    def test_tables_of_others_stay(self, url):
        with psycopg.connect(url.replace("+psycopg", "")) as connection:
            connection.execute("CREATE TABLE birds (name TEXT)")
        galmorph.open_store(url, create=True).close()

    def test_a_server_that_is_not_there_is_one_line_without_the_password(self):
        with pytest.raises(StoreError, match="store 'postgresql") as raised:
            galmorph.open_store("postgresql://ann:secret@localhost:1/one?connect_timeout=2")
        assert "secret" not in str(raised.value)

    def test_the_sql_that_a_dba_reads_is_what_runs(self, store):
        with store.database.reading() as connection:
            query = "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = current_schema()"
            names = connection.scalars(sa.text(query)).all()
        assert names == ["gm_images_are_queued"]
        assert "pg_notify" in trigger_sql()


def test_tables_have_no_columns_that_the_document_lacks():
    text = (Path(__file__).parents[2] / "docs" / "store.md").read_text(encoding="utf-8")
    for table in schema.METADATA.tables.values():
        row = re.search(rf"^\| `{table.name}` \| (.*) \|$", text, flags=re.MULTILINE)
        assert row, table.name
        assert set(re.findall(r"`(\w+)`", row[1])) >= {column.name for column in table.columns}, table.name


@pytest.mark.long
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_two_thousand_images_survive_a_kill(kind, tmp_path, network, request):
    """Every row once, with the values of the command line."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    names = [f"g{n:04d}.jpg" for n in range(2000)]
    for n, name in enumerate(names):
        (folder / name).write_bytes(small_sky.picture(n, 64))
    from astropy.table import Table  # noqa: PLC0415

    table = Table({"id": [name[:-4] for name in names], "file": names})
    url = tmp_path / "store.db" if kind == "sqlite" else request.getfixturevalue("new_database")()
    with galmorph.open_store(url, create=True) as store:
        store.push_model(network)
        assert store.add_images(table, folder, **SDSS) == 2000
        with scoring(url, 100) as process:
            while int(process.stdout.readline()) < 700:
                pass
            process.kill()
        before = store.counts()[0][1]
        assert 700 <= before < 2000
        assert store.score("untaught") == 2000 - before
        assert_same_columns(store.pull("untaught"), galmorph.classify(table, folder, checkpoint=network, **SDSS))
    shutil.rmtree(folder)
