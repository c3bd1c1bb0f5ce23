"""Record: the settings of a training run as its folder keeps them, by which it is resumed or refused."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from galmorph.errors import OutputError, PipelineError
from galmorph.learning.pipeline import TrainPipeline
from galmorph.learning.sections import CalibrationSettings
from galmorph.nets.architecture.network import NetworkConfig
from galmorph.nets.training.settings import Augmentation, EnsembleSettings, completed
from galmorph.nets.training.start import mark_of
from galmorph.sky.formats.atomic import alone_in, make_folder, replacing
from galmorph.sky.outputs import check_outputs
from galmorph.stamps.recipe import Recipe
from galmorph.text_file import read_json, read_text
from galmorph.toml import to_table

__all__ = [
    "LOSSES",
    "RECORD",
    "SPLIT",
    "STATE",
    "check_absent",
    "check_record",
    "check_training",
    "log_path",
    "prepared_folder",
    "read_by",
    "record_of",
    "state_path",
]

RECORD = "pipeline.json"
STATE = "state.safetensors"
SPLIT = "split.csv"
LOSSES = "losses.svg"

# What a record says that leaves a setting out, because there was none yet or because it was the default.
_DEFAULTS = {
    "recipe": to_table(Recipe()),
    "augmentation": to_table(Augmentation()),
    "train": to_table(EnsembleSettings()),
    "calibration": to_table(CalibrationSettings()),
    "split": {"starts": []},
}
# What is looked at while a network learns does not matter to it.
_SHOWN = ("tensorboard",)


def record_of(pipeline: TrainPipeline) -> dict[str, Any]:
    """Return the settings that make a run what it is, as plain JSON has them."""
    settings = pipeline.settings()
    train = {key: value for key, value in settings["train"].items() if key not in _SHOWN}
    if pipeline.train.start:
        train["start"] = mark_of(pipeline.train.start)
    if pipeline.teacher is not None:
        settings["teacher"] = {**settings["teacher"], "checkpoint": mark_of(pipeline.teacher.checkpoint, "[teacher]")}
    network = NetworkConfig.from_dict(pipeline.network.to_dict()).to_dict()
    return dict(json.loads(json.dumps({**settings, "train": train, "network": network}, default=list)))


def state_path(folder: Path, number: int) -> Path:
    """Return the file from which network `number`, from 1, goes on."""
    return folder / (STATE if number == 1 else f"state-{number}.safetensors")


def log_path(folder: Path, number: int) -> Path:
    """Return the file of the losses of network `number`, from 1."""
    return folder / ("log.csv" if number == 1 else f"log-{number}.csv")


def check_training(folder: Path, pipeline: TrainPipeline, *inputs: Any, resume: bool) -> None:
    """Refuse a folder whose files a training would replace though they are not its own, or are read by it.

    Parameters
    ----------
    folder
        That it is to write into; it need not exist yet.
    pipeline
        What is trained.
    inputs
        Labels and images.
    resume
        Whether files of an earlier run with the same settings are taken up.

    Raises
    ------
    OutputError
        If so, or if it cannot be written.
    """
    results = [folder / f"{pipeline.name}{suffix}" for suffix in (".safetensors", ".json")]
    numbers = range(1, pipeline.train.members + 1)
    steps = [path for n in numbers for path in (state_path(folder, n), log_path(folder, n))]
    others = [folder / name for name in (RECORD, SPLIT, LOSSES)]
    is_run = any((folder / name).exists() for name in (STATE, RECORD))
    check_absent((*steps, *results), resume=resume and is_run)
    check_outputs([*results, *steps, *others], inputs, read_by(pipeline), overwrite=True, is_made=True)


def check_absent(paths: Iterable[Path], *, resume: bool) -> None:
    """Refuse files of an earlier run that is not taken up.

    Raises
    ------
    OutputError
        If there are any.
    """
    if not resume and (path := next((path for path in paths if path.exists()), None)):
        raise OutputError(
            f"folder '{path.parent}' holds a training run already, or '{path.name}' of another: continue it with "
            "--resume or choose another"
        )


def read_by(pipeline: TrainPipeline) -> list[str | Path]:
    """List the files that a pipeline was read from, and those that its settings name, among names of what ships."""
    checkpoints = [pipeline.train.start, *([] if pipeline.teacher is None else [pipeline.teacher.checkpoint])]
    return [*pipeline.files, pipeline.scheme, pipeline.network.name, *checkpoints, pipeline.images.survey]


@contextmanager
def prepared_folder(folder: Path, record: Mapping[str, Any], *, resume: bool) -> Iterator[None]:
    """Make the folder, write down what runs there, and keep other runs out; refuse another run's.

    Raises
    ------
    OutputError
        If it cannot be made, or holds a run that is not to be resumed, or one that is going on.
    PipelineError
        If it holds a run with other settings.
    """
    make_folder(folder)
    with alone_in(folder):
        if (folder / STATE).exists() and not resume:
            raise OutputError(
                f"folder '{folder}' holds a training run already: continue it with --resume or choose another"
            )
        if resume:
            check_record(folder, record)
        with replacing(folder / RECORD) as temporary:
            temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        yield


def check_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Refuse a folder whose run has other settings; one without a record passes.

    Raises
    ------
    PipelineError
        If so, or if the record is broken.
    """
    if not (path := folder / RECORD).exists():
        return
    try:
        before = dict(read_json(read_text(path)))
    except (OSError, ValueError, TypeError) as error:
        raise PipelineError(f"'{path}' holds no settings of a training run: remove it") from error
    for section in sorted({*before, *record}):
        old, new = (_whole(section, settings.get(section)) for settings in (before, record))
        if old != new:
            raise PipelineError(
                f"folder '{folder}' belongs to a run with other settings: {_difference(section, old, new)}; choose "
                "another folder, or the settings of that run"
            )


def _whole(section: str, settings: Any) -> Any:
    """Put in defaults; no section is as an empty one."""
    if not isinstance(settings or {}, Mapping):
        return settings
    whole = {**_DEFAULTS.get(section, {}), **(settings or {})}
    if section == "train":
        whole["unlabelled"] = completed(whole.get("unlabelled"))
    return {key: value for key, value in whole.items() if key not in _SHOWN}


def _difference(section: str, old: Any, new: Any) -> str:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        key = sorted(k for k in {*old, *new} if old.get(k) != new.get(k))[0]
        section, old, new = f"[{section}] {key}", old.get(key), new.get(key)
    before, now = (text if len(text) < 60 else text[:57] + "..." for text in (repr(old), repr(new)))
    return f"{section} was {before} and is {now}"
