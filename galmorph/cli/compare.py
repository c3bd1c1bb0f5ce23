"""Command compare: how the classes of two catalogues agree."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

import galmorph
from galmorph.cli import options as shared
from galmorph.cli.parser import Parser, arguments
from galmorph.cli.printing import print_answer, print_remark

__all__ = ["EXAMPLES", "add_options", "do"]

EXAMPLES = {
    "a column of classes, and a page about it": (
        "galmorph compare out.fits gz1.csv --radius 1arcsec --theirs label --report agreement.html"
    ),
    "shares, of which the largest counts, by magnitude": (
        "galmorph compare out.fits votes.fits --radius 1arcsec --theirs smooth=p_smooth featured=p_features "
        "--magnitude r "
    ),
    "classes that are called otherwise": (
        "galmorph compare out.fits rc3.vot --radius 5arcsec --theirs type --names E=elliptical Sb=spiral -o table.csv "
    ),
}


def add_options(command: Parser) -> None:
    """Add what the command takes."""
    command.add_argument("catalog", metavar="A", help=f"result of galmorph classify: {shared.CATALOG}")
    command.add_argument("other", metavar="B", help="catalogue with other classes, also vizier:J/ApJS/221/11/table2")
    command.add_argument("--radius", required=True, metavar="R", help="largest separation: 1arcsec")
    several = "a column of classes, or CLASS=COLUMN for shares of which the largest counts"
    command.add_argument("--ours", nargs="+", metavar="COL", help=f"in A: {several} (default: gm_class)")
    command.add_argument("--theirs", nargs="+", required=True, metavar="COL", help=f"in B: {several}")
    command.add_argument(
        "--names", nargs="+", type=shared.key_and_value, metavar="THEIRS=OURS", help="what classes are called here"
    )
    command.add_argument("--magnitude", metavar="COL", help="column of A or B, by which agreement is shown, too")
    command.add_argument("--edges", nargs="+", type=float, metavar="M", help="of its bins (default: whole magnitudes)")
    command.add_argument("-o", "--output", metavar="OUT", help="table of all pairs of classes, in all and by magnitude")
    command.add_argument("--report", metavar="HTML", help="page of tables and diagrams")
    shared.add_overwrite(command, "table or page")
    group = command.add_argument_group("columns of the catalogues", "one for both or one for each, - for none")
    group.add_argument("--ra", nargs="+", metavar="COL", help="right ascension")
    group.add_argument("--dec", nargs="+", metavar="COL", help="declination")
    group.add_argument("--hdu", nargs="+", type=shared.table_hdu, metavar="HDU", help="number or name of the table")


def do(options: Namespace) -> None:
    """Compare, and print counts and agreement."""
    chosen = arguments(options)
    for name in chosen.keys() & {"ours", "theirs"}:
        chosen[name] = _classes(chosen[name])
    if "names" in chosen:
        chosen["names"] = dict(chosen["names"])
    agreement = galmorph.compare(**chosen, command=options.command_line)
    _print(options, agreement)


def _classes(words: list[str]) -> str | dict[str, str]:
    """Return one column, or columns by class."""
    return words[0] if len(words) == 1 and "=" not in words[0] else dict(map(shared.key_and_value, words))


def _print(options: Namespace, agreement: Any) -> None:
    """Print the confusion, theirs by ours, and how much agrees."""
    lines = [["theirs \\ ours", *agreement.classes]]
    lines += [[n, *map(str, c)] for n, c in zip(agreement.classes, agreement.counts[0].tolist(), strict=True)]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    texts = []
    for name, *cells in lines:
        values = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
        texts.append("  ".join([name.ljust(widths[0]), *values]))
    print_answer(options, "\n".join(texts), _document(agreement))
    kappa, error = (float(value[0]) for value in agreement.kappa)
    print_remark(
        options,
        f"{agreement.pairs} galaxies in common, {agreement.galaxies[0]} with a class in both: the same for "
        f"{agreement.agreeing[0]:.3f}, kappa {kappa:.3f} +- {error:.3f}",
    )


def _document(agreement: Any) -> dict[str, Any]:
    """Return for programs what is printed for people."""
    kappa, error = (value[0] for value in agreement.kappa)
    return {
        "classes": agreement.classes,
        "counts": agreement.counts[0],
        "pairs": agreement.pairs,
        "galaxies": agreement.galaxies[0],
        "agreeing": agreement.agreeing[0],
        "kappa": kappa,
        "kappa_error": error,
    }
