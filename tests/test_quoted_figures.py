"""Figures that documents quote of benchmarks: tables and sentences say what the files in docs/benchmarks say."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from galmorph.likeness.strangeness import Belief

DOCS = Path(__file__).resolve().parents[1] / "docs"
PRECISION = ("raw pixels", "sdss-rgb", "sdss-rgb, whitened", "sdss-gz1", "sdss-gz1, whitened", "nircam-f200w",
             "nircam-f200w, whitened")  # fmt: skip
EXAMPLES = ("one example", "five, mean", "five and counter-examples, rocchio", "five and counter-examples, logistic")
LIGHT = ("features", "features, whitened", "with light", "with light, whitened")
FACTORS = ("features", "latent factors", "fractions")
ODD = ("no label", "searching", "searching, others", "one example", "ten examples", "twenty examples", "all known")


def figures(name: str) -> Any:
    return json.loads((DOCS / "benchmarks" / f"{name}.json").read_text(encoding="utf-8"))


def tables(name: str) -> dict[str, list[list[str]]]:
    """Return the rows of all tables of a document by the heads of their columns, without those and the line below."""
    text = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    found = {}
    for block in re.findall(r"(?:^\|.*\|\n)+", text, flags=re.MULTILINE):
        head, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines())
        found[", ".join(head)] = rows
    return found


def cell(figure: list[float] | None, digits: int = 2) -> str:
    return "" if figure is None else " ± ".join(f"{number:.{digits}f}" for number in figure)


def rows_of(section: dict[str, Any], columns: tuple[str, ...]) -> list[list[str]]:
    """Return the rows of a table with one for each kind of each set."""
    return [
        [name, kind, *(cell(about.get(column)) for column in columns)]
        for name, kinds in section.items()
        for kind, about in kinds.items()
        if isinstance(about, dict)
    ]


@pytest.fixture(scope="module")
def likeness() -> dict[str, list[list[str]]]:
    return tables("likeness")


def test_the_precision_of_similar_is_that_of_the_benchmark(likeness):
    section = figures("similar")["precision_at_20"]
    expected = rows_of(section, PRECISION)
    for row in expected:
        row.insert(2, f"{section[row[0]][row[1]]['random']:.2f}")
    table = next(rows for head, rows in likeness.items() if "raw pixels" in head)
    assert table == expected


@pytest.mark.parametrize(
    ("section", "columns", "head"),
    [
        ("with_light", LIGHT, "with light"),
        ("examples", EXAMPLES, "logistic"),
        ("latent_factors", FACTORS, "latent factors"),
    ],
)
def test_examples_and_factors_are_those_of_the_benchmark(likeness, section, columns, head):
    table = next(rows for heads, rows in likeness.items() if head in heads)
    assert table == rows_of(figures("similar")[section], columns)


def test_what_learnt_shares_give_is_that_of_the_benchmark():
    of = figures("features")["shared"]
    table = next(rows for rows in tables("features").values() if rows[-1][0].startswith("*share of"))
    for name, row in zip(("planes", "equal", "learnt", "learnt_blend"), table, strict=False):
        quoted = [about["right"] for about in of[name].values()]
        assert [each.split()[0] for each in row[1:] if each] == [f"{right:.3f}".removeprefix("0") for right in quoted]
    for row in table[-len(of["shares"]["all"]) :]:
        method = row[0].strip("*").removeprefix("share of ")
        assert row[1:] == [f"{shares[method]:.2f}".removeprefix("0") for shares in of["shares"].values()]


def test_outliers_are_those_of_the_benchmark_s_report_part(likeness):
    kinds = figures("outliers")["kinds"]
    table = next(rows for head, rows in likeness.items() if head.startswith("planted"))
    assert table == [[name, *(cell(about["report"][column], 3) for column in ODD)] for name, about in kinds.items()]


def test_outliers_by_features_alone_are_those_of_the_benchmark(likeness):
    kinds = figures("outliers")["features_alone"]
    table = next(rows for head, rows in likeness.items() if head.startswith("features alone"))
    columns = ("no label", "searching", "ten examples", "twenty examples", "all known")
    assert table == [[name, *(cell(about["report"][column], 3) for column in columns)] for name, about in kinds.items()]


def test_what_is_believed_is_what_the_choice_part_liked_best():
    """Or about as well: a mean of all figures that is higher by less than .001 was no reason to choose once more."""
    choice = figures("outliers")["choice"]
    means = [sum(each["means"].values()) / len(each["means"]) for each in choice["best"]]
    alike = [each for each, mean in zip(choice["best"], means, strict=True) if mean > max(means) - 0.001]
    assert f"({choice['tried']} settings" in (DOCS / "likeness.md").read_text(encoding="utf-8")
    assert asdict(Belief()) in [{name: each[name] for name in asdict(Belief())} for each in alike]


def test_times_of_queries_are_those_of_the_benchmark():
    text, of = (DOCS / "likeness.md").read_text(encoding="utf-8"), figures("similar")
    graph = of["graph"]
    assert f"takes {of['query']['exact_ms']['median']:.0f} ms in the median" in text
    assert (
        f"the graph answers {graph['rows']} rows in {graph['ms']:.2f} ms with {graph['recall']:.0%}".replace("%", " %")
        in text
    )
    assert f"made in {graph['made_s']:.0f} s" in text


def test_the_figures_of_maps_are_those_of_the_benchmark():
    text, of = (DOCS / "map.md").read_text(encoding="utf-8").partition("## Figures")[2], figures("map")
    wide, narrow = of["pages"]["screens"]["1400 x 860"], of["pages"]["screens"]["390 x 844"]
    placing, trust = of["placing"], of["placing"]["trustworthiness_at_15"]
    loads = sorted(each["load_average"] for each in (wide, narrow))
    for quoted in (
        f"(load {loads[0]:.0f} to {loads[1]:.0f})",
        f"{of['pages']['page_mb']:.1f} MB",
        f"opens in {wide['opening_s']:.1f} s",
        *(f"{min(each['frames_per_s']):g} to {max(each['frames_per_s']):g}" for each in (wide, narrow)),
        f"({wide['points_per_draw_while_moving']:_} and {narrow['points_per_draw_while_moving']:_})".replace("_", " "),
        *(f"{share:.4f}".lstrip("0") for share in trust.values()),
        f"{placing['rows_per_cpu_s_placed_by_openTSNE']} rows a second",
        f"{placing['rows_per_cpu_s_placed_among_neighbours']:_}".replace("_", " "),
        f"takes {of['large']['layout_cpu_s']} s of the processor",
        f"take {placing['layout_cpu_s']:g} s",
    ):
        assert quoted in " ".join(text.split()), quoted
