"""Fixtures: a small sky, checkpoints with random weights, and the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import small_sky
from loopback import Loopback, serving

from galmorph.cli import main


@pytest.fixture
def archive(tmp_path, monkeypatch) -> Iterator[Loopback]:
    """Run a server of this machine, which has no file yet, and keep what is fetched in a folder of the test."""
    monkeypatch.setenv("GALMORPH_CACHE", str(tmp_path / "cache"))
    with serving() as loopback:
        yield loopback


@pytest.fixture(scope="session")
def sky(tmp_path_factory) -> small_sky.Sky:
    """Write the files of a small sky once; tests do not change them."""
    return small_sky.write_sky(tmp_path_factory.mktemp("sky"))


@pytest.fixture(scope="session")
def h_checkpoint(tmp_path_factory) -> Path:
    """Write a checkpoint for the H band of CANDELS."""
    return small_sky.write_checkpoint(tmp_path_factory.mktemp("checkpoint") / "untaught.safetensors")


@pytest.fixture(scope="session")
def rgb_checkpoint(tmp_path_factory) -> Path:
    """Write a checkpoint for SDSS colour images."""
    path = tmp_path_factory.mktemp("checkpoint") / "untaught-rgb.safetensors"
    return small_sky.write_checkpoint(path, **small_sky.rgb_checkpoint_settings())


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    status: int
    out: str
    err: str


@pytest.fixture
def galmorph(capsys) -> Callable[..., Outcome]:
    """Run a command in this process; usage errors give their status too."""

    def command(*arguments: object) -> Outcome:
        capsys.readouterr()
        try:
            status = main([str(a) for a in arguments])
        except SystemExit as leaving:
            status = int(leaving.code or 0)
        printed = capsys.readouterr()
        return Outcome(status, printed.out, printed.err)

    return command


@pytest.fixture
def classified(galmorph, sky, h_checkpoint) -> Callable[..., Outcome]:
    """Classify the small sky's catalogue, or another one, in the H band with the untaught checkpoint."""

    def command(output: Path, *more: object, catalog: Path | None = None) -> Outcome:
        return galmorph(
            *("classify", catalog or sky.catalog, "--image", sky.image, "--weight", sky.weight),
            *("--survey", "candels", "--band", "H", "--checkpoint", h_checkpoint, "-o", output),
            *more,
        )

    return command
