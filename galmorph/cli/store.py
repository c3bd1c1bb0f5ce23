"""Command store: models, images, predictions and labels in SQL."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from typing import Any

import galmorph
from galmorph.cli import options as shared
from galmorph.cli.parser import Parser
from galmorph.cli.printing import print_answer, print_remark, showing
from galmorph.cli.summary import summary_lines, summary_of

__all__ = ["EXAMPLES", "add_options", "do"]

EXAMPLES = {
    "a store, and a model in it": "galmorph store push survey.db sdss-rgb --create",
    "a model, by its file": "galmorph store push survey.db mine.safetensors",
    "pictures, by the column 'file' of a table": (
        "galmorph store add survey.db labels.csv --image stamps.zip --survey sdss --band RGB"
    ),
    "positions alone": "galmorph store add survey.db catalog.fits --survey sdss --band RGB --create",
    "what is in it": "galmorph store list survey.db",
    "the same, for scripts": "galmorph store list survey.db --json",
    "answers for all that have none": "galmorph store score survey.db --checkpoint sdss-rgb",
    "answers anew": "galmorph store score survey.db --checkpoint sdss-rgb --again",
    "answers as pictures come, until an hour passes without one": (
        "galmorph store watch survey.db --checkpoint sdss-rgb --idle 3600"
    ),
    "look every ten seconds": "galmorph store watch survey.db --checkpoint sdss-rgb --poll 10",
    "pictures and answers as a table": "galmorph store pull survey.db --checkpoint sdss-rgb -o scored.fits",
    "the rows alone": "galmorph store pull survey.db -o rows.csv",
    "labels that people gave, for 'galmorph train'": (
        "galmorph store labels survey.db --scheme gz2-simple -o labels.csv --pictures pictures"
    ),
    "those of one person": "galmorph store labels survey.db --scheme gz2-simple --author anna -o anna.csv",
    "a key of the service": "galmorph store key survey.db add anna",
    "all keys": "galmorph store key survey.db list",
}

URL = "file of SQLite, or postgresql+psycopg://USER@HOST/DATABASE"
MODEL = "NAME, NAME@VERSION or NAME@SHA256 of a model in the store"


def add_options(command: Parser) -> None:
    """Add the actions, each with what it takes."""
    actions = command.add_subparsers(title="actions", metavar="ACTION", required=True, dest="action")
    for name, (about, add, _) in _ACTIONS.items():
        action = actions.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.")
        action.add_argument("url", metavar="STORE", help=URL)
        add(action)


def do(options: Namespace) -> None:
    """Open the store, and do what was asked."""
    settings = {"create": True} if getattr(options, "create", False) else {}
    with galmorph.open_store(options.url, **settings) as store:
        _ACTIONS[options.action][2](store, options)


def _chosen(options: Namespace, *names: str) -> dict[str, Any]:
    """Return those of some options that were given, by the names of the parameters."""
    return {name: getattr(options, name) for name in names if hasattr(options, name)}


def _add_push(action: Parser) -> None:
    action.add_argument("checkpoint", metavar="CHECKPOINT", help=shared.CHECKPOINT)
    _add_create(action)


def _push(store: Any, options: Namespace) -> None:
    model = store.push_model(options.checkpoint)
    print_answer(options, f"{model} {model.sha256}", {"model": str(model), "sha256": model.sha256})


def _add_images(action: Parser) -> None:
    action.add_argument("catalog", metavar="CATALOG", help=shared.CATALOG)
    action.add_argument("--image", nargs="+", metavar="IMG", dest="images", help="a zip or folder of JPEG, PNG or FITS")
    action.add_argument("--survey", metavar="S", help="survey of the images; see 'galmorph list surveys'")
    action.add_argument("--band", metavar="B", help="band (H, F200W, r), or three (gri, RGB) for colour")
    for role, what in (("id", "names of the rows"), ("file", "files of stamps"), ("ra", "degrees"), ("dec", "degrees")):
        action.add_argument(f"--{role}", metavar="COL", help=f"column of {what}")
    action.add_argument("--hdu", type=shared.table_hdu, metavar="HDU", help="number or name of the table")
    action.add_argument("--overwrite", action="store_true", help="replace images of the same ids")
    _add_create(action)


def _add(store: Any, options: Namespace) -> None:
    chosen = _chosen(options, "images", "survey", "band", "overwrite", "hdu", "ra", "dec", "id", "file")
    with showing(options) as progress:
        count = store.add_images(options.catalog, progress=progress, **chosen)
    images = store.count()
    text = f"{count} images are new or changed, {images} in all"
    print_answer(options, text, {"changed": count, "images": images})


def _add_create(action: Parser) -> None:
    action.add_argument("--create", action="store_true", help="make the store if there is none")


def _nothing(_action: Parser) -> None:
    """Take the store alone."""


def _list(store: Any, options: Namespace) -> None:
    images, models = store.count(), store.counts()
    lines = [
        f"{model!s:32s} {model.sha256[:12]}  {count} predictions{'  watched' if model.watched else ''}"
        for model, count in models
    ]
    listed = [
        {"model": str(model), "sha256": model.sha256, "predictions": count, "watched": bool(model.watched)}
        for model, count in models
    ]
    print_answer(options, "\n".join([*lines, f"{images} images"]), {"models": listed, "images": images})


def _add_model(action: Parser) -> None:
    action.add_argument("--checkpoint", required=True, metavar="MODEL", help=MODEL)


def _add_score(action: Parser) -> None:
    _add_model(action)
    action.add_argument("--chunk", type=int, metavar="N", help="images in memory, and in a transaction (256)")
    shared.add_device(action, "answer")
    shared.add_precision(action)


def _add_scoring(action: Parser) -> None:
    _add_score(action)
    action.add_argument("--again", action="store_true", help="also those that have predictions")


def _score(store: Any, options: Namespace) -> None:
    with showing(options) as progress:
        chosen = _chosen(options, "chunk", "again", "device", "precision")
        count = store.score(options.checkpoint, progress=progress, command=options.command_line, **chosen)
    print_answer(options, f"{count} images", {"images": count})


def _add_watch(action: Parser) -> None:
    _add_score(action)
    action.add_argument("--poll", type=float, metavar="S", dest="poll_s", help="seconds between looks, in SQLite (2)")
    action.add_argument(
        "--idle", type=float, metavar="S", dest="idle_s", help="end when nothing came for so long (never)"
    )


def _watch(store: Any, options: Namespace) -> None:
    with showing(options) as progress:
        chosen = _chosen(options, "chunk", "device", "precision", "poll_s", "idle_s")
        count = store.watch(options.checkpoint, progress=progress, command=options.command_line, **chosen)
    print_answer(options, f"{count} images", {"images": count})


def _add_output(action: Parser) -> None:
    action.add_argument(
        "-o", "--output", required=True, metavar="FILE", help="table: .fits, .vot, .ecsv, .csv, .parquet"
    )
    shared.add_overwrite(action, "table")


def _add_pull(action: Parser) -> None:
    action.add_argument("--checkpoint", metavar="MODEL", help=f"{MODEL}; without it, images alone")
    _add_output(action)


def _pull(store: Any, options: Namespace) -> None:
    model = getattr(options, "checkpoint", None)
    table = store.pull(model, **_chosen(options, "output", "overwrite"))
    summary = summary_of(table, "gm_") if "gm_flags" in table.colnames else {"rows": len(table)}
    if "flags" in summary:
        print_remark(options, *summary_lines(summary))
    print_answer(options, options.output, {"output": options.output, **summary})


def _add_labels(action: Parser) -> None:
    action.add_argument("--scheme", required=True, metavar="S", help="see 'galmorph list schemes'")
    action.add_argument("--author", metavar="A", help="only the labels of this one")
    action.add_argument("--pictures", metavar="DIR", help="write the pictures there, too, for 'galmorph train'")
    _add_output(action)


def _labels(store: Any, options: Namespace) -> None:
    table = store.labels(options.scheme, **_chosen(options, "author", "output", "overwrite"))
    if hasattr(options, "pictures"):
        store.save_pictures(options.pictures)
    print_remark(options, f"{len(table)} images with labels")
    print_answer(options, options.output, {"output": options.output, "images": len(table)})


def _add_key(action: Parser) -> None:
    action.add_argument("what", choices=("add", "list", "withdraw"), metavar="add|list|withdraw", help="of the keys")
    action.add_argument("name", nargs="?", default="", metavar="NAME", help="of a key")


def _key(store: Any, options: Namespace) -> None:
    if options.what == "add":
        print_remark(options, "this secret is shown once, and kept nowhere:")
        secret = store.add_key(options.name)
        print_answer(options, secret, {"name": options.name, "secret": secret})
    elif options.what == "withdraw":
        store.withdraw_key(options.name)
        print_answer(options, "", {"name": options.name, "withdrawn": True})
    else:
        keys = list(store.api_keys())
        lines = [f"{name:32s} {created}{f'  withdrawn {gone}' if gone else ''}" for name, created, gone in keys]
        print_answer(options, "\n".join(lines), {"keys": [list(key) for key in keys]})


_ACTIONS: dict[str, tuple[str, Callable[[Parser], None], Callable[[Any, Namespace], None]]] = {
    "push": ("put a checkpoint into a store", _add_push, _push),
    "add": ("add the rows of a catalogue with their pictures", _add_images, _add),
    "list": ("list models, and how many predictions each has", _nothing, _list),
    "score": ("show a model the images that it has not answered about", _add_scoring, _score),
    "watch": ("score what is there and whatever is added, until stopped", _add_watch, _watch),
    "pull": ("write images and a model's predictions as a table", _add_pull, _pull),
    "labels": ("write labels as a table that 'galmorph train' reads", _add_labels, _labels),
    "key": ("make, list or withdraw keys of the service", _add_key, _key),
}
