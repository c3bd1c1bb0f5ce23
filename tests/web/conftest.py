"""A service with small networks of random weights, in this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest
import small_sky
from fastapi.testclient import TestClient

from galmorph.nets.checkpoint.file import save_checkpoint
from galmorph.web.app import create_app
from galmorph.web.service_settings import ServiceSettings


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory) -> tuple[str, str]:
    """Write a checkpoint for colour pictures and one for FITS cutouts in H."""
    folder = tmp_path_factory.mktemp("checkpoints")
    colour = replace(small_sky.checkpoint(**small_sky.rgb_checkpoint_settings()), name="colour")
    grey = replace(small_sky.checkpoint(), name="grey")
    for each in (colour, grey):
        save_checkpoint(each, folder / f"{each.name}.safetensors", {"title": "random weights"})
    return str(folder / "colour.safetensors"), str(folder / "grey.safetensors")


Client = Callable[..., TestClient]


@pytest.fixture(scope="module")
def client(checkpoints, tmp_path_factory) -> Iterator[Client]:
    """Return what starts a service, open unless it is told otherwise, and ready; the same one for the same settings."""
    services: dict[str, TestClient] = {}
    with ExitStack() as running:

        def start(*, store=None, is_ready: bool = True, **settings) -> TestClient:
            name = f"{id(store)} {is_ready} {settings}"
            if name not in services:
                options = {"checkpoints": checkpoints, "folder": tmp_path_factory.mktemp("kept"), "is_open": True}
                app = create_app(ServiceSettings(**(options | settings)), store)
                services[name] = running.enter_context(TestClient(app, base_url="http://localhost"))
                while is_ready and not app.state.service.is_ready:
                    time.sleep(0.01)
            return services[name]

        yield start


@pytest.fixture(scope="session")
def picture() -> bytes:
    return small_sky.picture(0, side=160)


@pytest.fixture(scope="session")
def sky(tmp_path_factory) -> small_sky.Sky:
    return small_sky.write_sky(tmp_path_factory.mktemp("web") / "sky")
