"""Descriptions: what ships, in words for people."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from galmorph.arguments import checked
from galmorph.errors import UnknownNameError, unknown_name
from galmorph.nets.checkpoint.card import read_card
from galmorph.nets.checkpoint.lookup import checkpoint_names
from galmorph.shipped import named_files, shipped, short_name
from galmorph.sky.scheme import load_scheme, scheme_names
from galmorph.sky.survey import load_survey, survey_names
from galmorph.toml import read_file

if TYPE_CHECKING:
    from galmorph.learning.pipeline import Pipeline

__all__ = ["KINDS", "contents", "describers", "names", "show"]

KINDS = ("surveys", "schemes", "networks", "checkpoints", "pipelines")
_ENDINGS = (".toml", ".safetensors")


@checked
def show(name: str) -> str:
    """Describe a survey, scheme, network, checkpoint or pipeline in words.

    A pipeline comes whole, with all that it extends and all defaults, as a file that can be run.

    Parameters
    ----------
    name
        Of what ships, ``KIND/NAME`` where one kind is meant; or a file.

    Raises
    ------
    UnknownNameError
        If nothing has this name; the message lists what exists.
    GalmorphError
        Of the kind's own, if a file cannot be read.

    Examples
    --------
    >>> import galmorph
    >>> "F160W" in galmorph.show("candels")
    True
    """
    return "\n\n".join(_titled(kind, Path(which).stem, _WORDS[kind](which)) for kind, which in _matching(name))


@checked
def contents(name: str) -> dict[str, dict[str, Any]]:
    """Return what :func:`show` describes as data, by its kind (``"survey"``, ``"checkpoint"``, ...).

    Surveys, schemes and networks have the sections of their files, pipelines all that they extend and all defaults,
    checkpoints their cards.

    Parameters
    ----------
    name
        As for :func:`show`.

    Raises
    ------
    UnknownNameError
        If nothing has this name; the message lists what exists.
    GalmorphError
        Of the kind's own, if a file cannot be read.

    Examples
    --------
    >>> import galmorph
    >>> galmorph.contents("candels")["survey"]["bands"]["F160W"]["scale_arcsec"]
    0.06
    """
    return {kind.removesuffix("s"): _data(kind, which) for kind, which in _matching(name)}


def _matching(name: str) -> list[tuple[str, str]]:
    """Return kinds and names, or the file, of what is called so; there is at least one."""
    if Path(name).is_file():
        return [(_kind_of(Path(name)), name)]
    wanted, short = _kind_and_name(name)
    if Path(name).suffix in _ENDINGS:
        raise UnknownNameError(
            f"file '{name}' does not exist: expected the file of a pipeline, survey, ...; correct it"
        )
    kinds = [(kind, describers(kind)) for kind in ([wanted] if wanted else KINDS)]
    if not (matching := [(kind, short) for kind, by_name in kinds if short in by_name]):
        raise UnknownNameError(unknown_name("name", name, {n for _, by_name in kinds for n in by_name}))
    return matching


def _kind_and_name(name: str) -> tuple[str, str]:
    """Split a name; what stands in a folder of pipelines is one."""
    if (
        short := short_name(shipped("pipelines"), name.removeprefix("pipelines/"))
    ) in _pipeline_files() and "/" in name:
        return "pipelines", short
    kind, _, short = name.rpartition("/")
    return kind, short


def _titled(kind: str, name: str, text: str) -> str:
    comment = "# " if kind == "pipelines" else ""
    return f"{comment}{kind.removesuffix('s')} {name}: {text}"


def _kind_of(path: Path) -> str:
    """Tell a checkpoint by its ending, others by a section that only their kind has."""
    if path.suffix == ".safetensors":
        return "checkpoints"
    if path.suffix not in _ENDINGS:
        raise UnknownNameError(
            f"file '{path}': expected a .toml file of a survey, scheme, network or pipeline, or a .safetensors "
            "checkpoint; give one of these"
        )
    sections = read_file(path, "file")
    kinds = {"bands": "surveys", "questions": "schemes", "layers": "networks"}
    return next((kinds[key] for key in kinds if key in sections), "pipelines")


def _data(kind: str, name: str) -> dict[str, Any]:
    """Return the sections of a file, or the card of a checkpoint."""
    if kind == "checkpoints":
        return dict(read_card(name))
    if kind == "pipelines":
        return tomllib.loads(_loaded(name).to_toml())
    return dict(read_file(named_files(shipped("catalogs") / kind, ".toml").get(name, Path(name)), kind))


def describers(kind: str) -> dict[str, Callable[[str], str]]:
    """Map the names of one kind of shipped thing to functions that describe them; the first line is a title.

    Raises
    ------
    UnknownNameError
        If nothing of this kind ships.
    """
    if kind not in KINDS:
        raise UnknownNameError(unknown_name("kind", kind, KINDS))
    all_of: dict[str, Callable[[], Iterable[str]]] = {
        "surveys": survey_names,
        "schemes": scheme_names,
        "networks": _network_files,
        "checkpoints": checkpoint_names,
        "pipelines": _pipeline_files,
    }
    return dict.fromkeys(all_of[kind](), _WORDS[kind])


@checked
def names(kind: str) -> dict[str, str]:
    """List what ships of one kind: names and a line about each.

    Parameters
    ----------
    kind
        ``'surveys'``, ``'schemes'``, ``'networks'``, ``'checkpoints'`` or ``'pipelines'``.

    Raises
    ------
    UnknownNameError
        If nothing of this kind ships.

    Examples
    --------
    >>> import galmorph
    >>> "candels" in galmorph.names("surveys")
    True
    """
    if kind == "networks":
        return {name: str(read_file(path, "network").get("title", "")) for name, path in _network_files().items()}
    if kind == "checkpoints":
        return {name: str(read_card(name).get("title", "")) for name in checkpoint_names()}
    if kind == "pipelines":
        return {name: _title(path) for name, path in _pipeline_files().items()}
    return {name: describe(name).partition("\n")[0] for name, describe in describers(kind).items()}


def _title(pipeline: Path) -> str:
    """Find the title of a pipeline in its file, or in the one that it extends."""
    contents = read_file(pipeline, "pipeline")
    base = contents.get("extends")
    return str(contents.get("title", "")) or (_title(pipeline.parent / str(base)) if base else "")


def _pipeline_files() -> dict[str, Path]:
    return named_files(shipped("pipelines"), ".toml")


def _network_files() -> dict[str, Path]:
    return named_files(shipped("catalogs") / "networks", ".toml")


def _survey(name: str) -> str:
    survey = load_survey(name)
    lines = [survey.title, f"reference: {survey.reference}", "bands:"]
    for band in survey.bands:
        aliases = f" (= {', '.join(band.aliases)})" if band.aliases else ""
        lines.append(
            f"  {band.name}{aliases}: {band.scale_arcsec} arcsec/pixel, AB zero point {band.zero_point_ab} "
            f"for 1 {band.unit}, PSF FWHM {band.psf_fwhm_arcsec} arcsec"
        )
    lines += ["fields:"] if survey.fields else []
    lines += [f"  {f.name}: {f.title}" for f in survey.fields]
    lines += [f"colour pictures of any position: {survey.pictures.url}"] if survey.pictures else []
    lines += [f"frames: {survey.frames.url}"] if survey.frames else []
    lines += [f"usual checkpoint for {band}: {name}" for band, name in survey.checkpoints.items()]
    return "\n".join(lines)


def _scheme(name: str) -> str:
    scheme = load_scheme(name)
    lines = [scheme.title, f"reference: {scheme.reference}", f"kind: {scheme.kind}"]
    for question in scheme.questions:
        asked = f" (asked after {', '.join(question.parents)})" if question.parents else ""
        lines += [f"{question.name}: {question.title}{asked}", *(f"  {a.key}" for a in question.answers)]
    for rule in scheme.rules:
        default = " (the default)" if rule.name == scheme.default_rule else ""
        people = {"all": "of all people", "asked": "of those who were asked"}[rule.of]
        lines += [f"rule {rule.name}{default}: {rule.title}", f"  reference: {rule.reference}", f"  fractions {people}"]
        lines += [f"  {kind.name}: {kind.when}" for kind in rule.classes] + [f"  {rule.otherwise}: none of these"]
    return "\n".join(lines)


def _network(name: str) -> str:
    from galmorph.nets.architecture.network import load_network, outline, usual_recipe  # noqa: PLC0415 - torch

    network = load_network(name)
    settings = ", ".join(f"{k} = {v}" for k, v in network.to_dict()["settings"].items())
    recipe = usual_recipe(network)
    rows, weights = outline(network, recipe, load_scheme(network.scheme))
    width = max(len(text) for text, *_ in rows)
    lines = [network.title, f"reference: {network.reference}"]
    lines += [f"settings: {settings}"] if settings else []
    lines += [
        f"for {network.planes} plane(s) of {recipe.size} x {recipe.size} pixels and the answers of {network.scheme}:"
    ]
    lines += [f"  {text:{width}s}  {shape} ({count} weights)" for text, shape, count in rows]
    return "\n".join([*lines, f"{weights} weights in all; views: {network.views}"])


def _loaded(pipeline: str) -> Pipeline:
    from galmorph.learning.pipeline import load_pipeline  # noqa: PLC0415 - astropy and scipy, a second

    return load_pipeline(pipeline)


def _pipeline(name: str) -> str:
    pipeline = _loaded(name)
    return f"{pipeline.title}\n\n{pipeline.to_toml()}"


def _checkpoint(name: str) -> str:
    from galmorph.nets.checkpoint.file import load_checkpoint  # noqa: PLC0415 - torch

    checkpoint, card = load_checkpoint(name), read_card(name)
    envelope = checkpoint.envelope
    lines = [
        str(card.get("title", checkpoint.scheme.title)),
        f"scheme: {checkpoint.scheme.name}, {len(checkpoint.scheme.keys)} answers; weights: {card.get('weights', '?')}",
        f"trained on: {card.get('data', '?')}",
        f"images: {envelope.survey} {'/'.join(envelope.bands)}, {envelope.scale_arcsec} arcsec/pixel",
        f"sha256: {checkpoint.sha256}",
    ]
    lines += [f"page: {card['page']}"] if "page" in card else []
    for split in ("validation", "test"):
        questions = card.get(split, {}).get("questions", {})
        lines += [f"{split}, {_scores(name, scores)}" for name, scores in questions.items() if scores.get("rows")]
        if "accuracy" in card.get(split, {}):
            lines.append(f"{split}: accuracy {card[split]['accuracy']:.3f}")
    return "\n".join(lines)


def _scores(question: str, scores: Mapping[str, Any]) -> str:
    explained = f", signal explained {scores['signal_explained']:.2f}" if "signal_explained" in scores else ""
    return (
        f"{question}: {scores['rows']} rows, RMSE {scores['rmse']:.3f} (constant {scores['constant']:.3f}, "
        f"floor {scores['floor']:.3f}){explained}"
    )


_WORDS: dict[str, Callable[[str], str]] = {
    "surveys": _survey,
    "schemes": _scheme,
    "networks": _network,
    "checkpoints": _checkpoint,
    "pipelines": _pipeline,
}
