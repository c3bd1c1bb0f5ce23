"""Pipeline: a file that says what to run, training or classifying; loaded, extended and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Self, cast

from galmorph.errors import PipelineError, unknown_name
from galmorph.learning.inputs import CatalogInputs, LabelInputs, beside
from galmorph.learning.ranges import Search
from galmorph.learning.sections import (
    CalibrationSettings,
    Fractions,
    NetworkChoice,
    Simulated,
    Stars,
    Teacher,
    TrainingImages,
)
from galmorph.learning.split import Split
from galmorph.nets.features.classifier import Classifier
from galmorph.nets.features.dictionary import KMeansFeatures
from galmorph.nets.training.settings import Augmentation, EnsembleSettings
from galmorph.runs.run_settings import Settings
from galmorph.shipped import named_files, shipped, short_name
from galmorph.sky.catalog_input import CatalogInput
from galmorph.sky.images import ImageInput
from galmorph.stamps.recipe import Recipe
from galmorph.toml import apart, build, read_file, to_table, to_text

__all__ = [
    "ClassifyPipeline",
    "ClassifySettings",
    "Pipeline",
    "TrainPipeline",
    "load_pipeline",
    "load_training",
    "pipeline_names",
]

_DEEPEST = 4
# What runs on a pipeline, not what comes out of it.
_OUTER = ("title", "kind", "inputs", "tune")
# Settings that may name a file beside the pipeline, and how that ends; other texts are names of what ships.
_FILES = (
    ("network", "name", ".toml"),
    ("train", "start", ".safetensors"),
    ("teacher", "checkpoint", ".safetensors"),
    ("classify", "checkpoint", ".safetensors"),
    ("classify", "runtime", ".onnx"),
)


class _Whole:
    """What pipelines of every kind can: be changed, and be written down whole.

    Parameters
    ----------
    files
        From which the pipeline was read.
    """

    files: tuple[Path, ...]

    def changed(self, name: str, above: Mapping[str, Any]) -> Self:
        """Return a pipeline of another name with these sections merged into its own, key by key.

        Raises
        ------
        PipelineError
            If a setting is unknown or impossible.
        """
        pipeline: Any = build(type(self), _merged(to_table(self), above), f"pipeline '{name}'")
        return cast("Self", replace(pipeline, name=name, files=self.files))

    def to_toml(self) -> str:
        """Write the whole pipeline as the text of one file, which does not extend others."""
        return to_text(to_table(self))


@dataclass(frozen=True)
class TrainPipeline(_Whole):
    """A pipeline that trains; each section of its file is a dataclass.

    Parameters
    ----------
    name
        What it is called: the name of its file.
    title
        What it makes.
    scheme
        Name of the label scheme.
    images
        What images the labels belong to.
    split
        How rows are divided into train, validation and test.
    kind
        Tells it from pipelines that classify.
    recipe
        How stamps are made.
    network
        The name of a network (one that ships, or a file beside the pipeline's) and other values for its settings, or
        a whole network with its `layers`. In the file the name alone will do: ``network = "plain"``.
    augmentation, train
        The random views, and the loop that learns from them.
    features, classifier
        Features that are learnt without labels in place of a network, and what learns answers of them in place of the
        loop, with the seed of `train`; None for networks that learn by gradients.
    fractions
        How votes of another scheme count; None for labels that have the scheme's own columns.
    stars, simulated
        What is added to the training and validation parts; None for nothing.
    teacher
        What galaxies without a label are taught by; None for nothing.
    calibration
        What is fitted after training.
    inputs
        Files of labels and images.
    tune
        What a random search draws from; None for no search.
    """

    title: str
    scheme: str
    images: TrainingImages
    split: Split
    kind: Literal["train"] = "train"
    recipe: Recipe = field(default_factory=Recipe)
    network: NetworkChoice = field(default_factory=NetworkChoice)
    augmentation: Augmentation = field(default_factory=Augmentation)
    train: EnsembleSettings = field(default_factory=EnsembleSettings)
    features: KMeansFeatures | None = None
    classifier: Classifier | None = None
    fractions: Fractions | None = None
    stars: Stars | None = None
    simulated: Simulated | None = None
    teacher: Teacher | None = None
    calibration: CalibrationSettings = field(default_factory=CalibrationSettings)
    inputs: LabelInputs = field(default_factory=LabelInputs)
    tune: Search | None = None
    name: str = apart("unnamed")
    files: tuple[Path, ...] = apart((), compare=False)

    def __post_init__(self) -> None:
        if self.classifier is not None and self.features is None:
            raise PipelineError("[classifier] without [features]: expected both; say what features it learns from")

    @property
    def learns_unlabelled(self) -> bool:
        """Whether rows without a label teach anything."""
        return self.train.unlabelled is not None or (self.features is not None and self.features.unlabelled)

    def settings(self) -> dict[str, Any]:
        """Return, as plain values, what decides about the weights: all but name, title, inputs and the search."""
        return {name: value for name, value in to_table(self).items() if name not in _OUTER}

    def named_inputs(self) -> tuple[CatalogInput, ImageInput]:
        """Return the labels and images that the pipeline names.

        Raises
        ------
        PipelineError
            If it does not.
        """
        return self.inputs.named(f"pipeline '{self.name}'", self.images.survey, self.images.band)


@dataclass(frozen=True)
class ClassifySettings(Settings):
    """The section ``[classify]``: options of :func:`galmorph.classify`, by the same names.

    Parameters
    ----------
    checkpoint
        A checkpoint that ships or the file of one (a relative one lies beside the pipeline); None for the usual one of
        the images.
    output, report
        File of the result, by default named after the catalogue, and folder of a page, None for none; relative ones
        lie in the folder that the run is given.
    strict
        Whether rows without probabilities are an error.
    engine, workers, scheduler
        Who carries it out, as of :class:`galmorph.runs.execution.Execution`.
    """

    checkpoint: str | None = None
    output: str | None = None
    report: str | None = None
    strict: bool = False
    engine: str = "auto"
    workers: int | None = None
    scheduler: str | None = None


@dataclass(frozen=True)
class ClassifyPipeline(_Whole):
    """A pipeline that classifies.

    Parameters
    ----------
    name
        What it is called: the name of its file.
    title
        What it makes.
    kind
        Tells it from pipelines that train.
    inputs
        Catalogue and images.
    classify
        With what they are classified, and where the result goes.
    """

    title: str
    kind: Literal["classify"]
    inputs: CatalogInputs = field(default_factory=CatalogInputs)
    classify: ClassifySettings = field(default_factory=ClassifySettings)
    name: str = apart("unnamed")
    files: tuple[Path, ...] = apart((), compare=False)

    def named_inputs(self) -> tuple[CatalogInput, ImageInput]:
        """Return the catalogue and images that the pipeline names.

        Raises
        ------
        PipelineError
            If it does not.
        """
        return self.inputs.named(f"pipeline '{self.name}'")


Pipeline = TrainPipeline | ClassifyPipeline


def _files() -> dict[str, Path]:
    return named_files(shipped("pipelines"), ".toml")


def pipeline_names() -> list[str]:
    """List the pipelines that ship with galmorph."""
    return list(_files())


def load_pipeline(name: str | Path, overrides: Mapping[str, Any] | None = None) -> Pipeline:
    """Read a pipeline by its name or file, with the files it extends.

    Parameters
    ----------
    name
        A shipped pipeline or a path.
    overrides
        Sections that win over the file's, merged key by key.

    Raises
    ------
    PipelineError
        If the file is missing or broken, or a section or key is unknown or has an impossible value.
    """
    files = _files()
    path = files.get(short_name(shipped("pipelines"), str(name))) or Path(name)
    if not path.is_file():
        raise PipelineError(unknown_name("pipeline", str(name), files))
    above = dict(overrides or {})
    if "network" in above:
        above["network"] = _network(above["network"])
    read: list[Path] = []
    contents = _merged(_read(path, read), above)
    kinds: dict[Any, type[TrainPipeline | ClassifyPipeline]] = {"train": TrainPipeline, "classify": ClassifyPipeline}
    what, kind = f"pipeline '{path.name}'", str(contents.get("kind", "train"))
    if kind not in kinds:
        raise PipelineError(f"{what}: {unknown_name('kind', kind, kinds)}")
    return replace(build(kinds[kind], contents, what), name=path.name.removesuffix(".toml"), files=tuple(read))


def load_training(name: str | Path, overrides: Mapping[str, Any] | None = None) -> TrainPipeline:
    """Read a pipeline that trains, as :func:`load_pipeline` does.

    Raises
    ------
    PipelineError
        If it is one that classifies, too.
    """
    pipeline = load_pipeline(name, overrides)
    if not isinstance(pipeline, TrainPipeline):
        raise PipelineError(f"pipeline '{pipeline.name}' classifies, expected one that trains: see galmorph run")
    return pipeline


def _read(path: Path, read: list[Path]) -> dict[str, Any]:
    """Read a file and those that it extends, which are added to those that were read."""
    contents = read_file(path, "pipeline")
    read.append(path)
    if "network" in contents:
        contents["network"] = _network(contents["network"])
    if "inputs" in contents:
        contents["inputs"] = beside(contents["inputs"], path.parent)
    for section, key, ending in _FILES:
        if section in contents:
            contents[section] = _placed(contents[section], key, ending, path.parent)
    if (base := contents.pop("extends", None)) is None:
        return contents
    if not isinstance(base, str):
        raise PipelineError(f"pipeline '{path}': extends = {base!r}, expected the name of a file beside it")
    if not (path.parent / base).is_file():
        raise PipelineError(f"pipeline '{path}' extends '{base}', which is not beside it: correct its 'extends'")
    if len(read) > _DEEPEST + 1:
        raise PipelineError(f"pipeline '{path}' extends itself: remove one 'extends'")
    return _merged(_read(path.parent / base, read), contents)


def _network(section: Any) -> Any:
    """Turn the name of a network alone into a table."""
    return {"name": section} if isinstance(section, str) else section


def _placed(section: Any, key: str, ending: str, folder: Path) -> Any:
    """Turn a relative file that a setting names into one beside the pipeline; names of what ships stay."""
    if isinstance(section, Mapping) and str(name := section.get(key, "")).endswith(ending) and "layers" not in section:
        return {**section, key: str(folder / str(name))}
    return section


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping) and not _starts_anew(key, old, value):
            merged[key] = _merged(old, value)
        else:
            merged[key] = value
    return merged


def _starts_anew(section: str, below: Mapping[str, Any], above: Mapping[str, Any]) -> bool:
    """Whether settings below mean nothing: those of another network, or of another way to divide rows."""
    if section == "network":
        return not {"name", "layers"}.isdisjoint(above)
    return section == "split" and above.get("method", below.get("method")) != below.get("method")
