"""Every option of every command arrives as the right argument of the right type; one without a check fails."""

from __future__ import annotations

import importlib
import inspect
import json
import shlex
from types import SimpleNamespace
from typing import Self

import numpy as np
import pytest
from astropy.table import Table

import galmorph
from galmorph import api, cli
from galmorph.cli.parser import Parser
from galmorph.pages.class_agreement import ClassAgreement
from galmorph.web import server

Check = tuple[list[str], str, object]
"""Words after an option, the parameter that they belong to, and its value."""

IMAGES: dict[str, Check] = {
    "--weight": (["w1.fits", "w2.fits"], "weight", ["w1.fits", "w2.fits"]),
    "--rms": (["r1.fits", "r2.fits"], "rms", ["r1.fits", "r2.fits"]),
    "--variance": (["v1.fits", "v2.fits"], "variance", ["v1.fits", "v2.fits"]),
    "--segmentation": (["s1.fits", "s2.fits"], "segmentation", ["s1.fits", "s2.fits"]),
    "--image-hdu": (["3"], "image_hdu", 3),
    "--survey": (["sdss"], "survey", "sdss"),
    "--band": (["gri"], "band", "gri"),
}
ARCHIVE: dict[str, Check] = {
    "--field": (["uds"], "field", "uds"),
    "--offline": ([], "offline", True),
    "--archive": (["parts"], "archive", "parts"),
    "--fetched": (["folder"], "fetched", "folder"),
}
INSTEAD = {"--at", "--dry-run", "--status"}
"""What a command does with these is another function's: a test below has them."""
COLUMNS: dict[str, Check] = {
    **{f"--{role}": ([f"MY_{role}"], role, f"MY_{role}") for role in ("ra", "dec", "x", "y", "id", "file")},
    "--hdu": (["2"], "hdu", 2),
}
REPORT: dict[str, Check] = {
    "--report": (["pages"], "report", "pages"),
    "--pictures": (["300"], "pictures", 300),
}
DETECTION: dict[str, Check] = {
    "--detect": (["cutouts"], "detect", "cutouts"),
    "--centroid": (["isophotal"], "centroid", "isophotal"),
}
RESULT: dict[str, Check] = {
    "--output": (["out.vot"], "output", "out.vot"),
    "--overwrite": ([], "overwrite", True),
    "--prefix": (["my_"], "prefix", "my_"),
    "--retry": ([], "retry", True),
}
EXECUTION: dict[str, Check] = {
    "--engine": (["pool"], "engine", "pool"),
    "--workers": (["3"], "workers", 3),
    "--scheduler": (["tcp://x:1"], "scheduler", "tcp://x:1"),
    "--shard": (["2/3"], "shard", "2/3"),
}
VIEWS: dict[str, Check] = {"--views": (["angles = 8, flip = true"], "views", "angles = 8, flip = true")}
DEVICE: dict[str, Check] = {"--device": (["cuda"], "device", "cuda")}
TRAINING: dict[str, Check] = {
    "--output": (["folder"], "output", "folder"),
    "--resume": ([], "resume", True),
    "--epochs": (["7"], "epochs", 7),
    "--threads": (["3"], "threads", 3),
    "--seed": (["5"], "seed", 5),
    **DEVICE,
}
INPUTS: dict[str, Check] = {
    "--input": (
        ["labels=l.csv", "images=g=g.fits", "images=r=r.fits"],
        "inputs",
        {"labels": "l.csv", "images": ["g=g.fits", "r=r.fits"]},
    )
}
CARD: dict[str, Check] = {"--card": (["card.json"], "card", "card.json")}
SPLIT: dict[str, Check] = {"--split": (["validation"], "split", "validation")}

# The least that a command needs, and the arguments that this makes.
LEAST: dict[str, tuple[list[str], dict[str, object]]] = {
    "classify": (["cat.fits", "--image", "a.fits", "b.fits"], {"catalog": "cat.fits", "images": ["a.fits", "b.fits"]}),
    "measure": (["cat.fits", "--image", "a.fits", "b.fits"], {"catalog": "cat.fits", "images": ["a.fits", "b.fits"]}),
    "embed": (["cat.fits", "--image", "a.fits", "b.fits"], {"catalog": "cat.fits", "images": ["a.fits", "b.fits"]}),
    "similar": (["features.fits", "--to", "7"], {"table": "features.fits", "to": ["7"]}),
    "outliers": (["features.fits"], {"table": "features.fits"}),
    "train": (
        ["l.csv", "--image", "s.zip", "--pipeline", "p.toml", "-o", "made"],
        {"labels": "l.csv", "images": ["s.zip"], "pipeline": "p.toml", "output": "made"},
    ),
    "run": (["one", "two.toml", "-o", "made"], {"pipelines": ["one", "two.toml"], "output": "made", "inputs": {}}),
    "tune": (["p.toml", "-o", "made"], {"pipeline": "p.toml", "output": "made", "inputs": {}}),
    "evaluate": (["net", "l.csv", "--image", "s.zip"], {"checkpoint": "net", "labels": "l.csv", "images": ["s.zip"]}),
    "inspect": (["net", "-o", "page.html"], {"checkpoint": "net", "output": "page.html"}),
    "calibrate": (
        ["net", "l.csv", "--image", "s.zip", "-o", "new.safetensors"],
        {"checkpoint": "net", "labels": "l.csv", "images": ["s.zip"], "output": "new.safetensors"},
    ),
    "ensemble": (["one", "two", "-o", "b.safetensors"], {"checkpoints": ["one", "two"], "output": "b.safetensors"}),
    "export": (["net", "-o", "net.onnx"], {"checkpoint": "net", "output": "net.onnx"}),
    "simulate": (["-o", "field"], {"output": "field"}),
    "serve": ([], {}),
    "cache": (["list"], {"action": "list"}),
    "fetch": (["cat.fits", "--band", "H"], {"catalog": "cat.fits", "band": "H"}),
    "match": (
        ["a.fits", "b.fits", "--radius", "1arcsec"],
        {"catalog": "a.fits", "others": ["b.fits"], "radius": "1arcsec"},
    ),
    "map": (["f.fits", "--page", "m.html"], {"catalog": "f.fits", "page": "m.html"}),
    "overlay": (["out.fits"], {"result": "out.fits"}),
    "compare": (
        ["a.fits", "b.fits", "--radius", "1arcsec", "--theirs", "type"],
        {"catalog": "a.fits", "other": "b.fits", "radius": "1arcsec", "theirs": "type"},
    ),
    "count": (["out.fits"], {"catalog": "out.fits"}),
    "cite": (["candels-h", "sdss-rgb"], {"checkpoints": ["candels-h", "sdss-rgb"]}),
    "list": (["schemes"], {"kind": "schemes"}),
    "show": (["candels"], {"name": "candels"}),
    "flags": (["2056", "BLEND"], {"flags": ["2056", "BLEND"]}),
    "store": (["list", "survey.db"], {"url": "survey.db"}),
}
CHECKS: dict[str, dict[str, Check]] = {
    "classify": {
        **IMAGES,
        **ARCHIVE,
        **COLUMNS,
        **DETECTION,
        **RESULT,
        **EXECUTION,
        **VIEWS,
        **DEVICE,
        "--image": (["c.fits"], "images", ["c.fits"]),
        "--checkpoint": (["net"], "checkpoint", "net"),
        **REPORT,
        "--runtime": (["net.onnx"], "runtime", "net.onnx"),
        "--precision": (["bfloat16"], "precision", "bfloat16"),
        "--errors": ([], "errors", True),
        "--features": ([], "features", True),
        "--rule": (["clean"], "rule", "clean"),
        "--normalise": ([], "normalise", True),
        "--strict": ([], "strict", True),
    },
    "measure": {
        **IMAGES,
        **ARCHIVE,
        **COLUMNS,
        **DETECTION,
        **RESULT,
        **EXECUTION,
        "--image": (["c.fits"], "images", ["c.fits"]),
        **REPORT,
        "--backend": (["sep"], "backend", "sep"),
    },
    "embed": {
        **IMAGES,
        **ARCHIVE,
        **COLUMNS,
        **DETECTION,
        **RESULT,
        **EXECUTION,
        **VIEWS,
        **DEVICE,
        "--image": (["c.fits"], "images", ["c.fits"]),
        "--checkpoint": (["net"], "checkpoint", "net"),
        "--light": (["8"], "light", 8),
        "--runtime": (["net.onnx"], "runtime", "net.onnx"),
        "--precision": (["bfloat16"], "precision", "bfloat16"),
    },
    "similar": {
        "--to": (["1", "b"], "to", ["1", "b"]),
        "--unlike": (["3", "4"], "unlike", ["3", "4"]),
        "--number": (["5"], "number", 5),
        "--by": (["logistic"], "by", "logistic"),
        "--duplicates": (["0.98"], "duplicates", 0.98),
        "--whiten": ([], "whiten", True),
        "--dimensions": (["9"], "dimensions", 9),
        "--exact": ([], "exact", True),
        "--output": (["out.vot"], "output", "out.vot"),
        "--overwrite": ([], "overwrite", True),
        "--prefix": (["my_"], "prefix", "my_"),
        "--features": (["v", "w"], "features", ["v", "w"]),
        **{name: check for name, check in COLUMNS.items() if name not in ("--x", "--y")},
    },
    "outliers": {
        "--odd": (["1", "b"], "odd", ["1", "b"]),
        "--usual": (["3", "4"], "usual", ["3", "4"]),
        "--reference": (["r.fits"], "reference", "r.fits"),
        "--number": (["5"], "number", 5),
        "--output": (["out.vot"], "output", "out.vot"),
        "--overwrite": ([], "overwrite", True),
        "--prefix": (["my_"], "prefix", "my_"),
        "--features": (["v", "w"], "features", ["v", "w"]),
        **{name: check for name, check in COLUMNS.items() if name not in ("--x", "--y")},
    },
    "train": {
        **IMAGES,
        **COLUMNS,
        **TRAINING,
        "--image": (["c.zip"], "images", ["c.zip"]),
        "--pipeline": (["q"], "pipeline", "q"),
        "--scheme": (["gz2"], "scheme", "gz2"),
    },
    "run": {**INPUTS, **TRAINING, **SPLIT, "--overwrite": ([], "overwrite", True)},
    "tune": {
        **INPUTS,
        **TRAINING,
        "--trials": (["9"], "trials", 9),
        "--blend": (["2"], "blend", 2),
        "--fit-shares": ([], "fit_shares", True),
    },
    "evaluate": {
        **IMAGES,
        **COLUMNS,
        **SPLIT,
        **VIEWS,
        **CARD,
        "--image": (["c.zip"], "images", ["c.zip"]),
        "--precision": (["bfloat16"], "precision", "bfloat16"),
        "--output": (["scores.json"], "output", "scores.json"),
        "--overwrite": ([], "overwrite", True),
    },
    "inspect": {
        **IMAGES,
        **COLUMNS,
        **SPLIT,
        **CARD,
        "--image": (["c.zip"], "images", ["c.zip"]),
        "--rows": (["11"], "rows", 11),
        "--pictures": (["none"], "pictures", "none"),
        "--seed": (["5"], "seed", 5),
        "--output": (["pages"], "output", "pages"),
        "--overwrite": ([], "overwrite", True),
    },
    "calibrate": {
        **IMAGES,
        **COLUMNS,
        "--image": (["c.zip"], "images", ["c.zip"]),
        "--method": (["dirichlet"], "method", "dirichlet"),
        "--sets": (["aps"], "sets", "aps"),
        "--coverage": (["0.8"], "coverage", 0.8),
        "--by-class": ([], "by_class", True),
        "--false-alarms": (["0.02"], "false_alarms", 0.02),
        "--output": (["c.safetensors"], "output", "c.safetensors"),
        "--overwrite": ([], "overwrite", True),
    },
    "ensemble": {
        "--shares": (["1", "2.5"], "shares", [1.0, 2.5]),
        "--name": (["both"], "name", "both"),
        "--output": (["c.safetensors"], "output", "c.safetensors"),
        "--overwrite": ([], "overwrite", True),
    },
    "export": {
        "--output": (["c.onnx"], "output", "c.onnx"),
        "--overwrite": ([], "overwrite", True),
    },
    "simulate": {
        "--survey": (["sdss"], "survey", "sdss"),
        "--band": (["gri"], "band", "gri"),
        "--rows": (["12"], "rows", 12),
        "--seed": (["5"], "seed", 5),
        "--side": (["400"], "side", 400),
        "--output": (["other"], "output", "other"),
        "--overwrite": ([], "overwrite", True),
    },
    "serve": {
        **DEVICE,
        "--precision": (["bfloat16"], "precision", "bfloat16"),
        "--checkpoint": (["sdss-rgb", "net"], "checkpoint", ["sdss-rgb", "net"]),
        "--store": (["kept.sqlite"], "store", "kept.sqlite"),
        "--host": (["::1"], "host", "::1"),
        "--port": (["0"], "port", 0),
        "--open": ([], "open", True),
        "--folder": (["kept"], "folder", "kept"),
        "--queue": (["9"], "queue", 9),
        "--threads": (["3"], "threads", 3),
        "--map": (["m.html"], "map", "m.html"),
    },
    "cache": {},
    "fetch": {
        "--survey": (["sdss"], "survey", "sdss"),
        "--band": (["gri"], "band", "gri"),
        "--field": (["uds"], "field", "uds"),
        "--archive": (["parts"], "archive", "parts"),
        "--output": (["folder"], "output", "folder"),
        "--stamps": (["stamps"], "stamps", "stamps"),
        "--side": (["101"], "side", 101),
        "--overwrite": ([], "overwrite", True),
        "--ra": (["MY_ra"], "ra", "MY_ra"),
        "--dec": (["MY_dec"], "dec", "MY_dec"),
        "--hdu": (["2"], "hdu", 2),
    },
    "match": {
        "--radius": (["2arcsec"], "radius", "2arcsec"),
        "--find": (["best1"], "find", "best1"),
        "--join": (["1xor2"], "join", "1xor2"),
        "--output": (["out.vot"], "output", "out.vot"),
        "--overwrite": ([], "overwrite", True),
        "--suffixes": (["_a", "_b"], "suffixes", ["_a", "_b"]),
        "--probability": ([], "probability", True),
        "--ra": (["-", "MY_ra"], "ra", ["-", "MY_ra"]),
        "--dec": (["MY_dec"], "dec", ["MY_dec"]),
        "--hdu": (["2", "SRC"], "hdu", [2, "SRC"]),
        "--error": (["A,B,C", "0.1arcsec"], "error", ["A,B,C", "0.1arcsec"]),
        "--sigmas": (["5"], "sigmas", 5.0),
        "--motion": (["pmra,pmdec", "-"], "motion", ["pmra,pmdec", "-"]),
        "--epoch": (["2016", "year"], "epoch", ["2016", "year"]),
    },
    "map": {
        **COLUMNS,
        "--features": (["MY_features"], "features", "MY_features"),
        "--method": (["pca"], "method", "pca"),
        "--onto": (["old.npz"], "onto", "old.npz"),
        "--axes": (["colour", "mag"], "axes", ["colour", "mag"]),
        "--seed": (["5"], "seed", 5),
        "--output": (["out.vot"], "output", "out.vot"),
        "--save": (["m.npz"], "save", "m.npz"),
        "--page": (["other.html"], "page", "other.html"),
        "--colours": (["MAG", "z"], "colours", ["MAG", "z"]),
        "--image": (["s.zip"], "images", ["s.zip"]),
        "--pictures": (["50"], "pictures", 50),
        "--service": (["http://x:1"], "service", "http://x:1"),
        "--survey": (["sdss"], "survey", "sdss"),
        "--band": (["gri"], "band", "gri"),
        "--prefix": (["my_"], "prefix", "my_"),
        "--overwrite": ([], "overwrite", True),
    },
    "overlay": {
        "--regions": (["out.reg"], "regions", "out.reg"),
        "--moc": (["moc.fits"], "moc", "moc.fits"),
        "--links": (["links.vot"], "links", "links.vot"),
        "--samp": ([], "samp", True),
        "--survey": (["sdss"], "survey", "sdss"),
        "--prefix": (["my_"], "prefix", "my_"),
        "--overwrite": ([], "overwrite", True),
        "--ra": (["MY_ra"], "ra", "MY_ra"),
        "--dec": (["MY_dec"], "dec", "MY_dec"),
        "--hdu": (["2"], "hdu", 2),
    },
    "compare": {
        "--radius": (["2arcsec"], "radius", "2arcsec"),
        "--ours": (["disk=gm_p_disk"], "ours", {"disk": "gm_p_disk"}),
        "--theirs": (["smooth=p_s", "featured=p_f"], "theirs", {"smooth": "p_s", "featured": "p_f"}),
        "--names": (["Sb=spiral", "E=elliptical"], "names", {"Sb": "spiral", "E": "elliptical"}),
        "--magnitude": (["H"], "magnitude", "H"),
        "--edges": (["18", "20.5"], "edges", [18.0, 20.5]),
        "--output": (["out.vot"], "output", "out.vot"),
        "--report": (["page.html"], "report", "page.html"),
        "--overwrite": ([], "overwrite", True),
        "--ra": (["-", "MY_ra"], "ra", ["-", "MY_ra"]),
        "--dec": (["MY_dec"], "dec", ["MY_dec"]),
        "--hdu": (["2", "SRC"], "hdu", [2, "SRC"]),
    },
    "cite": {"--result": (["out.fits"], "result", "out.fits")},
    "count": {
        "--by": (["mag,z"], "by", ["mag", "z"]),
        "--bins": (["mag=18,20.5", "z=3"], "bins", {"mag": [18.0, 20.5], "z": 3}),
        "--question": (["bar"], "question", "bar"),
        "--method": (["pacc"], "method", "pacc"),
        "--cut": (["recommended,BLEND"], "cut", "recommended,BLEND"),
        "--weight": (["w"], "weight", "w"),
        "--output": (["out.vot"], "output", "out.vot"),
        "--plot": (["f.svg"], "plot", "f.svg"),
        "--overwrite": ([], "overwrite", True),
        "--checkpoint": (["net"], "checkpoint", "net"),
        "--scheme": (["gz2"], "scheme", "gz2"),
        "--priors": (["disk=0.6", "spheroid=0.4"], "priors", {"disk": 0.6, "spheroid": 0.4}),
        "--prefix": (["my_"], "prefix", "my_"),
        "--draws": (["99"], "draws", 99),
        "--seed": (["5"], "seed", 5),
        "--hdu": (["2"], "hdu", 2),
    },
    "list": {},
    "show": {},
    "flags": {},
    "store": {},  # its actions are methods of a store: see test_store_actions.py
}
# What a command passes on without being asked; 'command' is looked at below.
ALWAYS: dict[str, dict[str, object]] = {
    "classify": {"prefix": "gm_", "output": api.default_output("cat.fits")},
    "measure": {"prefix": "gm_", "output": api.default_output("cat.fits")},
    "embed": {"prefix": "gm_", "output": api.default_output("cat.fits")},
}
FUNCTION = {"list": "names", "map": "map_features", "store": "open_store", "flags": "describe_flags"}
HOME = {"serve": server}
"""Where a function is that is not in :mod:`galmorph.api`."""
SIGNATURES = {
    command: inspect.signature(getattr(HOME.get(command, api), FUNCTION.get(command, command)))
    for command in cli.COMMANDS
}


COUNTED = galmorph.count(
    Table(
        {f"gm_p_{name}": [0.2] for name in ("spheroid", "disk", "irregular", "point_source", "unclassifiable")}
        | {"gm_flags": [0]}
    ),
    scheme="candels-shares",
)
"""What count returns."""


class Field:
    """What simulate returns: it names its files."""

    def files(self, output: str) -> list[str]:
        return [output]


class EmptyStore:
    """What open_store returns: nothing is in it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *words: object) -> None:
        pass

    def counts(self) -> list[object]:
        return []

    def count(self) -> int:
        return 0


def result_of(command: str) -> object:
    """Return something that the command can print."""
    table = Table({"gm_flags": np.zeros(2, np.int32), "my_flags": np.zeros(2, np.int32)})
    results = {
        "classify": table,
        "measure": table,
        "embed": table,
        "similar": table,
        "outliers": table,
        "run": table,
        "train": SimpleNamespace(path="made"),
        "tune": SimpleNamespace(table=table, ranking=["first"], blend=None),
        "evaluate": {},
        "export": 1e-6,
        "simulate": Field(),
        "cache": [],
        "fetch": SimpleNamespace(failed={}, n_rows=0),
        "map": table,
        "match": table,
        "overlay": SimpleNamespace(files={}, receivers=[]),
        "compare": ClassAgreement(("disk",), np.ones((1, 1, 1), int), np.empty(0), 1, (1, 1)),
        "count": COUNTED,
        "cite": [],
        "list": {},
        "show": "",
        "flags": [],
        "store": EmptyStore(),
    }
    return results.get(command, "made")


@pytest.fixture
def called(monkeypatch):
    """Run a command whose public function is replaced: return the arguments that it got, by name."""

    def run(command: str, *words: str) -> dict[str, object]:
        arguments: dict[str, object] = {}

        def recording(*positional: object, **named: object) -> object:
            arguments.update(SIGNATURES[command].bind(*positional, **named).arguments)
            return result_of(command)

        name = FUNCTION.get(command, command)
        module = HOME.get(command) or importlib.import_module(galmorph._LIGHT.get(name, "galmorph.api"))
        monkeypatch.setattr(module, name, recording)
        assert cli.main([command, *words]) == 0
        return arguments

    return run


def options_of(command: str) -> dict[str, list[str]]:
    """Map the long spelling of each option of a command to all of its spellings."""
    parser = Parser()
    importlib.import_module(f"galmorph.cli.{command}").add_options(parser)
    actions = [a for a in parser._actions if a.option_strings and a.dest != "help"]
    return {max(a.option_strings, key=len): list(a.option_strings) for a in actions}


def same(one: object, other: object) -> bool:
    """Compare by value and by type, all the way down."""
    if type(one) is not type(other) or one != other:
        return False
    if isinstance(one, dict):
        return all(same(one[key], other[key]) for key in one)
    return not isinstance(one, list) or all(same(a, b) for a, b in zip(one, other, strict=True))


def without_constants(arguments: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in arguments.items() if name not in {"progress", "command", "whole"}}


def test_every_command_is_checked():
    assert set(LEAST) == set(CHECKS) == set(cli.COMMANDS)


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_option_is_checked(command):
    """Add an option to CHECKS when you add it to a command."""
    assert set(options_of(command)) - INSTEAD == set(CHECKS[command])


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_option_is_called_as_its_parameter(command):
    """One spelling everywhere; a list of images and of inputs is named in the plural in Python."""
    plural = {"image": "images", "input": "inputs"}
    for option, (_, parameter, _) in CHECKS[command].items():
        name = option.removeprefix("--").replace("-", "_")
        assert plural.get(name, name) == parameter


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_the_least_that_a_command_needs_arrives(command, called):
    words, expected = LEAST[command]
    arguments = without_constants(called(command, *words))
    assert same(arguments, ALWAYS.get(command, {}) | expected), arguments


@pytest.mark.parametrize(("command", "option"), [(c, o) for c, options in CHECKS.items() for o in options])
def test_an_option_arrives_as_its_argument_and_nothing_else_changes(command, option, called):
    words, expected = LEAST[command]
    values, parameter, value = CHECKS[command][option]
    for spelling in options_of(command)[option]:
        arguments = without_constants(called(command, *words, spelling, *values))
        assert same(arguments, ALWAYS.get(command, {}) | expected | {parameter: value}), (spelling, arguments)


@pytest.mark.parametrize("command", sorted({*cli.COMMANDS} - {"serve"}))
def test_with_json_there_is_one_document_and_nothing_else(command, called, capsys):
    called(command, *LEAST[command][0], "--json")
    assert isinstance(json.loads(capsys.readouterr().out), dict)


@pytest.mark.parametrize("command", ["classify", "measure", "embed", "fetch"])
def test_a_dry_run_is_asked_for_what_the_run_is(command, monkeypatch):
    asked: dict[str, object] = {}
    monkeypatch.setattr(api, "dry_run", lambda **named: asked.update(named) or [])
    words = ["cat.fits", "--survey", "sdss", "--band", "r", "--field", "uds", "--archive", "parts", "--ra", "A"]
    assert cli.main([command, *words, "--dec", "D", "--hdu", "2", "--dry-run"]) == 0
    expected = {"catalog": "cat.fits", "survey": "sdss", "band": "r", "field": "uds", "archive": "parts"}
    assert asked == expected | {"ra": "A", "dec": "D", "hdu": 2}


@pytest.mark.parametrize("command", ["classify", "measure", "embed"])
def test_positions_arrive_in_place_of_a_catalogue(command, called, capsys):
    arguments = called(command, "--at", "53.1 -27.8", "--band", "H", "--at", "03:32:38 -27:48:00")
    assert np.allclose(arguments["catalog"]["ra"], [53.1, 53.158333], atol=1e-6)
    assert arguments["catalog"]["dec"].tolist() == [-27.8, -27.8]
    assert "output" not in arguments
    assert "gm_flags" in capsys.readouterr().out
    assert called(command, "--at", "53.1 -27.8", "-o", "out.csv")["output"] == "out.csv"


@pytest.mark.parametrize("command", ["classify", "measure", "embed"])
@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([], "one of the arguments CATALOG --at is required"),
        (["cat.fits", "--at", "53.1 -27.8"], "not allowed with argument"),
        (["--at", "53.1 -27.8", "cat.fits"], "not allowed with argument"),
        (["--at"], "expected one argument"),
        (["--at", "the moon"], "position 'the moon': expected right ascension and declination"),
        (["--at", "53.1 -27.8", "--at", "53.1 -97.8"], "position '53.1 -97.8': expected"),
    ],
)
def test_a_catalogue_or_positions_are_wanted_not_both(command, words, reason, capsys):
    try:
        status = cli.main([command, *words, "--image", "i.fits"])
    except SystemExit as leaving:
        status = leaving.code
    printed = capsys.readouterr()
    assert status in (1, 2)
    assert reason in printed.err
    assert (printed.out, printed.err.count("\n")) == ("", 1)


@pytest.mark.parametrize("option", ["--hdu", "--image-hdu"])
def test_an_hdu_may_have_a_name(option, called):
    arguments = called("classify", *LEAST["classify"][0], option, "SCI")
    assert arguments[option.removeprefix("--").replace("-", "_")] == "SCI"


def test_labels_may_come_with_inspect(called):
    arguments = called("inspect", "net", "l.csv", "--image", "s.zip", "-o", "page.html")
    assert (arguments["labels"], arguments["images"]) == ("l.csv", ["s.zip"])


@pytest.mark.parametrize("command", [c for c, signature in SIGNATURES.items() if "command" in signature.parameters])
def test_the_provenance_names_the_command_line(command, called):
    words = [*LEAST[command][0], "--output", "a b.fits"]
    assert called(command, *words)["command"] == shlex.join(["galmorph", command, *words])


@pytest.mark.parametrize("command", [c for c, signature in SIGNATURES.items() if "progress" in signature.parameters])
def test_a_command_shows_progress(command, called):
    assert callable(called(command, *LEAST[command][0])["progress"])


@pytest.mark.parametrize(
    ("words", "new"),
    [
        (["join", "a", "b", "-o", "c"], "'ensemble'"),
        (["evaluate", "net", "l.csv", "--image", "s.zip", "--part", "test"], "'--split'"),
        (["run", "p", "-o", "d", "--part=test"], "'--split'"),
        (["ensemble", "a", "b", "--weights", "1", "2", "-o", "c"], "'--shares'"),
        (["tune", "p", "-o", "d", "--blend", "2", "--fit-weights"], "'--fit-shares'"),
    ],
)
def test_old_words_are_refused_with_the_new_one(words, new, capsys):
    with pytest.raises(SystemExit) as leaving:
        cli.main(words)
    printed = capsys.readouterr()
    assert leaving.value.code == 2
    assert f"is now called {new}" in printed.err
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["clasify"], "'classify'"),
        (["classify", "c.fits", "--imge", "i.fits"], "'--image'"),
        (["measure", "--wieght"], "'--weight'"),
    ],
)
def test_a_typing_error_is_one_line_with_what_was_meant(words, meant, capsys):
    with pytest.raises(SystemExit) as leaving:
        cli.main(words)
    printed = capsys.readouterr()
    assert leaving.value.code == 2
    assert f"did you mean {meant}?" in printed.err
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize("word", ["labels", "labels=", "=a.csv"])
def test_an_input_is_a_key_and_a_value(word, capsys):
    with pytest.raises(SystemExit) as leaving:
        cli.main(["run", "p", "-o", "d", "--input", word])
    assert leaving.value.code == 2
    assert "expected KEY=VALUE" in capsys.readouterr().err
