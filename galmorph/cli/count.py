"""Command count: class fractions in bins, corrected for misclassification."""

from __future__ import annotations

from argparse import ArgumentTypeError, Namespace
from typing import Any

import galmorph
from galmorph.cli import options as shared
from galmorph.cli.parser import Parser, arguments
from galmorph.cli.printing import print_answer, print_remark, rows_of

__all__ = ["EXAMPLES", "add_options", "do"]

EXAMPLES = {
    "shares of the whole catalogue": "galmorph count out.fits",
    "in bins of magnitude, as a table and a drawing": (
        "galmorph count out.fits --by mag -o fractions.fits --plot fractions.svg"
    ),
    "in bins of given edges, and in three of as many galaxies each": (
        "galmorph count out.fits --by mag,z --bins mag=18,20,22,24 z=3"
    ),
    "other cuts, a column of weights, means adjusted for another mix of classes": (
        "galmorph count out.fits --by z --cut recommended,BLEND --weight w --method pacc --json"
    ),
}


def add_options(command: Parser) -> None:
    """Add what the command takes."""
    command.add_argument("catalog", metavar="CATALOG", help=f"result of galmorph classify: {shared.CATALOG}")
    command.add_argument(
        "--by", type=_listed, metavar="COL[,COL]", help="one or two columns of numbers (default: none)"
    )
    command.add_argument(
        "--bins",
        nargs="+",
        type=_bins,
        metavar="COL=BINS",
        help="edges (mag=18,20,22), or how many bins of as many galaxies each (z=4; default: 5, or 3 of each of two)",
    )
    command.add_argument("--question", metavar="Q", help="only this one of a scheme of several")
    command.add_argument(
        "--method",
        choices=("raw", "prob", "pacc"),
        help="what is printed and drawn; the table has all: counts, mean probabilities (default), these adjusted by "
        "what is said of galaxies of each class",
    )
    command.add_argument("--cut", metavar="FLAGS", help="leave out rows with these (default: recommended; none; A,B)")
    command.add_argument("--weight", metavar="COL", help="column of weights, such as 1/Vmax")
    command.add_argument("-o", "--output", metavar="OUT", help="table of all estimates")
    command.add_argument("--plot", metavar="SVG", help="drawing of the shares, ends in .svg")
    shared.add_overwrite(command, "table or drawing")
    group = command.add_argument_group("the classifier, where the catalogue does not say")
    group.add_argument("--checkpoint", metavar="C", help=f"whose errors are corrected for: {shared.CHECKPOINT}")
    group.add_argument("--scheme", metavar="S", help="of the answers; name or file")
    group.add_argument(
        "--priors", nargs="+", type=shared.key_and_value, metavar="ANSWER=SHARE", help="shares that it was trained on"
    )
    group.add_argument("--prefix", metavar="P", help="of the result's columns (default: gm_)")
    command.add_argument("--draws", type=int, metavar="N", help="for the errors (default: 400)")
    command.add_argument("--seed", type=int, metavar="N", help="of the draws (default: 0)")
    shared.add_table_hdu(command)


def do(options: Namespace) -> None:
    """Print the shares, and which rows were counted."""
    chosen = arguments(options)
    for name in chosen.keys() & {"bins", "priors"}:
        chosen[name] = dict(chosen[name])
    if "priors" in chosen:
        chosen["priors"] = {key: float(value) for key, value in chosen["priors"].items()}
    fractions = galmorph.count(**chosen, command=options.command_line)
    print_answer(options, _printed(fractions), {**fractions.about(), "fractions": rows_of(fractions.table)})
    print_remark(options, *fractions.remarks())


def _listed(text: str) -> list[str]:
    return [word.strip() for word in text.split(",")]


def _bins(text: str) -> tuple[str, Any]:
    """Return a column, and how many bins it has or their edges."""
    name, value = shared.key_and_value(text)
    try:
        return name, [float(word) for word in value.split(",")] if "," in value else int(value)
    except ValueError as error:
        raise ArgumentTypeError(f"'{text}': expected a number of bins, or edges such as {name}=18,20,22") from error


def _printed(fractions: Any) -> str:
    """Write a line for each bin and answer: what is in the bin, the counts, and the share with its 68 % interval."""
    table, method = fractions.table, fractions.method
    ends = [(name, f"{name}_low", f"{name}_high") for name in fractions.bins.names]
    several = len(set(table["question"].tolist())) > 1
    lines = [[*(name for name, *_ in ends), *(["question"] if several else []), "answer", "n", "raw", method, "-", "+"]]
    for row in table:
        share, low, high = (float(row[f"{method}{end}"]) for end in ("", "_low", "_high"))
        places = [f"{row[low_end]:.5g} to {row[high_end]:.5g}" for _, low_end, high_end in ends]
        numbers = [f"{value:.3f}" for value in (float(row["raw"]), share, share - low, high - share)]
        lines.append(
            [*places, *([str(row["question"])] if several else []), str(row["answer"]), str(row["n"]), *numbers]
        )
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    texts = len(widths) - 5
    return "\n".join(
        "  ".join(c.ljust(w) if i < texts else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True)))
        for cells in lines
    )
