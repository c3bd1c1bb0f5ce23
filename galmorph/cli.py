"""Command line: parses, calls one public function, prints.

Exit status: 0 done, 1 failed (one line on stderr says why), 2 wrong usage, 3 ``--strict`` and rows without
probabilities. Standard output is for data, standard error for progress and messages.
"""

from __future__ import annotations

import argparse
import logging
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import galmorph
from galmorph.errors import GalmorphError, OutputError, PipelineError, UnclassifiedError

__all__ = ["run"]

_KINDS = ("surveys", "schemes", "networks", "checkpoints", "pipelines")


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status.

    Raises
    ------
    SystemExit
        With 2 for wrong usage, with 0 for ``--help`` and ``--version``.
    """
    options = _parser().parse_args(arguments)
    options.command_line = shlex.join(["galmorph", *arguments])
    with _messages():
        try:
            options.do(options)
            sys.stdout.flush()
        except BrokenPipeError:
            _silence_stdout()
        except UnclassifiedError as error:
            return _complain(options, error, 3)
        except (GalmorphError, OSError) as error:
            return _complain(options, error, 1)
        except KeyboardInterrupt:
            sys.stderr.write("galmorph: stopped\n")
            return 130
        return 0


@contextmanager
def _messages() -> Iterator[None]:
    """Show what the library logs, one line each on standard error, while a command runs."""
    log = logging.getLogger("galmorph")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("galmorph: %(message)s"))
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


def _complain(options: argparse.Namespace, error: Exception, status: int) -> int:
    if options.debug:
        raise error
    sys.stderr.write(f"galmorph: {' '.join(str(error).split())}\n")
    return status


def _silence_stdout() -> None:
    """Keep Python from complaining at its end that nobody reads what is left (``galmorph list ... | head``)."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="galmorph",
        description="Turn a survey catalogue into a catalogue with morphologies.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"galmorph {galmorph.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, add, do, about in (
        (
            "classify",
            _add_classify,
            _classify,
            "add classes, probabilities, centroids and Petrosian radii to a catalogue",
        ),
        ("measure", _add_measure, _measure, "the same without the network: centroids, radii, flags"),
        ("train", _add_train, _train, "train a network from a table of labels and images"),
        ("run", _add_run, _run_pipelines, "train and score one or more pipelines, side by side"),
        ("tune", _add_tune, _tune, "search a pipeline's ranges at random, and join the best"),
        ("evaluate", _add_evaluate, _evaluate, "score a checkpoint on labelled images; prints JSON"),
        ("inspect", _add_inspect, _inspect, "look into a checkpoint: one HTML page of what it sees and how it errs"),
        ("calibrate", _add_calibrate, _calibrate, "fit a checkpoint's calibration, sets and envelope anew"),
        ("ensemble", _add_ensemble, _ensemble, "make one checkpoint of several, whose networks answer together"),
        ("export", _add_export, _export, "write a checkpoint as an ONNX file for other programs"),
        ("simulate", _add_simulate, _simulate, "render a field with known truth"),
        ("list", _add_list, _list, "list what ships: " + ", ".join(_KINDS)),
        ("show", _add_show, _show, "show a survey, scheme, network, checkpoint or pipeline"),
    ):
        command = commands.add_parser(
            name, help=about, description=about[0].upper() + about[1:] + ".", allow_abbrev=False
        )
        command.add_argument("--debug", action="store_true", help="show the traceback of an error")
        command.set_defaults(do=do)
        add(command)
    return parser


def _add_images(command: argparse.ArgumentParser, *, required: bool = True) -> None:
    command.add_argument(
        "--image",
        nargs="+",
        required=required,
        default=[],
        metavar="IMG",
        help="FITS files, folders, globs; BAND=FILE for colour; or a zip or folder of JPEG/PNG stamps",
    )
    command.add_argument(
        "--weight", nargs="+", default=[], metavar="W", help="inverse-variance images on the same grids"
    )
    command.add_argument("--rms", nargs="+", default=[], metavar="R", help="noise images on the same grids")
    command.add_argument(
        "--segmentation", nargs="+", default=[], metavar="SEG", help="maps of labels on the same grids (one band)"
    )
    command.add_argument("--image-hdu", metavar="HDU", help="number or name of the HDU in the images")
    command.add_argument("--survey", metavar="S", help="survey of the images; see 'galmorph list surveys'")
    command.add_argument("--band", metavar="B", help="band (H, F200W, r), or three (gri, RGB) for colour")


def _add_detect(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--detect",
        choices=("auto", "cutouts", "tiles"),
        default="auto",
        help="where objects are detected if there is no --segmentation (default: where it is cheaper)",
    )
    command.add_argument(
        "--centroid",
        choices=("windowed", "isophotal"),
        default="windowed",
        help="position: of the light in a Gaussian window, or barycentre of the segment as catalogues list it",
    )


def _add_columns(command: argparse.ArgumentParser) -> None:
    for role, what in (
        ("ra", "right ascension"),
        ("dec", "declination"),
        ("x", "pixel x (from 0)"),
        ("y", "pixel y (from 0)"),
        ("id", "names"),
        ("file", "file names of stamps"),
    ):
        command.add_argument(f"--{role}", metavar="COL", help=f"column of {what}")
    command.add_argument("--hdu", metavar="HDU", help="number or name of the table in the catalogue")


def _add_output(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        help="result: .fits .vot .ecsv .csv .parquet (default: CATALOG.galmorph.EXT here)",
    )
    command.add_argument("--overwrite", action="store_true", help="replace an existing result")
    command.add_argument("--prefix", default="gm_", help="of the new columns (default: gm_)")


def _add_classify(command: argparse.ArgumentParser) -> None:
    command.add_argument("catalog", metavar="CATALOG", help="FITS, VOTable, ECSV, CSV or Parquet")
    _add_images(command)
    _add_detect(command)
    command.add_argument("--checkpoint", metavar="C", help="name or file; default: the one for the survey and band")
    _add_output(command)
    command.add_argument("--report", metavar="DIR", help="write an HTML page to look at into this folder")
    command.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    command.add_argument(
        "--runtime", default="torch", metavar="E", help="torch, or the .onnx file of the checkpoint (galmorph export)"
    )
    _add_views(command)
    command.add_argument(
        "--errors", action="store_true", help="add the spread of each probability over networks and views"
    )
    command.add_argument(
        "--rule",
        default="",
        metavar="R",
        help="add a class by a rule of the scheme (galmorph show); likeliest: by none, where it has a default",
    )
    command.add_argument("--normalise", action="store_true", help="scale independent fractions so that they sum to 1")
    command.add_argument("--strict", action="store_true", help="exit with 3 if a row has no probabilities")
    _add_columns(command)


def _add_views(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--views",
        metavar="V",
        help="average over: one, turns2, turns4, turns8, dieleman60, or 'angles = 8, zooms = [0.9, 1], flip = true'",
    )


def _add_measure(command: argparse.ArgumentParser) -> None:
    command.add_argument("catalog", metavar="CATALOG", help="FITS, VOTable, ECSV, CSV or Parquet")
    _add_images(command)
    _add_detect(command)
    command.add_argument(
        "--backend",
        choices=("galmorph", "sep", "photutils"),
        default="galmorph",
        help="what measures; sep and photutils give those libraries' textbook values",
    )
    _add_output(command)
    _add_columns(command)


def _add_train(command: argparse.ArgumentParser) -> None:
    command.add_argument("labels", metavar="LABELS", help="table of votes, fractions or classes")
    _add_images(command)
    command.add_argument("--pipeline", required=True, metavar="P", help="name or file; see 'galmorph list pipelines'")
    command.add_argument("--scheme", metavar="S", help="label scheme, instead of the pipeline's")
    _add_loop(command, "folder for the checkpoint, its card and the state")
    command.add_argument("--seed", type=int, metavar="N", help="instead of the pipeline's")
    _add_columns(command)


def _add_loop(command: argparse.ArgumentParser, output: str) -> None:
    """Add what all commands that train have in common."""
    command.add_argument("-o", "--output", required=True, metavar="DIR", help=output)
    command.add_argument("--resume", action="store_true", help="continue a run that was stopped")
    command.add_argument("--epochs", type=int, metavar="N", help="instead of the pipeline's")
    command.add_argument("--threads", type=int, metavar="N", help="CPU threads")
    command.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where networks learn")


def _add_inputs(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--input",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="instead of the pipeline's [inputs]: labels=votes.csv images=stamps.zip, weight=, rms=, file=COLUMN, ...",
    )


def _add_run(command: argparse.ArgumentParser) -> None:
    command.add_argument("pipelines", nargs="+", metavar="PIPELINE", help="name or file; see 'galmorph list pipelines'")
    _add_inputs(command)
    _add_loop(command, "folder for comparison.ecsv and a folder for each pipeline")
    command.add_argument("--seed", type=int, metavar="N", help="instead of the pipelines'")
    command.add_argument("--split", default="test", help="labels to score: test (default) or validation")


def _add_tune(command: argparse.ArgumentParser) -> None:
    command.add_argument("pipeline", metavar="PIPELINE", help="name or file, with a table [tune] of ranges")
    _add_inputs(command)
    _add_loop(command, "folder for trials.ecsv, the trials and the blend")
    command.add_argument("--trials", type=int, metavar="N", help="instead of the pipeline's")
    command.add_argument("--seed", type=int, metavar="N", help="of the search, instead of the pipeline's")
    command.add_argument("--blend", type=int, metavar="N", help="join the N best into one checkpoint")
    command.add_argument("--fit-weights", action="store_true", help="of the blend, to the validation part")


def _add_evaluate(command: argparse.ArgumentParser) -> None:
    command.add_argument("checkpoint", metavar="CHECKPOINT", help="name or file")
    command.add_argument("labels", metavar="LABELS", help="table of votes, fractions or classes")
    _add_images(command)
    command.add_argument("--split", default="test", help="of the labels: train, validation, test (default) or all")
    _add_views(command)
    command.add_argument("-o", "--output", metavar="JSON", help="write the scores to a file instead of standard output")
    command.add_argument("--card", metavar="JSON", help="enter the scores into a checkpoint's card")
    _add_columns(command)


def _add_inspect(command: argparse.ArgumentParser) -> None:
    command.add_argument("checkpoint", metavar="CHECKPOINT", help="name or file")
    command.add_argument("labels", metavar="LABELS", nargs="?", help="table of votes, fractions or classes")
    _add_images(command, required=False)
    command.add_argument("--split", metavar="P", help="of the labels: train, validation (default), test or all")
    command.add_argument("--rows", type=int, metavar="N", help="at most so many galaxies of the part, drawn by lot")
    command.add_argument(
        "--pictures",
        choices=("all", "none", "simulated"),
        default="all",
        help="galaxies to show: those of the labels (default), none, or simulated ones (needs GalSim)",
    )
    command.add_argument("--seed", type=int, default=0, metavar="N", help="of all that is drawn by lot")
    command.add_argument("-o", "--output", required=True, metavar="OUT", help="page.html, or a folder for NAME.html")
    command.add_argument("--overwrite", action="store_true", help="replace an existing page")
    command.add_argument("--card", metavar="JSON", help="enter the page into a checkpoint's card")
    _add_columns(command)


def _add_calibrate(command: argparse.ArgumentParser) -> None:
    command.add_argument("checkpoint", metavar="CHECKPOINT", help="name or file")
    command.add_argument("labels", metavar="LABELS", help="table of labels that it was trained on")
    _add_images(command)
    command.add_argument("--method", choices=("temperature", "dirichlet"), default="temperature")
    command.add_argument("--sets", choices=("lac", "aps"), default="lac", help="kind of prediction sets (default: lac)")
    command.add_argument("--coverage", type=float, default=0.9, metavar="C", help="of the sets (default: 0.9)")
    command.add_argument("--by-class", action="store_true", help="the same coverage for each class")
    command.add_argument(
        "--false-alarms", type=float, default=0.01, metavar="S", help="share flagged by the embedding (default: 0.01)"
    )
    command.add_argument("-o", "--output", required=True, metavar="FILE", help="checkpoint; its card lies beside it")
    command.add_argument("--overwrite", action="store_true", help="replace an existing checkpoint")
    _add_columns(command)


def _add_ensemble(command: argparse.ArgumentParser) -> None:
    command.add_argument("checkpoints", nargs="+", metavar="CHECKPOINT", help="names or files, two or more")
    command.add_argument("--shares", nargs="+", type=float, default=[], metavar="W", help="one for each (equal)")
    command.add_argument("--name", default="", help="of the result (default: that of its file)")
    command.add_argument("-o", "--output", required=True, metavar="FILE", help="result, ending in .safetensors")
    command.add_argument("--overwrite", action="store_true")


def _add_export(command: argparse.ArgumentParser) -> None:
    command.add_argument("checkpoint", metavar="CHECKPOINT", help="name or file")
    command.add_argument("-o", "--output", required=True, metavar="FILE", help="result, ending in .onnx")
    command.add_argument("--overwrite", action="store_true")


def _add_simulate(command: argparse.ArgumentParser) -> None:
    command.add_argument("--survey", default="candels", metavar="S")
    command.add_argument("--band", default="H", metavar="B", help="a band, or three (gri, RGB)")
    command.add_argument("--rows", type=int, default=300, metavar="N")
    command.add_argument("--seed", type=int, default=1, metavar="N")
    command.add_argument("--side", type=int, metavar="PX", help="side of the image in pixels")
    command.add_argument("-o", "--output", required=True, metavar="DIR")
    command.add_argument("--overwrite", action="store_true")


def _add_list(command: argparse.ArgumentParser) -> None:
    command.add_argument("kind", choices=_KINDS)


def _add_show(command: argparse.ArgumentParser) -> None:
    command.add_argument("name", metavar="NAME")


def _hdu(text: str | None) -> int | str | None:
    return int(text) if text is not None and text.isdigit() else text


def _columns(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "ra": options.ra,
        "dec": options.dec,
        "x": options.x,
        "y": options.y,
        "id": options.id,
        "file": options.file,
    }


def _shared(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "survey": options.survey,
        "band": options.band,
        "weight": options.weight,
        "rms": options.rms,
        "segmentation": options.segmentation,
        "detect": options.detect,
        "centroid": options.centroid,
        "image_hdu": _hdu(options.image_hdu),
        "hdu": _hdu(options.hdu),
        "prefix": options.prefix,
        "output": _output(options),
        "overwrite": options.overwrite,
        "command": options.command_line,
        **_columns(options),
    }


def _output(options: argparse.Namespace) -> Path:
    """Name the result: as asked, or in the working folder and named after the catalogue, NAME.galmorph.EXT."""
    if options.output:
        return Path(options.output)
    from galmorph.sky.formats.registry import FORMATS, ending  # noqa: PLC0415 - list and show need no tables

    path = Path(options.catalog)
    found = ending(path)
    known = {e for f in FORMATS for e in f.endings if e not in f.read_only}
    plain = found.removesuffix(".gz")
    return Path(f"{path.name[: len(path.name) - len(found)]}.galmorph{plain if plain in known else '.fits'}")


class _Bar:
    """A progress bar on standard error; nothing where that is not a terminal."""

    def __init__(self) -> None:
        self.bar: Any = None
        self.what = ""

    def __call__(self, done: int, total: int, what: str = "rows", remark: str = "") -> None:
        if not sys.stderr.isatty():
            return
        from tqdm import tqdm  # noqa: PLC0415

        if self.bar is None or self.what != what:
            self.close()
            self.bar, self.what = tqdm(total=total, desc=what, file=sys.stderr), what
        self.bar.set_postfix_str(remark)
        self.bar.update(done - self.bar.n)

    def close(self) -> None:
        """End the line."""
        if self.bar is not None:
            self.bar.close()


def _classify(options: argparse.Namespace) -> None:
    with closing(_Bar()) as bar:
        table = galmorph.classify(
            options.catalog,
            options.image,
            checkpoint=options.checkpoint,
            report=options.report,
            device=options.device,
            normalise=options.normalise,
            views=options.views,
            errors=options.errors,
            rule=options.rule,
            runtime=options.runtime,
            strict=options.strict,
            progress=bar,
            **_shared(options),
        )
    _summarise(table, options)
    if options.report:
        sys.stderr.write(f"report: {Path(options.report) / 'index.html'}\n")


def _measure(options: argparse.Namespace) -> None:
    with closing(_Bar()) as bar:
        table = galmorph.measure(
            options.catalog, options.image, progress=bar, backend=options.backend, **_shared(options)
        )
    _summarise(table, options)


def _summarise(table: Any, options: argparse.Namespace) -> None:
    """Print where the result is, and how many rows got which class and flag."""
    from galmorph.runs.results import flag_counts  # noqa: PLC0415

    sys.stdout.write(f"{_output(options)}\n")
    lines = [f"{len(table)} rows"]
    if (name := f"{options.prefix}class") in table.colnames:
        classes = [str(v) for v in table[name]]
        counts = sorted(((classes.count(c), c) for c in set(classes)), reverse=True)
        lines.append("classes: " + ", ".join(f"{c or '(none)'} {n}" for n, c in counts))
    flags = flag_counts(table[f"{options.prefix}flags"].data)
    lines.append("flags: " + (", ".join(f"{f.name} {n}" for f, n in flags.items()) or "none"))
    sys.stderr.write("\n".join(lines) + "\n")


def _labelled(options: argparse.Namespace, survey: str | None, band: str | None) -> tuple[Any, Any]:
    from galmorph.learning.inputs import Inputs  # noqa: PLC0415

    columns = {name: getattr(options, name) for name in ("ra", "dec", "x", "y", "id", "file")}
    inputs = Inputs(
        options.labels,
        tuple(options.image),
        weight=tuple(options.weight),
        rms=tuple(options.rms),
        segmentation=tuple(options.segmentation),
        hdu=options.hdu,
        image_hdu=options.image_hdu,
        **columns,
    )
    return inputs.open(options.survey or survey, options.band or band)


def _train(options: argparse.Namespace) -> None:
    from galmorph.learning.pipeline import load_pipeline  # noqa: PLC0415
    from galmorph.learning.training import train  # noqa: PLC0415
    from galmorph.nets.threads import use_threads  # noqa: PLC0415

    overrides = _overrides(options, seed=options.seed)
    if options.scheme:
        overrides["scheme"] = options.scheme
    pipeline = load_pipeline(options.pipeline, overrides)
    catalog, images = _labelled(options, pipeline.images.get("survey"), pipeline.images.get("band"))
    use_threads(options.threads)
    with closing(images), closing(_Bar()) as bar:
        made = train(
            catalog,
            images,
            pipeline,
            Path(options.output),
            resume=options.resume,
            device=options.device,
            progress=_telling(bar),
            on_epoch=_draw_losses,
        )
    sys.stdout.write(f"{made.path}\n")


def _overrides(options: argparse.Namespace, *, seed: int | None = None) -> dict[str, Any]:
    """Collect what the command line says instead of a pipeline."""
    given = {k: v for k, v in (("epochs", options.epochs), ("seed", seed)) if v is not None}
    return {"train": given} if given else {}


def _telling(bar: _Bar) -> Any:
    """Return a report of progress: a bar, or a line for each epoch where there is no terminal."""

    def progress(what: str, done: int, total: int, remark: str = "") -> None:
        bar(done, total, what, remark)
        if what == "training" and not sys.stderr.isatty():
            sys.stderr.write(f"epoch {done}/{total} {remark}\n")

    return progress


def _draw_losses(state: Any) -> None:
    """Draw the losses of a training after each epoch."""
    from galmorph.pages.losses import draw_losses  # noqa: PLC0415

    draw_losses(state.folder / "losses.svg", state.histories)


def _run_pipelines(options: argparse.Namespace) -> None:
    from galmorph.learning.comparison import compare  # noqa: PLC0415
    from galmorph.learning.inputs import read_words  # noqa: PLC0415
    from galmorph.learning.pipeline import load_pipeline  # noqa: PLC0415
    from galmorph.nets.threads import use_threads  # noqa: PLC0415

    overrides = {**_overrides(options, seed=options.seed), "inputs": read_words(options.input)}
    pipelines = [load_pipeline(name, overrides) for name in options.pipelines]
    use_threads(options.threads)
    folder = Path(options.output)
    with closing(_Bar()) as bar:
        table = compare(
            pipelines,
            folder,
            part=options.split,
            resume=options.resume,
            device=options.device,
            progress=_telling(bar),
            on_epoch=_draw_losses,
        )
    _print_table(table)
    sys.stdout.write(f"{folder / 'comparison.ecsv'}\n")


def _tune(options: argparse.Namespace) -> None:
    from galmorph.learning.inputs import read_words  # noqa: PLC0415
    from galmorph.learning.pipeline import load_pipeline  # noqa: PLC0415
    from galmorph.learning.tuning import Blend, tune  # noqa: PLC0415
    from galmorph.nets.threads import use_threads  # noqa: PLC0415

    if options.fit_weights and options.blend is None:
        raise PipelineError("--fit-weights without --blend: say how many of the best to join with --blend N")
    overrides = {**_overrides(options), "inputs": read_words(options.input)}
    pipeline = load_pipeline(options.pipeline, overrides)
    use_threads(options.threads)
    with closing(_Bar()) as bar:
        made = tune(
            pipeline,
            Path(options.output),
            trials=options.trials,
            seed=options.seed,
            blend=None if options.blend is None else Blend(options.blend, options.fit_weights),
            resume=options.resume,
            device=options.device,
            progress=_telling(bar),
            on_epoch=_draw_losses,
        )
    _print_table(made.table)
    sys.stderr.write(f"best: {made.ranking[0]}\n")
    sys.stdout.write(f"{made.blend or Path(options.output) / 'trials.ecsv'}\n")


def _print_table(table: Any) -> None:
    """Show a whole table on standard error."""
    sys.stderr.write("\n".join(table.pformat(max_lines=-1, max_width=-1)) + "\n")


def _evaluate(options: argparse.Namespace) -> None:
    import json  # noqa: PLC0415

    from galmorph.learning.scoring import evaluate_checkpoint  # noqa: PLC0415
    from galmorph.nets.checkpoint.card import add_to_card  # noqa: PLC0415
    from galmorph.nets.checkpoint.file import load_checkpoint  # noqa: PLC0415
    from galmorph.sky.formats.atomic import check_folder, replacing  # noqa: PLC0415

    checkpoint = load_checkpoint(options.checkpoint)
    if options.output:
        check_folder(Path(options.output))
    catalog, images = _labelled(options, *_survey_and_band(checkpoint.envelope))
    with closing(images), closing(_Bar()) as bar:
        scores = evaluate_checkpoint(
            checkpoint,
            catalog,
            images,
            part=options.split,
            views=options.views,
            progress=_telling(bar),
        )
    if options.card:
        add_to_card(options.card, options.split, scores)
    text = json.dumps(scores, indent=1) + "\n"
    if not options.output:
        sys.stdout.write(text)
        return
    with replacing(Path(options.output)) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _survey_and_band(envelope: Any) -> tuple[str | None, str | None]:
    """Name the survey and band of the images that a checkpoint was trained on."""
    return envelope.survey or None, envelope.band or None


def _inspect(options: argparse.Namespace) -> None:
    from galmorph.nets.checkpoint.file import read_envelope  # noqa: PLC0415
    from galmorph.pages.inspection import check_asked, check_page  # noqa: PLC0415

    envelope = read_envelope(options.checkpoint)
    check_asked(labels=bool(options.labels), images=bool(options.image), part=options.split, rows=options.rows)
    check_page(options.output, Path(options.checkpoint).stem, overwrite=options.overwrite)
    chosen = {k: getattr(options, k) for k in ("output", "rows", "pictures", "overwrite", "card", "seed")}
    with ExitStack() as stack:
        bar = stack.enter_context(closing(_Bar()))
        catalog = images = None
        if options.labels:
            catalog, images = _labelled(options, *_survey_and_band(envelope))
            stack.enter_context(closing(images))
        page = galmorph.inspect_checkpoint(
            options.checkpoint,
            catalog,
            images,
            part=options.split,
            progress=_telling(bar),
            **chosen,
        )
    sys.stdout.write(f"{page}\n")


def _calibrate(options: argparse.Namespace) -> None:
    from galmorph.learning.calibration import CalibrationSettings  # noqa: PLC0415
    from galmorph.learning.scoring import calibrate_checkpoint  # noqa: PLC0415
    from galmorph.nets.checkpoint.card import read_card  # noqa: PLC0415
    from galmorph.nets.checkpoint.file import load_checkpoint, save_checkpoint  # noqa: PLC0415
    from galmorph.sky.formats.atomic import check_folder  # noqa: PLC0415

    path = Path(options.output)
    if path.suffix != ".safetensors" or (path.exists() and not options.overwrite):
        raise OutputError(f"Output '{path}': expected a new file .safetensors, or an old one with --overwrite")
    check_folder(path)
    settings = CalibrationSettings(
        options.method, options.sets, options.coverage, options.by_class, options.false_alarms
    )
    checkpoint, card = load_checkpoint(options.checkpoint), read_card(options.checkpoint)
    catalog, images = _labelled(options, *_survey_and_band(checkpoint.envelope))
    with closing(images), closing(_Bar()) as bar:
        fitted, card = calibrate_checkpoint(checkpoint, catalog, images, settings, card=card, progress=_telling(bar))
    sys.stdout.write(f"{save_checkpoint(fitted, path, card)}\n")


def _ensemble(options: argparse.Namespace) -> None:
    path = Path(options.output)
    if path.exists() and not options.overwrite:
        raise OutputError(f"'{path}' exists already: choose another or give --overwrite")
    galmorph.ensemble(options.checkpoints, path, shares=options.shares, name=options.name)
    sys.stdout.write(f"{path}\n")


def _export(options: argparse.Namespace) -> None:
    worst = galmorph.export(options.checkpoint, options.output, overwrite=options.overwrite)
    sys.stdout.write(f"{options.output}\n")
    sys.stderr.write(f"largest difference of a probability from torch: {worst:.1g}\n")


def _simulate(options: argparse.Namespace) -> None:
    field = galmorph.simulate(options.survey, options.band, rows=options.rows, seed=options.seed, side_px=options.side)
    for path in field.write(options.output, overwrite=options.overwrite):
        sys.stdout.write(f"{path}\n")


def _list(options: argparse.Namespace) -> None:
    from galmorph.pages.descriptions import describers  # noqa: PLC0415

    for name, describe in describers(options.kind).items():
        sys.stdout.write(f"{name:16s} {describe(name).partition(chr(10))[0]}\n")


def _show(options: argparse.Namespace) -> None:
    from galmorph.pages.descriptions import show  # noqa: PLC0415

    sys.stdout.write(show(options.name) + "\n")
