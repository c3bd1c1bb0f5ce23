"""The actions of ``galmorph store``: each option arrives, and what is printed is what was done."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Self

import pytest
import small_sky
from astropy.table import Table

import galmorph
from galmorph import cli
from galmorph.cli import store as actions
from galmorph.cli.parser import Parser

ACTIONS = {
    "push": (["net"], ["--create"], "push_model", {"": "net"}),
    "add": (
        ["cat.fits"],
        [
            "--image",
            "a.zip",
            "--survey",
            "sdss",
            "--band",
            "RGB",
            "--id",
            "I",
            "--file",
            "F",
            "--ra",
            "R",
            "--dec",
            "D",
            "--hdu",
            "2",
            "--overwrite",
            "--create",
        ],
        "add_images",
        {"": "cat.fits", "images": ["a.zip"], "survey": "sdss", "band": "RGB", "id": "I", "file": "F", "ra": "R"}
        | {"dec": "D", "hdu": 2, "overwrite": True},
    ),
    "score": (
        ["--checkpoint", "net"],
        ["--chunk", "9", "--again", "--device", "cpu", "--precision", "bfloat16"],
        "score",
        {"": "net", "chunk": 9, "again": True, "device": "cpu", "precision": "bfloat16"},
    ),
    "watch": (
        ["--checkpoint", "net"],
        ["--chunk", "9", "--device", "cpu", "--precision", "single", "--poll", "0.5", "--idle", "3"],
        "watch",
        {"": "net", "chunk": 9, "device": "cpu", "precision": "single", "poll_s": 0.5, "idle_s": 3.0},
    ),
    "pull": (
        ["-o", "out.fits"],
        ["--checkpoint", "net", "--overwrite"],
        "pull",
        {"": "net", "output": "out.fits", "overwrite": True},
    ),
    "labels": (
        ["--scheme", "gz2", "-o", "out.fits"],
        ["--author", "ann", "--pictures", "folder", "--overwrite"],
        "labels",
        {"": "gz2", "author": "ann", "output": "out.fits", "overwrite": True},
    ),
}


class Recorded:
    """A store that notes what it is asked."""

    def __init__(self) -> None:
        self.calls: dict[str, dict[str, object]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *words: object) -> None:
        pass

    def __getattr__(self, name: str):
        def note(*first, **named):
            named.pop("progress", None)
            self.calls[name] = ({"": first[0]} if first else {}) | named
            return Table({"gm_x": [1.0]}) if name in ("pull", "labels") else 3

        return note

    def push_model(self, name: str) -> SimpleNamespace:
        self.calls["push_model"] = {"": name}
        return SimpleNamespace(sha256="abc")


@pytest.fixture
def recorded(monkeypatch):
    store = Recorded()
    monkeypatch.setattr(
        "galmorph.api.open_store", lambda url, **named: store.calls.update(opened={"": url} | named) or store
    )
    return store


@pytest.mark.parametrize("action", ACTIONS)
def test_every_option_arrives(action, recorded, capsys):
    least, more, method, expected = ACTIONS[action]
    assert cli.main(["store", action, "s.db", *least, *more]) == 0
    arguments = recorded.calls[method]
    command = arguments.pop("command", None)
    assert arguments == expected
    assert command is None or command.startswith(f"galmorph store {action} s.db")
    assert recorded.calls["opened"] == {"": "s.db"} | ({"create": True} if "--create" in more else {})
    if action == "labels":
        assert recorded.calls["save_pictures"] == {"": "folder"}
    capsys.readouterr()


@pytest.mark.parametrize("action", ACTIONS)
def test_every_option_is_checked(action):
    """Add an option to ACTIONS when you add it to an action."""
    parser = Parser()
    actions._ACTIONS[action][1](parser)
    options = {max(a.option_strings, key=len) for a in parser._actions if a.option_strings and a.dest != "help"}
    words = {{"-o": "--output"}.get(word, word) for word in ACTIONS[action][0] + ACTIONS[action][1]}
    assert options == {word for word in words if word.startswith("--")}


def test_a_store_is_filled_scored_and_pulled(tmp_path, capsys):
    small_sky.write_checkpoint(tmp_path / "net.safetensors", **small_sky.rgb_checkpoint_settings())
    (tmp_path / "pictures").mkdir()
    for n in range(3):
        (tmp_path / "pictures" / f"{n}.jpg").write_bytes(small_sky.picture(n, 64))
    Table({"id": ["a", "b", "c"], "file": ["0.jpg", "1.jpg", "2.jpg"]}).write(tmp_path / "cat.fits")
    store, out = str(tmp_path / "s.db"), str(tmp_path / "out.fits")

    def run(*words: str) -> str:
        assert cli.main(["store", *words]) == 0
        return capsys.readouterr().out

    assert run("push", store, str(tmp_path / "net.safetensors"), "--create").startswith("untaught@0.0 ")
    images = ["--image", str(tmp_path / "pictures"), "--survey", "sdss", "--band", "RGB"]
    assert run("add", store, str(tmp_path / "cat.fits"), *images) == "3 images are new or changed, 3 in all\n"
    assert run("score", store, "--checkpoint", "untaught") == "3 images\n"
    assert run("watch", store, "--checkpoint", "untaught", "--idle", "0") == "0 images\n"
    assert "3 predictions  watched\n3 images" in run("list", store)
    assert run("pull", store, "--checkpoint", "untaught", "-o", out) == f"{out}\n"
    direct = galmorph.classify(tmp_path / "cat.fits", tmp_path / "pictures", checkpoint=tmp_path / "net.safetensors",
                               survey="sdss", band="RGB")  # fmt: skip
    pulled = galmorph.read_catalog(out).table
    assert pulled.colnames == direct.colnames
    assert pulled["gm_conf"].data.tobytes() == direct["gm_conf"].data.astype(pulled["gm_conf"].dtype).tobytes()
    assert [pulled[name].unit for name in pulled.colnames] == [direct[name].unit for name in direct.colnames]
    secret = run("key", store, "add", "ann").strip()
    assert "ann" in run("key", store, "list")
    run("key", store, "withdraw", "ann")
    assert "withdrawn" in run("key", store, "list")
    with galmorph.open_store(store) as opened:
        assert opened.check_key(secret) is None
        opened.add_label("a", "gz2-simple", "class", "spiral", author="ann")
    labels = str(tmp_path / "labels.csv")
    run("labels", store, "--scheme", "gz2-simple", "-o", labels, "--pictures", str(tmp_path / "saved"))
    assert galmorph.read_catalog(labels).files == ["0.jpg"]
    assert (tmp_path / "saved" / "0.jpg").read_bytes() == small_sky.picture(0, 64)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["list", "missing.db"], "does not exist"),
        (["score", "missing.db", "--checkpoint", "a"], "--create"),
        (["list", "mysql://u:secret@h/d"], "expected the path of a file"),
    ],
)
def test_what_is_no_store_is_one_line(words, message, capsys):
    assert cli.main(["store", *words]) == 1
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1
    assert "secret" not in printed


def test_a_misspelt_option_of_an_action_is_named(capsys):
    with pytest.raises(SystemExit):
        cli.main(["store", "score", "s.db", "--chekpoint", "a"])
    assert "did you mean '--checkpoint'" in capsys.readouterr().err


def test_help_loads_neither_sql_nor_networks():
    code = "import sys; from galmorph import cli; cli.main(['store', 'score', '--help'])"
    watch = "import atexit, sys; atexit.register(lambda: print({'sqlalchemy', 'torch', 'numba'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", f"{watch}; {code}"], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("set()\n")
