"""Options that several commands share; each is called as the parameter of :mod:`galmorph.api` to which it goes."""

from __future__ import annotations

from argparse import ArgumentTypeError, _ArgumentGroup
from collections.abc import Iterable
from typing import Any

import galmorph
from galmorph.cli.parser import Parser

__all__ = [
    "EARLY",
    "add_archive",
    "add_card",
    "add_catalog",
    "add_columns",
    "add_detection",
    "add_device",
    "add_dry_run",
    "add_execution",
    "add_general",
    "add_images",
    "add_inputs",
    "add_labels",
    "add_overwrite",
    "add_positions",
    "add_precision",
    "add_prefix",
    "add_ranked",
    "add_report",
    "add_table_hdu",
    "add_training",
    "add_views",
    "add_way",
    "joined",
    "key_and_value",
    "table_hdu",
    "with_positions",
]

CATALOG = "FITS, VOTable, ECSV, CSV, Parquet, HATS, vizier:TABLE, or - for standard input"
CHECKPOINT = "name or file; see 'galmorph list checkpoints'"
PIPELINE = "name or file; see 'galmorph list pipelines'"
EARLY = ("-h", "--help", "-v", "--verbose", "-q", "--quiet", "--json", "--debug", "--config")
"""Options of all commands, which may stand before the command as well."""


def add_general(command: Parser) -> None:
    """Add what all commands take."""
    group = command.add_argument_group("general")
    group.add_argument("-h", "--help", action="help", help="show this, and do nothing")
    group.add_argument("-v", "--verbose", action="count", help="say more of what is done; -vv all of it")
    group.add_argument("-q", "--quiet", action="count", help="no progress and no summary; -qq no warnings either")
    group.add_argument("--json", action="store_true", help="print one JSON document in place of text")
    group.add_argument(
        "--config", metavar="FILE", help="settings instead of galmorph.toml here and the user's own; none: no file"
    )
    group.add_argument("--debug", action="store_true", default=False, help="show the traceback of an error")
    group.add_argument(
        "--limit",
        action="append",
        default=[],
        metavar="NAME=NUMBER",
        help="allow an input to have more than it usually may; messages name what",
    )


def add_catalog(command: Parser) -> None:
    """Add the catalogue, or positions in its place."""
    group = command.add_argument_group("rows").add_mutually_exclusive_group(required=True)
    group.add_argument("catalog", nargs="?", metavar="CATALOG", help=CATALOG)
    group.add_argument(
        "--at",
        action="append",
        metavar="'RA DEC'",
        help="in place of CATALOG: a position, degrees or sexagesimal; may be repeated. Printed where there is no -o",
    )


def with_positions(chosen: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments with a table in place of positions, or else with the file of the result."""
    if texts := chosen.pop("at", None):
        return chosen | {"catalog": galmorph.positions(texts)}
    return {"output": galmorph.default_output(chosen["catalog"])} | chosen


def add_images(command: Parser, *, required: bool = True) -> None:
    """Add the options that say where the pixels are."""
    group = command.add_argument_group("images")
    group.add_argument(
        "--image",
        nargs="+",
        required=required,
        dest="images",
        metavar="IMG",
        help="FITS files, folders, globs; BAND=FILE for colour; or a zip or folder of JPEG/PNG stamps",
    )
    group.add_argument("--weight", nargs="+", metavar="W", help="inverse-variance images on the same grids")
    group.add_argument("--rms", nargs="+", metavar="R", help="noise images on the same grids")
    group.add_argument("--variance", nargs="+", metavar="V", help="variance images on the same grids")
    group.add_argument("--segmentation", nargs="+", metavar="SEG", help="maps of labels on the same grids (one band)")
    group.add_argument("--image-hdu", type=table_hdu, metavar="HDU", help="number or name of the HDU in the images")
    group.add_argument("--survey", metavar="S", help="survey of the images; see 'galmorph list surveys'")
    group.add_argument("--band", metavar="B", help="band (H, F200W, r), or three (gri, RGB) for colour")


def add_archive(command: Parser) -> None:
    """Add where the pixels come from if there are no files."""
    group = command.add_argument_group("images of an archive, where there is no --image")
    group.add_argument(
        "--field", metavar="F", help="only this field of the survey, or F,F,...; see 'galmorph show SURVEY'"
    )
    group.add_argument("--offline", action="store_true", help="fetch nothing: what is in the cache must do")
    add_way(group)
    group.add_argument("--fetched", metavar="DIR", help="read a folder of 'galmorph fetch -o DIR', and nothing else")
    add_dry_run(group)


def add_way(command: Parser | _ArgumentGroup) -> None:
    """Add how mosaics are read."""
    command.add_argument(
        "--archive",
        choices=("auto", "whole", "parts", "cutouts", "pictures"),
        help="how mosaics are read (default: whole or in parts, as takes less time); pictures are for display alone",
    )


def add_dry_run(command: Parser | _ArgumentGroup) -> None:
    """Add that nothing is done."""
    command.add_argument(
        "--dry-run", action="store_true", help="print what would be fetched, how much and from where; fetch nothing"
    )


def add_execution(command: Parser) -> None:
    """Add who does the work, and which share of it."""
    group = command.add_argument_group("who does the work; the results are the same")
    group.add_argument("--workers", type=int, metavar="N", help="processes (default: one for each core, if it pays)")
    group.add_argument(
        "--engine",
        choices=("auto", "local", "pool", "dask"),
        help="this process, processes of this machine, or a Dask cluster (default: auto, the first or the second)",
    )
    group.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="of a Dask cluster (default of --engine dask: started here)",
    )
    group.add_argument(
        "--shard",
        metavar="I/N",
        help="do the I-th of N shares and leave it beside OUT; afterwards the same without --shard writes OUT",
    )
    group.add_argument("--status", action="store_true", help="print how far the run is that makes OUT; do nothing")


def add_columns(command: Parser) -> None:
    """Add the options that say where in the table things are."""
    group = command.add_argument_group("columns of the table")
    for role, what in (
        ("ra", "right ascension"),
        ("dec", "declination"),
        ("x", "pixel x (from 0)"),
        ("y", "pixel y (from 0)"),
        ("id", "names"),
        ("file", "file names of stamps"),
    ):
        group.add_argument(f"--{role}", metavar="COL", help=f"column of {what}")
    add_table_hdu(group)


def add_positions(command: Parser) -> None:
    """Add the options that say where in the table positions on the sky are."""
    command.add_argument("--ra", metavar="COL", help="column of right ascension")
    command.add_argument("--dec", metavar="COL", help="column of declination")
    add_table_hdu(command)


def add_table_hdu(command: Parser | _ArgumentGroup) -> None:
    """Add which table of a file is meant."""
    command.add_argument("--hdu", type=table_hdu, metavar="HDU", help="number or name of the table in the file")


def add_labels(command: Parser, *, required: bool = True) -> None:
    """Add the table of labels, its images and its columns."""
    nargs = {} if required else {"nargs": "?"}
    command.add_argument("labels", metavar="LABELS", help="table of votes, fractions or classes", **nargs)  # type: ignore[arg-type]
    add_images(command, required=required)
    add_columns(command)


def add_detection(command: Parser) -> _ArgumentGroup:
    """Add what decides about measuring, and return its group."""
    group = command.add_argument_group("measuring")
    group.add_argument(
        "--detect",
        choices=("blocks", "cutouts"),
        help="where objects are detected if there is no --segmentation (default: blocks of the tiles)",
    )
    group.add_argument(
        "--centroid",
        choices=("windowed", "isophotal"),
        help="position: of the light in a Gaussian window (default), or barycentre of the segment as in catalogues",
    )
    return group


def add_report(group: _ArgumentGroup) -> None:
    """Add the page about a run."""
    group.add_argument(
        "--report", metavar="DIR", help="write an HTML page into this folder: all rows to sort, filter and look at"
    )
    group.add_argument(
        "--pictures",
        metavar="N",
        type=int,
        help="rows with a picture in the report (default: 2000, some 12 MB): its contact sheet, then others by lot",
    )


def add_prefix(command: Parser) -> _ArgumentGroup:
    """Add the file of a result and the names of its columns, and return their group."""
    group = command.add_argument_group("result")
    group.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        help="result: .fits .vot .ecsv .csv .parquet .hats (default: CATALOG.galmorph.EXT here); "
        "- for standard output, as text (-.csv, -.vot)",
    )
    add_overwrite(group, "result")
    group.add_argument("--prefix", help="of the new columns (default: gm_)")
    group.add_argument(
        "--retry",
        action="store_true",
        help="CATALOG is an earlier result: do only its rows again that could not be fetched",
    )
    return group


def add_ranked(command: Parser) -> None:
    """Add the file of ranked rows, and the columns of the table that they come from."""
    group = command.add_argument_group("result")
    group.add_argument("-o", "--output", metavar="OUT", help="table of the rows (default: printed)")
    add_overwrite(group, "result")
    group.add_argument("--prefix", help="of the new columns (default: gm_)")
    group = command.add_argument_group("columns of the table")
    for role, what in (
        ("id", "names"),
        ("file", "file names of stamps"),
        ("ra", "right ascension"),
        ("dec", "declination"),
    ):
        group.add_argument(f"--{role}", metavar="COL", help=f"column of {what}")
    add_table_hdu(group)


def add_overwrite(command: Parser | _ArgumentGroup, what: str) -> None:
    """Let something that exists be replaced."""
    command.add_argument("--overwrite", action="store_true", help=f"replace an existing {what}")


def add_views(command: Parser | _ArgumentGroup) -> None:
    """Add over what probabilities are averaged."""
    command.add_argument(
        "--views",
        metavar="V",
        help="average over: one, turns2, turns4, turns8, dieleman60, or 'angles = 8, zooms = [0.9, 1], flip = true'",
    )


def add_device(command: Parser | _ArgumentGroup, what: str) -> None:
    """Add where networks are computed."""
    command.add_argument("--device", choices=("auto", "cpu", "cuda"), help=f"where networks {what} (default: auto)")


def add_precision(command: Parser | _ArgumentGroup) -> None:
    """Add in what convolutions are computed."""
    command.add_argument(
        "--precision",
        choices=("single", "bfloat16"),
        help="of convolutions; bfloat16, where the device has it, takes half of the time or more (default: single)",
    )


def add_card(command: Parser, what: str) -> None:
    """Add the card that something is entered into."""
    command.add_argument("--card", metavar="JSON", help=f"enter {what} into a checkpoint's card")


def add_inputs(command: Parser) -> None:
    """Add what is used instead of a pipeline's inputs."""
    command.add_argument(
        "--input",
        nargs="+",
        action="extend",
        type=key_and_value,
        dest="inputs",
        metavar="KEY=VALUE",
        help="instead of the pipeline's [inputs]: labels=votes.csv images=stamps.zip, weight=, rms=, file=COLUMN, ...",
    )


def add_training(command: Parser, output: str) -> None:
    """Add what all commands that train have in common."""
    command.add_argument("-o", "--output", required=True, metavar="DIR", help=output)
    command.add_argument("--resume", action="store_true", help="continue a run that was stopped")
    command.add_argument("--epochs", type=int, metavar="N", help="instead of the pipeline's")
    command.add_argument("--threads", type=int, metavar="N", help="CPU threads")
    add_device(command, "learn")


def joined(pairs: Iterable[tuple[str, str]]) -> dict[str, bool | str | list[str]]:
    """Make a table of pairs; a key that comes several times has the list of its values.

    Examples
    --------
    >>> joined([("labels", "a.csv"), ("images", "g=g.fits"), ("images", "r=r.fits"), ("offline", "true")])
    {'labels': 'a.csv', 'images': ['g=g.fits', 'r=r.fits'], 'offline': True}
    """
    values: dict[str, list[str]] = {}
    for key, value in pairs:
        values.setdefault(key, []).append(value)
    return {
        key: several if len(several) > 1 else _BOOLEANS.get(several[0], several[0]) for key, several in values.items()
    }


_BOOLEANS = {"true": True, "false": False}


def table_hdu(text: str) -> int | str:
    """Return the number or name of a table."""
    return int(text) if text.isdigit() else text


def key_and_value(word: str) -> tuple[str, str]:
    """Return both sides of KEY=VALUE."""
    key, equals, value = word.partition("=")
    if not key or not equals or not value:
        raise ArgumentTypeError(f"'{word}': expected KEY=VALUE, such as labels=votes.csv or images=stamps.zip")
    return key, value
