"""What the tests of stores share: a network of random weights, pictures, and a server where one can be had."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import postgres_server
import psycopg
import pytest
import small_sky
import torch
from astropy.table import Table

CHECKPOINT = "untaught"


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def network(tmp_path_factory) -> Path:
    """Write a checkpoint for colour pictures of the SDSS."""
    path = tmp_path_factory.mktemp("network") / "untaught.safetensors"
    return small_sky.write_checkpoint(path, **small_sky.rgb_checkpoint_settings())


@pytest.fixture(scope="session")
def pictures() -> dict[str, bytes]:
    """Draw a dozen pictures, of which one is damaged."""
    return {f"g{n}.jpg": small_sky.picture(n, 80) for n in range(11)} | {"g11.jpg": b"\xff\xd8\xff no picture"}


@pytest.fixture(scope="session")
def table() -> Table:
    """Make a catalogue of the pictures, and of one that there is not."""
    table = Table(
        {
            "objid": [f"id {n}" for n in range(13)],
            "file": [f"g{n}.jpg" for n in range(13)],
            "ra": np.linspace(359.5, 363.5, 13) % 360.0,
            "dec": np.linspace(-2.0, 2.0, 13),
            "z": np.r_[np.nan, np.linspace(0, 1, 12)].astype(np.float32),
            "run": np.ma.masked_equal(np.arange(13), 5),
            "mags": np.arange(39.0).reshape(13, 3),
        }
    )
    table["z"].description = "redshift"
    table["ra"].unit = "deg"
    table["ra"].info.meta = {"ucd": "pos.eq.ra;meta.main"}
    return table


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """Start PostgreSQL; skip, and say why, where that cannot be; but not where continuous integration installs it."""
    if reason := postgres_server.missing():
        (pytest.fail if os.environ.get("GALMORPH_NO_SKIPS") else pytest.skip)(reason)
    with postgres_server.running() as url:
        yield url


@pytest.fixture(scope="session")
def new_database(server) -> Callable[[], str]:
    """Make schemas in a database of the server, which cost less than databases; return their URLs."""
    numbers, url = itertools.count(), server.format(name="postgres")

    def make() -> str:
        name = f"one{next(numbers)}"
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}")
        return f"{url}&options=-csearch_path%3D{name}"

    return make
