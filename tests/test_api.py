"""The front door: every parameter of every function reaches what it is for, by value; one without a check fails."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import small_sky
from astropy.table import Table

import galmorph
from galmorph import api
from galmorph.errors import CatalogError, GalmorphError, ImageError, OutputError, PipelineError, SurveyError
from galmorph.learning import comparison, scoring, training, tuning
from galmorph.learning.pipeline import load_pipeline
from galmorph.nets import threads
from galmorph.nets.checkpoint import ensemble as ensembles
from galmorph.nets.checkpoint import file as files
from galmorph.pages import inspection
from galmorph.pages import report as reports
from galmorph.runs import answering, provision
from galmorph.runs import classify as runs
from galmorph.runs import export as exports
from galmorph.runs import retry as retries
from galmorph.runs.plan import Plan
from galmorph.sky import mock
from galmorph.sky.catalog_input import CatalogInput
from galmorph.sky.images import ImageInput


def progress(stage: str, done: int, total: int, remark: str = "") -> None:
    """Take no note."""


@dataclass
class Opened:
    """Images that know how they were asked for."""

    input: ImageInput

    def close(self) -> None:
        """Close nothing."""


@dataclass
class Call:
    """What the function that does the work was called with, and what was called besides."""

    arguments: tuple[Any, ...]
    named: dict[str, Any]
    besides: dict[str, Any] = field(default_factory=dict)


@dataclass
class Outcome:
    """Of a run that did nothing."""

    calls: dict[str, Any]
    results: Any = None

    def table(self) -> Table:
        return Table({"a": [1]})

    def new_table(self) -> Table:
        self.calls["new"] = True
        return self.table()

    def check_all_classified(self, output: object) -> None:
        self.calls["strict"] = output


@dataclass
class Provided:
    """What fetching was asked for."""

    besides: dict[str, Any]

    def needs(self) -> list[Any]:
        return []

    def fetch(self, folder: Any, **named: Any) -> str:
        self.besides.update(named, folder=folder)
        return "manifest"

    def cut(self, folder: Any, side_px: int | None, **named: Any) -> str:
        self.besides.update(named, stamps=folder, side=side_px)
        return "manifest"


class CountedRows:
    """Rows that know what they were asked for."""

    def __init__(self, besides: dict[str, Any], given: tuple[Any, ...]) -> None:
        self.besides = besides
        besides["rows"] = (given, {})

    def bins(self, names: Any, asked: Any) -> Any:
        self.besides["bins"] = asked
        return names


PRIORS = dict.fromkeys(("smooth_round", "smooth_in_between", "smooth_cigar", "edge_on", "spiral"), 0.2)


@pytest.fixture
def calls(monkeypatch, tmp_path):
    """Let every function that does the work record its call instead; return what calls a public one and that record."""
    besides: dict[str, Any] = {}
    record = Call((), {}, besides)

    def replace(home: Any, name: str, result: Any) -> None:
        def recording(*arguments: Any, **named: Any) -> Any:
            record.arguments, record.named = arguments, named
            return result

        monkeypatch.setattr(home, name, recording)

    def aside(home: Any, name: str, key: str, result: Any = None) -> None:
        def recording(*arguments: Any, **named: Any) -> Any:
            besides[key] = (arguments, named)
            return result

        monkeypatch.setattr(home, name, recording)

    replace(runs, "classify", Outcome(besides))
    aside(runs, "classify_share", "share", "half done")
    aside(retries, "retry", "retry", Table())
    aside(reports, "check_pictures", "check_pictures")
    aside(reports, "check_report", "check_report")
    aside(reports, "write_report", "write_report")
    replace(answering, "prepare", "prepared")
    replace(answering, "answer", ["outcome"])
    replace(api, "default_checkpoint", "the usual one")
    replace(training, "train", "trained")
    replace(comparison, "compare", Table())
    replace(tuning, "tune", "tuned")
    replace(scoring, "evaluate_checkpoint", {"rows": 3})
    replace(scoring, "calibrate_checkpoint", ("fitted", {"card": 1}))
    replace(ensembles, "ensemble", "joined")
    replace(exports, "export", 1e-6)
    replace(inspection, "inspect_checkpoint", "page")
    replace(mock, "simulate", "field")
    replace(provision, "Provision", Provided(besides))
    replace(api, "matched", Table())
    replace(api, "agreement_of", Table())
    replace(api, "fractions_of", "fractions")
    monkeypatch.setattr(api, "count_provenance", lambda *_: None)
    monkeypatch.setattr(api.AnsweredRows, "of", classmethod(lambda _, *given: CountedRows(besides, given)))
    aside(files, "save_checkpoint", "save", "saved")
    aside(api, "find_checkpoint", "find_checkpoint", tmp_path / "net.safetensors")
    aside(api, "read_card", "card", {"former": 1})
    aside(api, "add_to_card", "add_to_card")
    aside(api, "read_card_file", "read_card_file")
    aside(threads, "limited", "threads", nullcontext())
    envelope = SimpleNamespace(survey="the usual survey", band="the usual band")
    loaded = SimpleNamespace(envelope=envelope)
    monkeypatch.setattr(files, "load_checkpoint", lambda name: SimpleNamespace(**vars(loaded), name=name))
    monkeypatch.setattr(files, "read_envelope", lambda name: envelope)  # noqa: ARG005
    monkeypatch.setattr(Plan, "run", property(lambda self: self))
    monkeypatch.setattr(CatalogInput, "open", lambda self, **_: self)
    monkeypatch.setattr(CatalogInput, "table", Table(), raising=False)
    monkeypatch.setattr(ImageInput, "open", lambda self: Opened(self))  # noqa: PLW0108 - a class is no method
    monkeypatch.chdir(tmp_path)

    def call(name: str, /, **arguments: Any) -> Call:
        getattr(galmorph, name)(**arguments)
        return record

    return call


# What functions have in common: where a catalogue and images are found in a call.
def images_and_columns(catalog: Callable[[Call], CatalogInput], images: Callable[[Call], ImageInput]) -> dict[str, Any]:
    checks: dict[str, Any] = {
        role: (f"MY_{role}", lambda call, role=role: getattr(catalog(call).columns, role))
        for role in ("ra", "dec", "x", "y", "id", "file")
    }
    checks |= {
        name: (value, lambda call, name=name: getattr(images(call), name))
        for name, value in (
            ("images", "i.fits"),
            ("weight", "w.fits"),
            ("rms", "r.fits"),
            ("variance", "v.fits"),
            ("segmentation", "s.fits"),
            ("survey", "nircam"),
            ("band", "F115W"),
        )
    }
    return checks | {"image_hdu": ("SCI", lambda call: images(call).hdu), "hdu": (2, lambda call: catalog(call).hdu)}


def settings_of(*names: str) -> dict[str, Any]:
    values = {
        "detect": "tiles",
        "centroid": "isophotal",
        "backend": "sep",
        "prefix": "my_",
        "normalise": True,
        "device": "cpu",
        "views": "turns8",
        "errors": True,
        "features": True,
        "light": 8,
        "rule": "clean",
        "runtime": "net.onnx",
        "precision": "bfloat16",
    }
    return {name: (values[name], lambda call, n=name: getattr(call.arguments[0].settings, n)) for name in names}


def named(name: str, value: object, inner: str = "") -> dict[str, Any]:
    """Expect a parameter under a name of its own in the call."""
    return {name: (value, lambda call: call.named[inner or name])}


def at(name: str, value: object, position: int) -> dict[str, Any]:
    """Expect a parameter at a position in the call."""
    return {name: (value, lambda call: call.arguments[position])}


OF_PLAN = images_and_columns(lambda call: call.arguments[0].catalog, lambda call: call.arguments[0].images)
OF_LABELS = images_and_columns(lambda call: call.arguments[0], lambda call: call.arguments[1])
OF_CHECKPOINT = images_and_columns(lambda call: call.arguments[1], lambda call: call.arguments[2])
OF_PAGE = images_and_columns(lambda call: call.arguments[1], lambda call: call.arguments[2].input)
PIPELINE = {
    "epochs": (7, lambda call: pipeline_in(call).train.loop.epochs),
    "threads": (3, lambda call: call.besides["threads"][0][0]),
}
REPORTS = named("progress", progress)
PAGE = {
    "report": ("pages", lambda call: call.besides["check_report"][0][0]),
    "pictures": (7, lambda call: call.besides["check_pictures"][0][0]),
}


def pipeline_in(call: Call) -> Any:
    """Find the pipeline among the arguments, alone or in a list."""
    flat = [item for each in call.arguments for item in (each if isinstance(each, list) else [each])]
    return next(each for each in flat if hasattr(each, "recipe"))


def written(call: Call) -> str:  # noqa: ARG001
    return "scores.json" if list(api.Path.cwd().glob("scores.json")) else "nothing"


LEAST: dict[str, dict[str, Any]] = {
    "classify": {"catalog": "c.fits", "images": "i.fits"},
    "measure": {"catalog": "c.fits", "images": "i.fits"},
    "embed": {"catalog": "c.fits", "images": "i.fits"},
    "train": {"labels": "l.csv", "images": "i.fits", "pipeline": "sdss-rgb", "output": "out"},
    "run": {"pipelines": ["sdss-rgb"], "output": "out"},
    "tune": {"pipeline": "sdss-rgb", "output": "out"},
    "evaluate": {"checkpoint": "net", "labels": "l.csv", "images": "i.fits"},
    "calibrate": {"checkpoint": "net", "labels": "l.csv", "images": "i.fits", "output": "new.safetensors"},
    "inspect": {"checkpoint": "net", "labels": "l.csv", "images": "i.fits", "output": "page.html"},
    "ensemble": {"checkpoints": ["a", "b"]},
    "export": {"checkpoint": "net", "output": "net.onnx"},
    "simulate": {},
    "fetch": {"catalog": "c.fits", "band": "H"},
    "dry_run": {"catalog": "c.fits", "band": "H"},
    "compare": {"catalog": "a.fits", "other": "b.fits", "radius": "1arcsec", "theirs": "type"},
    "match": {"catalog": "a.fits", "others": "b.fits", "radius": "1arcsec"},
    "count": {"catalog": "c.fits", "scheme": "gz2-simple"},
    "prepare": {"catalog": "c.fits", "images": "i.fits"},
    "answer": {"prepared": []},
    "usual_checkpoint": {"survey": "candels"},
}
OF_ARCHIVE: dict[str, Any] = {
    "field": ("uds", lambda call: call.arguments[0].images.field),
    "offline": (True, lambda call: call.arguments[0].images.offline),
    "archive": ("whole", lambda call: call.arguments[0].images.archive),
    "fetched": ("folder", lambda call: call.arguments[0].images.fetched),
}
OF_EXECUTION: dict[str, Any] = {
    "whole": (False, lambda call: "new" not in call.besides),
    "engine": ("pool", lambda call: call.named["execution"].engine),
    "workers": (3, lambda call: call.named["execution"].workers),
    "scheduler": ("tcp://x:1", lambda call: call.named["execution"].scheduler),
}
OF_FETCH: dict[str, Any] = {
    "catalog": ("k.fits", lambda call: call.arguments[0].catalog),
    "hdu": (2, lambda call: call.arguments[0].hdu),
    "ra": ("MY_ra", lambda call: call.arguments[0].columns.ra),
    "dec": ("MY_dec", lambda call: call.arguments[0].columns.dec),
    "survey": ("sdss", lambda call: call.arguments[1].survey),
    "band": ("r", lambda call: call.arguments[1].band),
    "field": ("uds", lambda call: call.arguments[1].field),
    "archive": ("whole", lambda call: call.arguments[1].archive),
}
CHECKS: dict[str, dict[str, tuple[Any, Callable[[Call], Any]]]] = {
    "classify": {
        **OF_PLAN,
        **OF_ARCHIVE,
        **OF_EXECUTION,
        **settings_of("detect", "centroid", "prefix", "normalise", "device", "views", "errors", "rule", "runtime"),
        **settings_of("features", "precision"),
        **REPORTS,
        **named("output", "out.fits"),
        **named("overwrite", True),
        **named("command", "a script"),
        "catalog": ("k.fits", lambda call: call.arguments[0].catalog.catalog),
        "checkpoint": ("net", lambda call: call.arguments[0].checkpoint),
        **PAGE,
        "strict": (True, lambda call: "strict" in call.besides),
        "retry": (True, lambda call: "retry" in call.besides),
    },
    "measure": {
        **OF_PLAN,
        **OF_ARCHIVE,
        **OF_EXECUTION,
        **settings_of("detect", "centroid", "prefix", "backend"),
        "retry": (True, lambda call: "retry" in call.besides),
        **PAGE,
        **REPORTS,
        **named("output", "out.fits"),
        **named("overwrite", True),
        **named("command", "a script"),
        "catalog": ("k.fits", lambda call: call.arguments[0].catalog.catalog),
    },
    "train": {
        **OF_LABELS,
        **PIPELINE,
        **REPORTS,
        **named("resume", True),
        **named("device", "cuda"),
        "labels": ("k.csv", lambda call: call.arguments[0].catalog),
        "pipeline": ("candels-h", lambda call: call.arguments[2].name),
        "output": ("folder", lambda call: str(call.arguments[3])),
        "scheme": ("gz1", lambda call: pipeline_in(call).scheme),
        "seed": (5, lambda call: pipeline_in(call).train.loop.seed),
    },
    "run": {
        **PIPELINE,
        **REPORTS,
        **named("split", "validation"),
        **named("resume", True),
        **named("device", "cuda"),
        "pipelines": (["candels-h", "sdss-gz1"], lambda call: [each.name for each in call.arguments[0]]),
        "output": ("folder", lambda call: str(call.arguments[1])),
        "inputs": ({"labels": "k.csv"}, lambda call: {"labels": pipeline_in(call).inputs.labels}),
        "seed": (5, lambda call: pipeline_in(call).train.loop.seed),
    },
    "tune": {
        **PIPELINE,
        **REPORTS,
        **named("trials", 9),
        **named("seed", 5),
        **named("resume", True),
        **named("device", "cuda"),
        "pipeline": ("candels-h", lambda call: call.arguments[0].name),
        "output": ("folder", lambda call: str(call.arguments[1])),
        "inputs": ({"labels": "k.csv"}, lambda call: {"labels": pipeline_in(call).inputs.labels}),
        "blend": (2, lambda call: call.named["blend"].best),
    },
    "evaluate": {
        **OF_CHECKPOINT,
        **REPORTS,
        **named("split", "all"),
        **named("views", "turns8"),
        **named("precision", "bfloat16"),
        "checkpoint": ("other", lambda call: call.arguments[0].name),
        "labels": ("k.csv", lambda call: call.arguments[1].catalog),
        "output": ("scores.json", written),
        "card": ("card.json", lambda call: call.besides["add_to_card"][0][0]),
    },
    "calibrate": {
        **OF_CHECKPOINT,
        **REPORTS,
        **{
            name: (value, lambda call, name=name: getattr(call.arguments[3], name))
            for name, value in (
                ("method", "dirichlet"),
                ("sets", "aps"),
                ("coverage", 0.8),
                ("by_class", True),
                ("false_alarms", 0.02),
            )
        },
        "checkpoint": ("other", lambda call: call.besides["card"][0][0]),
        "labels": ("k.csv", lambda call: call.arguments[1].catalog),
        "output": ("o.safetensors", lambda call: str(call.besides["save"][0][1])),
    },
    "inspect": {
        **OF_PAGE,
        **REPORTS,
        **at("checkpoint", "other", 0),
        **named("split", "all"),
        **named("rows", 12),
        **named("pictures", "none"),
        **named("seed", 5),
        **named("overwrite", True),
        **named("card", "card.json"),
        **named("output", "other.html"),
        "labels": ("k.csv", lambda call: call.arguments[1].catalog),
    },
    "ensemble": {
        **at("checkpoints", ["c", "d"], 0),
        **named("shares", [1.0, 2.0]),
        **named("name", "both"),
        "output": ("b.safetensors", lambda call: str(call.arguments[1])),
    },
    "export": {
        **at("checkpoint", "other", 0),
        **named("overwrite", True),
        "output": ("other.onnx", lambda call: str(call.arguments[1])),
    },
    "simulate": {
        **at("survey", "sdss", 0),
        **at("band", "gri", 1),
        **named("rows", 12),
        **named("seed", 5),
        **named("side", 400, "side_px"),
    },
}
CHECKS["embed"] = {
    name: check
    for name, check in CHECKS["classify"].items()
    if name not in ("features", "errors", "rule", "normalise", "report", "pictures", "strict")
}
CHECKS["embed"] |= settings_of("light", "precision")
CHECKS["fetch"] = {
    **OF_FETCH,
    "output": ("folder", lambda call: str(call.besides["folder"])),
    "progress": (progress, lambda call: call.besides["progress"]),
    "command": ("a script", lambda call: call.besides["command"]),
}
CHECKS["dry_run"] = {**OF_FETCH, "images": ("i.fits", lambda call: call.arguments[1].images)}
CHECKS["compare"] = {
    "catalog": ("k.fits", lambda call: call.arguments[0][0].catalog.catalog),
    "other": ("o.fits", lambda call: call.arguments[1][0].catalog.catalog),
    "radius": ("2arcsec", lambda call: f"{call.arguments[2]:g}arcsec"),
    "ours": ("my_class", lambda call: call.arguments[0][1]),
    "theirs": ({"a": "p_a"}, lambda call: call.arguments[1][1]),
    **at("names", {"a": "b"}, 3),
    **at("magnitude", "H", 4),
    **at("edges", (18.0, 20.0), 5),
    "ra": ("MY_ra", lambda call: call.arguments[1][0].catalog.columns.ra),
    "dec": ("MY_dec", lambda call: call.arguments[1][0].catalog.columns.dec),
    "hdu": (2, lambda call: call.arguments[1][0].catalog.hdu),
}
CHECKS["match"] = {
    "catalog": ("k.fits", lambda call: call.arguments[0][0].catalog.catalog),
    "others": ("o.fits", lambda call: call.arguments[0][1].catalog.catalog),
    "radius": ("2arcsec", lambda call: f"{call.arguments[1].reach.radius_arcsec:g}arcsec"),
    "find": ("best2", lambda call: call.arguments[1].find),
    "join": ("all2", lambda call: call.arguments[1].join),
    "probability": (True, lambda call: call.arguments[1].probability),
    "suffixes": (("_a", "_b"), lambda call: call.arguments[1].suffixes),
    "error": ("0.2arcsec", lambda call: call.arguments[0][1].error),
    "motion": ("pmra,pmdec", lambda call: call.arguments[0][1].motion),
    "ra": ("MY_ra", lambda call: call.arguments[0][1].catalog.columns.ra),
    "dec": ("MY_dec", lambda call: call.arguments[0][1].catalog.columns.dec),
    "hdu": (2, lambda call: call.arguments[0][1].catalog.hdu),
    **at("output", "out.fits", 2),
    **named("overwrite", True),
    **named("command", "a script"),
}
CHECKS["count"] = {
    "catalog": ("k.fits", lambda call: call.arguments[5].catalog),
    "hdu": (2, lambda call: call.arguments[5].hdu),
    "by": (["a"], lambda call: call.arguments[1]),
    "bins": ({"a": 3}, lambda call: call.besides["bins"]),
    "question": ("class", lambda call: call.arguments[4].question),
    "method": ("raw", lambda call: call.arguments[4].method),
    "cut": ("BLEND", lambda call: call.besides["rows"][0][5].name),
    "weight": ("w", lambda call: call.besides["rows"][0][4]),
    "prefix": ("my_", lambda call: call.besides["rows"][0][2]),
    "checkpoint": ("sdss-rgb", lambda call: call.arguments[3].name),
    "scheme": ("gz1", lambda call: call.arguments[2].name),
    "priors": (PRIORS, lambda call: call.arguments[3].means),
    "draws": (99, lambda call: call.arguments[4].draws),
    "seed": (5, lambda call: call.arguments[4].seed),
}
CHECKS["prepare"] = {
    **{
        name: check
        for name, check in OF_PLAN.items()
        if name not in ("weight", "rms", "variance", "segmentation", "hdu")
    },
    **{name: OF_ARCHIVE[name] for name in ("field", "archive")},
    **settings_of("errors", "rule", "device", "precision"),
    "catalog": ("k.fits", lambda call: call.arguments[0].catalog.catalog),
    "checkpoint": ("net", lambda call: call.arguments[0].checkpoint),
}
CHECKS["answer"] = {**at("prepared", ["rows"], 0), **at("command", "a script", 1)}
CHECKS["usual_checkpoint"] = {
    "survey": ("sdss", lambda call: call.arguments[0].name),
    "band": ("H", lambda call: call.arguments[2]),
}
# Checked by tests of their own, below.
ELSEWHERE = {
    "classify": {"shard"},
    "measure": {"shard"},
    "embed": {"shard"},
    "fetch": {"stamps", "side", "overwrite"},
    "run": {"overwrite", "command"},
    "tune": {"fit_shares"},
    "evaluate": {"overwrite"},
    "match": {"sigmas", "epoch"},
    "compare": {"output", "report", "overwrite", "command"},
    "count": {"output", "plot", "overwrite", "command"},
    "calibrate": {"overwrite"},
    "ensemble": {"overwrite"},
    "simulate": {"output", "overwrite"},
}


@pytest.mark.parametrize("name", LEAST)
def test_every_parameter_is_checked(name):
    """Add a parameter to CHECKS when you add it to a function."""
    assert set(CHECKS[name]) | ELSEWHERE.get(name, set()) == set(inspect.signature(getattr(api, name)).parameters)


@pytest.mark.parametrize(("name", "parameter"), [(name, parameter) for name in CHECKS for parameter in CHECKS[name]])
def test_a_parameter_reaches_what_it_is_for(name, parameter, calls):
    value, where = CHECKS[name][parameter]
    assert where(calls(name, **{**LEAST[name], parameter: value})) == value


@pytest.mark.parametrize(("name", "parameter"), [(name, parameter) for name in CHECKS for parameter in CHECKS[name]])
def test_what_is_not_asked_for_is_not_there(name, parameter, calls):
    """So that no check above would pass whatever was given."""
    value, where = CHECKS[name][parameter]
    try:
        silent = where(calls(name, **LEAST[name]))
    except (KeyError, IndexError, AttributeError):
        return
    assert silent != value or parameter in LEAST[name]


def test_images_of_labels_are_by_default_those_of_the_training(calls):
    """Of a page; training, scoring and calibrating see to it themselves: tests/learning/test_inputs.py."""
    images = calls("inspect", **LEAST["inspect"]).arguments[2].input
    assert (images.survey, images.band) == ("the usual survey", "the usual band")


def test_what_goes_with_errors_and_motions_of_a_match_arrives(calls):
    asked = {"error": "0.2arcsec", "sigmas": 4.0, "motion": ["-", "pmra,pmdec"], "epoch": ["2000", "2016"]}
    sides, settings, *_ = calls("match", **LEAST["match"], **asked).arguments
    assert settings.reach.sigmas == 4.0
    assert [side.epoch for side in sides] == ["2000", "2016"]
    assert [side.motion for side in sides] == [None, "pmra,pmdec"]


def test_embedding_asks_for_features_without_answers(calls):
    settings = calls("embed", **LEAST["embed"]).arguments[0].settings
    assert (settings.features, settings.probabilities) == (True, False)
    settings = calls("classify", **LEAST["classify"], features=True).arguments[0].settings
    assert (settings.features, settings.probabilities) == (True, True)


@pytest.mark.parametrize("name", ["classify", "measure", "embed"])
def test_a_share_is_carried_out_as_one(name, calls):
    call = calls(name, **LEAST[name], shard="2/3", output="out.fits")
    assert call.besides["share"][1]["execution"].shard == "2/3"
    assert call.besides["share"][1]["output"] == "out.fits"
    with pytest.raises(PipelineError, match="name one with -o"):
        calls(name, **LEAST[name], shard="2/3")


def test_shares_of_a_blend_are_fitted_where_asked(calls):
    assert calls("tune", **LEAST["tune"], blend=2).named["blend"].fitted is False
    assert calls("tune", **LEAST["tune"], blend=2, fit_shares=True).named["blend"].fitted is True
    with pytest.raises(PipelineError, match="--blend N"):
        calls("tune", **LEAST["tune"], fit_shares=True)


@pytest.mark.parametrize("name", ["calibrate", "ensemble"])
def test_an_existing_checkpoint_is_replaced_only_where_asked(name, calls, tmp_path):
    path = tmp_path / "old.safetensors"
    path.write_text("old")
    with pytest.raises(OutputError, match="exists already"):
        calls(name, **{**LEAST[name], "output": path})
    calls(name, **{**LEAST[name], "output": path}, overwrite=True)
    with pytest.raises(OutputError, match=r"ends in \.safetensors"):
        calls(name, **{**LEAST[name], "output": tmp_path / "old.onnx"}, overwrite=True)


def test_existing_scores_are_replaced_only_where_asked(calls, tmp_path):
    path = tmp_path / "scores.json"
    path.write_text("old")
    with pytest.raises(OutputError, match="exists already"):
        calls("evaluate", **LEAST["evaluate"], output=path)
    assert path.read_text() == "old"
    calls("evaluate", **LEAST["evaluate"], output=path, overwrite=True)
    assert json.loads(path.read_text()) == {"rows": 3}


def test_stamps_are_cut_in_place_of_fetching(calls):
    call = calls("fetch", **LEAST["fetch"], stamps="stamps", side=101, overwrite=True, command="a script")
    asked = {name: call.besides[name] for name in ("stamps", "side", "overwrite", "command")}
    assert asked == {"stamps": api.Path("stamps"), "side": 101, "overwrite": True, "command": "a script"}
    assert "folder" not in call.besides


def test_a_field_is_refused_before_it_is_simulated(calls, tmp_path):
    (tmp_path / "g_weight.fits").write_text("old")
    with pytest.raises(OutputError, match="exists already"):
        calls("simulate", survey="sdss", band="gri", output=tmp_path)
    assert calls("simulate").named == {"rows": 300, "seed": 1, "side_px": None}


def test_a_pipeline_that_was_loaded_is_changed_too(calls):
    pipeline = load_pipeline("sdss-rgb")
    changed = calls("train", **{**LEAST["train"], "pipeline": pipeline}, epochs=7).arguments[2]
    assert changed.train.loop.epochs == 7
    assert calls("run", **{**LEAST["run"], "pipelines": pipeline}, seed=4).arguments[0][0].train.loop.seed == 4


def test_what_does_not_apply_is_refused(calls):
    with pytest.raises(PipelineError, match="overwrite is for pipelines that classify"):
        calls("run", **LEAST["run"], overwrite=True)
    with pytest.raises(CatalogError, match="without labels"):
        calls("inspect", checkpoint="net", output="page.html", weight="w.fits")
    with pytest.raises(CatalogError, match="without labels"):
        calls("inspect", checkpoint="net", output="page.html", ra="RA")
    with pytest.raises(PipelineError, match="0 threads: expected at least 1"):
        calls("train", **LEAST["train"], threads=0)


@pytest.fixture(scope="module")
def sky(tmp_path_factory) -> small_sky.Sky:
    return small_sky.write_sky(tmp_path_factory.mktemp("sky"))


H = {"survey": "candels", "band": "H"}


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"weight": "w.fits"}, ImageError, "open already"),
        ({"rms": "r.fits"}, ImageError, "open already"),
        ({"variance": "v.fits"}, ImageError, "open already"),
        ({"segmentation": "s.fits"}, ImageError, "open already"),
        ({"image_hdu": 0}, ImageError, "open already"),
        ({"survey": "sdss"}, SurveyError, "opened with"),
        ({"band": "J"}, SurveyError, "opened with"),
        ({"hdu": 1}, CatalogError, "in memory"),
    ],
)
def test_open_images_and_tables_are_not_opened_anew(sky, given, error, words):
    """A file that would be left unread is not named in vain."""
    images = galmorph.open_images(sky.image, **H)
    with pytest.raises(error, match=words):
        galmorph.measure(Table.read(sky.catalog), images, **given)
    images.close()


def test_a_catalogue_that_was_read_has_its_columns(sky):
    catalog = galmorph.read_catalog(sky.catalog)
    with pytest.raises(CatalogError, match="read before"):
        galmorph.measure(catalog, sky.image, **H, ra="RA")


@pytest.mark.parametrize(
    ("function", "given", "words"),
    [
        ("classify", {"device": "cuda", "runtime": "net.onnx", "checkpoint": "candels-h"}, "leave out one"),
        ("classify", {"views": "turns3"}, "views"),
        ("classify", {"precision": "half"}, "unknown precision 'half'"),
        ("classify", {"precision": "bfloat16", "runtime": "net.onnx", "checkpoint": "candels-h"}, "leave out one"),
        ("classify", {"rule": "nonsense"}, "unknown rule"),
        ("classify", {"detect": "nowhere"}, "unknown way to detect"),
        ("classify", {"centroid": "middle"}, "unknown centroid"),
        ("classify", {"prefix": "1 2"}, "--prefix"),
        ("measure", {"backend": "statmorph"}, "unknown backend"),
        ("measure", {"weight": "none.fits", "rms": "none.fits"}, "leave the other out"),
    ],
)
def test_what_cannot_be_is_refused_before_work(sky, function, given, words):
    with pytest.raises(GalmorphError, match=words):
        getattr(galmorph, function)(sky.catalog, sky.image, **H, **given)


def test_progress_counts_rows(sky):
    seen: list[tuple[str, int, int]] = []
    galmorph.measure(
        sky.catalog, sky.image, **H, progress=lambda stage, done, total, _="": seen.append((stage, done, total))
    )
    assert seen[-1] == ("rows", 7, 7)
    assert np.diff([done for _, done, _ in seen]).min(initial=0) >= 0


def test_progress_may_be_a_bar(sky, capsys):
    galmorph.measure(sky.catalog, sky.image, **H, progress=True)
    assert "7/7" in capsys.readouterr().err


def test_silence_is_the_default(sky, capfd):
    galmorph.measure(sky.catalog, sky.image, **H)
    printed = capfd.readouterr()
    assert (printed.out, printed.err) == ("", "")
